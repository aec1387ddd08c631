//! `state/subscriptions/<account>`: the folders that an account is *not* subscribed to, a line each. All are from the
//! start, so an account that never said anything has no file, and a new folder is subscribed.

use crate::base::{Context, Fault, path};
use crate::disk::Disk;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

/// The subscriptions of all accounts.
pub struct Subscriptions {
    disk: Disk,
    left: Mutex<HashMap<String, BTreeSet<String>>>,
}

impl Subscriptions {
    /// Of a data directory; files are read when they are asked for.
    pub fn new(disk: &Disk) -> Subscriptions {
        Subscriptions { disk: disk.clone(), left: Mutex::default() }
    }

    /// Whether an account is subscribed to a folder.
    pub fn has(&self, account: &str, folder: &str) -> bool {
        let mut all = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let left = all.entry(account.to_string()).or_insert_with(|| self.read(account));
        !left.contains(folder)
    }

    /// Keeps or drops a subscription, durably.
    pub fn set(&self, account: &str, folder: &str, on: bool) -> Result<(), Fault> {
        let mut all = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let left = all.entry(account.to_string()).or_insert_with(|| self.read(account));
        let changed = if on { left.remove(folder) } else { left.insert(folder.to_string()) };
        if !changed {
            return Ok(());
        }
        let text: String = left.iter().map(|f| format!("{f}\n")).collect();
        let directory = self.disk.path("state/subscriptions");
        self.disk.make_dirs(&directory)?;
        let no_name = || std::io::Error::other("the account's name is too long for a file name");
        let name = path::encode(account.as_bytes()).ok_or_else(no_name).during("keep a subscription in", &directory)?;
        self.disk.write_whole(&directory.join(name), text.as_bytes())
    }

    fn read(&self, account: &str) -> BTreeSet<String> {
        let name = path::encode(account.as_bytes()).unwrap_or_default();
        let text = std::fs::read_to_string(self.disk.path("state/subscriptions").join(name)).unwrap_or_default();
        text.lines().map(str::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::Scratch;

    #[test]
    fn all_from_the_start_and_kept() {
        let scratch = Scratch::new("subscriptions");
        let disk = Disk::new(scratch.path());
        let subscriptions = Subscriptions::new(&disk);
        assert!(subscriptions.has("global", "Caught"));
        subscriptions.set("global", "Caught", false).unwrap();
        assert!(!Subscriptions::new(&disk).has("global", "Caught"));
        assert!(Subscriptions::new(&disk).has("example.org", "Caught"));
        subscriptions.set("global", "Caught", true).unwrap();
        assert!(Subscriptions::new(&disk).has("global", "Caught"));
    }
}
