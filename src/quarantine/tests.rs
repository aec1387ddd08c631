//! The rules over a real store and queue, without any protocol.

mod children;
mod whole;

use super::act::Failed;
use super::directory::{Directory, Domain};
use super::expire::{Keep, Retention};
use super::folders::{Folder, Inbox, Naming, Spelling, WriteOnly};
use super::policy::{Policy, Why};
use super::{Account, Arrival, Options, Quarantine, Scope};
use crate::base::{Flags, Timestamp, UidRanges};
use crate::disk::Disk;
use crate::mail::trace::Client;
use crate::mail::{Address, Class, Kept, Kind};
use crate::queue::{Entry, FanOut, Outcome, Work};
use crate::store::testing::Scratch;
use crate::store::{Clock, Flagging, Reach};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const DAY: u64 = 86_400;

pub(super) fn options() -> Options {
    let keep = Keep { age: Some(Duration::from_secs(14 * DAY)), ..Keep::default() };
    Options {
        host: "mx.test".into(),
        naming: Naming {
            spelling: Spelling::Classic,
            inbox: Inbox::Empty,
            write_only: WriteOnly::Refuse,
            outgoing: false,
            training: false,
            admin_tree: false,
        },
        policy: Policy::default(),
        retention: Retention { folders: [keep; 4], ..Retention::default() },
        new_trees_per_hour: 100,
        min_free_percent: 0,
        home: Address::parse("postmaster@x.test").unwrap(),
        release_delay: Duration::from_secs(10),
        queue_age: crate::base::limits::QUEUE_AGE,
    }
}

pub(super) struct Fixture {
    pub(super) scratch: Scratch,
    pub(super) q: Quarantine,
    now: Arc<AtomicU64>,
}

impl Fixture {
    pub(super) fn new(name: &str) -> Fixture {
        Self::with(name, options())
    }

    pub(super) fn with(name: &str, options: Options) -> Fixture {
        Self::on(Scratch::new(name), options, Arc::new(AtomicU64::new(1_700_000_000_000_000)))
    }

    fn on(scratch: Scratch, options: Options, now: Arc<AtomicU64>) -> Fixture {
        let domain =
            Domain { delimiter: Some('+'), addresses: vec![("info".into(), "alice".into())], ..Domain::default() };
        let directory = Directory::new([("x.test", &domain), ("y.test", &Domain::default())]).unwrap();
        let disk = Disk::new(scratch.path());
        let time = now.clone();
        let clock: Clock = Arc::new(move || Timestamp(time.fetch_add(1000, Ordering::Relaxed)));
        let (q, _) = Quarantine::open(disk, 7, clock, options, Arc::new(directory)).unwrap();
        Fixture { scratch, q, now }
    }

    /// The same data directory after a stop.
    pub(super) fn restarted(self) -> Fixture {
        let Fixture { scratch, q, now } = self;
        let options = q.options.clone();
        drop(q);
        Self::on(scratch, options, now)
    }

    /// Time passes.
    pub(super) fn later(&self, secs: u64) {
        self.now.fetch_add(secs * 1_000_000, Ordering::Relaxed);
    }

    pub(super) fn store(
        &self,
        class: Class,
        kind: Kind,
        sender: &str,
        recipients: &[&str],
        message: &[u8],
    ) -> Vec<String> {
        let arrival = Arrival {
            class,
            kind,
            sender: sender.into(),
            recipients: recipients.iter().map(|r| r.to_string()).collect(),
            client: Client { door: "test".into(), ..Client::default() },
            message,
            ..Arrival::default()
        };
        self.q.admit(&arrival).into_iter().map(|r| r.unwrap().id).collect()
    }

    pub(super) fn caught(&self, recipient: &str) -> u32 {
        self.store(Class::Incoming, Kind::Spam, "s@spam.test", &[recipient], b"Subject: x\r\n\r\nbody\r\n");
        self.last(Kept::Caught)
    }

    /// A message of its class in a kept folder.
    pub(super) fn in_folder(&self, kept: Kept) -> u32 {
        match kept {
            Kept::Caught => self.caught("alice@x.test"),
            Kept::Outgoing => {
                self.store(Class::Outgoing, Kind::Spam, "alice@x.test", &["far@away.test"], b"A: b\r\n\r\n");
                self.last(kept)
            }
            Kept::Training => {
                self.store(Class::Unsure, Kind::Spam, "s@spam.test", &["alice@x.test"], b"A: b\r\n\r\n");
                self.last(kept)
            }
            Kept::Trash => {
                let uid = one(self.caught("alice@x.test"));
                self.q.put(&global(), Kept::Caught, &uid, Folder::Trash, true).unwrap();
                self.last(kept)
            }
        }
    }

