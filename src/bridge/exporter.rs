//! What rspamd's exporter tells, filed by the rules.

use super::memory::{Memory, Share};
use crate::base::{Timestamp, limits};
use crate::mail::{Address, Class, Kind, header};
use crate::quarantine::directory::Resolution;
use crate::quarantine::{Arrival, Quarantine, Refused};
use crate::store::repeats::{self, Claim, Repeats};
use crate::verdict::Action;
use crate::verdict::exporter::{self, Told, Untold};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a listener is for.
#[derive(Debug, Clone)]
pub struct Door {
    /// The class of mail that rspamd refuses; `None`: it is not kept.
    pub rejected: Option<Class>,
    /// The class of mail that rspamd delivers with a mark.
    pub marked: Option<Class>,
    /// The class of mail that rspamd refuses to users who had logged in.
    pub outgoing: Option<Class>,
    /// The kind of what comes in here, unless rspamd knows worse.
    pub kind: Kind,
    /// Of larger messages only the header is kept.
    pub max_size: u64,
}

/// Files what is told at one listener.
pub struct Exports {
    quarantine: Arc<Quarantine>,
    repeats: Arc<Repeats>,
    memory: Arc<Memory>,
    door: Door,
    /// What was kept for some of its recipients only, and when. rspamd's client comes again with a queue id of its own, so the
    /// message tells them apart: whoever has it gets no second copy. After a restart he does.
    halves: Mutex<HashMap<String, Timestamp>>,
}

/// A request: its media type, the fields that tell of the message, its body.
pub struct Export {
    /// Content-Type.
    pub media_type: String,
    /// Names in lower case.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What is answered: the status, and a line for the log of whoever asked. Up to some version after 3.4 rspamd takes
/// nothing but 200 for success.
pub type Answered = (u16, String);

/// What follows from an answer that is not 200.
pub const LOST: &str = "it is lost unless rspamd's rule has `defer = true`";

/// What a record says that has no message.
const NO_COPY: &str = "rspamd told of this message and sent no copy of it";

impl Exports {
    /// For a listener.
    pub fn new(quarantine: Arc<Quarantine>, repeats: Arc<Repeats>, memory: Arc<Memory>, door: Door) -> Exports {
        Exports { quarantine, repeats, memory, door, halves: Mutex::default() }
    }

    /// Room for a request of so many bytes and the message in it, until it is dropped; `None`: there is none now.
    pub fn room(&self, bytes: usize) -> Option<Box<dyn Send>> {
        let mut share = Share::of(&self.memory);
        share.is(bytes.saturating_mul(2)).then(|| Box::new(share) as Box<dyn Send>)
    }

    /// Files one message, or says why not.
    pub fn take(&self, export: &Export) -> Answered {
        let told = match exporter::read(&export.media_type, &export.fields, &export.body) {
            Ok(told) => told,
            Err(untold) => {
                let why = match untold {
                    Untold::Form => {
                        "this is none of the forms multipart, json_with_message, json, or default with meta_headers"
                    }
                    Untold::Damaged(why) => why,
                };
                log::error!("exporter: rspamd told of a message that is not kept: {why}");
                return (if untold == Untold::Form { 415 } else { 400 }, why.to_string());
            }
        };
        let id = shown(&told);
        let Some(class) = self.class(&told) else {
            log::debug!("exporter: {id}: not kept: rspamd's action is {:?}", told.action);
            return (200, format!("not kept: the action is {:?}", told.action));
        };
        let recipients = self.ours(class, &told);
        if recipients.is_empty() {
            log::info!("exporter: {id}: not kept: none of its {} recipients is ours", told.recipients.len());
            return (200, "not kept: none of its recipients is ours".to_string());
        }
        let (whole, record) = (key(&told, true), key(&told, false));
        let now = self.quarantine.store.now();
        let own = if told.message.is_some() { &whole } else { &record };
        let claim = if self.repeats.is_known(&whole) { Claim::Known } else { self.repeats.claim(own, now) };
        match claim {
            Claim::Known => {
                log::info!("exporter: {id}: rspamd told of it again");
                return (200, "kept before".to_string());
            }
            Claim::Busy => return (503, "it is being kept: told twice at once".to_string()),
            Claim::New => {}
        }
        match self.file(class, recipients, &told) {
            Ok(ids) => {
                if let Err(fault) = self.repeats.done(own, now) {
                    log::error!("exporter: {id}: {fault}: it is kept, and once more if rspamd tells of it again");
                }
                log::info!("exporter: {id} was filed as {}", ids.join(", "));
                (200, format!("kept, reference {}", ids.join(", ")))
            }
            Err(refused) => {
                self.repeats.failed(own);
                log::error!("exporter: {id}: NOT kept for all its recipients: {refused}; {LOST}");
                (503, format!("not kept: {refused}"))
            }
        }
    }

