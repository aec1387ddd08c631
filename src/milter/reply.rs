//! What is answered, as packets.

use super::negotiate::Agreed;
use super::{Edit, Reply};

/// SMFIR_PROGRESS: wait on. It may be sent at any time while the answer to the end of a message is awaited.
pub const PROGRESS: &[u8] = b"\0\0\0\x01p";

pub(super) const CONTINUE: u8 = b'c';
pub(super) const ACCEPT: u8 = b'a';
pub(super) const DISCARD: u8 = b'd';
pub(super) const OPTNEG: u8 = b'O';
const REPLYCODE: u8 = b'y';
const ADDHEADER: u8 = b'h';
const INSHEADER: u8 = b'i';
const CHGHEADER: u8 = b'm';

/// Longest text of a reply: the line that the mail server makes of it stays below 512 bytes (RFC 5321 4.5.3.1.5).
const TEXT: usize = 480;
/// Longest name and value of a field; libmilter's packets have 64 KB, and the mail server's own limits are below that.
const NAME: usize = 255;
const VALUE: usize = 60_000;

/// Appends a packet.
pub(super) fn packet(command: u8, data: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(data.len() + 1).unwrap_or(u32::MAX);
    out.extend(length.to_be_bytes());
    out.push(command);
    out.extend_from_slice(data);
}

/// Appends SMFIR_REPLYCODE. Text that could break the line or the reader's character set is replaced.
pub(super) fn refuse(reply: &Reply, out: &mut Vec<u8>) {
    let (code, enhanced) = match reply.code {
        400..=599 => (reply.code, reply.enhanced),
        _ => (451, "4.3.0"),
    };
    let mut data = format!("{code} {enhanced} ").into_bytes();
    for c in reply.text.chars().take(TEXT) {
        match c {
            // The mail server takes it for a format of printf.
            '%' => data.extend_from_slice(b"%%"),
            ' '..='~' => data.push(c as u8),
            _ => data.push(b'?'),
        }
    }
    data.push(0);
    packet(REPLYCODE, &data, out);
}

/// Appends a change of the header, if the mail server allows it.
pub(super) fn edit(edit: &Edit, agreed: &Agreed, out: &mut Vec<u8>) {
    let spaced = agreed.is_spaced();
    let index = |n: u32| n.to_be_bytes().to_vec();
    match edit {
        Edit::Add { name, value } if agreed.may_add() => field(ADDHEADER, Vec::new(), name, Some(value), spaced, out),
        Edit::Insert { above, name, value } if agreed.may_insert() => {
            field(INSHEADER, index(*above), name, Some(value), spaced, out);
        }
        Edit::Insert { name, value, .. } if agreed.may_add() => {
            field(ADDHEADER, Vec::new(), name, Some(value), spaced, out);
        }
        Edit::Change { nth, name, value } if agreed.may_change() => {
            field(CHGHEADER, index(*nth), name, Some(value), spaced, out);
        }
        Edit::Remove { nth, name } if agreed.may_change() => field(CHGHEADER, index(*nth), name, None, spaced, out),
        _ => {}
    }
}

/// A name and a value; no value takes the field away.
fn field(command: u8, mut data: Vec<u8>, name: &str, value: Option<&str>, spaced: bool, out: &mut Vec<u8>) {
    // RFC 5322 2.2: printable ASCII except the colon.
    let fits = |c: char| c.is_ascii_graphic() && c != ':';
    if name.is_empty() || name.len() > NAME || !name.chars().all(fits) {
        return;
    }
    data.extend_from_slice(name.as_bytes());
    data.push(0);
    if let Some(value) = value {
        // One that is empty would take the field away.
        data.extend_from_slice(if spaced || value.is_empty() { b" " } else { b"" });
        let mut chars = value.char_indices().take_while(|(at, _)| *at < VALUE).map(|(_, c)| c).peekable();
        while let Some(c) = chars.next() {
            match (c, chars.peek()) {
                ('\r', Some('\n')) => {}
                ('\n', Some(' ' | '\t')) | ('\t', _) => data.push(c as u8),
                (c, _) if c.is_control() => data.push(b' '),
                (c, _) => data.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }
    data.push(0);
    packet(command, &data, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed(steps: u32, version: u32) -> Agreed {
        let offer: Vec<u8> = [version, u32::MAX, steps].iter().flat_map(|n| n.to_be_bytes()).collect();
        Agreed::on(&offer).unwrap()
    }

    #[test]
    fn replies_break_no_line() {
        let mut out = Vec::new();
        refuse(&Reply::new(550, "5.7.1", "100% sp\u{e4}m\r\n250 ok".to_string() + &"x".repeat(900)), &mut out);
        assert!(
            out.starts_with(b"\0\0\x01\xebyy") || out[4..].starts_with(b"y550 5.7.1 100%% sp?m??250 ok"),
            "{out:?}"
        );
        assert_eq!(out.len(), 4 + usize::from(out[2]) * 256 + usize::from(out[3]));
        let mut out = Vec::new();
        refuse(&Reply::new(250, "2.0.0", "fine"), &mut out);
        assert_eq!(&out[4..], b"y451 4.3.0 fine\0");
    }

    #[test]
    fn edits_fit_what_was_agreed_on() {
        let sent = |e: &Edit, a: &Agreed| {
            let mut out = Vec::new();
            edit(e, a, &mut out);
            out.get(4..).unwrap_or_default().to_vec()
        };
        let (name, value) = ("X-A".to_string(), "a\r\n\tb\nc\0d".to_string());
        let add = Edit::Add { name: name.clone(), value: value.clone() };
        assert_eq!(sent(&add, &agreed(0, 6)), b"hX-A\0a\n\tb c d\0");
        assert_eq!(sent(&add, &agreed(u32::MAX, 6)), b"hX-A\0 a\n\tb c d\0");
        assert_eq!(sent(&add, &Agreed::default()), b"");
        let insert = Edit::Insert { above: 1, name: name.clone(), value: "v".into() };
        assert_eq!(sent(&insert, &agreed(0, 6)), b"i\0\0\0\x01X-A\0v\0");
        assert_eq!(sent(&insert, &agreed(0, 2)), b"hX-A\0v\0");
        let change = Edit::Change { nth: 2, name: name.clone(), value: String::new() };
        assert_eq!(sent(&change, &agreed(0, 6)), b"m\0\0\0\x02X-A\0 \0");
        assert_eq!(sent(&Edit::Remove { nth: 3, name }, &agreed(u32::MAX, 6)), b"m\0\0\0\x03X-A\0\0");
        for bad in ["", "a b", "a:", "a\n", "\u{e9}"] {
            assert_eq!(sent(&Edit::Remove { nth: 1, name: bad.into() }, &agreed(0, 6)), b"", "{bad:?}");
        }
    }
}
