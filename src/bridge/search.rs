//! SEARCH, SORT and THREAD over the open folder.

use super::content::{Among, Message, listed};
use super::fetch::rows_of;
use super::imap::ImapBridge;
use super::memory::{Memory, Share};
use super::turn::{Pace, Turn};
use crate::base::limits;
use crate::imap::gather::{self, Gathering};
use crate::imap::question::{Answer, Found, Refusal, Search};
use crate::quarantine::mailbox::Content;
use crate::store::Store;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// What a SORT or THREAD has gathered between two pieces.
pub(super) struct Ordering {
    gathering: Gathering,
    /// All messages were looked at.
    is_whole: bool,
    share: Share,
}

impl Ordering {
    fn new(wanted: &Search, memory: &Arc<Memory>) -> Self {
        Ordering { gathering: Gathering::new(&wanted.order), is_whole: false, share: Share::of(memory) }
    }
}

impl ImapBridge {
    pub(super) fn search(&mut self, wanted: &Search) -> Result<Answer, Refusal> {
        let kept = self.ordering.take().filter(|kept| kept.is_whole || wanted.from > 0);
        let mut ordering = kept.unwrap_or_else(|| Ordering::new(wanted, &self.shared.ordering));
        let mut turn = Turn::of_search(&self.shared.quarantine.store);
        if !ordering.is_whole {
            let mut pace = if wanted.from > 0 { self.pace } else { Pace::default() };
            let found = self.look(wanted, &mut ordering, &mut turn, &mut pace)?;
            self.pace = pace;
            if !ordering.share.is(ordering.gathering.bytes()) {
                return Err(Refusal::new(
                    "LIMIT",
                    "to order so many messages takes more memory than there is now: search for fewer, or try again later",
                ));
            }
            ordering.is_whole = found.next.is_none();
            if wanted.order == gather::Order::Mailbox {
                return Ok(Answer::Found(found));
            }
            if !ordering.is_whole {
                self.ordering = Some(ordering);
                return Ok(Answer::Found(found));
            }
        }
        if ordering.gathering.order(&mut || turn.is_over()) {
            return Ok(ordering.gathering.finish(wanted));
        }
        self.ordering = Some(ordering);
        Ok(Answer::Ordering)
    }

    /// Looks at messages until the turn is over. What SORT and THREAD find is gathered, the rest returned.
    fn look(
        &self,
        wanted: &Search,
        ordering: &mut Ordering,
        turn: &mut Turn<'_>,
        pace: &mut Pace,
    ) -> Result<Found, Refusal> {
        let mut found = Found::default();
        let Some(content) = self.content()? else { return Ok(found) };
        let store = &self.shared.quarantine.store;
        let most = if wanted.order == gather::Order::Mailbox { limits::BATCH } else { limits::SPAN };
        let mut from = wanted.from;
        loop {
            // Before it is known how long they take, a few.
            let span = pace.within(SPAN).clamp(FEWEST, limits::SPAN);
            let size = pace.within(turn.left() * 2).clamp(span, most);
            let batch = wanted.list.some_from(from, size);
            let (Some(&first), Some(&last)) = (batch.first(), batch.last()) else { return Ok(found) };
            if turn.is_over_before(batch.len()) || found.uids.len() >= limits::SEARCH_HITS {
                found.next = Some(first);
                return Ok(found);
            }
            let before = turn.spent();
            let spans: Vec<&[u32]> = batch.chunks(span).collect();
            let look = |among: &mut Among, uids: &&[u32]| match uids.first() {
                // With the first one the search goes on in any case.
                Some(&uid) if uid > wanted.from && turn.is_over_now(0) => {
                    Looked { hits: Vec::new(), stopped: Some(uid) }
                }
                _ => look_at(wanted, store, content, uids, turn, among),
            };
            let looked = self.shared.crew.map(&spans, Among::default, look);
            let stopped = looked.iter().filter_map(|looked| looked.stopped).min();
            for looked in looked {
                let hits = looked.hits.iter().filter(|hit| stopped.is_none_or(|stopped| hit.uid < stopped));
                match wanted.order {
                    gather::Order::Mailbox => list(wanted, hits, &mut found),
                    _ => self.gather(wanted, content, &hits.collect::<Vec<_>>(), ordering),
                }
            }
            let done = stopped.map_or(batch.len(), |stopped| batch.partition_point(|&uid| uid < stopped));
            pace.learn(done, turn.spent().saturating_sub(before));
            if stopped.is_some() {
                found.next = stopped;
                return Ok(found);
            }
            from = last.saturating_add(1);
        }
    }

