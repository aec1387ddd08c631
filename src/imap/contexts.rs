//! Searches whose results a session keeps up to date (RFC 5267 4.3): what is in each result, and what has to be looked at
//! again.

use super::question::FlagRow;
use super::results::Lines;
use super::search::Key;
use crate::base::{UidRanges, limits};
use std::collections::VecDeque;
use std::sync::Arc;

/// One search.
#[derive(Debug)]
pub struct Context {
    /// The tag of its command.
    pub tag: String,
    /// It was a UID SEARCH.
    pub uid: bool,
    /// What it looks for. Sequence numbers in it mean what they meant when it was asked.
    pub key: Arc<Key>,
    /// The messages that the client knows to be in it.
    pub result: UidRanges,
}

/// Those of an open folder.
#[derive(Debug, Default)]
pub struct Contexts {
    /// In the order in which they were asked for.
    pub all: Vec<Context>,
    /// Messages that came or changed since the results were true.
    pub changed: UidRanges,
}

impl Contexts {
    /// Keeps one more, unless they would hold too much together; the first one always has room (RFC 5267 4.3.1).
    pub fn add(&mut self, context: Context) -> bool {
        let held: usize = self.all.iter().map(|context| context.result.iter().count()).sum();
        let fits =
            self.all.len() < limits::SEARCH_CONTEXTS && held + context.result.iter().count() <= limits::CONTEXT_RANGES;
        let takes = fits || self.all.is_empty();
        if takes {
            self.all.push(context);
        }
        takes
    }

    /// Whether a search with this tag is among them.
    pub fn has(&self, tag: &str) -> bool {
        self.all.iter().any(|context| context.tag == tag)
    }

    /// Takes what a poll found: notes what has to be looked at, and gives the lines for messages that are gone, which can
    /// be in no result any more.
    pub fn update(&mut self, gone: &[u32], flags: &[FlagRow], new: impl Iterator<Item = u32>) -> VecDeque<Lines> {
        if self.all.is_empty() {
            return VecDeque::new();
        }
        self.changed = self.changed.iter().chain(flags.iter().map(|row| (row.uid, row.uid))).collect();
        new.for_each(|uid| self.changed.add(uid, uid));
        let all_gone: UidRanges = gone.iter().copied().collect();
        let mut lines = VecDeque::new();
        for context in &mut self.all {
            let left: Vec<u32> = gone.iter().copied().filter(|&uid| context.result.contains(uid)).collect();
            if !left.is_empty() {
                context.result = context.result.without(&all_gone);
                lines.push_back(Lines::change(&context.tag, context.uid, "REMOVEFROM", left));
            }
        }
        lines
    }
}

impl Context {
    /// Of the messages that were looked at again, those in `hits` match; the lines that say what is different.
    pub fn looked(&mut self, at: &[u32], hits: &UidRanges) -> Vec<Lines> {
        let among = |inside: bool, result: &UidRanges| -> Vec<u32> {
            let changed = |uid: &u32| hits.contains(*uid) == inside && result.contains(*uid) != inside;
            at.iter().copied().filter(changed).collect()
        };
        let (left, came) = (among(false, &self.result), among(true, &self.result));
        if !left.is_empty() {
            self.result = self.result.without(&left.iter().copied().collect());
        }
        came.iter().for_each(|&uid| self.result.add(uid, uid));
        let line =
            |word: &str, uids: Vec<u32>| (!uids.is_empty()).then(|| Lines::change(&self.tag, self.uid, word, uids));
        [line("REMOVEFROM", left), line("ADDTO", came)].into_iter().flatten().collect()
    }
}
