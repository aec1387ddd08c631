//! The words of the grammar (RFC 3501 9): a cursor that reads atoms, strings, numbers, sets, flags and dates.

use super::capability::Enabled;
use super::commands::Command;
use super::mutf7;
use super::request::{AppendHead, Bad};
use super::sequence::SequenceSet;
use super::write::{is_astring_char, is_atom_char};
use crate::base::{Flags, Timestamp, limits, time};

/// What a parsing function returns.
pub type Parsing<T> = Result<T, Bad>;

/// A cursor over one command.
#[derive(Debug)]
pub struct Parser<'a> {
    input: &'a [u8],
    at: usize,
    /// What the client has switched on: it changes strings and mailbox names, and what may be said in SEARCH.
    pub(super) enabled: Enabled,
}

impl<'a> Parser<'a> {
    /// At the beginning of `input`.
    pub fn new(input: &'a [u8]) -> Self {
        Parser { input, at: 0, enabled: Enabled::default() }
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    /// The next byte.
    pub fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    /// Reads `byte` if it is next.
    pub fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// Gives back the byte that was read last.
    pub fn back(&mut self) {
        self.at = self.at.saturating_sub(1);
    }

    /// Reads `word` in any case if it is next.
    pub fn eat_word(&mut self, word: &str) -> bool {
        let there = self.rest().get(..word.len()).is_some_and(|w| w.eq_ignore_ascii_case(word.as_bytes()));
        self.at += if there { word.len() } else { 0 };
        there
    }

    /// Exactly one space.
    pub fn space(&mut self) -> Parsing<()> {
        if self.eat(b' ') { Ok(()) } else { Err(Bad("an argument is missing: one space was expected")) }
    }

    /// `byte`, or the error `otherwise`.
    pub fn expect(&mut self, byte: u8, otherwise: &'static str) -> Parsing<()> {
        if self.eat(byte) { Ok(()) } else { Err(Bad(otherwise)) }
    }

    /// The end of the command. A space before it is forgiven, as is a bare LF.
    pub fn end(&mut self) -> Parsing<()> {
        self.eat(b' ');
        self.eat(b'\r');
        let ended = self.eat(b'\n') || self.input.is_empty();
        if ended && self.rest().is_empty() { Ok(()) } else { Err(Bad("there is more than this command takes")) }
    }

    /// The longest run of bytes that `wanted` likes.
    pub fn run(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let len = rest.iter().position(|&b| !wanted(b)).unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).unwrap_or_default()
    }

