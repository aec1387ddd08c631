//! Links in mail that act: each names an account, what is to be done and until when, under a MAC. Whoever has one may do
//! that one thing, and nothing else: no link signs anybody in.
//!
//! ```text
//! <base64url of: key '\n' expires '\n' verb '\n' login '\n' object, then 32 bytes of HMAC-SHA-256 over these>
//! ```
//!
//! `state/link-keys` has a key a line: id, when it was made, the key itself in hexadecimal digits. The last one signs; each
//! of the others is believed as long as a link can live that it signed.

use super::Quarantine;
use super::account::{Account, Scope};
use crate::base::{Context, Fault, Timestamp, UidRanges, limits};
use crate::disk::Disk;
use crate::mail::name::Base;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of the MAC: never cut.
const MAC: usize = 32;
/// What sets these MACs apart from whatever else a key may be used for.
const CONTEXT: &[u8] = b"lazaret link\n";

/// What a link does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkVerb {
    /// Deliver.
    Release,
    /// Deliver, and report as wrongly caught.
    ReleaseTrain,
    /// Into Trash.
    Delete,
    /// Out of Trash: takes back a deletion.
    Restore,
    /// Takes back a release.
    Undo,
    /// No more digests.
    Unsubscribe,
    /// Digests again.
    Subscribe,
}

impl LinkVerb {
    /// All of them.
    pub const ALL: [LinkVerb; 7] = [
        LinkVerb::Release,
        LinkVerb::ReleaseTrain,
        LinkVerb::Delete,
        LinkVerb::Restore,
        LinkVerb::Undo,
        LinkVerb::Unsubscribe,
        LinkVerb::Subscribe,
    ];

    fn letter(self) -> &'static str {
        match self {
            LinkVerb::Release => "r",
            LinkVerb::ReleaseTrain => "t",
            LinkVerb::Delete => "d",
            LinkVerb::Restore => "b",
            LinkVerb::Undo => "u",
            LinkVerb::Unsubscribe => "n",
            LinkVerb::Subscribe => "y",
        }
    }
}

/// What it does that to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    /// Nothing but the account itself.
    Account,
    /// One message: the tree's address, and its id.
    Message(String, String),
    /// Messages of one folder by their UIDs, which never come again: for what was listed, exactly.
    Uids(UidRanges),
    /// What one command asked for.
    Batch(u64),
}

/// One link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What it does.
    pub verb: LinkVerb,
    /// Whose hand it is: a login.
    pub login: String,
    /// To what.
    pub object: Object,
    /// Not after, in seconds since 1970.
    pub expires: u64,
}

/// Why a link does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadLink {
    /// It is not ours, or was changed.
    Forged,
    /// It was good once.
    Expired,
}

struct Key {
    id: u32,
    made: u64,
    /// As in the file.
    hex: String,
    key: hmac::Key,
}

/// The keys of a data directory.
pub struct Keys {
    disk: Disk,
    ring: Mutex<Vec<Key>>,
}

