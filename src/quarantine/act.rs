//! Verbs: what is asked of messages, whichever hand asks. A command over many messages is refused as a whole, with the
//! reason, before anything of it is done; what is done is durable when the call returns.

use super::Quarantine;
use super::account::Account;
use super::children::Named;
use super::core::asker;
use super::folders::{self, Folder, Source, Verb};
use super::policy::{Denied, Why};
use crate::base::{Fault, Flags, Timestamp, UidRanges};
use crate::mail::{Kept, Name};
use crate::queue::{NewOrder, Order, Origin, Placed, Verbs, Window};
use crate::store::{Flagging, Located, Reach, Row};
use serde_json::json;
use std::fmt;
use std::path::Path;
use std::sync::PoisonError;
use std::time::Duration;

/// Flags of what was asked for and is not done.
pub(super) const PENDING: Flags = Flags(Flags::RELEASE_PENDING.0 | Flags::TRAIN_PENDING.0);
/// Times that a message is looked for whose file is not where the catalogue says.
const TRIES: u32 = 3;

/// What became of a command over messages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Done {
    /// Old and new UID of those that lie in another kept folder now.
    pub placed: Vec<(u32, u32)>,
    /// How many messages it was about and found.
    pub messages: usize,
    /// With this [`Quarantine::undo`] takes it back, as long as it waits; `None`: it does not wait.
    pub batch: Option<u64>,
}

/// Why nothing, or not all, was done.
#[derive(Debug)]
pub enum Failed {
    /// It is not allowed, or makes no sense.
    Denied(Denied),
    /// The disk failed; some may have been done.
    Disk(Fault),
}

impl From<Denied> for Failed {
    fn from(denied: Denied) -> Self {
        Failed::Denied(denied)
    }
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Failed::Disk(fault)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failed::Denied(denied) => write!(f, "{denied}"),
            Failed::Disk(fault) => write!(f, "{fault}"),
        }
    }
}

/// What a command asks of its messages.
struct Asked<'a> {
    target: &'a Named,
    /// They leave their folder.
    take: bool,
    /// How long it can be taken back.
    delay: Duration,
}

impl Asked<'_> {
    fn verbs(&self) -> &'static [Verb] {
        self.target.folder.row().verbs
    }
}

/// Flags that say a verb was carried out, and that it was asked for.
fn flags_of(verb: Verb) -> (Flags, Flags) {
    match verb {
        Verb::Release => (Flags::RELEASED, Flags::RELEASE_PENDING),
        Verb::TrainHam => (Flags::TRAINED_HAM, Flags::TRAIN_PENDING),
        Verb::TrainSpam => (Flags::TRAINED_SPAM, Flags::TRAIN_PENDING),
        Verb::Remove => (Flags::NONE, Flags::NONE),
    }
}

pub(super) fn queue_verb(verb: Verb) -> Option<crate::queue::Verb> {
    match verb {
        Verb::Release => Some(crate::queue::Verb::Release),
        Verb::TrainHam => Some(crate::queue::Verb::TrainHam),
        Verb::TrainSpam => Some(crate::queue::Verb::TrainSpam),
        Verb::Remove => None,
    }
}

/// Whether a message with these flags still has this verb to be asked for: it was not done, nor is it under way.
pub fn is_left(flags: Flags, verb: Verb) -> bool {
    let (done, pending) = flags_of(verb);
    match verb {
        Verb::Release if flags.has(pending) => false,
        Verb::Release => flags.has(Flags::RELEASE_FAILED) || !flags.has(done),
        _ => !flags.has(done),
    }
}

/// The word for a verb in the journal.
pub fn verb_word(verb: crate::queue::Verb) -> &'static str {
    match verb {
        crate::queue::Verb::Release => Verb::Release.word(),
        crate::queue::Verb::TrainHam => Verb::TrainHam.word(),
        crate::queue::Verb::TrainSpam => Verb::TrainSpam.word(),
    }
}

pub(super) fn pending_of(verb: crate::queue::Verb) -> Flags {
    match verb {
        crate::queue::Verb::Release => Flags::RELEASE_PENDING,
        _ => Flags::TRAIN_PENDING,
    }
}

fn pending_of_all(order: &Order) -> Flags {
    order.verbs.iter().map(pending_of).fold(Flags::NONE, |all, flags| all | flags)
}

impl Quarantine {
    /// Puts messages of a kept folder into another folder: what dragging does. `take`: they leave the folder (MOVE),
    /// otherwise they stay (COPY). What it asks for starts at once.
    pub fn put(
        &self,
        account: &Account,
        from: Kept,
        uids: &UidRanges,
        target: impl Into<Named>,
        take: bool,
    ) -> Result<Done, Failed> {
        self.put_after(account, from, uids, target.into(), take, Duration::ZERO)
    }

