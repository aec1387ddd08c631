//! A milter's questions, answered by a filter and the quarantine.
//!
//! What is refused is stored first: only then is the mail server told 550, and if it cannot be stored 451. A message has
//! one answer for all its recipients, so it is kept for all of them or for none.

mod edits;
mod senders;

use super::memory::Memory;
use super::{Answered, Bridge, Errand, Inquiry, Place, Silence};
use crate::base::Form;
use crate::mail::trace::{Client, Told};
use crate::mail::{Address, Class, Kind, header};
use crate::milter::{Answer, Judged, Question, Reply, Session, Transaction};
use crate::quarantine::directory::Resolution;
use crate::quarantine::lists::Says;
use crate::quarantine::{Arrival, Quarantine, Refused};
use crate::verdict::{Action, Filter, Request, Verdict, fields};
use event_listener::EventListener;
use std::collections::HashMap;
use std::sync::Arc;

/// What a listener is for.
#[derive(Debug, Clone)]
pub struct Door {
    /// Who says what a message is.
    pub judge: Judge,
    /// Without a verdict a message is accepted; if not, its sender tries again later.
    pub accepts_unjudged: bool,
    /// The sender of a message that was kept is told so; if not, he is told that it was accepted.
    pub rejects: bool,
    /// The same for the recipients of some domains, by the domain's own name.
    pub rejects_for: HashMap<String, bool>,
    /// Of mail that is delivered with so many points, from the first number on and below the second, a copy goes to
    /// Training Requested.
    pub unsure: Option<(f64, f64)>,
    /// Servers whose Authentication-Results in front are believed.
    pub authenticated_by: Vec<String>,
    /// Our name.
    pub server: String,
}

/// Who says what a message is.
#[derive(Debug, Clone, PartialEq)]
pub enum Judge {
    /// One of the filters that can be asked, by its number; what it marks as probable spam is delivered, but not with so many
    /// points.
    Asked {
        /// Its number.
        filter: usize,
        /// From so many points on spam is refused; `None`: as the filter says.
        reject_from: Points,
    },
    /// A filter that came before us and wrote into the header.
    Fields {
        /// Those whose fields are believed.
        believed: Vec<Filter>,
        /// From so many points on spam is refused.
        reject_from: Points,
    },
}

/// When what a filter marks as spam is refused.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Points {
    /// Never: the filter itself says what is refused.
    AsItSays,
    /// Always.
    AllSpam,
    /// From so many points on.
    From(f64),
}

impl Points {
    fn apply(self, mut verdict: Verdict) -> Verdict {
        match self {
            Points::AsItSays => verdict,
            Points::From(points) => verdict.rejected_from(Some(points)),
            Points::AllSpam => {
                if verdict.action == Action::Mark {
                    verdict.action = Action::Reject;
                }
                verdict
            }
        }
    }
}

/// What the first recipient of a transaction fixed for the others: there is one answer for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Policy {
    class: Class,
    rejects: bool,
    /// What the recipient's lists say of the envelope's sender.
    says: Says,
}

/// One connection's side of the rules.
pub struct MilterBridge {
    quarantine: Arc<Quarantine>,
    door: Arc<Door>,
    memory: Arc<Memory>,
    held: usize,
    policy: Option<Policy>,
    /// Who the mail server is, for the log.
    peer: String,
}

/// A message that is looked at.
struct Letter {
    transaction: Transaction,
    message: Arc<Vec<u8>>,
    policy: Policy,
}

impl MilterBridge {
    /// For a connection at a door.
    pub fn new(quarantine: Arc<Quarantine>, door: Arc<Door>, memory: Arc<Memory>, peer: String) -> Self {
        MilterBridge { quarantine, door, memory, held: 0, policy: None, peer }
    }

    fn forget(&mut self) {
        self.memory.give(std::mem::take(&mut self.held));
    }

    /// What holds for mail from this sender to this recipient. Outgoing is what somebody sends who logged in, and what goes
    /// from an address here to one elsewhere, which a mail server lets its own machines do only.
    fn policy_for(&self, sender: &str, user: Option<&str>, recipient: &str) -> Policy {
        let directory = self.quarantine.directory();
        let address = Address::parse(recipient).ok();
        let resolved = address.as_ref().map(|address| directory.resolve(address));
        let is_ours = |sender: Address| directory.is_local(sender.domain());
        let goes_out = resolved == Some(Resolution::UnknownDomain) && Address::parse(sender).is_ok_and(is_ours);
        let (class, owner) = match resolved {
            _ if user.is_some() || goes_out => (Class::Outgoing, Some(self.quarantine.owner_of_outgoing(sender, user))),
            Some(Resolution::Tree(tree)) => (Class::Incoming, Some(tree)),
            _ => (Class::Incoming, address),
        };
        let says = self.foretold(sender, class, owner.as_ref());
        let domain = owner.as_ref().and_then(|owner| directory.domain_of(owner.domain()));
        let rejects = domain.and_then(|domain| self.door.rejects_for.get(domain)).copied();
        Policy { class, rejects: rejects.unwrap_or(self.door.rejects), says }
    }

