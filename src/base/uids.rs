//! Lists of UIDs that are cheap to keep in many versions, and sets of UID ranges.

use std::sync::Arc;

/// UIDs in one chunk of a list, at the most. A new version of a list copies one chunk and the table of chunks.
const CHUNK: usize = 1024;
/// Places behind the last one that are looked at before a UID is searched for.
const NEAR: usize = 8;

/// Ascending UIDs; position + 1 is the message sequence number (RFC 3501 2.3.1.2). A clone costs one reference, and
/// two versions share every chunk in which they do not differ.
#[derive(Debug, Clone, Default)]
pub struct UidList {
    chunks: Arc<Vec<Chunk>>,
}

#[derive(Debug, Clone)]
struct Chunk {
    /// UIDs in the chunks before this one.
    before: u32,
    /// Never empty.
    uids: Arc<Vec<u32>>,
}

impl Chunk {
    fn first(&self) -> u32 {
        self.uids.first().copied().unwrap_or(0)
    }
    fn last(&self) -> u32 {
        self.uids.last().copied().unwrap_or(0)
    }
}

impl UidList {
    /// How many UIDs the list holds.
    pub fn len(&self) -> u32 {
        self.chunks.last().map_or(0, |c| c.before + c.uids.len() as u32)
    }

    /// Whether the list holds nothing.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// The highest UID.
    pub fn last(&self) -> Option<u32> {
        self.chunks.last().map(Chunk::last)
    }

    /// The UID with a sequence number (1 is the first).
    pub fn uid(&self, seq: u32) -> Option<u32> {
        let index = seq.checked_sub(1)?;
        let at = self.chunks.partition_point(|c| c.before <= index).checked_sub(1)?;
        let chunk = self.chunks.get(at)?;
        chunk.uids.get((index - chunk.before) as usize).copied()
    }

    /// The sequence number of a UID.
    pub fn seq(&self, uid: u32) -> Option<u32> {
        let chunk = self.chunk_of(uid)?;
        chunk.uids.binary_search(&uid).ok().map(|i| chunk.before + i as u32 + 1)
    }

