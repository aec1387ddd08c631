//! `state/marks`: the high-water marks of UID and MODSEQ, and UIDVALIDITY.
//!
//! A block of numbers is reserved durably before the first of it is used, so after a crash the next number is above
//! every one that was ever shown: too high is legal, too low never. After a clean stop the marks are exact.
//!
//! At a clean stop the checksum of `state/changes` is recorded with them; the first reservation of the next process takes
//! it away before anything changes, so only a file of the stop just before is believed.
//!
//! The file records its own inode and birth time. When they differ the data directory was restored or copied: UIDs that
//! the copy never saw may be in clients' caches, so a million is skipped.

use crate::base::{Context, Fault, Timestamp};
use crate::disk::Disk;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// UIDs reserved at once.
const UID_BLOCK: u32 = 8192;
/// MODSEQs (microseconds) reserved at once: ten minutes.
const MODSEQ_BLOCK: u64 = 600_000_000;
/// UIDs skipped in a restored copy.
const RESTORED_SKIP: u32 = 1_000_000;

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
struct Record {
    uid_validity: u32,
    /// Every UID below was or may have been used.
    uid: u32,
    /// Likewise.
    modseq: u64,
    inode: u64,
    /// Nanoseconds since 1970; 0 where the file system keeps none.
    born: u64,
    /// The checksum of `state/changes`, after a clean stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changes: Option<u32>,
}

/// The counters. The caller holds a lock around them.
pub struct Marks {
    disk: Disk,
    path: PathBuf,
    uid_validity: u32,
    next_uid: u32,
    last_modseq: u64,
    reserved_uid: u32,
    reserved_modseq: u64,
    idle: Duration,
    changes: Option<u32>,
}

/// How the marks were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The directory's own.
    Own,
    /// There were none: a new data directory.
    New,
    /// They came from elsewhere: a million UIDs are skipped.
    Restored,
}

impl Marks {
    /// Reads the marks, or starts them. `highest_uid` is the highest in any file name.
    pub fn open(disk: &Disk, highest_uid: u32, now: Timestamp) -> Result<(Marks, Found), Fault> {
        let path = disk.path("state/marks");
        let record = read(&path)?;
        // A reservation may lie a little ahead of the clock.
        let idle = record.as_ref().map_or(Duration::ZERO, |r| now.since(Timestamp(r.modseq)));
        let found = match &record {
            None => Found::New,
            Some(r) if identity(&path)? == (r.inode, r.born) => Found::Own,
            Some(_) => Found::Restored,
        };
        let changes = record.as_ref().filter(|_| found == Found::Own).and_then(|r| r.changes);
        let (uid_validity, uid, modseq) =
            record.map_or(((now.secs() as u32).max(1), 1, 0), |r| (r.uid_validity, r.uid, r.modseq));
        let skip = if found == Found::Restored { RESTORED_SKIP } else { 0 };
        let next_uid = uid.max(highest_uid.saturating_add(1)).saturating_add(skip);
        let mut marks = Marks {
            disk: disk.clone(),
            path,
            uid_validity,
            next_uid,
            last_modseq: modseq.max(now.0),
            reserved_uid: 0,
            reserved_modseq: 0,
            idle,
            changes,
        };
        marks.reserve(next_uid, marks.last_modseq)?;
        Ok((marks, found))
    }

    /// UIDVALIDITY of every folder.
    pub fn uid_validity(&self) -> u32 {
        self.uid_validity
    }

    /// How long the marks had not been written when they were read, as far as the clock can be believed.
    pub fn idle(&self) -> Duration {
        self.idle
    }

    /// The checksum that `state/changes` must have to be believed.
    pub fn changes(&self) -> Option<u32> {
        self.changes
    }

    /// The UID that will be given next.
    pub fn next_uid(&self) -> u32 {
        self.next_uid
    }

    /// The highest MODSEQ that was given.
    pub fn last_modseq(&self) -> u64 {
        self.last_modseq
    }

    /// Takes the next UID.
    pub fn take_uid(&mut self) -> Result<u32, Fault> {
        let uid = self.next_uid;
        let Some(next) = uid.checked_add(1) else {
            let full =
                std::io::Error::other("all 4,294,967,295 UIDs are used: export the mail into a new data directory");
            return Err(Fault::new("give a UID from", &self.path, full));
        };
        if next > self.reserved_uid {
            self.reserve(next, self.last_modseq)?;
        }
        self.next_uid = next;
        Ok(uid)
    }

    /// Takes the next MODSEQ: the clock in microseconds, never falling.
    pub fn take_modseq(&mut self, now: Timestamp) -> Result<u64, Fault> {
        let modseq = now.0.max(self.last_modseq + 1);
        if modseq > self.reserved_modseq {
            self.reserve(self.next_uid, modseq)?;
        }
        self.last_modseq = modseq;
        Ok(modseq)
    }

