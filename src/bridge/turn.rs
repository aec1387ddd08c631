//! How long one answer may take.

use crate::base::Timestamp;
use crate::store::{Serving, Store};
use std::time::Duration;

/// How long one piece of a listing may take.
const SLICE: Duration = Duration::from_millis(8);

/// The same of a search, which has threads of its own: to begin again and ask others for help takes up to a few milliseconds.
const SEARCH: Duration = Duration::from_millis(32);

/// Messages between two looks at the clock, which takes as long as a look at a message whose fields are at hand.
const STRIDE: usize = 8;

/// The time that one piece of a scan has. It is never over before the first message: a piece that does nothing has nowhere to
/// go on from, and ends the command.
pub struct Turn<'a> {
    store: &'a Store,
    began: Timestamp,
    time: Duration,
    asked: usize,
    /// Work that can wait lets it pass.
    _serving: Serving<'a>,
}

impl<'a> Turn<'a> {
    /// It begins now.
    pub fn new(store: &'a Store) -> Self {
        Turn { store, began: store.now(), time: SLICE, asked: 0, _serving: store.served().begin() }
    }

    /// That of a search begins now.
    pub fn of_search(store: &'a Store) -> Self {
        Turn { time: SEARCH, ..Turn::new(store) }
    }

    /// Asked before each message.
    pub fn is_over(&mut self) -> bool {
        self.is_over_before(1)
    }

    /// Asked before so many messages.
    pub fn is_over_before(&mut self, messages: usize) -> bool {
        let before = self.asked;
        self.asked += messages;
        before > 0 && before / STRIDE < self.asked / STRIDE && self.spent() > self.time
    }

    /// Asked before the message that follows so many, by one of several who share the turn.
    pub fn is_over_now(&self, after: usize) -> bool {
        after.is_multiple_of(STRIDE) && self.spent() > self.time
    }

    /// How much of it has passed.
    pub fn spent(&self) -> Duration {
        self.store.now().since(self.began)
    }

    /// How much of it is left.
    pub fn left(&self) -> Duration {
        self.time.saturating_sub(self.spent())
    }
}

/// How quickly a scan goes on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// Messages, and the nanoseconds that they took.
    learned: Option<(u64, u64)>,
}

impl Pace {
    /// So many messages took so long.
    pub fn learn(&mut self, messages: usize, time: Duration) {
        if messages > 0 {
            self.learned = Some((messages as u64, time.as_nanos() as u64));
        }
    }

    /// Messages that will take about this time; 0 while nothing was learned.
    pub fn within(&self, time: Duration) -> usize {
        let (messages, nanos) = self.learned.unwrap_or_default();
        (u128::from(messages) * time.as_nanos() / u128::from(nanos.max(1))) as usize
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
        assert_eq!((turn.left(), Turn::of_search(&store).left() < SEARCH), (Duration::ZERO, true));
        assert_eq!(store.served().count(), 1);
        drop(turn);
        assert_eq!(store.served().count(), 0, "work that can wait waits no longer");
    }

    #[test]
    fn a_pace_says_how_many_come_in_a_time() {
        let mut pace = Pace::default();
        assert_eq!(pace.within(SEARCH), 0, "nothing is known");
        pace.learn(3, Duration::from_millis(1));
        pace.learn(0, Duration::from_secs(1));
        assert_eq!([0, 1, 8].map(|ms| pace.within(Duration::from_millis(ms))), [0, 3, 24]);
        pace.learn(1_000, Duration::ZERO);
        assert!(pace.within(SEARCH) > 1_000_000, "quicker than the clock");
    }
}
