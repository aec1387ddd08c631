//! What changes something: release, train, remove, expire, and filing what was deposited. The rules are those of dragging.

use super::describe::{self, Beginning};
use super::find::{Found, find, id_in};
use super::{Answer, Failure, JOURNAL_DAYS, Tell, Why, hand};
use crate::base::{Timestamp, UidRanges};
use crate::mail::Kept;
use crate::quarantine::act::{is_left, verb_word};
use crate::quarantine::expire::EXPIRED_AT_ONCE;
use crate::quarantine::folders::{Folder, Verb};
use crate::quarantine::{Failed, Quarantine};
use crate::work::intake::{self, NotFiled};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Did {
    /// Its id; what was typed when there is no such message.
    pub id: String,
    /// In whose tree it lies, or lay.
    pub recipient: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// The same for people.
    pub text: String,
}

/// How it ended for one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is in the queue, durably.
    Asked,
    /// It was asked before, and is done or under way.
    Already,
    /// It is in Trash.
    Removed,
    /// It is gone for good.
    Expunged,
    /// It stays as it is, and its request is taken down.
    Declined,
    /// A list of senders names it.
    Listed,
    /// It does so no more.
    Unlisted,
    /// It is not allowed, or makes no sense.
    Refused,
    /// There is no such message, or more than one.
    Unknown,
    /// The disk failed.
    Failed,
}

impl Outcome {
    /// Whether what was wanted is so.
    pub fn is_good(self) -> bool {
        !matches!(self, Outcome::Refused | Outcome::Unknown | Outcome::Failed)
    }
}

/// Delivers.
pub(super) fn release(quarantine: &Quarantine, ids: &[String], tell: Tell) -> Result<(), Failure> {
    each(quarantine, ids, &["released"], tell, |found| drag(quarantine, found, Folder::Release))
}

/// Delivers, and reports as wrongly caught.
pub(super) fn release_and_train(quarantine: &Quarantine, ids: &[String], tell: Tell) -> Result<(), Failure> {
    each(quarantine, ids, &["released"], tell, |found| drag(quarantine, found, Folder::ReleaseTrain))
}

/// Reports to the filter.
pub(super) fn train(quarantine: &Quarantine, ids: &[String], ham: bool, tell: Tell) -> Result<(), Failure> {
    let folder = if ham { Folder::NotSpam } else { Folder::Spam };
    each(quarantine, ids, &[], tell, |found| drag(quarantine, found, folder))
}

/// Puts into Trash; from there removes for good.
pub(super) fn remove(quarantine: &Quarantine, ids: &[String], tell: Tell) -> Result<(), Failure> {
    each(quarantine, ids, &["expunged"], tell, |found| match found.places.first() {
        Some((Kept::Trash, uid)) => {
            let removed = quarantine.expunge(&hand(), Kept::Trash, &UidRanges::one(*uid, *uid))?;
            Ok(match removed {
                0 => (Outcome::Unknown, "it is gone already".to_string()),
                _ => (Outcome::Expunged, "removed for good".to_string()),
            })
        }
        _ => drag(quarantine, found, Folder::Trash),
    })
}

/// Does the same with each; one answer a message, in order. `events` of the journal say that it was done already.
fn each(
    quarantine: &Quarantine,
    ids: &[String],
    events: &[&str],
    tell: Tell,
    act: impl Fn(&Found) -> Result<(Outcome, String), Failed>,
) -> Result<(), Failure> {
    for text in ids {
        let did = match find(quarantine, text) {
            Ok(Some(found)) => {
                // Afterwards it may be gone.
                let recipient = recipient(quarantine, &found);
                let (outcome, text) = act(&found).unwrap_or_else(|failed| match failed {
                    Failed::Denied(denied) => (Outcome::Refused, denied.text),
                    Failed::Disk(fault) => (Outcome::Failed, fault.to_string()),
                });
                Did { id: found.id, recipient, outcome, text }
            }
            Ok(None) => gone(quarantine, text, events),
            Err(Failure(Why::Disk, why)) => return Err(Failure(Why::Disk, why)),
            Err(Failure(_, why)) => unknown(text, why),
        };
        if !tell(Answer::Did(did)) {
            break;
        }
    }
    Ok(())
}

/// No folder and no queue has it. What the journal knows of it is told, and that it was done before is no error.
fn gone(quarantine: &Quarantine, text: &str, events: &[&str]) -> Did {
    let id = id_in(text);
    let journal = quarantine.journal.about(id, JOURNAL_DAYS);
    let value = |line: &Value, key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default().to_string();
    let Some(last) = journal.last() else {
        return unknown(text, "no message has an id that begins so".to_string());
    };
    let told = format!("{} at {}", value(last, "event"), value(last, "time"));
    if journal.iter().any(|line| events.contains(&value(line, "event").as_str())) {
        let recipient = Some(value(last, "recipient"));
        return Did { id: id.to_string(), recipient, outcome: Outcome::Already, text: format!("done before: {told}") };
    }
    unknown(text, format!("it is gone: {told}"))
}

