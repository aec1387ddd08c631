//! Which message is meant: ids in any form that leaves no doubt.

use super::{Failure, Why};
use crate::base::UidRanges;
use crate::mail::Kept;
use crate::mail::name::{self, Base};
use crate::quarantine::Quarantine;
use crate::queue::{Entry, Listed};
use crate::store::{Reach, Spelling};
use std::collections::BTreeSet;

/// Ids that an ambiguous one is answered with.
const EXAMPLES: usize = 5;

/// Where a message is.
pub(super) struct Found {
    /// Its id.
    pub id: String,
    /// Folder and UID; usually one, none when it is only in the queue.
    pub places: Vec<(Kept, u32)>,
    /// What waits in the queue for it.
    pub waiting: Vec<Listed>,
    /// Trainings of it that were given up.
    pub failed: Vec<Entry>,
}

/// The id in what was typed: a file's path or name will do.
pub(super) fn id_in(text: &str) -> &str {
    name::id_in(text.trim().rsplit('/').next().unwrap_or_default())
}

/// Finds the one message whose id is this, or begins with it. `None`: there is none.
pub(super) fn find(quarantine: &Quarantine, text: &str) -> Result<Option<Found>, Failure> {
    let wanted = id_in(text);
    if wanted.is_empty() {
        return Err(Failure(Why::Request, format!("{text:?} is no message id; `lazaret list` shows them")));
    }
    let stamp = match Base::parse(wanted) {
        Base::Ours(stamp, _) => Some(stamp),
        Base::Foreign(_) => None,
    };
    let mut places = Vec::new();
    for kept in Kept::ALL {
        quarantine.store.rows(Reach::All, kept, &UidRanges::one(1, u32::MAX), |row, folder| {
            // Making the text of each id would take most of the time.
            if row.spelling == Spelling::Odd || stamp.is_none_or(|stamp| row.stamp == stamp) {
                let id = folder.id(row);
                if id.starts_with(wanted) {
                    places.push((id, kept, row.uid));
                }
            }
            true
        });
    }
    let mut waiting = quarantine.queue.list(usize::MAX);
    waiting.retain(|listed| listed.id.starts_with(wanted));
    let mut failed = quarantine.queue.failed_list()?;
    failed.retain(|entry| entry.message.id().starts_with(wanted));
    let stored = places.iter().map(|(id, ..)| id.clone());
    let ids: BTreeSet<String> = stored
        .chain(waiting.iter().map(|listed| listed.id.clone()))
        .chain(failed.iter().map(|entry| entry.message.id()))
        .collect();
    let id = match (ids.contains(wanted), ids.len()) {
        (true, _) => wanted.to_string(),
        (false, 0) => return Ok(None),
        (false, 1) => ids.into_iter().next().unwrap_or_default(),
        (false, count) => {
            let some: Vec<String> = ids.into_iter().take(EXAMPLES).collect();
            let more = if count > EXAMPLES { ", …" } else { "" };
            let text = format!("{count} messages have ids that begin with {wanted}: {}{more}", some.join(", "));
            return Err(Failure(Why::Message, text));
        }
    };
    waiting.retain(|listed| listed.id == id);
    failed.retain(|entry| entry.message.id() == id);
    let places = places.into_iter().filter(|(other, ..)| *other == id).map(|(_, kept, uid)| (kept, uid)).collect();
    Ok(Some(Found { id, places, waiting, failed }))
}

#[cfg(test)]
mod tests {
    use super::id_in;

    #[test]
    fn ids_in_what_people_paste() {
        let id = "1732215812.M123456P77Q5.mx.example.org";
        for text in [
            id.to_string(),
            format!(" {id}\n"),
            format!("{id},S=8312,U=9,T=412:2,FSa"),
            format!("/var/lib/lazaret/mail/x.test/alice/Caught/cur/{id},S=1:2,"),
            format!("{id}:2,S"),
        ] {
            assert_eq!(id_in(&text), id);
        }
        assert_eq!(id_in("mail/"), "");
    }
}