    fn recipient(&mut self, sender: &str, user: Option<&str>, recipient: &str, is_first: bool) -> Answer {
        let policy = self.policy_for(sender, user, recipient);
        match self.policy {
            Some(fixed) if !is_first && fixed != policy => {
                // RFC 5321 4.5.3.1.10: the sender tries those that are left afterwards, in a transaction of their own.
                Answer::Reply(Reply::new(452, "4.5.3", "another answer may be due to this recipient: send to it alone"))
            }
            _ => {
                self.policy = Some(policy);
                Answer::Continue
            }
        }
    }

    fn judge(&mut self, mut transaction: Transaction) -> Answered<Self, Answer> {
        let Some(policy) = self.policy.take() else { return self.done(later("no recipient is known")) };
        let message = Arc::new(std::mem::take(&mut transaction.message));
        if self.quarantine.is_on_its_way(&message) {
            return self.done(pass());
        }
        let letter = Letter { transaction, message, policy };
        match &self.door.judge {
            Judge::Fields { believed, reject_from } => {
                let header = letter.message.get(..header::end(&letter.message)).unwrap_or_default();
                let verdict = fields::read(header, believed).map(|heard| reject_from.apply(heard.verdict));
                // Whoever has no such field was not called spam by anybody.
                let answer = self.judged(&letter, verdict.unwrap_or_default());
                self.done(answer)
            }
            // The filter could judge the header alone, and would judge it wrong.
            Judge::Asked { .. } if letter.transaction.oversize => {
                let answer = self.unjudged(&letter, "over max_size");
                self.done(answer)
            }
            Judge::Asked { filter, reject_from } => {
                let (filter, reject_from) = (*filter, *reject_from);
                let request = Request {
                    sender: letter.transaction.sender.clone(),
                    recipients: letter.transaction.recipients.clone(),
                    client: client(&letter.transaction),
                    server: self.door.server.clone(),
                    at: self.quarantine.store.now(),
                };
                let message = letter.message.clone();
                let then = move |bridge: &mut Self, said: Result<Verdict, Silence>| {
                    let answer = match said {
                        Ok(verdict) => bridge.judged(&letter, reject_from.apply(verdict)),
                        Err(Silence) if bridge.door.accepts_unjudged => {
                            bridge.unjudged(&letter, "the filter says nothing")
                        }
                        Err(Silence) => later("the message could not be looked at, try again later"),
                    };
                    bridge.done(answer)
                };
                let inquiry = Box::new(Inquiry { filter, request, message });
                Answered::Errand(Errand::Filter(inquiry, Box::new(then)))
            }
        }
    }

    /// The message is no longer held.
    fn done(&mut self, answer: Answer) -> Answered<Self, Answer> {
        self.forget();
        Answered::Done(answer)
    }

    /// Of a message without a verdict only the lists of senders say something.
    fn unjudged(&self, letter: &Letter, why: &str) -> Answer {
        log::warn!(
            "{}: {why}: it is passed on without a verdict, unless its recipients block the sender",
            self.named(letter)
        );
        self.judged(letter, Verdict::default())
    }

    /// Carries out a verdict.
    fn judged(&self, letter: &Letter, verdict: Verdict) -> Answer {
        let before = verdict.action;
        let verdict = self.listened(letter, verdict);
        let said = verdict.text.clone();
        match verdict.action {
            Action::Pass | Action::Mark => {
                // Whom somebody allows is not unsure.
                if before == verdict.action {
                    self.copy_unsure(letter, &verdict);
                }
                let header = letter.message.get(..header::end(&letter.message)).unwrap_or_default();
                Answer::Judged(Judged::Accept(edits::of(&verdict.edits, header)))
            }
            // What may come again is never kept: it would be kept twice, or be delivered and kept.
            Action::Later => later(said.as_deref().unwrap_or("try again later")),
            Action::Reject | Action::Keep => {
                let rejects = letter.policy.rejects && verdict.action == Action::Reject;
                let told = match rejects {
                    true => {
                        let Reply { code, enhanced, text } = rejection(verdict.kind, said.as_deref(), None);
                        Told::Refused(format!("{code} {enhanced} {text}"))
                    }
                    false => Told::Accepted,
                };
                match self.quarantine.admit_whole(&arrival(letter, letter.policy.class, &verdict, told)) {
                    Ok(filed) => {
                        let id = filed.first().map(|filed| filed.id.clone()).unwrap_or_default();
                        match rejects {
                            true => Answer::Judged(Judged::Refuse(rejection(verdict.kind, said.as_deref(), Some(&id)))),
                            false => Answer::Judged(Judged::Discard),
                        }
                    }
                    Err(refused) => {
                        log::warn!("{}: not kept, its sender tries again: {refused}", self.named(letter));
                        Answer::Judged(Judged::Refuse(temporary(&refused)))
                    }
                }
            }
        }
    }