fn unknown(id: &str, text: String) -> Did {
    Did { id: id.to_string(), recipient: None, outcome: Outcome::Unknown, text }
}

fn recipient(quarantine: &Quarantine, found: &Found) -> Option<String> {
    let (kept, uid) = found.places.first()?;
    Some(quarantine.store.locate(*kept, *uid)?.tree.address.to_string())
}

/// What dragging it into a folder does.
fn drag(quarantine: &Quarantine, found: &Found, target: Folder) -> Result<(Outcome, String), Failed> {
    let verbs = target.row().verbs;
    let doing = verbs.iter().map(|verb| verb.doing()).collect::<Vec<_>>().join(", ");
    let Some(&(kept, uid)) = found.places.first() else { return Ok(queued(found, verbs)) };
    let Some(before) = quarantine.store.locate(kept, uid) else {
        return Ok((Outcome::Unknown, "it is gone already".to_string()));
    };
    let left = verbs.iter().any(|&verb| verb == Verb::Remove || is_left(before.row.flags, verb));
    if quarantine.put(&hand(), kept, &UidRanges::one(uid, uid), target, true)?.messages == 0 {
        return Ok((Outcome::Unknown, "it is gone already".to_string()));
    }
    Ok(match (target, left) {
        (Folder::Trash, _) => (Outcome::Removed, "in Trash".to_string()),
        (_, true) => (Outcome::Asked, format!("asked: {doing}")),
        (_, false) => (Outcome::Already, format!("{doing}: it was asked before; the message is in Trash")),
    })
}

/// A message that is only in the queue: what is asked a second time is no error.
fn queued(found: &Found, verbs: &[Verb]) -> (Outcome, String) {
    let waiting = found.waiting.iter().flat_map(|listed| listed.verbs.iter().copied()).map(verb_word);
    let asked: Vec<&str> = waiting.chain(found.failed.iter().map(|entry| verb_word(entry.part.verb()))).collect();
    if !verbs.is_empty() && verbs.iter().all(|verb| asked.contains(&verb.word())) {
        return (Outcome::Already, "it was asked before, and is under way".to_string());
    }
    let text =
        format!("it left its folder, to be carried out: {}; `lazaret show` says what became of it", asked.join(", "));
    (Outcome::Refused, text)
}

/// Removes what has expired, in the steps of the server's own expiry.
pub(super) fn expire(quarantine: &Quarantine, dry_run: bool, tell: Tell) -> Result<(), Failure> {
    let now: Timestamp = quarantine.store.now();
    let mut messages = 0;
    let mut emptied = HashMap::new();
    for kept in Kept::ALL {
        let due: Vec<u32> = quarantine.due(kept, now).iter().flat_map(|(low, high)| low..=high).collect();
        for step in due.chunks(EXPIRED_AT_ONCE) {
            let mut lines = Vec::with_capacity(step.len());
            for &uid in step {
                if let Some((located, read)) = Beginning::read(quarantine, kept, uid)? {
                    lines.push(describe::message(quarantine, kept, &located, &read));
                }
            }
            // The server's own expiry may have been here before: there is nothing left to wait for.
            if !dry_run && !lines.is_empty() {
                let removed = quarantine.expire(kept, &step.iter().copied().collect())?;
                emptied.extend(removed.into_iter().map(|message| (message.tree.id, message.tree)));
            }
            messages += lines.len();
            if !lines.into_iter().all(|line| tell(Answer::Message(line))) {
                return Ok(());
            }
        }
    }
    for tree in emptied.into_values() {
        quarantine.store.remove_if_empty(&tree)?;
    }
    let files = if dry_run { 0 } else { quarantine.expire_files(now)? };
    tell(Answer::Expired { messages, files });
    Ok(())
}

/// Files a message that a deposit wrote; the deposit removes the file.
pub(super) fn deposit(quarantine: &Quarantine, file: &str, tell: Tell) -> Result<(), Failure> {
    let plain = !file.is_empty() && !file.starts_with('.') && !file.contains(['/', '\0']);
    let (_, tmp) = intake::directories(quarantine.store.disk().root());
    if !plain {
        return Err(Failure(Why::Request, format!("{file:?} is no name in {}", tmp.display())));
    }
    match intake::file(quarantine, &tmp.join(file)) {
        Ok(filed) => {
            let mut ids: Vec<String> = filed.into_iter().map(|filed| filed.id).collect();
            ids.dedup();
            tell(Answer::Filed { ids });
            Ok(())
        }
        Err(NotFiled::Odd(text)) => Err(Failure(Why::Request, text)),
        Err(not @ (NotFiled::Disk(_) | NotFiled::Refused(_))) => Err(Failure(Why::Later, not.to_string())),
    }
}
