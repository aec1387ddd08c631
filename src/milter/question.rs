//! What a milter session asks the outside, and what it is told.

/// One question.
#[derive(Debug)]
pub enum Question {
    /// Does this recipient go with those before it? Answer: `Continue`, or `Reply`.
    Recipient {
        /// The reverse-path of the transaction, "" for the null sender.
        sender: String,
        /// Who logged in to send it.
        user: Option<String>,
        /// The recipient verbatim, without angle brackets: +tag and case kept.
        recipient: String,
        /// No recipient was accepted before it in this transaction.
        is_first: bool,
    },
    /// May this many more bytes be held in memory? Answer: `Reserved`.
    Reserve(usize),
    /// The message is whole: what becomes of it? Answer: `Judged`.
    Judge(Box<Transaction>),
    /// The transaction ended without a message: give back what was reserved. Answer: `Done`.
    Forget,
    /// The peer broke the protocol, and the connection is closed: give back what was reserved, and tell somebody. Answer:
    /// `Done`.
    Broken(&'static str),
}

/// The reply to a question.
#[derive(Debug)]
pub enum Answer {
    /// Go on.
    Continue,
    /// Refuse what was asked about, with this reply.
    Reply(Reply),
    /// Whether the memory may be used.
    Reserved(bool),
    /// What becomes of the message.
    Judged(Judged),
    /// It was done.
    Done,
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// It goes on to its recipients, with these changes, made one after the other.
    Accept(Vec<Edit>),
    /// The sender is refused.
    Refuse(Reply),
    /// The sender is told that it was accepted, and the mail server lets go of it.
    Discard,
}

/// A change of the header. Names and values are made fit for the protocol when they are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// A field below all others.
    Add {
        /// Its name.
        name: String,
        /// Its value, without white space in front; folded lines end in LF.
        value: String,
    },
    /// A field below so many others.
    Insert {
        /// How many fields stand above it.
        above: u32,
        /// Its name.
        name: String,
        /// Its value, as above.
        value: String,
    },
    /// Another value for a field.
    Change {
        /// Which one of this name, from 1.
        nth: u32,
        /// Its name, in any case.
        name: String,
        /// Its new value, as above.
        value: String,
    },
    /// A field is taken away.
    Remove {
        /// Which one of this name, from 1. Those below it are counted anew by some servers and not by others: take away
        /// the last one first.
        nth: u32,
        /// Its name, in any case.
        name: String,
    },
}

/// One SMTP reply, without CRLF: `code`, enhanced code, text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Three digits, the first 4 or 5.
    pub code: u16,
    /// RFC 3463, for instance `5.7.1`; its first digit is that of the code.
    pub enhanced: &'static str,
    /// For people; what is not printable ASCII is replaced.
    pub text: String,
}

impl Reply {
    /// A reply.
    pub fn new(code: u16, enhanced: &'static str, text: impl Into<String>) -> Self {
        Reply { code, enhanced, text: text.into() }
    }
}

/// A whole transaction.
#[derive(Debug, Default)]
pub struct Transaction {
    /// The reverse-path, "" for the null sender, without angle brackets.
    pub sender: String,
    /// The accepted recipients, verbatim, without angle brackets.
    pub recipients: Vec<String>,
    /// Who sends it.
    pub client: Client,
    /// Who logged in to send it.
    pub user: Option<String>,
    /// The mail server's queue id.
    pub queue_id: Option<String>,
    /// The message, lines ending in CRLF where the mail server says so. Cut at the size limit when `oversize`.
    pub message: Vec<u8>,
    /// The whole size, also when the message was cut.
    pub size: u64,
    /// It passed the size limit: only its header is to be kept.
    pub oversize: bool,
    /// The mail server did not say what white space stands behind the colon of a field (it lacks SMFIP_HDR_LEADSPC): one
    /// space was put there.
    pub rebuilt: bool,
}

/// The client of the mail server. `None`: unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// Its IP address, without `IPv6:`.
    pub address: Option<String>,
    /// Its host name.
    pub name: Option<String>,
    /// What it called itself.
    pub helo: Option<String>,
}
