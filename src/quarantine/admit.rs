//! From a door into the store: whose message it is, its trace, and one file a recipient tree.

use super::Quarantine;
use super::directory::Resolution;
use crate::base::{Fault, Flags, Form, limits};
use crate::disk::Disk;
use crate::mail::trace::{Client, Told, Trace, split_delivery_fields};
use crate::mail::{Address, Class, Kind, Name, header};
use crate::store::Tree;
use serde_json::json;
use std::fmt;
use std::sync::{Arc, PoisonError};

/// A message at a door.
#[derive(Debug, Clone, Default)]
pub struct Arrival<'a> {
    /// Why it is here, as the door says.
    pub class: Class,
    /// What the filter saw, as the door says.
    pub kind: Kind,
    /// The reverse-path, "" for the null sender.
    pub sender: String,
    /// The recipients, verbatim.
    pub recipients: Vec<String>,
    /// Who handed it in.
    pub client: Client,
    /// The filter's score, as it wrote it.
    pub score: Option<String>,
    /// Why the filter caught it, one reason each.
    pub reasons: Vec<String>,
    /// Its bytes; only the header when `cut_from` is set.
    pub message: &'a [u8],
    /// It was over the size limit: so many bytes.
    pub cut_from: Option<u64>,
    /// What its sender will be told once it is stored.
    pub told: Told,
    /// One space stands behind the colons of its header: the mail server did not say what was there.
    pub rebuilt: bool,
    /// How its lines end. In LF form the stored file keeps its bytes, and its name says how long it is on the wire.
    pub form: Form,
}

impl Arrival<'_> {
    /// The form of a message that came as a file: LF if any line ends without a CR.
    pub fn form_of(message: &[u8]) -> Form {
        if bare_line_feeds(message, b'\0') > 0 { Form::Lf } else { Form::Crlf }
    }
}

/// The Message-ID, for whoever compares the journal with what others noted; "" when there is none.
fn message_id(message: &[u8]) -> String {
    let header = message.get(..header::end(message)).unwrap_or_default();
    let field = header::find(header, b"message-id").map(|field| field.unfolded().trim_ascii().to_vec());
    String::from_utf8_lossy(&field.unwrap_or_default()).chars().take(limits::JOURNAL_MESSAGE_ID).collect()
}

/// Line feeds without a CR before them; `before` is the byte that stands before the first.
fn bare_line_feeds(bytes: &[u8], before: u8) -> u64 {
    let byte_before = |at: usize| at.checked_sub(1).and_then(|i| bytes.get(i)).copied().unwrap_or(before);
    memchr::memchr_iter(b'\n', bytes).filter(|&at| byte_before(at) != b'\r').count() as u64
}

/// Line feeds without a CR before them in parts that follow each other.
fn bare_in_parts(parts: &[&[u8]]) -> u64 {
    let mut last = b'\0';
    parts.iter().fold(0, |sum, part| {
        let bare = bare_line_feeds(part, last);
        last = part.last().copied().unwrap_or(last);
        sum + bare
    })
}

/// Why a recipient or a message is not taken now. None of these is final: a door answers 4xx, so that no bounce goes to a
/// forged sender.
#[derive(Debug)]
pub enum Refused {
    /// It is no address.
    Address(String),
    /// The domain is not configured here: an alarm, since the mail server thinks that it is.
    UnknownDomain(String),
    /// The address is not a valid one of its domain.
    UnknownRecipient(String),
    /// Too many new recipients in an hour.
    TooManyTrees,
    /// The disk is nearly full.
    NoSpace,
    /// The disk failed.
    Disk(Fault),
}

/// Where a message was filed.
#[derive(Debug, Clone)]
pub struct Filed {
    /// The message id: the reference that the sender may be told.
    pub id: String,
    /// Whose tree.
    pub tree: Address,
}

/// What is filed into one tree.
struct Batch {
    tree: Arc<Tree>,
    /// Positions in the arrival's recipients.
    recipients: Vec<usize>,
}

impl Quarantine {
    /// Whether a message of this class for this recipient has a place.
    pub fn place_for(
        &self,
        class: Class,
        sender: &str,
        user: Option<&str>,
        recipient: &str,
    ) -> Result<Address, Refused> {
        let place = || {
            if !self.has_space() {
                return Err(Refused::NoSpace);
            }
            let owner = match class {
                Class::Outgoing => self.owner_of_outgoing(sender, user),
                Class::Incoming | Class::Unsure => {
                    let address = Address::parse(recipient).map_err(|_| Refused::Address(recipient.to_string()))?;
                    self.resolve(&address)?
                }
            };
            self.allow_tree(&owner)?;
            Ok(owner)
        };
        place().inspect_err(|refused| self.deferred.note(refused.word()))
    }

