//! Bytes that are shared, and parts of them.

use std::ops::{Deref, Range};
use std::sync::Arc;

/// Some of the bytes of a buffer. A clone, or a part, costs a reference: the buffer lives as long as one of them.
#[derive(Debug, Clone, Default)]
pub struct Slice {
    all: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Slice {
    /// A range of a buffer; `None` when it does not lie within it.
    pub fn of(all: &Arc<Vec<u8>>, range: Range<usize>) -> Option<Slice> {
        all.get(range.clone())?;
        Some(Slice { all: all.clone(), range })
    }

    /// A part of it; `None` when it does not lie within it.
    pub fn part(&self, range: Range<usize>) -> Option<Slice> {
        self.get(range.clone())?;
        Some(Slice { all: self.all.clone(), range: self.range.start + range.start..self.range.start + range.end })
    }
}

impl From<Vec<u8>> for Slice {
    fn from(bytes: Vec<u8>) -> Self {
        Slice { range: 0..bytes.len(), all: Arc::new(bytes) }
    }
}

impl Deref for Slice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.all.get(self.range.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_part() {
        let all = Slice::from(b"abcdef".to_vec());
        let part = all.part(1..5).unwrap();
        assert_eq!((&*all, &*part, &*part.part(1..3).unwrap()), (&b"abcdef"[..], &b"bcde"[..], &b"cd"[..]));
        assert!(part.part(1..5).is_none() && all.part(6..6).is_some() && Slice::default().is_empty());
        let buffer = Arc::new(b"xy".to_vec());
        assert!(Slice::of(&buffer, 1..3).is_none());
        assert_eq!(&*Slice::of(&buffer, 1..2).unwrap(), b"y");
    }
}
