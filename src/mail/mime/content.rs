//! What the Content-… fields of one header block say (RFC 2045, 2183, 2231, 3282, 2557, 1864).

use crate::base::limits;
use crate::mail::header::{self, Field};
use crate::mail::token::{Broken, Cursor, Outcome};
use memchr::memchr2;

/// The Content-… fields of a part. Spelling and RFC 2047 words are kept as they are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Content {
    /// Type and subtype; `None` when the field is absent or broken, which means text/plain (RFC 2045 5.2), or
    /// message/rfc822 within multipart/digest (RFC 2046 5.1.5).
    pub media: Option<(Vec<u8>, Vec<u8>)>,
    /// Parameters of the type.
    pub parameters: Vec<Parameter>,
    /// Content-ID.
    pub id: Option<Vec<u8>>,
    /// Content-Description.
    pub description: Option<Vec<u8>>,
    /// Content-Transfer-Encoding.
    pub encoding: Option<Vec<u8>>,
    /// Content-MD5.
    pub md5: Option<Vec<u8>>,
    /// Content-Disposition.
    pub disposition: Option<Disposition>,
    /// The tags of Content-Language.
    pub language: Vec<Vec<u8>>,
    /// Content-Location.
    pub location: Option<Vec<u8>>,
}

/// Content-Disposition (RFC 2183).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Disposition {
    /// `inline`, `attachment` or another token.
    pub name: Vec<u8>,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
}

/// One parameter. Of one that RFC 2231 split over sections, the sections are joined; when any of them was encoded the
/// name ends in `*` and the value is still encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: Vec<u8>,
    /// Its value, unquoted.
    pub value: Vec<u8>,
}

impl Content {
    /// Reads them from a header block. `body_part`: the block belongs to a part of a multipart, whose Content-… fields
    /// count always; a message's own count only beside MIME-Version or Content-Type (RFC 2045 4).
    pub fn read(block: &[u8], body_part: bool) -> Content {
        let mut content = Content::default();
        let (mut is_mime, mut seen_type) = (body_part, false);
        for field in header::fields(block) {
            if field.is(b"MIME-Version") {
                is_mime = true;
            } else if field.is(b"Content-Type") {
                is_mime = true;
                if !seen_type {
                    seen_type = true;
                    content.read_type(&field);
                }
            } else if field.name.get(..8).is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"Content-")) {
                content.read_other(&field);
            }
        }
        if is_mime { content } else { Content::default() }
    }

    fn read_type(&mut self, field: &Field<'_>) {
        let value = field.unfolded();
        let mut cursor = Cursor::new(&value);
        if let Ok(media) = media_type(&mut cursor) {
            self.media = Some(media);
            self.parameters = parameters(&mut cursor);
        }
    }

    fn read_other(&mut self, field: &Field<'_>) {
        let text = |slot: &mut Option<Vec<u8>>| {
            if slot.is_none() {
                *slot = Some(without_stray_cr(&field.unfolded()));
            }
        };
        match field.name.get(8..).unwrap_or_default().to_ascii_lowercase().as_slice() {
            b"id" => text(&mut self.id),
            b"description" => text(&mut self.description),
            b"md5" => text(&mut self.md5),
            b"location" => text(&mut self.location),
            b"transfer-encoding" if self.encoding.is_none() => self.encoding = encoding(&field.unfolded()),
            b"disposition" if self.disposition.as_ref().is_none_or(|d| d.parameters.is_empty()) => {
                if let Some(disposition) = disposition(&field.unfolded()) {
                    self.disposition = Some(disposition);
                }
            }
            b"language" if self.language.is_empty() => self.language = languages(&field.unfolded()),
            _ => {}
        }
    }

    /// Whether the type is this one, in any case.
    pub fn is(&self, main: &str, sub: &str) -> bool {
        self.media
            .as_ref()
            .is_some_and(|(m, s)| m.eq_ignore_ascii_case(main.as_bytes()) && s.eq_ignore_ascii_case(sub.as_bytes()))
    }

    /// Whether the main type is this one, in any case.
    pub fn is_main(&self, main: &str) -> bool {
        self.media.as_ref().is_some_and(|(m, _)| m.eq_ignore_ascii_case(main.as_bytes()))
    }

    /// The first parameter of this name, in any case.
    pub fn parameter(&self, name: &str) -> Option<&[u8]> {
        self.parameters.iter().find(|p| p.name.eq_ignore_ascii_case(name.as_bytes())).map(|p| p.value.as_slice())
    }
}

