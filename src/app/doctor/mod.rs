//! `lazaret doctor`: sends a test message through the configured path, beside the running server, and follows it: caught,
//! refused, kept, seen, released past the filter, and not caught again. It says at which step it stops, and what to change.
//!
//! `doctor/plan.rs` makes the steps of the configuration; each either holds, fails with what to change, or makes no sense
//! after another failed. Whatever happens, the test message is removed at the end, as far as it is here.

mod advice;
mod before;
mod case;
mod clean;
mod compare;
mod mail;
mod mailbox;
mod message;
mod plan;
mod release;
mod seen;

use super::config::Config;
use crate::mail::Address;
use case::{Case, Sick};
pub use mailbox::Mailbox;
use plan::{Need, Step};
use serde::Serialize;
use std::time::Instant;

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The recipient of the test message.
    pub to: Address,
    /// Its envelope sender; "": the null sender, to whom nothing bounces.
    pub from: String,
    /// Host and port of the mail server's SMTP.
    pub through: (String, u16),
    /// Leave the test message where it is.
    pub keep: bool,
    /// Also release it.
    pub release: bool,
    /// rspamd's controller, `http://host:port`.
    pub controller: Option<String>,
    /// What the filter takes for spam, in place of GTUBE.
    pub text: Option<String>,
    /// The recipient's mailbox.
    pub mailbox: Option<Mailbox>,
}

impl Options {
    /// The usual ones for a recipient.
    pub fn new(to: Address) -> Options {
        let through = ("127.0.0.1".to_string(), 25);
        Options {
            to,
            from: String::new(),
            through,
            keep: false,
            release: true,
            controller: None,
            text: None,
            mailbox: None,
        }
    }
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is as it should be.
    Ok,
    /// It is not.
    Failed,
    /// It was not looked at.
    Skipped,
}

/// What is told of one step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Told {
    /// Which.
    pub step: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub seconds: f64,
    /// What was found.
    pub text: String,
    /// What to change.
    pub change: Option<String>,
}

/// Looks at everything, telling each step as it ends, and cleans up. Says whether nothing failed. SIGINT and SIGTERM end
/// it early, and it cleans up all the same.
pub fn run(config: &Config, options: &Options, mut tell: impl FnMut(&Told)) -> Result<bool, String> {
    use async_signal::{Signal, Signals};
    use smol::stream::StreamExt;
    let mut signals =
        Signals::new([Signal::Term, Signal::Int]).map_err(|e| format!("cannot listen for signals: {e}"))?;
    smol::block_on(async {
        let mut case = Case::new(config, options)?;
        let mut is_well = true;
        let mut note = |told: &Told| {
            is_well &= told.outcome != Outcome::Failed;
            tell(told);
        };
        let whole = async {
            examine(&mut case, &mut note).await;
            false
        };
        let interrupted = async {
            signals.next().await;
            true
        };
        if smol::future::or(whole, interrupted).await {
            let text = "it was interrupted: what follows is not known".to_string();
            note(&Told { step: "interrupted", outcome: Outcome::Failed, seconds: 0.0, text, change: None });
        }
        let cleaned = async {
            case.clean_up(&mut note).await;
        };
        let again = async {
            signals.next().await;
        };
        smol::future::or(cleaned, again).await;
        Ok(is_well)
    })
}

async fn examine(case: &mut Case<'_>, tell: &mut impl FnMut(&Told)) {
    let steps = plan::plan(case.config, case.options);
    case.sources = plan::sources(&steps);
    for step in &steps {
        let began = Instant::now();
        let found = match case.lacks(step.needs()) {
            Some(why) => Err(Sick::Skipped(why.to_string())),
            None => take(case, step).await,
        };
        let (outcome, text, change) = match found {
            Ok(text) => (Outcome::Ok, text, None),
            Err(Sick::Skipped(text)) => (Outcome::Skipped, text, None),
            Err(Sick::Failed { text, change }) => (Outcome::Failed, text, Some(change)),
        };
        case.all_well &= outcome != Outcome::Failed;
        tell(&Told { step: step.name(), outcome, seconds: seconds(began), text, change });
    }
}

/// How long it took, to the millisecond.
fn seconds(began: Instant) -> f64 {
    (began.elapsed().as_secs_f64() * 1_000.0).round() / 1_000.0
}

async fn take(case: &mut Case<'_>, step: &Step) -> case::Finding {
    match step {
        Step::Server => case.server(),
        Step::Disk => case.disk(),
        Step::Clock => case.clock(),
        Step::Earlier => case.earlier(),
        Step::Door { what, listen, greets } => before::door(what, listen, *greets).await,
        Step::Filter(number) => case.filter(*number).await,
        Step::Mail => case.send().await,
        Step::Refused => case.refused().await,
        Step::Stored => case.kept().await,
        Step::Imap { address, implicit } => case.over_imap(*address, *implicit).await,
        Step::Page { address, tls } => case.on_the_page(*address, *tls).await,
        Step::Released => case.release().await,
        Step::Handed => case.handed().await,
        Step::Quiet => case.quiet().await,
        Step::Delivered => case.delivered().await,
        Step::Compared(url) => case.compared(url).await,
        Step::Absent(_, why) => Err(Sick::Skipped(why.to_string())),
    }
}

impl Case<'_> {
    /// What is missing for a step; `None`: it can be taken.
    fn lacks(&self, need: Need) -> Option<&'static str> {
        let (holds, why) = match need {
            Need::Nothing => (true, ""),
            Need::Server => (self.pass.is_some(), "no server answers"),
            Need::AllBefore => (
                self.pass.is_some() && self.all_well,
                "not sent: a message that cannot be followed to its end could reach the mailbox",
            ),
            Need::Answer => (self.answer.is_some(), "the test message was not handed over"),
            Need::Stored => (self.stored.is_some(), "the test message is not here"),
            Need::Released => (self.released, "it was not released"),
            Need::Handed => (self.handed.is_some(), "no mail server took it"),
        };
        (!holds).then_some(why)
    }
}
