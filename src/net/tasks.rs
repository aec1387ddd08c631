//! What is to be done, and who of the network threads does it.
//!
//! Waking another thread takes longer than most of what a connection asks for. So the thread that hears of an event does what
//! follows from it; another is woken only when there is more to do than what is at hand, or when this one may be busy for long
//! ([`hand_over`]). An executor that wakes whichever thread sleeps changes threads 17 times for a login, SELECT and LOGOUT; this
//! one does 5 times.

use async_task::Runnable;
use pin_project_lite::pin_project;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Tasks that a thread does in a row before it looks for events itself.
const IN_A_ROW: usize = 32;
/// A thread that has been at it for so long may be for longer, and another one is to look for events.
const LONG: Duration = Duration::from_micros(200);

thread_local! {
    /// The tasks that this thread does, and which of their threads it is.
    static HERE: RefCell<Option<(Tasks, usize)>> = const { RefCell::new(None) };
    /// It does a task that will soon pause: what that makes ready it does next.
    static IS_QUICK: Cell<bool> = const { Cell::new(false) };
}

/// Tasks, and the threads that do them; clones share both.
#[derive(Clone, Default)]
pub struct Tasks(Arc<Shared>);

#[derive(Default)]
struct Shared {
    ready: Mutex<Ready>,
    /// Every task that has not ended, so that it can be dropped at the end.
    all: Mutex<All>,
}

#[derive(Default)]
struct Ready {
    queue: VecDeque<Runnable>,
    /// Threads that have nothing to do.
    idle: Vec<(usize, Waker)>,
    /// The one of them that waits for events; the others wait to be woken.
    listener: Option<usize>,
}

#[derive(Default)]
struct All {
    last: u64,
    wakers: HashMap<u64, Waker>,
    /// No task begins any more.
    ended: bool,
}

/// Takes a task out of all when it ends, or is dropped.
struct Entry(Arc<Shared>, u64);

impl Drop for Entry {
    fn drop(&mut self) {
        self.0.all().wakers.remove(&self.1);
    }
}

pin_project! {
    /// A task; an `async` block around another takes the room of both.
    struct Whole<F> {
        #[pin]
        task: F,
        _entry: Entry,
    }
}

impl<F: Future<Output = ()>> Future for Whole<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.project().task.poll(context)
    }
}

impl Tasks {
    /// Has a task done, to its end or to that of the threads.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let runnable = {
            let mut all = self.0.all();
            if all.ended {
                return;
            }
            all.last += 1;
            let number = all.last;
            let whole = Whole { task, _entry: Entry(self.0.clone(), number) };
            let shared = self.0.clone();
            let add = move |runnable| shared.add(runnable);
            // A panic ends the task and not the thread.
            let (runnable, handle) = async_task::Builder::new().propagate_panic(true).spawn(|()| whole, add);
            handle.detach();
            all.wakers.insert(number, runnable.waker());
            runnable
        };
        runnable.schedule();
    }

    /// Does tasks on this thread, until `stop` completes. No two threads have the same number.
    pub async fn run(&self, number: usize, stop: impl Future<Output = ()>) {
        HERE.set(Some((self.clone(), number)));
        let mut stop = pin!(stop);
        std::future::poll_fn(|context| {
            self.0.ready().take(number);
            let stopped = stop.as_mut().poll(context);
            if stopped.is_pending() {
                self.0.work(number, context);
            }
            stopped
        })
        .await;
        HERE.set(None);
    }

    /// Drops every task. No thread does any more.
    pub fn clear(&self) {
        self.0.all().ended = true;
        loop {
            let wakers: Vec<Waker> = self.0.all().wakers.values().cloned().collect();
            if wakers.is_empty() {
                break;
            }
            // None is dropped where it is made ready: whoever does that may hold a lock that it needs to be dropped.
            wakers.into_iter().for_each(Waker::wake);
            let queue = std::mem::take(&mut self.0.ready().queue);
            if queue.is_empty() {
                // A thread that is none of ours is just making one ready.
                std::thread::yield_now();
            }
            drop(queue);
        }
    }
}

/// While it lives, this thread is busy, or waits.
#[must_use]
pub struct Away {
    was_quick: bool,
}

/// The calling thread, if it does tasks, is about to be busy or to wait: another one looks for events meanwhile, and does what
/// becomes ready.
pub fn hand_over() -> Away {
    let away = Away { was_quick: IS_QUICK.replace(false) };
    HERE.with_borrow(|here| here.iter().for_each(|(tasks, _)| tasks.0.hand_over()));
    away
}

impl Drop for Away {
    fn drop(&mut self) {
        IS_QUICK.set(self.was_quick);
    }
}

impl Shared {
    /// A task can go on.
    fn add(self: &Arc<Self>, runnable: Runnable) {
        let mine = |here: &(Tasks, usize)| Arc::ptr_eq(&here.0.0, self).then_some(here.1);
        // A thread that ends has none any more.
        let me = HERE.try_with(|here| here.borrow().as_ref().and_then(mine)).ok().flatten();
        let mut ready = self.ready();
        ready.queue.push_back(runnable);
        let waker = if me.is_some() && IS_QUICK.get() && ready.queue.len() == 1 {
            // It comes to it when what it does now pauses.
            None
        } else if let Some(own) = me.and_then(|me| ready.take(me)) {
            // It has just heard of an event, so it is the one that waited for them.
            ready.listener = None;
            Some(own)
        } else {
            ready.take_any()
        };
        drop(ready);
        waker.into_iter().for_each(Waker::wake);
    }

    /// Does what is ready, then waits.
    fn work(&self, number: usize, context: &mut Context<'_>) {
        let began = Instant::now();
        for _ in 0..IN_A_ROW {
            let runnable = {
                let mut ready = self.ready();
                let Some(runnable) = ready.queue.pop_front() else {
                    ready.listener.get_or_insert(number);
                    ready.idle.push((number, context.waker().clone()));
                    return;
                };
                runnable
            };
            if began.elapsed() > LONG {
                self.hand_over();
            }
            IS_QUICK.set(true);
            runnable.run();
            IS_QUICK.set(false);
        }
        context.waker().wake_by_ref();
    }

    /// Sees to it that somebody does what is ready, or waits for events.
    fn hand_over(&self) {
        let waker = {
            let mut ready = self.ready();
            let is_cared_for = ready.queue.is_empty() && ready.listener.is_some();
            if is_cared_for { None } else { ready.take_any() }
        };
        waker.into_iter().for_each(Waker::wake);
    }

    fn ready(&self) -> MutexGuard<'_, Ready> {
        // Nothing of others runs under these locks, so a poisoned one is whole.
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ready {
    /// This thread is idle no more; what wakes it. `None`: it was not.
    fn take(&mut self, thread: usize) -> Option<Waker> {
        let at = self.idle.iter().position(|(idle, _)| *idle == thread)?;
        if self.listener == Some(thread) {
            self.listener = None;
        }
        Some(self.idle.remove(at).1)
    }

    /// Likewise one of those who are idle, at best not the one that waits for events.
    fn take_any(&mut self) -> Option<Waker> {
        let other = self.idle.iter().rev().find(|(idle, _)| self.listener != Some(*idle));
        let (thread, _) = other.or(self.idle.last())?;
        self.take(*thread)
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("all", &self.0.all().wakers.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
