//! Help for the tests of this layer and of those above.

use super::{Clock, Placed, Store, Tree};
use crate::base::Timestamp;
use crate::disk::Disk;
use crate::mail::{Address, Kept, Name};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A directory of a test's own, removed when it is dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A fresh, empty directory.
    pub fn new(name: &str) -> Scratch {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("lazaret-test-{name}-{}-{count}", std::process::id()));
        std::fs::remove_dir_all(&path).ok();
        std::fs::create_dir_all(&path).expect("a temporary directory can be made");
        Scratch(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// A clock that goes on by a millisecond at each look.
pub fn clock() -> Clock {
    let now = AtomicU64::new(1_700_000_000_000_000);
    Arc::new(move || Timestamp(now.fetch_add(1000, Ordering::Relaxed)))
}

/// A store in a directory.
pub fn store(path: &Path) -> Store {
    Store::open(Disk::new(path), "mx.test", 7, clock()).expect("the store opens").0
}

/// The tree of a@x.test.
pub fn a_tree(store: &Store) -> Arc<Tree> {
    store.tree_for(&Address::parse("a@x.test").expect("it is an address")).expect("it can be a directory")
}

/// Delivers a message of three bytes into a tree's Caught.
pub fn deliver(store: &Store, tree: &Arc<Tree>) -> Placed {
    let name = Name::new(store.new_base(), 3);
    store.deliver(tree, Kept::Caught, name, &[b"a\r\n"]).expect("it is stored")
}
