//! The message while it comes in: what follows DATA, into what is held of it.

use super::data::Receiver;
use crate::mail;

/// A message on its way in.
#[derive(Debug)]
pub(super) struct Held {
    receiver: Receiver,
    held: mail::Held,
}

impl Held {
    /// An empty message that is kept whole up to `most` bytes.
    pub(super) fn new(most: u64) -> Self {
        Held { receiver: Receiver::default(), held: mail::Held::new(most) }
    }

    /// Takes input; 0: `wanted` bytes must be allowed first, or the message is complete.
    pub(super) fn feed(&mut self, input: &[u8]) -> usize {
        // The receiver appends one byte more than it takes, at most.
        let room = self.held.room().saturating_sub(1).min(input.len());
        let (receiver, input) = (&mut self.receiver, input.get(..room).unwrap_or_default());
        self.held.append(|bytes| receiver.push(input, bytes))
    }

    /// Whether more memory is needed before `feed` takes anything.
    pub(super) fn is_full(&self) -> bool {
        !self.is_complete() && self.held.room() <= 1
    }

    /// How much more to ask for.
    pub(super) fn wanted(&self) -> usize {
        self.held.wanted()
    }

    /// So much more was allowed.
    pub(super) fn grow(&mut self, by: usize) {
        self.held.grow(by);
    }

    /// Lets go of everything; the rest is only read.
    pub(super) fn drop_all(&mut self) {
        self.held.drop_all();
    }

    /// What a cut message needs, when it uses more; see [`mail::Held::excess`].
    pub(super) fn excess(&mut self) -> Option<usize> {
        self.held.excess()
    }

    /// Whether the outside counts memory for this message.
    pub(super) fn has_reserved(&self) -> bool {
        self.held.has_reserved()
    }

    /// Whether the message's end was seen.
    pub(super) fn is_complete(&self) -> bool {
        self.receiver.is_complete()
    }

    /// Whether the bytes were let go of.
    pub(super) fn is_dropped(&self) -> bool {
        self.held.is_dropped()
    }

    /// Bytes held, size of the whole, and whether it was cut.
    pub(super) fn finish(self) -> (Vec<u8>, u64, bool) {
        self.held.finish()
    }
}
