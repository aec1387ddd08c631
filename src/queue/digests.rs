//! Digests on disk: what each account was told last, and the mails that are not yet handed to the mail server.
//!
//! ```text
//! state/digests/checked               seconds: all periods that ended until then were dealt with
//! state/digests/accounts/<login>.json what an account was told, and whether it wants to be
//! state/digests/out/<period>,<login>.eml   a digest on its way: a line of JSON, then the mail
//! ```
//!
//! The period in the mail's name is when it ended, so there is one name for one account and one period.
//!
//! | | out | account's file | after a crash |
//! |---|---|---|---|
//! | D0 | – | old | the period is dealt with again: nothing of it has left us |
//! | D1 the mail's file is synced, and its directory | there | old | start-up brings the account's file up to the mail: D2 |
//! | D2 the account's file is replaced, durably | there | new | it is sent |
//! | D3 the server took it, the file not yet removed | there | new | **it is sent a second time**, with the same Message-ID |
//! | D4 removed, directory not synced | perhaps | new | D3 or D5 |
//! | D5 done | – | new | |
//!
//! So a digest is sent at least once: between the server's reply and our removal nobody can know, and a second copy is
//! better than mail of which nobody is told. Nothing is sent before D2, and no period is composed twice.

use crate::base::{Context, Fault, limits, path};
use crate::disk::Disk;
use event_listener::{Event, EventListener};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Longest encoded login in a file name; a longer one is hashed.
const LOGIN_NAME: usize = 200;

/// What an account was told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Its login.
    pub login: String,
    /// It does not want digests.
    #[serde(default)]
    pub is_off: bool,
    /// The end of the last period of which it was told, in seconds since 1970.
    #[serde(default)]
    pub period: u64,
    /// Up to this UID of Caught.
    #[serde(default)]
    pub mark: u32,
    /// The UIDs' validity; with another one the mark means nothing.
    #[serde(default)]
    pub uid_validity: u32,
}

/// A digest's envelope, and what its account has been told once it is placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The account's login.
    pub login: String,
    /// The end of its period, in seconds since 1970.
    pub period: u64,
    /// See [`Ledger::mark`].
    pub mark: u32,
    /// See [`Ledger::uid_validity`].
    pub uid_validity: u32,
    /// The reverse-path, "" for the null sender.
    pub sender: String,
    /// To whom it goes.
    pub to: String,
}

/// Its period, which comes first so that the oldest goes first, and its login.
type Key = (u64, String);

/// A digest on its way.
#[derive(Debug, Clone)]
struct Waiting {
    attempts: u32,
    /// Not before, in seconds since 1970.
    next: u64,
    is_claimed: bool,
}

#[derive(Default)]
struct State {
    checked: Option<u64>,
    accounts: HashMap<String, Ledger>,
    out: BTreeMap<Key, Waiting>,
}

/// A digest that somebody sends; nobody else gets it until [`Digests::done`] or [`Digests::defer`].
#[derive(Debug)]
#[must_use = "say what became of it"]
pub struct Sending {
    /// Its envelope.
    pub notice: Notice,
    /// The mail.
    pub mail: Vec<u8>,
    /// Attempts that did not succeed.
    pub attempts: u32,
}

/// All of it. Share it by reference; calls block on the disk for a moment.
pub struct Digests {
    disk: Disk,
    state: Mutex<State>,
    changed: Event,
}

