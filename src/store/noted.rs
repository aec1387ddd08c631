//! What we know of a directory's modification time, so that other programs' changes are seen without reading it.
//!
//! Linux before 6.13 takes a modification time from a clock that ticks every 1 to 10 ms: two changes within a tick leave
//! the same. There a time that was noted right after a change may hide another one, and the directory is read once more
//! when it rests.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Two ticks of the slowest clock that is in use (HZ=100).
const TICKS: Duration = Duration::from_millis(20);
/// Changes that the file system's clock is tried with; together they take far less than a tick.
const TRIES: usize = 8;

/// A directory's modification time in ns; 0 when it is not there.
pub fn modified(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |m| m.mtime() as u64 * 1_000_000_000 + m.mtime_nsec() as u64)
}

/// Whether two changes in quick succession may leave a directory with the same modification time; tried in this one,
/// with a file that no reader of a Maildir looks at.
pub fn has_ticks(directory: &Path) -> io::Result<bool> {
    let path = directory.join(".clock");
    // One that a crash left.
    fs::remove_file(&path).ok();
    let mut times = vec![modified(directory)];
    for _ in 0..TRIES / 2 {
        File::create(&path)?;
        times.push(modified(directory));
        fs::remove_file(&path)?;
        times.push(modified(directory));
    }
    Ok(times.windows(2).any(|pair| pair.first() == pair.last()))
}

/// The modification time that was noted of a directory.
#[derive(Default)]
pub struct Noted {
    time: AtomicU64,
    trust: AtomicU8,
}

/// Another change may have left the same time.
const YOUNG: u8 = 1;
/// The same, and one look has found that the time stayed.
const RESTING: u8 = 2;

impl Noted {
    /// The time, in ns.
    pub fn time(&self) -> u64 {
        self.time.load(Ordering::Relaxed)
    }

    /// Notes one. `young`: another change may have left, or may still leave, the same.
    pub fn set(&self, time: u64, young: bool) {
        self.time.store(time, Ordering::Relaxed);
        self.trust.store(if young { YOUNG } else { 0 }, Ordering::Relaxed);
    }

    /// Whether the directory is to be read once more: it was young, and it has rested from one look, which finds the time
    /// as it was noted, to the next.
    pub fn has_rested(&self) -> bool {
        let rests = |trust| (trust == YOUNG).then_some(RESTING);
        self.trust.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rests) == Err(RESTING)
    }
}

/// Whether a time is so recent that another change may have left the same where the clock ticks. A time ahead of ours is.
pub fn is_recent(time: u64) -> bool {
    let since = SystemTime::UNIX_EPOCH + Duration::from_nanos(time);
    since.elapsed().map_or(true, |age| age < TICKS)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Scratch;
    use super::*;

    #[test]
    fn a_young_time_is_looked_behind_once_when_it_rests() {
        let noted = Noted::default();
        assert!(!noted.has_rested() && !noted.has_rested());
        noted.set(5, true);
        assert_eq!((noted.time(), noted.has_rested(), noted.has_rested()), (5, false, true));
        // As long as nobody has looked.
        assert!(noted.has_rested());
        noted.set(6, true);
        assert!(!noted.has_rested(), "a change began it again");
        noted.set(6, false);
        assert!(!noted.has_rested() && !noted.has_rested());
    }

    #[test]
    fn the_clock_is_tried_and_nothing_stays() {
        let scratch = Scratch::new("ticks");
        has_ticks(scratch.path()).unwrap();
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
        assert!(has_ticks(&scratch.path().join("missing")).is_err());
        let now = modified(scratch.path());
        assert!(is_recent(now + 1_000_000_000) && !is_recent(now - 1_000_000_000) && !is_recent(0));
    }
}
