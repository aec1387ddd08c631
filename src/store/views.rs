//! Views: what one scope sees of one kept folder. The UIDs in order, and what STATUS tells, kept up to date with every
//! change, so that opening a mailbox of 100,000 messages costs a reference.
//!
//! A view changes only while the folder's lock is held for writing, so it never disagrees with the catalogue for longer
//! than that. Sessions keep the [`UidList`] that they last told their client and compare.

use super::catalogue::{Folder, Row};
use super::history::{Figures, History, Removal};
use super::seen::SeenSet;
use super::trees::{DomainId, TreeId};
use super::waking::Waking;
use crate::base::{Flags, UidList, UidRanges};
use crate::mail::Kept;
use event_listener::{Event, EventListener};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// How far a view reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// The whole store.
    All,
    /// One domain.
    Domain(DomainId),
    /// One recipient.
    Tree(TreeId),
}

impl Reach {
    /// Those that a message of a tree is within.
    pub fn of(tree: TreeId, domain: DomainId) -> [Reach; 3] {
        [Reach::All, Reach::Domain(domain), Reach::Tree(tree)]
    }

    /// Whether the messages of a tree are within it.
    pub fn holds(self, tree: TreeId, domain: DomainId) -> bool {
        match self {
            Reach::All => true,
            Reach::Domain(id) => domain == id,
            Reach::Tree(id) => tree == id,
        }
    }

    /// Whether a message is within it.
    pub fn covers(self, row: &Row) -> bool {
        self.holds(row.tree, row.domain)
    }

    /// Whether it is wider than one recipient: it then has a `\Seen` of its own.
    pub fn is_wide(self) -> bool {
        !matches!(self, Reach::Tree(_))
    }
}

/// What is looked at, and whose look it is: an account sees all that it reaches, or, through a narrower folder, less of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sight {
    /// The messages.
    pub reach: Reach,
    /// How far the account reaches whose look it is: its `\Seen` is shown and changed.
    pub eye: Reach,
}

impl From<Reach> for Sight {
    /// All that an account sees.
    fn from(reach: Reach) -> Sight {
        Sight { reach, eye: reach }
    }
}

impl Sight {
    /// Those that show a message of a tree.
    fn of(tree: TreeId, domain: DomainId) -> [Sight; 6] {
        let [all, domain, tree] = Reach::of(tree, domain);
        let narrow = |reach, eye| Sight { reach, eye };
        [all.into(), domain.into(), tree.into(), narrow(domain, all), narrow(tree, all), narrow(tree, domain)]
    }

    /// Whether it is all that the account sees.
    pub fn is_whole(self) -> bool {
        self.reach == self.eye
    }
}

/// A view at one moment.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Its messages.
    pub list: UidList,
    /// UIDNEXT: above every UID that was ever in it.
    pub uid_next: u32,
    /// HIGHESTMODSEQ.
    pub modseq: u64,
    /// Messages without `\Seen` in their names.
    pub unseen: u32,
    /// Messages with `\Deleted`.
    pub deleted: u32,
    /// Their bytes in wire form.
    pub bytes: u64,
}

impl View {
    /// A message that is above all others.
    fn enter(&mut self, row: &Row) {
        self.list.push(row.uid);
        self.uid_next = self.uid_next.max(row.uid.saturating_add(1));
        self.modseq = self.modseq.max(row.modseq);
        self.unseen += u32::from(!row.flags.has(Flags::SEEN));
        self.deleted += u32::from(row.flags.has(Flags::DELETED));
        self.bytes = self.bytes.saturating_add(row.size);
    }
}

/// A view that is kept up to date.
pub struct ViewCell {
    state: RwLock<View>,
    changed: Event,
    /// Every UID below was told to some session that may write: it is not `\Recent` to others.
    told: AtomicU32,
    /// Somebody wanted to see it since other programs' changes were last looked for: he would not see them if he asks for
    /// one folder after the other.
    asked: AtomicBool,
}

