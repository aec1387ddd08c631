//! ENVELOPE (RFC 3501 7.4.2), and the reading of address fields that it needs.
//!
//! What is broken is shown the way Dovecot shows it, placeholders such as `MISSING_DOMAIN` included: clients are tested
//! against that. RFC 2047 words stay as they are; a client decodes them.

use crate::base::limits;
use crate::mail::header::{self, Field};
use crate::mail::token::{Broken, Cursor, Outcome, quote};

/// Appends the ENVELOPE of a raw header block, parentheses included.
pub fn render(header: &[u8], out: &mut Vec<u8>) {
    render_fields(header::fields(header), out);
}

/// The same, of the fields of the block.
pub fn render_fields<'a>(fields: impl Iterator<Item = Field<'a>>, out: &mut Vec<u8>) {
    let fields = Fields::collect(fields);
    out.push(b'(');
    nstring(fields.date.as_ref().map(plain).as_deref(), out);
    out.push(b' ');
    match &fields.subject {
        Some(subject) => string(&squeezed(&subject.unfolded()), out),
        None => out.extend_from_slice(b"NIL"),
    }
    let [from, sender, reply_to, to, cc, bcc] = &fields.lists;
    let start = out.len();
    out.push(b' ');
    addresses(from, out);
    let from = start..out.len();
    for list in [sender, reply_to] {
        // an absent or empty Sender or Reply-To is From (RFC 3501 7.4.2)
        if list.is_empty() {
            out.extend_from_within(from.clone());
        } else {
            out.push(b' ');
            addresses(list, out);
        }
    }
    for list in [to, cc, bcc] {
        out.push(b' ');
        addresses(list, out);
    }
    for text in [&fields.in_reply_to, &fields.message_id] {
        out.push(b' ');
        nstring(text.as_ref().map(plain).as_deref(), out);
    }
    out.push(b')');
}

/// An address as ENVELOPE would list it; of a group's beginning, the mailbox is its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct First {
    /// The name, encoded words as they are.
    pub name: Option<Vec<u8>>,
    /// What stands before the `@`.
    pub mailbox: Option<Vec<u8>>,
    /// What stands behind it.
    pub host: Option<Vec<u8>>,
}

/// The first address that ENVELOPE lists of the fields with this name.
pub fn first_address(header: &[u8], name: &[u8]) -> Option<First> {
    header::fields(header).filter(|field| field.is(name)).find_map(|field| {
        let mut list = Vec::new();
        read_list(&field.unfolded(), &mut list);
        let first = list.into_iter().next()?;
        Some(First { name: first.name.as_deref().map(squeezed), mailbox: first.mailbox, host: first.host })
    })
}

/// Appends a string: quoted, or as a literal when it holds 8-bit characters or line ends (RFC 3501 4.3). NUL, which a
/// literal cannot hold either, becomes 0x80.
pub fn string(text: &[u8], out: &mut Vec<u8>) {
    if text.iter().all(|&b| b < 0x80 && !matches!(b, 0 | b'\r' | b'\n')) {
        quote(text, out);
    } else {
        out.extend_from_slice(format!("{{{}}}\r\n", text.len()).as_bytes());
        out.extend(text.iter().map(|&b| if b == 0 { 0x80 } else { b }));
    }
}

/// Appends a string or NIL.
pub fn nstring(text: Option<&[u8]>, out: &mut Vec<u8>) {
    match text {
        Some(text) => string(text, out),
        None => out.extend_from_slice(b"NIL"),
    }
}

fn plain(field: &Field<'_>) -> Vec<u8> {
    crate::mail::mime::without_stray_cr(&field.unfolded())
}

