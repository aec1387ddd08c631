//! Messages from outside: APPEND to Spam and Not Spam, where they are reported and never delivered.

use super::Quarantine;
use super::account::Account;
use super::act::{Failed, queue_verb};
use super::core::asker;
use super::folders::{self, Folder, Source};
use super::policy::Denied;
use crate::base::Fault;
use crate::mail::Name;
use crate::queue::{NewOrder, Order, Origin, Verbs};
use serde_json::json;

/// A message that is being appended. Dropped before [`Quarantine::append_end`], it leaves nothing behind.
pub struct Appending {
    target: Folder,
    base: crate::mail::name::Base,
    path: std::path::PathBuf,
    size: u64,
    written: u64,
    /// `None` once it is whole and synced.
    file: Option<crate::disk::NewFile>,
    /// It is an order now.
    placed: bool,
    disk: crate::disk::Disk,
}

impl Appending {
    /// Takes the next bytes; more than were announced are refused.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.written += bytes.len() as u64;
        if self.written > self.size {
            let more = std::io::Error::other("it is longer than was announced");
            return Err(Fault::new("append to", &self.path, more));
        }
        self.file.as_mut().map_or(Ok(()), |file| file.write(bytes))
    }

    /// It is whole: makes its bytes durable, and keeps no file open for it.
    pub fn close(&mut self) -> Result<(), Fault> {
        self.file.take().map_or(Ok(()), |file| file.sync())
    }
}

impl Drop for Appending {
    fn drop(&mut self) {
        if !self.placed
            && let Err(fault) = self.disk.unlink(&self.path)
        {
            log::warn!("{fault}: it is swept at the next start");
        }
    }
}

impl Quarantine {
    /// Begins to take a message from outside into Spam or Not Spam.
    pub fn append_start(&self, account: &Account, target: Folder, size: u64) -> Result<Appending, Failed> {
        self.may_append(account, target)?;
        if !self.has_space() {
            return Err(Failed::Denied(Denied::full("the disk of the server is nearly full: nothing is taken now")));
        }
        let base = self.store.new_base();
        let path = self.queue.temporary(&base.to_string());
        let file = self.store.disk().create(&path)?;
        Ok(Appending {
            target,
            base,
            path,
            size,
            written: 0,
            file: Some(file),
            placed: false,
            disk: self.store.disk().clone(),
        })
    }

    /// The messages of one command are whole: makes them durable, and an order for each one's training; all or none.
    pub fn append_end(&self, account: &Account, mut appending: Vec<Appending>) -> Result<(), Failed> {
        let tree = self.home(account).to_string();
        let now = self.store.now();
        let mut orders = Vec::with_capacity(appending.len());
        for message in &mut appending {
            message.close()?;
            let verbs = message.target.row().verbs.iter().filter_map(|&v| queue_verb(v));
            let verbs = verbs.fold(None, |all: Option<Verbs>, v| Some(all.map_or(Verbs::one(v), |a| a.and(v))));
            // A folder without verbs takes no APPEND.
            let Some(verbs) = verbs else { return Ok(()) };
            let name = Name::new(message.base.clone(), message.written);
            let order = Order::new(name, verbs, &tree, asker(account), Origin::Appended, now.secs());
            orders.push(NewOrder { source: message.path.clone(), order });
        }
        self.queue.place_together(orders)?;
        for message in &mut appending {
            message.placed = true;
            let verbs: Vec<&str> = message.target.row().verbs.iter().map(|v| v.word()).collect();
            let id = message.base.to_string();
            self.journal.note(now, &id, &tree, "appended", &account.login, json!({ "verbs": verbs }));
        }
        Ok(())
    }

    /// Whether an account may append there.
    pub fn may_append(&self, account: &Account, target: Folder) -> Result<(), Denied> {
        folders::may_come_from(target, Source::Append, Default::default())?;
        self.options.policy.may(&account.scope, Default::default(), Default::default(), target.row().verbs)
    }
}
