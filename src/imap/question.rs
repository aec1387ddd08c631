//! What an IMAP session asks the outside, and what it is told. Plain data: the bridge turns it into verbs.
//!
//! Mailbox names here are UTF-8 (modified UTF-7 is decoded and encoded in this layer). UIDs are always meant, never
//! sequence numbers: the session translates with the [`UidList`] that it last told its client.

use super::gather::Order;
use super::items::{Item, StatusItem};
use super::search::Key;
use super::thread::Member;
use crate::base::{Flags, Piece, Secret, Timestamp, UidList, UidRanges};
use std::sync::Arc;
use std::time::Duration;

/// One question. The session waits for its answer before it does anything else.
#[derive(Debug)]
pub enum Question {
    /// May this user log in? Answer: `LoggedIn` or `Refused`.
    Login {
        /// The login name as typed.
        user: String,
        /// The password as typed.
        password: Secret<Vec<u8>>,
    },
    /// SCRAM-SHA-256: the client's first message (RFC 5802 7). Answer: `Challenge` or `Refused`.
    ScramBegin(Secret<Vec<u8>>),
    /// Its last message. Answer: `Proved` or `Refused`.
    ScramEnd(Secret<Vec<u8>>),
    /// All folders that this account sees, in listing order. Answer: `Folders`.
    Folders,
    /// One folder by any accepted spelling. Answer: `Folder` or `Refused` (`NONEXISTENT`).
    Folder(String),
    /// Keep (or drop) a subscription. Answer: `Done` or `Refused`.
    Subscribe(String, bool),
    /// Figures of a folder that is not open. Answer: `Status` or `Refused`.
    Status(String),
    /// What the account uses, of what it may use; of a mailbox of this name, if there is one. Answer: `Quota` or `Refused`.
    Quota(Option<String>),
    /// Figures of all folders. Answer: `Watched`, or `Refused` when there are more than can be watched.
    Watch {
        /// Changes in any of them wake the session from here on.
        on: bool,
        /// Folders below others, of which there may be many, are among those that count.
        children: bool,
    },
    /// Open a folder; the one that was open is closed first, also when this fails (RFC 3501 6.3.1).
    /// Answer: `Selected` or `Refused`.
    Select {
        /// Any accepted spelling.
        folder: String,
        /// EXAMINE: nothing may change, not even `\Recent` and `\Seen`.
        read_only: bool,
    },
    /// The open folder is no longer wanted. Answer: `Done`.
    Unselect,
    /// What changed in the open folder since this modseq? Answer: `Changes`. Cheap: asked after every command.
    Poll {
        /// The modseq of the last `Selected` or `Changes`.
        since: u64,
    },
    /// Which of these UIDs left the open folder after this modseq? More may be named that are not in it, never fewer
    /// (RFC 7162 3.2.6). Answer: `Vanished` or `Refused`.
    Vanished {
        /// The modseq up to which the client knows.
        since: u64,
        /// The UIDs that it asks about.
        known: UidRanges,
    },
    /// FETCH lines. Answer: `Rows`, or `Refused`.
    Fetch(Fetch),
    /// Which messages match. Answer: `Found`, or `Ordering`, or `Threads` to THREAD, or `Refused`.
    Search(Search),
    /// Change flags. Answer: `Stored` or `Refused`.
    Store(Store),
    /// COPY or MOVE from the open folder. Answer: `Transferred` or `Refused`.
    Transfer {
        /// Which messages.
        uids: UidRanges,
        /// Any accepted spelling.
        target: String,
        /// MOVE: they leave the open folder.
        take: bool,
    },
    /// Remove those marked `\Deleted`, for good. Answer: `Done` or `Refused`; what vanished shows in the next poll.
    Expunge {
        /// Only among these; `None` is all.
        uids: Option<UidRanges>,
    },
    /// May a message be appended here? Asked before its literal is read, and again for each further one of the same command
    /// (RFC 3502). Answer: `Done` or `Refused`; then `AppendCancel` follows.
    AppendStart {
        /// Any accepted spelling.
        folder: String,
        /// The flags that were given.
        flags: Flags,
        /// The date that was given.
        date: Option<Timestamp>,
        /// The literal's length.
        size: u64,
    },
    /// The next bytes of that message, at most 64 KB. Answer: `Done` or `Refused`; then `AppendCancel` follows.
    AppendData(Vec<u8>),
    /// All messages are whole: make them durable, all or none. Answer: `Appended` or `Refused`.
    AppendEnd,
    /// The command was broken off: forget the messages that are being appended. Answer: `Done`.
    AppendCancel,
}

