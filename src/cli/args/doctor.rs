//! `lazaret doctor`

use super::{Sender, address, sender};
use crate::mail::Address;
use argh::FromArgs;
use std::path::PathBuf;

/// send a test message through mail server and filter, and follow it: caught, kept, seen, released; say what to change
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "doctor", help_triggers("-h", "--help"))]
pub struct Doctor {
    /// the recipient of the test message; its release goes to this mailbox
    #[argh(option, from_str_fn(address))]
    pub to: Address,

    /// the mail server's SMTP (default: 127.0.0.1:25)
    #[argh(option, default = "(\"127.0.0.1\".to_string(), 25)", from_str_fn(host_and_port))]
    pub through: (String, u16),

    /// the envelope sender (default: the null sender)
    #[argh(option, default = "Sender(String::new())", from_str_fn(sender))]
    pub from: Sender,

    /// what the filter takes for spam, in place of GTUBE: it stands in subject and text
    #[argh(option, from_str_fn(text))]
    pub text: Option<String>,

    /// rspamd's controller, like http://127.0.0.1:11334: what it says that it rejected is compared with what is here
    #[argh(option)]
    pub controller: Option<String>,

    /// the recipient's own mailbox, like imaps://alice@mail.example.org: the release is looked for there, and removed
    #[argh(option)]
    pub mailbox: Option<String>,

    /// its password is the first line of this file
    #[argh(option)]
    pub mailbox_password_file: Option<PathBuf>,

    /// do not release the test message
    #[argh(switch)]
    pub no_release: bool,

    /// leave the test message here
    #[argh(switch)]
    pub keep: bool,

    /// one JSON object a step
    #[argh(switch)]
    pub json: bool,
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let expected = || "expected a host and a port, like 127.0.0.1:25 or [::1]:25".to_string();
    let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(expected)?;
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/') {
        return Err(expected());
    }
    Ok((host.to_string(), port))
}

/// One line of plain ASCII: nothing in it begins a header field of its own, or is folded.
fn text(text: &str) -> Result<String, String> {
    let is_plain = !text.is_empty() && text.len() <= 200 && text.bytes().all(|b| (b' '..=b'~').contains(&b));
    if is_plain { Ok(text.to_string()) } else { Err("expected a line of ASCII, 200 letters at most".to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        assert_eq!(host_and_port("mail.example.org:2525"), Ok(("mail.example.org".to_string(), 2525)));
        assert_eq!(host_and_port("[::1]:25"), Ok(("::1".to_string(), 25)));
        assert!(text("my rule").is_ok());
        for bad in ["", "a\r\nBcc: x", "\u{e4}"] {
            assert!(text(bad).is_err(), "{bad}");
        }
        for bad in ["", "25", "a:", ":25", "a:0", "a:x", "a b:25", "smtp://a:25", "a:99999"] {
            assert!(host_and_port(bad).is_err(), "{bad}");
        }
    }
}
