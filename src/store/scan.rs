//! Start-up: every name in the tree is read once, what a crash left is finished or swept, and files of others are adopted.
//!
//! A file is ours when its name has a UID that was given before (below the mark) and no other file has. Any other file in
//! a `new/` or `cur/` is adopted: it gets a UID by a rename, its date and flags from its name, its sizes from reading it
//! once; its bytes stay as they are, it has no trace, and its retention starts now.

use super::catalogue::{Folder, Row};
use super::marks::{Found, Marks};
use super::trees::{Trees, address_of, modified};
use super::{Cache, Clock, Half, Reach, Store, Tree, Views};
use crate::base::{Context, Fault, UidRanges};
use crate::disk::Disk;
use crate::mail::name::Base;
use crate::mail::{Kept, Name};
use std::collections::HashMap;
use std::fs::{DirEntry, File};
use std::io::Read;
use std::path::{Path, PathBuf};
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

/// A file as a listing shows it.
pub(super) struct Seen {
    pub kept: Kept,
    pub half: Half,
    pub name: Name,
    pub path: PathBuf,
    pub tree: Arc<Tree>,
}

/// What start-up has listed.
struct Listing {
    /// UIDs from this one on were never given.
    believed: u32,
    /// An empty folder: it knows which names a row can hold.
    blank: Folder,
    /// Files whose names a row can hold: nearly all, and 72 bytes each.
    plain: Vec<(Kept, Row)>,
    /// All others.
    odd: Vec<Seen>,
}

impl Listing {
    fn take(&mut self, file: Seen) {
        let name = &file.name;
        match name.uid.filter(|&uid| uid < self.believed && self.blank.is_plain(name) && file.is_called(name)) {
            Some(uid) => {
                let size = name.size_on_wire().unwrap_or(0);
                let row = Row::of(name, uid, file.tree.id, file.tree.domain, size, file.half, 0);
                self.plain.push((file.kept, row));
            }
            None => self.odd.push(file),
        }
    }

    fn highest(&self) -> u32 {
        let plain = self.plain.iter().map(|(_, row)| row.uid).max().unwrap_or(0);
        let odd = self.odd.iter().filter_map(|f| f.name.uid).filter(|&u| u < self.believed).max().unwrap_or(0);
        plain.max(odd)
    }
}

impl Seen {
    /// The name on disk. Other programs may write what we would spell differently (flags in another order).
    pub(super) fn called(&self) -> &str {
        self.path.file_name().and_then(|n| n.to_str()).unwrap_or_default()
    }

