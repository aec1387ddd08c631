//! SEARCH, SORT and THREAD over the open folder.

use super::content::{Among, LookedUp, Message};
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
        let message = |row: &Row| Message::new(store, content.sight, content.kept, row);
        let mut among = Among::default();
        loop {
            let batch: Vec<u32> = wanted.list.iter_from(from).take(limits::PIECE_ROWS).collect();
            let Some(&last) = batch.last() else { return Ok(found) };
            let rows = self.rows(content, &batch);
            among.expect(&rows);
            // What the store keeps is read faster in a row; texts are looked at by all who have time.
            let mut glance = |(nth, row)| Glance::at(wanted, message(row).among(&mut among, nth));
            let glances = if reads_texts { rows.iter().enumerate().map(&mut glance).collect() } else { Vec::new() };
            let mut glances = glances.into_iter();
            let mut left = rows.iter().enumerate();
            loop {
                let glanced = Glance::group(&mut glances);
                let len = if reads_texts { glanced.len() } else { limits::GROUP };
                let group: Vec<(usize, &Row)> = left.by_ref().take(len).collect();
                let Some(&(_, first)) = group.first() else { break };
                if turn.is_over_before(group.len()) || found.uids.len() >= limits::SEARCH_HITS {
                    found.next = Some(first.uid);
                    return Ok(found);
                }
                let unknown = group.iter().zip(&glanced).filter_map(|((_, row), glance)| match glance {
                    Glance::Unknown(signature) => Some((*row, signature)),
                    Glance::Known(_) => None,
                });
                let unknown: Vec<_> = unknown.collect();
                let read = |(row, signature): &(&Row, &LookedUp)| {
                    gather::look(wanted, &mut message(row).signed((*signature).clone()))
                };
                let mut looked = self.shared.crew.map(&unknown, read).into_iter();
                let mut glanced = glanced.into_iter();
                for (nth, row) in group {
                    let mut message = message(row).among(&mut among, nth);
                    let looked = match glanced.next() {
                        Some(Glance::Known(looked)) => Some(looked),
                        Some(Glance::Unknown(_)) => looked.next(),
                        None => None,
                    };
                    let looked = looked.unwrap_or_else(|| gather::look(wanted, &mut message));
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

/// What a look at a message tells before it is opened.
enum Glance {
    /// What [`gather::look`] would say.
    Known(io::Result<Option<(u64, u8)>>),
    /// Not enough. Its signature need not be looked up again.
    Unknown(LookedUp),
}

impl Glance {
    fn at(wanted: &Search, mut message: Message<'_>) -> Glance {
        match gather::glance(wanted, &mut message) {
            Ok(Some(looked)) => Glance::Known(Ok(looked)),
            Ok(None) => Glance::Unknown(message.into_signature()),
            Err(error) => Glance::Known(Err(error)),
        }
    }

    /// The next of them, up to so many unknown ones that it takes as long as a turn should.
    fn group(glances: &mut impl Iterator<Item = Glance>) -> Vec<Glance> {
        let mut unknown = 0;
        let mut group = Vec::new();
        while unknown < limits::GROUP
            && let Some(glance) = glances.next()
        {
            unknown += usize::from(matches!(glance, Glance::Unknown(_)));
            group.push(glance);
        }
        group
    }
}
