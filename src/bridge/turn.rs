//! How long one answer may take.

use crate::base::Timestamp;
use crate::store::Store;
use std::time::Duration;

/// How long one piece of a scan may take.
const SLICE: Duration = Duration::from_millis(8);

/// Messages between two looks at the clock, which takes as long as a look at a message whose fields are at hand.
const STRIDE: usize = 8;

/// The time that one piece of a scan has. It is never over before the first message: a piece that does nothing has nowhere to
/// go on from, and ends the command.
pub struct Turn<'a> {
    store: &'a Store,
    began: Timestamp,
    asked: usize,
}

impl<'a> Turn<'a> {
    /// It begins now.
    pub fn new(store: &'a Store) -> Self {
        Turn { store, began: store.now(), asked: 0 }
    }

    /// Asked before each message.
    pub fn is_over(&mut self) -> bool {
        self.is_over_before(1)
    }

    /// Asked before so many messages.
    pub fn is_over_before(&mut self, messages: usize) -> bool {
        let before = self.asked;
        self.asked += messages;
        before > 0 && before / STRIDE < self.asked / STRIDE && self.spent() > SLICE
    }

    /// Asked before the message that follows so many, by one of several who share the turn.
    pub fn is_over_now(&self, after: usize) -> bool {
        after.is_multiple_of(STRIDE) && self.spent() > SLICE
    }

    /// How much of it has passed.
    pub fn spent(&self) -> Duration {
        self.store.now().since(self.began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Disk;
    use crate::store::testing::Scratch;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn a_turn_does_one_message_however_slow_the_machine_is() {
        let scratch = Scratch::new("turn");
        let now = AtomicU64::new(0);
        let clock = Arc::new(move || Timestamp(now.fetch_add(1_000_000, Ordering::Relaxed)));
        let store = Store::open(Disk::new(scratch.path()), "h", 1, clock).unwrap().0;
        let mut turn = Turn::new(&store);
        assert!(!turn.is_over(), "a second has passed, and nothing was done");
        assert!((1..STRIDE).any(|_| turn.is_over()));
    }
}
