//! `list` and `show`.

use super::describe::{self, Beginning, Message, Shown, Waiting};
use super::find::find;
use super::{Answer, Failure, JOURNAL_DAYS, Tell, Why};
use crate::base::UidRanges;
use crate::mail::{Address, Kept};
use crate::quarantine::{Account, Quarantine, Scope};

/// Messages, newest first, then what waits.
pub(super) fn list(
    quarantine: &Quarantine,
    scope: Option<&str>,
    folder: &str,
    search: Option<&str>,
    limit: usize,
    tell: Tell,
) -> Result<(), Failure> {
    let kept = Kept::ALL.into_iter().find(|kept| describe::folder_word(*kept) == folder);
    let kept = kept.ok_or_else(|| Failure(Why::Request, format!("there is no folder {folder:?}")))?;
    let scope = match scope {
        None => Scope::Global,
        Some(text) => scope_of(quarantine, text)?,
    };
    let reach = quarantine.reach(&Account { login: String::new(), scope: scope.clone() })?;
    let search = search.map(str::to_lowercase).filter(|text| !text.is_empty());
    let mut uids = Vec::new();
    quarantine.store.rows(reach, kept, &UidRanges::one(1, u32::MAX), |row, _| {
        uids.push(row.uid);
        true
    });
    let mut told = 0;
    for uid in uids.into_iter().rev() {
        if told >= limit {
            break;
        }
        let Some((located, read)) = Beginning::read(quarantine, kept, uid)? else { continue };
        let message = describe::message(quarantine, kept, &located, &read);
        if search.as_ref().is_some_and(|text| !holds(&message, &read.trace.recipients, text)) {
            continue;
        }
        told += 1;
        if !tell(Answer::Message(message)) {
            return Ok(());
        }
    }
    waiting(quarantine, &scope, search.as_deref(), limit, tell)
}

fn holds(message: &Message, recipients: &[String], text: &str) -> bool {
    let own = [&message.id, &message.recipient, &message.sender, &message.from, &message.subject];
    own.into_iter().chain(recipients).any(|value| value.to_lowercase().contains(text))
}

/// What is in the queue, and the trainings that were given up.
fn waiting(
    quarantine: &Quarantine,
    scope: &Scope,
    search: Option<&str>,
    limit: usize,
    tell: Tell,
) -> Result<(), Failure> {
    let queued = quarantine.queue.list(usize::MAX).into_iter().map(Waiting::from);
    let failed = quarantine.queue.failed_list()?.into_iter().map(Waiting::from);
    let within = |waiting: &Waiting| match scope {
        Scope::Global => true,
        Scope::Domain(domain) => waiting.recipient.rsplit_once('@').is_some_and(|(_, d)| d == domain),
        Scope::Recipient(address) => waiting.recipient == address.to_string(),
    };
    let wanted = |waiting: &Waiting| {
        search.is_none_or(|text| waiting.id.to_lowercase().contains(text) || waiting.recipient.contains(text))
    };
    for line in queued.chain(failed).filter(|w| within(w) && wanted(w)).take(limit) {
        if !tell(Answer::Waiting(line)) {
            break;
        }
    }
    Ok(())
}

/// What is configured, and what lies in the store though it is not configured any more.
pub(super) fn scope_of(quarantine: &Quarantine, text: &str) -> Result<Scope, Failure> {
    if let Some((_, scope)) = quarantine.directory().login(text) {
        return Ok(scope);
    }
    let lower = text.to_lowercase();
    let address = Address::parse(&lower).ok();
    let tree = address.as_ref().and_then(|address| quarantine.store.tree(address));
    if let Some(tree) = tree {
        return Ok(Scope::Recipient(tree.address.clone()));
    }
    if quarantine.store.all_trees().iter().any(|tree| tree.address.domain() == lower) {
        return Ok(Scope::Domain(lower));
    }
    let text = format!("{text:?} is neither global, nor a domain of the configuration, nor a recipient in one");
    Err(Failure(Why::Scope, text))
}

/// All about one message.
pub(super) fn show(quarantine: &Quarantine, text: &str, tell: Tell) -> Result<(), Failure> {
    let found = find(quarantine, text)?;
    let id = found.as_ref().map_or_else(|| super::find::id_in(text).to_string(), |found| found.id.clone());
    let journal = quarantine.journal.about(&id, JOURNAL_DAYS);
    let Some(found) = found else {
        if journal.is_empty() {
            return Err(Failure(Why::Message, format!("no message has an id that begins with {id}")));
        }
        // It is gone, and the journal knows where.
        tell(Answer::Shown(Box::new(Shown { id, journal, ..Shown::default() })));
        return Ok(());
    };
    let mut shown = Shown { id: found.id.clone(), ..Shown::default() };
    for (kept, uid) in found.places {
        if let Some((located, read)) = Beginning::read(quarantine, kept, uid)? {
            let message = describe::message(quarantine, kept, &located, &read);
            shown = describe::shown(message, located, read);
            break;
        }
    }
    shown.waiting = found.waiting.into_iter().map(Waiting::from).collect();
    shown.waiting.extend(found.failed.into_iter().map(Waiting::from));
    shown.journal = journal;
    tell(Answer::Shown(Box::new(shown)));
    Ok(())
}
