//! `state/changes`: when each message last changed, the figures of each view and which messages left, written whole at a
//! clean stop. With it MODSEQs, UIDNEXT and HIGHESTMODSEQ go on after a start as if there had been none.
//!
//! It is believed only when the marks (`store/marks.rs`) record its checksum: they do after the stop that wrote it, and no
//! more once the next process has begun. Without it (a crash, a restored copy, a file that was deleted or damaged) every
//! message counts as changed at the start, which is too high for some and too low for none. So nothing is synced.
//!
//! ```text
//! "lazaret changes 1\n"
//! checksum of state/seen/*: when a file there was changed meanwhile, nothing is believed
//! domains: count, names
//! trees: count, (directory of the domain, directory of the local part)
//! floor, figures: UIDNEXT, MODSEQ; count, (kept folder, reach, UIDNEXT, MODSEQ)
//! removals of each kept folder: since, count, (MODSEQ, UID, tree)
//! messages of each kept folder: count, bytes of all, (UID, MODSEQ, flags, tree)
//! ```
//!
//! Numbers are LEB128; in the last two lines UID and MODSEQ are zigzag differences to the entry before. A reach is 0 (all),
//! 2n + 1 (the n-th domain) or 2n + 2 (the n-th tree); texts are preceded by their length.

use super::catalogue::{Folder, Row};
use super::history::{Figures, History, Removal, Removals};
use super::trees::{DomainId, TreeId, Trees, address_of};
use super::{Reach, seen};
use crate::base::{Fault, Flags, limits};
use crate::disk::Disk;
use crate::mail::Kept;
use std::collections::{HashMap, VecDeque};
use std::iter::Peekable;
use std::path::Path;
use std::sync::Arc;

const MAGIC: &[u8] = b"lazaret changes 1\n";

/// What a message was at the stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Then {
    uid: u32,
    modseq: u64,
    flags: u32,
    tree: u32,
}

/// The messages of the stop, to be compared with those that are there.
pub struct Past {
    rows: [Peekable<Rows>; 4],
    trees: Vec<(TreeId, DomainId)>,
    gone: Vec<(Kept, Then)>,
}

/// Messages of one kept folder at the stop, by UID.
struct Rows {
    numbers: Numbers,
    left: u64,
    last: Then,
}

/// Writes the file; its checksum.
pub fn write(disk: &Disk, mut history: History, trees: &Trees, folders: [&Folder; 4]) -> Result<u32, Fault> {
    let mut used = Used::default();
    folders.iter().flat_map(|folder| folder.iter()).for_each(|row| used.tree(row.tree));
    // Of trees without mail only the last are remembered: each costs memory when it is read again.
    history.shorten(limits::FIGURES_KEPT + used.trees.len() * 5);
    history.removals.iter().flat_map(|r| &r.list).for_each(|removal| used.tree(removal.tree));
    for (reach, _) in history.figures.keys() {
        match reach {
            Reach::All => {}
            Reach::Domain(id) => used.domain(*id),
            Reach::Tree(id) => used.tree(*id),
        }
    }
    let mut out = Writer { bytes: MAGIC.to_vec(), last: Then::default() };
    out.number(u64::from(seen::checksum(disk)));
    out.number(used.domain_list.len() as u64);
    used.domain_list.iter().for_each(|id| out.text(trees.domain_name(*id).unwrap_or_default()));
    out.number(used.tree_list.len() as u64);
    for id in &used.tree_list {
        let (domain, local) = trees.get(*id).and_then(|tree| tree.address.directories()).unwrap_or_default();
        out.text(&domain);
        out.text(&local);
    }
    out.figures(history.floor);
    out.number(history.figures.len() as u64);
    for ((reach, kept), figures) in &history.figures {
        out.number(kept.index() as u64);
        out.number(match reach {
            Reach::All => 0,
            Reach::Domain(id) => used.domains.get(id).copied().unwrap_or(0) * 2 + 1,
            Reach::Tree(id) => used.trees.get(id).copied().unwrap_or(0) * 2 + 2,
        });
        out.figures(*figures);
    }
    for removals in &history.removals {
        out.number(removals.since);
        out.start(removals.list.len());
        for &Removal { modseq, uid, tree, .. } in &removals.list {
            out.step(uid, modseq);
            out.number(used.trees.get(&tree).copied().unwrap_or(0));
        }
    }
    for folder in folders {
        let mut rows = Writer { bytes: Vec::with_capacity(folder.len() * 12), last: Then::default() };
        for row in folder.iter() {
            rows.step(row.uid, row.modseq);
            rows.number(u64::from(row.flags.0));
            rows.number(used.trees.get(&row.tree).copied().unwrap_or(0));
        }
        out.number(folder.len() as u64);
        out.number(rows.bytes.len() as u64);
        out.bytes.append(&mut rows.bytes);
    }
    let path = disk.path("state/changes");
    if path.exists() {
        disk.unlink(&path)?;
    }
    disk.create(&path)?.write(&out.bytes)?;
    Ok(crc32fast::hash(&out.bytes))
}

