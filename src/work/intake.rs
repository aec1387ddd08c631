//! Messages that come as files: read with a bound, filed by the rules. And `intake/`, where `lazaret deposit` leaves a
//! complete message.
//!
//! ```text
//! intake/tmp/<id>   is being written, or is handed to the running server by its name
//! intake/new/<id>   complete and synced: deposit has ended with 0, so it must not get lost
//! ```
//!
//! The file's first line is the envelope, as JSON; the message follows, byte for byte. A file in `new/` is removed once it
//! is stored; a crash between the two files it twice, never not at all.

use crate::base::{Context, Fault, limits};
use crate::disk::foreign;
use crate::mail::trace::{Client, Told};
use crate::mail::{Class, Kind, header};
use crate::net::Stop;
use crate::quarantine::{Arrival, Filed, Quarantine, Refused};
use crate::verdict::{Filter, fields};
use serde_json::{Value, json};
use smol::Timer;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// How often `intake/new` is looked at; a deposit to a running server does not wait for this.
const POLL: Duration = Duration::from_secs(2);
/// First and longest pause before a file that could not be filed is tried again.
const RETRY: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(900));
/// An unfinished file of this age is nobody's any more (Maildir's own rule).
const UNFINISHED: Duration = Duration::from_secs(36 * 3600);
/// Names that are remembered as not to be tried yet.
const REMEMBERED: usize = 10_000;

/// A message as it was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Its bytes; only the header when `cut_from` is set.
    pub bytes: Vec<u8>,
    /// It was over the limit: so many bytes.
    pub cut_from: Option<u64>,
}

/// Reads a message of at most `most` bytes; of a larger one the header is kept, and the rest is read and counted.
pub fn read_message(mut from: impl Read, most: u64) -> io::Result<Held> {
    let mut bytes = Vec::new();
    let limit = most.max(limits::HEADER_BYTES as u64);
    from.by_ref().take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 <= most {
        return Ok(Held { bytes, cut_from: None });
    }
    let size = bytes.len() as u64 + io::copy(&mut from, &mut io::sink())?;
    bytes.truncate(header::end(&bytes).min(limits::HEADER_BYTES));
    bytes.shrink_to_fit();
    Ok(Held { bytes, cut_from: Some(size) })
}

/// What a door was told about a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Envelope {
    /// The reverse-path, "" for the null sender.
    pub sender: String,
    /// The recipients, verbatim.
    pub recipients: Vec<String>,
    /// Why it is here.
    pub class: Class,
    /// What the filter saw.
    pub kind: Kind,
    /// Who handed it in.
    pub client: Client,
    /// The filter's score, as it wrote it.
    pub score: Option<String>,
    /// Why the filter caught it, one reason each.
    pub reasons: Vec<String>,
    /// Only the header is there, of so many bytes.
    pub cut_from: Option<u64>,
}

impl Envelope {
    /// Takes in what these filters wrote into the header.
    pub fn hear(&mut self, message: &[u8], believed: &[Filter]) {
        if let Some(heard) = fields::read(message, believed) {
            (self.score, self.reasons) = heard.file(&mut self.kind, &mut self.sender, &mut self.client);
        }
    }

    /// As the first line of a file, line end included.
    pub fn line(&self) -> String {
        let c = &self.client;
        let line = json!({
            "from": self.sender, "to": self.recipients, "class": self.class.word(), "kind": self.kind.word(),
            "door": c.door, "address": c.address, "name": c.name, "helo": c.helo, "qid": c.queue_id, "user": c.user,
            "score": self.score, "reasons": self.reasons, "cut_from": self.cut_from,
        });
        format!("{line}\n")
    }

    /// Reads a file: the envelope, and the message behind it.
    pub fn split(file: &[u8]) -> Option<(Envelope, &[u8])> {
        let end = file.iter().position(|&b| b == b'\n')?;
        let (line, message) = (file.get(..end)?, file.get(end + 1..)?);
        let line: Value = serde_json::from_slice(line).ok()?;
        let text = |key: &str| line.get(key).and_then(Value::as_str).map(str::to_string);
        let recipients = line.get("to")?.as_array()?.iter().map(|to| to.as_str().map(str::to_string));
        // An older version wrote none.
        let reasons = line.get("reasons").and_then(Value::as_array).into_iter().flatten();
        let envelope = Envelope {
            sender: text("from")?,
            recipients: recipients.collect::<Option<_>>()?,
            class: Class::from_word(&text("class")?)?,
            kind: Kind::from_word(&text("kind")?)?,
            client: Client {
                door: text("door")?,
                address: text("address"),
                name: text("name"),
                helo: text("helo"),
                queue_id: text("qid"),
                user: text("user"),
            },
            score: text("score"),
            reasons: reasons.filter_map(Value::as_str).map(str::to_string).collect(),
            cut_from: line.get("cut_from").and_then(Value::as_u64),
        };
        Some((envelope, message))
    }

