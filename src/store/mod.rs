//! The store: one Maildir tree a recipient, and in memory what is needed to answer without opening files.
//!
//! # On-disk states of a message
//!
//! | state | where | how it got there | after a crash |
//! |---|---|---|---|
//! | A | `…/<folder>/tmp/<name>` | created, written, synced | removed at start: nobody was told of it |
//! | B | `…/<folder>/new/<name>` with `U=` | renamed from A under the store lock | kept: it may be there without having been acknowledged |
//! | C | as B, and `new/` was synced | | kept: it may have been acknowledged |
//! | D | `…/<folder>/cur/<name>:2,<flags>` | renamed from B, C or D when a flag changed | either name is found; a flag may be lost, the message never |
//! | E | in another folder under a new `U=` | renamed from B–D; the target is synced, then the source | found in one of the two, or in both with the same id: the lower UID is removed at start |
//! | F | `queue/orders/…` | renamed or linked by the queue; synced before the asker is told | see `queue` |
//! | – | gone | unlinked | may be there again after a power failure until the directory was synced |
//!
//! A message is acknowledged in state C only. A file in `new/` or `cur/` without a believable `U=` is adopted:
//! see `store/adopt.rs`.
//!
//! Locks, in the order in which they may be taken: `entry` (giving a UID and publishing it is one step), one folder, then
//! any of the leaves: trees, views, marks, seen. None is held while a peer is waited for, nor during an fsync, except that
//! the marks sync once in 8,192 UIDs or ten minutes and at a stop, and that a flag change which moves a file out of a
//! `new/` waits for a sync of that directory that is under way (`disk/ties.rs`).
//!
//! A MODSEQ is taken while the folder is locked for writing, so whoever read the folder's MODSEQ has seen every change up
//! to it.

mod adopt;
pub mod cache;
pub mod catalogue;
mod change;
mod changes;
mod halves;
mod history;
pub mod journal;
mod listing;
pub mod lists;
pub mod marks;
mod noted;
pub mod passwd;
mod place;
pub mod repeats;
pub mod scan;
pub mod seen;
mod served;
pub mod subscriptions;
mod sweep;
mod tally;
#[cfg(test)]
pub mod testing;
pub mod trees;
pub mod views;
mod waking;

pub use cache::Cache;
pub use catalogue::{Folder, Row, Spelling};
pub use change::{Flagged, Flagging, Located};
pub use place::{Placed, dovecot_keywords};
pub use served::{Served, Serving};
pub use tally::Tally;
pub use trees::{DomainId, Half, Tree, TreeId};
pub use views::{Reach, Sight, View, ViewCell, Views};
pub use waking::Waking;

use crate::base::{Context, Fault, Flags, Form, Timestamp, UidRanges, limits};
use crate::disk::Disk;
use crate::mail::{Address, Kept, Name};
use marks::Marks;
use seen::{Look, SeenSet};
use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use trees::Trees;

/// The time, from outside: the store reads no clock of its own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The store. One process, one of it: the caller holds the data directory's lock.
pub struct Store {
    disk: Disk,
    mail: PathBuf,
    host: Box<str>,
    pid: u32,
    count: AtomicU32,
    clock: Clock,
    entry: Mutex<()>,
    /// Held while a folder's directories are made.
    making: Mutex<()>,
    marks: Mutex<Marks>,
    trees: RwLock<Trees>,
    folders: [RwLock<Folder>; 4],
    views: Views,
    seen: Mutex<HashMap<(Reach, Kept), Arc<SeenSet>>>,
    served: Served,
    cache: Cache,
    headers: Cache,
    fields: Cache,
    texts: Cache,
}

/// A message that is open for reading. It stays readable when it is removed meanwhile.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Its row when it was opened; `flags` as the account sees them.
    pub row: Row,
    /// Its name when it was opened.
    pub name: Name,
    /// Its bytes.
    pub file: Arc<File>,
    /// How its lines end.
    pub form: Form,
}

impl Store {
    /// The data directory's files.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Who is served now.
    pub fn served(&self) -> &Served {
        &self.served
    }

    /// What was learned from parsing messages.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Their header blocks.
    pub fn headers(&self) -> &Cache {
        &self.headers
    }

