//! What SEARCH looks for, and whether a message has it (RFC 3501 6.4.4, RFC 9051 6.4.4).

use super::content::{Content, Row};
use super::needle::Needle;
use super::objectid;
use super::request::Bad;
use super::sequence::SequenceSet;
use super::text_search::{self as texts, Manner, Within};
use crate::base::{Flags, Timestamp, UidList, UidRanges};
use crate::mail::date::Written;
use crate::mail::header;
use std::io;

pub use super::text_search::score;

/// A search key. Texts were folded by [`fold`], those below `Fuzzy` by [`Manner::Loose`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Every message.
    All,
    /// A set as the client wrote it; [`Key::resolve`] turns it into `Uids`. Matches nothing.
    Set {
        /// The numbers.
        set: SequenceSet,
        /// They are UIDs.
        uid: bool,
    },
    /// Messages with these UIDs.
    Uids(UidRanges),
    /// All these flags are set.
    Flag(Flags),
    /// `\Recent`
    Recent,
    /// RFC822.SIZE is above.
    Larger(u64),
    /// RFC822.SIZE is below.
    Smaller(u64),
    /// The INTERNALDATE, its time of day and zone disregarded.
    Received(Day),
    /// The save date (RFC 8514 4.3), likewise.
    Saved(Day),
    /// The Date field, its time of day and zone disregarded.
    Sent(Day),
    /// INTERNALDATE lies so many seconds back, or more (RFC 5032 2).
    Older(u32),
    /// INTERNALDATE lies so many seconds back, or less.
    Younger(u32),
    /// It changed at this modseq or later (RFC 7162 3.1.5).
    Modseq(u64),
    /// The EMAILID (RFC 8474 6).
    EmailId(String),
    /// A header field holds the text; an empty text asks for the field alone.
    Header {
        /// Field name, lower-case.
        name: Vec<u8>,
        /// The text.
        value: Needle,
    },
    /// The body holds the text.
    Body(Needle),
    /// Header or body hold the text.
    Text(Needle),
    /// Texts in it are compared loosely (RFC 6203 3).
    Fuzzy(Box<Key>),
    /// All of them, cheap ones first.
    And(Vec<Key>),
    /// One of them, cheap ones first.
    Or(Vec<Key>),
    /// Not that one.
    Not(Box<Key>),
}

/// A day, counted from 1970-01-01, and how to compare with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Day {
    /// Earlier than it.
    Before(i64),
    /// On it.
    On(i64),
    /// On it or later.
    Since(i64),
}

impl Day {
    fn matches(self, day: i64) -> bool {
        match self {
            Day::Before(than) => day < than,
            Day::On(it) => day == it,
            Day::Since(than) => day >= than,
        }
    }

    fn has(self, secs: u64) -> bool {
        self.matches((secs / 86_400) as i64)
    }
}

impl Key {
    /// All of `keys`.
    pub fn and(keys: Vec<Key>) -> Key {
        Key::flat(keys, Key::And)
    }

    /// Any of `keys`.
    pub fn or(keys: Vec<Key>) -> Key {
        Key::flat(keys, Key::Or)
    }

    /// The opposite.
    #[allow(clippy::should_implement_trait)] // it makes a key, it does not compute one
    pub fn not(key: Key) -> Key {
        Key::Not(Box::new(key))
    }

    /// No message.
    pub fn none() -> Key {
        Key::not(Key::All)
    }

    fn flat(mut keys: Vec<Key>, join: fn(Vec<Key>) -> Key) -> Key {
        if keys.len() == 1 {
            return keys.pop().unwrap_or(Key::All);
        }
        keys.sort_by_key(Key::cost);
        join(keys)
    }

    /// What it takes to evaluate: 0 the row, 1 the header, 2 the body.
    fn cost(&self) -> u8 {
        match self {
            Key::Sent(_) | Key::Header { .. } => 1,
            Key::Body(_) | Key::Text(_) => 2,
            Key::And(keys) | Key::Or(keys) => keys.iter().map(Key::cost).max().unwrap_or(0),
            Key::Not(key) | Key::Fuzzy(key) => key.cost(),
            _ => 0,
        }
    }

    /// Whether the row alone decides.
    pub fn needs_row_only(&self) -> bool {
        self.cost() == 0
    }

    /// Whether a key for which `is` says so is in it.
    pub fn any(&self, is: &dyn Fn(&Key) -> bool) -> bool {
        is(self)
            || match self {
                Key::And(keys) | Key::Or(keys) => keys.iter().any(|key| key.any(is)),
                Key::Not(key) | Key::Fuzzy(key) => key.any(is),
                _ => false,
            }
    }

