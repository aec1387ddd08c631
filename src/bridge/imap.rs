//! IMAP's questions, answered by the quarantine.

use super::crew::Crew;
use super::memory::Memory;
use super::search::Ordering;
use super::turn::Pace;
use super::{Answered, Bridge, Place};
use crate::base::{Flags, UidRanges, limits};
use crate::imap::Session;
use crate::imap::question::{
    Answer, Changes, Figures, FlagRow, Question, Refusal, Selected, Store, StoreMode, Stored, Transferred,
};
use crate::quarantine::Appending;
use crate::quarantine::folders::{Folder, Inbox};
use crate::quarantine::mailbox::Content;
use crate::quarantine::policy::{Denied, Why};
use crate::quarantine::scram::Exchange;
use crate::quarantine::{Account, Accounts, Failed, Mailbox, Quarantine};
use crate::store::subscriptions::Subscriptions;
use crate::store::{Flagging, Row};
use event_listener::EventListener;
use std::net::IpAddr;
use std::sync::Arc;

/// What all IMAP connections share.
pub struct Shared {
    /// The rules.
    pub quarantine: Arc<Quarantine>,
    /// Who may log in.
    pub accounts: Arc<Accounts>,
    /// Which folders each account is subscribed to.
    pub subscriptions: Subscriptions,
    /// For what SORT and THREAD gather.
    pub ordering: Arc<Memory>,
    /// Who helps with parsing and with searching texts.
    pub crew: Crew,
}

/// One connection's side of the rules.
pub struct ImapBridge {
    pub(super) shared: Arc<Shared>,
    pub(super) peer: Option<IpAddr>,
    /// Called at the login.
    pub(super) known: Box<dyn Fn() + Send>,
    pub(super) account: Option<Account>,
    open: Option<Open>,
    /// Folders besides it whose changes wake the session.
    pub(super) watched: Vec<Mailbox>,
    appending: Vec<Appending>,
    /// A SCRAM login that goes on.
    pub(super) exchange: Option<Box<Exchange>>,
    pub(super) ordering: Option<Ordering>,
    /// That of the search that goes on.
    pub(super) pace: Pace,
}

struct Open {
    mailbox: Mailbox,
    read_only: bool,
}

impl ImapBridge {
    /// For a connection from `peer` (`None`: this machine, by a Unix socket); `known` is called when somebody logs in.
    pub fn new(shared: Arc<Shared>, peer: Option<IpAddr>, known: impl Fn() + Send + 'static) -> Self {
        ImapBridge {
            shared,
            peer,
            known: Box::new(known),
            account: None,
            open: None,
            watched: Vec::new(),
            appending: Vec::new(),
            exchange: None,
            ordering: None,
            pace: Pace::default(),
        }
    }

    fn try_answer(&mut self, question: Question) -> Result<Answer, Refusal> {
        if !matches!(question, Question::Search(_)) {
            // the command that had gathered something was broken off
            self.ordering = None;
        }
        match question {
            // It has a way of its own, on which another server may have to be asked.
            Question::Login { .. } => Err(out_of_step()),
            Question::ScramBegin(first) => self.scram_begin(first.expose()),
            Question::ScramEnd(last) => self.scram_end(last.expose()),
            Question::Folders => self.folders().map(Answer::Folders),
            Question::Folder(name) => self.one_folder(&name).map(Answer::Folder),
            Question::Subscribe(name, on) => self.subscribe(&name, on),
            Question::Status(name) => self.status(&name),
            Question::Quota(name) => self.quota(name.as_deref()).map(Answer::Quota),
            Question::Watch { on, children } => self.watch(on, children),
            Question::Select { folder, read_only } => self.select(&folder, read_only),
            Question::Unselect => {
                self.open = None;
                Ok(Answer::Done)
            }
            Question::Poll { since } => self.poll(since),
            Question::Vanished { since, known } => self.vanished(since, &known),
            Question::Fetch(fetch) => self.fetch(&fetch),
            Question::Search(search) => self.search(&search),
            Question::Store(store) => self.store(&store),
            Question::Transfer { uids, target, take } => self.transfer(&uids, &target, take),
            Question::Expunge { uids } => self.expunge(uids),
            Question::AppendStart { folder, size, .. } => self.append_start(&folder, size),
            Question::AppendData(bytes) => {
                let appending = self.appending.last_mut().ok_or_else(out_of_step)?;
                appending.write(&bytes).map_err(|f| refused(f.into()))?;
                Ok(Answer::Done)
            }
            Question::AppendEnd => {
                let appending = std::mem::take(&mut self.appending);
                self.shared.quarantine.append_end(self.account()?, appending).map_err(refused)?;
                // RFC 4315 3: no APPENDUID for a mailbox that cannot be read.
                Ok(Answer::Appended { uids: None })
            }
            Question::AppendCancel => {
                self.appending.clear();
                Ok(Answer::Done)
            }
        }
    }

