//! Storing for a door that has one answer for all recipients of a message: it is kept for each of them, or for none, and a
//! message that comes once more, since our answer did not reach whoever sent it, is kept once.

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

impl Quarantine {
    /// Stores a message durably for all its recipients, or for none: then all of them are refused, and whoever sends it may
    /// try again. One entry a recipient, in order.
    pub fn admit_whole(&self, arrival: &Arrival) -> Result<Vec<Filed>, Refused> {
        let user = arrival.client.user.as_deref();
        let place = |recipient: &String| self.place_for(arrival.class, &arrival.sender, user, recipient);
        let places = arrival.recipients.iter().map(place).collect::<Result<Vec<Address>, Refused>>()?;
        let known: Vec<Option<Filed>> = places.iter().map(|place| self.kept_before(place, &places, arrival)).collect();
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

    /// What was kept of this very message for the recipients in this place, when it came before.
    fn kept_before(&self, place: &Address, places: &[Address], arrival: &Arrival) -> Option<Filed> {
        let tree = self.store.tree(place)?;
        let here = arrival.recipients.iter().zip(places).filter(|(_, at)| *at == place).map(|(recipient, _)| recipient);
        let recipients: Vec<&String> = here.collect();
        let parts = split_delivery_fields(arrival.message).1;
        let size = parts.iter().map(|part| part.len() as u64).sum::<u64>();
        let kept = arrival.class.folder();
        let since = Timestamp(self.store.now().0.saturating_sub(limits::RETRY_KNOWN.as_micros() as u64));
        // All that is looked at of nearly every message is its size.
        let mut uids = UidRanges::new();
        self.store.rows(Reach::Tree(tree.id), kept, &UidRanges::one(1, u32::MAX), |row, _| {
            if row.size == size + u64::from(row.trace) && row.class == arrival.class {
                uids.add(row.uid, row.uid);
            }
            true
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
