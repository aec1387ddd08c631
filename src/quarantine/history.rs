//! What happened lately to the mail that an account sees: the journal, newest first. Nothing is decided from it.

use super::Quarantine;
use super::account::Account;
use crate::base::limits;
use crate::queue::Tree;
use crate::store::journal::Cursor;
use serde_json::Value;

/// What can have happened, as the journal calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// Verbs were asked for; they are in the queue.
    Asked,
    /// They were taken back before they started.
    Undone,
    /// A message from outside came in to be reported.
    Appended,
    /// The mail server took it.
    Released,
    /// The mail server, or a filter, could not take it yet.
    Deferred,
    /// The mail server refused it for good.
    ReleaseFailed,
    /// A filter learned it.
    Trained,
    /// A filter will not learn it.
    TrainingFailed,
    /// It went to Trash.
    Removed,
    /// It came back from Trash.
    Restored,
    /// It was removed for good.
    Expunged,
    /// Its time was over.
    Expired,
    /// A wider scope was asked to do something.
    Requested,
    /// It did.
    Granted,
    /// It would not.
    Declined,
    /// A list of senders allows somebody from now on.
    Allowed,
    /// It blocks somebody.
    Blocked,
    /// It names somebody no more.
    Unlisted,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happened {
    /// What.
    pub what: What,
    /// When, as RFC 3339 has it.
    pub time: String,
    /// The message's id; "": it is about a list of senders.
    pub id: String,
    /// In whose tree it lay, or whose list it is.
    pub recipient: String,
    /// By whose hand: a login, `command`, `queue` or `retention`.
    pub by: String,
    /// Who had asked for it, if that was another.
    pub asked_by: Option<String>,
    /// What was asked, requested or done.
    pub verbs: Vec<String>,
    /// What the mail server or the filter answered, or why it failed, or which sender it is about.
    pub text: Option<String>,
    /// To whom, or to which sink.
    pub part: Option<String>,
    /// When it is tried again.
    pub next: Option<String>,
}

impl What {
    /// All of them.
    pub const ALL: [What; 18] = [
        What::Asked,
        What::Undone,
        What::Appended,
        What::Released,
        What::Deferred,
        What::ReleaseFailed,
        What::Trained,
        What::TrainingFailed,
        What::Removed,
        What::Restored,
        What::Expunged,
        What::Expired,
        What::Requested,
        What::Granted,
        What::Declined,
        What::Allowed,
        What::Blocked,
        What::Unlisted,
    ];

    /// The word in the journal.
    pub fn word(self) -> &'static str {
        match self {
            What::Asked => "asked",
            What::Undone => "undone",
            What::Appended => "appended",
            What::Released => "released",
            What::Deferred => "deferred",
            What::ReleaseFailed => "release-failed",
            What::Trained => "trained",
            What::TrainingFailed => "training-failed",
            What::Removed => "removed",
            What::Restored => "restored",
            What::Expunged => "expunged",
            What::Expired => "expired",
            What::Requested => "requested",
            What::Granted => "granted",
            What::Declined => "declined",
            What::Allowed => "allowed",
            What::Blocked => "blocked",
            What::Unlisted => "unlisted",
        }
    }

    /// The one with this word.
    pub fn from_word(word: &str) -> Option<What> {
        What::ALL.into_iter().find(|what| what.word() == word)
    }
}

impl Quarantine {
    /// What happened to the mail that this account sees, newest first, at most `limit`, and where to go on (`None`: that
    /// was all). There may be fewer, also none, though there is more: one call reads a bounded piece of the journal.
    pub fn history(&self, account: &Account, before: Option<&Cursor>, limit: usize) -> (Vec<Happened>, Option<Cursor>) {
        let mut happened = Vec::new();
        if limit == 0 {
            return (happened, before.cloned());
        }
        let next = self.journal.back(before, limits::HISTORY_BYTES, |line| {
            let told = happened_in(line).filter(|told| self.is_told(account, &told.recipient));
            happened.extend(told);
            happened.len() < limit
        });
        (happened, next)
    }

