//! Waiting for work.

use crate::base::Timestamp;
use crate::net::Stop;
use crate::queue::Queue;
use smol::future;
use std::time::{Duration, SystemTime};

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    Timestamp::from_system(SystemTime::now()).secs()
}

/// A number that differs between messages, to spread their next attempts.
pub(super) fn spread(id: &str) -> u64 {
    // FNV-1a: any mixing will do.
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// What came of looking.
pub(super) enum Looked<T> {
    /// There was something.
    Found(T),
    /// There was nothing, and something has changed since: look again.
    Changed,
    /// There was nothing, and nothing has changed all the time.
    Quiet,
}

/// Looks with `look`; when it finds nothing, waits until the queue has changed, `most` has passed or `stop` was thrown.
pub(super) async fn look_or_wait<T>(
    queue: &Queue,
    stop: &Stop,
    look: impl FnOnce() -> Option<T>,
    most: impl FnOnce() -> Duration,
) -> Looked<T> {
    // The listener comes first: what changes between looking and waiting then fires it.
    let changed = queue.listen();
    if stop.is_stopped() {
        return Looked::Changed;
    }
    if let Some(found) = look() {
        return Looked::Found(found);
    }
    let changed = async {
        future::or(changed, stop.stopped()).await;
        Looked::Changed
    };
    let quiet = async {
        smol::Timer::after(most()).await;
        Looked::Quiet
    };
    future::or(changed, quiet).await
}
