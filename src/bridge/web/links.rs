//! Links of a digest. A look shows what would happen; only the form that it shows does it, so that programs which follow
//! every link change nothing. Nobody is signed in by one, and no cookie is set.

use super::listing::{self, Found, Opening, cut};
use super::{Answered, NoPage, Site, Turned, Visit};
use crate::base::{UidRanges, limits};
use crate::bridge::content::Message;
use crate::mail::{Address, Class, Kept};
use crate::page::link::{self, Asked, Told, Wanted};
use crate::page::request::{Method, Request};
use crate::page::response::Response;
use crate::page::texts::{Common, Digest, Language, Site as Texts, fill};
use crate::quarantine::act::Failed;
use crate::quarantine::digest::Every;
use crate::quarantine::folders::Folder;
use crate::quarantine::links::{BadLink, Link, LinkVerb, Object};
use crate::quarantine::{Account, Quarantine, Scope};
use crate::store::Reach;
use std::collections::HashMap;

/// A link that somebody follows.
struct Followed<'a> {
    quarantine: &'a Quarantine,
    language: Language,
    link: Link,
    account: Account,
    reach: Reach,
    /// Where it is, which is also where its form leads.
    here: String,
}

/// What a link is about, as it lies now.
struct Target {
    kept: Kept,
    uids: UidRanges,
    count: usize,
}

impl Site {
    pub(super) fn link(&self, request: &Request, text: &str) -> Answered {
        let language = request.language;
        let texts = Digest::of(language);
        let refuse = |status, why: &str| {
            let told = Told { texts: vec![why.to_string()], is_refusal: true, back: None };
            Ok(done(Response::html(status, link::told(language, &told))))
        };
        let link = match self.quarantine.open_link(text) {
            Ok(link) => link,
            Err(BadLink::Forged) => return refuse(403, texts.forged),
            Err(BadLink::Expired) => return refuse(410, texts.expired),
        };
        let Some(account) = self.quarantine.account_of(&link.login) else { return refuse(410, texts.expired) };
        let reach = self.quarantine.reach(&account)?;
        let here = format!("/link/{text}");
        let followed = Followed { quarantine: &self.quarantine, language, link, account, reach, here };
        match request.method {
            Method::Get => followed.show(),
            Method::Post => followed.act(),
        }
    }
}

/// An answer that no search engine keeps.
fn done(response: Response) -> Turned {
    Turned::Done(response.with("x-robots-tag", "noindex, nofollow"))
}

