//! What SORT and THREAD gather of the messages that were found, before they can answer. Whoever answers the question
//! keeps it between two pieces.

use super::content::{Content, Row};
use super::question::{Answer, Found, Search};
use super::search::{self, Against};
use super::sort::{Criterion, Sorter};
use super::thread::{Algorithm, Forest};
use std::io;
use std::sync::Arc;

/// In which order a search answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// As in the mailbox: SEARCH.
    Mailbox,
    /// SORT.
    Sorted(Arc<[Criterion]>),
    /// THREAD.
    Threads(Algorithm),
}

/// What was found so far.
#[derive(Debug)]
pub struct Gathering {
    kind: Kind,
    /// UID, modseq and score of each message, when a SORT's answer needs them.
    extra: Vec<(u32, u64, u8)>,
}

#[derive(Debug)]
enum Kind {
    Mailbox,
    Sorted(Sorter),
    Threads(Forest),
}

/// Whether a message matches, as far as its row alone tells; `None`: it has to be looked at.
pub fn look_at_row(search: &Search, row: &Row) -> Option<bool> {
    let against = Against { recent: &search.recent, now: search.now };
    if search.with_scores { None } else { search::row_matches(&search.key, row, &against) }
}

/// Whether a message matches, its modseq and score as far as the question wants them.
pub fn look(search: &Search, content: &mut dyn Content) -> io::Result<Option<(u64, u8)>> {
    let against = Against { recent: &search.recent, now: search.now };
    if !search::matches(&search.key, content, &against)? {
        return Ok(None);
    }
    let score = if search.with_scores { search::score(&search.key, content)? } else { 0 };
    Ok(Some((content.row().modseq, score)))
}

impl Gathering {
    /// Nothing was found yet.
    pub fn new(order: &Order) -> Self {
        let kind = match order {
            Order::Mailbox => Kind::Mailbox,
            Order::Sorted(criteria) => Kind::Sorted(Sorter::new(criteria)),
            Order::Threads(algorithm) => Kind::Threads(Forest::new(*algorithm)),
        };
        Gathering { kind, extra: Vec::new() }
    }

    /// Adds a message that matches; its UID is above all before.
    pub fn add(&mut self, search: &Search, content: &mut dyn Content, modseq: u64, score: u8) -> io::Result<()> {
        match &mut self.kind {
            Kind::Mailbox => return Ok(()),
            Kind::Sorted(sorter) => sorter.add(content, score)?,
            Kind::Threads(forest) => forest.add(content)?,
        }
        if search.with_modseqs || search.with_scores {
            self.extra.push((content.row().uid, modseq, score));
        }
        Ok(())
    }

    /// About how much memory it uses.
    pub fn bytes(&self) -> usize {
        let keys = match &self.kind {
            Kind::Mailbox => 0,
            Kind::Sorted(sorter) => sorter.bytes(),
            Kind::Threads(forest) => forest.bytes(),
        };
        keys + self.extra.capacity() * size_of::<(u32, u64, u8)>()
    }

    /// All were added: goes on with ordering them until it is done or `over` says that it is enough; whether it is done.
    pub fn order(&mut self, over: &mut dyn FnMut() -> bool) -> bool {
        match &mut self.kind {
            Kind::Sorted(sorter) => sorter.order(over),
            Kind::Mailbox | Kind::Threads(_) => true,
        }
    }

    /// The answer, once [`Gathering::order`] is done.
    pub fn finish(self, search: &Search) -> Answer {
        let uids = match self.kind {
            Kind::Threads(forest) => return Answer::Threads(forest.finish()),
            Kind::Sorted(sorter) => sorter.finish(),
            Kind::Mailbox => Vec::new(),
        };
        let mut found = Found { uids, ..Found::default() };
        for uid in &found.uids {
            let at = self.extra.binary_search_by_key(uid, |extra| extra.0);
            let Some(&(_, modseq, score)) = at.ok().and_then(|at| self.extra.get(at)) else { break };
            if search.with_modseqs {
                found.modseqs.push(modseq);
            }
            if search.with_scores {
                found.scores.push(score);
            }
        }
        Answer::Found(found)
    }
}
