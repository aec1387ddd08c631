//! Renders FETCH lines (RFC 3501 7.4.2). Called where the message can be read.

use super::binary::{self, Trouble};
use super::content::{Bytes, Content};
use super::items::Item;
use super::objectid;
use super::outline::Names;
use super::question::Fetch;
use super::section::{self, Resolved, Section, What, cut};
use super::write::{self, number, push};
use crate::base::{Flags, Piece, Timestamp, limits};
use std::io;
use std::ops::Range;

/// The lines of an answer, or of a piece of it: one `* seq FETCH (…)` for each message that was added.
pub struct Lines<'a> {
    fetch: &'a Fetch,
    /// What each item that asks for a section is called in every line.
    names: Vec<Vec<u8>>,
    /// The fields that each item asks for of the message's header, if it does.
    fields: Vec<Option<Fields<'a>>>,
    picked: Vec<u8>,
    done: Vec<Piece>,
    /// What follows them.
    text: Vec<u8>,
    /// Bytes in the lines that are whole.
    len: u64,
}

impl<'a> Lines<'a> {
    /// No line yet.
    pub fn new(fetch: &'a Fetch) -> Lines<'a> {
        let names = fetch.items.iter().map(name).collect();
        let fields = fetch.items.iter().map(fields).collect();
        Lines { fetch, names, fields, picked: Vec::new(), done: Vec::new(), text: Vec::new(), len: 0 }
    }

    /// Adds the line of a message. `content.row()` must be the row as it was before this FETCH marks anything: when the FETCH
    /// sets `\Seen`, the line shows the flags with it, asked for or not (RFC 3501 6.4.5).
    ///
    /// After an error the lines are as they were before, so each is whole or absent.
    pub fn add(&mut self, seq: u32, content: &mut dyn Content) -> Result<(), Trouble> {
        let (pieces, text) = (self.done.len(), self.text.len());
        let written = self.write(seq, content);
        if written.is_err() {
            if let Some(Piece::Bytes(before)) = self.done.drain(pieces..).next() {
                self.text = before;
            }
            self.text.truncate(text);
            return written;
        }
        let added = self.done.get(pieces..).unwrap_or_default().iter().map(Piece::len).sum::<u64>();
        self.len += added + self.text.len() as u64 - text as u64;
        if self.text.len() >= limits::OUTPUT_BYTES {
            self.cut();
        }
        written
    }

    /// Bytes in all lines.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of them, ready for the wire.
    pub fn into_pieces(mut self) -> Vec<Piece> {
        if !self.text.is_empty() {
            self.cut();
        }
        self.done
    }

    fn cut(&mut self) {
        self.done.push(Piece::Bytes(std::mem::take(&mut self.text)));
    }

    fn write(&mut self, seq: u32, content: &mut dyn Content) -> Result<(), Trouble> {
        let fetch = self.fetch;
        let row = content.row();
        let marks = fetch.mark_seen && !row.flags.has(Flags::SEEN);
        let flags = if marks { row.flags | Flags::SEEN } else { row.flags };
        let recent = fetch.recent.contains(row.uid);
        self.text.extend_from_slice(b"* ");
        number(&mut self.text, seq);
        self.text.extend_from_slice(b" FETCH (");
        for (i, item) in fetch.items.iter().enumerate() {
            if i > 0 {
                self.text.push(b' ');
            }
            match item {
                Item::Flags => {
                    self.text.extend_from_slice(b"FLAGS ");
                    write::flags(&mut self.text, flags, recent);
                }
                Item::Uid => {
                    self.text.extend_from_slice(b"UID ");
                    number(&mut self.text, row.uid);
                }
                Item::InternalDate => {
                    self.text.extend_from_slice(b"INTERNALDATE \"");
                    self.text.extend_from_slice(Timestamp::from_secs(row.date).imap().as_bytes());
                    self.text.push(b'"');
                }
                Item::Size => {
                    self.text.extend_from_slice(b"RFC822.SIZE ");
                    number(&mut self.text, row.size);
                }
                Item::ModSeq => push(&mut self.text, format_args!("MODSEQ ({})", row.modseq)),
                Item::Envelope => {
                    self.text.extend_from_slice(b"ENVELOPE ");
                    self.text.extend_from_slice(&content.envelope()?);
                }
                Item::Body => {
                    self.text.extend_from_slice(b"BODY ");
                    self.text.extend_from_slice(&content.body()?);
                }
                Item::BodyStructure => {
                    self.text.extend_from_slice(b"BODYSTRUCTURE ");
                    self.text.extend_from_slice(&content.body_structure()?);
                }
                Item::Section { section, partial, .. } => {
                    self.text.extend_from_slice(self.names.get(i).map_or(b"", Vec::as_slice));
                    match self.fields.get(i) {
                        Some(&Some(fields)) => self.fields(fields, *partial, content)?,
                        _ => self.section(section, *partial, content)?,
                    }
                }
                Item::Binary { path, partial, .. } => self.binary(path, *partial, content)?,
                Item::BinarySize(path) => {
                    push(
                        &mut self.text,
                        format_args!("BINARY.SIZE[{}] {}", numbers(path), binary::size(path, content)?),
                    );
                }
                Item::Preview { lazy } => {
                    self.text.extend_from_slice(b"PREVIEW ");
                    match content.preview(*lazy)? {
                        Some(words) => write::string(&mut self.text, words.as_bytes()),
                        None => self.text.extend_from_slice(b"NIL"),
                    }
                }
                Item::SaveDate => {
                    push(&mut self.text, format_args!("SAVEDATE \"{}\"", Timestamp::from_secs(row.saved).imap()));
                }
                Item::EmailId => {
                    push(&mut self.text, format_args!("EMAILID ({})", objectid::email_id(&content.id()?)));
                }
                Item::ThreadId => self.text.extend_from_slice(b"THREADID NIL"),
                Item::Rfc822 => self.old("RFC822 ", What::Whole, content)?,
                Item::Rfc822Header => self.old("RFC822.HEADER ", What::Header, content)?,
                Item::Rfc822Text => self.old("RFC822.TEXT ", What::Text, content)?,
            }
        }
        if marks && !fetch.items.contains(&Item::Flags) {
            self.text.extend_from_slice(b" FLAGS ");
            write::flags(&mut self.text, flags, recent);
        }
        self.text.extend_from_slice(b")\r\n");
        Ok(())
    }

    /// RFC 3516 4.3: `literal8` only when there is a NUL, so that a client knows without looking.
    fn binary(&mut self, path: &[u32], partial: Option<(u32, u32)>, content: &mut dyn Content) -> Result<(), Trouble> {
        push(&mut self.text, format_args!("BINARY[{}]", numbers(path)));
        if let Some((start, _)) = partial {
            push(&mut self.text, format_args!("<{start}>"));
        }
        self.text.push(b' ');
        let Some(binary) = binary::part(path, partial, content)? else {
            self.text.extend_from_slice(b"NIL");
            return Ok(());
        };
        if binary.has_nul {
            self.text.push(b'~');
        }
        self.bytes(binary.bytes);
        Ok(())
    }

    /// RFC822 and its kind: other names for sections.
    fn old(&mut self, name: &str, what: What, content: &mut dyn Content) -> io::Result<()> {
        self.text.extend_from_slice(name.as_bytes());
        self.section(&Section { path: Vec::new(), what }, None, content)
    }

    fn section(&mut self, section: &Section, partial: Option<(u32, u32)>, content: &mut dyn Content) -> io::Result<()> {
        if section.path.is_empty() && section.what == What::Whole {
            // the whole message needs no structure
            return self.range(0..content.row().size, partial, content);
        }
        match (section::resolve(section, &*content.structure()?), Fields::of(&section.what)) {
            (Some(Resolved::Bytes(range)), _) => self.range(range, partial, content)?,
            (Some(Resolved::Filtered(range)), Some(fields)) => {
                let block = content.read(range, limits::HEADER_BYTES)?;
                self.picked = section::filter_fields(&block, fields.names, fields.not);
                self.cut_picked(partial);
            }
            _ => self.text.extend_from_slice(b"NIL"),
        }
        Ok(())
    }

    /// Fields of the message's own header: they need no structure.
    fn fields(&mut self, fields: Fields<'_>, partial: Option<(u32, u32)>, content: &mut dyn Content) -> io::Result<()> {
        self.picked.clear();
        let is_picked = match fields.known {
            Some(known) => content.pick(known, fields.not, &mut self.picked)?,
            None => false,
        };
        if !is_picked {
            self.picked = section::filter_fields(&content.header()?, fields.names, fields.not);
        }
        self.cut_picked(partial);
        Ok(())
    }

    fn cut_picked(&mut self, partial: Option<(u32, u32)>) {
        let cut = cut(0..self.picked.len() as u64, partial);
        let picked = self.picked.get(cut.start as usize..cut.end as usize).unwrap_or_default();
        literal(&mut self.text, picked.len() as u64);
        self.text.extend_from_slice(picked);
    }

    fn range(&mut self, range: Range<u64>, partial: Option<(u32, u32)>, content: &mut dyn Content) -> io::Result<()> {
        let range = cut(range, partial);
        if range.is_empty() {
            self.text.extend_from_slice(b"\"\"");
            return Ok(());
        }
        self.bytes(content.bytes(range)?);
        Ok(())
    }

    fn bytes(&mut self, bytes: Bytes) {
        match bytes {
            Bytes::Held(bytes) => {
                literal(&mut self.text, bytes.len() as u64);
                if bytes.len() < limits::OUTPUT_BYTES {
                    self.text.extend_from_slice(&bytes);
                } else {
                    self.cut();
                    self.done.extend(bytes.chunks(limits::PIECE_BYTES).map(|piece| Piece::Bytes(piece.to_vec())));
                }
            }
            Bytes::File(range) => {
                literal(&mut self.text, range.len);
                self.cut();
                self.done.push(Piece::File(range));
            }
        }
    }
}

/// Fields that an item asks for.
#[derive(Debug, Clone, Copy)]
struct Fields<'a> {
    names: &'a [Vec<u8>],
    /// All but these.
    not: bool,
    known: Option<Names>,
}

