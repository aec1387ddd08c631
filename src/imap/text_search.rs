//! Whether a text is in a header or a body, as a reader sees them: encoded words, transfer encodings and charsets undone.

use super::content::Content;
use super::search::Key;
use crate::base::limits;
use crate::mail::header::{self, Field};
use crate::mail::mime::{Kind, Part};
use crate::mail::{fold, text, words};
use memchr::memmem::Finder;
use std::io;

/// How texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// By i;unicode-casemap (RFC 5255 4.2).
    Exact,
    /// As FUZZY does: marks and the amount of white space do not count, and of HTML only what is shown.
    Loose,
}

impl Manner {
    /// A text in the form in which it is compared.
    pub fn fold(self, text: &str) -> String {
        match self {
            Manner::Exact => fold::casemap(text),
            Manner::Loose => fold::loose(text),
        }
    }
}

/// A folded text that is looked for.
struct Needle<'a> {
    finder: Finder<'a>,
    manner: Manner,
}

impl<'a> Needle<'a> {
    fn new(value: &'a str, manner: Manner) -> Self {
        Needle { finder: Finder::new(value), manner }
    }

    fn is_in(&self, text: &str) -> bool {
        let folded = match self.manner {
            Manner::Exact => fold::casemap_bytes(text),
            Manner::Loose => fold::loose_bytes(text),
        };
        self.finder.find(&folded).is_some()
    }
}

/// The recipients for whom the message lies here stand in this field of the trace. To a wider account they are recipients
/// like those that the sender wrote, if he wrote them.
const RECIPIENT: &[u8] = b"x-lazaret-recipient";

/// Whether a field of this name holds the text. The first `trace` bytes of the block are the trace: below, a sender may have
/// written anything.
pub(super) fn field_has(block: &[u8], trace: u32, name: &[u8], value: &str, manner: Manner) -> bool {
    let needle = Needle::new(value, manner);
    texts_of(block, trace, name).any(|text| needle.is_in(&text))
}

/// The decoded texts of the fields in which [`Key::Header`] looks under this name, which is in lower case.
pub fn field_texts(block: &[u8], trace: u32, name: &[u8]) -> Vec<String> {
    texts_of(block, trace, name).collect()
}

fn texts_of<'a>(block: &'a [u8], trace: u32, name: &'a [u8]) -> impl Iterator<Item = String> + 'a {
    let for_whom = move |field: &Field<'_>| field.is(RECIPIENT) && field.range.end <= trace as usize;
    let is_it = move |field: &Field<'_>| field.is(name) || (name == b"to" && for_whom(field));
    header::fields(block).filter(is_it).map(|field| words::decode(field.value))
}

/// Whether a field of the block, written out, holds the text.
fn header_has(block: &[u8], needle: &Needle<'_>) -> bool {
    header::fields(block).any(|field| {
        let name = String::from_utf8_lossy(field.name);
        needle.is_in(&format!("{name}: {}", words::decode(field.value)))
    })
}

/// Whether header or body hold the text, headers of parts included (RFC 9051 6.4.4 `TEXT`).
pub(super) fn text_has(content: &mut dyn Content, value: &str, manner: Manner) -> io::Result<bool> {
    let needle = Needle::new(value, manner);
    Ok(header_has(&content.header()?, &needle) || parts_have(content, &needle, true)?)
}

/// Whether a part that is text holds the text. Headers of parts and of embedded messages are none (RFC 9051 6.4.4 `BODY`).
pub(super) fn body_has(content: &mut dyn Content, value: &str, manner: Manner) -> io::Result<bool> {
    parts_have(content, &Needle::new(value, manner), false)
}

