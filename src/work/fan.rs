//! The loop that turns orders into entries.

use super::clock::{Looked, look_or_wait, now};
use crate::net::Stop;
use crate::queue::{FanOut, Plan, Queue};
use std::sync::Arc;
use std::time::Duration;

/// Orders that share their syncs.
const BATCH: usize = 256;
/// After an error of the disk.
const PAUSE: Duration = Duration::from_secs(10);
/// Seconds after which it looks whatever is known: the clock may have been set.
const IDLE: u64 = 3600;

/// Fans out whatever is placed, until `stop`.
pub async fn run(queue: Arc<Queue>, plan: Arc<dyn Plan + Send + Sync>, how: FanOut, stop: Stop) {
    let how = Arc::new(how);
    while !stop.is_stopped() {
        let look = || queue.has_orders(now()).then_some(());
        if !matches!(look_or_wait(&queue, &stop, look, || pause(&queue)).await, Looked::Found(())) {
            continue;
        }
        let job = {
            let (queue, plan, how) = (queue.clone(), plan.clone(), how.clone());
            move || queue.fan_out(plan.as_ref(), &how, BATCH, now())
        };
        if let Err(fault) = smol::unblock(job).await {
            log::error!("the queue cannot go on with some orders: {fault}");
            let pause = async {
                smol::Timer::after(PAUSE).await;
            };
            smol::future::or(pause, stop.stopped()).await;
        }
    }
}

/// How long there is nothing to do, as far as is known.
fn pause(queue: &Queue) -> Duration {
    // One that is to start and was not found waits for the end of other work on its message; the queue says when that is.
    let start = queue.next_start().map(|start| start.saturating_sub(now())).filter(|&secs| secs > 0);
    Duration::from_secs(start.unwrap_or(IDLE)).min(Duration::from_secs(IDLE))
}
