//! What a session last told its client about the open folder, and what there is to tell now.

use super::capability::Enabled;
use super::contexts::Contexts;
use super::question::{Changes, FlagRow, Selected};
use super::results::Lines;
use super::write::{self, push};
use crate::base::{Flags, UidList, UidRanges, limits};
use std::collections::VecDeque;
use std::sync::Arc;

/// UIDs, or ranges of them, in one VANISHED line.
const VANISHED_IN_A_LINE: usize = 1_000;

/// The open folder as the client knows it.
#[derive(Debug)]
pub struct View {
    /// Its listed name.
    pub name: String,
    /// The messages; position + 1 is the sequence number.
    pub list: UidList,
    /// `\Recent` in this session.
    pub recent: Arc<UidRanges>,
    /// Up to where changes of flags were told.
    pub modseq: u64,
    /// Up to where everything was told, removals too: what HIGHESTMODSEQ may say (RFC 7162 3.2).
    pub settled: u64,
    /// UIDNEXT.
    pub uid_next: u32,
    /// EXAMINE, or a folder that can only be read.
    pub read_only: bool,
    /// Flags that STORE may change.
    pub permanent: Flags,
    /// What `$` stands for (RFC 5182 2.1).
    pub saved: UidRanges,
    /// Searches whose results are kept up to date.
    pub contexts: Contexts,
    /// Messages from this UID on came since this was last taken.
    pub news_from: Option<u32>,
    /// Changes that the client knows from the command that made them; until the next poll has passed them.
    told: Vec<FlagRow>,
}

/// What of a poll may be told now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tell {
    /// Removals: they change sequence numbers (RFC 3501 7.4.1).
    pub removals: bool,
    /// Changes of flags.
    pub flags: bool,
}

impl View {
    /// A folder that was just opened.
    pub fn new(selected: Selected, enabled: Enabled) -> Self {
        // RFC 9051 E: it has no \Recent
        let recent = if enabled.rev2 { UidRanges::new() } else { selected.recent };
        View {
            name: selected.name,
            list: selected.list,
            recent: Arc::new(recent),
            modseq: selected.figures.modseq,
            settled: selected.figures.modseq,
            uid_next: selected.figures.uid_next,
            read_only: selected.read_only,
            permanent: selected.permanent,
            saved: UidRanges::new(),
            contexts: Contexts::default(),
            news_from: None,
            told: Vec::new(),
        }
    }

    /// Forgets what the client knows: it wants to be told of nothing, and a later poll tells it once more.
    pub fn forget_told(&mut self) {
        self.told.clear();
    }

    /// The client knows these flags already.
    pub fn told(&mut self, rows: impl IntoIterator<Item = FlagRow>) {
        self.told.extend(rows);
    }

