//! `drop/`, a Maildir in which any other program may leave mail. Nothing in it is trusted: see [`foreign`]. What is good is
//! copied into the store and then unlinked; what cannot be filed goes to `drop/rejects`, with a line in the log.

use super::intake::{Envelope, Pauses, names, read_message, sleep};
use crate::base::{Fault, limits};
use crate::disk::foreign::{self, Odd};
use crate::mail::trace::Client;
use crate::mail::{Address, Class, Kind, header};
use crate::net::Stop;
use crate::quarantine::{Quarantine, Refused};
use crate::verdict::Filter;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How often the two directories are looked at.
const POLL: Duration = Duration::from_secs(2);
/// Files of one step; between two steps others get their turn.
const STEP: usize = 20;

/// How mail in `drop/` is to be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The field that names the recipient; its topmost occurrence counts.
    pub header: String,
    /// Class of what is found.
    pub class: Class,
    /// Kind of what is found.
    pub kind: Kind,
    /// The filters whose header fields are believed.
    pub believed: Vec<Filter>,
    /// Of larger messages only the header is kept.
    pub max_size: u64,
}

/// What becomes of a file that was not filed.
#[derive(Debug)]
enum Not {
    /// To the rejects: why, and what would help.
    Ever(String),
    /// It stays where it is: why.
    Yet(String),
}

/// Files what turns up in `drop/`, until `stop`.
pub async fn run(quarantine: Arc<Quarantine>, rules: Rules, stop: Stop) {
    let door = Arc::new(Door { root: quarantine.store.disk().path("drop"), quarantine, rules });
    let maker = door.clone();
    if let Err(fault) = smol::unblock(move || maker.make()).await {
        return log::error!("{fault}: mail that is left in {} is not seen until a restart", door.root.display());
    }
    let mut look = Look::default();
    while !stop.is_stopped() {
        let worker = door.clone();
        look = smol::unblock(move || worker.step(look)).await;
        if look.found.is_empty() {
            sleep(&stop, POLL).await;
        } else {
            smol::future::yield_now().await;
        }
    }
}

/// What the last look found and is still to be done.
#[derive(Debug, Default)]
struct Look {
    found: VecDeque<(&'static str, OsString)>,
    pauses: Pauses,
}

struct Door {
    root: PathBuf,
    quarantine: Arc<Quarantine>,
    rules: Rules,
}

impl Door {
    fn make(&self) -> Result<(), Fault> {
        let disk = self.quarantine.store.disk();
        ["cur", "new", "tmp", "rejects"].iter().try_for_each(|name| disk.make_dirs(&self.root.join(name)))
    }

    /// A few files; when none is left of the last look, looks again.
    fn step(&self, mut look: Look) -> Look {
        if look.found.is_empty() {
            self.look(&mut look);
        }
        for _ in 0..STEP {
            let Some((half, name)) = look.found.pop_front() else { break };
            if !self.one(&self.root.join(half).join(&name)) {
                look.pauses.note(name);
            }
        }
        look
    }

    fn look(&self, look: &mut Look) {
        for half in ["new", "cur"] {
            let directory = self.root.join(half);
            // Who may change drop/ itself could lead us to any directory.
            if !foreign::is_directory(&directory) {
                continue;
            }
            match names(&directory) {
                Ok(names) => look.found.extend(names.into_iter().map(|name| (half, name))),
                Err(error) => log::error!("drop: cannot list {}: {error}", directory.display()),
            }
        }
        look.pauses.retain(look.found.iter().map(|(_, name)| name));
        look.found.retain(|(_, name)| look.pauses.is_due(name));
    }

