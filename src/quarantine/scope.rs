//! How much of the mail an account sees.

use crate::mail::Address;
use std::fmt;

/// Whose mail an account sees.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Everybody's: login `global`.
    Global,
    /// That of one domain: login `example.org`.
    Domain(String),
    /// That of one recipient: login `alice@example.org`. The address is a tree's name.
    Recipient(Address),
}

/// How wide a scope is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Everybody's mail.
    Global,
    /// A domain's.
    Domain,
    /// One recipient's.
    Recipient,
}

impl Scope {
    /// How wide it is.
    pub fn level(&self) -> Level {
        match self {
            Scope::Global => Level::Global,
            Scope::Domain(_) => Level::Domain,
            Scope::Recipient(_) => Level::Recipient,
        }
    }

    /// Whether it sees the mail of this tree.
    pub fn sees(&self, tree: &Address) -> bool {
        match self {
            Scope::Global => true,
            Scope::Domain(domain) => tree.domain() == domain,
            Scope::Recipient(address) => tree == address,
        }
    }
}

impl fmt::Display for Scope {
    /// Its login name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Global => f.write_str("global"),
            Scope::Domain(domain) => f.write_str(domain),
            Scope::Recipient(address) => address.fmt(f),
        }
    }
}

impl Level {
    /// All of them, widest first.
    pub const ALL: [Level; 3] = [Level::Global, Level::Domain, Level::Recipient];

    /// The word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Level::Global => "global",
            Level::Domain => "domain",
            Level::Recipient => "recipient",
        }
    }

    /// The one with this word.
    pub fn from_word(word: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|l| l.word() == word)
    }
}
