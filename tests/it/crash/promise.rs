//! What was promised to peers, and what may therefore be found after a crash.

use lazaret::mail::Kept;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// One message of one tree: the tree's address, and the word that makes the message's bytes its own.
pub type Key = (String, String);

/// Where one message is once everything that was ordered is done.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Fate {
    /// The folders in which it lies, sorted; one may stand there twice.
    pub folders: Vec<Kept>,
    /// `to <recipient>`, `h <sink>`, `s <sink>`: each was done.
    pub parts: BTreeSet<String>,
    /// Sinks that did not want it: it lies in `queue/failed/`.
    pub given_up: BTreeSet<String>,
    /// Something is requested of it.
    pub requested: bool,
    /// It carries `$ReleaseFailed`.
    pub failed: bool,
    /// That flag, and who is left, may have changed or not: it is not synced.
    pub either: bool,
    /// Positions in the trace of the recipients that are left, a bit each.
    pub left: Option<u128>,
}

impl Fate {
    /// In these folders, and nothing was done with it.
    pub fn lies(folders: &[Kept]) -> Fate {
        let mut folders = folders.to_vec();
        folders.sort();
        Fate { folders, ..Fate::default() }
    }

    /// These parts were done.
    pub fn done(mut self, parts: &[&str]) -> Fate {
        self.parts.extend(parts.iter().map(|p| p.to_string()));
        self
    }

    /// These sinks gave it up.
    pub fn given_up(mut self, sinks: &[&str]) -> Fate {
        self.given_up.extend(sinks.iter().map(|p| p.to_string()));
        self
    }

    /// Something is requested of it.
    pub fn requested(self) -> Fate {
        Fate { requested: true, ..self }
    }

    /// Whether this was found, where `self` was promised.
    pub fn allows(&self, found: &Fate) -> bool {
        let (failed, left) = if self.either { (self.failed, self.left) } else { (found.failed, found.left) };
        *self == Fate { failed, left, either: self.either, ..found.clone() }
    }

    /// Its release failed.
    pub fn failed(self, left: Option<u128>) -> Fate {
        Fate { failed: true, left, ..self }
    }
}

/// One step of what was promised.
#[derive(Clone, Debug)]
pub enum Mark {
    /// Somebody asked for this; from now on it may come true.
    Asked(Vec<(Key, Fate)>),
    /// It was acknowledged: nothing else may be found from now on.
    Done(Vec<(Key, Fate)>),
    /// The server was told of a delivery, or a sink of a message, and took it.
    Carried(Key, String),
    /// That is noted durably: it must not happen again.
    Ended(Key, String),
    /// A client was told this.
    Told {
        uid_validity: u32,
        /// UIDNEXT and HIGHESTMODSEQ of each kept folder.
        figures: [(u32, u64); 4],
        /// The UID of each message that lies once in a folder.
        uids: HashMap<(Key, Kept), u32>,
        /// The line by which we know a release that comes back.
        line: String,
    },
    /// The mail server takes what it refused before.
    Accepts,
}

/// All that was promised up to some moment.
#[derive(Clone, Default)]
pub struct Promise {
    /// What may be found of each message; of others, nothing.
    pub legal: BTreeMap<Key, Vec<Fate>>,
    /// What the outside was given, and how often.
    pub carried: HashMap<(Key, String), usize>,
    /// What must not be given to it again.
    pub ended: BTreeSet<(Key, String)>,
    /// Which message had each UID that somebody may have seen.
    pub uids: HashMap<u32, String>,
    pub uid_validity: Option<u32>,
    /// The UIDs that were told of messages of which nothing was asked since.
    pub told: HashMap<(Key, Kept), u32>,
    /// The disk failed once.
    pub errors: bool,
    pub line: String,
    pub figures: [(u32, u64); 4],
    pub accepts: bool,
    /// Changes whenever anything above does.
    pub version: u64,
}

impl Promise {
    pub fn take(&mut self, mark: &Mark) {
        self.version += 1;
        match mark {
            Mark::Asked(fates) => {
                for (key, fate) in fates {
                    self.told.retain(|(told, _), _| told != key);
                    let legal = self.legal.entry(key.clone()).or_insert_with(|| vec![Fate::default()]);
                    legal.push(fate.clone());
                }
            }
            Mark::Done(fates) => {
                for (key, fate) in fates {
                    self.legal.insert(key.clone(), vec![fate.clone()]);
                }
            }
            Mark::Carried(key, part) => *self.carried.entry((key.clone(), part.clone())).or_default() += 1,
            Mark::Ended(key, part) => {
                self.ended.insert((key.clone(), part.clone()));
            }
            Mark::Told { uid_validity, figures, uids, line } => {
                // After an error of the disk names may not be durable.
                if !self.errors {
                    self.told.clone_from(uids);
                }
                self.line.clone_from(line);
                self.uid_validity = Some(*uid_validity);
                for (most, told) in self.figures.iter_mut().zip(figures) {
                    *most = (most.0.max(told.0), most.1.max(told.1));
                }
            }
            Mark::Accepts => self.accepts = true,
        }
    }

    /// A name in a folder: its UID may have been seen there.
    pub fn seen(&mut self, path: &std::path::Path) {
        if !path.starts_with("mail") {
            return;
        }
        let name = path.file_name().and_then(|n| n.to_str()).and_then(lazaret::mail::Name::parse);
        if let Some((uid, id)) = name.and_then(|name| Some((name.uid?, name.id())))
            && self.uids.insert(uid, id).is_none()
        {
            self.version += 1;
        }
    }
}
