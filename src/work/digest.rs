//! The loops of the digest: one makes the mails when a period ends, one hands them to the mail server.

use super::clock::{now, spread};
use super::routes::{Roads, Routes};
use crate::base::{Fault, Timestamp};
use crate::net::Stop;
use crate::net::smtp::{Parcel, Sent};
use crate::quarantine::Quarantine;
use crate::quarantine::digest::{Due, New};
use crate::queue::Sending;
use crate::queue::schedule::{Next, after_failure};
use smol::{Timer, future};
use std::sync::Arc;
use std::time::Duration;

/// Looks after this even when no period ends: the clock may have been set.
const LOOK: Duration = Duration::from_secs(300);
/// After an error of the disk.
const PAUSE: Duration = Duration::from_secs(60);

/// Makes the mail of a digest.
pub type Compose = fn(&Quarantine, &Due, &New) -> Result<Vec<u8>, Fault>;

/// Makes one digest, if there is something new; `true`: it is on its way.
pub fn make(quarantine: &Quarantine, due: &Due, compose: Compose) -> Result<bool, Fault> {
    let Some(new) = quarantine.new_for_digest(&due.account)? else { return Ok(false) };
    let mail = compose(quarantine, due, &new)?;
    quarantine.place_digest(due, &new, &mail)
}

/// Makes the digests of all periods that have ended; says how many. After an error the others are made all the same, and
/// the period is looked at again.
pub fn make_due(quarantine: &Quarantine, now: Timestamp, compose: Compose) -> Result<usize, Fault> {
    let mut made = 0;
    let mut first_fault = None;
    for due in quarantine.digests_due(now)? {
        match make(quarantine, &due, compose) {
            Ok(is_made) => made += usize::from(is_made),
            Err(fault) => {
                log::error!("no digest for {}: {fault}", due.account.login);
                quarantine.note_digest(Err(fault.to_string()));
                first_fault.get_or_insert(fault);
            }
        }
    }
    match first_fault {
        Some(fault) => Err(fault),
        None => quarantine.digests_checked(now).map(|()| made),
    }
}

/// Makes digests whenever a period ends, until `stop`.
pub async fn plan(quarantine: Arc<Quarantine>, compose: Compose, stop: Stop) {
    while !stop.is_stopped() {
        let job = {
            let quarantine = quarantine.clone();
            move || {
                let now = quarantine.store.now();
                // Nobody gets digests: there is nothing to note.
                let Some(next) = quarantine.next_digest(now) else { return Ok((0, LOOK)) };
                let made = make_due(&quarantine, now, compose)?;
                Ok::<_, Fault>((made, next.since(now).min(LOOK)))
            }
        };
        let pause = match smol::unblock(job).await {
            Ok((made, pause)) => {
                if made > 0 {
                    log::info!("{made} digests are on their way");
                }
                pause.max(Duration::from_secs(1))
            }
            Err(fault) => {
                log::error!("the digests of this period are tried again in a minute: {fault}");
                PAUSE
            }
        };
        let pause = async {
            Timer::after(pause).await;
        };
        future::or(pause, stop.stopped()).await;
    }
}

/// Hands digests to the mail server, until `stop`.
pub async fn send(quarantine: Arc<Quarantine>, routes: Routes, stop: Stop) {
    let roads = Roads::new(routes);
    while !stop.is_stopped() {
        // The listener comes first: what changes between looking and waiting then fires it.
        let changed = quarantine.digests.listen();
        let claimed = {
            let quarantine = quarantine.clone();
            smol::unblock(move || quarantine.digests.claim(now())).await
        };
        match claimed {
            Ok(Some(sending)) => one(&quarantine, &roads, sending).await,
            Ok(None) => {
                for mut courier in roads.take_idle() {
                    courier.close().await;
                }
                let due = quarantine.digests.next_due().map_or(LOOK.as_secs(), |due| due.saturating_sub(now()));
                let pause = async {
                    Timer::after(Duration::from_secs(due.clamp(1, LOOK.as_secs()))).await;
                };
                future::or(pause, future::or(changed, stop.stopped())).await;
            }
            Err(fault) => {
                log::error!("a digest cannot be sent: {fault}");
                quarantine.note_digest(Err(fault.to_string()));
                let pause = async {
                    Timer::after(PAUSE).await;
                };
                future::or(pause, stop.stopped()).await;
            }
        }
    }
}

async fn one(quarantine: &Arc<Quarantine>, roads: &Roads, sending: Sending) {
    let Sending { notice, mail, attempts } = sending;
    let road = roads.to(&notice.to);
    if let Some(until) = road.rests(now()) {
        return quarantine.digests.defer(&notice, attempts, until);
    }
    // Should the filter catch it, this line says so when it comes in.
    let id = format!("digest.{}", notice.period);
    let mut data = quarantine.received_line(&id, &notice.to, quarantine.store.now()).into_bytes();
    data.extend_from_slice(&mail);
    let mut courier = road.courier();
    let recipients = [notice.to.as_str()];
    let parcel = Parcel { sender: &notice.sender, recipients: &recipients, data: &data };
    let sent = courier.deliver(&parcel).await.into_iter().next();
    road.give_back(courier, now());
    let (outcome, is_over) = match sent {
        Some(Sent::Delivered(reply)) => {
            log::info!("digest for {} to {}: {reply}", notice.login, notice.to);
            (Ok(()), true)
        }
        Some(Sent::Refused(reply)) => (Err(reply.to_string()), true),
        Some(Sent::Deferred(reason)) => (Err(reason), false),
        None => (Err("the server gave no reply".to_string()), false),
    };
    let next = match is_over {
        true => None,
        false => match after_failure(
            quarantine.queue.age(),
            notice.period,
            attempts.saturating_add(1),
            now(),
            spread(&notice.login),
        ) {
            Next::At(next) => Some(next),
            Next::GiveUp => None,
        },
    };
    match (&outcome, next) {
        (Ok(()), _) => {}
        (Err(reason), Some(_)) => log::warn!("digest for {} to {}: not sent yet: {reason}", notice.login, notice.to),
        (Err(reason), None) => {
            let age = quarantine.queue.age_text();
            let why = if is_over { "refused".to_string() } else { format!("not taken for {age}") };
            log::error!(
                "digest for {} to {}: {why}, it is given up: {reason}; what it listed is still in Caught",
                notice.login,
                notice.to
            );
        }
    }
    quarantine.note_digest(outcome);
    if let Some(next) = next {
        return quarantine.digests.defer(&notice, attempts.saturating_add(1), next);
    }
    let quarantine = quarantine.clone();
    let removed = smol::unblock(move || quarantine.digests.done(&notice)).await;
    if let Err(fault) = removed {
        log::error!("{fault}: this digest may be sent again after a restart");
    }
}
