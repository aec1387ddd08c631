//! Storing for a door that has one answer for all recipients of a message: it is kept for each of them, or for none, and a
//! message that comes once more, since our answer did not reach whoever sent it, is kept once.
//!
//! An earlier copy is looked for from the newest message on: UIDs ascend with time, so it takes no longer with a full store
//! than with a week's mail.

use super::Quarantine;
use super::admit::{Arrival, Filed, Refused};
use super::finish::read_trace;
use crate::base::{Timestamp, UidRanges, limits};
use crate::mail::Address;
use crate::mail::trace::split_delivery_fields;
use crate::store::Reach;
use serde_json::json;
use std::fs::File;
use std::io::Read;

/// So many messages in a row that came before the time in question end the search; single ones were put back into their
/// folder and have a new UID.
const OLD_ENOUGH: u32 = 1_000;

impl Quarantine {
    /// Stores a message durably for those of its recipients for whom it can be, and who do not have it from an earlier try; one
    /// result a recipient, in order.
    pub fn admit_once(&self, arrival: &Arrival) -> Vec<Result<Filed, Refused>> {
        let user = arrival.client.user.as_deref();
        let place = |recipient: &String| self.place_for(arrival.class, &arrival.sender, user, recipient);
        let places: Vec<Result<Address, Refused>> = arrival.recipients.iter().map(place).collect();
        let found: Vec<Option<&Address>> = places.iter().map(|place| place.as_ref().ok()).collect();
        let known = self.known(&found, arrival);
        let is_fresh = found.iter().zip(&known).map(|(place, known)| place.is_some() && known.is_none());
        let fresh =
            arrival.recipients.iter().zip(is_fresh).filter(|(_, is_fresh)| *is_fresh).map(|(one, _)| one.clone());
        let mut stored = self.admit(&Arrival { recipients: fresh.collect(), ..arrival.clone() }).into_iter();
        let result = |(place, known): (Result<Address, Refused>, Option<Filed>)| match (place, known) {
            (Err(refused), _) => Some(Err(refused)),
            (Ok(_), Some(filed)) => Some(Ok(filed)),
            (Ok(_), None) => stored.next(),
        };
        places.into_iter().zip(known).filter_map(result).collect()
    }

    /// Stores a message durably for all its recipients, or for none: then all of them are refused, and whoever sends it may
    /// try again. One entry a recipient, in order.
    pub fn admit_whole(&self, arrival: &Arrival) -> Result<Vec<Filed>, Refused> {
        let user = arrival.client.user.as_deref();
        let place = |recipient: &String| self.place_for(arrival.class, &arrival.sender, user, recipient);
        let places = arrival.recipients.iter().map(place).collect::<Result<Vec<Address>, Refused>>()?;
        let known = self.known(&places.iter().map(Some).collect::<Vec<_>>(), arrival);
        let fresh = |(recipient, known): (&String, &Option<Filed>)| known.is_none().then(|| recipient.clone());
        let recipients = arrival.recipients.iter().zip(&known).filter_map(fresh).collect();
        let results = self.admit(&Arrival { recipients, ..arrival.clone() });
        let (mut stored, mut refused) = (Vec::new(), None);
        for result in results {
            match result {
                Ok(filed) => stored.push(filed),
                Err(why) => refused = Some(why),
            }
        }
        if let Some(why) = refused {
            self.withdraw(&stored, arrival);
            return Err(why);
        }
        let mut stored = stored.into_iter();
        Ok(known.into_iter().filter_map(|known| known.or_else(|| stored.next())).collect())
    }

    /// For each recipient what was kept of this very message when it came before; `places`: whose it would be, where it can be
    /// kept.
    fn known(&self, places: &[Option<&Address>], arrival: &Arrival) -> Vec<Option<Filed>> {
        places.iter().map(|place| self.kept_before((*place)?, places, arrival)).collect()
    }

    /// What was kept of it for the recipients in this place.
    fn kept_before(&self, place: &Address, places: &[Option<&Address>], arrival: &Arrival) -> Option<Filed> {
        let tree = self.store.tree(place)?;
        let all = arrival.recipients.iter().zip(places);
        let recipients: Vec<&String> =
            all.filter(|(_, at)| **at == Some(place)).map(|(recipient, _)| recipient).collect();
        let parts = split_delivery_fields(arrival.message).1;
        let size = parts.iter().map(|part| part.len() as u64).sum::<u64>();
        let kept = arrival.class.folder();
        let since = Timestamp(self.store.now().0.saturating_sub(limits::RETRY_KNOWN.as_micros() as u64));
        // All that is looked at of nearly every message is its size.
        let (mut uids, mut old, mut looked_at) = (UidRanges::new(), 0, 0);
        self.store.newest_rows(kept, |row| {
            let is_old = row.arrival() < since.secs();
            old = if is_old { old + 1 } else { 0 };
            looked_at += 1;
            if !is_old && row.size == size + u64::from(row.trace) && row.class == arrival.class && row.tree == tree.id {
                uids.add(row.uid, row.uid);
            }
            old < OLD_ENOUGH && looked_at < limits::RETRY_LOOKED
        });
        self.store.locate_all(Reach::Tree(tree.id), kept, &uids).into_iter().find_map(|located| {
            let mut file = File::open(&located.path).ok()?;
            let trace = read_trace(&mut file, &located.name).ok()?;
            let is_same =
                trace.sender == arrival.sender && trace.arrived >= since && trace.cut_from == arrival.cut_from;
            if !is_same || !trace.recipients.iter().eq(recipients.iter().copied()) {
                return None;
            }
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).ok()?;
            (bytes == parts.concat()).then(|| Filed { id: located.name.id(), tree: tree.address.clone() })
        })
    }

    /// Takes away what was stored for some of the recipients.
    fn withdraw(&self, stored: &[Filed], arrival: &Arrival) {
        for filed in stored {
            let Some(tree) = self.store.tree(&filed.tree) else { continue };
            // Several recipients of one tree share a file, which is then gone already.
            let Some((kept, located)) = self.store.find(&tree, &filed.id) else { continue };
            let uid = UidRanges::one(located.row.uid, located.row.uid);
            match self.store.remove(Reach::Tree(tree.id), kept, &uid) {
                Ok(_) => {
                    let why =
                        json!({ "reason": "it could not be kept for all its recipients, and its sender tries again" });
                    let place = tree.address.to_string();
                    self.journal.note(self.store.now(), &filed.id, &place, "withdrawn", &arrival.client.door, why);
                }
                Err(fault) => log::error!("a message that could not be kept for all recipients stays for one: {fault}"),
            }
        }
    }
}
