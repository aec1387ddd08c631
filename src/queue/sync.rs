//! One fsync for everybody who waits for the same directory.

use crate::base::Fault;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Lets callers that want the same directory synced share one fsync: a sync that begins after a change covers it.
#[derive(Default)]
pub(super) struct GroupSync {
    asked: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The highest number that a finished sync covers.
    covered: u64,
    /// The highest number that a failed sync covers.
    failed: u64,
}

impl GroupSync {
    /// Returns when a sync of `directory` that began after this call has ended. When it fails, all whom it covers are
    /// told, and it is not tried again for their changes: the kernel has forgotten them, and would report success.
    pub(super) fn sync(&self, directory: &Path, run: impl FnOnce() -> Result<(), Fault>) -> Result<(), Fault> {
        let mine = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if mine <= state.failed {
            return Err(Fault::new("sync the directory", directory, io::Error::other("it failed a moment ago")));
        }
        if mine <= state.covered {
            return Ok(());
        }
        let all = self.asked.load(Ordering::SeqCst);
        let result = run();
        state.covered = all;
        if result.is_err() {
            state.failed = all;
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    #[test]
    fn waiting_callers_share() {
        let group = GroupSync::default();
        let runs = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    group.sync(Path::new("x"), || {
                        runs.fetch_add(1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(50));
                        Ok(())
                    })
                });
            }
        });
        let shared = runs.load(Ordering::SeqCst);
        assert!((1..16).contains(&shared), "{shared} syncs for 16 callers");
        let count = || {
            runs.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        group.sync(Path::new("x"), count).unwrap();
        assert_eq!(runs.load(Ordering::SeqCst), shared + 1, "a later change needs a sync of its own");
    }

    #[test]
    fn a_failure_is_told_to_all_whom_it_covers_and_to_no_later_one() {
        let group = GroupSync::default();
        let (failures, runs) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let result = group.sync(Path::new("x"), || {
                        runs.fetch_add(1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(50));
                        Err(Fault::new("sync the directory", "x", io::Error::other("no")))
                    });
                    failures.fetch_add(usize::from(result.is_err()), Ordering::SeqCst);
                });
            }
        });
        assert_eq!(failures.load(Ordering::SeqCst), 8);
        assert!(runs.load(Ordering::SeqCst) < 8);
        group.sync(Path::new("x"), || Ok(())).unwrap();
    }
}
