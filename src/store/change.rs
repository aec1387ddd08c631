//! What happens to messages where they lie: flags, removal, being taken by the queue.

use super::catalogue::Row;
use super::halves::Halves;
use super::seen::SeenSet;
use super::{Half, Reach, Sight, Store, Tree, seen_row};
use crate::base::{Fault, Flags, UidRanges};
use crate::mail::{Kept, Name};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

/// Files renamed while a folder's lock is held once: others wait for about a millisecond.
const BATCH: usize = 64;
/// Files removed likewise.
const REMOVED: usize = 16;
/// Times that a file is looked for which is not where the catalogue says.
const TRIES: usize = 3;

/// A message and where its file is.
#[derive(Clone)]
pub struct Located {
    /// Its row, flags as in the name.
    pub row: Row,
    /// Its name.
    pub name: Name,
    /// Its file.
    pub path: PathBuf,
    /// Its tree.
    pub tree: Arc<Tree>,
}

/// How flags are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flagging {
    /// Those and what is there.
    Add,
    /// What is there without those.
    Remove,
    /// Those alone; the flags that say what was done with the message stay.
    Replace,
}

/// What a change of flags came to.
#[derive(Debug, Default)]
pub struct Flagged {
    /// The messages that it was about, as they are now.
    pub rows: Vec<Row>,
    /// UIDs of those that were left alone: they had changed.
    pub modified: Vec<u32>,
}

/// Which flags are changed, and how.
#[derive(Clone, Copy)]
struct Change {
    how: Flagging,
    flags: Flags,
    unchanged_since: Option<u64>,
}

impl Flagging {
    fn apply(self, old: Flags, flags: Flags) -> Flags {
        match self {
            Flagging::Add => old | flags,
            Flagging::Remove => old.without(flags),
            Flagging::Replace => flags.without(Flags::OURS) | (old & Flags::OURS),
        }
    }
}

impl Store {
    /// Where a message is.
    pub fn locate(&self, kept: Kept, uid: u32) -> Option<Located> {
        let (row, name) = {
            let folder = self.folder(kept);
            let row = *folder.get(uid)?;
            (row, folder.name(&row))
        };
        self.located(kept, row, name)
    }

    /// Where messages are, ascending by UID.
    pub fn locate_all(&self, reach: Reach, kept: Kept, uids: &UidRanges) -> Vec<Located> {
        let mut found = Vec::new();
        {
            let folder = self.folder(kept);
            for (low, high) in uids.iter() {
                let rows = folder.iter_from(low).take_while(|r| r.uid <= high).filter(|r| reach.covers(r));
                found.extend(rows.map(|row| (*row, folder.name(row))));
            }
        }
        found.into_iter().filter_map(|(row, name)| self.located(kept, row, name)).collect()
    }

    fn uids_in(&self, reach: Reach, kept: Kept, uids: &UidRanges) -> Vec<u32> {
        let folder = self.folder(kept);
        let rows = |(low, high)| folder.iter_from(low).take_while(move |r| r.uid <= high).filter(|r| reach.covers(r));
        uids.iter().flat_map(rows).map(|row| row.uid).collect()
    }

    fn located(&self, kept: Kept, row: Row, name: Name) -> Option<Located> {
        let tree = self.tree_by_id(row.tree)?;
        let mut path = tree.half(kept, row.half);
        path.push(name.text());
        Some(Located { row, name, path, tree })
    }

    /// Finds a message of a tree by its id, in whichever folder it is. Goes through the folders: not for hot paths.
    pub fn find(&self, tree: &Tree, id: &str) -> Option<(Kept, Located)> {
        let base = crate::mail::name::Base::parse(id);
        Kept::ALL.into_iter().find_map(|kept| {
            let (row, name) = {
                let folder = self.folder(kept);
                let row = *folder.called(tree.id, &base)?;
                (row, folder.name(&row))
            };
            self.located(kept, row, name).map(|located| (kept, located))
        })
    }

    /// A file was not where the catalogue says: reads the folder of its tree again.
    pub fn look_again(&self, kept: Kept, uid: u32) -> Result<(), Fault> {
        match self.locate(kept, uid) {
            Some(located) => self.reread(&located.tree, kept).map(|_| ()),
            None => Ok(()),
        }
    }

    /// The ids of a folder's messages, with their trees.
    pub fn ids(&self, kept: Kept) -> std::collections::HashSet<(super::TreeId, crate::mail::name::Base)> {
        let folder = self.folder(kept);
        folder.iter().map(|row| (row.tree, folder.name(row).base)).collect()
    }

