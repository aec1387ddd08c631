//! LMTP's questions, answered by the quarantine.

use super::memory::Memory;
use super::reports::Reports;
use super::{Answered, Bridge, Place};
use crate::base::Form;
use crate::lmtp::Session;
use crate::lmtp::{Answer, Question, Reply, Transaction};
use crate::mail::trace::{Client, Told};
use crate::mail::{Class, Kind};
use crate::quarantine::{Arrival, Filed, Quarantine, Refused};
use crate::verdict::{Filter, fields};
use event_listener::EventListener;
use std::sync::Arc;

/// What a listener is for.
#[derive(Debug, Clone)]
pub struct Door {
    /// The class of what comes in here.
    pub class: Class,
    /// The kind of what comes in here.
    pub kind: Kind,
    /// Our answer is what the sender sees: a message that was kept is refused with 550 and its reference.
    pub reject: bool,
    /// Our answer is what the sender sees.
    pub before_queue: bool,
    /// The filters whose header fields are believed in what comes in here.
    pub believed: Vec<Filter>,
    /// Where reports come, if anywhere.
    pub reports: Option<Arc<Reports>>,
}

/// One connection's side of the rules.
pub struct LmtpBridge {
    quarantine: Arc<Quarantine>,
    door: Door,
    memory: Arc<Memory>,
    held: usize,
}

impl LmtpBridge {
    /// For a connection at a door.
    pub fn new(quarantine: Arc<Quarantine>, door: Door, memory: Arc<Memory>) -> Self {
        LmtpBridge { quarantine, door, memory, held: 0 }
    }

    fn forget(&mut self) {
        self.memory.give(std::mem::take(&mut self.held));
    }

    /// Reports are taken; the rest is kept.
    fn take(&self, mut transaction: Transaction) -> Vec<Reply> {
        let Some(reports) = &self.door.reports else { return self.store(&transaction) };
        let taken: Vec<Option<Reply>> =
            transaction.recipients.iter().map(|recipient| reports.take(recipient, &transaction)).collect();
        let mut rest = taken.iter();
        transaction.recipients.retain(|_| rest.next().is_none_or(Option::is_none));
        let mut kept = match transaction.recipients.is_empty() {
            true => Vec::new(),
            false => self.store(&transaction),
        }
        .into_iter();
        taken.into_iter().filter_map(|reply| reply.or_else(|| kept.next())).collect()
    }

    fn store(&self, transaction: &Transaction) -> Vec<Reply> {
        let forwarded = &transaction.forwarded;
        let helo = forwarded.helo.clone().or_else(|| Some(transaction.helo.clone()));
        let mut arrival = Arrival {
            class: self.door.class,
            kind: self.door.kind,
            sender: transaction.sender.clone(),
            recipients: transaction.recipients.clone(),
            client: Client {
                door: "lmtp".to_string(),
                address: forwarded.address.clone(),
                name: forwarded.name.clone(),
                helo: helo.filter(|h| !h.is_empty()),
                queue_id: forwarded.ident.clone(),
                user: None,
            },
            message: &transaction.message,
            cut_from: transaction.oversize.then_some(transaction.size),
            // A bare LF inside DATA is data.
            form: Form::Crlf,
            ..Arrival::default()
        };
        if let Some(heard) = fields::read(&transaction.message, &self.door.believed) {
            (arrival.score, arrival.reasons) = heard.file(&mut arrival.kind, &mut arrival.sender, &mut arrival.client);
        }
        arrival.told = self.told(arrival.kind);
        let results = self.quarantine.admit(&arrival);
        let told = |(result, recipient): (&Result<Filed, Refused>, &String)| match result {
            Err(Refused::UnknownRecipient(_) | Refused::UnknownDomain(_)) if self.is_report_address(recipient) => {
                Reply::new(550, "5.7.1", "reports are taken from users who logged in to the mail server only")
            }
            _ => self.reply(result, arrival.kind),
        };
        results.iter().zip(&arrival.recipients).map(told).collect()
    }

    fn is_report_address(&self, recipient: &str) -> bool {
        self.door.reports.as_ref().is_some_and(|reports| reports.are_for(recipient))
    }

    fn recipient(&self, sender: &str, recipient: &str) -> Reply {
        let place = match self.is_report_address(recipient) {
            // It need not be anybody's.
            true if self.quarantine.has_space() => Ok(()),
            true => Err(Refused::NoSpace),
            false => self.quarantine.place_for(self.door.class, sender, None, recipient).map(drop),
        };
        place.map_or_else(|refused| temporary(&refused), |()| Reply::new(250, "2.1.5", "recipient ok"))
    }

    /// What the sender hears of a message that was kept. Where the mail server has answered him before, we do not know what;
    /// of mail that was delivered we do.
    fn told(&self, kind: Kind) -> Told {
        match (self.door.reject, self.door.before_queue, self.door.class) {
            (true, ..) => Told::Refused(format!("550 5.7.1 {}", refusal(kind))),
            (false, true, _) | (false, false, Class::Unsure) => Told::Accepted,
            (false, false, Class::Incoming | Class::Outgoing) => Told::Unknown,
        }
    }

    fn reply(&self, result: &Result<Filed, Refused>, kind: Kind) -> Reply {
        match result {
            Ok(filed) if self.door.reject => {
                Reply::new(550, "5.7.1", format!("{}, reference {}", refusal(kind), filed.id))
            }
            Ok(filed) => Reply::new(250, "2.0.0", format!("kept, reference {}", filed.id)),
            Err(refused) => temporary(refused),
        }
    }
}

fn refusal(kind: Kind) -> String {
    format!("message refused as {kind} and kept in quarantine")
}

/// Doors never answer 5xx for what they do not keep: an MTA would send a bounce to a forged sender.
fn temporary(refused: &Refused) -> Reply {
    let (code, enhanced) = refused.codes();
    Reply::new(code, enhanced, refused.to_string())
}

impl Bridge<Session> for LmtpBridge {
    fn place(&self, question: &Question) -> Place {
        match question {
            Question::Store(_) => Place::Disk,
            Question::Recipient { .. } | Question::Reserve(_) | Question::Forget => Place::Inline,
        }
    }

    fn answer(&mut self, question: Question) -> Answered<Self, Answer> {
        Answered::Done(match question {
            Question::Recipient { sender, recipient } => Answer::Reply(self.recipient(&sender, &recipient)),
            Question::Reserve(bytes) => {
                let granted = self.memory.take(bytes);
                self.held += if granted { bytes } else { 0 };
                Answer::Reserved(granted)
            }
            Question::Store(transaction) => {
                let replies = self.take(*transaction);
                self.forget();
                Answer::Stored(replies)
            }
            Question::Forget => {
                self.forget();
                Answer::Done
            }
        })
    }

    fn busy(&self) -> Answer {
        // The session gives every recipient of the transaction what it finds first.
        Answer::Stored(Vec::new())
    }

    fn changed(&self) -> Vec<EventListener> {
        Vec::new()
    }
}

impl Drop for LmtpBridge {
    fn drop(&mut self) {
        self.forget();
    }
}
