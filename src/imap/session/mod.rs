//! One IMAP connection. [`Session`] holds its state; a [`Job`] is what it is in the middle of. Each job is carried on in
//! the file of its concern, by a function that says with a [`Flow`] what comes next.

mod append;
mod auth;
mod contexts;
mod folders;
mod input;
mod messages;
mod notify;
mod quota;
mod reply;
mod search;
mod selected;

use super::capability::Enabled;
use super::commands::{Numbers, States};
use super::fragment::Fragmenter;
use super::notify::Notify;
use super::question::{Answer, Question};
use super::view::{Announcement, Tell, View};
use super::write::push;
use crate::base::{Core, Piece, Step, Timestamp, limits};
use notify::Moment;
use reply::{Reply, Status};
use std::collections::VecDeque;
use std::time::Duration;

/// How a connection stands to TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// It is encrypted already (RFC 8314 3.2).
    Active,
    /// STARTTLS is offered.
    Offered,
    /// There is none.
    Absent,
}

/// What a session must know of its listener.
#[derive(Debug, Clone)]
pub struct Options {
    /// TLS on this connection.
    pub tls: Tls,
    /// Passwords may be sent without TLS (loopback, or an administrator who insists).
    pub plain_login: bool,
    /// Some account can log in with SCRAM-SHA-256.
    pub scram: bool,
    /// The name in the greeting.
    pub host: String,
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    options: Options,
    input: Fragmenter,
    state: State,
    /// The login name; empty before.
    user: String,
    enabled: Enabled,
    /// What NOTIFY asked for; `None`: it was never used.
    notify: Option<Box<Notify>>,
    job: Job,
    /// A question was asked, and this is its answer once it is there.
    asked: bool,
    answer: Option<Answer>,
    /// Output that is ready, before anything that `out` gets next.
    pieces: VecDeque<Piece>,
    /// The next reply is held back for so long (a wrong password), counted from the next step.
    pause: Option<Duration>,
    paused_until: Option<Timestamp>,
    /// The command under way.
    tag: String,
    numbers: Numbers,
    /// Errors in a row.
    errors: u32,
    /// Input came or a command ended since the deadline was set.
    active: bool,
    deadline: Option<Timestamp>,
    woken: bool,
    /// The time of this step.
    now: Timestamp,
    /// DEFLATE is active.
    compressed: bool,
    /// Between `StartTls` (or `StartDeflate`) and the end of what it begins.
    handshake: bool,
}

#[derive(Debug)]
enum State {
    Nobody,
    User,
    Open(Box<View>),
}

