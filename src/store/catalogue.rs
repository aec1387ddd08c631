//! What is known of every stored message without opening it: one table a kept folder, rows in UID order.
//!
//! Rows are plain structs of 80 bytes in chunks, not one column a field: every question reads several fields of a row,
//! and a pass over the flags of 100,000 messages touches 8 MB, which a core reads in about a millisecond.

use super::trees::{DomainId, Half, TreeId};
use crate::base::{Flags, UidRanges};
use crate::mail::name::{self, Base, Name, SAVED, Stamp};
use crate::mail::{Class, Kept, Kind};

/// Rows in a chunk, at the most.
const CHUNK: usize = 1024;

/// One message.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its UID.
    pub uid: u32,
    /// In whose tree it lies.
    pub tree: TreeId,
    /// That tree's domain.
    pub domain: DomainId,
    /// Its flags, as in the file name.
    pub flags: Flags,
    /// When a flag last changed, or it entered the folder.
    pub modseq: u64,
    /// Bytes with CRLF line ends, trace included.
    pub size: u64,
    /// The numbers of its id. When the name is odd, all but the seconds are meaningless: those say when it arrived.
    pub stamp: Stamp,
    /// [`Base::key`] of its id: what caches find it by.
    pub key: u64,
    /// When it entered the folder, in seconds.
    pub saved: u32,
    /// Bytes of the trace.
    pub trace: u32,
    /// Retention start in seconds, 0: its arrival.
    pub retain_from: u32,
    /// Why it is here.
    pub class: Class,
    /// What the filter saw.
    pub kind: Kind,
    /// Where the file lies.
    pub half: Half,
    /// How far these fields are its name: see [`Folder::name`].
    pub spelling: Spelling,
}

/// How far a row's fields are the name of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// The name says them and no more.
    Plain,
    /// It says `saved` besides: the id is older than the entry. So it is with all that were adopted under their own names.
    Saved,
    /// It says more than a row can hold.
    Odd,
}

/// One kept folder of the whole store.
#[derive(Default)]
pub struct Folder {
    chunks: Vec<Chunk>,
    host: Box<str>,
    len: usize,
}

struct Chunk {
    rows: Vec<Row>,
    /// Names that a row cannot hold (foreign bases, LF form, recipients left, copies) by UID, as text: a third of the memory of
    /// values, and an adopted Maildir has 100,000 of them. What they say of UID and flags is out of date.
    odd: Vec<(u32, Box<str>)>,
    /// At least the highest modseq of its rows.
    modseq: u64,
}

impl Folder {
    /// An empty folder; `host` is the one in names that this store makes.
    pub fn new(host: &str) -> Folder {
        Folder { host: host.into(), ..Folder::default() }
    }

    /// Messages in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The row of a UID.
    pub fn get(&self, uid: u32) -> Option<&Row> {
        let (chunk, at) = self.find(uid)?;
        self.chunks.get(chunk)?.rows.get(at)
    }

    /// Changes a row. The caller sets `modseq`, which must not fall.
    pub fn update<T>(&mut self, uid: u32, change: impl FnOnce(&mut Row) -> T) -> Option<T> {
        let (chunk, at) = self.find(uid)?;
        let chunk = self.chunks.get_mut(chunk)?;
        let row = chunk.rows.get_mut(at)?;
        let result = change(row);
        chunk.modseq = chunk.modseq.max(row.modseq);
        Some(result)
    }

    fn find(&self, uid: u32) -> Option<(usize, usize)> {
        let chunk = self.chunks.partition_point(|c| c.last() < uid);
        let at = self.chunks.get(chunk)?.rows.binary_search_by_key(&uid, |r| r.uid).ok()?;
        Some((chunk, at))
    }

    /// Adds a row with a UID above all others, and its name if a row cannot hold it.
    pub fn push(&mut self, row: Row, name: &Name) {
        self.put(row, self.odd_text(name));
    }