    /// Changes flags and returns the rows afterwards, flags as the account sees them. `\Seen` of a wide one is its own.
    /// The names carry the flags when it returns; that is not synced.
    pub fn set_flags(
        &self,
        sight: impl Into<Sight>,
        kept: Kept,
        uids: &UidRanges,
        how: Flagging,
        flags: Flags,
    ) -> Result<Vec<Row>, Fault> {
        self.set_flags_unless_changed(sight, kept, uids, how, flags, None).map(|flagged| flagged.rows)
    }

    /// As [`Store::set_flags`]; messages that changed after a modseq are left alone.
    pub fn set_flags_unless_changed(
        &self,
        sight: impl Into<Sight>,
        kept: Kept,
        uids: &UidRanges,
        how: Flagging,
        flags: Flags,
        unchanged_since: Option<u64>,
    ) -> Result<Flagged, Fault> {
        let sight = sight.into();
        let change = Change { how, flags, unchanged_since };
        let wanted = self.uids_in(sight.reach, kept, uids);
        let mut done = Flagged { rows: Vec::with_capacity(wanted.len()), modified: Vec::new() };
        for batch in wanted.chunks(BATCH) {
            let lost = self.set_flags_of(sight.eye, kept, batch, change, &mut done)?;
            let again = |uids: Vec<u32>| self.set_flags_of(sight.eye, kept, &uids, change, &mut done);
            let lost = self.try_again(kept, lost, again)?;
            if let Some(located) = lost.first().and_then(|row| self.locate(kept, row.uid)) {
                let moving = std::io::Error::other("another program renames it all the time");
                return Err(Fault::new("change the flags of", located.path, moving));
            }
        }
        Ok(done)
    }

    /// Looks for files that were not where they should be and does it again with those that are there, a few times; returns
    /// those that were lost again.
    fn try_again(
        &self,
        kept: Kept,
        mut lost: Vec<Row>,
        mut again: impl FnMut(Vec<u32>) -> Result<Vec<Row>, Fault>,
    ) -> Result<Vec<Row>, Fault> {
        for _ in 1..TRIES {
            if lost.is_empty() {
                break;
            }
            lost = again(self.look_for(kept, &lost)?)?;
        }
        Ok(lost)
    }

    /// Another program renamed or removed files, or a directory that was empty: those that are still there after all.
    fn look_for(&self, kept: Kept, lost: &[Row]) -> Result<Vec<u32>, Fault> {
        let mut trees: Vec<_> = lost.iter().map(|row| row.tree).collect();
        trees.sort_unstable();
        trees.dedup();
        for tree in trees.into_iter().filter_map(|id| self.tree_by_id(id)) {
            tree.set_made(kept, false);
            self.make_folder(&tree, kept)?;
            self.reread(&tree, kept)?;
        }
        let there = |uid: &u32| self.locate(kept, *uid).is_some_and(|located| located.path.exists());
        Ok(lost.iter().map(|row| row.uid).filter(there).collect())
    }

    /// Returns the rows whose files were not where they should be.
    fn set_flags_of(
        &self,
        eye: Reach,
        kept: Kept,
        uids: &[u32],
        change: Change,
        done: &mut Flagged,
    ) -> Result<Vec<Row>, Fault> {
        let Change { how, flags, unchanged_since } = change;
        let seen = self.seen_set(eye, kept);
        let own = if seen.is_some() { Flags::SEEN } else { Flags::NONE };
        let mut lost = Vec::new();
        {
            let mut folder = self.folder_mut(kept);
            let modseq = self.marks().take_modseq(self.now())?;
            // Those that are gone would be counted as seen for ever.
            let there = uids.iter().filter_map(|&uid| folder.get(uid));
            let look = || seen.as_deref().map(SeenSet::look);
            let before = look();
            let (uids, modified): (Vec<_>, Vec<_>) = there
                .map(|row| seen_row(row, before.as_ref()))
                .partition(|row| unchanged_since.is_none_or(|since| row.modseq <= since));
            drop(before);
            done.modified.extend(modified.iter().map(|row| row.uid));
            let uids: Vec<u32> = uids.iter().map(|row| row.uid).collect();
            if let Some(set) = &seen
                && (flags.has(Flags::SEEN) || how == Flagging::Replace)
            {
                let on = flags.has(Flags::SEEN) && how != Flagging::Remove;
                let changed = set.set(&uids, on, modseq);
                let rows: Vec<Row> = changed.iter().filter_map(|&uid| folder.get(uid).copied()).collect();
                if !rows.is_empty() {
                    self.views.touched(eye, kept, &rows, modseq);
                }
            }
            let mut halves = Halves::new(self, kept);
            let mut changes = Vec::new();
            for uid in uids {
                let Some(row) = folder.get(uid).copied() else { continue };
                let new = (how.apply(row.flags, flags) & !own) | (row.flags & own);
                if new == row.flags {
                    done.rows.push(seen_row(&row, look().as_ref()));
                    continue;
                }
                match rename_flags(&mut halves, &row, folder.name(&row), new) {
                    Ok(()) => {
                        let after = folder.update(uid, |r| {
                            (r.flags, r.half, r.modseq) = (new, Half::Cur, modseq);
                            *r
                        });
                        let after = after.unwrap_or(row);
                        changes.push((row.flags, after));
                        done.rows.push(seen_row(&after, look().as_ref()));
                    }
                    Err(fault) if fault.is_missing() => lost.push(row),
                    Err(fault) => {
                        self.views.flagged(kept, &changes);
                        return Err(fault);
                    }
                }
            }
            self.views.flagged(kept, &changes);
        }
        Ok(lost)
    }