impl Keys {
    /// Reads them; the first one is made when it is needed.
    pub fn open(disk: Disk) -> Result<Keys, Fault> {
        let path = disk.path("state/link-keys");
        let text = disk.read(&path)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut ring = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let damaged = || std::io::Error::other("it is damaged; delete it: links in old mail then do nothing");
            ring.push(Key::parse(line).ok_or_else(damaged).during("use the keys in", &path)?);
        }
        Ok(Keys { disk, ring: Mutex::new(ring) })
    }

    /// A new key; links that were signed before stay good. Says how many keys there are. Durable when it returns.
    pub fn rotate(&self, now: Timestamp) -> Result<usize, Fault> {
        let mut ring = self.lock();
        self.add(&mut ring, now)?;
        Ok(ring.len())
    }

    fn add(&self, ring: &mut Vec<Key>, now: Timestamp) -> Result<(), Fault> {
        let path = self.disk.path("state/link-keys");
        let mut bytes = [0; 32];
        let no_random = |_| std::io::Error::other("the system has no random bytes");
        SystemRandom::new().fill(&mut bytes).map_err(no_random).during("make a key in", &path)?;
        let id = ring.iter().map(|key| key.id).max().unwrap_or(0).saturating_add(1);
        let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let new = Key { id, made: now.secs(), hex, key: hmac::Key::new(hmac::HMAC_SHA256, &bytes) };
        // A key signs until the next one is made, and what it signed lives so long after that.
        let ends: Vec<u64> = ring.iter().skip(1).map(|next| next.made).chain([now.secs()]).collect();
        let mut ends = ends.into_iter();
        let dead = |end: u64| end.saturating_add(limits::LINK_MOST.as_secs()) < now.secs();
        let mut kept: Vec<&Key> = ring.iter().filter(|_| !ends.next().is_some_and(dead)).collect();
        let spare = (kept.len() + 1).saturating_sub(limits::LINK_KEYS);
        kept.drain(..spare.min(kept.len()));
        let text: String = kept.into_iter().chain([&new]).map(Key::line).collect();
        self.disk.make_dirs(&self.disk.path("state"))?;
        self.disk.write_whole(&path, text.as_bytes())?;
        *ring = text.lines().filter_map(Key::parse).collect();
        Ok(())
    }

    /// The text of a link.
    pub fn seal(&self, link: &Link, now: Timestamp) -> Result<String, Fault> {
        let mut ring = self.lock();
        if ring.is_empty() {
            self.add(&mut ring, now)?;
        }
        let Some(key) = ring.last() else { return Ok(String::new()) };
        let expires = link.expires.min(now.after(limits::LINK_MOST).secs());
        let object = match &link.object {
            Object::Account => String::new(),
            Object::Message(recipient, id) => format!("{id}\t{recipient}"),
            Object::Uids(uids) => {
                let ranges: Vec<String> = uids.iter().map(|(low, high)| format!("{low}:{high}")).collect();
                ranges.join(",")
            }
            Object::Batch(batch) => batch.to_string(),
        };
        let mut bytes = format!("{}\n{expires}\n{}\n{}\n{object}", key.id, link.verb.letter(), link.login).into_bytes();
        let tag = hmac::sign(&key.key, &[CONTEXT, &bytes].concat());
        bytes.extend_from_slice(tag.as_ref());
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The link that this text is.
    pub fn open_link(&self, text: &str, now: Timestamp) -> Result<Link, BadLink> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadLink::Forged)?;
        let (said, tag) = bytes.len().checked_sub(MAC).map(|at| bytes.split_at(at)).ok_or(BadLink::Forged)?;
        let words = std::str::from_utf8(said).map_err(|_| BadLink::Forged)?;
        let id = words.split('\n').next().and_then(|id| id.parse::<u32>().ok());
        {
            let ring = self.lock();
            let key = ring.iter().find(|key| Some(key.id) == id).ok_or(BadLink::Forged)?;
            hmac::verify(&key.key, &[CONTEXT, said].concat(), tag).map_err(|_| BadLink::Forged)?;
        }
        // What follows was written by us.
        let link = read(words).ok_or(BadLink::Forged)?;
        if link.expires < now.secs() { Err(BadLink::Expired) } else { Ok(link) }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Key>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Key {
    fn line(&self) -> String {
        format!("{} {} {}\n", self.id, self.made, self.hex)
    }

    fn parse(line: &str) -> Option<Key> {
        let mut words = line.split(' ');
        let (id, made, hex) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?);
        let digits: Vec<&str> = (0..hex.len() / 2).filter_map(|i| hex.get(i * 2..i * 2 + 2)).collect();
        let bytes: Option<Vec<u8>> = digits.into_iter().map(|pair| u8::from_str_radix(pair, 16).ok()).collect();
        let bytes = bytes.filter(|bytes| bytes.len() == 32 && hex.len() == 64)?;
        Some(Key { id, made, hex: hex.to_string(), key: hmac::Key::new(hmac::HMAC_SHA256, &bytes) })
    }
}

fn read(words: &str) -> Option<Link> {
    let mut lines = words.splitn(5, '\n').skip(1);
    let expires = lines.next()?.parse().ok()?;
    let letter = lines.next()?;
    let verb = LinkVerb::ALL.into_iter().find(|verb| verb.letter() == letter)?;
    let login = lines.next()?.to_string();
    let object = lines.next()?;
    let object = match verb {
        LinkVerb::Unsubscribe | LinkVerb::Subscribe => Object::Account,
        LinkVerb::Undo => Object::Batch(object.parse().ok()?),
        _ => match object.split_once('\t') {
            Some((id, recipient)) => Object::Message(recipient.to_string(), id.to_string()),
            None => {
                let mut uids = UidRanges::new();
                for range in object.split(',') {
                    let (low, high) = range.split_once(':')?;
                    uids.add(low.parse().ok()?, high.parse().ok()?);
                }
                Object::Uids(uids)
            }
        },
    };
    Some(Link { verb, login, object, expires })
}

impl Quarantine {
    /// The text of a link, without the page's address.
    pub fn seal(&self, link: &Link) -> Result<String, Fault> {
        self.links.seal(link, self.store.now())
    }

    /// The link that a text is.
    pub fn open_link(&self, text: &str) -> Result<Link, BadLink> {
        self.links.open_link(text, self.store.now())
    }

    /// A new key for links; says how many there are now.
    pub fn new_link_key(&self) -> Result<usize, Fault> {
        self.links.rotate(self.store.now())
    }

    /// Whether anything is asked of the message with this id and not done yet.
    pub fn is_queued(&self, id: &str) -> bool {
        self.queue.messages().contains(&Base::parse(id))
    }