/// A FETCH over a range.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// The list that the client knows; it numbers the lines.
    pub list: UidList,
    /// Which messages.
    pub uids: UidRanges,
    /// Go on from this UID (0 at first); the answer says where to go on.
    pub from: u32,
    /// What of each; UID is already among them for UID FETCH.
    pub items: Arc<[Item]>,
    /// UIDs that are `\Recent` in this session.
    pub recent: Arc<UidRanges>,
    /// Only messages that changed after it (RFC 7162 3.1.4.1); 0 is all.
    pub since: u64,
    /// Set `\Seen`: an item asks for a body without PEEK and the folder was not opened read-only.
    pub mark_seen: bool,
}

/// A SEARCH over the open folder.
#[derive(Debug, Clone)]
pub struct Search {
    /// The list that the client knows.
    pub list: UidList,
    /// Go on from this UID (0 at first).
    pub from: u32,
    /// What to look for. Sequence sets in it were turned into UIDs.
    pub key: Arc<Key>,
    /// UIDs that are `\Recent` in this session.
    pub recent: Arc<UidRanges>,
    /// What OLDER and YOUNGER count from.
    pub now: Timestamp,
    /// How the answer is ordered. Whoever answers gathers keys until all messages were looked at.
    pub order: Order,
    /// The answer has the modseq of each message.
    pub with_modseqs: bool,
    /// The answer has the score of each message (RFC 6203 4).
    pub with_scores: bool,
}

/// Messages that match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// UIDs, ascending or as SORT orders them.
    pub uids: Vec<u32>,
    /// The modseq of each, if it was asked for.
    pub modseqs: Vec<u64>,
    /// The score of each, if it was asked for.
    pub scores: Vec<u8>,
    /// Where to go on; `None`: that was all.
    pub next: Option<u32>,
}

/// A STORE.
#[derive(Debug, Clone)]
pub struct Store {
    /// Which messages.
    pub uids: UidRanges,
    /// Add to, take from or replace what is there.
    pub mode: StoreMode,
    /// These flags.
    pub flags: Flags,
    /// Leave messages alone that changed after it (RFC 7162 3.1.3).
    pub unchanged_since: Option<u64>,
}

/// How STORE combines flags (RFC 3501 6.4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreMode {
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
    /// `FLAGS`
    Replace,
}

/// The reply to a question.
#[derive(Debug)]
pub enum Answer {
    /// The login is good.
    LoggedIn,
    /// SCRAM: the server's first message.
    Challenge(Vec<u8>),
    /// SCRAM: the login is good.
    Proved {
        /// The login name as typed.
        user: String,
        /// The server's last message.
        message: Vec<u8>,
    },
    /// It was done.
    Done,
    /// It was not done: `NO`, with a code and a text for people.
    Refused(Refusal),
    /// All folders.
    Folders(Vec<Folder>),
    /// One folder.
    Folder(Folder),
    /// Figures of a folder.
    Status(FolderStatus),
    /// Usage; `None`: there is no quota root.
    Quota(Option<Quota>),
    /// Figures of all folders.
    Watched(Vec<Watched>),
    /// The folder is open.
    Selected(Selected),
    /// What changed.
    Changes(Changes),
    /// Some FETCH lines.
    Rows(Rows),
    /// Some hits; to SORT, none before all were found and ordered.
    Found(Found),
    /// All were found and are being ordered: ask the same again.
    Ordering,
    /// The threads of a THREAD.
    Threads(Vec<Member>),
    /// UIDs that are gone.
    Vanished(UidRanges),
    /// Flags after a STORE.
    Stored(Stored),
    /// COPY or MOVE was done, durably.
    Transferred(Transferred),
    /// APPEND was done, durably.
    Appended {
        /// UIDVALIDITY and UIDs, unless the folder cannot be read (RFC 4315 3).
        uids: Option<(u32, Vec<u32>)>,
    },
}

/// A refusal that the client's user reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The response code (RFC 5530 and others): `NOPERM`, `CANNOT`, `TRYCREATE` …
    pub code: Option<&'static str>,
    /// What was refused, why, and what would work.
    pub text: String,
    /// The connection is to be closed after it.
    pub close: bool,
    /// It is told only after this pause: wrong passwords are slowed. No thread waits, the session does.
    pub pause: Duration,
}

impl Refusal {
    /// A refusal with a response code.
    pub fn new(code: &'static str, text: impl Into<String>) -> Self {
        Refusal { code: Some(code), text: text.into(), close: false, pause: Duration::ZERO }
    }
}

