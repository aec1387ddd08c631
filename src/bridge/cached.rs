//! What the caches hold of one message: all that a listing asks for, as bytes ready to be sent. What its header tells and what
//! parsing all of it gives are two records: few commands ask for both, and the first takes a tenth of the work.

use crate::base::{Slice, limits};
use crate::imap::items::Item;
use crate::imap::outline::Names;
use crate::imap::{envelope, outline, structure};
use crate::mail::header::{self, Field};
use crate::mail::mime::Structure;
use std::ops::Range;

/// What made these bytes. Another release may render differently, so what it made is not read; within a release the number
/// changes with the form.
const FORM: &[u8] = concat!(env!("CARGO_PKG_VERSION"), "/3 ").as_bytes();
/// The fields, in the order in which they lie.
const FIELDS: usize = 4;

/// Most records are no longer.
const ROOM: usize = 1 << 10;

/// Most headers have no more fields.
const MANY_FIELDS: usize = 48;

/// Before a preview that was made, be it empty.
const KNOWN: &[u8] = b"=";

/// Appends a field.
type Append<'a> = &'a dyn Fn(&mut Vec<u8>);

/// One message, parsed.
#[derive(Clone)]
pub struct Parsed {
    bytes: Slice,
    fields: [Range<usize>; FIELDS],
}

impl Parsed {
    /// From a structure that comes from a scan (one that was read back lacks the headers of embedded messages).
    pub fn new(scanned: &Structure) -> Parsed {
        Parsed::of([
            &|out| structure::render_body_structure(scanned, out),
            &|out| structure::render_body(scanned, out),
            &|out| scanned.append_to(out),
            &|_| {},
        ])
    }

    /// The same with the preview, which takes decoding texts.
    pub fn with_preview(&self, words: &str) -> Parsed {
        let same = |number| move |out: &mut Vec<u8>| out.extend_from_slice(&self.field(number));
        let preview = |out: &mut Vec<u8>| [KNOWN, words.as_bytes()].iter().for_each(|part| out.extend_from_slice(part));
        Parsed::of([&same(0), &same(1), &same(2), &preview])
    }

    fn of(parts: [Append<'_>; FIELDS]) -> Parsed {
        let mut bytes = Vec::with_capacity(ROOM);
        bytes.extend_from_slice(FORM);
        let lengths = bytes.len()..bytes.len() + 4 * FIELDS;
        bytes.resize(lengths.end, 0);
        let fields = parts.map(|append| {
            let start = bytes.len();
            append(&mut bytes);
            start..bytes.len()
        });
        let lengths = bytes.get_mut(lengths).unwrap_or_default();
        for (length, field) in lengths.chunks_exact_mut(4).zip(&fields) {
            length.copy_from_slice(&(field.len() as u32).to_le_bytes());
        }
        Parsed { bytes: bytes.into(), fields }
    }

    /// Reads what [`Parsed::bytes`] gave; `None` for anything else.
    pub fn read(bytes: Slice) -> Option<Parsed> {
        let (lengths, _) = bytes.strip_prefix(FORM)?.split_at_checked(4 * FIELDS)?;
        let mut fields: [Range<usize>; FIELDS] = Default::default();
        let mut at = FORM.len() + lengths.len();
        for (field, len) in fields.iter_mut().zip(lengths.chunks_exact(4)) {
            let end = at.checked_add(u32::from_le_bytes(len.try_into().ok()?) as usize)?;
            *field = at..end;
            at = end;
        }
        (at == bytes.len()).then_some(Parsed { bytes, fields })
    }

    /// All of it, for the cache.
    pub fn bytes(&self) -> &Slice {
        &self.bytes
    }

    /// The BODYSTRUCTURE.
    pub fn body_structure(&self) -> Slice {
        self.field(0)
    }

    /// The BODY.
    pub fn body(&self) -> Slice {
        self.field(1)
    }

    /// The structure, without the headers of embedded messages.
    pub fn structure(&self) -> Option<Structure> {
        Structure::from_bytes(&self.field(2))
    }

    /// The preview; `None`: it was not made.
    pub fn preview(&self) -> Option<String> {
        Some(String::from_utf8_lossy(self.field(3).strip_prefix(KNOWN)?).into_owned())
    }

    fn field(&self, number: usize) -> Slice {
        self.fields.get(number).and_then(|range| self.bytes.part(range.clone())).unwrap_or_default()
    }
}

/// The header block of one message, what it says to those who list it, and where.
#[derive(Clone)]
pub struct Header {
    bytes: Slice,
    envelope: Range<usize>,
    outline: Range<usize>,
}

impl Header {
    /// Of a raw header block. One that is too long to be kept is remembered as such.
    pub fn new(block: &[u8]) -> Header {
        let mut fields: Vec<Field<'_>> = Vec::with_capacity(MANY_FIELDS);
        fields.extend(header::fields(block));
        let mut envelope = Vec::with_capacity(ROOM);
        envelope::render_fields(fields.iter().cloned(), &mut envelope);
        let (block, outline) = match block.len() <= limits::CACHE_HEADER {
            true => (block, outline::of(&fields)),
            false => (&block[..0], Vec::new()),
        };
        let lengths = [&envelope, &outline].map(|part| (part.len() as u32).to_le_bytes());
        let bytes = [FORM, lengths.as_flattened(), &envelope, &outline, block].concat();
        Header::cut(bytes.into(), lengths)
    }

    /// Reads what [`Header::bytes`] gave; `None` for anything else.
    pub fn read(bytes: Slice) -> Option<Header> {
        let (lengths, _) = bytes.strip_prefix(FORM)?.split_first_chunk::<8>()?;
        let &[a, b, c, d, e, f, g, h] = lengths;
        let header = Header::cut(bytes, [[a, b, c, d], [e, f, g, h]]);
        (header.outline.end <= header.bytes.len()).then_some(header)
    }

