//! Mail to a report address: the messages that are attached to it become what they would become in Spam or Not Spam.
//!
//! Whoever reports teaches the filter, and anybody can write any sender. So a report is taken from somebody whom the mail
//! server knows, and other mail to the address is mail like any other; see `[reports]` in `etc/lazaret.toml`.

use crate::lmtp::{Reply, Transaction};
use crate::mail::report::Opinion;
use crate::mail::reported::{self, Unusable};
use crate::mail::{Address, header, received};
use crate::quarantine::folders::Folder;
use crate::quarantine::policy::Why;
use crate::quarantine::{Account, Failed, Quarantine, Refused, Scope};
use crate::store::repeats::{self, Claim, Repeats};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Where reports come, and whose count.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// What mail to these addresses says of the messages that are attached, unless it says it itself; local parts in lower
    /// case.
    pub addresses: HashMap<Address, Opinion>,
    /// All mail that comes there is a report; if not, only that of senders who had logged in.
    pub from_all: bool,
}

/// Takes reports.
pub struct Reports {
    quarantine: Arc<Quarantine>,
    repeats: Repeats,
    rules: Rules,
}

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rules.fmt(f)
    }
}

impl Reports {
    /// By these rules.
    pub fn new(quarantine: Arc<Quarantine>, rules: Rules) -> Reports {
        let store = &quarantine.store;
        let repeats = Repeats::of_reports(store.disk(), store.now());
        Reports { repeats, quarantine, rules }
    }

    /// What a report to this recipient says; `None`: it is no report address.
    fn opinion(&self, recipient: &str) -> Option<Opinion> {
        let address = Address::parse(recipient).ok()?;
        self.rules.addresses.get(&address.with_local(&address.local().to_lowercase())).copied()
    }

    /// Whether mail to this recipient may be a report.
    pub fn are_for(&self, recipient: &str) -> bool {
        self.opinion(recipient).is_some()
    }

    /// Takes a mail to this recipient; `None`: it is no report, but mail like any other. Positive only when the orders for
    /// all that it reports are durable.
    pub fn take(&self, recipient: &str, mail: &Transaction) -> Option<Reply> {
        let opinion = self.opinion(recipient)?;
        let block = mail.message.get(..header::end(&mail.message)).unwrap_or_default();
        if !self.rules.from_all && !received::is_authenticated(block) {
            log::warn!(
                "mail from <{}> to the report address {recipient} is taken for ordinary mail: the mail server does not say that \
                 its sender had logged in",
                mail.sender
            );
            return None;
        }
        let reply = match self.file(opinion, mail) {
            Ok(reply) => reply,
            Err(Failed::Denied(denied)) if denied.why == Why::Full => Reply::new(452, "4.3.1", denied.text),
            Err(Failed::Denied(denied)) => Reply::new(550, "5.7.1", denied.text),
            Err(Failed::Disk(fault)) => {
                log::error!("a report from <{}> was not taken: {fault}", mail.sender);
                let (code, enhanced) = Refused::Disk(fault).codes();
                Reply::new(code, enhanced, "storage failed, try later")
            }
        };
        log::info!("report from <{}> to {recipient}: {} {}", mail.sender, reply.code, reply.text);
        Some(reply)
    }

    fn file(&self, opinion: Opinion, mail: &Transaction) -> Result<Reply, Failed> {
        if mail.oversize {
            return Ok(Reply::new(552, "5.3.4", "the report is too large: report fewer messages in one mail"));
        }
        if self.quarantine.has_made(&mail.message) {
            // Else each report of ours would make another.
            return Ok(Reply::new(554, "5.4.6", "this report was made by the very quarantine that is to take it"));
        }
        let reported = match reported::read(&mail.message) {
            Ok(reported) => reported,
            Err(Unusable::NoMessage) => {
                let how = "no message is attached: forward the message as an attachment (not inline), or attach it as a file \
                           of the type message/rfc822";
                return Ok(Reply::new(550, "5.6.0", how));
            }
            Err(Unusable::TooMany) => {
                let most = crate::base::limits::REPORT_MESSAGES;
                let why = format!("more than {most} messages are attached: report fewer in one mail");
                return Ok(Reply::new(552, "5.3.4", why));
            }
        };
        let (target, what) = match reported.opinion.unwrap_or(opinion) {
            Opinion::Spam => (Folder::Spam, "spam"),
            Opinion::Ham => (Folder::NotSpam, "wrongly caught"),
        };
        let account = self.account(&mail.sender);
        let now = self.quarantine.store.now();
        let mut claims = Claims { repeats: &self.repeats, keys: Vec::new() };
        let mut appending = Vec::new();
        for message in &reported.messages {
            let key = key(&account, target, message);
            // Attached twice is reported once.
            if claims.keys.contains(&key) {
                continue;
            }
            match self.repeats.claim(&key, now) {
                Claim::New => claims.keys.push(key),
                // The mail server tries again, since our answer did not reach it; or two quarantines report to each other.
                Claim::Known => continue,
                Claim::Busy => return Ok(Reply::new(451, "4.3.0", "this report is being taken: try again")),
            }
            let mut one = self.quarantine.append_start(&account, target, message.len() as u64)?;
            one.write(message)?;
            appending.push(one);
        }
        if !appending.is_empty() {
            self.quarantine.append_end(&account, appending)?;
        }
        for key in claims.keys.drain(..) {
            if let Err(fault) = self.repeats.done(&key, now) {
                log::error!("{fault}: what was reported is taken, and once more if it is reported again");
            }
        }
        let count = match reported.messages.len() {
            1 => "1 message was".to_string(),
            more => format!("{more} messages were"),
        };
        Ok(Reply::new(250, "2.0.0", format!("{count} taken as {what}")))
    }

    /// Who reports: the recipient whose address the sender has, else the postmaster, for whose mistakes the most may be
    /// undone.
    fn account(&self, sender: &str) -> Account {
        let owner = self.quarantine.owner_of_outgoing(sender, None);
        Account { login: owner.to_string(), scope: Scope::Recipient(owner) }
    }
}

/// What is claimed and not done is given back when it goes.
struct Claims<'a> {
    repeats: &'a Repeats,
    keys: Vec<String>,
}

impl Drop for Claims<'_> {
    fn drop(&mut self) {
        self.keys.iter().for_each(|key| self.repeats.failed(key));
    }
}

/// What makes two reports the same.
fn key(account: &Account, target: Folder, message: &[u8]) -> String {
    repeats::key([account.login.as_bytes(), target.row().names[0].as_bytes(), message])
}

#[cfg(test)]
mod tests;