    /// Makes the marks exact, at a clean stop; `changes` is the checksum of the file that tells the rest.
    pub fn close(&mut self, changes: Option<u32>) -> Result<(), Fault> {
        // Whoever takes a number after this reserves first.
        (self.reserved_uid, self.reserved_modseq) = (self.next_uid, self.last_modseq);
        self.write(self.next_uid, self.last_modseq, changes)
    }

    fn reserve(&mut self, uid: u32, modseq: u64) -> Result<(), Fault> {
        let (uid, modseq) = (uid.saturating_add(UID_BLOCK), modseq.saturating_add(MODSEQ_BLOCK));
        self.write(uid, modseq, None)?;
        (self.reserved_uid, self.reserved_modseq) = (uid, modseq);
        Ok(())
    }

    fn write(&self, uid: u32, modseq: u64, changes: Option<u32>) -> Result<(), Fault> {
        let temporary = self.path.with_extension("new");
        if temporary.exists() {
            self.disk.unlink(&temporary)?;
        }
        let mut file = self.disk.create(&temporary)?;
        let (inode, born) = identity(&temporary)?;
        let record = Record { uid_validity: self.uid_validity, uid, modseq, inode, born, changes };
        let text = serde_json::to_string(&record).map_err(std::io::Error::other).during("write", &self.path)?;
        file.write(text.as_bytes())?;
        file.sync()?;
        self.disk.replace(&temporary, &self.path)?;
        self.disk.sync_dir(&self.disk.path("state"))
    }
}

fn read(path: &Path) -> Result<Option<Record>, Fault> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Fault::new("read", path, e)),
    };
    let hint = |e| {
        std::io::Error::other(format!(
            "{e}; if it cannot be restored from a backup, delete it: mail programs then load every folder anew"
        ))
    };
    serde_json::from_slice(&text).map(Some).map_err(hint).during("understand", path)
}

fn identity(path: &Path) -> Result<(u64, u64), Fault> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).during("look at", path)?;
    let born = meta.created().map_or(0, |t| Timestamp::from_system(t).0);
    Ok((meta.ino(), born))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::Scratch;

    #[test]
    fn numbers_never_repeat_over_a_crash_a_stop_and_a_copy() {
        let scratch = Scratch::new("marks");
        let disk = Disk::new(scratch.path());
        disk.make_dirs(&disk.path("state")).unwrap();
        let now = Timestamp::from_secs(1_700_000_000);
        let (mut marks, found) = Marks::open(&disk, 0, now).unwrap();
        assert_eq!((found, marks.take_uid().unwrap()), (Found::New, 1));
        let modseq = marks.take_modseq(now).unwrap();
        assert!(marks.take_modseq(now).unwrap() > modseq);
        drop(marks); // a crash: nothing is written

        let (mut marks, found) = Marks::open(&disk, 0, Timestamp(5)).unwrap();
        assert_eq!(found, Found::Own);
        let uid = marks.take_uid().unwrap();
        assert!(uid > 1);
        assert!(marks.take_modseq(Timestamp(5)).unwrap() > modseq + 1, "the clock fell, the MODSEQ did not");
        for _ in 0..20_000 {
            marks.take_uid().unwrap();
        }
        marks.close(Some(7)).unwrap();
        let (mut marks, _) = Marks::open(&disk, 0, now).unwrap();
        assert_eq!(marks.changes(), Some(7));
        assert_eq!(Marks::open(&disk, 0, now).unwrap().0.changes(), None, "no stop was between");
        assert_eq!(marks.take_uid().unwrap(), uid + 20_001, "exact after a clean stop");
        marks.close(None).unwrap();

        let (marks, _) = Marks::open(&disk, 0, now.after(Duration::from_secs(90_000))).unwrap();
        assert!(marks.idle() > Duration::from_secs(86_400), "the clock is a day ahead of the marks");
        let (marks, _) = Marks::open(&disk, 0, now).unwrap();
        assert_eq!(marks.idle(), Duration::ZERO);
        let (mut marks, _) = Marks::open(&disk, 0, now).unwrap();
        marks.close(Some(7)).unwrap();

        std::fs::copy(disk.path("state/marks"), disk.path("state/copy")).unwrap();
        std::fs::rename(disk.path("state/copy"), disk.path("state/marks")).unwrap();
        let (mut marks, found) = Marks::open(&disk, 0, now).unwrap();
        assert_eq!((found, marks.changes()), (Found::Restored, None));
        assert!(marks.take_uid().unwrap() > uid + 1_000_000);
    }
}
