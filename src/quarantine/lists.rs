//! Senders that are allowed or blocked: who may say so for whom, what may be said, and what follows from it.
//!
//! There is one list a scope (`store/lists.rs` keeps them, `mail/senders.rs` reads them). An account edits the list of its own
//! scope; `global` and the command line edit every list.
//!
//! Of one message to one recipient his own list, his domain's and the global one each say something or nothing. One that
//! blocks is enough: a recipient cannot allow what an administrator blocks, and what he blocks himself nobody else allows.
//! *Allowed* counts only where it is proved who sent the message (`mail/alignment.rs`), and says nothing about viruses:
//! whoever asks keeps those all the same.

mod export;

pub use export::Export;

use super::account::{Account, Scope};
use super::policy::{Denied, wider};
use super::{Failed, Quarantine};
use crate::base::{Fault, limits};
use crate::mail::senders::{Entry, List, Pattern, Sense};
use crate::mail::{Address, alignment, shared};
use serde_json::json;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// What the lists say of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// It is not to be caught.
    Allowed,
    /// It is to be caught.
    Blocked,
    /// Others decide.
    Nothing,
}

/// The lists of a quarantine: [`Quarantine::lists`].
pub struct Lists<'a>(&'a Quarantine);

/// The message in whose face a list is changed: its id, and in whose tree it lies.
pub type About<'a> = (&'a str, &'a Address);

impl Quarantine {
    /// The lists of senders.
    pub fn lists(&self) -> Lists<'_> {
        Lists(self)
    }
}

