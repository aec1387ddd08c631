//! `allow`, `block`, `unlist`, `lists`: senders that are allowed and blocked.

use super::list::scope_of;
use super::verbs::{Did, Outcome};
use super::{Answer, Failure, Tell, hand};
use crate::mail::senders::{Pattern, Sense};
use crate::quarantine::{Failed, Quarantine, Scope};
use serde::{Deserialize, Serialize};

/// What is to be said of senders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Saying {
    /// They are allowed.
    Allow,
    /// They are blocked.
    Block,
    /// Nothing any more.
    Unlist,
}

/// A sender in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Whose list: a login.
    pub list: String,
    /// `allow` or `block`.
    pub state: String,
    /// An address, or a domain and all below it.
    pub sender: String,
    /// Since when; `None`: a person wrote it into the file.
    pub since: Option<String>,
    /// By whom, or a remark.
    pub by: String,
    /// Whose list blocks it all the same.
    pub overruled_by: Option<String>,
}

/// Changes one list.
pub(super) fn change(
    quarantine: &Quarantine,
    saying: Saying,
    list: Option<&str>,
    senders: &[String],
    tell: Tell,
) -> Result<(), Failure> {
    let scope = list.map_or(Ok(Scope::Global), |text| scope_of(quarantine, text))?;
    for text in senders {
        let (outcome, text_of_it) = match Pattern::parse(text) {
            Ok(pattern) => match say(quarantine, saying, &scope, &pattern) {
                Ok(done) => done,
                Err(Failed::Denied(denied)) => (Outcome::Refused, denied.text),
                Err(Failed::Disk(fault)) => (Outcome::Failed, fault.to_string()),
            },
            Err(_) => (Outcome::Refused, "neither an address nor a domain".to_string()),
        };
        if !tell(Answer::Did(Did { id: text.clone(), recipient: None, outcome, text: text_of_it })) {
            break;
        }
    }
    Ok(())
}

fn say(quarantine: &Quarantine, saying: Saying, scope: &Scope, pattern: &Pattern) -> Result<(Outcome, String), Failed> {
    let lists = quarantine.lists();
    let add = |sense| lists.add(&hand(), scope, sense, pattern, None);
    Ok(match saying {
        Saying::Allow => {
            add(Sense::Allow)?;
            let text = match lists.overruled_by(scope, pattern) {
                Some(wider) => format!("allowed in the list of {scope}, but the list of {wider} blocks it"),
                None => format!("allowed in the list of {scope}"),
            };
            (Outcome::Listed, text)
        }
        Saying::Block => {
            add(Sense::Block)?;
            (Outcome::Listed, format!("blocked in the list of {scope}"))
        }
        Saying::Unlist => match lists.remove(&hand(), scope, pattern)? {
            Some(_) => (Outcome::Unlisted, format!("taken off the list of {scope}")),
            None => (Outcome::Already, format!("it is not in the list of {scope}")),
        },
    })
}

/// One list, or all.
pub(super) fn list(quarantine: &Quarantine, list: Option<&str>, tell: Tell) -> Result<(), Failure> {
    let lists = quarantine.lists();
    let logins = match list {
        Some(text) => vec![scope_of(quarantine, text)?.to_string()],
        None => lists.logins(&hand()).into_iter().map(|(login, _)| login).collect(),
    };
    for login in logins {
        // A person may have made a file for somebody whom the configuration does not know.
        let Ok(scope) = scope_of(quarantine, &login) else {
            log::warn!(
                "the list of {login} counts for nothing: it is no domain and no recipient of this configuration"
            );
            continue;
        };
        let Ok(list) = lists.of(&hand(), &scope) else { continue };
        for entry in list.entries() {
            let state = list.has(&entry.pattern).unwrap_or(entry.sense);
            let overruled = Some(()).filter(|()| state == Sense::Allow);
            let listed = Listed {
                list: login.clone(),
                state: state.word().to_string(),
                sender: entry.pattern.to_string(),
                since: entry.since.clone(),
                by: entry.by.clone(),
                overruled_by: overruled
                    .and_then(|()| lists.overruled_by(&scope, &entry.pattern))
                    .map(|wider| wider.to_string()),
            };
            if !tell(Answer::Listed(listed)) {
                return Ok(());
            }
        }
    }
    Ok(())
}
