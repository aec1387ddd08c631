//! The arguments of SEARCH (RFC 3501 6.4.4, 9 `search-key`).

use super::parser::{Parser, Parsing};
use super::request::{Bad, Request};
use super::search::{self, Day, Key};
use crate::base::{Flags, limits, time};

/// The text of the one error that has a response code of its own.
pub const BAD_CHARSET: Bad = Bad("the charsets are US-ASCII and UTF-8");

/// `SEARCH [CHARSET x] keys`.
pub(super) fn search(p: &mut Parser<'_>, uid: bool) -> Parsing<Request> {
    p.space()?;
    if p.eat_word("CHARSET ") {
        let charset = p.astring()?.to_ascii_uppercase();
        if !matches!(charset.as_slice(), b"UTF-8" | b"US-ASCII" | b"ASCII" | b"UTF8") {
            return Err(BAD_CHARSET);
        }
        p.space()?;
    }
    let mut left = limits::SEARCH_KEYS;
    let mut keys = vec![key(p, limits::SEARCH_DEPTH, &mut left)?];
    while p.eat(b' ') {
        if matches!(p.peek(), Some(b'\r' | b'\n')) {
            break;
        }
        keys.push(key(p, limits::SEARCH_DEPTH, &mut left)?);
    }
    Ok(Request::Search { uid, key: Key::and(keys) })
}

fn key(p: &mut Parser<'_>, depth: usize, left: &mut usize) -> Parsing<Key> {
    let depth = depth.checked_sub(1).ok_or(Bad("this search is nested too deep"))?;
    *left = left.checked_sub(1).ok_or(Bad("this search has too many keys"))?;
    match p.peek() {
        Some(b'(') => return p.list_of(|p| key(p, depth, left)).map(Key::and),
        Some(b'0'..=b'9' | b'*') => return Ok(Key::Set { set: p.set()?, uid: false }),
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
        b"BCC" | b"CC" | b"FROM" | b"SUBJECT" | b"TO" => {
            Ok(Key::Header { name: name.to_ascii_lowercase(), value: text(p)? })
        }
        b"HEADER" => {
            p.space()?;
            let name = p.astring()?.to_ascii_lowercase();
            Ok(Key::Header { name, value: text(p)? })
        }
        b"BODY" => Ok(Key::Body(text(p)?)),
        b"TEXT" => Ok(Key::Text(text(p)?)),
        b"LARGER" => size(p).map(Key::Larger),
        b"SMALLER" => size(p).map(Key::Smaller),
        b"UID" => {
            p.space()?;
            Ok(Key::Set { set: p.set()?, uid: true })
        }
        b"NOT" => {
            p.space()?;
            key(p, depth, left).map(Key::not)
        }
        b"OR" => {
            p.space()?;
            let one = key(p, depth, left)?;
            p.space()?;
            Ok(Key::or(vec![one, key(p, depth, left)?]))
        }
        _ => Err(Bad("unknown search key")),
    }
}

/// A keyword that we do not keep is on no message.
fn keyword(p: &mut Parser<'_>) -> Parsing<Key> {
    p.space()?;
    let name = String::from_utf8_lossy(p.atom()?);
    Ok(Flags::by_name(&name).map_or_else(|| Key::not(Key::All), Key::Flag))
}

fn text(p: &mut Parser<'_>) -> Parsing<String> {
    p.space()?;
    // RFC 3501 6.4.4 has US-ASCII without CHARSET; UTF-8 in its place means nothing else
    Ok(search::fold(&p.text()?))
}

fn size(p: &mut Parser<'_>) -> Parsing<u64> {
    p.space()?;
    p.number().map(u64::from)
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