/// What the session is in the middle of.
#[derive(Debug, Default)]
enum Job {
    /// Nothing is sent any more.
    #[default]
    Closed,
    /// The connection is new.
    Greet,
    /// The next command is read.
    Read,
    /// `* BYE` and the end.
    Bye(&'static str),
    /// The tagged OK of STARTTLS was written.
    StartTls,
    /// The tagged OK of COMPRESS was written.
    StartDeflate,
    /// What changed in the open folder is asked for, as far as it may be told.
    Poll(Tell, After),
    Notify(notify::NotifyJob),
    /// It is written.
    Announce(Announcement, After),
    /// The reply is written.
    Reply(Reply),
    /// IDLE: DONE or a change comes.
    Idle,
    /// A question is answered by Done or Refused; this is the text of OK.
    Plain(&'static str),
    Auth(auth::Auth),
    Folders(folders::FoldersJob),
    Selected(selected::SelectedJob),
    Messages(messages::MessagesJob),
    Append(append::AppendJob),
    Search(search::SearchJob),
    Contexts(contexts::ContextsJob),
    Quota(quota::QuotaJob),
}

/// What follows when changes were told.
#[derive(Debug)]
enum After {
    /// The end of the command.
    Reply(Reply),
    /// IDLE goes on.
    Idle,
    /// The next command is waited for.
    Read,
}

impl From<After> for Job {
    fn from(after: After) -> Job {
        match after {
            After::Reply(reply) => Job::Reply(reply),
            After::Idle => Job::Idle,
            After::Read => Job::Read,
        }
    }
}

/// What a job wants next.
enum Flow {
    /// Go on with this.
    Next(Job),
    /// Ask, and go on with this when it is answered.
    Ask(Question, Job),
    /// Nothing can be done before input comes.
    Wait(Job),
    /// Do this, then go on.
    Step(Step<Question>, Job),
}

impl Session {
    /// A new connection.
    pub fn new(options: Options) -> Self {
        Session {
            options,
            input: Fragmenter::default(),
            state: State::Nobody,
            user: String::new(),
            enabled: Enabled::default(),
            notify: None,
            job: Job::Greet,
            asked: false,
            answer: None,
            pieces: VecDeque::new(),
            pause: None,
            paused_until: None,
            tag: String::new(),
            numbers: Numbers::MayChange,
            errors: 0,
            active: false,
            deadline: None,
            woken: false,
            now: Timestamp(0),
            compressed: false,
            handshake: false,
        }
    }

    fn states(&self) -> States {
        match self.state {
            State::Nobody => States::NOBODY,
            State::User => States::USER,
            State::Open(_) => States::OPEN,
        }
    }

    fn view(&self) -> Option<&View> {
        if let State::Open(view) = &self.state { Some(view) } else { None }
    }

    fn view_mut(&mut self) -> Option<&mut View> {
        if let State::Open(view) = &mut self.state { Some(view) } else { None }
    }

    /// Goes on with a job that waits for no answer.
    fn advance(&mut self, job: Job, out: &mut Vec<u8>) -> Flow {
        match job {
            Job::Closed => Flow::Step(Step::Close, Job::Closed),
            Job::Greet => self.greet(out),
            Job::Read => self.read(out),
            Job::Bye(text) => {
                push(out, format_args!("* BYE {text}\r\n"));
                Flow::Next(Job::Closed)
            }
            Job::StartTls => {
                // RFC 3501 6.2.1: what came in clear after the command may be an attacker's
                self.input.clear();
                self.handshake = true;
                self.options.tls = Tls::Active;
                Flow::Step(Step::StartTls, Job::Read)
            }
            Job::StartDeflate => {
                self.input.clear();
                self.handshake = true;
                self.compressed = true;
                Flow::Step(Step::StartDeflate, Job::Read)
            }
            Job::Announce(lines, after) => self.announce(lines, after, out),
            Job::Reply(reply) => self.reply(reply, out),
            Job::Idle => self.idle(),
            Job::Auth(job) => self.auth_line(job, out),
            Job::Folders(job) => self.folders_go(job, out),
            Job::Messages(job) => self.messages_go(job, out),
            Job::Append(job) => self.append_go(job, out),
            Job::Search(job) => self.search_go(job, out),
            Job::Contexts(job) => self.contexts_go(job, out),
            Job::Poll(..) | Job::Notify(_) | Job::Plain(_) | Job::Selected(_) | Job::Quota(_) => {
                Flow::Next(Job::Reply(Reply::bug()))
            }
        }
    }

    /// Goes on with a job whose question was answered.
    fn answered(&mut self, job: Job, answer: Answer, out: &mut Vec<u8>) -> Flow {
        match (job, answer) {
            (Job::Append(job), answer) => self.append_answered(job, answer, out),
            (Job::Messages(job), answer) => self.messages_answered(job, answer, out),
            (Job::Search(job), answer) => self.search_answered(job, answer, out),
            (Job::Contexts(job), answer) => self.contexts_answered(job, answer, out),
            (Job::Selected(job), answer) => self.selected_answered(job, answer, out),
            (Job::Folders(job), answer) => self.folders_answered(job, answer, out),
            (Job::Auth(job), answer) => self.logged_in(job, answer, out),
            (Job::Quota(job), answer) => self.quota_answered(job, answer, out),
            (Job::Notify(job), answer) => self.notify_answered(job, answer, out),
            (Job::Poll(tell, after), Answer::Changes(changes)) => {
                let State::Open(view) = &mut self.state else { return Flow::Next(Job::Read) };
                Flow::Next(Job::Announce(view.update(changes, tell, self.enabled), after))
            }
            (Job::Poll(_, after), _) => self.after(after),
            (Job::Plain(text), Answer::Done) => self.finish(Reply::ok(text)),
            (_, Answer::Refused(refusal)) => self.finish(refusal.into()),
            _ => self.finish(Reply::bug()),
        }
    }

    /// Ends a command: in an open folder, what changed is told first.
    fn finish(&mut self, reply: Reply) -> Flow {
        if reply.status == Status::Bad {
            return Flow::Next(Job::Reply(reply));
        }
        if self.notify.is_none() {
            // the poll is all that there is to look at
            self.woken = false;
        }
        self.look(Moment::Command, After::Reply(reply))
    }

    /// Writes what a poll found.
    fn announce(&mut self, mut lines: Announcement, mut after: After, out: &mut Vec<u8>) -> Flow {
        let State::Open(view) = &self.state else { return Flow::Next(Job::Read) };
        if !lines.write(view, self.enabled, out) {
            return Flow::Next(Job::Announce(lines, after));
        }
        if let Some(settled) = lines.settled.filter(|_| self.enabled.qresync) {
            let code = format!("HIGHESTMODSEQ {settled}");
            match &mut after {
                // RFC 7162 3.2.7: the end of an EXPUNGE says it
                After::Reply(reply) if reply.status == Status::Ok && reply.code.is_none() => {
                    reply.code = Some(code.into());
                }
                _ => Reply::ok("all up to there was told").with_code(code).write("*", out),
            }
        }
        self.news(after)
    }

    /// The open folder was looked at: now the others, between commands.
    fn after(&mut self, after: After) -> Flow {
        match self.contexts_due(after) {
            Ok(flow) => flow,
            Err(after) => self.after_contexts(after),
        }
    }

    fn after_contexts(&mut self, after: After) -> Flow {
        match after {
            After::Reply(reply) => {
                if let Some(view) = self.view_mut() {
                    view.forget_told();
                }
                Flow::Next(Job::Reply(reply))
            }
            after => self.watch(after),
        }
    }

    /// The client is one that knows of MODSEQ from here on; with a folder open it is told where that stands
    /// (RFC 7162 3.1).
    fn condstore(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.enabled.condstore, true) {
            return;
        }
        if let Some(view) = self.view() {
            let code = format!("HIGHESTMODSEQ {}", view.settled);
            Reply::ok("all up to there was told").with_code(code).write("*", out);
        }
    }

    fn reply(&mut self, reply: Reply, out: &mut Vec<u8>) -> Flow {
        reply.write(&self.tag, out);
        self.active = true;
        self.tag = String::new();
        match reply.status {
            Status::Bad => self.errors += 1,
            Status::No => {}
            Status::Ok => self.errors = 0,
        }
        if reply.close {
            Flow::Next(Job::Bye("this connection is closed"))
        } else if self.errors >= limits::IMAP_ERRORS {
            Flow::Next(Job::Bye("too many errors"))
        } else {
            Flow::Next(Job::Read)
        }
    }

    /// Until when the reply to a wrong password is held back.
    fn pausing(&mut self, now: Timestamp) -> Option<Timestamp> {
        if let Some(pause) = self.pause.take() {
            self.paused_until = Some(now.after(pause));
        }
        self.paused_until = self.paused_until.filter(|&until| until > now);
        self.paused_until
    }

    /// When the client's patience with us, and ours with it, ends.
    fn deadline(&mut self, now: Timestamp) -> Timestamp {
        let logged_in = !matches!(self.state, State::Nobody);
        match self.deadline {
            Some(deadline) if !(self.active && logged_in) => deadline,
            _ => {
                self.active = false;
                let deadline = now.after(if logged_in { limits::IMAP_IDLE } else { limits::LOGIN_TIME });
                self.deadline = Some(deadline);
                deadline
            }
        }
    }
}

impl Core for Session {
    type Question = Question;
    type Answer = Answer;

