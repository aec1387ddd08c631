//! Requests, from the refusal to the decision.

use super::super::policy::{Policy, Rule, Why};
use super::super::tests::{Fixture, alice, global, one, options};
use super::*;
use crate::quarantine::act::Failed;
use crate::quarantine::folders::Folder;

fn domain() -> Account {
    Account { login: "x.test".into(), scope: Scope::Domain("x.test".into()) }
}

fn virus(f: &Fixture) -> u32 {
    f.store(Class::Incoming, Kind::Virus, "s@spam.test", &["alice@x.test"], b"Subject: v\r\n\r\nbody\r\n");
    f.last(Kept::Caught)
}

fn denied<T: std::fmt::Debug>(result: Result<T, Failed>) -> Denied {
    let Err(Failed::Denied(denied)) = result else { panic!("{result:?}") };
    denied
}

/// Alice asks for her virus; returns its UID and id.
fn requested(f: &Fixture) -> (u32, String) {
    let uid = virus(f);
    let denied = denied(f.q.put(&alice(), Kept::Caught, &one(uid), Folder::Release, true));
    assert_eq!(denied.why, Why::Requestable);
    assert_eq!(
        denied.text,
        "alice@x.test may not release mail that was caught as virus; a request was filed, which the administrator \
         (x.test) can grant"
    );
    (uid, f.q.store.locate(Kept::Caught, uid).unwrap().name.id())
}

#[test]
fn a_refused_release_is_filed_seen_and_granted() {
    let f = Fixture::new("request");
    let (uid, id) = requested(&f);
    assert!(f.flags(Kept::Caught, uid).has(Flags::RELEASE_REQUESTED));
    assert_eq!(f.carry_out(&[]), [""; 0]);
    let f = f.restarted();
    // Asked again it is the same request.
    denied(f.q.put(&alice(), Kept::Caught, &one(uid), Folder::Release, false));
    for account in [domain(), global()] {
        let [request] = &f.q.requests(&account)[..] else { panic!("one request") };
        assert_eq!((request.id.as_str(), request.by.as_str(), request.uid), (id.as_str(), "alice@x.test", uid));
        assert_eq!((&request.verbs[..], request.kind), (&[Verb::Release][..], Kind::Virus));
    }
    assert!(f.q.requests(&alice()).is_empty(), "she cannot grant it herself");
    assert_eq!(f.q.own_requests(&alice()).len(), 1);
    assert!(f.q.own_requests(&domain()).is_empty());
    denied(f.q.grant(&alice(), &id, false));
    assert_eq!(f.q.grant(&domain(), &id, false).unwrap().messages, 1);
    assert!(f.q.requests(&global()).is_empty() && f.q.own_requests(&alice()).is_empty());
    denied(f.q.grant(&domain(), &id, false));
    assert_eq!(f.carry_out(&[]), ["deliver alice@x.test"]);
    let lines = f.q.journal.about(&id, 1);
    let granted = lines.iter().find(|line| line["event"] == "granted").unwrap();
    assert_eq!((granted["by"].as_str(), granted["asked_by"].as_str()), (Some("x.test"), Some("alice@x.test")));
    assert_eq!(lines.iter().filter(|line| line["event"] == "requested").count(), 1);
}

#[test]
fn declined_it_stays_and_can_be_requested_again() {
    let f = Fixture::new("decline");
    let (uid, id) = requested(&f);
    assert_eq!(f.q.decline(&domain(), &id).unwrap(), 1);
    assert!(!f.flags(Kept::Caught, uid).has(Flags::RELEASE_REQUESTED));
    denied(f.q.decline(&domain(), &id));
    let f = f.restarted();
    assert!(f.q.requests(&domain()).is_empty());
    denied(f.q.put(&alice(), Kept::Caught, &one(uid), Folder::Release, true));
    assert_eq!(f.q.requests(&domain()).len(), 1);
}

#[test]
fn of_many_those_that_need_it_are_requested_and_nothing_moves() {
    let f = Fixture::new("many");
    let plain = f.caught("alice@x.test");
    let (one, two) = (virus(&f), virus(&f));
    let denied = denied(f.q.put(&alice(), Kept::Caught, &UidRanges::one(plain, two), Folder::ReleaseTrain, true));
    assert!(denied.text.starts_with("nothing was done, because of 2 of 3 messages: "), "{}", denied.text);
    assert!(denied.text.contains("requests were filed for these"), "{}", denied.text);
    assert_eq!(f.count(Kept::Caught), 3);
    let uids: Vec<u32> = f.q.requests(&domain()).iter().map(|request| request.uid).collect();
    assert_eq!(uids, [one, two]);
    assert!(!f.flags(Kept::Caught, plain).has(Flags::RELEASE_REQUESTED));
}

