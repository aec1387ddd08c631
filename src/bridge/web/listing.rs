//! Lists: the newest messages of a folder, or those that a search finds.

use super::query::{self, Query};
use super::{Answered, Turned, Visit, href, label, refused};
use crate::base::time::minute;
use crate::base::{Flags, Slice, Timestamp, UidList, UidRanges, limits};
use crate::bridge::Place;
use crate::bridge::content::{Among, Message};
use crate::bridge::turn::Turn;
use crate::imap::content::Content;
use crate::imap::search::{self, Against};
use crate::mail::{Address, Kept, Kind, Trace, header, words};
use crate::page::layout::Frame;
use crate::page::list::{self, Action, ListView, RowView};
use crate::page::request::encoded;
use crate::page::response::Response;
use crate::page::texts::{Common, Site as Texts};
use crate::quarantine::{Quarantine, Scope};
use crate::store::{Located, Reach, Row};
use std::sync::Arc;

/// Letters of a sender, subject or reason in a list.
const LETTERS: usize = 160;

/// A message as the catalogue has it, with what lists show besides.
pub(super) struct Found {
    pub row: Row,
    pub id: String,
    pub recipient: String,
    pub expires: Option<Timestamp>,
}

/// Those of these UIDs that are there, ascending.
pub(super) fn found(quarantine: &Quarantine, reach: Reach, kept: Kept, uids: &UidRanges) -> Vec<Found> {
    let mut rows = Vec::new();
    quarantine.store.rows(reach, kept, uids, |row, folder| {
        rows.push((*row, folder.id(row)));
        true
    });
    let complete = |(row, id): (Row, String)| {
        let address = &quarantine.store.tree_by_id(row.tree)?.address;
        let expires = quarantine.expires(kept, &row, address);
        Some(Found { row, id, recipient: address.to_string(), expires })
    };
    rows.into_iter().filter_map(complete).collect()
}

/// A search that goes on until a page is full.
pub(super) struct Hunt {
    pub quarantine: Arc<Quarantine>,
    pub reach: Reach,
    pub kept: Kept,
    pub list: UidList,
    pub query: Query,
    /// The next message to look at is the newest below this UID.
    pub below: u32,
    pub found: Vec<u32>,
    /// So many are wanted.
    pub most: usize,
    pub deadline: Timestamp,
}

impl Hunt {
    /// Looks at messages for one turn, newest first. `false`: there is nothing more to do.
    pub(super) fn go_on(&mut self) -> bool {
        let mut among = Among::default();
        let is_more = self.look(&mut among);
        among.write(&self.quarantine.store);
        is_more
    }

    fn look(&mut self, among: &mut Among) -> bool {
        let store = &self.quarantine.store;
        let mut turn = Turn::new(store);
        let none = UidRanges::new();
        let against = Against { recent: &none, now: store.now() };
        loop {
            let above = self.list.rank(self.below);
            let first = above.saturating_sub(limits::PIECE_ROWS as u32);
            let Some(lowest) = self.list.uid(first + 1).filter(|_| above > first) else {
                self.below = 0;
                return false;
            };
            let uids: UidRanges = self.list.iter_from(lowest).take((above - first) as usize).collect();
            let mut rows = Vec::with_capacity(limits::PIECE_ROWS);
            store.rows(self.reach, self.kept, &uids, |row, _| {
                rows.push(*row);
                true
            });
            among.expect(&rows);
            for (nth, row) in rows.iter().enumerate().rev() {
                if self.found.len() >= self.most {
                    return false;
                }
                if turn.is_over() {
                    self.below = row.uid.saturating_add(1);
                    return store.now() < self.deadline;
                }
                let uid = row.uid;
                let mut message = Message::new(store, self.reach, self.kept, row).among(among, nth);
                let matches = search::matches(&self.query.key, &mut message, &against)
                    .and_then(|matches| Ok(matches && self.has_score(&mut message)?));
                match matches {
                    Ok(true) => self.found.push(uid),
                    Ok(false) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => log::error!("message {uid} cannot be searched: {error}"),
                }
                self.below = uid;
            }
            self.below = lowest;
        }
    }

    fn has_score(&self, message: &mut Message<'_>) -> std::io::Result<bool> {
        if self.query.scores.is_empty() {
            return Ok(true);
        }
        let score = Opening::read(message)?.trace.score;
        let score = score.as_deref().and_then(|score| score.split('/').next()?.trim().parse::<f64>().ok());
        Ok(score.is_some_and(|score| self.query.scores.iter().all(|bound| bound.holds(score))))
    }
}

/// The beginning of a message: our trace, and below it the header that its sender wrote.
pub(super) struct Opening {
    /// An empty one for a message that has none.
    pub trace: Trace,
    header: Slice,
    /// Where the sender's header begins.
    own: usize,
}

impl Opening {
    pub(super) fn read(message: &mut Message<'_>) -> std::io::Result<Opening> {
        let own = message.row().trace as usize;
        let header = message.header()?;
        let trace = header.get(..own).filter(|_| own > 0).map(Trace::parse).unwrap_or_default();
        Ok(Opening { trace, header, own })
    }

