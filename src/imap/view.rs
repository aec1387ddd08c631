//! What a session last told its client about the open folder, and what there is to tell now.

use super::question::{Changes, FlagRow, Selected};
use super::write::{self, push};
use crate::base::{Flags, UidList, UidRanges, limits};
use std::sync::Arc;

/// The open folder as the client knows it.
#[derive(Debug)]
pub struct View {
    /// The messages; position + 1 is the sequence number.
    pub list: UidList,
    /// `\Recent` in this session.
    pub recent: Arc<UidRanges>,
    /// Up to where changes were told.
    pub modseq: u64,
    /// EXAMINE, or a folder that can only be read.
    pub read_only: bool,
    /// Flags that STORE may change.
    pub permanent: Flags,
    /// Changes that the client knows from the command that made them; until the next poll has passed them.
    told: Vec<FlagRow>,
}

impl View {
    /// A folder that was just opened.
    pub fn new(selected: Selected) -> Self {
        View {
            list: selected.list,
            recent: Arc::new(selected.recent),
            modseq: selected.figures.modseq,
            read_only: selected.read_only,
            permanent: selected.permanent,
            told: Vec::new(),
        }
    }

    /// The client knows these flags already.
    pub fn told(&mut self, rows: impl IntoIterator<Item = FlagRow>) {
        self.told.extend(rows);
    }

    /// Takes what a poll found. The list that numbers messages changes here, so the lines of the result must be written
    /// before anything else. With `numbers_stay`, messages that are gone keep their place until a later poll.
    pub fn update(&mut self, changes: Changes, numbers_stay: bool) -> Announcement {
        let mut told = std::mem::take(&mut self.told);
        told.sort_unstable_by_key(|row| (row.uid, row.modseq));
        let known = |row: &FlagRow| {
            let after = told.partition_point(|t| t.uid <= row.uid);
            let last = after.checked_sub(1).and_then(|at| told.get(at));
            last.is_some_and(|t| t.uid == row.uid && t.modseq >= row.modseq)
        };
        let had = self.list.clone();
        let gone = if numbers_stay { Vec::new() } else { had.missing_in(&changes.list) };
        self.list = if numbers_stay { had.with_tail(&changes.list) } else { changes.list };
        // a message that came since is told by EXISTS; its flags are asked for
        let last = had.last().unwrap_or(0);
        let flags = changes.flags.into_iter().filter(|row| row.uid <= last && !known(row)).collect();
        if !changes.recent.is_empty() {
            let recent = Arc::make_mut(&mut self.recent);
            changes.recent.iter().for_each(|(low, high)| recent.add(low, high));
        }
        self.modseq = changes.modseq;
        let grown = self.list.len() as usize + gone.len() > had.len() as usize;
        Announcement { had, gone, at: 0, grown, flags, flags_at: 0 }
    }

    /// How many messages are `\Recent`.
    pub fn recent_count(&self) -> usize {
        self.list.within(&self.recent).count()
    }
}

/// Lines that are still to be written.
#[derive(Debug)]
pub struct Announcement {
    /// The list before; it numbers those that are gone.
    had: UidList,
    gone: Vec<u32>,
    at: usize,
    /// EXISTS is due.
    grown: bool,
    flags: Vec<FlagRow>,
    flags_at: usize,
}

impl Announcement {
    /// Writes lines until `out` is full enough; says whether that was all.
    pub fn write(&mut self, view: &View, out: &mut Vec<u8>) -> bool {
        while let Some(&uid) = self.gone.get(self.at) {
            if out.len() >= limits::OUTPUT_BYTES {
                return false;
            }
            // each line renumbers what follows it (RFC 3501 7.4.1), and all before this one are lower
            push(out, format_args!("* {} EXPUNGE\r\n", self.had.rank(uid) + 1 - self.at as u32));
            self.at += 1;
        }
        if std::mem::take(&mut self.grown) {
            push(out, format_args!("* {} EXISTS\r\n* {} RECENT\r\n", view.list.len(), view.recent_count()));
        }
        while let Some(row) = self.flags.get(self.flags_at) {
            if out.len() >= limits::OUTPUT_BYTES {
                return false;
            }
            if let Some(seq) = view.list.seq(row.uid) {
                flag_line(out, seq, row, view, true);
            }
            self.flags_at += 1;
        }
        true
    }
}

/// `* seq FETCH (FLAGS …)`, with the UID where the client works with UIDs.
pub fn flag_line(out: &mut Vec<u8>, seq: u32, row: &FlagRow, view: &View, uid: bool) {
    push(out, format_args!("* {seq} FETCH ("));
    if uid {
        push(out, format_args!("UID {} ", row.uid));
    }
    out.extend_from_slice(b"FLAGS ");
    write::flags(out, row.flags, view.recent.contains(row.uid));
    out.extend_from_slice(b")\r\n");
}
