//! The loop that trains.

use super::clock::{Looked, look_or_wait, now, spread};
use super::sinks::{Learned, Lesson, Sink};
use crate::base::{Fault, limits};
use crate::mail::Trace;
use crate::net::Stop;
use crate::queue::schedule::{Next, after_failure};
use crate::queue::{Claim, Outcome, Part, Queue, Work};
use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

/// Tells sinks what is due. Run [`Train::run`] as often as trainings may be under way at once, at most
/// `limits::TRAININGS` times.
pub struct Train {
    queue: Arc<Queue>,
    outcome: Arc<dyn Outcome>,
    sinks: HashMap<String, Sink>,
}

impl Train {
    /// Not running yet; sinks by their names.
    pub fn new(queue: Arc<Queue>, outcome: Arc<dyn Outcome>, sinks: HashMap<String, Sink>) -> Arc<Self> {
        Arc::new(Train { queue, outcome, sinks })
    }

    /// One worker: trains until `stop`, and ends after the message that it is at.
    pub async fn run(self: Arc<Self>, stop: Stop) {
        while !stop.is_stopped() {
            let look = || self.queue.claim(Work::Train, now());
            if let Looked::Found(claim) = look_or_wait(&self.queue, &stop, look, || self.pause()).await {
                self.clone().one(claim).await;
            }
        }
    }

    fn pause(&self) -> Duration {
        let due = self.queue.next_due(Work::Train).map_or(3600, |due| due.saturating_sub(now()));
        // One that is due and was not claimed waits for its order; the queue says when that is gone.
        Duration::from_secs(if due == 0 { 3600 } else { due.min(3600) })
    }

    async fn one(self: Arc<Self>, claim: Claim) {
        let name = match &claim.entry.part {
            Part::Train { sink, .. } => sink.clone(),
            Part::Deliver(_) => String::new(),
        };
        let Some(sink) = self.sinks.get(&name) else {
            return self.give_up(claim, format!("no sink {name:?} is configured any more")).await;
        };
        let (claim, lesson) = smol::unblock(move || {
            let lesson = lesson(&claim);
            (claim, lesson)
        })
        .await;
        let learned = match lesson {
            Ok(lesson) => sink.learn(lesson).await,
            Err(fault) if fault.is_missing() => {
                log::error!("{fault}: somebody removed it; its training is given up");
                return self.blocking(move |this| this.end(claim)).await;
            }
            Err(fault) => Learned::Retry(fault.to_string()),
        };
        let id = claim.entry.message.id();
        match learned {
            Learned::Done(reply) => {
                self.blocking(move |this| {
                    let entry = claim.entry.clone();
                    this.end(claim);
                    this.outcome.trained(&entry, &reply);
                })
                .await
            }
            Learned::Never(reason) => self.give_up(claim, reason).await,
            Learned::Retry(reason) => self.defer(claim, reason).await,
            Learned::Misconfigured(reason) => {
                log::error!("training of {id} by {name}: {reason}");
                self.defer(claim, reason).await
            }
        }
    }

    async fn defer(self: Arc<Self>, claim: Claim, reason: String) {
        let (id, asked, attempts) = (claim.entry.message.id(), claim.entry.asked, claim.entry.attempts);
        match after_failure(self.queue.age(), asked, attempts.saturating_add(1), now(), spread(&id)) {
            Next::GiveUp => self.give_up(claim, format!("too old; last: {reason}")).await,
            Next::At(next) => {
                self.blocking(move |this| {
                    this.outcome.training_deferred(&claim.entry, &reason, next);
                    this.queue.defer(claim, next);
                })
                .await
            }
        }
    }

    async fn give_up(self: Arc<Self>, claim: Claim, reason: String) {
        self.blocking(move |this| {
            let entry = claim.entry.clone();
            if let Err(fault) = this.queue.give_up(claim) {
                log::error!("{fault}: the training may be tried again after a restart");
            }
            this.outcome.training_failed(&entry, &reason);
        })
        .await
    }

    fn end(&self, claim: Claim) {
        if let Err(fault) = self.queue.done(claim) {
            log::error!("{fault}: it may be learned again after a restart");
        }
    }

    async fn blocking(self: Arc<Self>, job: impl FnOnce(&Train) + Send + 'static) {
        smol::unblock(move || job(&self)).await
    }
}

/// The message as it came, and what its trace says.
fn lesson(claim: &Claim) -> Result<Lesson, Fault> {
    let fault = |e| Fault::new("read", &claim.path, e);
    let mut file = claim.open()?;
    let mut trace = vec![0; claim.entry.message.trace as usize];
    file.read_exact(&mut trace).map_err(fault)?;
    let size = claim.entry.message.size.unwrap_or(0).min(limits::MESSAGE_BYTES);
    let mut message = Vec::with_capacity(size as usize);
    file.read_to_end(&mut message).map_err(fault)?;
    Ok(Lesson { entry: claim.entry.clone(), trace: Trace::parse(&trace), message })
}
