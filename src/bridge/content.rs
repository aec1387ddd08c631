//! A stored message as FETCH and SEARCH read it.

mod among;
#[cfg(test)]
mod tests;

use super::cached::{Header, Made, Parsed, Which};
use super::fields;
use crate::base::{FileRange, Form, Slice, UidRanges, limits};
use crate::disk::wire::Reader;
use crate::imap::content::{Bytes, Content, Row};
use crate::imap::needle::Needle;
use crate::imap::outline::Names;
use crate::imap::search::Depth;
use crate::imap::signature::Signature;
use crate::imap::text_search::{self, Manner};
use crate::imap::{envelope, preview};
use crate::mail::mime::Structure;
use crate::mail::{Kept, header};
use crate::store::{Cache, Opened, Reach, Row as Known, Sight, Store};
use std::io;
use std::ops::Range;
use std::sync::Arc;

pub use among::Among;
use among::Shelf;

/// Messages up to this size are read at once when anything of them is wanted; larger ones range by range.
const WHOLE: u64 = 256 << 10;

/// Messages up to this size are parsed ahead of any wish; it takes a few milliseconds.
const AHEAD: u64 = 4 << 20;

/// So much is read of a message for its header, and more if that is longer; of a message that is no longer, all of it is.
const HEADER: usize = 4 << 10;

/// Makes for the caches what they lack of a message, unless it is large.
pub fn fill(store: &Store, kept: Kept, uid: u32) {
    let Some(row) = store.row(Reach::All, kept, uid).filter(|row| row.size <= AHEAD) else { return };
    let lacks = |cache: &Cache| cache.get(row.key, row.size).is_none();
    let lacking = Which { header: lacks(store.headers()), parsed: lacks(store.cache()), preview: true };
    let mut message = Message::new(store, Reach::All, kept, &row);
    let made = message.make(lacking).and_then(|made| {
        message.keep(made);
        // In pieces it would be read several times.
        if row.size <= WHOLE { text_search::sign(&mut message) } else { Ok(()) }
    });
    if let Err(error) = made {
        // It may have been removed again; whoever asks for it is told what is wrong.
        log::debug!("message {uid} was not parsed ahead: {error}");
    }
}

/// Whether the caches take what is made of messages.
pub fn may_keep(store: &Store) -> bool {
    [store.headers(), store.cache()].into_iter().all(Cache::takes)
}

