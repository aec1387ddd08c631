//! The loops that look after the store: expiry, and what other programs did to its files.

use crate::base::{Timestamp, UidRanges, limits};
use crate::mail::Kept;
use crate::net::{Pools, Stop};
use crate::quarantine::Quarantine;
use crate::quarantine::expire::EXPIRED_AT_ONCE;
use crate::store::{Cache, Store};
use smol::Timer;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Open mailboxes are looked at this often.
const OPEN: Duration = Duration::from_secs(2);
/// All others.
const ALL: Duration = Duration::from_secs(60);
/// Everything is read again this often, whatever modification times say, a few trees at a time; what is in doubt every minute.
const HOUR: Duration = Duration::from_secs(3600);
/// How often expiry is looked for.
const EXPIRY: Duration = Duration::from_secs(60);
/// Messages that one job parses for the cache: a few milliseconds.
const WISHES: usize = 16;
/// Stored messages gather for so long before they are parsed for the cache.
const GATHER: Duration = Duration::from_millis(200);
/// How many times as long as it took to fill the cache with some messages nothing is done: in a rush of mail a quarter of one core
/// goes there, and messages that are too many are parsed when somebody asks for them.
const REST: u32 = 3;
/// Between two steps of cleaning the cache.
const PAUSE: Duration = Duration::from_millis(50);
/// A clock that jumped by more than this is not believed.
const JUMP: Duration = Duration::from_secs(86_400);

/// Sleeps, or ends early at the stop.
async fn sleep(stop: &Stop, how_long: Duration) {
    let pause = async {
        Timer::after(how_long).await;
    };
    smol::future::or(pause, stop.stopped()).await;
}

/// Looks for changes that other programs made, until `stop`.
pub async fn sweep(quarantine: Arc<Quarantine>, stop: Stop) {
    let mut all_at = Instant::now() + ALL;
    let mut everything: Vec<Arc<crate::store::Tree>> = Vec::new();
    let mut hour_at = Instant::now() + HOUR;
    while !stop.is_stopped() {
        sleep(&stop, OPEN).await;
        let now = Instant::now();
        let all = now >= all_at;
        if all {
            all_at = now + ALL;
        }
        if now >= hour_at {
            hour_at = now + HOUR;
            everything = quarantine.store.all_trees();
        } else if all && everything.is_empty() {
            everything = quarantine.store.doubtful();
        }
        // A hundredth of the work at a time.
        let part = everything.len().div_ceil(100).max(20).min(everything.len());
        let due = everything.split_off(everything.len() - part);
        let quarantine = quarantine.clone();
        smol::unblock(move || {
            let store = &quarantine.store;
            let mut swept = store.sweep_open();
            if all {
                swept.add(store.find_new_trees());
                store.all_trees().iter().for_each(|tree| swept.add(store.sweep_tree(tree, false)));
                store.drop_unused_views();
            }
            if all && let Err(fault) = quarantine.lists().refresh() {
                log::error!("{fault}");
            }
            due.iter().for_each(|tree| swept.add(store.sweep_tree(tree, true)));
            if swept.any() {
                log::info!(
                    "other programs changed the tree: {} adopted, {} gone, {} renamed",
                    swept.adopted,
                    swept.gone,
                    swept.renamed
                );
            }
        })
        .await;
    }
}

/// Wakes those who wait for news of a folder, until `stop`.
pub async fn wake(quarantine: Arc<Quarantine>, stop: Stop) {
    let waking = quarantine.store.waking();
    while !stop.is_stopped() {
        let more = waking.listen();
        if waking.wake_some() {
            Timer::after(limits::WAKE_PAUSE).await;
        } else {
            smol::future::or(more, stop.stopped()).await;
        }
    }
}

