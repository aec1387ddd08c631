//! The keys of a search (RFC 3501 6.4.4, 9 `search-key`).

use super::needle::Needle;
use super::parser::{Parser, Parsing};
use super::request::Bad;
use super::search::{Day, Key};
use super::text_search::Manner;
use crate::base::{Flags, limits, time};
use crate::mail::text;

/// In which charset the texts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Charset {
    /// UTF-8, or US-ASCII, which is part of it.
    Utf8,
    /// One that can be turned into it.
    Named(Vec<u8>),
    /// None that we know; the keys are read, so that errors in them are told first.
    Unknown,
}

impl Charset {
    /// By its name in any case.
    pub fn named(name: &[u8]) -> Charset {
        match name.to_ascii_uppercase().as_slice() {
            b"UTF-8" | b"US-ASCII" | b"ASCII" | b"UTF8" => Charset::Utf8,
            other if text::knows_charset(other) => Charset::Named(other.to_vec()),
            _ => Charset::Unknown,
        }
    }
}

/// What keys are read with.
struct Keys<'a> {
    charset: &'a Charset,
    /// Below FUZZY.
    manner: Manner,
    /// How many more there may be.
    left: usize,
}

/// All keys, up to the end of the command.
pub(super) fn keys(p: &mut Parser<'_>, charset: &Charset) -> Parsing<Key> {
    let mut with = Keys { charset, manner: Manner::Exact, left: limits::SEARCH_KEYS };
    let mut keys = vec![key(p, limits::SEARCH_DEPTH, &mut with)?];
    while p.eat(b' ') {
        if matches!(p.peek(), Some(b'\r' | b'\n')) {
            break;
        }
        keys.push(key(p, limits::SEARCH_DEPTH, &mut with)?);
    }
    Ok(Key::and(keys))
}

fn key(p: &mut Parser<'_>, depth: usize, with: &mut Keys<'_>) -> Parsing<Key> {
    let depth = depth.checked_sub(1).ok_or(Bad("this search is nested too deep"))?;
    with.left = with.left.checked_sub(1).ok_or(Bad("this search has too many keys"))?;
    match p.peek() {
        Some(b'(') => return p.list_of(|p| key(p, depth, with)).map(Key::and),
        Some(b'0'..=b'9' | b'*' | b'$') => return Ok(Key::Set { set: p.set()?, uid: false }),
        _ => {}
    }
    let name = p.run(|b| b.is_ascii_alphabetic()).to_ascii_uppercase();
    let flag = |flag: Flags| Ok(Key::Flag(flag));
    let no_flag = |flag: Flags| Ok(Key::not(Key::Flag(flag)));
    match name.as_slice() {
        b"ALL" => Ok(Key::All),
        b"ANSWERED" => flag(Flags::ANSWERED),
        b"DELETED" => flag(Flags::DELETED),
        b"DRAFT" => flag(Flags::DRAFT),
        b"FLAGGED" => flag(Flags::FLAGGED),
        b"SEEN" => flag(Flags::SEEN),
        b"UNANSWERED" => no_flag(Flags::ANSWERED),
        b"UNDELETED" => no_flag(Flags::DELETED),
        b"UNDRAFT" => no_flag(Flags::DRAFT),
        b"UNFLAGGED" => no_flag(Flags::FLAGGED),
        b"UNSEEN" => no_flag(Flags::SEEN),
        b"RECENT" => Ok(Key::Recent),
        b"OLD" => Ok(Key::not(Key::Recent)),
        b"NEW" => Ok(Key::and(vec![Key::Recent, Key::not(Key::Flag(Flags::SEEN))])),
        b"KEYWORD" => keyword(p),
        b"UNKEYWORD" => keyword(p).map(Key::not),
        b"BEFORE" => day(p, |d| Key::Received(Day::Before(d))),
        b"ON" => day(p, |d| Key::Received(Day::On(d))),
        b"SINCE" => day(p, |d| Key::Received(Day::Since(d))),
        b"SENTBEFORE" => day(p, |d| Key::Sent(Day::Before(d))),
        b"SENTON" => day(p, |d| Key::Sent(Day::On(d))),
        b"SENTSINCE" => day(p, |d| Key::Sent(Day::Since(d))),
        b"SAVEDBEFORE" => day(p, |d| Key::Saved(Day::Before(d))),
        b"SAVEDON" => day(p, |d| Key::Saved(Day::On(d))),
        b"SAVEDSINCE" => day(p, |d| Key::Saved(Day::Since(d))),
        // RFC 8514 4.3: every message has one
        b"SAVEDATESUPPORTED" => Ok(Key::All),
        b"OLDER" => seconds(p).map(Key::Older),
        b"YOUNGER" => seconds(p).map(Key::Younger),
        b"MODSEQ" => modseq(p).map(Key::Modseq),
        b"EMAILID" => object_id(p).map(Key::EmailId),
        // RFC 8474 5.2: there are no THREADIDs, so none matches
        b"THREADID" => object_id(p).map(|_| Key::none()),
        b"FUZZY" => {
            p.space()?;
            let before = std::mem::replace(&mut with.manner, Manner::Loose);
            let inner = key(p, depth, with);
            with.manner = before;
            inner.map(|inner| Key::Fuzzy(Box::new(inner)))
        }
        b"BCC" | b"CC" | b"FROM" | b"SUBJECT" | b"TO" => {
            Ok(Key::Header { name: name.to_ascii_lowercase(), value: text(p, with)? })
        }
        b"HEADER" => {
            p.space()?;
            let name = p.astring()?.to_ascii_lowercase();
            Ok(Key::Header { name, value: text(p, with)? })
        }
        b"BODY" => Ok(Key::Body(text(p, with)?)),
        b"TEXT" => Ok(Key::Text(text(p, with)?)),
        b"LARGER" => size(p).map(Key::Larger),
        b"SMALLER" => size(p).map(Key::Smaller),
        b"UID" => {
            p.space()?;
            Ok(Key::Set { set: p.set()?, uid: true })
        }
        b"NOT" => {
            p.space()?;
            key(p, depth, with).map(Key::not)
        }
        b"OR" => {
            p.space()?;
            let one = key(p, depth, with)?;
            p.space()?;
            Ok(Key::or(vec![one, key(p, depth, with)?]))
        }
        _ => Err(Bad("unknown search key")),
    }
}

