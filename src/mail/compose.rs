//! Text of ours put into the forms that mail has for it: encoded words for headers, quoted-printable for bodies.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt::Write;

/// Longest encoded word (RFC 2047 2).
const WORD: usize = 75;
const BEFORE: &str = "=?utf-8?B?";
const BEHIND: &str = "?=";
/// Longest line of quoted-printable, its soft line break included (RFC 2045 6.7).
const LINE: usize = 76;

/// A header field's text (RFC 2047): as it is where it is plain ASCII, else encoded words, a folded line each. Control
/// characters, line ends among them, become spaces: no text can begin a field of its own.
pub fn header_text(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    // What looks like an encoded word must not be taken for one.
    let is_plain = text.is_ascii() && !text.contains("=?") && text.len() <= WORD && text.trim() == text;
    if is_plain { text } else { words(&text) }
}

/// A display name before an address (RFC 5322 3.4): quoted, or encoded words.
pub fn display_name(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.is_ascii() && !text.contains("=?") && text.len() <= WORD {
        return format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    }
    words(&text)
}

fn words(text: &str) -> String {
    // Three bytes become four letters; a character is never cut (RFC 2047 5).
    let most = (WORD - BEFORE.len() - BEHIND.len()) / 4 * 3;
    let mut words: Vec<String> = Vec::new();
    let mut piece = String::new();
    for c in text.chars() {
        if piece.len() + c.len_utf8() > most {
            words.push(word(&std::mem::take(&mut piece)));
        }
        piece.push(c);
    }
    if !piece.is_empty() {
        words.push(word(&piece));
    }
    words.join("\r\n ")
}

fn word(piece: &str) -> String {
    format!("{BEFORE}{}{BEHIND}", STANDARD.encode(piece))
}

/// A text body as quoted-printable (RFC 2045 6.7); its lines end in LF or CRLF, those of the answer in CRLF.
pub fn quoted_printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut lines = text.split('\n').peekable();
    while let Some(line) = lines.next() {
        // A CR at the very end of the text ends no line.
        let line = line.strip_suffix('\r').filter(|_| lines.peek().is_some()).unwrap_or(line);
        let mut length = 0;
        let bytes = line.as_bytes();
        for (i, &byte) in bytes.iter().enumerate() {
            let is_last = i + 1 == bytes.len();
            // A space at the end of a line does not survive the way; "From " and "." at its beginning are changed by some.
            let is_plain = matches!(byte, b' '..=b'~' | b'\t')
                && byte != b'='
                && !(is_last && matches!(byte, b' ' | b'\t'))
                && !(length == 0 && matches!(byte, b'.' | b'F' | b'-'));
            let width = if is_plain { 1 } else { 3 };
            if length + width >= LINE {
                out.push_str("=\r\n");
                length = 0;
            }
            if is_plain {
                out.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(out, "={byte:02X}");
            }
            length += width;
        }
        out.push_str("\r\n");
    }
    // The last line has no end of its own.
    out.truncate(out.len().saturating_sub(2));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::transfer::Decoder;
    use crate::mail::words;
    use proptest::prelude::*;

    #[test]
    fn plain_texts_stay() {
        assert_eq!(header_text("3 messages were kept for you"), "3 messages were kept for you");
        assert_eq!(header_text("a\r\nBcc: x@y"), "a  Bcc: x@y");
        assert_eq!(display_name("A \"B\" \\"), "\"A \\\"B\\\" \\\\\"");
        assert!(header_text("=?utf-8?q?x?=").starts_with(BEFORE));
        assert_eq!(quoted_printable("a\r\nb\r"), "a\r\nb=0D");
        assert_eq!(quoted_printable("a=b \nFrom x\n.\n"), "a=3Db=20\r\n=46rom x\r\n=2E\r\n");
    }

    proptest! {
        #[test]
        fn header_text_is_read_back(text in ".{0,200}") {
            let sent = header_text(&text);
            prop_assert!(sent.split("\r\n ").all(|line| line.len() <= WORD && !line.contains(['\r', '\n'])), "{}", sent);
            prop_assert!(sent.is_ascii());
            let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            prop_assert_eq!(words::decode(sent.as_bytes()), clean);
        }

        #[test]
        fn quoted_printable_is_read_back(text in "(.|\n| \n|=|\\.|From ){0,300}") {
            let sent = quoted_printable(&text);
            prop_assert!(sent.split("\r\n").all(|l| l.len() <= LINE && l.is_ascii() && !l.contains(['\r', '\n']) && !l.ends_with(' ')), "{}", sent);
            let plain = text.replace("\r\n", "\n").replace('\n', "\r\n");
            let decoder = Decoder::new(Some(b"quoted-printable")).unwrap();
            prop_assert_eq!(String::from_utf8(decoder.all(sent.as_bytes(), usize::MAX)).unwrap(), plain);
        }
    }
}
