//! The flags of a message: the system flags of RFC 3501 2.3.2 and one fixed table of keywords, in 32 bits.
//!
//! Keywords are those of RFC 5788's registry with RFC 8457's `$Important`, and our own. In a file name the system flags are
//! Maildir's letters and the keywords are `a` to `z`, as Dovecot writes them.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Not};

/// A set of flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u32);

/// Every flag that a message can have: its IMAP name and its letter in a Maildir name. The position is the bit; a
/// position never changes its meaning, since names on disk refer to it. PERMANENTFLAGS lists the same names.
pub const TABLE: [(&str, u8); 28] = [
    ("\\Draft", b'D'),
    ("\\Flagged", b'F'),
    ("\\Answered", b'R'),
    ("\\Seen", b'S'),
    ("\\Deleted", b'T'),
    ("$Forwarded", b'P'),
    ("$Released", b'a'),
    ("$ReleaseFailed", b'b'),
    ("$TrainedHam", b'c'),
    ("$TrainedSpam", b'd'),
    ("$ReleasePending", b'e'),
    ("$TrainPending", b'f'),
    ("$NotReleasable", b'g'),
    ("$Junk", b'h'),
    ("$NotJunk", b'i'),
    ("$Phishing", b'j'),
    ("$MDNSent", b'k'),
    ("$Important", b'l'),
    ("$SubmitPending", b'm'),
    ("$Submitted", b'n'),
    ("Junk", b'o'),
    ("NonJunk", b'p'),
    ("$label1", b'q'),
    ("$label2", b'r'),
    ("$label3", b's'),
    ("$label4", b't'),
    ("$label5", b'u'),
    ("$ReleaseRequested", b'v'),
];

impl Flags {
    /// No flag.
    pub const NONE: Flags = Flags(0);
    /// `\Draft`
    pub const DRAFT: Flags = Flags(1);
    /// `\Flagged`
    pub const FLAGGED: Flags = Flags(1 << 1);
    /// `\Answered`
    pub const ANSWERED: Flags = Flags(1 << 2);
    /// `\Seen`
    pub const SEEN: Flags = Flags(1 << 3);
    /// `\Deleted`
    pub const DELETED: Flags = Flags(1 << 4);
    /// It was delivered.
    pub const RELEASED: Flags = Flags(1 << 6);
    /// The mail server refused it for good.
    pub const RELEASE_FAILED: Flags = Flags(1 << 7);
    /// It was reported as wrongly caught.
    pub const TRAINED_HAM: Flags = Flags(1 << 8);
    /// It was reported as spam.
    pub const TRAINED_SPAM: Flags = Flags(1 << 9);
    /// Its delivery was asked for and is not finished.
    pub const RELEASE_PENDING: Flags = Flags(1 << 10);
    /// A training was asked for and is not finished.
    pub const TRAIN_PENDING: Flags = Flags(1 << 11);
    /// Only its header was kept, so it cannot be delivered.
    pub const NOT_RELEASABLE: Flags = Flags(1 << 12);
    /// Somebody who may not do it himself requested something of it, and nobody has decided yet.
    pub const RELEASE_REQUESTED: Flags = Flags(1 << 27);
    /// Those that say what was done with a message; set by us, never by a client.
    pub const OURS: Flags = Flags(0x7f << 6 | 1 << 27);

    /// Whether every flag of `other` is in this set.
    pub fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// This set without those of `other`.
    pub fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The flag with this IMAP name, in any case.
    pub fn by_name(name: &str) -> Option<Flags> {
        TABLE.iter().position(|(n, _)| n.eq_ignore_ascii_case(name)).map(|bit| Flags(1 << bit))
    }

    /// The IMAP names of the flags in the set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            // the lowest one that is left
            let bit = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            TABLE.get(bit as usize).map(|(name, _)| *name)
        })
    }

    /// The Maildir letters of the set, in ASCII order as Maildir asks.
    pub fn letters(self) -> String {
        let mut letters: Vec<u8> =
            TABLE.iter().enumerate().filter(|(bit, _)| self.0 >> bit & 1 == 1).map(|(_, (_, l))| *l).collect();
        letters.sort_unstable();
        letters.into_iter().map(char::from).collect()
    }

    /// The set that Maildir letters name; letters that the table lacks are passed over.
    pub fn from_letters(letters: &[u8]) -> Flags {
        let mut flags = Flags::NONE;
        for letter in letters {
            if let Some(bit) = TABLE.iter().position(|(_, l)| l == letter) {
                flags |= Flags(1 << bit);
            }
        }
        flags
    }
}

impl BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Flags) {
        self.0 |= other.0;
    }
}

impl BitAnd for Flags {
    type Output = Flags;
    fn bitand(self, other: Flags) -> Flags {
        Flags(self.0 & other.0)
    }
}

impl Not for Flags {
    type Output = Flags;
    fn not(self) -> Flags {
        Flags(!self.0)
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.names().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_back() {
        for bit in 0..TABLE.len() {
            let flag = Flags(1 << bit);
            assert_eq!(Flags::from_letters(flag.letters().as_bytes()), flag);
            assert_eq!(Flags::by_name(&flag.to_string().to_uppercase()), Some(flag));
        }
        assert_eq!((Flags::SEEN | Flags::DRAFT | Flags::RELEASED).letters(), "DSa");
        assert_eq!(Flags::from_letters(b"S?z"), Flags::SEEN);
    }
}
