//! What the queue's directories hold, in memory: which orders, which entries, which of them are due. No I/O.

use super::names::{Entry, Order, Origin, Part, Tree, Verbs};
use super::{Verb, Work};
use crate::mail::name::Base;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

/// Two orders with equal keys ask for the same thing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct OrderKey(Base, Tree, Verbs, Origin);

/// Two entries with equal keys are the same piece of work.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct EntryKey(Base, Tree, Part);

/// An order on disk.
#[derive(Debug, Clone)]
pub(super) struct Placing {
    pub(super) order: Order,
    /// Its name in `orders/`.
    pub(super) file: String,
    /// The directory that a MOVE took it from; unknown after a restart.
    pub(super) source: Option<PathBuf>,
    /// Lower ones go first: when it was asked, and behind all others after it failed.
    pub(super) turn: u64,
    /// The message cannot come back where a MOVE took it from.
    pub(super) left: bool,
    /// Somebody works on it: it is being fanned out, or taken back.
    pub(super) held: bool,
}

impl Placing {
    /// An order whose file is `file`, in `orders/`.
    pub(super) fn new(order: Order, file: String, source: Option<PathBuf>) -> Placing {
        let left = order.origin != Origin::Moved;
        Placing { turn: order.asked, order, file, source, left, held: false }
    }

    /// Whether something can be done with it now: it starts, or only leaves its folder.
    fn is_due(&self, now: u64) -> bool {
        !self.held && (!self.left || !self.order.waits(now))
    }
}

struct Slot {
    entry: Entry,
    /// Its name now.
    file: String,
    /// Somebody works on it, so it is in no due list.
    claimed: bool,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Orders that are not fanned out, those included that wait for a restart after the disk failed.
    pub orders: usize,
    /// Deliveries, those under way included.
    pub deliveries: usize,
    /// Trainings, those under way included.
    pub trainings: usize,
    /// When the oldest of all was asked, in seconds since 1970.
    pub oldest: Option<u64>,
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The message id.
    pub id: String,
    /// The tree in which it lay.
    pub tree: Tree,
    /// The verbs of an order, the one verb of an entry.
    pub verbs: Vec<Verb>,
    /// What an entry is for; `None` for an order.
    pub part: Option<Part>,
    /// When it was asked, in seconds since 1970.
    pub asked: u64,
    /// Attempts that did not succeed.
    pub attempts: u32,
    /// Not before, in seconds since 1970; 0: as soon as possible.
    pub next: u64,
    /// It is being worked on.
    pub under_way: bool,
}

#[derive(Default)]
pub(super) struct Index {
    /// By turn and file name.
    orders: BTreeMap<(u64, String), Placing>,
    /// Those whose fan-out could not be synced: what is durable of it is known after a restart only.
    stuck: BTreeMap<(u64, String), Placing>,
    keys: HashMap<OrderKey, usize>,
    /// Orders a message has; its entries wait until it has none.
    held: HashMap<Base, usize>,
    /// Entries of a message that somebody works on; its orders wait until there is none.
    busy: HashMap<Base, usize>,
    /// Work that was done while an order of its message waited.
    done: HashMap<Base, HashSet<EntryKey>>,
    slots: HashMap<u64, Slot>,
    known: HashMap<EntryKey, u64>,
    due: HashMap<Work, BTreeSet<(u64, u64)>>,
    last: u64,
}

impl Index {
    pub(super) fn has_order(&self, order: &Order) -> bool {
        self.keys.contains_key(&order_key(order))
    }

    pub(super) fn add_order(&mut self, placing: Placing) {
        *self.keys.entry(order_key(&placing.order)).or_default() += 1;
        *self.held.entry(placing.order.message.base.clone()).or_default() += 1;
        self.orders.insert((placing.turn, placing.file.clone()), placing);
    }

    pub(super) fn remove_order(&mut self, placing: &Placing) {
        if self.orders.remove(&(placing.turn, placing.file.clone())).is_some() {
            count_down(&mut self.keys, &order_key(&placing.order));
            count_down(&mut self.held, &placing.order.message.base);
            if !self.held.contains_key(&placing.order.message.base) {
                self.done.remove(&placing.order.message.base);
            }
        }
    }

    /// The order is not looked at again by this process; its entries wait.
    pub(super) fn set_aside(&mut self, placing: &Placing) {
        let key = (placing.turn, placing.file.clone());
        if let Some(placing) = self.orders.remove(&key) {
            self.stuck.insert(key, placing);
        }
    }

    /// Some orders that are to be fanned out, oldest request first; they are held. Those of messages that are being worked
    /// on wait: an entry that is about to go would be taken for what the order asks for.
    pub(super) fn some_orders(&mut self, most: usize, now: u64) -> Vec<Placing> {
        let some: Vec<Placing> = self.free_orders(now).take(most).cloned().collect();
        some.iter().for_each(|placing| self.change(placing, |p| p.held = true));
        some
    }

