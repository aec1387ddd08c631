//! Looking again while we run: other programs may add, rename and remove files at any time.
//!
//! A directory is read again when its modification time is not the one that we noted after our own last change. A listing
//! without a lock may miss names that are being renamed and show some twice, so it only says *that* something differs;
//! what differs is decided by a second listing under the folder's lock.

use super::catalogue::Row;
use super::listing::{Seen, list_folder};
use super::{Half, Reach, Store, Tree};
use crate::base::{Fault, Flags, UidRanges};
use crate::mail::name::Base;
use crate::mail::{Kept, Name};
use std::collections::HashMap;
use std::sync::Arc;

/// What one look found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    /// Files that were adopted.
    pub adopted: usize,
    /// Messages whose files are gone.
    pub gone: usize,
    /// Messages whose names changed.
    pub renamed: usize,
}

impl Store {
    /// Looks at the trees of all folders that a session has open, or has asked for since the last time, where the
    /// modification time says so.
    pub fn sweep_open(&self) -> Swept {
        let mut swept = Swept::default();
        let wanted = self.views.wanted();
        if wanted.is_empty() {
            return swept;
        }
        for tree in self.all_trees() {
            let is_wanted = |kept| Reach::of(tree.id, tree.domain).iter().any(|reach| wanted.contains(&(*reach, kept)));
            for kept in Kept::ALL.into_iter().filter(|kept| is_wanted(*kept)) {
                swept.add(self.look(&tree, kept, false));
            }
        }
        swept
    }

    /// Looks at one tree; `anyway`: also where the modification time says nothing changed.
    pub fn sweep_tree(&self, tree: &Arc<Tree>, anyway: bool) -> Swept {
        let mut swept = Swept::default();
        for kept in Kept::ALL {
            swept.add(self.look(tree, kept, anyway));
        }
        swept
    }

    /// Trees whose modification times may hide something: who asks looks at each as a whole, some at a time.
    pub fn doubtful(&self) -> Vec<Arc<Tree>> {
        self.trees().iter().filter(|tree| tree.take_doubts()).cloned().collect()
    }

    /// Trees that turned up on disk since the last look are read.
    pub fn find_new_trees(&self) -> Swept {
        let mut swept = Swept::default();
        let domains = super::scan::entries(&self.mail).unwrap_or_default();
        for domain in domains.iter().filter_map(|d| d.file_name().into_string().ok()) {
            for local in super::scan::entries(&self.mail.join(&domain)).unwrap_or_default() {
                let Some(address) = local.file_name().to_str().and_then(|l| super::trees::address_of(&domain, l))
                else {
                    continue;
                };
                if self.tree(&address).is_none()
                    && let Ok(tree) = self.tree_for(&address)
                {
                    swept.add(self.sweep_tree(&tree, true));
                }
            }
        }
        swept
    }

    fn look(&self, tree: &Arc<Tree>, kept: Kept, anyway: bool) -> Swept {
        let differs = || Half::BOTH.into_iter().any(|half| tree.differs(kept, half));
        // Between a change of ours and the note of its time it only seems so; with the folder locked it does not.
        let differs_indeed = || {
            let _folder = self.folder(kept);
            differs()
        };
        let is_due = anyway || differs() && differs_indeed();
        if !is_due {
            return Swept::default();
        }
        self.reread(tree, kept).unwrap_or_else(|fault| {
            log::warn!("a look at {kept} of {} failed, and is made again: {fault}", tree.address);
            tree.forget_times(kept);
            Swept::default()
        })
    }

