//! One milter connection.

use super::command::{self, Macros};
use super::field::Field;
use super::negotiate::Agreed;
use super::packet::{Broken, Packets};
use super::reply::{self, ACCEPT, CONTINUE, DISCARD, OPTNEG, PROGRESS};
use super::{Answer, Client, Judged, Question, Reply, Transaction};
use crate::base::{Core, Step, Timestamp, limits};
use crate::mail::Held;
use std::time::Duration;

/// What a session must know from the outside.
#[derive(Debug, Clone)]
pub struct Options {
    /// Of larger messages the header is held.
    pub max_size: u64,
}

/// Our side of one connection.
#[derive(Debug)]
pub struct Session {
    options: Options,
    state: State,
    packets: Packets,
    phase: Phase,
    agreed: Agreed,
    client: Client,
    macros: Macros,
    mail: Option<Mail>,
    /// Something arrived since the last step.
    heard: bool,
    idle_from: Option<Timestamp>,
    answer: Option<Answer>,
}

#[derive(Debug)]
enum State {
    Reading,
    /// A question is out.
    Asked(Asked),
    Closed,
}

/// Where in a packet we are.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Head,
    Gather,
    Field(Field),
    Body,
    /// It is whole, and not yet carried out.
    Whole,
    Broken(Broken),
}

/// What the answer is for.
#[derive(Debug)]
enum Asked {
    Recipient(String),
    /// More memory.
    More(usize),
    /// A message was let go of, or cut: then this much is asked for anew.
    Forget(Option<usize>),
    Judge,
    /// Nothing is owed any more.
    Close,
}

/// A transaction.
#[derive(Debug)]
struct Mail {
    sender: String,
    recipients: Vec<String>,
    held: Held,
    /// The empty line was appended.
    in_body: bool,
}

/// With less room than this more memory is asked for: each part of a packet can then go on.
const ROOM: usize = 8;

const NO_FIELD: Broken = Broken("it sent a header field that cannot be understood");

impl Session {
    /// A connection that has just been accepted.
    pub fn new(options: Options) -> Self {
        Session {
            options,
            state: State::Reading,
            packets: Packets::default(),
            phase: Phase::Head,
            agreed: Agreed::default(),
            client: Client::default(),
            macros: Macros::default(),
            mail: None,
            heard: false,
            idle_from: None,
            answer: None,
        }
    }

    /// Takes some of the input; 0: there is something to be done first.
    fn take(&mut self, input: &[u8]) -> usize {
        match self.phase {
            Phase::Head => {
                let taken = self.packets.feed_head(input);
                if self.packets.has_head() {
                    self.phase = self.begin().unwrap_or_else(Phase::Broken);
                }
                taken
            }
            Phase::Gather => {
                let taken = self.packets.gather(input);
                if self.packets.left() == 0 {
                    self.phase = Phase::Whole;
                }
                taken
            }
            Phase::Field(field) => self.take_field(field, input),
            Phase::Body => self.take_body(input),
            Phase::Whole | Phase::Broken(_) => 0,
        }
    }

    /// What a head leads to.
    fn begin(&mut self) -> Result<Phase, Broken> {
        let command = self.packets.command();
        let streamed = matches!(command, b'L' | b'B' | b'E');
        self.packets.begin(streamed)?;
        let phase = match command {
            _ if streamed && self.mail.as_ref().is_none_or(|mail| mail.recipients.is_empty()) => {
                return Err(Broken("it sent a message without sender or recipients"));
            }
            b'L' if self.mail.as_ref().is_some_and(|mail| mail.in_body) => {
                return Err(Broken("it sent a header field behind the header"));
            }
            b'L' => Phase::Field(Field::default()),
            b'B' | b'E' => Phase::Body,
            _ => Phase::Gather,
        };
        match phase {
            Phase::Field(_) if self.packets.left() == 0 => Err(NO_FIELD),
            _ if self.packets.left() == 0 => Ok(Phase::Whole),
            _ => Ok(phase),
        }
    }

