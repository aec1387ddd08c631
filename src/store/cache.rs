//! What was learned from parsing messages, kept so that a listing need not open them.
//!
//! Derived from the messages and nothing else: the directory may be deleted at any time, also while this runs. Whatever
//! is wrong with a record (gone, cut short, a wrong checksum, another message's) means "parse again" and is no error; a
//! record can not be stale, since a message never changes and the key of its id and its size in the record are compared. The
//! checksum is reckoned when a record is first read with others, and once more every hour, when the caches are looked after:
//! what a failing disk then has lost of it may be believed until that. Nothing is synced. What the bytes of a record mean is the caller's affair. A store has several, which differ in that alone, so
//! that what is looked at together lies together: what parsing gave, the header blocks, the few fields that most searches look
//! at, and what tells which texts a message cannot hold.
//!
//! # On-disk state
//!
//! | file | what it is | how it ends |
//! |---|---|---|
//! | `<number>.segment` in `cache/` and in `cache/headers/`, `cache/fields/` and `cache/texts/` | records one behind the other, appended only | removed when most of its messages are gone; those that are not are appended again first |
//!
//! At start only the heads of the records are read, in the background, each segment up to its first wrong record; until
//! that is done nothing is found and nothing is written.
//!
//! Locks, in the order in which they may be taken: `moving`, `tail`, segments, index. None is held while a peer is waited for; only
//! `tail` is held while a record is written, and whoever finds nothing does not wait for it.

mod index;
mod record;
mod segment;
mod tend;
#[cfg(test)]
mod tests;
mod window;

use crate::base::{Slice, limits};
use crate::disk::Disk;
use crate::mail::Kept;
use event_listener::{Event, EventListener};
use index::Index;
use segment::Segment;
use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use window::Window;

/// Bytes of one segment, at the most: 2^20 places of 64 bytes.
const SEGMENT: u64 = 1 << 26;
/// Segments, at the most: the other 12 bits of a place. 256 GB in all.
const SEGMENTS: u32 = 1 << 12;
/// Bytes of records that are gathered before they are written; with the record that is then the last, they fit into a segment.
const AT_ONCE: usize = 1 << 20;
/// Where the first record lies. Not at 0, since place 0 is none.
const START: u64 = record::UNIT;

/// The cache of one data directory.
pub struct Cache {
    disk: Disk,
    directory: PathBuf,
    ready: AtomicBool,
    tail: Mutex<Tail>,
    segments: RwLock<Vec<Option<Arc<Segment>>>>,
    index: RwLock<Index>,
    moving: Mutex<Option<tend::Moving>>,
    wishes: Mutex<VecDeque<(Kept, u32)>>,
    wished: Event,
}

/// Where the next record is written.
#[derive(Default)]
struct Tail {
    segment: Option<(u32, Arc<Segment>)>,
    end: u64,
    /// The number that the next segment has, unless it is taken. They go round: who found a place before its segment went must
    /// not find another record there.
    next: u32,
    /// Writing failed; it is tried again when the cache is looked after.
    failed: bool,
}

/// Where a record lies, in 32 bits.
fn place(number: u32, at: u64) -> u32 {
    number << 20 | (at / record::UNIT) as u32
}

/// Segment and offset of a place.
fn split(place: u32) -> (u32, u64) {
    (place >> 20, u64::from(place & ((1 << 20) - 1)) * record::UNIT)
}

impl Cache {
    /// One in this directory below the data directory. Nothing is read before [`Cache::load`].
    pub fn new(disk: &Disk, directory: &str) -> Cache {
        Cache {
            directory: disk.path(directory),
            disk: disk.clone(),
            ready: AtomicBool::new(false),
            tail: Mutex::default(),
            segments: RwLock::default(),
            index: RwLock::default(),
            moving: Mutex::default(),
            wishes: Mutex::default(),
            wished: Event::new(),
        }
    }