    /// The sequence numbers of many UIDs; quick for those that follow each other closely.
    pub fn seqs(&self) -> Seqs<'_> {
        Seqs { list: self, chunk: self.chunks.first(), next: 0 }
    }

    /// The chunk in which a UID is, if it is in the list.
    fn chunk_of(&self, uid: u32) -> Option<&Chunk> {
        self.chunks.get(self.chunks.partition_point(|c| c.first() <= uid).checked_sub(1)?)
    }

    /// How many UIDs are lower than `uid`: one less than the sequence number that it has or would have.
    pub fn rank(&self, uid: u32) -> u32 {
        let at = self.chunks.partition_point(|c| c.last() < uid);
        match self.chunks.get(at) {
            Some(chunk) => chunk.before + chunk.uids.partition_point(|&u| u < uid) as u32,
            None => self.len(),
        }
    }

    /// The UIDs from `uid` on, ascending.
    pub fn iter_from(&self, uid: u32) -> impl Iterator<Item = u32> + '_ {
        self.slices_from(uid).flatten().copied()
    }

    fn slices_from(&self, uid: u32) -> impl Iterator<Item = &[u32]> {
        let at = self.chunks.partition_point(|c| c.last() < uid);
        let from = move |c: &Chunk| c.uids.partition_point(|&u| u < uid);
        self.chunks.iter().skip(at).map(move |c| c.uids.get(from(c)..).unwrap_or_default())
    }

    /// The UIDs from `uid` on, ascending, but so many at the most.
    pub fn some_from(&self, uid: u32, most: usize) -> Vec<u32> {
        let mut some = Vec::with_capacity(most.min(self.len() as usize));
        for slice in self.slices_from(uid) {
            some.extend(slice.iter().take(most - some.len()));
            if some.len() == most {
                break;
            }
        }
        some
    }

    /// All UIDs, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.iter_from(0)
    }

    /// The UIDs that lie in one of the ranges, ascending.
    pub fn within<'a>(&'a self, ranges: &'a UidRanges) -> impl Iterator<Item = u32> + 'a {
        self.within_from(ranges, 0)
    }

    /// Those from `from` on.
    pub fn within_from<'a>(&'a self, ranges: &'a UidRanges, from: u32) -> impl Iterator<Item = u32> + 'a {
        let left = ranges.iter_from(from);
        left.flat_map(move |(low, high)| self.iter_from(low.max(from)).take_while(move |&u| u <= high))
    }

    /// Adds a UID above all others.
    ///
    /// # Panics
    /// In debug builds, when `uid` is not above the last one; in others the call then does nothing.
    pub fn push(&mut self, uid: u32) {
        let ascending = self.last().is_none_or(|last| last < uid);
        debug_assert!(ascending, "UID {uid} pushed after {:?}", self.last());
        if !ascending {
            return;
        }
        let before = self.len();
        let chunks = Arc::make_mut(&mut self.chunks);
        match chunks.last_mut() {
            Some(chunk) if chunk.uids.len() < CHUNK => Arc::make_mut(&mut chunk.uids).push(uid),
            _ => chunks.push(Chunk { before, uids: Arc::new(vec![uid]) }),
        }
    }

    /// Removes the UIDs for which `gone` says so, among those within `ranges`; chunks without one stay shared.
    pub fn remove(&mut self, ranges: &UidRanges, mut gone: impl FnMut(u32) -> bool) {
        let Some((low, _)) = ranges.iter().next() else { return };
        let mut changed = false;
        let mut kept: Vec<Chunk> = Vec::with_capacity(self.chunks.len());
        let mut before = 0;
        for chunk in self.chunks.iter() {
            let touched = chunk.last() >= low && ranges.touches(chunk.first(), chunk.last());
            let uids = if touched {
                let left: Vec<u32> = chunk.uids.iter().copied().filter(|&u| !(ranges.contains(u) && gone(u))).collect();
                if left.len() == chunk.uids.len() { chunk.uids.clone() } else { Arc::new(left) }
            } else {
                chunk.uids.clone()
            };
            changed |= uids.len() != chunk.uids.len();
            if !uids.is_empty() {
                let len = uids.len() as u32;
                kept.push(Chunk { before, uids });
                before += len;
            }
        }
        if changed {
            self.chunks = Arc::new(kept);
        }
    }

    /// This list with what `newer` has above this list's last UID; nothing is taken away.
    pub fn with_tail(&self, newer: &UidList) -> UidList {
        let mut list = self.clone();
        for uid in newer.iter_from(self.last().map_or(0, |u| u + 1)) {
            list.push(uid);
        }
        list
    }

    /// The UIDs of this list that `newer` lacks, ascending. Chunks that both share are passed over by their address.
    pub fn missing_in(&self, newer: &UidList) -> Vec<u32> {
        let mut missing = Vec::new();
        for chunk in self.chunks.iter() {
            let at = newer.chunks.partition_point(|c| c.last() < chunk.first());
            if newer.chunks.get(at).is_some_and(|c| Arc::ptr_eq(&c.uids, &chunk.uids)) {
                continue;
            }
            let mut others = newer.iter_from(chunk.first()).peekable();
            for &uid in chunk.uids.iter() {
                while others.peek().is_some_and(|&o| o < uid) {
                    others.next();
                }
                if others.peek() != Some(&uid) {
                    missing.push(uid);
                }
            }
        }
        missing
    }
}

/// See [`UidList::seqs`].
#[derive(Debug)]
pub struct Seqs<'a> {
    list: &'a UidList,
    /// Where the last one was, and the place behind it.
    chunk: Option<&'a Chunk>,
    next: usize,
}

