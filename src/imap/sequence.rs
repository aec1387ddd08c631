//! Sequence sets (RFC 3501 9 `sequence-set`), and what they mean against the list that a client knows.

use super::request::Bad;
use crate::base::{UidList, UidRanges};

/// `*`: the highest number in use. Zero is no sequence number, so it can stand for it.
const STAR: u32 = 0;

/// A set as the client wrote it. `*` gets its meaning only against a list. Without a range it is `$`, the result that a
/// SEARCH saved (RFC 5182 2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceSet(Vec<(u32, u32)>);

impl SequenceSet {
    /// Parses a whole set: `1`, `*`, `2:4`, `4:2`, `1:*`, joined by commas; or `$`.
    pub fn parse(text: &[u8]) -> Option<SequenceSet> {
        if text == b"$" {
            return Some(SequenceSet(Vec::new()));
        }
        let mut ranges = Vec::new();
        for part in text.split(|&b| b == b',') {
            let mut ends = part.splitn(2, |&b| b == b':');
            let low = number(ends.next()?)?;
            let high = match ends.next() {
                Some(text) => number(text)?,
                None => low,
            };
            ranges.push((low, high));
        }
        Some(SequenceSet(ranges))
    }

    /// The UIDs of `list` that the set names, whether it holds UIDs or sequence numbers; `saved` is what `$` stands for.
    pub fn named(&self, uid: bool, list: &UidList, saved: &UidRanges) -> Result<UidRanges, Bad> {
        match (self.0.is_empty(), uid) {
            (true, _) => Ok(saved.clone()),
            (false, true) => Ok(self.uids(list)),
            (false, false) => self.messages(list),
        }
    }

    /// The UIDs of `list` that a set of UIDs names. UIDs that are not there are no error; `*` is the last UID, and
    /// above it nothing is named, since the client was not told of it (RFC 3501 6.4.8).
    pub fn uids(&self, list: &UidList) -> UidRanges {
        list.last().map(|last| self.up_to(last)).unwrap_or_default()
    }

    /// The UIDs that a set names, in the list or not, up to `last`, which is also `*`.
    pub fn up_to(&self, last: u32) -> UidRanges {
        let mut ranges = UidRanges::new();
        for &(a, b) in &self.0 {
            let (a, b) = (if a == STAR { last } else { a }, if b == STAR { last } else { b });
            let (low, high) = (a.min(b), a.max(b).min(last));
            if low <= high {
                ranges.add(low, high);
            }
        }
        ranges
    }

    /// The numbers of a set one by one, in the order in which they were written; `*` is left out.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().filter(|&&(a, b)| a != STAR && b != STAR).flat_map(|&(a, b)| a.min(b)..=a.max(b))
    }

    /// The UIDs of the messages with these sequence numbers. A number above the last message is an error (RFC 3501 9
    /// `seq-number`), except that `1:*` of an empty folder names nothing: clients send it without looking.
    pub fn messages(&self, list: &UidList) -> Result<UidRanges, Bad> {
        let mut ranges = UidRanges::new();
        let count = list.len();
        for &(a, b) in &self.0 {
            if count == 0 && a == 1 && b == STAR {
                continue;
            }
            let (a, b) = (if a == STAR { count } else { a }, if b == STAR { count } else { b });
            match (list.uid(a.min(b)), list.uid(a.max(b))) {
                (Some(low), Some(high)) => ranges.add(low, high),
                _ => return Err(Bad("there is no message with that sequence number")),
            }
        }
        Ok(ranges)
    }
}

/// `seq-number`: not zero, without leading zeros, or `*`.
fn number(text: &[u8]) -> Option<u32> {
    match text {
        b"*" => Some(STAR),
        [b'1'..=b'9', ..] if text.iter().all(u8::is_ascii_digit) => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list() -> UidList {
        [10, 20, 30, 40].into_iter().collect()
    }

    fn uids(set: &str, uid: bool) -> Vec<u32> {
        let set = SequenceSet::parse(set.as_bytes()).unwrap();
        let ranges = if uid { set.uids(&list()) } else { set.messages(&list()).unwrap() };
        list().within(&ranges).collect()
    }

    #[test]
    fn spellings() {
        assert_eq!(uids("1", false), [10]);
        assert_eq!(uids("*", false), [40]);
        assert_eq!(uids("3:2,1", false), [10, 20, 30]);
        assert_eq!(uids("*:2", false), [20, 30, 40]);
        assert_eq!(uids("15:30,99", true), [20, 30]);
        assert_eq!(uids("99:*", true), [40]);
        assert_eq!(uids("41:4294967295", true), [0u32; 0]);
        for bad in
            ["", "$,1", "1,$", "$$", "$:1", "0", "1:", ":1", "1,,2", "01", "a", "4294967296", "1:2:3", "-1", "1 "]
        {
            assert_eq!(SequenceSet::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn numbers_that_are_not_there() {
        let parse = |s: &str| SequenceSet::parse(s.as_bytes()).unwrap();
        assert!(parse("5").messages(&list()).is_err());
        assert!(parse("1:5").messages(&list()).is_err());
        assert!(parse("*").messages(&UidList::default()).is_err());
        assert!(parse("1:*").messages(&UidList::default()).unwrap().is_empty());
        assert!(parse("1:*").uids(&UidList::default()).is_empty());
    }

    proptest! {
        #[test]
        fn agrees_with_a_naive_reading(parts in proptest::collection::vec((0u32..60, 0u32..60), 1..12), have in proptest::collection::btree_set(1u32..60, 1..30)) {
            let list: UidList = have.iter().copied().collect();
            let text: Vec<String> = parts.iter().map(|&(a, b)| {
                let w = |n: u32| if n == 0 { "*".to_string() } else { n.to_string() };
                format!("{}:{}", w(a), w(b))
            }).collect();
            let set = SequenceSet::parse(text.join(",").as_bytes()).unwrap();
            let inside = |n: u32, star: u32| parts.iter().any(|&(a, b)| {
                let (a, b) = (if a == 0 { star } else { a }, if b == 0 { star } else { b });
                a.min(b) <= n && n <= a.max(b)
            });
            let last = list.last().unwrap();
            let expect: Vec<u32> = have.iter().copied().filter(|&u| inside(u, last)).collect();
            let ranges = set.uids(&list);
            prop_assert_eq!(list.within(&ranges).collect::<Vec<_>>(), expect);
            match set.messages(&list) {
                Ok(ranges) => {
                    let expect: Vec<u32> = (1..=list.len()).filter(|&n| inside(n, list.len())).filter_map(|n| list.uid(n)).collect();
                    prop_assert_eq!(list.within(&ranges).collect::<Vec<_>>(), expect);
                }
                Err(_) => prop_assert!(parts.iter().any(|&(a, b)| a > list.len() || b > list.len())),
            }
        }
    }
}
