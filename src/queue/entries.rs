//! Working on entries: claim one, then say what became of it.

use super::names::Entry;
use super::place::names;
use super::{Queue, Work};
use crate::base::{Context, Fault};
use crate::mail::name::Base;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// An entry that somebody works on; nobody else gets it. It must end in one of [`Queue::done`],
/// [`Queue::returned`], [`Queue::defer`], [`Queue::wait`] and [`Queue::give_up`]; one that was dropped is claimed again after a restart only.
#[derive(Debug)]
#[must_use = "say what became of it"]
pub struct Claim {
    number: u64,
    /// What is to be done.
    pub entry: Entry,
    /// The message's file.
    pub path: PathBuf,
}

impl Claim {
    /// Opens the message's file.
    pub fn open(&self) -> Result<File, Fault> {
        File::open(&self.path).during("open", &self.path)
    }
}

impl Queue {
    /// The next entry that is due at `now` (seconds since 1970).
    pub fn claim(&self, work: Work, now: u64) -> Option<Claim> {
        let (number, entry, file) = self.index().claim(work, now)?;
        Some(Claim { number, entry, path: self.directory(work).join(file) })
    }

    /// A delivery of this message that nobody works on, whether or not it is due.
    pub fn claim_delivery(&self, message: &Base) -> Option<Claim> {
        let (number, entry, file) = self.index().claim_delivery(message)?;
        Some(Claim { number, entry, path: self.directory(Work::Deliver).join(file) })
    }

    /// When the next one is due, in seconds since 1970; it may be past when its message has an order to be fanned out.
    pub fn next_due(&self, work: Work) -> Option<u64> {
        self.index().next_due(work)
    }

    /// It is done: removes it, durably. After an error it may be there again after a restart; in this process it is gone.
    pub fn done(&self, claim: Claim) -> Result<(), Fault> {
        self.index().note_done(&claim.entry);
        self.returned(claim)
    }

    /// It cannot be done, and its message is where it belongs: removes it as [`Queue::done`] does. Whoever asks again
    /// meanwhile asks for a new attempt.
    pub fn returned(&self, claim: Claim) -> Result<(), Fault> {
        let work = claim.entry.part.work();
        let removed = self.disk.unlink(&claim.path);
        self.ended(claim.number);
        match removed {
            Err(fault) if !fault.is_missing() => Err(fault),
            _ => self.sync(work),
        }
    }

    /// An attempt did not succeed: not again before `next` (seconds since 1970).
    pub fn defer(&self, claim: Claim, next: u64) {
        let attempts = claim.entry.attempts.saturating_add(1);
        self.put_back(claim, attempts, next);
    }

    /// No attempt was made: not before `next`.
    pub fn wait(&self, claim: Claim, next: u64) {
        let attempts = claim.entry.attempts;
        self.put_back(claim, attempts, next);
    }

    /// A training that is given up goes to `failed/`, durably.
    pub fn give_up(&self, claim: Claim) -> Result<(), Fault> {
        let work = claim.entry.part.work();
        let target = claim.path.file_name().map(|name| self.failed().join(name)).unwrap_or_else(|| self.failed());
        let moved = match self.disk.rename(&claim.path, &target) {
            // The same training was given up before.
            Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => self.disk.unlink(&claim.path),
            moved => moved,
        };
        self.ended(claim.number);
        moved?;
        self.disk.sync_dir(&self.failed())?;
        self.sync(work)
    }

    /// Everything that waits is tried at once; trainings in `failed/` begin anew. Says how many those were.
    pub fn retry_all(&self) -> Result<usize, Fault> {
        let mut again = 0;
        for (file, entry) in self.failed_entries()? {
            let entry = Entry { attempts: 0, next: 0, ..entry };
            let Some(name) = entry.file_name() else { continue };
            let from = self.failed().join(&file);
            if self.index().has_entry(&entry) {
                self.disk.unlink(&from)?;
                continue;
            }
            self.disk.rename(&from, &self.directory(entry.part.work()).join(&name))?;
            self.index().add_entry(entry, name);
            again += 1;
        }
        if again > 0 {
            self.sync(Work::Train)?;
            self.disk.sync_dir(&self.failed())?;
        }
        self.index().all_due();
        self.wake();
        Ok(again)
    }

    /// The trainings that were given up.
    pub fn failed_list(&self) -> Result<Vec<Entry>, Fault> {
        Ok(self.failed_entries()?.into_iter().map(|(_, entry)| entry).collect())
    }

    /// Removes trainings that were given up and asked for before `asked_before` (seconds since 1970); says how many.
    pub fn expire_failed(&self, asked_before: u64) -> Result<usize, Fault> {
        let old: Vec<_> = self.failed_entries()?.into_iter().filter(|(_, e)| e.asked < asked_before).collect();
        for (file, _) in &old {
            self.disk.unlink(&self.failed().join(file))?;
        }
        Ok(old.len())
    }

    pub(super) fn failed_entries(&self) -> Result<Vec<(String, Entry)>, Fault> {
        let read = |file: std::ffi::OsString| {
            let text = file.to_str()?;
            Some((text.to_string(), Entry::parse(text)?))
        };
        Ok(names(&self.failed())?.into_iter().filter_map(read).collect())
    }

    fn ended(&self, number: u64) {
        let orders = {
            let mut index = self.index();
            index.remove_entry(number);
            index.has_orders(u64::MAX)
        };
        if orders {
            // One of them may have waited for this.
            self.wake();
        }
    }

    fn put_back(&self, claim: Claim, attempts: u32, next: u64) {
        let Claim { number, entry, path } = claim;
        let old = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_string();
        let entry = Entry { attempts, next, ..entry };
        let renamed = entry.file_name().filter(|name| self.rename(&path, entry.part.work(), name));
        // Without the rename only a restart forgets the pause.
        self.index().put_back(number, entry, renamed.unwrap_or(old));
        self.wake();
    }

    fn rename(&self, from: &Path, work: Work, name: &str) -> bool {
        let to = self.directory(work).join(name);
        if from == to {
            return true;
        }
        match self.disk.rename(from, &to) {
            Ok(()) => true,
            Err(fault) => {
                log::warn!("{fault}");
                false
            }
        }
    }
}
