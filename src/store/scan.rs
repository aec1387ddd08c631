//! Start-up: every name in the tree is read once, what a crash left is finished or swept, and files of others are adopted.
//!
//! A file is ours when its name has a UID that was given before (below the mark) and no other file has. Any other file in
//! a `new/` or `cur/` is adopted (`store/adopt.rs`).

use super::catalogue::{Folder, Row};
use super::changes::{self, Past};
use super::history::{Figures, History};
use super::listing::{Listed, Listing, Seen};
use super::marks::{Found, Marks};
use super::trees::{Trees, address_of};
use super::{Cache, Clock, Half, Reach, Served, Store, Tree, TreeId, Views};
use crate::base::{Context, Fault, UidRanges};
use crate::disk::Disk;
use crate::mail::Kept;
use crate::mail::name::Base;
use std::collections::HashMap;
use std::fs::DirEntry;
use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, RwLock};

/// What start-up found, for the log and for `check`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    /// Messages in all folders.
    pub messages: usize,
    /// Recipient trees.
    pub trees: usize,
    /// Unfinished files that were removed.
    pub swept: usize,
    /// Files that were adopted.
    pub adopted: usize,
    /// Second names of one message that a crash left; one was removed.
    pub doubles: usize,
    /// The data directory was restored or copied.
    pub restored: bool,
    /// What could not be understood, a line each; it was left alone.
    pub odd: Vec<String>,
}

impl Store {
    /// Reads the tree. The caller holds the data directory's lock.
    pub fn open(disk: Disk, host: &str, pid: u32, clock: Clock) -> Result<(Store, Report), Fault> {
        disk.sync_everything()?;
        let mail = disk.path("mail");
        disk.make_dirs(&mail)?;
        disk.make_dirs(&disk.path("state"))?;
        let (marks, found) = Marks::open(&disk, 0, clock())?;
        let mut report = Report { restored: found == Found::Restored, ..Report::default() };
        let host = crate::mail::name::host_label(host);
        let mut trees = Trees::new(disk.has_ticks(&mail));
        // Without marks of our own, whatever the names say is the best that is known.
        let believed = if found == Found::New { u32::MAX / 2 } else { marks.next_uid() };
        let folders = find_all(&disk, &mail, &mut trees, &mut report)?;
        let files = Listing::of(folders, believed, &host, &mut report)?;
        let highest = files.highest();
        let mut marks = if highest >= marks.next_uid() { Marks::open(&disk, highest, clock())?.0 } else { marks };
        report.trees = trees.iter().count();
        let (history, past) = changes::read(&disk, marks.changes(), &mail, &mut trees).unzip();
        // What changed while nobody looked has changed now; where nothing is known of the stop, all has.
        let now = marks.take_modseq(clock())?;
        let floor = Figures { uid_next: marks.next_uid(), modseq: now };
        let history = history.unwrap_or_else(|| History::new(floor));
        let store = Store {
            cache: Cache::new(&disk, "cache"),
            headers: Cache::new(&disk, "cache/headers"),
            fields: Cache::new(&disk, "cache/fields"),
            texts: Cache::new(&disk, "cache/texts"),
            disk,
            mail,
            host: host.as_str().into(),
            pid,
            count: AtomicU32::new(0),
            clock,
            entry: Mutex::new(()),
            making: Mutex::new(()),
            views: Views::new(marks.next_uid(), history),
            marks: Mutex::new(marks),
            trees: RwLock::new(trees),
            folders: std::array::from_fn(|_| RwLock::new(Folder::new(&host))),
            seen: Mutex::default(),
            served: Served::default(),
        };
        store.fill(files, past, now, &mut report)?;
        Ok((store, report))
    }

