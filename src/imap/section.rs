//! Sections of a message: what stands between the brackets of BODY[…] (RFC 3501 6.4.5).

use crate::mail::header;
use crate::mail::mime::{Kind, Part, Structure};
use std::fmt;
use std::ops::Range;

/// A section, as a client names it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section {
    /// Part numbers from the outside in, each at least 1; empty for the message itself.
    pub path: Vec<u32>,
    /// What of that part.
    pub what: What,
}

/// What of a part is meant. Field names are kept as the client wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum What {
    /// The message, or the body of a part.
    #[default]
    Whole,
    /// The header of the message or of an embedded one.
    Header,
    /// Of that header these fields.
    Fields(Vec<Vec<u8>>),
    /// Of that header all but these fields.
    NotFields(Vec<Vec<u8>>),
    /// The body of the message or of an embedded one.
    Text,
    /// The MIME header of a part.
    Mime,
}

/// Where a section lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// These bytes of the message, in wire form.
    Bytes(Range<u64>),
    /// This header block with [`filter_fields`] applied.
    Filtered(Range<u64>),
}

impl fmt::Display for Section {
    /// What stands between the brackets of an answer. A field name that is no atom is quoted; a client that asked with a
    /// literal gets 8-bit bytes of it as `?`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, number) in self.path.iter().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            write!(f, "{number}")?;
        }
        if !self.path.is_empty() && self.what != What::Whole {
            f.write_str(".")?;
        }
        let names = match &self.what {
            What::Whole => return Ok(()),
            What::Header => return f.write_str("HEADER"),
            What::Text => return f.write_str("TEXT"),
            What::Mime => return f.write_str("MIME"),
            What::Fields(names) => {
                f.write_str("HEADER.FIELDS (")?;
                names
            }
            What::NotFields(names) => {
                f.write_str("HEADER.FIELDS.NOT (")?;
                names
            }
        };
        for (at, name) in names.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            write_name(name, f)?;
        }
        f.write_str(")")
    }
}

/// `astring` (RFC 3501 9).
fn write_name(name: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let is_atom = |b: &u8| b.is_ascii_graphic() && !b"(){%*\"\\".contains(b);
    let quoted = name.is_empty() || !name.iter().all(is_atom);
    if quoted {
        f.write_str("\"")?;
    }
    for &byte in name {
        match byte {
            b'"' | b'\\' => write!(f, "\\{}", byte as char)?,
            0x20..0x7f => write!(f, "{}", byte as char)?,
            _ => f.write_str("?")?,
        }
    }
    if quoted { f.write_str("\"") } else { Ok(()) }
}

/// Finds a section. `None`: the message has no such part, and the answer is NIL.
///
/// The body of a message that is no multipart is its part 1 (RFC 3501 6.4.5), and `1.MIME` is then its header. TEXT and
/// HEADER behind a path need an embedded message; `3.1` of such a part 3 is a part of the embedded message.
pub fn resolve(section: &Section, structure: &Structure) -> Option<Resolved> {
    let part = part(section, structure)?;
    // of the message itself, or of the embedded message that the path leads to
    let message = || {
        if section.path.is_empty() {
            Some(part)
        } else if part.kind == Kind::Message {
            structure.part(part.first_child()?)
        } else {
            None
        }
    };
    Some(match &section.what {
        What::Whole if section.path.is_empty() => Resolved::Bytes(0..structure.size()),
        What::Whole => Resolved::Bytes(part.body.clone()),
        What::Mime if section.path.is_empty() => return None,
        What::Mime => Resolved::Bytes(part.header.clone()),
        What::Header => Resolved::Bytes(message()?.header.clone()),
        What::Text => Resolved::Bytes(message()?.body.clone()),
        What::Fields(_) | What::NotFields(_) => Resolved::Filtered(message()?.header.clone()),
    })
}

/// The part that the section's path leads to.
pub fn part<'a>(section: &Section, structure: &'a Structure) -> Option<&'a Part> {
    structure.part(find(&section.path, structure)?)
}

/// The part of a range that `<offset.length>` asks for (RFC 3501 6.4.5: what lies beyond the end is empty).
pub fn cut(range: Range<u64>, partial: Option<(u32, u32)>) -> Range<u64> {
    let Some((offset, len)) = partial else { return range };
    let start = range.start.saturating_add(u64::from(offset)).min(range.end);
    start..start.saturating_add(u64::from(len)).min(range.end)
}

/// The part that a path leads to. A path may name the body of a single part once more as its 1, as Dovecot lets it.
fn find(path: &[u32], structure: &Structure) -> Option<u32> {
    let mut number = 0;
    for (at, &wanted) in path.iter().enumerate() {
        let is_last = at + 1 == path.len();
        match structure.part(number)?.kind {
            Kind::Multipart => number = structure.children(number).nth(wanted.checked_sub(1)? as usize)?,
            Kind::Message if wanted == 1 => {}
            Kind::EncodedMessage if at > 0 => return None,
            _ if wanted == 1 && is_last => {}
            _ => return None,
        }
        let part = structure.part(number)?;
        // a path goes on through an embedded message without a number of its own
        if !is_last && part.kind == Kind::Message {
            number = part.first_child()?;
        }
    }
    Some(number)
}

