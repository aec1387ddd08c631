//! A folder as one account sees it: what is in it, and how that changes.

use super::Quarantine;
use super::account::Account;
use super::children::Named;
use super::folders::{Inbox, WriteOnly};
use super::policy::Denied;
use crate::base::{Fault, Flags, UidRanges};
use crate::mail::Kept;
use crate::store::{Flagged, Flagging, Sight, ViewCell};
use std::sync::Arc;

/// A folder that an account has open. The view is kept up to date as long as this lives.
#[derive(Clone)]
pub struct Mailbox {
    /// Which folder.
    pub folder: Named,
    /// Its messages; `None`: it shows nothing, ever.
    pub content: Option<Content>,
}

/// The messages of an open folder.
#[derive(Clone)]
pub struct Content {
    /// Where they lie.
    pub kept: Kept,
    /// Which of them are shown, and whose `\Seen`.
    pub sight: Sight,
    /// What it sees.
    pub cell: Arc<ViewCell>,
}

/// UIDVALIDITY of folders that show nothing, ever.
pub const EMPTY_UID_VALIDITY: u32 = 1;

/// What STATUS tells of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Messages.
    pub messages: u32,
    /// Messages that no session was told of.
    pub recent: u32,
    /// Messages without `\Seen`, as the account sees it.
    pub unseen: u32,
    /// Messages with `\Deleted`.
    pub deleted: u32,
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// UIDNEXT.
    pub uid_next: u32,
    /// HIGHESTMODSEQ.
    pub modseq: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What an account uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Messages.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// As many there could be: nobody has a limit of his own, so it is the disk's.
    pub most_bytes: u64,
}

/// The limit is told in whole units, so that nobody sees in it how much mail others get.
const LIMIT_UNIT: u64 = 1 << 30;

impl Quarantine {
    /// Opens a folder for looking into it.
    pub fn open_folder(&self, account: &Account, folder: impl Into<Named>) -> Result<Mailbox, OpenError> {
        let named = folder.into();
        let folder = named.folder;
        if folder.is_action() && self.options.naming.write_only == WriteOnly::Refuse {
            let text = format!("{} is write-only: drag messages into it, it cannot be opened", folder.label());
            return Err(OpenError::Denied(Denied::not_permitted(text)));
        }
        let content = match folder.kept() {
            Some(kept) => {
                let eye = self.reach(account).map_err(OpenError::Disk)?;
                let child = named.child.as_ref().map(|scope| self.reach_of(scope)).transpose();
                let sight = Sight { reach: child.map_err(OpenError::Disk)?.unwrap_or(eye), eye };
                Some(Content { kept, sight, cell: self.store.view(sight, kept) })
            }
            None => None,
        };
        Ok(Mailbox { folder: named, content })
    }

    /// What STATUS tells of it.
    pub fn counts(&self, mailbox: &Mailbox) -> Counts {
        let Some(content) = &mailbox.content else {
            return Counts { uid_validity: EMPTY_UID_VALIDITY, uid_next: 1, modseq: 1, ..Counts::default() };
        };
        let view = content.cell.view();
        let told = content.cell.told();
        Counts {
            messages: view.list.len(),
            recent: view.list.len() - view.list.rank(told),
            unseen: self.store.unseen(content.sight, content.kept, &view),
            deleted: view.deleted,
            uid_validity: self.store.uid_validity(),
            uid_next: view.uid_next,
            modseq: view.modseq,
            bytes: view.bytes,
        }
    }

    /// Bytes of the messages with `\Deleted`.
    pub fn deleted_bytes(&self, mailbox: &Mailbox) -> u64 {
        let mut bytes = 0;
        if let Some(content) = &mailbox.content {
            self.store.rows(content.sight, content.kept, &UidRanges::one(1, u32::MAX), |row, _| {
                bytes += if row.flags.has(Flags::DELETED) { row.size } else { 0 };
                true
            });
        }
        bytes
    }

    /// What an account's messages take, in all its folders.
    pub fn usage(&self, account: &Account) -> Result<Usage, Fault> {
        let reach = self.reach(account)?;
        let mut usage = Usage::default();
        for kept in Kept::ALL {
            let view = self.store.view(reach, kept).view();
            usage.messages += u64::from(view.list.len());
            usage.bytes += view.bytes;
        }
        let free = self.store.disk().space().map_or(0, |(free, _)| free);
        usage.most_bytes = (usage.bytes + free).next_multiple_of(LIMIT_UNIT);
        Ok(usage)
    }

    /// The first message without `\Seen`.
    pub fn first_unseen(&self, content: &Content) -> Option<u32> {
        let mut first = None;
        self.store.rows(content.sight, content.kept, &UidRanges::one(1, u32::MAX), |row, _| {
            first = (!row.flags.has(Flags::SEEN)).then_some(row.uid);
            first.is_none()
        });
        first
    }

    /// Changes flags that clients may change, unless a message changed after `unchanged_since`.
    pub fn set_flags(
        &self,
        content: &Content,
        uids: &UidRanges,
        how: Flagging,
        flags: Flags,
        unchanged_since: Option<u64>,
    ) -> Result<Flagged, Fault> {
        let flags = flags.without(Flags::OURS);
        self.store.set_flags_unless_changed(content.sight, content.kept, uids, how, flags, unchanged_since)
    }

    /// Whether INBOX stands for Caught.
    pub fn inbox_is_caught(&self) -> bool {
        self.options.naming.inbox == Inbox::Caught
    }
}

/// Why a folder was not opened.
#[derive(Debug)]
pub enum OpenError {
    /// It is not allowed.
    Denied(Denied),
    /// The disk failed.
    Disk(Fault),
}
