//! The MIME structure of one message, with the byte offset of each part in wire form (CRLF line ends).
//!
//! [`Scanner`] builds it in one pass over the message at any chunking; memory is bounded by the limits of
//! `base::limits`, whatever the message holds. Parts lie in one flat list, so neither walking nor dropping recurses.
//!
//! What is a part boundary follows RFC 2046 5.1.1 to the letter: a delimiter is a whole line of `--`, the boundary,
//! perhaps `--`, and white space. An enclosing multipart's delimiter ends all parts inside it.

mod cache;
mod content;
mod scan;
#[cfg(test)]
mod tests;

pub(crate) use content::without_stray_cr;
pub use content::{Content, Disposition, Parameter};
pub use scan::Scanner;

use crate::base::Form;
use std::io::{self, Read};
use std::ops::Range;

/// The parts of a message in the order in which they start; number 0 is the message itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structure {
    parts: Vec<Part>,
    size: u64,
}

/// One part: the message itself, a body part of a multipart, or the message inside a `message/rfc822` part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its header in the message, the empty line included. For the body of a multipart part this is its MIME header.
    pub header: Range<u64>,
    /// Its body; the line end before a delimiter belongs to the delimiter (RFC 2046 5.1.1).
    pub body: Range<u64>,
    /// Line ends in the body.
    pub lines: u64,
    /// What its body is.
    pub kind: Kind,
    /// What its Content-… fields say.
    pub content: Content,
    /// The raw header block, of an embedded message only, cut at `limits::HEADER_BYTES`; for its ENVELOPE.
    /// Empty in a structure that was read back from bytes.
    pub raw_header: Vec<u8>,
    parent: Option<u32>,
    first_child: Option<u32>,
    next: Option<u32>,
}

/// What the body of a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Data that has no parts.
    Leaf,
    /// A multipart; its parts, perhaps none, are its children.
    Multipart,
    /// An embedded message, which is its only child.
    Message,
    /// An embedded message behind a transfer encoding (RFC 2046 5.2.1 forbids it): nothing inside has an offset.
    EncodedMessage,
    /// A multipart or message that lies too deep, or comes after too many others, to be taken apart.
    Opaque,
}

impl Structure {
    /// Reads a whole message.
    ///
    /// # Errors
    /// What the reader reports.
    pub fn read(from: &mut dyn Read, form: Form) -> io::Result<Structure> {
        let mut scanner = Scanner::new(form);
        let mut buffer = vec![0; 32 << 10];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return Ok(scanner.finish()),
                Ok(len) => scanner.feed(buffer.get(..len).unwrap_or(&buffer)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Of a message in memory.
    pub fn of(message: &[u8], form: Form) -> Structure {
        let mut scanner = Scanner::new(form);
        scanner.feed(message);
        scanner.finish()
    }

    /// The message itself.
    pub fn root(&self) -> &Part {
        &self.parts[0] // every constructor puts the message there
    }

    /// All parts, in the order in which they start.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// One part.
    pub fn part(&self, number: u32) -> Option<&Part> {
        self.parts.get(number as usize)
    }

    /// The message's bytes in wire form.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The numbers of a part's children, in order.
    pub fn children(&self, number: u32) -> impl Iterator<Item = u32> + '_ {
        let mut next = self.part(number).and_then(|part| part.first_child);
        std::iter::from_fn(move || {
            let child = next?;
            next = self.part(child)?.next;
            Some(child)
        })
    }
}

impl Part {
    /// The part that this one lies in.
    pub fn parent(&self) -> Option<u32> {
        self.parent
    }

    /// Its first child; further ones by [`Part::next`].
    pub fn first_child(&self) -> Option<u32> {
        self.first_child
    }

    /// The part behind it in the same multipart.
    pub fn next(&self) -> Option<u32> {
        self.next
    }

    /// Header and body.
    pub fn whole(&self) -> Range<u64> {
        self.header.start..self.body.end
    }
}
