//! What the command line asks of the store. The same code answers whether it runs in the server, for a command on the
//! control socket, or in the command itself, which then holds the data directory's lock: [`super::control`] knows which.

pub mod check;
mod describe;
mod digest;
mod discard;
mod find;
mod list;
mod requests;
mod senders;
mod verbs;

pub use describe::{Client, Message, Shown, Waiting};
pub use digest::{Digest, Preview};
pub use requests::Requested;
pub use senders::{Listed, Saying};
pub use verbs::{Did, Outcome};

use crate::base::Fault;
use crate::quarantine::{Account, Quarantine};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Days of the journal that are looked through for a message.
const JOURNAL_DAYS: usize = 400;

/// One request, one line of JSON on the control socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Messages, newest first, then what waits in the queue.
    List {
        /// Whose: a login; `None`: everybody's.
        scope: Option<String>,
        /// The folder's word: `caught`, `outgoing`, `training`, `trash`.
        folder: String,
        /// Only those whose sender, recipient, subject or id holds this text, in any case.
        search: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// All about one message.
    Show {
        /// Its id, or the start of it.
        id: String,
    },
    /// Deliver.
    Release {
        /// Ids, or their starts.
        ids: Vec<String>,
        /// Also report as wrongly caught.
        train: bool,
    },
    /// Report to the filter.
    Train {
        /// Ids, or their starts.
        ids: Vec<String>,
        /// As wrongly caught; else as spam.
        ham: bool,
    },
    /// To Trash; in Trash: for good.
    Remove {
        /// Ids, or their starts.
        ids: Vec<String>,
    },
    /// What accounts may only request, and nobody has decided yet.
    Requests {
        /// Of whose mail: a login; `None`: everybody's.
        scope: Option<String>,
    },
    /// Do what was requested.
    Grant {
        /// Message ids.
        ids: Vec<String>,
    },
    /// Do not.
    Decline {
        /// Message ids.
        ids: Vec<String>,
    },
    /// Allow or block senders, or take them off a list.
    Senders {
        /// What is to be said of them.
        saying: Saying,
        /// In whose list: a login; `None`: the global one.
        list: Option<String>,
        /// Addresses and domains.
        senders: Vec<String>,
    },
    /// Lists of senders.
    Lists {
        /// Whose: a login; `None`: all.
        list: Option<String>,
    },
    /// Digests.
    Digest {
        /// What about them.
        what: Digest,
        /// Of whose mail only: a login.
        only: Option<String>,
    },
    /// Remove what has expired.
    Expire {
        /// Only say what would go.
        dry_run: bool,
    },
    /// Remove for good, wherever it is: in a folder, or waiting for a delivery.
    Discard {
        /// Message ids.
        ids: Vec<String>,
    },
    /// Lend a login for one recipient's mail. It ends when this connection does; only a running server has any.
    Pass {
        /// An address of the recipient.
        recipient: String,
        /// The addresses of this machine from which it is good.
        from: Vec<IpAddr>,
    },
    /// File a message that lies in `intake/tmp` under this name; it stays there.
    Deposit {
        /// The file's name.
        file: String,
    },
}

/// One line of an answer. The last is `Done` or `Failed`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Answer {
    /// A message.
    Message(Message),
    /// Something in the queue.
    Waiting(Waiting),
    /// All about one message.
    Shown(Box<Shown>),
    /// A request that waits.
    Requested(Requested),
    /// A sender in a list.
    Listed(Listed),
    /// What became of one message.
    Did(Did),
    /// A digest that would be sent.
    Digest(Preview),
    /// What expiry came to.
    Expired {
        /// Messages.
        messages: usize,
        /// Files of journal, trained, failed and the drop's rejects; none in a dry run.
        files: usize,
    },
    /// A deposited message is stored.
    Filed {
        /// Its ids: one for each tree.
        ids: Vec<String>,
    },
    /// A login that was lent.
    Pass {
        /// The login.
        user: String,
        /// Its password.
        password: String,
        /// Whose mail it sees.
        recipient: String,
    },
    /// All was answered.
    Done,
    /// Nothing, or nothing more, was done.
    Failed {
        /// What sort of failure.
        why: Why,
        /// What failed, why, and what to do.
        text: String,
    },
}

/// What sort of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The request makes no sense.
    Request,
    /// There is no such message, or more than one.
    Message,
    /// There is no such domain or recipient.
    Scope,
    /// Not now; the same may work later.
    Later,
    /// The disk failed.
    Disk,
}

/// Why a request ends early.
#[derive(Debug)]
pub struct Failure(Why, String);

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure(Why::Disk, fault.to_string())
    }
}

/// Takes answers; `false`: nobody listens any more.
pub type Tell<'a> = &'a mut dyn FnMut(Answer) -> bool;

/// Carries out a request. Blocks on the disk.
pub fn execute(quarantine: &Quarantine, request: &Request, tell: Tell) {
    let done = match request {
        Request::List { scope, folder, search, limit } => {
            list::list(quarantine, scope.as_deref(), folder, search.as_deref(), *limit, tell)
        }
        Request::Show { id } => list::show(quarantine, id, tell),
        Request::Release { ids, train: false } => verbs::release(quarantine, ids, tell),
        Request::Release { ids, train: true } => verbs::release_and_train(quarantine, ids, tell),
        Request::Train { ids, ham } => verbs::train(quarantine, ids, *ham, tell),
        Request::Remove { ids } => verbs::remove(quarantine, ids, tell),
        Request::Requests { scope } => requests::list(quarantine, scope.as_deref(), tell),
        Request::Grant { ids } => requests::grant(quarantine, ids, tell),
        Request::Decline { ids } => requests::decline(quarantine, ids, tell),
        Request::Senders { saying, list, senders } => {
            senders::change(quarantine, *saying, list.as_deref(), senders, tell)
        }
        Request::Lists { list } => senders::list(quarantine, list.as_deref(), tell),
        Request::Digest { what, only } => digest::run(quarantine, *what, only.as_deref(), tell),
        Request::Expire { dry_run } => verbs::expire(quarantine, *dry_run, tell),
        Request::Discard { ids } => discard::discard(quarantine, ids, tell),
        Request::Pass { .. } => Err(Failure(Why::Later, "no server runs: there is nothing to sign in to".to_string())),
        Request::Deposit { file } => verbs::deposit(quarantine, file, tell),
    };
    match done {
        Ok(()) => tell(Answer::Done),
        Err(Failure(why, text)) => tell(Answer::Failed { why, text }),
    };
}

/// Whose hand the command line is.
fn hand() -> Account {
    Account::command()
}
