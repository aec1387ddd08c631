//! The doors: where mail comes in, and what is said of it there.

use super::reader::{ConfigError, Converted, Section};
use super::value::*;
use super::*;
use crate::mail::Address;
use toml::de::DeValue;

type Read<T> = Result<T, ConfigError>;

/// `[drop]`: the Maildir where any program may leave mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropDoor {
    /// The header field that names the recipient.
    pub header: String,
    /// Class of what is found there.
    pub class: Class,
    /// Kind of what is found there.
    pub kind: Kind,
    /// Filters whose header fields are believed.
    pub verdict: Vec<Filter>,
}

/// `[[exporter]]`: one listener for rspamd's metadata_exporter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exporter {
    /// Where.
    pub listen: Listen,
    /// Mode of a Unix socket.
    pub socket_mode: u32,
    /// The password is the first line of this file; only a Unix socket may do without.
    pub token_file: Option<PathBuf>,
    /// The class of mail that rspamd refuses; `None`: it is not kept.
    pub rejected: Option<Class>,
    /// The class of mail that rspamd delivers with a mark.
    pub marked: Option<Class>,
    /// The class of mail that rspamd refuses to users who had logged in.
    pub outgoing: Option<Class>,
    /// What it is unless rspamd knows worse.
    pub kind: Kind,
    /// Larger messages are kept as headers only.
    pub max_size: u64,
}

/// `[reports]`: addresses to which people report mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reports {
    /// What is attached to mail to these is spam.
    pub spam: Vec<Address>,
    /// What is attached to mail to these was wrongly caught.
    pub ham: Vec<Address>,
    /// All mail to them is a report; if not, only that of senders who had logged in.
    pub from_all: bool,
}

impl Reports {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spam.is_empty() && self.ham.is_empty()
    }
}

pub(super) fn reports(top: &Section<'_>) -> Read<Reports> {
    // Local parts differ in spelling alone for nobody.
    let address = |value: &DeValue<'_>| mail_address(value).map(|at| at.with_local(&at.local().to_lowercase()));
    let s = top.section("reports")?;
    let reports = Reports {
        spam: s.list("spam", address)?,
        ham: s.list("ham", address)?,
        from_all: s.value("from", choice(&[("authenticated", false), ("all", true)]))?,
    };
    if let Some(both) = reports.ham.iter().find(|address| reports.spam.contains(address)) {
        return Err(s.error("ham", format!("{both} stands in spam, too: what is reported there would be both")));
    }
    s.end()?;
    Ok(reports)
}

pub(super) fn lmtp(s: Section<'_>, limits: &Limits) -> Read<Lmtp> {
    let lmtp = Lmtp {
        listen: s.own("listen", listen)?,
        socket_mode: s.value("socket_mode", mode)?,
        class: s.own("class", class)?,
        kind: s.value("kind", kind)?,
        reply: s.value("reply", choice(&[("accept", Reply::Accept), ("reject", Reply::Reject)]))?,
        before_queue: s.value("before_queue", boolean)?,
        verdict: s.list("verdict", filter)?,
        xforward: s.list("xforward", network)?,
        max_size: s.optional("max_size", size)?.unwrap_or(limits.max_size),
    };
    if lmtp.reply == Reply::Reject && !lmtp.before_queue {
        let why = "\"reject\" needs before_queue = true: where the sender does not see our answer, the mail server would \
                   send a bounce to a forged address";
        return Err(s.error("reply", why));
    }
    s.end()?;
    Ok(lmtp)
}

pub(super) fn class(value: &DeValue<'_>) -> Converted<Class> {
    choice(&Class::ALL.map(|c| (c.word(), c)))(value)
}

pub(super) fn kind(value: &DeValue<'_>) -> Converted<Kind> {
    choice(&Kind::ALL.map(|k| (k.word(), k)))(value)
}

fn filter(value: &DeValue<'_>) -> Converted<Filter> {
    choice(&Filter::ALL.map(|f| (f.word(), f)))(value)
}

pub(super) fn drop_door(top: &Section<'_>) -> Read<DropDoor> {
    let s = top.section("drop")?;
    let door = DropDoor {
        header: s.value("header", header_name)?,
        class: s.value("class", class)?,
        kind: s.value("kind", kind)?,
        verdict: s.list("verdict", filter)?,
    };
    s.end()?;
    Ok(door)
}

pub(super) fn exporter(s: Section<'_>, base: &Path, limits: &Limits) -> Read<Exporter> {
    let class_or = |key, default| Ok::<_, ConfigError>(s.optional(key, or_none(class))?.unwrap_or(Some(default)));
    let exporter = Exporter {
        listen: s.own("listen", listen)?,
        socket_mode: s.optional("socket_mode", mode)?.unwrap_or(0o660),
        token_file: s.optional("token_file", path)?.map(|file| base.join(file)),
        rejected: class_or("rejected", Class::Incoming)?,
        marked: class_or("marked", Class::Unsure)?,
        outgoing: class_or("outgoing", Class::Outgoing)?,
        kind: s.optional("kind", kind)?.unwrap_or(Kind::Spam),
        max_size: s.optional("max_size", size)?.unwrap_or(limits.max_size),
    };
    if exporter.token_file.is_none() && matches!(exporter.listen, Listen::Tcp(_)) {
        let why =
            "an address that any program can reach needs token_file: whoever knows the password in it may hand in mail";
        return Err(s.error("listen", why));
    }
    s.end()?;
    Ok(exporter)
}
