//! GETQUOTA and its kind (RFC 9208). Every account has one quota root, named by the empty string.

use super::reply::Reply;
use super::{Flow, Job, Session};
use crate::imap::question::{Answer, Question, Quota};
use crate::imap::request::QuotaAsk;
use crate::imap::write::{self, push};

/// What is told when usage is known.
#[derive(Debug)]
pub(super) enum QuotaJob {
    /// GETQUOTA
    Root,
    /// GETQUOTAROOT of this mailbox
    Mailbox(String),
}

impl Session {
    pub(super) fn quota(&mut self, ask: QuotaAsk) -> Flow {
        match ask {
            QuotaAsk::Root(root) if root.is_empty() => Flow::Ask(Question::Quota(None), Job::Quota(QuotaJob::Root)),
            QuotaAsk::Root(_) => {
                self.finish(Reply::no("NONEXISTENT", "there is one quota root, and its name is the empty string"))
            }
            QuotaAsk::Mailbox(name) => {
                Flow::Ask(Question::Quota(Some(name.clone())), Job::Quota(QuotaJob::Mailbox(name)))
            }
            QuotaAsk::Set => self.finish(Reply::no("NOPERM", "what a quarantine may hold is not set over IMAP")),
        }
    }

    pub(super) fn quota_answered(&mut self, job: QuotaJob, answer: Answer, out: &mut Vec<u8>) -> Flow {
        let quota = match answer {
            Answer::Quota(quota) => quota,
            Answer::Refused(refusal) => return self.finish(refusal.into()),
            _ => return self.finish(Reply::bug()),
        };
        if let QuotaJob::Mailbox(name) = job {
            out.extend_from_slice(b"* QUOTAROOT ");
            write::mailbox(out, &name, self.enabled.names_are_utf8());
            out.extend_from_slice(if quota.is_some() { b" \"\"\r\n" } else { b"\r\n" });
        }
        if let Some(Quota { bytes, most_bytes, messages, most_messages }) = quota {
            // RFC 9208 5.1: STORAGE counts units of 1024 bytes
            let (kilo, most_kilo) = (bytes.div_ceil(1024), most_bytes / 1024);
            push(out, format_args!("* QUOTA \"\" (STORAGE {kilo} {most_kilo} MESSAGE {messages} {most_messages})\r\n"));
        }
        self.finish(Reply::ok("done"))
    }
}
