//! The one signal that says: come to an end.

use event_listener::{Event, EventListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A switch that is thrown once; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    stopped: AtomicBool,
    event: Event,
}

impl Stop {
    /// Not yet thrown.
    pub fn new() -> Self {
        Stop::default()
    }

    /// Throws it.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
        self.0.event.notify(usize::MAX);
    }

    /// Whether it was thrown.
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }

    /// Fires when it is thrown; ask [`Stop::is_stopped`] after taking it, since the past does not fire.
    pub fn listen(&self) -> EventListener {
        self.0.event.listen()
    }

    /// Completes when it was thrown.
    pub async fn stopped(&self) {
        while !self.is_stopped() {
            let listener = self.listen();
            if self.is_stopped() {
                return;
            }
            listener.await;
        }
    }
}