    fn resolve(&self, address: &Address) -> Result<Address, Refused> {
        match self.directory().resolve(address) {
            Resolution::Tree(tree) => Ok(tree),
            Resolution::UnknownDomain => {
                log::error!(
                    "mail for {address} was handed in, but {} is not among [domains]: the mail server's list and ours differ",
                    address.domain()
                );
                Err(Refused::UnknownDomain(address.domain().to_string()))
            }
            Resolution::UnknownRecipient => Err(Refused::UnknownRecipient(address.to_string())),
        }
    }

    /// Outgoing mail lies with its local sender: the envelope's, else the authenticated user, else the postmaster.
    pub fn owner_of_outgoing(&self, sender: &str, user: Option<&str>) -> Address {
        let directory = self.directory();
        [Some(sender), user]
            .into_iter()
            .flatten()
            .filter_map(|text| Address::parse(text).ok())
            .find_map(|address| match directory.resolve(&address) {
                Resolution::Tree(tree) => Some(tree),
                _ => None,
            })
            .unwrap_or_else(|| self.options.home.clone())
    }

    /// Stores a message durably for all its recipients; one result a recipient, in order. Those of one tree share a file.
    pub fn admit(&self, arrival: &Arrival) -> Vec<Result<Filed, Refused>> {
        let mut results: Vec<Result<Filed, Refused>> = Vec::new();
        let mut batches: Vec<Batch> = Vec::new();
        let user = arrival.client.user.as_deref();
        for (i, recipient) in arrival.recipients.iter().enumerate() {
            let place = self.place_for(arrival.class, &arrival.sender, user, recipient);
            match place.and_then(|address| self.store.tree_for(&address).map_err(Refused::Disk)) {
                Ok(tree) => {
                    results.push(Ok(Filed { id: String::new(), tree: tree.address.clone() }));
                    match batches.iter_mut().rfind(|b| b.tree.id == tree.id) {
                        Some(batch) if batch.recipients.len() < limits::RECIPIENTS_PER_FILE => batch.recipients.push(i),
                        _ => batches.push(Batch { tree, recipients: vec![i] }),
                    }
                }
                Err(refused) => results.push(Err(refused)),
            }
        }
        if !batches.is_empty() {
            if let Some(id) = self.released_id(arrival.message) {
                return self.came_back(arrival, &id, batches, results);
            }
            for batch in batches {
                self.file(arrival, &batch, Flags::NONE, &mut results);
            }
        }
        results
    }

    fn file(&self, arrival: &Arrival, batch: &Batch, flags: Flags, results: &mut [Result<Filed, Refused>]) {
        let stored = self.store_one(arrival, batch, flags);
        for &i in &batch.recipients {
            if let Some(result) = results.get_mut(i) {
                *result = match &stored {
                    Ok(id) => Ok(Filed { id: id.clone(), tree: batch.tree.address.clone() }),
                    Err(fault) => Err(refusal(fault)),
                };
            }
        }
        if let Err(fault) = &stored {
            self.deferred.note(refusal(fault).word());
            log::error!("a message for {} was not stored: {fault}", batch.tree.address);
        }
    }

    fn store_one(&self, arrival: &Arrival, batch: &Batch, flags: Flags) -> Result<String, Fault> {
        let base = self.store.new_base();
        let now = self.store.now();
        let (moved, body) = split_delivery_fields(arrival.message);
        let trace = Trace {
            id: base.to_string(),
            arrived: now,
            sender: arrival.sender.clone(),
            recipients: batch.recipients.iter().filter_map(|&i| arrival.recipients.get(i)).cloned().collect(),
            class: arrival.class,
            kind: arrival.kind,
            client: arrival.client.clone(),
            score: arrival.score.clone(),
            reasons: arrival.reasons.clone(),
            cut_from: arrival.cut_from,
            told: arrival.told.clone(),
            rebuilt: arrival.rebuilt,
            moved,
        };
        let trace = trace.render();
        let size = trace.len() + body.iter().map(|part| part.len()).sum::<usize>();
        let mut name = Name::new(base, size as u64);
        (name.trace, name.class, name.kind) = (trace.len() as u32, arrival.class, arrival.kind);
        if arrival.form == Form::Lf {
            let bare = bare_in_parts(&body);
            name.wire_size = (bare > 0).then_some(size as u64 + bare);
        }
        let flags = if arrival.cut_from.is_some() { flags | Flags::NOT_RELEASABLE } else { flags };
        name.flags = (!flags.is_empty()).then_some(flags);
        let mut parts: Vec<&[u8]> = vec![&trace];
        parts.extend(body);
        let placed = self.store.deliver(&batch.tree, arrival.class.folder(), name, &parts)?;
        let id = placed.name.id();
        let details = json!({
            "class": arrival.class.word(), "kind": arrival.kind.word(), "sender": arrival.sender, "size": size,
            "message_id": message_id(arrival.message),
        });
        self.journal.note(now, &id, &batch.tree.address.to_string(), "stored", &arrival.client.door, details);
        Ok(id)
    }

