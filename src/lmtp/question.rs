//! What an LMTP session asks the outside, and what it is told.

/// One question.
#[derive(Debug)]
pub enum Question {
    /// Is there a place for this recipient? Answer: `Reply` (2xx: yes).
    Recipient {
        /// The reverse-path of the transaction, "" for the null sender.
        sender: String,
        /// The recipient verbatim, without angle brackets: +tag and case kept.
        recipient: String,
    },
    /// May this many more bytes be held in memory? Answer: `Reserved`.
    Reserve(usize),
    /// The message is whole: store it. Answer: `Stored`, one reply a recipient, in order.
    Store(Box<Transaction>),
    /// The transaction ended without a message: give back what was reserved. Answer: `Done`.
    Forget,
}

/// The reply to a question.
#[derive(Debug)]
pub enum Answer {
    /// One reply line for the peer.
    Reply(Reply),
    /// Whether the memory may be used.
    Reserved(bool),
    /// One reply for each accepted recipient, in the order of RCPT (RFC 2033 4.2).
    Stored(Vec<Reply>),
    /// It was done.
    Done,
}

/// One SMTP reply, without CRLF: `code`, enhanced code, text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// RFC 3463, for instance `2.1.5`.
    pub enhanced: &'static str,
    /// For people; no CR, LF or control characters.
    pub text: String,
}

impl Reply {
    /// A reply.
    pub fn new(code: u16, enhanced: &'static str, text: impl Into<String>) -> Self {
        Reply { code, enhanced, text: text.into() }
    }

    /// Whether it is a 2xx.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }
}

/// A whole transaction.
#[derive(Debug, Default)]
pub struct Transaction {
    /// The reverse-path, "" for the null sender, without angle brackets.
    pub sender: String,
    /// The accepted recipients, verbatim.
    pub recipients: Vec<String>,
    /// What the client said of the real client by XFORWARD, else nothing.
    pub forwarded: Forwarded,
    /// LHLO name of our peer.
    pub helo: String,
    /// BODY=8BITMIME or SMTPUTF8 was given.
    pub smtputf8: bool,
    /// The message as it came, dot-stuffing removed, lines as they were. Cut at the size limit when `oversize`.
    pub message: Vec<u8>,
    /// The whole size as it came, also when the message was cut.
    pub size: u64,
    /// It passed the size limit: only its header is to be kept.
    pub oversize: bool,
}

/// The real client, as XFORWARD tells it. `None`: unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// ADDR: its IP address, without `IPv6:`.
    pub address: Option<String>,
    /// NAME: its host name.
    pub name: Option<String>,
    /// HELO: what it called itself.
    pub helo: Option<String>,
    /// IDENT: the queue id of our peer.
    pub ident: Option<String>,
    /// SOURCE: LOCAL or REMOTE.
    pub source: Option<String>,
}
