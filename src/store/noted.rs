//! What we know of a directory's modification time, so that other programs' changes are seen without reading it.
//!
//! Linux before 6.13 takes it from a clock that ticks every 1 to 10 ms: two changes within a tick leave the same time.
//! There a time that was noted right after a change may hide another one, and the directory is read once more
//! when it rests.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// Two ticks of the slowest clock that is in use (HZ=100).
const TICKS: Duration = Duration::from_millis(20);
/// The modification time that was noted of a directory.
#[derive(Default)]
pub struct Noted(Mutex<State>);

#[derive(Default)]
struct State {
    /// In ns.
    time: u64,
    trust: Trust,
}

#[derive(Default, PartialEq)]
enum Trust {
    /// Another change has another time.
    #[default]
    Sure,
    /// Another change may have left, or may still leave, the same.
    Young,
    /// The same, and one look has found that the time stayed.
    Resting,
}

impl Noted {
    /// A change of ours begins; `modified` looks at the directory's time, `ticks` as [`Disk::has_ticks`](crate::disk::Disk::has_ticks) says. Others of ours wait
    /// for its end.
    pub fn changing<M: Fn() -> u64>(&self, ticks: bool, modified: M) -> Changing<'_, M> {
        let state = self.state();
        let alone = modified() == state.time;
        Changing { state, alone, ticks, modified }
    }

    /// Notes the time before the directory is listed: what comes during the listing is seen by the next look.
    pub fn listing(&self, ticks: bool, modified: impl Fn() -> u64) {
        let mut state = self.state();
        let time = modified();
        *state = State { time, trust: if ticks && is_recent(time) { Trust::Young } else { Trust::Sure } };
    }

    /// Whether somebody else has changed the directory since.
    pub fn differs(&self, modified: impl Fn() -> u64) -> bool {
        // Between a change of ours and the note of its time it would only seem so.
        let state = self.state();
        modified() != state.time
    }

    /// Whether a directory that does not differ is to be read once more: its time was young, and it has rested from one
    /// look, which asks this, to the next.
    pub fn has_rested(&self) -> bool {
        let mut state = self.state();
        if state.trust == Trust::Young {
            state.trust = Trust::Resting;
            return false;
        }
        state.trust == Trust::Resting
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A change of ours that is under way. The time after it is noted only if nobody else had changed the directory before: ours
/// must not hide theirs from the next look.
#[must_use]
pub struct Changing<'a, M: Fn() -> u64> {
    state: MutexGuard<'a, State>,
    alone: bool,
    ticks: bool,
    modified: M,
}

impl<M: Fn() -> u64> Drop for Changing<'_, M> {
    fn drop(&mut self) {
        if self.alone {
            let trust = if self.ticks { Trust::Young } else { Trust::Sure };
            *self.state = State { time: (self.modified)(), trust };
        }
    }
}

/// Whether a time is so recent that another change may have left the same where the clock ticks. A time ahead of ours is.
fn is_recent(time: u64) -> bool {
    let since = SystemTime::UNIX_EPOCH + Duration::from_nanos(time);
    since.elapsed().map_or(true, |age| age < TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_young_time_is_looked_behind_once_when_it_rests() {
        let noted = Noted::default();
        assert!(!noted.has_rested() && !noted.has_rested());
        drop(noted.changing(true, || 0));
        assert!(!noted.has_rested() && noted.has_rested());
        assert!(noted.has_rested(), "until somebody has looked");
        drop(noted.changing(true, || 0));
        assert!(!noted.has_rested(), "a change began it again");
        noted.listing(true, || 1);
        assert!(!noted.has_rested() && !noted.has_rested());
        drop(noted.changing(false, || 1));
        assert!(!noted.has_rested() && !noted.has_rested());
    }

    #[test]
    fn a_change_of_ours_does_not_hide_one_before_it() {
        let (noted, time) = (Noted::default(), Cell::new(0));
        let change = || {
            let _changing = noted.changing(false, || time.get());
            time.set(time.get() + 1);
        };
        change();
        assert!(!noted.differs(|| time.get()));
        time.set(5);
        change();
        assert!(noted.differs(|| time.get()));
        noted.listing(false, || time.get());
        assert!(!noted.differs(|| time.get()));
    }

    #[test]
    fn a_time_ahead_of_ours_is_recent() {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        assert!(is_recent(now) && is_recent(now + 1_000_000_000) && !is_recent(now - 1_000_000_000) && !is_recent(0));
    }
}
