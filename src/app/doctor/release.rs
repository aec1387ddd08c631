//! The test message on its way out: dragged to Release, taken by the route's mail server, and not caught again.

use super::advice;
use super::case::{Case, Event, Finding, failed};
use crate::app::commands::{Answer, Request};
use crate::app::config::{Protocol, Route};
use crate::base::limits;
use crate::net::imap_login::visit::Trouble;

/// How the queue's attempt can end, as the journal calls it.
const OUTCOMES: [&str; 3] = ["released", "deferred", "release-failed"];

impl Case<'_> {
    /// Moves it to Release over IMAP, or has the server release it where there is no IMAP.
    pub async fn release(&mut self) -> Finding {
        let id = self.stored.as_ref().map(|stored| stored.id.clone()).unwrap_or_default();
        let Some((mut visit, uid)) = self.visit.take() else {
            return match self.command(&Request::Release { ids: vec![id], train: false }) {
                Ok(text) => self.is_released(format!("by a command: {text}")),
                Err(why) => failed(format!("it was not released: {why}"), advice::NOT_RELEASED),
            };
        };
        let moved = visit.move_to(uid, "Release").await;
        visit.leave().await;
        match moved {
            Ok(()) => self.is_released("moved to Release over IMAP".to_string()),
            // What [policy] lets a recipient only request was requested by trying.
            Err(Trouble::Refused(text)) => match self.command(&Request::Grant { ids: vec![id] }) {
                Ok(granted) => self.is_released(format!("{text}; the request was granted: {granted}")),
                Err(why) => failed(format!("moving it to Release was refused: {text} ({why})"), advice::NOT_RELEASED),
            },
            Err(Trouble::Broken(why)) => failed(format!("moving it to Release over IMAP: {why}"), advice::IMAP),
        }
    }

    fn is_released(&mut self, text: String) -> Finding {
        self.released = true;
        Ok(text)
    }

    /// What a command on one message came to.
    fn command(&self, request: &Request) -> Result<String, String> {
        for answer in self.ask(request)? {
            if let Answer::Did(did) = answer {
                return if did.outcome.is_good() { Ok(did.text) } else { Err(did.text) };
            }
        }
        Err("the server says nothing of it".to_string())
    }

    /// What the route's mail server says.
    pub async fn handed(&mut self) -> Finding {
        let id = self.stored.as_ref().map(|stored| stored.id.clone()).unwrap_or_default();
        // What a door says of it is another matter: it may be caught again before this is answered.
        let is_outcome = |event: &Event| event.text("by") == "queue" && OUTCOMES.iter().any(|word| event.is(word));
        let found = self.wait(limits::DOCTOR_HANDED, |case| case.about(&id).into_iter().find(is_outcome)).await;
        let Some((name, at)) = self.route() else { return failed("there is no [[route]]", advice::CONFIG) };
        let (reply, reason) = match &found {
            Some(event) => (event.text("reply").to_string(), event.text("reason").to_string()),
            None => {
                let told = format!("route {name:?}, {at}: no answer within {} s", limits::DOCTOR_HANDED.as_secs());
                return failed(told, advice::route(&name));
            }
        };
        match found {
            Some(event) if event.is("released") => {
                let told = format!("route {name:?}, {at}: {reply}");
                self.handed = Some(reply);
                Ok(told)
            }
            Some(event) if event.is("deferred") => {
                failed(format!("route {name:?}, {at}: {reason}"), advice::route(&name))
            }
            _ => failed(format!("route {name:?}, {at} refused it: {reason}"), advice::refused_by_route(&name)),
        }
    }

    /// Whether it stays away.
    pub async fn quiet(&mut self) -> Finding {
        let id = self.stored.as_ref().map(|stored| stored.id.clone()).unwrap_or_default();
        let name = self.route().map(|(name, _)| name).unwrap_or_default();
        let back = |case: &Self| {
            let failed_later = case.about(&id).into_iter().find(|event| event.is("release-failed"));
            let again = case.stored_events().into_iter().find(|stored| stored.id != id);
            match (failed_later, again) {
                (None, None) => None,
                (Some(event), _) => Some(format!("by the {} door: {}", event.text("by"), event.text("reason"))),
                (None, Some(stored)) => Some(format!("by the {} door, as new mail", stored.door)),
            }
        };
        match self.wait(limits::DOCTOR_QUIET, back).await {
            Some(how) => failed(format!("it came back {how}"), advice::caught_again(&name)),
            None => Ok(format!("it did not come back within {} s", limits::DOCTOR_QUIET.as_secs())),
        }
    }

    /// Where it is now: the mailbox is looked into where we may.
    pub async fn delivered(&mut self) -> Finding {
        let reply = self.handed.clone().unwrap_or_default();
        if let Some(mailbox) = &self.options.mailbox {
            return self.in_mailbox(mailbox, &reply).await;
        }
        Err(super::case::Sick::Skipped(format!(
            "Lazaret does not see into mailboxes: look into that of <{}> for the subject {:?}; where it is missing, the mail \
             server's log has it under what it answered ({reply})",
            self.options.to, self.message.subject
        )))
    }

    /// Name and place of the recipient's route.
    fn route(&self) -> Option<(String, String)> {
        let domain =
            self.pass.as_ref().and_then(|pass| pass.recipient.rsplit_once('@')).map_or("", |(_, domain)| domain);
        let Route { name, protocol, host, port, .. } = self.config.route(domain)?;
        let protocol = match protocol {
            Protocol::Smtp => "SMTP",
            Protocol::Lmtp => "LMTP",
        };
        let at = if host.starts_with("unix:") { host.clone() } else { format!("{host}:{port}") };
        Some((name.clone(), format!("{protocol} at {at}")))
    }
}
