//! One message: its page, its parts, its source.

use super::listing::{self, Found};
use super::{Answered, NoPage, Turned, Visit};
use crate::base::Piece;
use crate::base::UidRanges;
use crate::bridge::content::Message;
use crate::imap::content::Content;
use crate::mail::{Address, Kept};
use crate::page::response::{Body, Response};
use crate::store::Reach;
use std::io;

/// A message that somebody looks at.
pub(super) struct Looked {
    pub reach: Reach,
    pub kept: Kept,
    pub found: Found,
}

impl Visit {
    /// The message with this id in the tree of this recipient, if the account sees it.
    pub(super) fn look(&self, recipient: &str, id: &str) -> Result<Looked, NoPage> {
        let quarantine = self.quarantine();
        let address = Address::parse(recipient).map_err(|_| NoPage::Missing)?;
        let tree = quarantine.store.tree(&address).filter(|tree| self.session.account.scope.sees(&tree.address));
        let (kept, located) = tree.and_then(|tree| quarantine.store.find(&tree, id)).ok_or(NoPage::Gone)?;
        let reach = quarantine.reach(&self.session.account)?;
        let uid = UidRanges::one(located.row.uid, located.row.uid);
        let found = listing::found(quarantine, reach, kept, &uid).pop().ok_or(NoPage::Gone)?;
        Ok(Looked { reach, kept, found })
    }

    /// The message as it was sent, without what we put on top.
    pub(super) fn download(&self, recipient: &str, id: &str) -> Answered {
        let Looked { reach, kept, found } = self.look(recipient, id)?;
        let (from, size) = (u64::from(found.row.trace), found.row.size);
        let mut message = Message::new(&self.quarantine().store, reach, kept, found.row, found.name);
        let body = match message.bytes(from..size).map_err(unreadable)? {
            Piece::Bytes(bytes) => Body::Bytes(bytes),
            Piece::File(range) => Body::File(range),
        };
        let fields = vec![
            ("content-type", "message/rfc822".to_string()),
            ("content-disposition", "attachment; filename=\"message.eml\"".to_string()),
        ];
        Ok(Turned::Done(Response { fields, body, ..Response::text(200, "") }))
    }
}

/// A message that cannot be read has gone, or the disk failed.
pub(super) fn unreadable(error: io::Error) -> NoPage {
    if error.kind() == io::ErrorKind::NotFound {
        return NoPage::Gone;
    }
    log::error!("a message cannot be shown: {error}");
    NoPage::Unreadable
}
