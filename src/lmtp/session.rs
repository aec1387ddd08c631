//! One LMTP connection.

use super::command::{self, Command};
use super::held::Held;
use super::reply::{Problem, render, render_lhlo};
use super::{Answer, Forwarded, Question, Reply, Transaction, xforward};
use crate::base::{Core, Step, Timestamp, limits};
use memchr::memchr;

/// What a session must know from the outside.
#[derive(Debug, Clone)]
pub struct Options {
    /// Our name in the greeting.
    pub host_name: String,
    /// Larger messages are kept in part: their header.
    pub max_size: u64,
    /// The peer may say who the real client is.
    pub xforward: bool,
}

/// The server side of one connection.
#[derive(Debug)]
pub struct Session {
    options: Options,
    state: State,
    /// The command line that is being read, its CRLF included; never over `limits::LMTP_LINE`.
    line: Vec<u8>,
    /// How far the line is.
    reading: Reading,
    helo: Option<String>,
    forwarded: Forwarded,
    mail: Option<Mail>,
    /// The command was one of those whose replies go together (RFC 2920 3.2, 2, 5 and 6).
    is_grouped: bool,
    errors: u32,
    /// Something arrived since the last step.
    heard: bool,
    idle_from: Option<Timestamp>,
    answer: Option<Answer>,
}

#[derive(Debug)]
enum State {
    Greeting,
    Command,
    Data(Held),
    /// A question is out.
    Asked(Asked),
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    Part,
    /// The line is over its limit and skipped to its end; whether its last byte was a CR.
    Skip(bool),
    Whole,
    WholeTooLong,
}

/// What the answer is for.
#[derive(Debug)]
enum Asked {
    Recipient(String),
    /// The first memory, asked before 354 so that a full server costs nobody a transfer.
    Begin(Held, usize),
    /// More memory while the message comes in.
    More(Held, usize),
    /// The message was let go of (or cut: then this much is asked for anew).
    Forget(Held, Option<usize>),
    /// The message was stored, for so many recipients.
    Store(usize),
    /// Nothing is owed any more; close with this.
    Close(Problem),
}

/// A transaction (MAIL was accepted).
#[derive(Debug)]
struct Mail {
    sender: String,
    smtputf8: bool,
    recipients: Vec<String>,
}

impl Session {
    /// A connection that has just been accepted.
    pub fn new(options: Options) -> Self {
        Session {
            options,
            state: State::Greeting,
            line: Vec::new(),
            reading: Reading::Part,
            helo: None,
            forwarded: Forwarded::default(),
            mail: None,
            is_grouped: false,
            errors: 0,
            heard: false,
            idle_from: None,
            answer: None,
        }
    }

    /// RFC 5321 4.1.1.5, and XFORWARD, whose data ends with its transaction.
    fn reset(&mut self) {
        self.mail = None;
        self.forwarded = Forwarded::default();
    }

    fn refuse(&mut self, problem: Problem, out: &mut Vec<u8>) {
        render(&problem.reply(), out);
        self.errors += 1;
        let fatal = matches!(problem, Problem::BareLineEnd | Problem::OtherProtocol | Problem::Idle);
        if fatal {
            self.state = State::Closed;
        } else if self.errors >= limits::LMTP_ERRORS {
            render(&Problem::TooManyErrors.reply(), out);
            self.state = State::Closed;
        }
    }

    fn feed_line(&mut self, input: &[u8]) -> usize {
        if matches!(self.reading, Reading::Whole | Reading::WholeTooLong) {
            return 0;
        }
        let end = memchr(b'\n', input);
        let taken = end.map_or(input.len(), |at| at + 1);
        let part = &input[..taken];
        let too_long = self.line.len() + part.len() > limits::LMTP_LINE;
        self.reading = match (self.reading, end) {
            (Reading::Part, None) if !too_long => Reading::Part,
            (Reading::Part, Some(_)) if !too_long => Reading::Whole,
            (before, end) => {
                // Only what follows the last byte matters: whether its line feed stands alone.
                let last = match part.len().checked_sub(1 + usize::from(end.is_some())).and_then(|at| part.get(at)) {
                    Some(&byte) => byte == b'\r',
                    None => before == Reading::Skip(true) || self.line.last() == Some(&b'\r'),
                };
                self.line = Vec::new();
                match end {
                    None => Reading::Skip(last),
                    Some(_) if last => Reading::WholeTooLong,
                    // Judged below as the bare line feed that it is.
                    Some(_) => {
                        self.line.push(b'\n');
                        Reading::Whole
                    }
                }
            }
        };
        if matches!(self.reading, Reading::Part) || (self.reading == Reading::Whole && !too_long) {
            self.line.extend_from_slice(part);
        }
        taken
    }

