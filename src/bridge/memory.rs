//! A limit on memory that connections share.

use crate::base::limits;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many bytes, all connections together.
#[derive(Debug)]
pub struct Memory {
    used: AtomicUsize,
    most: usize,
}

impl Memory {
    /// At most `most` bytes together.
    pub fn new(most: usize) -> Memory {
        Memory { used: AtomicUsize::new(0), most }
    }

    /// The same, and in any case room for the largest message that a door takes, alone: it must not be told for ever to
    /// come again, nor must one that is larger still, of which only the header is kept once it has passed the limit.
    pub fn holding(most: usize, largest: u64) -> Memory {
        let largest = usize::try_from(largest).unwrap_or(usize::MAX);
        Memory::new(most.max(largest.saturating_add(limits::INTAKE_FIRST)))
    }

    pub(super) fn take(&self, bytes: usize) -> bool {
        let fits = |used: usize| used.checked_add(bytes).filter(|&sum| sum <= self.most);
        self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits).is_ok()
    }

    pub(super) fn give(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
    }
}

/// What one connection has of it; given back when it is dropped.
pub(super) struct Share {
    memory: Arc<Memory>,
    held: usize,
}

impl Share {
    /// Nothing yet.
    pub(super) fn of(memory: &Arc<Memory>) -> Share {
        Share { memory: memory.clone(), held: 0 }
    }

    /// Grows to so many bytes; whether there was room.
    pub(super) fn is(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.held);
        let fits = more == 0 || self.memory.take(more);
        self.held += if fits { more } else { 0 };
        fits
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.give(self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_over_the_size_limit_finds_room_until_it_is_cut() {
        let largest = 64 << 20;
        assert!(Memory::holding(64 << 20, largest).take((64 << 20) + limits::INTAKE_FIRST));
        assert!(!Memory::holding(64 << 20, 1000).take((64 << 20) + 1));
    }

    #[test]
    fn shares_are_given_back() {
        let memory = Arc::new(Memory::new(100));
        let (mut one, mut other) = (Share::of(&memory), Share::of(&memory));
        assert!(one.is(60) && one.is(20) && other.is(40));
        assert!(!other.is(41) && !one.is(61));
        drop(one);
        assert!(other.is(100));
        drop(other);
        assert!(memory.take(100));
    }
}