    pub(super) fn last(&self, kept: Kept) -> u32 {
        self.q.store.view(Reach::All, kept).view().list.last().unwrap()
    }

    pub(super) fn count(&self, kept: Kept) -> u32 {
        self.q.store.view(Reach::All, kept).view().list.len()
    }

    pub(super) fn flags(&self, kept: Kept, uid: u32) -> Flags {
        self.q.store.locate(kept, uid).unwrap().row.flags
    }

    /// Carries out all orders: what is delivered and trained, as (verb, recipient or sink).
    pub(super) fn carry_out(&self, refuse: &[&str]) -> Vec<String> {
        let how = FanOut { ham: vec!["sink".into()], spam: vec!["sink".into()] };
        self.q.queue.fan_out(&self.q, &how, 1000, self.q.store.now().secs()).unwrap();
        let mut done = Vec::new();
        while let Some(claim) = self.q.queue.claim(Work::Deliver, u64::MAX) {
            let entry: Entry = claim.entry.clone();
            let mut file = std::fs::File::open(&claim.path).unwrap();
            match self.q.letter(&entry, &mut file).unwrap() {
                Ok(letter) if !refuse.contains(&letter.recipient.as_str()) => {
                    done.push(format!("deliver {}", letter.recipient));
                    self.q.queue.done(claim).unwrap();
                    self.q.delivered(&entry, "250 ok");
                }
                Ok(_) => {
                    self.q.failed(&entry, &claim.path, "550 no").unwrap();
                    self.q.queue.done(claim).unwrap();
                }
                Err(reason) => {
                    done.push(format!("never: {reason}"));
                    self.q.failed(&entry, &claim.path, &reason).unwrap();
                    self.q.queue.done(claim).unwrap();
                }
            }
        }
        while let Some(claim) = self.q.queue.claim(Work::Train, u64::MAX) {
            let entry = claim.entry.clone();
            done.push(super::act::verb_word(entry.part.verb()).to_string());
            self.q.queue.done(claim).unwrap();
            self.q.trained(&entry, "ok");
        }
        done.sort();
        done
    }
}

pub(super) fn one(uid: u32) -> UidRanges {
    UidRanges::one(uid, uid)
}

pub(super) fn global() -> Account {
    Account { login: "global".into(), scope: Scope::Global }
}

pub(super) fn alice() -> Account {
    Account { login: "alice@x.test".into(), scope: Scope::Recipient(Address::parse("alice@x.test").unwrap()) }
}

/// The folder table of the design, written down a second time: source → target is refused, or does this.
fn expected(from: Kept, to: Folder) -> Option<&'static [&'static str]> {
    let releasable = from != Kept::Training;
    Some(match to {
        Folder::Inbox | Folder::Outgoing | Folder::Training => return None,
        // The fixture's Trash holds Incoming only.
        Folder::Caught if from == Kept::Trash => &[],
        Folder::Caught => return None,
        Folder::Trash if from != Kept::Trash => &[],
        Folder::Trash => return None,
        Folder::ReleaseTrain if releasable => &["deliver", "train-ham"],
        Folder::Release if releasable => &["deliver"],
        Folder::ReleaseTrain | Folder::Release => return None,
        Folder::NotSpam => &["train-ham"],
        Folder::Spam => &["train-spam"],
    })
}

