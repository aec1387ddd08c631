//! The recipient's own mailbox, where its password was given: the release must be in it, and not among its junk.

use super::advice;
use super::case::{Case, Finding, failed};
use crate::app::config::{RouteTls, imap_server, is_local_host};
use crate::app::map;
use crate::base::{Secret, limits};
use crate::net::imap_login::visit::{Trouble, Visit};
use std::time::{Duration, Instant};

/// Where servers file what they take for junk.
const JUNK: [&str; 5] = ["Junk", "Spam", "INBOX.Junk", "INBOX.Spam", "Junk E-mail"];

/// A mailbox, and how to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    user: String,
    tls: RouteTls,
    host: String,
    port: u16,
    password: Secret<String>,
}

impl Mailbox {
    /// Reads `imaps://user@host`, with a port or without; also `imap://` (STARTTLS), and `imap-plain://` on this machine.
    pub fn new(url: &str, password: Secret<String>) -> Result<Mailbox, String> {
        let read = || {
            let (scheme, rest) = url.split_once("://")?;
            // A login may be an address.
            let (user, server) = rest.rsplit_once('@')?;
            let (tls, host, port) = imap_server(&format!("{scheme}://{server}"))?;
            (!user.is_empty()).then(|| (user.to_string(), tls, host, port))
        };
        let (user, tls, host, port) =
            read().ok_or_else(|| format!("{url:?} is no mailbox: expected imaps://USER@HOST"))?;
        if tls == RouteTls::None && !is_local_host(&host) {
            return Err(format!("the password would cross a network in the clear: expected imaps://, not {url:?}"));
        }
        Ok(Mailbox { user, tls, host, port, password })
    }
}

impl Case<'_> {
    /// Whether the release arrives in the mailbox; it is then removed there.
    pub async fn in_mailbox(&mut self, mailbox: &Mailbox, reply: &str) -> Finding {
        let Mailbox { user, host, .. } = mailbox;
        match self.take_from(mailbox, limits::DOCTOR_DELIVERED).await {
            Ok(Some("INBOX")) => Ok(format!("it is in the INBOX of {user} at {host}")),
            Ok(Some(folder)) => failed(format!("it is in {folder} of {user} at {host}"), advice::JUNK),
            Ok(None) => {
                let seconds = limits::DOCTOR_DELIVERED.as_secs();
                let text = format!("it is not in the mailbox of {user} at {host} within {seconds} s");
                failed(text, format!("the mail server's log has it under what it answered: {reply}"))
            }
            Err(why) => failed(format!("the mailbox of {user} at {host}: {why}"), advice::MAILBOX),
        }
    }

    /// Looks for the test message for so long, and removes it unless it is to be kept; where it was.
    pub async fn take_from(&mut self, mailbox: &Mailbox, most: Duration) -> Result<Option<&'static str>, Trouble> {
        let Mailbox { user, tls, host, port, password } = mailbox;
        // On this machine any certificate is good, as for `auth_verify`.
        let security = map::security(*tls, host, None, !is_local_host(host)).map_err(Trouble::Broken)?;
        let mut visit = Visit::sign_in((host, *port), &security, user, password.expose()).await?;
        let began = Instant::now();
        loop {
            for folder in ["INBOX"].into_iter().chain(JUNK) {
                let uids = match visit.select(folder).await {
                    Ok(()) => visit.with_message_id(&self.message.message_id).await?,
                    // It has no such folder.
                    Err(Trouble::Refused(_)) => continue,
                    Err(broken) => return Err(broken),
                };
                if uids.is_empty() {
                    continue;
                }
                if !self.options.keep {
                    for uid in uids {
                        visit.remove(uid).await?;
                    }
                    self.taken = true;
                }
                visit.leave().await;
                return Ok(Some(folder));
            }
            if began.elapsed() >= most {
                visit.leave().await;
                return Ok(None);
            }
            smol::Timer::after(limits::DOCTOR_MAILBOX_LOOK).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mailboxes() {
        let new = |url: &str| Mailbox::new(url, Secret::new("x".to_string()));
        let mailbox = new("imaps://alice@example.org@mail.example.org:1993").unwrap();
        assert_eq!(
            (mailbox.user.as_str(), mailbox.host.as_str(), mailbox.port),
            ("alice@example.org", "mail.example.org", 1993)
        );
        assert_eq!(new("imap://alice@mail.example.org").unwrap().port, 143);
        assert!(new("imap-plain://alice@127.0.0.1").is_ok());
        for bad in [
            "",
            "imaps://mail.example.org",
            "imaps://@host",
            "pop3://a@host",
            "imap-plain://a@mail.example.org",
            "imaps://a@h/INBOX",
        ] {
            assert!(new(bad).is_err(), "{bad}");
        }
    }
}
