//! `requests`, `grant`, `decline`: what accounts may only request, and what becomes of it.

use super::describe;
use super::find::id_in;
use super::list::scope_of;
use super::verbs::{Did, Outcome};
use super::{Answer, Failure, Tell, hand};
use crate::quarantine::{Account, Failed, Quarantine, Scope};
use serde::{Deserialize, Serialize};

/// A request that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    /// The message's id.
    pub id: String,
    /// In whose tree it lies.
    pub recipient: String,
    /// What is asked.
    pub verbs: Vec<String>,
    /// Who asked.
    pub by: String,
    /// When.
    pub asked: String,
    /// Where the message is: `caught`, `outgoing`, `training`, `trash`.
    pub folder: String,
    /// Why it is here.
    pub class: String,
    /// What the filter took it for.
    pub kind: String,
}

/// What the command line may decide, oldest first; `scope`: of whose mail.
pub(super) fn list(quarantine: &Quarantine, scope: Option<&str>, tell: Tell) -> Result<(), Failure> {
    let scope = match scope {
        None => Scope::Global,
        Some(text) => scope_of(quarantine, text)?,
    };
    for request in quarantine.requests(&hand()) {
        let address = crate::mail::Address::parse(&request.recipient);
        if !address.is_ok_and(|address| scope.sees(&address)) {
            continue;
        }
        let line = Requested {
            id: request.id,
            recipient: request.recipient,
            verbs: request.verbs.into_iter().map(|verb| verb.word().to_string()).collect(),
            by: request.by,
            asked: request.asked.rfc3339(),
            folder: describe::folder_word(request.kept),
            class: request.class.to_string(),
            kind: request.kind.to_string(),
        };
        if !tell(Answer::Requested(line)) {
            break;
        }
    }
    Ok(())
}

/// Does what was requested.
pub(super) fn grant(quarantine: &Quarantine, ids: &[String], tell: Tell) -> Result<(), Failure> {
    let grant = |account: &Account, id: &str| quarantine.grant(account, id, false).map(drop);
    each(ids, tell, (Outcome::Asked, "granted"), grant);
    Ok(())
}

/// Takes down what was requested.
pub(super) fn decline(quarantine: &Quarantine, ids: &[String], tell: Tell) -> Result<(), Failure> {
    let decline = |account: &Account, id: &str| quarantine.decline(account, id).map(drop);
    each(ids, tell, (Outcome::Declined, "declined; the message stays where it is"), decline);
    Ok(())
}

fn each(ids: &[String], tell: Tell, good: (Outcome, &str), act: impl Fn(&Account, &str) -> Result<(), Failed>) {
    for text in ids {
        let id = id_in(text).to_string();
        let (outcome, text) = match act(&hand(), &id) {
            Ok(()) => (good.0, good.1.to_string()),
            Err(Failed::Denied(denied)) => (Outcome::Refused, denied.text),
            Err(Failed::Disk(fault)) => (Outcome::Failed, fault.to_string()),
        };
        if !tell(Answer::Did(Did { id, recipient: None, outcome, text })) {
            break;
        }
    }
}
