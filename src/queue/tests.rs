//! The queue on a real directory: every operation, a restart from every state, and crashes.

use super::*;
use crate::base::{Flags, Timestamp};
use crate::mail::Name;
use crate::mail::name::Base;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(super) const CAUGHT: &str = "mail/example.org/alice/Caught/new";
pub(super) const TRASH: &str = "mail/example.org/alice/Trash/cur";
pub(super) const TREE: &str = "alice@example.org";

pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new() -> Scratch {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let path = std::env::temp_dir().join(format!("lazaret-queue-{}-{count}", std::process::id()));
        fs::remove_dir_all(&path).ok();
        for directory in [CAUGHT, TRASH] {
            fs::create_dir_all(path.join(directory)).unwrap();
        }
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

pub(super) fn message(number: u32) -> Name {
    let mut name = Name::new(Base::new(Timestamp(1_000_000_000), 1, number, "mx"), 5);
    name.uid = Some(number + 1);
    name.flags = Some(Flags::NONE);
    name
}

pub(super) fn source(root: &Path, number: u32) -> PathBuf {
    root.join(CAUGHT).join(message(number).to_string())
}

pub(super) fn put(root: &Path, number: u32) {
    fs::write(source(root, number), format!("{number}")).unwrap();
}

pub(super) fn order(root: &Path, number: u32, verbs: Verbs, origin: Origin) -> NewOrder {
    let order = Order::new(message(number), verbs, TREE, Asker::Recipient, origin, 1000 + u64::from(number));
    NewOrder { source: source(root, number), order }
}

/// Two recipients for every message; keeps copies in Trash.
pub(super) struct Rules(pub(super) Disk);

impl Plan for Rules {
    fn recipients(&self, _: &Order, _: &Path) -> Result<Vec<usize>, Fault> {
        Ok(vec![0, 3])
    }

    fn settle(&self, order: &Order) -> Result<(), Fault> {
        let directory = self.0.path(CAUGHT);
        for file in fs::read_dir(&directory).unwrap().map(|f| f.unwrap().path()) {
            let name = Name::parse(file.file_name().unwrap().to_str().unwrap()).unwrap();
            if name.base == order.message.base {
                self.0.unlink(&file)?;
            }
        }
        self.0.sync_dir(&directory)
    }

    fn keep(&self, orders: &[(Order, PathBuf)]) -> Result<(), Fault> {
        for (order, path) in orders.iter().filter(|(o, _)| o.origin != Origin::Copied) {
            match self.0.link(path, &self.0.path(TRASH).join(order.message.id())) {
                Err(fault) if fault.kind() != io::ErrorKind::AlreadyExists => return Err(fault),
                _ => {}
            }
        }
        self.0.sync_dir(&self.0.path(TRASH))
    }
}

pub(super) fn how() -> FanOut {
    let sinks = vec!["one".to_string(), "two".to_string()];
    FanOut { ham: sinks.clone(), spam: sinks }
}

pub(super) const RELEASE: Verbs = Verbs::one(Verb::Release);
pub(super) const SPAM: Verbs = Verbs::one(Verb::TrainSpam);
pub(super) const BOTH: Verbs = Verbs::one(Verb::Release).and(Verb::TrainHam);

pub(super) fn listing(root: &Path, directory: &str) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(root.join(directory)).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_order_becomes_entries_and_those_end() {
    let scratch = Scratch::new();
    let root = &scratch.0;
    let disk = Disk::new(root);
    let queue = Queue::open(disk.clone()).unwrap();
    put(root, 1);
    put(root, 2);
    let placed = queue.place(vec![
        order(root, 1, BOTH, Origin::Moved),
        order(root, 2, SPAM, Origin::Copied),
        order(root, 3, SPAM, Origin::Moved),
        order(root, 2, SPAM, Origin::Copied),
    ]);
    let placed = placed.unwrap();
    assert!(matches!(placed[0], Placed::Placed) && matches!(placed[1], Placed::Placed), "{placed:?}");
    assert!(matches!(&placed[2], Placed::Not(fault) if fault.is_missing()), "{placed:?}");
    assert!(matches!(placed[3], Placed::AlreadyThere), "{placed:?}");
    assert!(!source(root, 1).exists() && source(root, 2).exists());
    let again = queue.place(vec![order(root, 2, SPAM, Origin::Copied)]).unwrap();
    assert!(matches!(again[0], Placed::AlreadyThere));
    assert_eq!(queue.counts().orders, 2);
    assert!(queue.claim(Work::Deliver, u64::MAX).is_none(), "nothing starts before the fan-out");

    assert_eq!(queue.fan_out(&Rules(disk.clone()), &how(), 10, u64::MAX).unwrap(), 2);
    assert_eq!(queue.counts(), Counts { orders: 0, deliveries: 2, trainings: 4, oldest: Some(1001) });
    assert!(listing(root, "queue/orders").is_empty());
    assert!(listing(root, TRASH).is_empty(), "a copied message is still where it was");

    let first = queue.claim(Work::Deliver, 5000).unwrap();
    let second = queue.claim(Work::Deliver, 5000).unwrap();
    assert!(queue.claim(Work::Deliver, u64::MAX).is_none());
    assert_eq!((&first.entry.part, &second.entry.part), (&Part::Deliver(0), &Part::Deliver(3)));
    assert_eq!(fs::read(&first.path).unwrap(), b"1");
    queue.done(first).unwrap();
    queue.defer(second, 6000);
    assert!(queue.claim(Work::Deliver, 5999).is_none());
    assert_eq!(queue.next_due(Work::Deliver), Some(6000));

    drop(queue);
    let queue = Queue::open(disk.clone()).unwrap();
    assert_eq!(queue.counts(), Counts { orders: 0, deliveries: 1, trainings: 4, oldest: Some(1001) });
    assert!(queue.claim(Work::Deliver, 5999).is_none(), "the pause outlives a restart");
    let again = queue.claim(Work::Deliver, 6000).unwrap();
    assert_eq!((again.entry.attempts, again.entry.next), (1, 6000));
    assert!(again.entry.tree.is(TREE));
    queue.wait(again, 7000);
    let again = queue.claim(Work::Deliver, 7000).unwrap();
    assert_eq!(again.entry.attempts, 1, "waiting is no attempt");
    queue.done(again).unwrap();

    let training = queue.claim(Work::Train, 0).unwrap();
    queue.give_up(training).unwrap();
    assert_eq!((queue.counts().trainings, queue.failed_list().unwrap().len()), (3, 1));
    assert_eq!(queue.retry_all().unwrap(), 1);
    while let Some(claim) = queue.claim(Work::Train, 0) {
        queue.done(claim).unwrap();
    }
    assert_eq!(queue.counts(), Counts::default());
    for directory in ["orders", "deliver", "train", "failed"] {
        assert!(listing(root, &format!("queue/{directory}")).is_empty(), "{directory}");
    }
}

#[test]
fn the_same_work_is_not_done_twice() {
    let scratch = Scratch::new();
    let root = &scratch.0;
    let disk = Disk::new(root);
    let rules = Rules(disk.clone());
    let queue = Queue::open(disk).unwrap();
    put(root, 1);
    queue.place(vec![order(root, 1, RELEASE, Origin::Copied)]).unwrap();
    queue.fan_out(&rules, &how(), 10, u64::MAX).unwrap();
    let under_way = queue.claim(Work::Deliver, 0).unwrap();
    queue.place(vec![order(root, 1, BOTH, Origin::Moved)]).unwrap();
    assert!(queue.claim(Work::Deliver, 0).is_none(), "a message with an order waits for its fan-out");
    assert_eq!(
        queue.fan_out(&rules, &how(), 10, u64::MAX).unwrap(),
        0,
        "an order waits while its message is worked on"
    );
    queue.done(under_way).unwrap();
    queue.fan_out(&rules, &how(), 10, u64::MAX).unwrap();
    assert_eq!(queue.counts().deliveries, 1, "one delivery was there already, the other was done");
    assert_eq!(queue.counts().trainings, 2);
    queue.done(queue.claim(Work::Deliver, 0).unwrap()).unwrap();
    assert!(queue.claim(Work::Deliver, u64::MAX).is_none());
}

#[test]
fn appended_messages() {
    let scratch = Scratch::new();
    let root = &scratch.0;
    let disk = Disk::new(root);
    let queue = Queue::open(disk.clone()).unwrap();
    let id = message(7).id();
    fs::write(queue.temporary(&id), b"half").unwrap();
    drop(queue);
    let queue = Queue::open(disk.clone()).unwrap();
    assert!(listing(root, "queue/orders").is_empty(), "what was not placed is swept");
    fs::write(queue.temporary(&id), b"whole").unwrap();
    let mut new = order(root, 7, BOTH, Origin::Appended);
    new.source = queue.temporary(&id);
    assert!(matches!(queue.place(vec![new]).unwrap()[0], Placed::Placed));
    queue.fan_out(&Rules(disk), &how(), 10, 1007).unwrap();
    assert_eq!(queue.counts(), Counts { orders: 0, deliveries: 2, trainings: 2, oldest: Some(1007) });
}

#[test]
fn a_message_that_nobody_can_get_still_has_a_delivery() {
    struct Nobody;
    impl Plan for Nobody {
        fn recipients(&self, _: &Order, file: &Path) -> Result<Vec<usize>, Fault> {
            Err(Fault::new("read the trace of", file, io::ErrorKind::InvalidData.into()))
        }
        fn settle(&self, _: &Order) -> Result<(), Fault> {
            Ok(())
        }
        fn keep(&self, _: &[(Order, PathBuf)]) -> Result<(), Fault> {
            Ok(())
        }
    }
    let scratch = Scratch::new();
    let queue = Queue::open(Disk::new(&scratch.0)).unwrap();
    put(&scratch.0, 1);
    queue.place(vec![order(&scratch.0, 1, RELEASE, Origin::Moved)]).unwrap();
    queue.fan_out(&Nobody, &how(), 10, u64::MAX).unwrap();
    assert_eq!(queue.counts().deliveries, 1);
}

#[test]
fn a_release_asked_again_while_the_failed_one_ends_is_not_swallowed_by_it() {
    let scratch = Scratch::new();
    let root = &scratch.0;
    let disk = Disk::new(root);
    let queue = Queue::open(disk.clone()).unwrap();
    put(root, 1);
    queue.place(vec![order(root, 1, RELEASE, Origin::Moved)]).unwrap();
    queue.fan_out(&Rules(disk.clone()), &how(), 10, u64::MAX).unwrap();
    let failed = queue.claim(Work::Deliver, 5000).unwrap();
    // It was put back and is dragged again before the entry is gone.
    put(root, 1);
    queue.place(vec![order(root, 1, RELEASE, Origin::Moved)]).unwrap();
    assert!(!queue.has_orders(u64::MAX), "its order waits");
    assert_eq!(queue.fan_out(&Rules(disk.clone()), &how(), 10, u64::MAX).unwrap(), 0);
    queue.returned(failed).unwrap();
    assert_eq!(queue.fan_out(&Rules(disk), &how(), 10, u64::MAX).unwrap(), 1);
    let parts: Vec<_> = std::iter::from_fn(|| queue.claim(Work::Deliver, 5000)).map(|c| c.entry.part).collect();
    assert!(parts.contains(&Part::Deliver(0)) && parts.contains(&Part::Deliver(3)), "{parts:?}");
    assert!(queue.messages().contains(&message(1).base));
}

#[test]
fn an_order_that_always_fails_does_not_keep_the_others_waiting() {
    let scratch = Scratch::new();
    let disk = Disk::new(&scratch.0);
    let queue = Queue::open(disk.clone()).unwrap();
    for number in [1, 2] {
        put(&scratch.0, number);
        queue.place(vec![order(&scratch.0, number, RELEASE, Origin::Moved)]).unwrap();
    }
    // Somebody removed the first one's file.
    let first = listing(&scratch.0, "queue/orders").remove(0);
    fs::remove_file(scratch.0.join("queue/orders").join(first)).unwrap();
    assert!(queue.fan_out(&Rules(disk.clone()), &how(), 1, u64::MAX).is_err());
    assert_eq!(queue.fan_out(&Rules(disk), &how(), 1, u64::MAX).unwrap(), 1);
}
