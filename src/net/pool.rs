//! Bounded thread pools for what blocks. smol's own pool has up to 500 threads and an unbounded queue.

use super::filters::Filters;
use super::imap_login::Logins;
use super::tasks::hand_over;
use crate::base::limits;
use crate::bridge::Place;
use smol::future::Boxed;
use smol::lock::Semaphore;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// The pools of the process.
#[derive(Debug)]
pub struct Pools {
    /// Reading and writing files; most threads wait for fsync.
    pub disk: Pool,
    /// SEARCH and filling the cache; one thread a core, at a lower priority.
    pub scan: Pool,
    /// Commands and scripts.
    pub slow: Pool,
    /// Password hashes, one at a time: they are made to be expensive.
    pub password: Pool,
    /// Network threads that may wait for the disk now, so that a short job need not wake another thread and be waited for.
    spare: Semaphore,
    /// What no thread waits for: other servers that know a password.
    pub logins: Logins,
    /// Likewise: filters that say what a message is.
    pub filters: Filters,
}

impl Pools {
    /// Pools without threads; those come with the first jobs.
    pub fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Pools {
            disk: Pool::new("disk", limits::DISK_THREADS, limits::POOL_QUEUE, 0),
            scan: Pool::new("scan", cores, limits::POOL_QUEUE, 10),
            slow: Pool::new("slow", limits::SLOW_THREADS, limits::POOL_QUEUE, 0),
            password: Pool::new("password", 1, limits::LOGIN_QUEUE, 0),
            spare: Semaphore::new(limits::NET_SPARE),
            logins: Logins::default(),
            filters: Filters::default(),
        }
    }

    /// The pool of a place; `None` for `Inline`.
    fn at(&self, place: Place) -> Option<&Pool> {
        match place {
            Place::Inline => None,
            Place::Disk => Some(&self.disk),
            Place::Scan => Some(&self.scan),
            Place::Slow => Some(&self.slow),
            Place::Password => Some(&self.password),
        }
    }

    /// Does a job of this place: on the calling thread if that may wait, else on a thread of the pool.
    pub fn start<T: Send + 'static>(&self, place: Place, job: impl FnOnce() -> T + Send + 'static) -> Started<T> {
        let Some(pool) = self.at(place) else { return Started::Done(Ok(job())) };
        if place == Place::Disk
            && let Some(_spare) = self.spare.try_acquire()
        {
            let _away = hand_over();
            return Started::Done(caught(pool.0.name, job));
        }
        Started::Waits(pool.run(job))
    }

    /// Finishes what is queued, takes nothing new, and waits for the threads.
    pub fn stop(&self) {
        for pool in [&self.password, &self.scan, &self.slow, &self.disk] {
            pool.stop();
        }
    }
}

impl Default for Pools {
    fn default() -> Self {
        Pools::new()
    }
}

/// A job that was done, or that a thread of a pool will do.
pub enum Started<T> {
    /// What it gave.
    Done(Result<T, NotDone>),
    /// What it will give.
    Waits(Boxed<Result<T, NotDone>>),
}

impl<T> Started<T> {
    /// What it gave, when it is done. The future has room for it; who has thousands of futures looks at the cases.
    pub async fn done(self) -> Result<T, NotDone> {
        match self {
            Started::Done(done) => done,
            Started::Waits(future) => future.await,
        }
    }
}

/// Why a job gave no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotDone {
    /// The queue is full (or the pool has stopped): the job was not started.
    Full,
    /// The job panicked; the log has the message.
    Panicked,
}

impl fmt::Display for NotDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotDone::Full => "too much is waiting already",
            NotDone::Panicked => "an internal error; the log has it",
        })
    }
}

impl std::error::Error for NotDone {}

/// Threads with one bounded queue, first in, first out.
#[derive(Debug)]
pub struct Pool(Arc<Shared>);

struct Shared {
    name: &'static str,
    threads: usize,
    queue: usize,
    nice: i32,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    idle: usize,
    running: usize,
    stopped: bool,
    handles: Vec<JoinHandle<()>>,
}

type Job = Box<dyn FnOnce() + Send>;

/// A thread without work ends after this.
const IDLE: Duration = Duration::from_secs(10);

/// The panic hook has written where and why.
fn caught<T>(pool: &str, job: impl FnOnce() -> T) -> Result<T, NotDone> {
    catch_unwind(AssertUnwindSafe(job)).map_err(|_| {
        log::error!("a job of the {pool} pool panicked; its request was refused");
        NotDone::Panicked
    })
}

impl Pool {
    /// A pool of at most `threads` threads, with at most `queue` jobs waiting.
    pub fn new(name: &'static str, threads: usize, queue: usize, nice: i32) -> Self {
        Pool(Arc::new(Shared { name, threads, queue, nice, state: Mutex::default(), work: Condvar::new() }))
    }

