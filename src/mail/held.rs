//! A message while it comes in at a door: what of it is kept, and how much memory it may use.

use crate::base::limits;
use memchr::memmem;

/// Bytes that are taken at once of a message that is only counted.
const SWALLOWED: usize = 4 << 10;

/// A message on its way in.
#[derive(Debug)]
pub struct Held {
    bytes: Vec<u8>,
    /// Bytes that the outside allowed.
    reserved: usize,
    /// Size of the whole message so far.
    size: u64,
    most: u64,
    /// Where the header block ends, its empty line included.
    header_end: Option<usize>,
    keep: Keep,
}

/// What is done with the bytes that come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    All,
    /// Over the limit: the header is held, the rest only counted.
    Header,
    /// No memory: nothing is held.
    Nothing,
}

impl Held {
    /// An empty message that is kept whole up to `most` bytes.
    pub fn new(most: u64) -> Self {
        Held { bytes: Vec::new(), reserved: 0, size: 0, most, header_end: None, keep: Keep::All }
    }

    /// Bytes that may be appended now. Too few: `wanted` bytes must be allowed first.
    pub fn room(&self) -> usize {
        if self.keep == Keep::All { self.reserved.saturating_sub(self.bytes.len()) } else { SWALLOWED }
    }

    /// Lets `write` append at most [`Held::room`] bytes; what is not kept is counted.
    pub fn append<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut scratch = Vec::new();
        let into = if self.keep == Keep::All { &mut self.bytes } else { &mut scratch };
        let before = into.len();
        let result = write(into);
        self.size += (into.len() - before) as u64;
        if self.keep == Keep::All {
            self.find_header(before);
            if self.size > self.most && (self.header_end.is_some() || self.bytes.len() >= limits::HEADER_BYTES) {
                self.bytes.truncate(self.header_end.unwrap_or(limits::HEADER_BYTES));
                self.bytes.shrink_to_fit();
                self.keep = Keep::Header;
            }
        }
        result
    }

    fn find_header(&mut self, before: usize) {
        if self.header_end.is_some() || before >= limits::HEADER_BYTES {
            return;
        }
        if self.bytes.starts_with(b"\r\n") {
            self.header_end = Some(2);
            return;
        }
        let from = before.saturating_sub(3);
        let found = self.bytes.get(from..).and_then(|new| memmem::find(new, b"\r\n\r\n"));
        self.header_end = found.map(|at| from + at + 4).filter(|&end| end <= limits::HEADER_BYTES);
    }

    /// How much more to ask for: doubling, in bounded steps, not far beyond the largest message.
    pub fn wanted(&self) -> usize {
        let step = self.reserved.clamp(limits::INTAKE_FIRST, limits::INTAKE_STEP);
        let left = usize::try_from(self.most).unwrap_or(usize::MAX).saturating_sub(self.reserved);
        step.min(left.max(limits::INTAKE_FIRST))
    }

    /// So much more was allowed.
    pub fn grow(&mut self, by: usize) {
        self.reserved += by;
        // Exactly, so that what is used is what was asked for.
        self.bytes.reserve_exact(self.reserved - self.bytes.len());
    }

    /// Lets go of everything; the rest is only read.
    pub fn drop_all(&mut self) {
        self.bytes = Vec::new();
        self.reserved = 0;
        self.keep = Keep::Nothing;
    }

    /// The cut message uses more of the shared memory than it needs: says how much would do. All of it counts as given
    /// back then, and that much is to be asked for anew.
    pub fn excess(&mut self) -> Option<usize> {
        let excess = self.keep == Keep::Header && self.reserved > self.bytes.len();
        excess.then(|| {
            self.reserved = 0;
            self.bytes.len()
        })
    }

    /// Whether the outside counts memory for this message.
    pub fn has_reserved(&self) -> bool {
        self.reserved > 0
    }

    /// Whether the bytes were let go of.
    pub fn is_dropped(&self) -> bool {
        self.keep == Keep::Nothing
    }

    /// Bytes held, size of the whole, and whether it was cut.
    pub fn finish(self) -> (Vec<u8>, u64, bool) {
        (self.bytes, self.size, self.keep == Keep::Header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(most: u64, message: &[u8], chunk: usize) -> (Vec<u8>, u64, bool, usize) {
        let mut held = Held::new(most);
        let (mut at, mut peak) = (0, 0);
        while at < message.len() {
            if held.room() == 0 {
                held.grow(held.wanted());
            }
            let to = message.len().min(at + chunk.min(held.room()));
            held.append(|bytes| bytes.extend_from_slice(&message[at..to]));
            at = to;
            assert!(held.bytes.len() <= held.reserved.max(held.bytes.len() * usize::from(held.keep == Keep::Header)));
            peak = peak.max(held.reserved);
        }
        let (bytes, size, cut) = held.finish();
        (bytes, size, cut, peak)
    }

    #[test]
    fn kept_whole_up_to_the_limit() {
        let message = b"A: b\r\n\r\n".iter().copied().chain(std::iter::repeat_n(b'x', 300_000)).collect::<Vec<_>>();
        for chunk in [1, 7, 4096, 100_000] {
            let (bytes, size, cut, peak) = fill(300_008, &message, chunk);
            assert_eq!((bytes.len() as u64, size, cut), (300_008, 300_008, false));
            assert!(peak <= 600_000, "{peak}");
        }
    }

    #[test]
    fn over_the_limit_the_header_stays() {
        let message = [b"A: b\r\n\r\n".as_slice(), &[b'x'; 200_000]].concat();
        for chunk in [1, 7, 4096, 100_000] {
            assert_eq!(fill(1000, &message, chunk).0, b"A: b\r\n\r\n");
            assert_eq!(fill(1000, &message, chunk).1, 200_008);
            assert!(fill(1000, &message, chunk).2);
        }
    }

    #[test]
    fn a_header_without_end_is_cut() {
        let message = vec![b'h'; limits::HEADER_BYTES + 50_000];
        let (bytes, size, cut, _) = fill(1000, &message, 10_000);
        assert_eq!((bytes.len(), size, cut), (limits::HEADER_BYTES, limits::HEADER_BYTES as u64 + 50_000, true));
    }
}