/// Reads the file of the stop just before, if `checksum` and all that it says is right. Trees get numbers.
pub fn read(disk: &Disk, checksum: Option<u32>, mail: &Path, trees: &mut Trees) -> Option<(History, Past)> {
    let bytes = std::fs::read(disk.path("state/changes")).ok()?;
    if crc32fast::hash(&bytes) != checksum? || !bytes.starts_with(MAGIC) {
        return None;
    }
    let mut numbers = Numbers { bytes: bytes.into(), at: MAGIC.len() };
    if numbers.number()? != u64::from(seen::checksum(disk)) {
        return None;
    }
    let domains = numbers.list(|numbers| Some(trees.intern_domain(&numbers.text()?)))?;
    let ids = numbers.list(|numbers| {
        let address = address_of(&numbers.text()?, &numbers.text()?)?;
        trees.intern(mail, &address).map(|tree| (tree.id, tree.domain))
    })?;
    let floor = numbers.figures()?;
    let figures = numbers.list(|numbers| {
        let kept = *Kept::ALL.get(numbers.number()? as usize)?;
        let number = numbers.number()?;
        let at = (number.saturating_sub(1) / 2) as usize;
        let reach = match number {
            0 => Reach::All,
            n if n % 2 == 1 => Reach::Domain(*domains.get(at)?),
            _ => Reach::Tree(ids.get(at)?.0),
        };
        Some(((reach, kept), numbers.figures()?))
    })?;
    let mut history = History { figures: HashMap::from_iter(figures), ..History::new(floor) };
    for removals in &mut history.removals {
        let since = numbers.number()?;
        let mut last = Then::default();
        let list = numbers.list(|numbers| {
            numbers.step(&mut last)?;
            let (tree, domain) = *ids.get(numbers.number()? as usize)?;
            Some(Removal { modseq: last.modseq, uid: last.uid, tree, domain })
        })?;
        *removals = Removals { since, list: VecDeque::from(list) };
    }
    let mut rows = Vec::new();
    for _ in Kept::ALL {
        let (left, bytes) = (numbers.number()?, usize::try_from(numbers.number()?).ok()?);
        rows.push(Rows { left, numbers: numbers.clone(), last: Then::default() }.peekable());
        numbers.at = numbers.at.checked_add(bytes).filter(|&at| at <= numbers.bytes.len())?;
    }
    Some((history, Past { rows: rows.try_into().ok()?, trees: ids, gone: Vec::new() }))
}

/// The trees and domains that the file names, in its order.
#[derive(Default)]
struct Used {
    trees: HashMap<TreeId, u64>,
    tree_list: Vec<TreeId>,
    domains: HashMap<DomainId, u64>,
    domain_list: Vec<DomainId>,
}

impl Used {
    fn tree(&mut self, id: TreeId) {
        self.trees.entry(id).or_insert_with(|| {
            self.tree_list.push(id);
            self.tree_list.len() as u64 - 1
        });
    }

