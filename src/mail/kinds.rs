//! Why a message is here: its class and kind; and which kept folder it lies in.

use std::fmt;

/// Why a message is here, as far as folders go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Class {
    /// Mail to one of our recipients, refused and kept: Caught.
    #[default]
    Incoming,
    /// Mail that one of our users sent: Caught (Outgoing).
    Outgoing,
    /// A copy of mail that was delivered and may be spam: Training Requested.
    Unsure,
}

/// What the filter saw in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Kind {
    /// Unwanted mail.
    #[default]
    Spam,
    /// An attempt to steal credentials.
    Phish,
    /// Malware.
    Virus,
    /// A forbidden attachment or form.
    Banned,
    /// A rule of the site.
    Policy,
}

/// A folder that holds messages; the name of its directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kept {
    /// Incoming mail.
    Caught,
    /// Outgoing mail.
    Outgoing,
    /// Copies of doubtful mail that was delivered.
    Training,
    /// What was removed or only trained, until it expires.
    Trash,
}

impl Class {
    /// All classes.
    pub const ALL: [Class; 3] = [Class::Incoming, Class::Outgoing, Class::Unsure];

    /// The letter in a file name.
    pub fn letter(self) -> char {
        match self {
            Class::Incoming => 'i',
            Class::Outgoing => 'o',
            Class::Unsure => 'u',
        }
    }

    /// The class with this letter.
    pub fn from_letter(letter: char) -> Option<Class> {
        Class::ALL.into_iter().find(|c| c.letter() == letter)
    }

    /// The word in configuration, journal and command line.
    pub fn word(self) -> &'static str {
        match self {
            Class::Incoming => "incoming",
            Class::Outgoing => "outgoing",
            Class::Unsure => "unsure",
        }
    }

    /// The class with this word.
    pub fn from_word(word: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|c| c.word() == word)
    }

    /// Where its messages are kept.
    pub fn folder(self) -> Kept {
        match self {
            Class::Incoming => Kept::Caught,
            Class::Outgoing => Kept::Outgoing,
            Class::Unsure => Kept::Training,
        }
    }
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 5] = [Kind::Spam, Kind::Phish, Kind::Virus, Kind::Banned, Kind::Policy];

    /// The letter in a file name.
    pub fn letter(self) -> char {
        match self {
            Kind::Spam => 's',
            Kind::Phish => 'p',
            Kind::Virus => 'v',
            Kind::Banned => 'b',
            Kind::Policy => 'y',
        }
    }

    /// The kind with this letter.
    pub fn from_letter(letter: char) -> Option<Kind> {
        Kind::ALL.into_iter().find(|k| k.letter() == letter)
    }

    /// The word in configuration, journal and command line.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Spam => "spam",
            Kind::Phish => "phish",
            Kind::Virus => "virus",
            Kind::Banned => "banned",
            Kind::Policy => "policy",
        }
    }

    /// The kind with this word.
    pub fn from_word(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|k| k.word() == word)
    }
}

impl Kept {
    /// All kept folders.
    pub const ALL: [Kept; 4] = [Kept::Caught, Kept::Outgoing, Kept::Training, Kept::Trash];

    /// The directory in a recipient's tree.
    pub fn directory(self) -> &'static str {
        match self {
            Kept::Caught => "Caught",
            Kept::Outgoing => "Outgoing",
            Kept::Training => "Training",
            Kept::Trash => "Trash",
        }
    }

    /// The folder with this directory.
    pub fn from_directory(name: &str) -> Option<Kept> {
        Kept::ALL.into_iter().find(|k| k.directory() == name)
    }

    /// Position in tables that have one entry a folder.
    pub fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.directory())
    }
}
