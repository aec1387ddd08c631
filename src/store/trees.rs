//! Recipient trees: `mail/<domain>/<localpart>/`, numbered while the process lives.

use super::noted::Noted;
use crate::base::path;
use crate::disk::clock::modified;
use crate::mail::{Address, Kept};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A tree's number; valid in this process only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreeId(pub u32);

/// A domain's number; valid in this process only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainId(pub u32);

/// Which half of a Maildir a file lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Half {
    /// Not yet looked at: no flags.
    New,
    /// The rest.
    Cur,
}

impl Half {
    /// Both.
    pub const BOTH: [Half; 2] = [Half::New, Half::Cur];

    /// The directory's name.
    pub fn directory(self) -> &'static str {
        match self {
            Half::New => "new",
            Half::Cur => "cur",
        }
    }
}

/// One recipient's tree.
pub struct Tree {
    /// Its number.
    pub id: TreeId,
    /// Its domain's number.
    pub domain: DomainId,
    /// The address: lower-case, resolved.
    pub address: Address,
    /// Its directory.
    pub path: PathBuf,
    /// Modification time of each kept folder's `new/` and `cur/` after our last look or change.
    times: [[Noted; 2]; 4],
    /// Two changes in quick succession may leave the same modification time.
    ticks: bool,
    /// The directories of a kept folder exist and are durable (a bit each).
    made: AtomicU32,
    /// A kept folder holds messages, or has held some since the start (a bit each).
    held: AtomicU32,
}

/// Room for a kept folder, its half and the name of a file.
const FILE_NAME: usize = 160;

impl Tree {
    /// A half of a kept folder.
    pub fn half(&self, kept: Kept, half: Half) -> PathBuf {
        let mut path = PathBuf::with_capacity(self.path.as_os_str().len() + FILE_NAME);
        path.push(&self.path);
        path.push(kept.directory());
        path.push(half.directory());
        path
    }

    /// The directory of unfinished files of a kept folder.
    pub fn tmp(&self, kept: Kept) -> PathBuf {
        let mut path = self.path.clone();
        path.push(kept.directory());
        path.push("tmp");
        path
    }

    /// Whether the directories of a kept folder are known to exist.
    pub fn is_made(&self, kept: Kept) -> bool {
        self.made.load(Ordering::Acquire) >> kept.index() & 1 == 1
    }

    /// Notes that they exist, or that they may not.
    pub fn set_made(&self, kept: Kept, made: bool) {
        let bit = 1 << kept.index();
        if made {
            self.made.fetch_or(bit, Ordering::Release);
        } else {
            self.made.fetch_and(!bit, Ordering::Release);
        }
    }

    /// Whether a kept folder holds messages, or has held some since the start.
    pub fn has_held(&self, kept: Kept) -> bool {
        self.held.load(Ordering::Acquire) >> kept.index() & 1 == 1
    }

    /// Notes that it holds one.
    pub fn set_held(&self, kept: Kept) {
        self.held.fetch_or(1 << kept.index(), Ordering::Release);
    }

    /// Carries out a change of ours in a half. The modification time after it is remembered only if nobody else had
    /// changed the half before: ours must not hide theirs from the next look.
    pub fn change<T>(&self, kept: Kept, half: Half, change: impl FnOnce() -> T) -> T {
        let directory = self.half(kept, half);
        self.change_of(kept, half, || modified(&directory), change)
    }

    /// The same, where it is known how to look at the half's modification time.
    pub fn change_of<T>(&self, kept: Kept, half: Half, modified: impl Fn() -> u64, change: impl FnOnce() -> T) -> T {
        let noted = self.noted(kept, half);
        let alone = modified() == noted.time();
        let result = change();
        if alone {
            noted.changed(modified(), self.ticks);
        }
        result
    }

    /// A half is about to be listed: what comes during the listing is seen by the next look.
    pub fn note_before_listing(&self, kept: Kept, half: Half) {
        self.noted(kept, half).listed(modified(&self.half(kept, half)), self.ticks);
    }

    /// Forgets the modification times of a folder: the next look differs.
    pub fn forget_times(&self, kept: Kept) {
        Half::BOTH.into_iter().for_each(|half| self.noted(kept, half).changed(u64::MAX, false));
    }

