//! How a message enters a folder: from a door, from the queue, or from another folder. Each time it gets a new UID.

use super::adopt::half_of;
use super::catalogue::{Row, entered};
use super::{Half, Located, Reach, Store, Tree};
use crate::base::path::NAME_MAX;
use crate::base::{Fault, Timestamp, UidRanges};
use crate::mail::name::{Base, COPY_OF, SAVED};
use crate::mail::{Kept, Name};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Seconds between the making of an id and the entry into a folder that are not worth a field of their own.
const SAVED_SLACK: u64 = 60;

/// A message that entered a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Its UID there.
    pub uid: u32,
    /// Its name there.
    pub name: Name,
    /// Where it lies.
    pub path: PathBuf,
}

/// How the file gets its new name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// The old name, in no folder, is gone at the same moment.
    Rename,
    /// The same, where it lies in a half of another folder of the tree.
    Leave(Kept, Half),
    /// The old name stays.
    Link,
}

impl Store {
    /// A message id that was never used.
    pub fn new_base(&self) -> Base {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        Base::new(self.now(), self.pid, count, &self.host)
    }

    /// A message id that was never used, which says the same arrival: a copy keeps its INTERNALDATE (RFC 3501 6.4.7).
    fn base_instead_of(&self, old: &Base) -> Base {
        let base = self.new_base();
        match old.secs() {
            Some(secs) => base.arrived(secs),
            None => base,
        }
    }

    /// Stores a message durably: when it returns `Ok`, a power failure does not lose it. `name` lacks only the UID;
    /// `parts` are its bytes. An error leaves nothing behind.
    pub fn deliver(&self, tree: &Arc<Tree>, kept: Kept, name: Name, parts: &[&[u8]]) -> Result<Placed, Fault> {
        // 1. state A: written and synced under tmp/
        let tmp = tree.tmp(kept).join(name.id());
        self.write_tmp(tree, kept, &tmp, parts).inspect_err(|_| drop(self.disk.unlink(&tmp)))?;
        // 2. state B: named and published
        let placed = self.enter(tree, kept, &tmp, name, How::Rename).inspect_err(|_| drop(self.disk.unlink(&tmp)))?;
        // 3. state C: durable
        let directory = placed.path.parent().unwrap_or(&tree.path);
        if let Err(fault) = self.disk.sync_dir(directory) {
            // What the kernel could not write it forgets: nothing may be assumed, and the sender tries again.
            let _ = self.disk.unlink(&placed.path);
            self.unpublish(kept, &UidRanges::one(placed.uid, placed.uid));
            return Err(fault);
        }
        self.cache.wish(kept, placed.uid);
        Ok(placed)
    }

    fn write_tmp(&self, tree: &Tree, kept: Kept, tmp: &Path, parts: &[&[u8]]) -> Result<(), Fault> {
        self.make_folder(tree, kept)?;
        let mut file = match self.disk.create(tmp) {
            // It was removed as an empty tree a moment ago.
            Err(fault) if fault.is_missing() => {
                tree.set_made(kept, false);
                self.make_folder(tree, kept)?;
                self.disk.create(tmp)?
            }
            other => other?,
        };
        for part in parts {
            file.write(part)?;
        }
        file.sync()
    }

    /// Puts files of the queue into folders, durably; the queue's own names stay until the queue removes them. One place
    /// a file, in order; after an error some may be there, unsynced.
    pub fn put_back(&self, files: Vec<(Arc<Tree>, Kept, PathBuf, Name)>) -> Result<Vec<Placed>, Fault> {
        let mut placed = Vec::with_capacity(files.len());
        for (tree, kept, from, name) in files {
            self.make_folder(&tree, kept)?;
            placed.push(self.enter(&tree, kept, &from, name, How::Link)?);
        }
        self.sync_parents(placed.iter().map(|p| p.path.as_path()))?;
        Ok(placed)
    }

    /// Moves a file of the queue into a folder: its name there is gone at the same moment. To be made durable by
    /// [`Store::sync_placed`] before the queue's directory is synced.
    pub fn take_back(&self, tree: &Arc<Tree>, kept: Kept, from: &Path, name: Name) -> Result<Placed, Fault> {
        self.make_folder(tree, kept)?;
        self.enter(tree, kept, from, name, How::Rename)
    }

