//! The arguments of NOTIFY (RFC 5465 8).

use super::notify::{Folders, Group, Notify, Selected};
use super::parse_fetch;
use super::parser::{Parser, Parsing};
use super::request::{Bad, Request};
use crate::base::limits;

/// `NOTIFY NONE`, `NOTIFY SET [STATUS] groups`.
pub(super) fn notify(p: &mut Parser<'_>) -> Parsing<Request> {
    if p.eat_word(" NONE") {
        return Ok(Request::Notify(Box::default()));
    }
    if !p.eat_word(" SET") {
        return Err(Bad("NOTIFY is followed by SET or NONE"));
    }
    let mut notify = Notify::new(p.eat_word(" STATUS"));
    let mut selected = 0;
    while p.eat_word(" (") {
        if p.eat_word("SELECTED") {
            let delayed = p.eat_word("-DELAYED");
            p.space()?;
            let events = events(p)?;
            notify.unknown_event |= events.unknown;
            selected += 1;
            if selected > 1 {
                return Err(Bad("there is one open folder: SELECTED stands once"));
            }
            let wanted = events.messages.then_some(Selected { delayed, flags: events.flags, items: events.items });
            notify.selected = wanted;
        } else {
            let folders = folders(p)?;
            p.space()?;
            let events = events(p)?;
            notify.unknown_event |= events.unknown;
            if !events.items.is_empty() {
                return Err(Bad("items of new messages are told of the open folder only"));
            }
            notify.others.push(Group { folders, messages: events.messages, flags: events.flags });
        }
        p.expect(b')', "an event group is in parentheses")?;
        if notify.others.len() > limits::NOTIFY_GROUPS {
            return Err(Bad("too many event groups"));
        }
    }
    if selected == 0 && notify.others.is_empty() {
        return Err(Bad("NOTIFY SET takes event groups"));
    }
    Ok(Request::Notify(Box::new(notify)))
}

fn folders(p: &mut Parser<'_>) -> Parsing<Folders> {
    match p.atom()?.to_ascii_uppercase().as_slice() {
        b"INBOXES" | b"PERSONAL" => Ok(Folders::All),
        b"SUBSCRIBED" => Ok(Folders::Subscribed),
        b"SUBTREE" => names(p).map(Folders::Below),
        b"MAILBOXES" => names(p).map(Folders::Named),
        _ => Err(Bad("unknown group of folders")),
    }
}

fn names(p: &mut Parser<'_>) -> Parsing<Vec<String>> {
    p.space()?;
    if p.peek() == Some(b'(') { p.list_of(Parser::mailbox) } else { Ok(vec![p.mailbox()?]) }
}

#[derive(Default)]
struct Events {
    messages: bool,
    flags: bool,
    items: Vec<super::items::Item>,
    unknown: bool,
}

fn events(p: &mut Parser<'_>) -> Parsing<Events> {
    let mut events = Events::default();
    if p.eat_word("NONE") {
        return Ok(events);
    }
    let (mut new, mut expunge) = (false, false);
    p.list_of(|p| {
        match p.atom()?.to_ascii_uppercase().as_slice() {
            b"MESSAGENEW" => {
                new = true;
                if p.eat(b' ') {
                    match p.peek() {
                        Some(b'(') => events.items = p.list_of(parse_fetch::item)?,
                        _ => p.back(),
                    }
                }
            }
            b"MESSAGEEXPUNGE" => expunge = true,
            b"FLAGCHANGE" => events.flags = true,
            _ => events.unknown = true,
        }
        Ok(())
    })?;
    // RFC 5465 5
    if new != expunge {
        return Err(Bad("MessageNew and MessageExpunge go together"));
    }
    if events.flags && !new {
        return Err(Bad("FlagChange goes with MessageNew and MessageExpunge"));
    }
    if events.items.len() > limits::FETCH_ITEMS {
        return Err(Bad("too many FETCH items"));
    }
    events.messages = new;
    Ok(events)
}
