//! The untagged responses of SEARCH, SORT and THREAD (RFC 3501 7.2.5, RFC 4466 2.6.2, RFC 5256 4), written piece by piece:
//! each holds as many numbers as there are messages.

use super::query::Returns;
use super::question::Found;
use super::thread::Member;
use super::write::{self, push};
use crate::base::{UidList, limits};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Numbers that are looked up before others have their turn.
const STRIDE: usize = 4_096;

/// A response that is still to be written.
#[derive(Debug)]
pub struct Lines {
    parts: VecDeque<Part>,
    /// Answer with UIDs, else with sequence numbers.
    uid: bool,
}

#[derive(Debug)]
enum Part {
    Text(String),
    /// Numbers, each behind a space.
    Spaced(Arc<Vec<u32>>, Range<usize>),
    /// A sequence set, in the order of the numbers: a run that ascends is a range. The run that is open, and whether
    /// anything was written.
    Set(Arc<Vec<u32>>, Range<usize>, Option<(u32, u32)>, bool),
    /// Scores in parentheses.
    Scores(Vec<u8>, usize),
    /// Threads; for each branch that is open, how many children are to come.
    Threads(Vec<Member>, usize, Vec<u32>),
}

impl Lines {
    /// `* SEARCH …` or `* SORT …`. `modseq`: the search has a MODSEQ key (RFC 7162 3.1.6).
    pub fn plain(word: &str, uid: bool, found: Found, modseq: bool) -> Lines {
        let highest = found.modseqs.iter().max().filter(|_| modseq);
        let end = highest.map_or("\r\n".to_string(), |highest| format!(" (MODSEQ {highest})\r\n"));
        let len = found.uids.len();
        let numbers = Part::Spaced(Arc::new(found.uids), 0..len);
        Lines { parts: [Part::Text(format!("* {word}")), numbers, Part::Text(end)].into(), uid }
    }

    /// `* ESEARCH …` for a command with this tag.
    pub fn extended(tag: &str, uid: bool, returns: &Returns, found: Found, modseq: bool) -> Lines {
        let len = found.uids.len();
        let highest = returns.returned(len).into_iter().flatten().filter_map(|at| found.modseqs.get(at)).max().copied();
        let uids = Arc::new(found.uids);
        let mut lines = Lines::correlated(tag, uid);
        let mut one = |word: &str, wanted: bool, at: Range<usize>| {
            if wanted && len > 0 {
                lines.text(format!(" {word} "));
                lines.set(&uids, at);
            }
        };
        one("MIN", returns.min, 0..1);
        one("MAX", returns.max, len.saturating_sub(1)..len);
        if returns.count {
            lines.text(format!(" COUNT {len}"));
        }
        let mut listed = 0..len;
        if returns.all && len > 0 {
            lines.text(" ALL ".to_string());
            lines.set(&uids, 0..len);
        }
        if let Some(partial) = returns.partial {
            listed = partial.of(len);
            lines.text(format!(" PARTIAL ({partial} "));
            match listed.is_empty() {
                true => lines.text("NIL".to_string()),
                false => lines.set(&uids, listed.clone()),
            }
            lines.text(")".to_string());
        }
        if returns.relevancy {
            let scores = found.scores.get(listed).unwrap_or_default().to_vec();
            lines.parts.push_back(Part::Scores(scores, 0));
        }
        if let Some(highest) = highest.filter(|_| modseq) {
            lines.text(format!(" MODSEQ {highest}"));
        }
        lines.text("\r\n".to_string());
        lines
    }

    /// `* ESEARCH (TAG "tag") UID word (0 set)`: what came to or left a result that is kept up to date (RFC 5267 4.3.3).
    pub fn change(tag: &str, uid: bool, word: &str, uids: Vec<u32>) -> Lines {
        let mut lines = Lines::correlated(tag, uid);
        lines.text(format!(" {word} (0 "));
        let len = uids.len();
        lines.set(&Arc::new(uids), 0..len);
        lines.text(")\r\n".to_string());
        lines
    }

