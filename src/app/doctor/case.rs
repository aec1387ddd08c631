//! What is known of the test message so far, and the two ways to know more: the running server, and its journal.

use super::Options;
use super::message::TestMessage;
use crate::app::commands::{Answer, Request};
use crate::app::config::Config;
use crate::app::{control, map};
use crate::base::{Secret, Timestamp, limits};
use crate::net::imap_login::visit::Visit;
use crate::net::smtp::{Sent, Step};
use crate::store::journal::Journal;
use serde_json::Value;
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant, SystemTime};

/// What a step found: how it is, or what is wrong.
pub type Finding = Result<String, Sick>;

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sick {
    /// It does not hold, and what to change.
    Failed {
        /// What was done, to whom, and what was answered.
        text: String,
        /// What to change.
        change: String,
    },
    /// It cannot be looked at, and why.
    Skipped(String),
}

/// A failure.
pub fn failed<T>(text: impl Into<String>, change: impl Into<String>) -> Result<T, Sick> {
    Err(Sick::Failed { text: text.into(), change: change.into() })
}

/// A login that the server lent.
pub struct Pass {
    /// The login.
    pub user: String,
    /// Its password.
    pub password: Secret<String>,
    /// Whose mail it sees.
    pub recipient: String,
    /// Closing it ends the pass.
    _held: UnixStream,
}

/// Where the test message lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its id.
    pub id: String,
    /// In whose tree.
    pub recipient: String,
    /// The door by which it came.
    pub door: String,
}

/// All that is known.
pub struct Case<'a> {
    pub config: &'a Config,
    pub options: &'a Options,
    pub message: TestMessage,
    /// From where a pass must be good.
    pub sources: Vec<IpAddr>,
    /// No step has failed.
    pub all_well: bool,
    pub pass: Option<Pass>,
    /// It may have left: the mail server was spoken to.
    pub sent: bool,
    /// What the mail server said to the test message, and where.
    pub answer: Option<(Sent, Step)>,
    pub stored: Option<Stored>,
    /// An IMAP session that has the test message before it, by UID.
    pub visit: Option<(Visit, u32)>,
    pub released: bool,
    /// What the route's server answered.
    pub handed: Option<String>,
    /// It is known that the message went to the mailbox without having been released.
    pub leaked: bool,
    /// It was found in the mailbox, and removed there.
    pub taken: bool,
    began: Timestamp,
    journal: Journal,
}

impl<'a> Case<'a> {
    /// Nothing is known yet.
    pub fn new(config: &'a Config, options: &'a Options) -> Result<Case<'a>, String> {
        let now = Timestamp::from_system(SystemTime::now());
        let message = TestMessage::new(&options.to, options.text.as_deref(), &map::host(config), now);
        Ok(Case {
            config,
            options,
            message: message.ok_or("the system has no random bytes")?,
            sources: Vec::new(),
            all_well: true,
            pass: None,
            sent: false,
            answer: None,
            stored: None,
            visit: None,
            released: false,
            handed: None,
            leaked: false,
            taken: false,
            began: now,
            journal: Journal::new(config.data.join("journal")),
        })
    }

    /// The journal of the data directory.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Lends a pass; the error says why there is none.
    pub fn lend(&mut self) -> Result<(), Sick> {
        let recipient = self.options.to.to_string();
        let socket = control::path(&self.config.data);
        let stream = control::connect(&self.config.data).map_err(|e| super::advice::no_server(&socket, &e))?;
        let request = Request::Pass { recipient, from: self.sources.clone() };
        match control::pass(stream, &request) {
            Ok((Answer::Pass { user, password, recipient }, held)) => {
                self.pass = Some(Pass { user, password: Secret::new(password), recipient, _held: held });
                Ok(())
            }
            Ok((Answer::Failed { text, .. }, _)) => failed(text, super::advice::recipient(&self.options.to)),
            Ok(_) => failed("the running server answers something else", super::advice::OTHER_VERSION),
            Err(unanswered) => failed(unanswered.to_string(), super::advice::OTHER_VERSION),
        }
    }

    /// Has the running server do something; its answers.
    pub fn ask(&self, request: &Request) -> Result<Vec<Answer>, String> {
        let stream = control::connect(&self.config.data).map_err(|e| format!("the server is not reached: {e}"))?;
        let mut answers = Vec::new();
        let mut trouble = None;
        control::over(stream, request, |answer| match answer {
            Answer::Done => {}
            Answer::Failed { text, .. } => trouble = Some(text),
            answer => answers.push(answer),
        })
        .map_err(|unanswered| unanswered.to_string())?;
        trouble.map_or(Ok(answers), Err)
    }

    /// What the journal says since the beginning, the newest first.
    pub fn events(&self) -> Vec<Event> {
        // Its times have no fractions of a second.
        let from = Timestamp::from_secs(self.began.secs()).rfc3339();
        let mut events = Vec::new();
        self.journal.back(None, limits::DOCTOR_RECENT, |line| {
            let Ok(value) = serde_json::from_str::<Value>(line) else { return true };
            let event = Event(value);
            let is_since = event.text("time") >= from.as_str();
            if is_since {
                events.push(event);
            }
            is_since
        });
        events
    }

    /// Each time that the test message was stored, the newest first.
    pub fn stored_events(&self) -> Vec<Stored> {
        let ours = |event: &Event| event.is("stored") && event.text("message_id") == self.message.message_id;
        let events = self.events().into_iter().filter(ours);
        let stored = |event: Event| Stored {
            id: event.text("id").to_string(),
            recipient: event.text("recipient").to_string(),
            door: event.text("by").to_string(),
        };
        events.map(stored).collect()
    }

    /// What happened to one message since the beginning, the newest first.
    pub fn about(&self, id: &str) -> Vec<Event> {
        self.events().into_iter().filter(|event| event.text("id") == id).collect()
    }

    /// Looks again and again until something is there, for so long at most.
    pub async fn wait<T>(&self, most: Duration, look: impl Fn(&Self) -> Option<T>) -> Option<T> {
        let began = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return Some(found);
            }
            if began.elapsed() >= most {
                return None;
            }
            smol::Timer::after(limits::DOCTOR_LOOK).await;
        }
    }
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Event(Value);

impl Event {
    /// A value; "" when it has none.
    pub fn text(&self, key: &str) -> &str {
        self.0.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether this is what happened.
    pub fn is(&self, event: &str) -> bool {
        self.text("event") == event
    }
}
