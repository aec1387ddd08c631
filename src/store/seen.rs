//! The `\Seen` of scopes wider than one recipient: `state/seen/<scope>.<folder>`, lines of `+uid modseq` and `-uid modseq`.
//!
//! An administrator's look must not mark Alice's mail as read, so a wide scope's `\Seen` is a set of its own. The file is
//! appended to without a sync: after a power failure some messages may be unread again, and then all count as changed,
//! since `store/changes.rs` notes at a stop what these files hold.

use crate::base::{Fault, UidList};
use crate::disk::Disk;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// One wide scope's `\Seen` in one folder.
pub struct SeenSet {
    path: PathBuf,
    state: RwLock<State>,
}

/// The set as it is: it does not change while somebody looks.
pub struct Look<'a>(RwLockReadGuard<'a, State>);

#[derive(Default)]
struct State {
    /// UID → whether it is seen, and when that changed (0: before anybody noted it).
    uids: HashMap<u32, (bool, u64)>,
    seen: u32,
    changed: u64,
    file: Option<File>,
}

impl SeenSet {
    /// Reads the set; lines of messages that are gone are dropped, and the file is rewritten when half of it was. No
    /// MODSEQ is above `newest`.
    pub fn open(disk: &Disk, scope: &str, folder: &str, list: &UidList, newest: u64) -> Result<SeenSet, Fault> {
        let path = disk.path(format!("state/seen/{scope}.{folder}"));
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let mut uids = HashMap::new();
        let mut lines = 0;
        for line in text.lines() {
            lines += 1;
            let Some((sign, rest)) = line.split_at_checked(1) else { continue };
            let (uid, modseq) = rest.split_once(' ').unwrap_or((rest, "0"));
            let (Ok(uid), Ok(modseq)) = (uid.parse::<u32>(), modseq.parse::<u64>()) else { continue };
            if list.seq(uid).is_some() {
                uids.insert(uid, (sign == "+", modseq.min(newest)));
            }
        }
        let seen = uids.values().filter(|(seen, _)| *seen).count() as u32;
        if lines > 100 && uids.len() * 2 < lines {
            let text: String = uids.iter().map(|(&uid, &(seen, at))| line(uid, seen, at)).collect();
            disk.make_dirs(&disk.path("state/seen"))?;
            disk.write_whole(&path, text.as_bytes())?;
        }
        let changed = uids.values().map(|(_, at)| *at).max().unwrap_or(0);
        Ok(SeenSet { path, state: RwLock::new(State { uids, seen, changed, file: None }) })
    }

    /// Looks at the set; for many messages once.
    pub fn look(&self) -> Look<'_> {
        Look(self.read())
    }

    /// How many messages are seen.
    pub fn count(&self) -> u32 {
        self.read().seen
    }

    /// How many messages of a list are seen.
    pub fn count_in(&self, list: &UidList) -> u32 {
        let state = self.read();
        let count = if state.uids.len() < list.len() as usize {
            state.uids.iter().filter(|(uid, (seen, _))| *seen && list.seq(**uid).is_some()).count()
        } else {
            list.iter().filter(|uid| state.uids.get(uid).is_some_and(|(seen, _)| *seen)).count()
        };
        count as u32
    }

    /// Marks messages as seen or not; returns those that changed.
    pub fn set(&self, uids: &[u32], seen: bool, modseq: u64) -> Vec<u32> {
        let mut state = self.write();
        let mut changed = Vec::new();
        for &uid in uids {
            if state.uids.get(&uid).is_some_and(|(s, _)| *s) != seen {
                state.uids.insert(uid, (seen, modseq));
                state.seen = if seen { state.seen + 1 } else { state.seen.saturating_sub(1) };
                changed.push(uid);
            }
        }
        if !changed.is_empty() {
            state.changed = state.changed.max(modseq);
            let text: String = changed.iter().map(|&uid| line(uid, seen, modseq)).collect();
            self.append(&mut state, &text);
        }
        changed
    }

    /// Forgets messages that are gone.
    pub fn forget(&self, uids: impl Iterator<Item = u32>) {
        let mut state = self.write();
        for uid in uids {
            if let Some((true, _)) = state.uids.remove(&uid) {
                state.seen = state.seen.saturating_sub(1);
            }
        }
    }

    /// Messages whose `\Seen` changed after `modseq`.
    pub fn changed_since(&self, modseq: u64) -> HashMap<u32, u64> {
        let state = self.read();
        if state.changed <= modseq {
            return HashMap::new();
        }
        state.uids.iter().filter(|(_, (_, at))| *at > modseq).map(|(uid, (_, at))| (*uid, *at)).collect()
    }

    fn append(&self, state: &mut State, text: &str) {
        if state.file.is_none() {
            let opened = self.path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| {
                use std::os::unix::fs::OpenOptionsExt;
                OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)
            });
            match opened {
                Ok(file) => state.file = Some(file),
                Err(e) => return log::warn!("cannot keep what was seen in {}: {e}", self.path.display()),
            }
        }
        if let Some(Err(e)) = state.file.as_mut().map(|f| f.write_all(text.as_bytes())) {
            log::warn!("cannot keep what was seen in {}: {e}", self.path.display());
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Look<'_> {
    /// Whether a message is seen, and when that last changed (0: before anybody noted it).
    pub fn of(&self, uid: u32) -> (bool, u64) {
        self.0.uids.get(&uid).copied().unwrap_or_default()
    }
}