    /// Puts the listed files into the catalogue.
    fn fill(&self, mut files: Listing, mut past: Option<Past>, now: u64, report: &mut Report) -> Result<(), Fault> {
        let mut twins = files.take_twins(&self.trees());
        self.drop_doubles(&mut twins, report)?;
        files.strange.append(&mut twins);
        let mut foreign = self.name_strange(&mut files)?;
        let mut last = 0;
        let mut folders = Kept::ALL.map(|kept| self.folder_mut(kept));
        for file in files.files {
            if file.row.uid == last {
                // Somebody copied it: the second of two with one UID is a message of its own.
                foreign.extend(file.seen(&files.blank, &self.trees()));
                continue;
            }
            last = file.row.uid;
            let modseq = past.as_mut().map(|past| past.modseq_of(file.kept, &file.row));
            let row = Row { modseq: modseq.flatten().unwrap_or(now), ..file.row };
            if modseq == Some(None) {
                self.views.history(|history| history.note(file.kept, &row));
            }
            // `Kept::index` is below 4 by its definition.
            folders[file.kept.index()].put(row, file.odd);
            report.messages += 1;
        }
        drop(folders);
        for kept in Kept::ALL {
            let mut last = None;
            for row in self.folder(kept).iter().filter(|row| last.replace(row.tree) != Some(row.tree)) {
                self.trees().get(row.tree).inspect(|tree| tree.set_held(kept));
            }
        }
        for (kept, removal) in past.map(|past| past.gone(now)).unwrap_or_default() {
            self.views.history(|history| history.remove(kept, removal));
        }
        let adopted = self.adopt(foreign, |fault| report.odd.push(fault.to_string()))?;
        report.adopted += adopted;
        report.messages += adopted;
        Ok(())
    }

    /// Gives strange files the names that we would write, where what they say can be believed and no other file has the
    /// UID. Returns the others.
    fn name_strange(&self, files: &mut Listing) -> Result<Vec<Seen>, Fault> {
        let (mut strange, mut foreign): (Vec<_>, Vec<_>) =
            std::mem::take(&mut files.strange).into_iter().partition(|f| f.uid.is_some());
        strange.sort_by_cached_key(|f| (f.uid, !f.is_called(&f.name())));
        let mut named: Vec<Listed> = Vec::new();
        for file in strange {
            let name = file.name();
            let Some(believed) = files.believed(&file, &name) else {
                foreign.push(file);
                continue;
            };
            let uid = believed.row.uid;
            if files.files.has(uid) || named.last().is_some_and(|f| f.row.uid == uid) {
                foreign.push(file);
                continue;
            }
            if !file.is_called(&name) {
                let path = file.path();
                self.disk.rename(&path, &path.with_file_name(name.to_string()))?;
            }
            named.push(believed);
        }
        files.files.add(named);
        Ok(foreign)
    }

    /// A rename between two directories may be half done after a crash: both names are there, of one file. The newer one
    /// stays: the one with the higher UID, or in `cur/`.
    fn drop_doubles(&self, files: &mut Vec<Seen>, report: &mut Report) -> Result<(), Fault> {
        use std::os::unix::fs::MetadataExt;
        let mut by_id: HashMap<(TreeId, Base), usize> = HashMap::new();
        let mut dropped = Vec::new();
        for (i, file) in files.iter().enumerate() {
            let Some(first) = by_id.insert((file.tree.id, file.name().base), i) else { continue };
            let Some(other) = files.get(first) else { continue };
            let same = |a: &Path, b: &Path| Some(std::fs::metadata(a).ok()?.ino() == std::fs::metadata(b).ok()?.ino());
            if same(&file.path(), &other.path()) != Some(true) {
                continue;
            }
            let age = |f: &Seen| (f.name().uid, f.half == Half::Cur);
            let older = if age(file) > age(other) { first } else { i };
            if older == i {
                by_id.insert((file.tree.id, file.name().base), first);
            }
            dropped.push(older);
        }
        dropped.sort_unstable();
        for &i in dropped.iter().rev() {
            let file = files.swap_remove(i);
            self.disk.unlink(&file.path())?;
            self.disk.sync_dir(&file.tree.half(file.kept, file.half))?;
            report.doubles += 1;
        }
        Ok(())
    }
}

/// Gives all trees numbers and returns their folders, with nothing left in `tmp/` that a crash left there.
fn find_all(disk: &Disk, mail: &Path, trees: &mut Trees, report: &mut Report) -> Result<Vec<(Arc<Tree>, Kept)>, Fault> {
    let mut folders = Vec::new();
    for domain in entries(mail)? {
        let Some(domain_name) = directory_name(&domain, report) else { continue };
        for local in entries(&domain.path())? {
            let Some(local_name) = directory_name(&local, report) else { continue };
            let tree = address_of(&domain_name, &local_name).and_then(|address| trees.intern(mail, &address));
            let Some(tree) = tree else {
                report.odd.push(format!("{}: no address has this directory", local.path().display()));
                continue;
            };
            for kept in Kept::ALL {
                if tree.path.join(kept.directory()).is_dir() {
                    report.swept += sweep_tmp(disk, &tree.tmp(kept))?;
                    folders.push((tree.clone(), kept));
                }
            }
        }
    }
    Ok(folders)
}