impl Followed<'_> {
    fn texts(&self) -> &'static Digest {
        Digest::of(self.language)
    }

    /// The messages that are there of those that it names, all in one folder.
    fn target(&self) -> Option<Target> {
        let store = &self.quarantine.store;
        match &self.link.object {
            Object::Message(recipient, id) => {
                let address = Address::parse(recipient).ok()?;
                let (kept, located) = listing::lies(self.quarantine, &self.account.scope, &address, id)?;
                Some(Target { kept, uids: UidRanges::one(located.row.uid, located.row.uid), count: 1 })
            }
            Object::Uids(uids) => {
                let kept = if self.link.verb == LinkVerb::Restore { Kept::Trash } else { Kept::Caught };
                let list = store.view(self.reach, kept).view().list;
                let there: Vec<u32> = list.within(uids).collect();
                let count = there.len();
                (count > 0).then(|| Target { kept, uids: there.into_iter().collect(), count })
            }
            Object::Account | Object::Batch(_) => None,
        }
    }

    /// Whether what it asks for waits already.
    fn is_waiting(&self) -> bool {
        matches!(&self.link.object, Object::Message(_, id) if self.quarantine.is_queued(id))
    }

    fn show(&self) -> Answered {
        let (texts, common) = (self.texts(), Common::of(self.language));
        let login = [self.account.login.as_str()];
        let asked = |question: &str, values: &[&str], button: &'static str| Asked {
            question: fill(question, values),
            button,
            action: self.here.clone(),
            about: Vec::new(),
        };
        let asked = match self.link.verb {
            LinkVerb::Unsubscribe => asked(texts.ask_unsubscribe, &login, texts.yes_unsubscribe),
            LinkVerb::Subscribe => asked(texts.ask_subscribe, &login, texts.yes_subscribe),
            LinkVerb::Undo => asked(texts.ask_undo, &[], common.undo),
            verb => {
                let Some(target) = self.target() else { return self.gone() };
                let is_list = matches!(self.link.object, Object::Uids(_));
                let shown = match verb {
                    LinkVerb::Delete if is_list => {
                        asked(texts.ask_delete_all, &[&target.count.to_string()], common.delete)
                    }
                    LinkVerb::Delete => asked(texts.ask_delete, &[], common.delete),
                    LinkVerb::Release => asked(texts.ask_release, &[], common.release),
                    LinkVerb::ReleaseTrain => asked(texts.ask_release_train, &[], common.release_train),
                    _ => asked(texts.ask_restore, &[], common.undo),
                };
                Asked { about: self.about(&target), ..shown }
            }
        };
        Ok(done(Response::html(200, link::ask(self.language, &asked))))
    }

    /// The message of a target, or the first of many.
    fn about(&self, target: &Target) -> Vec<(&'static str, String)> {
        let found = listing::found(self.quarantine, self.reach, target.kept, &target.uids);
        let mut about = Vec::new();
        for one in found.into_iter().rev().take(if target.count == 1 { 1 } else { limits::LIST_ROWS }) {
            match self.lines(target.kept, one, target.count == 1) {
                Ok(lines) => about.extend(lines),
                Err(error) => log::warn!("a message of a link cannot be read: {error}"),
            }
        }
        about
    }

    fn lines(&self, kept: Kept, one: Found, is_whole: bool) -> std::io::Result<Vec<(&'static str, String)>> {
        let (texts, common) = (self.texts(), Common::of(self.language));
        let arrived = listing::moment(crate::base::Timestamp::from_secs(one.row.arrival())).1;
        let mut message = Message::new(&self.quarantine.store, self.reach, kept, &one.row);
        let opening = Opening::read(&mut message)?;
        let (from, address) = opening.sender();
        let subject = cut(&opening.field(b"subject"));
        let subject = if subject.trim().is_empty() { common.no_subject.to_string() } else { subject };
        let from = if from == address { cut(&from) } else { format!("{} <{}>", cut(&from), cut(&address)) };
        let mut lines = vec![(common.subject, subject), (common.sender, from)];
        if is_whole {
            lines.push((common.recipient, cut(&one.recipient)));
            lines.push((texts.arrived, format!("{arrived} UTC")));
        }
        Ok(lines)
    }

    /// There is nothing that it could be done with: it was done, or the message has gone.
    fn gone(&self) -> Answered {
        if self.is_waiting() {
            return self.tell(200, Told { texts: vec![self.texts().already.to_string()], ..Told::default() });
        }
        Err(NoPage::Gone)
    }

    fn tell(&self, status: u16, told: Told) -> Answered {
        Ok(done(Response::html(status, link::told(self.language, &told))))
    }

    fn act(&self) -> Answered {
        let (texts, site) = (self.texts(), Texts::of(self.language));
        let login = [self.account.login.as_str()];
        let now = self.quarantine.store.now();
        match self.link.verb {
            LinkVerb::Unsubscribe | LinkVerb::Subscribe => {
                let is_wanted = self.link.verb == LinkVerb::Subscribe;
                self.quarantine.set_digest(&self.account, is_wanted)?;
                log::info!("digest: {} by a link: {}", if is_wanted { "on" } else { "off" }, self.account.login);
                let (text, other, label) = match is_wanted {
                    true => (texts.subscribed, LinkVerb::Unsubscribe, texts.yes_unsubscribe),
                    false => (texts.unsubscribed, LinkVerb::Subscribe, texts.yes_subscribe),
                };
                let back = self.other(other, Object::Account, self.link.expires)?;
                self.tell(200, Told { texts: vec![fill(text, &login)], is_refusal: false, back: Some((label, back)) })
            }
            LinkVerb::Undo => {
                let Object::Batch(batch) = self.link.object else { return Err(NoPage::Missing) };
                self.outcome(self.quarantine.undo(&self.account, batch).map(|count| (count, None)), site.did_undo)
            }
            LinkVerb::Restore => {
                let Some(target) = self.target() else { return self.gone() };
                self.outcome(self.restore(&target).map(|count| (count, None)), site.did_restore)
            }
            verb => {
                let Some(target) = self.target() else { return self.gone() };
                let (folder, text) = match verb {
                    LinkVerb::Release => (Folder::Release, site.did_release),
                    LinkVerb::ReleaseTrain => (Folder::ReleaseTrain, site.did_release_train),
                    _ => (Folder::Trash, site.did_delete),
                };
                if folder == Folder::Trash && target.kept == Kept::Trash {
                    return self.tell(200, Told { texts: vec![texts.already.to_string()], ..Told::default() });
                }
                let put = self.quarantine.put_later(&self.account, target.kept, &target.uids, folder, true);
                let put = match put {
                    Ok(put) => put,
                    Err(failed) => return self.outcome(Err(failed), text),
                };
                let back = match put.batch {
                    Some(batch) => {
                        let until = now.after(self.quarantine.options().release_delay).secs();
                        Some(self.other(LinkVerb::Undo, Object::Batch(batch), until)?)
                    }
                    None if !put.placed.is_empty() => {
                        let uids = put.placed.iter().map(|(_, new)| *new).collect();
                        let until = now.after(limits::RELEASE_DELAY_MOST).secs();
                        Some(self.other(LinkVerb::Restore, Object::Uids(uids), until)?)
                    }
                    None => None,
                };
                self.outcome(Ok((put.messages, back)), text)
            }
        }
    }

    /// Back to where they were.
    fn restore(&self, target: &Target) -> Result<usize, Failed> {
        let mut alike: HashMap<Class, UidRanges> = HashMap::new();
        self.quarantine.store.rows(self.reach, Kept::Trash, &target.uids, |row, _| {
            alike.entry(row.class).or_default().add(row.uid, row.uid);
            true
        });
        let mut count = 0;
        for (class, uids) in alike {
            let to = Folder::of(class.folder());
            count += self.quarantine.put(&self.account, Kept::Trash, &uids, to, true)?.messages;
        }
        Ok(count)
    }

    /// Another link of the same account.
    fn other(&self, verb: LinkVerb, object: Object, expires: u64) -> Result<String, NoPage> {
        let link = Link { verb, login: self.account.login.clone(), object, expires };
        Ok(format!("/link/{}", self.quarantine.seal(&link)?))
    }

    fn outcome(&self, outcome: Result<(usize, Option<String>), Failed>, text: &str) -> Answered {
        match outcome {
            Ok((count, back)) => {
                let back = back.map(|back| (Common::of(self.language).undo, back));
                self.tell(200, Told { texts: vec![fill(text, &[&count.to_string()])], is_refusal: false, back })
            }
            Err(Failed::Denied(denied)) => {
                let text = fill(self.texts().not_done, &[&denied.text]);
                self.tell(403, Told { texts: vec![text], is_refusal: true, back: None })
            }
            Err(Failed::Disk(fault)) => Err(NoPage::Trouble(fault)),
        }
    }
}

impl Visit {
    /// Whether the reader's own digest is sent; a form changes it.
    pub(super) fn digest(self) -> Answered {
        let account = &self.session.account;
        if self.request.method == Method::Post {
            self.quarantine().set_digest(account, self.request.form.text("digest") == "on")?;
            return Ok(Turned::Done(Response::see("/digest")));
        }
        let rules = self.quarantine().digest_rules();
        let is_sent = match &account.scope {
            Scope::Recipient(address) => rules.of(address).schedule.every != Every::Off,
            scope => rules.wide.iter().any(|(wide, ..)| wide == scope),
        };
        let wanted = match (is_sent, self.quarantine().wants_digest(account)) {
            (false, _) => Wanted::Nobody,
            (true, true) => Wanted::On,
            (true, false) => Wanted::Off,
        };
        let frame = self.frame(Digest::of(self.request.language).settings, "/digest")?;
        Ok(Turned::Done(Response::html(200, link::settings(&frame, wanted))))
    }
}
