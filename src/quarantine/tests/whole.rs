//! Stored for all recipients or for none, and once.

use super::super::{Arrival, Refused};
use super::Fixture;
use crate::mail::trace::Client;
use crate::mail::{Address, Class, Kept};
use crate::quarantine::folders::Folder;

const MESSAGE: &[u8] = b"Return-Path: <b@z.test>\r\nFrom: b@z.test\r\nSubject: x\r\n\r\nbody\r\n";

fn arrival<'a>(recipients: &[&str], message: &'a [u8]) -> Arrival<'a> {
    Arrival {
        sender: "b@z.test".into(),
        recipients: recipients.iter().map(|r| r.to_string()).collect(),
        client: Client { door: "test".into(), ..Client::default() },
        message,
        ..Arrival::default()
    }
}

fn ids(f: &Fixture, recipients: &[&str], message: &[u8]) -> Result<Vec<String>, Refused> {
    let filed = f.q.admit_whole(&arrival(recipients, message))?;
    Ok(filed.into_iter().map(|filed| filed.id).collect())
}

fn count(f: &Fixture) -> usize {
    f.q.store.ids(Kept::Caught).len()
}

#[test]
fn what_comes_again_is_kept_once() {
    let f = Fixture::new("whole-again");
    let first = ids(&f, &["alice@x.test", "Info@x.test", "carol@y.test"], MESSAGE).unwrap();
    assert_eq!((first.len(), count(&f)), (3, 2));
    assert_eq!(first[0], first[1], "both are alice's");
    let again = ids(&f, &["alice@x.test", "Info@x.test", "carol@y.test"], MESSAGE).unwrap();
    assert_eq!((again, count(&f)), (first.clone(), 2));
    // One more recipient: he alone is new.
    let more = ids(&f, &["dora@y.test", "carol@y.test"], MESSAGE).unwrap();
    assert_eq!((&more[1], count(&f)), (&first[2], 3));
    let f = f.restarted();
    assert_eq!(ids(&f, &["carol@y.test"], MESSAGE).unwrap(), [first[2].clone()]);
    for (recipients, message) in [
        // For another address of hers it would be released to that one.
        (&["alice@x.test"][..], MESSAGE.to_vec()),
        (&["Info@x.test", "alice@x.test"], MESSAGE.to_vec()),
        (&["carol@y.test"], MESSAGE.iter().map(|b| if *b == b'x' { b'y' } else { *b }).collect()),
    ] {
        let before = count(&f);
        ids(&f, recipients, &message).unwrap();
        assert_eq!(count(&f), before + 1, "{recipients:?}");
    }
    let before = count(&f);
    f.q.admit_whole(&Arrival { sender: "c@z.test".into(), ..arrival(&["carol@y.test"], MESSAGE) }).unwrap();
    f.q.admit_whole(&Arrival { class: Class::Unsure, ..arrival(&["carol@y.test"], MESSAGE) }).unwrap();
    assert_eq!((count(&f), f.q.store.ids(Kept::Training).len()), (before + 1, 1));
    f.later(8 * super::DAY);
    assert_ne!(ids(&f, &["carol@y.test"], MESSAGE).unwrap(), [first[2].clone()], "after a week it is another message");
}

#[test]
fn whom_it_can_be_kept_for_has_it_once_however_often_it_comes() {
    let f = Fixture::new("whole-once");
    let blocked = f.scratch.path().join("mail/y.test/carol");
    std::fs::create_dir_all(blocked.parent().unwrap()).unwrap();
    std::fs::write(&blocked, "").unwrap();
    let all = ["x@unknown.test", "alice@x.test", "carol@y.test", "info@x.test"];
    let first = f.q.admit_once(&arrival(&all, MESSAGE));
    assert!(matches!(first[..], [Err(Refused::UnknownDomain(_)), Ok(_), Err(Refused::Disk(_)), Ok(_)]), "{first:?}");
    assert_eq!(count(&f), 1);
    std::fs::remove_file(blocked).unwrap();
    let again = f.q.admit_once(&arrival(&all, MESSAGE));
    assert!(matches!(again[..], [Err(_), Ok(_), Ok(_), Ok(_)]), "{again:?}");
    assert_eq!(again[1].as_ref().unwrap().id, first[1].as_ref().unwrap().id);
    assert_eq!(count(&f), 2);
}

#[test]
fn an_earlier_try_is_found_below_what_was_put_back() {
    let f = Fixture::new("whole-put-back");
    let old = [b"Subject: old\r\n\r\n".as_slice(), MESSAGE].concat();
    ids(&f, &["alice@x.test"], &old).unwrap();
    f.later(8 * super::DAY);
    let first = ids(&f, &["alice@x.test"], MESSAGE).unwrap();
    // The old one has a new UID now, and its old date.
    let alice = super::alice();
    let uids = f.q.store.uids_of(&f.q.store.tree(&Address::parse("alice@x.test").unwrap()).unwrap(), Kept::Caught);
    let oldest = crate::base::UidRanges::one(uids.iter().next().unwrap().0, uids.iter().next().unwrap().0);
    f.q.put(&alice, Kept::Caught, &oldest, Folder::Trash, true).unwrap();
    let tree = f.q.store.tree(&Address::parse("alice@x.test").unwrap()).unwrap();
    f.q.put(&alice, Kept::Trash, &f.q.store.uids_of(&tree, Kept::Trash), Folder::Caught, true).unwrap();
    assert_eq!((count(&f), ids(&f, &["alice@x.test"], MESSAGE).unwrap()), (2, first));
    assert_eq!(count(&f), 2);
}

#[test]
fn kept_for_all_or_for_none() {
    let f = Fixture::new("whole-none");
    assert!(matches!(ids(&f, &["alice@x.test", "x@unknown.test"], MESSAGE), Err(Refused::UnknownDomain(_))));
    assert_eq!(count(&f), 0);
    // Where carol's tree belongs there is a file.
    let blocked = f.scratch.path().join("mail/y.test/carol");
    std::fs::create_dir_all(blocked.parent().unwrap()).unwrap();
    std::fs::write(&blocked, "").unwrap();
    let all = ["alice@x.test", "carol@y.test", "info@x.test"];
    assert!(matches!(ids(&f, &all, MESSAGE), Err(Refused::Disk(_))));
    assert_eq!(count(&f), 0, "what was stored for alice is taken back");
    let alice = f.scratch.path().join("mail/x.test/alice/Caught/new");
    assert_eq!(std::fs::read_dir(alice).unwrap().count(), 0);
    std::fs::remove_file(blocked).unwrap();
    assert_eq!(ids(&f, &all, MESSAGE).unwrap().len(), 3);
    assert_eq!(count(&f), 2);
}

#[test]
fn what_we_release_is_known_on_its_way_only() {
    let f = Fixture::new("whole-released");
    let id = ids(&f, &["alice@x.test"], MESSAGE).unwrap().remove(0);
    let line = f.q.received_line(&id, "alice@x.test", f.q.store.now());
    let message = [line.as_bytes(), MESSAGE].concat();
    assert!(!f.q.is_on_its_way(&message), "nobody asked for it");
    let alice = f.q.store.tree(&Address::parse("alice@x.test").unwrap()).unwrap();
    let uids = f.q.store.uids_of(&alice, Kept::Caught);
    f.q.put(&super::alice(), Kept::Caught, &uids, Folder::Release, true).unwrap();
    assert!(f.q.is_on_its_way(&message));
    assert!(!f.q.is_on_its_way(&[&b"X: 1\r\n\r\n"[..], &message].concat()), "our line stands in its body");
    assert!(!f.q.is_on_its_way(MESSAGE));
}
