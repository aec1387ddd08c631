//! Taking back what has not started.

use super::super::policy::Why;
use super::super::tests::{Fixture, alice, global, one};
use super::*;
use crate::mail::{Class, Kind};
use crate::quarantine::folders::Folder;

fn domain() -> Account {
    Account { login: "x.test".into(), scope: Scope::Domain("x.test".into()) }
}

fn asked(f: &Fixture, from: Kept, uid: u32, to: Folder, take: bool) -> u64 {
    f.q.put_later(&alice(), from, &one(uid), to, take).unwrap().batch.unwrap()
}

fn refused(result: Result<usize, Failed>) -> String {
    let Err(Failed::Denied(denied)) = result else { panic!("{result:?}") };
    assert_eq!(denied.why, Why::Impossible);
    denied.text
}

#[test]
fn it_waits_over_a_restart_and_starts_then() {
    let f = Fixture::new("wait");
    let uid = f.caught("alice@x.test");
    asked(&f, Kept::Caught, uid, Folder::ReleaseTrain, true);
    assert_eq!(f.count(Kept::Caught), 0);
    assert_eq!(f.carry_out(&[]), [""; 0]);
    f.later(5);
    let f = f.restarted();
    assert_eq!(f.carry_out(&[]), [""; 0]);
    assert_eq!(f.q.waiting(&alice()).len(), 1);
    f.later(6);
    assert_eq!(f.carry_out(&[]), ["deliver alice@x.test", "train-ham"]);
    assert!(f.q.waiting(&alice()).is_empty());
}

#[test]
fn over_imap_it_starts_at_once() {
    let f = Fixture::new("atonce");
    let uid = f.caught("alice@x.test");
    assert_eq!(f.q.put(&alice(), Kept::Caught, &one(uid), Folder::Release, true).unwrap().batch, None);
    assert_eq!(f.carry_out(&[]), ["deliver alice@x.test"]);
}

#[test]
fn it_comes_back_as_it_was_from_wherever_it_was_taken() {
    for (take, restart) in [(true, false), (true, true), (false, false), (false, true)] {
        for from in [Kept::Caught, Kept::Trash] {
            for to in [Folder::Release, Folder::ReleaseTrain, Folder::NotSpam, Folder::Spam] {
                let f = Fixture::new("back");
                let old = f.in_folder(from);
                f.q.store.set_flags(Reach::All, from, &one(old), Flagging::Add, Flags::FLAGGED).unwrap();
                let before = f.q.store.locate(from, old).unwrap();
                let batch = asked(&f, from, old, to, take);
                let f = if restart { f.restarted() } else { f };
                assert_eq!(f.carry_out(&[]), [""; 0]);
                assert_eq!(f.q.undo(&alice(), batch).unwrap(), 1, "{from} {to:?} {take}");
                let uid = f.last(from);
                assert_eq!((f.count(from), uid > old), (1, take));
                let after = f.q.store.locate(from, uid).unwrap();
                assert_eq!(after.row.flags, before.row.flags);
                assert_eq!((after.name.id(), after.name.retain_from), (before.name.id(), before.name.retain_from));
                f.later(60);
                assert_eq!(f.carry_out(&[]), [""; 0]);
                assert_eq!(f.q.queue.counts(), Default::default());
                refused(f.q.undo(&alice(), batch));
                // And it can be asked again.
                assert_eq!(f.q.put(&alice(), from, &one(uid), to, take).unwrap().messages, 1);
                assert!(!f.carry_out(&[]).is_empty());
            }
        }
    }
}

#[test]
fn what_has_started_cannot_be_taken_back() {
    let f = Fixture::new("started");
    let uid = f.caught("alice@x.test");
    let batch = asked(&f, Kept::Caught, uid, Folder::Release, true);
    f.later(11);
    let text = refused(f.q.undo(&alice(), batch));
    assert!(text.starts_with("it has started"), "{text}");
    f.q.queue.fan_out(&f.q, &Default::default(), 10, f.q.store.now().secs()).unwrap();
    refused(f.q.undo(&alice(), batch));
    assert_eq!(f.carry_out(&[]), ["deliver alice@x.test"]);
}

/// Found by thinking of a clock that is set back between the fan-out's links and the removal of the order.
#[test]
fn entries_that_are_there_keep_their_order_from_being_taken_back() {
    let f = Fixture::new("begun");
    let uid = f.caught("alice@x.test");
    let batch = asked(&f, Kept::Caught, uid, Folder::Release, true);
    let orders = f.scratch.path().join("queue/orders");
    let order = std::fs::read_dir(&orders).unwrap().next().unwrap().unwrap().path();
    let parsed = Order::parse(order.file_name().unwrap().to_str().unwrap()).unwrap();
    let entry = parsed.entry(crate::queue::Part::Deliver(0)).file_name().unwrap();
    std::fs::hard_link(&order, f.scratch.path().join("queue/deliver").join(entry)).unwrap();
    let f = f.restarted();
    refused(f.q.undo(&alice(), batch));
    f.later(11);
    assert_eq!(f.carry_out(&[]), ["deliver alice@x.test"]);
}

#[test]
fn only_who_asked_takes_it_back() {
    let f = Fixture::new("whose");
    let uid = f.caught("alice@x.test");
    let batch = asked(&f, Kept::Caught, uid, Folder::Release, true);
    let bob = Account { login: "bob@x.test".into(), scope: Scope::Recipient(Address::parse("bob@x.test").unwrap()) };
    for other in [bob, domain(), global()] {
        refused(f.q.undo(&other, batch));
        assert!(f.q.waiting(&other).is_empty());
    }
    assert_eq!(f.q.undo(&alice(), batch).unwrap(), 1);
}

