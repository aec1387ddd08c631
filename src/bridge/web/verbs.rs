//! What is done with messages: a few at once, thousands in the background with a bar that shows how far it is.

use super::listing::Hunt;
use super::query;
use super::{Answered, NoPage, Remembered, Turned, Visit, folder, href};
use crate::base::{Flags, UidRanges, limits};
use crate::bridge::Place;
use crate::mail::name::Base;
use crate::mail::senders::{Entry, Pattern};
use crate::mail::{Address, Class, Kept, Kind};
use crate::page::layout::Notice;
use crate::page::request::encoded;
use crate::page::response::Response;
use crate::page::texts::{Site as Texts, fill};
use crate::page::work::{WorkView, render};
use crate::quarantine::act::Failed;
use crate::quarantine::folders::Folder;
use crate::quarantine::session::Session;
use crate::quarantine::{Account, Quarantine, Scope};
use crate::store::Reach;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// So many messages are dealt with before the answer; more go on in the background.
const AT_ONCE: usize = 200;
/// So many are dealt with in one turn: one sync of the queue's directory each.
const CHUNK: usize = 500;

/// What an action did, so that it can be undone.
#[derive(Debug, Default, Clone)]
pub(super) struct Undoable {
    /// Orders that wait.
    batches: Vec<u64>,
    /// Messages that lie in Trash now, and where they were.
    removed: Vec<(Kept, UidRanges)>,
    /// A list of senders that was changed.
    pub(super) listed: Option<Listed>,
}

/// How a list of senders was changed.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub scope: Scope,
    pub pattern: Pattern,
    /// What it said before.
    pub before: Option<Entry>,
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Into an action folder.
    Into(Folder),
    /// Into Trash.
    Delete,
    /// Out of Trash, to where it was.
    Restore,
    /// Out of Trash, for good.
    Remove,
}

impl Action {
    pub(super) fn from_word(word: &str) -> Option<Action> {
        Some(match word {
            "release" => Action::Into(Folder::Release),
            "release-train" => Action::Into(Folder::ReleaseTrain),
            "not-spam" => Action::Into(Folder::NotSpam),
            "spam" => Action::Into(Folder::Spam),
            "delete" => Action::Delete,
            "restore" => Action::Restore,
            "remove" => Action::Remove,
            _ => return None,
        })
    }

    fn did(self, texts: &Texts) -> &'static str {
        match self {
            Action::Into(Folder::Release) => texts.did_release,
            Action::Into(Folder::ReleaseTrain) => texts.did_release_train,
            Action::Into(Folder::NotSpam) => texts.did_not_spam,
            Action::Into(_) => texts.did_spam,
            Action::Delete => texts.did_delete,
            Action::Restore => texts.did_restore,
            Action::Remove => texts.did_remove,
        }
    }
}

/// Work in the background. Whoever began it sees how far it is.
#[derive(Debug, Default)]
pub(super) struct Works(Mutex<HashMap<String, Arc<Work>>>);

/// One of them.
#[derive(Debug)]
struct Work {
    login: String,
    next: String,
    done: AtomicUsize,
    total: AtomicUsize,
    is_finished: AtomicBool,
}

impl Works {
    /// Begins one; finished ones of the same account are forgotten, and with too many, nothing more is begun.
    fn begin(&self, id: String, work: Work) -> Option<Arc<Work>> {
        let mut works = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        works.retain(|_, old| old.login != work.login || !old.is_finished.load(Ordering::Relaxed));
        if works.len() >= limits::WORKS {
            return None;
        }
        let work = Arc::new(work);
        works.insert(id, work.clone());
        Some(work)
    }

    fn find(&self, id: &str, login: &str) -> Option<Arc<Work>> {
        let works = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        works.get(id).filter(|work| work.login == login).cloned()
    }
}

/// What came of it so far.
#[derive(Debug, Default)]
struct Outcome {
    done: usize,
    refused: Vec<(usize, String)>,
    undoable: Undoable,
}

impl Outcome {
    fn refuse(&mut self, count: usize, why: &str) {
        match self.refused.iter_mut().find(|(_, text)| text == why) {
            Some((known, _)) => *known += count,
            None => self.refused.push((count, why.to_string())),
        }
    }

