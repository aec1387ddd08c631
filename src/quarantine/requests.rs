//! What an account may only request: it is filed, and an account that may do it grants or declines it.

use super::Quarantine;
use super::account::{Account, Scope};
use super::act::{Done, Failed, is_left, queue_verb};
use super::core::asker;
use super::folders::{self, Row, Verb};
use super::policy::{Access, Denied};
use crate::base::{Fault, Flags, Timestamp, UidRanges};
use crate::mail::name::Base;
use crate::mail::{Class, Kept, Kind};
use crate::queue::{self, Asker, Full};
use crate::store::{Flagging, Located, Reach};
use serde_json::json;
use std::collections::{HashMap, HashSet};

#[cfg(test)]
mod tests;

/// A request that waits, and the message that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The message's id.
    pub id: String,
    /// In whose tree it lies.
    pub recipient: String,
    /// What is asked.
    pub verbs: Vec<Verb>,
    /// The login of the scope that asked.
    pub by: String,
    /// When.
    pub asked: Timestamp,
    /// The folder where the message is.
    pub kept: Kept,
    /// Its UID there.
    pub uid: u32,
    /// Why the message is here.
    pub class: Class,
    /// What the filter took it for.
    pub kind: Kind,
}

/// The letters of verbs in a request's name.
const LETTERS: [(Verb, char); 4] =
    [(Verb::Release, 'r'), (Verb::TrainHam, 'h'), (Verb::TrainSpam, 's'), (Verb::Remove, 'd')];

fn letters(verbs: &[Verb]) -> String {
    LETTERS.iter().filter(|(verb, _)| verbs.contains(verb)).map(|(_, letter)| *letter).collect()
}

fn verbs(letters: &str) -> Vec<Verb> {
    LETTERS.iter().filter(|(_, letter)| letters.contains(*letter)).map(|(verb, _)| *verb).collect()
}

fn words(letters: &str) -> Vec<&'static str> {
    verbs(letters).into_iter().map(Verb::word).collect()
}

impl Quarantine {
    /// Files a request for each of these messages, all or none, and says of them that it was. Durable when it returns. The
    /// inner error: there is no room for them.
    pub(super) fn file_requests(
        &self,
        account: &Account,
        from: Kept,
        messages: &[&Located],
        asked: &[Verb],
    ) -> Result<Result<(), Denied>, Fault> {
        let now = self.store.now();
        let request = |message: &&Located| queue::Request {
            message: message.name.base.clone(),
            what: letters(asked),
            tree: queue::Tree::Named(message.tree.address.to_string()),
            asker: asker(account),
            asked: now.secs(),
        };
        let all: Vec<queue::Request> = messages.iter().map(request).collect();
        let mut filed = self.requests.file(all.clone())?;
        if filed.is_err() {
            // Other programs may have removed messages that were asked for.
            self.settle_requests()?;
            filed = self.requests.file(all)?;
        }
        let filed = match filed {
            Ok(filed) => filed,
            Err(full) => {
                let whose = if full == Full::Tree { "of this recipient" } else { "in all" };
                let text = format!("it could not be requested: too many requests {whose} wait to be decided");
                return Ok(Err(Denied::full(text)));
            }
        };
        let uids: UidRanges = messages.iter().map(|message| message.row.uid).collect();
        self.store.set_flags(Reach::All, from, &uids, Flagging::Add, Flags::RELEASE_REQUESTED)?;
        for request in filed {
            self.note_request(now, &request, "requested", &account.login);
        }
        Ok(Ok(()))
    }

    /// Requests that this account may grant or decline, oldest first.
    pub fn requests(&self, account: &Account) -> Vec<Request> {
        self.requests_where(|request| self.may_decide(account, request))
    }

    /// Requests that this account filed itself and nobody has decided yet, oldest first.
    pub fn own_requests(&self, account: &Account) -> Vec<Request> {
        self.requests_where(|(request, _)| request.asker == asker(account) && self.sees(&account.scope, &request.tree))
    }

    /// Does what was requested for the message with this id, as the hand of this account. `later`: it waits as in
    /// [`Quarantine::put_later`].
    pub fn grant(&self, account: &Account, id: &str, later: bool) -> Result<Done, Failed> {
        let of_message = |request: &Request| request.id == id;
        // The one that asks for most holds what the others ask for.
        let wanted = self.requests(account).into_iter().filter(of_message).max_by_key(|r| r.verbs.len());
        let request = wanted.ok_or_else(nothing_waits)?;
        let target = folders::TABLE.iter().find(|row| row.verbs == request.verbs);
        let Row { folder: target, .. } =
            *target.ok_or_else(|| Denied::impossible("no folder does what was requested: decline it"))?;
        let uid = UidRanges::one(request.uid, request.uid);
        let done = match later {
            true => self.put_later(account, request.kept, &uid, target, true)?,
            false => self.put(account, request.kept, &uid, target, true)?,
        };
        if done.messages == 0 {
            return Err(nothing_waits().into());
        }
        Ok(done)
    }