#[test]
fn a_batch_is_one_command_of_however_many_messages_in_however_many_trees() {
    let f = Fixture::new("batch");
    for number in 0..40 {
        f.caught(&format!("user{}@x.test", number % 7));
    }
    let long = format!("{}@x.test", "l".repeat(64));
    f.store(Class::Incoming, Kind::Spam, "s@spam.test", &[&long], b"A: b\r\n\r\n");
    let first = f.last(Kept::Caught);
    let all = UidRanges::one(1, first);
    let batch = f.q.put_later(&domain(), Kept::Caught, &all, Folder::Release, true).unwrap().batch.unwrap();
    let uid = f.caught("alice@x.test");
    let other = f.q.put_later(&domain(), Kept::Caught, &one(uid), Folder::Release, true).unwrap().batch.unwrap();
    let waiting: Vec<_> = f.q.waiting(&domain()).iter().map(|w| (w.batch, w.messages)).collect();
    assert_eq!(waiting, [(other, 1), (batch, 41)]);
    assert_eq!(f.q.undo(&domain(), batch).unwrap(), 41);
    assert_eq!(f.count(Kept::Caught), 41);
    f.later(11);
    assert_eq!(f.carry_out(&[]), ["deliver alice@x.test"]);
}

#[test]
fn what_else_is_asked_of_a_message_is_not_taken_back_with_it() {
    let f = Fixture::new("else");
    let uid = f.caught("alice@x.test");
    f.q.put(&alice(), Kept::Caught, &one(uid), Folder::NotSpam, false).unwrap();
    let batch = asked(&f, Kept::Caught, uid, Folder::Release, false);
    assert!(f.flags(Kept::Caught, uid).has(Flags::RELEASE_PENDING | Flags::TRAIN_PENDING));
    f.q.undo(&alice(), batch).unwrap();
    let flags = f.flags(Kept::Caught, uid);
    assert!(flags.has(Flags::TRAIN_PENDING) && !flags.has(Flags::RELEASE_PENDING), "{flags}");
    assert_eq!(f.carry_out(&[]), ["train-ham"]);
    assert!(f.flags(Kept::Caught, uid).has(Flags::TRAINED_HAM));
}

#[test]
fn a_clock_that_was_set_back_keeps_nothing_waiting() {
    let f = Fixture::new("clock");
    let uid = f.caught("alice@x.test");
    asked(&f, Kept::Caught, uid, Folder::Release, true);
    let early = f.q.store.now().secs() - 3600;
    assert_eq!(f.q.queue.fan_out(&f.q, &Default::default(), 10, early).unwrap(), 1);
}

#[test]
fn the_journal_says_it() {
    let f = Fixture::new("journal");
    let uid = f.caught("alice@x.test");
    let id = f.q.store.locate(Kept::Caught, uid).unwrap().name.id();
    let batch = asked(&f, Kept::Caught, uid, Folder::Release, true);
    f.q.undo(&alice(), batch).unwrap();
    let lines = f.q.journal.about(&id, 1);
    let last = lines.last().unwrap();
    assert_eq!((last["event"].as_str(), last["by"].as_str()), (Some("undone"), Some("alice@x.test")));
}

/// The fan-out holds what waits while it syncs where it was: undo said then that it had started, or left those out.
#[test]
fn an_order_that_the_fan_out_has_for_a_moment_is_waited_for() {
    let f = Fixture::new("moment");
    let uid = f.caught("alice@x.test");
    let batch = asked(&f, Kept::Caught, uid, Folder::Release, true);
    let held = f.q.queue.hold(f.q.store.now().secs(), &|_| true);
    assert_eq!(held.len(), 1);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(100));
            held.iter().for_each(|held| f.q.queue.let_go(held));
        });
        assert_eq!(f.q.undo(&alice(), batch).unwrap(), 1);
    });
}

#[test]
fn a_delivery_that_waits_for_its_next_attempt_is_called_back() {
    use crate::queue::{FanOut, Work};
    let f = Fixture::new("call-back");
    let uid = f.caught("alice@x.test");
    let base = f.q.store.locate(Kept::Caught, uid).unwrap().name.base;
    assert_eq!(f.q.call_back(&base, "x").unwrap(), 0, "nothing was asked");
    f.q.put(&alice(), Kept::Caught, &one(uid), Folder::Release, true).unwrap();
    assert_eq!(f.q.call_back(&base, "x").unwrap(), 0, "it is not a delivery yet");
    f.q.queue.fan_out(&f.q, &FanOut::default(), 1000, f.q.store.now().secs()).unwrap();
    let claim = f.q.queue.claim(Work::Deliver, u64::MAX).unwrap();
    assert_eq!(f.q.call_back(&base, "x").unwrap(), 0, "it is under way");
    f.q.queue.defer(claim, u64::MAX - 1);
    assert_eq!(f.q.call_back(&base, "x").unwrap(), 1);
    assert_eq!(f.count(Kept::Caught), 1);
    assert!(f.q.queue.list(9).is_empty() && f.carry_out(&[]).is_empty());
    assert_eq!(f.q.call_back(&base, "x").unwrap(), 0, "it is done");
    let f = f.restarted();
    assert_eq!((f.count(Kept::Caught), f.q.queue.list(9).len()), (1, 0), "over a restart, too");
}
