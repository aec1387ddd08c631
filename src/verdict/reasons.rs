//! Reasons: one a rule that fired.

use super::{cut, line};
use crate::base::limits;
use std::fmt;

/// A rule that fired.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// The filter's name for it; empty: `text` is all there is.
    pub name: String,
    /// Points: positive ones speak for spam.
    pub score: Option<f64>,
    /// What the filter says of it: one line.
    pub text: String,
}

impl Reason {
    /// A rule. `None`: its name is none.
    pub(super) fn of(name: &str, score: Option<f64>, text: &str) -> Option<Reason> {
        let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let is_name = (1..=limits::VERDICT_NAME).contains(&name.len())
            && name.bytes().all(good)
            && !name.starts_with(|c: char| c.is_ascii_digit());
        let score = score.filter(|score| score.is_finite());
        is_name.then(|| Reason { name: name.to_string(), score, text: line(text, limits::VERDICT_TEXT) })
    }

    /// Words without a rule. `None`: there are none.
    pub(super) fn plain(text: &str) -> Option<Reason> {
        let text = line(text, limits::VERDICT_TEXT);
        (!text.is_empty()).then_some(Reason { name: String::new(), score: None, text })
    }
}

impl fmt::Display for Reason {
    /// As the trace and the page have it: `RULE(1.50)[text]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(score) = self.score {
            write!(f, "({score:.2})")?;
        }
        match (self.name.is_empty(), self.text.is_empty()) {
            (true, _) => f.write_str(&self.text),
            (false, true) => Ok(()),
            (false, false) => write!(f, "[{}]", self.text),
        }
    }
}

/// What speaks for spam first, then what speaks for the sender, each the weightiest first, then the rest; at most
/// `limits::VERDICT_REASONS`.
pub(super) fn sorted(mut reasons: Vec<Reason>) -> Vec<Reason> {
    let heap = |reason: &Reason| match reason.score {
        // Words without points were written for people.
        None if reason.name.is_empty() => 0,
        Some(score) if score > 0.0 => 1,
        Some(score) if score < 0.0 => 2,
        _ => 3,
    };
    let weight = |reason: &Reason| reason.score.unwrap_or(0.0).abs();
    reasons
        .sort_by(|a, b| heap(a).cmp(&heap(b)).then(weight(b).total_cmp(&weight(a))).then_with(|| a.name.cmp(&b.name)));
    reasons.truncate(limits::VERDICT_REASONS);
    reasons
}

/// What a rule means, and what it found this time, as one text.
pub(super) fn joined(meaning: &str, found: &[&str]) -> String {
    let mut text = String::new();
    for piece in std::iter::once(meaning).chain(found.iter().copied()).filter(|piece| !piece.is_empty()) {
        if !text.is_empty() {
            text.push_str(if text.len() == meaning.len() { ": " } else { ", " });
        }
        text.push_str(piece);
        if text.len() > limits::VERDICT_TEXT {
            cut(&mut text, limits::VERDICT_TEXT);
            break;
        }
    }
    text
}
