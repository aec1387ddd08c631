//! SORT (RFC 5256 3, RFC 5957): the keys of each message that was found, and their order.

use super::content::Content;
use super::envelope;
use crate::mail::date::Written;
use crate::mail::{fold, header, subject, words};
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::io;
use std::ops::Range;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// INTERNALDATE.
    Arrival,
    /// The sent date (RFC 5256 2.2).
    Date,
    /// RFC822.SIZE.
    Size,
    /// How well it matches FUZZY keys (RFC 6203 6), the best first.
    Relevancy,
    /// The base subject.
    Subject,
    /// The mailbox of the first address of a field.
    Mailbox(&'static str),
    /// The name of the first address of a field, else the address (RFC 5957 3).
    Display(&'static str),
}

impl Field {
    /// By its name in any case.
    pub fn by_name(name: &[u8]) -> Option<Field> {
        Some(match name.to_ascii_uppercase().as_slice() {
            b"ARRIVAL" => Field::Arrival,
            b"DATE" => Field::Date,
            b"SIZE" => Field::Size,
            b"RELEVANCY" => Field::Relevancy,
            b"SUBJECT" => Field::Subject,
            b"CC" => Field::Mailbox("cc"),
            b"FROM" => Field::Mailbox("from"),
            b"TO" => Field::Mailbox("to"),
            b"DISPLAYFROM" => Field::Display("from"),
            b"DISPLAYTO" => Field::Display("to"),
            _ => return None,
        })
    }

    fn is_text(self) -> bool {
        matches!(self, Field::Subject | Field::Mailbox(_) | Field::Display(_))
    }
}

/// One of the things by which is sorted, the most important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Criterion {
    /// What is compared.
    pub field: Field,
    /// Descending.
    pub reverse: bool,
}

/// When a message was sent: its Date, else its INTERNALDATE (RFC 5256 2.2).
pub fn sent_date(block: &[u8], internal: u64) -> u64 {
    let written = header::find(block, b"Date").and_then(|field| Written::parse(field.value));
    written.map_or(internal, |written| written.timestamp().secs())
}

/// The keys of messages, given in mailbox order, and then their order.
#[derive(Debug)]
pub struct Sorter {
    criteria: Vec<Criterion>,
    /// What each message has, a column a criterion: a number, or where in `text` the key lies.
    keys: Vec<u64>,
    text: Vec<u8>,
    uids: Vec<u32>,
    /// Messages by their place in `uids`, each run in order; those from `fresh` on are in none yet.
    runs: VecDeque<Vec<u32>>,
    fresh: u32,
    merge: Option<Merge>,
}

/// Two runs on the way to one.
#[derive(Debug)]
struct Merge {
    left: std::iter::Peekable<std::vec::IntoIter<u32>>,
    right: std::iter::Peekable<std::vec::IntoIter<u32>>,
    out: Vec<u32>,
}

/// Messages that are sorted or merged before the clock is looked at.
const STRIDE: usize = 1024;

impl Sorter {
    /// Nothing is in it yet.
    pub fn new(criteria: &[Criterion]) -> Self {
        Sorter {
            criteria: criteria.to_vec(),
            keys: Vec::new(),
            text: Vec::new(),
            uids: Vec::new(),
            runs: VecDeque::new(),
            fresh: 0,
            merge: None,
        }
    }

    /// Adds a message with a UID above all before.
    pub fn add(&mut self, content: &mut dyn Content, score: u8) -> io::Result<()> {
        let row = content.row();
        let with_header = self.criteria.iter().any(|c| c.field.is_text() || c.field == Field::Date);
        let block = if with_header { Some(content.header()?) } else { None };
        let block = block.as_deref().unwrap_or_default();
        for at in 0..self.criteria.len() {
            let Some(field) = self.criteria.get(at).map(|c| c.field) else { break };
            let known = self.criteria.iter().position(|c| c.field == field).filter(|&first| first < at);
            let key = match (known, field) {
                (Some(first), _) => self.keys.get(self.keys.len() - at + first).copied().unwrap_or(0),
                (None, Field::Arrival) => row.date,
                (None, Field::Date) => sent_date(block, row.date),
                (None, Field::Size) => row.size,
                (None, Field::Relevancy) => u64::from(u8::MAX - score),
                (None, Field::Subject) => {
                    let found = header::find(block, b"Subject");
                    self.keep(&found.map(|field| subject::base(field.value).text).unwrap_or_default())
                }
                (None, Field::Mailbox(name)) => {
                    let first = envelope::first_address(block, name.as_bytes());
                    let mailbox = first.and_then(|first| first.mailbox).unwrap_or_default();
                    self.keep(&String::from_utf8_lossy(&mailbox))
                }
                (None, Field::Display(name)) => self.keep(&display(block, name)),
            };
            self.keys.push(key);
        }
        self.uids.push(row.uid);
        if self.uids.len() as u32 - self.fresh >= STRIDE as u32 {
            self.seal();
        }
        Ok(())
    }

    /// Keeps a text; where it lies. Texts of a message are bounded by the header's limits, so 40 and 24 bits suffice.
    fn keep(&mut self, text: &str) -> u64 {
        let key = fold::casemap(text);
        let key = key.as_bytes().get(..(1 << 24) - 1).unwrap_or(key.as_bytes());
        let at = self.text.len() as u64;
        self.text.extend_from_slice(key);
        at << 24 | key.len() as u64
    }

    /// About how much memory it uses.
    pub fn bytes(&self) -> usize {
        self.text.capacity() + 8 * self.keys.capacity() + 12 * self.uids.capacity()
    }