#[test]
fn what_cannot_be_requested_is_refused_and_nothing_is_filed() {
    let rule = |kind, access| Rule {
        level: Some(super::super::account::Level::Recipient),
        class: None,
        kind,
        verbs: vec![],
        access,
    };
    let policy = Policy { rules: vec![rule(Some(Kind::Phish), Access::See), rule(Some(Kind::Virus), Access::Request)] };
    let f = Fixture::with("see", super::super::Options { policy, ..options() });
    let virus = virus(&f);
    f.store(Class::Incoming, Kind::Phish, "s@spam.test", &["alice@x.test"], b"A: b\r\n\r\n");
    let phish = f.last(Kept::Caught);
    for uids in [one(phish), UidRanges::one(virus, phish)] {
        let denied = denied(f.q.put(&alice(), Kept::Caught, &uids, Folder::Release, true));
        assert_eq!(denied.why, Why::NotPermitted);
    }
    assert!(f.q.requests(&global()).is_empty());
    // The removal of a virus is requested as anything else is, and an administrator's drag grants it.
    denied(f.q.put(&alice(), Kept::Caught, &one(virus), Folder::Trash, true));
    assert_eq!(f.q.requests(&domain())[0].verbs, [Verb::Remove]);
    f.q.put(&domain(), Kept::Caught, &one(virus), Folder::Trash, true).unwrap();
    assert!(f.q.requests(&domain()).is_empty());
    assert!(!f.flags(Kept::Trash, f.last(Kept::Trash)).has(Flags::RELEASE_REQUESTED));
}

#[test]
fn a_drag_of_who_may_grants_it_and_removal_forgets_it() {
    for take in [true, false] {
        let f = Fixture::new("drag");
        let (uid, _) = requested(&f);
        f.q.put(&domain(), Kept::Caught, &one(uid), Folder::ReleaseTrain, take).unwrap();
        assert!(f.q.requests(&domain()).is_empty());
        assert_eq!(f.carry_out(&["alice@x.test"]), ["train-ham"]);
        let back = f.last(Kept::Caught);
        assert!(!f.flags(Kept::Caught, back).has(Flags::RELEASE_REQUESTED), "refused by the server, {take}");
    }
    let f = Fixture::new("gone");
    let (uid, _) = requested(&f);
    f.q.put(&alice(), Kept::Caught, &one(uid), Folder::Spam, true).unwrap();
    assert_eq!(f.carry_out(&[]), ["train-spam"]);
    let trashed = f.last(Kept::Trash);
    assert_eq!(f.q.requests(&domain())[0].uid, trashed, "it can still be released from Trash");
    assert!(f.flags(Kept::Trash, trashed).has(Flags::RELEASE_REQUESTED));
    f.q.expunge(&alice(), Kept::Trash, &one(trashed)).unwrap();
    assert!(f.q.requests(&domain()).is_empty());
    assert!(f.q.requests.is_empty());
}

#[test]
fn a_start_makes_requests_and_flags_agree() {
    let f = Fixture::new("agree");
    let (uid, _) = requested(&f);
    let plain = f.caught("alice@x.test");
    let flag = |how, uid| f.q.store.set_flags(Reach::All, Kept::Caught, &one(uid), how, Flags::RELEASE_REQUESTED);
    flag(Flagging::Remove, uid).unwrap();
    flag(Flagging::Add, plain).unwrap();
    let f = f.restarted();
    assert!(f.flags(Kept::Caught, uid).has(Flags::RELEASE_REQUESTED));
    assert!(!f.flags(Kept::Caught, plain).has(Flags::RELEASE_REQUESTED));
    // Another program removes the message while nobody looks.
    std::fs::remove_file(f.q.store.locate(Kept::Caught, uid).unwrap().path).unwrap();
    let f = f.restarted();
    assert!(f.q.requests.is_empty());
}

#[test]
fn beyond_the_limit_it_says_so() {
    let f = Fixture::new("full");
    let most = crate::base::limits::REQUESTS_PER_TREE;
    for _ in 0..=most {
        virus(&f);
    }
    let last = f.last(Kept::Caught);
    let denied = denied(f.q.put(&alice(), Kept::Caught, &UidRanges::one(1, last), Folder::Release, true));
    assert_eq!(denied.why, Why::Full);
    assert!(denied.text.contains("too many requests of this recipient"), "{}", denied.text);
    assert!(f.q.requests(&domain()).is_empty());
}