    /// The same, where the text of a name that a row cannot hold is at hand.
    pub(super) fn put(&mut self, mut row: Row, odd: Option<Box<str>>) {
        debug_assert!(self.chunks.last().is_none_or(|c| c.last() < row.uid));
        if odd.is_some() {
            row.spelling = Spelling::Odd;
        }
        self.len += 1;
        if self.chunks.last().is_none_or(|chunk| chunk.rows.len() >= CHUNK) {
            // Where there is more than one, this one will be full some day.
            let room = if self.chunks.is_empty() { 16 } else { CHUNK };
            self.chunks.push(Chunk { rows: Vec::with_capacity(room), odd: Vec::new(), modseq: 0 });
        }
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.modseq = chunk.modseq.max(row.modseq);
            chunk.odd.extend(odd.map(|text| (row.uid, text)));
            chunk.rows.push(row);
        }
    }

    /// Replaces what is known of a message's name (other than flags) in this kept folder.
    pub fn set_name(&mut self, kept: Kept, uid: u32, name: &Name) {
        let odd = self.odd_text(name);
        self.update(uid, |row| {
            row.spelling = if odd.is_some() { Spelling::Odd } else { spelling(name) };
            (row.stamp, row.retain_from, row.saved) = (stamp(name), retain_from(name), saved(name, kept));
        });
        let Some(chunk) = self.find(uid).and_then(|(chunk, _)| self.chunks.get_mut(chunk)) else { return };
        let at = chunk.odd.partition_point(|(other, _)| *other < uid);
        let known = chunk.odd.get(at).is_some_and(|(other, _)| *other == uid);
        chunk.odd.splice(at..at + usize::from(known), odd.map(|text| (uid, text)));
    }

    /// Removes the rows with these UIDs and returns those that were there.
    pub fn remove(&mut self, uids: &UidRanges) -> Vec<Row> {
        let mut gone = Vec::new();
        for chunk in &mut self.chunks {
            if uids.touches(chunk.first(), chunk.last()) {
                let mut ranges = uids.iter_from(chunk.first()).peekable();
                chunk.rows.retain(|row| {
                    while ranges.next_if(|(_, high)| *high < row.uid).is_some() {}
                    let stays = ranges.peek().is_none_or(|(low, _)| *low > row.uid);
                    if !stays {
                        gone.push(*row);
                    }
                    stays
                });
                chunk.odd.retain(|(uid, _)| !uids.contains(*uid));
            }
        }
        self.chunks.retain(|c| !c.rows.is_empty());
        self.len -= gone.len();
        gone
    }

    /// The rows from `uid` on, ascending.
    pub fn iter_from(&self, uid: u32) -> impl Iterator<Item = &Row> {
        let at = self.chunks.partition_point(|c| c.last() < uid);
        let skip = self.chunks.get(at).map_or(0, |c| c.rows.partition_point(|r| r.uid < uid));
        self.chunks.iter().skip(at).flat_map(|c| c.rows.iter()).skip(skip)
    }

    /// All rows, descending.
    pub fn newest(&self) -> impl Iterator<Item = &Row> {
        self.chunks.iter().rev().flat_map(|c| c.rows.iter().rev())
    }

    /// All rows, ascending.
    pub fn iter(&self) -> impl Iterator<Item = &Row> {
        self.iter_from(0)
    }

    /// The rows that changed after `modseq`; chunks in which none did are passed over.
    pub fn changed_since(&self, modseq: u64) -> impl Iterator<Item = &Row> {
        self.chunks
            .iter()
            .filter(move |c| c.modseq > modseq)
            .flat_map(|c| c.rows.iter())
            .filter(move |r| r.modseq > modseq)
    }

    /// The file name of a message, as it is on disk now.
    pub fn name(&self, row: &Row) -> Name {
        let name = self.odd_of(row).and_then(Name::parse).unwrap_or_else(|| Name {
            trace: row.trace,
            class: row.class,
            kind: row.kind,
            retain_from: (row.retain_from > 0).then_some(u64::from(row.retain_from)),
            more: (row.spelling == Spelling::Saved).then(|| (SAVED, row.saved.to_string())).into_iter().collect(),
            ..Name::new(self.base(row), row.size)
        });
        Name { uid: Some(row.uid), flags: (row.half == Half::Cur).then_some(row.flags), ..name }
    }

    /// Its id, without making the whole name.
    pub fn id(&self, row: &Row) -> String {
        match self.odd_of(row) {
            Some(text) => name::id_in(text).to_string(),
            None => self.base(row).to_string(),
        }
    }

    /// The id of a message whose name is not odd.
    fn base(&self, row: &Row) -> Base {
        Base::Ours(row.stamp, self.host.clone())
    }

    /// The id under which its content is known: of a copy, that of its original.
    pub fn original(&self, row: &Row) -> String {
        // Nearly none is a copy.
        match self.odd_of(row).filter(|text| text.contains(name::COPY_FIELD)) {
            Some(_) => self.name(row).original(),
            None => self.id(row),
        }
    }

    /// The message of a tree with this id; a pass over all rows.
    pub fn called(&self, tree: TreeId, base: &Base) -> Option<&Row> {
        let key = base.key();
        self.iter().filter(|row| row.tree == tree && row.key == key).find(|row| self.name(row).base == *base)
    }

    fn odd_of(&self, row: &Row) -> Option<&str> {
        if row.spelling != Spelling::Odd {
            return None;
        }
        let odd = &self.chunks.get(self.chunks.partition_point(|c| c.last() < row.uid))?.odd;
        let at = odd.binary_search_by_key(&row.uid, |(uid, _)| *uid).ok()?;
        odd.get(at).map(|(_, text)| &**text)
    }

    /// The text of a name, unless a row holds all that it says.
    fn odd_text(&self, name: &Name) -> Option<Box<str>> {
        self.is_odd(name).then(|| name.to_string().into())
    }

    /// Whether a name says what a row cannot hold.
    pub(super) fn is_odd(&self, name: &Name) -> bool {
        let plain = matches!(&name.base, Base::Ours(_, host) if **host == *self.host)
            && name.size.is_some()
            && name.wire_size.is_none()
            && name.left.is_none()
            && is_saved(&name.more)
            && name.retain_from.is_none_or(|s| u32::try_from(s).is_ok_and(|s| s > 0));
        !plain
    }
}