/// A keyword that we do not keep is on no message.
fn keyword(p: &mut Parser<'_>) -> Parsing<Key> {
    p.space()?;
    let name = String::from_utf8_lossy(p.atom()?);
    Ok(Flags::by_name(&name).map_or_else(Key::none, Key::Flag))
}

fn text(p: &mut Parser<'_>, with: &Keys<'_>) -> Parsing<Needle> {
    p.space()?;
    let text = match with.charset {
        Charset::Utf8 => p.text()?,
        Charset::Named(name) => text::decode_charset(p.astring()?, Some(name)).into_owned(),
        Charset::Unknown => {
            p.astring()?;
            String::new()
        }
    };
    Ok(with.manner.fold(&text).into())
}

/// `nz-number` (RFC 5032 3).
fn seconds(p: &mut Parser<'_>) -> Parsing<u32> {
    p.space()?;
    p.number().ok().filter(|&n| n > 0).ok_or(Bad("an interval is a number of seconds, one at least"))
}

/// `[SP entry-name SP entry-type-req] SP mod-sequence-valzer` (RFC 7162 7). There is one modseq for all of a message, so
/// the entry means nothing.
fn modseq(p: &mut Parser<'_>) -> Parsing<u64> {
    p.space()?;
    if p.peek() == Some(b'"') {
        p.string()?;
        p.space()?;
        match p.atom()?.to_ascii_lowercase().as_slice() {
            b"priv" | b"shared" | b"all" => p.space()?,
            _ => return Err(Bad("the type of an entry is priv, shared or all")),
        }
    }
    p.number64()
}

/// `objectid` (RFC 8474 7).
fn object_id(p: &mut Parser<'_>) -> Parsing<String> {
    p.space()?;
    let id = p.run(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    match id.len() {
        1..=255 => Ok(String::from_utf8_lossy(id).into_owned()),
        _ => Err(Bad("an object id has letters, digits, _ and -, at most 255")),
    }
}

fn size(p: &mut Parser<'_>) -> Parsing<u64> {
    p.space()?;
    // RFC 9051 9 has 63 bits here, RFC 3501 32
    p.number64()
}

fn day(p: &mut Parser<'_>, key: fn(i64) -> Key) -> Parsing<Key> {
    p.space()?;
    let quoted = p.eat(b'"');
    let (year, month, day) = p.date()?;
    if quoted {
        p.expect(b'"', "a date looks like 2-Jan-2006")?;
    }
    Ok(key(time::days_from_civil(year, month, day)))
}
