//! `digest`: what would be sent, sent now, and a new key for links.

use super::list::scope_of;
use super::verbs::{Did, Outcome};
use super::{Answer, Failure, Tell};
use crate::bridge::web::digest::{compose, preview};
use crate::quarantine::Quarantine;
use crate::work::digest::make;
use serde::{Deserialize, Serialize};

/// What about digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Digest {
    /// Show what would be sent.
    Preview,
    /// Send it.
    Now,
    /// A new key for links.
    NewKey,
}

/// A digest that would be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// Of whose mail.
    pub login: String,
    /// To whom.
    pub to: String,
    /// As plain text.
    pub text: String,
    /// As HTML.
    pub html: String,
}

/// Carries it out; `only`: for one login, whatever is configured.
pub(super) fn run(quarantine: &Quarantine, what: Digest, only: Option<&str>, tell: Tell) -> Result<(), Failure> {
    let did = |id: String, text: String| Answer::Did(Did { id, recipient: None, outcome: Outcome::Asked, text });
    if what == Digest::NewKey {
        let keys = quarantine.new_link_key()?;
        tell(did("link-keys".to_string(), format!("a new key signs links; {keys} keys are believed")));
        return Ok(());
    }
    let only = only.map(|text| scope_of(quarantine, text)).transpose()?.map(|scope| scope.to_string());
    for due in quarantine.digests_now(quarantine.store.now(), only.as_deref()) {
        let Some(new) = quarantine.new_for_digest(&due.account)? else { continue };
        let login = due.account.login.clone();
        let goes_on = if what == Digest::Preview {
            let (text, html) = preview(quarantine, &due, &new)?;
            tell(Answer::Digest(Preview { login, to: due.to.to_string(), text, html }))
        } else {
            let text = match make(quarantine, &due, compose)? {
                true => format!("a digest goes to {}", due.to),
                false => "it was told in this very second".to_string(),
            };
            tell(did(login, text))
        };
        if !goes_on {
            break;
        }
    }
    Ok(())
}