/// The fields of a header block that have (or, with `not`, do not have) one of these names, as they stand there, and
/// the empty line. A message that ends without one has none in its answer (RFC 3501 6.4.5); when fields are asked for by
/// name it gets one nevertheless, as Dovecot gives it.
pub fn filter_fields(block: &[u8], names: &[Vec<u8>], not: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(block.len().min(1 << 10));
    let mut end = 0;
    for field in header::fields(block) {
        end = field.range.end;
        if names.iter().any(|name| field.is(name)) != not {
            out.extend_from_slice(block.get(field.range).unwrap_or_default());
        }
    }
    close_fields(&mut out, 0, not, end < block.len());
    out
}

/// Ends fields that were appended from `from` on, of a block that has an empty line or has none.
pub(super) fn close_fields(out: &mut Vec<u8>, from: usize, not: bool, has_empty_line: bool) {
    let fields = out.get(from..).unwrap_or_default();
    if !not && !fields.is_empty() && !fields.ends_with(b"\n") {
        out.extend_from_slice(b"\r\n");
    }
    if !not || has_empty_line {
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Form;

    const MESSAGE: &str = "Subject: out\nContent-Type: multipart/mixed; boundary=b\n\npre\n--b\n\none\n--b\n\
        Content-Type: message/rfc822\n\nSubject: in\nX-A: 1\n y\nX-B: 2\n\ninner\n--b\nContent-Type: message/rfc822\n\n\
        Content-Type: multipart/alternative; boundary=c\n\n--c\n\ndeep1\n--c\n\ndeep2\n--c--\n--b--\nepi\n";

    fn fetch(path: &[u32], what: What) -> Option<String> {
        let wire = MESSAGE.replace('\n', "\r\n");
        let structure = Structure::of(MESSAGE.as_bytes(), Form::Lf);
        assert_eq!(structure, Structure::of(wire.as_bytes(), Form::Crlf));
        let section = Section { path: path.to_vec(), what };
        let cut = |range: Range<u64>| &wire.as_bytes()[range.start as usize..range.end as usize];
        let bytes = match (resolve(&section, &structure)?, section.what) {
            (Resolved::Bytes(range), _) => cut(range).to_vec(),
            (Resolved::Filtered(range), What::Fields(names)) => filter_fields(cut(range), &names, false),
            (Resolved::Filtered(range), What::NotFields(names)) => filter_fields(cut(range), &names, true),
            (Resolved::Filtered(_), other) => panic!("{other:?} filters nothing"),
        };
        Some(String::from_utf8(bytes).unwrap().replace("\r\n", "|"))
    }

    #[test]
    fn sections_of_a_nested_message() {
        let text = |path: &[u32], what| fetch(path, what).unwrap_or_else(|| "-".into());
        assert_eq!(text(&[], What::Whole), MESSAGE.replace('\n', "|"));
        assert_eq!(text(&[1], What::Whole), "one");
        assert_eq!(text(&[1], What::Mime), "|");
        assert_eq!(text(&[2], What::Mime), "Content-Type: message/rfc822||");
        assert_eq!(text(&[2], What::Whole), "Subject: in|X-A: 1| y|X-B: 2||inner");
        assert_eq!(text(&[2], What::Header), "Subject: in|X-A: 1| y|X-B: 2||");
        assert_eq!(text(&[2], What::Fields(vec![b"x-a".to_vec(), b"none".to_vec()])), "X-A: 1| y||");
        assert_eq!(text(&[2], What::NotFields(vec![b"x-a".to_vec()])), "Subject: in|X-B: 2||");
        assert_eq!(text(&[2], What::Text), "inner");
        assert_eq!(text(&[2, 1], What::Whole), "inner");
        assert_eq!(text(&[3, 2], What::Whole), "deep2");
        assert_eq!(text(&[3, 2, 1], What::Whole), "deep2");
        for path in [&[4][..], &[0], &[1, 2], &[2, 2], &[2, 1, 1], &[3, 1, 1, 1], &[3, 3]] {
            assert_eq!(text(path, What::Whole), "-", "{path:?}");
        }
        for what in [What::Header, What::Text, What::Fields(vec![])] {
            assert_eq!(text(&[1], what), "-");
        }
        assert_eq!(text(&[], What::Mime), "-");
        let plain = Structure::of(b"A: b\n\nbody\n", Form::Lf);
        let one = |what| resolve(&Section { path: vec![1], what }, &plain);
        assert_eq!(one(What::Whole), Some(Resolved::Bytes(8..14)));
        assert_eq!(one(What::Mime), Some(Resolved::Bytes(0..8)));
        assert_eq!(one(What::Text), None);
    }

    #[test]
    fn printed_as_a_client_reads_it() {
        let names = vec![b"Subject".to_vec(), b"X Y".to_vec(), b"a\"b".to_vec(), vec![]];
        assert_eq!(Section { path: vec![], what: What::Whole }.to_string(), "");
        assert_eq!(Section { path: vec![1, 2], what: What::Whole }.to_string(), "1.2");
        assert_eq!(Section { path: vec![1], what: What::Mime }.to_string(), "1.MIME");
        let section = Section { path: vec![3], what: What::NotFields(names) };
        assert_eq!(section.to_string(), r#"3.HEADER.FIELDS.NOT (Subject "X Y" "a\"b" "")"#);
    }

    #[test]
    fn a_header_without_its_empty_line() {
        assert_eq!(filter_fields(b"A: b", &[b"a".to_vec()], false), b"A: b\r\n\r\n");
        assert_eq!(filter_fields(b"A: b\r\n", &[], false), b"\r\n");
        assert_eq!(filter_fields(b"A: b", &[], true), b"A: b");
        assert_eq!(filter_fields(b"A: b\r\n\r\n", &[], true), b"A: b\r\n\r\n");
    }
}