    /// Whether the name on disk is the one that we would write.
    pub(super) fn is_called(&self, name: &Name) -> bool {
        self.called() == name.to_string()
    }
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
        let mut trees = Trees::default();
        // Without marks of our own, whatever the names say is the best that is known.
        let believed = if found == Found::New { u32::MAX / 2 } else { marks.next_uid() };
        let mut files = Listing { believed, blank: Folder::new(&host), plain: Vec::new(), odd: Vec::new() };
        list_all(&disk, &mail, &mut trees, &mut files, &mut report)?;
        let highest = files.highest();
        let marks = if highest >= marks.next_uid() { Marks::open(&disk, highest, clock())?.0 } else { marks };
        report.trees = trees.iter().count();
        let store = Store {
            cache: Cache::new(&disk),
            disk,
            mail,
            host: host.as_str().into(),
            pid,
            count: AtomicU32::new(0),
            clock,
            entry: Mutex::new(()),
            making: Mutex::new(()),
            views: Views::new(marks.next_uid()),
            marks: Mutex::new(marks),
            trees: RwLock::new(trees),
            folders: std::array::from_fn(|_| RwLock::new(Folder::new(&host))),
            seen: Mutex::default(),
        };
        store.fill(files, &mut report)?;
        Ok((store, report))
    }

    /// Puts the listed files into the catalogue.
    fn fill(&self, mut files: Listing, report: &mut Report) -> Result<(), Fault> {
        self.drop_plain_doubles(&mut files, report)?;
        self.drop_doubles(&mut files.odd, report)?;
        files.plain.sort_unstable_by_key(|(_, row)| row.uid);
        files.odd.sort_by_key(|f| f.name.uid.unwrap_or(u32::MAX));
        let modseq = self.marks().last_modseq();
        let mut last = 0;
        let mut foreign = Vec::new();
        let mut odd = files.odd.into_iter().peekable();
        let mut plain = files.plain.into_iter().peekable();
        loop {
            let is_odd = match (odd.peek(), plain.peek()) {
                (Some(odd), Some((_, row))) => odd.name.uid.is_some_and(|uid| uid < row.uid),
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => break,
            };
            if is_odd {
                let Some(file) = odd.next() else { break };
                let Some(uid) = file.name.uid.filter(|&u| u < files.believed && u > last && file.name.size.is_some())
                else {
                    foreign.push(file);
                    continue;
                };
                last = uid;
                if !file.is_called(&file.name) {
                    self.disk.rename(&file.path, &file.path.with_file_name(file.name.to_string()))?;
                }
                let size = file.name.size_on_wire().unwrap_or(0);
                let row = Row::of(&file.name, uid, file.tree.id, file.tree.domain, size, file.half, modseq);
                self.folder_mut(file.kept).push(row, &file.name);
            } else {
                let Some((kept, row)) = plain.next() else { break };
                let name = files.blank.name(&row);
                if row.uid == last {
                    // Somebody copied it: the second of two with one UID is a message of its own.
                    foreign.extend(self.seen(kept, &row, name));
                    continue;
                }
                last = row.uid;
                self.folder_mut(kept).push(Row { modseq, ..row }, &name);
            }
            report.messages += 1;
        }
        for file in foreign {
            match self.adopt(&file) {
                Ok(()) => {
                    report.adopted += 1;
                    report.messages += 1;
                }
                Err(fault) => report.odd.push(fault.to_string()),
            }
        }
        Ok(())
    }

    /// A file as a listing shows it, from its row.
    fn seen(&self, kept: Kept, row: &Row, name: Name) -> Option<Seen> {
        let tree = self.tree_by_id(row.tree)?;
        let path = tree.half(kept, row.half).join(name.to_string());
        Some(Seen { kept, half: row.half, name, path, tree })
    }

    /// As [`Store::drop_doubles`], for the many rows without anything special.
    fn drop_plain_doubles(&self, files: &mut Listing, report: &mut Report) -> Result<(), Fault> {
        files.plain.sort_unstable_by_key(|(_, row)| (row.tree, row.stamp));
        // A rename that changed what a row cannot hold may be half done: those are looked at with the odd ones.
        let odd = files.odd.iter().filter_map(|f| match f.name.base {
            Base::Ours(stamp, _) => Some((f.tree.id, stamp)),
            Base::Foreign(_) => None,
        });
        for key in odd.collect::<Vec<_>>() {
            while let Ok(at) = files.plain.binary_search_by_key(&key, |(_, row)| (row.tree, row.stamp)) {
                let (kept, row) = files.plain.remove(at);
                files.odd.extend(self.seen(kept, &row, files.blank.name(&row)));
            }
        }
        let same_id = |a: &(Kept, Row), b: &(Kept, Row)| (a.1.tree, a.1.stamp) == (b.1.tree, b.1.stamp);
        let mut at = 1;
        while let (Some(a), Some(b)) = (files.plain.get(at - 1), files.plain.get(at)) {
            if !same_id(a, b) {
                at += 1;
                continue;
            }
            let pair = [a, b].map(|(kept, row)| self.seen(*kept, row, files.blank.name(row)));
            let mut pair: Vec<Seen> = pair.into_iter().flatten().collect();
            let before = report.doubles;
            self.drop_doubles(&mut pair, report)?;
            match pair.first() {
                // One stays: the other's row goes.
                Some(stays) if report.doubles > before => {
                    let first_stays = stays.kept == a.0 && stays.half == a.1.half && stays.name.uid == Some(a.1.uid);
                    files.plain.remove(if first_stays { at } else { at - 1 });
                }
                _ => at += 1,
            }
        }
        Ok(())
    }

    /// A rename between two directories may be half done after a crash: both names are there, of one file. The newer one
    /// stays: the one with the higher UID, or in `cur/`.
    fn drop_doubles(&self, files: &mut Vec<Seen>, report: &mut Report) -> Result<(), Fault> {
        use std::os::unix::fs::MetadataExt;
        let mut by_id: HashMap<(u32, &Base), usize> = HashMap::new();
        let mut dropped = Vec::new();
        for (i, file) in files.iter().enumerate() {
            let Some(first) = by_id.insert((file.tree.id.0, &file.name.base), i) else { continue };
            let Some(other) = files.get(first) else { continue };
            let same = |a: &Path, b: &Path| Some(std::fs::metadata(a).ok()?.ino() == std::fs::metadata(b).ok()?.ino());
            if same(&file.path, &other.path) != Some(true) {
                continue;
            }
            let age = |f: &Seen| (f.name.uid, f.half == Half::Cur);
            let older = if age(file) > age(other) { first } else { i };
            if older == i {
                by_id.insert((file.tree.id.0, &file.name.base), first);
            }
            dropped.push(older);
        }
        dropped.sort_unstable();
        for &i in dropped.iter().rev() {
            let file = files.swap_remove(i);
            self.disk.unlink(&file.path)?;
            self.disk.sync_dir(file.path.parent().unwrap_or(&file.tree.path))?;
            report.doubles += 1;
        }
        Ok(())
    }

    /// Gives a foreign file a UID, and the name that says what it is.
    pub(super) fn adopt(&self, file: &Seen) -> Result<(), Fault> {
        let mut name = file.name.clone();
        let ours = matches!(&name.base, Base::Ours(_, host) if **host == *self.host) && name.size.is_some();
        if !ours {
            let (size, wire) = measure(&file.path)?;
            // Only this store writes traces; a name from elsewhere cannot claim one.
            name = Name {
                size: Some(size),
                wire_size: (wire != size).then_some(wire),
                flags: name.flags,
                ..Name::new(name.base, size)
            };
            name.retain_from = Some(self.now().secs());
            (name.class, name.kind) = (class_of(file.kept), Default::default());
            if name.base.secs().is_none() {
                name.base = self.new_base();
            }
        }
        if file.half == Half::Cur && name.flags.is_none() {
            name.flags = Some(Default::default());
        }
        self.rename_into(file, name)
    }
}

