//! What we know of a directory's modification time, so that other programs' changes are seen without reading it.
//!
//! Linux before 6.13 takes it from a clock that ticks every 1 to 10 ms, some file systems from one that ticks every second or two:
//! two changes within a tick leave the same time. There, what was noted right after a change is in doubt: it may hide a change of
//! another program, until the directory is read once more (`Store::doubtful`).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// The longest tick of a file system's clock that is in use: that of FAT.
const TICK: Duration = Duration::from_secs(2);

/// The modification time that was noted of a directory.
#[derive(Default)]
pub struct Noted {
    /// In ns.
    time: AtomicU64,
    /// Another change may have left, or may still leave, the same time.
    doubt: AtomicBool,
}

impl Noted {
    /// The time, in ns.
    pub fn time(&self) -> u64 {
        self.time.load(Ordering::Relaxed)
    }

    /// Notes the time after a change of ours.
    pub fn changed(&self, time: u64, ticks: bool) {
        self.time.store(time, Ordering::Relaxed);
        self.doubt.store(ticks, Ordering::Relaxed);
    }

    /// Notes the time before a listing, which resolves the doubt unless the same tick may still go on.
    pub fn listed(&self, time: u64, ticks: bool) {
        self.time.store(time, Ordering::Relaxed);
        self.doubt.store(ticks && is_recent(time), Ordering::Relaxed);
    }

    /// Whether the time may hide a change.
    pub fn is_doubtful(&self) -> bool {
        self.doubt.load(Ordering::Relaxed)
    }
}

/// Whether a time is less than a tick ago, or ahead of ours.
fn is_recent(time: u64) -> bool {
    let since = SystemTime::UNIX_EPOCH + Duration::from_nanos(time);
    since.elapsed().map_or(true, |age| age < TICK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_clock_ticks_a_listing_long_after_a_change_resolves_the_doubt() {
        let noted = Noted::default();
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        let (ahead, ago) = (now + 9_000_000_000, now - 9_000_000_000);
        let mut doubts = Vec::new();
        for (time, ticks) in [(now, true), (ahead, true), (ago, true), (now, false)] {
            noted.changed(time, ticks);
            doubts.push(noted.is_doubtful());
            noted.listed(time, ticks);
            doubts.push(noted.is_doubtful());
            assert_eq!(noted.time(), time);
        }
        assert_eq!(doubts, [true, true, true, true, true, false, false, false]);
    }
}
