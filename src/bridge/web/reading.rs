//! One message: its page, its HTML in a frame, its attachments, its source.

use super::listing::{self, Found, message_href};
use super::message;
use super::senders;
use super::{Answered, NoPage, Turned, Visit, href};
use crate::base::{Flags, UidRanges, limits};
use crate::bridge::content::Message;
use crate::imap::content::{Bytes, Content};
use crate::mail::{Address, Kept};
use crate::page::desk::{self, Shown};
use crate::page::response::{Body, Response};
use crate::page::texts::{Desk, Senders};
use crate::page::{filename, sanitise};
use crate::store::{Flagging, Reach};
use std::io;

/// A message that somebody looks at.
pub(super) struct Looked {
    reach: Reach,
    pub kept: Kept,
    pub found: Found,
    pub href: String,
}

impl Visit {
    /// The message with this id in the tree of this recipient, if the account sees it.
    pub(super) fn look(&self, recipient: &str, id: &str) -> Result<Looked, NoPage> {
        let quarantine = self.quarantine();
        let address = Address::parse(recipient).map_err(|_| NoPage::Missing)?;
        let lies = listing::lies(quarantine, &self.session.account.scope, &address, id);
        let (kept, located) = lies.ok_or(NoPage::Gone)?;
        let reach = quarantine.reach(&self.session.account)?;
        let uid = UidRanges::one(located.row.uid, located.row.uid);
        let found = listing::found(quarantine, reach, kept, &uid).pop().ok_or(NoPage::Gone)?;
        let href = message_href(&found.recipient, &found.id);
        Ok(Looked { reach, kept, found, href })
    }

    pub(super) fn content(&self, looked: &Looked) -> Message<'_> {
        let Looked { reach, kept, found, .. } = looked;
        Message::new(&self.quarantine().store, *reach, *kept, &found.row)
    }

    /// The page; to open it is to read the message.
    pub(super) fn message(&self, recipient: &str, id: &str) -> Answered {
        let looked = self.look(recipient, id)?;
        let Looked { reach, kept, found, href: at } = &looked;
        let mut content = self.content(&looked);
        let asked = message::Asked {
            expires: found.expires,
            text_href: format!("{at}/text"),
            html_href: format!("{at}?html=1#html"),
            source_href: format!("{at}/source"),
            download_href: format!("{at}/eml"),
            part_href: format!("{at}/part/"),
            ..message::Asked::default()
        };
        let view = message::view(&mut content, &asked).map_err(unreadable)?;
        if !found.row.flags.has(Flags::SEEN) {
            let uid = UidRanges::one(found.row.uid, found.row.uid);
            self.quarantine().store.set_flags(*reach, *kept, &uid, Flagging::Add, Flags::SEEN)?;
        }
        let frame = self.frame(&view.subject, href(*kept))?;
        let wants_html = self.request.query.get("html").is_some() && view.body.html_href.is_some();
        let shown = Shown {
            view: &view,
            key: &listing::key(&found.recipient, &found.id),
            list: href(*kept),
            actions: &listing::actions(*kept, self.common(), self.texts()),
            sender: &senders::buttons(Senders::of(self.request.language), at, *kept, view.class),
            frame: wants_html.then(|| format!("{at}/html")),
        };
        Ok(Turned::Done(Response::html(200, desk::message(&frame, &shown))))
    }

    /// What lies behind a message's page.
    pub(super) fn behind(&self, recipient: &str, id: &str, what: &[&str]) -> Answered {
        let looked = self.look(recipient, id)?;
        let mut content = self.content(&looked);
        let texts = Desk::of(self.request.language);
        let response = match what {
            ["text"] => {
                let (text, was_cut) = message::text(&mut content).map_err(unreadable)?;
                Response::html(200, self.plain(texts.whole_text, &looked, &text, was_cut)?)
            }
            ["source"] => {
                let (text, was_cut) = message::source(&mut content).map_err(unreadable)?;
                Response::html(200, self.plain(texts.source, &looked, &text, was_cut)?)
            }
            ["html"] => {
                let html = message::html(&mut content).map_err(unreadable)?.ok_or(NoPage::Missing)?;
                let document = sanitise::body(&html, self.request.language);
                let response = Response::bytes(200, "text/html; charset=utf-8", document.into_bytes());
                Response { in_frame: true, ..response.under(sanitise::FRAME_POLICY) }
            }
            ["eml"] => {
                let name = message::file_name(&mut content).map_err(unreadable)?;
                let body = match content.bytes(message::original(&content)).map_err(unreadable)? {
                    Bytes::Held(bytes) => Body::Bytes(bytes.to_vec()),
                    Bytes::File(range) => Body::File(range),
                };
                saved(&name, body)
            }
            ["part", number] => {
                let number = number.parse().map_err(|_| NoPage::Missing)?;
                let part = message::part(&mut content, number).map_err(unreadable)?.ok_or(NoPage::Missing)?;
                // A message is in memory decoded, once; so many at a time as uploads.
                let most = usize::try_from(looked.found.row.size).unwrap_or(usize::MAX).min(limits::UPLOADS);
                let room = self.site.room(most).ok_or(NoPage::Busy)?;
                let mut bytes = Vec::new();
                let whole = part.copy(&mut content, &mut |piece| {
                    bytes.extend_from_slice(piece);
                    bytes.len() <= most
                });
                whole.map_err(unreadable)?;
                saved(&part.name, Body::Held(bytes, room))
            }
            _ => return Err(NoPage::Missing),
        };
        Ok(Turned::Done(response))
    }

    fn plain(&self, name: &str, looked: &Looked, text: &str, was_cut: bool) -> Result<maud::Markup, NoPage> {
        let frame = self.frame(name, href(looked.kept))?;
        Ok(desk::plain(&frame, name, &looked.href, text, was_cut))
    }
}

/// Bytes that a browser saves and never opens: it is told neither their type nor leave to guess.
fn saved(name: &str, body: Body) -> Response {
    let response = Response { body, ..Response::bytes(200, "application/octet-stream", Vec::new()) };
    response.with("content-disposition", filename::disposition(name)).under(sanitise::FRAME_POLICY)
}

/// A message that cannot be read has gone, or the disk failed.
pub(super) fn unreadable(error: io::Error) -> NoPage {
    if error.kind() == io::ErrorKind::NotFound {
        return NoPage::Gone;
    }
    log::error!("a message cannot be shown: {error}");
    NoPage::Unreadable
}