    fn take_field(&mut self, mut field: Field, input: &[u8]) -> usize {
        let Some(mail) = self.mail.as_mut().filter(|mail| mail.held.room() >= ROOM) else { return 0 };
        // Each byte is two at most, and two end the line.
        let most = (mail.held.room() / 2 - 1).min(self.packets.left());
        let input = input.get(..most.min(input.len())).unwrap_or_default();
        let spaced = self.agreed.is_spaced();
        self.packets.passed(input.len());
        let is_last = self.packets.left() == 0;
        let done = mail.held.append(|out| {
            field.push(input, spaced, out)?;
            if is_last { field.end(out) } else { Some(()) }
        });
        self.phase = match done {
            Some(()) if is_last => Phase::Whole,
            Some(()) => Phase::Field(field),
            None => Phase::Broken(NO_FIELD),
        };
        input.len()
    }

    fn take_body(&mut self, input: &[u8]) -> usize {
        let Some(mail) = self.mail.as_mut().filter(|mail| mail.held.room() >= ROOM) else { return 0 };
        mail.end_header();
        let most = mail.held.room().min(self.packets.left()).min(input.len());
        let input = input.get(..most).unwrap_or_default();
        mail.held.append(|out| out.extend_from_slice(input));
        self.packets.passed(input.len());
        if self.packets.left() == 0 {
            self.phase = Phase::Whole;
        }
        input.len()
    }

    /// Carries out a packet.
    fn obey(&mut self, out: &mut Vec<u8>) -> Result<Option<Question>, Broken> {
        let command = self.packets.command();
        let data = self.packets.end();
        self.phase = Phase::Head;
        match command {
            b'O' if self.mail.is_some() => return Err(Broken("it began anew within a message")),
            b'O' => {
                self.agreed = Agreed::on(&data)?;
                reply::packet(OPTNEG, &self.agreed.answer(), out);
                return Ok(None);
            }
            // SMFIC_MACRO, SMFIC_ABORT, SMFIC_QUIT and SMFIC_QUIT_NC have no answer.
            b'D' => {
                self.macros.note(&data);
                return Ok(None);
            }
            b'A' => {
                let forget = self.abandon();
                self.macros.end_of_message();
                return Ok(forget);
            }
            b'Q' => {
                let forget = self.abandon();
                self.state = if forget.is_some() { State::Asked(Asked::Close) } else { State::Closed };
                return Ok(forget);
            }
            b'K' => {
                let forget = self.abandon();
                (self.client, self.macros) = (Client::default(), Macros::default());
                return Ok(forget);
            }
            b'C' => self.client = command::connect(&data)?,
            b'H' => self.client.helo = command::helo(&data),
            b'M' => {
                let sender = command::path(&data)?;
                let forget = self.abandon();
                let held = Held::new(self.options.max_size);
                self.mail = Some(Mail { sender, recipients: Vec::new(), held, in_body: false });
                self.go_on(command, out);
                return Ok(forget);
            }
            b'R' => return self.recipient(&data, out),
            b'N' => {
                let mail = self.mail.as_mut().ok_or(Broken("it ended a header that it did not begin"))?;
                mail.end_header();
            }
            b'E' => return Ok(self.judge(out)),
            // SMFIC_DATA, SMFIC_UNKNOWN, SMFIC_HEADER, SMFIC_BODY
            b'T' | b'U' | b'L' | b'B' => {}
            _ => return Err(Broken("it sent a command that is not known")),
        }
        self.go_on(command, out);
        Ok(None)
    }

    /// Answers a step that we have nothing to say to.
    fn go_on(&self, command: u8, out: &mut Vec<u8>) {
        if self.agreed.is_answered(command) {
            reply::packet(CONTINUE, b"", out);
        }
    }

