//! The folders that an account has, as LIST and NOTIFY show them.

use super::imap::{ImapBridge, denial, refused};
use crate::base::limits;
use crate::imap::question::{Answer, Folder as ShownFolder, OVERFLOW, Refusal, Watched};
use crate::quarantine::folders::Folder;
use crate::quarantine::mailbox::OpenError;
use crate::quarantine::{Mailbox, Named};

impl ImapBridge {
    pub(super) fn folder(&self, name: &str) -> Result<Named, Refusal> {
        self.shared.quarantine.folder(self.account()?, name).ok_or_else(|| {
            Refusal::new(
                "NONEXISTENT",
                "there is no such folder; the folders of a quarantine are fixed, LIST shows them",
            )
        })
    }

    pub(super) fn folders(&self) -> Result<Vec<ShownFolder>, Refusal> {
        let children = self.shared.quarantine.children(self.account()?);
        let mut shown = Vec::new();
        for listed in self.shared.quarantine.folders() {
            shown.push(self.show(&listed.folder.into())?);
            if listed.folder == Folder::Caught {
                for child in &children {
                    shown.push(self.show(child)?);
                }
            }
        }
        Ok(shown)
    }

    pub(super) fn one_folder(&self, name: &str) -> Result<ShownFolder, Refusal> {
        self.show(&self.folder(name)?)
    }

    fn show(&self, named: &Named) -> Result<ShownFolder, Refusal> {
        let account = self.account()?;
        let row = named.folder.row();
        let name = named.name(&self.shared.quarantine.options().naming);
        Ok(ShownFolder {
            special_use: row.special_use,
            subscribed: self.shared.subscriptions.has(&account.login, &name),
            has_children: self.shared.quarantine.has_children(account, named),
            no_select: false,
            rights: row.rights,
            name,
        })
    }

    pub(super) fn subscribe(&self, name: &str, on: bool) -> Result<Answer, Refusal> {
        let name = self.folder(name)?.name(&self.shared.quarantine.options().naming);
        let kept = self.shared.subscriptions.set(&self.account()?.login, &name, on);
        kept.map_err(|fault| refused(fault.into()))?;
        Ok(Answer::Done)
    }

    pub(super) fn open(&self, name: &str) -> Result<Mailbox, Refusal> {
        let folder = self.folder(name)?;
        self.shared.quarantine.open_folder(self.account()?, folder).map_err(|error| match error {
            OpenError::Denied(denied) => denial(denied),
            OpenError::Disk(fault) => refused(fault.into()),
        })
    }

    pub(super) fn watch(&mut self, on: bool, children: bool) -> Result<Answer, Refusal> {
        let account = self.account()?;
        let quarantine = &self.shared.quarantine;
        let children = if children { quarantine.children(account) } else { Vec::new() };
        if children.len() > limits::NOTIFY_CHILDREN {
            return Err(Refusal::new(
                OVERFLOW,
                format!(
                    "there are more than {} folders below Caught, too many to watch: ask for MAILBOXES by name",
                    limits::NOTIFY_CHILDREN
                ),
            ));
        }
        let mut answer = Vec::new();
        let mut watched = Vec::new();
        let all = quarantine.folders().into_iter().map(|listed| Named::from(listed.folder)).chain(children);
        for named in all {
            let name = named.name(&quarantine.options().naming);
            let mailbox = quarantine.open_folder(account, named).ok();
            answer.push(Watched {
                subscribed: self.shared.subscriptions.has(&account.login, &name),
                figures: mailbox.as_ref().map(|mailbox| self.figures(mailbox)),
                name,
            });
            // What changes in a child changes in Caught.
            watched.extend(mailbox.filter(|mailbox| on && mailbox.folder.child.is_none()));
        }
        self.watched = watched;
        Ok(Answer::Watched(answer))
    }
}
