//! Opening and leaving a folder (RFC 3501 6.3.1, 6.3.2, 6.4.2, RFC 3691), and what a client that comes back is told of
//! what it missed (RFC 7162 3.2.5).

use super::messages::MessagesJob;
use super::reply::Reply;
use super::{Flow, Job, Session, State};
use crate::base::flags::TABLE;
use crate::base::{Flags, Piece, UidRanges};
use crate::imap::items::Item;
use crate::imap::question::{Answer, Fetch, Question, Selected};
use crate::imap::request::{Known, Resync};
use crate::imap::view::{self, View};
use crate::imap::write::{self, push};

/// What is asked of the bridge.
#[derive(Debug)]
pub(super) enum SelectedJob {
    /// SELECT or EXAMINE.
    Select { read_only: bool, known: Known },
    /// What the client knew and is gone, then what changed, then the reply.
    Resync { fetch: Fetch, reply: Reply },
    /// CLOSE: the messages marked `\Deleted` are removed first.
    Expunge,
    /// The folder is left.
    Leave,
}

impl Session {
    pub(super) fn select(&mut self, mailbox: String, read_only: bool, known: Known, out: &mut Vec<u8>) -> Flow {
        if matches!(known, Known::Resync(_)) && !self.enabled.qresync {
            // RFC 7162 3.2.5
            return Flow::Next(Job::Reply(Reply::bad("ENABLE QRESYNC first")));
        }
        if self.view().is_some() && (self.enabled.qresync || self.enabled.rev2) {
            // RFC 7162 3.2.11, RFC 9051 7.1: from here on, responses are about the new folder
            Reply::ok("the folder that was open is closed").with_code("CLOSED").write("*", out);
        }
        self.state = State::User;
        self.enabled.condstore |= known == Known::Condstore;
        Flow::Ask(
            Question::Select { folder: mailbox, read_only },
            Job::Selected(SelectedJob::Select { read_only, known }),
        )
    }

    pub(super) fn close(&mut self, expunge: bool) -> Flow {
        if expunge && self.view().is_some_and(|view| !view.read_only) {
            Flow::Ask(Question::Expunge { uids: None }, Job::Selected(SelectedJob::Expunge))
        } else {
            Flow::Ask(Question::Unselect, Job::Selected(SelectedJob::Leave))
        }
    }

    pub(super) fn selected_answered(&mut self, job: SelectedJob, answer: Answer, out: &mut Vec<u8>) -> Flow {
        match (job, answer) {
            (SelectedJob::Select { read_only, known }, Answer::Selected(mut selected)) => {
                selected.read_only |= read_only;
                let reply = if selected.read_only {
                    Reply::ok("opened for reading").with_code("READ-ONLY")
                } else {
                    Reply::ok("opened").with_code("READ-WRITE")
                };
                let uid_validity = selected.figures.uid_validity;
                let view = self.open(selected, out);
                let flow = match known {
                    Known::Resync(known) if known.uid_validity == uid_validity => resync(&view, &known, reply),
                    _ => Flow::Next(Job::Reply(reply)),
                };
                self.state = State::Open(Box::new(view));
                flow
            }
            (SelectedJob::Select { .. }, Answer::Refused(refusal)) => Flow::Next(Job::Reply(refusal.into())),
            (SelectedJob::Select { .. }, _) => Flow::Next(Job::Reply(Reply::bug())),
            (SelectedJob::Resync { fetch, reply }, Answer::Vanished(gone)) => {
                self.vanished(&gone);
                let job = MessagesJob::Fetch { fetch: fetch.clone(), trouble: None, reply };
                Flow::Ask(Question::Fetch(fetch), Job::Messages(job))
            }
            (SelectedJob::Resync { .. }, Answer::Refused(refusal)) => {
                // RFC 3501 6.3.1: a SELECT that fails leaves no folder open
                self.state = State::User;
                Flow::Next(Job::Reply(refusal.into()))
            }
            (SelectedJob::Resync { .. }, _) => Flow::Next(Job::Reply(Reply::bug())),
            // RFC 3501 6.4.2: CLOSE leaves the folder also when nothing may be removed
            (SelectedJob::Expunge, _) => Flow::Ask(Question::Unselect, Job::Selected(SelectedJob::Leave)),
            (SelectedJob::Leave, _) => {
                self.state = State::User;
                Flow::Next(Job::Reply(Reply::ok("closed")))
            }
        }
    }

