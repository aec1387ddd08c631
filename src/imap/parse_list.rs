//! The arguments of LIST and LSUB (RFC 3501 6.3.8, 6.3.9, RFC 5258, RFC 5819, RFC 6154).

use super::parse::status_item;
use super::parser::{Parser, Parsing};
use super::request::{Bad, List, Request};
use super::write::is_astring_char;
use crate::base::limits;

pub(super) fn lsub(p: &mut Parser<'_>) -> Parsing<Request> {
    p.space()?;
    let reference = reference(p)?;
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
    let reference = reference(p)?;
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
            b"MYRIGHTS" => list.my_rights = true,
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
    p.mailbox_name(&wire)
}

fn reference(p: &mut Parser<'_>) -> Parsing<String> {
    let wire = p.astring()?;
    p.mailbox_name(&wire)
}

fn join(reference: &str, pattern: &str) -> String {
    format!("{reference}{pattern}")
}