    /// `* THREAD …`
    pub fn threads(uid: bool, members: Vec<Member>) -> Lines {
        let start = if members.is_empty() { "* THREAD" } else { "* THREAD " };
        let threads = Part::Threads(members, 0, Vec::new());
        Lines { parts: [Part::Text(start.to_string()), threads, Part::Text("\r\n".to_string())].into(), uid }
    }

    fn correlated(tag: &str, uid: bool) -> Lines {
        // a tag has no character that a quoted string would have to escape
        let start = format!("* ESEARCH (TAG \"{tag}\"){}", if uid { " UID" } else { "" });
        Lines { parts: VecDeque::from([Part::Text(start)]), uid }
    }

    fn text(&mut self, text: String) {
        self.parts.push_back(Part::Text(text));
    }

    fn set(&mut self, uids: &Arc<Vec<u32>>, at: Range<usize>) {
        self.parts.push_back(Part::Set(uids.clone(), at, None, false));
    }

    /// Writes some of it; whether that was all. `list` numbers the messages.
    pub fn write(&mut self, list: &UidList, out: &mut Vec<u8>) -> bool {
        let mut seqs = list.seqs();
        let mut number = |uid: u32| if self.uid { seqs.of(uid).map(|_| uid) } else { seqs.of(uid) };
        let mut left = STRIDE;
        while let Some(part) = self.parts.front_mut() {
            if left == 0 || out.len() >= limits::OUTPUT_BYTES {
                return false;
            }
            let more = match part {
                Part::Text(text) => {
                    out.extend_from_slice(text.as_bytes());
                    false
                }
                Part::Spaced(uids, at) => {
                    let now = at.start..at.end.min(at.start + left.min(STRIDE));
                    (left, at.start) = (left - now.len(), now.end);
                    for number in uids.get(now).unwrap_or_default().iter().filter_map(|&uid| number(uid)) {
                        out.push(b' ');
                        write::number(out, number);
                    }
                    at.start < at.end
                }
                Part::Set(uids, at, run, any) => {
                    let now = at.start..at.end.min(at.start + left.min(STRIDE));
                    (left, at.start) = (left - now.len(), now.end);
                    for number in uids.get(now).unwrap_or_default().iter().filter_map(|&uid| number(uid)) {
                        match run {
                            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
                            _ => range(run.replace((number, number)), any, out),
                        }
                    }
                    if at.start >= at.end {
                        range(run.take(), any, out);
                    }
                    at.start < at.end
                }
                Part::Scores(scores, at) => {
                    out.extend_from_slice(if *at == 0 { b" RELEVANCY (" } else { b"" });
                    let now = *at..scores.len().min(*at + left);
                    left -= now.len();
                    for score in scores.get(now.clone()).unwrap_or_default() {
                        push(out, format_args!("{}{score}", if *at == 0 { "" } else { " " }));
                        *at += 1;
                    }
                    let more = now.end < scores.len();
                    out.extend_from_slice(if more { b"" } else { b")" });
                    more
                }
                Part::Threads(members, at, open) => {
                    while left > 0
                        && let Some(member) = members.get(*at)
                    {
                        (left, *at) = (left - 1, *at + 1);
                        // the beginning of a thread; those further down begin behind their elder sibling or their parent
                        out.extend_from_slice(if starts_thread(members, *at - 1, open) { b"(" } else { b"" });
                        if let Some(number) = number(member.uid) {
                            push(out, format_args!("{number}"));
                        }
                        follow(member, open, out);
                    }
                    *at < members.len()
                }
            };
            if !more {
                self.parts.pop_front();
            }
        }
        true
    }
}

