//! What the rules work on: the store, the queue, the directory of recipients, the policy.

use super::account::{Account, Scope};
use super::directory::{Directory, Resolution};
use super::expire::Retention;
use super::folders::{self, Naming};
use super::policy::Policy;
use crate::base::Fault;
use crate::disk::Disk;
use crate::mail::{Address, Kept};
use crate::queue::{Asker, Digests, Queue, Requests};
use crate::store::journal::Journal;
use crate::store::lists::Lists;
use crate::store::scan::Report;
use crate::store::{Clock, Reach, Store, Tally, Tree};
use aws_lc_rs::hmac;
use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// What is configured.
#[derive(Debug, Clone)]
pub struct Options {
    /// Our name, in message ids and Received lines.
    pub host: String,
    /// How folders are named and shown.
    pub naming: Naming,
    /// Who may do what.
    pub policy: Policy,
    /// How long things are kept.
    pub retention: Retention,
    /// New recipient trees an hour.
    pub new_trees_per_hour: u32,
    /// What could not be delivered or reported for so long is given up.
    pub queue_age: Duration,
    /// Free space (per cent of the file system) below which doors answer 452.
    pub min_free_percent: u8,
    /// Whose trees hold what the global account appends: the first configured domain's postmaster.
    pub home: Address,
    /// How long what is asked with [`Quarantine::put_later`] waits before it starts.
    pub release_delay: Duration,
}

/// The quarantine: the rules, and no protocol. Every call is synchronous; share it by `Arc`.
pub struct Quarantine {
    /// Messages.
    pub store: Store,
    /// What was asked for.
    pub queue: Arc<Queue>,
    /// What happened.
    pub journal: Journal,
    /// What was requested of a wider scope.
    pub(super) requests: Requests,
    /// What accounts were told of their mail, and digests on their way.
    pub digests: Digests,
    pub(super) digesting: super::digest::Memory,
    pub(super) links: super::links::Keys,
    /// Senders that scopes allow and block.
    pub(super) senders: Lists,
    pub(super) exports: Mutex<Option<super::lists::Export>>,
    /// Doors ask these lists.
    pub(super) lists_asked: AtomicBool,
    pub(super) options: Options,
    pub(super) directory: RwLock<Arc<Directory>>,
    pub(super) key: hmac::Key,
    /// When trees were made in the last hour, in seconds.
    pub(super) new_trees: Mutex<VecDeque<u64>>,
    /// Optional folders that were listed once stay listed.
    pub(super) shown: Mutex<[bool; 4]>,
    pub(super) free: Mutex<(u64, bool)>,
    pub(super) prints: super::whole::Prints,
    /// What doors did not take, by [`super::Refused::word`].
    pub deferred: Tally,
    /// Held while a failed release is given back: two parts of one message may fail at once.
    pub(super) returning: Mutex<()>,
    /// Held from the look at what was asked before to the order: whoever is told "asked before" can rely on it.
    /// It is when the last command was that can be taken back, in microseconds: no two have the same.
    pub(super) asking: Mutex<u64>,
    /// Held while some messages expire: a command that expires what is due, and the loop that does, would together take twice as
    /// much of the disk from everybody else.
    pub(super) expiring: Mutex<()>,
}

