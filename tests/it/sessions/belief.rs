//! What a client makes of the lines that it is told, and which of them may not be told.

use super::client::{Client, Kind, Known};
use lazaret::base::Flags;
use std::ops::RangeInclusive;

/// Whether a command may be told of removals (RFC 3501 7.4.1).
fn may_remove(command: &str) -> bool {
    !["FETCH", "STORE", "SEARCH"].iter().any(|word| command.starts_with(word))
}

fn ranges(set: &str) -> impl Iterator<Item = RangeInclusive<u32>> {
    set.split(',').map(|range| {
        let (low, high) = range.split_once(':').unwrap_or((range, range));
        low.parse::<u32>().expect("a number")..=high.parse().expect("a number")
    })
}

fn numbers(set: &str) -> Vec<u32> {
    ranges(set).flatten().collect()
}

/// What stands after `before` up to one of `ends`.
pub fn after<'a>(line: &'a str, before: &str, ends: &[char]) -> Option<&'a str> {
    let at = line.find(before)? + before.len();
    line[at..].split(ends).next()
}

impl Client {
    pub fn believe(&mut self, tag: &str, command: &str, answer: &str) -> Vec<String> {
        let lines: Vec<String> = answer.lines().map(str::to_string).collect();
        let mut ended = false;
        for line in &lines {
            self.history.push(format!("S: {line}"));
            if let Some(code) = after(line, "[HIGHESTMODSEQ ", &[']']) {
                let code = code.parse().expect("a number");
                if code < self.told_highest && !command.starts_with("SELECT") {
                    self.breach("HIGHESTMODSEQ goes back");
                }
                self.told_highest = code;
                self.code = Some(code);
            }
            if let Some(set) = after(line, "[MODIFIED ", &[']']) {
                self.modified = numbers(set);
            }
            if let Some(uid_next) = after(line, "[UIDNEXT ", &[']']) {
                self.uid_next = uid_next.parse().expect("a number");
            }
            if let Some(validity) = after(line, "[UIDVALIDITY ", &[']']) {
                self.validity = validity.parse().expect("a number");
            }
            let words: Vec<&str> = line.split(' ').collect();
            let number = words.get(1).and_then(|n| n.parse::<usize>().ok());
            match (words.as_slice(), number) {
                (["*", _, "EXPUNGE"], Some(n)) => self.expunged(command, n),
                (["*", "VANISHED", "(EARLIER)", set], _) => self.vanished_earlier(command, set),
                (["*", "VANISHED", set], _) => self.vanished(command, set),
                (["*", _, "EXISTS"], Some(n)) => {
                    if n < self.list.len() {
                        self.breach("EXISTS shrinks");
                    }
                    if !command.starts_with("SELECT") {
                        self.list.resize(n, Known::default());
                    }
                }
                (["*", _, "FETCH", ..], Some(n)) if !command.starts_with("SELECT") => self.fetched(n, line),
                ([first, "BAD", ..], _) if *first == tag || *first == "*" => self.breach("BAD"),
                ([first, ..], _) if *first == tag => ended = true,
                _ => {}
            }
        }
        if !ended && !command.starts_with("IDLE") {
            self.breach("the command does not end");
        }
        // RFC 7162 6: the code, even when it is lower; else the highest of the FETCHes
        match self.code {
            Some(code) => self.highest = code,
            None => self.highest = self.highest.max(self.max_fetched),
        }
        lines
    }

    fn expunged(&mut self, command: &str, n: usize) {
        if self.kind == Kind::Resync {
            self.breach("EXPUNGE after ENABLE QRESYNC");
        }
        if !may_remove(command) {
            self.breach("EXPUNGE during a command that uses numbers");
        }
        if !(1..=self.list.len()).contains(&n) {
            self.breach("EXPUNGE of a message that is not there");
        }
        self.list.remove(n - 1);
    }

    fn vanished(&mut self, command: &str, set: &str) {
        if self.kind != Kind::Resync {
            self.breach("VANISHED without ENABLE QRESYNC");
        }
        if !may_remove(command) {
            self.breach("VANISHED during a command that uses numbers");
        }
        for uid in numbers(set) {
            let Some(at) = self.list.iter().position(|known| known.uid == Some(uid)) else {
                self.breach("VANISHED of a message that the client does not have");
            };
            self.list.remove(at);
        }
    }

    fn vanished_earlier(&mut self, command: &str, set: &str) {
        if !command.starts_with("SELECT") && !command.contains("VANISHED") {
            self.breach("VANISHED (EARLIER) that nobody asked for");
        }
        // It may name millions of UIDs that never were.
        for range in ranges(set) {
            if self.list.iter().any(|known| known.uid.is_some_and(|uid| range.contains(&uid))) {
                self.breach("VANISHED (EARLIER) of a message that is in the list");
            }
            if let Some(memory) = self.memory.get_mut(&self.folder) {
                memory.messages.retain(|uid, _| !range.contains(uid));
            }
        }
    }

    pub fn fetched(&mut self, n: usize, line: &str) {
        if !(1..=self.list.len()).contains(&n) {
            self.breach("FETCH of a message that is not there");
        }
        let mut known = self.list[n - 1].clone();
        if let Some(uid) = after(line, "UID ", &[' ', ')']).map(|uid| uid.parse::<u32>().expect("a UID")) {
            if known.uid.is_some_and(|k| k != uid) {
                self.breach("the UID of a message changes");
            }
            let below = self.list[..n - 1].iter().rev().find_map(|known| known.uid);
            let above = self.list[n..].iter().find_map(|known| known.uid);
            if below.is_some_and(|below| below >= uid) || above.is_some_and(|above| above <= uid) {
                self.breach("UIDs do not ascend");
            }
            known.uid = Some(uid);
        }
        let flags = after(line, "FLAGS (", &[')'])
            .map(|flags| flags.split(' ').filter_map(Flags::by_name).fold(Flags::NONE, |all, flag| all | flag));
        match after(line, "MODSEQ (", &[')']).map(|modseq| modseq.parse::<u64>().expect("a number")) {
            Some(modseq) => {
                if modseq < known.modseq {
                    self.breach("the MODSEQ of a message goes back");
                }
                if modseq == known.modseq && flags.is_some() && known.flags.is_some() && flags != known.flags {
                    self.breach("flags change without a MODSEQ");
                }
                known.modseq = modseq;
                self.max_fetched = self.max_fetched.max(modseq);
            }
            None if self.kind != Kind::Plain && flags.is_some() => self.breach("FETCH without MODSEQ"),
            None => {}
        }
        known.flags = flags.or(known.flags);
        self.list[n - 1] = known;
    }
}