/// The code when there are more folders than can be watched (RFC 5465 3.1, 5.8).
pub const OVERFLOW: &str = "NOTIFICATIONOVERFLOW";

/// One folder as LIST and ACL show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its name, `/` between levels.
    pub name: String,
    /// Its special use (RFC 6154), with the backslash.
    pub special_use: Option<&'static str>,
    /// The account is subscribed to it.
    pub subscribed: bool,
    /// There are folders below it.
    pub has_children: bool,
    /// A level of the hierarchy that cannot be opened.
    pub no_select: bool,
    /// The account's rights (RFC 4314), for instance `lrswite` or `li`.
    pub rights: &'static str,
}

/// What STATUS and SELECT tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Messages.
    pub messages: u32,
    /// Messages that nobody was told of yet.
    pub recent: u32,
    /// Messages without `\Seen`.
    pub unseen: u32,
    /// Messages with `\Deleted`.
    pub deleted: u32,
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// UIDNEXT.
    pub uid_next: u32,
    /// HIGHESTMODSEQ.
    pub modseq: u64,
    /// Bytes of all messages.
    pub size: u64,
}

/// What STATUS tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FolderStatus {
    /// The same as SELECT would tell.
    pub figures: Figures,
    /// MAILBOXID.
    pub mailbox_id: String,
    /// Bytes of the messages with `\Deleted`.
    pub deleted_size: u64,
}

/// What an account uses, and what it may use (RFC 9208 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Bytes of all that it sees.
    pub bytes: u64,
    /// As many there could be.
    pub most_bytes: u64,
    /// Messages.
    pub messages: u64,
    /// As many there could be.
    pub most_messages: u64,
}

/// A folder and what STATUS tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Its listed name.
    pub name: String,
    /// The account is subscribed to it.
    pub subscribed: bool,
    /// `None`: it cannot be looked into.
    pub figures: Option<Figures>,
}

/// A folder that was opened.
#[derive(Debug, Clone)]
pub struct Selected {
    /// The folder's listed name.
    pub name: String,
    /// Its figures at this moment.
    pub figures: Figures,
    /// Its messages at this moment.
    pub list: UidList,
    /// Those of them that are `\Recent` in this session.
    pub recent: UidRanges,
    /// The first message without `\Seen`.
    pub first_unseen: Option<u32>,
    /// It can only be read.
    pub read_only: bool,
    /// Flags that a STORE may change here.
    pub permanent: Flags,
    /// MAILBOXID.
    pub mailbox_id: String,
}

/// What changed in the open folder.
#[derive(Debug, Clone)]
pub struct Changes {
    /// Its messages now.
    pub list: UidList,
    /// Those of the new ones that are `\Recent` in this session.
    pub recent: UidRanges,
    /// Messages whose flags changed, ascending by UID; also changes that this session made.
    pub flags: Vec<FlagRow>,
    /// The modseq up to which this is complete.
    pub modseq: u64,
    /// UIDNEXT now.
    pub uid_next: u32,
}

/// The flags of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlagRow {
    /// Which message.
    pub uid: u32,
    /// Its flags.
    pub flags: Flags,
    /// When they changed.
    pub modseq: u64,
}

/// A STORE that was done. A message in neither list is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// The messages that it was about, as they are now.
    pub rows: Vec<FlagRow>,
    /// UIDs of those that were left alone because they had changed, ascending.
    pub modified: Vec<u32>,
}

/// Some FETCH lines.
#[derive(Debug, Default)]
pub struct Rows {
    /// Ready for the wire: whole `* n FETCH (…)` lines.
    pub pieces: Vec<Piece>,
    /// Where to go on; `None`: that was all.
    pub next: Option<u32>,
    /// Flags that changed by it (`\Seen`), so that the session does not report them twice.
    pub changed: Vec<FlagRow>,
    /// Lines that could not be made as they were asked for: the command ends with this.
    pub refused: Option<Refusal>,
    /// Messages of the list that are gone: the command ends with `NO [EXPUNGEISSUED]` (RFC 2180 4.1.2, RFC 5530).
    pub vanished: bool,
}

/// A COPY or MOVE that was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transferred {
    /// UIDVALIDITY of the target, old UIDs, new UIDs; absent when the target cannot be read (RFC 4315 3).
    pub copy_uid: Option<(u32, Vec<u32>, Vec<u32>)>,
    /// Some messages were refused while others were done: `NO` with this after the lines for those that were done.
    pub refused: Option<Refusal>,
}

/// The STATUS items in the order asked for; here so that `items` need not know answers.
pub type StatusItems = Arc<[StatusItem]>;
