//! The file name of a stored message, and of a queue entry made from it. All that a listing needs is in it, so starting
//! needs `readdir` only.
//!
//! ```text
//! <seconds>.M<µs>P<pid>Q<n>.<host>,S=<size>[,W=<size with CRLF>][,U=<uid>][,T=<trace bytes>][,C=<class><kind>]
//!     [,E=<retention start>][,L=<recipients left>][,<more>=<value>…][:2,<flags>]
//! ```
//!
//! What stands before the first comma is the message id; it stays for life. A foreign Maildir name is read the same way:
//! whatever its base looks like is its id, and what it lacks is `None`.

use super::kinds::{Class, Kind};
use crate::base::{Flags, Timestamp, path::NAME_MAX};
use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Further field: the id of the message that this one was copied from.
pub const COPY_OF: char = 'J';
/// How that field begins in a file name.
pub const COPY_FIELD: &str = ",J=";
/// Further field: when it entered the folder, in seconds since 1970, if nothing else tells.
pub const SAVED: char = 'I';

/// A parsed name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The message id.
    pub base: Base,
    /// `S=`: the file's size in bytes. `None` in foreign names that lack it.
    pub size: Option<u64>,
    /// `W=`: the size with CRLF line ends, when it differs from the file's.
    pub wire_size: Option<u64>,
    /// `U=`: the UID that it had last.
    pub uid: Option<u32>,
    /// `T=`: bytes of the trace at the top of the file. Absent: there is none.
    pub trace: u32,
    /// `C=`: class.
    pub class: Class,
    /// `C=`: kind.
    pub kind: Kind,
    /// `E=`: when retention starts (seconds since 1970), if that is not the arrival.
    pub retain_from: Option<u64>,
    /// `L=`: those recipients of the trace that a release still has to reach, when not all.
    pub left: Option<Left>,
    /// Further fields in their order, for queue entries; a foreign name's unknown fields, too.
    pub more: Vec<(char, String)>,
    /// `:2,`: flags; `None` when the name has no such part, as in `new/`.
    pub flags: Option<Flags>,
}

/// The part of a name before the first comma.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Base {
    /// One that this store made.
    Ours(Stamp, Box<str>),
    /// Any other.
    Foreign(Box<str>),
}

/// The numbers in a base that this store made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Stamp {
    /// Seconds since 1970: the arrival.
    pub secs: u64,
    /// Microseconds of that second.
    pub micros: u32,
    /// The process.
    pub pid: u32,
    /// Counts within the process.
    pub count: u32,
}

/// Which recipients of a trace are left, one bit each, in hexadecimal digits (the lowest bit first).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Left(pub u128);

impl Base {
    /// A base for a message that arrived now. `host` is cut to what leaves room for the fields.
    pub fn new(at: Timestamp, pid: u32, count: u32, host: &str) -> Base {
        Base::Ours(Stamp { secs: at.secs(), micros: at.subsec_micros(), pid, count }, host_label(host).into())
    }

    /// The seconds that the base begins with, as Maildir names do.
    pub fn secs(&self) -> Option<u64> {
        match self {
            Base::Ours(stamp, _) => Some(stamp.secs),
            Base::Foreign(text) => text.split('.').next().and_then(|s| s.parse().ok()).filter(|&s| s < 1 << 33),
        }
    }

    /// The same, for a message that arrived at another time.
    pub fn arrived(self, secs: u64) -> Base {
        match self {
            Base::Ours(stamp, host) => Base::Ours(Stamp { secs, ..stamp }, host),
            foreign @ Base::Foreign(_) => foreign,
        }
    }

    /// A number for it: two of a million ids have the same once in 30 million stores.
    pub fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// Reads the text before the first comma.
    pub fn parse(text: &str) -> Base {
        match parse_ours(text) {
            Some((stamp, host)) => Base::Ours(stamp, host.into()),
            None => Base::Foreign(text.into()),
        }
    }
}

/// Whether nothing in it is a control character or a slash.
fn is_plain(text: &str) -> bool {
    if text.is_ascii() {
        text.bytes().all(|b| (b' '..0x7f).contains(&b) && b != b'/')
    } else {
        !text.contains(|c: char| c.is_control() || c == '/')
    }
}

/// A host name as part of a file name: at most 40 bytes, no separator of ours.
pub fn host_label(host: &str) -> String {
    let label: String = host
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '-' })
        .take(40)
        .collect();
    if label.is_empty() { "localhost".to_string() } else { label }
}