    /// The same for the page and for links, where a click is easily a wrong one: deliveries and reports wait for the
    /// configured time, and [`Quarantine::undo`] takes them back until then. (From Trash a message is put back.)
    pub fn put_later(
        &self,
        account: &Account,
        from: Kept,
        uids: &UidRanges,
        target: Folder,
        take: bool,
    ) -> Result<Done, Failed> {
        self.put_after(account, from, uids, target.into(), take, self.options.release_delay)
    }

    fn put_after(
        &self,
        account: &Account,
        from: Kept,
        uids: &UidRanges,
        target: Named,
        take: bool,
        delay: Duration,
    ) -> Result<Done, Failed> {
        let reach = self.reach(account)?;
        let Some(kept) = target.folder.kept() else {
            return self.order(account, reach, from, uids, Asked { target: &target, take, delay });
        };
        if self.allowed(account, reach, from, uids, &target)?.is_empty() {
            return Ok(Done::default());
        }
        self.place(account, reach, from, uids, kept, take)
    }

    /// These messages, if all of them may be put there.
    fn allowed(
        &self,
        account: &Account,
        reach: Reach,
        from: Kept,
        uids: &UidRanges,
        target: &Named,
    ) -> Result<Vec<Located>, Failed> {
        let messages = self.store.locate_all(reach, from, uids);
        self.allow(account, from, &messages, target)?;
        Ok(messages)
    }

    /// Whether all of these may be put there. Where nothing but the policy stands against it, and it lets this account
    /// request it, the requests of those that need one are filed. With any other reason the command makes no sense as it is,
    /// so nothing is filed: it will come again, without what it should not have named.
    fn allow(&self, account: &Account, from: Kept, messages: &[Located], target: &Named) -> Result<(), Failed> {
        let folder = target.folder;
        let mut reason: Option<Denied> = None;
        let mut refused = 0;
        let mut requested = Vec::new();
        for message in messages {
            let (class, kind) = (message.row.class, message.row.kind);
            let verdict = folders::may_come_from(folder, Source::Kept(from), class)
                .and_then(|()| self.may_be_in(target, &message.tree.address))
                .and_then(|()| {
                    let cut = folder.delivers() && message.row.flags.has(Flags::NOT_RELEASABLE);
                    if cut {
                        Err(Denied::impossible(
                            "only its header was kept, since it was over the size limit: ask the sender for it",
                        ))
                    } else {
                        Ok(())
                    }
                })
                .and_then(|()| self.options.policy.may(&account.scope, class, kind, folder.row().verbs));
            if let Err(denied) = verdict {
                refused += 1;
                let only_requested = denied.why == Why::Requestable;
                requested.extend(only_requested.then_some(message));
                // What cannot even be requested is the better reason.
                if reason.as_ref().is_none_or(|first| first.why == Why::Requestable && !only_requested) {
                    reason = Some(denied);
                }
            }
        }
        let granter = requested.first().and_then(|message| {
            self.options.policy.granter(&account.scope, message.row.class, message.row.kind, folder.row().verbs)
        });
        if let (Some(Denied { why: Why::Requestable, text }), Some(granter)) = (&mut reason, granter) {
            match self.file_requests(account, from, &requested, folder.row().verbs)? {
                Ok(()) => {
                    let it = if requested.len() > 1 { "requests were filed for these" } else { "a request was filed" };
                    *text = format!("{text}; {it}, which the administrator ({granter}) can grant");
                }
                Err(full) => reason = Some(Denied { text: format!("{text}; {}", full.text), ..full }),
            }
        }
        match reason {
            Some(denied) if messages.len() > 1 => {
                let text =
                    format!("nothing was done, because of {refused} of {} messages: {}", messages.len(), denied.text);
                Err(Denied { text, ..denied }.into())
            }
            Some(denied) => Err(denied.into()),
            None => Ok(()),
        }
    }

