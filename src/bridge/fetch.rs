//! FETCH over the open folder.

use super::cached::{Made, Which};
use super::content::{Among, Message, may_keep};
use super::crew::Crew;
use super::imap::{ImapBridge, flag_row, refused};
use super::turn::Turn;
use crate::base::{Flags, Seqs, UidRanges, limits};
use crate::imap::binary::Trouble;
use crate::imap::fetch::Lines;
use crate::imap::question::{Answer, Fetch, FlagRow, Refusal, Rows};
use crate::quarantine::mailbox::Content;
use crate::store::{Flagging, Row, Store};
use std::io;

impl ImapBridge {
    pub(super) fn fetch(&self, wanted: &Fetch) -> Result<Answer, Refusal> {
        let Some(content) = self.content()? else { return Ok(Answer::Rows(Rows::default())) };
        let store = &self.shared.quarantine.store;
        let mut turn = Turn::new(store);
        let mut fetching = Fetching::new(wanted, store, content);
        let mut left = wanted.list.within_from(&wanted.uids, wanted.from).peekable();
        while fetching.rows.next.is_none()
            && let Some(&first) = left.peek()
        {
            if turn.is_over_before(limits::GROUP) {
                fetching.rows.next = Some(first);
                break;
            }
            let mut group = fetching.look_up(left.by_ref().take(limits::GROUP));
            fetching.among.expect(&group);
            if fetching.is_worth_sharing(&group) {
                while left.peek().is_some()
                    && group.len() < limits::AHEAD
                    && fetching.work(&group) < limits::AHEAD_BYTES
                {
                    group.extend(fetching.look_up(left.by_ref().take(limits::GROUP)));
                }
                fetching.among.expect(&group);
                fetching.add_shared(&group, &self.shared.crew);
                continue;
            }
            if wanted.mark_seen {
                let changed = self.mark_seen(content, &mut group)?;
                fetching.rows.changed.extend(changed);
            }
            for (nth, row) in group.iter().enumerate() {
                fetching.add(nth, row, Made::default());
            }
        }
        Ok(Answer::Rows(fetching.finish()))
    }

    fn mark_seen(&self, content: &Content, found: &mut [Row]) -> Result<Vec<FlagRow>, Refusal> {
        let unseen: UidRanges = found.iter().filter(|r| !r.flags.has(Flags::SEEN)).map(|r| r.uid).collect();
        if unseen.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.shared.quarantine.set_flags(content, &unseen, Flagging::Add, Flags::SEEN, None);
        let rows = rows.map_err(|fault| refused(fault.into()))?.rows;
        for row in found.iter_mut() {
            if let Some(new) = rows.iter().find(|new| new.uid == row.uid) {
                (row.flags, row.modseq) = (new.flags, new.modseq);
            }
        }
        Ok(rows.iter().map(flag_row).collect())
    }
}

/// A piece of an answer, as it grows.
struct Fetching<'a> {
    wanted: &'a Fetch,
    store: &'a Store,
    content: &'a Content,
    seqs: Seqs<'a>,
    /// What the lines take of the caches.
    records: Which,
    rows: Rows,
    lines: Lines<'a>,
    /// The messages that are looked at.
    among: Among,
}

impl<'a> Fetching<'a> {
    fn new(wanted: &'a Fetch, store: &'a Store, content: &'a Content) -> Self {
        let (seqs, records) = (wanted.list.seqs(), Which::of(&wanted.items));
        let (rows, lines, among) = (Rows::default(), Lines::new(wanted), Among::default());
        Fetching { wanted, store, content, seqs, records, rows, lines, among }
    }

    /// Those of these messages that are still there, and are wanted.
    fn look_up(&mut self, uids: impl Iterator<Item = u32>) -> Vec<Row> {
        let uids: Vec<u32> = uids.collect();
        let mut found = rows_of(self.store, self.content, &uids);
        self.rows.vanished |= found.len() < uids.len();
        found.retain(|row| row.modseq > self.wanted.since);
        found
    }

    /// Whether the caches lack something of more than one of these messages, among which it looks.
    fn is_worth_sharing(&mut self, group: &[Row]) -> bool {
        // What is marked is marked shortly before it is sent.
        if self.records.is_none() || self.wanted.mark_seen || !may_keep(self.store) {
            return false;
        }
        (0..group.len()).filter(|&nth| !self.among.lacks(self.store, nth, self.records).is_none()).nth(1).is_some()
    }

    /// Bytes that are to be parsed. Of headers few are.
    fn work(&self, group: &[Row]) -> u64 {
        if self.records.parsed { group.iter().map(|row| row.size).sum() } else { 0 }
    }

    /// Adds the lines of these messages, while others make what they take. Of a message that cannot be read nothing is made:
    /// its line tells why.
    fn add_shared(&mut self, group: &[Row], crew: &Crew) {
        let (store, content) = (self.store, self.content);
        let lacks = |(nth, row)| (row, self.among.lacks(store, nth, self.records));
        let lacking: Vec<(&Row, Which)> = group.iter().enumerate().map(lacks).collect();
        let make = |_: &mut (), &(row, which): &(&Row, Which)| {
            Message::new(store, content.sight, content.kept, row).make_ahead(which).unwrap_or_default()
        };
        let take = |nth: usize, made| {
            if let Some(row) = group.get(nth) {
                self.add(nth, row, made);
            }
        };
        crew.each(&lacking, || (), make, take);
    }

    /// Adds the line of a message of which this was made, unless there are enough of them.
    fn add(&mut self, nth: usize, row: &Row, made: Made) {
        let mut message =
            Message::new(self.store, self.content.sight, self.content.kept, row).among(&mut self.among, nth);
        message.keep(made);
        if self.lines.len() > limits::ANSWER_BYTES as u64 {
            // What changed already is told with the rows that come later, too.
            self.rows.next.get_or_insert(row.uid);
            return;
        }
        let Some(seq) = self.seqs.of(row.uid) else { return };
        match self.lines.add(seq, &mut message) {
            Ok(()) => {}
            Err(Trouble::Io(error)) if error.kind() == io::ErrorKind::NotFound => self.rows.vanished = true,
            Err(Trouble::Io(error)) => {
                log::error!("message {} cannot be read: {error}", row.uid);
                let text = "a message could not be read; the log of the server says why";
                self.rows.refused.get_or_insert_with(|| Refusal::new("CORRUPTION", text));
            }
            Err(trouble) => self.rows.refused = self.rows.refused.take().or(trouble.refusal()),
        }
    }

    fn finish(mut self) -> Rows {
        self.among.write(self.store);
        self.rows.pieces = self.lines.into_pieces();
        self.rows
    }
}

/// The messages with these UIDs, which ascend.
pub fn rows_of(store: &Store, content: &Content, uids: &[u32]) -> Vec<Row> {
    let ranges: UidRanges = uids.iter().copied().collect();
    let mut found = Vec::with_capacity(uids.len());
    store.rows(content.sight, content.kept, &ranges, |row, _| {
        found.push(*row);
        true
    });
    found
}