/// What a listing knows of a message.
pub fn listed(row: &Known) -> Row {
    Row {
        uid: row.uid,
        flags: row.flags,
        size: row.size,
        date: row.arrival(),
        modseq: row.modseq,
        saved: u64::from(row.saved),
        trace: row.trace,
    }
}

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
    headed: Option<Option<Header>>,
    /// The fields that most searches look at, when they were not kept and were made.
    fields: Option<Option<Slice>>,
    /// What the store keeps of its texts; `None` inside: nothing.
    signature: Option<Option<Signature>>,
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
            row: listed(row),
            key: row.key,
            cached: None,
            headed: None,
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

    /// What one of the caches keeps of it.
    fn kept(&mut self, shelf: Shelf) -> Option<Slice> {
        let cache = shelf.of(self.store);
        match &mut self.among {
            Some((among, nth)) => cache.look(*nth, self.row.size, among.window(shelf)),
            None => cache.get(self.key, self.row.size),
        }
    }

    /// Looks at what one of the caches keeps of it; `None`: nothing, or `ask` can make nothing of it.
    fn peek<T>(&mut self, shelf: Shelf, ask: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        let cache = shelf.of(self.store);
        match &mut self.among {
            Some((among, nth)) => ask(cache.peek(*nth, self.row.size, among.window(shelf))?),
            None => ask(&cache.get(self.key, self.row.size)?),
        }
    }

    /// Gives one of the caches something; of one of many, when all have been looked at.
    fn put(&mut self, shelf: Shelf, made: Slice) {
        match &mut self.among {
            Some((among, _)) => among.window(shelf).gather(self.key, self.row.size, made),
            None => shelf.of(self.store).put(self.key, self.row.size, &made),
        }
    }

    /// What the cache has of it. A message that it does not have is parsed for it, if it is small: then this costs little
    /// more than the reading, and the next who asks for whatever of it is served at once.
    fn cached(&mut self) -> io::Result<Option<Parsed>> {
        if self.cached.is_none() {
            let found = self.kept(Shelf::Parsed).and_then(Parsed::read);
            self.cached = Some(match found {
                None if self.may_parse() && !self.is_signed => Some(self.learn_parsed()?),
                found => found,
            });
        }
        Ok(self.cached.clone().flatten())
    }

    /// The same of its header, for which nothing else is read.
    fn headed(&mut self) -> io::Result<Option<&Header>> {
        if self.headed.is_none() {
            let found = self.kept(Shelf::Headers).and_then(Header::read);
            self.headed = Some(match found {
                None if self.store.headers().is_ready() => Some(self.learn_header()?),
                found => found,
            });
        }
        Ok(self.headed.as_ref().and_then(Option::as_ref))
    }

    /// Whether all of it is parsed when a part of it is asked for.
    fn may_parse(&self) -> bool {
        self.store.cache().is_ready() && self.row.size <= WHOLE
    }

    /// Makes those of these records that are worth making before anybody asks.
    pub fn make_ahead(&mut self, which: Which) -> io::Result<Made> {
        let which = Which {
            header: which.header && self.store.headers().is_ready(),
            parsed: which.parsed && self.may_parse(),
            ..which
        };
        self.make(which)
    }

    /// Makes these records of it.
    fn make(&mut self, which: Which) -> io::Result<Made> {
        // Parsing reads all of a small message, its header too.
        let parsed = match (which.parsed, which.preview) {
            (true, true) => Some(self.make_parsed()?.with_preview(&self.words()?)),
            (true, false) => Some(self.make_parsed()?),
            (false, _) => None,
        };
        let header = if which.header { Some(self.make_header()?) } else { None };
        Ok(Made { header, parsed })
    }

    /// Takes what was made of it, and gives it to the caches.
    pub fn keep(&mut self, made: Made) {
        if let Some(parsed) = made.parsed {
            self.keep_parsed(&parsed);
        }
        if let Some(header) = made.header {
            self.put(Shelf::Headers, header.bytes().clone());
            self.headed = Some(Some(header));
        }
    }

    fn make_parsed(&mut self) -> io::Result<Parsed> {
        let scanned = self.scan()?;
        let parsed = Parsed::new(&scanned);
        self.structure = Some(scanned);
        Ok(parsed)
    }

    fn make_header(&mut self) -> io::Result<Header> {
        Ok(Header::new(&self.read_header()?))
    }

    /// Parses it, and gives the cache what was found.
    fn learn_parsed(&mut self) -> io::Result<Parsed> {
        let parsed = self.make_parsed()?;
        self.keep_parsed(&parsed);
        Ok(parsed)
    }

    fn keep_parsed(&mut self, parsed: &Parsed) {
        self.put(Shelf::Parsed, parsed.bytes().clone());
        self.cached = Some(Some(parsed.clone()));
    }

    fn learn_header(&mut self) -> io::Result<Header> {
        let header = self.make_header()?;
        self.put(Shelf::Headers, header.bytes().clone());
        Ok(header)
    }

    /// What parsing gives, whatever its size.
    fn parsed(&mut self) -> io::Result<Parsed> {
        match self.cached()? {
            Some(cached) => Ok(cached),
            None => self.learn_parsed(),
        }
    }

    /// Makes of the header what the store is to keep of the fields.
    fn make_fields(&mut self) -> io::Result<Option<Slice>> {
        if !self.store.fields().is_ready() {
            return Ok(None);
        }
        let made = fields::render(&self.header()?, self.row.trace).map(Slice::from);
        if let Some(made) = &made {
            self.put(Shelf::Fields, made.clone());
        }
        Ok(made)
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
    fn words(&mut self) -> io::Result<String> {
        let structure = self.structure()?;
        preview::render(&structure, &mut |range, most| self.read(range, most))
    }

    fn read_header(&mut self) -> io::Result<Slice> {
        if self.whole.is_none() && self.row.size <= HEADER as u64 {
            self.whole()?;
        }
        if let Some(whole) = &self.whole {
            let len = header::end(whole).min(limits::HEADER_BYTES);
            return Ok(Slice::of(whole, 0..len).unwrap_or_default());
        }
        let mut most = HEADER;
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
        if let Some(bytes) = self.of_header(range)? {
            return Ok(Some(bytes));
        }
        let Some(whole) = self.whole()? else { return Ok(None) };
        let size = whole.len() as u64;
        Ok(Slice::of(&whole, range.start.min(size) as usize..range.end.min(size) as usize))
    }

    /// Bytes that lie within the header, when it is known where that ends: whoever wants part of a header asked for the
    /// structure before, and whoever wants the message needs the file anyway.
    fn of_header(&mut self, range: &Range<u64>) -> io::Result<Option<Slice>> {
        let is_within = |structure: &Arc<Structure>| range.end <= structure.root().header.end;
        if self.whole.is_some() || !self.structure.as_ref().is_some_and(is_within) {
            return Ok(None);
        }
        let Some(block) = self.headed()?.and_then(Header::block) else { return Ok(None) };
        Ok(block.part(range.start as usize..range.end as usize))
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
        if self.is_signed {
            // All of it will be read.
            self.whole()?;
            return self.read_header();
        }
        match self.headed()?.and_then(Header::block) {
            Some(header) => Ok(header),
            None => self.read_header(),
        }
    }

    fn pick(&mut self, names: Names, not: bool, out: &mut Vec<u8>) -> io::Result<bool> {
        Ok(self.headed()?.is_some_and(|header| header.pick(names, not, out)))
    }

    fn field_has(&mut self, name: &[u8], value: &Needle, manner: Manner, depth: Depth) -> io::Result<Option<bool>> {
        let Some(number) = fields::number(name) else { return Ok(None) };
        let ask = |kept: &[u8]| fields::has(kept, number, value, manner);
        if self.fields.is_none() {
            let at_hand = self.peek(Shelf::Fields, |kept| fields::is_one(kept).then(|| ask(kept)));
            if let Some(answer) = at_hand {
                return Ok(answer);
            }
            if depth == Depth::AtHand {
                return Ok(None);
            }
            self.fields = Some(self.make_fields()?);
        }
        Ok(self.fields.as_ref().and_then(|made| ask(made.as_ref()?)))
    }

    fn keeps(&self, name: &[u8]) -> bool {
        fields::number(name).is_some()
    }

    fn signature(&mut self) -> io::Result<Option<Signature>> {
        if self.signature.is_none() {
            let found = self.kept(Shelf::Texts);
            self.signature = Some(found.and_then(Signature::read));
        }
        Ok(self.signature.clone().flatten())
    }

    fn begin_signature(&mut self) -> bool {
        self.is_signed = self.store.texts().is_ready();
        self.is_signed
    }

    fn sign(&mut self, made: Signature) {
        self.put(Shelf::Texts, made.bytes().clone());
        self.signature = Some(Some(made));
        self.is_signed = false;
    }

    fn envelope(&mut self) -> io::Result<Slice> {
        if let Some(header) = self.headed()? {
            return Ok(header.envelope());
        }
        let mut out = Vec::new();
        envelope::render(&self.read_header()?, &mut out);
        Ok(out.into())
    }

    fn body_structure(&mut self) -> io::Result<Slice> {
        Ok(self.parsed()?.body_structure())
    }

    fn body(&mut self) -> io::Result<Slice> {
        Ok(self.parsed()?.body())
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
                self.learn_parsed()?;
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
        let cached = self.cached()?;
        if let Some(words) = cached.as_ref().and_then(Parsed::preview) {
            return Ok(Some(words));
        }
        if lazy && cached.is_none() {
            return Ok(None);
        }
        let words = self.words()?;
        let parsed = self.parsed()?.with_preview(&words);
        self.keep_parsed(&parsed);
        Ok(Some(words))
    }

    fn read(&mut self, range: Range<u64>, most: usize) -> io::Result<Slice> {
        match self.held(&range)? {
            Some(bytes) => Ok(bytes.part(0..most.min(bytes.len())).unwrap_or_default()),
            None => Ok(read_all(self.range(range)?, most)?.into()),
        }
    }
}
