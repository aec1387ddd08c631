//! One stored message, as far as FETCH and SEARCH need it. The bridge implements it over the store and its cache;
//! tests implement it over a byte string.

use super::needle::Needle;
use super::outline::Names;
use super::search::Depth;
use super::signature::Signature;
use super::text_search::Manner;
use crate::base::{FileRange, Flags, Slice};
use crate::mail::mime::Structure;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// What the catalogue knows of a message without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Row {
    /// Its UID.
    pub uid: u32,
    /// Its flags, without `\Recent`.
    pub flags: Flags,
    /// RFC822.SIZE: bytes with CRLF line ends, trace included.
    pub size: u64,
    /// INTERNALDATE, seconds since 1970.
    pub date: u64,
    /// When it last changed.
    pub modseq: u64,
    /// SAVEDATE (RFC 8514 3): when it entered the folder, seconds since 1970.
    pub saved: u64,
    /// Bytes of the trace on top of it.
    pub trace: u32,
}

/// Some bytes of a message in wire form.
#[derive(Debug, Clone)]
pub enum Bytes {
    /// In memory.
    Held(Slice),
    /// In its file.
    File(FileRange),
}

/// Access to one message. Offsets count from its first byte in wire form (CRLF). Every call may read the disk; what is
/// expensive is kept by the implementation, so calling twice is cheap.
pub trait Content {
    /// The catalogue's row.
    fn row(&self) -> Row;

    /// The message id: base name of the file before the first comma; of a copy, that of its original. Never changes.
    fn id(&self) -> io::Result<String>;

    /// The raw header block in wire form, its empty line included, cut at `limits::HEADER_BYTES`; NUL is 0x80.
    fn header(&mut self) -> io::Result<Slice>;

    /// Appends what [`super::section::filter_fields`] gives of the header block, if that can be told without reading it all.
    fn pick(&mut self, _names: Names, _not: bool, _out: &mut Vec<u8>) -> io::Result<bool> {
        Ok(false)
    }

    /// Whether a field of this name (in lower case) holds a text that was folded in this manner, where that can be told
    /// without the header block and within this depth.
    fn field_has(&mut self, _name: &[u8], _value: &Needle, _manner: Manner, _depth: Depth) -> io::Result<Option<bool>> {
        Ok(None)
    }

    /// Whether [`Content::field_has`] tells of fields with this name once the header was looked at for it.
    fn keeps(&self, _name: &[u8]) -> bool {
        false
    }

    /// What is kept of its texts. The message is not opened for it.
    fn signature(&mut self) -> io::Result<Option<Signature>> {
        Ok(None)
    }

    /// Whether a signature is wanted; then all texts will be read, and [`Content::sign`] gets what was made of them. Until then
    /// nothing else is made of the message for later.
    fn begin_signature(&mut self) -> bool {
        false
    }

    /// Keeps the signature that was begun.
    fn sign(&mut self, _made: Signature) {}

    /// The ENVELOPE, rendered by [`super::envelope::render`].
    fn envelope(&mut self) -> io::Result<Slice>;

    /// The BODYSTRUCTURE, rendered by [`super::structure::render_body_structure`].
    fn body_structure(&mut self) -> io::Result<Slice>;

    /// The same without extension data, rendered by [`super::structure::render_body`]; both from a scan.
    fn body(&mut self) -> io::Result<Slice>;

    /// The MIME structure with its offsets.
    fn structure(&mut self) -> io::Result<Arc<Structure>>;

    /// Bytes of the message in wire form: in memory when they are few, a range of the file when they are many.
    fn bytes(&mut self, range: Range<u64>) -> io::Result<Bytes>;

    /// Hands out the same with each NUL as it is, piece by piece, until `sink` has had enough and says `false`.
    fn raw(&mut self, range: Range<u64>, sink: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<()>;

    /// The PREVIEW, made by [`super::preview::render`]; `None` only when it is `lazy` and would take long.
    fn preview(&mut self, lazy: bool) -> io::Result<Option<String>>;

    /// The same as [`Content::bytes`], always in memory, cut at `most` bytes.
    fn read(&mut self, range: Range<u64>, most: usize) -> io::Result<Slice>;
}