    /// Queues the job at once, before the future is polled; it runs even if the future is dropped.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Boxed<Result<T, NotDone>> {
        let (sender, receiver) = smol::channel::bounded(1);
        let name = self.0.name;
        let queued = self.queue(Box::new(move || {
            // Nobody may wait any more: the connection is gone, the work is done.
            if let Ok(value) = caught(name, job) {
                drop(sender.try_send(value));
            }
        }));
        Box::pin(async move {
            if !queued {
                return Err(NotDone::Full);
            }
            receiver.recv().await.map_err(|_| NotDone::Panicked)
        })
    }

    fn queue(&self, job: Job) -> bool {
        let mut state = self.0.lock();
        if state.stopped || state.jobs.len() >= self.0.queue {
            return false;
        }
        state.jobs.push_back(job);
        if state.jobs.len() > state.idle && state.running < self.0.threads {
            let shared = self.0.clone();
            match std::thread::Builder::new().name(self.0.name.to_string()).spawn(move || shared.work()) {
                Ok(handle) => {
                    state.running += 1;
                    state.handles.retain(|h| !h.is_finished());
                    state.handles.push(handle);
                }
                Err(error) if state.running == 0 => {
                    log::error!("cannot start a thread of the {} pool: {error}; raise the limit of tasks", self.0.name);
                    state.jobs.pop_back();
                    return false;
                }
                // The threads that run will come to it.
                Err(_) => {}
            }
        }
        drop(state);
        self.0.work.notify_one();
        true
    }

    /// Jobs that wait for a thread.
    pub fn waiting(&self) -> usize {
        self.0.lock().jobs.len()
    }

    /// Finishes what is queued, takes nothing new, and waits for the threads.
    pub fn stop(&self) {
        let handles = {
            let mut state = self.0.lock();
            state.stopped = true;
            std::mem::take(&mut state.handles)
        };
        self.0.work.notify_all();
        let me = std::thread::current().id();
        for handle in handles.into_iter().filter(|h| h.thread().id() != me) {
            // A thread of ours catches every panic of a job.
            drop(handle.join());
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No job runs under the lock, so a poisoned one is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        if self.nice > 0
            && let Err(error) = rustix::process::nice(self.nice)
        {
            log::debug!("cannot lower the priority of a {} thread: {error}", self.name);
        }
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                state = self.lock();
                continue;
            }
            if state.stopped {
                break;
            }
            state.idle += 1;
            let (next, timeout) = self.work.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = next;
            state.idle -= 1;
            if timeout.timed_out() && state.jobs.is_empty() {
                break;
            }
        }
        state.running -= 1;
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("name", &self.name).field("threads", &self.threads).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn results_come_back_and_threads_are_bounded() {
        let pool = Pool::new("test", 3, 100, 0);
        let (now, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let jobs: Vec<_> = (0..30)
            .map(|i| {
                let (now, peak) = (now.clone(), peak.clone());
                pool.run(move || {
                    peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(2));
                    now.fetch_sub(1, Ordering::SeqCst);
                    i * 2
                })
            })
            .collect();
        for (i, job) in jobs.into_iter().enumerate() {
            assert_eq!(smol::block_on(job), Ok(i * 2));
        }
        assert_eq!(peak.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn a_full_queue_and_a_panic_are_errors() {
        let pool = Pool::new("test", 1, 1, 0);
        let gate = Arc::new(Mutex::new(()));
        let held = gate.lock().unwrap();
        let first = pool.run({
            let gate = gate.clone();
            move || drop(gate.lock().unwrap())
        });
        while pool.waiting() > 0 {
            std::thread::yield_now();
        }
        let second = pool.run(|| -> () { panic!("planted") });
        assert_eq!(smol::block_on(pool.run(|| ())), Err(NotDone::Full));
        drop(held);
        assert_eq!(smol::block_on(first), Ok(()));
        assert_eq!(smol::block_on(second), Err(NotDone::Panicked));
        assert_eq!(smol::block_on(pool.run(|| 7)), Ok(7));
    }

    #[test]
    fn stopping_finishes_what_is_queued() {
        let pool = Pool::new("test", 1, 100, 0);
        let done = Arc::new(AtomicUsize::new(0));
        for _ in 0..20 {
            let done = done.clone();
            drop(pool.run(move || {
                std::thread::sleep(Duration::from_millis(1));
                done.fetch_add(1, Ordering::SeqCst)
            }));
        }
        pool.stop();
        assert_eq!(done.load(Ordering::SeqCst), 20);
        assert_eq!(smol::block_on(pool.run(|| ())), Err(NotDone::Full));
    }
}
