//! SEARCH, SORT and THREAD over the open folder.

use super::content::{Among, Message};
use super::fetch::rows_of;
use super::imap::ImapBridge;
use super::memory::{Memory, Share};
use super::turn::Turn;
use crate::base::limits;
use crate::imap::gather::{self, Gathering};
use crate::imap::question::{Answer, Found, Refusal, Search};
use crate::quarantine::mailbox::Content;
use crate::store::{Row, Store};
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
        let mut turn = Turn::new(&self.shared.quarantine.store);
        if !ordering.is_whole {
            let found = self.look(wanted, &mut ordering, &mut turn)?;
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
    fn look(&self, wanted: &Search, ordering: &mut Ordering, turn: &mut Turn<'_>) -> Result<Found, Refusal> {
        let mut found = Found::default();
        let Some(content) = self.content()? else { return Ok(found) };
        let store = &self.shared.quarantine.store;
        let (least, span) = match wanted.key.needs_texts() {
            true => (limits::GROUP, SPAN_OF_TEXTS),
            false => (limits::SPAN, limits::SPAN),
        };
        let most = if wanted.order == gather::Order::Mailbox { limits::BATCH } else { limits::SPAN };
        let (mut from, mut size) = (wanted.from, least);
        loop {
            let batch: Vec<u32> = wanted.list.iter_from(from).take(size).collect();
            let (Some(&first), Some(&last)) = (batch.first(), batch.last()) else { return Ok(found) };
            if turn.is_over_before(batch.len()) || found.uids.len() >= limits::SEARCH_HITS {
                found.next = Some(first);
                return Ok(found);
            }
            let before = turn.spent();
            let spans: Vec<&[u32]> = batch.chunks((batch.len() / SPANS).clamp(span, limits::SPAN)).collect();
            let look = |among: &mut Among, uids: &&[u32]| look_at(wanted, store, content, uids, turn, among);
            let looked = self.shared.crew.map(&spans, Among::default, look);
            let stopped = looked.iter().filter_map(|looked| looked.stopped).min();
            for looked in looked {
                let hits = looked.hits.iter().filter(|hit| stopped.is_none_or(|stopped| hit.row.uid < stopped));
                match wanted.order {
                    gather::Order::Mailbox => list(wanted, hits, &mut found),
                    _ => self.gather(wanted, content, &hits.collect::<Vec<_>>(), ordering),
                }
            }
            if stopped.is_some() {
                found.next = stopped;
                return Ok(found);
            }
            from = last.saturating_add(1);
            // As many at once as take about as long as starting the threads some twenty times.
            let took = turn.spent().saturating_sub(before);
            size = if took < QUICK { (size * 2).min(most) } else { (size / 2).max(least) };
        }
    }

    fn gather(&self, wanted: &Search, content: &Content, hits: &[&Hit], ordering: &mut Ordering) {
        let store = &self.shared.quarantine.store;
        let mut among = Among::default();
        among.expect(&hits.iter().map(|hit| hit.row).collect::<Vec<Row>>());
        for (nth, hit) in hits.iter().enumerate() {
            let mut message = Message::new(store, content.sight, content.kept, &hit.row).among(&mut among, nth);
            if let Err(error) = ordering.gathering.add(wanted, &mut message, hit.modseq, hit.score) {
                complain(hit.row.uid, &error);
            }
        }
        among.write(store);
    }
}

/// Adds hits to what a SEARCH found.
fn list<'a>(wanted: &Search, hits: impl Iterator<Item = &'a Hit>, found: &mut Found) {
    for hit in hits {
        found.uids.push(hit.row.uid);
        if wanted.with_modseqs {
            found.modseqs.push(hit.modseq);
        }
        if wanted.with_scores {
            found.scores.push(hit.score);
        }
    }
}

/// Parts of a batch, at least, which those of the crew who are free take one by one.
const SPANS: usize = 8;
/// Messages in one, where texts are read.
const SPAN_OF_TEXTS: usize = 4;
/// A batch that took less is followed by a larger one.
const QUICK: Duration = Duration::from_millis(1);

/// A message that matches.
struct Hit {
    row: Row,
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
    let rows = rows_of(store, content, uids);
    among.expect(&rows);
    let (mut hits, mut stopped) = (Vec::new(), None);
    for (nth, row) in rows.into_iter().enumerate() {
        if nth > 0 && turn.is_over_now(nth) {
            stopped = Some(row.uid);
            break;
        }
        let mut message = Message::new(store, content.sight, content.kept, &row).among(among, nth);
        match gather::look(wanted, &mut message) {
            Ok(Some((modseq, score))) => hits.push(Hit { row, modseq, score }),
            Ok(None) => {}
            Err(error) => complain(row.uid, &error),
        }
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
