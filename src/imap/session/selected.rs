//! Opening and leaving a folder (RFC 3501 6.3.1, 6.3.2, 6.4.2, RFC 3691).

use super::reply::Reply;
use super::{Flow, Job, Session, State};
use crate::base::Flags;
use crate::base::flags::TABLE;
use crate::imap::question::{Answer, Question, Selected};
use crate::imap::view::View;
use crate::imap::write::{self, push};

/// What is asked of the bridge.
#[derive(Debug)]
pub(super) enum SelectedJob {
    /// SELECT or EXAMINE.
    Select { read_only: bool },
    /// CLOSE: the messages marked `\Deleted` are removed first.
    Expunge,
    /// The folder is left.
    Leave,
}

impl Session {
    pub(super) fn close(&mut self, expunge: bool) -> Flow {
        if expunge && self.view().is_some_and(|view| !view.read_only) {
            Flow::Ask(Question::Expunge { uids: None }, Job::Selected(SelectedJob::Expunge))
        } else {
            Flow::Ask(Question::Unselect, Job::Selected(SelectedJob::Leave))
        }
    }

    pub(super) fn selected_answered(&mut self, job: SelectedJob, answer: Answer, out: &mut Vec<u8>) -> Flow {
        match (job, answer) {
            (SelectedJob::Select { read_only }, Answer::Selected(mut selected)) => {
                selected.read_only |= read_only;
                let reply = if selected.read_only {
                    Reply::ok("opened for reading").with_code("READ-ONLY")
                } else {
                    Reply::ok("opened").with_code("READ-WRITE")
                };
                self.open(selected, out);
                Flow::Next(Job::Reply(reply))
            }
            (SelectedJob::Select { .. }, Answer::Refused(refusal)) => Flow::Next(Job::Reply(refusal.into())),
            (SelectedJob::Select { .. }, _) => Flow::Next(Job::Reply(Reply::bug())),
            // RFC 3501 6.4.2: CLOSE leaves the folder also when nothing may be removed
            (SelectedJob::Expunge, _) => Flow::Ask(Question::Unselect, Job::Selected(SelectedJob::Leave)),
            (SelectedJob::Leave, _) => {
                self.state = State::User;
                Flow::Next(Job::Reply(Reply::ok("closed")))
            }
        }
    }

    fn open(&mut self, mut selected: Selected, out: &mut Vec<u8>) {
        let figures = selected.figures;
        let (first_unseen, not_sticky) = (selected.first_unseen, selected.uid_not_sticky);
        let mailbox_id = std::mem::take(&mut selected.mailbox_id);
        let view = View::new(selected);
        let all = Flags(u32::MAX >> (32 - TABLE.len()));
        out.extend_from_slice(b"* FLAGS ");
        write::flags(out, all, false);
        push(out, format_args!("\r\n* {} EXISTS\r\n* {} RECENT\r\n", view.list.len(), view.recent_count()));
        if let Some(seq) = first_unseen.and_then(|uid| view.list.seq(uid)) {
            push(out, format_args!("* OK [UNSEEN {seq}] the first one that was not seen\r\n"));
        }
        let permanent = if view.read_only { Flags::NONE } else { view.permanent };
        out.extend_from_slice(b"* OK [PERMANENTFLAGS ");
        write::flags(out, permanent, false);
        out.extend_from_slice(b"] these can be changed\r\n");
        push(out, format_args!("* OK [UIDVALIDITY {}] UIDs are valid\r\n", figures.uid_validity));
        push(out, format_args!("* OK [UIDNEXT {}] the next UID, at the earliest\r\n", figures.uid_next));
        // RFC 8474 4.2
        push(out, format_args!("* OK [MAILBOXID ({mailbox_id})] this folder for good\r\n"));
        if not_sticky {
            out.extend_from_slice(b"* NO [UIDNOTSTICKY] what is put here does not stay\r\n");
        }
        self.woken = false;
        self.state = State::Open(Box::new(view));
    }
}