    /// Orders that nobody works on; they are held.
    pub(super) fn hold(&mut self, pick: &dyn Fn(&Order) -> bool) -> Vec<Placing> {
        let some: Vec<Placing> = self.orders.values().filter(|p| !p.held && pick(&p.order)).cloned().collect();
        some.iter().for_each(|placing| self.change(placing, |p| p.held = true));
        some
    }

    /// Whether somebody works on one of these orders.
    pub(super) fn is_any_held(&self, pick: &dyn Fn(&Order) -> bool) -> bool {
        self.orders.values().any(|p| p.held && pick(&p.order))
    }

    /// The messages of entries, with when they were asked.
    pub(super) fn begun(&self) -> HashSet<(Base, u64)> {
        self.slots.values().map(|slot| (slot.entry.message.base.clone(), slot.entry.asked)).collect()
    }

    /// An order is no longer held.
    pub(super) fn let_go(&mut self, placing: &Placing) {
        self.change(placing, |p| p.held = false);
    }

    /// Its message cannot come back where it was.
    pub(super) fn has_left(&mut self, placing: &Placing) {
        self.change(placing, |p| p.left = true);
    }

    fn change(&mut self, placing: &Placing, change: impl FnOnce(&mut Placing)) {
        if let Some(placing) = self.orders.get_mut(&(placing.turn, placing.file.clone())) {
            change(placing);
        }
    }

    /// What orders that nobody works on say, each by `each`.
    pub(super) fn each_order(&self, mut each: impl FnMut(&Order)) {
        self.orders.values().filter(|p| !p.held).for_each(|p| each(&p.order));
    }

    /// Which verbs are asked of these messages and not done.
    pub(super) fn verbs_of(&self, messages: &HashSet<Base>) -> HashMap<Base, Vec<Verb>> {
        let mut verbs: HashMap<Base, Vec<Verb>> = HashMap::new();
        let orders = self.orders.values().chain(self.stuck.values()).map(|p| &p.order);
        for order in orders.filter(|order| messages.contains(&order.message.base)) {
            verbs.entry(order.message.base.clone()).or_default().extend(order.verbs.iter());
        }
        for entry in self.slots.values().map(|s| &s.entry).filter(|entry| messages.contains(&entry.message.base)) {
            verbs.entry(entry.message.base.clone()).or_default().push(entry.part.verb());
        }
        verbs
    }

    /// An order failed: others get their turn before it is tried again, so that many that fail keep nobody waiting.
    pub(super) fn let_others_first(&mut self, placing: &Placing) {
        let last = self.orders.last_key_value().map_or(0, |((turn, _), _)| *turn);
        if let Some(mut placing) = self.orders.remove(&(placing.turn, placing.file.clone())) {
            placing.turn = last.saturating_add(1);
            placing.held = false;
            self.orders.insert((placing.turn, placing.file.clone()), placing);
        }
    }

    pub(super) fn has_orders(&self, now: u64) -> bool {
        self.free_orders(now).next().is_some()
    }

    fn free_orders(&self, now: u64) -> impl Iterator<Item = &Placing> {
        self.orders.values().filter(move |p| p.is_due(now) && !self.busy.contains_key(&p.order.message.base))
    }

    /// When the next order that waits is to start, in seconds since 1970.
    pub(super) fn next_start(&self) -> Option<u64> {
        self.orders.values().filter(|p| !p.held).filter_map(|p| p.order.starts()).min()
    }

    /// The messages of which anything is asked and not done.
    pub(super) fn messages(&self) -> HashSet<Base> {
        self.held.keys().cloned().chain(self.slots.values().map(|slot| slot.entry.message.base.clone())).collect()
    }

    pub(super) fn has_entry(&self, entry: &Entry) -> bool {
        self.known.contains_key(&entry_key(entry))
    }

    /// Whether it was done since an order of its message was placed.
    pub(super) fn was_done(&self, entry: &Entry) -> bool {
        self.done.get(&entry.message.base).is_some_and(|keys| keys.contains(&entry_key(entry)))
    }

    /// What an order that waits asks for need not be done again.
    pub(super) fn note_done(&mut self, entry: &Entry) {
        if self.held.contains_key(&entry.message.base) {
            self.done.entry(entry.message.base.clone()).or_default().insert(entry_key(entry));
        }
    }

    /// Adds an entry that waits; `false` when the same piece of work is there already.
    pub(super) fn add_entry(&mut self, entry: Entry, file: String) -> bool {
        let key = entry_key(&entry);
        if self.known.contains_key(&key) {
            return false;
        }
        self.last += 1;
        self.known.insert(key, self.last);
        self.due.entry(entry.part.work()).or_default().insert((entry.next, self.last));
        self.slots.insert(self.last, Slot { entry, file, claimed: false });
        true
    }