    /// Makes the names of messages that were just placed durable.
    pub fn sync_placed(&self, placed: &[Placed]) -> Result<(), Fault> {
        self.sync_parents(placed.iter().map(|p| p.path.as_path()))
    }

    /// Moves messages to another folder of their trees (or copies them: the copy is a message of its own, with an id of
    /// its own). `edit` changes what the name says besides. Durable when it returns. Returns old row and new place of
    /// those that were still there.
    pub fn relocate(
        &self,
        reach: Reach,
        from: Kept,
        uids: &UidRanges,
        to: impl Fn(&Row) -> Kept,
        copy: bool,
        edit: impl Fn(&mut Name),
    ) -> Result<Vec<(Located, Placed)>, Fault> {
        let mut done = Vec::new();
        let mut result = Ok(());
        for located in self.locate_all(reach, from, uids) {
            match self.relocate_one(from, &located, to(&located.row), copy, &edit) {
                Ok(Some(placed)) => done.push((located, placed)),
                Ok(None) => {}
                Err(fault) => {
                    result = Err(fault);
                    break;
                }
            }
        }
        // The target first: a crash between the two leaves both names, never neither.
        self.sync_parents(done.iter().map(|(_, placed)| placed.path.as_path()))?;
        if !copy {
            self.sync_left(done.iter().map(|(located, _)| located.path.as_path()))?;
        }
        result.map(|()| done)
    }