/// Only the canonical spelling, so that printing gives back what was on disk.
fn parse_ours(text: &str) -> Option<(Stamp, &str)> {
    let (secs, rest) = number(text)?;
    let (micros, rest) = number(rest.strip_prefix(".M")?)?;
    let (pid, rest) = number(rest.strip_prefix('P')?)?;
    let (count, rest) = number(rest.strip_prefix('Q')?)?;
    let micros = u32::try_from(micros).ok().filter(|&micros| micros < 1_000_000)?;
    let stamp = Stamp { secs, micros, pid: pid.try_into().ok()?, count: count.try_into().ok()? };
    Some((stamp, rest.strip_prefix('.')?))
}

/// The number that a text begins with, and what follows it. Digit by digit: names are read by the hundred thousand, and what
/// searches texts takes longer to begin than this to end.
fn number(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at_checked(digits)?;
    let add = |sum: u64, digit: u8| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    let is_canonical = digits == "0" || matches!(digits.as_bytes().first(), Some(b'1'..=b'9'));
    Some((digits.bytes().try_fold(0, add).filter(|_| is_canonical)?, rest))
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Base::Ours(s, host) => write!(f, "{}.M{}P{}Q{}.{host}", s.secs, s.micros, s.pid, s.count),
            Base::Foreign(text) => f.write_str(text),
        }
    }
}

/// The id in a file name. Neither a comma nor a colon stands in one: they begin the fields and the flags.
pub fn id_in(name: &str) -> &str {
    let end = memchr::memchr2(b',', b':', name.as_bytes());
    end.and_then(|end| name.get(..end)).unwrap_or(name)
}

/// What stands before the first `:2,` of a name, and behind it.
fn info(name: &str) -> Option<(&str, &str)> {
    let at =
        memchr::memchr_iter(b':', name.as_bytes()).find_map(|at| name.get(at..)?.starts_with(":2,").then_some(at))?;
    Some((name.get(..at)?, name.get(at + 3..)?))
}

/// The parts of a text between the bytes `at`, which is ASCII.
fn parts(text: &str, at: u8) -> impl Iterator<Item = &str> {
    let ends = memchr::memchr_iter(at, text.as_bytes()).chain([text.len()]);
    ends.scan(0, |start, end| Some(text.get(std::mem::replace(start, end + 1)..end).unwrap_or_default()))
}

impl Name {
    /// A name with an id and a size, and nothing else.
    pub fn new(base: Base, size: u64) -> Name {
        Name {
            base,
            size: Some(size),
            wire_size: None,
            uid: None,
            trace: 0,
            class: Class::default(),
            kind: Kind::default(),
            retain_from: None,
            left: None,
            more: Vec::new(),
            flags: None,
        }
    }

    /// Reads a file name. `None` for what cannot be a message: an empty or hidden name, or one with a control character
    /// or a slash. Fields that are not understood are kept in `more`; a known field with a bad value is dropped.
    pub fn parse(text: &str) -> Option<Name> {
        if text.is_empty() || text.starts_with('.') || text.len() > NAME_MAX || !is_plain(text) {
            return None;
        }
        let (body, flags) = match info(text) {
            Some((body, letters)) => (body, Some(Flags::from_letters(parts(letters, b',').next()?.as_bytes()))),
            None => (parts(text, b':').next()?, None),
        };
        let mut fields = parts(body, b',');
        let base = Base::parse(fields.next().filter(|b| !b.is_empty())?);
        let mut name = Name { size: None, flags, ..Name::new(base, 0) };
        let mut more = Vec::new();
        for field in fields {
            let mut chars = field.chars();
            let (Some(key), Some('=')) = (chars.next(), chars.next()) else { continue };
            name.take_field(key, chars.as_str(), &mut more);
        }
        name.more = more;
        Some(name)
    }

    fn take_field(&mut self, key: char, value: &str, more: &mut Vec<(char, String)>) {
        match key {
            'S' => self.size = value.parse().ok(),
            'W' => self.wire_size = value.parse().ok(),
            'U' => self.uid = value.parse().ok().filter(|&u| u > 0),
            'T' => self.trace = value.parse().unwrap_or(0),
            'E' => self.retain_from = value.parse().ok(),
            'L' => self.left = u128::from_str_radix(value, 16).ok().map(Left),
            'C' => {
                let mut letters = value.chars();
                self.class = letters.next().and_then(Class::from_letter).unwrap_or_default();
                self.kind = letters.next().and_then(Kind::from_letter).unwrap_or_default();
            }
            key => more.push((key, value.to_string())),
        }
    }

    /// The message id.
    pub fn id(&self) -> String {
        self.base.to_string()
    }

    /// The value of a further field.
    pub fn field(&self, key: char) -> Option<&str> {
        self.more.iter().find(|(k, _)| *k == key).map(|(_, v)| v.as_str())
    }

    /// This name with a further field set (or dropped).
    pub fn with_field(mut self, key: char, value: Option<String>) -> Name {
        self.more.retain(|(k, _)| *k != key);
        self.more.extend(value.map(|v| (key, v)));
        self
    }

