//! The text of a part for search and display: transfer encoding undone, characters as UTF-8.

use super::transfer::Decoder;
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::html;

/// Undoes Content-Transfer-Encoding (RFC 2045 6); at most `most` bytes come out. An unknown encoding changes nothing.
pub fn decode_transfer(body: &[u8], encoding: Option<&[u8]>, most: usize) -> Vec<u8> {
    Decoder::new(encoding).unwrap_or(Decoder::Identity).all(body, most)
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

/// Base64 (RFC 2045 6.8).
pub fn base64(body: &[u8], most: usize) -> Vec<u8> {
    Decoder::Base64(0, 0).all(body, most)
}

/// Quoted-printable (RFC 2045 6.7).
pub fn quoted_printable(body: &[u8], most: usize) -> Vec<u8> {
    Decoder::QuotedPrintable(Vec::new()).all(body, most)
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
