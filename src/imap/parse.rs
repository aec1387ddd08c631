//! From the bytes of one command, literals inside, to a [`Request`]. Pure: no state, no session.

use super::commands::Command;
use super::items::StatusItem;
use super::request::{AppendHead, Bad, List, Request, RightsAsk};
use super::sequence::SequenceSet;
use super::write::{is_astring_char, is_atom_char};
use super::{mutf7, question::StoreMode};
use crate::base::{Flags, Secret, Timestamp, limits, time};

/// What a parsing function returns.
pub type Parsing<T> = Result<T, Bad>;

/// A command as far as it was understood.
#[derive(Debug)]
pub struct Parsed {
    /// Its tag; `None` when there is none, and the answer is untagged (RFC 3501 7.1.3).
    pub tag: Option<String>,
    /// The table's entry, when the name is known.
    pub command: Option<&'static Command>,
    /// What it asks.
    pub request: Parsing<Request>,
}

/// Parses a whole command, its line end included.
pub fn command(input: &[u8]) -> Parsed {
    let mut p = Parser::new(input);
    let Some(tag) = p.tag() else {
        return Parsed {
            tag: None,
            command: None,
            request: Err(Bad("a command begins with a tag, a space and its name")),
        };
    };
    let (command, request) = match p.command_name() {
        Some(command) => (Some(command), (command.parse)(&mut p).and_then(|request| p.end().map(|()| request))),
        None => (None, Err(Bad("unknown command"))),
    };
    Parsed { tag: Some(tag), command, request }
}

/// The tag of a command of which no more is known.
pub fn tag(input: &[u8]) -> Option<String> {
    Parser::new(input).tag()
}

/// The tag and the head of an APPEND whose message literal was just announced at the end of `input`. `None` for
/// everything else, also when the literal is the mailbox's name.
pub fn append_head(input: &[u8]) -> Option<(String, AppendHead)> {
    let mut p = Parser::new(input);
    let tag = p.tag()?;
    if p.command_name()?.name != "APPEND" {
        return None;
    }
    let head = p.append_head().ok()?;
    let literal = p.rest().strip_prefix(b"{")?;
    literal.iter().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'}' | b'\r' | b'\n')).then_some((tag, head))
}