impl<'a> Fields<'a> {
    fn of(what: &'a What) -> Option<Fields<'a>> {
        let (What::Fields(names) | What::NotFields(names)) = what else { return None };
        Some(Fields { names, not: matches!(what, What::NotFields(_)), known: Names::of(names) })
    }
}

fn fields(item: &Item) -> Option<Fields<'_>> {
    match item {
        Item::Section { section, .. } if section.path.is_empty() => Fields::of(&section.what),
        _ => None,
    }
}

/// What stands before so many bytes; without any, all of it.
fn literal(text: &mut Vec<u8>, len: u64) {
    if len == 0 {
        text.extend_from_slice(b"\"\"");
        return;
    }
    text.push(b'{');
    number(text, len);
    text.extend_from_slice(b"}\r\n");
}

/// `BODY[HEADER]<100> `; nothing for an item that asks for no section.
fn name(item: &Item) -> Vec<u8> {
    let mut name = Vec::new();
    if let Item::Section { section, partial, .. } = item {
        push(&mut name, format_args!("BODY[{section}]"));
        if let Some((start, _)) = partial {
            push(&mut name, format_args!("<{start}>"));
        }
        name.push(b' ');
    }
    name
}

/// `1.2`
fn numbers(path: &[u32]) -> Section {
    Section { path: path.to_vec(), what: What::Whole }
}
