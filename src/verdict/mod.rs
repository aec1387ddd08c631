//! What filters say of a message: what they are asked and what they answer, as bytes and values. No I/O: `net/verdict.rs`
//! carries it.
//!
//! A filter is a program of this site, but much of what it answers repeats what a stranger wrote: every value is bounded
//! and holds no line end that could begin something else.

pub mod exporter;
pub mod fields;
mod kinds;
mod proof;
mod reasons;
mod request;
pub mod rspamd;
pub mod spamd;

#[cfg(test)]
mod tests;

pub use proof::Proof;
pub use reasons::Reason;
pub use request::Request;

use crate::base::limits;
use crate::mail::Kind;
use std::fmt;

/// What a filter says of a message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdict {
    /// What is to become of it.
    pub action: Action,
    /// Points: the more, the likelier spam.
    pub score: Option<f64>,
    /// From so many points on it counts as spam; for rspamd as so bad that it is rejected.
    pub required: Option<f64>,
    /// Why; what speaks for spam first, the weightiest first.
    pub reasons: Vec<Reason>,
    /// What it is, if it is bad.
    pub kind: Kind,
    /// How the header changes if the message passes, in this order.
    pub edits: Vec<Edit>,
    /// What the filter wants the sender to be told: one line of printable ASCII.
    pub text: Option<String>,
    /// What it found out about who sent it.
    pub proofs: Vec<Proof>,
}

/// What is to become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Action {
    /// It is delivered.
    #[default]
    Pass,
    /// It is delivered, marked as probable spam.
    Mark,
    /// The sender is told to come again later.
    Later,
    /// The sender is told that it is refused.
    Reject,
    /// It is not delivered, and the sender is told nothing.
    Keep,
}

/// One change of a message's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Fields of this name go.
    Remove(String, Which),
    /// A field is added.
    Add {
        /// Its name.
        name: String,
        /// Its value; LF and white space where it is folded.
        value: String,
        /// Where.
        place: Place,
    },
}

/// Which of the fields of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// All of them.
    All,
    /// The first is 1.
    FromTop(u32),
    /// The last is 1.
    FromEnd(u32),
}

/// Where a field is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Below all others.
    End,
    /// The index of milter's insertion: 0 is above everything, 1 below the Received field that the server itself puts on
    /// top; beyond the last field it means the end.
    Top(u32),
    /// So many fields stay below it.
    AboveLast(u32),
}

/// A filter whose header fields can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Filter {
    /// rspamd, with its module milter_headers.
    Rspamd,
    /// SpamAssassin, by whatever program it is called.
    SpamAssassin,
    /// amavis.
    Amavis,
    /// clamav-milter.
    ClamAv,
}

impl Filter {
    /// All filters.
    pub const ALL: [Filter; 4] = [Filter::Rspamd, Filter::SpamAssassin, Filter::Amavis, Filter::ClamAv];

    /// The word in configuration and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Filter::Rspamd => "rspamd",
            Filter::SpamAssassin => "spamassassin",
            Filter::Amavis => "amavis",
            Filter::ClamAv => "clamav",
        }
    }

    /// The filter with this word.
    pub fn from_word(word: &str) -> Option<Filter> {
        Filter::ALL.into_iter().find(|filter| filter.word() == word)
    }
}

impl Verdict {
    /// The score as the trace has it: `21.30 / 15.00`, or what of it is known.
    pub fn score_line(&self) -> Option<String> {
        let score = self.score?;
        Some(match self.required {
            Some(required) => format!("{score:.2} / {required:.2}"),
            None => format!("{score:.2}"),
        })
    }

    /// The reasons as the trace has them, a line each.
    pub fn reason_lines(&self) -> Vec<String> {
        self.reasons.iter().map(Reason::to_string).collect()
    }

    /// Of a filter that only marks: from so many points on it is refused.
    #[must_use]
    pub fn rejected_from(mut self, points: Option<f64>) -> Verdict {
        let is_over = points.zip(self.score).is_some_and(|(points, score)| score >= points);
        if is_over && matches!(self.action, Action::Pass | Action::Mark) {
            self.action = Action::Reject;
        }
        self
    }

    /// The kind for a door that says `kind` of whatever comes in by it: the filter knows better what is only spam there.
    pub fn kind_at(&self, kind: Kind) -> Kind {
        if kind == Kind::Spam { self.kind } else { kind }
    }
}

/// Why there is no verdict: what the filter answered, or that it answered nothing that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unclear(pub String);

impl fmt::Display for Unclear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unclear {}

/// A text as one line without control characters, of at most so many bytes.
fn line(text: &str, most: usize) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line = String::new();
    let mut blank = true;
    for c in clean.take(most) {
        if c != ' ' || !blank {
            line.push(c);
        }
        blank = c == ' ';
    }
    cut(&mut line, most);
    line.truncate(line.trim_end().len());
    line
}

/// Cuts a text to so many bytes.
fn cut(text: &mut String, most: usize) {
    let end = (0..=most.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    text.truncate(end);
}

/// What a sender may be told: one line of printable ASCII, as every SMTP client takes it.
fn smtp_text(text: &str) -> Option<String> {
    let text = line(text, limits::VERDICT_TEXT);
    let text: String = text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
    (!text.is_empty()).then_some(text)
}

/// A field that may be put into a header: `None` when its name is none (RFC 5322 2.2). Folds of its value are kept, other
/// line ends become folds.
fn field(name: &str, value: &str, place: Place) -> Option<Edit> {
    let mut raw = value.replace("\r\n", "\n").replace('\r', "\n");
    cut(&mut raw, limits::VERDICT_FIELD);
    let mut clean = String::with_capacity(raw.len());
    for piece in raw.split('\n') {
        let piece = piece.replace(|c: char| c.is_control() && c != '\t', "");
        // A line of a folded value that holds nothing would end the header for some readers (RFC 5322 3.2.2).
        if piece.trim().is_empty() {
            continue;
        }
        if !clean.is_empty() {
            clean.push('\n');
            if !piece.starts_with([' ', '\t']) {
                clean.push('\t');
            }
        }
        clean.push_str(if clean.is_empty() { piece.trim_start() } else { &piece });
    }
    Some(Edit::Add { name: field_name(name)?, value: clean, place })
}

/// The name of a field, if it is one (RFC 5322 2.2).
fn field_name(name: &str) -> Option<String> {
    let good =
        (1..=limits::VERDICT_NAME).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    good.then(|| name.to_string())
}

/// A number of points, if it is one.
fn points(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+')) && text.len() <= 24;
    text.parse::<f64>().ok().filter(|points| plain && points.is_finite())
}
