//! The digest's mail, made of what is new for an account.

use super::listing::{self, Found, Opening};
use crate::base::{Fault, Flags, Timestamp};
use crate::bridge::content::Message;
use crate::mail::Kept;
use crate::page::digest::{DigestView, Row};
use crate::page::texts::{Language, Site as Texts};
use crate::quarantine::digest::{Due, New};
use crate::quarantine::folders::Verb;
use crate::quarantine::links::{Link, LinkVerb, Object};
use crate::quarantine::policy::Access;
use crate::quarantine::{Quarantine, Scope};
use aws_lc_rs::digest::{SHA256, digest};

/// The mail that tells of this, lines ending in CRLF.
///
/// # Errors
/// The disk failed. A message that cannot be read is listed without what it says.
pub fn compose(quarantine: &Quarantine, due: &Due, new: &New) -> Result<Vec<u8>, Fault> {
    Ok(view(quarantine, due, new)?.mail())
}

/// The same as plain text and as HTML, for people who want to see what would be sent.
///
/// # Errors
/// The disk failed.
pub fn preview(quarantine: &Quarantine, due: &Due, new: &New) -> Result<(String, String), Fault> {
    let view = view(quarantine, due, new)?;
    Ok((view.text(), view.html().into_string()))
}

fn view(quarantine: &Quarantine, due: &Due, new: &New) -> Result<DigestView, Fault> {
    let rules = quarantine.digest_rules();
    let now = quarantine.store.now();
    let host = &quarantine.options().host;
    let language = Language::from_code(&due.settings.language).unwrap_or_default();
    let href = |verb: LinkVerb, object: Object, expires: u64| -> Result<String, Fault> {
        let link = Link { verb, login: due.account.login.clone(), object, expires };
        Ok(format!("{}/link/{}", rules.base_url, quarantine.seal(&link)?))
    };
    let reach = quarantine.reach(&due.account)?;
    let mut rows = Vec::new();
    let mut last_end = 0;
    for one in listing::found(quarantine, reach, Kept::Caught, &new.uids) {
        let ends = quarantine.link_end(one.expires);
        last_end = last_end.max(ends);
        let object = || Object::Message(one.recipient.clone(), one.id.clone());
        let access = access(quarantine, due, &one);
        let mut row = Row {
            recipient: one.recipient.clone(),
            arrived: shown(due, Timestamp::from_secs(one.row.arrival())),
            expires: one.expires.map(|at| shown(due, at)),
            kind: (one.row.kind != crate::mail::Kind::Spam)
                .then(|| listing::kind_label(one.row.kind, Texts::of(language))),
            is_request: access == Access::Request,
            delete: href(LinkVerb::Delete, object(), ends)?,
            ..Row::default()
        };
        if access != Access::See {
            row.release = href(LinkVerb::Release, object(), ends)?;
        }
        if access == Access::Act {
            row.release_train = href(LinkVerb::ReleaseTrain, object(), ends)?;
        }
        let id = one.id.clone();
        match say(quarantine, reach, one, &mut row) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => log::error!("message {id} cannot be read for the digest: {error}"),
            Ok(()) => {}
        }
        rows.push(row);
    }
    rows.reverse();
    Ok(DigestView {
        language,
        from: due.settings.from.clone(),
        to: due.to.to_string(),
        login: due.account.login.clone(),
        is_wide: !matches!(due.account.scope, Scope::Recipient(_)),
        date: now.rfc5322(),
        message_id: message_id(due, host),
        host: host.clone(),
        rows,
        more: new.more,
        page: format!("{}/caught", rules.base_url),
        delete_all: href(LinkVerb::Delete, Object::Uids(new.uids.clone()), last_end)?,
        unsubscribe: href(LinkVerb::Unsubscribe, Object::Account, u64::MAX)?,
    })
}

/// The same for one account and one period, however often it is made or sent.
fn message_id(due: &Due, host: &str) -> String {
    let hash = digest(&SHA256, due.account.login.as_bytes());
    let hash: String = hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("digest.{}.{hash}@{host}", due.period.secs())
}

fn shown(due: &Due, at: Timestamp) -> String {
    due.settings.schedule.zone.shown(at)
}

/// What the account may do about a release, with all that belongs to it.
fn access(quarantine: &Quarantine, due: &Due, one: &Found) -> Access {
    if one.row.flags.has(Flags::NOT_RELEASABLE) {
        return Access::See;
    }
    quarantine.options().policy.access(&due.account.scope, one.row.class, one.row.kind, Verb::Release)
}

/// What the message itself says.
fn say(quarantine: &Quarantine, reach: crate::store::Reach, one: Found, row: &mut Row) -> std::io::Result<()> {
    let mut message = Message::new(&quarantine.store, reach, Kept::Caught, &one.row);
    let opening = Opening::read(&mut message)?;
    let (from, address) = opening.sender();
    row.subject = opening.field(b"subject");
    row.from = Some(from);
    row.address = address;
    Ok(())
}
