//! Records that lie together, read together.

use super::record;
use std::fs::File;
use std::sync::Arc;

/// What is read at once, from a multiple of it: whoever goes backward is served as well.
const BLOCK: u64 = 64 << 10;
/// What is read beyond, since the last record of a block does not end with it.
const BEYOND: u64 = 4 << 10;

/// What was read last of a segment.
#[derive(Default)]
pub struct Window {
    file: Option<Arc<File>>,
    start: u64,
    bytes: Vec<u8>,
    /// Where the record before began.
    last: u64,
    /// One that does not lie in the window.
    single: Vec<u8>,
}

impl Window {
    /// The record at a place, proven.
    pub(super) fn record(&mut self, file: &Arc<File>, at: u64) -> Option<&[u8]> {
        let is_same = self.file.as_ref().is_some_and(|known| Arc::ptr_eq(known, file));
        if !is_same {
            (self.file, self.start) = (Some(file.clone()), 0);
            self.bytes.clear();
        }
        // A block for one record would be a waste where messages of many recipients lie mixed.
        let is_near = is_same && at.abs_diff(self.last) < BLOCK;
        self.last = at;
        if is_near && !self.has(at) {
            self.start = at / BLOCK * BLOCK;
            self.bytes.resize((BLOCK + BEYOND) as usize, 0);
            let have = record::read_at(file, &mut self.bytes, self.start).unwrap_or(0);
            self.bytes.truncate(have);
        }
        // It may have been appended, or be longer, than what was read.
        if !self.has(at) {
            self.single = record::read(file, at)?;
            return Some(&self.single);
        }
        record::proven(self.within(at)?)
    }

    fn within(&self, at: u64) -> Option<&[u8]> {
        self.bytes.get(usize::try_from(at.checked_sub(self.start)?).ok()?..)
    }

    fn has(&self, at: u64) -> bool {
        self.within(at).is_some_and(|bytes| record::head(bytes).is_some_and(|head| head.len <= bytes.len()))
    }
}