    /// Takes down what was requested for the message with this id; the message stays where it is. Durable when it returns.
    pub fn decline(&self, account: &Account, id: &str) -> Result<usize, Failed> {
        let declined: Vec<Request> = self.requests(account).into_iter().filter(|request| request.id == id).collect();
        if declined.is_empty() {
            return Err(nothing_waits().into());
        }
        let is_one = |r: &queue::Request| {
            let same =
                |d: &Request| r.message.to_string() == d.id && r.tree.is(&d.recipient) && verbs(&r.what) == d.verbs;
            declined.iter().any(same)
        };
        let removed = self.requests.remove(is_one)?;
        self.requests.sync()?;
        self.decided(&removed, "declined", &account.login)?;
        Ok(removed.len())
    }

    /// What was requested of these messages is done now, or was dragged by a hand that may do it: it is granted.
    pub(super) fn fulfil(&self, account: &Account, messages: &[Located], done: &[Verb]) -> Result<(), Fault> {
        if self.requests.is_empty() {
            return Ok(());
        }
        let bases: HashMap<&Base, &Located> = messages.iter().map(|message| (&message.name.base, message)).collect();
        let done = letters(done);
        let removed = self.requests.remove(|request| {
            let of = |message: &&Located| request.tree.is(&message.tree.address.to_string());
            request.is_within(&done) && bases.get(&request.message).is_some_and(of)
        })?;
        self.decided(&removed, "granted", &account.login)
    }

    /// These messages are gone for good.
    pub(super) fn forget_requests(&self, messages: &[Located]) -> Result<(), Fault> {
        if self.requests.is_empty() {
            return Ok(());
        }
        let bases: HashSet<&Base> = messages.iter().map(|message| &message.name.base).collect();
        let of = |r: &queue::Request, m: &Located| r.message == m.name.base && r.tree.is(&m.tree.address.to_string());
        let gone = |r: &queue::Request| bases.contains(&r.message) && messages.iter().any(|m| of(r, m));
        self.requests.remove(gone).map(drop)
    }

    /// Whether something stays requested of a message when this is done.
    pub(super) fn stays_requested(&self, message: &Located, done: &[Verb]) -> bool {
        let done = letters(done);
        let tree = message.tree.address.to_string();
        let stays = |r: &queue::Request| r.message == message.name.base && !r.is_within(&done) && r.tree.is(&tree);
        self.requests.any(stays)
    }

    /// Makes requests and flags agree: start-up, and when there is no room for more. A request goes when its message is
    /// gone, or when all that it asks for was done or is under way.
    pub(super) fn settle_requests(&self) -> Result<(), Fault> {
        let all = self.requests.all();
        let found = self.locate_requests(&all);
        let queued = self.queue.verbs_of(&all.iter().map(|request| request.message.clone()).collect());
        let gone: HashSet<(Base, String)> = all
            .iter()
            .filter(|request| {
                let asked = verbs(&request.what);
                let queued = queued.get(&request.message);
                match found.get(&request.message).and_then(|all| all.iter().find(|f| is_about(request, &f.1))) {
                    Some((_, message)) => !asked.iter().any(|&verb| is_left(message.row.flags, verb)),
                    // It is in the queue, and may come back.
                    None => queued.is_none_or(|queued| {
                        asked.iter().all(|&verb| queue_verb(verb).is_some_and(|verb| queued.contains(&verb)))
                    }),
                }
            })
            .map(|request| (request.message.clone(), request.what.clone()))
            .collect();
        self.requests.remove(|request| gone.contains(&(request.message.clone(), request.what.clone())))?;
        self.show_requests()
    }