impl Lists<'_> {
    /// What the lists say of a message to the owner of this tree that says it is from here. `is_proved`: aligned SPF or DKIM
    /// passed, as somebody found out who may be believed.
    pub fn says(&self, tree: &Address, from: &Address, is_proved: bool) -> Says {
        let domain = || alignment::ascii(from.domain()).map(Pattern::Domain);
        // An address that no list can name is still of a domain.
        let Some(from) = Pattern::of(from).or_else(domain) else { return Says::Nothing };
        let own = Scope::Recipient(tree.with_local(&tree.local().to_lowercase()));
        let all = std::iter::successors(Some(own), wider);
        let said: Vec<Sense> = all.filter_map(|scope| self.list(&scope).says(&from, is_proved)).collect();
        match said.first() {
            None => Says::Nothing,
            Some(_) if said.contains(&Sense::Block) => Says::Blocked,
            Some(_) => Says::Allowed,
        }
    }

    /// The list of a scope, for those who may see it.
    pub fn of(&self, account: &Account, scope: &Scope) -> Result<Arc<List>, Denied> {
        may_edit(account, scope)?;
        Ok(self.list(scope))
    }

    /// Notes whether doors ask them.
    pub fn are_asked(&self, are_asked: bool) {
        self.0.lists_asked.store(are_asked, Ordering::Relaxed);
    }

    /// Whether anything goes by the lists: a door that asks them, or what reads their export.
    pub fn are_read(&self) -> bool {
        self.0.lists_asked.load(Ordering::Relaxed)
            || self.0.exports.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The logins whose lists this account may edit and that name anybody, and how many.
    pub fn logins(&self, account: &Account) -> Vec<(String, usize)> {
        let all = self.0.senders.all().into_iter().map(|(login, list)| (login, list.len()));
        all.filter(|(login, _)| account.scope == Scope::Global || account.scope.to_string() == *login).collect()
    }

    /// The scope whose list blocks this sender whatever this scope's list says.
    pub fn overruled_by(&self, scope: &Scope, pattern: &Pattern) -> Option<Scope> {
        std::iter::successors(wider(scope), wider)
            .find(|scope| self.list(scope).says(pattern, true) == Some(Sense::Block))
    }

    /// Allows or blocks a sender; what the list said of it before is replaced, and returned. Durable, and exported, when it
    /// returns.
    pub fn add(
        &self,
        account: &Account,
        scope: &Scope,
        sense: Sense,
        pattern: &Pattern,
        about: Option<About<'_>>,
    ) -> Result<Option<Entry>, Failed> {
        may_edit(account, scope)?;
        may_stand(sense, pattern)?;
        let entry = Entry {
            sense,
            pattern: pattern.clone(),
            since: Some(self.0.store.now().rfc3339()),
            by: account.login.clone(),
        };
        let before = self.change(scope, |list| {
            if list.has(pattern).is_none() && list.len() >= limits::LIST_SENDERS {
                let text = format!(
                    "the list of {scope} names {} senders, which is as many as there may be: remove some that are not \
                     needed",
                    list.len()
                );
                return Err(Denied::full(text).into());
            }
            Ok((list.has(pattern) != Some(sense)).then(|| list.with(entry)))
        })?;
        let event = match sense {
            Sense::Allow => "allowed",
            Sense::Block => "blocked",
        };
        self.note(account, scope, event, pattern, about);
        Ok(before)
    }

    /// Removes a sender from a list; returns what it said. Durable, and exported, when it returns.
    pub fn remove(&self, account: &Account, scope: &Scope, pattern: &Pattern) -> Result<Option<Entry>, Failed> {
        may_edit(account, scope)?;
        let before = self.change(scope, |list| {
            let is_there = list.entries().any(|entry| entry.pattern == *pattern);
            Ok(is_there.then(|| list.without(pattern)))
        })?;
        // What a domain of another spelling says is not removed with it, so nothing is said where nothing was.
        if before.is_some() {
            self.note(account, scope, "unlisted", pattern, None);
        }
        Ok(before)
    }

    /// Takes an addition back: the list says what it said before.
    pub fn restore(
        &self,
        account: &Account,
        scope: &Scope,
        pattern: &Pattern,
        before: Option<&Entry>,
    ) -> Result<(), Failed> {
        match before {
            None => self.remove(account, scope, pattern).map(drop),
            Some(entry) => self.add(account, scope, entry.sense, pattern, None).map(drop),
        }
    }

    /// Looks for lists that a person edited; if there are any, they count from now on and are exported.
    pub fn refresh(&self) -> Result<(), Fault> {
        if self.0.senders.refresh()? {
            log::info!("lists of senders were edited, and are read again");
            self.export();
        }
        Ok(())
    }

    fn list(&self, scope: &Scope) -> Arc<List> {
        self.0.senders.get(&scope.to_string())
    }

    fn change(
        &self,
        scope: &Scope,
        change: impl FnOnce(&List) -> Result<Option<List>, Failed>,
    ) -> Result<Option<Entry>, Failed> {
        let mut before = None;
        let mut changed = false;
        self.0.senders.change(&scope.to_string(), |list| -> Result<_, Failed> {
            let new = change(list)?;
            if let Some(new) = &new {
                changed = true;
                before = list.entries().find(|entry| !new.entries().any(|other| other == *entry)).cloned();
            }
            Ok(new)
        })?;
        if changed {
            self.export();
        }
        Ok(before)
    }

    fn note(&self, account: &Account, scope: &Scope, event: &str, pattern: &Pattern, about: Option<About<'_>>) {
        let login = scope.to_string();
        let (id, tree) = about.map_or((String::new(), login.clone()), |(id, tree)| (id.to_string(), tree.to_string()));
        let details = json!({ "sender": pattern.to_string(), "list": login });
        self.0.journal.note(self.0.store.now(), &id, &tree, event, &account.login, details);
    }
}

/// Whether an account may see and change the list of this scope.
fn may_edit(account: &Account, scope: &Scope) -> Result<(), Denied> {
    if account.scope == *scope || account.scope == Scope::Global {
        return Ok(());
    }
    let text = format!("{} may change its own list of senders, not that of {scope}", account.scope);
    Err(Denied::not_permitted(text))
}

/// Whether an entry makes sense. Blocked may be whoever the owner of a list does not want to hear from; a whole domain is
/// allowed only where its mail is the mail of somebody in particular.
fn may_stand(sense: Sense, pattern: &Pattern) -> Result<(), Denied> {
    let Pattern::Domain(domain) = pattern else { return Ok(()) };
    match sense {
        Sense::Block => Ok(()),
        Sense::Allow if alignment::organisation(domain).is_none() => Err(Denied::impossible(format!(
            "{domain} belongs to nobody in particular: anybody can register a name below it. Allow one of these names, or \
             an address"
        ))),
        Sense::Allow if shared::is_shared(domain) => Err(Denied::impossible(format!(
            "anybody can have an address at {domain}: allow the one address that you know"
        ))),
        Sense::Allow => Ok(()),
    }
}

#[cfg(test)]
mod tests;
