//! The directories in which one step changes names: each is opened once, however many files of it are renamed.

use super::{Half, Store, Tree, TreeId};
use crate::base::Fault;
use crate::disk::directory::Directory;
use crate::mail::Kept;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// A half of a tree's folder that is open.
pub(super) struct OpenHalf {
    kept: Kept,
    half: Half,
    tree: Arc<Tree>,
    directory: Directory,
}

/// Those of one folder that a step has needed so far. For one step: another program may put a new directory in the place
/// of one that is open.
pub(super) struct Halves<'a> {
    store: &'a Store,
    kept: Kept,
    open: HashMap<(TreeId, Half), Rc<OpenHalf>>,
}

impl<'a> Halves<'a> {
    pub(super) fn new(store: &'a Store, kept: Kept) -> Halves<'a> {
        Halves { store, kept, open: HashMap::new() }
    }

    /// That of a tree, which has a number.
    pub(super) fn of(&mut self, tree: TreeId, half: Half) -> Result<Rc<OpenHalf>, Fault> {
        if let Some(open) = self.open.get(&(tree, half)) {
            return Ok(open.clone());
        }
        let unknown = || Fault::new("find a tree in", &self.store.mail, std::io::ErrorKind::NotFound.into());
        let tree = self.store.tree_by_id(tree).ok_or_else(unknown)?;
        let directory = self.store.disk.directory(tree.half(self.kept, half))?;
        let open = Rc::new(OpenHalf { kept: self.kept, half, directory, tree: tree.clone() });
        self.open.insert((tree.id, half), open.clone());
        Ok(open)
    }
}

impl OpenHalf {
    /// Gives a file a new name, here or in the other half of the folder.
    pub(super) fn rename(&self, name: &str, target: &OpenHalf, new: &str) -> Result<(), Fault> {
        let rename = || target.change(|| self.directory.rename(name, &target.directory, new));
        if self.half == target.half { rename() } else { self.change(rename) }
    }

    fn change<T>(&self, act: impl FnOnce() -> T) -> T {
        self.tree.change_of(self.kept, self.half, || self.directory.modified(), act)
    }
}