impl Seqs<'_> {
    /// The sequence number of a UID.
    pub fn of(&mut self, uid: u32) -> Option<u32> {
        let mut near = self.chunk.and_then(|chunk| chunk.uids.get(self.next..)).into_iter().flatten().take(NEAR);
        let at = match near.position(|&u| u == uid) {
            Some(ahead) => self.next + ahead,
            None => {
                self.chunk = self.list.chunk_of(uid);
                self.chunk?.uids.binary_search(&uid).ok()?
            }
        };
        self.next = at + 1;
        self.chunk.map(|chunk| chunk.before + self.next as u32)
    }
}

impl FromIterator<u32> for UidList {
    /// From ascending UIDs.
    fn from_iter<I: IntoIterator<Item = u32>>(uids: I) -> Self {
        let mut chunks: Vec<Chunk> = Vec::new();
        let mut buffer: Vec<u32> = Vec::new();
        let mut before = 0;
        let mut flush = |buffer: &mut Vec<u32>| {
            if !buffer.is_empty() {
                let len = buffer.len() as u32;
                chunks.push(Chunk { before, uids: Arc::new(std::mem::take(buffer)) });
                before += len;
            }
        };
        for uid in uids {
            debug_assert!(buffer.last().is_none_or(|&last| last < uid));
            if buffer.len() == CHUNK {
                flush(&mut buffer);
            }
            buffer.push(uid);
        }
        flush(&mut buffer);
        UidList { chunks: Arc::new(chunks) }
    }
}

impl PartialEq for UidList {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.chunks, &other.chunks) || (self.len() == other.len() && self.iter().eq(other.iter()))
    }
}

/// A set of UIDs (or sequence numbers) as ascending, disjoint, inclusive ranges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UidRanges(Vec<(u32, u32)>);

impl UidRanges {
    /// No UID.
    pub const fn new() -> Self {
        UidRanges(Vec::new())
    }

    /// One range; `low` and `high` in either order.
    pub fn one(low: u32, high: u32) -> Self {
        UidRanges(vec![(low.min(high), low.max(high))])
    }

    /// All UIDs up to `last`.
    pub fn up_to(last: u32) -> Self {
        if last == 0 { UidRanges::new() } else { UidRanges::one(1, last) }
    }

    /// Adds a range, joining those that touch. Ranges given in ascending order are added in constant time.
    pub fn add(&mut self, low: u32, high: u32) {
        let (low, high) = (low.min(high), low.max(high));
        match self.0.last_mut() {
            Some(last) if low >= last.0 && low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
            Some(last) if low < last.0 => {
                let at = self.0.partition_point(|r| r.1.saturating_add(1) < low);
                let end = self.0.partition_point(|r| r.0 <= high.saturating_add(1));
                let merged = self.0.get(at..end).map_or((low, high), |covered| {
                    covered.iter().fold((low, high), |m, r| (m.0.min(r.0), m.1.max(r.1)))
                });
                self.0.splice(at..end, [merged]);
            }
            _ => self.0.push((low, high)),
        }
    }

    /// What is in this set and not in `other`.
    pub fn without(&self, other: &UidRanges) -> UidRanges {
        let mut left = UidRanges::new();
        for &(low, high) in &self.0 {
            let mut from = Some(low);
            let first = other.0.partition_point(|r| r.1 < low);
            for &(start, end) in other.0.iter().skip(first).take_while(|r| r.0 <= high) {
                if let Some(from) = from.filter(|&from| from < start) {
                    left.0.push((from, start - 1));
                }
                from = end.checked_add(1).filter(|&next| next <= high);
            }
            left.0.extend(from.map(|from| (from, high)));
        }
        left
    }