    /// What the next page tells, and what can be undone from there.
    fn keep(self, action: Action, texts: &'static Texts, session: &Session<Remembered>) {
        let mut sentences = Vec::new();
        if self.done > 0 || self.refused.is_empty() {
            sentences.push(fill(action.did(texts), &[&self.done.to_string()]));
        }
        for (count, why) in &self.refused {
            sentences.push(fill(texts.refused, &[&count.to_string(), why]));
        }
        let can_undo = !self.undoable.batches.is_empty() || !self.undoable.removed.is_empty();
        let mut memory = session.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.notice = Some(Notice { texts: sentences, is_refusal: !self.refused.is_empty(), can_undo });
        memory.undoable = self.undoable;
    }
}

/// An action on its way.
struct Doing {
    quarantine: Arc<Quarantine>,
    session: Arc<Session<Remembered>>,
    texts: &'static Texts,
    action: Action,
    from: Kept,
    left: Vec<u32>,
    outcome: Outcome,
    work: Option<Arc<Work>>,
}

impl Doing {
    fn go_on(mut self) -> Turned {
        let rest = self.left.split_off(self.left.len().min(CHUNK));
        let uids: UidRanges = std::mem::replace(&mut self.left, rest).into_iter().collect();
        self.some(&uids);
        if let Some(work) = &self.work {
            work.done.store(work.total.load(Ordering::Relaxed).saturating_sub(self.left.len()), Ordering::Relaxed);
        }
        if self.left.is_empty() {
            return self.finish();
        }
        Turned::again(Place::Disk, move || self.go_on())
    }

    /// What may be done is done; what may not is counted, with the reason.
    fn some(&mut self, uids: &UidRanges) {
        let session = self.session.clone();
        let account = &session.account;
        let reach = match self.quarantine.reach(account) {
            Ok(reach) => reach,
            Err(fault) => return self.trouble(uids.count(), &fault),
        };
        let mut alike: HashMap<(Class, Kind, bool), UidRanges> = HashMap::new();
        self.quarantine.store.rows(reach, self.from, uids, |row, _| {
            let kind = (row.class, row.kind, row.flags.has(Flags::NOT_RELEASABLE));
            alike.entry(kind).or_default().add(row.uid, row.uid);
            true
        });
        for ((class, ..), uids) in alike {
            let count = uids.count();
            match self.put(account, class, &uids) {
                Ok((done, undoable)) => {
                    self.outcome.done += done;
                    self.outcome.undoable.batches.extend(undoable.batches);
                    self.outcome.undoable.removed.extend(undoable.removed);
                }
                Err(Failed::Denied(denied)) => {
                    // The page counts for itself.
                    let text = denied.text.split_once(" messages: ").map_or(denied.text.as_str(), |(_, why)| why);
                    self.outcome.refuse(count, text);
                }
                Err(Failed::Disk(fault)) => self.trouble(count, &fault),
            }
        }
    }

    fn put(&self, account: &Account, class: Class, uids: &UidRanges) -> Result<(usize, Undoable), Failed> {
        let mut undoable = Undoable::default();
        let done = match self.action {
            Action::Into(target) => self.quarantine.put_later(account, self.from, uids, target, true)?,
            Action::Delete => self.quarantine.put(account, self.from, uids, Folder::Trash, true)?,
            Action::Restore => self.quarantine.put(account, self.from, uids, Folder::of(class.folder()), true)?,
            Action::Remove => {
                self.quarantine.expunge(account, self.from, uids)?;
                return Ok((uids.count(), undoable));
            }
        };
        undoable.batches.extend(done.batch);
        if self.action == Action::Delete && !done.placed.is_empty() {
            undoable.removed.push((self.from, done.placed.iter().map(|(_, new)| *new).collect()));
        }
        Ok((done.messages, undoable))
    }

    fn trouble(&mut self, count: usize, fault: &crate::base::Fault) {
        log::error!("{fault}");
        self.outcome.refuse(count, self.texts.trouble);
    }

    fn finish(self) -> Turned {
        self.outcome.keep(self.action, self.texts, &self.session);
        let next = href(self.from);
        if let Some(work) = &self.work {
            work.is_finished.store(true, Ordering::Release);
        }
        Turned::Done(Response::see(next))
    }
}

