//! What SEARCH looks for, and whether a message has it (RFC 3501 6.4.4).

use super::content::Content;
use super::request::Bad;
use super::sequence::SequenceSet;
use crate::base::{Flags, UidList, UidRanges, limits};
use crate::mail::date::Written;
use crate::mail::mime::{Kind, Part};
use crate::mail::{header, text, words};
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
        Key::Sent(day) => {
            let block = content.header()?;
            let written = header::find(&block, b"Date").and_then(|field| Written::parse(field.value));
            written.is_some_and(|written| day.matches(written.day_number()))
        }
        Key::Header { name, value } => {
            let block = content.header()?;
            header::fields(&block)
                .any(|field| field.is(name) && fold(&words::decode(field.value)).contains(value.as_str()))
        }
        Key::Text(value) => header_has(&content.header()?, value) || body_has(content, value)?,
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

/// Whether a field of the block, written out, holds the text.
fn header_has(block: &[u8], value: &str) -> bool {
    header::fields(block).any(|field| {
        let name = String::from_utf8_lossy(field.name);
        fold(&format!("{name}: {}", words::decode(field.value))).contains(value)
    })
}

/// Whether a part that is text holds the text, as a reader sees it; headers of embedded messages are text too.
fn body_has(content: &mut dyn Content, value: &str) -> io::Result<bool> {
    let structure = content.structure()?;
    for (number, part) in structure.parts().iter().enumerate() {
        let parent = part.parent().and_then(|parent| structure.part(parent));
        if number > 0 && parent.is_some_and(|parent| parent.kind == Kind::Message) {
            let block = content.read(part.header.clone(), limits::HEADER_BYTES)?;
            if header_has(&block, value) {
                return Ok(true);
            }
        }
        if is_text(part) {
            let body = content.read(part.body.clone(), limits::SEARCH_PART)?;
            let charset = part.content.parameter("charset");
            let shown = text::decode(&body, part.content.encoding.as_deref(), charset, limits::SEARCH_PART);
            let shown = if part.content.is("text", "html") { text::html_to_text(&shown) } else { shown };
            if fold(&shown).contains(value) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// What cannot be taken apart is searched as it is; pictures and the like are not.
fn is_text(part: &Part) -> bool {
    match part.kind {
        Kind::Leaf => part.content.media.is_none() || part.content.is_main("text"),
        Kind::EncodedMessage | Kind::Opaque => true,
        Kind::Multipart | Kind::Message => false,
    }
}