    /// An atom.
    pub fn atom(&mut self) -> Parsing<&'a [u8]> {
        match self.run(is_atom_char) {
            [] => Err(Bad("a word was expected")),
            atom => Ok(atom),
        }
    }

    /// A number that fits in 32 bits.
    pub fn number(&mut self) -> Parsing<u32> {
        let digits = std::str::from_utf8(self.run(|b| b.is_ascii_digit())).unwrap_or_default();
        digits.parse().map_err(|_| Bad("a number below 4294967296 was expected"))
    }

    /// A number that fits in 63 bits (RFC 7162 7 `mod-sequence-valzer`, RFC 9051 9 `number64`).
    pub fn number64(&mut self) -> Parsing<u64> {
        let digits = std::str::from_utf8(self.run(|b| b.is_ascii_digit())).unwrap_or_default();
        let number = digits.parse().ok().filter(|n| *n <= i64::MAX as u64);
        number.ok_or(Bad("a number below 9223372036854775808 was expected"))
    }

    /// A literal, a quoted string or an atom.
    pub fn astring(&mut self) -> Parsing<Vec<u8>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            _ => match self.run(is_astring_char) {
                [] => Err(Bad("a string was expected")),
                atom => Ok(atom.to_vec()),
            },
        }
    }

    /// A literal or a quoted string. 8-bit bytes are let pass in quotes: clients put UTF-8 there.
    pub fn string(&mut self) -> Parsing<Vec<u8>> {
        if self.eat(b'{') {
            let size = self.number()?;
            self.eat(b'+');
            self.expect(b'}', "a literal's size is a number in braces")?;
            self.eat(b'\r');
            self.expect(b'\n', "a literal's size ends its line")?;
            let bytes = self.rest().get(..size as usize).ok_or(Bad("a literal is shorter than it said"))?;
            self.at += bytes.len();
            return if bytes.contains(&0) { Err(Bad("a literal holds no NUL")) } else { Ok(bytes.to_vec()) };
        }
        self.expect(b'"', "a string was expected")?;
        let mut text = Vec::new();
        loop {
            text.extend_from_slice(self.run(|b| !matches!(b, b'"' | b'\\' | b'\r' | b'\n' | 0)));
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    if self.enabled.names_are_utf8() && std::str::from_utf8(&text).is_err() {
                        // RFC 6855 3
                        return Err(Bad("this is not UTF-8"));
                    }
                    return Ok(text);
                }
                Some(b'\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(quoted @ (b'"' | b'\\')) => text.push(quoted),
                        _ => return Err(Bad("after a backslash, a quoted string has a quote or a backslash")),
                    }
                    self.at += 1;
                }
                _ => return Err(Bad("a quoted string is not closed")),
            }
        }
    }

    /// `NIL` or a string.
    pub fn nstring(&mut self) -> Parsing<Option<Vec<u8>>> {
        if matches!(self.peek(), Some(b'"' | b'{')) {
            self.string().map(Some)
        } else if self.eat_word("NIL") {
            Ok(None)
        } else {
            Err(Bad("a string or NIL was expected"))
        }
    }

    /// An astring that is UTF-8.
    pub fn text(&mut self) -> Parsing<String> {
        String::from_utf8(self.astring()?).map_err(|_| Bad("this is not UTF-8"))
    }

    /// A mailbox name. INBOX is written so whatever its case (RFC 3501 5.1).
    pub fn mailbox(&mut self) -> Parsing<String> {
        let wire = self.astring()?;
        let name = self.mailbox_name(&wire)?;
        Ok(if name.eq_ignore_ascii_case("INBOX") { "INBOX".to_string() } else { name })
    }

    /// What a mailbox name, or the beginning of one, means.
    pub(super) fn mailbox_name(&self, wire: &[u8]) -> Parsing<String> {
        if !self.enabled.names_are_utf8() {
            return mailbox_name(wire);
        }
        // RFC 6855 3, RFC 9051 5.1
        let text = std::str::from_utf8(wire).map_err(|_| Bad("this is not UTF-8"))?;
        if text.len() > limits::MAILBOX_NAME
            || text.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
        {
            return Err(Bad("such a mailbox name does not exist"));
        }
        Ok(text.to_string())
    }

    /// A sequence set.
    pub fn set(&mut self) -> Parsing<SequenceSet> {
        let text = self.run(|b| b.is_ascii_digit() || matches!(b, b'*' | b':' | b',' | b'$'));
        SequenceSet::parse(text).ok_or(Bad("this is no message set"))
    }

    /// `(a b c)`, at least one.
    pub fn list_of<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsing<T>) -> Parsing<Vec<T>> {
        self.expect(b'(', "a list in parentheses was expected")?;
        let mut items = vec![item(self)?];
        while !self.eat(b')') {
            self.space()?;
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// A flag that a client may set; `None` when it is none that we can keep.
    pub fn flag(&mut self) -> Parsing<Option<Flags>> {
        let start = self.at;
        let system = self.eat(b'\\');
        self.atom()?;
        let name = std::str::from_utf8(self.input.get(start..self.at).unwrap_or_default()).unwrap_or_default();
        if system && name.eq_ignore_ascii_case("\\Recent") {
            return Err(Bad("\\Recent cannot be set by a client"));
        }
        Ok(Flags::by_name(name))
    }

    /// `(…)`, possibly empty.
    pub fn flag_list(&mut self) -> Parsing<Flags> {
        if self.eat_word("()") {
            return Ok(Flags::NONE);
        }
        let flags = self.list_of(Self::flag)?;
        Ok(flags.into_iter().flatten().fold(Flags::NONE, |all, flag| all | flag))
    }

    /// `date-time` (RFC 3501 9).
    fn date_time(&mut self) -> Parsing<Timestamp> {
        const WRONG: Bad = Bad("a date and time look like \" 2-Jan-2006 15:04:05 +0000\"");
        self.expect(b'"', WRONG.0)?;
        self.eat(b' ');
        let (year, month, day) = self.date()?;
        let mut part = |before: u8, most: u32| -> Parsing<u32> {
            self.expect(before, WRONG.0)?;
            self.number().ok().filter(|&n| n <= most).ok_or(WRONG)
        };
        let (hour, minute, second) = (part(b' ', 23)?, part(b':', 59)?, part(b':', 60)?);
        self.space()?;
        let east = self.eat(b'+');
        if !east {
            self.expect(b'-', WRONG.0)?;
        }
        let zone = self.run(|b| b.is_ascii_digit());
        let zone: u64 =
            std::str::from_utf8(zone).ok().filter(|z| z.len() == 4).and_then(|z| z.parse().ok()).ok_or(WRONG)?;
        self.expect(b'"', WRONG.0)?;
        let offset = (zone / 100 * 60 + zone % 100) * 60;
        let local = Timestamp::from_civil(year, month, day, hour, minute, second).secs();
        Ok(Timestamp::from_secs(if east { local.saturating_sub(offset) } else { local + offset }))
    }

    /// `date-text`: year, month, day.
    pub fn date(&mut self) -> Parsing<(i64, u32, u32)> {
        const WRONG: Bad = Bad("a date looks like 2-Jan-2006");
        let day = self.number().ok().filter(|d| (1..=31).contains(d)).ok_or(WRONG)?;
        self.expect(b'-', WRONG.0)?;
        let month = time::month_number(self.run(|b| b.is_ascii_alphabetic())).ok_or(WRONG)?;
        self.expect(b'-', WRONG.0)?;
        let year = self.number().ok().filter(|y| (1..=9999).contains(y)).ok_or(WRONG)?;
        Ok((i64::from(year), month, day))
    }

    /// The tag and the space after it.
    pub(super) fn tag(&mut self) -> Option<String> {
        let tag = self.run(|b| is_astring_char(b) && b != b'+');
        if tag.is_empty() || !self.eat(b' ') {
            return None;
        }
        String::from_utf8(tag.to_vec()).ok()
    }

    /// The name of a command of the table.
    pub(super) fn command_name(&mut self) -> Option<&'static Command> {
        let first = self.atom().ok()?;
        if !first.eq_ignore_ascii_case(b"UID") {
            return Command::by_name(first);
        }
        self.space().ok()?;
        Command::by_name(&[b"UID ", self.atom().ok()?].concat())
    }

    /// What stands before the message of an APPEND, and the beginning of its literal: nothing follows but the size.
    pub(super) fn append_head(&mut self, mailbox: String) -> Parsing<AppendHead> {
        self.space()?;
        let mut flags = Flags::NONE;
        if self.peek() == Some(b'(') {
            flags = self.flag_list()?;
            self.space()?;
        }
        let mut date = None;
        if self.peek() == Some(b'"') {
            date = Some(self.date_time()?);
            self.space()?;
        }
        let wrapped = self.eat_word("UTF8 (");
        // `literal8` (RFC 3516 4.4); UTF8 asks for it
        let eight = self.eat(b'~');
        let size = self.rest().strip_prefix(b"{").ok_or(Bad("a message is a literal"))?;
        let whole = size.iter().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'}' | b'\r' | b'\n'));
        if whole && (eight || !wrapped) {
            Ok(AppendHead { mailbox, flags, date, wrapped })
        } else {
            Err(Bad("a message is a literal"))
        }
    }
}

/// Modified UTF-7, or UTF-8 as clients send it that care little. Other bytes become a name that does not exist, since
/// that is what the client's user should be told.
fn mailbox_name(wire: &[u8]) -> Parsing<String> {
    if wire.len() > limits::MAILBOX_NAME {
        return Err(Bad("a mailbox name this long does not exist"));
    }
    Ok(mutf7::decode(wire).unwrap_or_else(|| String::from_utf8_lossy(wire).into_owned()))
}