    /// Makes the name that a message has now durable: its flags, and what else was changed.
    pub fn sync_name(&self, kept: Kept, uid: u32) -> Result<(), Fault> {
        self.locate(kept, uid).map_or(Ok(()), |located| self.sync_parents(std::iter::once(located.path.as_path())))
    }

    /// Changes what a message's name says besides its UID and flags (which recipients are left, its retention).
    pub fn rename(&self, kept: Kept, uid: u32, edit: impl Fn(&mut Name)) -> Result<bool, Fault> {
        let mut folder = self.folder_mut(kept);
        let Some(row) = folder.get(uid).copied() else { return Ok(false) };
        let Some(tree) = self.tree_by_id(row.tree) else { return Ok(false) };
        let old = folder.name(&row);
        let mut new = old.clone();
        edit(&mut new);
        if new == old {
            return Ok(true);
        }
        let directory = tree.half(kept, row.half);
        let (from, to) = (directory.join(old.to_string()), directory.join(new.to_string()));
        tree.change(kept, row.half, || self.disk.rename(&from, &to))?;
        folder.set_name(kept, uid, &new);
        Ok(true)
    }

    /// Removes messages for good; returns those that were there. Durable when it returns.
    pub fn remove(&self, reach: Reach, kept: Kept, uids: &UidRanges) -> Result<Vec<Located>, Fault> {
        let mut removed = Vec::new();
        let mut result = Ok(());
        for batch in self.locate_all(reach, kept, uids).chunks(REMOVED) {
            result = result.and(self.remove_batch(kept, batch, &mut removed));
        }
        self.sync_left(removed.iter().map(|l| l.path.as_path()))?;
        result.map(|()| removed)
    }

    fn remove_batch(&self, kept: Kept, batch: &[Located], removed: &mut Vec<Located>) -> Result<(), Fault> {
        let lost = self.remove_some(kept, batch, removed)?;
        let again = |uids: Vec<u32>| {
            let located = self.locate_all(Reach::All, kept, &uids.into_iter().collect());
            self.remove_some(kept, &located, removed)
        };
        self.try_again(kept, lost, again).map(|_| ())
    }

    /// Returns the rows whose files were not where they should be.
    fn remove_some(&self, kept: Kept, batch: &[Located], removed: &mut Vec<Located>) -> Result<Vec<Row>, Fault> {
        // Some file systems take long to free what a file held. They do when nobody holds it any more, and the folder is free
        // by then.
        let held: Vec<OwnedFd> = batch.iter().filter_map(|located| self.disk.hold(&located.path)).collect();
        let (mut gone, mut lost, mut result) = (UidRanges::new(), Vec::new(), Ok(()));
        {
            let mut folder = self.folder_mut(kept);
            for old in batch {
                // The name may have changed since it was looked up.
                let Some(row) = folder.get(old.row.uid).copied() else { continue };
                let path = old.tree.half(kept, row.half).join(folder.name(&row).to_string());
                match old.tree.change(kept, row.half, || self.disk.unlink(&path)) {
                    Ok(()) => {
                        gone.add(row.uid, row.uid);
                        removed.push(Located { row, path, ..old.clone() });
                    }
                    Err(fault) if fault.is_missing() => lost.push(row),
                    Err(fault) => result = Err(fault),
                }
            }
            let rows = folder.remove(&gone);
            self.left(kept, &rows);
        }
        drop(held);
        result.map(|()| lost)
    }

    /// The queue has renamed these files into its own directory: they are no longer here.
    pub fn taken(&self, kept: Kept, uids: &UidRanges) {
        self.unpublish(kept, uids);
    }