impl Visit {
    /// Does what was asked with the messages that were chosen.
    pub(super) fn act(self) -> Answered {
        let form = &self.request.form;
        let action = Action::from_word(form.text("action")).ok_or(NoPage::Missing)?;
        let from = form.text("from").strip_prefix('/').and_then(folder).ok_or(NoPage::Missing)?;
        if action == Action::Remove && from != Kept::Trash {
            return Err(NoPage::Missing);
        }
        let typed = form.text("q").trim().to_string();
        let reach = self.quarantine().reach(&self.session.account)?;
        let list = self.quarantine().store.view(reach, from).view().list;
        let uids: Vec<u32> = match (form.get("whole").is_some(), typed.is_empty()) {
            (false, _) => self.chosen(reach, from),
            (true, true) => list.iter().collect(),
            (true, false) => {
                let query = query::parse(&typed).map_err(|_| NoPage::Missing)?;
                let quarantine = self.quarantine().clone();
                let deadline = quarantine.store.now().after(limits::SESSION_IDLE);
                let (found, most) = (Vec::new(), usize::MAX);
                let hunt = Hunt { quarantine, reach, kept: from, list, query, below: u32::MAX, found, most, deadline };
                let (doing, response) = self.begin(action, from, None)?;
                return Ok(Turned::Aside(response, Box::new(move || hunt_first(hunt, doing)), Place::Scan));
            }
        };
        if uids.is_empty() {
            let texts = self.texts();
            self.remembered().notice =
                Some(Notice { texts: vec![texts.none_selected.to_string()], is_refusal: true, can_undo: false });
            return Ok(Turned::Done(Response::see(back(from, &typed))));
        }
        if uids.len() <= AT_ONCE {
            return Ok(self.doing(action, from, uids, None).go_on());
        }
        let total = uids.len();
        let (mut doing, response) = self.begin(action, from, Some(total))?;
        doing.left = uids;
        Ok(Turned::Aside(response, Box::new(move || doing.go_on()), Place::Disk))
    }

    /// Puts one message into a folder, as the button of its page does.
    pub(super) fn act_on(&self, from: Kept, uid: u32, target: Folder) -> Turned {
        let action = if target == Folder::Trash { Action::Delete } else { Action::Into(target) };
        self.doing(action, from, vec![uid], None).go_on()
    }

    fn doing(&self, action: Action, from: Kept, left: Vec<u32>, work: Option<Arc<Work>>) -> Doing {
        Doing {
            quarantine: self.quarantine().clone(),
            session: self.session.clone(),
            texts: self.texts(),
            action,
            from,
            left,
            outcome: Outcome::default(),
            work,
        }
    }

    /// Work in the background, and the answer that leads to its bar.
    fn begin(&self, action: Action, from: Kept, total: Option<usize>) -> Result<(Doing, Response), NoPage> {
        let id = self.site.sessions.random_text().ok_or(NoPage::Missing)?;
        let work = Work {
            login: self.session.account.login.clone(),
            next: href(from).to_string(),
            done: AtomicUsize::new(0),
            total: AtomicUsize::new(total.unwrap_or(0)),
            is_finished: AtomicBool::new(false),
        };
        let response = Response::see(format!("/work/{id}"));
        let work = self.site.works.begin(id, work).ok_or(NoPage::Busy)?;
        Ok((self.doing(action, from, Vec::new(), Some(work)), response))
    }

    /// The messages whose boxes were ticked, or the one whose page was shown.
    fn chosen(&self, reach: Reach, from: Kept) -> Vec<u32> {
        let store = &self.quarantine().store;
        let wanted: HashSet<_> = self
            .request
            .form
            .all("m")
            .filter_map(|key| {
                let (recipient, id) = key.rsplit_once('/')?;
                let tree = store.tree(&Address::parse(recipient).ok()?)?;
                Some((tree.id, Base::parse(id)))
            })
            .collect();
        // A name is only made of a row whose tree is one of them.
        let trees: HashSet<_> = wanted.iter().map(|(tree, _)| *tree).collect();
        let mut uids = Vec::new();
        if !wanted.is_empty() {
            store.rows(reach, from, &UidRanges::one(1, u32::MAX), |row, folder| {
                if trees.contains(&row.tree) && wanted.contains(&(row.tree, folder.name(row).base)) {
                    uids.push(row.uid);
                }
                uids.len() < wanted.len()
            });
        }
        uids
    }

