//! The commands on messages of the open folder (RFC 3501 6.4.3 to 6.4.8, RFC 4315, RFC 6851).

use super::reply::Reply;
use super::{Flow, Job, Session};
use crate::base::{Flags, UidRanges, limits};
use crate::imap::commands::Numbers;
use crate::imap::items::Item;
use crate::imap::question::{Answer, Fetch, FlagRow, Question, Refusal, Store, StoreMode, Stored, Transferred};
use crate::imap::request::Modifiers;
use crate::imap::sequence::SequenceSet;
use crate::imap::view::{self, Announcement, Show, Tell, View};
use crate::imap::write;

const GONE: &str = "some of these messages are gone";

/// What goes on with messages.
#[derive(Debug)]
pub(super) enum MessagesJob {
    /// FETCH: the messages that are gone are told before it (RFC 7162 3.2.6); `None`: none of the others is wanted.
    Vanished(Option<Fetch>),
    /// FETCH; the first reason for which not all of it was done; how it ends otherwise.
    Fetch { fetch: Fetch, trouble: Option<Refusal>, reply: Reply },
    /// STORE with `.SILENT`: what others changed is asked for first, since the client will not read the outcome.
    Before { store: Store, uid: bool, count: usize },
    /// What others changed is written, then the STORE goes on.
    Told { lines: Announcement, store: Store, uid: bool, count: usize },
    /// STORE; how many messages of the list it is about.
    Store { uid: bool, silent: bool, count: usize },
    /// The FETCH lines of a STORE are written, then the reply.
    Stored { show: Show, rows: Vec<FlagRow>, at: usize, reply: Reply },
    /// COPY or MOVE.
    Transfer { take: bool },
}

impl Session {
    pub(super) fn fetch(
        &mut self,
        uid: bool,
        set: &SequenceSet,
        mut items: Vec<Item>,
        modifiers: Modifiers,
        out: &mut Vec<u8>,
    ) -> Flow {
        let Modifiers { since, vanished, partial } = modifiers;
        if vanished && !(uid && self.enabled.qresync) {
            // RFC 7162 3.2.6
            return Flow::Next(Job::Reply(Reply::bad("VANISHED is for UID FETCH after ENABLE QRESYNC")));
        }
        if items.contains(&Item::ModSeq) {
            self.condstore(out);
        } else if self.enabled.condstore && items.iter().any(|item| *item == Item::Flags || item.marks_seen()) {
            // RFC 7162 3.1: flags never come without it again
            items.push(Item::ModSeq);
        }
        let fetch = self.uids(uid, set).and_then(|uids| {
            let view = self.view().ok_or_else(Reply::bug)?;
            let mark_seen = !view.read_only && items.iter().any(Item::marks_seen);
            let (list, recent) = (view.list.clone(), view.recent.clone());
            let since = since.unwrap_or(0);
            let uids = match partial {
                Some(partial) => {
                    let range = partial.of(list.within(&uids).count());
                    list.within(&uids).skip(range.start).take(range.len()).collect()
                }
                None => uids,
            };
            Ok(Fetch { list, uids, from: 0, items: items.into(), recent, since, mark_seen })
        });
        match (fetch, self.view(), since) {
            (fetch, Some(view), Some(since)) if vanished => {
                let known = set.up_to(view.uid_next.saturating_sub(1));
                let question = Question::Vanished { since, known };
                Flow::Ask(question, Job::Messages(MessagesJob::Vanished(fetch.ok())))
            }
            (Ok(fetch), ..) => fetching(fetch, None, Reply::ok("fetched")),
            (Err(reply), ..) => self.finish(reply),
        }
    }

    #[allow(clippy::too_many_arguments)] // they are the command's
    pub(super) fn store(
        &mut self,
        uid: bool,
        set: &SequenceSet,
        mode: StoreMode,
        silent: bool,
        flags: Flags,
        unchanged_since: Option<u64>,
        out: &mut Vec<u8>,
    ) -> Flow {
        if unchanged_since.is_some() {
            self.condstore(out);
        }
        let uids = match self.writable().and_then(|()| self.uids(uid, set)) {
            Ok(uids) => uids,
            Err(reply) => return self.finish(reply),
        };
        let Some(view) = self.view() else { return Flow::Next(Job::Reply(Reply::bug())) };
        let count = view.list.within(&uids).count();
        let flags = flags & view.permanent;
        let store = Store { uids, mode, flags, unchanged_since };
        if silent {
            let since = view.modseq;
            return Flow::Ask(Question::Poll { since }, Job::Messages(MessagesJob::Before { store, uid, count }));
        }
        Flow::Ask(Question::Store(store), Job::Messages(MessagesJob::Store { uid, silent, count }))
    }