    /// Files a message for all recipients, or for none: whoever hands it in has one answer for all of them. Only an error
    /// of the disk can come when some have it already.
    pub fn file(&self, quarantine: &Quarantine, message: &[u8]) -> Result<Vec<Filed>, Refused> {
        for recipient in &self.recipients {
            quarantine.place_for(self.class, &self.sender, self.client.user.as_deref(), recipient)?;
        }
        quarantine.admit(&self.arrival(self.recipients.clone(), message)).into_iter().collect()
    }

    /// The arrival for some of the recipients.
    pub fn arrival<'a>(&self, recipients: Vec<String>, message: &'a [u8]) -> Arrival<'a> {
        Arrival {
            class: self.class,
            kind: self.kind,
            sender: self.sender.clone(),
            recipients,
            client: self.client.clone(),
            score: self.score.clone(),
            reasons: self.reasons.clone(),
            message,
            cut_from: self.cut_from,
            told: Told::Unknown,
            rebuilt: false,
            form: Arrival::form_of(message),
        }
    }
}

/// The directory of deposits that are complete, and that of unfinished ones.
pub fn directories(data: &Path) -> (PathBuf, PathBuf) {
    (data.join("intake/new"), data.join("intake/tmp"))
}

/// Why a deposited file is not filed.
#[derive(Debug)]
pub enum NotFiled {
    /// It cannot be read.
    Disk(Fault),
    /// It is not what deposit writes.
    Odd(String),
    /// The rules do not take it now.
    Refused(Refused),
}

impl std::fmt::Display for NotFiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NotFiled::Disk(fault) => write!(f, "{fault}"),
            NotFiled::Odd(text) => f.write_str(text),
            NotFiled::Refused(refused) => write!(f, "{refused}"),
        }
    }
}

/// Files a deposited file; it stays where it is.
pub fn file(quarantine: &Quarantine, path: &Path) -> Result<Vec<Filed>, NotFiled> {
    // Each is held in memory as a whole.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut open = foreign::open(path).map_err(|odd| match odd {
        foreign::Odd::Io(error) => NotFiled::Disk(Fault::new("open", path, error)),
        odd => NotFiled::Odd(odd.to_string()),
    })?;
    let mut bytes = Vec::new();
    // Deposit has cut it to the size limit.
    open.read_to_end(&mut bytes).during("read", path).map_err(NotFiled::Disk)?;
    let (envelope, message) = Envelope::split(&bytes)
        .ok_or_else(|| NotFiled::Odd("it does not begin with the line that `lazaret deposit` writes".to_string()))?;
    envelope.file(quarantine, message).map_err(NotFiled::Refused)
}

/// Names that are not to be tried again before a time.
#[derive(Debug, Default)]
pub(super) struct Pauses(HashMap<OsString, (Instant, Duration)>);

impl Pauses {
    /// Whether this name may be tried.
    pub(super) fn is_due(&self, name: &OsString) -> bool {
        self.0.get(name).is_none_or(|(at, _)| *at <= Instant::now())
    }

    /// It was tried and could not be filed.
    pub(super) fn note(&mut self, name: OsString) {
        if self.0.len() >= REMEMBERED {
            self.0.clear();
        }
        let pause = self.0.get(&name).map_or(RETRY.0, |(_, last)| (*last * 2).min(RETRY.1));
        self.0.insert(name, (Instant::now() + pause, pause));
    }

    /// Only these names are still there.
    pub(super) fn retain<'a>(&mut self, names: impl Iterator<Item = &'a OsString>) {
        if !self.0.is_empty() {
            let names: HashSet<&OsString> = names.collect();
            self.0.retain(|name, _| names.contains(name));
        }
    }
}

/// Sleeps, or ends early at the stop.
pub(super) async fn sleep(stop: &Stop, how_long: Duration) {
    let pause = async {
        Timer::after(how_long).await;
    };
    smol::future::or(pause, stop.stopped()).await;
}

