//! A stored message as FETCH and SEARCH read it.

use crate::base::{FileRange, Form, Piece, limits};
use crate::disk::wire::Reader;
use crate::imap::content::{Content, Row};
use crate::imap::{envelope, structure};
use crate::mail::Name;
use crate::mail::mime::Structure;
use crate::store::{Opened, Reach, Store};
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Messages up to this size are read at once when anything of them is wanted; larger ones range by range.
const WHOLE: u64 = 256 << 10;

/// One message. What was read or parsed is kept as long as it lives.
pub struct Message<'a> {
    store: &'a Store,
    reach: Reach,
    kept: crate::mail::Kept,
    row: Row,
    name: Name,
    opened: Option<Opened>,
    whole: Option<Arc<Vec<u8>>>,
    structure: Option<Arc<Structure>>,
}

impl<'a> Message<'a> {
    /// A message of the catalogue; nothing is opened yet.
    pub fn new(store: &'a Store, reach: Reach, kept: crate::mail::Kept, row: Row, name: Name) -> Self {
        Message { store, reach, kept, row, name, opened: None, whole: None, structure: None }
    }

    fn opened(&mut self) -> io::Result<&Opened> {
        if self.opened.is_none() {
            let opened = self.store.open_message(self.reach, self.kept, self.row.uid)?;
            self.opened = Some(opened.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?);
        }
        self.opened.as_ref().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn range(&mut self, range: Range<u64>) -> io::Result<FileRange> {
        let size = self.row.size;
        let (start, end) = (range.start.min(size), range.end.min(size));
        let opened = self.opened()?;
        Ok(FileRange { file: opened.file.clone(), start, len: end.saturating_sub(start), form: opened.form })
    }

    /// The whole message, when it is small enough to be held.
    fn whole(&mut self) -> io::Result<Option<Arc<Vec<u8>>>> {
        if self.whole.is_none() && self.row.size <= WHOLE {
            let range = self.range(0..self.row.size)?;
            self.whole = Some(Arc::new(read_all(range, self.row.size as usize)?));
        }
        Ok(self.whole.clone())
    }
}

fn read_all(range: FileRange, most: usize) -> io::Result<Vec<u8>> {
    let mut reader = Reader::new(range);
    let mut bytes = Vec::new();
    while !reader.is_done() && bytes.len() < most {
        bytes.append(&mut reader.next_piece()?);
    }
    bytes.truncate(most);
    Ok(bytes)
}

/// Bytes of the header block, its empty line included.
fn header_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(line) = memchr::memchr(b'\n', bytes.get(at..).unwrap_or_default()) {
        let text = bytes.get(at..at + line).unwrap_or_default();
        at += line + 1;
        if text.is_empty() || text == b"\r" {
            return at;
        }
    }
    bytes.len()
}

impl Content for Message<'_> {
    fn row(&self) -> Row {
        self.row
    }

    fn id(&self) -> String {
        self.name.id()
    }

    fn header(&mut self) -> io::Result<Arc<[u8]>> {
        if let Some(whole) = self.whole()? {
            let len = header_len(&whole).min(limits::HEADER_BYTES);
            return Ok(whole.get(..len).unwrap_or_default().into());
        }
        let mut most = 16 << 10;
        loop {
            let bytes = self.read(0..most as u64, most)?;
            let len = header_len(&bytes);
            if len < bytes.len() || bytes.len() < most || most >= limits::HEADER_BYTES {
                return Ok(bytes.get(..len).unwrap_or_default().into());
            }
            most = (most * 8).min(limits::HEADER_BYTES);
        }
    }

    fn envelope(&mut self) -> io::Result<Arc<[u8]>> {
        let header = self.header()?;
        let mut out = Vec::new();
        envelope::render(&header, &mut out);
        Ok(out.into())
    }

    fn body_structure(&mut self) -> io::Result<Arc<[u8]>> {
        let mut out = Vec::new();
        structure::render_body_structure(&*self.structure()?, &mut out);
        Ok(out.into())
    }

    fn body(&mut self) -> io::Result<Arc<[u8]>> {
        let mut out = Vec::new();
        structure::render_body(&*self.structure()?, &mut out);
        Ok(out.into())
    }

    fn structure(&mut self) -> io::Result<Arc<Structure>> {
        if let Some(structure) = &self.structure {
            return Ok(structure.clone());
        }
        let structure = match self.whole()? {
            Some(whole) => Structure::of(&whole, Form::Crlf),
            None => {
                let mut reader = Reader::new(self.range(0..self.row.size)?);
                let mut scanner = crate::mail::mime::Scanner::new(Form::Crlf);
                while !reader.is_done() {
                    scanner.feed(&reader.next_piece()?);
                }
                scanner.finish()
            }
        };
        let structure = Arc::new(structure);
        self.structure = Some(structure.clone());
        Ok(structure)
    }

    fn bytes(&mut self, range: Range<u64>) -> io::Result<Piece> {
        if let Some(whole) = self.whole()? {
            let size = whole.len() as u64;
            let (start, end) = (range.start.min(size) as usize, range.end.min(size) as usize);
            return Ok(Piece::Bytes(whole.get(start..end).unwrap_or_default().to_vec()));
        }
        Ok(Piece::File(self.range(range)?))
    }

    fn read(&mut self, range: Range<u64>, most: usize) -> io::Result<Vec<u8>> {
        if let Some(whole) = self.whole()? {
            let size = whole.len() as u64;
            let (start, end) = (range.start.min(size) as usize, range.end.min(size) as usize);
            let bytes = whole.get(start..end).unwrap_or_default();
            return Ok(bytes.get(..most.min(bytes.len())).unwrap_or_default().to_vec());
        }
        let range = self.range(range)?;
        read_all(range, most)
    }
}
