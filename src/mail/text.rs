//! The text of a part for search and display: transfer encoding undone, characters as UTF-8.

use super::fold::ascii_len;
use super::transfer::Decoder;
use mail_parser::decoders::charsets::{DecoderFnc, map::charset_decoder};
use std::borrow::Cow;

pub use super::html::to_text as html_to_text;

/// Undoes Content-Transfer-Encoding (RFC 2045 6); at most `most` bytes come out. An unknown encoding changes nothing.
pub fn decode_transfer<'a>(body: &'a [u8], encoding: Option<&[u8]>, most: usize) -> Cow<'a, [u8]> {
    match Decoder::new(encoding) {
        None | Some(Decoder::Identity) => Cow::Borrowed(body.get(..most).unwrap_or(body)),
        Some(decoder) => Cow::Owned(decoder.all(body, most)),
    }
}

/// Characters of a named charset as UTF-8. Without a name, or with one that nobody knows, bytes are UTF-8 when they can
/// be, else Windows-1252, which is what unlabelled mail mostly is.
pub fn decode_charset<'a>(bytes: impl Into<Cow<'a, [u8]>>, charset: Option<&[u8]>) -> Cow<'a, str> {
    let bytes = bytes.into();
    let named = charset.filter(|c| !c.is_empty() && !c.eq_ignore_ascii_case(b"us-ascii"));
    let decoder = named.and_then(|name| Some((name, charset_decoder(name)?)));
    let bytes = match decoder {
        Some((name, _)) if !name.eq_ignore_ascii_case(b"utf-8") => bytes,
        _ => match utf8(bytes) {
            Ok(text) => return text,
            Err(bytes) => bytes,
        },
    };
    match decoder {
        Some((name, decoder)) if is_single_byte(name) => single_bytes(bytes, decoder),
        Some((_, decoder)) => decoder(&bytes).into(),
        None => match charset_decoder(b"windows-1252") {
            Some(decoder) => single_bytes(bytes, decoder),
            None => String::from_utf8_lossy(&bytes).into_owned().into(),
        },
    }
}

/// The same bytes as text, if they are UTF-8.
fn utf8(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, str>, Cow<'_, [u8]>> {
    match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| Cow::Borrowed(bytes)),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|error| Cow::Owned(error.into_bytes())),
    }
}

/// Whether each byte of the charset is a character, and the lower half of them is ASCII. There are more; these are what
/// mail uses.
fn is_single_byte(name: &[u8]) -> bool {
    let families = [&b"iso-8859-"[..], b"windows-125", b"koi8-"];
    families.iter().any(|family| name.get(..family.len()).is_some_and(|start| start.eq_ignore_ascii_case(family)))
}

/// Text in a charset of single bytes. The decoder, which takes its time for each byte, is asked once for each that is
/// not ASCII.
fn single_bytes(bytes: Cow<'_, [u8]>, decoder: DecoderFnc) -> Cow<'_, str> {
    if bytes.is_ascii() {
        return utf8(bytes).unwrap_or_else(|bytes| String::from_utf8_lossy(&bytes).into_owned().into());
    }
    let upper_half: Vec<u8> = (0x80..=0xff).collect();
    let mut characters = [char::REPLACEMENT_CHARACTER; 128];
    for (place, character) in characters.iter_mut().zip(decoder(&upper_half).chars()) {
        *place = character;
    }
    let mut text = String::with_capacity(bytes.len() * 2);
    let mut rest: &[u8] = &bytes;
    while !rest.is_empty() {
        let (ascii, others) = rest.split_at(ascii_len(rest));
        text.push_str(std::str::from_utf8(ascii).unwrap_or_default());
        rest = others;
        while let [byte @ 0x80..=0xff, ref after @ ..] = *rest {
            text.push(characters[usize::from(byte & 0x7f)]);
            rest = after;
        }
    }
    text.into()
}

/// Whether the charset with this name can be turned into UTF-8.
pub fn knows_charset(name: &[u8]) -> bool {
    charset_decoder(name).is_some()
}

/// The text of a part; about `most` bytes are decoded.
pub fn decode<'a>(body: &'a [u8], encoding: Option<&[u8]>, charset: Option<&[u8]>, most: usize) -> Cow<'a, str> {
    decode_charset(decode_transfer(body, encoding, most), charset)
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
    let [high, low] = *digits? else { return None };
    match (HEX[usize::from(high)], HEX[usize::from(low)]) {
        (NO_HEX, _) | (_, NO_HEX) => None,
        (high, low) => Some(high << 4 | low),
    }
}

/// What each byte stands for as a hexadecimal digit; [`NO_HEX`] where it is none.
const HEX: [u8; 256] = {
    let mut values = [NO_HEX; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value] as usize] = value as u8;
        values[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    values
};
const NO_HEX: u8 = 0xff;

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

    /// The plain way: the whole text through the decoder of its charset.
    fn plain_charset(bytes: &[u8], charset: Option<&[u8]>) -> String {
        let is = |name: &[u8]| charset.is_some_and(|c| c.eq_ignore_ascii_case(name));
        let decoder = charset.filter(|c| !c.is_empty() && !is(b"us-ascii")).and_then(charset_decoder);
        match (decoder, std::str::from_utf8(bytes)) {
            (Some(decoder), _) if !is(b"utf-8") => decoder(bytes),
            (_, Ok(text)) => text.to_owned(),
            (Some(decoder), Err(_)) => decoder(bytes),
            (None, Err(_)) => charset_decoder(b"windows-1252").unwrap()(bytes),
        }
    }

    #[test]
    fn single_bytes_are_decoded_as_the_plain_way_says() {
        let all: Vec<u8> = (0..=255).collect();
        let mut known = 0;
        for family in ["iso-8859-", "ISO-8859-", "windows-125", "koi8-"] {
            let numbers = (0..=16).map(|number| number.to_string());
            for end in numbers.chain(["6-e", "6-i", "8-e", "8-i", "r", "u", "ru", "", "x"].map(str::to_owned)) {
                let name = format!("{family}{end}");
                assert!(is_single_byte(name.as_bytes()), "{name}");
                if let Some(decoder) = charset_decoder(name.as_bytes()) {
                    known += 1;
                    let upper: Vec<u8> = (0x80..=0xff).collect();
                    assert_eq!(decoder(&upper).chars().count(), 128, "{name}");
                    assert_eq!(decode_charset(&all, Some(name.as_bytes())), decoder(&all), "{name}");
                }
            }
        }
        assert!(known > 40, "{known}");
    }

    proptest! {
        #[test]
        fn charsets_are_decoded_as_the_plain_way_says(
            bytes in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..80),
                "[ -~]{0,60}[ -~à-я]{0,40}[ -~]{0,60}".prop_map(String::into_bytes),
                "[ -~]{0,80}".prop_map(String::into_bytes),
            ],
            charset in proptest::option::of("utf-8|UTF-8|us-ascii||iso-8859-(1|2|15)|windows-1252|koi8-r|x-unknown|shift_jis|utf-7|iso-2022-jp|gb2312"),
        ) {
            let charset = charset.as_deref().map(str::as_bytes);
            prop_assert_eq!(decode_charset(&bytes, charset), plain_charset(&bytes, charset));
            prop_assert_eq!(decode_charset(bytes.clone(), charset), plain_charset(&bytes, charset));
        }

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
        fn any_bytes_in_any_charset(bytes in proptest::collection::vec(any::<u8>(), 0..80), charset in "[a-z0-9_-]{0,12}|utf-7|utf-16|iso-2022-jp|gb18030|big5") {
            decode_charset(&bytes, Some(charset.as_bytes()));
        }
    }
}
