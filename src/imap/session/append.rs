//! APPEND (RFC 3501 6.3.11), with several messages at once (RFC 3502), or with UTF-8 headers (RFC 6855 4). A message passes
//! through in pieces and is never held whole.

use super::reply::Reply;
use super::{Flow, Job, Session};
use crate::base::limits;
use crate::imap::fragment::Event;
use crate::imap::parse;
use crate::imap::question::{Answer, Question};
use crate::imap::request::AppendHead;
use crate::imap::write;

/// Where an APPEND stands.
#[derive(Debug)]
pub(super) struct AppendJob {
    /// Where to.
    mailbox: String,
    /// The message lies in `UTF8 (…)`.
    wrapped: bool,
    /// Messages so far, with this one.
    count: usize,
    at: At,
}

#[derive(Debug)]
enum At {
    /// May it begin? The literal was announced and not asked for.
    Starting { size: u64, sync: bool },
    /// The message is read.
    Reading,
    /// A piece of it is being stored.
    Storing,
    /// All of it is there; the command's end, or the next message, is read.
    Ending,
    /// All of them are being made durable.
    Finishing,
    /// It was refused: what still comes of it is dropped, then this is the reply.
    Skipping(Reply),
    /// It is being forgotten, then this is the reply.
    Cancelling(Reply),
}

impl AppendJob {
    fn next(self, at: At) -> Job {
        Job::Append(AppendJob { at, ..self })
    }
}

impl Session {
    /// The first message of an APPEND was announced.
    pub(super) fn append(&mut self, head: AppendHead, size: u64, sync: bool) -> Flow {
        let job = AppendJob { mailbox: String::new(), wrapped: false, count: 0, at: At::Reading };
        self.append_message(job, head, size, sync)
    }

    /// A message was announced.
    fn append_message(&mut self, job: AppendJob, head: AppendHead, size: u64, sync: bool) -> Flow {
        let mailbox = if job.count == 0 { head.mailbox } else { job.mailbox };
        let job = AppendJob { mailbox, wrapped: head.wrapped, count: job.count + 1, at: job.at };
        let reply = if size == 0 {
            // RFC 3502 6.3.11: so a client changes its mind
            Reply::no("CANNOT", "cancelled: a message without a byte is none")
        } else if head.wrapped && !self.enabled.names_are_utf8() {
            Reply::bad("UTF8 messages can be appended after ENABLE UTF8=ACCEPT")
        } else if job.count > limits::APPEND_MESSAGES {
            Reply::no("LIMIT", format!("{} messages can be appended at once", limits::APPEND_MESSAGES))
        } else {
            let folder = job.mailbox.clone();
            let question = Question::AppendStart { folder, flags: head.flags, date: head.date, size };
            return Flow::Ask(question, job.next(At::Starting { size, sync }));
        };
        self.append_refuse(job, size, sync, reply)
    }

    /// An announced message is not taken, nor are those before it.
    fn append_refuse(&mut self, job: AppendJob, size: u64, sync: bool, reply: Reply) -> Flow {
        match self.refuse_literal(size, sync) {
            Some(Flow::Next(Job::Read)) => Flow::Ask(Question::AppendCancel, job.next(At::Skipping(reply))),
            Some(flow) => flow,
            None => {
                self.input.done();
                Flow::Ask(Question::AppendCancel, job.next(At::Cancelling(reply)))
            }
        }
    }

    /// Goes on with reading.
    pub(super) fn append_go(&mut self, job: AppendJob, _out: &mut Vec<u8>) -> Flow {
        match job.at {
            At::Reading => match self.input.take(limits::PIECE_BYTES) {
                Some(piece) => Flow::Ask(Question::AppendData(piece), job.next(At::Storing)),
                None => match self.input.event() {
                    Event::Streamed => Flow::Next(job.next(At::Ending)),
                    _ => Flow::Wait(Job::Append(job)),
                },
            },
            At::Ending => {
                let event = self.input.event();
                let text = self.input.text();
                let rest = if job.wrapped { text.strip_prefix(b")") } else { Some(text) };
                match event {
                    Event::More => Flow::Wait(Job::Append(job)),
                    Event::Line if rest.is_some_and(|rest| rest.trim_ascii().is_empty()) => {
                        self.input.done();
                        Flow::Ask(Question::AppendEnd, job.next(At::Finishing))
                    }
                    Event::Literal { size, sync } => match rest.and_then(parse::append_next) {
                        Some(head) => self.append_message(job, head, size, sync),
                        None => self.append_refuse(job, size, sync, Reply::bad(BEHIND)),
                    },
                    _ => {
                        self.input.done();
                        Flow::Ask(Question::AppendCancel, job.next(At::Cancelling(Reply::bad(BEHIND))))
                    }
                }
            }
            At::Skipping(ref reply) => match self.input.event() {
                Event::More => Flow::Wait(Job::Append(job)),
                _ => {
                    let reply = reply.clone();
                    self.input.done();
                    self.finish(reply)
                }
            },
            At::Starting { .. } | At::Storing | At::Finishing | At::Cancelling(_) => {
                Flow::Next(Job::Reply(Reply::bug()))
            }
        }
    }

    pub(super) fn append_answered(&mut self, job: AppendJob, answer: Answer, out: &mut Vec<u8>) -> Flow {
        match (&job.at, answer) {
            (At::Starting { sync, .. }, Answer::Done) => {
                self.input.stream();
                if *sync {
                    out.extend_from_slice(b"+ go on\r\n");
                }
                Flow::Next(job.next(At::Reading))
            }
            (&At::Starting { size, sync }, refused) => self.append_refuse(job, size, sync, refusal(refused)),
            (At::Storing, Answer::Done) => Flow::Next(job.next(At::Reading)),
            (At::Storing, refused) => {
                self.input.skip();
                Flow::Ask(Question::AppendCancel, job.next(At::Skipping(refusal(refused))))
            }
            (At::Finishing, Answer::Appended { uids }) => {
                let reply = Reply::ok("appended");
                self.finish(match uids {
                    Some((validity, uids)) => {
                        let mut code = format!("APPENDUID {validity} ").into_bytes();
                        write::uid_set(&mut code, &uids);
                        reply.with_code(String::from_utf8_lossy(&code).into_owned())
                    }
                    None => reply,
                })
            }
            (At::Skipping(_), _) => Flow::Next(Job::Append(job)),
            (At::Cancelling(reply), _) => self.finish(reply.clone()),
            (_, refused) => self.finish(refusal(refused)),
        }
    }
}

/// What may stand behind a message.
const BEHIND: &str = "behind a message the command ends, or another message is announced";

fn refusal(answer: Answer) -> Reply {
    match answer {
        Answer::Refused(refusal) => refusal.into(),
        _ => Reply::bug(),
    }
}
