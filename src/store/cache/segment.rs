//! One file of a cache.

use super::{SEGMENT, record};
use std::fs::File;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// One file of records, open as long as it is used: what is in it stays readable when the name is removed.
pub struct Segment {
    /// The file.
    pub file: File,
    /// Records in it, of whatever message.
    pub records: AtomicU32,
    /// A bit for each place: the record that begins there was proven.
    proven: Box<[AtomicU64]>,
}

impl Segment {
    /// A file with so many records, of which none is proven.
    pub fn new(file: File, records: u32) -> Segment {
        let words = (SEGMENT / record::UNIT).div_ceil(u64::BITS.into());
        Segment { file, records: records.into(), proven: (0..words).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Whether the checksum of the record at `at` is right. It is reckoned once, until [`Segment::doubt`]: that takes as long as
    /// all the rest of a search by a header field. What a crash or a full disk left of a record was left before this process
    /// opened the file, and no record is written twice; from then on the file is trusted as the mail itself is.
    pub fn proves(&self, at: u64, record: &[u8]) -> bool {
        let unit = at / record::UNIT;
        let bit = 1 << (unit % u64::from(u64::BITS));
        let Some(word) = self.proven.get((unit / u64::from(u64::BITS)) as usize) else { return false };
        // What it says is of bytes in a file, not of memory that it would have to be ordered with.
        if word.load(Ordering::Relaxed) & bit != 0 {
            return true;
        }
        let is_right = record::is_right(record);
        if is_right {
            word.fetch_or(bit, Ordering::Relaxed);
        }
        is_right
    }

    /// All records are to be proven again: a disk that fails may have lost what the kernel no longer has.
    pub fn doubt(&self) {
        self.proven.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }
}
