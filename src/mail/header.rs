//! A raw header block, split into fields without copying (RFC 5322 2.2, and what arrives instead of it).

use crate::base::limits;
use memchr::memchr;
use std::borrow::Cow;
use std::ops::Range;

/// One field of a header block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name, without white space before the colon; empty for a line that has no colon.
    pub name: &'a [u8],
    /// What follows the colon, still folded, without the last line end; the whole line when there is no colon.
    pub value: &'a [u8],
    /// Where it stands in the block, continuation lines and the last line end included.
    pub range: Range<usize>,
}

/// The fields of a header block up to its empty line or its end. Lines end in CRLF or LF; what lies beyond
/// `limits::HEADER_BYTES` is not looked at.
pub fn fields(block: &[u8]) -> Fields<'_> {
    Fields { block: block.get(..limits::HEADER_BYTES).unwrap_or(block), at: 0 }
}

/// The first field of this name, in any case.
pub fn find<'a>(block: &'a [u8], name: &[u8]) -> Option<Field<'a>> {
    fields(block).find(|field| field.is(name))
}

/// Where the body starts: behind the first empty line, or at the end when there is none.
pub fn end(block: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let rest = block.get(at..).unwrap_or_default();
        if let Some(len) = empty_line(rest) {
            return at + len;
        }
        match memchr(b'\n', rest) {
            Some(lf) => at += lf + 1,
            None => return block.len(),
        }
    }
}

/// The length of the empty line that these bytes begin with.
fn empty_line(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\n', ..] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        _ => None,
    }
}

impl<'a> Field<'a> {
    /// Whether it has this name, in any case.
    #[inline]
    pub fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The value unfolded and without leading white space, as [`unfold`] does.
    pub fn unfolded(&self) -> Cow<'a, [u8]> {
        unfold(self.value)
    }
}

/// Drops the line ends of a folded value (RFC 5322 2.2.3) and leading white space of its first line; NUL becomes 0x80,
/// which IMAP can carry. The value is cut at `limits::FIELD_BYTES`.
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.get(..limits::FIELD_BYTES).unwrap_or(value);
    let value = skip_leading(value);
    if memchr(b'\n', value).is_none() && memchr(0, value).is_none() {
        return Cow::Borrowed(value);
    }
    let mut text = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(lf) = memchr(b'\n', rest) {
        let (line, after) = rest.split_at(lf);
        text.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        rest = after.get(1..).unwrap_or_default();
    }
    text.extend_from_slice(rest);
    for byte in text.iter_mut().filter(|b| **b == 0) {
        *byte = 0x80;
    }
    Cow::Owned(text)
}

/// White space behind the colon is no part of the value. Of a first line that is nothing else, one byte is skipped: so
/// does Dovecot, and clients compare.
fn skip_leading(value: &[u8]) -> &[u8] {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let first = value.iter().position(|b| !blank(b)).unwrap_or(value.len());
    let only_blank = matches!(value.get(first..), None | Some([] | [b'\n', ..] | [b'\r', b'\n', ..]));
    let skip = if only_blank { first.min(1) } else { first };
    value.get(skip..).unwrap_or_default()
}

/// Iterator over the fields of a header block.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    block: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        let start = self.at;
        let rest = self.block.get(start..)?;
        if rest.is_empty() || empty_line(rest).is_some() {
            self.at = self.block.len();
            return None;
        }
        let first_line = memchr(b'\n', rest).unwrap_or(rest.len());
        let mut len = (first_line + 1).min(rest.len());
        while matches!(rest.get(len), Some(b' ' | b'\t')) {
            let line = rest.get(len..).unwrap_or_default();
            len += memchr(b'\n', line).map_or(line.len(), |lf| lf + 1);
        }
        self.at = start + len;
        let raw = rest.get(..len).unwrap_or_default();
        let content = raw.strip_suffix(b"\n").map_or(raw, |line| line.strip_suffix(b"\r").unwrap_or(line));
        // Names are too short for memchr to be the faster one.
        let colon = content.iter().take(first_line).position(|&byte| byte == b':');
        let (name, value) = match colon {
            Some(at) => {
                let name = content.get(..at).unwrap_or_default();
                let trimmed = name.iter().rposition(|b| !matches!(b, b' ' | b'\t')).map_or(0, |last| last + 1);
                (name.get(..trimmed).unwrap_or_default(), content.get(at + 1..).unwrap_or_default())
            }
            None => (&content[..0], content),
        };
        Some(Field { name, value, range: start..start + len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn odd_blocks() {
        let block = b"From alice@x Tue Nov 5\nSubject : a\r\n b\n\tc\nno colon\nX:\r\n y\n\nbody: not a field\n";
        let all: Vec<_> = fields(block).map(|f| (f.name, f.unfolded().into_owned())).collect();
        assert_eq!(
            all,
            [
                (&b""[..], b"From alice@x Tue Nov 5".to_vec()),
                (b"Subject", b"a b\tc".to_vec()),
                (b"", b"no colon".to_vec()),
                (b"X", b" y".to_vec()),
            ]
        );
        assert_eq!(&block[end(block)..], b"body: not a field\n");
        assert_eq!(find(block, b"SUBJECT").map(|f| f.range), Some(23..42));
        assert_eq!(find(block, b"body"), None);
        assert_eq!(find(b"A:\0x", b"a").unwrap().unfolded().as_ref(), b"\x80x");
        assert_eq!(end(b"\r\nx"), 2);
        assert_eq!(end(b"a: b"), 4);
        let long = [b"A: ".to_vec(), vec![b'x'; 2 << 20], b"\r\nB: c\r\n".to_vec()].concat();
        assert_eq!(fields(&long).count(), 1);
        assert_eq!(find(&long, b"a").unwrap().unfolded().len(), limits::FIELD_BYTES - 1);
    }

    proptest! {
        #[test]
        fn fields_tile_the_block(block in "[aA:\r\n \tb\0]{0,60}") {
            let block = block.as_bytes();
            let mut at = 0;
            for field in fields(block) {
                prop_assert_eq!(field.range.start, at);
                prop_assert!(field.range.end > at);
                at = field.range.end;
            }
            let rest = &block[at..];
            prop_assert!(rest.is_empty() || empty_line(rest).is_some());
            prop_assert_eq!(end(block), at + empty_line(rest).unwrap_or(0));
        }
    }
}
