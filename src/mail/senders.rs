//! A list of senders: who is allowed, who is blocked. It is a text that a person can read and edit:
//!
//! ```text
//! # a remark
//! allow bob@far.example 2026-11-22T04:30:00Z alice@example.org
//! block spam.example
//! ```
//!
//! Each line has `allow` or `block`, an address or a domain, and, if it was noted, when and by whom. A domain stands for
//! everything below it, too. What is not understood stays where it is and counts for nothing.

use super::address::Address;
use super::alignment::ascii;
use std::collections::HashMap;
use std::fmt;

/// Whether a sender is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sense {
    /// Its mail is not to be caught, where it is proved that it is from there.
    Allow,
    /// Its mail is to be caught, proved or not.
    Block,
}

/// One sender, or many: normalised, so that equal ones are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pattern {
    /// One address; the local part in lower case, without quotes.
    Address(Address),
    /// A domain and all below it, in ASCII.
    Domain(String),
}

/// Why a text names no sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPattern;

/// One line that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Wanted or not.
    pub sense: Sense,
    /// Who.
    pub pattern: Pattern,
    /// When it was made, as RFC 3339 has it.
    pub since: Option<String>,
    /// Who made it, or what a person wrote behind it.
    pub by: String,
}

/// A whole list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct List {
    lines: Vec<Line>,
    /// What counts, by the pattern's text.
    index: HashMap<String, Sense>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Entry(Entry),
    /// A remark, nothing, or what is not understood.
    Other(String),
}

impl Sense {
    /// Both.
    pub const ALL: [Sense; 2] = [Sense::Allow, Sense::Block];

    /// The word in files, forms and commands.
    pub fn word(self) -> &'static str {
        match self {
            Sense::Allow => "allow",
            Sense::Block => "block",
        }
    }

    /// The one with this word.
    pub fn from_word(word: &str) -> Option<Sense> {
        Sense::ALL.into_iter().find(|sense| sense.word() == word)
    }
}

impl Pattern {
    /// Reads an address or a domain, which may also be written `@far.example`, `*@far.example` or `*.far.example`.
    pub fn parse(text: &str) -> Result<Pattern, NoPattern> {
        let text = text.trim();
        let domain = ["*@", "*.", "@", "."].iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
        if !domain.contains('@') {
            return ascii(domain).map(Pattern::Domain).ok_or(NoPattern);
        }
        Address::parse(text).ok().as_ref().and_then(Pattern::of).ok_or(NoPattern)
    }

    /// That of one address. `None`: it needs quotes, or has no domain of the DNS; no list can name it.
    pub fn of(address: &Address) -> Option<Pattern> {
        let domain = ascii(address.domain())?;
        let address = address.with_local(&address.local().to_lowercase()).with_domain(&domain);
        (!address.to_string().starts_with('"')).then_some(Pattern::Address(address))
    }

    /// The domain, or that of the address.
    pub fn domain(&self) -> &str {
        match self {
            Pattern::Address(address) => address.domain(),
            Pattern::Domain(domain) => domain,
        }
    }

    /// Itself and what else stands for it, the narrowest first: an address, its domain, each domain above that.
    pub fn wider(&self) -> impl Iterator<Item = String> {
        let own = matches!(self, Pattern::Address(_)).then(|| self.to_string());
        let domains = std::iter::successors(Some(self.domain()), |domain| Some(domain.split_once('.')?.1));
        own.into_iter().chain(domains.map(str::to_string))
    }
}

impl fmt::Display for Pattern {
    /// As it stands in a list.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Address(address) => address.fmt(f),
            Pattern::Domain(domain) => f.write_str(domain),
        }
    }
}

impl fmt::Display for Entry {
    /// Its line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.sense.word(), self.pattern)?;
        for word in self.since.iter().chain(Some(&self.by).filter(|by| !by.is_empty())) {
            write!(f, " {word}")?;
        }
        Ok(())
    }
}

