//! One command line. smtp-proto's request parser is the oracle of the tests and not used here: it takes the quotes
//! from a quoted local part and turns `<postmaster>` into nothing, and recipients must stay as they were written.

use super::reply::Problem;
use crate::base::limits;
use crate::mail::address::{Address, AddressError};

/// A command that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Lhlo(String),
    Mail { sender: String, smtputf8: bool },
    Rcpt { recipient: String },
    Data,
    Rset,
    Noop,
    Help,
    Vrfy,
    Quit,
    Xforward(String),
}

const MAIL: &str = "MAIL FROM:<address> [parameters]";
const RCPT: &str = "RCPT TO:<address> [parameters]";

/// Parses one line without its CRLF.
pub(super) fn parse(line: &[u8]) -> Result<Command, Problem> {
    let verb_end = line.iter().position(|&b| b == b' ').unwrap_or(line.len());
    let (verb, rest) = line.split_at(verb_end);
    let verb = verb.to_ascii_uppercase();
    let text = std::str::from_utf8(rest);
    let arguments = || text.map(str::trim);
    match verb.as_slice() {
        b"LHLO" => match arguments() {
            Ok(name) if is_host(name) => Ok(Command::Lhlo(name.to_string())),
            _ => Err(Problem::Syntax("LHLO host-name")),
        },
        b"MAIL" => mail(arguments().map_err(|_| Problem::BadSender)?),
        b"RCPT" => rcpt(arguments().map_err(|_| Problem::BadRecipient("the recipient is not UTF-8"))?),
        b"DATA" if rest.trim_ascii().is_empty() => Ok(Command::Data),
        b"DATA" => Err(Problem::Syntax("DATA")),
        b"RSET" if rest.trim_ascii().is_empty() => Ok(Command::Rset),
        b"RSET" => Err(Problem::Syntax("RSET")),
        b"QUIT" => Ok(Command::Quit),
        b"NOOP" => Ok(Command::Noop),
        b"HELP" => Ok(Command::Help),
        b"VRFY" => Ok(Command::Vrfy),
        b"XFORWARD" => match arguments() {
            Ok(attributes) => Ok(Command::Xforward(attributes.to_string())),
            Err(_) => Err(Problem::Syntax("XFORWARD attribute=value …")),
        },
        b"HELO" | b"EHLO" => Err(Problem::NotLmtp),
        b"EXPN" | b"AUTH" | b"STARTTLS" | b"ETRN" | b"TURN" | b"ATRN" | b"BURL" | b"XCLIENT" => {
            Err(Problem::NotOffered)
        }
        // A chunk follows at once, and would be read as commands.
        b"BDAT" | b"GET" | b"POST" | b"PUT" | b"CONNECT" | b"OPTIONS" | b"HOST:" | b"USER-AGENT:" => {
            Err(Problem::OtherProtocol)
        }
        _ => Err(Problem::Unknown),
    }
}

fn is_host(name: &str) -> bool {
    (1..=limits::DOMAIN).contains(&name.len()) && name.chars().all(|c| !c.is_control() && !c.is_whitespace())
}

fn mail(arguments: &str) -> Result<Command, Problem> {
    let (sender, parameters) =
        path(after(arguments, "FROM:").ok_or(Problem::Syntax(MAIL))?).ok_or(Problem::Syntax(MAIL))?;
    // A reverse-path is recorded, never delivered to by us: what the peer took from its own client is taken.
    if sender.len() > limits::REVERSE_PATH || sender.chars().any(char::is_control) {
        return Err(Problem::BadSender);
    }
    let mut smtputf8 = false;
    let mut seen = Vec::new();
    for parameter in parameters.split(' ').filter(|p| !p.is_empty()) {
        let (key, value) = parameter.split_once('=').map_or((parameter, None), |(k, v)| (k, Some(v)));
        let key = key.to_ascii_uppercase();
        let good = match (key.as_str(), value) {
            ("SMTPUTF8", None) => {
                smtputf8 = true;
                true
            }
            ("BODY", Some(v)) => {
                smtputf8 |= v.eq_ignore_ascii_case("8BITMIME");
                ["7BIT", "8BITMIME"].iter().any(|b| v.eq_ignore_ascii_case(b))
            }
            // RFC 1870 3: up to 20 digits. The figure is not used: a message over the limit is kept in part.
            ("SIZE", Some(v)) => (1..=20).contains(&v.len()) && v.bytes().all(|b| b.is_ascii_digit()),
            // RFC 3461 4.3 and 4.4
            ("RET", Some(v)) => ["FULL", "HDRS"].iter().any(|r| v.eq_ignore_ascii_case(r)),
            ("ENVID", Some(v)) => (1..=100).contains(&v.len()) && xtext(v).is_some(),
            ("SMTPUTF8" | "BODY" | "SIZE" | "RET" | "ENVID", _) => false,
            _ => return Err(Problem::MailParameter),
        };
        if !good || seen.contains(&key) {
            return Err(Problem::Syntax("a parameter with a value that fits it, once"));
        }
        seen.push(key);
    }
    Ok(Command::Mail { sender: sender.to_string(), smtputf8 })
}