/// Removes what a crash left in `tmp/`: everything with a name of ours; files of other programs after 36 hours, as
/// Maildir's own rule has it, by their modification time.
fn sweep_tmp(disk: &Disk, tmp: &Path) -> Result<usize, Fault> {
    let mut swept = 0;
    for entry in entries(tmp)? {
        let ours = entry.file_name().to_str().is_some_and(|n| matches!(Base::parse(n), Base::Ours(..)));
        let old = || {
            let age = entry.metadata().ok()?.modified().ok()?.elapsed().ok()?;
            Some(age.as_secs() > 36 * 3600)
        };
        if ours || old() == Some(true) {
            disk.unlink(&entry.path())?;
            swept += 1;
        }
    }
    Ok(swept)
}

/// A directory's entries; none when it is not there.
pub(super) fn entries(path: &Path) -> Result<Vec<DirEntry>, Fault> {
    match std::fs::read_dir(path) {
        Ok(list) => list.collect::<Result<_, _>>().during("list", path),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(Fault::new("list", path, e)),
    }
}

fn directory_name(entry: &DirEntry, report: &mut Report) -> Option<String> {
    let name = entry.file_name().into_string().ok();
    if name.as_ref().is_some_and(|n| n.starts_with('.')) {
        return None;
    }
    if !entry.file_type().is_ok_and(|t| t.is_dir()) || name.is_none() {
        report.odd.push(format!("{}: not a directory that we made", entry.path().display()));
        return None;
    }
    name
}

impl Store {
    /// All UIDs of a tree in a folder.
    pub fn uids_of(&self, tree: &Tree, kept: Kept) -> UidRanges {
        self.folder(kept).iter().filter(|r| Reach::Tree(tree.id).covers(r)).map(|r| r.uid).collect()
    }

    /// Every tree, by number.
    pub fn all_trees(&self) -> Vec<Arc<Tree>> {
        self.trees().iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Scratch, store};
    use super::*;
    use crate::base::Flags;
    use crate::mail::{Address, Name};