/// `type "/" subtype`, up to the semicolon or the end.
fn media_type(cursor: &mut Cursor<'_>) -> Result<(Vec<u8>, Vec<u8>), Broken> {
    let (mut main, mut sub) = (Vec::new(), Vec::new());
    if !cursor.skip_cfws()?
        || !cursor.token(&mut main)?
        || main.is_empty()
        || !cursor.eat(b'/')
        || !cursor.skip_cfws()?
    {
        return Err(Broken);
    }
    let more = cursor.token(&mut sub)?;
    if sub.is_empty() || (more && cursor.peek() != Some(b';')) { Err(Broken) } else { Ok((main, sub)) }
}

fn encoding(value: &[u8]) -> Option<Vec<u8>> {
    let mut cursor = Cursor::new(value);
    let mut token = Vec::new();
    let ended = cursor.skip_cfws() == Ok(true) && cursor.token(&mut token) == Ok(false);
    (ended && !token.is_empty()).then_some(token)
}

fn disposition(value: &[u8]) -> Option<Disposition> {
    let mut cursor = Cursor::new(value);
    let mut name = Vec::new();
    cursor.skip_cfws().and_then(|_| cursor.token(&mut name)).ok()?;
    Some(Disposition { name, parameters: parameters(&mut cursor) })
}

fn languages(value: &[u8]) -> Vec<Vec<u8>> {
    let mut cursor = Cursor::new(value);
    let mut all = Vec::new();
    while all.len() < limits::PARAMETERS && cursor.skip_cfws() == Ok(true) {
        let mut tag = Vec::new();
        let outcome = cursor.atom(&mut tag);
        if !tag.is_empty() && outcome.is_ok() {
            all.push(tag);
        }
        if outcome.is_err() || !cursor.eat(b',') {
            break;
        }
    }
    all
}

/// A CR that ends no line reads as white space: IMAP strings that clients show in one line carry none.
pub(crate) fn without_stray_cr(value: &[u8]) -> Vec<u8> {
    if memchr2(b'\r', b'\n', value).is_none() {
        return value.to_vec();
    }
    let mut text = Vec::with_capacity(value.len());
    for (at, &byte) in value.iter().enumerate() {
        match byte {
            b'\r' | b'\n' => {
                if !matches!(value.get(at + 1), None | Some(b' ' | b'\t' | b'\r' | b'\n')) {
                    text.push(b' ');
                }
            }
            byte => text.push(byte),
        }
    }
    text
}

/// A section of a parameter that RFC 2231 split: `name*0`, `name*1*`, or `name*`.
struct Section {
    name: Vec<u8>,
    index: u32,
    encoded: bool,
    value: Vec<u8>,
}

/// `*(";" attribute "=" value)`; what cannot be read is stepped over.
fn parameters(cursor: &mut Cursor<'_>) -> Vec<Parameter> {
    let (mut plain, mut sections) = (Vec::new(), Vec::new());
    while cursor.more() && plain.len() + sections.len() < limits::PARAMETERS {
        let (mut name, mut value) = (Vec::new(), Vec::new());
        if parameter(cursor, &mut name, &mut value).is_err() {
            if cursor.peek() != Some(b';') {
                cursor.bump();
            }
            continue;
        }
        match section(&name) {
            Some((len, index, encoded)) => {
                name.truncate(len);
                sections.push(Section { name, index, encoded, value });
            }
            None => plain.push(Parameter { name, value }),
        }
    }
    sections.sort_by(|a, b| a.name.cmp(&b.name).then(a.index.cmp(&b.index)));
    for group in sections.chunk_by(|a, b| a.name.eq_ignore_ascii_case(&b.name)) {
        join(group, &mut plain);
    }
    plain
}

