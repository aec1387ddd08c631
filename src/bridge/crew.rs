//! Work on many messages, shared with threads that have nothing to do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Items for which a helper is worth its start, which takes as long as parsing a small message.
const SHARE: usize = 4;

/// Threads that may help those of the pools, all commands together: one for every core but the one that asks.
#[derive(Debug)]
pub struct Crew {
    spare: AtomicUsize,
}

/// Helpers that were taken from a crew.
struct Held<'a> {
    crew: &'a Crew,
    count: usize,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.crew.spare.fetch_add(self.count, Ordering::Relaxed);
    }
}

impl Crew {
    /// One for this machine.
    pub fn new() -> Crew {
        Crew { spare: AtomicUsize::new(thread::available_parallelism().map_or(0, |cores| cores.get() - 1)) }
    }

    /// What `work` makes of each item, in their order. Done by this thread, and by those of the crew that are free. Each makes
    /// for itself what it uses for one item after the other.
    pub fn map<T: Sync, R: Send, U>(
        &self,
        items: &[T],
        own: impl Fn() -> U + Sync,
        work: impl Fn(&mut U, &T) -> R + Sync,
    ) -> Vec<R> {
        let held = self.take(items.len() / SHARE);
        let next = AtomicUsize::new(0);
        let some = || {
            let (mut made, mut own) = (Vec::new(), own());
            loop {
                let nth = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(nth) else { return made };
                made.push((nth, work(&mut own, item)));
            }
        };
        let mut all = thread::scope(|scope| {
            let helper = |_| thread::Builder::new().name("helper".into()).spawn_scoped(scope, some).ok();
            let helpers: Vec<_> = (0..held.count).filter_map(helper).collect();
            let mut all = some();
            for helper in helpers {
                match helper.join() {
                    Ok(made) => all.extend(made),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            all
        });
        all.sort_unstable_by_key(|(nth, _)| *nth);
        all.into_iter().map(|(_, made)| made).collect()
    }

    fn take(&self, most: usize) -> Held<'_> {
        let taken =
            self.spare.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |spare| Some(spare - spare.min(most)));
        Held { crew: self, count: taken.map_or(0, |spare| spare.min(most)) }
    }
}

impl Default for Crew {
    fn default() -> Self {
        Crew::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_done_once_and_in_order_however_many_help() {
        for spare in [0, 1, 7] {
            let crew = Crew { spare: AtomicUsize::new(spare) };
            for count in [0, 1, 5, 300] {
                let items: Vec<usize> = (0..count).collect();
                let inner = |_: &mut (), n: &usize| crew.map(&[*n], || 2, |two, n| n * *two).pop();
                assert_eq!(crew.map(&items, || (), inner), items.iter().map(|n| Some(n * 2)).collect::<Vec<_>>());
            }
            assert_eq!(crew.spare.load(Ordering::Relaxed), spare, "all are free again");
        }
    }

    #[test]
    fn helpers_are_free_again_after_a_panic() {
        let crew = Crew { spare: AtomicUsize::new(3) };
        let broken = || crew.map(&[0; 40], || (), |_, _| -> u8 { panic!("as the test wants") });
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(broken)).is_err());
        assert_eq!(crew.spare.load(Ordering::Relaxed), 3);
    }
}
