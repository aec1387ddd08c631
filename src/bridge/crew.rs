//! Work on many messages, shared with threads that have nothing to do.

use rayon_core::{ThreadPool, ThreadPoolBuilder};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Thread};

/// Items for which a helper is worth waking, which takes as long as parsing a small message.
const SHARE: usize = 4;

/// Threads that may help those of the pools, all commands together: one for every core but the one that asks. They stay: the
/// kernel often lets a new thread wait beside the one that started it, for milliseconds, while another core is idle.
#[derive(Debug)]
pub struct Crew {
    /// `None`: there is only one core, or no thread could be started.
    pool: Option<ThreadPool>,
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
        Crew::of(thread::available_parallelism().map_or(0, |cores| cores.get() - 1))
    }

    fn of(helpers: usize) -> Crew {
        let threads = ThreadPoolBuilder::new().num_threads(helpers).thread_name(|_| "helper".into());
        let pool = (helpers > 0).then(|| threads.build()).and_then(|built| {
            let told =
                |error| log::error!("cannot start threads that help with searches: {error}; raise the limit of tasks");
            built.map_err(told).ok()
        });
        let spare = AtomicUsize::new(if pool.is_some() { helpers } else { 0 });
        Crew { pool, spare }
    }

    /// What `work` makes of each item, in their order. Done by this thread, and by those of the crew that are free. Each makes
    /// for itself what it uses for one item after the other.
    pub fn map<T: Sync, R: Send, U>(
        &self,
        items: &[T],
        own: impl Fn() -> U + Sync,
        work: impl Fn(&mut U, &T) -> R + Sync,
    ) -> Vec<R> {
        let mut all = Vec::with_capacity(items.len());
        self.each(items, own, work, |_, made| all.push(made));
        all
    }

    /// The same, one by one: this thread takes what is ready, in the order of the items, and works when nothing is.
    pub fn each<T: Sync, R: Send, U>(
        &self,
        items: &[T],
        own: impl Fn() -> U + Sync,
        work: impl Fn(&mut U, &T) -> R + Sync,
        mut take: impl FnMut(usize, R),
    ) {
        let held = self.take(items.len() / SHARE);
        let bench = Bench::new(items.len());
        let work_on = |own: &mut U| bench.next(items).map(|(nth, item)| bench.put(nth, work(own, item)));
        let mut all = || {
            let mut own = own();
            for (nth, item) in items.iter().enumerate() {
                let made = loop {
                    if let Some(made) = bench.take(nth) {
                        break made;
                    }
                    if work_on(&mut own).is_none() {
                        break bench.wait(nth).unwrap_or_else(|| work(&mut own, item));
                    }
                };
                take(nth, made);
            }
        };
        let Some(pool) = self.pool.as_ref().filter(|_| held.count > 0) else { return all() };
        pool.in_place_scope(|scope| {
            for _ in 0..held.count {
                let (helping, own, work_on) = (bench.join(), &own, &work_on);
                scope.spawn(move |_| {
                    let (helping, mut own) = (helping, own());
                    while work_on(&mut own).is_some() {
                        helping.0.taker.unpark();
                    }
                });
            }
            all();
        });
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

/// Where what was made lies until it is taken.
struct Bench<R> {
    /// The item that nobody works on yet.
    next: AtomicUsize,
    made: Vec<Mutex<Option<R>>>,
    helping: AtomicUsize,
    taker: Thread,
}

/// One who helps, or will as soon as it has started, until it goes.
struct Helping<'a, R>(&'a Bench<R>);

impl<R> Drop for Helping<'_, R> {
    fn drop(&mut self) {
        self.0.helping.fetch_sub(1, Ordering::Release);
        self.0.taker.unpark();
    }
}

impl<R> Bench<R> {
    fn new(items: usize) -> Self {
        let made = std::iter::repeat_with(Mutex::default).take(items).collect();
        Bench { next: AtomicUsize::new(0), made, helping: AtomicUsize::new(0), taker: thread::current() }
    }

    fn join(&self) -> Helping<'_, R> {
        self.helping.fetch_add(1, Ordering::Relaxed);
        Helping(self)
    }

    fn next<'a, T>(&self, items: &'a [T]) -> Option<(usize, &'a T)> {
        let nth = self.next.fetch_add(1, Ordering::Relaxed);
        Some((nth, items.get(nth)?))
    }

    fn put(&self, nth: usize, made: R) {
        if let Some(place) = self.made.get(nth) {
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(made);
        }
    }

    fn take(&self, nth: usize) -> Option<R> {
        self.made.get(nth)?.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits for the helper that works on this one. `None`: it panicked over it.
    fn wait(&self, nth: usize) -> Option<R> {
        loop {
            let is_helped = self.helping.load(Ordering::Acquire) > 0;
            let made = self.take(nth);
            if made.is_some() || !is_helped {
                return made;
            }
            thread::park();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_done_once_and_in_order_however_many_help() {
        for spare in [0, 1, 7] {
            let crew = Crew::of(spare);
            for count in [0, 1, 5, 300] {
                let items: Vec<usize> = (0..count).collect();
                let inner = |_: &mut (), n: &usize| crew.map(&[*n], || 2, |two, n| n * *two).pop();
                assert_eq!(crew.map(&items, || (), inner), items.iter().map(|n| Some(n * 2)).collect::<Vec<_>>());
            }
            assert_eq!(crew.spare.load(Ordering::Relaxed), spare, "all are free again");
        }
    }

    #[test]
    fn what_a_slow_helper_makes_is_waited_for() {
        let crew = Crew::of(1);
        let items: Vec<usize> = (0..64).collect();
        let taker = thread::current().id();
        let (made, mut taken) = (AtomicUsize::new(0), Vec::new());
        let slow = |_: &mut (), n: &usize| {
            if thread::current().id() != taker {
                thread::sleep(std::time::Duration::from_millis(20));
            }
            made.fetch_add(1, Ordering::Relaxed);
            *n
        };
        crew.each(&items, || (), slow, |nth, n| taken.push((nth, n)));
        assert_eq!(taken, items.iter().map(|&n| (n, n)).collect::<Vec<_>>());
        assert_eq!(made.into_inner(), items.len(), "each once");
    }

    #[test]
    fn helpers_are_free_again_after_a_panic() {
        let crew = Crew::of(3);
        let broken = || crew.map(&[0; 40], || (), |_, _| -> u8 { panic!("as the test wants") });
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(broken)).is_err());
        assert_eq!(crew.spare.load(Ordering::Relaxed), 3);

        let taker = thread::current().id();
        let slow = |_: &mut (), _: &u8| {
            thread::sleep(std::time::Duration::from_millis(2));
            assert_eq!(thread::current().id(), taker, "as the test wants of a helper");
        };
        let broken = || crew.each(&[0; 40], || (), slow, |_, ()| {});
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(broken)).is_err());
        assert_eq!(crew.spare.load(Ordering::Relaxed), 3);
    }
}