    /// The header fields that most searches look at.
    pub fn fields(&self) -> &Cache {
        &self.fields
    }

    /// What tells which texts a message cannot hold.
    pub fn texts(&self) -> &Cache {
        &self.texts
    }

    /// All of them; those first that are read in the shortest time.
    pub fn caches(&self) -> [&Cache; 4] {
        [&self.fields, &self.headers, &self.cache, &self.texts]
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The host in the names that this store makes.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// UIDVALIDITY of every folder.
    pub fn uid_validity(&self) -> u32 {
        self.marks().uid_validity()
    }

    /// How long the data directory had not been used when it was opened, as far as the clock can be believed.
    pub fn idle(&self) -> std::time::Duration {
        self.marks().idle()
    }

    /// Makes the marks exact and writes down when what changed. Nothing should be stored afterwards.
    pub fn close(&self) -> Result<(), Fault> {
        // Nothing changes between the one and the other.
        let _entry = self.entry();
        let [caught, outgoing, training, trash] = Kept::ALL.map(|kept| self.folder(kept));
        let history = self.views.history(|history| history.clone());
        let changes = changes::write(&self.disk, history, &self.trees(), [&caught, &outgoing, &training, &trash]);
        self.marks().close(changes.as_ref().ok().copied())?;
        changes.map(|_| ())
    }

    /// The tree of a resolved, lower-case address, if it has had mail.
    pub fn tree(&self, address: &Address) -> Option<Arc<Tree>> {
        let trees = self.trees();
        trees.find(address).and_then(|id| trees.get(id)).cloned()
    }

    /// The tree of a resolved, lower-case address; its number is given now if it has none, and nothing touches the disk.
    pub fn tree_for(&self, address: &Address) -> Result<Arc<Tree>, Fault> {
        if let Some(tree) = self.tree(address) {
            return Ok(tree);
        }
        let mut trees = self.trees.write().unwrap_or_else(PoisonError::into_inner);
        trees
            .intern(&self.mail, address)
            .ok_or_else(|| std::io::Error::other("the address is too long for a file name"))
            .during(&format!("make a tree for {address} in"), &self.mail)
    }

    /// The tree with this number.
    pub fn tree_by_id(&self, id: TreeId) -> Option<Arc<Tree>> {
        self.trees().get(id).cloned()
    }

    /// A domain's number, given now if it has none.
    pub fn domain(&self, name: &str) -> DomainId {
        if let Some(id) = self.trees().domain(name) {
            return id;
        }
        self.trees.write().unwrap_or_else(PoisonError::into_inner).intern_domain(name)
    }

    /// A domain's number, if it has one.
    pub fn known_domain(&self, name: &str) -> Option<DomainId> {
        self.trees().domain(name)
    }

    /// Whether a folder holds messages within a reach, or has held some since the start.
    pub fn is_held(&self, reach: Reach, kept: Kept) -> bool {
        self.trees().iter().any(|tree| tree.has_held(kept) && reach.holds(tree.id, tree.domain))
    }

    /// The trees that hold messages in a folder, or have held some since the start; within a reach.
    pub fn holders(&self, reach: Reach, kept: Kept) -> Vec<Arc<Tree>> {
        self.trees().iter().filter(|t| t.has_held(kept) && reach.holds(t.id, t.domain)).cloned().collect()
    }

    /// What is seen of a folder, kept up to date while somebody holds it.
    pub fn view(&self, sight: impl Into<Sight>, kept: Kept) -> Arc<ViewCell> {
        let sight = sight.into();
        if sight.is_whole() {
            let folder = self.folder(kept);
            return self.views.whole(sight.reach, kept, &folder);
        }
        if let Some(cell) = self.views.narrow(sight, kept) {
            return cell;
        }
        let mut others: Vec<Reach> = Vec::new();
        for tree in self.holders(sight.eye, kept).iter().take(limits::CHILD_FOLDERS) {
            others.extend([Reach::Domain(tree.domain), Reach::Tree(tree.id)].iter().filter(|r| **r != sight.eye));
        }
        let seen = self.seen_set(sight.eye, kept);
        let folder = self.folder(kept);
        self.views.make_narrow(sight, others, kept, &folder, seen.as_deref())
    }

    /// Those who wait for a change of what is seen and were not woken yet.
    pub fn waking(&self) -> &Waking {
        self.views.waking()
    }

    /// Calls `each` with every row within the ranges that is seen, ascending, while it says to go on. Flags are as the
    /// account sees them. `each` must be quick and take no lock: the folder is locked, and a wide scope's `\Seen`.
    pub fn rows(
        &self,
        sight: impl Into<Sight>,
        kept: Kept,
        uids: &UidRanges,
        mut each: impl FnMut(&Row, &Folder) -> bool,
    ) {
        let Sight { reach, eye } = sight.into();
        let seen = self.seen_set(eye, kept);
        let folder = self.folder(kept);
        let seen = seen.as_deref().map(SeenSet::look);
        for (low, high) in uids.iter() {
            for row in folder.iter_from(low).take_while(|r| r.uid <= high).filter(|r| reach.covers(r)) {
                let goes_on = match &seen {
                    Some(seen) => each(&seen_row(row, Some(seen)), &folder),
                    None => each(row, &folder),
                };
                if !goes_on {
                    return;
                }
            }
        }
    }

    /// The row with this UID, if it is seen.
    pub fn row(&self, sight: impl Into<Sight>, kept: Kept, uid: u32) -> Option<Row> {
        let mut found = None;
        self.rows(sight, kept, &UidRanges::one(uid, uid), |row, _| {
            found = Some(*row);
            false
        });
        found
    }

    /// Calls `each` with every row of a folder, of all trees and flags as they are shared, descending, while it says to go on.
    /// `each` must be quick: the folder is locked.
    pub fn newest_rows(&self, kept: Kept, mut each: impl FnMut(&Row) -> bool) {
        let folder = self.folder(kept);
        for row in folder.newest() {
            if !each(row) {
                return;
            }
        }
    }

    /// Calls `each` with every row of a folder, of all trees and flags as they are shared, ascending. `each` must be quick:
    /// the folder is locked.
    pub fn shared_rows(&self, kept: Kept, mut each: impl FnMut(&Row, &Folder)) {
        let folder = self.folder(kept);
        folder.iter().for_each(|row| each(row, &folder));
    }

    /// Rows that are seen and changed after `modseq`, ascending; flags as the account sees them.
    pub fn changed_since(&self, sight: impl Into<Sight>, kept: Kept, modseq: u64) -> Vec<Row> {
        let Sight { reach, eye } = sight.into();
        let seen = self.seen_set(eye, kept);
        let own = seen.as_ref().map(|s| s.changed_since(modseq)).unwrap_or_default();
        let folder = self.folder(kept);
        let seen = seen.as_deref().map(SeenSet::look);
        let mut rows: Vec<Row> =
            folder.changed_since(modseq).filter(|r| reach.covers(r)).map(|r| seen_row(r, seen.as_ref())).collect();
        for (&uid, &at) in &own {
            match rows.binary_search_by_key(&uid, |r| r.uid) {
                Ok(i) => {
                    if let Some(row) = rows.get_mut(i) {
                        row.modseq = row.modseq.max(at);
                    }
                }
                Err(i) => {
                    if let Some(row) = folder.get(uid).filter(|r| reach.covers(r)) {
                        rows.insert(i, Row { modseq: at, ..seen_row(row, seen.as_ref()) });
                    }
                }
            }
        }
        rows
    }

    /// Those of `known` that left a folder after `since`; more may be named that are not in it, never fewer.
    pub fn vanished_since(&self, sight: impl Into<Sight>, kept: Kept, since: u64, known: &UidRanges) -> UidRanges {
        let sight = sight.into();
        let cell = self.view(sight, kept);
        let _folder = self.folder(kept);
        if let Some(gone) = self.views.history(|history| history.vanished_since(sight.reach, kept, since, known)) {
            return gone;
        }
        // RFC 7162 3.2.5.1: what was never there may be named, too, below UIDNEXT.
        let view = cell.view();
        let mut gone = UidRanges::new();
        for (low, high) in known.iter() {
            let (mut from, high) = (low, high.min(view.uid_next.saturating_sub(1)));
            for uid in view.list.iter_from(low).take_while(|&uid| uid <= high) {
                if from < uid {
                    gone.add(from, uid - 1);
                }
                from = uid.saturating_add(1);
            }
            if from <= high {
                gone.add(from, high);
            }
        }
        gone
    }

    /// Messages within a view that are not `\Seen`, as the account sees them.
    pub fn unseen(&self, sight: impl Into<Sight>, kept: Kept, view: &View) -> u32 {
        let sight = sight.into();
        match self.seen_set(sight.eye, kept) {
            Some(seen) if sight.is_whole() => view.list.len().saturating_sub(seen.count()),
            Some(seen) => view.list.len().saturating_sub(seen.count_in(&view.list)),
            None => view.unseen,
        }
    }

    /// Opens a message. `None`: it is gone.
    pub fn open_message(&self, sight: impl Into<Sight>, kept: Kept, uid: u32) -> Result<Option<Opened>, Fault> {
        let Sight { reach, eye } = sight.into();
        // A flag may change its name between the look and the open; more than a few times in a row it does not.
        for attempt in 0..4 {
            let Some(located) = self.locate(kept, uid) else { return Ok(None) };
            if !reach.covers(&located.row) {
                return Ok(None);
            }
            match File::open(&located.path) {
                Ok(file) => {
                    let seen = self.seen_set(eye, kept);
                    let form = if located.name.wire_size.is_some() { Form::Lf } else { Form::Crlf };
                    let row = seen_row(&located.row, seen.as_deref().map(SeenSet::look).as_ref());
                    return Ok(Some(Opened { row, name: located.name, file: Arc::new(file), form }));
                }
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                    if attempt > 0 {
                        self.reread(&located.tree, kept)?;
                    }
                }
                Err(e) => return Err(Fault::new("open", located.path, e)),
            }
        }
        Ok(None)
    }

