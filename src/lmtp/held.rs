//! The message while it comes in: what of it is kept, and how much memory it may use.

use super::data::Receiver;
use crate::base::limits;
use memchr::memmem;

/// A message on its way in.
#[derive(Debug)]
pub(super) struct Held {
    receiver: Receiver,
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
    pub(super) fn new(most: u64) -> Self {
        Held {
            receiver: Receiver::default(),
            bytes: Vec::new(),
            reserved: 0,
            size: 0,
            most,
            header_end: None,
            keep: Keep::All,
        }
    }

    /// Takes input; 0: `wanted` bytes must be allowed first, or the message is complete.
    pub(super) fn feed(&mut self, input: &[u8]) -> usize {
        if self.keep != Keep::All {
            return self.swallow(input);
        }
        let room = self.reserved.saturating_sub(self.bytes.len() + 1).min(input.len());
        let before = self.bytes.len();
        let taken = self.receiver.push(&input[..room], &mut self.bytes);
        self.size += (self.bytes.len() - before) as u64;
        self.find_header(before);
        if self.size > self.most && (self.header_end.is_some() || self.bytes.len() >= limits::HEADER_BYTES) {
            self.bytes.truncate(self.header_end.unwrap_or(limits::HEADER_BYTES));
            self.bytes.shrink_to_fit();
            self.keep = Keep::Header;
        }
        taken
    }

    /// Counts and forgets, with a scratch buffer that stays small.
    fn swallow(&mut self, input: &[u8]) -> usize {
        let mut taken = 0;
        let mut scratch = Vec::new();
        for chunk in input.chunks(4 << 10) {
            scratch.clear();
            let n = self.receiver.push(chunk, &mut scratch);
            self.size += scratch.len() as u64;
            taken += n;
            if n < chunk.len() {
                break;
            }
        }
        taken
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

    /// Whether more memory is needed before `feed` takes anything.
    pub(super) fn is_full(&self) -> bool {
        self.keep == Keep::All && !self.is_complete() && self.reserved <= self.bytes.len() + 1
    }

    /// How much more to ask for: doubling, in bounded steps, not far beyond the largest message.
    pub(super) fn wanted(&self) -> usize {
        let step = self.reserved.clamp(limits::INTAKE_FIRST, limits::INTAKE_STEP);
        let left = usize::try_from(self.most).unwrap_or(usize::MAX).saturating_sub(self.reserved);
        step.min(left.max(limits::INTAKE_FIRST))
    }

    /// So much more was allowed.
    pub(super) fn grow(&mut self, by: usize) {
        self.reserved += by;
        // Exactly, so that what is used is what was asked for.
        self.bytes.reserve_exact(self.reserved - self.bytes.len());
    }

    /// Lets go of everything; the rest is only read.
    pub(super) fn drop_all(&mut self) {
        self.bytes = Vec::new();
        self.reserved = 0;
        self.keep = Keep::Nothing;
    }

    /// The cut message uses more of the shared memory than it needs: says how much would do. All of it counts as given
    /// back then, and that much is to be asked for anew.
    pub(super) fn excess(&mut self) -> Option<usize> {
        let excess = self.keep == Keep::Header && self.reserved > self.bytes.len();
        excess.then(|| {
            self.reserved = 0;
            self.bytes.len()
        })
    }

    /// Whether the outside counts memory for this message.
    pub(super) fn has_reserved(&self) -> bool {
        self.reserved > 0
    }

    /// Whether the message's end was seen.
    pub(super) fn is_complete(&self) -> bool {
        self.receiver.is_complete()
    }

    /// Whether the bytes were let go of.
    pub(super) fn is_dropped(&self) -> bool {
        self.keep == Keep::Nothing
    }

    /// Bytes held, size of the whole, and whether it was cut.
    pub(super) fn finish(self) -> (Vec<u8>, u64, bool) {
        (self.bytes, self.size, self.keep == Keep::Header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(most: u64, message: &[u8], chunk: usize) -> (Vec<u8>, u64, bool, usize) {
        let mut held = Held::new(most);
        let (mut at, mut peak) = (0, 0);
        while !held.is_complete() {
            if held.is_full() {
                held.grow(held.wanted());
            }
            let to = message.len().min(at + chunk);
            at += held.feed(&message[at..to]);
            assert!(held.bytes.len() <= held.reserved.max(held.bytes.len() * usize::from(held.keep == Keep::Header)));
            peak = peak.max(held.reserved);
        }
        let (bytes, size, cut) = held.finish();
        (bytes, size, cut, peak)
    }

    #[test]
    fn kept_whole_up_to_the_limit() {
        let body = b"A: b\r\n\r\n".iter().copied().chain(std::iter::repeat_n(b'x', 300_000)).collect::<Vec<_>>();
        let wire = [&body[..], b"\r\n.\r\n"].concat();
        for chunk in [1, 7, 4096, 100_000] {
            let (bytes, size, cut, peak) = fill(300_010, &wire, chunk);
            assert_eq!((bytes.len() as u64, size, cut), (300_010, 300_010, false));
            assert!(peak <= 600_000, "{peak}");
        }
    }

    #[test]
    fn over_the_limit_the_header_stays() {
        let wire = [b"A: b\r\n\r\n".as_slice(), &[b'x'; 200_000], b"\r\n.\r\n"].concat();
        for chunk in [1, 7, 4096, 100_000] {
            assert_eq!(fill(1000, &wire, chunk).0, b"A: b\r\n\r\n");
            assert_eq!(fill(1000, &wire, chunk).1, 200_010);
            assert!(fill(1000, &wire, chunk).2);
        }
    }

    #[test]
    fn a_header_without_end_is_cut() {
        let wire = [vec![b'h'; limits::HEADER_BYTES + 50_000], b"\r\n.\r\n".to_vec()].concat();
        let (bytes, size, cut, _) = fill(1000, &wire, 10_000);
        assert_eq!((bytes.len(), size, cut), (limits::HEADER_BYTES, limits::HEADER_BYTES as u64 + 50_002, true));
    }
}