/// Runs of white space become one space, none is left at the ends: Subject and names are for people.
fn squeezed(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for word in text.split(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
    out
}

/// Their names: four texts, then the lists in the order in which ENVELOPE has them.
const NAMES: [&[u8]; 10] =
    [b"Date", b"Subject", b"In-Reply-To", b"Message-ID", b"From", b"Sender", b"Reply-To", b"To", b"Cc", b"Bcc"];

/// The fields that an ENVELOPE tells. Of a text field that occurs twice the last counts. Addresses of repeated fields
/// are all listed, so that none hides behind another.
#[derive(Default)]
struct Fields<'a> {
    date: Option<Field<'a>>,
    subject: Option<Field<'a>>,
    in_reply_to: Option<Field<'a>>,
    message_id: Option<Field<'a>>,
    /// From, Sender, Reply-To, To, Cc, Bcc.
    lists: [Vec<Listed>; 6],
}

impl<'a> Fields<'a> {
    fn collect(fields: impl Iterator<Item = Field<'a>>) -> Self {
        let mut all = Fields::default();
        for field in fields {
            match NAMES.iter().position(|name| field.is(name)) {
                Some(0) => all.date = Some(field),
                Some(1) => all.subject = Some(field),
                Some(2) => all.in_reply_to = Some(field),
                Some(3) => all.message_id = Some(field),
                Some(list) => {
                    if let Some(list) = all.lists.get_mut(list - 4) {
                        read_list(&field.unfolded(), list);
                    }
                }
                None => {}
            }
        }
        all
    }
}

/// One parenthesised address: a mailbox, or the start or end of a group, which has no host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Listed {
    name: Option<Vec<u8>>,
    route: Option<Vec<u8>>,
    mailbox: Option<Vec<u8>>,
    host: Option<Vec<u8>>,
}

fn addresses(list: &[Listed], out: &mut Vec<u8>) {
    if list.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    for address in list {
        out.push(b'(');
        nstring(address.name.as_deref().map(squeezed).as_deref(), out);
        for part in [&address.route, &address.mailbox, &address.host] {
            out.push(b' ');
            nstring(part.as_deref(), out);
        }
        out.push(b')');
    }
    out.push(b')');
}

/// `address-list` (RFC 5322 3.4) with what RFC 822 allowed and what is merely common.
fn read_list(value: &[u8], list: &mut Vec<Listed>) {
    let mut cursor = Cursor::new(value);
    if cursor.skip_cfws() != Ok(true) {
        return;
    }
    while list.len() < limits::ADDRESSES {
        let start = cursor.mark();
        let outcome = match group(&mut cursor, list) {
            Some(outcome) => outcome,
            None => {
                cursor.rewind(start);
                mailbox(&mut cursor, list)
            }
        };
        if outcome == Ok(false) || !cursor.eat(b',') {
            return;
        }
        match cursor.skip_cfws() {
            Ok(true) => {}
            Ok(false) => return,
            Err(Broken) => {
                list.push(Listed::default().completed());
                return;
            }
        }
    }
}

/// `display-name ":" [mailbox-list] ";"`. `None`: no group begins here.
fn group(cursor: &mut Cursor<'_>, list: &mut Vec<Listed>) -> Option<Outcome> {
    let mut name = Vec::new();
    if cursor.phrase(&mut name) != Ok(true) || !cursor.eat(b':') {
        return None;
    }
    let mut outcome = cursor.skip_cfws();
    list.push(Listed { mailbox: Some(name), ..Listed::default() });
    if outcome == Ok(true) && cursor.peek() != Some(b';') {
        loop {
            let _broken_or_last = mailbox(cursor, list);
            if list.len() >= limits::ADDRESSES || !cursor.eat(b',') {
                break;
            }
            if cursor.skip_cfws() != Ok(true) {
                outcome = Err(Broken);
                break;
            }
        }
    }
    if outcome.is_ok() {
        outcome = if cursor.eat(b';') { cursor.skip_cfws() } else { Err(Broken) };
    }
    list.push(Listed::default());
    // a broken group is still a group: the list goes on behind it
    Some(Ok(outcome != Ok(false)))
}