    /// Whether a folder holds any message, of whomever.
    pub fn is_used(&self, kept: Kept) -> bool {
        !self.folder(kept).is_empty()
    }

    /// Views that no session holds are dropped; called now and then.
    pub fn drop_unused_views(&self) {
        self.views.drop_unused();
    }

    /// The `\Seen` of a wide reach.
    fn seen_set(&self, reach: Reach, kept: Kept) -> Option<Arc<SeenSet>> {
        if !reach.is_wide() {
            return None;
        }
        if let Some(set) = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&(reach, kept)) {
            return Some(set.clone());
        }
        let scope = match reach {
            Reach::Domain(id) => self.domain_name(id)?,
            _ => "global".to_string(),
        };
        // Whoever asks looks at all of it as a rule: no list is made for this alone.
        let list = self.view(reach, kept).view().list;
        let newest = self.marks().last_modseq();
        let set = SeenSet::open(&self.disk, &scope, kept.directory(), &list, newest);
        let set = Arc::new(set.inspect_err(|e| log::warn!("what {scope} has seen is lost: {e}")).ok()?);
        let mut sets = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Some(sets.entry((reach, kept)).or_insert(set).clone())
    }

    fn domain_name(&self, id: DomainId) -> Option<String> {
        let trees = self.trees();
        let tree = trees.iter().find(|t| t.domain == id)?;
        tree.address.directories().map(|(domain, _)| domain)
    }

    fn entry(&self) -> MutexGuard<'_, ()> {
        self.entry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trees(&self) -> RwLockReadGuard<'_, Trees> {
        self.trees.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self, kept: Kept) -> RwLockReadGuard<'_, Folder> {
        self.lock_of(kept).read().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder_mut(&self, kept: Kept) -> RwLockWriteGuard<'_, Folder> {
        self.lock_of(kept).write().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_of(&self, kept: Kept) -> &RwLock<Folder> {
        // `Kept::index` is below 4 by its definition.
        &self.folders[kept.index()]
    }
}

/// A row with `\Seen` as a wide reach has it, and when that changed.
fn seen_row(row: &Row, seen: Option<&Look<'_>>) -> Row {
    match seen {
        None => *row,
        Some(set) => {
            let (seen, changed) = set.of(row.uid);
            let own = if seen { Flags::SEEN } else { Flags::NONE };
            Row { flags: row.flags.without(Flags::SEEN) | own, modseq: row.modseq.max(changed), ..*row }
        }
    }
}