    /// Takes what a poll found. The list that numbers messages changes here, so the lines of the result must be written
    /// before anything else. Messages whose removal may not be told keep their place until a later poll.
    pub fn update(&mut self, changes: Changes, tell: Tell, enabled: Enabled) -> Announcement {
        let mut told = std::mem::take(&mut self.told);
        told.sort_unstable_by_key(|row| (row.uid, row.modseq));
        let known = |row: &FlagRow| {
            let after = told.partition_point(|t| t.uid <= row.uid);
            let last = after.checked_sub(1).and_then(|at| told.get(at));
            last.is_some_and(|t| t.uid == row.uid && t.modseq >= row.modseq)
        };
        let had = self.list.clone();
        let mut gone = had.missing_in(&changes.list);
        let pending = !tell.removals && !gone.is_empty();
        if pending {
            gone.clear();
            self.list = had.with_tail(&changes.list);
        } else {
            self.list = changes.list;
            self.settled = changes.modseq;
        }
        // a message that came since is told by EXISTS; its flags are asked for
        let last = had.last().unwrap_or(0);
        let left = self.contexts.update(&gone, &changes.flags, self.list.iter_from(last.saturating_add(1)));
        let flags = changes.flags.into_iter().filter(|row| tell.flags && row.uid <= last && !known(row)).collect();
        if !changes.recent.is_empty() && !enabled.rev2 {
            let recent = Arc::make_mut(&mut self.recent);
            changes.recent.iter().for_each(|(low, high)| recent.add(low, high));
        }
        self.modseq = changes.modseq;
        self.uid_next = self.uid_next.max(changes.uid_next);
        if self.list.last() > had.last() {
            self.news_from.get_or_insert(last.saturating_add(1));
        }
        let grown = self.list.len() as usize + gone.len() > had.len() as usize;
        // RFC 7162 3.2, 6: what HIGHESTMODSEQ is must be said while removals are held back, and after they were told
        let settled = (pending || !gone.is_empty()).then_some(self.settled);
        Announcement { had, left, gone, at: 0, grown, flags, flags_at: 0, settled }
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
    /// Results that lose some of them: told first, while they have numbers (RFC 5267 4.3.4).
    left: VecDeque<Lines>,
    gone: Vec<u32>,
    at: usize,
    /// EXISTS is due.
    grown: bool,
    flags: Vec<FlagRow>,
    flags_at: usize,
    /// HIGHESTMODSEQ, when a client that counts on VANISHED must be told.
    pub settled: Option<u64>,
}

impl Announcement {
    /// Writes lines until `out` is full enough; says whether that was all.
    pub fn write(&mut self, view: &View, enabled: Enabled, out: &mut Vec<u8>) -> bool {
        while let Some(lines) = self.left.front_mut() {
            if !lines.write(&self.had, out) {
                return false;
            }
            self.left.pop_front();
        }
        while let Some(gone) = self.gone.get(self.at..).filter(|gone| !gone.is_empty()) {
            if out.len() >= limits::OUTPUT_BYTES {
                return false;
            }
            if enabled.qresync {
                let gone = gone.get(..VANISHED_IN_A_LINE).unwrap_or(gone);
                out.extend_from_slice(b"* VANISHED ");
                write::uid_set(out, gone);
                out.extend_from_slice(b"\r\n");
                self.at += gone.len();
            } else if let Some(&uid) = gone.first() {
                // each line renumbers what follows it (RFC 3501 7.4.1), and all before this one are lower
                push(out, format_args!("* {} EXPUNGE\r\n", self.had.rank(uid) + 1 - self.at as u32));
                self.at += 1;
            }
        }
        if std::mem::take(&mut self.grown) {
            write_exists(out, view, enabled);
        }
        while let Some(row) = self.flags.get(self.flags_at) {
            if out.len() >= limits::OUTPUT_BYTES {
                return false;
            }
            if let Some(seq) = view.list.seq(row.uid) {
                flag_line(out, seq, row, view, enabled, Show { uid: true, flags: true });
            }
            self.flags_at += 1;
        }
        true
    }
}

/// `* n EXISTS`, and RECENT where there is such a thing.
pub fn write_exists(out: &mut Vec<u8>, view: &View, enabled: Enabled) {
    push(out, format_args!("* {} EXISTS\r\n", view.list.len()));
    if !enabled.rev2 {
        // RFC 9051 E: it has no RECENT
        push(out, format_args!("* {} RECENT\r\n", view.recent_count()));
    }
}

/// What a FETCH line that nobody asked for shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Show {
    /// The client works with UIDs.
    pub uid: bool,
    /// It has not said `.SILENT`.
    pub flags: bool,
}

/// `* seq FETCH (UID … FLAGS … MODSEQ …)`.
pub fn flag_line(out: &mut Vec<u8>, seq: u32, row: &FlagRow, view: &View, enabled: Enabled, show: Show) {
    let mut next = "(";
    push(out, format_args!("* {seq} FETCH "));
    // RFC 7162 3.2.4: a client that counts on VANISHED needs the UID always
    if show.uid || enabled.qresync {
        push(out, format_args!("{next}UID {}", row.uid));
        next = " ";
    }
    if show.flags {
        push(out, format_args!("{next}FLAGS "));
        write::flags(out, row.flags, view.recent.contains(row.uid));
        next = " ";
    }
    if enabled.condstore {
        push(out, format_args!("{next}MODSEQ ({})", row.modseq));
    }
    out.extend_from_slice(b")\r\n");
}

/// `* VANISHED (EARLIER) …`: those of `gone` that are not in `list` (RFC 7162 3.2.10.1).
pub fn write_earlier(out: &mut Vec<u8>, gone: &UidRanges, list: &UidList) {
    let mut in_line = 0;
    let mut range = |low: u32, high: u32| {
        if low > high {
            return;
        }
        if in_line == VANISHED_IN_A_LINE {
            out.extend_from_slice(b"\r\n");
            in_line = 0;
        }
        out.extend_from_slice(if in_line == 0 { b"* VANISHED (EARLIER) " } else { b"," });
        in_line += 1;
        match low == high {
            true => push(out, format_args!("{low}")),
            false => push(out, format_args!("{low}:{high}")),
        }
    };
    for (low, high) in gone.iter() {
        let mut from = low;
        for uid in list.iter_from(low).take_while(|&uid| uid <= high) {
            range(from, uid - 1);
            from = uid.saturating_add(1);
        }
        range(from, high);
    }
    if in_line > 0 {
        out.extend_from_slice(b"\r\n");
    }
}
