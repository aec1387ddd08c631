//! FETCH over the open folder.

use super::cached::Which;
use super::content::{Among, Message, keep, may_keep};
use super::imap::{ImapBridge, flag_row, refused};
use super::turn::Turn;
use crate::base::{Flags, UidRanges, limits};
use crate::imap::binary::Trouble;
use crate::imap::fetch;
use crate::imap::question::{Answer, Fetch, FlagRow, Refusal, Rows};
use crate::quarantine::mailbox::Content;
use crate::store::{Flagging, Row, Store};

impl ImapBridge {
    pub(super) fn fetch(&self, wanted: &Fetch) -> Result<Answer, Refusal> {
        let Some(content) = self.content()? else { return Ok(Answer::Rows(Rows::default())) };
        let store = &self.shared.quarantine.store;
        let mut turn = Turn::new(store);
        let mut rows = Rows::default();
        let mut lines = fetch::Lines::new(wanted);
        let mut among = Among::default();
        let mut left = wanted.list.within_from(&wanted.uids, wanted.from);
        'piece: loop {
            let group: Vec<u32> = left.by_ref().take(limits::GROUP).collect();
            if group.is_empty() {
                break;
            }
            if turn.is_over_before(group.len()) {
                rows.next = group.first().copied();
                break;
            }
            let mut found = rows_of(store, content, &group);
            rows.vanished |= found.len() < group.len();
            found.retain(|row| row.modseq > wanted.since);
            if wanted.mark_seen {
                rows.changed.extend(self.mark_seen(content, &mut found)?);
            }
            among.expect(&found);
            self.make_ahead(wanted, content, &found, &mut among);
            for (nth, row) in found.iter().enumerate() {
                if lines.len() > limits::ANSWER_BYTES as u64 {
                    // What changed already is told with the rows that come later, too.
                    rows.next = Some(row.uid);
                    break 'piece;
                }
                let Some(seq) = wanted.list.seq(row.uid) else { continue };
                let message = Message::new(store, content.sight, content.kept, row);
                match lines.add(seq, &mut message.among(&mut among, nth)) {
                    Ok(()) => {}
                    Err(Trouble::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => rows.vanished = true,
                    Err(Trouble::Io(error)) => {
                        log::error!("message {} cannot be read: {error}", row.uid);
                        let text = "a message could not be read; the log of the server says why";
                        rows.refused.get_or_insert_with(|| Refusal::new("CORRUPTION", text));
                    }
                    Err(trouble) => rows.refused = rows.refused.or(trouble.refusal()),
                }
            }
        }
        among.write(store);
        rows.pieces = lines.into_pieces();
        Ok(Answer::Rows(rows))
    }

    /// Makes what the caches lack of these messages and of those that come next, as many at once as may be, when they lack it of
    /// more than one. Of what cannot be read nothing is made: whoever wants it is told why.
    fn make_ahead(&self, wanted: &Fetch, content: &Content, found: &[Row], among: &mut Among) {
        let store = &self.shared.quarantine.store;
        let records = Which::of(&wanted.items);
        let lacks = |(nth, _): &(usize, &Row)| !among.lacks(store, *nth, records).is_none();
        if records.is_none() || found.iter().enumerate().filter(lacks).count() < 2 || !may_keep(store) {
            return;
        }
        let Some(first) = found.first() else { return };
        let next = wanted.list.within_from(&wanted.uids, first.uid).take(limits::AHEAD);
        let mut rows = rows_of(store, content, &next.collect::<Vec<u32>>());
        let mut bytes = 0;
        rows.retain(|row| {
            bytes += row.size;
            row.modseq > wanted.since && bytes <= limits::AHEAD_BYTES
        });
        among.expect(&rows);
        let lacking: Vec<(&Row, Which)> =
            rows.iter().enumerate().map(|(nth, row)| (row, among.lacks(store, nth, records))).collect();
        let make = |_: &mut (), &(row, which): &(&Row, Which)| {
            Message::new(store, content.sight, content.kept, row).make_ahead(which).unwrap_or_default()
        };
        let made = self.shared.crew.map(&lacking, || (), make);
        // Together and in order: they will be looked at like this.
        keep(store, &rows.iter().zip(&made).map(|(row, made)| (row.key, row.size, made)).collect::<Vec<_>>());
        among.expect(found);
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