    /// Tells what left before the folder was opened. What left since is told as a removal, later.
    pub(super) fn vanished(&mut self, gone: &UidRanges) {
        if let Some(view) = self.view() {
            let mut lines = Vec::new();
            view::write_earlier(&mut lines, gone, &view.list);
            self.pieces.push_back(Piece::Bytes(lines));
        }
    }

    fn open(&mut self, mut selected: Selected, out: &mut Vec<u8>) -> View {
        let figures = selected.figures;
        let first_unseen = selected.first_unseen;
        let mailbox_id = std::mem::take(&mut selected.mailbox_id);
        let view = View::new(selected, self.enabled);
        let all = Flags(u32::MAX >> (32 - TABLE.len()));
        out.extend_from_slice(b"* FLAGS ");
        write::flags(out, all, false);
        out.extend_from_slice(b"\r\n");
        view::write_exists(out, &view, self.enabled);
        if let Some(seq) = first_unseen.and_then(|uid| view.list.seq(uid)).filter(|_| !self.enabled.rev2) {
            push(out, format_args!("* OK [UNSEEN {seq}] the first one that was not seen\r\n"));
        }
        let permanent = if view.read_only { Flags::NONE } else { view.permanent };
        out.extend_from_slice(b"* OK [PERMANENTFLAGS ");
        write::flags(out, permanent, false);
        out.extend_from_slice(b"] these can be changed\r\n");
        push(out, format_args!("* OK [UIDVALIDITY {}] UIDs are valid\r\n", figures.uid_validity));
        push(out, format_args!("* OK [UIDNEXT {}] the next UID, at the earliest\r\n", figures.uid_next));
        push(out, format_args!("* OK [HIGHESTMODSEQ {}] changes up to there are known\r\n", figures.modseq));
        // RFC 8474 4.2
        push(out, format_args!("* OK [MAILBOXID ({mailbox_id})] this folder for good\r\n"));
        if self.enabled.rev2 {
            // RFC 9051 6.3.2
            out.extend_from_slice(b"* LIST () \"/\" ");
            write::mailbox(out, &view.name, self.enabled.names_are_utf8());
            out.extend_from_slice(b"\r\n");
        }
        self.woken = false;
        view
    }
}

/// Asks for what a client missed.
fn resync(view: &View, known: &Resync, reply: Reply) -> Flow {
    let last = view.uid_next.saturating_sub(1);
    let uids = known.uids.as_ref().map_or_else(|| UidRanges::up_to(last), |set| set.up_to(last));
    // RFC 7162 3.2.5.2: below a message that stands where it stood, nothing is gone that the client does not know of
    let same = known.pairs.iter().rev().find(|(seq, uid)| view.list.uid(*seq) == Some(*uid));
    let from = same.map_or(1, |(_, uid)| uid.saturating_add(1));
    let asked = uids.iter().filter(|&(_, high)| high >= from).map(|(low, high)| (low.max(from), high)).collect();
    let fetch = Fetch {
        list: view.list.clone(),
        uids,
        from: 0,
        items: [Item::Uid, Item::Flags, Item::ModSeq].into(),
        recent: view.recent.clone(),
        since: known.modseq,
        mark_seen: false,
    };
    let question = Question::Vanished { since: known.modseq, known: asked };
    Flow::Ask(question, Job::Selected(SelectedJob::Resync { fetch, reply }))
}
