//! What the queue asks of the rules while it carries out orders, and what becomes of messages afterwards.

use super::Quarantine;
use crate::base::{Context, Fault, Flags, Form, UidRanges};
use crate::mail::name::Left;
use crate::mail::{Class, Kept, Name, Trace};
use crate::queue::{Entry, Letter, Order, Origin, Outcome, Part, Plan, Verb};
use crate::store::{Flagging, Located, Reach, Tree};
use serde_json::json;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

/// A message whose release failed lives at least this long from then on: seven days, in seconds.
const FAILED_LIVES: u64 = 7 * 86_400;

impl Plan for Quarantine {
    fn recipients(&self, order: &Order, file: &Path) -> Result<Vec<usize>, Fault> {
        let mut open = File::open(file).during("open", file)?;
        let trace = read_trace(&mut open, &order.message).during("read", file)?;
        // Without a trace (an adopted file) the one recipient is he in whose tree it lies.
        let count = trace.recipients.len().max(1);
        let left = order.message.left.as_ref();
        Ok((0..count).filter(|&i| left.is_none_or(|l| l.has(i))).collect())
    }

    fn settle(&self, order: &Order) -> Result<(), Fault> {
        let Some(tree) = self.tree_of(&order.tree, &[]) else { return Ok(()) };
        while let Some((kept, message)) = self.store.find(&tree, &order.message.id()) {
            // Trash holds what `keep` made of this very order, unless that has not begun.
            let begun = !order.waits(self.store.now().secs());
            if kept == Kept::Trash && !order.verbs.has(Verb::Release) && begun {
                return Ok(());
            }
            self.store.remove(Reach::All, kept, &UidRanges::one(message.row.uid, message.row.uid))?;
        }
        Ok(())
    }

    fn keep(&self, orders: &[(Order, PathBuf)]) -> Result<(), Fault> {
        let not_delivered = |o: &&(Order, PathBuf)| !o.0.verbs.has(Verb::Release) && o.0.origin != Origin::Copied;
        if !orders.iter().any(|o| not_delivered(&o)) {
            return Ok(());
        }
        let there: HashSet<_> = self.store.ids(Kept::Trash);
        let now = self.store.now();
        let mut files = Vec::new();
        for (order, path) in orders.iter().filter(not_delivered) {
            let Some(tree) = self.tree_of(&order.tree, &self.recipients_of(&order.message, path)) else { continue };
            if there.contains(&(tree.id, order.message.base.clone())) {
                continue;
            }
            let mut name = Name { retain_from: Some(now.secs()), ..order.message.clone() };
            let pending = if order.verbs.has(Verb::TrainHam) || order.verbs.has(Verb::TrainSpam) {
                Flags::TRAIN_PENDING
            } else {
                Flags::NONE
            };
            name.flags = Some(name.flags.unwrap_or_default().without(Flags::DELETED) | pending);
            files.push((tree, Kept::Trash, path.clone(), name));
        }
        self.store.put_back(files).map(|_| ())
    }
}

impl Outcome for Quarantine {
    fn letter(&self, entry: &Entry, file: &mut File) -> io::Result<Result<Letter, String>> {
        let trace = read_trace(file, &entry.message)?;
        let Some(tree) = self.tree_of(&entry.tree, &trace.recipients) else {
            return Ok(Err(format!("whose message it was ({}) cannot be told any more", entry.tree)));
        };
        let Part::Deliver(index) = entry.part else { return Ok(Err("it is no delivery".to_string())) };
        let recipient = match trace.recipients.get(index) {
            Some(recipient) => recipient.clone(),
            None if index == 0 => tree.address.to_string(),
            None => return Ok(Err("its trace names no such recipient".to_string())),
        };
        if entry.message.class != crate::mail::Class::Outgoing && !self.is_for(&recipient, &tree) {
            return Ok(Err(format!(
                "<{recipient}> is not an address of {} (any more): only its owner gets a message",
                tree.address
            )));
        }
        if trace.cut_from.is_some() {
            return Ok(Err("only its header was kept".to_string()));
        }
        Ok(Ok(Letter {
            sender: trace.sender,
            received: self.received_line(&entry.message.id(), &recipient, self.store.now()),
            recipient,
            skip: u64::from(entry.message.trace),
            form: if entry.message.wire_size.is_some() { Form::Lf } else { Form::Crlf },
        }))
    }

