//! Fanning orders out into entries, in batches.

use super::index::Placing;
use super::names::{Order, Origin, Part, Verb};
use super::{Queue, Work};
use crate::base::{Context, Fault};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// What the queue cannot know of a message; the rules above it answer. Every call may come again after a crash, for the
/// same order, and must then do nothing that was done before.
pub trait Plan {
    /// Indices into the trace of those whom a release is to reach. An error, or nobody, becomes one delivery that cannot
    /// be made, so that the message comes back with a reason instead of vanishing.
    fn recipients(&self, order: &Order, file: &Path) -> Result<Vec<usize>, Fault>;

    /// For an order from before a restart that was a MOVE: if the message is also still in its folder (a crash kept both
    /// names), removes it there; the removal is durable when this returns.
    fn settle(&self, order: &Order) -> Result<(), Fault>;

    /// For orders that do not deliver: keeps a copy (a hard link will do) of each in Trash where the rules want it, durable
    /// when this returns. The paths are the orders' files.
    fn keep(&self, orders: &[(Order, PathBuf)]) -> Result<(), Fault>;
}

/// How orders are fanned out.
#[derive(Debug, Clone, Default)]
pub struct FanOut {
    /// The names of the sinks that are told what was wrongly caught.
    pub ham: Vec<String>,
    /// The names of the sinks that are told what is spam.
    pub spam: Vec<String>,
}

/// Directories that messages have left, while several orders are dealt with.
#[derive(Default)]
pub(super) struct Leaving {
    synced: BTreeSet<PathBuf>,
    /// Folders of which a half could not be synced.
    failed: BTreeSet<Option<PathBuf>>,
}

impl Queue {
    /// Fans out up to `most` orders that are to start by `now` (seconds since 1970), oldest first, with one sync of each
    /// directory; says how many. An order for which it fails stays as it is, to be tried again; the others go on, and the
    /// first error is returned. When a sync fails, the orders of this batch wait for a restart.
    pub fn fan_out(&self, plan: &dyn Plan, how: &FanOut, most: usize, now: u64) -> Result<usize, Fault> {
        let mut first_fault = None;
        let mut orders = self.index().some_orders(most, now);
        let mut leaving = Leaving::default();
        orders.retain(|placing| {
            let left = self.leave(plan, placing, &mut leaving);
            if left.is_ok() && placing.order.waits(now) {
                self.index().let_go(placing);
                return false;
            }
            let result = left.and_then(|()| self.link(plan, how, placing));
            let ok = result.is_ok();
            if let Err(fault) = result {
                log::error!("order for {}: {fault}", placing.order.message.id());
                self.index().let_others_first(placing);
                first_fault.get_or_insert(fault);
            }
            ok
        });
        if !orders.is_empty() {
            self.finish(plan, &orders)?;
            self.wake();
        }
        first_fault.map_or(Ok(orders.len()), Err)
    }

    /// From now on the message must not come back where it was. When that fails the order waits for a restart.
    pub(super) fn leave(&self, plan: &dyn Plan, placing: &Placing, leaving: &mut Leaving) -> Result<(), Fault> {
        if placing.left {
            return Ok(());
        }
        let folder = placing.source.as_ref().map(|s| s.parent().map(Path::to_path_buf));
        let left = match placing.source.as_ref().filter(|_| folder.as_ref().is_some_and(|f| leaving.failed.contains(f)))
        {
            // It is not tried again: it would succeed without having written anything.
            Some(source) => Err(Fault::new("sync the directory", source, io::Error::other("it failed before"))),
            None => self.sync_source(plan, placing, &mut leaving.synced),
        };
        match &left {
            Ok(()) => self.index().has_left(placing),
            Err(_) => {
                // Both halves of a folder are synced for each.
                leaving.failed.extend(folder);
                self.index().set_aside(placing);
            }
        }
        left
    }

