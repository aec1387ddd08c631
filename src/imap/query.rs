//! What SEARCH, SORT and THREAD ask for besides the key, and which messages of a result that means.

use super::gather::Order;
use super::search::Key;
use std::ops::Range;

/// A search as the client wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// What is looked for.
    pub key: Key,
    /// In which order it is answered.
    pub order: Order,
    /// RETURN (RFC 4466 2.6); `None`: it was not there.
    pub returns: Option<Returns>,
}

/// The options of RETURN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Returns {
    /// The first message.
    pub min: bool,
    /// The last one.
    pub max: bool,
    /// All.
    pub all: bool,
    /// How many they are.
    pub count: bool,
    /// Keep the result for `$` (RFC 5182).
    pub save: bool,
    /// Some of them (RFC 9394 3.1).
    pub partial: Option<Partial>,
    /// How well they match (RFC 6203 4).
    pub relevancy: bool,
    /// More searches with this key will come (RFC 5267 4.2); nothing follows from it.
    pub context: bool,
    /// Tell what changes (RFC 5267 4.3).
    pub update: bool,
}

impl Returns {
    /// What nothing in parentheses means (RFC 4731 3.1).
    pub const ALL: Returns = Returns {
        min: false,
        max: false,
        all: true,
        count: false,
        save: false,
        partial: None,
        relevancy: false,
        context: false,
        update: false,
    };

    /// Whether SAVE alone was asked for, which is answered with nothing (RFC 9051 6.4.4).
    pub fn is_silent(&self) -> bool {
        self.save && *self == Returns { save: true, ..Returns::default() }
    }

    /// Places in a result of `len` messages that `$` gets: the whole, or what MIN, MAX and PARTIAL return (RFC 5182 2.4,
    /// RFC 9394 3.2).
    pub fn saved(&self, len: usize) -> Vec<Range<usize>> {
        if self.all || self.count || !(self.min || self.max || self.partial.is_some()) {
            return std::iter::once(0..len).collect();
        }
        self.ends(len).into_iter().chain(self.partial.map(|partial| partial.of(len))).collect()
    }

    /// Places of the messages that are returned: what MODSEQ tells the highest of (RFC 4731 3.2).
    pub fn returned(&self, len: usize) -> Vec<Range<usize>> {
        self.saved(len)
    }

    fn ends(&self, len: usize) -> Vec<Range<usize>> {
        let mut ends = Vec::new();
        if self.min && len > 0 {
            ends.push(0..1);
        }
        if self.max && len > 0 {
            ends.push(len - 1..len);
        }
        ends
    }
}

/// A range of places in a result, as the client wrote it: `2:4`, or `-2:-4` from the end (RFC 9394 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partial {
    /// The one before the colon, without its sign.
    pub one: u32,
    /// The one behind it.
    pub other: u32,
    /// Counted from the end.
    pub from_end: bool,
}

impl Partial {
    /// The places that it means among `len`.
    pub fn of(self, len: usize) -> Range<usize> {
        let (low, high) = (self.one.min(self.other) as usize, self.one.max(self.other) as usize);
        let range = low.saturating_sub(1).min(len)..high.min(len);
        if self.from_end { len - range.end..len - range.start } else { range }
    }
}

impl std::fmt::Display for Partial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.from_end { "-" } else { "" };
        write!(f, "{sign}{}:{sign}{}", self.one, self.other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_result() {
        let partial = |one, other, from_end| Partial { one, other, from_end };
        assert_eq!(partial(1, 3, false).of(10), 0..3);
        assert_eq!(partial(3, 1, false).of(2), 0..2);
        assert_eq!(partial(1, 3, true).of(10), 7..10);
        assert_eq!(partial(2, 3, true).of(10), 7..9);
        assert!(partial(5, 9, false).of(4).is_empty());
        assert!(partial(5, 9, true).of(4).is_empty());
        assert_eq!(partial(4, 9, true).of(4), 0..1);
        assert_eq!(partial(1, u32::MAX, true).to_string(), "-1:-4294967295");
    }

    #[test]
    fn what_is_saved() {
        // RFC 5182 2.4, RFC 9394 3.2
        let saved = |returns: Returns| returns.saved(9).into_iter().flatten().collect::<Vec<_>>();
        let none = Returns::default();
        let partial = Some(Partial { one: 2, other: 3, from_end: false });
        assert_eq!(saved(Returns { save: true, ..none }).len(), 9);
        assert_eq!(saved(Returns { min: true, ..none }), [0]);
        assert_eq!(saved(Returns { min: true, max: true, ..none }), [0, 8]);
        assert_eq!(saved(Returns { min: true, count: true, ..none }).len(), 9);
        assert_eq!(saved(Returns { partial, ..none }), [1, 2]);
        assert_eq!(saved(Returns { partial, max: true, ..none }), [8, 1, 2]);
        assert_eq!(saved(Returns { partial, max: true, count: true, ..none }).len(), 9);
        assert!(Returns { min: true, ..none }.saved(0).is_empty());
    }
}
