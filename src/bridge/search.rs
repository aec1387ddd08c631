//! SEARCH, SORT and THREAD over the open folder.

use super::content::{Among, Message};
use super::imap::ImapBridge;
use super::memory::{Memory, Share};
use super::turn::Turn;
use crate::base::limits;
use crate::imap::gather::{self, Gathering};
use crate::imap::question::{Answer, Found, Refusal, Search};
use crate::store::Row;
use std::io;
use std::sync::Arc;

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
        let in_order = wanted.order == gather::Order::Mailbox;
        let mut from = wanted.from;
        let store = &self.shared.quarantine.store;
        let reads_texts = wanted.key.needs_texts();
        let mut among = Among::default();
        loop {
            let batch: Vec<u32> = wanted.list.iter_from(from).take(limits::PIECE_ROWS).collect();
            let Some(&last) = batch.last() else { return Ok(found) };
            let rows = self.rows(content, &batch);
            among.expect(&rows);
            for (start, group) in (0..).step_by(limits::GROUP).zip(rows.chunks(limits::GROUP)) {
                if turn.is_over_before(group.len()) || found.uids.len() >= limits::SEARCH_HITS {
                    found.next = group.first().map(|row| row.uid);
                    return Ok(found);
                }
                let message = |row: &Row| Message::new(store, content.sight, content.kept, row);
                // What the store keeps is read faster in a row; texts are looked at by all who have time.
                let looked = match reads_texts {
                    true => self.shared.crew.map(group, |row| gather::look(wanted, &mut message(row))),
                    false => Vec::new(),
                };
                let mut looked = looked.into_iter();
                for (nth, row) in (start..).zip(group) {
                    let mut message = message(row).among(&mut among, nth);
                    let looked = looked.next().unwrap_or_else(|| gather::look(wanted, &mut message));
                    let added = looked.and_then(|looked| {
                        let Some((modseq, score)) = looked else { return Ok(()) };
                        ordering.gathering.add(wanted, &mut message, modseq, score)?;
                        if in_order {
                            found.uids.push(row.uid);
                            found.modseqs.extend(wanted.with_modseqs.then_some(modseq));
                            found.scores.extend(wanted.with_scores.then_some(score));
                        }
                        Ok(())
                    });
                    match added {
                        Err(error) if error.kind() != io::ErrorKind::NotFound => {
                            log::error!("message {} cannot be searched: {error}", row.uid);
                        }
                        _ => {}
                    }
                }
            }
            from = last.saturating_add(1);
        }
    }
}