    /// Carries out the line that is whole; `Some` when the outside must be asked.
    fn obey(&mut self, out: &mut Vec<u8>) -> Option<Question> {
        let line = std::mem::take(&mut self.line);
        self.is_grouped = false;
        let too_long = self.reading == Reading::WholeTooLong;
        self.reading = Reading::Part;
        if too_long {
            self.refuse(Problem::LineTooLong, out);
            return None;
        }
        // RFC 5321 2.3.8: a line ends in CRLF, and CR or LF stand nowhere else. Somebody else may have read it otherwise.
        let Some(line) = line.strip_suffix(b"\r\n").filter(|l| memchr::memchr2(b'\r', b'\n', l).is_none()) else {
            self.refuse(Problem::BareLineEnd, out);
            return None;
        };
        let command = match command::parse(line) {
            Ok(command) => command,
            Err(problem) => {
                // Out of turn is said first: it is the more helpful reply.
                let problem = match problem {
                    Problem::BadRecipient(_) | Problem::RcptParameter if self.mail.is_none() => {
                        Problem::Sequence("MAIL comes first")
                    }
                    other => other,
                };
                self.refuse(problem, out);
                return None;
            }
        };
        self.is_grouped = matches!(command, Command::Rset | Command::Mail { .. } | Command::Rcpt { .. });
        match self.carry_out(command, out) {
            Ok(question) => {
                if question.is_none() {
                    self.errors = 0;
                }
                question
            }
            Err(problem) => {
                self.refuse(problem, out);
                None
            }
        }
    }

    fn carry_out(&mut self, command: Command, out: &mut Vec<u8>) -> Result<Option<Question>, Problem> {
        let ok = |code, enhanced, text: &str, out: &mut Vec<u8>| render(&Reply::new(code, enhanced, text), out);
        match command {
            Command::Lhlo(name) => {
                self.reset();
                self.helo = Some(name);
                render_lhlo(&self.options.host_name, self.options.xforward, out);
            }
            Command::Xforward(_) if !self.options.xforward => return Err(Problem::NotTrusted),
            Command::Xforward(_) if self.mail.is_some() => {
                return Err(Problem::Sequence("XFORWARD comes before MAIL"));
            }
            Command::Xforward(attributes) => {
                xforward::apply(&attributes, &mut self.forwarded)
                    .ok_or(Problem::Syntax("XFORWARD attribute=value …"))?;
                ok(250, "2.0.0", "noted", out);
            }
            Command::Mail { .. } if self.helo.is_none() => return Err(Problem::Sequence("LHLO comes first")),
            Command::Mail { .. } if self.mail.is_some() => {
                return Err(Problem::Sequence("a transaction is open; RSET ends it"));
            }
            Command::Mail { sender, smtputf8 } => {
                self.mail = Some(Mail { sender, smtputf8, recipients: Vec::new() });
                ok(250, "2.1.0", "sender ok", out);
            }
            Command::Rcpt { recipient } => {
                let mail = self.mail.as_ref().ok_or(Problem::Sequence("MAIL comes first"))?;
                if mail.recipients.len() >= limits::LMTP_RECIPIENTS {
                    // No error of the peer's: RFC 5321 4.5.3.1.10 has it send the rest afterwards.
                    render(&Problem::TooManyRecipients.reply(), out);
                    return Ok(None);
                }
                let sender = mail.sender.clone();
                self.state = State::Asked(Asked::Recipient(recipient.clone()));
                return Ok(Some(Question::Recipient { sender, recipient }));
            }
            Command::Data => {
                // RFC 2033 4.2: without an accepted recipient DATA fails with 503.
                if self.mail.as_ref().is_none_or(|m| m.recipients.is_empty()) {
                    return Err(Problem::Sequence("no recipient was accepted"));
                }
                let held = Held::new(self.options.max_size);
                let wanted = held.wanted();
                self.state = State::Asked(Asked::Begin(held, wanted));
                return Ok(Some(Question::Reserve(wanted)));
            }
            Command::Rset => {
                self.reset();
                ok(250, "2.0.0", "forgotten", out);
            }
            Command::Noop => ok(250, "2.0.0", "ok", out),
            Command::Help => ok(214, "2.0.0", "LHLO MAIL RCPT DATA RSET NOOP VRFY QUIT: RFC 2033", out),
            Command::Vrfy => ok(252, "2.5.0", "send a message to find out", out),
            Command::Quit => {
                ok(221, "2.0.0", "bye", out);
                self.state = State::Closed;
            }
        }
        Ok(None)
    }

