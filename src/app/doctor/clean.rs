//! The test message is removed, wherever it is here, and what cannot be removed is said.

use super::case::Case;
use super::{Outcome, Told, advice, seconds};
use crate::app::commands::{Request, Shown};
use crate::base::limits;
use std::collections::BTreeSet;
use std::time::Instant;

impl Case<'_> {
    /// Ends what was begun, and tells of it as of a step.
    pub async fn clean_up(&mut self, tell: &mut impl FnMut(&Told)) {
        if let Some((visit, _)) = self.visit.take() {
            visit.leave().await;
        }
        let began = Instant::now();
        let told = |outcome, text: String, change: Option<String>| Told {
            step: "cleaned",
            outcome,
            seconds: seconds(began),
            text,
            change,
        };
        if self.sent {
            tell(&match self.options.keep {
                true => told(Outcome::Skipped, format!("--keep was given: {}", self.whereabouts()), None),
                false => match self.remove_all().await {
                    Ok(text) => told(Outcome::Ok, text, None),
                    Err(text) => told(Outcome::Failed, text, Some(advice::REMOVE.to_string())),
                },
            });
        }
        if self.leaked
            && !self.options.keep
            && let Some(mailbox) = &self.options.mailbox
            && let Err(why) = self.take_from(mailbox, limits::DOCTOR_CLEAN).await
        {
            log::warn!("the mailbox was not looked into: {why}");
        }
        // Without its password what reached a mailbox is not ours to remove.
        if (self.leaked || self.went_out()) && !self.taken {
            let how = if self.leaked { "without being caught" } else { "by its release" };
            let text = format!(
                "a message with the subject {:?} went to the mailbox of <{}> {how}; it is harmless, delete it there",
                self.message.subject, self.options.to
            );
            tell(&Told { step: "mailbox", outcome: Outcome::Skipped, seconds: 0.0, text, change: None });
        }
        self.pass = None;
    }

    /// The ids under which it was stored since the beginning.
    fn ids(&self) -> BTreeSet<String> {
        self.stored_events().into_iter().map(|stored| stored.id).collect()
    }

    /// Whether a release was taken by its mail server, also one that nobody waited for.
    fn went_out(&self) -> bool {
        self.ids().iter().any(|id| self.about(id).iter().any(|event| event.is("released")))
    }

    fn whereabouts(&self) -> String {
        let ids: Vec<String> = self.ids().into_iter().collect();
        if ids.is_empty() { "it is nowhere here".to_string() } else { format!("`lazaret show {}`", ids.join("`, `")) }
    }

    /// Removes it from queue, folder and Trash. Again and again for a while: a delivery may be under way, and what was
    /// refused comes back into its folder.
    async fn remove_all(&mut self) -> Result<String, String> {
        let began = Instant::now();
        loop {
            let ids = self.ids();
            let mut left = Vec::new();
            for id in &ids {
                if !self.remove(id)? {
                    left.push(id.clone());
                }
            }
            // It may still be on its way in.
            let is_awaited = ids.is_empty() && self.stored.is_none() && !self.is_settled();
            if left.is_empty() && !is_awaited {
                return Ok(match ids.len() {
                    0 => "nothing of the test message is here".to_string(),
                    _ => "the test message was removed".to_string(),
                });
            }
            if began.elapsed() >= limits::DOCTOR_CLEAN {
                return match left.is_empty() {
                    true => Ok("nothing of the test message is here".to_string()),
                    false => Err(format!("the test message is still here: {}", left.join(", "))),
                };
            }
            smol::Timer::after(limits::DOCTOR_LOOK).await;
        }
    }

    /// Whether it was waited for already.
    fn is_settled(&self) -> bool {
        use crate::net::smtp::Sent;
        self.leaked || self.answer.as_ref().is_some_and(|(sent, _)| !matches!(sent, Sent::Delivered(_)))
    }

    /// One more step towards its removal; whether nothing is left.
    fn remove(&self, id: &str) -> Result<bool, String> {
        let is_seen = |shown: &Shown| shown.message.is_some() || !shown.waiting.is_empty();
        if is_seen(&self.shown(id)?) {
            self.ask(&Request::Discard { ids: vec![id.to_string()] })?;
        }
        Ok(!is_seen(&self.shown(id)?) && self.has_gone(id))
    }

    /// Whether the journal says how it went. A message that is on its way into the queue or out of it is nowhere for a
    /// moment.
    fn has_gone(&self, id: &str) -> bool {
        let ends = ["released", "expunged", "expired"];
        self.about(id).iter().any(|event| ends.iter().any(|word| event.is(word)))
    }
}
