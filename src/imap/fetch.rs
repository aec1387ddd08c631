//! Renders FETCH lines (RFC 3501 7.4.2). Called where the message can be read.

use super::binary::{self, Trouble};
use super::content::Content;
use super::items::Item;
use super::objectid;
use super::question::Fetch;
use super::section::{self, Resolved, Section, What, cut};
use super::write::{self, push};
use crate::base::{Flags, Piece, Timestamp, limits};
use std::io;
use std::ops::Range;

/// Appends one `* seq FETCH (…)` line. `content.row()` must be the row as it was before this FETCH marks anything: when
/// the FETCH sets `\Seen`, the line shows the flags with it, asked for or not (RFC 3501 6.4.5).
///
/// On an error the pieces that were added are taken back, so a line is whole or absent.
pub fn line(seq: u32, fetch: &Fetch, content: &mut dyn Content, pieces: &mut Vec<Piece>) -> Result<(), Trouble> {
    let mut line = Line::default();
    line.write(seq, fetch, content)?;
    for piece in line.into_pieces() {
        match (pieces.last_mut(), piece) {
            (Some(Piece::Bytes(last)), Piece::Bytes(more)) if last.len() + more.len() <= limits::PIECE_BYTES => {
                last.extend_from_slice(&more);
            }
            (_, piece) => pieces.push(piece),
        }
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Line {
    done: Vec<Piece>,
    text: Vec<u8>,
}

impl Line {
    fn write(&mut self, seq: u32, fetch: &Fetch, content: &mut dyn Content) -> Result<(), Trouble> {
        let row = content.row();
        let marks = fetch.mark_seen && !row.flags.has(Flags::SEEN);
        let flags = if marks { row.flags | Flags::SEEN } else { row.flags };
        let recent = fetch.recent.contains(row.uid);
        push(&mut self.text, format_args!("* {seq} FETCH ("));
        for (i, item) in fetch.items.iter().enumerate() {
            if i > 0 {
                self.text.push(b' ');
            }
            match item {
                Item::Flags => {
                    self.text.extend_from_slice(b"FLAGS ");
                    write::flags(&mut self.text, flags, recent);
                }
                Item::Uid => push(&mut self.text, format_args!("UID {}", row.uid)),
                Item::InternalDate => {
                    push(&mut self.text, format_args!("INTERNALDATE \"{}\"", Timestamp::from_secs(row.date).imap()));
                }
                Item::Size => push(&mut self.text, format_args!("RFC822.SIZE {}", row.size)),
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
                    push(&mut self.text, format_args!("BODY[{section}]"));
                    if let Some((start, _)) = partial {
                        push(&mut self.text, format_args!("<{start}>"));
                    }
                    self.text.push(b' ');
                    self.section(section, *partial, content)?;
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
        self.piece(binary.piece);
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
        match (section::resolve(section, &*content.structure()?), &section.what) {
            (Some(Resolved::Bytes(range)), _) => self.range(range, partial, content)?,
            (Some(Resolved::Filtered(range)), What::Fields(names)) => {
                self.fields(range, names, false, partial, content)?
            }
            (Some(Resolved::Filtered(range)), What::NotFields(names)) => {
                self.fields(range, names, true, partial, content)?;
            }
            _ => self.text.extend_from_slice(b"NIL"),
        }
        Ok(())
    }

    fn fields(
        &mut self,
        header: Range<u64>,
        names: &[Vec<u8>],
        not: bool,
        partial: Option<(u32, u32)>,
        content: &mut dyn Content,
    ) -> io::Result<()> {
        let header = content.read(header, limits::HEADER_BYTES)?;
        let fields = section::filter_fields(&header, names, not);
        let cut = cut(0..fields.len() as u64, partial);
        self.bytes(fields.get(cut.start as usize..cut.end as usize).unwrap_or_default().to_vec());
        Ok(())
    }

    fn range(&mut self, range: Range<u64>, partial: Option<(u32, u32)>, content: &mut dyn Content) -> io::Result<()> {
        let range = cut(range, partial);
        if range.is_empty() {
            self.text.extend_from_slice(b"\"\"");
            return Ok(());
        }
        self.piece(content.bytes(range)?);
        Ok(())
    }

    fn piece(&mut self, piece: Piece) {
        match piece {
            Piece::Bytes(bytes) => self.bytes(bytes),
            Piece::File(file) => {
                push(&mut self.text, format_args!("{{{}}}\r\n", file.len));
                self.done.push(Piece::Bytes(std::mem::take(&mut self.text)));
                self.done.push(Piece::File(file));
            }
        }
    }

    fn bytes(&mut self, bytes: Vec<u8>) {
        if bytes.is_empty() {
            self.text.extend_from_slice(b"\"\"");
            return;
        }
        push(&mut self.text, format_args!("{{{}}}\r\n", bytes.len()));
        if bytes.len() < limits::OUTPUT_BYTES {
            self.text.extend_from_slice(&bytes);
        } else {
            self.done.push(Piece::Bytes(std::mem::take(&mut self.text)));
            self.done.extend(bytes.chunks(limits::PIECE_BYTES).map(|piece| Piece::Bytes(piece.to_vec())));
        }
    }

    fn into_pieces(mut self) -> Vec<Piece> {
        self.done.push(Piece::Bytes(self.text));
        self.done
    }
}

/// `1.2`
fn numbers(path: &[u32]) -> Section {
    Section { path: path.to_vec(), what: What::Whole }
}
