//! The loop that turns orders into entries.

use super::clock::{Looked, look_or_wait};
use crate::net::Stop;
use crate::queue::{FanOut, Plan, Queue};
use std::sync::Arc;
use std::time::Duration;

/// Orders that share their syncs.
const BATCH: usize = 256;
/// After an error of the disk.
const PAUSE: Duration = Duration::from_secs(10);

/// Fans out whatever is placed, until `stop`.
pub async fn run(queue: Arc<Queue>, plan: Arc<dyn Plan + Send + Sync>, how: FanOut, stop: Stop) {
    let how = Arc::new(how);
    while !stop.is_stopped() {
        let look = || queue.has_orders().then_some(());
        if !matches!(look_or_wait(&queue, &stop, look, || Duration::from_secs(3600)).await, Looked::Found(())) {
            continue;
        }
        let job = {
            let (queue, plan, how) = (queue.clone(), plan.clone(), how.clone());
            move || queue.fan_out(plan.as_ref(), &how, BATCH)
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