    pub(super) fn account(&self) -> Result<&Account, Refusal> {
        self.account.as_ref().ok_or_else(out_of_step)
    }

    pub(super) fn content(&self) -> Result<Option<&Content>, Refusal> {
        Ok(self.open.as_ref().ok_or_else(out_of_step)?.mailbox.content.as_ref())
    }

    pub(super) fn figures(&self, mailbox: &Mailbox) -> Figures {
        let counts = self.shared.quarantine.counts(mailbox);
        Figures {
            messages: counts.messages,
            recent: counts.recent,
            unseen: counts.unseen,
            deleted: counts.deleted,
            uid_validity: counts.uid_validity,
            uid_next: counts.uid_next,
            modseq: counts.modseq,
            size: counts.bytes,
        }
    }

    fn select(&mut self, name: &str, read_only: bool) -> Result<Answer, Refusal> {
        self.open = None;
        let mailbox = self.open(name)?;
        let quarantine = &self.shared.quarantine;
        let figures = self.figures(&mailbox);
        let naming = &quarantine.options().naming;
        // RFC 4314 4: SELECT without the rights to change anything is READ-ONLY.
        let read_only = read_only || (mailbox.folder.folder == Folder::Inbox && naming.inbox == Inbox::Empty);
        let mut selected = Selected {
            name: mailbox.folder.name(naming),
            figures,
            list: Default::default(),
            recent: UidRanges::new(),
            first_unseen: None,
            read_only,
            mailbox_id: self.mailbox_id(&mailbox.folder, &figures)?,
            permanent: if mailbox.content.is_some() && !read_only { permanent() } else { Flags::NONE },
        };
        if let Some(content) = &mailbox.content {
            let view = content.cell.view();
            let told = if read_only { content.cell.told() } else { content.cell.tell(view.uid_next) };
            selected.recent = view.list.iter_from(told).collect();
            selected.first_unseen = quarantine.first_unseen(content).filter(|&uid| view.list.seq(uid).is_some());
            selected.figures.messages = view.list.len();
            selected.figures.uid_next = view.uid_next;
            selected.figures.modseq = view.modseq;
            selected.list = view.list;
        }
        self.open = Some(Open { mailbox, read_only });
        Ok(Answer::Selected(selected))
    }

    fn poll(&self, since: u64) -> Result<Answer, Refusal> {
        let open = self.open.as_ref().ok_or_else(out_of_step)?;
        let Some(content) = &open.mailbox.content else {
            let none = Changes {
                list: Default::default(),
                recent: UidRanges::new(),
                flags: Vec::new(),
                modseq: since,
                uid_next: 1,
            };
            return Ok(Answer::Changes(none));
        };
        let view = content.cell.view();
        if view.modseq <= since {
            let (uid_next, modseq) = (view.uid_next, since);
            return Ok(Answer::Changes(Changes {
                list: view.list,
                recent: UidRanges::new(),
                flags: Vec::new(),
                modseq,
                uid_next,
            }));
        }
        let told = if open.read_only { content.cell.told() } else { content.cell.tell(view.uid_next) };
        let rows = self.shared.quarantine.store.changed_since(content.sight, content.kept, since);
        let flags = rows.iter().filter(|r| view.list.seq(r.uid).is_some()).map(flag_row).collect();
        let recent = view.list.iter_from(told).collect();
        Ok(Answer::Changes(Changes { list: view.list, recent, flags, modseq: view.modseq, uid_next: view.uid_next }))
    }

    fn vanished(&self, since: u64, known: &UidRanges) -> Result<Answer, Refusal> {
        let gone = match self.content()? {
            Some(content) => self.shared.quarantine.store.vanished_since(content.sight, content.kept, since, known),
            None => known.clone(),
        };
        Ok(Answer::Vanished(gone))
    }

    fn store(&self, wanted: &Store) -> Result<Answer, Refusal> {
        let Some(content) = self.content()? else { return Ok(Answer::Stored(Stored::default())) };
        let how = match wanted.mode {
            StoreMode::Add => Flagging::Add,
            StoreMode::Remove => Flagging::Remove,
            StoreMode::Replace => Flagging::Replace,
        };
        let quarantine = &self.shared.quarantine;
        let stored = quarantine.set_flags(content, &wanted.uids, how, wanted.flags, wanted.unchanged_since);
        let stored = stored.map_err(|fault| refused(fault.into()))?;
        Ok(Answer::Stored(Stored { rows: stored.rows.iter().map(flag_row).collect(), modified: stored.modified }))
    }