    /// The flag is on those messages of which something is requested, and on no other.
    fn show_requests(&self) -> Result<(), Fault> {
        let all = self.requests.all();
        let messages: HashMap<&Base, &queue::Request> = all.iter().map(|r| (&r.message, r)).collect();
        for kept in Kept::ALL {
            let (mut add, mut remove) = (UidRanges::new(), UidRanges::new());
            self.store.shared_rows(kept, |row, folder| {
                let shown = row.flags.has(Flags::RELEASE_REQUESTED);
                if shown || !messages.is_empty() {
                    let requested = messages.contains_key(&folder.name(row).base);
                    match (shown, requested) {
                        (true, false) => remove.add(row.uid, row.uid),
                        (false, true) => add.add(row.uid, row.uid),
                        _ => {}
                    }
                }
            });
            for (how, uids) in [(Flagging::Add, add), (Flagging::Remove, remove)] {
                if !uids.is_empty() {
                    self.store.set_flags(Reach::All, kept, &uids, how, Flags::RELEASE_REQUESTED)?;
                }
            }
        }
        Ok(())
    }

    /// Notes what became of requests, and takes the flag from messages of which nothing is requested any more.
    fn decided(&self, removed: &[queue::Request], event: &str, by: &str) -> Result<(), Fault> {
        if removed.is_empty() {
            return Ok(());
        }
        let now = self.store.now();
        for request in removed {
            self.note_request(now, request, event, by);
        }
        let left: HashSet<Base> = self.requests.all().into_iter().map(|request| request.message).collect();
        let bare: Vec<queue::Request> = removed.iter().filter(|r| !left.contains(&r.message)).cloned().collect();
        for (kept, message) in self.locate_requests(&bare).into_values().flatten() {
            let uid = UidRanges::one(message.row.uid, message.row.uid);
            self.store.set_flags(Reach::All, kept, &uid, Flagging::Remove, Flags::RELEASE_REQUESTED)?;
        }
        Ok(())
    }

    fn requests_where(&self, wanted: impl Fn((&queue::Request, &Located)) -> bool) -> Vec<Request> {
        let all = self.requests.all();
        let found = self.locate_requests(&all);
        let described = all.iter().filter_map(|request| {
            let (kept, message) = found.get(&request.message)?.iter().find(|(_, m)| is_about(request, m))?;
            wanted((request, message)).then(|| Request {
                id: request.message.to_string(),
                recipient: message.tree.address.to_string(),
                verbs: verbs(&request.what),
                by: login(request.asker, &message.tree.address.to_string()),
                asked: Timestamp::from_secs(request.asked),
                kept: *kept,
                uid: message.row.uid,
                class: message.row.class,
                kind: message.row.kind,
            })
        });
        described.collect()
    }

    /// Whether this account may do what was requested.
    fn may_decide(&self, account: &Account, (request, message): (&queue::Request, &Located)) -> bool {
        let may = |verb: Verb| {
            self.options.policy.access(&account.scope, message.row.class, message.row.kind, verb) == Access::Act
        };
        account.scope.sees(&message.tree.address) && verbs(&request.what).into_iter().all(may)
    }

    /// The messages of these requests, in one pass through all folders.
    fn locate_requests(&self, all: &[queue::Request]) -> HashMap<Base, Vec<(Kept, Located)>> {
        let wanted: HashSet<&Base> = all.iter().map(|request| &request.message).collect();
        let mut found: HashMap<Base, Vec<(Kept, Located)>> = HashMap::new();
        if wanted.is_empty() {
            return found;
        }
        for kept in Kept::ALL {
            let mut uids = Vec::new();
            self.store.shared_rows(kept, |row, folder| {
                if wanted.contains(&folder.name(row).base) {
                    uids.push(row.uid);
                }
            });
            for message in uids.into_iter().filter_map(|uid| self.store.locate(kept, uid)) {
                found.entry(message.name.base.clone()).or_default().push((kept, message));
            }
        }
        found
    }

    fn note_request(&self, now: Timestamp, request: &queue::Request, event: &str, by: &str) {
        let tree = request.tree.to_string();
        let details = json!({ "verbs": words(&request.what), "asked_by": login(request.asker, &tree) });
        self.journal.note(now, &request.message.to_string(), &tree, event, by, details);
    }
}

fn nothing_waits() -> Denied {
    Denied::impossible("no request for that message waits for you: it was decided, or the message is gone")
}

fn is_about(request: &queue::Request, message: &Located) -> bool {
    request.tree.is(&message.tree.address.to_string())
}

/// The login of the scope that asked: the tree tells which domain and which recipient.
pub(super) fn login(asker: Asker, tree: &str) -> String {
    match asker {
        Asker::Recipient => tree.to_string(),
        Asker::Domain => tree.rsplit_once('@').map_or(tree, |(_, domain)| domain).to_string(),
        Asker::Global => Scope::Global.to_string(),
        Asker::Command => "command".to_string(),
    }
}
