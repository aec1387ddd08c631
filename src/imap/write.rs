//! How values are written (RFC 3501 4.3, 9).

use super::mutf7;
use crate::base::Flags;
use crate::mail::token::quote;
use std::io::Write;

/// A number and what surrounds it: `push(out, format_args!(…))`. Writing to memory cannot fail.
pub fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

/// A number.
pub fn number(out: &mut Vec<u8>, number: impl Into<u64>) {
    let mut left = number.into();
    let mut digits = [b'0'; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit += (left % 10) as u8;
        (left, used) = (left / 10, used + 1);
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

/// A string: quoted when it may be, else a literal. NUL, which neither may hold, becomes 0x80.
pub fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    let quotable = bytes.len() <= 1_000 && bytes.iter().all(|&b| matches!(b, b' '..=b'~' | b'\t'));
    if quotable {
        quote(bytes, out);
    } else {
        push(out, format_args!("{{{}}}\r\n", bytes.len()));
        out.extend(bytes.iter().map(|&b| if b == 0 { 0x80 } else { b }));
    }
}

/// An astring: an atom when it can be one.
pub fn astring(out: &mut Vec<u8>, bytes: &[u8]) {
    let atom = !bytes.is_empty() && !bytes.eq_ignore_ascii_case(b"NIL") && bytes.iter().all(|&b| is_astring_char(b));
    if atom { out.extend_from_slice(bytes) } else { string(out, bytes) }
}

/// A mailbox name: in modified UTF-7, or in UTF-8 where the client has enabled it (RFC 6855 3, RFC 9051 5.1).
pub fn mailbox(out: &mut Vec<u8>, name: &str, utf8: bool) {
    if !utf8 {
        astring(out, mutf7::encode(name).as_bytes());
    } else if name.is_ascii() || name.contains(char::is_control) {
        astring(out, name.as_bytes());
    } else {
        push(out, format_args!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")));
    }
}

/// A parenthesised flag list.
pub fn flags(out: &mut Vec<u8>, flags: Flags, recent: bool) {
    out.push(b'(');
    for (nth, name) in flags.names().chain(recent.then_some("\\Recent")).enumerate() {
        out.extend_from_slice(if nth == 0 { b"" } else { b" " });
        out.extend_from_slice(name.as_bytes());
    }
    out.push(b')');
}

/// UIDs as a set: `1:3,7`. Ascending neighbours are joined.
pub fn uid_set(out: &mut Vec<u8>, uids: &[u32]) {
    let mut first = true;
    for run in uids.chunk_by(|a, b| a.checked_add(1) == Some(*b)) {
        let (Some(low), Some(high)) = (run.first(), run.last()) else { continue };
        if !first {
            out.push(b',');
        }
        first = false;
        if low == high {
            push(out, format_args!("{low}"));
        } else {
            push(out, format_args!("{low}:{high}"));
        }
    }
}

/// `text` of a response: one line of printable ASCII (RFC 3501 9 `TEXT-CHAR`), never empty.
pub fn text(out: &mut Vec<u8>, text: &str) {
    if text.is_empty() {
        out.extend_from_slice(b"-");
    }
    out.extend(text.chars().map(|c| if matches!(c, ' '..='~') { c as u8 } else { b'?' }));
}

/// ASTRING-CHAR: an atom's characters, and `]`.
pub fn is_astring_char(byte: u8) -> bool {
    byte.is_ascii_graphic() && imap_proto::core::is_astring_char(byte)
}

/// ATOM-CHAR: any CHAR except atom-specials. imap-proto also lets 8-bit bytes and DEL pass, which are no CHAR.
pub fn is_atom_char(byte: u8) -> bool {
    byte.is_ascii_graphic() && imap_proto::core::is_atom_char(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(f: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        f(&mut out);
        out.iter().map(|&b| char::from(b)).collect()
    }

    #[test]
    fn values() {
        assert_eq!(written(|o| string(o, b"a\"b\\")), "\"a\\\"b\\\\\"");
        assert_eq!(written(|o| string(o, b"a\r\n\0")), "{4}\r\na\r\n\u{80}");
        assert_eq!(written(|o| string(o, b"")), "\"\"");
        assert_eq!(written(|o| astring(o, b"INBOX")), "INBOX");
        assert_eq!(written(|o| astring(o, b"nil")), "\"nil\"");
        assert_eq!(written(|o| astring(o, b"")), "\"\"");
        assert_eq!(written(|o| mailbox(o, "Release & Train", false)), "\"Release &- Train\"");
        assert_eq!(written(|o| mailbox(o, "Release & Train", true)), "\"Release & Train\"");
        let mut out = Vec::new();
        mailbox(&mut out, "a\"ä\\", true);
        assert_eq!(out, "\"a\\\"ä\\\\\"".as_bytes());
        for value in [0, 9, 10, 4_294_967_295, u64::MAX] {
            assert_eq!(written(|o| number(o, value)), value.to_string());
        }
        assert_eq!(written(|o| flags(o, Flags::SEEN, true)), "(\\Seen \\Recent)");
        assert_eq!(written(|o| flags(o, Flags::NONE, true)), "(\\Recent)");
        assert_eq!(written(|o| flags(o, Flags::NONE, false)), "()");
        assert_eq!(written(|o| uid_set(o, &[1, 2, 3, 7, 9, 10, 4])), "1:3,7,9:10,4");
        assert_eq!(written(|o| text(o, "a\r\nb ä")), "a??b ?");
    }
}