    fn is_told(&self, account: &Account, recipient: &str) -> bool {
        // The list of the account itself: a domain's is no tree.
        if account.scope.to_string() == recipient {
            return true;
        }
        let tree = match recipient.starts_with('~') {
            true => Tree::Hashed(recipient.to_string()),
            false => Tree::Named(recipient.to_string()),
        };
        self.sees(&account.scope, &tree)
    }
}

/// Reads a line of the journal; `None` for what is no news: a message was stored.
fn happened_in(line: &str) -> Option<Happened> {
    let value: Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_string);
    let listed = value.get("verbs").and_then(Value::as_array);
    let listed = listed.into_iter().flatten().filter_map(Value::as_str).map(str::to_string);
    Some(Happened {
        what: What::from_word(&text("event")?)?,
        time: text("time")?,
        id: text("id")?,
        recipient: text("recipient")?,
        by: text("by")?,
        asked_by: text("asked_by"),
        verbs: listed.chain(text("verb")).collect(),
        text: text("reply").or_else(|| text("reason")).or_else(|| text("sender")),
        part: text("part"),
        next: text("next"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Fixture, alice, global, one};
    use super::super::{Account, Scope};
    use super::*;
    use crate::mail::{Address, Kept};
    use crate::quarantine::folders::Folder;

    fn words(f: &Fixture, account: &Account) -> Vec<&'static str> {
        f.q.history(account, None, 100).0.into_iter().map(|happened| happened.what.word()).collect()
    }

    #[test]
    fn each_scope_is_told_what_happened_to_its_mail() {
        let f = Fixture::new("history");
        let bob =
            Account { login: "bob@x.test".into(), scope: Scope::Recipient(Address::parse("bob@x.test").unwrap()) };
        let uid = f.caught("alice@x.test");
        f.q.put(&global(), Kept::Caught, &one(uid), Folder::ReleaseTrain, true).unwrap();
        f.carry_out(&[]);
        let uid = f.caught("bob@x.test");
        f.q.put(&bob, Kept::Caught, &one(uid), Folder::Trash, true).unwrap();
        let uid = f.caught("carol@y.test");
        f.q.put(&global(), Kept::Caught, &one(uid), Folder::Release, true).unwrap();
        f.carry_out(&["carol@y.test"]);

        assert_eq!(words(&f, &alice()), ["trained", "released", "asked"]);
        assert_eq!(words(&f, &bob), ["removed"]);
        let domain = Account { login: "x.test".into(), scope: Scope::Domain("x.test".into()) };
        assert_eq!(words(&f, &domain), ["removed", "trained", "released", "asked"]);
        assert_eq!(words(&f, &global()).len(), 6);
        let (told, _) = f.q.history(&alice(), None, 100);
        let released = &told[1];
        assert_eq!(released.text.as_deref(), Some("250 ok"));
        assert_eq!((released.by.as_str(), released.asked_by.as_deref()), ("queue", Some("global")));
        assert_eq!(told[2].verbs, ["release", "train-ham"]);
        let failed = f.q.history(&global(), None, 1).0;
        assert_eq!((failed[0].what, failed[0].text.as_deref()), (What::ReleaseFailed, Some("550 no")));
    }

    #[test]
    fn piece_by_piece() {
        let f = Fixture::new("pieces");
        for _ in 0..7 {
            let uid = f.caught("alice@x.test");
            f.q.put(&alice(), Kept::Caught, &one(uid), Folder::Trash, true).unwrap();
        }
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let (some, next) = f.q.history(&alice(), cursor.as_ref(), 3);
            assert!(some.len() <= 3);
            all.extend(some.into_iter().map(|happened| happened.id));
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(all.len(), 7);
        all.dedup();
        assert_eq!(all.len(), 7);
    }
}