/// Fills and cleans the cache until `stop`. `fill` parses one message for it.
pub async fn cache(quarantine: Arc<Quarantine>, pools: Arc<Pools>, fill: fn(&Store, Kept, u32), stop: Stop) {
    on_disk(&quarantine, |q| q.store.caches().into_iter().for_each(Cache::load)).await;
    let mut tend_at = Instant::now() + HOUR;
    while !stop.is_stopped() {
        let wished = quarantine.store.cache().listen();
        let wishes = quarantine.store.cache().take_wishes(WISHES);
        if wishes.is_empty() {
            let until = sleep(&stop, tend_at.saturating_duration_since(Instant::now()));
            smol::future::or(wished, until).await;
            // One at a time would cost each message several hops between threads.
            sleep(&stop, GATHER).await;
        } else {
            let quarantine = quarantine.clone();
            let job = move || wishes.into_iter().for_each(|(kept, uid)| fill(&quarantine.store, kept, uid));
            let began = Instant::now();
            // A full pool has better things to do: FETCH fills the cache too.
            let _ = pools.scan.run(job).await;
            // Mail that comes has the better claim to the cores.
            sleep(&stop, began.elapsed() * REST).await;
        }
        if Instant::now() >= tend_at {
            tend_at = Instant::now() + HOUR;
            let mut more = on_disk(&quarantine, |q| q.store.tend_caches()).await;
            while more && !stop.is_stopped() {
                sleep(&stop, PAUSE).await;
                more = on_disk(&quarantine, |q| q.store.caches().map(Cache::move_some).contains(&true)).await;
            }
        }
    }
}

/// Removes what has expired, until `stop`.
pub async fn expire(quarantine: Arc<Quarantine>, stop: Stop) {
    let mut clock = Believed::new();
    let idle = quarantine.store.idle();
    if idle >= JUMP {
        log::error!(
            "the clock is {} days after the last use of {}: nothing expires for an hour; if the clock is wrong, put it right",
            idle.as_secs() / 86_400,
            quarantine.store.disk().root().display()
        );
        sleep(&stop, HOUR).await;
    }
    while !stop.is_stopped() {
        if clock.is_good() {
            expire_once(&quarantine, &stop).await;
        } else {
            log::error!("the clock jumped by more than a day: nothing expires until it is right again, or a restart");
        }
        sleep(&stop, EXPIRY).await;
    }
}

async fn expire_once(quarantine: &Arc<Quarantine>, stop: &Stop) {
    let now = Timestamp::from_system(SystemTime::now());
    let mut emptied = std::collections::HashMap::new();
    for kept in Kept::ALL {
        let due = on_disk(quarantine, move |q| q.due(kept, now)).await;
        let uids: Vec<u32> = due.iter().flat_map(|(low, high)| low..=high).collect();
        for step in uids.chunks(EXPIRED_AT_ONCE) {
            if stop.is_stopped() {
                return;
            }
            let ranges: UidRanges = step.iter().copied().collect();
            match on_disk(quarantine, move |q| q.expire(kept, &ranges)).await {
                Ok(removed) => emptied.extend(removed.into_iter().map(|m| (m.tree.id, m.tree))),
                Err(fault) => return log::error!("expiry stops for now: {fault}"),
            }
            smol::future::yield_now().await;
        }
    }
    for tree in emptied.into_values() {
        if let Err(fault) = on_disk(quarantine, move |q| q.store.remove_if_empty(&tree)).await {
            log::warn!("{fault}");
        }
    }
    if let Err(fault) = on_disk(quarantine, move |q| q.expire_files(now)).await {
        log::warn!("{fault}");
    }
}

async fn on_disk<T: Send + 'static>(
    quarantine: &Arc<Quarantine>,
    job: impl FnOnce(&Quarantine) -> T + Send + 'static,
) -> T {
    let quarantine = quarantine.clone();
    smol::unblock(move || job(&quarantine)).await
}

/// Compares the clock with the time that has passed.
struct Believed {
    wall: SystemTime,
    steady: Instant,
}

impl Believed {
    fn new() -> Self {
        Believed { wall: SystemTime::now(), steady: Instant::now() }
    }

    fn is_good(&mut self) -> bool {
        let expected = self.wall + self.steady.elapsed();
        let now = SystemTime::now();
        now.duration_since(expected).or_else(|_| expected.duration_since(now)).is_ok_and(|jump| jump < JUMP)
    }
}