    /// Goes on with an answer; `Some` when there is another question at once.
    fn proceed(&mut self, asked: Asked, answer: Answer, out: &mut Vec<u8>) -> Option<Question> {
        self.state = State::Command;
        match asked {
            Asked::Recipient(recipient) => {
                let reply = match answer {
                    Answer::Reply(reply) => reply,
                    _ => Problem::Internal.reply(),
                };
                if let Some(mail) = self.mail.as_mut().filter(|_| reply.is_positive()) {
                    mail.recipients.push(recipient);
                    self.errors = 0;
                }
                render(&reply, out);
            }
            Asked::Begin(mut held, wanted) => match answer {
                Answer::Reserved(true) => {
                    held.grow(wanted);
                    out.extend_from_slice(b"354 end with CRLF . CRLF\r\n");
                    self.state = State::Data(held);
                }
                _ => {
                    self.reset();
                    render(&Problem::NoRoom.reply(), out);
                }
            },
            Asked::More(mut held, wanted) => match answer {
                Answer::Reserved(true) => {
                    held.grow(wanted);
                    self.state = State::Data(held);
                }
                _ => {
                    let owed = held.has_reserved();
                    held.drop_all();
                    if owed {
                        self.state = State::Asked(Asked::Forget(held, None));
                        return Some(Question::Forget);
                    }
                    self.state = State::Data(held);
                }
            },
            Asked::Forget(held, Some(again)) => {
                self.state = State::Asked(Asked::More(held, again));
                return Some(Question::Reserve(again));
            }
            Asked::Forget(held, None) => self.state = State::Data(held),
            Asked::Store(recipients) => {
                let replies = match answer {
                    Answer::Stored(replies) => replies,
                    // The pool was full: nobody has stored it.
                    Answer::Reply(reply) if !reply.is_positive() => vec![reply; recipients],
                    _ => Vec::new(),
                };
                // One reply a recipient, whatever came (RFC 2033 4.2): a peer that waits for one more would hang.
                let missing = Problem::Internal.reply();
                for at in 0..recipients {
                    render(replies.get(at).unwrap_or(&missing), out);
                }
                self.reset();
            }
            Asked::Close(problem) => {
                render(&problem.reply(), out);
                self.state = State::Closed;
            }
        }
        None
    }

    /// The message has ended: it is stored, or refused when it was let go of.
    fn finish(&mut self, held: Held, out: &mut Vec<u8>) -> Option<Question> {
        let mail = self.mail.take()?;
        let forwarded = std::mem::take(&mut self.forwarded);
        let count = mail.recipients.len();
        if held.is_dropped() {
            self.state = State::Command;
            for _ in 0..count {
                render(&Problem::NoRoom.reply(), out);
            }
            return None;
        }
        let (message, size, oversize) = held.finish();
        self.state = State::Asked(Asked::Store(count));
        Some(Question::Store(Box::new(Transaction {
            sender: mail.sender,
            recipients: mail.recipients,
            forwarded,
            helo: self.helo.clone().unwrap_or_default(),
            smtputf8: mail.smtputf8,
            message,
            size,
            oversize,
        })))
    }

    /// What to do about a message on its way in; `None`: read on.
    fn receive(&mut self, mut held: Held, out: &mut Vec<u8>) -> Option<Question> {
        if held.is_complete() {
            return self.finish(held, out);
        }
        if let Some(less) = held.excess() {
            self.state = State::Asked(Asked::Forget(held, Some(less)));
            return Some(Question::Forget);
        }
        if held.is_full() {
            let wanted = held.wanted();
            self.state = State::Asked(Asked::More(held, wanted));
            return Some(Question::Reserve(wanted));
        }
        self.state = State::Data(held);
        None
    }

    /// RFC 5321 4.5.3.2: the peer was silent too long.
    fn time_out(&mut self, out: &mut Vec<u8>) -> Step<Question> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Data(held) if held.has_reserved() => {
                self.state = State::Asked(Asked::Close(Problem::Idle));
                Step::Ask(Question::Forget)
            }
            _ => {
                render(&Problem::Idle.reply(), out);
                Step::Close
            }
        }
    }
}

impl Core for Session {
    type Question = Question;
    type Answer = Answer;

    fn feed(&mut self, input: &[u8]) -> usize {
        let taken = match &mut self.state {
            State::Command => self.feed_line(input),
            State::Data(held) => held.feed(input),
            State::Greeting | State::Asked(_) | State::Closed => 0,
        };
        self.heard |= taken > 0;
        taken
    }

    fn answer(&mut self, answer: Answer) {
        self.answer = Some(answer);
    }

    fn wake(&mut self) {}

    fn may_hold_reply(&self) -> bool {
        self.is_grouped
    }

    fn step(&mut self, now: Timestamp, out: &mut Vec<u8>) -> Step<Question> {
        if std::mem::take(&mut self.heard) {
            self.idle_from = None;
        }
        let question = match std::mem::replace(&mut self.state, State::Closed) {
            State::Closed => return Step::Close,
            State::Greeting => {
                self.state = State::Command;
                out.extend_from_slice(format!("220 {} LMTP ready\r\n", self.options.host_name).as_bytes());
                None
            }
            State::Asked(asked) => {
                self.idle_from = None;
                // A driver that steps on without an answer gets the refusal that a missing answer is.
                let answer = self.answer.take().unwrap_or(Answer::Done);
                self.proceed(asked, answer, out)
            }
            State::Data(held) => self.receive(held, out),
            State::Command => {
                self.state = State::Command;
                match self.reading {
                    Reading::Whole | Reading::WholeTooLong => self.obey(out),
                    Reading::Part | Reading::Skip(_) => None,
                }
            }
        };
        if let Some(question) = question {
            return Step::Ask(question);
        }
        match &self.state {
            State::Closed => Step::Close,
            State::Data(held) if held.is_complete() || held.is_full() => Step::Again,
            _ => {
                let until = self.idle_from.get_or_insert(now).after(limits::LMTP_IDLE);
                if now >= until { self.time_out(out) } else { Step::Read { until } }
            }
        }
    }
}
