//! Records that lie together, read together.

use super::record;
use super::segment::Segment;
use crate::base::Slice;
use std::ops::Range;
use std::sync::Arc;

/// What is read at once.
const BLOCK: u64 = 72 << 10;
/// How much of it lies on the side from which the reader comes: threads that parse together do not write quite in a row.
const BEHIND: u64 = 8 << 10;

/// Messages that are looked at one after the other, and what was read last of a segment.
#[derive(Default)]
pub struct Window {
    /// The keys of the messages.
    pub(super) keys: Vec<u64>,
    /// Where their records lie, when one of them was asked for. All are looked up at once: one by one, each look at the index
    /// would wait for memory.
    pub(super) places: Vec<Option<u32>>,
    /// The segment, by number.
    segment: Option<(u32, Arc<Segment>)>,
    start: u64,
    bytes: Arc<Vec<u8>>,
    /// A record that was read for itself.
    alone: Arc<Vec<u8>>,
    /// Where the record before began.
    last: u64,
    /// What is to be kept of messages, by key and size.
    pub(super) gathered: Vec<(u64, u64, Slice)>,
}

impl Window {
    /// The messages with these keys will be looked at; they are called by their place in this list.
    pub fn expect(&mut self, keys: impl Iterator<Item = u64>) {
        self.places.clear();
        self.keys.clear();
        self.keys.extend(keys);
    }

    /// Gathers something that is to be kept of a message: [`super::Cache::put_gathered`] keeps it.
    pub fn gather(&mut self, key: u64, size: u64, payload: Slice) {
        self.gathered.push((key, size, payload));
    }

    /// The record at this offset of a segment, proven: a buffer, and where it lies in it. `open` gives the segment,
    /// unless it is the one of the record before: a segment that was removed meanwhile still says what it said.
    pub(super) fn record(
        &mut self,
        number: u32,
        at: u64,
        open: impl FnOnce() -> Option<Arc<Segment>>,
    ) -> Option<(&Arc<Vec<u8>>, Range<usize>)> {
        let is_same = self.segment.as_ref().is_some_and(|(known, _)| *known == number);
        if !is_same {
            (self.segment, self.start) = (Some((number, open()?)), 0);
            self.bytes = Arc::default();
        }
        let (_, segment) = self.segment.as_ref()?;
        // A block for one record would be a waste where messages of many recipients lie mixed.
        let is_near = is_same && at.abs_diff(self.last) < BLOCK;
        let is_forward = at >= self.last;
        self.last = at;
        if is_near && !has(&self.bytes, self.start, at) {
            self.start = at.saturating_sub(if is_forward { BEHIND } else { BLOCK - BEHIND });
            // Room that nobody reads in any more is used again.
            let mut bytes = Arc::try_unwrap(std::mem::take(&mut self.bytes)).unwrap_or_default();
            bytes.resize(BLOCK as usize, 0);
            let have = record::read_at(&segment.file, &mut bytes, self.start).unwrap_or(0);
            bytes.truncate(have);
            self.bytes = Arc::new(bytes);
        }
        // It may have been appended, or be longer, than what was read.
        if !has(&self.bytes, self.start, at) {
            self.alone = Arc::new(record::read(&segment.file, at)?);
            return Some((&self.alone, 0..self.alone.len()));
        }
        let record = record::whole(within(&self.bytes, self.start, at)?).filter(|record| segment.proves(at, record))?;
        let len = record.len();
        let from = usize::try_from(at.checked_sub(self.start)?).ok()?;
        Some((&self.bytes, from..from + len))
    }
}

/// What lies at this offset, of bytes that begin at `start`.
fn within(bytes: &[u8], start: u64, at: u64) -> Option<&[u8]> {
    bytes.get(usize::try_from(at.checked_sub(start)?).ok()?..)
}

fn has(bytes: &[u8], start: u64, at: u64) -> bool {
    within(bytes, start, at).is_some_and(|bytes| record::head(bytes).is_some_and(|head| head.len <= bytes.len()))
}
