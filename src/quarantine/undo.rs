//! What was asked for and has not started is taken back: the message lies where it was, under a new UID.

use super::Quarantine;
use super::account::{Account, Scope};
use super::act::{Failed, PENDING, pending_of, verb_word};
use super::core::asker;
use super::policy::Denied;
use crate::base::{Fault, Flags, UidRanges};
use crate::mail::name::Base;
use crate::mail::{Address, Kept};
use crate::queue::{self, Held, Order, Origin, Outcome, Waiting};
use crate::store::{Flagging, Placed, Reach};
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::sync::PoisonError;

#[cfg(test)]
mod tests;

impl Quarantine {
    /// Takes back what one command asked for, as long as it waits: `batch` is what [`Quarantine::put_later`] returned.
    /// Only what this account asked for itself. Says of how many messages it was taken back; that is durable.
    pub fn undo(&self, account: &Account, batch: u64) -> Result<usize, Failed> {
        let _one_at_a_time = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        let own = |order: &Order| order.batch() == Some(batch) && self.is_own(account, order.asker, &order.tree);
        let held = self.queue.hold(self.store.now().secs(), &own);
        if held.is_empty() {
            let text = "it has started, or was taken back before: what was delivered or reported cannot be undone";
            return Err(Denied::impossible(text).into());
        }
        let (held, mut first_fault) = self.queue.settle_all(self, held);
        let (mut back, mut placed) = (Vec::new(), Vec::new());
        for held in held {
            match self.take_back(&held) {
                Ok(at) => {
                    placed.extend(at);
                    back.push(held);
                }
                Err(fault) => {
                    self.queue.let_go(&held);
                    first_fault.get_or_insert(fault);
                }
            }
        }
        // The folders first: a crash between the two leaves both names, never neither.
        let forgotten = self.queue.forget(&back, self.store.sync_placed(&placed));
        self.no_longer_pending(back.iter().map(|held| held.order.message.base.clone()).collect())?;
        forgotten?;
        let now = self.store.now();
        for Held { order, .. } in &back {
            let verbs: Vec<&str> = order.verbs.iter().map(verb_word).collect();
            let tree = order.tree.to_string();
            self.journal.note(now, &order.message.id(), &tree, "undone", &account.login, json!({ "verbs": verbs }));
        }
        first_fault.map_or(Ok(back.len()), |fault| Err(fault.into()))
    }

    /// Gives the deliveries of a message back that wait for their next attempt: it lies in its folder again, as one whose
    /// release failed. Says how many; none of them may be left, or under way at this moment.
    pub fn call_back(&self, message: &Base, reason: &str) -> Result<usize, Fault> {
        let mut count = 0;
        while let Some(claim) = self.queue.claim_delivery(message) {
            if let Err(fault) = self.failed(&claim.entry, &claim.path, reason) {
                let next = claim.entry.next;
                self.queue.wait(claim, next);
                return Err(fault);
            }
            self.queue.returned(claim)?;
            count += 1;
        }
        Ok(count)
    }

    /// What this account asked for and can still take back, newest first.
    pub fn waiting(&self, account: &Account) -> Vec<Waiting> {
        self.queue.waiting(self.store.now().secs(), &|asker, tree| self.is_own(account, asker, tree))
    }

    /// A message that was moved goes into the folder it came from; that is not synced. `None`: it was copied.
    fn take_back(&self, held: &Held) -> Result<Option<Placed>, Fault> {
        let order = &held.order;
        if order.origin == Origin::Copied {
            return self.queue.unlink(held).map(|()| None);
        }
        let recipients = self.recipients_of(&order.message, &held.path);
        let tree =
            self.tree_of(&order.tree, &recipients).map_or_else(|| self.store.tree_for(&self.options.home), Ok)?;
        let mut name = order.message.clone();
        name.flags = name.flags.map(|flags| flags.without(Flags::DELETED));
        let from = order.window.map_or(name.class.folder(), |window| window.from);
        self.store.take_back(&tree, from, &held.path, name).map(Some)
    }

    /// What the queue does not know of these messages any more is not said of them either.
    fn no_longer_pending(&self, messages: HashSet<Base>) -> Result<(), Fault> {
        let still = self.queue.verbs_of(&messages);
        for kept in Kept::ALL {
            let mut stale: HashMap<Flags, UidRanges> = HashMap::new();
            self.store.shared_rows(kept, |row, folder| {
                let mut pending = row.flags & PENDING;
                if !pending.is_empty() {
                    let base = folder.name(row).base;
                    let verbs = still.get(&base).into_iter().flatten();
                    pending = pending.without(verbs.map(|&verb| pending_of(verb)).fold(Flags::NONE, |all, f| all | f));
                    if !pending.is_empty() && messages.contains(&base) {
                        stale.entry(pending).or_default().add(row.uid, row.uid);
                    }
                }
            });
            for (pending, uids) in stale {
                self.store.set_flags(Reach::All, kept, &uids, Flagging::Remove, pending)?;
            }
        }
        Ok(())
    }

    /// Whether this account is the one that asked: each scope has one.
    fn is_own(&self, account: &Account, asked_by: queue::Asker, tree: &queue::Tree) -> bool {
        asked_by == asker(account) && self.sees(&account.scope, tree)
    }

    /// Whether a scope sees the tree that a queue name refers to.
    pub(super) fn sees(&self, scope: &Scope, tree: &queue::Tree) -> bool {
        match (scope, tree) {
            (Scope::Global, _) => true,
            (Scope::Recipient(address), tree) => tree.is(&address.to_string()),
            (scope, queue::Tree::Named(text)) => Address::parse(text).is_ok_and(|address| scope.sees(&address)),
            (scope, tree) => self.tree_of(tree, &[]).is_some_and(|tree| scope.sees(&tree.address)),
        }
    }
}