    /// Turns sets into UIDs of `list`; `saved` is what `$` stands for (RFC 5182 2.1).
    pub fn resolve(self, list: &UidList, saved: &UidRanges) -> Result<Key, Bad> {
        let all = |keys: Vec<Key>| keys.into_iter().map(|key| key.resolve(list, saved)).collect::<Result<_, _>>();
        Ok(match self {
            Key::Set { set, uid } => Key::Uids(set.named(uid, list, saved)?),
            Key::And(keys) => Key::And(all(keys)?),
            Key::Or(keys) => Key::Or(all(keys)?),
            Key::Not(key) => Key::not(key.resolve(list, saved)?),
            Key::Fuzzy(key) => Key::Fuzzy(Box::new(key.resolve(list, saved)?)),
            key => key,
        })
    }
}

/// What a message is looked at with, besides the key.
#[derive(Debug, Clone, Copy)]
pub struct Against<'a> {
    /// The session's `\Recent` UIDs.
    pub recent: &'a UidRanges,
    /// The time from which OLDER and YOUNGER count.
    pub now: Timestamp,
}

/// How far a look at a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// To what the store keeps of it besides: it is not opened, and nothing is made of it.
    AtHand,
    /// As far as it takes.
    Whole,
}

/// Whether the message has what is looked for. It is opened only if what is at hand does not tell. Fails when it cannot be read.
pub fn matches(key: &Key, content: &mut dyn Content, against: &Against<'_>) -> io::Result<bool> {
    match glance(key, content, against)? {
        Some(is) => Ok(is),
        None => Ok(in_manner(key, content, against, Manner::Exact, Depth::Whole)? == Some(true)),
    }
}

/// The same as far as it can be told without opening the message; `None` when it cannot.
pub(super) fn glance(key: &Key, content: &mut dyn Content, against: &Against<'_>) -> io::Result<Option<bool>> {
    in_manner(key, content, against, Manner::Exact, Depth::AtHand)
}

/// `None` only where the depth does not suffice to tell.
fn in_manner(
    key: &Key,
    content: &mut dyn Content,
    against: &Against<'_>,
    manner: Manner,
    depth: Depth,
) -> io::Result<Option<bool>> {
    Ok(Some(match key {
        Key::EmailId(id) => objectid::email_id(&content.id()?) == *id,
        Key::Sent(_) if depth == Depth::AtHand => return Ok(None),
        Key::Sent(day) => {
            let block = content.header()?;
            let written = header::find(&block, b"Date").and_then(|field| Written::parse(field.value));
            written.is_some_and(|written| day.matches(written.day_number()))
        }
        Key::Header { name, value } => return texts::field_has(content, name, value, manner, depth),
        Key::Text(value) => return texts::has(content, value, Within::All, manner, depth),
        Key::Body(value) => return texts::has(content, value, Within::Bodies, manner, depth),
        Key::Fuzzy(key) => return in_manner(key, content, against, Manner::Loose, depth),
        Key::And(keys) => return first(keys, false, &mut |key| in_manner(key, content, against, manner, depth)),
        Key::Or(keys) => return first(keys, true, &mut |key| in_manner(key, content, against, manner, depth)),
        Key::Not(key) => return Ok(in_manner(key, content, against, manner, depth)?.map(|is| !is)),
        _ => return Ok(row_matches(key, &content.row(), against)),
    }))
}

/// Whether the message has what is looked for, as far as its row tells; `None` when it does not.
pub(super) fn row_matches(key: &Key, row: &Row, against: &Against<'_>) -> Option<bool> {
    let back = |secs: u32| against.now.secs().saturating_sub(u64::from(secs));
    Some(match key {
        Key::All => true,
        Key::Set { .. } => false,
        Key::Uids(uids) => uids.contains(row.uid),
        Key::Flag(flags) => row.flags.has(*flags),
        Key::Recent => against.recent.contains(row.uid),
        Key::Larger(than) => row.size > *than,
        Key::Smaller(than) => row.size < *than,
        Key::Received(day) => day.has(row.date),
        Key::Saved(day) => day.has(row.saved),
        Key::Older(secs) => row.date <= back(*secs),
        Key::Younger(secs) => row.date >= back(*secs),
        Key::Modseq(from) => row.modseq >= *from,
        Key::And(keys) => return first(keys, false, &mut |key| Ok(row_matches(key, row, against))).ok()?,
        Key::Or(keys) => return first(keys, true, &mut |key| Ok(row_matches(key, row, against))).ok()?,
        Key::Not(key) => !row_matches(key, row, against)?,
        _ => return None,
    })
}

/// `wanted` if one of the keys is that, the opposite if none is. `None`: of some it is not known, and of no other it is that.
fn first(keys: &[Key], wanted: bool, is: &mut dyn FnMut(&Key) -> io::Result<Option<bool>>) -> io::Result<Option<bool>> {
    let mut all = Some(!wanted);
    for key in keys {
        match is(key)? {
            Some(is) if is == wanted => return Ok(Some(wanted)),
            Some(_) => {}
            None => all = None,
        }
    }
    Ok(all)
}

/// Text in the form in which it is compared: case and composition do not count (RFC 5255 4.2).
pub fn fold(text: &str) -> String {
    Manner::Exact.fold(text)
}
