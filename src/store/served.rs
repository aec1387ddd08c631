//! Who is served now, so that work that can wait lets them pass.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Those for whom something is looked for or listed now.
#[derive(Default)]
pub struct Served {
    count: Mutex<usize>,
    nobody: Condvar,
}

/// Somebody is served as long as this lives.
pub struct Serving<'a>(&'a Served);

impl Served {
    /// Somebody is served from now on.
    pub fn begin(&self) -> Serving<'_> {
        *self.lock() += 1;
        Serving(self)
    }

    /// Waits until nobody is served, and `most` at the most: those who are served all the time must not stop others for ever.
    /// Called between steps of work that can wait.
    pub fn let_pass(&self, most: Duration) {
        let waited = self.nobody.wait_timeout_while(self.lock(), most, |count| *count > 0);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// How many are served.
    #[cfg(test)]
    pub fn count(&self) -> usize {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        let mut count = self.0.lock();
        *count -= 1;
        if *count == 0 {
            self.0.nobody.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::thread;

    /// Longer than any test may take.
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn whoever_can_wait_is_woken_when_the_last_has_gone() {
        let served = Served::default();
        served.let_pass(LONG);
        let (first, second) = (served.begin(), served.begin());
        let (said, heard) = channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                served.let_pass(LONG);
                said.send(()).ok();
            });
            drop(first);
            assert!(heard.recv_timeout(Duration::from_millis(50)).is_err(), "one is left");
            drop(second);
            assert_eq!(heard.recv_timeout(LONG / 2), Ok(()));
        });
        assert_eq!(served.count(), 0);
    }

    #[test]
    fn nobody_stops_it_for_ever() {
        let served = Served::default();
        let _serving = served.begin();
        served.let_pass(Duration::from_millis(1));
    }
}