    fn transfer(&self, uids: &UidRanges, target: &str, take: bool) -> Result<Answer, Refusal> {
        let folder = self.folder(target)?;
        let Some(content) = self.content()? else { return Ok(Answer::Transferred(Transferred::default())) };
        let quarantine = &self.shared.quarantine;
        let done = quarantine.put(self.account()?, content.kept, uids, folder, take).map_err(refused)?;
        let copy_uid = (!done.placed.is_empty()).then(|| {
            let (old, new) = done.placed.into_iter().unzip();
            (quarantine.store.uid_validity(), old, new)
        });
        Ok(Answer::Transferred(Transferred { copy_uid, refused: None }))
    }

    fn expunge(&self, uids: Option<UidRanges>) -> Result<Answer, Refusal> {
        let Some(content) = self.content()? else { return Ok(Answer::Done) };
        let quarantine = &self.shared.quarantine;
        let mut deleted = UidRanges::new();
        let all = uids.unwrap_or_else(|| UidRanges::one(1, u32::MAX));
        quarantine.store.rows(content.sight, content.kept, &all, |row, _| {
            if row.flags.has(Flags::DELETED) {
                deleted.add(row.uid, row.uid);
            }
            true
        });
        quarantine.expunge(self.account()?, content.kept, &deleted).map_err(refused)?;
        Ok(Answer::Done)
    }

    fn append_start(&mut self, name: &str, size: u64) -> Result<Answer, Refusal> {
        // RFC 3501 6.3.11: no TRYCREATE where nothing can be created
        let folder = self.folder(name)?;
        let quarantine = &self.shared.quarantine;
        if size > limits::MESSAGE_BYTES {
            return Err(Refusal::new(
                // RFC 7889 4
                "TOOBIG",
                format!("a message of {size} bytes is over the limit of {}", limits::MESSAGE_BYTES),
            ));
        }
        let appending = quarantine.append_start(self.account()?, folder.folder, size).map_err(refused)?;
        if let Some(last) = self.appending.last_mut() {
            last.close().map_err(|fault| refused(fault.into()))?;
        }
        self.appending.push(appending);
        Ok(Answer::Done)
    }
}

impl Bridge<Session> for ImapBridge {
    fn place(&self, question: &Question) -> Place {
        match question {
            Question::Login { user, password } if self.is_remembered(user, password) => Place::Disk,
            Question::Login { .. } | Question::ScramBegin(_) | Question::ScramEnd(_) => Place::Password,
            // There may be thousands.
            Question::Folders | Question::Folder(_) if self.shared.quarantine.options().naming.admin_tree => {
                Place::Disk
            }
            Question::Folders | Question::Folder(_) | Question::Unselect | Question::Poll { .. } => Place::Inline,
            Question::Search(_) => Place::Scan,
            _ => Place::Disk,
        }
    }

    fn answer(&mut self, question: Question) -> Answered<Self, Answer> {
        match question {
            Question::Login { user, password } => self.login(&user, &password),
            question => Answered::Done(self.try_answer(question).unwrap_or_else(Answer::Refused)),
        }
    }

    fn busy(&self) -> Answer {
        Answer::Refused(Refusal::new("UNAVAILABLE", "the server is busy, try again in a moment"))
    }

    fn changed(&self) -> Vec<EventListener> {
        let open = self.open.as_ref().map(|open| &open.mailbox);
        let contents = open.into_iter().chain(&self.watched).filter_map(|mailbox| mailbox.content.as_ref());
        contents.map(|content| content.cell.listen()).collect()
    }
}

/// Flags that a client may set.
fn permanent() -> Flags {
    let all = crate::base::flags::TABLE.len() as u32;
    Flags((1 << all) - 1).without(Flags::OURS)
}

pub(super) fn flag_row(row: &Row) -> FlagRow {
    FlagRow { uid: row.uid, flags: row.flags, modseq: row.modseq }
}

pub(super) fn denial(denied: Denied) -> Refusal {
    let code = match denied.why {
        Why::NotPermitted | Why::Requestable => "NOPERM",
        Why::Impossible => "CANNOT",
        Why::Full => "OVERQUOTA",
    };
    Refusal::new(code, denied.text)
}

/// What the client is told; what failed inside goes to the log.
pub(super) fn refused(failed: Failed) -> Refusal {
    match failed {
        Failed::Denied(denied) => denial(denied),
        Failed::Disk(fault) => {
            log::error!("{fault}");
            let full = fault.is_full();
            let text = if full {
                "the disk of the server is full"
            } else {
                "the server could not write to its disk; its log says why"
            };
            Refusal::new(if full { "OVERQUOTA" } else { "CONTACTADMIN" }, text)
        }
    }
}

/// The core asks nothing before a login or without an open folder.
pub(super) fn out_of_step() -> Refusal {
    Refusal::new("CLIENTBUG", "not now: no folder is open, or nobody is logged in")
}
