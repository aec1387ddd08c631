//! BINARY: parts without their transfer encoding (RFC 3516, RFC 9051 6.4.5).

use super::content::{Bytes, Content};
use super::question::Refusal;
use super::section::{self, Section, What};
use crate::base::limits;
use crate::mail::mime::{Kind, Part};
use crate::mail::transfer::Decoder;
use std::io;
use std::ops::Range;

/// Why a FETCH line was not made.
#[derive(Debug)]
pub enum Trouble {
    /// The message could not be read.
    Io(io::Error),
    /// The part's transfer encoding is known to nobody here.
    UnknownEncoding,
    /// What was asked for would have to be held in memory, and is too much.
    TooLarge,
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Trouble::Io(error)
    }
}

impl Trouble {
    /// What the client is told, if the question itself was the trouble.
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Trouble::Io(_) => None,
            Trouble::UnknownEncoding => {
                let text = "the transfer encoding of this part is not known: fetch it with BODY";
                Some(Refusal::new("UNKNOWN-CTE", text))
            }
            Trouble::TooLarge => {
                let text = format!("fetch this part in pieces of at most {} bytes", limits::BINARY_BYTES);
                Some(Refusal::new("LIMIT", text))
            }
        }
    }
}

/// A decoded part, or a piece of it.
#[derive(Debug)]
pub struct Binary {
    /// Its bytes.
    pub bytes: Bytes,
    /// NUL is among them: only `literal8` may carry it.
    pub has_nul: bool,
}

/// What lies in these sections is encoded in one way. Encodings of a multipart or a message are against RFC 2045 6.4, and
/// would take the parts inside out of sight, so there is none.
enum Source {
    /// As it lies there.
    Plain(Range<u64>),
    Encoded(Range<u64>, Decoder),
}

/// `None`: there is no such part.
fn source(path: &[u32], content: &mut dyn Content) -> Result<Option<Source>, Trouble> {
    if path.is_empty() {
        return Ok(Some(Source::Plain(0..content.row().size)));
    }
    let structure = content.structure()?;
    let section = Section { path: path.to_vec(), what: What::Whole };
    section::part(&section, &structure).map(of_part).transpose()
}

fn of_part(part: &Part) -> Result<Source, Trouble> {
    let encoding = match part.kind {
        Kind::Leaf | Kind::EncodedMessage => part.content.encoding.as_deref(),
        Kind::Multipart | Kind::Message | Kind::Opaque => None,
    };
    Ok(match Decoder::new(encoding).ok_or(Trouble::UnknownEncoding)? {
        Decoder::Identity => Source::Plain(part.body.clone()),
        decoder => Source::Encoded(part.body.clone(), decoder),
    })
}

/// BINARY.SIZE. A part that is not there has no bytes.
pub fn size(path: &[u32], content: &mut dyn Content) -> Result<u64, Trouble> {
    let (range, mut decoder) = match source(path, content)? {
        None => return Ok(0),
        Some(Source::Plain(range)) => return Ok(range.end.saturating_sub(range.start)),
        Some(Source::Encoded(range, decoder)) => (range, decoder),
    };
    let (mut size, mut piece) = (0, Vec::new());
    content.raw(range, &mut |bytes| {
        decoder.feed(bytes, &mut piece);
        size += piece.len() as u64;
        piece.clear();
        true
    })?;
    decoder.finish(&mut piece);
    Ok(size + piece.len() as u64)
}

/// BINARY[…]; `partial` counts decoded bytes. `None`: there is no such part, the answer is NIL.
pub fn part(path: &[u32], partial: Option<(u32, u32)>, content: &mut dyn Content) -> Result<Option<Binary>, Trouble> {
    match source(path, content)? {
        None => Ok(None),
        Some(Source::Plain(range)) => plain(section::cut(range, partial), content).map(Some),
        Some(Source::Encoded(range, decoder)) => {
            let window = section::cut(0..u64::MAX, partial);
            decoded(range, decoder, window, content).map(|bytes| Some(Binary::of(bytes)))
        }
    }
}

impl Binary {
    fn of(bytes: Vec<u8>) -> Binary {
        let has_nul = memchr::memchr(0, &bytes).is_some();
        Binary { bytes: Bytes::Held(bytes.into()), has_nul }
    }
}

/// Without a NUL it goes out as BODY does, from the file if it is long.
fn plain(range: Range<u64>, content: &mut dyn Content) -> Result<Binary, Trouble> {
    let mut has_nul = false;
    content.raw(range.clone(), &mut |bytes| {
        has_nul = memchr::memchr(0, bytes).is_some();
        !has_nul
    })?;
    if !has_nul {
        return Ok(Binary { bytes: content.bytes(range)?, has_nul });
    }
    let len = range.end.saturating_sub(range.start);
    decoded(range, Decoder::Identity, 0..len, content).map(Binary::of)
}

/// The bytes of `window` of what the range decodes to.
fn decoded(
    range: Range<u64>,
    mut decoder: Decoder,
    window: Range<u64>,
    content: &mut dyn Content,
) -> Result<Vec<u8>, Trouble> {
    let mut wanted = Wanted { window, at: 0, bytes: Vec::new(), is_over: false };
    let mut piece = Vec::new();
    content.raw(range, &mut |bytes| {
        decoder.feed(bytes, &mut piece);
        wanted.take(&mut piece)
    })?;
    decoder.finish(&mut piece);
    wanted.take(&mut piece);
    if wanted.is_over { Err(Trouble::TooLarge) } else { Ok(wanted.bytes) }
}

struct Wanted {
    window: Range<u64>,
    /// Decoded bytes before the next piece.
    at: u64,
    bytes: Vec<u8>,
    /// There is more than may be held.
    is_over: bool,
}

impl Wanted {
    /// Takes what lies in the window; says whether more is wanted.
    fn take(&mut self, piece: &mut Vec<u8>) -> bool {
        let end = self.at + piece.len() as u64;
        let start = (self.window.start.clamp(self.at, end) - self.at) as usize;
        let stop = (self.window.end.clamp(self.at, end) - self.at) as usize;
        let inside = piece.get(start..stop).unwrap_or_default();
        self.is_over |= self.bytes.len() + inside.len() > limits::BINARY_BYTES;
        if !self.is_over {
            self.bytes.extend_from_slice(inside);
        }
        piece.clear();
        self.at = end;
        !self.is_over && end < self.window.end
    }
}
