//! APPEND (RFC 3501 6.3.11): its message passes through in pieces and is never held whole.

use super::reply::Reply;
use super::{Flow, Job, Session};
use crate::base::limits;
use crate::imap::fragment::Event;
use crate::imap::question::{Answer, Question};

/// Where an APPEND stands.
#[derive(Debug)]
pub(super) enum AppendJob {
    /// May it begin? The literal was announced and not asked for.
    Starting { size: u64, sync: bool },
    /// The message is read.
    Reading,
    /// A piece of it is being stored.
    Storing,
    /// All of it is there; the command's end is read.
    Ending,
    /// It is being made durable.
    Finishing,
    /// It was refused: what still comes of it is dropped, then this is the reply.
    Skipping(Reply),
    /// It is being forgotten, then this is the reply.
    Cancelling(Reply),
}

impl Session {
    /// Goes on with reading.
    pub(super) fn append_go(&mut self, job: AppendJob, _out: &mut Vec<u8>) -> Flow {
        match job {
            AppendJob::Reading => match self.input.take(limits::PIECE_BYTES) {
                Some(piece) => Flow::Ask(Question::AppendData(piece), Job::Append(AppendJob::Storing)),
                None => match self.input.event() {
                    Event::Streamed => Flow::Next(Job::Append(AppendJob::Ending)),
                    _ => Flow::Wait(Job::Append(AppendJob::Reading)),
                },
            },
            AppendJob::Ending => match self.input.event() {
                Event::More => Flow::Wait(Job::Append(AppendJob::Ending)),
                Event::Line if self.input.text().trim_ascii().is_empty() => {
                    self.input.done();
                    Flow::Ask(Question::AppendEnd, Job::Append(AppendJob::Finishing))
                }
                event => {
                    // a second message (RFC 3502) or garbage, which may bring literals of its own
                    let reply = Reply::bad("one message can be appended at a time");
                    if let Event::Literal { size, sync } = event
                        && let Some(flow) = self.refuse_literal(size, sync)
                    {
                        return match flow {
                            Flow::Next(Job::Read) => {
                                Flow::Ask(Question::AppendCancel, Job::Append(AppendJob::Skipping(reply)))
                            }
                            flow => flow,
                        };
                    }
                    self.input.done();
                    Flow::Ask(Question::AppendCancel, Job::Append(AppendJob::Cancelling(reply)))
                }
            },
            AppendJob::Skipping(reply) => match self.input.event() {
                Event::More => Flow::Wait(Job::Append(AppendJob::Skipping(reply))),
                _ => {
                    self.input.done();
                    self.finish(reply)
                }
            },
            AppendJob::Starting { .. } | AppendJob::Storing | AppendJob::Finishing | AppendJob::Cancelling(_) => {
                Flow::Next(Job::Reply(Reply::bug()))
            }
        }
    }

    pub(super) fn append_answered(&mut self, job: AppendJob, answer: Answer, out: &mut Vec<u8>) -> Flow {
        match (job, answer) {
            (AppendJob::Starting { sync, .. }, Answer::Done) => {
                self.input.stream();
                if sync {
                    out.extend_from_slice(b"+ go on\r\n");
                }
                Flow::Next(Job::Append(AppendJob::Reading))
            }
            (AppendJob::Starting { size, sync }, refused) => {
                let reply = refusal(refused);
                match self.refuse_literal(size, sync) {
                    Some(Flow::Next(Job::Read)) => Flow::Next(Job::Append(AppendJob::Skipping(reply))),
                    Some(flow) => flow,
                    None => {
                        self.input.done();
                        self.finish(reply)
                    }
                }
            }
            (AppendJob::Storing, Answer::Done) => Flow::Next(Job::Append(AppendJob::Reading)),
            (AppendJob::Storing, refused) => {
                self.input.skip();
                Flow::Next(Job::Append(AppendJob::Skipping(refusal(refused))))
            }
            (AppendJob::Finishing, Answer::Appended { uid }) => {
                let reply = Reply::ok("appended");
                self.finish(match uid {
                    Some((validity, uid)) => reply.with_code(format!("APPENDUID {validity} {uid}")),
                    None => reply,
                })
            }
            (AppendJob::Skipping(reply), _) => Flow::Next(Job::Append(AppendJob::Skipping(reply))),
            (AppendJob::Cancelling(reply), _) => self.finish(reply),
            (_, refused) => self.finish(refusal(refused)),
        }
    }
}

fn refusal(answer: Answer) -> Reply {
    match answer {
        Answer::Refused(refusal) => refusal.into(),
        _ => Reply::bug(),
    }
}
