//! A stored message as FETCH and SEARCH read it.

#[cfg(test)]
mod tests;

use super::cached::Parsed;
use super::fields;
use crate::base::{FileRange, Form, Slice, UidRanges, limits};
use crate::disk::wire::Reader;
use crate::imap::content::{Bytes, Content, Row};
use crate::imap::search::Depth;
use crate::imap::signature::Signature;
use crate::imap::text_search::{self, Manner};
use crate::imap::{envelope, preview};
use crate::mail::mime::Structure;
use crate::mail::{Kept, header};
use crate::store::cache::Window;
use crate::store::{Opened, Reach, Row as Known, Sight, Store};
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Messages up to this size are read at once when anything of them is wanted; larger ones range by range.
const WHOLE: u64 = 256 << 10;

/// Messages up to this size are parsed ahead of any wish; it takes a few milliseconds.
const AHEAD: u64 = 4 << 20;

/// Parses a message for the caches, unless it is large or was parsed before.
pub fn fill(store: &Store, kept: Kept, uid: u32) {
    let Some(row) = store.row(Reach::All, kept, uid).filter(|row| row.size <= AHEAD) else { return };
    let mut message = Message::new(store, Reach::All, kept, &row);
    let parsed = message.body_structure().and_then(|_| match row.size {
        // It is in memory now.
        ..=WHOLE => text_search::sign(&mut message),
        _ => Ok(()),
    });
    if let Err(error) = parsed {
        // It may have been removed again; whoever asks for it is told what is wrong.
        log::debug!("message {uid} was not parsed ahead: {error}");
    }
}

/// Messages that are looked at one after the other: what the store keeps of them is read together.
#[derive(Default)]
pub struct Among {
    cache: Window,
    fields: Window,
    texts: Window,
}

impl Among {
    /// These will be looked at; they are called by their place in this list.
    pub fn expect(&mut self, rows: &[Known]) {
        self.cache.expect(rows.iter().map(|row| row.key));
        self.fields.expect(rows.iter().map(|row| row.key));
        self.texts.expect(rows.iter().map(|row| row.key));
    }

    /// Whether the cache may have one of them. What it has turns out when it is read.
    pub fn may_have(&mut self, store: &Store, nth: usize) -> bool {
        store.cache().may_have(nth, &mut self.cache)
    }
}

/// The signature of a message, once it was looked up; `None` inside: there is none.
pub type LookedUp = Option<Option<Signature>>;

/// One message. What was read or parsed is kept as long as it lives.
pub struct Message<'a> {
    store: &'a Store,
    sight: Sight,
    kept: Kept,
    row: Row,
    /// What caches find it by.
    key: u64,
    /// What the cache has; `None` inside: nothing.
    cached: Option<Option<Parsed>>,
    /// The fields that most searches look at, when they were not kept and were made.
    fields: Option<Option<Vec<u8>>>,
    /// What the store keeps of its texts.
    signature: LookedUp,
    /// All of it is being read to make that, and nothing else of it is made for the cache.
    is_signed: bool,
    /// Those among which it is looked at, and its place.
    among: Option<(&'a mut Among, usize)>,
    opened: Option<Opened>,
    whole: Option<Arc<Vec<u8>>>,
    structure: Option<Arc<Structure>>,
}

impl<'a> Message<'a> {
    /// A message of the catalogue; nothing is opened yet.
    pub fn new(store: &'a Store, sight: impl Into<Sight>, kept: Kept, row: &Known) -> Self {
        Message {
            store,
            sight: sight.into(),
            kept,
            row: Row {
                uid: row.uid,
                flags: row.flags,
                size: row.size,
                date: row.arrival(),
                modseq: row.modseq,
                saved: u64::from(row.saved),
                trace: row.trace,
            },
            key: row.key,
            cached: None,
            fields: None,
            signature: None,
            is_signed: false,
            among: None,
            opened: None,
            whole: None,
            structure: None,
        }
    }

    /// One of many.
    pub fn among(self, among: &'a mut Among, nth: usize) -> Self {
        Message { among: Some((among, nth)), ..self }
    }

    /// One that was parsed a moment ago.
    pub fn parsed(self, parsed: Option<Parsed>) -> Self {
        Message { cached: parsed.map(Some), ..self }
    }

    /// One whose signature was looked up a moment ago.
    pub fn signed(self, signature: LookedUp) -> Self {
        Message { signature, ..self }
    }

    /// What became of the look for its signature, if anybody asked for it.
    pub fn into_signature(self) -> LookedUp {
        self.signature
    }

