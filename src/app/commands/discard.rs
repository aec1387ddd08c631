//! What `lazaret doctor` leaves no trace with: a message goes for good, wherever it is.

use super::find::{Found, find};
use super::{Answer, Did, Failure, Outcome, Tell, hand};
use crate::base::UidRanges;
use crate::mail::name::Base;
use crate::quarantine::Quarantine;

/// Removes messages for good, from queue and folders. What is under way at this moment stays, and that is said.
pub(super) fn discard(quarantine: &Quarantine, ids: &[String], tell: Tell) -> Result<(), Failure> {
    for id in ids {
        let (outcome, text) = match find(quarantine, id)? {
            None => (Outcome::Already, "it is gone already"),
            Some(found) => one(quarantine, found)?,
        };
        let did = Did { id: id.clone(), recipient: None, outcome, text: text.to_string() };
        if !tell(Answer::Did(did)) {
            break;
        }
    }
    Ok(())
}

fn one(quarantine: &Quarantine, found: Found) -> Result<(Outcome, &'static str), Failure> {
    // A delivery that waits for its next attempt first puts the message back: no state of the disk is new.
    quarantine.call_back(&Base::parse(&found.id), "it was discarded")?;
    let Some(found) = find(quarantine, &found.id)? else { return Ok((Outcome::Already, "it is gone already")) };
    for (kept, uid) in found.places {
        let tree = quarantine.store.locate(kept, uid).map(|located| located.tree);
        let removed = quarantine.expunge(&hand(), kept, &UidRanges::one(uid, uid));
        removed.map_err(|failed| match failed {
            crate::quarantine::Failed::Denied(denied) => Failure(super::Why::Request, denied.text),
            crate::quarantine::Failed::Disk(fault) => fault.into(),
        })?;
        if let Some(tree) = tree {
            quarantine.store.remove_if_empty(&tree)?;
        }
    }
    Ok(match found.waiting.is_empty() {
        true => (Outcome::Expunged, "removed for good"),
        false => (Outcome::Refused, "it is under way at this moment: try again"),
    })
}
