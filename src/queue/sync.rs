//! One fsync for everybody who waits for the same directory.

use crate::base::Fault;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Lets callers that want the same directory synced share one fsync: a sync that begins after a change covers it.
#[derive(Default)]
pub(super) struct GroupSync {
    asked: AtomicU64,
    /// The highest number that a finished sync covers.
    covered: Mutex<u64>,
}

impl GroupSync {
    /// Returns when a sync that began after this call has ended. A failed sync is reported to the caller that ran it and
    /// is not tried again for the same changes (the kernel forgets them); the others go on, as what they removed is
    /// removed at worst a second time.
    pub(super) fn sync(&self, run: impl FnOnce() -> Result<(), Fault>) -> Result<(), Fault> {
        let mine = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut covered = self.covered.lock().unwrap_or_else(PoisonError::into_inner);
        if *covered >= mine {
            return Ok(());
        }
        let all = self.asked.load(Ordering::SeqCst);
        let result = run();
        *covered = all;
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
                    group.sync(|| {
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
        group.sync(count).unwrap();
        assert_eq!(runs.load(Ordering::SeqCst), shared + 1, "a later change needs a sync of its own");
    }
}
