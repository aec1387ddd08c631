//! The directories in which one step changes names: each is opened once, however many files of it are renamed.

use super::{Half, Store, Tree, TreeId};
use crate::base::Fault;
use crate::disk::directory::Directory;
use crate::mail::Kept;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
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

/// Messages of a folder that are renamed, in one step, to names in a directory outside of the store.
pub struct Leaving<'a> {
    halves: RefCell<Halves<'a>>,
    target: Directory,
}

impl Store {
    /// From this folder to this directory.
    pub fn leaving(&self, kept: Kept, target: PathBuf) -> Result<Leaving<'_>, Fault> {
        Ok(Leaving { halves: RefCell::new(Halves::new(self, kept)), target: self.disk.directory(target)? })
    }
}

impl Leaving<'_> {
    /// Renames the file of a message. The folder's next look does not read it all again for that.
    pub fn rename(&self, tree: TreeId, half: Half, file: &Path, new: &Path) -> Result<(), Fault> {
        let from = self.halves.borrow_mut().of(tree, half)?;
        let name = |path: &Path| path.file_name().and_then(OsStr::to_str).unwrap_or_default().to_string();
        from.change(|| from.directory.rename(&name(file), &self.target, &name(new)))
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