    fn delivered(&self, entry: &Entry, reply: &str) {
        self.note(entry, "released", json!({ "reply": reply, "part": part(entry) }));
        let Some((kept, message)) = self.still_there(entry) else { return };
        // Of several recipients those are left whom the server refused; others were reached besides.
        let left = message.name.left.clone().map(|left| match entry.part {
            Part::Deliver(index) if left.has(index) => left.without(index),
            _ => left,
        });
        let failed = left.as_ref().is_some_and(|l| !l.is_empty());
        let left = left.filter(|_| failed);
        let renamed = self.store.rename(kept, message.row.uid, |name| name.left = left.clone());
        let (add, remove) = if failed { (Flags::NONE, Flags::NONE) } else { (Flags::RELEASED, Flags::RELEASE_FAILED) };
        let flagged = renamed.and_then(|_| self.set(kept, &message, add, remove | Flags::RELEASE_PENDING));
        self.shown(entry, flagged);
    }

    fn deferred(&self, entry: &Entry, reason: &str, next: u64) {
        log::warn!("{}: not released yet: {reason}", entry.message.id());
        self.note(
            entry,
            "deferred",
            json!({ "reason": reason, "next": crate::base::Timestamp::from_secs(next).rfc3339() }),
        );
    }

    fn failed(&self, entry: &Entry, file: &Path, reason: &str) -> Result<(), Fault> {
        log::warn!("{}: not released, it is back in {}: {reason}", entry.message.id(), entry.message.class.folder());
        // A file that is shorter than its name says is given back, too: its owner is to see it.
        let recipients = self.recipients_of(&entry.message, file);
        let tree = self.tree_of(&entry.tree, &recipients).unwrap_or(self.store.tree_for(&self.options.home)?);
        let left = match entry.part {
            Part::Deliver(index) if recipients.len() > 1 => Some(index),
            _ => None,
        };
        self.give_back(&tree, entry, file, left)?;
        self.note(entry, "release-failed", json!({ "reason": reason, "part": part(entry) }));
        Ok(())
    }

    fn trained(&self, entry: &Entry, reply: &str) {
        self.note(
            entry,
            "trained",
            json!({ "verb": super::act::verb_word(entry.part.verb()), "part": part(entry), "reply": reply }),
        );
        let flag = if entry.part.verb() == Verb::TrainHam { Flags::TRAINED_HAM } else { Flags::TRAINED_SPAM };
        self.flag(entry, flag, Flags::TRAIN_PENDING);
    }

    fn training_deferred(&self, entry: &Entry, reason: &str, next: u64) {
        log::warn!("{}: not trained yet: {reason}", entry.message.id());
        self.note(
            entry,
            "deferred",
            json!({ "reason": reason, "next": crate::base::Timestamp::from_secs(next).rfc3339() }),
        );
    }

    fn training_failed(&self, entry: &Entry, reason: &str) {
        log::error!("{}: not trained, it lies in queue/failed: {reason}", entry.message.id());
        self.note(entry, "training-failed", json!({ "reason": reason, "part": part(entry) }));
        self.flag(entry, Flags::NONE, Flags::TRAIN_PENDING);
    }
}

impl Quarantine {
    /// Marks a message that is in its tree as one whose release failed; `false` when it is not there.
    /// `message` is what came in: the line that says so may have been copied on top of another.
    pub(super) fn mark_failed(&self, tree: &Arc<Tree>, id: &str, class: Class, message: &[u8]) -> bool {
        self.store.find(tree, id).is_some_and(|(kept, kept_message)| {
            kept_message.row.class == class
                && same_text(&kept_message, message)
                && self.keep_failed(kept, &kept_message, None).is_ok()
        })
    }

    /// Puts a message whose release failed where its owner sees it: into its folder again, or marked where it still is.
    fn give_back(&self, tree: &Arc<Tree>, entry: &Entry, file: &Path, left: Option<usize>) -> Result<(), Fault> {
        // Else two that fail at once both find nothing, and make a message each.
        let _one_at_a_time = self.returning.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((kept, message)) = self.store.find(tree, &entry.message.id()) {
            return self.keep_failed(kept, &message, left);
        }
        let mut name = entry.message.clone();
        name.flags = Some(
            name.flags.unwrap_or_default().without(Flags::DELETED | Flags::RELEASE_PENDING) | Flags::RELEASE_FAILED,
        );
        name.left = left.map(|index| Left::default().with(index));
        name.retain_from = self.retain_failed(&name, tree);
        self.store.put_back(vec![(tree.clone(), name.class.folder(), file.to_path_buf(), name)]).map(|_| ())
    }

