//! What we know of a directory's modification time, so that other programs' changes are seen without reading it.
//!
//! Linux before 6.13 takes it from a clock that ticks every 1 to 10 ms, some file systems from one that ticks every second or two:
//! two changes within a tick leave the same time. There, what was noted right after a change may hide a change of another program,
//! and once a minute the directories of which that is so are read once more (`Store::doubtful`).

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// The modification time that was noted of a directory.
#[derive(Default)]
pub struct Noted {
    /// In ns.
    time: AtomicU64,
    /// How often the directory is still to be read, though its time says that it need not be.
    doubts: AtomicU8,
}

/// Twice: the tick may still go on at the first time.
const DOUBTS: u8 = 2;

impl Noted {
    /// The time, in ns.
    pub fn time(&self) -> u64 {
        self.time.load(Ordering::Relaxed)
    }

    /// Notes the time after a change of ours. `ticks`: another change may have left, or may still leave, the same.
    pub fn changed(&self, time: u64, ticks: bool) {
        self.time.store(time, Ordering::Relaxed);
        self.doubts.store(if ticks { DOUBTS } else { 0 }, Ordering::Relaxed);
    }

    /// Notes the time before a listing.
    pub fn listed(&self, time: u64, ticks: bool) {
        let before = self.time.swap(time, Ordering::Relaxed);
        if ticks && before != time {
            self.doubts.store(DOUBTS, Ordering::Relaxed);
        }
    }

    /// Whether the directory is to be read though its time says that it need not be; it will be.
    pub fn take_doubt(&self) -> bool {
        self.doubts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |doubts| doubts.checked_sub(1)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_clock_ticks_each_change_is_looked_behind_twice() {
        let noted = Noted::default();
        let doubts = |changed: &dyn Fn()| {
            changed();
            (0..4).filter(|_| noted.take_doubt()).count()
        };
        assert_eq!(doubts(&|| noted.listed(5, true)), 2, "whoever changed it may go on");
        assert_eq!(doubts(&|| noted.changed(6, true)), 2);
        assert_eq!(doubts(&|| noted.listed(6, true)), 0);
        assert_eq!(doubts(&|| noted.listed(7, true)), 2, "a change of somebody else");
        assert_eq!(doubts(&|| noted.changed(8, false)), 0);
        assert_eq!(doubts(&|| noted.listed(9, false)), 0);
        assert_eq!(noted.time(), 9);
    }
}