impl ViewCell {
    /// The view now. Cheap.
    pub fn view(&self) -> View {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Completes soon after the next change after this call (see [`Waking`]).
    pub fn listen(&self) -> EventListener {
        self.changed.listen()
    }

    /// Marks everything below `uid_next` as told and returns the first UID that was not: those from there on are
    /// `\Recent` to the caller (RFC 3501 2.3.2).
    pub fn tell(&self, uid_next: u32) -> u32 {
        self.told.fetch_max(uid_next, Ordering::AcqRel)
    }

    /// The first UID that nobody was told of.
    pub fn told(&self) -> u32 {
        self.told.load(Ordering::Acquire)
    }

    /// How many wait for a change.
    pub(super) fn waiting(&self) -> usize {
        self.changed.total_listeners()
    }

    /// Wakes so many of them, besides those that were woken before: who has waited longest is first.
    pub(super) fn wake(&self, count: usize) {
        self.changed.notify_additional(count);
    }

    /// Notes that somebody wants to see it.
    fn asked(self: Arc<Self>) -> Arc<Self> {
        self.asked.store(true, Ordering::Release);
        self
    }

    fn change(&self, change: impl FnOnce(&mut View)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// All views.
pub struct Views {
    state: Mutex<State>,
    waking: Arc<Waking>,
    /// UIDs below were given before this process started.
    first_uid: u32,
}

struct State {
    /// Those that somebody uses.
    cells: HashMap<(Sight, Kept), Arc<ViewCell>>,
    history: History,
    waking: Arc<Waking>,
}

impl Views {
    /// No views yet; the next UID is `first_uid`.
    pub fn new(first_uid: u32, history: History) -> Views {
        let waking = Arc::new(Waking::default());
        let state = State { cells: HashMap::new(), history, waking: waking.clone() };
        Views { state: Mutex::new(state), waking, first_uid }
    }

    /// The view of all that an account sees of a folder, made if it is not there. The caller holds the folder's lock.
    pub fn whole(&self, reach: Reach, kept: Kept, folder: &Folder) -> Arc<ViewCell> {
        let mut state = self.state();
        if let Some(cell) = state.asked_for(reach.into(), kept) {
            return cell;
        }
        let mut view = View::default();
        folder.iter().filter(|row| reach.covers(row)).for_each(|row| view.enter(row));
        self.publish(&mut state, reach.into(), kept, view).asked()
    }

    /// The view of less, if it was made.
    pub fn narrow(&self, sight: Sight, kept: Kept) -> Option<Arc<ViewCell>> {
        self.state().asked_for(sight, kept)
    }

    /// Makes it, and those of what else the same account may look at one by one: a client that wants the figures of one
    /// wants those of all, and one pass over the folder makes them. `seen` is the account's. The caller holds the folder's
    /// lock.
    pub fn make_narrow(
        &self,
        sight: Sight,
        others: Vec<Reach>,
        kept: Kept,
        folder: &Folder,
        seen: Option<&SeenSet>,
    ) -> Arc<ViewCell> {
        let reaches = others.into_iter().chain([sight.reach]);
        let mut views: HashMap<Reach, View> = reaches.map(|reach| (reach, View::default())).collect();
        let changed = seen.map(|seen| seen.changed_since(0)).unwrap_or_default();
        for row in folder.iter().filter(|row| sight.eye.covers(row)) {
            // Its HIGHESTMODSEQ is not remembered: a message that left has raised that of what is reached.
            let modseq = changed.get(&row.uid).copied().unwrap_or(0);
            for reach in Reach::of(row.tree, row.domain) {
                if let Some(view) = views.get_mut(&reach) {
                    view.enter(row);
                    view.modseq = view.modseq.max(modseq);
                }
            }
        }
        let mut state = self.state();
        let wanted = views.remove(&sight.reach).unwrap_or_default();
        for (reach, view) in views {
            self.publish(&mut state, Sight { reach, ..sight }, kept, view);
        }
        self.publish(&mut state, sight, kept, wanted).asked()
    }

    fn publish(&self, state: &mut State, sight: Sight, kept: Kept, mut view: View) -> Arc<ViewCell> {
        let Figures { uid_next, modseq } = state.history.of(sight.reach, kept);
        (view.uid_next, view.modseq) = (view.uid_next.max(uid_next), view.modseq.max(modseq));
        let told = self.first_uid;
        let cell = || {
            let (state, changed) = (RwLock::new(view), Event::new());
            Arc::new(ViewCell { state, changed, told: AtomicU32::new(told), asked: AtomicBool::new(false) })
        };
        state.cells.entry((sight, kept)).or_insert_with(cell).clone()
    }

    /// Rows entered: called under the folder's write lock, rows ascending and above all others.
    pub fn added(&self, kept: Kept, rows: &[Row]) {
        let mut state = self.state();
        rows.iter().for_each(|row| state.history.note(kept, row));
        state.each(kept, rows, |row| row, |_| true, |view, rows| rows.iter().for_each(|row| view.enter(row)));
    }

    /// Rows left: called under the folder's write lock.
    pub fn removed(&self, kept: Kept, rows: &[Row], modseq: u64) {
        let mut state = self.state();
        for &Row { uid, tree, domain, .. } in rows {
            state.history.remove(kept, Removal { modseq, uid, tree, domain });
        }
        state.each(
            kept,
            rows,
            |row| row,
            |_| true,
            |view, rows| {
                let gone: UidRanges = rows.iter().map(|row| row.uid).collect();
                view.list.remove(&gone, |_| true);
                view.modseq = view.modseq.max(modseq);
                for row in rows {
                    view.unseen = view.unseen.saturating_sub(u32::from(!row.flags.has(Flags::SEEN)));
                    view.deleted = view.deleted.saturating_sub(u32::from(row.flags.has(Flags::DELETED)));
                    view.bytes = view.bytes.saturating_sub(row.size);
                }
            },
        );
    }

    /// Flags of rows changed (before, after): called under the folder's write lock.
    pub fn flagged(&self, kept: Kept, changes: &[(Flags, Row)]) {
        let mut state = self.state();
        changes.iter().for_each(|(_, row)| state.history.note(kept, row));
        state.each(
            kept,
            changes,
            |(_, row)| row,
            |_| true,
            |view, changes| {
                for (old, row) in changes {
                    view.modseq = view.modseq.max(row.modseq);
                    let swing =
                        |count: u32, was: bool, is: bool| (count + u32::from(is)).saturating_sub(u32::from(was));
                    view.unseen = swing(view.unseen, !old.has(Flags::SEEN), !row.flags.has(Flags::SEEN));
                    view.deleted = swing(view.deleted, old.has(Flags::DELETED), row.flags.has(Flags::DELETED));
                }
            },
        );
    }

    /// Something of these rows that only one account is shown has changed: its own `\Seen`.
    pub fn touched(&self, eye: Reach, kept: Kept, rows: &[Row], modseq: u64) {
        let mut state = self.state();
        state.history.raise(eye, kept, Figures { uid_next: 0, modseq });
        state.each(kept, rows, |row| row, |sight| sight.eye == eye, |view, _| view.modseq = view.modseq.max(modseq));
    }

    /// Those who wait for changes and were not woken yet.
    pub fn waking(&self) -> &Waking {
        &self.waking
    }

    /// Looks at, or changes, what is remembered.
    pub fn history<T>(&self, act: impl FnOnce(&mut History) -> T) -> T {
        act(&mut self.state().history)
    }

    /// Drops views that no session holds.
    pub fn drop_unused(&self) {
        self.state().cells.retain(|_, cell| cell.asked.load(Ordering::Acquire) || Arc::strong_count(cell) > 1);
    }

    /// The folders that some session has open, or has asked for since the last such call; and how far.
    pub fn wanted(&self) -> HashSet<(Reach, Kept)> {
        let state = self.state();
        let is_wanted = |cell: &Arc<ViewCell>| cell.asked.swap(false, Ordering::AcqRel) || Arc::strong_count(cell) > 1;
        let wanted = state.cells.iter().filter(|(_, cell)| is_wanted(cell));
        wanted.map(|((sight, kept), _)| (sight.reach, *kept)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn asked_for(&self, sight: Sight, kept: Kept) -> Option<Arc<ViewCell>> {
        self.cells.get(&(sight, kept)).map(|cell| cell.clone().asked())
    }

    /// Hands each of these views what changed of the rows that it covers.
    fn each<T: Copy>(
        &self,
        kept: Kept,
        changes: &[T],
        row_of: impl Fn(&T) -> &Row,
        which: impl Fn(Sight) -> bool,
        mut change: impl FnMut(&mut View, &[T]),
    ) {
        let mut by_sight: HashMap<Sight, Vec<T>> = HashMap::new();
        for run in changes.chunk_by(|a, b| row_of(a).tree == row_of(b).tree) {
            let sights = run.first().map(&row_of).map(|row| Sight::of(row.tree, row.domain));
            for sight in sights.into_iter().flatten() {
                if which(sight) && self.cells.contains_key(&(sight, kept)) {
                    by_sight.entry(sight).or_default().extend_from_slice(run);
                }
            }
        }
        for (sight, changes) in by_sight {
            if let Some(cell) = self.cells.get(&(sight, kept)) {
                cell.change(|view| change(view, &changes));
                self.waking.changed(cell);
            }
        }
    }
}