/// The numbers of a name's id; of one that is not ours only when the message arrived, as far as that is known.
fn stamp(name: &Name) -> Stamp {
    match &name.base {
        Base::Ours(stamp, _) => *stamp,
        Base::Foreign(_) => {
            let secs = name.base.secs().unwrap_or_else(|| u64::from(retain_from(name)));
            Stamp { secs, ..Stamp::default() }
        }
    }
}

/// Whether further fields say nothing but when a message entered the folder, as we would write it.
fn is_saved(more: &[(char, String)]) -> bool {
    match more {
        [] => true,
        [(SAVED, secs)] => secs.parse::<u32>().is_ok() && !secs.starts_with(['0', '+']),
        _ => false,
    }
}

/// That of a name that is not odd.
fn spelling(name: &Name) -> Spelling {
    if name.field(SAVED).is_some() { Spelling::Saved } else { Spelling::Plain }
}

fn retain_from(name: &Name) -> u32 {
    name.retain_from.and_then(|s| u32::try_from(s).ok()).unwrap_or(0)
}

fn saved(name: &Name, kept: Kept) -> u32 {
    name.saved().unwrap_or_else(|| entered(name, kept)).try_into().unwrap_or(u32::MAX)
}

/// When a message with this name entered the folder, as far as it shows without [`Name::saved`]: in Trash retention starts
/// with it, and a message of ours came in when its id was made.
pub(super) fn entered(name: &Name, kept: Kept) -> u64 {
    match name.base {
        Base::Ours(stamp, _) if kept != Kept::Trash => stamp.secs,
        _ => name.retain_from.or_else(|| name.base.secs()).unwrap_or(0),
    }
}

impl Row {
    /// The row that a name in this kept folder describes. `size` is the size in wire form.
    pub fn of(
        name: &Name,
        (kept, half): (Kept, Half),
        uid: u32,
        tree: TreeId,
        domain: DomainId,
        size: u64,
        modseq: u64,
    ) -> Row {
        Row {
            uid,
            tree,
            domain,
            flags: name.flags.unwrap_or_default(),
            modseq,
            size,
            stamp: stamp(name),
            key: name.base.key(),
            saved: saved(name, kept),
            trace: name.trace,
            retain_from: retain_from(name),
            class: name.class,
            kind: name.kind,
            half,
            spelling: spelling(name),
        }
    }