    /// The next entry that is due and whose message has no order left to be fanned out.
    pub(super) fn claim(&mut self, work: Work, now: u64) -> Option<(u64, Entry, String)> {
        let due = self.due.get(&work)?;
        let free = |slot: &Slot| !self.held.contains_key(&slot.entry.message.base);
        let found = due
            .iter()
            .take_while(|(next, _)| *next <= now)
            .find(|(_, number)| self.slots.get(number).is_some_and(free))
            .copied()?;
        self.take(work, found)
    }

    /// A delivery of this message that waits, whether or not it is due.
    pub(super) fn claim_delivery(&mut self, message: &Base) -> Option<(u64, Entry, String)> {
        if self.held.contains_key(message) {
            return None;
        }
        let of_it = |entry: &Entry| entry.message.base == *message && entry.part.work() == Work::Deliver;
        let (number, slot) = self.slots.iter().find(|(_, slot)| !slot.claimed && of_it(&slot.entry))?;
        self.take(Work::Deliver, (slot.entry.next, *number))
    }

    fn take(&mut self, work: Work, found: (u64, u64)) -> Option<(u64, Entry, String)> {
        self.due.get_mut(&work)?.remove(&found);
        let slot = self.slots.get_mut(&found.1)?;
        slot.claimed = true;
        *self.busy.entry(slot.entry.message.base.clone()).or_default() += 1;
        Some((found.1, slot.entry.clone(), slot.file.clone()))
    }

    /// When the next entry is due, also one that waits for an order.
    pub(super) fn next_due(&self, work: Work) -> Option<u64> {
        self.due.get(&work)?.first().map(|(next, _)| *next)
    }

    pub(super) fn remove_entry(&mut self, number: u64) {
        if let Some(slot) = self.slots.remove(&number) {
            self.known.remove(&entry_key(&slot.entry));
            if slot.claimed {
                count_down(&mut self.busy, &slot.entry.message.base);
            }
            if let Some(due) = self.due.get_mut(&slot.entry.part.work()) {
                due.remove(&(slot.entry.next, number));
            }
        }
    }

    /// A claimed entry waits again, under a new name.
    pub(super) fn put_back(&mut self, number: u64, entry: Entry, file: String) {
        if let Some(slot) = self.slots.get_mut(&number) {
            if slot.claimed {
                count_down(&mut self.busy, &slot.entry.message.base);
            }
            self.due.entry(entry.part.work()).or_default().insert((entry.next, number));
            *slot = Slot { entry, file, claimed: false };
        }
    }

    /// Everything that waits is due at once.
    pub(super) fn all_due(&mut self) {
        for (number, slot) in self.slots.iter_mut().filter(|(_, slot)| !slot.claimed) {
            if let Some(due) = self.due.get_mut(&slot.entry.part.work()) {
                due.remove(&(slot.entry.next, *number));
                due.insert((0, *number));
            }
            slot.entry.next = 0;
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let deliveries = self.slots.values().filter(|s| s.entry.part.work() == Work::Deliver).count();
        let orders = self.orders.values().chain(self.stuck.values());
        let asked = orders.map(|p| p.order.asked).chain(self.slots.values().map(|s| s.entry.asked));
        Counts {
            orders: self.orders.len() + self.stuck.len(),
            deliveries,
            trainings: self.slots.len() - deliveries,
            oldest: asked.min(),
        }
    }

    pub(super) fn list(&self, most: usize) -> Vec<Listed> {
        let orders = self.stuck.values().chain(self.orders.values()).take(most).cloned();
        let orders = orders.map(|Placing { order, .. }| Listed {
            next: order.starts().unwrap_or(0),
            id: order.message.id(),
            tree: order.tree,
            verbs: order.verbs.iter().collect(),
            part: None,
            asked: order.asked,
            attempts: 0,
            under_way: false,
        });
        let mut slots: Vec<&Slot> = self.slots.values().collect();
        slots.sort_by(|a, b| (!a.claimed, a.entry.next, &a.file).cmp(&(!b.claimed, b.entry.next, &b.file)));
        let entries = slots.into_iter().map(|slot| Listed {
            id: slot.entry.message.id(),
            tree: slot.entry.tree.clone(),
            verbs: vec![slot.entry.part.verb()],
            part: Some(slot.entry.part.clone()),
            asked: slot.entry.asked,
            attempts: slot.entry.attempts,
            next: slot.entry.next,
            under_way: slot.claimed,
        });
        orders.chain(entries).take(most).collect()
    }
}

fn order_key(order: &Order) -> OrderKey {
    OrderKey(order.message.base.clone(), order.tree.hashed(), order.verbs, order.origin)
}

fn entry_key(entry: &Entry) -> EntryKey {
    EntryKey(entry.message.base.clone(), entry.tree.hashed(), entry.part.clone())
}

fn count_down<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
