//! When to try again. Pure.

use crate::base::limits;
use std::time::Duration;

/// What follows an attempt that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try again at this time, in seconds since 1970.
    At(u64),
    /// It is too old.
    GiveUp,
}

/// What follows the failed attempt number `attempts` (1 is the first) at `now` of something asked for at `asked`. Age
/// counts only here, after an attempt: what waited while the host was down is tried once at least. What is older than `age` is
/// given up. `spread`, any number,
/// lengthens the pause by up to an eighth, so that what failed together does not come back together.
pub fn after_failure(age: Duration, asked: u64, attempts: u32, now: u64, spread: u64) -> Next {
    let (first, most) = (limits::RETRY_FIRST.as_secs(), limits::RETRY_MOST.as_secs());
    if now.saturating_sub(asked) >= age.as_secs() {
        return Next::GiveUp;
    }
    let doublings = attempts.saturating_sub(1).min(32);
    let pause = first.checked_shl(doublings).map_or(most, |p| p.min(most));
    Next::At(now.saturating_add(pause + spread % (pause / 8 + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pauses() {
        let pause = |attempts| match after_failure(limits::QUEUE_AGE, 1000, attempts, 1000, 0) {
            Next::At(at) => at - 1000,
            Next::GiveUp => 0,
        };
        assert_eq!(
            [1, 2, 3, 4, 5, 6, 7, 8, 99, u32::MAX].map(pause),
            [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]
        );
    }

    /// `limits.queue_age` was read and had no effect.
    #[test]
    fn the_age_is_the_configured_one() {
        let hour = Duration::from_secs(3600);
        assert_eq!(after_failure(hour, 1000, 1, 1000 + 3600, 0), Next::GiveUp);
        assert_eq!(after_failure(hour, 1000, 1, 1000 + 3599, 0), Next::At(1000 + 3599 + 60));
    }

    proptest! {
        #[test]
        fn pauses_grow_and_end(asked in 0u64..1 << 40, spread: u64, start in 0u64..400_000) {
            let age = limits::QUEUE_AGE.as_secs();
            let most = limits::RETRY_MOST.as_secs();
            let mut now = asked + start;
            let mut last = 0;
            for attempt in 1..=1000u32 {
                match after_failure(limits::QUEUE_AGE, asked, attempt, now, spread) {
                    Next::GiveUp => {
                        prop_assert!(now - asked >= age);
                        prop_assert!(attempt == 1 || now - asked < age + most + most / 8 + 1, "gave up late");
                        return Ok(());
                    }
                    Next::At(next) => {
                        let pause = next - now;
                        prop_assert!(now - asked < age);
                        prop_assert!(pause >= limits::RETRY_FIRST.as_secs() && pause <= most + most / 8);
                        prop_assert!(pause + pause / 8 + 1 >= last, "never much shorter than the one before");
                        last = pause;
                        now = next;
                    }
                }
            }
            prop_assert!(false, "never gave up");
        }

        #[test]
        fn no_number_panics(asked: u64, attempts: u32, now: u64, spread: u64) {
            after_failure(limits::QUEUE_AGE, asked, attempts, now, spread);
        }
    }
}
