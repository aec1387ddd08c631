//! Faults that are planted between a session and the quarantine, to see that the model notices.

use lazaret::base::UidList;
use lazaret::imap::question::{Answer, Question};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// FETCH is carried out as UID FETCH, which lets EXPUNGE be told during it.
    ExpungeDuringFetch,
    /// A UID below others enters the list.
    UidsOutOfOrder,
    /// A client that comes back is not told of one removal.
    LostVanished,
    /// HIGHESTMODSEQ is told higher than what was told.
    HighModSeq,
    /// A change of flags is not told.
    LostFlags,
    /// UNCHANGEDSINCE is not looked at.
    UncheckedStore,
    /// UIDNEXT is told too low.
    LowUidNext,
    /// A changed message shows the MODSEQ that it had before.
    StaleModSeq,
}

impl Fault {
    pub const ALL: [Fault; 8] = [
        Fault::ExpungeDuringFetch,
        Fault::UidsOutOfOrder,
        Fault::LostVanished,
        Fault::HighModSeq,
        Fault::LostFlags,
        Fault::UncheckedStore,
        Fault::LowUidNext,
        Fault::StaleModSeq,
    ];

    /// Spoils a question.
    pub fn ask(self, question: &mut Question) {
        if let (Fault::UncheckedStore, Question::Store(store)) = (self, question) {
            store.unchanged_since = None;
        }
    }

    /// Spoils an answer.
    pub fn answer(self, answer: &mut Answer) {
        match (self, answer) {
            (Fault::UidsOutOfOrder, Answer::Changes(changes)) => {
                // a UID that is free, in the middle
                let uids: Vec<u32> = changes.list.iter().collect();
                let gap = uids.windows(2).position(|pair| pair[1] - pair[0] > 1);
                if let Some(at) = gap.filter(|_| changes.modseq % 97 == 0) {
                    let mut more = uids.clone();
                    more.insert(at + 1, uids[at] + 1);
                    changes.list = more.into_iter().collect::<UidList>();
                }
            }
            (Fault::LostVanished, Answer::Vanished(gone)) => {
                let mut ranges: Vec<(u32, u32)> = gone.iter().collect();
                ranges.pop();
                *gone = ranges.into_iter().collect();
            }
            (Fault::HighModSeq, Answer::Selected(selected)) => selected.figures.modseq += 1_000_000_000,
            (Fault::LostFlags, Answer::Changes(changes)) => drop(changes.flags.pop()),
            (Fault::LowUidNext, Answer::Selected(selected)) => {
                selected.figures.uid_next = selected.list.last().unwrap_or(1);
            }
            (Fault::StaleModSeq, Answer::Stored(stored)) => stored.rows.iter_mut().for_each(|row| row.modseq = 1),
            _ => {}
        }
    }
}