    fn gather(&self, wanted: &Search, content: &Content, hits: &[&Hit], ordering: &mut Ordering) {
        let store = &self.shared.quarantine.store;
        let rows = rows_of(store, content, &hits.iter().map(|hit| hit.uid).collect::<Vec<u32>>());
        let mut among = Among::default();
        among.expect(&rows);
        let mut hits = hits.iter();
        for (nth, row) in rows.iter().enumerate() {
            // Both ascend, and what has gone meanwhile is not found.
            let Some(hit) = hits.find(|hit| hit.uid == row.uid) else { break };
            let mut message = Message::new(store, content.sight, content.kept, row).among(&mut among, nth);
            if let Err(error) = ordering.gathering.add(wanted, &mut message, hit.modseq, hit.score) {
                complain(row.uid, &error);
            }
        }
        among.write(store);
    }
}

/// Adds hits to what a SEARCH found.
fn list<'a>(wanted: &Search, hits: impl Iterator<Item = &'a Hit>, found: &mut Found) {
    for hit in hits {
        found.uids.push(hit.uid);
        if wanted.with_modseqs {
            found.modseqs.push(hit.modseq);
        }
        if wanted.with_scores {
            found.scores.push(hit.score);
        }
    }
}

/// Messages that one thread looks at in a row, at the least; those of the crew who are free take one such span after the other.
const FEWEST: usize = 4;
/// About how long a thread takes for a span: so long that taking it costs little beside, and so short that none of them is late.
const SPAN: Duration = Duration::from_micros(200);

/// A message that matches.
struct Hit {
    uid: u32,
    modseq: u64,
    score: u8,
}

/// What a look at a span of messages found.
struct Looked {
    hits: Vec<Hit>,
    /// The turn was over before this one.
    stopped: Option<u32>,
}

/// Looks at a span of messages, one at least.
fn look_at(
    wanted: &Search,
    store: &Store,
    content: &Content,
    uids: &[u32],
    turn: &Turn<'_>,
    among: &mut Among,
) -> Looked {
    let (mut hits, mut stopped, mut unknown) = (Vec::new(), None, Vec::new());
    let ranges = uids.iter().copied().collect();
    store.rows(content.sight, content.kept, &ranges, |row, _| {
        match gather::look_at_row(wanted, &listed(row)) {
            Some(true) => hits.push(Hit { uid: row.uid, modseq: row.modseq, score: 0 }),
            Some(false) => {}
            None => unknown.push(*row),
        }
        true
    });
    among.expect(&unknown);
    let by_row = hits.len();
    for (nth, row) in unknown.iter().enumerate() {
        // Some message at least.
        if nth > 0 && turn.is_over_now(nth) {
            stopped = Some(row.uid);
            break;
        }
        let message = Message::new(store, content.sight, content.kept, row);
        match gather::look(wanted, &mut message.among(among, nth)) {
            Ok(Some((modseq, score))) => hits.push(Hit { uid: row.uid, modseq, score }),
            Ok(None) => {}
            Err(error) => complain(row.uid, &error),
        }
    }
    if by_row > 0 && by_row < hits.len() {
        hits.sort_unstable_by_key(|hit| hit.uid);
    }
    among.write(store);
    Looked { hits, stopped }
}

fn complain(uid: u32, error: &io::Error) {
    // One that is gone by now is not found.
    if error.kind() != io::ErrorKind::NotFound {
        log::error!("message {uid} cannot be searched: {error}");
    }
}