    fn relocate_one(
        &self,
        from: Kept,
        located: &Located,
        to: Kept,
        copy: bool,
        edit: &impl Fn(&mut Name),
    ) -> Result<Option<Placed>, Fault> {
        self.make_folder(&located.tree, to)?;
        let mut located = located.clone();
        for _ in 0..3 {
            let mut name = located.name.clone();
            if copy {
                // RFC 8474 5.1: a copy has the EMAILID of its original
                let original = name.original();
                name = name.with_field(COPY_OF, Some(original));
                name.base = self.base_instead_of(&name.base);
            }
            edit(&mut name);
            let how = if copy { How::Link } else { How::Leave(from, located.row.half) };
            match self.enter(&located.tree, to, &located.path, name, how) {
                Ok(placed) => {
                    if !copy {
                        self.unpublish(from, &UidRanges::one(located.row.uid, located.row.uid));
                    }
                    return Ok(Some(placed));
                }
                // Its flags changed, or another hand took it.
                Err(fault) if fault.is_missing() => {
                    self.reread(&located.tree, from)?;
                    match self.locate(from, located.row.uid) {
                        Some(again) => located = again,
                        None => return Ok(None),
                    }
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(None)
    }

    /// Makes a kept folder's directories, durably.
    pub(super) fn make_folder(&self, tree: &Tree, kept: Kept) -> Result<(), Fault> {
        if tree.is_made(kept) {
            return Ok(());
        }
        // Two doors may have the first message for one folder at the same moment.
        let _making = self.making.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if tree.is_made(kept) {
            return Ok(());
        }
        for directory in [tree.half(kept, Half::New), tree.half(kept, Half::Cur), tree.tmp(kept)] {
            self.disk.make_dirs(&directory)?;
        }
        let keywords = tree.path.join(kept.directory()).join("dovecot-keywords");
        if !keywords.exists() {
            self.disk.write_whole(&keywords, dovecot_keywords().as_bytes())?;
        }
        tree.set_made(kept, true);
        Ok(())
    }

    /// This name with a UID, and what else it says of its entry into this folder; the text of it, too.
    pub(super) fn with_uid(&self, mut name: Name, uid: u32, kept: Kept, now: Timestamp) -> (Name, String) {
        name.uid = Some(uid);
        name = name.with_field(SAVED, None);
        if entered(&name, kept).abs_diff(now.secs()) > SAVED_SLACK {
            name = name.with_field(SAVED, Some(now.secs().to_string()));
        }
        let text = name.to_string();
        if text.len() <= NAME_MAX {
            return (name, text);
        }
        // A foreign base may be as long as a name can be.
        name = name.with_field(COPY_OF, None);
        name.base = self.base_instead_of(&name.base);
        let text = name.to_string();
        (name, text)
    }

    /// Gives a UID, the name that carries it, and publishes: one step for everybody else, so UIDs become visible in
    /// ascending order.
    fn enter(&self, tree: &Arc<Tree>, kept: Kept, from: &Path, name: Name, how: How) -> Result<Placed, Fault> {
        let _entry = self.entry();
        let uid = self.marks().take_uid()?;
        let (name, text) = self.with_uid(name, uid, kept, self.now());
        let half = half_of(&name);
        let path = tree.half(kept, half).join(text);
        let mut folder = self.folder_mut(kept);
        // Before the rename: a name that is there is published.
        let modseq = self.marks().take_modseq(self.now())?;
        let act = || {
            tree.change(kept, half, || match how {
                How::Rename => self.disk.rename(from, &path),
                How::Leave(old, half) => tree.change(old, half, || self.disk.rename(from, &path)),
                How::Link => self.disk.link(from, &path),
            })
        };
        if let Err(fault) = act() {
            // The folder may have been removed as empty since it was made.
            if !fault.is_missing() || path.parent().is_some_and(Path::is_dir) {
                return Err(fault);
            }
            tree.set_made(kept, false);
            self.make_folder(tree, kept)?;
            act()?;
        }
        let size = name.size_on_wire().unwrap_or(0);
        let row = Row::of(&name, (kept, half), uid, tree.id, tree.domain, size, modseq);
        folder.push(row, &name);
        tree.set_held(kept);
        self.views.added(kept, &[row]);
        Ok(Placed { uid, name, path })
    }

    /// Takes rows out of the catalogue and the views; the files were dealt with.
    pub(super) fn unpublish(&self, kept: Kept, uids: &UidRanges) -> Vec<Row> {
        let mut folder = self.folder_mut(kept);
        let rows = folder.remove(uids);
        self.left(kept, &rows);
        rows
    }

    /// Rows left the catalogue; the folder is still locked.
    pub(super) fn left(&self, kept: Kept, rows: &[Row]) {
        if rows.is_empty() {
            return;
        }
        let now = self.now();
        // A mark that cannot be reserved leaves the old MODSEQ, which is stale and not wrong: the list itself tells.
        let taken = self.marks().take_modseq(now);
        let modseq = taken.unwrap_or_else(|_| {
            let last = self.marks().last_modseq();
            self.views.history(|history| history.lose(kept, last + 1));
            last
        });
        self.views.removed(kept, rows, modseq);
        for ((reach, folder), set) in self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter() {
            if *folder == kept {
                set.forget(rows.iter().filter(|r| reach.covers(r)).map(|r| r.uid));
            }
        }
    }

    /// Syncs the directories that these files have left. A flag that was set before has moved a file from `new/` to
    /// `cur/` without a sync: what leaves `cur/` must not come back in `new/` either.
    pub(super) fn sync_left<'a>(&self, paths: impl Iterator<Item = &'a Path>) -> Result<(), Fault> {
        let mut directories: Vec<PathBuf> = paths.filter_map(Path::parent).map(Path::to_path_buf).collect();
        directories.sort_unstable();
        directories.dedup();
        let cur = Half::Cur.directory();
        let news: Vec<PathBuf> = directories
            .iter()
            .filter(|d| d.ends_with(cur))
            .map(|d| d.with_file_name(Half::New.directory()))
            .filter(|new| !directories.contains(new))
            .collect();
        self.sync_each(directories.iter().chain(&news).map(PathBuf::as_path))
    }

    /// Syncs the directories of these files, each once.
    pub(super) fn sync_parents<'a>(&self, paths: impl Iterator<Item = &'a Path>) -> Result<(), Fault> {
        let mut directories: Vec<&Path> = paths.filter_map(Path::parent).collect();
        directories.sort_unstable();
        directories.dedup();
        self.sync_each(directories.into_iter())
    }

    pub(super) fn sync_each<'a>(&self, mut directories: impl Iterator<Item = &'a Path>) -> Result<(), Fault> {
        directories.try_for_each(|directory| match self.disk.sync_dir(directory) {
            // Removed as empty: then its names are gone as they should be.
            Err(fault) if fault.is_missing() => Ok(()),
            other => other,
        })
    }
}