    pub(super) fn transfer(&mut self, uid: bool, set: &SequenceSet, target: String, take: bool) -> Flow {
        let allowed = if take { self.writable() } else { Ok(()) };
        match allowed.and_then(|()| self.uids(uid, set)) {
            Ok(uids) => {
                Flow::Ask(Question::Transfer { uids, target, take }, Job::Messages(MessagesJob::Transfer { take }))
            }
            Err(reply) => self.finish(reply),
        }
    }

    pub(super) fn expunge(&mut self, set: Option<SequenceSet>) -> Flow {
        let uids = match set {
            Some(set) => self.writable().and_then(|()| self.uids(true, &set)).map(Some),
            None => self.writable().map(|()| None),
        };
        match uids {
            Ok(uids) => Flow::Ask(Question::Expunge { uids }, Job::Plain("expunged")),
            Err(reply) => self.finish(reply),
        }
    }

    /// The UIDs that a set means; the reply that ends the command when there are none.
    fn uids(&self, uid: bool, set: &SequenceSet) -> Result<UidRanges, Reply> {
        let Some(view) = self.view() else { return Err(Reply::bug()) };
        match set.named(uid, &view.list, &view.saved) {
            Ok(uids) if view.list.within(&uids).next().is_some() => Ok(uids),
            // RFC 3501 6.4.8: a UID that is not there is passed over without an error
            Ok(_) => Err(Reply::ok("there are no such messages")),
            Err(bad) => Err(bad.into()),
        }
    }

    fn writable(&self) -> Result<(), Reply> {
        if self.view().is_some_and(|view| view.read_only) {
            return Err(Reply::no("READ-ONLY", "this folder was opened for reading only"));
        }
        Ok(())
    }

    pub(super) fn messages_go(&mut self, job: MessagesJob, out: &mut Vec<u8>) -> Flow {
        match job {
            MessagesJob::Fetch { fetch, trouble, reply } => fetching(fetch, trouble, reply),
            MessagesJob::Stored { show, rows, mut at, reply } => {
                let Some(view) = self.view() else { return Flow::Next(Job::Reply(Reply::bug())) };
                while let Some(row) = rows.get(at) {
                    if out.len() >= limits::OUTPUT_BYTES {
                        return Flow::Next(Job::Messages(MessagesJob::Stored { show, rows, at, reply }));
                    }
                    if let Some(seq) = view.list.seq(row.uid) {
                        view::flag_line(out, seq, row, view, self.enabled, show);
                    }
                    at += 1;
                }
                self.finish(reply)
            }
            MessagesJob::Told { mut lines, store, uid, count } => {
                let Some(view) = self.view() else { return Flow::Next(Job::Reply(Reply::bug())) };
                if !lines.write(view, self.enabled, out) {
                    return Flow::Next(Job::Messages(MessagesJob::Told { lines, store, uid, count }));
                }
                let job = MessagesJob::Store { uid, silent: true, count };
                Flow::Ask(Question::Store(store), Job::Messages(job))
            }
            MessagesJob::Vanished(_)
            | MessagesJob::Before { .. }
            | MessagesJob::Store { .. }
            | MessagesJob::Transfer { .. } => Flow::Next(Job::Reply(Reply::bug())),
        }
    }

