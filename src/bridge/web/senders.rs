//! Lists of senders, and the question whether a message's sender is to be allowed or blocked.

use super::listing::cut;
use super::reading::{Looked, unreadable};
use super::verbs::Listed;
use super::{Answered, NoPage, Turned, Visit};
use crate::base::limits;
use crate::base::time::minute;
use crate::imap::content::Content;
use crate::mail::senders::{Entry, Pattern, Sense};
use crate::mail::{Address, Class, Kept, alignment, authentication, author, header, shared, words};
use crate::page::layout::Notice;
use crate::page::response::Response;
use crate::page::senders::{self, QuestionView, RowView, SENDERS, SendersView};
use crate::page::texts::{Senders as Texts, fill};
use crate::quarantine::folders::Folder;
use crate::quarantine::policy::Denied;
use crate::quarantine::{Failed, Scope};

/// Other lists that are named; the rest is found by typing.
const OTHERS: usize = 200;

/// What a message says of its sender.
struct Sender {
    subject: String,
    /// As lists name it; `None`: it names nobody.
    address: Option<Pattern>,
    /// What proves it.
    proof: Option<String>,
}

impl Sender {
    fn read(content: &mut dyn Content) -> std::io::Result<Sender> {
        let trace = content.row().trace as usize;
        let header = content.header()?;
        let block = header.get(trace..).unwrap_or_default();
        let from = author::author(block);
        let results = authentication::results(block, &[]).unwrap_or_default();
        let proof = from.as_ref().and_then(|from| alignment::proof(&results, from));
        let shown = |proof: &authentication::Found| {
            let identity = proof.identity.as_deref().unwrap_or_default();
            format!("{} {identity}", proof.method.to_uppercase())
        };
        let subject = header::find(block, b"Subject").map(|field| words::decode(&field.unfolded()));
        Ok(Sender {
            subject: cut(&subject.unwrap_or_default()),
            address: from.as_ref().and_then(Pattern::of),
            proof: proof.map(shown),
        })
    }
}

/// Whether a message can be released from where it lies: mail that waits for its recipient.
fn can_release(kept: Kept, class: Class) -> bool {
    class == Class::Incoming && matches!(kept, Kept::Caught | Kept::Trash)
}

/// Where the sender of a message is allowed and blocked, and what the buttons are called. Of outgoing mail the sender is one
/// of us.
pub(super) fn buttons(
    texts: &'static Texts,
    message_href: &str,
    kept: Kept,
    class: Class,
) -> Vec<(String, &'static str)> {
    if class == Class::Outgoing {
        return Vec::new();
    }
    let button = |sense: Sense| {
        (format!("{message_href}/{}", sense.word()), senders::name(sense, can_release(kept, class), texts))
    };
    Sense::ALL.map(button).to_vec()
}