    /// Reads one folder of one tree again and believes the disk.
    pub(super) fn reread(&self, tree: &Arc<Tree>, kept: Kept) -> Result<Swept, Fault> {
        let files = list_folder(tree, kept)?;
        if self.agrees(tree, kept, &files) {
            return Ok(Swept::default());
        }
        let mut swept = Swept::default();
        let mut foreign = Vec::new();
        let mut result = Ok(());
        {
            let mut folder = self.folder_mut(kept);
            let files = list_folder(tree, kept)?;
            let modseq = self.marks().take_modseq(self.now())?;
            let mut on_disk: HashMap<Base, Vec<Seen>> = HashMap::with_capacity(files.len());
            files.into_iter().for_each(|file| on_disk.entry(file.name().base).or_default().push(file));
            let rows: Vec<_> = folder.iter().filter(|r| r.tree == tree.id).copied().collect();
            let mut gone = UidRanges::new();
            let mut changes = Vec::new();
            for row in rows {
                let name = folder.name(&row);
                let Some(file) = take(on_disk.get_mut(&name.base), &row, &name, |uid| folder.get(uid).is_none()) else {
                    gone.add(row.uid, row.uid);
                    swept.gone += 1;
                    continue;
                };
                if file.half == row.half && file.is_called(&name) {
                    continue;
                }
                swept.renamed += 1;
                let named = file.name().flags;
                let flags = named.unwrap_or(Flags::NONE);
                // Whatever else was changed in the name, these fields are ours to say.
                let kept_name = Name { uid: Some(row.uid), flags: named, ..name };
                if !file.is_called(&kept_name) {
                    let path = file.path();
                    let to = path.with_file_name(kept_name.to_string());
                    // It stays as it was known, and what others are is still published.
                    if let Err(fault) = tree.change(kept, file.half, || self.disk.rename(&path, &to)) {
                        result = Err(fault);
                        continue;
                    }
                }
                let after = folder.update(row.uid, |r| {
                    (r.flags, r.half, r.modseq) = (flags, file.half, modseq);
                    *r
                });
                changes.extend(after.map(|after| (row.flags, after)));
            }
            self.views.flagged(kept, &changes);
            let rows = folder.remove(&gone);
            self.left(kept, &rows);
            foreign.extend(on_disk.into_values().flatten());
        }
        result?;
        // What is missing was taken away again meanwhile.
        let told = |fault: Fault| {
            if !fault.is_missing() {
                log::warn!("not adopted: {fault}")
            }
        };
        swept.adopted += self.adopt(foreign, told)?;
        Ok(swept)
    }

    fn agrees(&self, tree: &Tree, kept: Kept, files: &[Seen]) -> bool {
        let folder = self.folder(kept);
        let mut names: HashMap<String, Half> = files.iter().map(|f| (f.called.to_string(), f.half)).collect();
        let mut rows = folder.iter().filter(|r| r.tree == tree.id);
        rows.all(|row| names.remove(&folder.name(row).to_string()) == Some(row.half)) && names.is_empty()
    }
}

impl Swept {
    /// Adds another look's figures.
    pub fn add(&mut self, other: Swept) {
        self.adopted += other.adopted;
        self.gone += other.gone;
        self.renamed += other.renamed;
    }

    /// Whether anything was found.
    pub fn any(self) -> bool {
        self != Swept::default()
    }
}