    fn cut(bytes: Slice, [envelope, outline]: [[u8; 4]; 2]) -> Header {
        let start = FORM.len() + 8;
        let middle = start + u32::from_le_bytes(envelope) as usize;
        Header { bytes, envelope: start..middle, outline: middle..middle + u32::from_le_bytes(outline) as usize }
    }

    /// All of it, for the cache.
    pub fn bytes(&self) -> &Slice {
        &self.bytes
    }

    /// The ENVELOPE.
    pub fn envelope(&self) -> Slice {
        self.bytes.part(self.envelope.clone()).unwrap_or_default()
    }

    /// The raw header block; `None` when it was too long to be kept.
    pub fn block(&self) -> Option<Slice> {
        self.bytes.part(self.outline.end..self.bytes.len()).filter(|block| !block.is_empty())
    }

    /// Appends some of its fields as [`outline::pick`] does; `false`: it does not tell.
    pub fn pick(&self, names: Names, not: bool, out: &mut Vec<u8>) -> bool {
        let outline = self.bytes.get(self.outline.clone()).unwrap_or_default();
        let block = self.bytes.get(self.outline.end..).unwrap_or_default();
        !block.is_empty() && outline::pick(outline, block, names, not, out)
    }
}

/// Which records are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Which {
    /// That of the header.
    pub header: bool,
    /// That of what parsing gives.
    pub parsed: bool,
    /// The preview in it, if it is made.
    pub preview: bool,
}

impl Which {
    /// Those that writing these items takes.
    pub fn of(items: &[Item]) -> Which {
        Which {
            header: items.iter().any(Item::needs_header),
            parsed: items.iter().any(Item::needs_parsing),
            preview: items.iter().any(|item| matches!(item, Item::Preview { .. })),
        }
    }

    /// Whether it is neither.
    pub fn is_none(self) -> bool {
        !self.header && !self.parsed
    }
}

/// Records that were made and are not in the caches yet.
#[derive(Default)]
pub struct Made {
    /// That of the header.
    pub header: Option<Header>,
    /// That of what parsing gave.
    pub parsed: Option<Parsed>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Form;
    use proptest::prelude::*;

    const MESSAGE: &[u8] = b"From: a@x.test\r\nSubject: hi\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
        Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx\r\n--b--\r\n";

    fn parsed() -> Parsed {
        Parsed::new(&Structure::of(MESSAGE, Form::Crlf)).with_preview("words")
    }

    fn header() -> Header {
        Header::new(&MESSAGE[..MESSAGE.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4])
    }

    #[test]
    fn survives_a_round_trip() {
        let made = parsed();
        let read = Parsed::read(made.bytes.clone()).unwrap();
        assert_eq!(read.preview().as_deref(), Some("words"));
        assert_eq!(read.with_preview("").preview().as_deref(), Some(""));
        assert_eq!(Parsed::new(&Structure::of(MESSAGE, Form::Crlf)).preview(), None);
        assert!(read.body_structure().windows(7).any(|w| w == b"\"inner\""), "of the embedded message too");
        assert!(read.body().len() < read.body_structure().len());
        let (ours, scanned) = (read.structure().unwrap(), Structure::of(MESSAGE, Form::Crlf));
        assert!(ours.parts().iter().map(|p| p.whole()).eq(scanned.parts().iter().map(|p| p.whole())));
    }

    #[test]
    fn a_header_survives_a_round_trip_and_a_long_one_is_left_out() {
        let read = Header::read(header().bytes.clone()).unwrap();
        assert!(read.envelope().windows(4).any(|w| w == b"\"hi\""));
        assert!(read.block().unwrap().starts_with(b"From: a@x.test") && read.block().unwrap().ends_with(b"\r\n\r\n"));
        let (known, mut out) = (Names::of(&[b"subject".to_vec()]).unwrap(), Vec::new());
        assert!(read.pick(known, false, &mut out));
        assert_eq!(out, b"Subject: hi\r\n\r\n");

        let long = Header::new(&[b"A: ".as_slice(), &b"x".repeat(limits::CACHE_HEADER), b"\r\n\r\n"].concat());
        let read = Header::read(long.bytes.clone()).unwrap();
        assert!(!read.envelope().is_empty() && read.block().is_none() && !read.pick(known, false, &mut out));
    }

    #[test]
    fn what_is_cut_short_or_longer_is_nothing() {
        let bytes = parsed().bytes().to_vec();
        for len in 0..bytes.len() {
            assert!(Parsed::read(bytes[..len].to_vec().into()).is_none(), "{len}");
        }
        assert!(Parsed::read([bytes.as_slice(), b"x"].concat().into()).is_none());
        for len in 0..header().outline.end {
            assert!(Header::read(header().bytes[..len].to_vec().into()).is_none(), "{len}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(at in 0usize..400, byte: u8, tail in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut bytes = parsed().bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            let all = [Parsed::read(bytes.into()), Parsed::read([FORM, &tail].concat().into())];
            let mut header = header().bytes().to_vec();
            if let Some(one) = header.get_mut(at) {
                *one = byte;
            }
            if let Some(header) = Header::read(header.into()) {
                let _ = (header.envelope(), header.block(), header.pick(Names::of(&[b"to".to_vec()]).unwrap(), true, &mut Vec::new()));
            }
            for parsed in all.into_iter().flatten() {
                let _ = (parsed.body(), parsed.body_structure(), parsed.structure());
            }
        }
    }
}
