//! RFC 2047 encoded words in header text, decoded for search and display.

use super::header::unfold;
use super::text::{base64, decode_charset, hex_pair};

/// The text of a field value as a person reads it: unfolded, encoded words decoded, white space between two of them
/// dropped (RFC 2047 6.2). A broken word stays as it is; raw 8-bit text is UTF-8 or Windows-1252.
pub fn decode(value: &[u8]) -> String {
    let value = unfold(value);
    let mut out = String::with_capacity(value.len());
    let mut rest: &[u8] = &value;
    let mut pending = Pending::default();
    // no word ends behind this: without it, each of many broken words would be searched for its end
    let last_end = memchr::memmem::rfind(&value, b"?=").unwrap_or(0);
    while let Some(at) = find(rest, b"=?") {
        let (plain, from) = rest.split_at(at);
        let can_end = value.len() - from.len() < last_end;
        match can_end.then(|| word(from)).flatten() {
            Some((word, len)) => {
                if !(pending.open && plain.iter().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'))) {
                    pending.flush(&mut out);
                    out.push_str(&decode_charset(plain, None));
                }
                pending.add(word, &mut out);
                rest = from.get(len..).unwrap_or_default();
            }
            None => {
                pending.flush(&mut out);
                let (text, after) = rest.split_at((at + 2).min(rest.len()));
                out.push_str(&decode_charset(text, None));
                rest = after;
            }
        }
    }
    pending.flush(&mut out);
    out.push_str(&decode_charset(rest, None));
    out
}

/// Bytes of adjacent words in one charset: senders split characters between words, though RFC 2047 5 forbids it.
#[derive(Default)]
struct Pending {
    open: bool,
    charset: Vec<u8>,
    bytes: Vec<u8>,
}

impl Pending {
    fn add(&mut self, word: Word<'_>, out: &mut String) {
        if !self.charset.eq_ignore_ascii_case(word.charset) {
            self.flush(out);
            self.charset = word.charset.to_vec();
        }
        self.bytes.extend_from_slice(&word.bytes);
        self.open = true;
    }

    fn flush(&mut self, out: &mut String) {
        if !self.bytes.is_empty() {
            out.push_str(&decode_charset(&self.bytes, Some(&self.charset)));
        }
        self.bytes.clear();
        self.open = false;
    }
}

struct Word<'a> {
    charset: &'a [u8],
    bytes: Vec<u8>,
}

/// The encoded word at the start of these bytes, and its length. Spaces inside a Q word are let pass: many senders
/// forget to encode them.
fn word(from: &[u8]) -> Option<(Word<'_>, usize)> {
    let inner = from.strip_prefix(b"=?")?;
    // RFC 2047 2 allows 75 bytes for a whole word; senders exceed it, nobody needs more for a charset's name
    let name_len = memchr::memchr(b'?', inner.get(..75).unwrap_or(inner))?;
    let (name, rest) = (inner.get(..name_len)?, inner.get(name_len + 1..)?);
    let encoding = rest.first()?.to_ascii_lowercase();
    let text = rest.get(1..)?.strip_prefix(b"?")?;
    if name.is_empty() || name.iter().any(|b| b.is_ascii_whitespace() || *b == b'=') || !matches!(encoding, b'b' | b'q')
    {
        return None;
    }
    let len = find(text, b"?=")?;
    let text_bytes = text.get(..len)?;
    let bytes = if encoding == b'b' { base64(text_bytes, usize::MAX) } else { q_decode(text_bytes) };
    // RFC 2231 5: a language may follow the charset's name
    let charset = name.split(|&b| b == b'*').next().unwrap_or(name);
    Some((Word { charset, bytes }, 2 + name_len + 1 + 2 + len + 2))
}

fn q_decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'_' => out.push(b' '),
            b'=' => match hex_pair(text.get(at..at + 2)) {
                Some(escaped) => {
                    out.push(escaped);
                    at += 2;
                }
                None => out.push(b'='),
            },
            byte => out.push(byte),
        }
    }
    out
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc_2047_examples() {
        for (text, want) in [
            ("=?ISO-8859-1?Q?a?=", "a"),
            ("=?ISO-8859-1?Q?a?= b", "a b"),
            ("=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a?=\r\n  =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a_b?=", "a b"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
            ("(=?utf-8?b?w6Q=?=)", "(ä)"),
            ("=?utf-8?q?=C3?= =?UTF-8?q?=A4?=", "ä"),
            ("=?utf-8*de?q?=C3=A4?=", "ä"),
            ("=?utf-8?x?a?= =?utf-8?q?unclosed", "=?utf-8?x?a?= =?utf-8?q?unclosed"),
            ("=?=?utf-8?q?a?=", "=?a"),
            ("=?koi8-r?B?8NLJ18XU?=", "Привет"),
            ("a\r\n b", "a b"),
        ] {
            assert_eq!(decode(text.as_bytes()), want, "{text}");
        }
        assert_eq!(decode(b"caf\xe9"), "café");
    }

    #[test]
    fn broken_words_take_linear_time() {
        let start = std::time::Instant::now();
        for _ in 0..20 {
            decode(&b"=?a?q?".repeat(10_000));
            decode(&[b"?=".to_vec(), b"=?a?z?".repeat(10_000), b"?=".to_vec()].concat());
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(2));
    }

    proptest! {
        #[test]
        fn never_panics(text in "[=?qQbB_a0C \t\r\n-]{0,60}") {
            decode(text.as_bytes());
        }

        #[test]
        fn plain_text_stays(text in "[ -<>@-~][ -~]{0,60}") {
            prop_assume!(!text.contains("=?"));
            prop_assert_eq!(decode(text.as_bytes()), text.trim_start());
        }
    }
}
