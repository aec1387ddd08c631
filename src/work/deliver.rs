//! The loop that delivers.

use super::clock::{Looked, look_or_wait, now, spread};
use super::routes::{Roads, Routes};
use crate::base::{Fault, limits};
use crate::net::Stop;
use crate::net::smtp::{Parcel, Sent, compose};
use crate::queue::schedule::{Next, after_failure};
use crate::queue::{Claim, Letter, Outcome, Queue, Work};
use smol::lock::{Mutex, Semaphore, SemaphoreGuardArc};
use std::io::{Seek, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

/// Idle connections are closed after this: servers do the same after some minutes, and it costs them as little.
const IDLE: Duration = Duration::from_secs(10);
/// Unit in which memory for messages is handed out.
const UNIT: u64 = 1 << 20;

/// Delivers what is due. Run [`Deliver::run`] as often as deliveries may be under way at once, at most
/// `limits::DELIVERIES` times: each is one worker, and they share connections.
pub struct Deliver {
    queue: Arc<Queue>,
    outcome: Arc<dyn Outcome>,
    roads: Roads,
    memory: Memory,
}

/// A message that is ready to be sent, and the memory that it was granted.
struct Loaded {
    letter: Letter,
    data: Vec<u8>,
}

/// Why a message is not ready.
enum NotReady {
    /// It never will be.
    Never(String),
    /// The disk failed.
    Disk(Fault),
}

impl Deliver {
    /// Not running yet.
    pub fn new(queue: Arc<Queue>, outcome: Arc<dyn Outcome>, routes: Routes) -> Arc<Self> {
        Arc::new(Deliver { queue, outcome, roads: Roads::new(routes), memory: Memory::new(limits::DELIVERY_BYTES) })
    }

    /// One worker: delivers until `stop`, and ends after the message that it is at.
    pub async fn run(self: Arc<Self>, stop: Stop) {
        while !stop.is_stopped() {
            let look = || self.queue.claim(Work::Deliver, now());
            match look_or_wait(&self.queue, &stop, look, || self.pause()).await {
                Looked::Found(claim) => self.clone().one(claim).await,
                Looked::Changed => {}
                Looked::Quiet => self.close_idle().await,
            }
        }
        self.close_idle().await;
    }

    /// How long there is nothing to do, as far as is known.
    fn pause(&self) -> Duration {
        let due = self.queue.next_due(Work::Deliver).map_or(u64::MAX, |due| due.saturating_sub(now()));
        // One that is due and was not claimed waits for its order; the queue says when that is gone.
        if due == 0 { IDLE } else { IDLE.min(Duration::from_secs(due)) }
    }

    async fn close_idle(&self) {
        for mut courier in self.roads.take_idle() {
            courier.close().await;
        }
    }

    async fn one(self: Arc<Self>, claim: Claim) {
        let _memory = self.memory.take(claim.entry.message.size.unwrap_or(0)).await;
        let (claim, loaded) = {
            let outcome = self.outcome.clone();
            smol::unblock(move || {
                let loaded = load(outcome.as_ref(), &claim);
                (claim, loaded)
            })
            .await
        };
        let Loaded { letter, data } = match loaded {
            Ok(loaded) => loaded,
            Err(NotReady::Never(reason)) => return self.fail(claim, reason).await,
            Err(NotReady::Disk(fault)) if fault.is_missing() => {
                log::error!("{fault}: somebody removed it; its delivery is given up");
                return self.blocking(move |this| this.end(claim)).await;
            }
            Err(NotReady::Disk(fault)) => return self.defer(claim, fault.to_string()).await,
        };
        let road = self.roads.to(&letter.recipient);
        if let Some(until) = road.rests(now()) {
            return self.queue.wait(claim, until);
        }
        let data = road.dress(data, letter.received.len());
        let mut courier = road.courier();
        let recipients = [letter.recipient.as_str()];
        let parcel = Parcel { sender: &letter.sender, recipients: &recipients, data: &data };
        let sent = courier.deliver(&parcel).await.into_iter().next();
        road.give_back(courier, now());
        match sent {
            Some(Sent::Delivered(reply)) => {
                self.blocking(move |this| {
                    // At once: a crash before it is removed delivers it again.
                    let entry = claim.entry.clone();
                    this.end(claim);
                    this.outcome.delivered(&entry, &reply.to_string());
                })
                .await
            }
            Some(Sent::Refused(reply)) => self.fail(claim, reply.to_string()).await,
            Some(Sent::Deferred(reason)) => self.defer(claim, reason).await,
            None => self.defer(claim, "the server gave no reply".into()).await,
        }
    }

    async fn defer(self: Arc<Self>, claim: Claim, reason: String) {
        let (id, asked, attempts) = (claim.entry.message.id(), claim.entry.asked, claim.entry.attempts);
        match after_failure(self.queue.age(), asked, attempts.saturating_add(1), now(), spread(&id)) {
            Next::GiveUp => {
                let age = self.queue.age_text();
                self.fail(claim, format!("not delivered for {age}; last: {reason}")).await
            }
            Next::At(next) => {
                self.blocking(move |this| {
                    this.outcome.deferred(&claim.entry, &reason, next);
                    this.queue.defer(claim, next);
                })
                .await
            }
        }
    }

    /// The message goes back; should that fail, it is tried again later, reply of the server included.
    async fn fail(self: Arc<Self>, claim: Claim, reason: String) {
        self.blocking(move |this| match this.outcome.failed(&claim.entry, &claim.path, &reason) {
            Ok(()) => {
                if let Err(fault) = this.queue.returned(claim) {
                    log::error!("{fault}: it may be tried again after a restart");
                }
            }
            Err(fault) => {
                log::error!("{}: cannot be put back: {fault}", claim.entry.message.id());
                this.queue.defer(claim, now().saturating_add(limits::RETRY_FIRST.as_secs()));
            }
        })
        .await
    }

    fn end(&self, claim: Claim) {
        if let Err(fault) = self.queue.done(claim) {
            log::error!("{fault}: it may be delivered again after a restart");
        }
    }

    async fn blocking(self: Arc<Self>, job: impl FnOnce(&Deliver) + Send + 'static) {
        smol::unblock(move || job(&self)).await
    }
}

/// Reads trace and message.
fn load(outcome: &dyn Outcome, claim: &Claim) -> Result<Loaded, NotReady> {
    let fault = |e| NotReady::Disk(Fault::new("read", &claim.path, e));
    let mut file = claim.open().map_err(NotReady::Disk)?;
    let letter = outcome.letter(&claim.entry, &mut file).map_err(fault)?.map_err(NotReady::Never)?;
    file.seek(SeekFrom::Start(letter.skip)).map_err(fault)?;
    let size = claim.entry.message.size_on_wire().unwrap_or(0).min(limits::MESSAGE_BYTES) as usize;
    let data = compose(&letter.received, file, letter.form, size).map_err(fault)?;
    Ok(Loaded { letter, data })
}

/// Memory for messages under way.
struct Memory {
    units: Arc<Semaphore>,
    all: u64,
    /// Held while taking, so that two that each have half cannot wait for each other.
    gate: Mutex<()>,
}

impl Memory {
    fn new(bytes: u64) -> Self {
        let all = (bytes / UNIT).max(1);
        Memory { units: Arc::new(Semaphore::new(all as usize)), all, gate: Mutex::new(()) }
    }

    /// Waits until `bytes` are free; more than there is counts as all there is, so a huge message goes alone.
    async fn take(&self, bytes: u64) -> Vec<SemaphoreGuardArc> {
        let _turn = self.gate.lock().await;
        let wanted = bytes.div_ceil(UNIT).clamp(1, self.all);
        let mut taken = Vec::with_capacity(wanted as usize);
        for _ in 0..wanted {
            taken.push(self.units.acquire_arc().await);
        }
        taken
    }
}