fn parameter(cursor: &mut Cursor<'_>, name: &mut Vec<u8>, value: &mut Vec<u8>) -> Outcome {
    if !cursor.eat(b';') || !cursor.skip_cfws()? || !cursor.token(name)? || !cursor.eat(b'=') {
        return Err(Broken);
    }
    if !cursor.skip_cfws()? {
        return Ok(false);
    }
    match cursor.peek() {
        Some(b'"') => cursor.quoted(value),
        // `name==?utf-8?b?…?=`: a raw encoded word, as some mailers write file names
        Some(b'=') => {
            while let Some(byte) = cursor.peek().filter(|b| !matches!(b, b';' | b' ' | b'\t' | b'\r' | b'\n')) {
                value.push(byte);
                cursor.bump();
            }
            Ok(cursor.more())
        }
        _ => cursor.token(value),
    }
}

/// Splits `name*1*` into the name's length, the index, and whether it is encoded (RFC 2231 3, 4).
fn section(name: &[u8]) -> Option<(usize, u32, bool)> {
    let star = name.iter().position(|&b| b == b'*')?;
    let rest = name.get(star + 1..)?;
    if rest.is_empty() {
        return Some((star, 0, true));
    }
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let index = rest.iter().take(digits).fold(0u32, |n, b| n.saturating_mul(10).saturating_add(u32::from(b - b'0')));
    match rest.get(digits..)? {
        [] => Some((star, index, false)),
        [b'*'] => Some((star, index, true)),
        _ => None,
    }
}

/// Joins the sections of one parameter; when one is missing they stay apart.
fn join(group: &[Section], out: &mut Vec<Parameter>) {
    let whole = group.iter().enumerate().all(|(at, section)| section.index as usize == at);
    let Some(first) = group.first() else { return };
    if !whole {
        out.extend(group.iter().map(|section| {
            let star = if section.encoded { "*" } else { "" };
            let name = [section.name.as_slice(), format!("*{}{star}", section.index).as_bytes()].concat();
            Parameter { name, value: section.value.clone() }
        }));
        return;
    }
    let encoded = group.iter().any(|section| section.encoded);
    let mut name = first.name.clone();
    let mut value = Vec::new();
    if encoded {
        name.push(b'*');
        if !first.encoded {
            value.extend_from_slice(b"''");
        }
    }
    for section in group {
        for &byte in &section.value {
            if byte == b'%' && encoded && !section.encoded {
                value.extend_from_slice(b"%25");
            } else {
                value.push(byte);
            }
        }
    }
    out.push(Parameter { name, value });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(block: &str) -> String {
        let content = Content::read(block.as_bytes(), true);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut out = content.media.iter().map(|(m, s)| format!("{}/{}", text(m), text(s))).collect::<Vec<_>>();
        out.extend(content.parameters.iter().map(|p| format!("{}={}", text(&p.name), text(&p.value))));
        out.join("|")
    }

    #[test]
    fn types() {
        assert_eq!(
            shown("Content-Type: Text/Plain (c); charset=utf-8 ; x=\"a;b\"\n"),
            "Text/Plain|charset=utf-8|x=a;b"
        );
        assert_eq!(shown("Content-Type: text\n"), "");
        assert_eq!(shown("Content-Type: text/plain charset=x\n"), "");
        assert_eq!(shown("Content-Type: a/b; ; x=y;;z=1;\n"), "a/b|x=y|z=1");
        assert_eq!(shown("Content-Type: a/b; n*1=\"%b\"; N=1; n*0*=utf-8''a\n"), "a/b|N=1|n*=utf-8''a%25b");
        assert_eq!(shown("Content-Type: a/b; n*0=x; n*2=y\n"), "a/b|n*0=x|n*2=y");
        assert_eq!(shown("Content-Type: a/b; name==?utf-8?b?eA==?= ;y=z\n"), "a/b|name==?utf-8?b?eA==?=|y=z");
        assert_eq!(shown("Content-Type: a/b\nContent-Type: c/d\n"), "a/b");
        assert!(Content::read(b"Content-ID: x\n", false).id.is_none());
        assert!(Content::read(b"Content-ID: x\nMime-Version: 1.0\n", false).id.is_some());
    }

    #[test]
    fn many_parameters_are_cut() {
        let block = format!("Content-Type: a/b{}\n", ";x=y".repeat(9_000));
        assert_eq!(Content::read(block.as_bytes(), true).parameters.len(), limits::PARAMETERS);
    }
}
