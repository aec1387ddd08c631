//! Who is served now, so that work that can wait lets them pass.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a step of such work waits at the most: those who are served all the time must not stop it for ever.
const MOST: Duration = Duration::from_millis(100);

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

    /// Waits until nobody is served, a tenth of a second at the most. Called between steps of work that can wait.
    pub fn let_pass(&self) {
        let waited = self.nobody.wait_timeout_while(self.lock(), MOST, |count| *count > 0);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
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

    #[test]
    fn whoever_can_wait_waits_for_the_last_and_not_for_ever() {
        let served = Served::default();
        served.let_pass();
        let (first, second) = (served.begin(), served.begin());
        let (said, heard) = channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                served.let_pass();
                said.send("nobody stops it for ever").ok();
                served.let_pass();
                said.send("all have gone").ok();
            });
            drop(first);
            assert!(heard.recv_timeout(MOST / 4).is_err(), "one is left");
            assert_eq!(heard.recv(), Ok("nobody stops it for ever"));
            drop(second);
            assert_eq!(heard.recv(), Ok("all have gone"));
        });
        assert_eq!(*served.lock(), 0);
    }
}
