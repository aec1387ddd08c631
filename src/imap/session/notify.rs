//! NOTIFY (RFC 5465): what changes is told between commands, and of folders that are not open.

use super::reply::Reply;
use super::{After, Flow, Job, Session};
use crate::base::{Piece, UidRanges};
use crate::imap::commands::Numbers;
use crate::imap::items::StatusItem;
use crate::imap::notify::{BADEVENT, News, Notify};
use crate::imap::question::{Answer, Fetch, FolderStatus, OVERFLOW, Question};
use crate::imap::view::Tell;
use crate::imap::write::{self, push};

/// When something is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// At the end of a command.
    Command,
    /// In IDLE.
    Idle,
    /// No command is under way.
    Between,
}

/// What goes on with NOTIFY.
#[derive(Debug)]
pub(super) enum NotifyJob {
    /// The figures of all folders are asked for; these are the wishes.
    Begin(Box<Notify>),
    /// Figures are asked for since something changed.
    Watch(After),
    /// What the client wants to know of new messages is asked for.
    New(Fetch, After),
}

impl Session {
    pub(super) fn notify(&mut self, notify: Box<Notify>) -> Flow {
        if notify.unknown_event {
            return self.finish(Reply::no(BADEVENT, "other events than these are not known here"));
        }
        let question = Question::Watch { on: notify.watches(), children: notify.watches_children() };
        Flow::Ask(question, Job::Notify(NotifyJob::Begin(notify)))
    }

    /// What of the open folder may be told at this moment; `None`: nothing is asked for.
    pub(super) fn may_tell(&self, moment: Moment) -> Option<Tell> {
        let in_command = self.numbers == Numbers::MayChange;
        match (&self.notify, moment) {
            (None, Moment::Between) => None,
            (None, Moment::Idle) => Some(Tell { removals: true, flags: true }),
            (None, Moment::Command) => Some(Tell { removals: in_command, flags: true }),
            (Some(notify), moment) => notify.selected.as_ref().map(|selected| Tell {
                removals: match moment {
                    Moment::Command => in_command,
                    Moment::Idle => true,
                    Moment::Between => !selected.delayed,
                },
                flags: selected.flags,
            }),
        }
    }

    /// Looks for what changed: in the open folder, then in the others.
    pub(super) fn look(&mut self, moment: Moment, after: After) -> Flow {
        match (self.view().map(|view| view.modseq), self.may_tell(moment)) {
            (Some(since), Some(tell)) => Flow::Ask(Question::Poll { since }, Job::Poll(tell, after)),
            _ => self.after(after),
        }
    }

    /// After the open folder's: the items that the client wants of new messages.
    pub(super) fn news(&mut self, after: After) -> Flow {
        let items = self.notify.as_ref().and_then(|notify| notify.selected.as_ref()).map(|s| s.items.clone());
        let Some(view) = self.view_mut() else { return self.after(after) };
        match (view.news_from.take(), items) {
            (Some(from), Some(items)) if !items.is_empty() => {
                let (list, recent) = (view.list.clone(), view.recent.clone());
                let uids = UidRanges::one(from, u32::MAX);
                let items = items.into();
                let fetch = Fetch { list, uids, from: 0, items, recent, since: 0, mark_seen: false };
                Flow::Ask(Question::Fetch(fetch.clone()), Job::Notify(NotifyJob::New(fetch, after)))
            }
            _ => self.after(after),
        }
    }

    /// Asks for the figures of the other folders, if the client wants to know of them.
    pub(super) fn watch(&mut self, after: After) -> Flow {
        match &self.notify {
            Some(notify) if notify.watches() => {
                let question = Question::Watch { on: true, children: notify.watches_children() };
                Flow::Ask(question, Job::Notify(NotifyJob::Watch(after)))
            }
            _ => Flow::Next(after.into()),
        }
    }

    pub(super) fn notify_answered(&mut self, job: NotifyJob, answer: Answer, out: &mut Vec<u8>) -> Flow {
        let open = self.view().map(|view| view.name.clone());
        match (job, answer) {
            (NotifyJob::Begin(mut notify), Answer::Watched(folders)) => {
                let news = notify.begin(folders, open.as_deref());
                self.notify = Some(notify);
                self.write_news(&news, out);
                // RFC 5465 3.1: it implies NOOP
                self.finish(Reply::ok("you will be told"))
            }
            (NotifyJob::Begin(_), Answer::Refused(refusal)) => self.finish(refusal.into()),
            (NotifyJob::Begin(_), _) => self.finish(Reply::bug()),
            (NotifyJob::Watch(after), Answer::Watched(folders)) => {
                let news = self.notify.as_mut().map(|notify| notify.changed(folders, open.as_deref()));
                self.write_news(&news.unwrap_or_default(), out);
                Flow::Next(after.into())
            }
            (NotifyJob::Watch(after), Answer::Refused(refusal)) if refusal.code == Some(OVERFLOW) => {
                // RFC 5465 5.8: as if it had sent NOTIFY NONE
                self.notify = None;
                push(out, format_args!("* OK [{OVERFLOW}] "));
                write::text(out, &refusal.text);
                out.extend_from_slice(b"\r\n");
                Flow::Next(after.into())
            }
            (NotifyJob::Watch(after), _) => Flow::Next(after.into()),
            (NotifyJob::New(mut fetch, after), Answer::Rows(rows)) => {
                self.pieces.extend(rows.pieces);
                match rows.next {
                    Some(next) if next > fetch.from => {
                        fetch.from = next;
                        Flow::Ask(Question::Fetch(fetch.clone()), Job::Notify(NotifyJob::New(fetch, after)))
                    }
                    _ => self.after(after),
                }
            }
            (NotifyJob::New(_, after), _) => self.after(after),
        }
    }

    fn write_news(&mut self, news: &[News], out: &mut Vec<u8>) {
        let mut items = vec![StatusItem::Messages, StatusItem::UidNext, StatusItem::UidValidity, StatusItem::Unseen];
        if self.enabled.condstore {
            items.push(StatusItem::HighestModSeq);
        }
        let utf8 = self.enabled.names_are_utf8();
        for news in news {
            match news {
                News::Status(name, figures) => {
                    let status = FolderStatus { figures: *figures, ..FolderStatus::default() };
                    super::folders::write_status(out, name, &items, &status, utf8);
                }
                News::NoAccess(name) => {
                    let mut line = b"* LIST (\\NoAccess) \"/\" ".to_vec();
                    write::mailbox(&mut line, name, utf8);
                    line.extend_from_slice(b"\r\n");
                    self.pieces.push_back(Piece::Bytes(line));
                }
            }
        }
    }
}