    fn put(root: &Path, at: &str, bytes: &[u8]) {
        let path = root.join(at);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn foreign_files_are_adopted_with_date_flags_and_sizes() {
        let scratch = Scratch::new("adopt");
        put(scratch.path(), "mail/x.test/alice/Caught/cur/1600000000.H1.box:2,FS", b"A: b\n\nx\r\ny\n");
        put(scratch.path(), "mail/x.test/alice/Caught/new/weird name", b"");
        put(scratch.path(), "mail/x.test/alice/Caught/tmp/1600000000.M1P1Q1.mx.test", b"half");
        put(scratch.path(), "mail/x.test/alice/Caught/cur/1600000001.M1P1Q1.other,S=3,U=77,T=2:2,", b"abc");
        put(scratch.path(), "mail/stray", b"");
        std::fs::create_dir_all(scratch.path().join("mail/x.test/alice/Caught/cur/directory")).unwrap();
        let (store, report) =
            Store::open(Disk::new(scratch.path()), "mx.test", 1, super::super::testing::clock()).unwrap();
        assert_eq!((report.adopted, report.messages, report.swept, report.odd.len()), (2, 3, 1, 2), "{report:?}");
        let view = store.view(Reach::All, Kept::Caught).view();
        assert_eq!(view.list.len(), 3);
        let mut found = false;
        store.rows(Reach::All, Kept::Caught, &UidRanges::one(1, u32::MAX), |row, folder| {
            if row.flags.has(Flags::FLAGGED) {
                assert_eq!((row.size, row.arrival()), (14, 1_600_000_000));
                assert_eq!(folder.name(row).id(), "1600000000.H1.box");
                found = true;
            }
            true
        });
        assert!(found);
        store.close().unwrap();
        drop(store);
        let (_, again) = Store::open(Disk::new(scratch.path()), "mx.test", 1, super::super::testing::clock()).unwrap();
        assert_eq!((again.adopted, again.messages), (0, 3), "names now say all");
    }

    #[test]
    fn thousands_of_foreign_files_are_adopted_the_oldest_first_and_found_as_they_were() {
        let scratch = Scratch::new("many");
        let open = || Store::open(Disk::new(scratch.path()), "mx.test", 1, super::super::testing::clock()).unwrap();
        // More than one thread reads at a time, and more than one name in each tree that says the same second.
        for number in 0..3000u64 {
            let (tree, half) =
                (["alice", "bob", "carol"][number as usize % 3], ["cur", "new"][number as usize / 3 % 2]);
            let name = format!("{}.H{number}.box", 1_600_000_000 + number * 7919 % 3000 / 2);
            put(
                scratch.path(),
                &format!("mail/x.test/{tree}/Caught/{half}/{name}"),
                format!("a: {number}\n").as_bytes(),
            );
        }
        // Its flags say that it belongs into cur/, which is not there yet.
        put(scratch.path(), "mail/x.test/dave/Caught/new/1500000000.H.box:2,F", b"a\r\n");
        let rows = |store: &Store| {
            let mut rows = Vec::new();
            store.shared_rows(Kept::Caught, |row, folder| rows.push((*row, folder.name(row))));
            rows
        };
        let (store, report) = open();
        assert_eq!((report.adopted, report.messages, report.odd), (3001, 3001, Vec::new()));
        let first = rows(&store);
        assert!(first.is_sorted_by_key(|(row, _)| (row.arrival(), row.uid)), "UIDs ascend with the dates");
        assert!(first.first().is_some_and(|(row, _)| row.half == Half::Cur && row.flags.has(Flags::FLAGGED)));
        for (row, name) in first.iter().skip(1) {
            let text = std::fs::read_to_string(store.locate(Kept::Caught, row.uid).unwrap().path).unwrap();
            assert_eq!((row.size, name.size), (text.len() as u64 + 1, Some(text.len() as u64)));
            assert!(name.id().ends_with(&format!(".H{}.box", text.trim_start_matches("a: ").trim_end())));
        }
        store.close().unwrap();
        drop(store);
        let (store, report) = open();
        assert_eq!((report.adopted, report.messages), (0, 3001));
        let described = |rows: &[(Row, Name)]| {
            rows.iter().map(|(row, name)| (row.uid, row.modseq, name.clone())).collect::<Vec<_>>()
        };
        assert_eq!(described(&rows(&store)), described(&first));
    }

    #[test]
    fn copies_with_one_uid_in_whatever_spelling_become_messages_of_their_own() {
        let scratch = Scratch::new("spelled");
        let first = store(scratch.path());
        let tree = first.tree_for(&Address::parse("a@x.test").unwrap()).unwrap();
        let path = first.deliver(&tree, Kept::Caught, Name::new(first.new_base(), 3), &[b"a\r\n"]).unwrap().path;
        drop(first);
        let name = path.file_name().unwrap().to_str().unwrap();
        let cur = tree.half(Kept::Caught, Half::Cur);
        for spelled in [":2,FS", ":2,SF", ",W=3:2,"] {
            std::fs::copy(&path, cur.join(format!("{name}{spelled}"))).unwrap();
        }
        let open = || Store::open(Disk::new(scratch.path()), "mx.test", 1, super::super::testing::clock()).unwrap();
        let (second, report) = open();
        assert_eq!((report.adopted, report.messages, report.doubles, report.odd), (3, 4, 0, Vec::new()));
        assert!(second.view(Reach::All, Kept::Caught).view().list.seq(1).is_some());
        drop(second);
        assert_eq!((open().1.adopted, open().1.messages), (0, 4));
    }

    #[test]
    fn two_names_of_one_file_become_one() {
        let scratch = Scratch::new("double");
        let first = store(scratch.path());
        let tree = first.tree_for(&Address::parse("a@x.test").unwrap()).unwrap();
        let placed = first.deliver(&tree, Kept::Caught, Name::new(first.new_base(), 3), &[b"a\r\n"]).unwrap();
        let (_, moved) = first
            .relocate(Reach::All, Kept::Caught, &UidRanges::one(1, 9), |_| Kept::Trash, false, |_| {})
            .unwrap()
            .remove(0);
        std::fs::hard_link(&moved.path, &placed.path).unwrap();
        drop(first);
        let (second, report) =
            Store::open(Disk::new(scratch.path()), "mx.test", 1, super::super::testing::clock()).unwrap();
        assert_eq!(report.doubles, 1);
        assert_eq!(second.view(Reach::All, Kept::Caught).view().list.len(), 0);
        assert_eq!(second.view(Reach::All, Kept::Trash).view().list.len(), 1);
    }
}