    /// What was just asked for can be taken back from the next page.
    pub(super) fn can_undo(&self, batch: u64) {
        let mut memory = self.remembered();
        memory.undoable = Undoable { batches: vec![batch], ..Undoable::default() };
        if let Some(notice) = &mut memory.notice {
            notice.can_undo = true;
        }
    }

    /// Takes back what the last action did, as far as it waits.
    pub(super) fn undo(self) -> Answered {
        let Undoable { batches, removed, listed } = std::mem::take(&mut self.remembered().undoable);
        let has_messages = !batches.is_empty() || !removed.is_empty();
        let account = &self.session.account;
        let (mut back, mut late) = (0, 0);
        let mut trouble = Vec::new();
        for batch in batches {
            match self.quarantine().undo(account, batch) {
                Ok(count) => back += count,
                Err(Failed::Denied(_)) => late += 1,
                Err(Failed::Disk(fault)) => {
                    log::error!("{fault}");
                    trouble.push(self.texts().trouble.to_string());
                }
            }
        }
        for (from, uids) in removed {
            match self.quarantine().put(account, Kept::Trash, &uids, Folder::of(from), true) {
                Ok(done) => back += done.messages,
                Err(Failed::Denied(denied)) => trouble.push(denied.text),
                Err(Failed::Disk(fault)) => {
                    log::error!("{fault}");
                    trouble.push(self.texts().trouble.to_string());
                }
            }
        }
        let texts = self.texts();
        let mut sentences = Vec::new();
        if has_messages || listed.is_none() {
            sentences.push(fill(texts.did_undo, &[&back.to_string()]));
        }
        if let Some(listed) = listed {
            let (text, failed) = self.undo_listed(&listed);
            if failed { trouble.push(text) } else { sentences.push(text) }
        }
        if late > 0 {
            sentences.push(texts.too_late.to_string());
        }
        let is_refusal = late > 0 || !trouble.is_empty();
        sentences.extend(trouble);
        self.remembered().notice = Some(Notice { texts: sentences, is_refusal, can_undo: false });
        Ok(Turned::Done(Response::see(href(Kept::Caught))))
    }

    /// How far work in the background is.
    pub(super) fn work(self, id: &str) -> Answered {
        let work = self.site.works.find(id, &self.session.account.login).ok_or(NoPage::Missing)?;
        let (done, total) = (work.done.load(Ordering::Relaxed), work.total.load(Ordering::Relaxed));
        let is_finished = work.is_finished.load(Ordering::Acquire);
        let text = fill(self.texts().working, &[&done.to_string(), &total.to_string()]);
        let view =
            WorkView { href: format!("/work/{}?as=json", encoded(id)), done, total, text, next: work.next.clone() };
        if self.request.query.text("as") == "json" {
            let json = view.json(is_finished);
            return Ok(Turned::Done(Response::bytes(200, "application/json", json.into_bytes())));
        }
        if is_finished {
            return Ok(Turned::Done(Response::see(view.next)));
        }
        let frame = self.frame(&view.text, "")?;
        Ok(Turned::Done(Response::html(200, render(&frame, &view))))
    }
}

/// The search first, then what is to be done with what it finds.
fn hunt_first(mut hunt: Hunt, mut doing: Doing) -> Turned {
    let more = hunt.go_on();
    if let Some(work) = &doing.work {
        work.total.store(hunt.found.len(), Ordering::Relaxed);
    }
    if more {
        return Turned::again(Place::Scan, move || hunt_first(hunt, doing));
    }
    doing.left = hunt.found;
    doing.left.sort_unstable();
    Turned::again(Place::Disk, move || doing.go_on())
}

fn back(from: Kept, typed: &str) -> String {
    match typed {
        "" => href(from).to_string(),
        typed => format!("{}?q={}", href(from), encoded(typed)),
    }
}
