//! Children of Caught (`admin_tree`): an account that sees more than one recipient can look at one domain
//! (`Caught/<domain>`) or one recipient (`Caught/<domain>/<localpart>`) alone.
//!
//! A child shows fewer of the same messages: same UIDs, rights and flags, and as everywhere the `\\Seen` of the account that
//! looks. Names are the same for every account, so that of a domain has one child below Caught. A child is there from its
//! first message on until a start finds none: clients take a vanished folder for a deleted one.

use super::Quarantine;
use super::account::{Account, Scope};
use super::folders::{self, Folder, Naming};
use super::policy::Denied;
use super::scope::Level;
use crate::base::{limits, path};
use crate::mail::{Address, Kept};
use crate::store::Reach;
use crate::store::trees::address_of;

/// A folder that an account has: one of the table, or a child of Caught.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The folder of the table.
    pub folder: Folder,
    /// Whose mail of it is shown, if not all that the account sees.
    pub child: Option<Scope>,
}

impl From<Folder> for Named {
    fn from(folder: Folder) -> Named {
        Named { folder, child: None }
    }
}

impl Named {
    fn child(scope: Scope) -> Named {
        Named { folder: Folder::Caught, child: Some(scope) }
    }

    /// The name under which it is listed.
    pub fn name(&self, naming: &Naming) -> String {
        self.below(self.folder.name(naming))
    }

    /// Its name in texts for people, which no setting changes.
    pub fn label(&self) -> String {
        self.below(self.folder.label())
    }

    fn below(&self, parent: &str) -> String {
        match &self.child {
            None | Some(Scope::Global) => parent.to_string(),
            Some(Scope::Domain(domain)) => format!("{parent}/{}", path::label(domain)),
            Some(Scope::Recipient(address)) => {
                format!("{parent}/{}/{}", path::label(address.domain()), path::label(address.local()))
            }
        }
    }
}

impl Quarantine {
    /// The folder with a name, in any accepted spelling.
    pub fn folder(&self, account: &Account, name: &str) -> Option<Named> {
        let naming = &self.options.naming;
        if let Some(folder) = folders::lookup(name, naming) {
            return Some(folder.into());
        }
        let (parent, below) = name.split_once('/')?;
        let reach = self.parent_of_children(account, folders::lookup(parent, naming)?)?;
        let Some((domain, local)) = below.split_once('/') else {
            let domain = path::from_label(below)?;
            let id = self.store.known_domain(&domain)?;
            let there = account.scope.level() == Level::Global || account.scope == Scope::Domain(domain.clone());
            return (there && self.store.is_held(Reach::Domain(id), Kept::Caught))
                .then(|| Named::child(Scope::Domain(domain)));
        };
        let directory = |label| path::encode(path::from_label(label)?.as_bytes());
        let tree = self.store.tree(&address_of(&directory(domain)?, &directory(local)?)?)?;
        let there = reach.holds(tree.id, tree.domain) && tree.has_held(Kept::Caught);
        there.then(|| Named::child(Scope::Recipient(tree.address.clone())))
    }

    /// All children that an account has, in listing order; the first of them, when there are very many.
    pub fn children(&self, account: &Account) -> Vec<Named> {
        let Some(reach) = self.parent_of_children(account, Folder::Caught) else { return Vec::new() };
        let trees = self.store.holders(reach, Kept::Caught);
        let mut addresses: Vec<&Address> = trees.iter().map(|tree| &tree.address).collect();
        addresses.sort_unstable_by_key(|address| (address.domain(), address.local()));
        let domains = addresses.chunk_by(|a, b| a.domain() == b.domain());
        let named = domains.flat_map(|recipients| {
            let domain = recipients.first().map(|address| Scope::Domain(address.domain().to_string()));
            domain.into_iter().chain(recipients.iter().map(|address| Scope::Recipient((*address).clone())))
        });
        named.take(limits::CHILD_FOLDERS).map(Named::child).collect()
    }

    /// Whether there are children of a folder.
    pub fn has_children(&self, account: &Account, named: &Named) -> bool {
        match &named.child {
            None => {
                let reach = self.parent_of_children(account, named.folder);
                reach.is_some_and(|reach| self.store.is_held(reach, Kept::Caught))
            }
            Some(scope) => scope.level() != Level::Recipient,
        }
    }

    /// How far an account sees, if it has children of this folder.
    fn parent_of_children(&self, account: &Account, folder: Folder) -> Option<Reach> {
        let has =
            self.options.naming.admin_tree && folder == Folder::Caught && account.scope.level() != Level::Recipient;
        has.then(|| self.reach(account).ok()).flatten()
    }

    /// Whether a message of a tree may be put there: into a child only where it would be seen again.
    pub(super) fn may_be_in(&self, target: &Named, tree: &Address) -> Result<(), Denied> {
        match &target.child {
            Some(scope) if !scope.sees(tree) => {
                let naming = &self.options.naming;
                let own = Named::child(Scope::Recipient(tree.clone())).name(naming);
                Err(Denied::impossible(format!(
                    "a message goes back from Trash to where it came from: drag this one to {} or {own}",
                    target.folder.name(naming)
                )))
            }
            _ => Ok(()),
        }
    }
}