    fn opened(&mut self) -> io::Result<&Opened> {
        if self.opened.is_none() {
            let opened = self.store.open_message(self.sight, self.kept, self.row.uid)?;
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

    /// What the cache has of it. A message that it does not have is parsed for it, if it is small: then this costs little
    /// more than the reading, and the next who asks for whatever of it is served at once.
    fn cached(&mut self) -> io::Result<Option<Parsed>> {
        if let Some(known) = &self.cached {
            return Ok(known.clone());
        }
        let (cache, size) = (self.store.cache(), self.row.size);
        let found = match &mut self.among {
            Some((among, nth)) => cache.look(*nth, size, &mut among.cache),
            None => cache.get(self.key, size),
        };
        let known = match found.and_then(Parsed::read) {
            None if self.is_parsed_at_once() && !self.is_signed => Some(self.parse()?),
            found => found,
        };
        self.cached = Some(known.clone());
        Ok(known)
    }

    /// Whether all of it is parsed when a part of it is asked for.
    pub fn is_parsed_at_once(&self) -> bool {
        self.store.cache().is_ready() && self.row.size <= WHOLE
    }

    /// Parses it, and gives the cache what was found.
    pub fn parse(&mut self) -> io::Result<Parsed> {
        let scanned = self.scan()?;
        let preview = self.words(&scanned)?;
        let parsed = Parsed::new(&scanned, &self.read_header()?, &preview);
        self.structure = Some(scanned);
        self.store.cache().put(self.key, self.row.size, parsed.bytes());
        self.cached = Some(Some(parsed.clone()));
        Ok(parsed)
    }

    /// Makes of the header what the store is to keep of the fields.
    fn make_fields(&mut self) -> io::Result<Option<Vec<u8>>> {
        let kept = self.store.fields();
        if !kept.is_ready() {
            return Ok(None);
        }
        let made = fields::render(&self.header()?, self.row.trace);
        Ok(made.inspect(|made| kept.put(self.key, self.row.size, made)))
    }

    fn scan(&mut self) -> io::Result<Arc<Structure>> {
        Ok(Arc::new(match self.whole()? {
            Some(whole) => Structure::of(&whole, Form::Crlf),
            None => {
                let mut reader = Reader::new(self.range(0..self.row.size)?);
                let mut scanner = crate::mail::mime::Scanner::new(Form::Crlf);
                while !reader.is_done() {
                    scanner.feed(&reader.next_piece()?);
                }
                scanner.finish()
            }
        }))
    }

    /// The preview, from the message itself.
    fn words(&mut self, structure: &Structure) -> io::Result<String> {
        preview::render(structure, &mut |range, most| self.read(range, most))
    }

    fn read_header(&mut self) -> io::Result<Slice> {
        if let Some(whole) = self.whole()? {
            let len = header::end(&whole).min(limits::HEADER_BYTES);
            return Ok(Slice::of(&whole, 0..len).unwrap_or_default());
        }
        let mut most = 16 << 10;
        loop {
            let range = self.range(0..most as u64)?;
            let mut bytes = read_all(range, most)?;
            let len = header::end(&bytes);
            if len < bytes.len() || bytes.len() < most || most >= limits::HEADER_BYTES {
                bytes.truncate(len);
                return Ok(bytes.into());
            }
            most = (most * 8).min(limits::HEADER_BYTES);
        }
    }

    /// Bytes that are in memory, or are few enough to be read into it.
    fn held(&mut self, range: &Range<u64>) -> io::Result<Option<Slice>> {
        if let Some(bytes) = self.of_header(range) {
            return Ok(Some(bytes));
        }
        let Some(whole) = self.whole()? else { return Ok(None) };
        let size = whole.len() as u64;
        Ok(Slice::of(&whole, range.start.min(size) as usize..range.end.min(size) as usize))
    }

    /// Bytes that lie within the header, when what the cache has was looked at already: whoever wants part of a header asked
    /// for the structure before, and whoever wants the message needs the file anyway.
    fn of_header(&self, range: &Range<u64>) -> Option<Slice> {
        let header = self.cached.as_ref()?.as_ref()?.header()?;
        let (start, end) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
        header.part(start..end)
    }
}

fn read_all(range: FileRange, most: usize) -> io::Result<Vec<u8>> {
    let mut reader = Reader::new(range);
    let mut bytes = Vec::new();
    while !reader.is_done() && bytes.len() < most {
        let mut piece = reader.next_piece()?;
        match bytes.is_empty() {
            true => bytes = piece,
            false => bytes.append(&mut piece),
        }
    }
    bytes.truncate(most);
    Ok(bytes)
}

impl Content for Message<'_> {
    fn row(&self) -> Row {
        self.row
    }

    fn id(&self) -> io::Result<String> {
        let mut id = None;
        self.store.rows(self.sight, self.kept, &UidRanges::one(self.row.uid, self.row.uid), |row, folder| {
            id = Some(folder.original(row));
            false
        });
        id.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn header(&mut self) -> io::Result<Slice> {
        match self.cached()?.and_then(|cached| cached.header()) {
            Some(header) => Ok(header),
            None => self.read_header(),
        }
    }

    fn field_has(&mut self, name: &[u8], value: &str, manner: Manner, depth: Depth) -> io::Result<Option<bool>> {
        if !fields::keeps(name) {
            return Ok(None);
        }
        let ask = |kept: &[u8]| fields::has(kept, name, value, manner);
        if self.fields.is_none() {
            let (kept, size) = (self.store.fields(), self.row.size);
            let found = match &mut self.among {
                Some((among, nth)) => kept.look(*nth, size, &mut among.fields),
                None => kept.get(self.key, size),
            };
            if let Some(found) = found {
                return Ok(ask(&found));
            }
            if depth == Depth::AtHand {
                return Ok(None);
            }
            self.fields = Some(self.make_fields()?);
        }
        Ok(self.fields.as_ref().and_then(|made| ask(made.as_deref()?)))
    }

    fn signature(&mut self) -> io::Result<Option<Signature>> {
        if self.signature.is_none() {
            let (texts, size) = (self.store.texts(), self.row.size);
            let found = match &mut self.among {
                Some((among, nth)) => texts.look(*nth, size, &mut among.texts),
                None => texts.get(self.key, size),
            };
            self.signature = Some(found.and_then(Signature::read));
        }
        Ok(self.signature.clone().flatten())
    }

    fn begin_signature(&mut self) -> bool {
        self.is_signed = self.store.texts().is_ready();
        self.is_signed
    }

    fn sign(&mut self, made: Signature) {
        self.store.texts().put(self.key, self.row.size, made.bytes());
        self.signature = Some(Some(made));
        self.is_signed = false;
    }

    fn envelope(&mut self) -> io::Result<Slice> {
        if let Some(cached) = self.cached()? {
            return Ok(cached.envelope());
        }
        let mut out = Vec::new();
        envelope::render(&self.read_header()?, &mut out);
        Ok(out.into())
    }

    fn body_structure(&mut self) -> io::Result<Slice> {
        let parsed = match self.cached()? {
            Some(cached) => cached,
            None => self.parse()?,
        };
        Ok(parsed.body_structure())
    }

    fn body(&mut self) -> io::Result<Slice> {
        let parsed = match self.cached()? {
            Some(cached) => cached,
            None => self.parse()?,
        };
        Ok(parsed.body())
    }

    fn structure(&mut self) -> io::Result<Arc<Structure>> {
        if let Some(structure) = &self.structure {
            return Ok(structure.clone());
        }
        let cached = self.cached()?;
        let structure = match (&self.structure, cached.and_then(|cached| cached.structure())) {
            (Some(scanned), _) => scanned.clone(),
            (None, Some(structure)) => Arc::new(structure),
            (None, None) if self.is_signed => self.scan()?,
            (None, None) => {
                self.parse()?;
                self.structure.clone().map_or_else(|| self.scan(), Ok)?
            }
        };
        self.structure = Some(structure.clone());
        Ok(structure)
    }

    fn bytes(&mut self, range: Range<u64>) -> io::Result<Bytes> {
        Ok(match self.held(&range)? {
            Some(bytes) => Bytes::Held(bytes),
            None => Bytes::File(self.range(range)?),
        })
    }

    fn raw(&mut self, range: Range<u64>, sink: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<()> {
        let mut reader = Reader::exact(self.range(range)?);
        while !reader.is_done() && sink(&reader.next_piece()?) {}
        Ok(())
    }

    fn preview(&mut self, lazy: bool) -> io::Result<Option<String>> {
        match self.cached()? {
            Some(cached) => Ok(Some(cached.preview())),
            None if lazy => Ok(None),
            None => Ok(Some(self.parse()?.preview())),
        }
    }

    fn read(&mut self, range: Range<u64>, most: usize) -> io::Result<Vec<u8>> {
        match self.held(&range)? {
            Some(bytes) => Ok(bytes.get(..most.min(bytes.len())).unwrap_or_default().to_vec()),
            None => read_all(self.range(range)?, most),
        }
    }
}
