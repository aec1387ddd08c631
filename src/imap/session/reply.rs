//! The end of a command: OK, NO or BAD. Everything that a client is refused goes through here.

use crate::imap::question::Refusal;
use crate::imap::request::Bad;
use crate::imap::write::{self, push};
use std::borrow::Cow;

/// How a command ended (RFC 3501 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It was done.
    Ok,
    /// It was not done.
    No,
    /// It was not understood, or not now.
    Bad,
}

/// A tagged response.
#[derive(Debug, Clone)]
pub struct Reply {
    /// How it ended.
    pub status: Status,
    /// Response code, without brackets.
    pub code: Option<Cow<'static, str>>,
    /// For people.
    pub text: Cow<'static, str>,
    /// The connection is closed after it.
    pub close: bool,
}

impl Reply {
    /// It was done.
    pub fn ok(text: impl Into<Cow<'static, str>>) -> Reply {
        Reply { status: Status::Ok, code: None, text: text.into(), close: false }
    }

    /// It was refused.
    pub fn no(code: &'static str, text: impl Into<Cow<'static, str>>) -> Reply {
        Reply { status: Status::No, ..Reply::ok(text) }.with_code(code)
    }

    /// It was not understood, or is not allowed now.
    pub fn bad(text: impl Into<Cow<'static, str>>) -> Reply {
        Reply { status: Status::Bad, ..Reply::ok(text) }
    }

    /// An answer that does not fit its question.
    pub fn bug() -> Reply {
        Reply::no("SERVERBUG", "this went wrong inside the server; the administrator's log may say more")
    }

    /// With a response code.
    pub fn with_code(self, code: impl Into<Cow<'static, str>>) -> Reply {
        Reply { code: Some(code.into()), ..self }
    }

    /// Appends it for a command with this tag; `*` when there was none.
    pub fn write(&self, tag: &str, out: &mut Vec<u8>) {
        let status = match self.status {
            Status::Ok => "OK",
            Status::No => "NO",
            Status::Bad => "BAD",
        };
        push(out, format_args!("{tag} {status} "));
        if let Some(code) = &self.code {
            push(out, format_args!("[{code}] "));
        }
        write::text(out, &self.text);
        out.extend_from_slice(b"\r\n");
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Reply {
        Reply {
            status: Status::No,
            code: refusal.code.map(Cow::Borrowed),
            text: Cow::Owned(refusal.text),
            close: refusal.close,
        }
    }
}

impl From<Bad> for Reply {
    fn from(bad: Bad) -> Reply {
        Reply::bad(bad.0)
    }
}
