//! What STATUS and GETQUOTA tell of a folder and of an account.

use super::imap::{ImapBridge, refused};
use crate::imap::objectid;
use crate::imap::question::{Answer, Figures, FolderStatus, Quota, Refusal};
use crate::quarantine::Named;

impl ImapBridge {
    pub(super) fn status(&self, name: &str) -> Result<Answer, Refusal> {
        let mailbox = self.open(name)?;
        let figures = self.figures(&mailbox);
        let deleted_size = if figures.deleted > 0 { self.shared.quarantine.deleted_bytes(&mailbox) } else { 0 };
        let mailbox_id = self.mailbox_id(&mailbox.folder, &figures)?;
        Ok(Answer::Status(FolderStatus { figures, mailbox_id, deleted_size }))
    }

    /// The same for this account and folder as long as its UIDs mean the same (RFC 8474 4).
    pub(super) fn mailbox_id(&self, folder: &Named, figures: &Figures) -> Result<String, Refusal> {
        let login = &self.account()?.login;
        Ok(objectid::mailbox_id(&format!("{}.{}.{login}", folder.label(), figures.uid_validity)))
    }

    /// RFC 9208 4.1.2: the mailbox need not exist; of a folder that cannot be read, usage would tell something.
    pub(super) fn quota(&self, name: Option<&str>) -> Result<Option<Quota>, Refusal> {
        if let Some(name) = name {
            match self.shared.quarantine.folder(self.account()?, name) {
                None => return Ok(None),
                Some(named) if !named.folder.row().rights.contains('r') => {
                    // Refused where looking into it is; where it opens empty, Thunderbird asks this of every folder it opens.
                    self.open(name)?;
                    return Ok(None);
                }
                Some(_) => {}
            }
        }
        let usage = self.shared.quarantine.usage(self.account()?).map_err(|fault| refused(fault.into()))?;
        Ok(Some(Quota {
            bytes: usage.bytes,
            most_bytes: usage.most_bytes,
            messages: usage.messages,
            // there are no more UIDs
            most_messages: u64::from(u32::MAX),
        }))
    }
}
