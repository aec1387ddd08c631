//! What the cache holds of one message: all that a listing asks for, as bytes ready to be sent.

use crate::base::{Slice, limits};
use crate::imap::{envelope, structure};
use crate::mail::mime::Structure;
use std::ops::Range;

/// What made these bytes. Another release may render differently, so what it made is not read; within a release the number
/// changes with the form.
const FORM: &[u8] = concat!(env!("CARGO_PKG_VERSION"), "/2 ").as_bytes();
/// The fields, in the order in which they lie.
const FIELDS: usize = 6;

/// One message, parsed.
#[derive(Clone)]
pub struct Parsed {
    bytes: Slice,
    fields: [Range<usize>; FIELDS],
}

impl Parsed {
    /// From a structure that comes from a scan (one that was read back lacks the headers of embedded messages), and the
    /// header block and the preview.
    pub fn new(scanned: &Structure, header: &[u8], preview: &str) -> Parsed {
        let mut envelope = Vec::new();
        envelope::render(header, &mut envelope);
        let mut body_structure = Vec::new();
        structure::render_body_structure(scanned, &mut body_structure);
        let mut body = Vec::new();
        structure::render_body(scanned, &mut body);
        let header = if header.len() <= limits::CACHE_HEADER { header } else { &[] };
        let parts = [header, &envelope, &body_structure, &body, &scanned.to_bytes(), preview.as_bytes()];

        let mut bytes = FORM.to_vec();
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
        }
        let fields = parts.map(|part| {
            bytes.extend_from_slice(part);
            bytes.len() - part.len()..bytes.len()
        });
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
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The raw header block; `None` when it was too long to be kept.
    pub fn header(&self) -> Option<Slice> {
        Some(self.field(0)).filter(|header| !header.is_empty())
    }

    /// The ENVELOPE.
    pub fn envelope(&self) -> Slice {
        self.field(1)
    }

    /// The BODYSTRUCTURE.
    pub fn body_structure(&self) -> Slice {
        self.field(2)
    }

    /// The BODY.
    pub fn body(&self) -> Slice {
        self.field(3)
    }

    /// The structure, without the headers of embedded messages.
    pub fn structure(&self) -> Option<Structure> {
        Structure::from_bytes(&self.field(4))
    }

    /// The preview.
    pub fn preview(&self) -> String {
        String::from_utf8_lossy(&self.field(5)).into_owned()
    }

    fn field(&self, number: usize) -> Slice {
        self.fields.get(number).and_then(|range| self.bytes.part(range.clone())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Form;
    use proptest::prelude::*;

    const MESSAGE: &[u8] = b"From: a@x.test\r\nSubject: hi\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
        Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx\r\n--b--\r\n";

    fn parsed(message: &[u8], header: usize) -> Parsed {
        Parsed::new(&Structure::of(message, Form::Crlf), &message[..header], "words")
    }

    #[test]
    fn survives_a_round_trip() {
        let header = MESSAGE.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        let made = parsed(MESSAGE, header);
        let read = Parsed::read(made.bytes.clone()).unwrap();
        assert_eq!(*read.header().unwrap(), MESSAGE[..header]);
        assert_eq!(*read.envelope(), *made.envelope());
        assert_eq!(read.preview(), "words");
        assert!(read.envelope().windows(4).any(|w| w == b"\"hi\""));
        assert!(read.body_structure().windows(7).any(|w| w == b"\"inner\""), "of the embedded message too");
        assert!(read.body().len() < read.body_structure().len());
        let (ours, scanned) = (read.structure().unwrap(), Structure::of(MESSAGE, Form::Crlf));
        assert!(ours.parts().iter().map(|p| p.whole()).eq(scanned.parts().iter().map(|p| p.whole())));
    }

    #[test]
    fn a_long_header_is_left_out() {
        let message = [b"A: ".as_slice(), &b"x".repeat(limits::CACHE_HEADER), b"\r\n\r\n"].concat();
        let made = parsed(&message, message.len());
        assert!(made.header().is_none());
        assert!(Parsed::read(made.bytes.clone()).unwrap().structure().is_some());
    }

    #[test]
    fn what_is_cut_short_or_longer_is_nothing() {
        let bytes = parsed(MESSAGE, 20).bytes().to_vec();
        for len in 0..bytes.len() {
            assert!(Parsed::read(bytes[..len].to_vec().into()).is_none(), "{len}");
        }
        assert!(Parsed::read([bytes.as_slice(), b"x"].concat().into()).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(at in 0usize..400, byte: u8, tail in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut bytes = parsed(MESSAGE, 20).bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            let all = [Parsed::read(bytes.into()), Parsed::read([FORM, &tail].concat().into())];
            for parsed in all.into_iter().flatten() {
                let _ = (parsed.header(), parsed.envelope(), parsed.body(), parsed.body_structure(), parsed.structure());
            }
        }
    }
}
