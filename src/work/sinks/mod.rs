//! Where trainings go: a Maildir, a command, rspamd, SpamAssassin, or a mail address.

mod command;
mod folder;
mod mail;
mod rspamd;
mod spamd;

pub use command::{Command, Meaning};
pub use folder::Folder;
pub use mail::{Mail, Stamp};
pub use rspamd::Rspamd;
pub use spamd::Spamd;

use crate::mail::Trace;
use crate::queue::{Entry, Verb};

/// One sink.
#[derive(Debug, Clone)]
pub enum Sink {
    /// Keeps the message in a Maildir.
    Folder(Folder),
    /// Hands it to a command.
    Command(Command),
    /// Tells rspamd's controller.
    Rspamd(Rspamd),
    /// Tells SpamAssassin's spamd.
    Spamd(Spamd),
    /// Reports it to a mail address.
    Mail(Mail),
}

/// A message to be learned.
#[derive(Debug, Clone)]
pub struct Lesson {
    /// The queue's entry.
    pub entry: Entry,
    /// What is known of it; nothing of a message from outside.
    pub trace: Trace,
    /// The original bytes, without the trace, lines as they are in the file.
    pub message: Vec<u8>,
}

impl Lesson {
    /// `ham` or `spam`.
    pub fn word(&self) -> &'static str {
        match self.entry.part.verb() {
            Verb::TrainHam => "ham",
            Verb::TrainSpam | Verb::Release => "spam",
        }
    }
}

/// What a sink made of a lesson; the texts are for the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Learned {
    /// It knows the message now, knew it before, or can learn nothing from it.
    Done(String),
    /// Not now.
    Retry(String),
    /// Not before somebody changes the configuration: tried again like `Retry`, and logged as an error.
    Misconfigured(String),
    /// Never.
    Never(String),
}

impl Sink {
    /// Tells the sink. Ends within its time, or a little later when a disk is slow; a mail server has the time that SMTP
    /// gives it.
    pub async fn learn(&self, lesson: Lesson) -> Learned {
        match self {
            Sink::Folder(folder) => folder.learn(lesson).await,
            Sink::Command(command) => command.learn(lesson).await,
            Sink::Rspamd(rspamd) => rspamd.learn(lesson).await,
            Sink::Spamd(spamd) => spamd.learn(lesson).await,
            Sink::Mail(mail) => mail.learn(lesson).await,
        }
    }
}

/// What is printable of some output, in one line of at most 500 characters.
fn one_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    words.join(" ").chars().take(500).collect()
}