    /// What was kept of the message with this [`Base::key`](crate::mail::name::Base::key) and this size (in wire form).
    pub fn get(&self, key: u64, size: u64) -> Option<Slice> {
        let (number, at) = split(self.index().get(key)?);
        let record = record::read(&self.segment(number)?.file, at)?;
        let payload = record::payload(&record, key, size)?;
        Slice::of(&Arc::new(record), payload)
    }

    /// The same of one of the messages that the window expects. Records that lie together are read together.
    pub fn look(&self, nth: usize, size: u64, window: &mut Window) -> Option<Slice> {
        let (bytes, payload) = self.find(nth, size, window)?;
        Slice::of(bytes, payload)
    }

    /// The same for a glance that needs it no longer than the window stands still.
    pub fn peek<'a>(&self, nth: usize, size: u64, window: &'a mut Window) -> Option<&'a [u8]> {
        let (bytes, payload) = self.find(nth, size, window)?;
        bytes.get(payload)
    }

    /// A payload's buffer, and where it lies in it.
    fn find<'a>(&self, nth: usize, size: u64, window: &'a mut Window) -> Option<(&'a Arc<Vec<u8>>, Range<usize>)> {
        let (number, at) = split(self.place(nth, window)?);
        let key = *window.keys.get(nth)?;
        let (bytes, record) = window.record(number, at, || self.segment(number))?;
        let payload = record::payload(bytes.get(record.clone())?, key, size)?;
        Some((bytes, record.start + payload.start..record.start + payload.end))
    }

    /// Whether there may be something of one of the messages that the window expects.
    pub fn may_have(&self, nth: usize, window: &mut Window) -> bool {
        self.place(nth, window).is_some()
    }

    fn place(&self, nth: usize, window: &mut Window) -> Option<u32> {
        if window.places.is_empty() {
            let index = self.index();
            window.places.extend(window.keys.iter().map(|&key| index.get(key)));
        }
        *window.places.get(nth)?
    }

    fn segment(&self, number: u32) -> Option<Arc<Segment>> {
        self.segments().get(number as usize)?.clone()
    }

    /// Keeps something of a message, if that is possible.
    pub fn put(&self, key: u64, size: u64, payload: &[u8]) {
        self.put_all(std::iter::once((key, size, payload)));
    }

    /// The same of several, by key and size. Their records lie one behind the other.
    fn put_all<'a>(&self, all: impl Iterator<Item = (u64, u64, &'a [u8])>) {
        if !self.is_ready() {
            return;
        }
        let (mut keys, mut bytes) = (Vec::new(), Vec::new());
        for (key, size, payload) in all {
            let at = bytes.len() as u64;
            if record::write(key, size, payload, &mut bytes) {
                keys.push((key, at));
            }
            if bytes.len() >= AT_ONCE {
                self.append(&keys, &bytes);
                keys.clear();
                bytes.clear();
            }
        }
        self.append(&keys, &bytes);
    }

    /// Keeps what was gathered in a window.
    pub fn put_gathered(&self, window: &mut Window) {
        self.put_all(window.gathered.iter().map(|(key, size, payload)| (*key, *size, &**payload)));
        window.gathered.clear();
    }

    /// Whether records are found and written.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// Whether records are written now: not when that failed lately.
    pub fn takes(&self) -> bool {
        self.is_ready() && !self.tail().failed
    }

    /// Asks for a record of a message that was just stored. Forgotten when too many wait: FETCH makes it as well.
    pub fn wish(&self, kept: Kept, uid: u32) {
        if !self.is_ready() {
            return;
        }
        let mut wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        if wishes.len() < limits::CACHE_WISHES {
            wishes.push_back((kept, uid));
            drop(wishes);
            self.wished.notify(1);
        }
    }

    /// The oldest wishes, at most `most`; they are taken from the list.
    pub fn take_wishes(&self, most: usize) -> Vec<(Kept, u32)> {
        let mut wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        let count = most.min(wishes.len());
        wishes.drain(..count).collect()
    }

    /// Completes at the next wish.
    pub fn listen(&self) -> EventListener {
        self.wished.listen()
    }

    /// Appends records; each of these keys has one at its offset.
    fn append(&self, keys: &[(u64, u64)], bytes: &[u8]) {
        if keys.is_empty() {
            return;
        }
        let mut tail = self.tail();
        let Some((number, segment)) = self.room(&mut tail, bytes.len() as u64) else { return };
        let at = tail.end;
        if let Err(error) = segment.file.write_all_at(bytes, at) {
            // What was half written stays behind the end of that segment: bytes that readers may hold are not written again.
            (tail.segment, tail.failed) = (None, true);
            log::warn!("cannot write to {}: {error}; the cache waits an hour", self.directory.display());
            return;
        }
        tail.end = at + bytes.len() as u64;
        segment.records.fetch_add(keys.len() as u32, Ordering::Relaxed);
        let mut index = self.index_mut();
        for &(key, offset) in keys {
            index.set(key, place(number, at + offset));
        }
    }

    /// The segment with room for so many bytes at the tail's end; a new one if need be.
    fn room(&self, tail: &mut Tail, len: u64) -> Option<(u32, Arc<Segment>)> {
        if tail.failed {
            return None;
        }
        if tail.segment.as_ref().is_some_and(|(_, segment)| is_removed(&segment.file)) {
            self.drop_removed(tail);
        }
        if tail.segment.is_none() || tail.end + len > SEGMENT {
            tail.segment = self.create(tail);
            tail.end = START;
            tail.failed = tail.segment.is_none();
        }
        tail.segment.clone()
    }

    /// A new segment with the next free number. The tail is locked, so nobody else takes that number.
    fn create(&self, tail: &mut Tail) -> Option<(u32, Arc<Segment>)> {
        // As much as doors ask for by default: mail has the better claim to what is left.
        if self.disk.space().is_some_and(|(free, all)| free.saturating_mul(20) < all) {
            return None;
        }
        let mut numbers = (0..SEGMENTS).map(|ahead| (tail.next + ahead) % SEGMENTS);
        let Some(number) = numbers.find(|&number| self.segment(number).is_none()) else {
            log::warn!("{} is full", self.directory.display());
            return None;
        };
        // Also of one that cannot be opened: the next one may.
        tail.next = number + 1;
        let file = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory).and_then(|()| {
            let path = self.path(number);
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(true).mode(0o600).open(path)
        });
        match file {
            Ok(file) => {
                let segment = Arc::new(Segment::new(file, 0));
                self.publish(number, segment.clone());
                Some((number, segment))
            }
            Err(error) => {
                log::warn!("cannot write to {}: {error}; the cache waits an hour", self.directory.display());
                None
            }
        }
    }

    fn publish(&self, number: u32, segment: Arc<Segment>) {
        let mut segments = self.segments_mut();
        if segments.len() <= number as usize {
            segments.resize_with(number as usize + 1, || None);
        }
        if let Some(slot) = segments.get_mut(number as usize) {
            *slot = Some(segment);
        }
    }

    /// Forgets segments whose files somebody removed, so that their space is free.
    fn drop_removed(&self, tail: &mut Tail) {
        for segment in self.segments_mut().iter_mut() {
            if segment.as_ref().is_some_and(|segment| is_removed(&segment.file)) {
                *segment = None;
            }
        }
        if tail.segment.as_ref().is_some_and(|(_, segment)| is_removed(&segment.file)) {
            tail.segment = None;
        }
    }

    fn path(&self, number: u32) -> PathBuf {
        self.directory.join(format!("{number:04}.segment"))
    }

    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn segments(&self) -> RwLockReadGuard<'_, Vec<Option<Arc<Segment>>>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn segments_mut(&self) -> RwLockWriteGuard<'_, Vec<Option<Arc<Segment>>>> {
        self.segments.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an open file has no name any more.
fn is_removed(file: &File) -> bool {
    file.metadata().map_or(true, |meta| meta.nlink() == 0)
}