fn line(uid: u32, seen: bool, modseq: u64) -> String {
    let sign = if seen { '+' } else { '-' };
    format!("{sign}{uid} {modseq}\n")
}

/// A checksum of the names and contents of all these files.
pub fn checksum(disk: &Disk) -> u32 {
    let list = std::fs::read_dir(disk.path("state/seen")).into_iter().flatten().flatten();
    let mut files: Vec<_> = list.map(|file| file.path()).collect();
    files.sort_unstable();
    let mut hasher = crc32fast::Hasher::new();
    for path in files {
        hasher.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        hasher.update(&std::fs::read(&path).unwrap_or_default());
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::Scratch;

    #[test]
    fn survives_a_restart_and_forgets_what_is_gone() {
        let scratch = Scratch::new("seen");
        let disk = Disk::new(scratch.path());
        let list: UidList = (1..=10).collect();
        let open = |list: &UidList| SeenSet::open(&disk, "global", "Caught", list, 65).unwrap();
        let set = open(&list);
        assert_eq!(set.set(&[1, 2, 3], true, 50), [1, 2, 3]);
        assert_eq!(set.set(&[2, 4], true, 60), [4]);
        assert_eq!(set.set(&[1, 3], false, 70), [1, 3]);
        assert_eq!(set.changed_since(55).len(), 3);
        assert_eq!(set.count(), 2);
        let then = checksum(&disk);
        drop(set);
        let list: UidList = (3..=10).collect();
        for again in [false, true] {
            let set = open(&list);
            assert_eq!([1, 2, 3, 4].map(|uid| set.look().of(uid).0), [false, false, false, true]);
            let at = if again { 65 } else { 60 };
            assert_eq!(set.changed_since(0), HashMap::from([(3, 65), (4, at)]), "none is above the newest");
            assert_eq!(set.set(&[4], false, 65), [4]);
            assert_eq!(set.set(&[4], true, 65), [4]);
        }
        assert_ne!(checksum(&disk), then);
    }

    #[test]
    fn lines_of_old_have_no_modseq() {
        let scratch = Scratch::new("seenold");
        let disk = Disk::new(scratch.path());
        std::fs::create_dir_all(disk.path("state/seen")).unwrap();
        std::fs::write(disk.path("state/seen/global.Caught"), "+1\n+2\n-2\nx\n+3 x\n+9 5\n").unwrap();
        let set = SeenSet::open(&disk, "global", "Caught", &(1..=5).collect(), 100).unwrap();
        assert_eq!([1, 2, 3].map(|uid| set.look().of(uid)), [(true, 0), (false, 0), (false, 0)]);
        assert_eq!(set.count(), 1);
    }
}
