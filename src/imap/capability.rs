//! What is announced (RFC 3501 6.1.1), and what a client has switched on (RFC 5161).

use super::session::{Options, Tls};
use crate::base::limits;

/// Announced at all times.
const ALWAYS: &[&str] = &[
    "IMAP4rev1", //
    "IMAP4rev2",
    "LITERAL+",
    "SASL-IR",
    "ID",
    "ENABLE",
];

/// Announced before login when a password may be sent.
const LOGIN: &[&str] = &[
    "AUTH=PLAIN", //
    "AUTH=LOGIN",
];

/// Announced after login. One a line: each is an extension. CHILDREN is RFC 3348's name for what RFC 5258 always tells.
const LOGGED_IN: &[&str] = &[
    "IDLE", //
    "NAMESPACE",
    "CHILDREN",
    "UNSELECT",
    "UIDPLUS",
    "MOVE",
    "SPECIAL-USE",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "STATUS=SIZE",
    "ACL",
    "RIGHTS=kxte",
    "BINARY",
    "PREVIEW",
    "SAVEDATE",
    "OBJECTID",
    "QUOTA",
    "QUOTA=RES-STORAGE",
    "QUOTA=RES-MESSAGE",
    "LIST-MYRIGHTS",
    "MULTIAPPEND",
    "UTF8=ACCEPT",
    "COMPRESS=DEFLATE",
    "CONDSTORE",
    "QRESYNC",
    "ESEARCH",
    "SEARCHRES",
    "WITHIN",
    "PARTIAL",
    "CONTEXT=SEARCH",
    "SEARCH=FUZZY",
    "SORT",
    "SORT=DISPLAY",
    "ESORT",
    "THREAD=ORDEREDSUBJECT",
    "THREAD=REFERENCES",
    "THREAD=REFS",
    "I18NLEVEL=1",
    "NOTIFY",
];

/// The capabilities in this state, in one line.
pub fn list(options: &Options, logged_in: bool, may_log_in: bool) -> String {
    let mut words = ALWAYS.to_vec();
    if logged_in {
        words.extend(LOGGED_IN);
        // RFC 7889 2: one limit for all mailboxes
        return format!("{} APPENDLIMIT={}", words.join(" "), limits::MESSAGE_BYTES);
    }
    if options.tls == Tls::Offered {
        words.push("STARTTLS");
    }
    match may_log_in {
        true => {
            words.extend(LOGIN);
            words.extend(options.scram.then_some("AUTH=SCRAM-SHA-256"));
        }
        false => words.push("LOGINDISABLED"),
    }
    words.join(" ")
}

/// What the client has enabled; it stays until the end of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Enabled {
    /// IMAP4rev2 (RFC 9051 6.3.1): no `\Recent`, ESEARCH answers SEARCH, names are UTF-8.
    pub rev2: bool,
    /// UTF8=ACCEPT (RFC 6855 3).
    pub utf8: bool,
    /// CONDSTORE (RFC 7162 3.1): FETCH lines of changes have MODSEQ.
    pub condstore: bool,
    /// QRESYNC (RFC 7162 3.2.3): VANISHED instead of EXPUNGE.
    pub qresync: bool,
}

impl Enabled {
    /// Switches one on by its name, upper-case; its name if it is known and was off.
    pub fn enable(&mut self, name: &str) -> Option<&'static str> {
        let (known, on) = match name {
            "IMAP4REV2" => ("IMAP4rev2", &mut self.rev2),
            "UTF8=ACCEPT" => ("UTF8=ACCEPT", &mut self.utf8),
            "CONDSTORE" => ("CONDSTORE", &mut self.condstore),
            "QRESYNC" => ("QRESYNC", &mut self.qresync),
            _ => return None,
        };
        let new = !std::mem::replace(on, true);
        // RFC 7162 3.2.3: QRESYNC includes CONDSTORE
        self.condstore |= self.qresync;
        new.then_some(known)
    }

    /// Whether mailbox names are UTF-8 both ways, not modified UTF-7 (RFC 6855 3, RFC 9051 5.1).
    pub fn names_are_utf8(self) -> bool {
        self.utf8 || self.rev2
    }
}