    /// The ranges, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.0.iter().copied()
    }

    /// The ranges of which something lies at `from` or above, ascending.
    pub fn iter_from(&self, from: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let at = self.0.partition_point(|r| r.1 < from);
        self.0.get(at..).unwrap_or_default().iter().copied()
    }

    /// How many numbers are in the set.
    pub fn count(&self) -> usize {
        self.0.iter().map(|(low, high)| (high - low) as usize + 1).sum()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the number is in the set.
    pub fn contains(&self, uid: u32) -> bool {
        let at = self.0.partition_point(|r| r.1 < uid);
        self.0.get(at).is_some_and(|r| r.0 <= uid)
    }

    /// Whether any number from `low` to `high` is in the set.
    pub fn touches(&self, low: u32, high: u32) -> bool {
        let at = self.0.partition_point(|r| r.1 < low);
        self.0.get(at).is_some_and(|r| r.0 <= high)
    }
}

impl FromIterator<(u32, u32)> for UidRanges {
    fn from_iter<I: IntoIterator<Item = (u32, u32)>>(ranges: I) -> Self {
        let mut all = UidRanges::new();
        for (low, high) in ranges {
            all.add(low, high);
        }
        all
    }
}

impl FromIterator<u32> for UidRanges {
    fn from_iter<I: IntoIterator<Item = u32>>(uids: I) -> Self {
        let mut ranges = UidRanges::new();
        for uid in uids {
            ranges.add(uid, uid);
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn list_is_a_sorted_set(uids in proptest::collection::btree_set(1u32..9000, 0..3000), asked in proptest::collection::vec((1u32..9010, 0u32..20), 0..200), gone in proptest::collection::btree_set(1u32..9000, 0..500)) {
            let mut list: UidList = uids.iter().copied().collect();
            prop_assert_eq!(list.len() as usize, uids.len());
            for (i, &uid) in uids.iter().enumerate() {
                prop_assert_eq!(list.uid(i as u32 + 1), Some(uid));
                prop_assert_eq!(list.seq(uid), Some(i as u32 + 1));
                prop_assert_eq!(list.rank(uid), i as u32);
            }
            for &(from, most) in &asked {
                prop_assert!(list.some_from(from, most as usize).into_iter().eq(list.iter_from(from).take(most as usize)));
            }
            let mut seqs = list.seqs();
            for uid in asked.into_iter().flat_map(|(from, more)| from..from + more) {
                prop_assert_eq!(seqs.of(uid), list.seq(uid));
            }
            prop_assert_eq!(list.uid(0), None);
            prop_assert_eq!(list.uid(list.len() + 1), None);
            let old = list.clone();
            let ranges: UidRanges = gone.iter().copied().collect();
            list.remove(&ranges, |_| true);
            let left: BTreeSet<u32> = uids.difference(&gone).copied().collect();
            prop_assert!(list.iter().eq(left.iter().copied()));
            prop_assert!(old.missing_in(&list).into_iter().eq(uids.intersection(&gone).copied()));
            list.push(10_000);
            prop_assert_eq!(old.with_tail(&list).len(), old.len() + 1);
            for (i, &uid) in left.iter().enumerate() {
                prop_assert_eq!(list.seq(uid), Some(i as u32 + 1));
            }
        }

        #[test]
        fn ranges_are_a_set(pairs in proptest::collection::vec((1u32..300, 1u32..300), 0..40), less in proptest::collection::btree_set(1u32..310, 0..60)) {
            let mut ranges = UidRanges::new();
            let mut set = BTreeSet::new();
            for (a, b) in pairs {
                ranges.add(a, b);
                set.extend(a.min(b)..=a.max(b));
            }
            for n in 0..310 {
                prop_assert_eq!(ranges.contains(n), set.contains(&n));
            }
            let other: UidRanges = less.iter().copied().collect();
            let left = ranges.without(&other);
            for n in 0..310 {
                prop_assert_eq!(left.contains(n), set.contains(&n) && !less.contains(&n));
            }
            let all: Vec<(u32, u32)> = ranges.iter().collect();
            prop_assert!(all.windows(2).all(|w| w[0].1 + 1 < w[1].0), "disjoint and apart: {:?}", all);
        }
    }
}