    /// Sorts those that came since the last time.
    fn seal(&mut self) {
        let end = self.uids.len() as u32;
        let mut run: Vec<u32> = (std::mem::replace(&mut self.fresh, end)..end).collect();
        run.sort_unstable_by(|&a, &b| self.compare(a, b));
        if !run.is_empty() {
            self.runs.push_back(run);
        }
    }

    /// Goes on with ordering until it is done or `over` says that it is enough; whether it is done.
    pub fn order(&mut self, over: &mut dyn FnMut() -> bool) -> bool {
        self.seal();
        loop {
            let mut merge = match self.merge.take() {
                Some(merge) => merge,
                None => {
                    if self.runs.len() < 2 {
                        return true;
                    }
                    let mut next = || self.runs.pop_front().unwrap_or_default();
                    let (left, right) = (next(), next());
                    let out = Vec::with_capacity(left.len() + right.len());
                    Merge { left: left.into_iter().peekable(), right: right.into_iter().peekable(), out }
                }
            };
            while merge.step(STRIDE, |a, b| self.compare(a, b)) {
                if over() {
                    self.merge = Some(merge);
                    return false;
                }
            }
            self.runs.push_back(merge.out);
            if over() {
                return self.runs.len() < 2;
            }
        }
    }

    /// The UIDs in order, once [`Sorter::order`] is done.
    pub fn finish(mut self) -> Vec<u32> {
        let order = self.runs.pop_front().unwrap_or_default();
        order.into_iter().filter_map(|at| self.uids.get(at as usize).copied()).collect()
    }

    /// The order of two messages; equal ones stay as they are in the mailbox.
    fn compare(&self, a: u32, b: u32) -> Ordering {
        let width = self.criteria.len();
        let keys = |of: u32| self.keys.get(of as usize * width..(of as usize + 1) * width).unwrap_or_default();
        for (criterion, (&one, &other)) in self.criteria.iter().zip(keys(a).iter().zip(keys(b))) {
            let order = if criterion.field.is_text() {
                self.text.get(place(one)).cmp(&self.text.get(place(other)))
            } else {
                one.cmp(&other)
            };
            match order {
                Ordering::Equal => {}
                order if criterion.reverse => return order.reverse(),
                order => return order,
            }
        }
        a.cmp(&b)
    }
}

impl Merge {
    /// Moves at most `most` messages; whether more are left.
    fn step(&mut self, most: usize, compare: impl Fn(u32, u32) -> Ordering) -> bool {
        for _ in 0..most {
            let next = match (self.left.peek(), self.right.peek()) {
                (Some(&left), Some(&right)) if compare(left, right).is_gt() => self.right.next(),
                (Some(_), _) => self.left.next(),
                (None, _) => self.right.next(),
            };
            match next {
                Some(at) => self.out.push(at),
                None => return false,
            }
        }
        true
    }
}

fn place(key: u64) -> Range<usize> {
    let at = (key >> 24) as usize;
    at..at + (key & 0xff_ffff) as usize
}

/// RFC 5957 3.
fn display(block: &[u8], name: &str) -> String {
    let Some(first) = envelope::first_address(block, name.as_bytes()) else { return String::new() };
    let shown = first.name.map(|name| words::decode(&name)).unwrap_or_default();
    if !shown.is_empty() {
        return shown;
    }
    let text = |part: Option<Vec<u8>>| part.map(|part| String::from_utf8_lossy(&part).into_owned());
    match (text(first.mailbox), text(first.host)) {
        (Some(mailbox), Some(host)) => format!("{mailbox}@{host}"),
        (mailbox, _) => mailbox.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A sorter over made-up keys: a number and a text a message.
    fn sorter(rows: &[(u64, String)], reverse: bool) -> Sorter {
        let criteria = [Criterion { field: Field::Size, reverse }, Criterion { field: Field::Subject, reverse: false }];
        let mut sorter = Sorter::new(&criteria);
        for (at, (number, text)) in rows.iter().enumerate() {
            let key = sorter.keep(text);
            sorter.keys.extend([*number, key]);
            sorter.uids.push(at as u32 + 1);
            if at % 7 == 0 {
                sorter.seal();
            }
        }
        sorter
    }

    #[test]
    fn names() {
        assert_eq!(Field::by_name(b"displayTo"), Some(Field::Display("to")));
        assert_eq!(Field::by_name(b"REVERSE"), None);
        assert_eq!(display(b"From: =?utf-8?q?=C3=A4?= <a@b>\r\n", "from"), "ä");
        assert_eq!(display(b"From: <a@b>\r\n", "from"), "a@b");
        assert_eq!(display(b"To: group:;\r\n", "to"), "group");
        assert_eq!(display(b"To:\r\n", "to"), "");
    }

    proptest! {
        #[test]
        fn sorts_in_pieces_as_in_one(rows in prop::collection::vec((0u64..4, "[abAB]{0,2}"), 0..200), reverse: bool) {
            let mut expect: Vec<usize> = (0..rows.len()).collect();
            expect.sort_by_key(|&at| {
                let number = if reverse { u64::MAX - rows[at].0 } else { rows[at].0 };
                (number, rows[at].1.to_uppercase(), at)
            });
            let expect: Vec<u32> = expect.into_iter().map(|at| at as u32 + 1).collect();
            let mut whole = sorter(&rows, reverse);
            prop_assert!(whole.order(&mut || false));
            prop_assert_eq!(whole.finish(), expect.clone());
            let mut pieces = sorter(&rows, reverse);
            let mut turns = 0;
            while !pieces.order(&mut || true) {
                turns += 1;
                prop_assert!(turns < 10_000);
            }
            prop_assert_eq!(pieces.finish(), expect);
        }
    }
}