fn rcpt(arguments: &str) -> Result<Command, Problem> {
    let bad = Problem::BadRecipient(RCPT);
    let (recipient, parameters) = path(after(arguments, "TO:").ok_or(bad)?).ok_or(bad)?;
    // RFC 5321 4.5.1: postmaster needs no domain.
    if !recipient.eq_ignore_ascii_case("postmaster") {
        Address::parse(recipient).map_err(|error| {
            Problem::BadRecipient(match error {
                AddressError::Incomplete => "the recipient is not of the form local-part@domain",
                AddressError::Forbidden => "the recipient holds a character that an address cannot hold",
                AddressError::TooLong => "the recipient's local part is over 64 bytes or its domain over 255",
            })
        })?;
    }
    let mut seen = Vec::new();
    for parameter in parameters.split(' ').filter(|p| !p.is_empty()) {
        let (key, value) = parameter.split_once('=').ok_or(Problem::RcptParameter)?;
        let key = key.to_ascii_uppercase();
        let good = match key.as_str() {
            // RFC 3461 4.1
            "NOTIFY" => {
                let known = |v: &str| ["SUCCESS", "FAILURE", "DELAY"].iter().any(|n| v.eq_ignore_ascii_case(n));
                value.eq_ignore_ascii_case("NEVER") || value.split(',').all(known)
            }
            // RFC 3461 4.2; RFC 6533 3 has utf-8 as a second type with escapes of its own.
            "ORCPT" => value.len() <= 500 && value.split_once(';').is_some_and(|(t, a)| !t.is_empty() && !a.is_empty()),
            _ => false,
        };
        if !good || seen.contains(&key) {
            return Err(Problem::RcptParameter);
        }
        seen.push(key);
    }
    Ok(Command::Rcpt { recipient: recipient.to_string() })
}

fn after<'a>(text: &'a str, keyword: &str) -> Option<&'a str> {
    let head = text.get(..keyword.len())?;
    head.eq_ignore_ascii_case(keyword).then(|| text.get(keyword.len()..))?.map(str::trim_start)
}

/// `<path>` and what follows it. A source route is taken off (RFC 5321 4.1.1.3: it SHOULD be ignored).
fn path(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('<')?;
    let (mut quoted, mut escaped) = (false, false);
    let end = inner.find(|c| {
        let ends = c == '>' && !quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        ends
    })?;
    let (path, rest) = (inner.get(..end)?, inner.get(end + 1..)?);
    if !rest.is_empty() && !rest.starts_with(' ') {
        return None;
    }
    let path = match path.strip_prefix('@') {
        Some(route) => route.split_once(':')?.1,
        None => path,
    };
    Some((path, rest))
}

/// Decodes xtext (RFC 3461 4): `+` and two hexadecimal digits are a byte; the result must be UTF-8.
pub(super) fn xtext(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => {
                let (high, low) = (char::from(rest.next()?).to_digit(16)?, char::from(rest.next()?).to_digit(16)?);
                (high * 16 + low) as u8
            }
            b'=' | 0..=b' ' => return None,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recipient(line: &str) -> Result<String, Problem> {
        match parse(line.as_bytes())? {
            Command::Rcpt { recipient } => Ok(recipient),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn recipients_stay_as_they_were_written() {
        assert_eq!(recipient("RCPT TO:<Alice+Shop@Example.org>").unwrap(), "Alice+Shop@Example.org");
        assert_eq!(recipient("rcpt to: <\"a > b\"@x.y> NOTIFY=NEVER ORCPT=rfc822;a+40b").unwrap(), "\"a > b\"@x.y");
        assert_eq!(recipient("RCPT TO:<@a,@b:c@d>").unwrap(), "c@d");
        assert_eq!(recipient("RCPT TO:<PostMaster>").unwrap(), "PostMaster");
        assert_eq!(recipient("RCPT TO:<jörg@bücher.example>").unwrap(), "jörg@bücher.example");
        for bad in
            ["RCPT TO:<>", "RCPT TO:a@b", "RCPT TO:<a@b>x", "RCPT TO:<a@b", "RCPT TO:<a b@c>", "RCPT TO:<a@b> X=1"]
        {
            let code = recipient(bad).unwrap_err().reply().code;
            assert_eq!(code / 100, 4, "{bad}");
        }
    }

    #[test]
    fn senders_and_their_parameters() {
        let mail = |line: &str| parse(line.as_bytes());
        assert_eq!(mail("MAIL FROM:<>"), Ok(Command::Mail { sender: String::new(), smtputf8: false }));
        let all = "MAIL FROM:<a@b> SIZE=99999999999 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb";
        assert_eq!(mail(all), Ok(Command::Mail { sender: "a@b".into(), smtputf8: true }));
        assert_eq!(mail("MAIL FROM:<a@b> AUTH=<>"), Err(Problem::MailParameter));
        for bad in ["SIZE=x", "SIZE=1 SIZE=1", "BODY=BINARYMIME", "RET=ALL", "ENVID=a+G0", "SIZE"] {
            assert!(matches!(mail(&format!("MAIL FROM:<a@b> {bad}")), Err(Problem::Syntax(_))), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&line);
        }

        /// What we take for a plain recipient, smtp-proto takes for the same.
        #[test]
        fn smtp_proto_agrees(local in "[a-z0-9+._-]{1,12}", domain in "[a-z0-9.-]{1,12}") {
            let line = format!("RCPT TO:<{local}@{domain}>");
            let wire = format!("{line}\r\n");
            let theirs = smtp_proto::Request::parse(&mut wire.as_bytes().iter());
            if let Ok(smtp_proto::Request::Rcpt { to }) = theirs {
                prop_assert_eq!(recipient(&line).unwrap(), to.address.as_ref());
            }
        }
    }
}