    fn domain(&mut self, id: DomainId) {
        self.domains.entry(id).or_insert_with(|| {
            self.domain_list.push(id);
            self.domain_list.len() as u64 - 1
        });
    }
}

impl Past {
    /// When a message last changed, if it is as it was at the stop. Messages come by UID within each folder.
    pub fn modseq_of(&mut self, kept: Kept, row: &Row) -> Option<u64> {
        let rows = self.rows.get_mut(kept.index())?;
        while let Some(then) = rows.next_if(|then| then.uid < row.uid) {
            self.gone.push((kept, then));
        }
        let then = rows.next_if(|then| then.uid == row.uid)?;
        if self.trees.get(then.tree as usize).map(|(id, _)| *id) != Some(row.tree) {
            self.gone.push((kept, then));
            return None;
        }
        (Flags(then.flags) == row.flags).then_some(then.modseq)
    }

    /// Those that are no longer there, after all that are; they count as removed at `modseq`.
    pub fn gone(mut self, modseq: u64) -> Vec<(Kept, Removal)> {
        for (kept, rows) in Kept::ALL.into_iter().zip(&mut self.rows) {
            self.gone.extend(rows.map(|then| (kept, then)));
        }
        let removal = |(kept, then): (Kept, Then)| {
            let (tree, domain) = *self.trees.get(then.tree as usize)?;
            Some((kept, Removal { modseq, uid: then.uid, tree, domain }))
        };
        self.gone.into_iter().filter_map(removal).collect()
    }
}

impl Iterator for Rows {
    type Item = Then;

    fn next(&mut self) -> Option<Then> {
        self.left = self.left.checked_sub(1)?;
        self.numbers.step(&mut self.last)?;
        self.last.flags = self.numbers.number()? as u32;
        self.last.tree = self.numbers.number()? as u32;
        Some(self.last)
    }
}

struct Writer {
    bytes: Vec<u8>,
    last: Then,
}

impl Writer {
    fn number(&mut self, mut n: u64) {
        while n > 0x7f {
            self.bytes.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.bytes.push(n as u8);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn figures(&mut self, figures: Figures) {
        self.number(u64::from(figures.uid_next));
        self.number(figures.modseq);
    }

    fn start(&mut self, count: usize) {
        self.number(count as u64);
        self.last = Then::default();
    }

    fn step(&mut self, uid: u32, modseq: u64) {
        let differences =
            [(u64::from(uid), u64::from(self.last.uid)), (modseq, self.last.modseq)].map(|(now, before)| {
                let by = now.wrapping_sub(before) as i64;
                (by << 1 ^ by >> 63) as u64
            });
        differences.into_iter().for_each(|n| self.number(n));
        (self.last.uid, self.last.modseq) = (uid, modseq);
    }
}

/// Reads what [`Writer`] wrote; `None` where it did not.
#[derive(Clone)]
struct Numbers {
    bytes: Arc<[u8]>,
    at: usize,
}

impl Numbers {
    fn number(&mut self) -> Option<u64> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(n);
            }
        }
        None
    }

    fn text(&mut self) -> Option<String> {
        let len = usize::try_from(self.number()?).ok()?;
        let end = self.at.checked_add(len)?;
        let text = self.bytes.get(self.at..end)?.to_vec();
        self.at = end;
        String::from_utf8(text).ok()
    }

    fn figures(&mut self) -> Option<Figures> {
        Some(Figures { uid_next: self.number()?.try_into().ok()?, modseq: self.number()? })
    }

    fn step(&mut self, last: &mut Then) -> Option<()> {
        let mut next = |before: u64| {
            let by = self.number()?;
            Some(before.wrapping_add(by >> 1 ^ (by & 1).wrapping_neg()))
        };
        last.uid = next(u64::from(last.uid))? as u32;
        last.modseq = next(last.modseq)?;
        Some(())
    }

    fn list<T>(&mut self, mut read: impl FnMut(&mut Numbers) -> Option<T>) -> Option<Vec<T>> {
        (0..self.number()?).map(|_| read(self)).collect()
    }
}

#[cfg(test)]
mod tests;