    fn sync_source(&self, plan: &dyn Plan, placing: &Placing, synced: &mut BTreeSet<PathBuf>) -> Result<(), Fault> {
        match (&placing.source, placing.order.origin) {
            (Some(source), _) if synced.contains(source) => Ok(()),
            (Some(source), _) => {
                // A flag that was set before has moved it from `new/` to `cur/` without a sync: it must not come back there.
                let new = source.ends_with("cur").then(|| source.with_file_name("new"));
                for directory in new.iter().chain([source]).filter(|d| !synced.contains(*d)) {
                    match self.disk.sync_dir(directory) {
                        // An emptied tree was removed, and that was synced.
                        Err(fault) if !fault.is_missing() => return Err(fault),
                        _ => {}
                    }
                }
                synced.extend(new);
                synced.insert(source.clone());
                Ok(())
            }
            (None, Origin::Moved) => plan.settle(&placing.order),
            (None, Origin::Copied | Origin::Appended) => Ok(()),
        }
    }

    fn link(&self, plan: &dyn Plan, how: &FanOut, placing: &Placing) -> Result<(), Fault> {
        let file = self.orders().join(&placing.file);
        for part in self.parts(plan, how, &placing.order, &file) {
            let entry = placing.order.entry(part);
            let there = {
                let index = self.index();
                index.has_entry(&entry) || index.was_done(&entry)
            };
            if there {
                continue;
            }
            let too_long = || io::Error::new(io::ErrorKind::InvalidFilename, "its name leaves no room for an entry");
            let name = entry.file_name().ok_or_else(too_long).during("fan out", &file)?;
            match self.disk.link(&file, &self.directory(entry.part.work()).join(&name)) {
                Err(fault) if fault.kind() != io::ErrorKind::AlreadyExists => return Err(fault),
                _ => {}
            }
            // It is not claimed before its order is gone.
            self.index().add_entry(entry, name);
        }
        Ok(())
    }

    fn parts(&self, plan: &dyn Plan, how: &FanOut, order: &Order, file: &Path) -> Vec<Part> {
        let mut parts = Vec::new();
        for verb in order.verbs.iter() {
            if verb == Verb::Release {
                let recipients = plan.recipients(order, file).unwrap_or_else(|fault| {
                    log::warn!("order for {}: {fault}", order.message.id());
                    Vec::new()
                });
                let recipients = if recipients.is_empty() { vec![0] } else { recipients };
                parts.extend(recipients.into_iter().map(Part::Deliver));
            } else {
                let sinks = if verb == Verb::TrainHam { &how.ham } else { &how.spam };
                parts.extend(sinks.iter().map(|sink| Part::Train { verb, sink: sink.clone() }));
            }
        }
        parts
    }

    /// Entries and copies durable, then the orders gone, durably.
    fn finish(&self, plan: &dyn Plan, orders: &[Placing]) -> Result<(), Fault> {
        let kept: Vec<(Order, PathBuf)> = orders
            .iter()
            .filter(|p| !p.order.verbs.has(Verb::Release))
            .map(|p| (p.order.clone(), self.orders().join(&p.file)))
            .collect();
        let kept = if kept.is_empty() { Ok(()) } else { plan.keep(&kept) };
        let finished = kept.and_then(|()| self.make_durable(orders));
        let mut index = self.index();
        match &finished {
            Ok(()) => orders.iter().for_each(|placing| index.remove_order(placing)),
            // A sync that failed is not tried again: it would succeed without having written anything.
            Err(_) => orders.iter().for_each(|placing| index.set_aside(placing)),
        }
        finished
    }

    fn make_durable(&self, orders: &[Placing]) -> Result<(), Fault> {
        let any = |wanted: &dyn Fn(Verb) -> bool| orders.iter().any(|p| p.order.verbs.iter().any(wanted));
        if any(&|v| v == Verb::Release) {
            self.sync(Work::Deliver)?;
        }
        if any(&|v| v != Verb::Release) {
            self.sync(Work::Train)?;
        }
        for placing in orders {
            match self.disk.unlink(&self.orders().join(&placing.file)) {
                Err(fault) if !fault.is_missing() => return Err(fault),
                _ => {}
            }
        }
        self.disk.sync_dir(&self.orders())
    }

    /// Whether there is something to fan out now (seconds since 1970).
    pub fn has_orders(&self, now: u64) -> bool {
        self.index().has_orders(now)
    }

    /// When the next order that waits is to start, in seconds since 1970.
    pub fn next_start(&self) -> Option<u64> {
        self.index().next_start()
    }
}
