//! Opening the queue, and placing orders.

use super::index::{Index, Placing};
use super::names::{Entry, Order, Origin};
use super::{Queue, Work};
use crate::base::{Context, Fault};
use crate::disk::Disk;
use event_listener::Event;
use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// An order to be placed. Its `origin` says what is done with `source`: renamed (MOVE, and APPEND from
/// [`Queue::temporary`], synced by the caller) or linked (COPY).
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// The message's file now.
    pub source: PathBuf,
    /// What is asked.
    pub order: Order,
}

/// What became of one order.
#[derive(Debug)]
pub enum Placed {
    /// It is in the queue.
    Placed,
    /// The same was asked before and is in the queue.
    AlreadyThere,
    /// It is not: the message is gone (`is_missing`), or the disk failed.
    Not(Fault),
}

/// Wakes the worker when it is dropped: who placed orders first does what belongs to that, and does not share the disk and
/// the processor with what follows from them.
#[must_use]
pub struct Wake<'a>(&'a Queue);

impl Drop for Wake<'_> {
    fn drop(&mut self) {
        self.0.wake();
    }
}

impl Queue {
    /// Opens the queue of a data directory, making what is missing and sweeping what an APPEND left unfinished.
    pub fn open(disk: Disk) -> Result<Queue, Fault> {
        let queue = Queue {
            disk,
            index: Mutex::new(Index::default()),
            placing: Mutex::new(()),
            deliver: Default::default(),
            train: Default::default(),
            changed: Event::new(),
            age: crate::base::limits::QUEUE_AGE,
        };
        for directory in [queue.orders(), queue.directory(Work::Deliver), queue.directory(Work::Train), queue.failed()]
        {
            queue.disk.make_dirs(&directory)?;
        }
        queue.finish_batches()?;
        for file in names(&queue.orders())? {
            match file.to_str() {
                Some(text) if text.starts_with('.') => queue.disk.unlink(&queue.orders().join(text))?,
                text => match text.and_then(|text| Some((text, Order::parse(text)?))) {
                    Some((text, order)) => {
                        queue.index().add_order(Placing::new(order, text.to_string(), None));
                    }
                    None => strange(&queue.orders(), &file),
                },
            }
        }
        for work in [Work::Deliver, Work::Train] {
            let directory = queue.directory(work);
            for file in names(&directory)? {
                let entry = file.to_str().and_then(|text| Some((Entry::parse(text)?, text.to_string())));
                match entry.filter(|(entry, _)| entry.part.work() == work) {
                    Some((entry, text)) => {
                        if !queue.index().add_entry(entry, text.clone()) {
                            // A rename to a new attempt that a crash left half-done: one name is enough.
                            queue.disk.unlink(&directory.join(text))?;
                        }
                    }
                    None => strange(&directory, &file),
                }
            }
        }
        let mut twice = false;
        for (file, entry) in queue.failed_entries()? {
            if queue.index().has_entry(&entry) {
                // A rename between the two directories that a crash left half-done: it is to be tried.
                queue.disk.unlink(&queue.failed().join(file))?;
                twice = true;
            }
        }
        if twice {
            queue.disk.sync_dir(&queue.failed())?;
        }
        Ok(queue)
    }

    /// Where to write a message that is being appended, before it becomes an order; `id` is its message id.
    pub fn temporary(&self, id: &str) -> PathBuf {
        self.orders().join(format!(".{id}"))
    }

    /// Places all orders of one command, with one sync. One result an order, in order. After `Err` nothing may be
    /// answered OK; every message is where it was, unless the disk fails once more.
    pub fn place(&self, orders: Vec<NewOrder>) -> Result<Vec<Placed>, Fault> {
        self.place_by(orders, |_, from, to| self.disk.rename(from, to)).map(|(placed, _wake)| placed)
    }

    /// The same; `rename` renames the source of an order, which it is told by its place in the list. The worker begins with
    /// them at the latest when what is returned besides is dropped.
    pub fn place_by(
        &self,
        orders: Vec<NewOrder>,
        rename: impl Fn(usize, &Path, &Path) -> Result<(), Fault>,
    ) -> Result<(Vec<Placed>, Wake<'_>), Fault> {
        let _one_at_a_time = self.placing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut placed = Vec::with_capacity(orders.len());
        let mut fresh = Vec::new();
        let mut here = HashSet::new();
        let mut leftover = Vec::new();
        for (nth, NewOrder { source, order }) in orders.into_iter().enumerate() {
            let again = self.index().has_order(&order)
                || !here.insert((order.message.base.clone(), order.tree.clone(), order.verbs));
            if again {
                if order.origin != Origin::Copied {
                    leftover.push(source);
                }
                placed.push(Placed::AlreadyThere);
                continue;
            }
            placed.push(match self.place_one(&source, order, |from, to| rename(nth, from, to)) {
                Ok((order, file)) => {
                    let parent = (order.origin == Origin::Moved).then(|| source.parent().map(Path::to_path_buf));
                    fresh.push((Placing::new(order, file, parent.flatten()), source));
                    Placed::Placed
                }
                Err(fault) => Placed::Not(fault),
            });
        }
        if !fresh.is_empty()
            && let Err(fault) = self.disk.sync_dir(&self.orders())
        {
            fresh.into_iter().for_each(|(placing, source)| self.take_back(placing, &source));
            return Err(fault);
        }
        {
            let mut index = self.index();
            fresh.into_iter().for_each(|(placing, _)| index.add_order(placing));
        }
        let wake = Wake(self);
        for source in leftover {
            // The same bytes are in the queue, durably; what was dragged twice is gone from its folder as well.
            match self.disk.unlink(&source) {
                Err(fault) if !fault.is_missing() => return Err(fault),
                _ => {}
            }
        }
        Ok((placed, wake))
    }

    /// An order that is not durable, and was not acknowledged: the message goes back to where it was.
    fn take_back(&self, placing: Placing, source: &Path) {
        let file = self.orders().join(&placing.file);
        let taken_back = match placing.order.origin {
            Origin::Copied => self.disk.unlink(&file),
            Origin::Moved | Origin::Appended => self.disk.rename(&file, source),
        };
        if let Err(fault) = taken_back {
            log::error!("{fault}: this order waits for a restart");
            let mut index = self.index();
            index.add_order(placing.clone());
            index.set_aside(&placing);
        }
    }

    fn place_one(
        &self,
        source: &Path,
        mut order: Order,
        rename: impl Fn(&Path, &Path) -> Result<(), Fault>,
    ) -> Result<(Order, String), Fault> {
        let too_long = || io::Error::new(io::ErrorKind::InvalidFilename, "its name leaves no room for an order");
        let name = order.file_name().or_else(|| {
            // Some hundred recipients, of whom some are left: it cannot be taken back.
            order.window = None;
            order.file_name()
        });
        let file = name.ok_or_else(too_long).during("put into the queue", source)?;
        let target = self.orders().join(&file);
        let placed = match order.origin {
            Origin::Copied => match self.disk.link(source, &target) {
                Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                linked => linked,
            },
            Origin::Moved | Origin::Appended => rename(source, &target),
        };
        placed.map(|()| (order, file))
    }
}

/// The names in a directory.
pub(super) fn names(directory: &Path) -> Result<Vec<OsString>, Fault> {
    let entries = std::fs::read_dir(directory).during("list", directory)?;
    entries.map(|entry| entry.map(|e| e.file_name()).during("list", directory)).collect()
}

fn strange(directory: &Path, file: &OsString) {
    log::warn!("{}: {} is not a name of this queue; it is left alone", directory.display(), file.display());
}
