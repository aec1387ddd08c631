//! The test message on its way in: the mail server takes or refuses it, and it is here.

use super::advice;
use super::case::{Case, Finding, Stored, failed};
use crate::app::commands::{Answer, Request, Shown};
use crate::app::map;
use crate::base::limits;
use crate::net::smtp::{Connection, Destination, Parcel, Protocol, Security, Sent, Step, Target, Times};

impl Case<'_> {
    /// Hands the test message to the mail server.
    pub async fn send(&mut self) -> Finding {
        let (host, port) = self.options.through.clone();
        let destination = Destination {
            target: Target::Tcp(host, port),
            protocol: Protocol::Smtp,
            security: Security::Plain,
            login: None,
            helo: map::host(self.config),
            times: Times {
                connect: limits::DOCTOR_CONNECT,
                reply: limits::DOCTOR_REPLY,
                last: limits::DOCTOR_LAST_REPLY,
            },
        };
        let at = destination.target.to_string();
        let mut connection = match Connection::open(&destination).await {
            Ok(connection) => connection,
            Err(why) => return failed(format!("the mail server at {at}: {why}"), advice::NO_MAIL_SERVER),
        };
        let to = self.options.to.to_string();
        let recipients = [to.as_str()];
        let parcel = Parcel { sender: &self.options.from, recipients: &recipients, data: &self.message.bytes };
        self.sent = true;
        let (sent, usable) = connection.send(&parcel).await;
        let decided = connection.decided();
        if usable {
            connection.quit().await;
        }
        let Some(sent) = sent.into_iter().next() else { return failed("there is no answer", advice::NO_MAIL_SERVER) };
        match (decided, &sent) {
            (Step::Message, _) => {
                self.answer = Some((sent, decided));
                Ok(format!("{at} took sender, recipient and message"))
            }
            (Step::Sender, sent) => {
                self.sent = false;
                let told = format!("{at} does not take <{}> for a sender: {}", self.options.from, words(sent));
                failed(told, advice::SENDER)
            }
            (Step::Recipient, sent) => {
                self.sent = false;
                failed(format!("{at} takes no mail for <{to}>: {}", words(sent)), advice::NOT_ITS_RECIPIENT)
            }
        }
    }

    /// What the mail server said to the message.
    pub async fn refused(&mut self) -> Finding {
        let Some((sent, _)) = &self.answer else { return failed("it has not answered", advice::NO_MAIL_SERVER) };
        let answered = words(sent);
        match sent {
            Sent::Refused(_) => Ok(format!("the sender is told {answered}")),
            Sent::Deferred(_) => failed(format!("it is put off: {answered}"), advice::deferred(self.config)),
            Sent::Delivered(_) => {
                // What stands behind the queue, or answers so on purpose, keeps it all the same.
                let kept = self.wait(limits::DOCTOR_STORED, |case| case.stored_events().into_iter().next()).await;
                match kept {
                    Some(stored) => Ok(format!(
                        "accepted ({answered}), and kept by the {} door: its sender is told nothing",
                        stored.door
                    )),
                    None => {
                        self.leaked = true;
                        let told = format!(
                            "accepted ({answered}), and not kept within {} s: it goes to the mailbox",
                            limits::DOCTOR_STORED.as_secs()
                        );
                        failed(told, advice::not_caught(self.config))
                    }
                }
            }
        }
    }

    /// Whether it is here, for whom, and with what it was caught for.
    pub async fn kept(&mut self) -> Finding {
        let Some((sent, _)) = self.answer.clone().filter(|(sent, _)| !matches!(sent, Sent::Deferred(_))) else {
            return failed("it is not here: it was put off", advice::deferred(self.config));
        };
        let most = if self.leaked { limits::DOCTOR_LOOK } else { limits::DOCTOR_STORED };
        let Some(stored) = self.wait(most, |case| case.stored_events().into_iter().next()).await else {
            let change =
                if self.leaked { advice::not_caught(self.config) } else { advice::refused_elsewhere(self.config) };
            return failed(format!("it is not here, though the mail server said: {}", words(&sent)), change);
        };
        let told = self.describe(&stored, &sent);
        let expected = self.pass.as_ref().map(|pass| pass.recipient.clone()).unwrap_or_default();
        if stored.recipient != expected {
            return failed(format!("{told}, not in {expected}'s"), advice::OTHER_TREE);
        }
        self.stored = Some(stored);
        Ok(told)
    }

    fn describe(&self, stored: &Stored, sent: &Sent) -> String {
        let Stored { id, recipient, door } = stored;
        let shown = match self.shown(id) {
            Ok(shown) => shown,
            Err(why) => return format!("reference {id}, by the {door} door ({why})"),
        };
        let folder = shown.message.as_ref().map(|message| message.folder.as_str()).unwrap_or("no folder");
        let reference = match sent {
            Sent::Refused(reply) if reply.text.contains(id.as_str()) => ", which the sender was told",
            _ => "",
        };
        let score = shown.score.unwrap_or_else(|| "no score".to_string());
        let reasons = match shown.reasons.first() {
            Some(first) => format!("{} reasons, first {first}", shown.reasons.len()),
            None => "no reasons (a door believes only the filters that its `verdict` names)".to_string(),
        };
        format!("reference {id}{reference}, by the {door} door, in {folder} of {recipient}; {score}; {reasons}")
    }

    /// All about a message.
    pub fn shown(&self, id: &str) -> Result<Shown, String> {
        let answers = self.ask(&Request::Show { id: id.to_string() })?;
        let shown = answers.into_iter().find_map(|answer| match answer {
            Answer::Shown(shown) => Some(*shown),
            _ => None,
        });
        shown.ok_or_else(|| "nothing is known of it".to_string())
    }
}

/// What a server answered.
pub fn words(sent: &Sent) -> String {
    match sent {
        Sent::Delivered(reply) | Sent::Refused(reply) => reply.to_string(),
        Sent::Deferred(why) => why.clone(),
    }
}
