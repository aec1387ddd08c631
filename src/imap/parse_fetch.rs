//! The arguments of FETCH (RFC 3501 6.4.5, 9 `fetch-att`).

use super::items::Item;
use super::parse_sync;
use super::parser::{Parser, Parsing};
use super::request::{Bad, Modifiers, Request};
use super::section::{Section, What};

/// `FETCH set items`.
pub(super) fn fetch(p: &mut Parser<'_>, uid: bool) -> Parsing<Request> {
    p.space()?;
    let set = p.set()?;
    p.space()?;
    let mut items = if p.peek() == Some(b'(') {
        p.list_of(item)?
    } else {
        let rest = p.rest();
        let word =
            rest.get(..rest.iter().position(|b| !b.is_ascii_alphabetic()).unwrap_or(rest.len())).unwrap_or_default();
        match Item::by_macro(word) {
            Some(items) => {
                p.run(|b| b.is_ascii_alphabetic());
                items
            }
            None => vec![item(p)?],
        }
    };
    if items.len() > crate::base::limits::FETCH_ITEMS {
        return Err(Bad("too many FETCH items"));
    }
    let modifiers = if p.eat_word(" (") { parse_sync::modifiers(p, uid)? } else { Modifiers::default() };
    if modifiers.since.is_some() && !items.contains(&Item::ModSeq) {
        // RFC 7162 3.1.4.1
        items.push(Item::ModSeq);
    }
    if uid && !items.contains(&Item::Uid) {
        // RFC 3501 6.4.8: UID FETCH always answers with UID
        items.insert(0, Item::Uid);
    }
    Ok(Request::Fetch { uid, set, items, modifiers })
}

pub(super) fn item(p: &mut Parser<'_>) -> Parsing<Item> {
    let name = p.run(|b| b.is_ascii_alphanumeric() || b == b'.');
    if p.peek() != Some(b'[') {
        let item = Item::by_name(name).ok_or(Bad("unknown FETCH item"))?;
        return if matches!(item, Item::Preview { .. }) { preview(p) } else { Ok(item) };
    }
    let (binary, peek) = match name.to_ascii_uppercase().as_slice() {
        b"BODY" => (false, false),
        b"BODY.PEEK" => (false, true),
        b"BINARY" => (true, false),
        b"BINARY.PEEK" => (true, true),
        b"BINARY.SIZE" => return binary_section(p).map(Item::BinarySize),
        _ => return Err(Bad("only BODY, BINARY and their kind have a section")),
    };
    if binary {
        return Ok(Item::Binary { path: binary_section(p)?, peek, partial: partial(p)? });
    }
    Ok(Item::Section { section: section(p)?, peek, partial: partial(p)? })
}

/// What may stand behind PREVIEW (RFC 8970 6). Another list there belongs to the command (RFC 4466 2.4).
fn preview(p: &mut Parser<'_>) -> Parsing<Item> {
    let lazy = p.eat_word(" (LAZY");
    if lazy {
        while p.eat_word(" LAZY") {}
        p.expect(b')', "the modifier of PREVIEW is LAZY")?;
    }
    Ok(Item::Preview { lazy })
}

/// `section-binary`: part numbers alone.
fn binary_section(p: &mut Parser<'_>) -> Parsing<Vec<u32>> {
    match section(p)? {
        Section { path, what: What::Whole } => Ok(path),
        _ => Err(Bad("BINARY takes part numbers alone")),
    }
}

/// `<offset.length>`, if it is there.
fn partial(p: &mut Parser<'_>) -> Parsing<Option<(u32, u32)>> {
    Ok(if p.eat(b'<') {
        let start = p.number()?;
        p.expect(b'.', "a partial fetch is <offset.length>")?;
        let len = p.number()?;
        p.expect(b'>', "a partial fetch is <offset.length>")?;
        if len == 0 {
            return Err(Bad("a partial fetch asks for at least one byte"));
        }
        Some((start, len))
    } else {
        None
    })
}

/// `[…]`.
fn section(p: &mut Parser<'_>) -> Parsing<Section> {
    const WRONG: &str = "this is no body section";
    p.expect(b'[', WRONG)?;
    let mut path = Vec::new();
    while p.peek().is_some_and(|b| b.is_ascii_digit()) {
        let number = p.number()?;
        if number == 0 || path.len() >= 2 * crate::base::limits::MIME_DEPTH {
            return Err(Bad("there is no such body part"));
        }
        path.push(number);
        if !p.eat(b'.') {
            p.expect(b']', WRONG)?;
            return Ok(Section { path, what: What::Whole });
        }
    }
    let what = if path.is_empty() && p.peek() == Some(b']') {
        What::Whole
    } else if p.eat_word("HEADER.FIELDS.NOT ") {
        What::NotFields(p.list_of(Parser::astring)?)
    } else if p.eat_word("HEADER.FIELDS ") {
        What::Fields(p.list_of(Parser::astring)?)
    } else if p.eat_word("HEADER") {
        What::Header
    } else if p.eat_word("TEXT") {
        What::Text
    } else if !path.is_empty() && p.eat_word("MIME") {
        What::Mime
    } else {
        return Err(Bad(WRONG));
    };
    p.expect(b']', WRONG)?;
    Ok(Section { path, what })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::parse::command;

    fn items(text: &str) -> Parsing<Vec<Item>> {
        match command(format!("a FETCH 1 {text}\r\n").as_bytes()).request? {
            Request::Fetch { items, .. } => Ok(items),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn spellings() {
        assert_eq!(items("fast").unwrap(), [Item::Flags, Item::InternalDate, Item::Size]);
        assert_eq!(items("full").unwrap().len(), 5);
        assert_eq!(items("(FLAGS body)").unwrap(), [Item::Flags, Item::Body]);
        assert_eq!(
            items("BODY.PEEK[1.2.header.fields (From \"To\")]<5.10>").unwrap(),
            [Item::Section {
                section: Section { path: vec![1, 2], what: What::Fields(vec![b"From".to_vec(), b"To".to_vec()]) },
                peek: true,
                partial: Some((5, 10)),
            }]
        );
        assert_eq!(
            items("BODY[3.MIME]").unwrap(),
            [Item::Section { section: Section { path: vec![3], what: What::Mime }, peek: false, partial: None }]
        );
        for bad in [
            "",
            "()",
            "(FAST)",
            "ALLX",
            "BODY[0]",
            "BODY[MIME]",
            "BODY[1.]",
            "BODY[HEADER.FIELDS ()]",
            "BODY[]<1>",
            "BODY[]<1.0>",
            "RFC822[]",
            "(FLAGS  UID)",
            "(FLAGS",
            "BODY.PEEK",
            "BODY[1",
            "BODY[HEADERX]",
            "FLAGS UID",
        ] {
            assert!(items(bad).is_err(), "{bad}");
        }
    }
}