    /// Removes a tree's directories when it holds nothing, and its domain's when that is empty then.
    pub fn remove_if_empty(&self, tree: &Tree) -> Result<bool, Fault> {
        let _entry = self.entry();
        if Kept::ALL.into_iter().any(|kept| self.folder(kept).iter().any(|r| r.tree == tree.id)) {
            return Ok(false);
        }
        for kept in Kept::ALL {
            tree.set_made(kept, false);
            let folder = tree.path.join(kept.directory());
            if !folder.exists() {
                continue;
            }
            let halves = [tree.tmp(kept), tree.half(kept, Half::New), tree.half(kept, Half::Cur)];
            // Should the directories come back after a power failure, what was moved out of them must not.
            self.sync_each(halves.iter().skip(1).map(std::path::PathBuf::as_path))?;
            for directory in &halves {
                if !self.disk.remove_dir(directory)? && directory.exists() {
                    return Ok(false);
                }
            }
            let keywords = folder.join("dovecot-keywords");
            if keywords.exists() {
                self.disk.unlink(&keywords)?;
            }
            self.disk.remove_dir(&folder)?;
        }
        let removed = self.disk.remove_dir(&tree.path)?;
        if let Some(domain) = tree.path.parent() {
            self.disk.remove_dir(domain)?;
        }
        Ok(removed)
    }
}

/// Makes a message's name carry these flags.
fn rename_flags(halves: &mut Halves<'_>, row: &Row, name: Name, flags: Flags) -> Result<(), Fault> {
    let (from, to) = (halves.of(row.tree, row.half)?, halves.of(row.tree, Half::Cur)?);
    let old = name.to_string();
    from.rename(&old, &to, &Name { flags: Some(flags), ..name }.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scratch, a_tree, clock, deliver, store};
    use super::*;
    use crate::disk::{Disk, Op, Watch};
    use std::sync::Mutex;

    fn caught(store: &Store, count: usize) -> Arc<Tree> {
        let tree = a_tree(store);
        (0..count).for_each(|_| drop(deliver(store, &tree)));
        tree
    }

    /// What a file held is freed when its folder is free for others: expiry of 70,000 messages made a search of a million take
    /// ten times as long.
    #[test]
    fn a_file_is_held_while_its_name_is_removed() {
        #[derive(Default)]
        struct Held(Mutex<Vec<bool>>);
        impl Watch for Held {
            fn before(&self, op: &Op) -> std::io::Result<()> {
                if let Op::Unlink(path) = op {
                    let open =
                        std::fs::read_dir("/proc/self/fd")?.flatten().filter_map(|fd| fd.path().read_link().ok());
                    self.0.lock().unwrap().push(open.into_iter().any(|open| open.ends_with(path)));
                }
                Ok(())
            }
        }
        let scratch = Scratch::new("held");
        let held = Arc::<Held>::default();
        let disk = Disk::watched(scratch.path(), held.clone());
        let store = Store::open(disk, "mx.test", 7, clock()).unwrap().0;
        caught(&store, 3);
        assert_eq!(store.remove(Reach::All, Kept::Caught, &UidRanges::one(2, 9)).unwrap().len(), 2);
        assert_eq!(*held.0.lock().unwrap(), [true, true]);
    }

    #[test]
    fn what_was_renamed_since_it_was_looked_up_is_removed_and_by_another_program_too() {
        let scratch = Scratch::new("renamed");
        let store = store(scratch.path());
        let tree = caught(&store, 3);
        store.sweep_tree(&tree, true);
        let all = store.locate_all(Reach::All, Kept::Caught, &UidRanges::one(1, 9));
        store.set_flags(Reach::All, Kept::Caught, &UidRanges::one(2, 2), Flagging::Add, Flags::FLAGGED).unwrap();
        let (three, cur) = (all.last().unwrap(), tree.half(Kept::Caught, Half::Cur));
        std::fs::rename(&three.path, cur.join(format!("{}:2,S", three.name))).unwrap();
        let mut removed = Vec::new();
        store.remove_batch(Kept::Caught, &all, &mut removed).unwrap();
        let mut flags: Vec<_> = removed.iter().map(|located| (located.row.uid, located.row.flags)).collect();
        flags.sort_by_key(|(uid, _)| *uid);
        assert_eq!(flags, [(1, Flags::NONE), (2, Flags::FLAGGED), (3, Flags::SEEN)]);
        assert!(store.uids_of(&tree, Kept::Caught).is_empty());
        assert!(Half::BOTH.iter().all(|half| std::fs::read_dir(tree.half(Kept::Caught, *half)).unwrap().count() == 0));
    }
}
