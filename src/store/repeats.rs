//! `state/exports/<hash>` and `state/reports/<hash>`: of which messages a door was told that may be told of them again. Empty
//! files; when one was written says how long it counts. (A report is stored as an order, see `queue`.)
//!
//! | | the message | its file | after a crash |
//! |---|---|---|---|
//! | R0 | – | – | nothing was told |
//! | R1 stored, see `store` | there | – | told again, **it is stored a second time**: better than not at all |
//! | R2 the file is made, and the directory synced | there | there | told again, nothing is done |
//!
//! The door answers in R2.

use crate::base::{Fault, Timestamp, limits};
use crate::disk::Disk;
use aws_lc_rs::digest::{Context, SHA256};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

/// What was told lately. Share it by reference; calls may block on the disk for a moment.
pub struct Repeats {
    disk: Disk,
    directory: &'static str,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Key → when, in seconds since 1970.
    known: HashMap<String, u64>,
    /// Of which somebody stores the message just now.
    busy: HashSet<String>,
    swept: u64,
}

/// What is known of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing: store it, and then say [`Repeats::done`] or [`Repeats::failed`].
    New,
    /// It was stored.
    Known,
    /// Somebody stores it.
    Busy,
}

/// A key made of some parts; no two lists of them have the same.
pub fn key<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Context::new(&SHA256);
    for part in parts {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Repeats {
    /// What rspamd's exporter told.
    pub fn open(disk: &Disk, now: Timestamp) -> Repeats {
        Repeats::of(disk, "state/exports", now)
    }

    /// What was reported by mail.
    pub fn of_reports(disk: &Disk, now: Timestamp) -> Repeats {
        Repeats::of(disk, "state/reports", now)
    }

    fn of(disk: &Disk, directory: &'static str, now: Timestamp) -> Repeats {
        let mut state = State::default();
        let repeats = Repeats { disk: disk.clone(), directory, state: Mutex::default() };
        // A directory that is not there, or a file that went just now, was told nothing.
        for entry in std::fs::read_dir(repeats.directory()).into_iter().flatten().flatten() {
            let written = entry.metadata().and_then(|about| about.modified()).ok();
            let at = written.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).map_or(0, |at| at.as_secs());
            if let Ok(name) = entry.file_name().into_string() {
                // What seems to come from the future counts from now.
                state.known.insert(name, at.min(now.secs()));
            }
        }
        *repeats.lock() = state;
        repeats
    }

    /// Whether it was stored; if not, it is the caller's.
    pub fn claim(&self, key: &str, now: Timestamp) -> Claim {
        let mut state = self.lock();
        self.sweep(&mut state, now.secs());
        if state.known.contains_key(key) {
            Claim::Known
        } else if state.busy.insert(key.to_string()) {
            Claim::New
        } else {
            Claim::Busy
        }
    }

    /// Whether it was stored.
    pub fn is_known(&self, key: &str) -> bool {
        self.lock().known.contains_key(key)
    }

    /// It is stored; durable when it returns. Of more than `limits::EXPORTS_KNOWN` in so short a time none is noted: the
    /// worst that follows is a second copy.
    ///
    /// # Errors
    /// It is not known after a restart.
    pub fn done(&self, key: &str, now: Timestamp) -> Result<(), Fault> {
        let mut state = self.lock();
        state.busy.remove(key);
        if state.known.len() >= limits::EXPORTS_KNOWN {
            return Ok(());
        }
        state.known.insert(key.to_string(), now.secs());
        drop(state);
        let directory = self.directory();
        self.disk.make_dirs(&directory)?;
        self.disk.create(&directory.join(key))?;
        self.disk.sync_dir(&directory)
    }

    /// It is not stored.
    pub fn failed(&self, key: &str) {
        self.lock().busy.remove(key);
    }

    /// Forgets, each hour, what is too old.
    fn sweep(&self, state: &mut State, now: u64) {
        if state.swept + 3_600 > now {
            return;
        }
        state.swept = now;
        let before = now.saturating_sub(limits::EXPORTS_REMEMBERED.as_secs());
        state.known.retain(|_, at| *at >= before);
        if let Err(fault) = self.disk.remove_older(&self.directory(), before) {
            log::warn!("{fault}: what a door was told is remembered for longer than it need be");
        }
    }

    fn directory(&self) -> PathBuf {
        self.disk.path(self.directory)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::Scratch;
    use std::time::SystemTime;

    #[test]
    fn known_over_a_restart_and_for_some_hours() {
        let scratch = Scratch::new("repeats");
        let disk = Disk::new(scratch.path());
        let now = Timestamp::from_system(SystemTime::now());
        let later = |secs: u64| Timestamp::from_secs(now.secs() + secs);
        let repeats = Repeats::open(&disk, now);
        assert_eq!(repeats.claim("a", now), Claim::New);
        assert_eq!(repeats.claim("a", now), Claim::Busy);
        repeats.failed("a");
        assert_eq!(repeats.claim("a", now), Claim::New);
        repeats.done("a", now).unwrap();
        assert_eq!(repeats.claim("a", now), Claim::Known);
        let again = Repeats::open(&disk, later(60));
        assert_eq!((again.claim("a", later(60)), again.claim("b", later(60))), (Claim::Known, Claim::New));
        let old = later(limits::EXPORTS_REMEMBERED.as_secs() + 3_700);
        assert_eq!(again.claim("a", old), Claim::New);
        again.failed("a");
        assert_eq!(Repeats::open(&disk, old).claim("a", old), Claim::New);
    }
}
