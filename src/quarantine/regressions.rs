//! Mistakes that were made once, each named for its cause.

use super::directory::{Directory, Domain};
use super::folders::{Folder, Inbox, Naming, Spelling, WriteOnly};
use super::*;
use crate::base::{Flags, UidRanges};
use crate::disk::Disk;
use crate::mail::{Address, Class, Kept};
use crate::queue::{Claim, FanOut, Outcome, Work};
use crate::store::testing::{Scratch, clock};
use crate::store::{Flagging, Reach, Row};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn quarantine(root: &Path) -> Quarantine {
    let domain = Domain { delimiter: Some('+'), ..Domain::default() };
    let options = Options {
        host: "mx.test".to_string(),
        naming: Naming {
            spelling: Spelling::Plain,
            inbox: Inbox::Empty,
            write_only: WriteOnly::Refuse,
            outgoing: false,
            training: false,
            admin_tree: false,
        },
        policy: Default::default(),
        retention: Default::default(),
        new_trees_per_hour: 100,
        min_free_percent: 0,
        home: Address::parse("postmaster@x.test").unwrap(),
        release_delay: Duration::from_secs(10),
        queue_age: crate::base::limits::QUEUE_AGE,
    };
    let directory = Arc::new(Directory::new([("x.test", &domain)]).unwrap());
    Quarantine::open(Disk::new(root), 7, clock(), options, directory).unwrap().0
}

fn admit(quarantine: &Quarantine, class: Class, recipients: &[&str], message: &str) {
    let arrival = Arrival {
        class,
        sender: "alice@x.test".to_string(),
        recipients: recipients.iter().map(|r| r.to_string()).collect(),
        message: message.as_bytes(),
        ..Arrival::default()
    };
    assert!(quarantine.admit(&arrival).iter().all(Result::is_ok));
}

fn rows(quarantine: &Quarantine, kept: Kept) -> Vec<Row> {
    let mut rows = Vec::new();
    quarantine.store.rows(Reach::All, kept, &UidRanges::one(1, u32::MAX), |row, _| {
        rows.push(*row);
        true
    });
    rows
}

fn all() -> UidRanges {
    UidRanges::one(1, u32::MAX)
}

fn global() -> Account {
    Account { login: "global".to_string(), scope: Scope::Global }
}

fn release(quarantine: &Quarantine, take: bool) -> Vec<Claim> {
    quarantine.put(&global(), Kept::Caught, &all(), Folder::Release, take).unwrap();
    quarantine.queue.fan_out(quarantine, &FanOut::default(), 100, u64::MAX).unwrap();
    std::iter::from_fn(|| quarantine.queue.claim(Work::Deliver, u64::MAX)).collect()
}

#[test]
fn two_parts_that_fail_at_once_give_back_one_message_with_both_left() {
    let scratch = Scratch::new("both");
    let quarantine = quarantine(scratch.path());
    for _ in 0..20 {
        admit(&quarantine, Class::Incoming, &["alice@x.test", "alice+a@x.test"], "Subject: a\r\n\r\nb\r\n");
    }
    let claims = release(&quarantine, true);
    assert_eq!(claims.len(), 40);
    std::thread::scope(|scope| {
        let (one, two): (Vec<&Claim>, Vec<&Claim>) =
            (claims.iter().step_by(2).collect(), claims.iter().skip(1).step_by(2).collect());
        for half in [one, two] {
            let quarantine = &quarantine;
            scope.spawn(move || half.iter().for_each(|c| quarantine.failed(&c.entry, &c.path, "no").unwrap()));
        }
    });
    let back = quarantine.store.locate_all(Reach::All, Kept::Caught, &all());
    assert_eq!(back.len(), 20);
    for message in back {
        let left = message.name.left.unwrap();
        assert!(left.has(0) && left.has(1) && message.row.flags.has(Flags::RELEASE_FAILED));
    }
}

#[test]
fn a_copy_that_was_released_shows_what_was_done_and_nothing_pending() {
    let scratch = Scratch::new("copy");
    let quarantine = quarantine(scratch.path());
    admit(&quarantine, Class::Incoming, &["alice@x.test"], "Subject: a\r\n\r\nb\r\n");
    for claim in release(&quarantine, false) {
        assert!(rows(&quarantine, Kept::Caught)[0].flags.has(Flags::RELEASE_PENDING));
        let entry = claim.entry.clone();
        quarantine.queue.done(claim).unwrap();
        quarantine.delivered(&entry, "250 ok");
    }
    let flags = rows(&quarantine, Kept::Caught)[0].flags;
    assert!(flags.has(Flags::RELEASED) && !flags.has(Flags::RELEASE_PENDING));
    assert!(release(&quarantine, false).is_empty(), "asking twice is a no-op");
}