/// `name-addr / addr-spec`.
fn mailbox(cursor: &mut Cursor<'_>, list: &mut Vec<Listed>) -> Outcome {
    let start = cursor.mark();
    let mut address = Listed::default();
    let outcome = match name_addr(cursor, &mut address) {
        Some(more) => Ok(more),
        None => {
            cursor.rewind(start);
            addr_spec(cursor, &mut address)
        }
    };
    list.push(address.completed());
    outcome
}

impl Listed {
    /// Fills what is missing, so that it cannot be taken for a group.
    fn completed(mut self) -> Listed {
        self.mailbox.get_or_insert_with(|| b"MISSING_MAILBOX".to_vec());
        if self.host.as_ref().is_none_or(Vec::is_empty) {
            self.host = Some(b"MISSING_DOMAIN".to_vec());
        }
        self
    }
}

/// `[phrase] "<" … ">"`; tells whether more follows. `None`: it is none.
fn name_addr(cursor: &mut Cursor<'_>, address: &mut Listed) -> Option<bool> {
    let mut name = Vec::new();
    if cursor.phrase(&mut name) != Ok(true) || !cursor.eat(b'<') {
        return None;
    }
    address.name = (!name.is_empty()).then_some(name);
    if angle(cursor, address).is_err() {
        address.host = Some(b"SYNTAX_ERROR".to_vec());
    }
    Some(cursor.more())
}

/// `[route ":"] local-part "@" domain ">"` behind the `<`.
fn angle(cursor: &mut Cursor<'_>, address: &mut Listed) -> Outcome {
    let need = |outcome: Outcome| if outcome == Ok(true) { Ok(()) } else { Err(Broken) };
    need(cursor.skip_cfws())?;
    if cursor.peek() == Some(b'@') {
        if !(route(cursor, address) == Ok(true) && cursor.eat(b':')) {
            address.route = Some(b"INVALID_ROUTE".to_vec());
        }
        need(cursor.skip_cfws())?;
    }
    if cursor.peek() != Some(b'>') {
        let mut local = Vec::new();
        let outcome = local_part(cursor, &mut local);
        if outcome.is_ok() {
            address.mailbox = Some(local);
        }
        need(outcome)?;
        if cursor.peek() == Some(b'@') {
            let mut host = Vec::new();
            let outcome = cursor.domain(&mut host);
            if outcome.is_ok() {
                address.host = Some(host);
            }
            need(outcome)?;
        }
    }
    if cursor.eat(b'>') { cursor.skip_cfws() } else { Err(Broken) }
}

/// `obs-domain-list` (RFC 5322 4.4).
fn route(cursor: &mut Cursor<'_>, address: &mut Listed) -> Outcome {
    let mut all = Vec::new();
    while cursor.peek() == Some(b'@') {
        if !all.is_empty() {
            all.push(b',');
        }
        all.push(b'@');
        if !cursor.domain(&mut all)? {
            return Ok(false);
        }
        while cursor.skip_cfws() == Ok(true) && cursor.eat(b',') {}
    }
    if !cursor.more() {
        return Ok(false);
    }
    address.route = Some(all);
    Ok(true)
}

