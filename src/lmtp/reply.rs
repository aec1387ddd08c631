//! Every reply that the session gives by itself, and how a reply becomes bytes.

use super::Reply;
use crate::base::limits;

/// Longest text of a reply: the whole line stays below the 512 bytes of RFC 5321 4.5.3.1.5.
const TEXT: usize = 480;

/// What the session refuses or ends on its own account; [`Problem::reply`] is the one place where that meets the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// A bare CR or LF in a command.
    BareLineEnd,
    /// Over `limits::LMTP_LINE`.
    LineTooLong,
    /// No such command.
    Unknown,
    /// A command of SMTP or of an extension that is not offered.
    NotOffered,
    /// HELO or EHLO.
    NotLmtp,
    /// Arguments that do not parse.
    Syntax(&'static str),
    /// The reverse-path of MAIL.
    BadSender,
    /// The forward-path of RCPT; the transaction has begun, so 4xx.
    BadRecipient(&'static str),
    /// A MAIL parameter that is not known.
    MailParameter,
    /// An RCPT parameter that is not known or does not parse; the transaction has begun, so 4xx.
    RcptParameter,
    /// Not now.
    Sequence(&'static str),
    /// XFORWARD from a peer that is not trusted.
    NotTrusted,
    /// Over `limits::LMTP_RECIPIENTS`.
    TooManyRecipients,
    /// No memory for the message.
    NoRoom,
    /// `limits::LMTP_IDLE` passed.
    Idle,
    /// `limits::LMTP_ERRORS` in a row.
    TooManyErrors,
    /// It speaks HTTP, or BDAT whose chunk would be read as commands.
    OtherProtocol,
    /// The outside gave no usable answer.
    Internal,
}

impl Problem {
    /// Its reply (codes: RFC 5321 4.2, RFC 3463).
    pub(super) fn reply(self) -> Reply {
        match self {
            Problem::BareLineEnd => Reply::new(500, "5.5.2", "commands end in CRLF; a CR or LF on its own is refused"),
            Problem::LineTooLong => {
                Reply::new(500, "5.5.2", format!("a command has at most {} bytes", limits::LMTP_LINE))
            }
            Problem::Unknown => Reply::new(500, "5.5.1", "no such command"),
            Problem::NotOffered => Reply::new(502, "5.5.1", "this is not offered here"),
            Problem::NotLmtp => Reply::new(500, "5.5.1", "this is LMTP: say LHLO (RFC 2033)"),
            Problem::Syntax(usage) => Reply::new(501, "5.5.4", format!("expected: {usage}")),
            Problem::BadSender => Reply::new(501, "5.1.7", "the sender is no address"),
            Problem::BadRecipient(why) => Reply::new(451, "4.1.3", why),
            Problem::MailParameter => Reply::new(555, "5.5.4", "a parameter of MAIL is not known here"),
            Problem::RcptParameter => Reply::new(455, "4.5.4", "a parameter of RCPT is not understood"),
            Problem::Sequence(why) => Reply::new(503, "5.5.1", why),
            Problem::NotTrusted => Reply::new(550, "5.7.0", "XFORWARD is not allowed for this peer"),
            Problem::TooManyRecipients => {
                Reply::new(452, "4.5.3", format!("at most {} recipients at once", limits::LMTP_RECIPIENTS))
            }
            Problem::NoRoom => Reply::new(452, "4.3.1", "no room for this message now, try again later"),
            Problem::Idle => Reply::new(421, "4.4.2", "nothing came for too long, closing"),
            Problem::TooManyErrors => Reply::new(421, "4.7.0", "too many errors, closing"),
            Problem::OtherProtocol => Reply::new(421, "4.7.0", "this is LMTP without CHUNKING, closing"),
            Problem::Internal => Reply::new(451, "4.3.0", "an error on our side, try again later"),
        }
    }
}

/// Appends one reply. Text that could break the line or the reader's character set is replaced.
pub(super) fn render(reply: &Reply, out: &mut Vec<u8>) {
    let code = if (200..600).contains(&reply.code) { reply.code } else { 451 };
    out.extend_from_slice(format!("{code} {} ", reply.enhanced).as_bytes());
    out.extend(reply.text.chars().map(|c| if matches!(c, ' '..='~') { c as u8 } else { b'?' }).take(TEXT));
    out.extend_from_slice(b"\r\n");
}

/// Appends the reply to LHLO (RFC 2033 4.1, RFC 5321 4.1.1.1).
///
/// SIZE names no limit (RFC 1870 4): a peer that knew one would bounce larger mail by itself, and here the header of
/// such a message is kept instead.
pub(super) fn render_lhlo(host_name: &str, xforward: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("250-{host_name}\r\n").as_bytes());
    if xforward {
        out.extend_from_slice(b"250-XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n");
    }
    out.extend_from_slice(
        b"250-PIPELINING\r\n250-SIZE\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 ENHANCEDSTATUSCODES\r\n",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_break_the_line() {
        let mut out = Vec::new();
        render(&Reply::new(250, "2.1.5", "a\r\n250 b\u{e9}".to_string() + &"x".repeat(900)), &mut out);
        assert!(out.starts_with(b"250 2.1.5 a??250 b?x"));
        assert_eq!(memchr::memchr(b'\n', &out), Some(out.len() - 1));
        assert!(out.len() < 512);
    }
}
