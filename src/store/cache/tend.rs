//! Reading the segments at start, and getting rid of those of which little is left.

use super::index::Key;
use super::segment::Segment;
use super::{Cache, SEGMENT, SEGMENTS, START, Tail, place, record, split};
use crate::base::UidRanges;
use crate::mail::Kept;
use crate::store::{Reach, Store};
use std::fs::File;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// Bytes of a segment that one step looks through.
const STEP: u64 = 1 << 20;
/// Rows that are read while a folder is locked.
const ROWS: usize = 1024;
/// Bytes that are read for a head: most that follow it lie in them, too.
const HEADS: usize = 4 << 10;

/// A segment whose last records are being appended again.
pub(super) struct Moving {
    number: u32,
    at: u64,
}

impl Cache {
    /// Reads the heads of all records; from then on the cache is in use. 100,000 take 0.1 to 0.2 s when the kernel has
    /// the segments in memory; when not, as long as reading them. Called once, in the background.
    pub fn load(&self) {
        let mut tail = self.tail();
        let mut numbers: Vec<u32> = (std::fs::read_dir(&self.directory).into_iter().flatten().flatten())
            .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".segment")?.parse().ok())
            .filter(|&number| number < SEGMENTS)
            .collect();
        numbers.sort_unstable();
        for number in numbers {
            if let Err(error) = self.load_one(&mut tail, number) {
                log::warn!("{} is not used: {error}", self.path(number).display());
            }
        }
        self.ready.store(true, Ordering::Release);
    }

    fn load_one(&self, tail: &mut Tail, number: u32) -> std::io::Result<()> {
        let path = self.path(number);
        let file = File::options().read(true).write(true).open(&path)?;
        // Nothing is found in it before it is published. One by one: a list of all would be most of what a start leaves behind.
        let mut records = 0;
        let end = walk(&file, START, |at, head| {
            self.index_mut().set(head.key, place(number, at));
            records += 1;
            ControlFlow::Continue(())
        });
        if records == 0 {
            return std::fs::remove_file(path);
        }
        tail.next = number + 1;
        // The last one goes on. What follows its last good record must not be taken for records later.
        if end < SEGMENT {
            file.set_len(end)?;
        }
        let segment = Arc::new(Segment::new(file, records));
        self.publish(number, segment.clone());
        if end < SEGMENT {
            (tail.segment, tail.end) = (Some((number, segment)), end);
        }
        Ok(())
    }

    /// Drops what belongs to no message, and segments in which nothing is left; says whether another one is mostly dead,
    /// for [`Cache::move_some`]. `alive` is sorted and was collected just before. A record that is dropped by mistake, as
    /// of a message that came or was moved meanwhile, is made again when it is wanted.
    fn drop_dead(&self, alive: &[Key]) -> bool {
        let tail = {
            let mut tail = self.tail();
            tail.failed = false;
            self.drop_removed(&mut tail);
            tail.segment.as_ref().map(|(number, _)| *number)
        };
        self.segments().iter().flatten().for_each(|segment| segment.doubt());
        let mut segments: Vec<Option<u32>> =
            self.segments().iter().map(|segment| segment.as_ref().map(|_| 0)).collect();
        for part in 0.. {
            // One part at a time: others look things up meanwhile.
            let is_part = self.index_mut().retain(part, |key, place| {
                let number = split(place).0;
                let Some(Some(live)) = segments.get_mut(number as usize) else { return Some(number) == tail };
                let keep = Some(number) == tail || alive.binary_search(&key).is_ok();
                *live += u32::from(keep);
                keep
            });
            if !is_part {
                break;
            }
        }
        let mut dead = None;
        for (number, live) in (0u32..).zip(segments) {
            let Some(live) = live.filter(|_| Some(number) != tail) else { continue };
            let Some(segment) = self.segment(number) else { continue };
            let records = segment.records.load(Ordering::Relaxed);
            if live == 0 {
                self.remove(number);
            } else if live < records / 2 && dead.is_none_or(|(least, _)| live < least) {
                dead = Some((live, number));
            }
        }
        let mut moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        *moving = dead.map(|(_, number)| Moving { number, at: START });
        moving.is_some()
    }

    /// Appends again what is left of the next megabyte of the segment that is mostly dead, and removes the segment at its
    /// end. Says whether there is more to do.
    pub fn move_some(&self) -> bool {
        let mut moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Moving { number, at: from }) = *moving else { return false };
        let Some(segment) = self.segment(number) else {
            *moving = None;
            return false;
        };
        let mut is_end = true;
        let at = walk(&segment.file, from, |at, head| {
            if at - from >= STEP {
                is_end = false;
                return ControlFlow::Break(());
            }
            if self.index().get(head.key) == Some(place(number, at))
                && let Some(mut bytes) = record::read(&segment.file, at)
            {
                bytes.resize(record::padded(bytes.len()) as usize, 0);
                self.append(&[(head.key, 0)], &bytes);
            }
            ControlFlow::Continue(())
        });
        *moving = Some(Moving { number, at }).filter(|_| !is_end);
        if is_end {
            self.remove(number);
        }
        !is_end
    }

    fn remove(&self, number: u32) {
        let path = self.path(number);
        if let Some(segment) = self.segments_mut().get_mut(number as usize) {
            *segment = None;
        }
        if let Err(error) = std::fs::remove_file(&path) {
            log::debug!("{}: {error}", path.display());
        }
    }
}

impl Store {
    /// Looks after the caches: what belongs to messages that are gone is dropped. Says whether [`Cache::move_some`] has
    /// something to do in one of them.
    pub fn tend_caches(&self) -> bool {
        if !self.caches().into_iter().all(Cache::is_ready) {
            return false;
        }
        let mut alive = Vec::new();
        for kept in Kept::ALL {
            let mut from = 0u32;
            loop {
                let before = alive.len();
                let mut last = 0;
                self.rows(Reach::All, kept, &UidRanges::one(from, u32::MAX), |row, _| {
                    alive.push(Key::from(row.key));
                    last = row.uid;
                    alive.len() - before < ROWS
                });
                if alive.len() - before < ROWS {
                    break;
                }
                from = last.saturating_add(1);
            }
        }
        alive.sort_unstable();
        self.caches().map(|cache| cache.drop_dead(&alive)).contains(&true)
    }
}

/// Calls `each` with the records from `at` on, up to the first that is none; returns where it ended. Of long records the heads
/// only are read.
fn walk(file: &File, mut at: u64, mut each: impl FnMut(u64, record::Head) -> ControlFlow<()>) -> u64 {
    let len = file.metadata().map_or(0, |meta| meta.len()).min(SEGMENT);
    let mut ahead = Ahead { file, bytes: [0; HEADS], start: 0, have: 0 };
    while let Some(head) = ahead.head(at).filter(|head| at + record::padded(head.len) <= len) {
        let next = at + record::padded(head.len);
        if each(at, head).is_break() {
            break;
        }
        at = next;
    }
    at
}

/// What was read of a segment last.
struct Ahead<'a> {
    file: &'a File,
    bytes: [u8; HEADS],
    start: u64,
    have: usize,
}

impl Ahead<'_> {
    fn head(&mut self, at: u64) -> Option<record::Head> {
        if at < self.start || at + record::HEAD as u64 > self.start + self.have as u64 {
            (self.start, self.have) = (at, record::read_at(self.file, &mut self.bytes, at).ok()?);
        }
        let from = usize::try_from(at - self.start).ok()?;
        record::head(self.bytes.get(from..self.have)?.get(..record::HEAD)?)
    }
}
