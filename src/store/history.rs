//! What is remembered of views also while nobody looks: UIDNEXT and HIGHESTMODSEQ of each, and which messages left.
//!
//! One account's figures must not move when another gets mail (RFC 3501 2.3.1.1), nor fall when nobody had the view for a
//! while or the process was started again (`store/changes.rs`). Too high is legal, too low never.

use super::catalogue::Row;
use super::trees::{DomainId, TreeId};
use super::views::Reach;
use crate::base::{UidRanges, limits};
use crate::mail::Kept;
use std::collections::{HashMap, VecDeque};

/// UIDNEXT and HIGHESTMODSEQ of one view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Above every UID that was ever in it.
    pub uid_next: u32,
    /// At least the MODSEQ of every change in it.
    pub modseq: u64,
}

/// A message that left a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    pub modseq: u64,
    pub uid: u32,
    pub tree: TreeId,
    pub domain: DomainId,
}

/// The last messages that left a folder, by MODSEQ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removals {
    /// All that left after this one are listed.
    pub since: u64,
    pub list: VecDeque<Removal>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Of views that have no figures of their own.
    pub floor: Figures,
    pub figures: HashMap<(Reach, Kept), Figures>,
    pub removals: [Removals; 4],
}

impl History {
    /// Nothing is known, but that all that ever was is below `floor`.
    pub fn new(floor: Figures) -> History {
        let removals = std::array::from_fn(|_| Removals { since: floor.modseq, list: VecDeque::new() });
        History { floor, figures: HashMap::new(), removals }
    }

    /// A view's figures.
    pub fn of(&self, reach: Reach, kept: Kept) -> Figures {
        self.figures.get(&(reach, kept)).copied().unwrap_or(self.floor)
    }

    /// A message entered, or its flags changed.
    pub fn note(&mut self, kept: Kept, row: &Row) {
        for reach in Reach::of(row.tree, row.domain) {
            self.raise(reach, kept, Figures { uid_next: row.uid.saturating_add(1), modseq: row.modseq });
        }
    }

    /// A message left.
    pub fn remove(&mut self, kept: Kept, removal: Removal) {
        let Removal { modseq, uid, tree, domain } = removal;
        for reach in Reach::of(tree, domain) {
            self.raise(reach, kept, Figures { uid_next: uid.saturating_add(1), modseq });
        }
        let Some(removals) = self.removals.get_mut(kept.index()) else { return };
        removals.list.push_back(removal);
        if removals.list.len() > limits::REMOVALS_KEPT
            && let Some(oldest) = removals.list.pop_front()
        {
            removals.since = removals.since.max(oldest.modseq);
        }
    }

    /// Messages left before `modseq` of which nothing more can be said.
    pub fn lose(&mut self, kept: Kept, modseq: u64) {
        if let Some(removals) = self.removals.get_mut(kept.index()) {
            removals.since = removals.since.max(modseq);
        }
    }

    /// A view's figures are at least these.
    pub fn raise(&mut self, reach: Reach, kept: Kept, least: Figures) {
        let floor = self.floor;
        let figures = self.figures.entry((reach, kept)).or_insert(floor);
        figures.uid_next = figures.uid_next.max(least.uid_next);
        figures.modseq = figures.modseq.max(least.modseq);
    }

    /// Those of `known` that left after `since`. `None`: that is too long ago.
    pub fn vanished_since(&self, reach: Reach, kept: Kept, since: u64, known: &UidRanges) -> Option<UidRanges> {
        let removals = self.removals.get(kept.index()).filter(|removals| since >= removals.since)?;
        let from = removals.list.partition_point(|r| r.modseq <= since);
        let within = removals.list.range(from..).filter(|r| reach.holds(r.tree, r.domain) && known.contains(r.uid));
        let mut uids: Vec<u32> = within.map(|r| r.uid).collect();
        uids.sort_unstable();
        Some(uids.into_iter().collect())
    }

    /// Forgets the figures that are oldest until `most` are left: they count as those of the floor, which rises.
    pub fn shorten(&mut self, most: usize) {
        let excess = self.figures.len().saturating_sub(most);
        if excess == 0 {
            return;
        }
        let mut modseqs: Vec<u64> = self.figures.values().map(|f| f.modseq).collect();
        let (_, &mut oldest, _) = modseqs.select_nth_unstable(excess - 1);
        let mut floor = self.floor;
        self.figures.retain(|_, figures| {
            let stays = figures.modseq > oldest;
            if !stays {
                floor.uid_next = floor.uid_next.max(figures.uid_next);
                floor.modseq = floor.modseq.max(figures.modseq);
            }
            stays
        });
        self.floor = floor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removal(uid: u32, modseq: u64) -> Removal {
        Removal { modseq, uid, tree: TreeId(uid % 2), domain: DomainId(0) }
    }

    #[test]
    fn only_the_last_removals_are_told_apart() {
        let mut history = History::new(Figures { uid_next: 1, modseq: 10 });
        let last = limits::REMOVALS_KEPT as u32 + 5;
        for uid in 1..=last {
            history.remove(Kept::Trash, removal(uid, 10 + u64::from(uid)));
        }
        let known = UidRanges::one(1, last - 1);
        let gone = |reach, since| history.vanished_since(reach, Kept::Trash, since, &known);
        assert_eq!(gone(Reach::All, 14), None, "the fifth was forgotten");
        assert_eq!(gone(Reach::All, 15), Some(UidRanges::one(6, last - 1)));
        assert_eq!(gone(Reach::Domain(DomainId(1)), 15), Some(UidRanges::new()));
        let odd = gone(Reach::Tree(TreeId(1)), 15).unwrap();
        assert!(odd.contains(7) && !odd.contains(8) && !odd.contains(last));
        assert_eq!(history.vanished_since(Reach::All, Kept::Caught, 10, &known), Some(UidRanges::new()));
        let all = Figures { uid_next: last + 1, modseq: 10 + u64::from(last) };
        assert_eq!(history.of(Reach::All, Kept::Trash), all);
        assert_eq!(history.of(Reach::All, Kept::Caught), history.floor);
    }

    #[test]
    fn forgotten_figures_do_not_fall() {
        let mut history = History::new(Figures { uid_next: 1, modseq: 1 });
        for n in 1..=100 {
            let figures = Figures { uid_next: 101 - n, modseq: u64::from(n) };
            history.raise(Reach::Tree(TreeId(n)), Kept::Caught, figures);
        }
        let before = history.clone();
        history.shorten(40);
        assert_eq!(history.figures.len(), 40);
        for n in 0..=101 {
            let [old, new] = [&before, &history].map(|h| h.of(Reach::Tree(TreeId(n)), Kept::Caught));
            assert!(new.uid_next >= old.uid_next && new.modseq >= old.modseq, "{n}: {old:?} {new:?}");
        }
        assert_eq!(
            history.of(Reach::Tree(TreeId(100)), Kept::Caught),
            before.of(Reach::Tree(TreeId(100)), Kept::Caught)
        );
    }
}