/// A cursor over one command.
#[derive(Debug)]
pub struct Parser<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    /// At the beginning of `input`.
    pub fn new(input: &'a [u8]) -> Self {
        Parser { input, at: 0 }
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
        let name = mailbox_name(&self.astring()?)?;
        Ok(if name.eq_ignore_ascii_case("INBOX") { "INBOX".to_string() } else { name })
    }

    /// A sequence set.
    pub fn set(&mut self) -> Parsing<SequenceSet> {
        let text = self.run(|b| b.is_ascii_digit() || matches!(b, b'*' | b':' | b','));
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
    fn tag(&mut self) -> Option<String> {
        let tag = self.run(|b| is_astring_char(b) && b != b'+');
        if tag.is_empty() || !self.eat(b' ') {
            return None;
        }
        String::from_utf8(tag.to_vec()).ok()
    }

    /// The name of a command of the table.
    fn command_name(&mut self) -> Option<&'static Command> {
        let first = self.atom().ok()?;
        if !first.eq_ignore_ascii_case(b"UID") {
            return Command::by_name(first);
        }
        self.space().ok()?;
        Command::by_name(&[b"UID ", self.atom().ok()?].concat())
    }

    fn append_head(&mut self) -> Parsing<AppendHead> {
        self.space()?;
        let mailbox = self.mailbox()?;
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
        Ok(AppendHead { mailbox, flags, date })
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

/// `ID (…)` or `ID NIL` (RFC 2971).
pub(super) fn id(p: &mut Parser<'_>) -> Parsing<Request> {
    p.space()?;
    if !p.eat_word("NIL") && !p.eat_word("()") {
        p.list_of(|p| {
            p.string()?;
            p.space()?;
            p.nstring()
        })?;
    }
    Ok(Request::Id)
}

pub(super) fn authenticate(p: &mut Parser<'_>) -> Parsing<Request> {
    p.space()?;
    let mechanism = String::from_utf8_lossy(p.atom()?).to_ascii_uppercase();
    let initial = if p.eat(b' ') { Some(p.run(|b| !matches!(b, b'\r' | b'\n')).to_vec()) } else { None };
    Ok(Request::Authenticate { mechanism, initial })
}

pub(super) fn login(p: &mut Parser<'_>) -> Parsing<Request> {
    p.space()?;
    let user = p.text()?;
    p.space()?;
    let password = Secret::new(p.astring()?);
    Ok(Request::Login { user, password })
}

pub(super) fn enable(p: &mut Parser<'_>) -> Parsing<Request> {
    let mut names = Vec::new();
    p.space()?;
    loop {
        names.push(String::from_utf8_lossy(p.atom()?).to_ascii_uppercase());
        if !p.eat(b' ') {
            return Ok(Request::Enable(names));
        }
    }
}

pub(super) fn select(p: &mut Parser<'_>, read_only: bool) -> Parsing<Request> {
    p.space()?;
    Ok(Request::Select { mailbox: p.mailbox()?, read_only })
}

pub(super) fn one_mailbox(p: &mut Parser<'_>) -> Parsing<String> {
    p.space()?;
    p.mailbox()
}

pub(super) fn rename(p: &mut Parser<'_>) -> Parsing<Request> {
    let from = one_mailbox(p)?;
    one_mailbox(p)?;
    Ok(Request::Rename(from))
}

pub(super) fn subscribe(p: &mut Parser<'_>, on: bool) -> Parsing<Request> {
    Ok(Request::Subscribe { mailbox: one_mailbox(p)?, on })
}

pub(super) fn status(p: &mut Parser<'_>) -> Parsing<Request> {
    let mailbox = one_mailbox(p)?;
    p.space()?;
    Ok(Request::Status { mailbox, items: p.list_of(status_item)? })
}

fn status_item(p: &mut Parser<'_>) -> Parsing<StatusItem> {
    StatusItem::by_name(p.atom()?).ok_or(Bad("unknown STATUS item"))
}

pub(super) fn rights(p: &mut Parser<'_>, ask: fn(&mut Parser<'_>) -> Parsing<RightsAsk>) -> Parsing<Request> {
    Ok(Request::Rights { mailbox: one_mailbox(p)?, ask: ask(p)? })
}

pub(super) fn identifier(p: &mut Parser<'_>) -> Parsing<RightsAsk> {
    p.space()?;
    p.text().map(RightsAsk::Of)
}

pub(super) fn change_rights(p: &mut Parser<'_>, arguments: usize) -> Parsing<Request> {
    one_mailbox(p)?;
    for _ in 1..arguments {
        p.space()?;
        p.astring()?;
    }
    Ok(Request::ChangeRights)
}

pub(super) fn uid_expunge(p: &mut Parser<'_>) -> Parsing<Request> {
    p.space()?;
    Ok(Request::Expunge(Some(p.set()?)))
}

pub(super) fn store(p: &mut Parser<'_>, uid: bool) -> Parsing<Request> {
    p.space()?;
    let set = p.set()?;
    p.space()?;
    let mode = if p.eat(b'+') {
        StoreMode::Add
    } else if p.eat(b'-') {
        StoreMode::Remove
    } else {
        StoreMode::Replace
    };
    if !p.eat_word("FLAGS") {
        return Err(Bad("STORE changes FLAGS, +FLAGS or -FLAGS"));
    }
    let silent = p.eat_word(".SILENT");
    p.space()?;
    let flags = if p.peek() == Some(b'(') {
        p.flag_list()?
    } else {
        // flags without parentheses (RFC 3501 9 `store-att-flags`)
        let mut flags = p.flag()?.unwrap_or_default();
        while p.eat(b' ') {
            flags |= p.flag()?.unwrap_or_default();
        }
        flags
    };
    Ok(Request::Store { uid, set, mode, silent, flags })
}