impl Digests {
    /// Reads those of a data directory, and brings accounts up to the mails that are on their way.
    pub fn open(disk: Disk) -> Result<Digests, Fault> {
        let digests = Digests { disk, state: Mutex::default(), changed: Event::new() };
        let mut state = State::default();
        if let Some(bytes) = digests.disk.read(&digests.path("checked"))? {
            state.checked = std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok());
        }
        for file in digests.names("accounts")? {
            let path = digests.path("accounts").join(&file);
            match digests.disk.read(&path)?.and_then(|bytes| serde_json::from_slice::<Ledger>(&bytes).ok()) {
                Some(ledger) => drop(state.accounts.insert(ledger.login.clone(), ledger)),
                None => log::warn!("{} is damaged: this account is told of its mail anew", path.display()),
            }
        }
        for file in digests.names("out")? {
            let path = digests.path("out").join(&file);
            let Some((notice, _)) = digests.disk.read(&path)?.as_deref().and_then(split) else {
                log::warn!("{} is no digest; it is left alone", path.display());
                continue;
            };
            state
                .out
                .insert((notice.period, notice.login.clone()), Waiting { attempts: 0, next: 0, is_claimed: false });
            let known = state.accounts.entry(notice.login.clone()).or_default();
            if known.period < notice.period {
                *known = told(known, &notice);
                let ledger = known.clone();
                digests.write(&ledger)?;
            }
        }
        *digests.lock() = state;
        Ok(digests)
    }

    /// Fires when there may be something new to send. Get the listener first, look, then wait for it.
    pub fn listen(&self) -> EventListener {
        self.changed.listen()
    }

    /// What this account was told.
    pub fn ledger(&self, login: &str) -> Ledger {
        let known = self.lock().accounts.get(login).cloned();
        known.unwrap_or_else(|| Ledger { login: login.to_string(), ..Ledger::default() })
    }

    /// Whether this account wants digests; durable when it returns.
    pub fn set_off(&self, login: &str, is_off: bool) -> Result<(), Fault> {
        let mut state = self.lock();
        let known = state.accounts.get(login).cloned().unwrap_or_default();
        if known.is_off == is_off {
            return Ok(());
        }
        let ledger = Ledger { login: login.to_string(), is_off, ..known };
        self.write(&ledger)?;
        state.accounts.insert(login.to_string(), ledger);
        Ok(())
    }

    /// All periods that ended until then were dealt with; `None`: there was no look yet.
    pub fn checked(&self) -> Option<u64> {
        self.lock().checked
    }

    /// Says so, durably.
    pub fn set_checked(&self, at: u64) -> Result<(), Fault> {
        let mut state = self.lock();
        self.disk.make_dirs(&self.path(""))?;
        self.disk.write_whole(&self.path("checked"), format!("{at}\n").as_bytes())?;
        state.checked = Some(at);
        Ok(())
    }

    /// Takes a digest to be sent. Durable when it returns; `false`: the account was told of that period before, and
    /// nothing is done. What was noted more than [`limits::DIGEST_SLACK`] ahead of `now` (seconds since 1970) is not believed.
    pub fn place(&self, notice: &Notice, mail: &[u8], now: u64) -> Result<bool, Fault> {
        let mut state = self.lock();
        let key = (notice.period, notice.login.clone());
        let known = state.accounts.get(&notice.login).cloned().unwrap_or_default();
        let is_told =
            known.period >= notice.period && known.period <= now.saturating_add(limits::DIGEST_SLACK.as_secs());
        if is_told || state.out.contains_key(&key) {
            return Ok(false);
        }
        let path = self.file(&key);
        self.disk.make_dirs(&self.path("out"))?;
        let mut bytes = serde_json::to_vec(notice).map_err(io::Error::from).during("write", &path)?;
        bytes.push(b'\n');
        bytes.extend_from_slice(mail);
        self.disk.write_whole(&path, &bytes)?;
        let ledger = told(&known, notice);
        // Without this nothing is sent: were the mail gone after that, a restart would not know that the account was told.
        // Whoever tries again replaces the mail's file.
        self.write(&ledger)?;
        state.accounts.insert(notice.login.clone(), ledger);
        state.out.insert(key, Waiting { attempts: 0, next: 0, is_claimed: false });
        drop(state);
        self.changed.notify(usize::MAX);
        Ok(true)
    }

    /// The oldest digest that is due at `now` (seconds since 1970).
    pub fn claim(&self, now: u64) -> Result<Option<Sending>, Fault> {
        let mut state = self.lock();
        let due = state.out.iter_mut().find(|(_, waiting)| !waiting.is_claimed && waiting.next <= now);
        let Some((key, waiting)) = due.map(|(key, waiting)| (key.clone(), waiting)) else { return Ok(None) };
        let attempts = waiting.attempts;
        let read = self.disk.read(&self.file(&key))?;
        match read.as_deref().and_then(split) {
            Some((notice, mail)) => {
                waiting.is_claimed = true;
                Ok(Some(Sending { notice, mail: mail.to_vec(), attempts }))
            }
            None => {
                log::error!("{} was removed or changed by somebody; it is not sent", self.file(&key).display());
                state.out.remove(&key);
                Ok(None)
            }
        }
    }

    /// When the next one is due, in seconds since 1970.
    pub fn next_due(&self) -> Option<u64> {
        self.lock().out.values().filter(|waiting| !waiting.is_claimed).map(|waiting| waiting.next).min()
    }

    /// How many are on their way.
    pub fn waiting(&self) -> usize {
        self.lock().out.len()
    }

    /// The server took it, or it is given up: removes it, durably.
    pub fn done(&self, sent: &Notice) -> Result<(), Fault> {
        let key = (sent.period, sent.login.clone());
        let mut state = self.lock();
        state.out.remove(&key);
        match self.disk.unlink(&self.file(&key)) {
            Err(fault) if !fault.is_missing() => Err(fault),
            _ => self.disk.sync_dir(&self.path("out")),
        }
    }

    /// After so many attempts it is not sent: not again before `next`. After a restart it is tried at once.
    pub fn defer(&self, notice: &Notice, attempts: u32, next: u64) {
        if let Some(waiting) = self.lock().out.get_mut(&(notice.period, notice.login.clone())) {
            *waiting = Waiting { attempts, next, is_claimed: false };
        }
        self.changed.notify(usize::MAX);
    }

    fn write(&self, ledger: &Ledger) -> Result<(), Fault> {
        let directory = self.path("accounts");
        let path = directory.join(format!("{}.json", file_name(&ledger.login)));
        self.disk.make_dirs(&directory)?;
        let bytes = serde_json::to_vec(ledger).map_err(io::Error::from).during("write", &path)?;
        self.disk.write_whole(&path, &bytes)
    }

    fn path(&self, below: &str) -> PathBuf {
        let root = self.disk.path("state/digests");
        if below.is_empty() { root } else { root.join(below) }
    }

    fn file(&self, (period, login): &Key) -> PathBuf {
        self.path("out").join(format!("{period},{}.eml", file_name(login)))
    }

    /// The files of a directory; what a crash left half-written is swept.
    fn names(&self, below: &str) -> Result<Vec<String>, Fault> {
        let directory = self.path(below);
        if !directory.is_dir() {
            return Ok(Vec::new());
        }
        let mut names = Vec::new();
        for name in super::place::names(&directory)?.into_iter().filter_map(|name| name.into_string().ok()) {
            if name.ends_with(".new") {
                self.disk.unlink(&directory.join(&name))?;
            } else {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an account has been told with this.
fn told(known: &Ledger, notice: &Notice) -> Ledger {
    Ledger {
        login: notice.login.clone(),
        is_off: known.is_off,
        period: notice.period,
        mark: notice.mark,
        uid_validity: notice.uid_validity,
    }
}

fn split(file: &[u8]) -> Option<(Notice, &[u8])> {
    let end = file.iter().position(|&b| b == b'\n')?;
    Some((serde_json::from_slice(file.get(..end)?).ok()?, file.get(end + 1..)?))
}

fn file_name(login: &str) -> String {
    path::encode(login.as_bytes()).filter(|name| name.len() <= LOGIN_NAME).unwrap_or_else(|| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, login.as_bytes());
        digest.as_ref().iter().take(16).fold("~".to_string(), |name, byte| format!("{name}{byte:02x}"))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::Scratch;
    use super::*;

    fn digests(scratch: &Scratch) -> Digests {
        Digests::open(Disk::new(&scratch.0)).unwrap()
    }

    fn notice(login: &str, period: u64, mark: u32) -> Notice {
        let (sender, to) = (String::new(), "a@x.test".to_string());
        Notice { login: login.into(), period, mark, uid_validity: 7, sender, to }
    }

    #[test]
    fn a_period_is_placed_once_also_over_a_restart() {
        let scratch = Scratch::new();
        let all = digests(&scratch);
        assert!(all.place(&notice("a@x.test", 100, 5), b"Subject: x\r\n\r\nbody\n", 200).unwrap());
        assert!(!all.place(&notice("a@x.test", 100, 6), b"other", 200).unwrap());
        assert!(!all.place(&notice("a@x.test", 99, 6), b"older", 200).unwrap());
        let all = digests(&scratch);
        assert!(!all.place(&notice("a@x.test", 100, 6), b"other", 200).unwrap());
        let sending = all.claim(0).unwrap().unwrap();
        assert_eq!(
            (&sending.notice, &sending.mail[..]),
            (&notice("a@x.test", 100, 5), &b"Subject: x\r\n\r\nbody\n"[..])
        );
        assert!(all.claim(u64::MAX).unwrap().is_none(), "somebody sends it");
        all.defer(&sending.notice, 1, 50);
        assert!(all.claim(49).unwrap().is_none() && all.next_due() == Some(50));
        assert_eq!(all.claim(50).unwrap().unwrap().attempts, 1);
        all.done(&sending.notice).unwrap();
        assert!(all.place(&notice("b@x.test", u64::MAX, 5), b"", u64::MAX).unwrap());
        assert!(all.place(&notice("b@x.test", 100, 5), b"", 100).unwrap(), "the clock was wrong");
        let all = digests(&scratch);
        all.done(&notice("b@x.test", 100, 5)).and(all.done(&notice("b@x.test", u64::MAX, 5))).unwrap();
        assert_eq!((all.waiting(), all.ledger("a@x.test").mark), (0, 5));
        assert!(!all.place(&notice("a@x.test", 100, 6), b"other", 200).unwrap());
        assert!(all.place(&notice("a@x.test", 101, 6), b"other", 200).unwrap());
    }

    #[test]
    fn a_mail_without_its_ledger_is_brought_together_at_start() {
        let scratch = Scratch::new();
        digests(&scratch).place(&notice("x.test", 100, 5), b"mail", 200).unwrap();
        std::fs::remove_dir_all(scratch.0.join("state/digests/accounts")).unwrap();
        let all = digests(&scratch);
        assert_eq!((all.ledger("x.test").period, all.ledger("x.test").mark), (100, 5));
    }

    #[test]
    fn who_said_no_is_remembered_and_periods_too() {
        let scratch = Scratch::new();
        let all = digests(&scratch);
        assert_eq!(all.checked(), None);
        let long = format!("{}@{}.test", "l".repeat(64), "d".repeat(200));
        all.set_off(&long, true).unwrap();
        all.set_checked(9).unwrap();
        let again = digests(&scratch);
        assert!(again.ledger(&long).is_off && !again.ledger("x.test").is_off);
        assert_eq!(again.checked(), Some(9));
        again.set_off(&long, false).unwrap();
        assert!(!digests(&scratch).ledger(&long).is_off);
    }

    #[test]
    fn a_login_that_looks_like_a_half_written_file_is_none() {
        let scratch = Scratch::new();
        digests(&scratch).set_off("shop.new", true).unwrap();
        assert!(digests(&scratch).ledger("shop.new").is_off);
    }
}
