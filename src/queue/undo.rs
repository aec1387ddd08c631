//! Orders that are taken back while their window is open. States in `queue/mod.rs`.

use super::fan::Leaving;
use super::index::Placing;
use super::names::{Asker, Order, Tree, Verb, Verbs};
use super::{Plan, Queue};
use crate::base::Fault;
use crate::mail::name::Base;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;

/// How often, and how long each time, an order is waited for that the fan-out has: a sync takes milliseconds.
const MOMENTS: u32 = 400;
const MOMENT: Duration = Duration::from_millis(5);

/// An order that is being taken back: the fan-out leaves it alone until it is given to [`Queue::let_go`] or
/// [`Queue::forget`].
#[derive(Debug)]
pub struct Held {
    /// What was asked.
    pub order: Order,
    /// Its file.
    pub path: PathBuf,
    placing: Placing,
}

/// The orders of one command, as long as they can be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// As [`Order::batch`] has it.
    pub batch: u64,
    /// What was asked.
    pub verbs: Verbs,
    /// Who asked.
    pub asker: Asker,
    /// When they start, in seconds since 1970.
    pub starts: u64,
    /// How many messages it is about.
    pub messages: usize,
}

impl Queue {
    /// Holds the orders that wait at `now` (seconds since 1970) and that `pick` picks. The fan-out has some of them for a
    /// moment, to sync where they were: that is waited for.
    pub fn hold(&self, now: u64, pick: &dyn Fn(&Order) -> bool) -> Vec<Held> {
        for _ in 0..MOMENTS {
            if !self.index().is_any_held(&|order: &Order| order.waits(now) && pick(order)) {
                break;
            }
            std::thread::sleep(MOMENT);
        }
        let mut index = self.index();
        // A clock that was set back may have opened a window again: what was fanned out has started.
        let begun = index.begun();
        let pick = |order: &Order| {
            order.waits(now) && pick(order) && !begun.contains(&(order.message.base.clone(), order.asked))
        };
        let held = index.hold(&pick).into_iter();
        held.map(|placing| Held { order: placing.order.clone(), path: self.orders().join(&placing.file), placing })
            .collect()
    }

    /// For orders from before a restart: messages that a MOVE took are not where they were as well. Returns the orders of
    /// which that is so, and the first error; the others wait for a restart. (What this process moved goes back into the same
    /// folder, where start-up finds a second name by itself.)
    pub fn settle_all(&self, plan: &dyn Plan, held: Vec<Held>) -> (Vec<Held>, Option<Fault>) {
        let mut leaving = Leaving::default();
        let mut first_fault = None;
        let left = held.into_iter().filter(|held| {
            let ours = held.placing.source.is_some();
            let left = if ours { Ok(()) } else { self.leave(plan, &held.placing, &mut leaving) };
            left.map_err(|fault| first_fault.get_or_insert(fault)).is_ok()
        });
        (left.collect(), first_fault)
    }

    /// It is not taken back after all.
    pub fn let_go(&self, held: &Held) {
        self.index().let_go(&held.placing);
        self.wake();
    }

    /// The order of a COPY is not wanted any more. To be made durable by [`Queue::forget`].
    pub fn unlink(&self, held: &Held) -> Result<(), Fault> {
        match self.disk.unlink(&held.path) {
            Err(fault) if !fault.is_missing() => Err(fault),
            _ => Ok(()),
        }
    }

    /// The files of these orders are not in `orders/` any more; durably, when it returns. After an error of what comes
    /// before (`before`) that is not made durable: the same sync would be tried again.
    pub fn forget(&self, held: &[Held], before: Result<(), Fault>) -> Result<(), Fault> {
        let synced = before.and_then(|()| self.disk.sync_dir(&self.orders()));
        let mut index = self.index();
        held.iter().for_each(|held| index.remove_order(&held.placing));
        drop(index);
        self.wake();
        synced
    }

    /// The commands of which something can still be taken back at `now`, of the trees that `sees` sees, newest first.
    pub fn waiting(&self, now: u64, sees: &dyn Fn(Asker, &Tree) -> bool) -> Vec<Waiting> {
        let mut all: HashMap<(u64, Asker), Waiting> = HashMap::new();
        self.index().each_order(|order| {
            let (Some(batch), Some(starts)) = (order.batch(), order.starts()) else { return };
            if order.waits(now) && sees(order.asker, &order.tree) {
                let new = Waiting { batch, verbs: order.verbs, asker: order.asker, starts, messages: 0 };
                all.entry((batch, order.asker)).or_insert(new).messages += 1;
            }
        });
        let mut all: Vec<Waiting> = all.into_values().collect();
        all.sort_by_key(|waiting| std::cmp::Reverse(waiting.batch));
        all
    }

    /// Which verbs are asked of these messages and not done, of those of which any is.
    pub fn verbs_of(&self, messages: &HashSet<Base>) -> HashMap<Base, Vec<Verb>> {
        self.index().verbs_of(messages)
    }
}