    /// Of a delivered message that may be spam after all, a copy for whoever trains the filter. That it cannot be stored is
    /// no reason to keep the message from its recipients.
    fn copy_unsure(&self, letter: &Letter, verdict: &Verdict) {
        let Some((low, high)) = self.door.unsure else { return };
        let is_unsure = verdict.score.is_some_and(|score| low <= score && score < high);
        if !is_unsure || letter.policy.class != Class::Incoming {
            return;
        }
        if let Err(refused) = self.quarantine.admit_whole(&arrival(letter, Class::Unsure, verdict, Told::Accepted)) {
            log::warn!("{}: no copy was kept for training: {refused}", self.named(letter));
        }
    }

    /// A message, for the log.
    fn named(&self, letter: &Letter) -> String {
        let t = &letter.transaction;
        format!("{}: {} from <{}>", self.peer, t.queue_id.as_deref().unwrap_or("a message"), t.sender)
    }
}

fn client(transaction: &Transaction) -> Client {
    let client = &transaction.client;
    Client {
        door: "milter".to_string(),
        address: client.address.clone(),
        name: client.name.clone(),
        helo: client.helo.clone(),
        queue_id: transaction.queue_id.clone(),
        user: transaction.user.clone(),
    }
}

fn arrival<'a>(letter: &'a Letter, class: Class, verdict: &Verdict, told: Told) -> Arrival<'a> {
    let transaction = &letter.transaction;
    Arrival {
        class,
        kind: verdict.kind,
        sender: transaction.sender.clone(),
        recipients: transaction.recipients.clone(),
        client: client(transaction),
        score: verdict.score_line(),
        reasons: verdict.reason_lines(),
        message: &letter.message,
        cut_from: transaction.oversize.then_some(transaction.size),
        told,
        rebuilt: transaction.rebuilt,
        // Some mail servers hand over a body with their own line ends.
        form: if has_crlf(&letter.message) { Form::Crlf } else { Form::Lf },
    }
}

/// Whether the body has line ends of the wire, or none at all.
fn has_crlf(message: &[u8]) -> bool {
    let body = message.get(header::end(message)..).unwrap_or_default();
    memchr::memmem::find(body, b"\r\n").is_some() || memchr::memchr(b'\n', body).is_none()
}

fn rejection(kind: Kind, said: Option<&str>, id: Option<&str>) -> Reply {
    let reference = id.map(|id| format!(", reference {id}")).unwrap_or_default();
    // What the filter says comes last: the reference must not be cut off by it.
    let said = said.map(|said| format!(": {said}")).unwrap_or_default();
    Reply::new(550, "5.7.1", format!("message refused as {kind} and kept{reference}{said}"))
}

fn pass() -> Answer {
    Answer::Judged(Judged::Accept(Vec::new()))
}

fn later(why: &str) -> Answer {
    Answer::Judged(Judged::Refuse(Reply::new(451, "4.7.1", why)))
}

/// A message that is not kept is not refused for good.
fn temporary(refused: &Refused) -> Reply {
    let (code, enhanced) = refused.codes();
    Reply::new(code, enhanced, refused.to_string())
}

impl Bridge<Session> for MilterBridge {
    fn place(&self, question: &Question) -> Place {
        match question {
            Question::Judge(_) => Place::Disk,
            Question::Recipient { .. } | Question::Reserve(_) | Question::Forget | Question::Broken(_) => Place::Inline,
        }
    }

    fn answer(&mut self, question: Question) -> Answered<Self, Answer> {
        Answered::Done(match question {
            Question::Recipient { sender, user, recipient, is_first } => {
                self.recipient(&sender, user.as_deref(), &recipient, is_first)
            }
            Question::Reserve(bytes) => {
                let granted = self.memory.take(bytes);
                self.held += if granted { bytes } else { 0 };
                Answer::Reserved(granted)
            }
            Question::Forget => {
                self.forget();
                Answer::Done
            }
            Question::Broken(why) => {
                self.forget();
                log::warn!("{}: the mail server broke the milter protocol, its connection is closed: {why}", self.peer);
                Answer::Done
            }
            Question::Judge(transaction) => return self.judge(*transaction),
        })
    }

    fn busy(&self) -> Answer {
        // The session makes a temporary refusal of it.
        Answer::Done
    }

    fn changed(&self) -> Vec<EventListener> {
        Vec::new()
    }
}

impl Drop for MilterBridge {
    fn drop(&mut self) {
        self.forget();
    }
}

#[cfg(test)]
mod tests;