#[test]
fn every_source_and_every_target() {
    let f = Fixture::new("matrix");
    let targets = [
        Folder::Inbox,
        Folder::Caught,
        Folder::Outgoing,
        Folder::Training,
        Folder::Trash,
        Folder::ReleaseTrain,
        Folder::Release,
        Folder::NotSpam,
        Folder::Spam,
    ];
    for from in Kept::ALL {
        for to in targets {
            for take in [false, true] {
                let uid = f.in_folder(from);
                let before = (f.count(from), f.count(Kept::Trash));
                let result = f.q.put(&global(), from, &one(uid), to, take);
                let what = format!("{from} to {to:?}, take: {take}: {result:?}");
                let done = f.carry_out(&[]);
                let Some(verbs) = expected(from, to) else {
                    assert!(matches!(&result, Err(Failed::Denied(d)) if d.text.len() > 20), "{what}");
                    assert!(done.is_empty() && f.count(from) == before.0, "{what}: nothing may happen");
                    continue;
                };
                assert!(result.is_ok(), "{what}");
                let did: Vec<&str> = done.iter().map(|d| d.split(' ').next().unwrap()).collect();
                assert_eq!(did, verbs, "{what}");
                let stays = !take;
                assert_eq!(f.q.store.locate(from, uid).is_some(), stays, "{what}");
                // What is taken away and not delivered lies in Trash afterwards.
                let kept = take && to.is_action() && !to.delivers();
                if kept && from != Kept::Trash {
                    assert_eq!(f.count(Kept::Trash), before.1 + 1, "{what}");
                }
                if kept && from == Kept::Trash {
                    assert_eq!(f.count(Kept::Trash), before.1, "{what}");
                }
            }
        }
    }
}

#[test]
fn asking_twice_is_a_no_op_unless_the_first_failed() {
    let f = Fixture::new("twice");
    let uid = f.caught("alice@x.test");
    for _ in 0..2 {
        f.q.put(&alice(), Kept::Caught, &one(uid), Folder::Release, false).unwrap();
    }
    assert!(f.flags(Kept::Caught, uid).has(Flags::RELEASE_PENDING));
    assert_eq!(f.carry_out(&["alice@x.test"]).len(), 0);
    assert!(f.flags(Kept::Caught, uid).has(Flags::RELEASE_FAILED));
    f.q.put(&alice(), Kept::Caught, &one(uid), Folder::Release, false).unwrap();
    f.q.put(&alice(), Kept::Caught, &one(uid), Folder::Release, false).unwrap();
    assert_eq!(f.carry_out(&[]), ["deliver alice@x.test"]);
    let flags = f.flags(Kept::Caught, uid);
    assert!(flags.has(Flags::RELEASED), "{flags}");
    assert!((flags & (Flags::RELEASE_PENDING | Flags::RELEASE_FAILED)).is_empty(), "{flags}");
    f.q.put(&alice(), Kept::Caught, &one(uid), Folder::Release, false).unwrap();
    assert!(f.carry_out(&[]).is_empty());
    // What was released already and is now dragged away is not lost, and not delivered again.
    f.q.put(&alice(), Kept::Caught, &one(uid), Folder::Release, true).unwrap();
    assert!(f.carry_out(&[]).is_empty());
    assert_eq!((f.count(Kept::Caught), f.count(Kept::Trash)), (0, 1));
}

#[test]
fn a_release_is_no_reason_to_read_the_rest_of_the_folder_again() {
    let f = Fixture::new("unread");
    let uid = f.caught("alice@x.test");
    f.caught("alice@x.test");
    let message = f.q.store.locate(Kept::Caught, uid).unwrap();
    f.q.store.sweep_tree(&message.tree, false);
    f.q.put(&alice(), Kept::Caught, &one(uid), Folder::Release, true).unwrap();
    assert!(!message.path.exists());
    assert!(!message.tree.differs(Kept::Caught, message.row.half));
}

#[test]
fn a_refused_release_comes_back_with_its_bytes_and_lives_a_week() {
    let mut options = options();
    options.retention.folders[0].age = Some(Duration::from_secs(DAY));
    let f = Fixture::with("refused", options);
    let uid = f.caught("alice@x.test");
    let before = std::fs::read(f.q.store.locate(Kept::Caught, uid).unwrap().path).unwrap();
    f.q.put(&alice(), Kept::Caught, &one(uid), Folder::Release, true).unwrap();
    assert_eq!(f.count(Kept::Caught), 0);
    assert!(f.carry_out(&["alice@x.test"]).is_empty());
    let back = f.q.store.locate(Kept::Caught, f.last(Kept::Caught)).unwrap();
    assert!(back.row.uid > uid && back.row.flags.has(Flags::RELEASE_FAILED));
    assert_eq!(std::fs::read(back.path).unwrap(), before);
    let now = f.q.store.now();
    assert!(f.q.due(Kept::Caught, now.after(Duration::from_secs(7 * DAY - 60))).is_empty());
    assert!(!f.q.due(Kept::Caught, now.after(Duration::from_secs(7 * DAY + 60))).is_empty());
}