impl Visit {
    fn sender_texts(&self) -> &'static Texts {
        Texts::of(self.request.language)
    }

    /// In whose lists a sender of this recipient's mail may go: the account's own, and, for whoever may edit all, narrower
    /// ones. The first is chosen unless another is: that which does the least harm where somebody is allowed.
    fn lists_for(&self, recipient: &Address, sense: Sense) -> Vec<Scope> {
        let own = self.session.account.scope.clone();
        let narrower = match own {
            Scope::Global => {
                vec![Scope::Domain(recipient.domain().to_string()), Scope::Recipient(recipient.clone())]
            }
            _ => Vec::new(),
        };
        let mut lists: Vec<Scope> = std::iter::once(own).chain(narrower).collect();
        if sense == Sense::Allow {
            lists.reverse();
        }
        lists
    }

    /// Asks about the sender of a message, before anything is done.
    pub(super) fn ask_about_sender(&self, recipient: &str, id: &str, sense: Sense) -> Answered {
        let looked = self.look(recipient, id)?;
        let tree = Address::parse(&looked.found.recipient).map_err(|_| NoPage::Missing)?;
        let sender = Sender::read(&mut self.content(&looked)).map_err(unreadable)?;
        let class = looked.found.row.class;
        let lists = self.lists_for(&tree, sense).into_iter().map(|scope| {
            let of = (scope != Scope::Global).then(|| scope.to_string());
            (scope.to_string(), of)
        });
        let view = QuestionView {
            sense,
            releases: can_release(looked.kept, class),
            message_href: looked.href.clone(),
            subject: sender.subject,
            is_shared: sender.address.as_ref().is_some_and(|a| is_nobodys(a.domain())),
            sender: sender.address.map(|address| (address.to_string(), address.domain().to_string())),
            proof: sender.proof,
            lists: lists.collect(),
            can_delete: looked.kept != Kept::Trash,
            is_read: self.quarantine().lists().are_read(),
        };
        let frame = self.frame(senders::name(sense, view.releases, self.sender_texts()), "")?;
        Ok(Turned::Done(Response::html(200, senders::question(&frame, &view))))
    }

    /// The answer: the list first, so that what is told to be allowed is; then the message.
    pub(super) fn answer_about_sender(self, recipient: &str, id: &str, sense: Sense) -> Answered {
        let looked = self.look(recipient, id)?;
        let tree = Address::parse(&looked.found.recipient).map_err(|_| NoPage::Missing)?;
        let sender = Sender::read(&mut self.content(&looked)).map_err(unreadable)?;
        let form = &self.request.form;
        let wanted = form.text("list");
        let scope = self.lists_for(&tree, sense).into_iter().find(|scope| scope.to_string() == wanted);
        let (Some(scope), Some(address)) = (scope, sender.address) else { return Err(NoPage::Missing) };
        let pattern = match form.text("who") {
            "address" => address,
            "domain" => Pattern::Domain(address.domain().to_string()),
            _ => return Err(NoPage::Missing),
        };
        let (deletes, about) = (form.get("delete").is_some(), looked.found.id.clone());
        let account = &self.session.account;
        match self.quarantine().lists().add(account, &scope, sense, &pattern, Some((&about, &tree))) {
            Ok(before) => self.tell_added(&scope, sense, &pattern, before),
            Err(failed) => {
                self.tell_refused(failed)?;
                return Ok(Turned::Done(Response::see(looked.href)));
            }
        }
        let class = looked.found.row.class;
        match sense {
            Sense::Allow if can_release(looked.kept, class) => self.also(&looked, Folder::Release),
            Sense::Block if deletes && looked.kept != Kept::Trash => self.also(&looked, Folder::Trash),
            // Nothing becomes of the message.
            _ => Ok(Turned::Done(Response::see(looked.href))),
        }
    }

    /// What becomes of the message stands behind what became of the list.
    fn also(self, looked: &Looked, target: Folder) -> Answered {
        let uid = looked.found.row.uid;
        let told = self.remembered().notice.take();
        let listed = std::mem::take(&mut self.remembered().undoable.listed);
        let done = self.act_on(looked.kept, uid, target);
        let mut memory = self.remembered();
        memory.undoable.listed = listed;
        if let (Some(notice), Some(told)) = (&mut memory.notice, told) {
            notice.texts.splice(0..0, told.texts);
            notice.can_undo = true;
        }
        Ok(done)
    }

    fn tell_added(&self, scope: &Scope, sense: Sense, pattern: &Pattern, before: Option<Entry>) {
        let texts = self.sender_texts();
        let (sender, login) = (pattern.to_string(), scope.to_string());
        let text = match sense {
            Sense::Allow => texts.did_allow,
            Sense::Block => texts.did_block,
        };
        let mut told = vec![fill(text, &[&sender, &login])];
        if sense == Sense::Allow
            && let Some(wider) = self.quarantine().lists().overruled_by(scope, pattern)
        {
            told.push(fill(texts.is_overruled, &[&wider.to_string()]));
        }
        let mut memory = self.remembered();
        memory.undoable = Default::default();
        memory.undoable.listed = Some(Listed { scope: scope.clone(), pattern: pattern.clone(), before });
        memory.notice = Some(Notice { texts: told, is_refusal: false, can_undo: true });
    }

    fn tell_refused(&self, failed: Failed) -> Result<(), NoPage> {
        match failed {
            Failed::Disk(fault) => Err(NoPage::Trouble(fault)),
            Failed::Denied(denied) => {
                self.say(denied.text, true);
                Ok(())
            }
        }
    }

    fn say(&self, text: String, is_refusal: bool) {
        self.remembered().notice = Some(Notice { texts: vec![text], is_refusal, can_undo: false });
    }

    /// The scope whose list a form or an address names; the account's own where it names none.
    fn scope_of(&self, login: &str) -> Option<Scope> {
        let own = &self.session.account.scope;
        if login.is_empty() || login == own.to_string() {
            return Some(own.clone());
        }
        self.quarantine().directory().login(login.trim()).map(|(_, scope)| scope)
    }

    /// A list.
    pub(super) fn senders(&self) -> Answered {
        let (texts, account) = (self.sender_texts(), &self.session.account);
        let typed = self.request.query.text("list").to_string();
        let lists = self.quarantine().lists();
        let unknown = || Denied::impossible(fill(texts.unknown_list, &[&cut(&typed)]));
        let asked = self.scope_of(&typed).ok_or_else(unknown).and_then(|scope| Ok((lists.of(account, &scope)?, scope)));
        let (list, scope) = match asked {
            Ok(asked) => asked,
            Err(denied) => {
                self.tell_refused(denied.into())?;
                let own = account.scope.clone();
                (lists.of(account, &own).map_err(|_| NoPage::Missing)?, own)
            }
        };
        let mut rows: Vec<RowView> = list
            .entries()
            .map(|entry| RowView {
                sense: list.has(&entry.pattern).unwrap_or(entry.sense),
                sender: entry.pattern.to_string(),
                since: entry.since.as_ref().map(|since| (since.clone(), minute(since))),
                by: cut(&entry.by),
                overruled_by: Some(entry)
                    .filter(|entry| entry.sense == Sense::Allow)
                    .and_then(|entry| lists.overruled_by(&scope, &entry.pattern))
                    .map(|wider| wider.to_string()),
            })
            .collect();
        rows.reverse();
        rows.truncate(limits::LIST_SENDERS);
        let mut others = lists.logins(account);
        others.retain(|(login, _)| *login != scope.to_string());
        let more = others.len().saturating_sub(OTHERS);
        others.truncate(OTHERS);
        let view = SendersView {
            login: scope.to_string(),
            rows,
            is_read: lists.are_read(),
            has_wider: scope != Scope::Global,
            others: (account.scope == Scope::Global).then_some(others),
            more,
        };
        let frame = self.frame(texts.senders, SENDERS)?;
        Ok(Turned::Done(Response::html(200, senders::list(&frame, &view))))
    }

    /// Adds to a list, or removes from it.
    pub(super) fn change_senders(&self) -> Answered {
        let (form, texts, account) = (&self.request.form, self.sender_texts(), &self.session.account);
        let scope = self.scope_of(form.text("list")).ok_or(NoPage::Missing)?;
        let next = Ok(Turned::Done(Response::see(senders::href(&scope.to_string()))));
        let typed = form.text("sender");
        let Ok(pattern) = Pattern::parse(typed) else {
            self.say(fill(texts.not_sender, &[&cut(typed)]), true);
            return next;
        };
        let lists = self.quarantine().lists();
        match (form.text("do"), Sense::from_word(form.text("do"))) {
            (_, Some(sense)) => match lists.add(account, &scope, sense, &pattern, None) {
                Ok(before) => self.tell_added(&scope, sense, &pattern, before),
                Err(failed) => self.tell_refused(failed)?,
            },
            ("remove", _) => match lists.remove(account, &scope, &pattern) {
                Ok(removed) => {
                    let text = if removed.is_some() { texts.did_remove } else { texts.did_nothing };
                    self.say(fill(text, &[&pattern.to_string(), &scope.to_string()]), false);
                }
                Err(failed) => self.tell_refused(failed)?,
            },
            _ => return Err(NoPage::Missing),
        }
        next
    }

    /// Takes the last change of a list back; what to tell of it, and whether it failed.
    pub(super) fn undo_listed(&self, listed: &Listed) -> (String, bool) {
        let Listed { scope, pattern, before } = listed;
        match self.quarantine().lists().restore(&self.session.account, scope, pattern, before.as_ref()) {
            Ok(()) => (fill(self.sender_texts().undone, &[&scope.to_string(), &pattern.to_string()]), false),
            Err(Failed::Denied(denied)) => (denied.text, true),
            Err(Failed::Disk(fault)) => {
                log::error!("{fault}");
                (self.texts().trouble.to_string(), true)
            }
        }
    }
}

/// Whether a whole domain is nobody's in particular.
fn is_nobodys(domain: &str) -> bool {
    shared::is_shared(domain) || alignment::organisation(domain).is_none()
}
