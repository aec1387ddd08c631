//! Reads what a session sent as a client would: with imap-proto, and with imap-codec what imap-proto does not know.

use super::search;
use imap_codec::ResponseCodec;
use imap_codec::decode::Decoder;
use imap_proto::{AttributeValue, Response};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Responses that imap-proto cannot read and imap-codec can: these, STATUS SIZE, and BODY without a section.
const CODEC: [&str; 4] = ["* NAMESPACE", "* STATUS", " FETCH (BODY (", "* THREAD"];
/// Those that neither can: extended data of LIST (RFC 5258 3.5), and ENABLED without a name (RFC 5161 3.2).
const NEITHER: [&str; 2] = ["* LIST", "* ENABLED\r\n"];
/// Data that neither knows (RFC 3516, 8970, 8514, 8474, 7889, 9208; UTF-8 in quotes, RFC 6855): at least its form is read, by [`form`].
const FORM: &[&str] = &[
    "BINARY[",
    "BINARY.SIZE[",
    "PREVIEW ",
    "SAVEDATE ",
    "EMAILID (",
    "THREADID NIL",
    "MAILBOXID (",
    "APPENDLIMIT ",
    "DELETED-STORAGE ",
    "* QUOTAROOT ",
    "* LIST (",
    "* MYRIGHTS ",
];
/// Response codes that imap-proto leaves in the text.
const CODES: &[&str] = &[
    "ALREADYEXISTS",
    "AUTHENTICATIONFAILED",
    "AUTHORIZATIONFAILED",
    "BADCHARSET",
    "BADEVENT",
    "NOTIFICATIONOVERFLOW",
    "CANNOT",
    "CLOSED",
    "EXPUNGEISSUED",
    "NONEXISTENT",
    "NOPERM",
    "NOUPDATE",
    "OVERQUOTA",
    "PRIVACYREQUIRED",
    "READ-ONLY",
    "TOOBIG",
    "UNAVAILABLE",
    "INUSE",
    "LIMIT",
    "MODIFIED",
    "CONTACTADMIN",
    "EXPIRED",
    "UNKNOWN-CTE",
    "MAILBOXID",
    "COMPRESSIONACTIVE",
];

/// Reads a whole conversation; says what cannot be read.
pub fn check(mut sent: &[u8]) -> Result<usize, String> {
    let mut count = 0;
    while !sent.is_empty() {
        let start = String::from_utf8_lossy(&sent[..sent.len().min(200)]).into_owned();
        let parsed = catch_unwind(AssertUnwindSafe(|| Response::parse(sent).map(|(rest, r)| (rest.len(), judge(&r)))));
        let left = match parsed.map_err(|_| format!("imap-proto panics at {start:?}"))? {
            // what it does not know it may let pass as such
            Ok((_, Err(_))) | Err(_)
                if FORM.iter().any(|kind| start.lines().next().is_some_and(|l| l.contains(kind))) =>
            {
                form(sent).map_err(|why| format!("{why} in {start:?}"))?
            }
            Ok((left, verdict)) => {
                verdict.map_err(|why| format!("{why}: {start:?}"))?;
                left
            }
            Err(error) if CODEC.iter().any(|kind| start.lines().next().is_some_and(|l| l.contains(kind))) => {
                match ResponseCodec::new().decode(sent) {
                    Ok((rest, _)) => rest.len(),
                    Err(second) => return Err(format!("neither reads {start:?}: {error:?}, {second:?}")),
                }
            }
            Err(_)
                if start.starts_with("* ESEARCH") || start.starts_with("* SEARCH") || start.starts_with("* SORT") =>
            {
                let end = sent.iter().position(|&b| b == b'\n').ok_or("a line without end")?;
                let line = std::str::from_utf8(&sent[..end]).map_err(|_| "no text")?;
                let line = line.strip_suffix('\r').ok_or("a line without CR")?;
                search::check(line).map_err(|why| format!("{why}: {line:?}"))?;
                sent.len() - end - 1
            }
            Err(_) if NEITHER.iter().any(|kind| start.starts_with(kind)) => {
                let end = sent.iter().position(|&b| b == b'\n').ok_or("a line without end")?;
                sent.len() - end - 1
            }
            Err(error) => return Err(format!("imap-proto cannot read {start:?}: {error:?}")),
        };
        sent = &sent[sent.len() - left..];
        count += 1;
    }
    Ok(count)
}

/// Whether a response has the form of one: words, strings and lists, one space between two (RFC 3501 9, RFC 3516 7).
/// Returns how many bytes follow it.
fn form(sent: &[u8]) -> Result<usize, &'static str> {
    let mut rest = sent.strip_prefix(b"* ").ok_or("no untagged response")?;
    let mut open: Vec<bool> = vec![false]; // a list; whether something stands in it already
    loop {
        let depth = open.len();
        let inside = open.last_mut().ok_or("a list is closed that was not opened")?;
        match rest {
            [b'\r', b'\n', after @ ..] if depth == 1 && *inside => return Ok(after.len()),
            [b')', after @ ..] => {
                open.pop();
                rest = after;
                continue;
            }
            [b' ', after @ ..] if *inside => rest = after,
            _ if !*inside => {}
            _ => return Err("no space between two"),
        }
        *inside = true;
        rest = match rest {
            [b'(', after @ ..] => {
                open.push(false);
                after
            }
            [b'"', after @ ..] => {
                let mut at = 0;
                while after.get(at).ok_or("a quote is not closed")? != &b'"' {
                    if matches!(after[at], b'\r' | b'\n' | 0) {
                        return Err("a quoted line end");
                    }
                    at += if after[at] == b'\\' { 2 } else { 1 };
                }
                std::str::from_utf8(&after[..at]).map_err(|_| "quoted bytes that are no UTF-8")?;
                &after[at + 1..]
            }
            [b'{', ..] | [b'~', b'{', ..] => {
                let eight = rest[0] == b'~';
                let end = rest.iter().position(|&b| b == b'\n').ok_or("a literal without size")?;
                let size = rest[usize::from(eight) + 1..end].strip_suffix(b"}\r").ok_or("a literal's size")?;
                let size: usize = std::str::from_utf8(size).ok().and_then(|s| s.parse().ok()).ok_or("a number")?;
                let bytes = rest.get(end + 1..end + 1 + size).ok_or("a literal is short")?;
                if bytes.contains(&0) != eight {
                    return Err("literal8 is for NUL, and only it");
                }
                &rest[end + 1 + size..]
            }
            _ => {
                let mut brackets = 0;
                let len = rest.iter().take_while(|&&b| {
                    brackets += i32::from(b == b'[') - i32::from(b == b']');
                    brackets > 0 && b != b'\r' || b.is_ascii_graphic() && !b"(){\"".contains(&b)
                });
                match len.count() {
                    0 => return Err("neither a word nor a string"),
                    len => &rest[len..],
                }
            }
        };
    }
}

fn judge(response: &Response<'_>) -> Result<(), String> {
    let text = match response {
        Response::Fetch(_, items) if items.iter().any(|i| matches!(i, AttributeValue::Unknown)) => {
            return Err("a FETCH item that imap-proto does not know".into());
        }
        Response::Done { outcome, .. } | Response::Data { outcome, .. } | Response::Continue(outcome) => {
            outcome.information.as_deref()
        }
        _ => None,
    };
    let unread = text.and_then(|text| text.trim_start().strip_prefix('['));
    if let Some(code) = unread.and_then(|text| text.split([' ', ']']).next())
        && !CODES.contains(&code)
    {
        return Err(format!("response code {code}"));
    }
    Ok(())
}