/// Dovecot's table of keyword letters: line n names the n-th letter.
pub fn dovecot_keywords() -> String {
    let mut keywords: Vec<(u8, &str)> = crate::base::flags::TABLE
        .iter()
        .filter(|(_, l)| l.is_ascii_lowercase())
        .map(|(n, l)| (*l - b'a', *n))
        .collect();
    keywords.sort_unstable();
    keywords.into_iter().map(|(i, name)| format!("{i} {name}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scratch, store};
    use super::*;
    use crate::base::Flags;
    use crate::mail::Address;

    #[test]
    fn delivered_relocated_and_found_again_after_a_restart() {
        let scratch = Scratch::new("place");
        let first = store(scratch.path());
        let tree = first.tree_for(&Address::parse("alice@x.test").unwrap()).unwrap();
        let view = first.view(Reach::All, Kept::Caught);
        let mut uids = Vec::new();
        for i in 0..5 {
            let body = format!("Subject: {i}\r\n\r\nx");
            let name = Name::new(first.new_base(), body.len() as u64);
            uids.push(first.deliver(&tree, Kept::Caught, name, &[body.as_bytes()]).unwrap().uid);
        }
        assert!(view.view().list.iter().eq(uids.iter().copied()));
        let moved = first
            .relocate(
                Reach::All,
                Kept::Caught,
                &UidRanges::one(uids[1], uids[2]),
                |_| Kept::Trash,
                false,
                |n| n.retain_from = Some(9),
            )
            .unwrap();
        assert_eq!(moved.len(), 2);
        assert_eq!(view.view().list.len(), 3);
        assert!(moved.iter().all(|(_, p)| p.uid > uids[4] && p.path.exists()));
        let flagged = first.set_flags(
            Reach::Tree(tree.id),
            Kept::Caught,
            &UidRanges::one(uids[0], uids[0]),
            super::super::Flagging::Add,
            Flags::SEEN,
        );
        assert_eq!(flagged.unwrap().len(), 1);
        first.close().unwrap();
        drop(first);

        let second = store(scratch.path());
        let tree = second.tree(&Address::parse("alice@x.test").unwrap()).unwrap();
        let view = second.view(Reach::Tree(tree.id), Kept::Caught).view();
        assert!(view.list.iter().eq([uids[0], uids[3], uids[4]]));
        assert_eq!(view.unseen, 2);
        assert_eq!(second.view(Reach::All, Kept::Trash).view().list.len(), 2);
        assert_eq!(view.uid_next, uids[4] + 1, "nothing else entered it");
        assert_eq!(second.view(Reach::All, Kept::Trash).view().uid_next, moved[1].1.uid + 1);
        let opened = second.open_message(Reach::All, Kept::Caught, uids[3]).unwrap().unwrap();
        assert_eq!(std::io::read_to_string(&*opened.file).unwrap(), "Subject: 3\r\n\r\nx");
        assert!(second.open_message(Reach::All, Kept::Caught, 999_999).unwrap().is_none());
    }

    #[test]
    fn a_copy_has_an_id_of_its_own_and_the_arrival_of_the_original() {
        let scratch = Scratch::new("copy");
        let store = store(scratch.path());
        let tree = store.tree_for(&Address::parse("a@x.test").unwrap()).unwrap();
        for base in [store.new_base().arrived(1_600_000_000), Base::parse("1600000000.foreign")] {
            let uid = store.deliver(&tree, Kept::Caught, Name::new(base.clone(), 3), &[b"a\r\n"]).unwrap().uid;
            let one = UidRanges::one(uid, uid);
            let copied = store.relocate(Reach::All, Kept::Caught, &one, |_| Kept::Trash, true, |_| {}).unwrap();
            let copy = &copied[0].1.name.base;
            assert_eq!(copy.secs(), Some(1_600_000_000));
            assert_ne!(*copy, base);
            assert!(store.locate(Kept::Caught, uid).is_some());
        }
    }
}