impl List {
    /// Reads a list.
    pub fn parse(text: &str) -> List {
        let read = |line: &str| entry(line).map_or_else(|| Line::Other(line.to_string()), Line::Entry);
        List::of(text.lines().map(read).collect())
    }

    fn of(lines: Vec<Line>) -> List {
        let mut index = HashMap::new();
        for entry in lines.iter().filter_map(Line::entry) {
            // Where a person wrote both, the careful one counts.
            let sense = index.entry(entry.pattern.to_string()).or_insert(entry.sense);
            if entry.sense == Sense::Block {
                *sense = Sense::Block;
            }
        }
        List { lines, index }
    }

    /// What counts, in the order of the file.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.lines.iter().filter_map(Line::entry)
    }

    /// Lines that are not understood: their numbers, from 1, and what they say.
    pub fn odd(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(&self.lines).filter_map(|(number, line)| match line {
            Line::Other(text) if !text.trim().is_empty() && !text.trim_start().starts_with('#') => {
                Some((number, text.as_str()))
            }
            _ => None,
        })
    }

    /// How many senders it names.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether it names none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// What counts in the end, each pattern once, sorted.
    pub fn counting(&self) -> Vec<(&str, Sense)> {
        let mut all: Vec<_> = self.index.iter().map(|(pattern, sense)| (pattern.as_str(), *sense)).collect();
        all.sort_unstable_by_key(|(pattern, _)| *pattern);
        all
    }

    /// What it says of this very pattern.
    pub fn has(&self, pattern: &Pattern) -> Option<Sense> {
        self.index.get(&pattern.to_string()).copied()
    }

    /// The list with this entry at its end, in place of what it said of this pattern.
    pub fn with(&self, entry: Entry) -> List {
        let mut lines = self.without(&entry.pattern).lines;
        lines.push(Line::Entry(entry));
        List::of(lines)
    }

    /// The list without this pattern.
    pub fn without(&self, pattern: &Pattern) -> List {
        let stays = |line: &&Line| line.entry().is_none_or(|entry| entry.pattern != *pattern);
        List::of(self.lines.iter().filter(stays).cloned().collect())
    }

    /// What it says of mail from here: the narrowest entry that counts. `is_proved`: see `alignment::proof`; without it
    /// nobody is allowed, since anybody can write anything into From.
    pub fn says(&self, from: &Pattern, is_proved: bool) -> Option<Sense> {
        let counts = |sense: &&Sense| is_proved || **sense == Sense::Block;
        from.wider().find_map(|text| self.index.get(&text).filter(counts).copied())
    }
}

impl fmt::Display for List {
    /// The whole file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| match line {
            Line::Entry(entry) => writeln!(f, "{entry}"),
            Line::Other(text) => writeln!(f, "{text}"),
        })
    }
}

impl Line {
    fn entry(&self) -> Option<&Entry> {
        match self {
            Line::Entry(entry) => Some(entry),
            Line::Other(_) => None,
        }
    }
}

/// Reads a line; `None`: it is no entry.
fn entry(line: &str) -> Option<Entry> {
    let (sense, rest) = word(line)?;
    let (pattern, rest) = word(rest)?;
    let (sense, pattern) = (Sense::from_word(sense)?, Pattern::parse(pattern).ok()?);
    let (since, by) = match word(rest) {
        Some((first, by)) if is_time(first) => (Some(first.to_string()), by),
        _ => (None, rest),
    };
    Some(Entry { sense, pattern, since, by: by.trim().to_string() })
}

fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let (word, rest) = text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()));
    (!word.is_empty()).then_some((word, rest))
}

/// `2026-11-22T04:30:00Z`
fn is_time(word: &str) -> bool {
    let shape: Vec<u8> = word.bytes().map(|b| if b.is_ascii_digit() { b'0' } else { b }).collect();
    shape == b"0000-00-00T00:00:00Z"
}

#[cfg(test)]
mod tests;