#[test]
fn what_waits_for_a_queue_that_forgot_it_can_be_released_after_a_restart() {
    let scratch = Scratch::new("forgot");
    let first = quarantine(scratch.path());
    admit(&first, Class::Incoming, &["alice@x.test"], "Subject: a\r\n\r\nb\r\n");
    first.store.set_flags(Reach::All, Kept::Caught, &all(), Flagging::Add, Flags::RELEASE_PENDING).unwrap();
    assert!(release(&first, false).is_empty());
    first.store.close().unwrap();
    drop(first);
    let second = quarantine(scratch.path());
    assert!(!rows(&second, Kept::Caught)[0].flags.has(Flags::RELEASE_PENDING));
    assert_eq!(release(&second, true).len(), 1);
}

#[test]
fn a_queue_directory_that_is_gone_is_an_error_and_takes_nothing() {
    let scratch = Scratch::new("noorders");
    let quarantine = quarantine(scratch.path());
    admit(&quarantine, Class::Incoming, &["alice@x.test"], "Subject: a\r\n\r\nb\r\n");
    let orders = scratch.path().join("queue/orders");
    std::fs::remove_dir(&orders).unwrap();
    for take in [false, true] {
        assert!(quarantine.put(&global(), Kept::Caught, &all(), Folder::Release, take).is_err());
        assert!(!rows(&quarantine, Kept::Caught)[0].flags.has(Flags::RELEASE_PENDING));
    }
    std::fs::create_dir(&orders).unwrap();
    assert_eq!(release(&quarantine, true).len(), 1);
}

#[test]
fn another_message_under_the_line_of_a_release_is_kept() {
    let scratch = Scratch::new("line");
    let quarantine = quarantine(scratch.path());
    admit(&quarantine, Class::Incoming, &["alice@x.test"], "Subject: a\r\n\r\nfirst\r\n");
    let claim = release(&quarantine, false).remove(0);
    let line = quarantine.received_line(&claim.entry.message.id(), "alice@x.test", quarantine.store.now());
    // It really came back: marked, not stored again.
    admit(&quarantine, Class::Incoming, &["alice@x.test"], &format!("X: y\r\n{line}Subject: a\r\n\r\nfirst\r\n"));
    assert_eq!(rows(&quarantine, Kept::Caught).len(), 1);
    assert!(rows(&quarantine, Kept::Caught)[0].flags.has(Flags::RELEASE_FAILED));
    // Other text below it, or the same sent on by its recipient, is other mail.
    admit(&quarantine, Class::Incoming, &["alice@x.test"], &format!("{line}Subject: a\r\n\r\nsecond\r\n"));
    assert_eq!(rows(&quarantine, Kept::Caught).len(), 2);
    admit(&quarantine, Class::Outgoing, &["bob@elsewhere.test"], &format!("{line}Subject: a\r\n\r\nfirst\r\n"));
    assert_eq!(rows(&quarantine, Kept::Outgoing).len(), 1);
}

#[test]
fn who_is_told_that_it_was_asked_before_can_rely_on_it() {
    let scratch = Scratch::new("asked");
    let quarantine = quarantine(scratch.path());
    for _ in 0..100 {
        admit(&quarantine, Class::Incoming, &["alice@x.test"], "Subject: a\r\n\r\nb\r\n");
    }
    std::thread::scope(|scope| {
        for (target, take) in
            [(Folder::Release, false), (Folder::Release, true), (Folder::ReleaseTrain, true), (Folder::Trash, true)]
        {
            let quarantine = &quarantine;
            scope.spawn(move || {
                if target == Folder::Trash {
                    // Only after all were asked for, or some would rightly never be.
                    while !rows(quarantine, Kept::Caught).iter().all(|r| r.flags.has(Flags::RELEASE_PENDING)) {}
                }
                quarantine.put(&global(), Kept::Caught, &all(), target, take).unwrap();
            });
        }
    });
    quarantine.queue.fan_out(&quarantine, &FanOut::default(), 1000, u64::MAX).unwrap();
    let claims: Vec<_> = std::iter::from_fn(|| quarantine.queue.claim(Work::Deliver, u64::MAX)).collect();
    assert_eq!(claims.len(), 100);
}

#[test]
fn a_message_that_another_program_put_into_the_other_half_is_released() {
    let scratch = Scratch::new("half");
    let quarantine = quarantine(scratch.path());
    admit(&quarantine, Class::Incoming, &["alice@x.test"], "Subject: a\r\n\r\nb\r\n");
    let uid = rows(&quarantine, Kept::Caught)[0].uid;
    let new = quarantine.store.locate(Kept::Caught, uid).unwrap().path;
    let name = format!("{}:2,S", new.file_name().unwrap().to_str().unwrap());
    let cur = new.parent().unwrap().with_file_name("cur").join(name);
    std::fs::rename(&new, &cur).unwrap();
    quarantine.put(&global(), Kept::Caught, &all(), Folder::Release, true).unwrap();
    assert!(!cur.exists() && rows(&quarantine, Kept::Caught).is_empty());
    quarantine.queue.fan_out(&quarantine, &FanOut::default(), 1000, u64::MAX).unwrap();
    assert!(quarantine.queue.claim(Work::Deliver, u64::MAX).is_some());
}