fn class_of(kept: Kept) -> crate::mail::Class {
    crate::mail::Class::ALL.into_iter().find(|c| c.folder() == kept).unwrap_or_default()
}

/// A file's size, and its size with CRLF line ends.
fn measure(path: &Path) -> Result<(u64, u64), Fault> {
    use std::os::unix::fs::MetadataExt;
    let mut file = File::open(path).during("open", path)?;
    let meta = file.metadata().during("look at", path)?;
    if !meta.is_file() {
        return Err(Fault::new("adopt", path, std::io::Error::other("it is not a regular file")));
    }
    let (mut size, mut wire, mut last) = (0, 0, 0u8);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = file.read(&mut buffer).during("read", path)?;
        let Some(bytes) = buffer.get(..n).filter(|b| !b.is_empty()) else { break };
        size += n as u64;
        let mut bare = 0;
        for at in memchr::memchr_iter(b'\n', bytes) {
            let before = at.checked_sub(1).and_then(|i| bytes.get(i)).copied().unwrap_or(last);
            bare += u64::from(before != b'\r');
        }
        wire += n as u64 + bare;
        last = bytes.last().copied().unwrap_or(last);
    }
    debug_assert!(size == meta.size() || size > 0);
    Ok((size, wire))
}

fn list_all(
    disk: &Disk,
    mail: &Path,
    trees: &mut Trees,
    files: &mut Listing,
    report: &mut Report,
) -> Result<(), Fault> {
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
                    list_tree(&tree, kept, files, report)?;
                    report.swept += sweep_tmp(disk, &tree.tmp(kept))?;
                }
            }
        }
    }
    Ok(())
}

fn list_tree(tree: &Arc<Tree>, kept: Kept, files: &mut Listing, report: &mut Report) -> Result<(), Fault> {
    for half in [Half::New, Half::Cur] {
        let directory = tree.half(kept, half);
        // Before the listing, so that what comes during it is seen by the next look.
        tree.set_time(kept, half, modified(&directory));
        list_half(tree, kept, half, |file| files.take(file), &mut report.odd)?;
    }
    Ok(())
}

/// Lists one half of a Maildir folder. What is not a regular file with a name that can be read goes to `odd`.
pub(super) fn list_half(
    tree: &Arc<Tree>,
    kept: Kept,
    half: Half,
    mut take: impl FnMut(Seen),
    odd: &mut Vec<String>,
) -> Result<(), Fault> {
    let directory = tree.half(kept, half);
    let list = match std::fs::read_dir(&directory) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        list => list.during("list", &directory)?,
    };
    for entry in list {
        let entry = entry.during("list", &directory)?;
        let path = entry.path();
        let name = entry.file_name().to_str().and_then(Name::parse);
        let regular = entry.file_type().is_ok_and(|t| t.is_file());
        match name {
            Some(name) if regular => take(Seen { kept, half, name, path, tree: tree.clone() }),
            _ if entry.file_name().as_encoded_bytes().starts_with(b".") => {}
            _ => odd.push(format!("{}: not a message (a regular file with a Maildir name is)", path.display())),
        }
    }
    Ok(())
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
    use crate::mail::Address;

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
                assert_eq!((row.size, folder.arrival(row)), (14, 1_600_000_000));
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