    /// Whose hand a link is, if the login still stands for the same mail.
    pub fn account_of(&self, login: &str) -> Option<Account> {
        let (login, scope) = match login {
            "global" => (login.to_string(), Scope::Global),
            _ => self.directory().login(login).filter(|(found, _)| found == login)?,
        };
        Some(Account { login, scope })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::Scratch;
    use proptest::prelude::*;
    use std::time::Duration;

    fn keys(scratch: &Scratch) -> Keys {
        Keys::open(Disk::new(scratch.path())).unwrap()
    }

    fn now() -> Timestamp {
        Timestamp::from_secs(1_700_000_000)
    }

    fn link(verb: LinkVerb, object: Object) -> Link {
        Link { verb, login: "alice@x.test".into(), object, expires: now().secs() + 100 }
    }

    fn message() -> Object {
        Object::Message("alice@x.test".into(), "1.M2P3Q4.mx".into())
    }

    #[test]
    fn every_link_is_read_back() {
        let scratch = Scratch::new("links");
        let keys = keys(&scratch);
        let uids = |pairs: &[(u32, u32)]| {
            let mut uids = UidRanges::new();
            pairs.iter().for_each(|(low, high)| uids.add(*low, *high));
            Object::Uids(uids)
        };
        for one in [
            link(LinkVerb::Release, message()),
            link(LinkVerb::ReleaseTrain, message()),
            link(LinkVerb::Delete, message()),
            link(LinkVerb::Delete, uids(&[(1, 5), (9, 9)])),
            link(LinkVerb::Restore, uids(&[(7, 7)])),
            link(LinkVerb::Undo, Object::Batch(u64::MAX)),
            link(LinkVerb::Unsubscribe, Object::Account),
            link(LinkVerb::Subscribe, Object::Account),
        ] {
            let text = keys.seal(&one, now()).unwrap();
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'), "{text}");
            assert_eq!(keys.open_link(&text, now()), Ok(one));
        }
    }

    #[test]
    fn a_link_ends_and_lives_no_longer_than_a_key() {
        let scratch = Scratch::new("links");
        let keys = keys(&scratch);
        let text = keys.seal(&link(LinkVerb::Release, message()), now()).unwrap();
        let at = |secs| now().after(Duration::from_secs(secs));
        assert!(keys.open_link(&text, at(100)).is_ok());
        assert_eq!(keys.open_link(&text, at(101)), Err(BadLink::Expired));
        let long = Link { expires: u64::MAX, ..link(LinkVerb::Release, message()) };
        let text = keys.seal(&long, now()).unwrap();
        let most = limits::LINK_MOST.as_secs();
        assert!(keys.open_link(&text, at(most)).is_ok());
        assert_eq!(keys.open_link(&text, at(most + 1)), Err(BadLink::Expired));
    }

    #[test]
    fn old_keys_are_believed_as_long_as_their_links_live() {
        let scratch = Scratch::new("links");
        let old = keys(&scratch);
        let text = old.seal(&Link { expires: u64::MAX, ..link(LinkVerb::Release, message()) }, now()).unwrap();
        assert_eq!(old.rotate(now()).unwrap(), 2);
        let keys = keys(&scratch);
        assert!(keys.open_link(&text, now()).is_ok(), "after a rotation and a restart");
        let newer = keys.seal(&link(LinkVerb::Release, message()), now()).unwrap();
        assert!(newer != text && old.open_link(&newer, now()).is_ok());
        let late = now().after(limits::LINK_MOST).after(Duration::from_secs(1));
        assert_eq!(keys.rotate(late).unwrap(), 2, "the first has gone, the second was in use until now");
        assert_eq!(keys.open_link(&text, now()), Err(BadLink::Forged));
        for _ in 0..limits::LINK_KEYS * 2 {
            assert!(keys.rotate(late).unwrap() <= limits::LINK_KEYS);
        }
    }

    #[test]
    fn a_link_of_another_key_is_forged() {
        let (one, other) = (Scratch::new("links"), Scratch::new("links"));
        let text = keys(&one).seal(&link(LinkVerb::Release, message()), now()).unwrap();
        let other = keys(&other);
        assert_eq!(other.open_link(&text, now()), Err(BadLink::Forged));
        other.rotate(now()).unwrap();
        assert_eq!(other.open_link(&text, now()), Err(BadLink::Forged));
    }

    proptest! {
        #[test]
        fn no_changed_bit_is_believed(at in 0usize..4000, bit in 0u8..8) {
            let scratch = Scratch::new("links-bits");
            let keys = keys(&scratch);
            let text = keys.seal(&link(LinkVerb::Delete, message()), now()).unwrap();
            let mut bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(keys.open_link(&URL_SAFE_NO_PAD.encode(bytes), now()), Err(BadLink::Forged));
        }

        #[test]
        fn any_text_is_read(text in ".*") {
            let scratch = Scratch::new("links-any");
            prop_assert_eq!(keys(&scratch).open_link(&text, now()), Err(BadLink::Forged));
        }
    }
}