impl Quarantine {
    /// Opens a data directory. The caller holds its lock.
    pub fn open(
        disk: Disk,
        pid: u32,
        clock: Clock,
        options: Options,
        directory: Arc<Directory>,
    ) -> Result<(Quarantine, Report), Fault> {
        let (store, report) = Store::open(disk.clone(), &options.host, pid, clock)?;
        let queue = Arc::new(Queue::open(disk.clone())?.giving_up_after(options.queue_age));
        let key = super::mark::key(&disk)?;
        let requests = Requests::open(disk.clone())?;
        let digests = Digests::open(disk.clone())?;
        let links = super::links::Keys::open(disk.clone())?;
        let senders = Lists::open(disk.clone())?;
        let journal = Journal::new(disk.path("journal"));
        let shown = Kept::ALL.map(|kept| store.is_used(kept));
        let quarantine = Quarantine {
            store,
            queue,
            journal,
            requests,
            digests,
            digesting: Default::default(),
            links,
            senders,
            exports: Mutex::default(),
            lists_asked: AtomicBool::new(false),
            options,
            directory: RwLock::new(directory),
            key: hmac::Key::new(hmac::HMAC_SHA256, key.expose()),
            new_trees: Mutex::default(),
            shown: Mutex::new(shown),
            free: Mutex::new((0, true)),
            prints: super::whole::Prints::default(),
            deferred: Tally::default(),
            returning: Mutex::default(),
            asking: Mutex::default(),
            expiring: Mutex::default(),
        };
        quarantine.settle_pending()?;
        quarantine.settle_requests()?;
        Ok((quarantine, report))
    }

    /// What is configured.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The directory of recipients now.
    pub fn directory(&self) -> Arc<Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another directory: the configuration was read again.
    pub fn set_directory(&self, directory: Arc<Directory>) {
        *self.directory.write().unwrap_or_else(PoisonError::into_inner) = directory;
    }

    /// How far an account sees.
    pub fn reach(&self, account: &Account) -> Result<Reach, Fault> {
        self.reach_of(&account.scope)
    }

    pub(super) fn reach_of(&self, scope: &Scope) -> Result<Reach, Fault> {
        Ok(match scope {
            Scope::Global => Reach::All,
            Scope::Domain(domain) => Reach::Domain(self.store.domain(domain)),
            Scope::Recipient(address) => Reach::Tree(self.store.tree_for(address)?.id),
        })
    }

    /// The folders that an account is shown, in listing order.
    pub fn folders(&self) -> Vec<folders::Listed> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for kept in Kept::ALL {
            // Clients take a vanished folder for a deleted one, so once shown is shown always.
            if let Some(shown) = shown.get_mut(kept.index()) {
                *shown |= self.store.is_used(kept);
            }
        }
        let shown = *shown;
        folders::listed(&self.options.naming, |kept| shown.get(kept.index()).copied().unwrap_or(false))
    }

    /// In whose tree lies what this account appends, and what is kept of it.
    pub(super) fn home(&self, account: &Account) -> Address {
        match &account.scope {
            Scope::Recipient(address) => address.clone(),
            Scope::Domain(domain) => self.options.home.with_domain(domain),
            Scope::Global => self.options.home.clone(),
        }
    }

    /// The tree that a queue name refers to. `None`: it cannot be told any more.
    pub(super) fn tree_of(&self, tree: &crate::queue::Tree, recipients: &[String]) -> Option<Arc<Tree>> {
        if let crate::queue::Tree::Named(text) = tree {
            return self.store.tree_for(&Address::parse(text).ok()?).ok();
        }
        let known = self.store.all_trees().into_iter().find(|t| tree.is(&t.address.to_string()));
        known.or_else(|| {
            let directory = self.directory();
            recipients.iter().filter_map(|r| Address::parse(r).ok()).find_map(|address| {
                match directory.resolve(&address) {
                    Resolution::Tree(resolved) if tree.is(&resolved.to_string()) => self.store.tree_for(&resolved).ok(),
                    _ => None,
                }
            })
        })
    }
}

impl Account {
    /// The command line: it sees everything, as `global` does. No account can have this login.
    pub fn command() -> Account {
        Account { login: COMMAND.to_string(), scope: Scope::Global }
    }

    /// Whether it is the command line.
    pub fn is_command(&self) -> bool {
        self.scope == Scope::Global && self.login == COMMAND
    }
}

/// Who asks on the command line, as the journal has it.
const COMMAND: &str = "command";

/// Whose hand an account's is, as the queue notes it.
pub(super) fn asker(account: &Account) -> Asker {
    match account.scope {
        Scope::Global if account.is_command() => Asker::Command,
        Scope::Global => Asker::Global,
        Scope::Domain(_) => Asker::Domain,
        Scope::Recipient(_) => Asker::Recipient,
    }
}
