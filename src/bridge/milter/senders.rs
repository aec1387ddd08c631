//! What the lists of senders make of a verdict.

use super::{Letter, MilterBridge};
use crate::mail::{Address, Class, Kind, alignment, authentication, author, header};
use crate::quarantine::directory::Resolution;
use crate::quarantine::lists::Says;
use crate::verdict::{Action, Edit, Proof, Reason, Verdict};

/// The names that rspamd has for the same (`etc/rspamd/lazaret.lua`).
const ALLOWED: &str = "LAZARET_ALLOWED";
const BLOCKED: &str = "LAZARET_BLOCKED";

impl MilterBridge {
    /// What the lists of the owner of this address say of mail from there, as if it were proved: what can be known before
    /// the message is there, and is right where envelope and From have the same sender.
    pub(super) fn foretold(&self, sender: &str, class: Class, owner: Option<&Address>) -> Says {
        let Some((owner, sender)) = owner.zip(Address::parse(sender).ok()) else { return Says::Nothing };
        if class != Class::Incoming {
            return Says::Nothing;
        }
        self.quarantine.lists().says(owner, &sender, true)
    }

    /// The verdict as the lists of all recipients change it.
    pub(super) fn listened(&self, letter: &Letter, verdict: Verdict) -> Verdict {
        match self.say(letter, &verdict) {
            Says::Nothing => verdict,
            Says::Blocked => blocked(verdict),
            Says::Allowed => allowed(verdict),
        }
    }

    /// What the lists say: one verdict is for all recipients, so all of theirs have to say the same.
    fn say(&self, letter: &Letter, verdict: &Verdict) -> Says {
        if letter.policy.class != Class::Incoming {
            return Says::Nothing;
        }
        let block = letter.message.get(..header::end(&letter.message)).unwrap_or_default();
        let Some(author) = author::author(block) else { return Says::Nothing };
        let is_proved = self.is_proved(letter, verdict, block, &author);
        let directory = self.quarantine.directory();
        let says = |recipient: &String| match Address::parse(recipient).map(|address| directory.resolve(&address)) {
            Ok(Resolution::Tree(tree)) => self.quarantine.lists().says(&tree, &author, is_proved),
            _ => Says::Nothing,
        };
        let mut all = letter.transaction.recipients.iter().map(says);
        let Some(first) = all.next() else { return Says::Nothing };
        if all.all(|says| says == first) { first } else { Says::Nothing }
    }

    /// Whether it is proved that the author sent it: by the filter that was asked, or by a server that the door believes.
    fn is_proved(&self, letter: &Letter, verdict: &Verdict, block: &[u8], author: &Address) -> bool {
        let transaction = &letter.transaction;
        let is_author = |domain: &str| alignment::is_aligned(domain, author.domain());
        let by_filter = verdict.proofs.iter().any(|proof| match proof {
            Proof::Author => true,
            Proof::Domain(domain) => is_author(domain),
            // Without a client's address nothing was looked up.
            Proof::Sender if transaction.client.address.is_none() => false,
            Proof::Sender => match transaction.sender.rsplit_once('@') {
                Some((_, domain)) => is_author(domain),
                None => transaction.client.helo.as_deref().is_some_and(is_author),
            },
        });
        let results = authentication::in_front(block, &self.door.authenticated_by);
        by_filter || results.is_some_and(|results| alignment::proof(&results, author).is_some())
    }
}

/// It is refused and kept, unless the filter wants it kept without a word.
fn blocked(mut verdict: Verdict) -> Verdict {
    if verdict.action != Action::Keep {
        verdict.text = verdict.text.filter(|_| verdict.action == Action::Reject);
        verdict.action = Action::Reject;
    }
    verdict.reasons.insert(0, rule(BLOCKED, "its recipients block this sender"));
    verdict
}

/// It is delivered without the marks of spam, unless it is dangerous whoever sent it. What the filter puts off may have to
/// wait for another reason than its sender, and is not lost by it.
fn allowed(mut verdict: Verdict) -> Verdict {
    if matches!(verdict.kind, Kind::Virus | Kind::Banned) || verdict.action == Action::Later {
        return verdict;
    }
    if verdict.action != Action::Pass {
        verdict.edits.retain(|edit| !is_mark(edit));
    }
    verdict.action = Action::Pass;
    verdict.reasons.insert(0, rule(ALLOWED, "its recipients allow this sender"));
    verdict
}

/// Whether a change tells the mailbox that this is spam. What a stranger wrote of that kind still goes.
fn is_mark(edit: &Edit) -> bool {
    let is = |name: &str, prefix: &str| name.get(..prefix.len()).is_some_and(|n| n.eq_ignore_ascii_case(prefix));
    match edit {
        Edit::Add { name, .. } => is(name, "X-Spam") || name.eq_ignore_ascii_case("Subject"),
        Edit::Remove(name, _) => name.eq_ignore_ascii_case("Subject"),
    }
}

fn rule(name: &str, text: &str) -> Reason {
    Reason { name: name.to_string(), score: None, text: text.to_string() }
}
