//! Who a message says that it is from.

use super::address::Address;
use super::header;
use super::token::{Cursor, quote};

/// The one address of the one From field. `None` where there is none, or several, or what stands there can be read in two
/// ways: what a list of senders says must not depend on which address a filter, a mail program and we each take for the
/// sender (RFC 7489 6.6.1 passes over such messages for the same reason).
pub fn author(block: &[u8]) -> Option<Address> {
    let mut fields = header::fields(block).filter(|field| field.is(b"From"));
    let (Some(field), None) = (fields.next(), fields.next()) else { return None };
    only(&field.unfolded())
}

/// `mailbox`, and nothing behind it (RFC 5322 3.4).
fn only(value: &[u8]) -> Option<Address> {
    let mut cursor = Cursor::new(value);
    if cursor.skip_cfws() != Ok(true) {
        return None;
    }
    let start = cursor.mark();
    if let Some((address, false)) = addr_spec(&mut cursor) {
        return Some(address);
    }
    cursor.rewind(start);
    if cursor.peek() != Some(b'<') && cursor.phrase(&mut Vec::new()) != Ok(true) {
        return None;
    }
    if !cursor.eat(b'<') || cursor.skip_cfws() != Ok(true) {
        return None;
    }
    let (address, true) = addr_spec(&mut cursor)? else { return None };
    (cursor.eat(b'>') && cursor.skip_cfws() == Ok(false)).then_some(address)
}

/// `addr-spec` of a domain that has a name, and whether something follows it.
fn addr_spec(cursor: &mut Cursor<'_>) -> Option<(Address, bool)> {
    let (mut local, mut domain) = (Vec::new(), Vec::new());
    let more = match cursor.peek()? {
        b'"' => cursor.quoted(&mut local),
        _ => cursor.dot_atom(&mut local),
    };
    if more != Ok(true) || cursor.peek() != Some(b'@') {
        return None;
    }
    let more = cursor.domain(&mut domain).ok()?;
    let mut text = Vec::new();
    quote(&local, &mut text);
    text.push(b'@');
    text.extend_from_slice(&domain);
    let address = Address::parse(std::str::from_utf8(&text).ok()?).ok()?;
    (!address.domain().starts_with('[')).then_some((address, more))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(block: &str) -> Option<String> {
        author(block.as_bytes()).map(|address| address.to_string())
    }

    #[test]
    fn the_forms_of_a_sender() {
        for written in [
            "From: Bob@far.example\r\n",
            "from : <Bob@far.example>\r\n",
            "From: \"Bob, B.\" <Bob@FAR.example>\r\nSubject: x\r\n",
            "From: Bob B. (his work) <Bob@far.example> (really)\r\n",
            "From: =?utf-8?q?B=C3=B6b?=\r\n <Bob@far.example>\r\n",
        ] {
            assert_eq!(read(written).as_deref(), Some("Bob@far.example"), "{written}");
        }
        assert_eq!(read("From: \"a b\"@far.example\r\n").as_deref(), Some("\"a b\"@far.example"));
    }

    #[test]
    fn what_can_be_read_in_two_ways_names_nobody() {
        for written in [
            "",
            "Subject: x\r\n",
            "From:\r\n",
            "From: Bob\r\n",
            "From: <>\r\n",
            "From: a@x.example, b@x.example\r\n",
            "From: a@x.example\r\nFrom: b@x.example\r\n",
            "From: a@x.example\r\nfrom: a@x.example\r\n",
            "From: a@x.example <b@evil.example>\r\n",
            "From: <a@x.example> <b@evil.example>\r\n",
            "From: <a@x.example> b@evil.example\r\n",
            "From: <a@x.example>, \r\n",
            "From: friends: a@x.example;\r\n",
            "From: <@evil.example:a@x.example>\r\n",
            "From: a@[192.0.2.1]\r\n",
            "From: <a@x.example\r\n",
            "From: \"a@x.example <b@evil.example>\r\n",
            "From: a@b@x.example\r\n",
        ] {
            assert_eq!(read(written), None, "{written}");
        }
        assert_eq!(author(b"From: <a\xff@x.example>\r\n"), None);
    }

    proptest! {
        #[test]
        fn any_value_is_read(value in "[a@x.<>\"\\\\(),:; \\[\\]]{0,30}") {
            if let Some(address) = author(format!("From: {value}\r\n").as_bytes()) {
                prop_assert_eq!(Address::parse(&address.to_string()), Ok(address));
            }
        }
    }
}
