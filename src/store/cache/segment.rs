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

    /// Whether the checksum of the record at `at` is right. It is reckoned once, until [`Segment::doubt`]: to reckon it each time
    /// was a quarter of a search by a header field. Bytes that a record was read from do not change: segments are appended only,
    /// and none is written to any more in which a write failed.
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

    /// All records are to be proven again: nothing is synced, and a disk that failed may have lost what the kernel had.
    pub fn doubt(&self) {
        self.proven.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::Scratch;

    #[test]
    fn a_proof_is_of_one_record() {
        let scratch = Scratch::new("segment");
        std::fs::create_dir_all(scratch.path()).unwrap();
        let segment = Segment::new(File::create(scratch.path().join("segment")).unwrap(), 0);
        let mut right = Vec::new();
        assert!(record::write(1, 2, b"payload", &mut right));
        let right = record::whole(&right).unwrap();
        let mut wrong = right.to_vec();
        *wrong.last_mut().unwrap() ^= 1;
        let units = [1, 2, 63, 64, 65, 127, 4096, SEGMENT / record::UNIT - 1];
        for (nth, unit) in units.into_iter().enumerate() {
            assert!(!segment.proves(unit * record::UNIT, &wrong), "{unit}");
            assert!(segment.proves(unit * record::UNIT, right), "{unit}");
            assert!(segment.proves(unit * record::UNIT, &wrong), "{unit} was proven, and its bytes do not change");
            for other in &units[nth + 1..] {
                assert!(!segment.proves(other * record::UNIT, &wrong), "{other} was not");
            }
        }
        segment.doubt();
        assert!(units.iter().all(|unit| !segment.proves(unit * record::UNIT, &wrong)));
    }
}
