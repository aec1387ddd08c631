//! What SEARCH looks for, and whether a message has it (RFC 3501 6.4.4).

use super::content::Content;
use super::request::Bad;
use super::sequence::SequenceSet;
use crate::base::{Flags, UidList, UidRanges, limits};
use std::io;

/// A search key. Texts were folded by [`fold`].
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
    /// The Date field, its time of day and zone disregarded.
    Sent(Day),
    /// A header field holds the text; an empty text asks for the field alone.
    Header {
        /// Field name, lower-case.
        name: Vec<u8>,
        /// The text.
        value: String,
    },
    /// The body holds the text.
    Body(String),
    /// Header or body hold the text.
    Text(String),
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
            Key::Not(key) => key.cost(),
            _ => 0,
        }
    }

    /// Whether the row alone decides.
    pub fn needs_row_only(&self) -> bool {
        self.cost() == 0
    }

    /// Turns sets into UIDs of `list`.
    pub fn resolve(self, list: &UidList) -> Result<Key, Bad> {
        Ok(match self {
            Key::Set { set, uid: true } => Key::Uids(set.uids(list)),
            Key::Set { set, uid: false } => Key::Uids(set.messages(list)?),
            Key::And(keys) => Key::And(keys.into_iter().map(|k| k.resolve(list)).collect::<Result<_, _>>()?),
            Key::Or(keys) => Key::Or(keys.into_iter().map(|k| k.resolve(list)).collect::<Result<_, _>>()?),
            Key::Not(key) => Key::not(key.resolve(list)?),
            key => key,
        })
    }
}

/// Whether the message has what is looked for. `recent` are the session's `\Recent` UIDs. Fails when the message
/// cannot be read.
pub fn matches(key: &Key, content: &mut dyn Content, recent: &UidRanges) -> io::Result<bool> {
    let row = content.row();
    Ok(match key {
        Key::All => true,
        Key::Set { .. } => false,
        Key::Uids(uids) => uids.contains(row.uid),
        Key::Flag(flags) => row.flags.has(*flags),
        Key::Recent => recent.contains(row.uid),
        Key::Larger(than) => row.size > *than,
        Key::Smaller(than) => row.size < *than,
        Key::Received(day) => day.matches((row.date / 86_400) as i64),
        Key::Sent(day) => match sent_day(&content.header()?) {
            Some(sent) => day.matches(sent),
            None => false,
        },
        Key::Header { name, value } => {
            let header = content.header()?;
            fields(&header, name).any(|field| fold(&String::from_utf8_lossy(field)).contains(value.as_str()))
        }
        Key::Text(value) => {
            fold(&String::from_utf8_lossy(&content.header()?)).contains(value.as_str()) || body_has(content, value)?
        }
        Key::Body(value) => body_has(content, value)?,
        Key::And(keys) => {
            for key in keys {
                if !matches(key, content, recent)? {
                    return Ok(false);
                }
            }
            true
        }
        Key::Or(keys) => {
            for key in keys {
                if matches(key, content, recent)? {
                    return Ok(true);
                }
            }
            false
        }
        Key::Not(key) => !matches(key, content, recent)?,
    })
}

/// Text in the form in which it is compared: case does not count.
pub fn fold(text: &str) -> String {
    text.to_lowercase()
}

fn body_has(content: &mut dyn Content, value: &str) -> io::Result<bool> {
    let start = content.header()?.len() as u64;
    let body = content.read(start..content.row().size, limits::MESSAGE_BYTES as usize)?;
    Ok(fold(&String::from_utf8_lossy(&body)).contains(value))
}

/// The values of the fields with this name (lower-case), folded lines included.
fn fields<'a>(header: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = header;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let mut end = 0;
            loop {
                let tail = rest.get(end..).unwrap_or_default();
                end = memchr::memchr(b'\n', tail).map_or(rest.len(), |at| end + at + 1);
                if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                    break;
                }
            }
            let (field, after) = rest.split_at_checked(end)?;
            rest = after;
            let Some(colon) = memchr::memchr(b':', field) else { continue };
            let (found, value) = field.split_at_checked(colon)?;
            if found.trim_ascii_end().eq_ignore_ascii_case(name) {
                return value.get(1..);
            }
        }
        None
    })
}

/// The day that the Date field names, in its own zone.
fn sent_day(header: &[u8]) -> Option<i64> {
    let value = fields(header, b"date").next()?;
    let date = mail_parser::parsers::MessageStream::new(value).parse_date();
    let date = date.into_datetime()?;
    Some(crate::base::time::days_from_civil(i64::from(date.year), u32::from(date.month), u32::from(date.day)))
}
