//! The threads on which tasks run. smol's global executor has one thread and hides panics.

use super::{Stop, Tasks};
use crate::base::limits;
use smol::future::FutureExt as _;
use std::io;
use std::panic::AssertUnwindSafe;
use std::thread::JoinHandle;
use std::time::Duration;

/// Before a loop that panicked begins anew, so that one that always does fills no log.
const RESTART: Duration = Duration::from_secs(5);

/// Our own executor; dropping it drops every task that still runs.
#[derive(Debug)]
pub struct Executor {
    tasks: Tasks,
    stop: Stop,
    threads: Vec<JoinHandle<()>>,
}

impl Executor {
    /// Starts `threads` threads (at least one), and besides them those that may wait for the disk.
    pub fn start(threads: usize) -> io::Result<Executor> {
        let mut executor = Executor { tasks: Tasks::default(), stop: Stop::new(), threads: Vec::new() };
        for number in 0..threads.max(1) + limits::NET_SPARE {
            let (tasks, stop) = (executor.tasks.clone(), executor.stop.clone());
            let run = move || smol::block_on(tasks.run(number, stop.stopped()));
            executor.threads.push(std::thread::Builder::new().name(format!("net-{number}")).spawn(run)?);
        }
        Ok(executor)
    }

    /// One thread a core, and those that may wait.
    pub fn start_default() -> io::Result<Executor> {
        Self::start(std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// The tasks themselves.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Runs a task to its end; a panic ends this task alone, with a log line.
    pub fn spawn(&self, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        spawn(&self.tasks, what, task);
    }

    /// Stops the threads and drops every task.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("a network thread panicked");
            }
        }
        self.tasks.clear();
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs a loop that must not end before the stop: after a panic it is begun anew, with a log line.
pub fn keep<F>(tasks: &Tasks, what: &'static str, stop: Stop, task: impl Fn() -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let guarded = async move {
        while !stop.is_stopped() && AssertUnwindSafe(task()).catch_unwind().await.is_err() {
            log::error!("{what} panicked and is begun anew; please report the lines above");
            let pause = async {
                smol::Timer::after(RESTART).await;
            };
            smol::future::or(pause, stop.stopped()).await;
        }
    };
    tasks.spawn(guarded);
}

/// Runs a detached task; a panic ends this task alone, with a log line.
pub fn spawn(tasks: &Tasks, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
    let guarded = async move {
        if AssertUnwindSafe(task).catch_unwind().await.is_err() {
            log::error!("{what} panicked and was ended; please report the lines above");
        }
    };
    tasks.spawn(guarded);
}