fn parts_have(content: &mut dyn Content, needle: &Needle<'_>, with_headers: bool) -> io::Result<bool> {
    let structure = content.structure()?;
    for (number, part) in structure.parts().iter().enumerate() {
        if number > 0 && with_headers {
            let block = content.read(part.header.clone(), limits::HEADER_BYTES)?;
            if header_has(&block, needle) {
                return Ok(true);
            }
        }
        if is_text(part) && body_of_part_has(content, part, needle)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// HTML is searched as it is, so that an address in a link is found, and without its tags, so that a word is found
/// whatever is between its letters.
fn body_of_part_has(content: &mut dyn Content, part: &Part, needle: &Needle<'_>) -> io::Result<bool> {
    let body = content.read(part.body.clone(), limits::SEARCH_PART)?;
    let charset = part.content.parameter("charset");
    let text = text::decode(&body, part.content.encoding.as_deref(), charset, limits::SEARCH_PART);
    let html = part.content.is("text", "html");
    let as_it_is = !html || needle.manner == Manner::Exact;
    Ok((as_it_is && needle.is_in(&text)) || (html && needle.is_in(&text::html_to_text(&text))))
}

/// What cannot be taken apart is searched as it is, delivery reports too (RFC 9051 6.4.4); pictures and the like are not.
fn is_text(part: &Part) -> bool {
    match part.kind {
        Kind::Leaf => part.content.media.is_none() || part.content.is_main("text") || part.content.is_main("message"),
        Kind::EncodedMessage | Kind::Opaque => true,
        Kind::Multipart | Kind::Message => false,
    }
}

/// How well a message that matches does so, 1 to 100 (RFC 6203 4): where the FUZZY texts of the key are found, and whether
/// they are found as they were written.
pub fn score(key: &Key, content: &mut dyn Content) -> io::Result<u8> {
    Ok(scored(key, content, Manner::Exact)?.unwrap_or(100).clamp(1, 100))
}

/// `None`: there is nothing fuzzy in it.
fn scored(key: &Key, content: &mut dyn Content, manner: Manner) -> io::Result<Option<u8>> {
    let each = |keys: &[Key], content: &mut dyn Content| -> io::Result<Vec<u8>> {
        let scores = keys.iter().map(|key| scored(key, content, manner));
        Ok(scores.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
    };
    let value = match key {
        Key::Fuzzy(key) => return scored(key, content, Manner::Loose),
        Key::And(keys) => {
            let scores = each(keys, content)?;
            let sum: u32 = scores.iter().map(|&score| u32::from(score)).sum();
            return Ok((!scores.is_empty()).then(|| (sum / scores.len() as u32) as u8));
        }
        Key::Or(keys) => return Ok(each(keys, content)?.into_iter().max()),
        Key::Header { value, .. } | Key::Text(value) | Key::Body(value) if manner == Manner::Loose => value,
        _ => return Ok(None),
    };
    let block = content.header()?;
    let trace = content.row().trace;
    let whole_field = |name: &[u8]| field_has(&block, trace, name, value, Manner::Loose);
    let place = match key {
        Key::Header { name, .. } if name != b"subject" => 80,
        Key::Header { .. } | Key::Text(_) if whole_field(b"subject") => 100,
        Key::Text(_) if whole_field(b"from") || whole_field(b"to") => 75,
        Key::Text(_) if header_has(&block, &Needle::new(value, Manner::Loose)) => 25,
        Key::Text(_) | Key::Body(_) if body_has(content, value, Manner::Loose)? => 50,
        _ => 1,
    };
    Ok(Some(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_trace_says_for_whom_it_is() {
        let block = b"X-Lazaret-Recipient: <Bob@x.test>\r\nTo: al@x.test\r\nX-Lazaret-Recipient: <eve@x.test>\r\n\r\n";
        let has =
            |trace, name: &[u8], value: &str| field_has(block, trace, name, &Manner::Exact.fold(value), Manner::Exact);
        assert!(has(35, b"to", "bob@") && has(35, b"to", "AL@"));
        assert!(!has(35, b"to", "eve@") && !has(0, b"to", "bob@") && !has(35, b"cc", "bob@"));
        assert!(has(35, b"x-lazaret-recipient", "bob@") && has(35, b"x-lazaret-recipient", "eve@"));
    }
}