    /// To Trash, or back from it.
    fn place(
        &self,
        account: &Account,
        reach: Reach,
        from: Kept,
        uids: &UidRanges,
        to: Kept,
        take: bool,
    ) -> Result<Done, Failed> {
        let now = self.store.now();
        let edit = |name: &mut Name| {
            // Trash counts from when it was removed; what comes back counts from its arrival again.
            name.retain_from =
                (to == Kept::Trash).then_some(now.secs()).or_else(|| name.base.secs().is_none().then_some(now.secs()));
            name.flags = name.flags.map(|f| f.without(Flags::DELETED));
        };
        let moved = self.store.relocate(reach, from, uids, |_| to, !take, edit)?;
        if to == Kept::Trash && take {
            let moved: Vec<Located> = moved.iter().map(|(old, _)| old.clone()).collect();
            self.fulfil(account, &moved, &[Verb::Remove])?;
        }
        let event = if to == Kept::Trash { "removed" } else { "restored" };
        let noted = moved
            .iter()
            .map(|(old, new)| (new.name.id(), old.tree.address.to_string(), json!({ "from": from.directory() })));
        self.journal.note_all(now, event, &account.login, noted);
        let messages = moved.len();
        let placed = moved.into_iter().map(|(old, new)| (old.row.uid, new.uid)).collect();
        Ok(Done { messages, placed, batch: None })
    }

    /// Into an action folder: one order a message, one sync for all.
    fn order(
        &self,
        account: &Account,
        reach: Reach,
        from: Kept,
        uids: &UidRanges,
        what: Asked<'_>,
    ) -> Result<Done, Failed> {
        let take = what.take;
        // Whoever asks for the same meanwhile waits, and looks then.
        let mut last = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let messages = self.allowed(account, reach, from, uids, what.target)?;
        if messages.is_empty() {
            return Ok(Done::default());
        }
        let now = Timestamp(self.store.now().0.max(last.saturating_add(1)));
        let seconds = u32::try_from(what.delay.as_secs()).unwrap_or(u32::MAX);
        let window = (seconds > 0).then_some(Window { seconds, from, micros: now.subsec_micros() });
        if window.is_some() {
            *last = now.0;
        }
        let mut to_trash = UidRanges::new();
        let mut asked: Vec<(Located, Order)> = Vec::with_capacity(messages.len());
        for message in messages.iter().cloned() {
            match self.new_order(account, &message, &what, now.secs()) {
                Some(order) => asked.push((message, Order { window, ..order })),
                // Asked before: nothing more is done, and what is dragged away a second time is not lost.
                None if take => to_trash.add(message.row.uid, message.row.uid),
                None => {}
            }
        }
        let batch = asked.first().and_then(|(_, order)| order.batch());
        self.place_orders(account, reach, from, asked, take, TRIES)?;
        self.fulfil(account, &messages, what.verbs())?;
        if !to_trash.is_empty() {
            self.place(account, reach, from, &to_trash, Kept::Trash, true)?;
        }
        Ok(Done { placed: Vec::new(), messages: messages.len(), batch })
    }

    fn place_orders(
        &self,
        account: &Account,
        reach: Reach,
        from: Kept,
        asked: Vec<(Located, Order)>,
        take: bool,
        tries: u32,
    ) -> Result<(), Failed> {
        let leaving = take.then(|| self.store.leaving(from, self.queue.orders())).transpose()?;
        if !take {
            self.pend(reach, from, &asked)?;
        }
        let path = |message: &Located| match take {
            true => message.path.clone(),
            // A flag that was just set has renamed the file.
            false => self.store.locate(from, message.row.uid).map_or_else(|| message.path.clone(), |l| l.path),
        };
        let orders = asked.iter().map(|(m, order)| NewOrder { source: path(m), order: order.clone() }).collect();
        let rename = |nth: usize, file: &Path, order: &Path| match (&leaving, asked.get(nth)) {
            (Some(leaving), Some((message, _))) => leaving.rename(message.tree.id, message.row.half, file, order),
            _ => self.store.disk().rename(file, order),
        };
        let (results, _wake) = self.queue.place_by(orders, rename)?;
        let mut gone = UidRanges::new();
        let mut again = Vec::new();
        let mut failed = None;
        let mut noted = Vec::new();
        for ((message, order), result) in asked.into_iter().zip(results) {
            let uid = message.row.uid;
            match result {
                Placed::Placed => {
                    gone.add(uid, uid);
                    let verbs: Vec<&str> = order.verbs.iter().map(verb_word).collect();
                    noted.push((message.name.id(), message.tree.address.to_string(), json!({ "verbs": verbs })));
                }
                Placed::AlreadyThere => gone.add(uid, uid),
                // Its flags changed since we looked, or another hand took it.
                Placed::Not(fault) if fault.is_missing() && tries > 0 => again.push((message, order)),
                Placed::Not(fault) => {
                    if !take {
                        self.not_pending(reach, from, &message, &order)?;
                    }
                    // The others were placed: they are to be seen as such.
                    failed.get_or_insert(fault);
                }
            }
        }
        self.journal.note_all(self.store.now(), "asked", &account.login, noted.into_iter());
        if take && !gone.is_empty() {
            self.store.taken(from, &gone);
        }
        let mut there = Vec::new();
        for (message, order) in again {
            self.store.look_again(from, message.row.uid)?;
            let Some(found) = self.store.locate(from, message.row.uid).filter(|m| m.path.exists()) else {
                if !take && let Some((kept, found)) = self.store.find(&message.tree, &message.name.id()) {
                    // It was dragged to Trash meanwhile: what was asked of it holds.
                    self.place_orders(account, Reach::All, kept, vec![(found, order)], take, tries - 1)?;
                }
                continue;
            };
            let order = Order { message: Name { uid: None, ..found.name.clone().without_more() }, ..order };
            // The flags from before anything was asked: `not_pending` needs them.
            let row = Row { flags: message.row.flags, ..found.row };
            there.push((Located { row, ..found }, order));
        }
        if !there.is_empty() {
            self.place_orders(account, reach, from, there, take, tries - 1)?;
        }
        failed.map_or(Ok(()), |fault| Err(fault.into()))
    }

