//! What people type into the search field, as a search key: the same engine as IMAP SEARCH.
//!
//! Words are looked for in sender, recipient, subject, reasons and the visible text, all of them in any order;
//! `"several words"` as they stand. `-` in front: not. Besides: `from:`, `to:`, `subject:`, `text:`, `reason:`,
//! `header:Name` or `header:Name=value`, `kind:virus`, `is:unread`, `is:flagged`, `is:failed`, `before:2026-01-31`,
//! `since:`, `on:`, `larger:1M`, `smaller:`, `score>5`, `score<5`.

use crate::base::time::days_from_civil;
use crate::base::{Flags, limits};
use crate::imap::search::{Day, Key};
use crate::mail::{Kind, fold};

/// What is looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// For the engine.
    pub key: Key,
    /// What the engine does not know: bounds of the filter's score.
    pub scores: Vec<Bound>,
}

/// A bound of the score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// Above it.
    Above(f64),
    /// Below it.
    Below(f64),
}

impl Bound {
    /// Whether a score is within it.
    pub fn holds(self, score: f64) -> bool {
        match self {
            Bound::Above(than) => score > than,
            Bound::Below(than) => score < than,
        }
    }
}

/// Reads what was typed. The error is the piece that was not understood.
pub fn parse(text: &str) -> Result<Query, String> {
    let text: String = text.chars().take(limits::SEARCH_LETTERS).collect();
    let (mut keys, mut scores) = (Vec::new(), Vec::new());
    for piece in pieces(&text).into_iter().take(limits::SEARCH_KEYS) {
        match bound(&piece.text) {
            Some(bound) if !piece.is_quoted => scores.push(bound.ok_or_else(|| piece.text.clone())?),
            _ => {
                let key = key(&piece).ok_or_else(|| piece.text.clone())?;
                keys.push(if piece.is_not { Key::not(key) } else { key });
            }
        }
    }
    Ok(Query { key: if keys.is_empty() { Key::All } else { Key::and(keys) }, scores })
}

/// What stands between spaces outside quotes.
struct Piece {
    text: String,
    /// It begins with a quote: a phrase, whatever it holds.
    is_quoted: bool,
    is_not: bool,
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut letters = text.chars().peekable();
    loop {
        while letters.next_if(|c| c.is_whitespace()).is_some() {}
        if letters.peek().is_none() {
            return pieces;
        }
        let is_not = letters.next_if_eq(&'-').is_some();
        let is_quoted = letters.peek() == Some(&'"');
        let (mut piece, mut within) = (String::new(), false);
        while let Some(letter) = letters.next_if(|c| within || !c.is_whitespace()) {
            match letter {
                '"' => within = !within,
                letter => piece.push(letter),
            }
        }
        if !piece.is_empty() {
            pieces.push(Piece { text: piece, is_quoted, is_not });
        }
    }
}

/// `score>5`; `Some(None)` when there is no number.
fn bound(text: &str) -> Option<Option<Bound>> {
    let rest = text.strip_prefix("score").map(|rest| rest.strip_prefix(':').unwrap_or(rest))?;
    let (make, number): (fn(f64) -> Bound, &str) = match (rest.strip_prefix('>'), rest.strip_prefix('<')) {
        (Some(number), _) => (Bound::Above, number),
        (_, Some(number)) => (Bound::Below, number),
        _ => return None,
    };
    Some(number.parse().ok().filter(|n: &f64| n.is_finite()).map(make))
}

fn loosely(key: Key) -> Key {
    Key::Fuzzy(Box::new(key))
}

fn field(name: &str, value: &str) -> Key {
    loosely(Key::Header { name: name.to_lowercase().into_bytes(), value: fold::loose(value).into() })
}

fn any_field(names: &[&str], value: &str) -> Key {
    Key::or(names.iter().map(|name| field(name, value)).collect())
}

fn key(piece: &Piece) -> Option<Key> {
    let words = |value: &str| {
        let body = loosely(Key::Body(fold::loose(value).into()));
        let names = ["from", "to", "cc", "subject", "x-lazaret-sender", "x-lazaret-reason"];
        Key::or(names.iter().map(|name| field(name, value)).chain([body]).collect())
    };
    let (name, value) = match piece.text.split_once(':') {
        Some((name, value)) if !piece.is_quoted => (name.to_lowercase(), value),
        _ => return Some(words(&piece.text)),
    };
    let day = |make: fn(i64) -> Day| civil(value).map(|day| Key::Received(make(day)));
    Some(match name.as_str() {
        "from" => any_field(&["from", "x-lazaret-sender"], value),
        "to" => any_field(&["to", "cc", "x-lazaret-recipient"], value),
        "subject" => field("subject", value),
        "reason" => field("x-lazaret-reason", value),
        "text" => loosely(Key::Body(fold::loose(value).into())),
        "header" => match value.split_once('=') {
            Some((name, value)) => field(name, value),
            None => field(value, ""),
        },
        "kind" => field("x-lazaret-kind", Kind::ALL.into_iter().find(|kind| kind.word() == value)?.word()),
        "is" => match value {
            "unread" => Key::not(Key::Flag(Flags::SEEN)),
            "read" => Key::Flag(Flags::SEEN),
            "flagged" => Key::Flag(Flags::FLAGGED),
            "failed" => Key::Flag(Flags::RELEASE_FAILED),
            "released" => Key::Flag(Flags::RELEASED),
            _ => return None,
        },
        "before" => day(Day::Before)?,
        "since" | "after" => day(Day::Since)?,
        "on" => day(Day::On)?,
        "larger" => Key::Larger(bytes(value)?),
        "smaller" => Key::Smaller(bytes(value)?),
        // A time of day, an address of the web: words like others.
        _ => words(&piece.text),
    })
}

/// `2026-01-31` as days since 1970.
fn civil(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, '-');
    let (year, month, day) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    ((1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day))
        .then(|| days_from_civil(year, month, day))
}

/// `500`, `20K`, `1MB`.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match text.get(digits..)?.to_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return None,
    };
    text.get(..digits)?.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_typed() {
        assert_eq!(parse("  ").unwrap(), Query { key: Key::All, scores: vec![] });
        assert_eq!(parse("subject:Hé").unwrap().key, field("subject", "Hé"));
        assert_eq!(parse("-is:unread").unwrap().key, Key::not(Key::not(Key::Flag(Flags::SEEN))));
        assert_eq!(parse("subject:\"a b\"").unwrap().key, field("subject", "a b"));
        assert_eq!(parse("before:1970-01-02").unwrap().key, Key::Received(Day::Before(1)));
        assert_eq!(parse("larger:2k").unwrap().key, Key::Larger(2048));
        assert_eq!(parse("score>5 score:<7.5").unwrap().scores, [Bound::Above(5.0), Bound::Below(7.5)]);
        assert_eq!(parse("header:X-Mailer=bat").unwrap().key, field("x-mailer", "bat"));
        assert!(matches!(parse("\"from:x\"").unwrap().key, Key::Or(keys) if keys.len() == 7));
        assert!(matches!(parse("http://a.test").unwrap().key, Key::Or(_)));
        for bad in [
            "before:2026",
            "before:2026-13-01",
            "is:odd",
            "kind:x",
            "larger:x",
            "score>x",
            "larger:99999999999999999999",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn anything_can_be_typed(text in ".*") {
            let _ = parse(&text);
        }
    }
}