    fn feed(&mut self, input: &[u8]) -> usize {
        if self.handshake {
            return 0;
        }
        let taken = self.input.feed(input);
        self.active |= taken > 0;
        taken
    }

    fn answer(&mut self, answer: Answer) {
        self.answer = Some(answer);
    }

    fn wake(&mut self) {
        self.woken = true;
    }

    fn may_hold_reply(&self) -> bool {
        true
    }

    fn step(&mut self, now: Timestamp, out: &mut Vec<u8>) -> Step<Question> {
        self.handshake = false;
        self.now = now;
        let until = self.deadline(now);
        loop {
            if out.len() >= limits::OUTPUT_BYTES {
                return Step::Again;
            }
            if let Some(until) = self.pausing(now) {
                return Step::Read { until };
            }
            match self.pieces.pop_front() {
                Some(Piece::Bytes(mut bytes)) if out.is_empty() => {
                    std::mem::swap(out, &mut bytes);
                    continue;
                }
                Some(Piece::Bytes(bytes)) => {
                    out.extend_from_slice(&bytes);
                    continue;
                }
                Some(Piece::File(range)) => return Step::Copy(range),
                None => {}
            }
            let flow = if !self.asked {
                let job = std::mem::take(&mut self.job);
                self.advance(job, out)
            } else if let Some(answer) = self.answer.take() {
                self.asked = false;
                let job = std::mem::take(&mut self.job);
                self.answered(job, answer, out)
            } else {
                // the driver called too early: the answer is still to come
                return Step::Read { until };
            };
            match flow {
                Flow::Next(job) => self.job = job,
                Flow::Ask(question, job) => {
                    self.job = job;
                    self.asked = true;
                    return Step::Ask(question);
                }
                Flow::Step(step, job) => {
                    self.job = job;
                    return step;
                }
                Flow::Wait(_) if self.deadline(now) <= now => {
                    self.job = Job::Bye("you were silent for too long");
                }
                Flow::Wait(job) => {
                    self.job = job;
                    return Step::Read { until: self.deadline(now) };
                }
            }
        }
    }
}