/// The names in a directory, sorted: oldest first, as names begin with the time.
pub(super) fn names(directory: &Path) -> io::Result<Vec<OsString>> {
    let mut names =
        std::fs::read_dir(directory)?.map(|entry| entry.map(|e| e.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.retain(|name| !name.as_encoded_bytes().starts_with(b"."));
    names.sort_unstable();
    Ok(names)
}

/// Files what deposits left while no server ran, and what else turns up, until `stop`.
pub async fn run(quarantine: Arc<Quarantine>, stop: Stop) {
    let mut pauses = Pauses::default();
    let mut swept: Option<Instant> = None;
    while !stop.is_stopped() {
        let sweep = swept.is_none_or(|at| at.elapsed() > Duration::from_secs(3600));
        if sweep {
            swept = Some(Instant::now());
        }
        let quarantine = quarantine.clone();
        let stopping = stop.clone();
        pauses = smol::unblock(move || {
            if sweep {
                sweep_unfinished(&quarantine);
            }
            pass(&quarantine, &stopping, pauses)
        })
        .await;
        sleep(&stop, POLL).await;
    }
}

fn pass(quarantine: &Quarantine, stop: &Stop, mut pauses: Pauses) -> Pauses {
    let (new, _) = directories(quarantine.store.disk().root());
    // It is made by the first deposit.
    let Ok(names) = names(&new) else { return pauses };
    pauses.retain(names.iter());
    let due: Vec<_> = names.into_iter().filter(|name| pauses.is_due(name)).collect();
    for name in due {
        if stop.is_stopped() {
            return pauses;
        }
        let path = new.join(&name);
        match file(quarantine, &path) {
            Ok(filed) => {
                let disk = quarantine.store.disk();
                if let Err(fault) = disk.unlink(&path).and_then(|()| disk.sync_dir(&new)) {
                    log::error!("{fault}: {} is stored, and may be filed once more", path.display());
                    pauses.note(name);
                }
                let ids: Vec<String> = filed.into_iter().map(|f| f.id).collect();
                log::info!("deposit: {} was filed as {}", path.display(), ids.join(", "));
            }
            Err(NotFiled::Disk(fault)) if fault.is_missing() => {}
            Err(why) => {
                log::error!("deposit: {} is not filed yet: {why}; it stays there and is tried again", path.display());
                pauses.note(name);
            }
        }
    }
    pauses
}

fn sweep_unfinished(quarantine: &Quarantine) {
    let disk = quarantine.store.disk();
    let (_, tmp) = directories(disk.root());
    for name in names(&tmp).unwrap_or_default() {
        let path = tmp.join(name);
        let age =
            std::fs::symlink_metadata(&path).and_then(|m| m.modified()).map(|at| SystemTime::now().duration_since(at));
        if matches!(age, Ok(Ok(age)) if age > UNFINISHED)
            && let Err(fault) = disk.unlink(&path)
        {
            log::warn!("{fault}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_the_limit_the_header_is_kept() {
        let small = b"A: b\n\nbody";
        assert_eq!(read_message(&small[..], 10).unwrap(), Held { bytes: small.to_vec(), cut_from: None });
        assert_eq!(read_message(&small[..], 9).unwrap(), Held { bytes: b"A: b\n\n".to_vec(), cut_from: Some(10) });
        let large = [b"A: b\r\n\r\n".as_slice(), &vec![b'x'; 3 << 20]].concat();
        let held = read_message(&large[..], 2 << 20).unwrap();
        assert_eq!(held, Held { bytes: b"A: b\r\n\r\n".to_vec(), cut_from: Some(large.len() as u64) });
        let endless = vec![b'h'; 3 << 20];
        assert_eq!(read_message(&endless[..], 1000).unwrap().bytes.len(), limits::HEADER_BYTES);
    }

    #[test]
    fn envelopes_come_back() {
        let envelope = Envelope {
            sender: "\"odd\\\"\n\"@x.test".into(),
            recipients: vec!["Alice+x@example.org".into(), "b@example.org".into()],
            class: Class::Outgoing,
            kind: Kind::Virus,
            client: Client { door: "deposit".into(), helo: Some("é\r".into()), ..Client::default() },
            score: Some("9 / 5".into()),
            reasons: vec!["A(9.00)[\"\n]".into(), "b".into()],
            cut_from: Some(7),
        };
        let file = [envelope.line().as_bytes(), b"Subject: x\n\ny\n"].concat();
        assert_eq!(file.iter().position(|b| *b == b'\n'), Some(envelope.line().len() - 1));
        assert_eq!(Envelope::split(&file), Some((envelope, &b"Subject: x\n\ny\n"[..])));
        for bad in ["", "{}\n", "x\n\n", "{\"from\":\"\",\"to\":[1]}\n"] {
            assert_eq!(Envelope::split(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