    /// What class it is; `None`: it is not to be kept.
    fn class(&self, told: &Told) -> Option<Class> {
        match (told.verdict.action, &told.client.user) {
            (Action::Reject | Action::Keep, Some(_)) => self.door.outgoing,
            (Action::Reject | Action::Keep, None) => self.door.rejected,
            (Action::Mark, None) => self.door.marked,
            // The sender has it and tries again, or it was delivered as what it is.
            (Action::Later | Action::Pass | Action::Mark, _) => None,
        }
    }

    /// Its recipients of our domains; of outgoing mail all.
    fn ours(&self, class: Class, told: &Told) -> Vec<String> {
        let directory = self.quarantine.directory();
        let is_ours = |recipient: &&String| {
            class == Class::Outgoing
                || Address::parse(recipient).is_ok_and(|at| matches!(directory.resolve(&at), Resolution::Tree(_)))
        };
        told.recipients.iter().filter(is_ours).cloned().collect()
    }

    fn file(&self, class: Class, recipients: Vec<String>, told: &Told) -> Result<Vec<String>, Refused> {
        let mut arrival = Arrival {
            class,
            kind: told.verdict.kind_at(self.door.kind),
            sender: told.sender.clone(),
            recipients,
            client: told.client.clone(),
            score: told.verdict.score_line(),
            reasons: told.verdict.reason_lines(),
            ..Arrival::default()
        };
        arrival.client.door = "exporter".to_string();
        match &told.message {
            Some(message) if message.len() as u64 > self.door.max_size => {
                arrival.cut_from = Some(message.len() as u64);
                arrival.message = message.get(..header::end(message)).unwrap_or_default();
            }
            Some(message) => arrival.message = message,
            None => {
                arrival.cut_from = Some(told.size.unwrap_or(told.outline.len() as u64));
                arrival.message = &told.outline;
                arrival.reasons.insert(0, NO_COPY.to_string());
            }
        }
        arrival.form = Arrival::form_of(arrival.message);
        let mut ids = Vec::new();
        let mut refused = None;
        let half = repeats::key([told.sender.as_bytes(), arrival.message]);
        let is_half = self.halves().contains_key(&half);
        let results = match is_half {
            true => self.quarantine.admit_once(&arrival),
            false => self.quarantine.admit(&arrival),
        };
        // Who can have it has it, whatever is wrong for others: rspamd may never tell of it again.
        for result in results {
            match result {
                Ok(filed) if !ids.contains(&filed.id) => ids.push(filed.id),
                Ok(_) => {}
                Err(why) => refused = Some(why),
            }
        }
        let now = self.quarantine.store.now();
        let mut halves = self.halves();
        halves.retain(|_, at| now.since(*at) < limits::RETRY_KNOWN);
        match &refused {
            None => {
                halves.remove(&half);
            }
            Some(_) if !ids.is_empty() && halves.len() < limits::EXPORTS_KNOWN => {
                halves.insert(half, now);
            }
            Some(_) => {}
        }
        refused.map_or(Ok(ids), Err)
    }

    fn halves(&self) -> MutexGuard<'_, HashMap<String, Timestamp>> {
        self.halves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How the log names a message.
fn shown(told: &Told) -> String {
    match (&told.client.queue_id, &told.message_id) {
        (Some(qid), _) => qid.clone(),
        (None, Some(id)) => format!("<{id}>"),
        (None, None) => "a message without an id".to_string(),
    }
}

/// What makes two requests tell of the same message: the queue id, with what tells apart messages that had the same one
/// (mail servers use them again), or without one the message itself.
fn key(told: &Told, has_message: bool) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default().into_bytes();
    let mut recipients = told.recipients.clone();
    recipients.sort();
    let (has_message, queue_id) = ([u8::from(has_message)], text(&told.client.queue_id));
    let message_id = text(&told.message_id);
    let mut parts: Vec<&[u8]> = vec![&has_message, &queue_id, &message_id, told.sender.as_bytes()];
    parts.extend(recipients.iter().map(|recipient| recipient.as_bytes()));
    if told.client.queue_id.is_none() && has_message == [1] {
        parts.push(told.message.as_deref().unwrap_or_default());
    }
    repeats::key(parts)
}