    /// Says of messages that stay where they are what was asked for. Before the orders are placed: the worker may be done
    /// with them, and say so, before anything more happens here. A failure stays to be seen until a release succeeds.
    fn pend(&self, reach: Reach, from: Kept, asked: &[(Located, Order)]) -> Result<(), Fault> {
        let mut alike: Vec<(Flags, UidRanges)> = Vec::new();
        for (message, order) in asked {
            let pending = pending_of_all(order);
            match alike.iter_mut().find(|(flags, _)| *flags == pending) {
                Some((_, uids)) => uids.add(message.row.uid, message.row.uid),
                None => alike.push((pending, UidRanges::one(message.row.uid, message.row.uid))),
            }
        }
        for (pending, uids) in alike {
            self.store.set_flags(reach, from, &uids, Flagging::Add, pending)?;
        }
        Ok(())
    }

    /// Its order was not placed after all.
    fn not_pending(&self, reach: Reach, from: Kept, message: &Located, order: &Order) -> Result<(), Fault> {
        let uid = UidRanges::one(message.row.uid, message.row.uid);
        let pending = pending_of_all(order);
        self.store.set_flags(reach, from, &uid, Flagging::Remove, pending.without(message.row.flags))?;
        Ok(())
    }

    /// Start-up: a message that says it waits for the queue, of which the queue knows nothing, could never be released.
    pub(super) fn settle_pending(&self) -> Result<(), Fault> {
        let asked = self.queue.messages();
        for kept in Kept::ALL {
            let mut stale = UidRanges::new();
            self.store.shared_rows(kept, |row, folder| {
                if !(row.flags & PENDING).is_empty() && !asked.contains(&folder.name(row).base) {
                    stale.add(row.uid, row.uid);
                }
            });
            self.store.set_flags(Reach::All, kept, &stale, Flagging::Remove, PENDING)?;
        }
        Ok(())
    }

    /// The order for what is still to be done of these verbs. `None`: all of it was done or is under way.
    fn new_order(&self, account: &Account, message: &Located, what: &Asked<'_>, now: u64) -> Option<Order> {
        let left = what.verbs().iter().filter(|&&verb| is_left(message.row.flags, verb));
        let verbs = left
            .filter_map(|&v| queue_verb(v))
            .fold(None, |all: Option<Verbs>, v| Some(all.map_or(Verbs::one(v), |a| a.and(v))))?;
        let tree = message.tree.address.to_string();
        let origin = if what.take { Origin::Moved } else { Origin::Copied };
        let mut name = message.name.clone();
        if message.row.flags.has(Flags::RELEASE_REQUESTED) && !self.stays_requested(message, what.verbs()) {
            name.flags = name.flags.map(|flags| flags.without(Flags::RELEASE_REQUESTED));
        }
        Some(Order::new(name, verbs, &tree, asker(account), origin, now))
    }

    /// Removes messages for good: EXPUNGE, or a removal from Trash.
    pub fn expunge(&self, account: &Account, from: Kept, uids: &UidRanges) -> Result<usize, Failed> {
        Ok(self.remove(self.reach(account)?, from, uids, "expunged", &account.login)?.len())
    }

    /// Removes messages for good and notes it: what happened, and by whom. Returns those that were there.
    pub(super) fn remove(
        &self,
        reach: Reach,
        from: Kept,
        uids: &UidRanges,
        event: &str,
        by: &str,
    ) -> Result<Vec<Located>, Fault> {
        let removed = self.store.remove(reach, from, uids)?;
        self.forget_requests(&removed)?;
        let now = self.store.now();
        for message in &removed {
            let tree = message.tree.address.to_string();
            self.journal.note(now, &message.name.id(), &tree, event, by, json!({ "from": from.directory() }));
        }
        Ok(removed)
    }
}