    fn recipient(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<Option<Question>, Broken> {
        let recipient = command::path(data)?;
        let mail = self.mail.as_ref().ok_or(Broken("it sent a recipient without a sender"))?;
        if mail.recipients.len() >= limits::LMTP_RECIPIENTS {
            // No error of the sender's: RFC 5321 4.5.3.1.10 has it send the rest afterwards.
            let text = format!("at most {} recipients at once", limits::LMTP_RECIPIENTS);
            reply::refuse(&Reply::new(452, "4.5.3", text), out);
            return Ok(None);
        }
        let question = Question::Recipient {
            sender: mail.sender.clone(),
            user: self.macros.user.clone(),
            recipient: recipient.clone(),
            is_first: mail.recipients.is_empty(),
        };
        self.state = State::Asked(Asked::Recipient(recipient));
        Ok(Some(question))
    }

    /// The message is whole: it is judged, or put off when it was let go of.
    fn judge(&mut self, out: &mut Vec<u8>) -> Option<Question> {
        let mut mail = self.mail.take()?;
        let macros = self.macros.clone();
        self.macros.end_of_message();
        if mail.held.is_dropped() {
            reply::refuse(&Reply::new(452, "4.3.1", "no room for this message now, try again later"), out);
            return None;
        }
        mail.end_header();
        let (message, size, oversize) = mail.held.finish();
        self.state = State::Asked(Asked::Judge);
        Some(Question::Judge(Box::new(Transaction {
            sender: mail.sender,
            recipients: mail.recipients,
            client: Client {
                address: self.client.address.clone().or(macros.address.and_then(|a| command::address(a.as_bytes()))),
                name: self.client.name.clone().or(macros.name.and_then(|name| command::host_name(&name))),
                helo: self.client.helo.clone(),
            },
            user: macros.user,
            queue_id: macros.queue_id,
            message,
            size,
            oversize,
            rebuilt: !self.agreed.is_spaced(),
        })))
    }

    /// Ends a transaction without a message.
    fn abandon(&mut self) -> Option<Question> {
        let mail = self.mail.take()?;
        mail.held.has_reserved().then(|| {
            self.state = State::Asked(Asked::Forget(None));
            Question::Forget
        })
    }

    /// Goes on with an answer; `Some` when there is another question at once.
    fn proceed(&mut self, asked: Asked, answer: Answer, out: &mut Vec<u8>) -> Option<Question> {
        self.state = State::Reading;
        match asked {
            Asked::Recipient(recipient) => match answer {
                Answer::Continue => {
                    if let Some(mail) = &mut self.mail {
                        mail.recipients.push(recipient);
                    }
                    reply::packet(CONTINUE, b"", out);
                }
                Answer::Reply(refusal) => reply::refuse(&refusal, out),
                _ => reply::refuse(&internal(), out),
            },
            Asked::More(wanted) => {
                let held = &mut self.mail.as_mut()?.held;
                if matches!(answer, Answer::Reserved(true)) {
                    held.grow(wanted);
                } else {
                    let owed = held.has_reserved();
                    held.drop_all();
                    if owed {
                        self.state = State::Asked(Asked::Forget(None));
                        return Some(Question::Forget);
                    }
                }
            }
            Asked::Forget(Some(again)) => {
                self.state = State::Asked(Asked::More(again));
                return Some(Question::Reserve(again));
            }
            Asked::Forget(None) => {}
            Asked::Judge => match answer {
                Answer::Judged(Judged::Accept(edits)) => {
                    for edit in &edits {
                        reply::edit(edit, &self.agreed, out);
                    }
                    reply::packet(ACCEPT, b"", out);
                }
                Answer::Judged(Judged::Discard) => reply::packet(DISCARD, b"", out),
                Answer::Judged(Judged::Refuse(refusal)) | Answer::Reply(refusal) => reply::refuse(&refusal, out),
                // Nobody has stored it.
                _ => reply::refuse(&internal(), out),
            },
            Asked::Close => self.state = State::Closed,
        }
        None
    }

    /// What must be asked before input is taken again.
    fn needs(&mut self) -> Option<Question> {
        if let Phase::Broken(Broken(why)) = self.phase {
            self.mail = None;
            self.state = State::Asked(Asked::Close);
            return Some(Question::Broken(why));
        }
        let appends = match self.phase {
            Phase::Field(_) | Phase::Body => true,
            Phase::Whole => matches!(self.packets.command(), b'N' | b'E'),
            _ => false,
        };
        let held = &mut self.mail.as_mut()?.held;
        if let Some(less) = held.excess() {
            self.state = State::Asked(Asked::Forget(Some(less)));
            return Some(Question::Forget);
        }
        (appends && held.room() < ROOM).then(|| {
            let wanted = held.wanted();
            self.state = State::Asked(Asked::More(wanted));
            Question::Reserve(wanted)
        })
    }

    /// Nothing came for too long.
    fn time_out(&mut self) -> Step<Question> {
        self.state = State::Closed;
        match self.abandon() {
            Some(forget) => {
                self.state = State::Asked(Asked::Close);
                Step::Ask(forget)
            }
            None => Step::Close,
        }
    }

    fn patience_within(&self) -> Duration {
        let within = self.mail.as_ref().is_some_and(|mail| mail.held.has_reserved()) || !self.packets.is_between();
        if within { limits::LMTP_IDLE } else { limits::MILTER_IDLE }
    }
}

impl Mail {
    /// Appends the empty line behind the header, once.
    fn end_header(&mut self) {
        if !std::mem::replace(&mut self.in_body, true) {
            self.held.append(|out| out.extend_from_slice(b"\r\n"));
        }
    }
}

fn internal() -> Reply {
    Reply::new(451, "4.3.0", "an error on our side, try again later")
}

impl Core for Session {
    type Question = Question;
    type Answer = Answer;

