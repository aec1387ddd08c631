//! What a client asks, after parsing. One variant for each thing to do; several commands may share one.

use super::items::{Item, StatusItem};
use super::notify::Notify;
use super::query::{Partial, Query};
use super::question::StoreMode;
use super::sequence::SequenceSet;
use crate::base::{Flags, Secret, Timestamp};

/// Why a command cannot be understood; the text of `BAD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bad(pub &'static str);

/// A command with its arguments. Mailbox names are UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// CAPABILITY
    Capability,
    /// NOOP, CHECK: only the poll that follows every command.
    Noop,
    /// LOGOUT
    Logout,
    /// ID; what the client says of itself is not used.
    Id,
    /// STARTTLS
    StartTls,
    /// AUTHENTICATE
    Authenticate {
        /// The mechanism, upper-case.
        mechanism: String,
        /// The initial response (RFC 4959), still in base64; `=` is an empty one.
        initial: Option<Secret<Vec<u8>>>,
    },
    /// LOGIN
    Login {
        /// The login name.
        user: String,
        /// The password.
        password: Secret<Vec<u8>>,
    },
    /// COMPRESS with this mechanism, upper-case
    Compress(String),
    /// ENABLE
    Enable(Vec<String>),
    /// SELECT, EXAMINE
    Select {
        /// Which.
        mailbox: String,
        /// EXAMINE.
        read_only: bool,
        /// What the client knows of it already.
        known: Known,
    },
    /// CREATE
    Create(String),
    /// DELETE
    Delete(String),
    /// RENAME
    Rename(String),
    /// SUBSCRIBE, UNSUBSCRIBE
    Subscribe {
        /// Which.
        mailbox: String,
        /// SUBSCRIBE.
        on: bool,
    },
    /// LIST, LSUB
    List(List),
    /// STATUS
    Status {
        /// Which.
        mailbox: String,
        /// What.
        items: Vec<StatusItem>,
    },
    /// NAMESPACE
    Namespace,
    /// MYRIGHTS, GETACL, LISTRIGHTS
    Rights {
        /// Which.
        mailbox: String,
        /// In which form.
        ask: RightsAsk,
    },
    /// SETACL, DELETEACL
    ChangeRights,
    /// GETQUOTA, GETQUOTAROOT, SETQUOTA
    Quota(QuotaAsk),
    /// IDLE
    Idle,
    /// NOTIFY; NONE wishes for nothing.
    Notify(Box<Notify>),
    /// CLOSE, UNSELECT
    Close {
        /// CLOSE: remove what is marked `\Deleted`.
        expunge: bool,
    },
    /// EXPUNGE, UID EXPUNGE
    Expunge(Option<SequenceSet>),
    /// SEARCH, SORT, THREAD, and the same with UID
    Search {
        /// Answer with UIDs.
        uid: bool,
        /// What is looked for, and what is answered.
        query: Box<Query>,
    },
    /// The same with texts in a charset that nobody knows.
    BadCharset {
        /// The result was to be saved (RFC 5182 2.1).
        save: bool,
    },
    /// CANCELUPDATE
    CancelUpdate(Vec<String>),
    /// FETCH, UID FETCH
    Fetch {
        /// The set holds UIDs.
        uid: bool,
        /// Which messages.
        set: SequenceSet,
        /// What of each.
        items: Vec<Item>,
        /// Which of them, and what else is told.
        modifiers: Modifiers,
    },
    /// STORE, UID STORE
    Store {
        /// The set holds UIDs.
        uid: bool,
        /// Which messages.
        set: SequenceSet,
        /// How.
        mode: StoreMode,
        /// `.SILENT`
        silent: bool,
        /// Known flags; unknown ones cannot be kept and are left out.
        flags: Flags,
        /// Only messages that did not change after this (RFC 7162 3.1.3).
        unchanged_since: Option<u64>,
    },
    /// COPY, MOVE, UID COPY, UID MOVE
    Transfer {
        /// The set holds UIDs.
        uid: bool,
        /// Which messages.
        set: SequenceSet,
        /// Where to.
        target: String,
        /// MOVE.
        take: bool,
    },
    /// APPEND whose message is no literal, or is one that was gathered: always an error of syntax.
    Append,
}

/// The parameters of SELECT and EXAMINE (RFC 7162 3.1.8, 3.2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// None.
    Nothing,
    /// `(CONDSTORE)`
    Condstore,
    /// `(QRESYNC (…))`
    Resync(Resync),
}

/// What a client that comes back remembers of a folder (RFC 7162 3.2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resync {
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// Up to where it knows the changes.
    pub modseq: u64,
    /// The UIDs that it knows; `None`: all.
    pub uids: Option<SequenceSet>,
    /// Some sequence numbers and the UIDs that they had, ascending.
    pub pairs: Vec<(u32, u32)>,
}

/// The modifiers of FETCH (RFC 7162 3.1.4.1, 3.2.6, RFC 9394 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Modifiers {
    /// Messages that changed after it.
    pub since: Option<u64>,
    /// Those that are gone are told, too.
    pub vanished: bool,
    /// Of the messages, these; `since` counts among them.
    pub partial: Option<Partial>,
}

/// The beginning of an APPEND, up to its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendHead {
    /// Which.
    pub mailbox: String,
    /// Known flags.
    pub flags: Flags,
    /// INTERNALDATE.
    pub date: Option<Timestamp>,
    /// The message stands in `UTF8 (…)` (RFC 6855 4).
    pub wrapped: bool,
}

/// LIST in all its forms (RFC 3501 6.3.8, 6.3.9, RFC 5258, RFC 5819, RFC 6154).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List {
    /// LSUB: another word in the answer, and only what is subscribed.
    pub lsub: bool,
    /// Patterns, the reference in front of each; UTF-8.
    pub patterns: Vec<String>,
    /// `""` as the only pattern asks for the delimiter (RFC 3501 6.3.8).
    pub delimiter_only: bool,
    /// Selection option SUBSCRIBED.
    pub subscribed: bool,
    /// Selection option SPECIAL-USE.
    pub special_use: bool,
    /// Selection option RECURSIVEMATCH.
    pub recursive: bool,
    /// Return option SUBSCRIBED. The other attributes are always returned.
    pub return_subscribed: bool,
    /// Return option MYRIGHTS (RFC 8440).
    pub my_rights: bool,
    /// Return option STATUS.
    pub status: Vec<StatusItem>,
}

/// The commands on quota (RFC 9208 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuotaAsk {
    /// GETQUOTA of this root
    Root(String),
    /// GETQUOTAROOT of this mailbox
    Mailbox(String),
    /// SETQUOTA
    Set,
}

/// The three ways to ask for rights (RFC 4314 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RightsAsk {
    /// MYRIGHTS
    Mine,
    /// GETACL
    All,
    /// LISTRIGHTS, with the identifier.
    Of(String),
}
