//! Retention: everything that grows is removed when its time has come, in small steps that disturb nobody.

use super::Quarantine;
use crate::base::{Fault, Timestamp, UidRanges};
use crate::mail::{Address, Kept};
use crate::store::{Located, Reach, Row, TreeId};
use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::Duration;

/// Messages that one step of expiry removes. It takes some milliseconds, for which those who are served meanwhile have one core
/// less; each syncs directories, so fewer would take longer where one recipient has many.
pub const EXPIRED_AT_ONCE: usize = 16;
/// How long a step waits for those who are served: beside four clients that search all the time, some four hundred messages a
/// second expire.
const LET_PASS: Duration = Duration::from_millis(25);

/// How long messages of a folder are kept, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keep {
    /// Older ones go. `None`: however old.
    pub age: Option<Duration>,
    /// At most so many in a recipient's folder; the oldest go.
    pub count: Option<u64>,
    /// At most so many bytes in a recipient's folder; the oldest go.
    pub bytes: Option<u64>,
}

/// What differs for a domain or a recipient: a folder that is not named keeps what is configured above it.
pub type Overrides = HashMap<Kept, Keep>;

/// The `[retention]` section.
#[derive(Debug, Clone, Default)]
pub struct Retention {
    /// For each kept folder, in the order of [`Kept::ALL`].
    pub folders: [Keep; 4],
    /// Domains that differ.
    pub domains: HashMap<String, Overrides>,
    /// Recipients that differ; the key is a tree's address.
    pub recipients: HashMap<Address, Overrides>,
    /// Journal files.
    pub journal: Option<Duration>,
    /// What lies in `trained/`.
    pub trained: Option<Duration>,
    /// What lies in `queue/failed/`.
    pub failed: Option<Duration>,
    /// What lies in the drop's rejects.
    pub rejects: Option<Duration>,
}

impl Retention {
    /// What holds for a recipient's folder.
    pub fn of(&self, kept: Kept, recipient: &Address) -> Keep {
        let own = self.recipients.get(recipient).and_then(|o| o.get(&kept));
        let domain = || self.domains.get(recipient.domain()).and_then(|o| o.get(&kept));
        own.or_else(domain).copied().unwrap_or_else(|| self.folders.get(kept.index()).copied().unwrap_or_default())
    }
}

/// What one pass removed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// Messages.
    pub messages: usize,
    /// Files of journal, trained, failed and rejects.
    pub files: usize,
}

impl Quarantine {
    /// When a message goes by its age. `None`: it does not.
    pub fn expires(&self, kept: Kept, row: &Row, recipient: &Address) -> Option<Timestamp> {
        let age = self.options.retention.of(kept, recipient).age?;
        Some(Timestamp::from_secs(start(row)).after(age))
    }

    /// What is to go from a folder now, ascending.
    pub fn due(&self, kept: Kept, now: Timestamp) -> UidRanges {
        let trees: HashMap<TreeId, Keep> =
            self.store.all_trees().iter().map(|t| (t.id, self.options.retention.of(kept, &t.address))).collect();
        let mut due = UidRanges::new();
        let mut rest: HashMap<TreeId, Vec<(u32, u64)>> = HashMap::new();
        self.store.shared_rows(kept, |row, _| {
            let keep = trees.get(&row.tree).copied().unwrap_or_default();
            if keep.age.is_some_and(|age| Timestamp::from_secs(start(row)).after(age) <= now) {
                due.add(row.uid, row.uid);
            } else if row.flags.has(crate::base::Flags::RELEASE_FAILED) {
                // What failed lives for its seven days, however full the folder is.
            } else if keep.count.is_some() || keep.bytes.is_some() {
                rest.entry(row.tree).or_default().push((row.uid, row.size));
            }
        });
        for (tree, rows) in rest {
            let keep = trees.get(&tree).copied().unwrap_or_default();
            let (mut count, mut bytes) = (0, 0);
            // The newest stay.
            for (uid, size) in rows.into_iter().rev() {
                (count, bytes) = (count + 1, u64::saturating_add(bytes, size));
                if keep.count.is_some_and(|most| count > most) || keep.bytes.is_some_and(|most| bytes > most) {
                    due.add(uid, uid);
                }
            }
        }
        due
    }

    /// Removes these messages, which are due; returns those that were there. Lets those pass who are served, so it is called for
    /// [`EXPIRED_AT_ONCE`] at a time.
    pub fn expire(&self, kept: Kept, due: &UidRanges) -> Result<Vec<Located>, Fault> {
        self.store.served().let_pass(LET_PASS);
        let _one_at_a_time = self.expiring.lock().unwrap_or_else(PoisonError::into_inner);
        self.remove(Reach::All, kept, due, "expired", "retention")
    }

    /// Removes old files of the journal, `trained/`, `queue/failed/` and the drop's rejects.
    pub fn expire_files(&self, now: Timestamp) -> Result<usize, Fault> {
        let retention = &self.options.retention;
        let disk = self.store.disk();
        let mut removed = 0;
        let before = |age: Duration| now.secs().saturating_sub(age.as_secs());
        if let Some(age) = retention.failed {
            removed += self.queue.expire_failed(before(age))?;
        }
        let old = [
            (retention.journal, &["journal"][..]),
            (retention.trained, &["trained/ham/new", "trained/ham/cur", "trained/spam/new", "trained/spam/cur"]),
            (retention.rejects, &["drop/rejects"]),
        ];
        for (age, directories) in old {
            let Some(age) = age else { continue };
            for directory in directories {
                removed += disk.remove_older(&disk.path(directory), before(age))?;
            }
        }
        Ok(removed)
    }
}

/// When retention of a message starts, in seconds.
fn start(row: &Row) -> u64 {
    if row.retain_from > 0 { u64::from(row.retain_from) } else { row.arrival() }
}