    /// The id under which the content is known: of a copy, that of its original.
    pub fn original(&self) -> String {
        self.field(COPY_OF).map_or_else(|| self.id(), str::to_string)
    }

    /// When it entered the folder, if the name says so.
    pub fn saved(&self) -> Option<u64> {
        self.field(SAVED)?.parse().ok()
    }

    /// This name without further fields: a message's own name again.
    pub fn without_more(mut self) -> Name {
        self.more.clear();
        self
    }

    /// As it is printed, and made for each message that is opened.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(NAME_MAX);
        // a String takes everything
        let _ = write!(text, "{self}");
        text
    }

    /// Whether the printed name fits into a directory.
    pub fn fits(&self) -> bool {
        self.text().len() <= NAME_MAX
    }

    /// The size in wire form, when the name tells it.
    pub fn size_on_wire(&self) -> Option<u64> {
        self.wire_size.or(self.size)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.base)?;
        if let Some(size) = self.size {
            write!(f, ",S={size}")?;
        }
        if let Some(size) = self.wire_size {
            write!(f, ",W={size}")?;
        }
        if let Some(uid) = self.uid {
            write!(f, ",U={uid}")?;
        }
        if self.trace > 0 {
            write!(f, ",T={}", self.trace)?;
        }
        if (self.class, self.kind) != Default::default() {
            write!(f, ",C={}{}", self.class.letter(), self.kind.letter())?;
        }
        if let Some(secs) = self.retain_from {
            write!(f, ",E={secs}")?;
        }
        if let Some(Left(bits)) = self.left {
            write!(f, ",L={bits:x}")?;
        }
        for (key, value) in &self.more {
            write!(f, ",{key}={value}")?;
        }
        if let Some(flags) = self.flags {
            f.write_str(":2,")?;
            f.write_str(&flags.letters())?;
        }
        Ok(())
    }
}

impl Left {
    /// Whether the recipient with this index is left.
    pub fn has(&self, index: usize) -> bool {
        index < 128 && self.0 >> index & 1 == 1
    }

    /// This set with one less.
    pub fn without(&self, index: usize) -> Left {
        Left(if index < 128 { self.0 & !(1 << index) } else { self.0 })
    }

    /// Whether nobody is left.
    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// This set with one more.
    pub fn with(&self, index: usize) -> Left {
        Left(if index < 128 { self.0 | 1 << index } else { self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ours_foreign_and_broken() {
        let text = "1732215812.M123456P77Q5.mx.example.org,S=8312,U=9,T=412,C=ov,E=1732300000,L=5:2,FSa";
        let name = Name::parse(text).unwrap();
        assert_eq!(name.to_string(), text);
        assert_eq!(name.id(), "1732215812.M123456P77Q5.mx.example.org");
        assert_eq!((name.class, name.kind), (Class::Outgoing, Kind::Virus));
        assert!(name.left.as_ref().is_some_and(|l| l.has(0) && !l.has(1) && l.has(2)));
        assert_eq!(name.flags.unwrap(), Flags::FLAGGED | Flags::SEEN | Flags::RELEASED);

        let foreign = Name::parse("1234567890.H77.box:2,RS").unwrap();
        assert_eq!((foreign.base.secs(), foreign.size), (Some(1_234_567_890), None));
        assert_eq!(foreign.id(), "1234567890.H77.box");
        assert_eq!(Name::parse("x,S=12x,U=0,T=-1").unwrap().to_string(), "x");
        for bad in ["", ".hidden", "a/b", "a\nb", ",S=1"] {
            assert_eq!(Name::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_base_that_only_looks_like_ours_keeps_its_bytes() {
        for text in ["0012.M5P1Q1.h", "12.M0005P1Q1.h", "12.M+5P1Q1.h"] {
            assert_eq!(Name::parse(text).unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn any_name_survives_a_round_trip(text in "[ -.0-~é]{1,120}") {
            if let Some(name) = Name::parse(&text) {
                let printed = name.to_string();
                prop_assert_eq!(Name::parse(&printed).unwrap(), name);
            }
        }

        #[test]
        fn made_names_round_trip(
            at in 0u64..5_000_000_000_000_000, pid: u32, count: u32, host in "[a-zA-Z0-9.é_-]{0,60}", size: u64, uid in 1u32..,
            trace: u32, flags in 0u32..1 << 27, left: Option<u128>, retain: Option<u32>,
        ) {
            let mut name = Name::new(Base::new(Timestamp(at), pid, count, &host), size);
            name.uid = Some(uid);
            name.trace = trace;
            name.flags = Some(Flags(flags));
            name.left = left.map(Left);
            name.retain_from = retain.map(u64::from);
            let name = name.with_field('V', Some("rh".into()));
            prop_assert!(name.fits());
            prop_assert_eq!(Name::parse(&name.to_string()).unwrap(), name);
        }
    }
}