pub(super) fn transfer(p: &mut Parser<'_>, uid: bool, take: bool) -> Parsing<Request> {
    p.space()?;
    let set = p.set()?;
    Ok(Request::Transfer { uid, set, target: one_mailbox(p)?, take })
}

pub(super) fn lsub(p: &mut Parser<'_>) -> Parsing<Request> {
    p.space()?;
    let reference = mailbox_name(&p.astring()?)?;
    p.space()?;
    let pattern = pattern(p)?;
    Ok(Request::List(List {
        lsub: true,
        subscribed: true,
        patterns: vec![join(&reference, &pattern)],
        ..List::default()
    }))
}

/// `list` with the options of RFC 5258 and RFC 5819.
pub(super) fn list(p: &mut Parser<'_>) -> Parsing<Request> {
    let mut list = List::default();
    p.space()?;
    if p.peek() == Some(b'(') {
        selection_options(p, &mut list)?;
        p.space()?;
    }
    let reference = mailbox_name(&p.astring()?)?;
    p.space()?;
    let extended = p.peek() == Some(b'(');
    let patterns = if extended { p.list_of(pattern)? } else { vec![pattern(p)?] };
    if patterns.len() > limits::LIST_PATTERNS {
        return Err(Bad("too many patterns"));
    }
    list.delimiter_only = matches!(patterns.as_slice(), [only] if only.is_empty()) && !extended;
    list.patterns = patterns.into_iter().map(|pattern| join(&reference, &pattern)).collect();
    if p.eat_word(" RETURN ") {
        return_options(p, &mut list)?;
    }
    Ok(Request::List(list))
}

fn selection_options(p: &mut Parser<'_>, list: &mut List) -> Parsing<()> {
    if p.eat_word("()") {
        return Ok(());
    }
    p.list_of(|p| {
        match p.atom()?.to_ascii_uppercase().as_slice() {
            b"SUBSCRIBED" => list.subscribed = true,
            b"SPECIAL-USE" => list.special_use = true,
            b"RECURSIVEMATCH" => list.recursive = true,
            // there are no mailboxes on other servers
            b"REMOTE" => {}
            _ => return Err(Bad("unknown selection option of LIST")),
        }
        Ok(())
    })?;
    list.return_subscribed |= list.subscribed;
    if list.recursive && !list.subscribed {
        // RFC 5258 3.1: it needs an option that can match children
        return Err(Bad("RECURSIVEMATCH needs SUBSCRIBED"));
    }
    Ok(())
}

fn return_options(p: &mut Parser<'_>, list: &mut List) -> Parsing<()> {
    if p.eat_word("()") {
        return Ok(());
    }
    p.list_of(|p| {
        match p.atom()?.to_ascii_uppercase().as_slice() {
            b"SUBSCRIBED" => list.return_subscribed = true,
            b"CHILDREN" | b"SPECIAL-USE" => {}
            b"STATUS" => {
                p.space()?;
                list.status = p.list_of(status_item)?;
            }
            _ => return Err(Bad("unknown return option of LIST")),
        }
        Ok(())
    })
    .map(|_| ())
}

/// `list-mailbox`: an atom that may hold wildcards, or a string.
fn pattern(p: &mut Parser<'_>) -> Parsing<String> {
    let wire = match p.peek() {
        Some(b'"' | b'{') => p.string()?,
        _ => match p.run(|b| is_astring_char(b) || matches!(b, b'*' | b'%')) {
            [] => return Err(Bad("a mailbox pattern was expected")),
            atom => atom.to_vec(),
        },
    };
    mailbox_name(&wire)
}

fn join(reference: &str, pattern: &str) -> String {
    format!("{reference}{pattern}")
}