#[test]
fn only_the_owner_gets_a_message() {
    let f = Fixture::new("owner");
    f.store(
        Class::Incoming,
        Kind::Spam,
        "s@spam.test",
        &["info@x.test", "Alice+shop@x.test", "bob@x.test"],
        b"A: b\r\n\r\n",
    );
    assert_eq!(f.count(Kept::Caught), 2, "one file a tree");
    let reach = f.q.reach(&alice()).unwrap();
    let mine = f.q.store.view(reach, Kept::Caught).view().list;
    assert_eq!(mine.len(), 1);
    let uid = mine.uid(1).unwrap();
    f.q.put(&alice(), Kept::Caught, &one(uid), Folder::Release, true).unwrap();
    assert_eq!(f.carry_out(&[]), ["deliver Alice+shop@x.test", "deliver info@x.test"]);
    // Nobody acts on what lies in another tree.
    let bobs = f.last(Kept::Caught);
    assert_eq!(f.q.put(&alice(), Kept::Caught, &one(bobs), Folder::Release, true).unwrap().messages, 0);
    assert_eq!(f.count(Kept::Caught), 1);
    // An alias that is gone since: the message goes to nobody.
    let id = f.store(Class::Incoming, Kind::Spam, "s@spam.test", &["info@x.test"], b"A: b\r\n\r\n").remove(0);
    let uid = f.last(Kept::Caught);
    f.q.set_directory(Arc::new(Directory::new([("x.test", &Domain::default())]).unwrap()));
    f.q.put(&alice(), Kept::Caught, &one(uid), Folder::Release, true).unwrap();
    assert!(f.carry_out(&[])[0].starts_with("never: <info@x.test> is not an address of alice@x.test"));
    assert_eq!(f.q.journal.about(&id, 9).last().unwrap()["event"], "release-failed");
}

#[test]
fn partly_refused_outgoing_mail_is_not_sent_twice() {
    let f = Fixture::new("outgoing");
    f.store(Class::Outgoing, Kind::Spam, "alice@x.test", &["a@far.test", "b@far.test", "c@far.test"], b"A: b\r\n\r\n");
    for take in [true, false] {
        let uid = f.last(Kept::Outgoing);
        f.q.put(&global(), Kept::Outgoing, &one(uid), Folder::Release, take).unwrap();
        let wanted = if take { vec!["deliver a@far.test", "deliver c@far.test"] } else { vec![] };
        assert_eq!(f.carry_out(&["b@far.test"]), wanted);
        assert!(f.flags(Kept::Outgoing, f.last(Kept::Outgoing)).has(Flags::RELEASE_FAILED));
    }
    let uid = f.last(Kept::Outgoing);
    f.q.put(&global(), Kept::Outgoing, &one(uid), Folder::Release, true).unwrap();
    assert_eq!(f.carry_out(&[]), ["deliver b@far.test"]);
    assert_eq!(f.count(Kept::Outgoing), 0);
}

#[test]
fn recipients_release_neither_viruses_nor_outgoing_mail() {
    let f = Fixture::new("policy");
    f.store(Class::Incoming, Kind::Virus, "s@spam.test", &["alice@x.test"], b"A: b\r\n\r\n");
    let virus = f.last(Kept::Caught);
    let spam = f.caught("alice@x.test");
    let both: UidRanges = [virus, spam].into_iter().collect();
    let Err(Failed::Denied(denied)) = f.q.put(&alice(), Kept::Caught, &both, Folder::ReleaseTrain, true) else {
        panic!()
    };
    assert_eq!(denied.why, Why::Requestable);
    assert!(denied.text.contains("1 of 2") && denied.text.contains("x.test"), "{}", denied.text);
    assert_eq!(f.count(Kept::Caught), 2, "all or nothing");
    let domain = Account { login: "x.test".into(), scope: Scope::Domain("x.test".into()) };
    f.q.put(&domain, Kept::Caught, &both, Folder::ReleaseTrain, true).unwrap();
    assert_eq!(f.carry_out(&[]), ["deliver alice@x.test", "deliver alice@x.test", "train-ham", "train-ham"]);
}