    pub(super) fn messages_answered(&mut self, job: MessagesJob, answer: Answer, out: &mut Vec<u8>) -> Flow {
        match (job, answer) {
            (MessagesJob::Vanished(fetch), Answer::Vanished(gone)) => {
                self.vanished(&gone);
                match fetch {
                    Some(fetch) => fetching(fetch, None, Reply::ok("fetched")),
                    None => self.finish(Reply::ok("fetched")),
                }
            }
            (MessagesJob::Fetch { mut fetch, trouble, reply }, Answer::Rows(rows)) => {
                self.pieces.extend(rows.pieces);
                if let Some(view) = self.view_mut() {
                    view.told(rows.changed);
                }
                let by_number = self.numbers == Numbers::Stay;
                let gone = || Refusal::new("EXPUNGEISSUED", GONE);
                let trouble = trouble.or(rows.refused).or_else(|| (rows.vanished && by_number).then(gone));
                // RFC 3501 6.4.8: a UID that is not there any more is no error
                let reply = if rows.vanished && reply.code.is_none() {
                    Reply::ok(GONE).with_code("EXPUNGEISSUED")
                } else {
                    reply
                };
                match rows.next {
                    Some(next) if next > fetch.from => {
                        fetch.from = next;
                        Flow::Next(Job::Messages(MessagesJob::Fetch { fetch, trouble, reply }))
                    }
                    _ => self.finish(trouble.map_or(reply, Reply::from)),
                }
            }
            (MessagesJob::Before { store, uid, count }, Answer::Changes(changes)) => {
                let enabled = self.enabled;
                let Some(view) = self.view_mut() else { return Flow::Next(Job::Reply(Reply::bug())) };
                let lines = view.update(changes, Tell { removals: false, flags: true }, enabled);
                Flow::Next(Job::Messages(MessagesJob::Told { lines, store, uid, count }))
            }
            (MessagesJob::Store { uid, silent, count }, Answer::Stored(Stored { rows, modified })) => {
                let enabled = self.enabled;
                let Some(view) = self.view_mut() else { return Flow::Next(Job::Reply(Reply::bug())) };
                view.told(rows.iter().copied());
                let reply = match (rows.len() + modified.len() < count, uid) {
                    // RFC 2180 4.2.1
                    (true, false) if !silent => Reply::no("EXPUNGEISSUED", GONE),
                    (true, true) => Reply::ok(GONE).with_code("EXPUNGEISSUED"),
                    _ => Reply::ok("stored"),
                };
                let reply = match modified.as_slice() {
                    [] => reply,
                    modified => Reply { code: Some(modified_code(view, modified, uid).into()), ..reply },
                };
                // RFC 7162 3.1.3: .SILENT hides the flags, not the MODSEQ
                let rows = if silent && !enabled.condstore { Vec::new() } else { rows };
                let show = Show { uid, flags: !silent };
                Flow::Next(Job::Messages(MessagesJob::Stored { show, rows, at: 0, reply }))
            }
            (MessagesJob::Transfer { take }, Answer::Transferred(done)) => self.transferred(take, done, out),
            (_, refused) => self.refused(refused),
        }
    }

    fn transferred(&mut self, take: bool, done: Transferred, out: &mut Vec<u8>) -> Flow {
        let code = done.copy_uid.map(|(validity, from, to)| {
            let mut code = format!("COPYUID {validity} ").into_bytes();
            write::uid_set(&mut code, &from);
            code.push(b' ');
            write::uid_set(&mut code, &to);
            String::from_utf8_lossy(&code).into_owned()
        });
        let ok = Reply::ok(if take { "moved" } else { "copied" });
        match (code, done.refused) {
            (Some(code), None) if !take => self.finish(ok.with_code(code)),
            (code, refused) => {
                if let Some(code) = code {
                    // RFC 6851 4.3: before the EXPUNGEs of those that were moved
                    Reply::ok("done").with_code(code).write("*", out);
                }
                self.finish(refused.map_or(ok, Reply::from))
            }
        }
    }

    fn refused(&mut self, answer: Answer) -> Flow {
        match answer {
            Answer::Refused(refusal) => self.finish(refusal.into()),
            _ => self.finish(Reply::bug()),
        }
    }
}

/// Asks for the next lines of a FETCH.
fn fetching(fetch: Fetch, trouble: Option<Refusal>, reply: Reply) -> Flow {
    Flow::Ask(Question::Fetch(fetch.clone()), Job::Messages(MessagesJob::Fetch { fetch, trouble, reply }))
}

/// `MODIFIED` with the numbers that the client used (RFC 7162 3.1.3).
fn modified_code(view: &View, modified: &[u32], uid: bool) -> String {
    let seqs: Vec<u32> = modified.iter().filter_map(|&uid| view.list.seq(uid)).collect();
    let mut code = b"MODIFIED ".to_vec();
    write::uid_set(&mut code, if uid { modified } else { &seqs });
    String::from_utf8_lossy(&code).into_owned()
}