    /// A field of the sender's header as people read it; "" when it is not there.
    pub(super) fn field(&self, name: &[u8]) -> String {
        let own = self.header.get(self.own..).unwrap_or_default();
        header::find(own, name).map(|field| words::decode(&field.unfolded())).unwrap_or_default()
    }

    /// The name and the address of the sender to show.
    pub(super) fn sender(&self) -> (String, String) {
        sender(&self.field(b"from"), &self.trace.sender)
    }
}

/// Where the message with this id lies, in the tree of this recipient, if this scope sees it.
pub(super) fn lies(quarantine: &Quarantine, scope: &Scope, recipient: &Address, id: &str) -> Option<(Kept, Located)> {
    let tree = quarantine.store.tree(recipient).filter(|tree| scope.sees(&tree.address))?;
    quarantine.store.find(&tree, id)
}

/// What can be done with the messages of a folder.
pub(super) fn actions(kept: Kept, common: &'static Common, texts: &'static Texts) -> Vec<Action> {
    let action = |word, label, key, is_main| Action { word, label, key, is_main };
    let release = |is_main| action("release", common.release, "r", is_main);
    let release_train = action("release-train", common.release_train, "t", false);
    let not_spam = action("not-spam", common.not_spam, "n", false);
    let spam = action("spam", common.spam, "s", false);
    match kept {
        Kept::Caught | Kept::Outgoing => {
            vec![release(true), release_train, not_spam, spam, action("delete", common.delete, "#", false)]
        }
        Kept::Training => vec![Action { is_main: true, ..not_spam }, spam, action("delete", common.delete, "#", false)],
        Kept::Trash => vec![
            action("restore", texts.restore, "b", true),
            release(false),
            release_train,
            action("remove", texts.remove, "#", false),
        ],
    }
}

impl Visit {
    /// A folder's list, from the newest below `?below=`, or what `?q=` finds there.
    pub(super) fn list(self, kept: Kept) -> Answered {
        let quarantine = self.quarantine().clone();
        let reach = quarantine.reach(&self.session.account)?;
        let list = quarantine.store.view(reach, kept).view().list;
        let below = self.request.query.text("below").parse().unwrap_or(u32::MAX);
        let typed = self.request.query.text("q").trim().to_string();
        if typed.is_empty() {
            let rank = list.rank(below);
            let first = rank.saturating_sub(limits::LIST_ROWS as u32);
            let uids: UidRanges = (first + 1..=rank).filter_map(|seq| list.uid(seq)).collect();
            let older = (first > 0).then(|| list.uid(first + 1)).flatten();
            return self.show(kept, reach, &list, Shown { uids, older, below, ..Shown::default() });
        }
        match query::parse(&typed) {
            Err(why) => self.show(kept, reach, &list, Shown { typed, bad: Some(why), below, ..Shown::default() }),
            Ok(query) => {
                let now = quarantine.store.now();
                let hunt = Hunt {
                    quarantine,
                    reach,
                    kept,
                    list,
                    query,
                    below,
                    found: Vec::new(),
                    most: limits::LIST_ROWS + 1,
                    deadline: now.after(limits::SEARCH_TIME),
                };
                Ok(self.search(hunt, typed, below))
            }
        }
    }

    fn search(self, mut hunt: Hunt, typed: String, below: u32) -> Turned {
        Turned::again(Place::Scan, move || {
            if hunt.go_on() {
                return self.search(hunt, typed, below);
            }
            let is_full = hunt.found.len() > limits::LIST_ROWS;
            let is_broken_off = !is_full && hunt.below > 0;
            hunt.found.truncate(limits::LIST_ROWS);
            let older = if is_full { hunt.found.last().copied() } else { is_broken_off.then_some(hunt.below) };
            let mut uids = hunt.found.clone();
            uids.sort_unstable();
            let shown = Shown { uids: uids.into_iter().collect(), older, below, typed, is_broken_off, bad: None };
            let language = self.request.language;
            self.show(hunt.kept, hunt.reach, &hunt.list, shown).unwrap_or_else(|why| refused(language, why))
        })
    }

    fn show(&self, kept: Kept, reach: Reach, list: &UidList, shown: Shown) -> Answered {
        let quarantine = self.quarantine();
        let (common, texts) = (self.common(), self.texts());
        let mut rows: Vec<RowView> = Vec::new();
        for one in found(quarantine, reach, kept, &shown.uids) {
            let mut message = Message::new(&quarantine.store, reach, kept, &one.row);
            match row(&mut message, &one, texts) {
                Ok(view) => rows.push(view),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => log::error!("message {} cannot be listed: {error}", one.row.uid),
            }
        }
        rows.reverse();
        let at = href(kept);
        let q = if shown.typed.is_empty() { String::new() } else { format!("q={}&", encoded(&shown.typed)) };
        let first = format!("{at}?{}", q.trim_end_matches('&')).trim_end_matches('?').to_string();
        let view = ListView {
            href: at.to_string(),
            name: label(kept, common).to_string(),
            is_wide: self.is_wide(),
            actions: actions(kept, common, texts),
            search: shown.typed,
            bad_search: shown.bad,
            total: list.len(),
            rows,
            newest: (shown.below != u32::MAX).then_some(first),
            older: shown.older.map(|below| format!("{at}?{q}below={below}")),
            is_broken_off: shown.is_broken_off,
        };
        let frame: Frame = self.frame(label(kept, common), at)?;
        Ok(Turned::Done(Response::html(200, list::render(&frame, &view))))
    }
}