    /// When the message arrived, in seconds since 1970: its INTERNALDATE.
    pub fn arrival(&self) -> u64 {
        self.stamp.secs
    }
}

impl Chunk {
    fn first(&self) -> u32 {
        self.rows.first().map_or(0, |r| r.uid)
    }
    fn last(&self) -> u32 {
        self.rows.last().map_or(0, |r| r.uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn row(name: &Name, uid: u32) -> Row {
        Row::of(name, (Kept::Caught, Half::Cur), uid, TreeId(uid % 7), DomainId(0), 10, u64::from(uid))
    }

    fn name(uid: u32) -> Name {
        let host = if uid.is_multiple_of(5) { "elsewhere" } else { "h" };
        let mut name = Name::new(Base::new(Timestamp(u64::from(uid) * 1_000_003), 1, uid, host), 10);
        name.uid = Some(uid);
        name.flags = Some(Flags::NONE);
        // When it entered: as we say it, as another program may have, with a field of somebody else, and twice; the first second.
        match uid % 13 {
            1 => name.with_field(SAVED, Some((uid * 7919).to_string())),
            2 => name.with_field(SAVED, Some(format!("0{uid}"))),
            3 => name.with_field(SAVED, Some("5".into())).with_field('Z', Some("z".into())),
            4 => Name { more: vec![(SAVED, "5".into()), (SAVED, "6".into())], ..name },
            5 => Name { retain_from: Some(0), ..name },
            _ => name,
        }
    }

    #[test]
    fn a_row_is_small() {
        assert!(size_of::<Row>() <= 80, "{}", size_of::<Row>());
    }

    #[test]
    fn the_time_of_an_entry_needs_no_text_of_the_name() {
        let mut folder = Folder::new("h");
        let adopted =
            |uid| Name { more: vec![(SAVED, "1700000000".into())], ..Name::parse(&name(uid).to_string()).unwrap() };
        for uid in 1..5 {
            folder.push(row(&adopted(uid), uid), &adopted(uid));
            assert_eq!(folder.name(folder.get(uid).unwrap()), adopted(uid));
        }
        assert!(folder.chunks.iter().all(|chunk| chunk.odd.is_empty()), "a million of them are 100 MB");
    }

    #[test]
    fn an_id_is_not_found_by_its_beginning() {
        let mut folder = Folder::new("h");
        for (uid, text) in [(1, "abcd,S=10"), (2, "abc,S=10:2,S"), (3, "abc")] {
            let name = Name::parse(text).unwrap();
            folder.push(Row { tree: TreeId(uid), ..row(&name, uid) }, &name);
        }
        let called = |tree, id: &str| folder.called(TreeId(tree), &Base::parse(id)).map(|row| row.uid);
        assert_eq!([called(1, "abcd"), called(2, "abc"), called(3, "abc")], [Some(1), Some(2), Some(3)]);
        assert_eq!([called(1, "abc"), called(2, "ab"), called(4, "abc")], [None; 3]);
    }

    proptest! {
        #[test]
        fn is_a_map_by_uid(uids in proptest::collection::btree_set(1u32..5000, 1..3000), gone in proptest::collection::btree_set(1u32..5000, 0..800)) {
            let mut folder = Folder::new("h");
            let mut model = BTreeMap::new();
            for &uid in &uids {
                folder.push(row(&name(uid), uid), &name(uid));
                model.insert(uid, name(uid));
            }
            let removed = folder.remove(&gone.iter().copied().collect());
            for row in removed {
                prop_assert!(model.remove(&row.uid).is_some());
            }
            prop_assert_eq!(folder.len(), model.len());
            prop_assert!(folder.iter().map(|r| r.uid).eq(model.keys().copied()));
            for (uid, name) in &model {
                let row = *folder.get(*uid).unwrap();
                prop_assert_eq!(&folder.name(&row), name);
                prop_assert_eq!(row.arrival(), name.base.secs().unwrap());
                prop_assert_eq!(folder.called(row.tree, &name.base).map(|row| row.uid), Some(*uid));
                prop_assert!(folder.called(TreeId(row.tree.0 + 1), &name.base).is_none());
            }
            prop_assert_eq!(folder.changed_since(2500).count(), model.keys().filter(|&&u| u > 2500).count());
        }
    }
}