/// `dot-atom / quoted-string`, dots allowed anywhere: some providers gave such addresses out.
fn local_part(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Outcome {
    if cursor.peek() == Some(b'"') {
        return cursor.quoted(out);
    }
    let mut outcome = Err(Broken);
    loop {
        while cursor.eat(b'.') {
            out.push(b'.');
            if !cursor.more() {
                return Ok(false);
            }
            outcome = Ok(true);
        }
        if cursor.peek() == Some(b'@') {
            return outcome;
        }
        outcome = cursor.atom(out);
        if outcome != Ok(true) || cursor.peek() != Some(b'.') {
            return outcome;
        }
    }
}

/// `local-part "@" domain`, the name perhaps in a comment behind it; or a lone word, which is a mailbox without a host
/// when nothing follows and a name when more words do.
fn addr_spec(cursor: &mut Cursor<'_>, address: &mut Listed) -> Outcome {
    cursor.comment.clear();
    let quoted = cursor.peek() == Some(b'"');
    let mut text = Vec::new();
    let mut outcome = local_part(cursor, &mut text);
    let mut broken = outcome != Ok(true);
    if outcome.is_ok() {
        address.mailbox = Some(text.clone());
    }
    let mut has_domain = false;
    if outcome != Ok(false) && cursor.peek() == Some(b'@') {
        has_domain = true;
        let mut host = Vec::new();
        let domain = cursor.domain(&mut host);
        if domain.is_ok() {
            address.host = Some(host);
        }
        if domain != Ok(true) {
            outcome = domain;
        }
    }
    if !cursor.comment.is_empty() {
        address.name = Some(cursor.comment.clone());
    } else if !has_domain {
        text.push(b' ');
        let before = text.len();
        let _ends_somewhere = cursor.phrase(&mut text);
        if text.len() != before {
            address.mailbox = None;
            address.name = Some(text);
        } else if !quoted {
            address.host = Some(Vec::new());
        }
        broken = true;
        outcome = Err(Broken);
    }
    if broken && address.name.is_none() && address.host.is_none() {
        address.name = address.mailbox.take();
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(value: &str) -> String {
        let mut all = Vec::new();
        read_list(value.as_bytes(), &mut all);
        let mut out = Vec::new();
        addresses(&all, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn address_lists() {
        for (value, want) in [
            ("", "NIL"),
            ("a@b", r#"((NIL NIL "a" "b"))"#),
            ("a@b (Al Ice)", r#"(("Al Ice" NIL "a" "b"))"#),
            ("\"Q \\\" x\" <a@b>, c@[1.2.3.4]", r#"(("Q \" x" NIL "a" "b")(NIL NIL "c" "[1.2.3.4]"))"#),
            ("=?utf-8?q?=C3=A4?= <@x,@y:a@b>", r#"(("=?utf-8?q?=C3=A4?=" "@x,@y" "a" "b"))"#),
            (
                "friends: a@b, C <c@d>;, e@f",
                r#"((NIL NIL "friends" NIL)(NIL NIL "a" "b")("C" NIL "c" "d")(NIL NIL NIL NIL)(NIL NIL "e" "f"))"#,
            ),
            ("undisclosed-recipients:;", r#"((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL))"#),
            ("alice", r#"((NIL NIL "alice" "MISSING_DOMAIN"))"#),
            ("Alice Liddell", r#"(("Alice Liddell" NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))"#),
            ("Alice <a@b", r#"(("Alice" NIL "a" "SYNTAX_ERROR"))"#),
            ("<>", r#"((NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))"#),
            ("a..b.@c", r#"((NIL NIL "a..b." "c"))"#),
        ] {
            assert_eq!(list(value), want, "{value}");
        }
    }

    #[test]
    fn a_whole_envelope() {
        let mut out = Vec::new();
        render(b"Date: x\r\nSubject:\r\n\tre:  caf\xe9 \r\nFrom: a@b\r\nFrom: c@d\r\nSender: ,\r\nMessage-ID: <1\0>\r\n\r\nTo: no", &mut out);
        let want = b"(\"x\" {8}\r\nre: caf\xe9 ((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")) ((NIL NIL \"MISSING_MAILBOX\" \"MISSING_DOMAIN\")) \
            ((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")) NIL NIL NIL NIL {4}\r\n<1\x80>)";
        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(want));
        out.clear();
        render(b"Subject:\n\n", &mut out);
        assert_eq!(out, br#"(NIL "" NIL NIL NIL NIL NIL NIL NIL NIL)"#);
    }

    #[test]
    fn many_addresses_are_cut() {
        let mut all = Vec::new();
        read_list(&b"a@b,".repeat(100_000), &mut all);
        assert_eq!(all.len(), limits::ADDRESSES);
    }

    proptest! {
        #[test]
        fn never_panics(value in "[a@<>,:;\"\\\\().\\[\\] \r\n]{0,40}") {
            list(&value);
        }
    }
}