    /// Whether this file was dealt with.
    fn one(&self, path: &Path) -> bool {
        let (file, not) = match foreign::open(path) {
            Ok(file) => match self.file(&file, path) {
                Ok(()) => return self.unlink(&file, path),
                Err(not) => (Some(file), not),
            },
            Err(Odd::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => return true,
            Err(odd @ Odd::Io(_)) => (None, Not::Yet(format!("{odd}; let the user that runs lazaret read it"))),
            Err(odd) => (None, Not::Ever(odd.to_string())),
        };
        match not {
            Not::Ever(why) => self.reject(path, file.as_ref(), &why),
            Not::Yet(why) => {
                log::error!("drop: {} is not filed yet: {why}; it is tried again later", path.display());
                false
            }
        }
    }

    fn file(&self, file: &File, path: &Path) -> Result<(), Not> {
        let held = read_message(file, self.rules.max_size).map_err(|e| Not::Yet(format!("it cannot be read: {e}")))?;
        let mut envelope = Envelope {
            sender: sender(&held.bytes),
            recipients: recipients(&held.bytes, &self.rules.header).map_err(Not::Ever)?,
            class: self.rules.class,
            kind: self.rules.kind,
            client: Client { door: "drop".to_string(), ..Client::default() },
            cut_from: held.cut_from,
            ..Envelope::default()
        };
        envelope.hear(&held.bytes, &self.rules.believed);
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for recipient in std::mem::take(&mut envelope.recipients) {
            match self.quarantine.place_for(envelope.class, &envelope.sender, None, &recipient) {
                Ok(_) => good.push(recipient),
                Err(refused) => bad.push(judge(&refused)),
            }
        }
        // All of it waits when any of it has to, so that nobody gets it twice.
        if let Some(at) = bad.iter().position(|not| matches!(not, Not::Yet(_))) {
            return Err(bad.swap_remove(at));
        }
        if !good.is_empty() {
            let filed: Result<Vec<_>, Refused> =
                self.quarantine.admit(&envelope.arrival(good, &held.bytes)).into_iter().collect();
            let filed = filed.map_err(|refused| Not::Yet(refused.to_string()))?;
            let ids: Vec<String> = filed.into_iter().map(|f| f.id).collect();
            log::info!("drop: {} was filed as {}", path.display(), ids.join(", "));
        }
        bad.pop().map_or(Ok(()), Err)
    }

    /// It is stored, so the name goes; not if another file has the name by now.
    fn unlink(&self, file: &File, path: &Path) -> bool {
        if !foreign::is_named(file, path) {
            return true;
        }
        match self.quarantine.store.disk().unlink(path) {
            Ok(()) => true,
            Err(fault) => {
                log::error!(
                    "drop: {fault}: it is stored, and is filed once more each time until the user that runs lazaret may remove it"
                );
                false
            }
        }
    }

    fn reject(&self, path: &Path, file: Option<&File>, why: &str) -> bool {
        let name = path.file_name().unwrap_or_default();
        let disk = self.quarantine.store.disk();
        // Its time in the rejects counts from now.
        if let Some(Err(e)) = file.map(|f| f.set_modified(SystemTime::now())) {
            log::debug!("{}: {e}", path.display());
        }
        let mut moved = Ok(());
        for attempt in 0..100 {
            let mut target = name.to_os_string();
            if attempt > 0 {
                target.push(format!(".{attempt}"));
            }
            moved = disk.rename(path, &self.root.join("rejects").join(target));
            if !matches!(&moved, Err(fault) if fault.kind() == std::io::ErrorKind::AlreadyExists) {
                break;
            }
        }
        match moved {
            Ok(()) => log::error!("drop: {} is in drop/rejects: {why}", path.display()),
            Err(fault) if fault.is_missing() => {}
            Err(fault) => {
                log::error!("drop: {} cannot be filed: {why}; and it stays in the way: {fault}", path.display());
                return false;
            }
        }
        true
    }
}

fn judge(refused: &Refused) -> Not {
    match refused {
        Refused::Address(_) => Not::Ever(format!("{refused}: correct the field and move the file back into drop/new")),
        Refused::UnknownDomain(domain) => Not::Ever(format!(
            "{refused}: add [domains.{domain:?}] to the configuration and move the file back into drop/new"
        )),
        Refused::UnknownRecipient(_) => Not::Ever(format!(
            "{refused}: add it to its domain's recipients (or set catch_all) and move the file back into drop/new"
        )),
        Refused::TooManyTrees | Refused::NoSpace | Refused::Disk(_) => Not::Yet(refused.to_string()),
    }
}

/// The addresses in the topmost field of this name, verbatim.
fn recipients(message: &[u8], name: &str) -> Result<Vec<String>, String> {
    let field = header::find(message, name.as_bytes()).ok_or_else(|| {
        format!(
            "it has no {name} field, and To and Cc say nothing of whom it was for: have the delivering program add one, or \
             name another field in [drop] header"
        )
    })?;
    let value = String::from_utf8_lossy(&field.unfolded()).into_owned();
    let mut all = Vec::new();
    for text in split_list(&value).filter(|t| !t.is_empty()) {
        let address = Address::parse(text).map_err(|e| {
            format!("its {name} field holds {text:?}, which is no address ({e}): correct it and move the file back into drop/new")
        })?;
        all.push(address.to_string());
    }
    match all.len() {
        0 => Err(format!("its {name} field is empty: correct it and move the file back into drop/new")),
        1..=limits::RECIPIENTS_PER_FILE => Ok(all),
        count => Err(format!(
            "its {name} field names {count} recipients; {} is the limit: split it up",
            limits::RECIPIENTS_PER_FILE
        )),
    }
}

/// Splits at commas outside quotes; angle brackets and white space around an address go.
fn split_list(value: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    value
        .split(move |c: char| {
            let was_escaped = std::mem::take(&mut escaped);
            match c {
                '\\' if quoted && !was_escaped => escaped = true,
                '"' if !was_escaped => quoted = !quoted,
                _ => {}
            }
            c == ',' && !quoted
        })
        .map(|text| {
            let text = text.trim();
            text.strip_prefix('<').and_then(|t| t.strip_suffix('>')).unwrap_or(text)
        })
}

/// The topmost Return-Path; without a good one the null sender.
fn sender(message: &[u8]) -> String {
    let Some(field) = header::find(message, b"return-path") else { return String::new() };
    let value = String::from_utf8_lossy(&field.unfolded()).into_owned();
    let first = split_list(&value).next().unwrap_or_default();
    Address::parse(first).map(|a| a.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_come_from_the_topmost_field_only() {
        let of = |text: &str| recipients(text.as_bytes(), "X-Original-To");
        assert_eq!(of("To: t@x.test\nX-Original-To: A+b@x.test\nx-original-to: c@x.test\n\n").unwrap(), ["A+b@x.test"]);
        assert_eq!(
            of("x-original-to: <a@x.test>,\r\n \"b,c\"@x.test \r\n\r\n").unwrap(),
            ["a@x.test", "\"b,c\"@x.test"]
        );
        assert!(
            of("To: t@x.test\nCc: c@x.test\n\nX-Original-To: body@x.test\n").unwrap_err().contains("no X-Original-To")
        );
        assert!(of("X-Original-To:\n\n").unwrap_err().contains("is empty"));
        assert!(of("X-Original-To: Alice <a@x.test>\n\n").unwrap_err().contains("no address"));
        assert!(of(&format!("X-Original-To: {}\n\n", "a@x.test,".repeat(101))).unwrap_err().contains("the limit"));
    }

    #[test]
    fn senders() {
        for (text, expected) in [
            ("Return-Path: <a@x.test>\nReturn-Path: <b@x.test>\n\n", "a@x.test"),
            ("Return-Path: <>\n\n", ""),
            ("Return-Path: nonsense\n\n", ""),
            ("From: a@x.test\n\n", ""),
        ] {
            assert_eq!(sender(text.as_bytes()), expected);
        }
    }
}