    /// A message that we released was caught again. If it is still here it is marked; else it is kept once more, marked.
    fn came_back(
        &self,
        arrival: &Arrival,
        id: &str,
        batches: Vec<Batch>,
        mut results: Vec<Result<Filed, Refused>>,
    ) -> Vec<Result<Filed, Refused>> {
        log::error!(
            "the released message {id} was caught again: your filter is not bypassed: mail from the route that releases it must not be filtered again"
        );
        for batch in batches {
            let tree = batch.tree.address.to_string();
            let reason = json!({ "reason": "it was caught again: your filter is not bypassed" });
            self.journal.note(self.store.now(), id, &tree, "release-failed", &arrival.client.door, reason);
            if self.mark_failed(&batch.tree, id, arrival.class, arrival.message) {
                for &i in &batch.recipients {
                    if let Some(result) = results.get_mut(i) {
                        *result = Ok(Filed { id: id.to_string(), tree: batch.tree.address.clone() });
                    }
                }
            } else {
                self.file(arrival, &batch, Flags::RELEASE_FAILED, &mut results);
            }
        }
        results
    }

    /// A tree that exists is always allowed; new ones are limited by the hour.
    fn allow_tree(&self, address: &Address) -> Result<(), Refused> {
        if self.store.tree(address).is_some() {
            return Ok(());
        }
        let now = self.store.now().secs();
        let mut made = self.new_trees.lock().unwrap_or_else(PoisonError::into_inner);
        while made.front().is_some_and(|&at| at + 3600 <= now) {
            made.pop_front();
        }
        if made.len() >= self.options.new_trees_per_hour as usize {
            log::error!(
                "no tree was made for {address}: {} new recipients in an hour is the limit (limits.new_trees_per_hour)",
                made.len()
            );
            return Err(Refused::TooManyTrees);
        }
        made.push_back(now);
        drop(made);
        // Its number is given now, so that the next recipient with this address is not counted as new again.
        self.store.tree_for(address).map(|_| ()).map_err(Refused::Disk)
    }

    /// Whether doors may still store; looked at once a second.
    pub fn has_space(&self) -> bool {
        let now = self.store.now().secs();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.0 != now {
            let enough = has_space(self.store.disk(), self.options.min_free_percent);
            if free.1 && !enough {
                log::error!(
                    "less than {} % of {} are free: doors answer 452 until there is more",
                    self.options.min_free_percent,
                    self.store.disk().root().display()
                );
            }
            *free = (now, enough);
        }
        free.1
    }
}

/// Whether this part of the data directory's file system is free, in per cent. What cannot be measured is no reason to
/// refuse mail: a full disk says so itself when it is written to.
pub fn has_space(disk: &Disk, percent: u8) -> bool {
    disk.space().is_none_or(|(free, all)| free.saturating_mul(100) >= all.saturating_mul(u64::from(percent)))
}

fn refusal(fault: &Fault) -> Refused {
    if fault.is_full() {
        Refused::NoSpace
    } else {
        Refused::Disk(Fault::new(fault.doing.clone(), fault.path.clone(), fault.kind().into()))
    }
}

impl Refused {
    /// How a mail server is told: the reply code, and the enhanced one (RFC 3463 3). Never 5xx: a bounce would go to a
    /// forged sender.
    pub fn codes(&self) -> (u16, &'static str) {
        match self {
            Refused::Address(_) => (451, "4.1.3"),
            Refused::UnknownDomain(_) => (451, "4.1.2"),
            Refused::UnknownRecipient(_) => (451, "4.1.1"),
            Refused::TooManyTrees => (451, "4.2.1"),
            Refused::NoSpace => (452, "4.3.1"),
            Refused::Disk(_) => (451, "4.3.0"),
        }
    }

    /// A word for it, for counts.
    pub fn word(&self) -> &'static str {
        match self {
            Refused::Address(_) => "address",
            Refused::UnknownDomain(_) => "unknown-domain",
            Refused::UnknownRecipient(_) => "unknown-recipient",
            Refused::TooManyTrees => "too-many-recipients",
            Refused::NoSpace => "no-space",
            Refused::Disk(_) => "disk",
        }
    }
}

impl fmt::Display for Refused {
    /// For the peer: nothing of our insides.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Address(text) => write!(f, "<{text}> is no mail address"),
            Refused::UnknownDomain(domain) => write!(f, "{domain} is not a domain of this quarantine"),
            Refused::UnknownRecipient(address) => write!(f, "<{address}> is not a recipient of this quarantine"),
            Refused::TooManyTrees => f.write_str("too many new recipients within an hour, try later"),
            Refused::NoSpace => f.write_str("insufficient storage, try later"),
            Refused::Disk(_) => f.write_str("storage failed, try later"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_line_feed_without_a_cr_counts_once(text in "[ab\r\n]{0,40}", cut in 0usize..40) {
            let bytes = text.as_bytes();
            let wire = text.replace("\r\n", "\n").replace('\n', "\r\n");
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            let bare = bare_in_parts(&[first, second]);
            prop_assert_eq!(bytes.len() as u64 + bare, wire.len() as u64);
            prop_assert_eq!(Arrival::form_of(bytes) == Form::Lf, bare > 0);
        }
    }
}