    /// Whether somebody else has changed a half since we listed it or changed it.
    pub fn differs(&self, kept: Kept, half: Half) -> bool {
        modified(&self.half(kept, half)) != self.noted(kept, half).time()
    }

    /// Whether a change of somebody else may be hidden in some half: see `store/noted.rs`. Who asks looks at the tree.
    pub fn take_doubts(&self) -> bool {
        self.times.as_flattened().iter().filter(|noted| noted.take_doubt()).count() > 0
    }

    fn noted(&self, kept: Kept, half: Half) -> &Noted {
        &self.times[kept.index()][half as usize]
    }
}

/// All trees.
#[derive(Default)]
pub struct Trees {
    all: Vec<Arc<Tree>>,
    by_address: HashMap<Address, TreeId>,
    domains: HashMap<String, DomainId>,
    domain_names: Vec<String>,
    ticks: bool,
}

impl Trees {
    /// None yet. `ticks`: see [`Disk::has_ticks`](crate::disk::Disk::has_ticks).
    pub fn new(ticks: bool) -> Trees {
        Trees { ticks, ..Trees::default() }
    }

    /// The tree with this number.
    pub fn get(&self, id: TreeId) -> Option<&Arc<Tree>> {
        self.all.get(id.0 as usize)
    }

    /// The tree of a resolved, lower-case address.
    pub fn find(&self, address: &Address) -> Option<TreeId> {
        self.by_address.get(address).copied()
    }

    /// A domain's number.
    pub fn domain(&self, name: &str) -> Option<DomainId> {
        self.domains.get(name).copied()
    }

    /// A domain by its number.
    pub fn domain_name(&self, id: DomainId) -> Option<&str> {
        self.domain_names.get(id.0 as usize).map(String::as_str)
    }

    /// A domain's number, given now if it has none.
    pub fn intern_domain(&mut self, name: &str) -> DomainId {
        if let Some(id) = self.domain(name) {
            return id;
        }
        let id = DomainId(self.domain_names.len() as u32);
        self.domain_names.push(name.to_string());
        self.domains.insert(name.to_string(), id);
        id
    }

    /// A tree's number, given now if it has none. `None`: the address cannot be a directory.
    pub fn intern(&mut self, mail: &Path, address: &Address) -> Option<Arc<Tree>> {
        if let Some(tree) = self.find(address).and_then(|id| self.get(id)) {
            return Some(tree.clone());
        }
        let (domain, local) = address.directories()?;
        let id = TreeId(self.all.len() as u32);
        let tree = Arc::new(Tree {
            id,
            domain: self.intern_domain(address.domain()),
            address: address.clone(),
            path: mail.join(domain).join(local),
            times: Default::default(),
            ticks: self.ticks,
            made: AtomicU32::new(0),
            held: AtomicU32::new(0),
        });
        self.all.push(tree.clone());
        self.by_address.insert(address.clone(), id);
        Some(tree)
    }

    /// All trees, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Tree>> {
        self.all.iter()
    }
}

/// The address whose tree has these directories; `None` for directories that no address has.
pub fn address_of(domain: &str, local: &str) -> Option<Address> {
    let domain = String::from_utf8(path::decode(domain)?).ok()?;
    let local = String::from_utf8(path::decode(local)?).ok()?;
    let quoted: String =
        local.chars().flat_map(|c| if matches!(c, '"' | '\\') { vec!['\\', c] } else { vec![c] }).collect();
    let address = Address::parse(&format!("\"{quoted}\"@{domain}")).ok()?;
    // Only the spelling that we would have made ourselves.
    (address.local() == local.to_lowercase() && address.domain() == domain).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_and_back() {
        for text in ["alice@example.org", "\"a b/..\"@x.test", "jörg@bücher.test", "o'neil@x.test", "\"q\\\"q\"@x.test"]
        {
            let address = Address::parse(text).unwrap();
            let (domain, local) = address.directories().unwrap();
            assert_eq!(address_of(&domain, &local), Some(address), "{domain}/{local}");
        }
        assert_eq!(address_of("x.test", "Alice"), None);
        assert_eq!(address_of("lost+found", "%ZZ"), None);
    }
}