#[test]
fn a_release_that_came_back_is_a_failed_one_and_not_new_mail() {
    let f = Fixture::new("cameback");
    let uid = f.caught("alice@x.test");
    let id = f.q.store.locate(Kept::Caught, uid).unwrap().name.id();
    let line = f.q.received_line(&id, "alice@x.test", Timestamp(0));
    let message = format!("Received: from our filter\r\n{line}Subject: x\r\n\r\nbody\r\n");
    let again = f.store(Class::Incoming, Kind::Spam, "s@spam.test", &["alice@x.test"], message.as_bytes());
    assert_eq!(again, [id]);
    assert_eq!(f.count(Kept::Caught), 1);
    assert!(f.flags(Kept::Caught, uid).has(Flags::RELEASE_FAILED));
    // It was moved, so it is kept once more, marked.
    f.q.expunge(&global(), Kept::Caught, &one(uid)).unwrap();
    f.store(Class::Incoming, Kind::Spam, "s@spam.test", &["alice@x.test"], message.as_bytes());
    assert!(f.flags(Kept::Caught, f.last(Kept::Caught)).has(Flags::RELEASE_FAILED));
    // Nobody else can make us believe it.
    let forged = message.replace("(Lazaret release ", "(Lazaret release 0");
    f.store(Class::Incoming, Kind::Spam, "s@spam.test", &["alice@x.test"], forged.as_bytes());
    assert!(!f.flags(Kept::Caught, f.last(Kept::Caught)).has(Flags::RELEASE_FAILED));
}

#[test]
fn expiry_by_age_count_and_bytes() {
    let mut options = options();
    options.retention.folders[0].count = Some(3);
    let f = Fixture::with("expiry", options);
    let uids: Vec<u32> = (0..5).map(|_| f.caught("alice@x.test")).collect();
    let bobs = f.caught("bob@x.test");
    let now = f.q.store.now();
    let due = f.q.due(Kept::Caught, now);
    assert!(due.iter().flat_map(|(a, b)| a..=b).eq([uids[0], uids[1]]), "the oldest of alice's, not bob's");
    assert_eq!(f.q.expire(Kept::Caught, &due).unwrap().len(), 2);
    let later = now.after(Duration::from_secs(14 * DAY + 60));
    let due = f.q.due(Kept::Caught, later);
    assert!(due.contains(bobs) && due.contains(uids[4]));
    assert!(f.q.due(Kept::Caught, now.after(Duration::from_secs(14 * DAY - 60))).is_empty());
    // Trash counts from when it was removed.
    f.q.put(&global(), Kept::Caught, &one(bobs), Folder::Trash, true).unwrap();
    assert!(f.q.due(Kept::Trash, now.after(Duration::from_secs(14 * DAY - 60))).is_empty());
}

#[test]
fn a_wider_scope_has_a_seen_of_its_own() {
    let f = Fixture::new("ownseen");
    let uid = f.caught("alice@x.test");
    let mine = f.q.reach(&alice()).unwrap();
    f.q.store.set_flags(Reach::All, Kept::Caught, &one(uid), Flagging::Add, Flags::SEEN | Flags::FLAGGED).unwrap();
    let flags = |reach| {
        let mut flags = Flags::NONE;
        f.q.store.rows(reach, Kept::Caught, &one(uid), |row, _| {
            flags = row.flags;
            true
        });
        flags
    };
    assert_eq!(flags(Reach::All), Flags::SEEN | Flags::FLAGGED);
    assert_eq!(flags(mine), Flags::FLAGGED);
    f.q.store.set_flags(mine, Kept::Caught, &one(uid), Flagging::Add, Flags::SEEN).unwrap();
    f.q.store.set_flags(Reach::All, Kept::Caught, &one(uid), Flagging::Remove, Flags::SEEN).unwrap();
    assert_eq!((flags(Reach::All), flags(mine)), (Flags::FLAGGED, Flags::FLAGGED | Flags::SEEN));
}

#[test]
fn a_dictionary_attack_makes_few_trees() {
    let mut options = options();
    options.new_trees_per_hour = 3;
    let f = Fixture::with("trees", options);
    let recipients: Vec<String> = (0..5).map(|i| format!("r{i}@y.test")).collect();
    let results: Vec<bool> = recipients.iter().map(|r| f.q.place_for(Class::Incoming, "", None, r).is_ok()).collect();
    assert_eq!(results, [true, true, true, false, false]);
    assert!(f.q.place_for(Class::Incoming, "", None, "r0@y.test").is_ok(), "one that exists is always allowed");
    assert!(f.scratch.path().join("mail").read_dir().unwrap().next().is_none(), "asking makes no directory");
}
