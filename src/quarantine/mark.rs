//! The Received line of a release, and how we know it when it comes back.
//!
//! A released message that the filter catches again comes in through a door once more. It carries our line with a MAC over
//! its id, so nobody else can make us believe it; it is recorded as a failed release, not as new mail.

use super::Quarantine;
use crate::base::{Context, Fault, Secret, Timestamp};
use crate::disk::Disk;
use crate::mail::header;
use crate::mail::name::Base;
use crate::queue::Verb;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use std::collections::HashSet;

/// Bytes of the MAC in hexadecimal digits: 96 bits.
const MAC_HEX: usize = 24;
/// Received lines that are looked at: ours is at most a few hops below the top.
const HOPS: usize = 20;
const WORD: &str = "(Lazaret release";

/// The key of this data directory, made at its first start.
pub(super) fn key(disk: &Disk) -> Result<Secret<Vec<u8>>, Fault> {
    let path = disk.path("state/release-key");
    match disk.read(&path)? {
        Some(key) if key.len() >= 32 => Ok(Secret::new(key)),
        Some(_) => {
            let short = std::io::Error::other("it is too short; delete it and a new one is made");
            Err(Fault::new("use the key in", path, short))
        }
        None => {
            let mut key = vec![0; 32];
            let no_random = |_| std::io::Error::other("the system has no random bytes");
            SystemRandom::new().fill(&mut key).map_err(no_random).during("make", &path)?;
            disk.write_whole(&path, &key)?;
            Ok(Secret::new(key))
        }
    }
}

impl Quarantine {
    /// The line that goes on top of a message that is delivered (RFC 5321 4.4), CRLF included.
    pub fn received_line(&self, id: &str, recipient: &str, now: Timestamp) -> String {
        let host = &self.options.host;
        let mac = self.mac(id);
        format!(
            "Received: from quarantine by {host} {WORD} {mac}) id {id}\r\n\tfor <{recipient}>; {}\r\n",
            now.rfc5322()
        )
    }

    /// Whether this is a message that we are handing to a mail server at this moment: it must not be caught by whoever it
    /// is shown to on its way. The line on top proves little once somebody has the message, so it counts only until then.
    pub fn is_on_its_way(&self, message: &[u8]) -> bool {
        let Some(base) = self.released_id(message).map(|id| Base::parse(&id)) else { return false };
        let under_way = self.queue.verbs_of(&HashSet::from([base.clone()]));
        under_way.get(&base).is_some_and(|verbs| verbs.contains(&Verb::Release))
    }

    /// Whether we handed this very mail to a mail server: a release, a digest, a report.
    pub fn has_made(&self, message: &[u8]) -> bool {
        self.released_id(message).is_some()
    }

    /// The id in our own line, if this message was released by us and came back.
    pub(super) fn released_id(&self, header: &[u8]) -> Option<String> {
        let ours = header::fields(header).filter(|field| field.is(b"received"));
        ours.take(HOPS).find_map(|field| {
            let line = String::from_utf8_lossy(field.value.split(|&b| b == b'\n').next()?);
            let (_, rest) = line.split_once(WORD)?;
            let (mac, rest) = rest.trim_start().split_once(") id ")?;
            let id = rest.split_whitespace().next()?;
            let sent = self.mac(id);
            // Both are ours to show: what is compared is not secret, so no constant time is needed.
            (sent == mac).then(|| id.to_string())
        })
    }

    fn mac(&self, id: &str) -> String {
        let tag = hmac::sign(&self.key, id.as_bytes());
        tag.as_ref().iter().map(|b| format!("{b:02x}")).collect::<String>().chars().take(MAC_HEX).collect()
    }
}
