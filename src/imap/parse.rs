//! From the bytes of one command, literals inside, to a [`Request`]. Pure: no state, no session.

use super::capability::Enabled;
use super::commands::Command;
use super::items::StatusItem;
use super::parse_sync;
use super::parser::{Parser, Parsing};
use super::question::StoreMode;
use super::request::{AppendHead, Bad, Known, QuotaAsk, Request, RightsAsk};
use crate::base::Secret;

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
    command_in(input, Enabled::default())
}

/// The same, in the grammar of what the client has enabled.
pub fn command_in(input: &[u8], enabled: Enabled) -> Parsed {
    let mut p = Parser::new(input);
    p.enabled = enabled;
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
pub fn append_head(input: &[u8], enabled: Enabled) -> Option<(String, AppendHead)> {
    let mut p = Parser::new(input);
    p.enabled = enabled;
    let tag = p.tag()?;
    if p.command_name()?.name != "APPEND" {
        return None;
    }
    p.space().ok()?;
    let mailbox = p.mailbox().ok()?;
    Some((tag, p.append_head(mailbox).ok()?))
}

/// The head of a further message of the same APPEND (RFC 3502): `input` is what followed the one before.
pub fn append_next(input: &[u8]) -> Option<AppendHead> {
    Parser::new(input).append_head(String::new()).ok()
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
    let initial = p.eat(b' ').then(|| Secret::new(p.run(|b| !matches!(b, b'\r' | b'\n')).to_vec()));
    Ok(Request::Authenticate { mechanism, initial })
}

pub(super) fn login(p: &mut Parser<'_>) -> Parsing<Request> {
    p.space()?;
    let user = p.text()?;
    p.space()?;
    let password = Secret::new(p.astring()?);
    Ok(Request::Login { user, password })
}

pub(super) fn compress(p: &mut Parser<'_>) -> Parsing<Request> {
    p.space()?;
    Ok(Request::Compress(String::from_utf8_lossy(p.atom()?).to_ascii_uppercase()))
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
    let mailbox = p.mailbox()?;
    let known = if p.eat_word(" (") { parse_sync::known(p)? } else { Known::Nothing };
    Ok(Request::Select { mailbox, read_only, known })
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

pub(super) fn status_item(p: &mut Parser<'_>) -> Parsing<StatusItem> {
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

pub(super) fn get_quota(p: &mut Parser<'_>) -> Parsing<Request> {
    p.space()?;
    p.text().map(QuotaAsk::Root).map(Request::Quota)
}

pub(super) fn set_quota(p: &mut Parser<'_>) -> Parsing<Request> {
    get_quota(p)?;
    p.space()?;
    if !p.eat_word("()") {
        p.list_of(|p| {
            p.atom()?;
            p.space()?;
            // `number64`
            match p.run(|b| b.is_ascii_digit()).len() {
                1..=20 => Ok(()),
                _ => Err(Bad("a limit is a number")),
            }
        })?;
    }
    Ok(Request::Quota(QuotaAsk::Set))
}

pub(super) fn uid_expunge(p: &mut Parser<'_>) -> Parsing<Request> {
    p.space()?;
    Ok(Request::Expunge(Some(p.set()?)))
}

pub(super) fn store(p: &mut Parser<'_>, uid: bool) -> Parsing<Request> {
    p.space()?;
    let set = p.set()?;
    p.space()?;
    let unchanged_since = if p.eat(b'(') { Some(parse_sync::unchanged_since(p)?) } else { None };
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
    Ok(Request::Store { uid, set, mode, silent, flags, unchanged_since })
}

pub(super) fn transfer(p: &mut Parser<'_>, uid: bool, take: bool) -> Parsing<Request> {
    p.space()?;
    let set = p.set()?;
    Ok(Request::Transfer { uid, set, target: one_mailbox(p)?, take })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Flags;
    use proptest::prelude::*;

    fn request(text: &str) -> Parsing<Request> {
        command(format!("a {text}\r\n").as_bytes()).request
    }

    #[test]
    fn tags() {
        assert_eq!(command(b"a1.[] NOOP\r\n").tag.unwrap(), "a1.[]");
        for wrong in
            [&b"\r\n"[..], b"NOOP\r\n", b" NOOP\r\n", b"+ NOOP\r\n", b"a+ NOOP\r\n", b"\xff NOOP\r\n", b"* NOOP\r\n"]
        {
            assert_eq!(command(wrong).tag, None, "{wrong:?}");
        }
        assert!(command(b"a  NOOP\r\n").command.is_none());
        assert_eq!(command(b"a uid fetch 1 uid\r\n").command.unwrap().name, "UID FETCH");
    }

    #[test]
    fn mailboxes() {
        let name = |text: &str| match request(&format!("SELECT {text}")) {
            Ok(Request::Select { mailbox, .. }) => mailbox,
            other => panic!("{other:?}"),
        };
        assert_eq!(name("inBox"), "INBOX");
        assert_eq!(name("\"Release &- Train\""), "Release & Train");
        assert_eq!(name("\"Release & Train\""), "Release & Train");
        assert_eq!(name("&AOQ-"), "ä");
        assert_eq!(name("\"ä\""), "ä");
        assert_eq!(name("{3}\r\na\r\n"), "a\r\n");
        assert!(request(&format!("SELECT {}", "x".repeat(2000))).is_err());
    }

    #[test]
    fn heads_of_append() {
        let head = |text: &str| append_head(text.as_bytes(), Enabled::default()).map(|(_, head)| head);
        let full = head("a APPEND x (\\Seen $Junk $None) \" 2-Jan-2006 15:04:05 +0130\" {3}\r\n").unwrap();
        assert_eq!(full.mailbox, "x");
        assert_eq!(full.flags, Flags::SEEN | Flags::by_name("$Junk").unwrap());
        assert_eq!(full.date.unwrap().to_string(), "2006-01-02T13:34:05Z");
        assert!(head("a append \"x\" () {3+}\r\n").is_some());
        assert!(!head("a append x ~{3+}\r\n").unwrap().wrapped);
        assert!(head("a append x utf8 (~{3+}\r\n").unwrap().wrapped);
        assert_eq!(append_next(b" (\\Seen) {3}\r\n").unwrap().flags, Flags::SEEN);
        assert!(append_next(b" {3+}\r\n").is_some() && append_next(b"{3}\r\n").is_none());
        assert!(head("a APPEND {1}\r\nx {3+}\r\n").is_some());
        for other in [
            "a APPEND {3}\r\n",
            "a NOOP {3}\r\n",
            "a APPEND x \"2-Jan-2006\" {3}\r\n",
            "a APPEND x \"32-Jan-2006 00:00:00 +0000\" {3}\r\n",
            "a APPEND x (\\Recent) {3}\r\n",
            "a APPEND x ({3}\r\n",
            "a APPEND x y {3}\r\n",
            "APPEND x {3}\r\n",
            "a APPEND x UTF8 ({3}\r\n",
            "a APPEND x UTF8 ~{3}\r\n",
            "a APPEND x ~~{3}\r\n",
        ] {
            assert_eq!(head(other), None, "{other}");
        }
    }

    #[test]
    fn numbers_end() {
        assert!(request("UID FETCH 4294967296 UID").is_err());
        assert!(request("SEARCH LARGER 9223372036854775808").is_err());
        assert!(request("SEARCH LARGER 9223372036854775807").is_ok());
        assert!(request("FETCH 1 BODY[]<4294967296.1>").is_err());
    }

    proptest! {
        #[test]
        fn strings_come_back(text in "\\PC{0,40}") {
            let mut wire = b"a SEARCH BODY ".to_vec();
            super::super::write::string(&mut wire, text.as_bytes());
            wire.extend_from_slice(b"\r\n");
            let key = super::super::search::Key::Body(super::super::search::fold(&text).into());
            let query = super::super::query::Query { key, order: super::super::gather::Order::Mailbox, returns: None };
            prop_assert_eq!(command(&wire).request, Ok(Request::Search { uid: false, query: Box::new(query) }));
        }

        #[test]
        fn anything_is_understood_or_refused(input in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = command(&input);
            let _ = (append_head(&input, Enabled { utf8: true, ..Enabled::default() }), append_next(&input));
            for command in super::super::commands::COMMANDS {
                let _ = super::command(&[b"a ", command.name.as_bytes(), &input].concat());
            }
        }
    }
}
