//! The text of a part for search and display: transfer encoding undone, characters as UTF-8.
//!
//! The transfer decoders here skip what they do not understand. Those of mail-parser refuse the whole part at the first
//! wrong byte, and spam is full of them.

use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::html;

/// Undoes Content-Transfer-Encoding (RFC 2045 6); at most `most` bytes come out. An unknown encoding changes nothing.
pub fn decode_transfer(body: &[u8], encoding: Option<&[u8]>, most: usize) -> Vec<u8> {
    let encoding = encoding.unwrap_or_default();
    if encoding.eq_ignore_ascii_case(b"base64") {
        base64(body, most)
    } else if encoding.eq_ignore_ascii_case(b"quoted-printable") {
        quoted_printable(body, most)
    } else {
        body.get(..most).unwrap_or(body).to_vec()
    }
}

/// Characters of a named charset as UTF-8. Without a name, or with one that nobody knows, bytes are UTF-8 when they can
/// be, else Windows-1252, which is what unlabelled mail mostly is.
pub fn decode_charset(bytes: &[u8], charset: Option<&[u8]>) -> String {
    let utf8 = charset.is_none_or(|c| c.eq_ignore_ascii_case(b"utf-8") || c.eq_ignore_ascii_case(b"us-ascii"));
    if utf8 && let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let named = charset.filter(|c| !c.is_empty() && !c.eq_ignore_ascii_case(b"us-ascii"));
    match named.and_then(charset_decoder) {
        Some(decoder) => decoder(bytes),
        None => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => {
                charset_decoder(b"windows-1252").map_or_else(|| String::from_utf8_lossy(bytes).into(), |d| d(bytes))
            }
        },
    }
}

/// Whether the charset with this name can be turned into UTF-8.
pub fn knows_charset(name: &[u8]) -> bool {
    charset_decoder(name).is_some()
}

/// The text of a part; about `most` bytes are decoded.
pub fn decode(body: &[u8], encoding: Option<&[u8]>, charset: Option<&[u8]>, most: usize) -> String {
    decode_charset(&decode_transfer(body, encoding, most), charset)
}

/// The words of an HTML page, without its tags, styles and scripts.
pub fn html_to_text(page: &str) -> String {
    html::html_to_text(page)
}

/// Base64 (RFC 2045 6.8): other bytes are skipped; padding ends a group, as where two encoded files were joined.
pub fn base64(body: &[u8], most: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity((body.len() / 4 * 3 + 3).min(most));
    let (mut bits, mut held) = (0u32, 0u32);
    for &byte in body {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                (bits, held) = (0, 0);
                continue;
            }
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            if out.len() >= most {
                break;
            }
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    out
}

/// Quoted-printable (RFC 2045 6.7); an `=` that begins no escape stays as it is.
pub fn quoted_printable(body: &[u8], most: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len().min(most));
    let mut rest = body;
    while let Some(at) = memchr::memchr(b'=', rest) {
        let (plain, escape) = rest.split_at(at);
        out.extend_from_slice(plain);
        if out.len() >= most {
            break;
        }
        rest = match hex_pair(escape.get(1..3)) {
            Some(byte) => {
                out.push(byte);
                escape.get(3..).unwrap_or_default()
            }
            None => match soft_break(escape.get(1..).unwrap_or_default()) {
                Some(after) => after,
                None => {
                    out.push(b'=');
                    escape.get(1..).unwrap_or_default()
                }
            },
        };
    }
    out.extend_from_slice(rest);
    out.truncate(most);
    out
}

/// What follows a soft line break, if there is one here; transport may have padded it with white space.
fn soft_break(rest: &[u8]) -> Option<&[u8]> {
    let blanks = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let rest = rest.get(blanks..)?;
    rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")).or_else(|| rest.is_empty().then_some(rest))
}

/// Two hexadecimal digits.
pub(crate) fn hex_pair(digits: Option<&[u8]>) -> Option<u8> {
    let [high, low] = digits? else { return None };
    let value = |b: &u8| (*b as char).to_digit(16);
    Some((value(high)? << 4 | value(low)?) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_parser::decoders::{base64::base64_decode, quoted_printable::quoted_printable_decode};
    use proptest::prelude::*;

    #[test]
    fn broken_encodings() {
        assert_eq!(base64(b"SGVs\r\nbG8=", 99), b"Hello");
        assert_eq!(base64(b"SGVs*bG8=SGVsbG8", 99), b"HelloHello");
        assert_eq!(base64(b"SGVsbG8=", 3), b"Hel");
        assert_eq!(quoted_printable(b"a=C3=a4=\r\nb= \n=zz=", 99), "aäb=zz".as_bytes());
        assert_eq!(decode(b"caf=E9", Some(b"Quoted-Printable"), Some(b"iso-8859-1"), 99), "café");
        assert_eq!(decode(b"caf\xe9", None, None, 99), "café");
        assert_eq!(decode("café".as_bytes(), None, Some(b"x-unknown"), 99), "café");
        assert_eq!(decode(b"\x82\xa0", None, Some(b"Shift_JIS"), 99), "あ");
        assert_eq!(html_to_text("<p>a&amp;b<style>x</style></p>").trim(), "a&b");
    }

    proptest! {
        #[test]
        fn agrees_with_mail_parser_on_good_input(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            use ::base64::Engine;
            let encoded = ::base64::engine::general_purpose::STANDARD.encode(&data);
            prop_assert_eq!(&base64(encoded.as_bytes(), usize::MAX), &data);
            prop_assert_eq!(base64_decode(encoded.as_bytes()), Some(data.clone()));
            let escaped: String = data.iter().map(|b| format!("={b:02X}")).collect();
            prop_assert_eq!(&quoted_printable(escaped.as_bytes(), usize::MAX), &data);
            prop_assert_eq!(quoted_printable_decode(escaped.as_bytes()), Some(data));
        }

        #[test]
        fn html_never_panics(page in "[<>a/!& -;#xé]{0,80}") {
            html_to_text(&page);
        }

        #[test]
        fn any_bytes_in_any_charset(bytes in proptest::collection::vec(any::<u8>(), 0..80), charset in "[a-z0-9_-]{0,12}|utf-7|utf-16|iso-2022-jp|gb18030|big5") {
            decode_charset(&bytes, Some(charset.as_bytes()));
        }
    }
}