    fn feed(&mut self, input: &[u8]) -> usize {
        let mut at = 0;
        while let State::Reading = self.state {
            let rest = input.get(at..).unwrap_or_default();
            let taken = if rest.is_empty() { 0 } else { self.take(rest) };
            if taken == 0 {
                break;
            }
            at += taken;
        }
        self.heard |= at > 0;
        at
    }

    fn answer(&mut self, answer: Answer) {
        self.answer = Some(answer);
    }

    fn wake(&mut self) {}

    fn step(&mut self, now: Timestamp, out: &mut Vec<u8>) -> Step<Question> {
        if std::mem::take(&mut self.heard) {
            self.idle_from = None;
        }
        let question = match std::mem::replace(&mut self.state, State::Reading) {
            State::Closed => {
                self.state = State::Closed;
                return Step::Close;
            }
            State::Asked(asked) => {
                self.idle_from = None;
                // A driver that steps on without an answer gets the refusal that a missing answer is.
                let answer = self.answer.take().unwrap_or(Answer::Done);
                self.proceed(asked, answer, out)
            }
            State::Reading => self.needs().or_else(|| match self.phase {
                Phase::Whole => self.obey(out).unwrap_or_else(|broken| {
                    self.phase = Phase::Broken(broken);
                    None
                }),
                _ => None,
            }),
        };
        if let Some(question) = question {
            return Step::Ask(question);
        }
        match (&self.state, self.phase) {
            (State::Closed, _) => Step::Close,
            (_, Phase::Whole | Phase::Broken(_)) => Step::Again,
            (_, Phase::Field(_) | Phase::Body) if self.mail.as_ref().is_some_and(|m| m.held.room() < ROOM) => {
                Step::Again
            }
            _ => {
                let until = self.idle_from.get_or_insert(now).after(self.patience_within());
                if now >= until { self.time_out() } else { Step::Read { until } }
            }
        }
    }

    fn patience(&self) -> Option<(Duration, &'static [u8])> {
        matches!(self.state, State::Asked(Asked::Judge)).then_some((limits::MILTER_PROGRESS, PROGRESS))
    }
}
