//! Modification times, and how well they tell changes apart.

use super::Disk;
use rustix::fs::Stat;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Changes that a file system's clock is tried with: at least two of them fall into a tick of a millisecond.
const TRIES: usize = 8;

/// When a name in a directory last changed, in ns since 1970; 0 when that cannot be told.
pub fn modified(path: &Path) -> u64 {
    time_of(rustix::fs::stat(path))
}

/// The same of a directory that is open.
pub(super) fn time_of(stat: rustix::io::Result<Stat>) -> u64 {
    let since =
        |stat: Stat| stat.st_mtime.cast_unsigned().saturating_mul(1_000_000_000).saturating_add(stat.st_mtime_nsec);
    stat.map_or(0, since)
}

impl Disk {
    /// Whether two changes in quick succession may leave a directory with the same modification time; tried in this one, with a
    /// file that no reader of a Maildir looks at. Where it cannot be tried, they may. No watcher sees that file: nothing depends
    /// on it.
    pub fn has_ticks(&self, directory: &Path) -> bool {
        // One that a crash left.
        let path = directory.join(".clock");
        fs::remove_file(&path).ok();
        try_clock(directory, &path).unwrap_or(true)
    }
}

fn try_clock(directory: &Path, path: &Path) -> io::Result<bool> {
    let mut times = vec![modified(directory)];
    for _ in 0..TRIES / 2 {
        File::create(path)?;
        times.push(modified(directory));
        fs::remove_file(path)?;
        times.push(modified(directory));
    }
    Ok(times.windows(2).any(|pair| pair.first() == pair.last()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_tried_and_nothing_stays() {
        let directory = std::env::temp_dir().join(format!("lazaret-test-clock-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(".clock"), "left by a crash").unwrap();
        let disk = Disk::new(&directory);
        disk.has_ticks(&directory);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
        fs::remove_dir(&directory).unwrap();
        assert!(disk.has_ticks(&directory), "nothing is known");
    }
}