    fn keep_failed(&self, kept: Kept, message: &Located, left: Option<usize>) -> Result<(), Fault> {
        let uid = UidRanges::one(message.row.uid, message.row.uid);
        let tree = &message.tree;
        self.store.rename(kept, message.row.uid, |name| {
            if let Some(index) = left {
                name.left = Some(name.left.clone().unwrap_or_default().with(index));
            }
            name.retain_from = self.retain_failed(name, tree);
        })?;
        self.set(kept, message, Flags::RELEASE_FAILED, Flags::RELEASED | Flags::RELEASE_PENDING)?;
        // The entry goes next: what it would have told again must not be lost.
        self.store.sync_name(kept, message.row.uid)?;
        if kept == Kept::Trash {
            // It was dragged away while its delivery was under way: what failed is to be seen.
            self.store.relocate(
                Reach::All,
                kept,
                &uid,
                |row| row.class.folder(),
                false,
                |name| {
                    name.retain_from = self.retain_failed(name, tree);
                },
            )?;
        }
        Ok(())
    }

    /// When retention of a failed release is to start so that it lives for seven days more.
    fn retain_failed(&self, name: &Name, tree: &Tree) -> Option<u64> {
        let period =
            self.options.retention.of(name.class.folder(), &tree.address).age.map_or(u64::MAX, |a| a.as_secs());
        let wanted = self.store.now().secs().saturating_add(FAILED_LIVES).saturating_sub(period);
        let start = name.retain_from.or(name.base.secs()).unwrap_or(0);
        if wanted > start { Some(wanted) } else { name.retain_from }
    }

    /// Flags a message that is still in its tree.
    fn flag(&self, entry: &Entry, add: Flags, remove: Flags) {
        if let Some((kept, message)) = self.still_there(entry) {
            self.shown(entry, self.set(kept, &message, add, remove));
        }
    }

    /// The message of an entry, if it was copied, or lies in Trash.
    fn still_there(&self, entry: &Entry) -> Option<(Kept, Located)> {
        let tree = self.tree_of(&entry.tree, &[])?;
        self.store.find(&tree, &entry.message.id())
    }

    fn set(&self, kept: Kept, message: &Located, add: Flags, remove: Flags) -> Result<(), Fault> {
        let uid = UidRanges::one(message.row.uid, message.row.uid);
        self.store.set_flags(Reach::All, kept, &uid, Flagging::Remove, remove)?;
        self.store.set_flags(Reach::All, kept, &uid, Flagging::Add, add).map(|_| ())
    }

    fn shown(&self, entry: &Entry, set: Result<(), Fault>) {
        if let Err(fault) = set {
            log::warn!("{}: what was done is not shown: {fault}", entry.message.id());
        }
    }

    /// Whether a recipient's mail goes to this tree: a release reaches its owner and nobody else, whatever a trace says.
    fn is_for(&self, recipient: &str, tree: &Tree) -> bool {
        use super::directory::Resolution;
        let Ok(address) = crate::mail::Address::parse(recipient) else { return false };
        matches!(self.directory().resolve(&address), Resolution::Tree(owner) if owner == tree.address)
    }

    pub(super) fn recipients_of(&self, message: &Name, file: &Path) -> Vec<String> {
        File::open(file).and_then(|mut f| read_trace(&mut f, message)).map(|t| t.recipients).unwrap_or_default()
    }

    fn note(&self, entry: &Entry, event: &str, details: serde_json::Value) {
        self.journal.note(self.store.now(), &entry.message.id(), &entry.tree.to_string(), event, "queue", details);
    }
}

/// Whether a stored message has the text below its header that `other` has. Servers on the way change headers.
fn same_text(stored: &Located, other: &[u8]) -> bool {
    let mut bytes = Vec::new();
    let Ok(_) = File::open(&stored.path).and_then(|mut f| f.read_to_end(&mut bytes)) else { return false };
    let below = bytes.get(stored.name.trace as usize..).and_then(text_of);
    below.is_some() && below == text_of(other)
}

fn text_of(message: &[u8]) -> Option<&[u8]> {
    memchr::memmem::find(message, b"\r\n\r\n").and_then(|at| message.get(at + 4..))
}

/// Which part of an order, for the journal.
fn part(entry: &Entry) -> String {
    match &entry.part {
        Part::Deliver(index) => format!("recipient {index}"),
        Part::Train { sink, .. } => format!("sink {sink}"),
    }
}

/// Reads the trace at the top of a message; an empty one when there is none.
pub fn read_trace(file: &mut File, name: &Name) -> io::Result<Trace> {
    let mut bytes = vec![0; name.trace as usize];
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut bytes)?;
    Ok(Trace::parse(&bytes))
}