/// Takes a message's file from those whose names begin alike, as when someone made copies by hand: best the one that is
/// called as it was, then one with its UID, then one whose UID is `nobody`'s.
fn take(alike: Option<&mut Vec<Seen>>, row: &Row, name: &Name, nobody: impl Fn(u32) -> bool) -> Option<Seen> {
    let alike = alike?;
    let rank = |file: &Seen| {
        let uid = file.name().uid;
        let own = uid == Some(row.uid);
        (own || uid.is_none_or(&nobody)).then_some((own, file.half == row.half && file.is_called(name)))
    };
    let (_, at) = alike.iter().enumerate().filter_map(|(at, file)| Some((rank(file)?, at))).max()?;
    Some(alike.swap_remove(at))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scratch, a_tree, deliver, store};
    use super::*;

    /// In this time every file system's clock goes on.
    const TICK: std::time::Duration = std::time::Duration::from_millis(50);

    /// What is found by the clock or, where it ticks, by another look.
    fn looked(store: &Store) -> Swept {
        let mut swept = store.sweep_open();
        store.doubtful().iter().for_each(|tree| swept.add(store.sweep_tree(tree, true)));
        swept
    }

    #[test]
    fn other_hands_add_rename_and_remove() {
        let scratch = Scratch::new("sweep");
        let store = store(scratch.path());
        let tree = a_tree(&store);
        let mut paths = Vec::new();
        for _ in 0..3 {
            let name = Name::new(store.new_base(), 3);
            paths.push(store.deliver(&tree, Kept::Caught, name, &[b"a\r\n"]).unwrap().path);
        }
        let cell = store.view(Reach::Tree(tree.id), Kept::Caught);
        assert!(!store.sweep_open().any(), "nothing but our own changes");
        let cur = tree.half(Kept::Caught, Half::Cur);
        std::fs::remove_file(&paths[0]).unwrap();
        std::fs::rename(&paths[1], cur.join(format!("{}:2,S", paths[1].file_name().unwrap().to_str().unwrap())))
            .unwrap();
        std::fs::write(cur.join("1600000000.x.y:2,F"), b"Subject: new\n\n").unwrap();
        let swept = looked(&store);
        assert_eq!(swept, Swept { adopted: 1, gone: 1, renamed: 1 });
        let view = cell.view();
        assert!(view.list.iter().eq([2, 3, 4]));
        assert_eq!(view.unseen, 2);
        assert!(!store.sweep_open().any());
        let row = store.locate(Kept::Caught, 4).unwrap();
        assert!(row.path.exists() && row.row.flags.has(Flags::FLAGGED));
        // A flag change finds a file that was renamed behind our back.
        let two = store.locate(Kept::Caught, 2).unwrap();
        std::fs::rename(&two.path, two.path.with_file_name(format!("{}R", two.name))).unwrap();
        let rows = store
            .set_flags(
                Reach::Tree(tree.id),
                Kept::Caught,
                &UidRanges::one(2, 2),
                super::super::Flagging::Add,
                Flags::FLAGGED,
            )
            .unwrap();
        assert_eq!(rows[0].flags, Flags::SEEN | Flags::ANSWERED | Flags::FLAGGED);
    }

    #[test]
    fn our_own_changes_do_not_hide_those_of_other_hands() {
        let scratch = Scratch::new("hidden");
        let store = store(scratch.path());
        let tree = a_tree(&store);
        let delivered = || deliver(&store, &tree);
        let ours: [&dyn Fn(); 4] = [
            &|| {
                let one = UidRanges::one(1, 1);
                store.set_flags(Reach::All, Kept::Caught, &one, super::super::Flagging::Add, Flags::FLAGGED).unwrap();
            },
            &|| drop(delivered()),
            &|| drop(store.remove(Reach::All, Kept::Caught, &UidRanges::one(1, 1)).unwrap()),
            &|| {
                let two = UidRanges::one(2, 2);
                drop(store.relocate(Reach::All, Kept::Caught, &two, |_| Kept::Trash, false, |_| {}).unwrap());
            },
        ];
        let cell = store.view(Reach::All, Kept::Caught);
        delivered();
        for ours in ours {
            let theirs = delivered();
            store.sweep_open();
            let cur = tree.half(Kept::Caught, Half::Cur);
            std::fs::rename(&theirs.path, cur.join(format!("{}:2,S", theirs.name))).unwrap();
            ours();
            assert_eq!(looked(&store), Swept { renamed: 1, ..Swept::default() });
            assert!(!store.sweep_open().any());
        }
        assert_eq!(cell.view().list.len(), 4);
    }

    /// Whoever asks for one folder after the other has none open for long: it took a minute until he saw what had changed.
    #[test]
    fn a_folder_that_was_asked_for_is_looked_at_once() {
        let scratch = Scratch::new("asked");
        let store = store(scratch.path());
        let tree = a_tree(&store);
        let delivered = || deliver(&store, &tree).path;
        let paths = [delivered(), delivered()];
        std::fs::remove_file(&paths[0]).unwrap();
        assert!(!store.sweep_open().any(), "nobody has asked");
        for path in [&paths[0], &paths[1]] {
            drop(store.view(Reach::All, Kept::Caught));
            std::thread::sleep(TICK);
            std::fs::remove_file(path).ok();
            assert_eq!(store.sweep_open(), Swept { gone: 1, ..Swept::default() });
        }
        std::thread::sleep(TICK);
        std::fs::write(&paths[0], b"a\r\n").unwrap();
        assert!(!store.sweep_open().any(), "nobody has asked since");
        assert!(store.sweep_tree(&tree, false).any());
    }

    /// Where the clock ticks, another program's change right before or after ours leaves the time that we noted.
    #[test]
    fn a_change_in_the_same_tick_as_ours_is_in_doubt_until_it_is_found() {
        let scratch = Scratch::new("tick");
        let store = store(scratch.path());
        *store.trees.write().unwrap() = super::super::trees::Trees::new(true);
        let tree = a_tree(&store);
        let delivered = || deliver(&store, &tree).path;
        let path = delivered();
        store.sweep_tree(&tree, true);
        delivered();
        let new = tree.half(Kept::Caught, Half::New);
        let time = std::fs::metadata(&new).unwrap().modified().unwrap();
        std::fs::remove_file(path).unwrap();
        std::fs::File::open(&new).unwrap().set_modified(time).unwrap();
        assert!(!store.sweep_tree(&tree, false).any(), "its time does not tell");
        let doubtful = store.doubtful();
        assert_eq!(doubtful.len(), 1);
        assert_eq!(store.sweep_tree(&doubtful[0], true), Swept { gone: 1, ..Swept::default() });
        assert_eq!(store.doubtful().len(), 1, "that tick may still have gone on");
        assert!(store.doubtful().is_empty());
    }

    #[test]
    fn a_look_that_failed_is_made_again() {
        let scratch = Scratch::new("failed");
        let store = store(scratch.path());
        let tree = a_tree(&store);
        let path = deliver(&store, &tree).path;
        store.sweep_tree(&tree, true);
        std::fs::remove_file(path).unwrap();
        let (new, aside) = (tree.half(Kept::Caught, Half::New), scratch.path().join("aside"));
        let time = std::fs::metadata(&new).unwrap().modified().unwrap();
        std::fs::rename(&new, &aside).unwrap();
        std::fs::File::create(&new).unwrap().set_modified(time).unwrap();
        assert!(!store.sweep_tree(&tree, true).any(), "it is no directory");
        std::fs::remove_file(&new).unwrap();
        std::fs::rename(&aside, &new).unwrap();
        assert_eq!(store.sweep_tree(&tree, false), Swept { gone: 1, ..Swept::default() });
    }

    #[test]
    fn what_we_took_out_ourselves_is_no_reason_to_read_the_rest_again() {
        let scratch = Scratch::new("taken");
        let store = store(scratch.path());
        let tree = a_tree(&store);
        for _ in 0..3 {
            deliver(&store, &tree);
        }
        store.sweep_tree(&tree, false);
        let is_known = || !tree.differs(Kept::Caught, Half::New);
        store.remove(Reach::All, Kept::Caught, &UidRanges::one(1, 1)).unwrap();
        assert!(is_known());
        let two = UidRanges::one(2, 2);
        store.relocate(Reach::All, Kept::Caught, &two, |_| Kept::Trash, false, |_| {}).unwrap();
        assert!(is_known());
    }

    #[test]
    fn a_flag_is_set_where_another_program_removed_the_empty_cur() {
        let scratch = Scratch::new("nocur");
        let store = store(scratch.path());
        let tree = a_tree(&store);
        deliver(&store, &tree);
        std::fs::remove_dir(tree.half(Kept::Caught, Half::Cur)).unwrap();
        let one = UidRanges::one(1, 1);
        let set = || store.set_flags(Reach::All, Kept::Caught, &one, super::super::Flagging::Add, Flags::FLAGGED);
        assert_eq!(set().unwrap()[0].flags, Flags::FLAGGED);
        assert!(store.locate(Kept::Caught, 1).unwrap().path.exists());
    }

    /// Found by the model of `store/changes`: one of two names with the same first part stood for both.
    #[test]
    fn copies_under_the_same_first_part_of_a_name_are_messages_of_their_own() {
        let scratch = Scratch::new("twins");
        let store = store(scratch.path());
        let tree = a_tree(&store);
        let cell = store.view(Reach::All, Kept::Caught);
        let one = deliver(&store, &tree);
        let copy = |flags: &str| one.path.with_file_name(format!("{}{flags}", one.name));
        std::fs::copy(&one.path, copy(":2,S")).unwrap();
        assert_eq!(looked(&store).adopted, 1);
        assert!(cell.view().list.iter().eq([1, 2]));
        assert!(!store.sweep_open().any());
        std::fs::copy(&one.path, copy(":2,F")).unwrap();
        assert_eq!(looked(&store), Swept { adopted: 1, ..Swept::default() });
        for uid in 1..=3 {
            assert!(store.locate(Kept::Caught, uid).unwrap().path.exists(), "{uid}");
        }
        std::fs::remove_file(&store.locate(Kept::Caught, 2).unwrap().path).unwrap();
        assert_eq!(looked(&store), Swept { gone: 1, ..Swept::default() });
        assert!(cell.view().list.iter().eq([1, 3]));
        let all = UidRanges::one(1, 9);
        let add = super::super::Flagging::Add;
        assert_eq!(store.set_flags(Reach::All, Kept::Caught, &all, add, Flags::ANSWERED).unwrap().len(), 2);
        assert!(!store.sweep_open().any());
    }

    #[test]
    fn sizes_in_corrupt_names_do_not_overflow_what_a_view_counts() {
        let scratch = Scratch::new("corrupt");
        let store = store(scratch.path());
        let tree = a_tree(&store);
        let cell = store.view(Reach::All, Kept::Caught);
        deliver(&store, &tree);
        for i in 0..2 {
            let name = format!("1700000000.M{i}P1Q1.mx.test,S=18446744073709551615,T=4294967295");
            std::fs::write(tree.half(Kept::Caught, Half::New).join(name), b"Subject: x\r\n\r\n").unwrap();
        }
        assert_eq!(store.sweep_tree(&tree, true).adopted, 2);
        assert_eq!(cell.view().list.len(), 3);
    }

    #[test]
    fn an_empty_tree_goes_and_comes_back() {
        let scratch = Scratch::new("empty");
        let store = store(scratch.path());
        let tree = a_tree(&store);
        deliver(&store, &tree);
        assert!(!store.remove_if_empty(&tree).unwrap());
        store.remove(Reach::All, Kept::Caught, &UidRanges::one(1, 10)).unwrap();
        assert!(store.remove_if_empty(&tree).unwrap());
        assert!(!scratch.path().join("mail/x.test").exists());
        deliver(&store, &tree);
        assert_eq!(store.view(Reach::All, Kept::Caught).view().list.len(), 1);
    }
}