/// Whether a member begins a thread: no branch is open, and the member before it leads to no only child.
fn starts_thread(members: &[Member], at: usize, open: &[u32]) -> bool {
    let before = at.checked_sub(1).and_then(|at| members.get(at));
    open.is_empty() && before.is_none_or(|before| before.children == 0)
}

/// What stands between a member and the next one.
fn follow(member: &Member, open: &mut Vec<u32>, out: &mut Vec<u8>) {
    match member.children {
        0 => {
            out.push(b')');
            while let Some(left) = open.last_mut() {
                if let Some(fewer) = left.checked_sub(1) {
                    *left = fewer;
                    out.push(b'(');
                    return;
                }
                open.pop();
                out.push(b')');
            }
        }
        1 => out.push(b' '),
        children => {
            out.extend_from_slice(if member.uid > 0 { b" (" } else { b"(" });
            open.push(children - 1);
        }
    }
}

/// Writes a range, a comma before it unless it is the first.
fn range(run: Option<(u32, u32)>, any: &mut bool, out: &mut Vec<u8>) {
    let Some((low, high)) = run else { return };
    if std::mem::replace(any, true) {
        out.push(b',');
    }
    match low == high {
        true => push(out, format_args!("{low}")),
        false => push(out, format_args!("{low}:{high}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::query::Partial;
    use crate::imap::thread::Member;
    use proptest::prelude::*;

    /// Written against a list of the UIDs 11, 12, …
    fn written(mut lines: Lines) -> String {
        let list: UidList = (11..=10_010).collect();
        let (mut all, mut turns) = (Vec::new(), 0);
        loop {
            let mut out = Vec::new();
            let done = lines.write(&list, &mut out);
            assert!(out.len() < limits::OUTPUT_BYTES + 64, "{}", out.len());
            all.extend(out);
            turns += 1;
            if done {
                assert!(turns < 100);
                return String::from_utf8(all).unwrap();
            }
        }
    }

    fn found(uids: &[u32]) -> Found {
        let modseqs = uids.iter().map(|&uid| u64::from(uid) * 10).collect();
        Found { uids: uids.to_vec(), modseqs, scores: uids.iter().map(|&uid| uid as u8).collect(), next: None }
    }

    #[test]
    fn plain_responses() {
        assert_eq!(written(Lines::plain("SEARCH", false, found(&[11, 13]), false)), "* SEARCH 1 3\r\n");
        assert_eq!(written(Lines::plain("SORT", true, found(&[13, 11]), true)), "* SORT 13 11 (MODSEQ 130)\r\n");
        assert_eq!(written(Lines::plain("SEARCH", true, found(&[]), true)), "* SEARCH\r\n");
    }

    #[test]
    fn extended_responses() {
        let show =
            |uid, returns: Returns, uids: &[u32]| written(Lines::extended("a", uid, &returns, found(uids), true));
        let none = Returns::default();
        assert_eq!(show(false, Returns::ALL, &[12, 20, 21]), "* ESEARCH (TAG \"a\") ALL 2,10:11 MODSEQ 210\r\n");
        assert_eq!(show(true, Returns::ALL, &[]), "* ESEARCH (TAG \"a\") UID\r\n");
        let ends = Returns { min: true, max: true, count: true, ..none };
        assert_eq!(show(true, ends, &[13, 12, 14]), "* ESEARCH (TAG \"a\") UID MIN 13 MAX 14 COUNT 3 MODSEQ 140\r\n");
        assert_eq!(show(true, ends, &[]), "* ESEARCH (TAG \"a\") UID COUNT 0\r\n");
        let min = Returns { min: true, ..none };
        assert_eq!(show(true, min, &[13, 12, 14]), "* ESEARCH (TAG \"a\") UID MIN 13 MODSEQ 130\r\n");
        // RFC 5267 3.2: what descends is no range
        assert_eq!(
            show(true, Returns::ALL, &[15, 14, 12, 13]),
            "* ESEARCH (TAG \"a\") UID ALL 15,14,12:13 MODSEQ 150\r\n"
        );
        let part = |one, other| Returns { partial: Some(Partial { one, other, from_end: true }), ..none };
        assert_eq!(
            show(true, part(1, 2), &[11, 12, 13]),
            "* ESEARCH (TAG \"a\") UID PARTIAL (-1:-2 12:13) MODSEQ 130\r\n"
        );
        assert_eq!(show(true, part(9, 8), &[11]), "* ESEARCH (TAG \"a\") UID PARTIAL (-9:-8 NIL)\r\n");
        let relevancy = Returns { relevancy: true, ..Returns::ALL };
        assert_eq!(show(false, relevancy, &[11, 12]), "* ESEARCH (TAG \"a\") ALL 1:2 RELEVANCY (11 12) MODSEQ 120\r\n");
        assert_eq!(show(false, relevancy, &[]), "* ESEARCH (TAG \"a\") RELEVANCY ()\r\n");
        assert_eq!(
            written(Lines::change("a", false, "ADDTO", vec![12, 13])),
            "* ESEARCH (TAG \"a\") ADDTO (0 2:3)\r\n"
        );
    }

    #[test]
    fn threads() {
        let show = |members: &[(u32, u32)]| {
            let members = members.iter().map(|&(uid, children)| Member { uid, children }).collect();
            written(Lines::threads(true, members))
        };
        assert_eq!(show(&[]), "* THREAD\r\n");
        // RFC 5256 4, the numbers raised by 10
        let example = [(12, 0), (13, 1), (16, 2), (14, 1), (33, 0), (54, 1), (17, 1), (106, 0)];
        assert_eq!(show(&example), "* THREAD (12)(13 16 (14 33)(54 17 106))\r\n");
        assert_eq!(show(&[(0, 2), (13, 0), (15, 0)]), "* THREAD ((13)(15))\r\n");
        assert_eq!(
            show(&[(0, 2), (13, 2), (14, 0), (15, 0), (16, 0), (17, 0)]),
            "* THREAD ((13 (14)(15))(16))(17)\r\n"
        );
    }

    #[test]
    fn long_ones_come_in_pieces() {
        let uids: Vec<u32> = (11..=10_010).collect();
        assert!(written(Lines::plain("SEARCH", false, found(&uids), false)).ends_with(" 9999 10000\r\n"));
        assert!(written(Lines::extended("a", false, &Returns::ALL, found(&uids), false)).ends_with(" ALL 1:10000\r\n"));
        let odd: Vec<u32> = uids.iter().copied().filter(|uid| uid % 2 == 1).collect();
        let text = written(Lines::extended("a", true, &Returns::ALL, found(&odd), false));
        assert_eq!(text.matches(',').count(), 4_999);
        let scores = Returns { relevancy: true, ..Returns::ALL };
        let text = written(Lines::extended("a", true, &scores, found(&uids), false));
        assert_eq!(text.split(" (").last().unwrap().split(' ').count(), 10_000);
        let chain: Vec<Member> = uids.iter().map(|&uid| Member { uid, children: u32::from(uid < 10_010) }).collect();
        assert!(written(Lines::threads(false, chain)).starts_with("* THREAD (1 2 3 "));
    }

    proptest! {
        #[test]
        fn a_set_names_what_it_was_made_of(uids in prop::collection::btree_set(11u32..60, 0..30)) {
            let uids: Vec<u32> = uids.into_iter().collect();
            let text = written(Lines::change("a", true, "ADDTO", uids.clone()));
            let set = text.trim_end_matches(")\r\n").rsplit(' ').next().unwrap();
            let named: Vec<u32> = set.split(',').filter(|part| !part.is_empty()).flat_map(|part| {
                let (low, high) = part.split_once(':').unwrap_or((part, part));
                low.parse::<u32>().unwrap()..=high.parse::<u32>().unwrap()
            }).collect();
            prop_assert_eq!(named, uids);
        }
    }
}