/// What one page of a list shows.
#[derive(Default)]
struct Shown {
    uids: UidRanges,
    /// Older messages than those begin below this UID.
    older: Option<u32>,
    below: u32,
    typed: String,
    bad: Option<String>,
    is_broken_off: bool,
}

fn row(message: &mut Message<'_>, one: &Found, texts: &'static Texts) -> std::io::Result<RowView> {
    let opening = Opening::read(message)?;
    let (from, address) = opening.sender();
    let flags = one.row.flags;
    let mut states = Vec::new();
    if flags.has(Flags::RELEASE_FAILED) {
        states.push(texts.failed);
    }
    if flags.has(Flags::RELEASE_PENDING) || flags.has(Flags::TRAIN_PENDING) {
        states.push(texts.pending);
    } else if flags.has(Flags::RELEASED) {
        states.push(texts.released);
    }
    Ok(RowView {
        key: key(&one.recipient, &one.id),
        href: message_href(&one.recipient, &one.id),
        from: cut(&from),
        address: cut(&address),
        recipient: one.recipient.clone(),
        subject: cut(&opening.field(b"subject")),
        kind: (one.row.kind != Kind::Spam).then(|| kind_label(one.row.kind, texts)),
        reason: cut(opening.trace.reasons.first().map(String::as_str).unwrap_or_default()),
        score: opening.trace.score.unwrap_or_default(),
        arrived: moment(Timestamp::from_secs(one.row.arrival())),
        expires: one.expires.map(moment),
        is_unread: !flags.has(Flags::SEEN),
        states,
    })
}

/// The name and the address to show; the envelope's where the header names nobody.
fn sender(written: &str, envelope: &str) -> (String, String) {
    let (name, address) = match written.rsplit_once('<') {
        Some((name, rest)) => (name.trim().trim_matches('"').trim(), rest.split('>').next().unwrap_or_default()),
        None => ("", written.trim()),
    };
    let address = if address.is_empty() { envelope } else { address };
    (if name.is_empty() { address.to_string() } else { name.to_string() }, address.to_string())
}

pub(super) fn kind_label(kind: Kind, texts: &'static Texts) -> &'static str {
    match kind {
        Kind::Spam => texts.spam_kind,
        Kind::Phish => texts.phish_kind,
        Kind::Virus => texts.virus_kind,
        Kind::Banned => texts.banned_kind,
        Kind::Policy => texts.policy_kind,
    }
}

/// What stands for a message in forms.
pub(super) fn key(recipient: &str, id: &str) -> String {
    format!("{recipient}/{id}")
}

/// Where a message is shown.
pub(super) fn message_href(recipient: &str, id: &str) -> String {
    format!("/message/{}/{}", encoded(recipient), encoded(id))
}

/// For programs, and for people without a script: to the minute, UTC.
pub(super) fn moment(at: Timestamp) -> (String, String) {
    let exact = at.rfc3339();
    let shown = minute(&exact);
    (exact, shown)
}

/// One line, without characters that turn the line around or hide it (Unicode's bidirectional controls).
pub(super) fn cut(text: &str) -> String {
    let shown = |c: char| {
        !c.is_control()
            && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    let mut out: String =
        text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| shown(*c)).take(LETTERS + 1).collect();
    if out.chars().count() > LETTERS {
        out.pop();
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sender_has_a_name_or_at_least_an_address() {
        let shown = |written: &str| sender(written, "bounce@x.test");
        assert_eq!(shown("\"A. Lice\" <a@x.test>"), ("A. Lice".into(), "a@x.test".into()));
        assert_eq!(shown("a@x.test"), ("a@x.test".into(), "a@x.test".into()));
        assert_eq!(shown("<a@x.test>"), ("a@x.test".into(), "a@x.test".into()));
        assert_eq!(shown(""), ("bounce@x.test".into(), "bounce@x.test".into()));
        assert_eq!(shown("Odd <"), ("Odd".into(), "bounce@x.test".into()));
    }

    #[test]
    fn nothing_turns_a_line_around() {
        assert_eq!(cut("a\u{202e}b\r\nc\td\u{0}\u{2066}"), "ab  c d");
        assert_eq!(cut(&"ä".repeat(500)).chars().count(), LETTERS + 1);
    }
}
