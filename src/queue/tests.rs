//! The queue on a real directory: every operation, a restart from every state, and crashes.

use super::*;
use crate::base::{Flags, Timestamp};
use crate::disk::{Op, Watch};
use crate::mail::Name;
use crate::mail::name::Base;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const CAUGHT: &str = "mail/example.org/alice/Caught/new";
const TRASH: &str = "mail/example.org/alice/Trash/cur";
const TREE: &str = "alice@example.org";

pub(super) struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
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

fn message(number: u32) -> Name {
    let mut name = Name::new(Base::new(Timestamp(1_000_000_000), 1, number, "mx"), 5);
    name.uid = Some(number + 1);
    name.flags = Some(Flags::NONE);
    name
}

fn source(root: &Path, number: u32) -> PathBuf {
    root.join(CAUGHT).join(message(number).to_string())
}

fn put(root: &Path, number: u32) {
    fs::write(source(root, number), format!("{number}")).unwrap();
}

fn order(root: &Path, number: u32, verbs: Verbs, origin: Origin) -> NewOrder {
    let order = Order::new(message(number), verbs, TREE, Asker::Recipient, origin, 1000 + u64::from(number));
    NewOrder { source: source(root, number), order }
}

/// Two recipients for every message; keeps copies in Trash.
struct Rules(Disk);

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

fn how() -> FanOut {
    let sinks = vec!["one".to_string(), "two".to_string()];
    FanOut { ham: sinks.clone(), spam: sinks, ..FanOut::default() }
}

const RELEASE: Verbs = Verbs::one(Verb::Release);
const SPAM: Verbs = Verbs::one(Verb::TrainSpam);
const BOTH: Verbs = Verbs::one(Verb::Release).and(Verb::TrainHam);

fn listing(root: &Path, directory: &str) -> Vec<String> {
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

    assert_eq!(queue.fan_out(&Rules(disk.clone()), &how(), 10).unwrap(), 2);
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
    queue.fan_out(&rules, &how(), 10).unwrap();
    let under_way = queue.claim(Work::Deliver, 0).unwrap();
    queue.place(vec![order(root, 1, BOTH, Origin::Moved)]).unwrap();
    assert!(queue.claim(Work::Deliver, 0).is_none(), "a message with an order waits for its fan-out");
    assert_eq!(queue.fan_out(&rules, &how(), 10).unwrap(), 0, "an order waits while its message is worked on");
    queue.done(under_way).unwrap();
    queue.fan_out(&rules, &how(), 10).unwrap();
    assert_eq!(queue.counts().deliveries, 1, "one delivery was there already, the other was done");
    assert_eq!(queue.counts().trainings, 2);
    queue.done(queue.claim(Work::Deliver, 0).unwrap()).unwrap();
    assert!(queue.claim(Work::Deliver, u64::MAX).is_none());
}

#[test]
fn appended_messages_and_release_delay() {
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
    let how = FanOut { release_delay: std::time::Duration::from_secs(60), ..how() };
    queue.fan_out(&Rules(disk), &how, 10).unwrap();
    assert!(queue.claim(Work::Deliver, 1066).is_none());
    assert!(queue.claim(Work::Train, 0).is_some(), "only the delivery is delayed");
    assert!(queue.claim(Work::Deliver, 1067).is_some());
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
    queue.fan_out(&Nobody, &how(), 10).unwrap();
    assert_eq!(queue.counts().deliveries, 1);
}

/// What happened, in order: operations on the disk, and what the outside saw.
#[derive(Debug, Clone)]
enum Event {
    Disk(Op),
    Answered,
    Carried(u32, Part),
    Ended(u32, Part),
}

#[derive(Default)]
struct Recorder(Mutex<Vec<Event>>);

impl Recorder {
    fn note(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Watch for Recorder {
    fn before(&self, op: &Op) -> io::Result<()> {
        self.note(Event::Disk(op.clone()));
        Ok(())
    }
}

fn number_of(name: &Name) -> u32 {
    match &name.base {
        Base::Ours(stamp, _) => stamp.count,
        Base::Foreign(_) => panic!("no foreign names here"),
    }
}

/// Carries out everything that can be.
fn drain(queue: &Queue, rules: &Rules, mut note: impl FnMut(Event)) {
    while queue.fan_out(rules, &how(), 2).unwrap() > 0 {}
    for work in [Work::Deliver, Work::Train] {
        let mut first = true;
        while let Some(claim) = queue.claim(work, u64::MAX) {
            if std::mem::take(&mut first) {
                queue.defer(claim, 1);
                continue;
            }
            let (number, part) = (number_of(&claim.entry.message), claim.entry.part.clone());
            note(Event::Carried(number, part.clone()));
            queue.done(claim).unwrap();
            note(Event::Ended(number, part));
        }
    }
}

const ORDERS: [(u32, Verbs, Origin); 4] =
    [(1, RELEASE, Origin::Moved), (2, BOTH, Origin::Copied), (3, SPAM, Origin::Moved), (4, BOTH, Origin::Moved)];

/// Names in directories: what is durable, and changes that may or may not be.
#[derive(Default, Clone)]
struct Names {
    durable: BTreeMap<PathBuf, u32>,
    now: BTreeMap<PathBuf, u32>,
    pending: Vec<Change>,
}

/// What one directory was told, all of it or nothing: names removed and added.
#[derive(Clone)]
struct Change {
    directory: PathBuf,
    removed: Option<PathBuf>,
    added: Option<(PathBuf, u32)>,
    /// The other half of a rename between two directories: before a sync of either, what is lost is the removal.
    half: bool,
}

impl Names {
    fn change(&mut self, removed: Option<&Path>, added: Option<(&Path, u32)>) {
        let parent = |path: &Path| path.parent().unwrap().to_path_buf();
        let change = |directory: PathBuf, removed: Option<&Path>, added: Option<(&Path, u32)>| Change {
            directory,
            removed: removed.map(Path::to_path_buf),
            added: added.map(|(path, id)| (path.to_path_buf(), id)),
            half: false,
        };
        let changes = match (removed, added) {
            // Within one directory a rename is one change; between two it is two.
            (Some(from), Some((to, _))) if parent(from) == parent(to) => vec![change(parent(to), removed, added)],
            _ => {
                let add = added.map(|(to, id)| change(parent(to), None, Some((to, id))));
                let half = added.is_some();
                let remove = removed.map(|from| Change { half, ..change(parent(from), Some(from), None) });
                add.into_iter().chain(remove).collect()
            }
        };
        for change in changes {
            change.apply(&mut self.now);
            self.pending.push(change);
        }
    }

    fn op(&mut self, op: &Op) {
        match op {
            Op::Create(path) => self.change(None, Some((path, 0))),
            Op::Link(from, to) if self.now.contains_key(from) && !self.now.contains_key(to) => {
                self.change(None, Some((to, self.now[from])));
            }
            Op::Rename { from, to, .. } if self.now.contains_key(from) => {
                self.change(Some(from), Some((to, self.now[from])));
            }
            Op::Unlink(path) if self.now.contains_key(path) => self.change(Some(path), None),
            Op::SyncDir(directory) => {
                let durable = &mut self.durable;
                self.pending.retain(|change| {
                    let synced = change.directory == *directory;
                    if synced {
                        change.apply(durable);
                    }
                    !synced
                });
            }
            _ => {}
        }
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, u32>) {
        if let Some(path) = &self.removed {
            names.remove(path);
        }
        if let Some((path, id)) = &self.added {
            names.insert(path.clone(), *id);
        }
    }
}

fn record() -> (BTreeMap<PathBuf, u32>, Vec<Event>) {
    let scratch = Scratch::new();
    let root = &scratch.0;
    Queue::open(Disk::new(root)).unwrap();
    let mut before = BTreeMap::new();
    for (number, ..) in ORDERS {
        put(root, number);
        before.insert(source(Path::new(""), number), number);
    }
    let recorder = Arc::new(Recorder::default());
    let disk = Disk::watched(root, recorder.clone());
    let queue = Queue::open(disk.clone()).unwrap();
    queue.place(ORDERS.iter().map(|&(n, verbs, origin)| order(root, n, verbs, origin)).collect()).unwrap();
    recorder.note(Event::Answered);
    drain(&queue, &Rules(disk), |event| recorder.note(event));
    let events = recorder.0.lock().unwrap().clone();
    (before, events)
}

/// What is wrong after a crash before event `at`, when `lost` of what was not synced is lost. Syncs of `deaf` did nothing.
fn crash(
    before: &BTreeMap<PathBuf, u32>,
    events: &[Event],
    at: usize,
    lost: &dyn Fn(usize) -> bool,
    deaf: &str,
) -> Vec<String> {
    let mut names = Names { durable: before.clone(), now: before.clone(), pending: Vec::new() };
    let (mut answered, mut carried, mut ended) = (false, Vec::new(), Vec::new());
    for event in &events[..at] {
        match event {
            Event::Disk(Op::SyncDir(directory)) if directory == Path::new(deaf) => {}
            Event::Disk(op) => names.op(op),
            Event::Answered => answered = true,
            Event::Carried(number, part) => carried.push((*number, part.clone())),
            Event::Ended(number, part) => ended.push((*number, part.clone())),
        }
    }
    let pending = std::mem::take(&mut names.pending);
    let mut last_lost = false;
    for (i, change) in pending.iter().enumerate() {
        // A rename between two directories is not synced as one, but never loses both names by itself.
        last_lost = lost(i) || change.half && last_lost;
        if !last_lost {
            change.apply(&mut names.durable);
        }
    }

    let scratch = Scratch::new();
    let root = &scratch.0;
    let disk = Disk::new(root);
    Queue::open(disk.clone()).unwrap();
    for (path, number) in &names.durable {
        fs::write(root.join(path), format!("{number}")).unwrap();
    }
    let queue = Queue::open(disk.clone()).unwrap();
    let doubled = |part: &(u32, Part)| ended.contains(part);
    let mut wrong = Vec::new();
    drain(&queue, &Rules(disk), |event| {
        if let Event::Carried(number, part) = event {
            if doubled(&(number, part.clone())) {
                wrong.push(format!("{number} {part:?} was carried out again"));
            }
            carried.push((number, part));
        }
    });
    for (number, verbs, origin) in ORDERS {
        let parts: usize = verbs.iter().map(|_| 2).sum();
        let mut done: Vec<&Part> = carried.iter().filter(|(n, _)| *n == number).map(|(_, part)| part).collect();
        done.sort_by_key(|part| format!("{part:?}"));
        done.dedup();
        let in_folder = source(root, number).exists();
        if answered && done.len() != parts {
            wrong.push(format!("{number}: answered, but only {done:?} was carried out"));
        }
        if !in_folder && done.len() != parts {
            wrong.push(format!("{number}: gone, and only {done:?} was carried out"));
        }
        if origin == Origin::Moved && in_folder && !done.is_empty() {
            wrong.push(format!("{number}: still in its folder, and {done:?} was carried out"));
        }
        if origin == Origin::Copied && !in_folder {
            wrong.push(format!("{number}: was copied and is gone"));
        }
        if origin == Origin::Moved
            && verbs == SPAM
            && !in_folder
            && !root.join(TRASH).join(message(number).id()).exists()
        {
            wrong.push(format!("{number}: was not kept in Trash"));
        }
    }
    let left = queue.counts();
    if left != Counts::default() {
        wrong.push(format!("left in the queue: {left:?}"));
    }
    wrong
}

fn all_crashes(deaf: &str) -> Option<String> {
    let (before, events) = record();
    // Everything lost, nothing lost, and some mixtures.
    let mixtures: [&dyn Fn(usize) -> bool; 5] =
        [&|_| true, &|_| false, &|i| i % 2 == 0, &|i| i % 2 == 1, &|i| i % 3 == 0];
    for at in 0..=events.len() {
        for (which, lost) in mixtures.iter().enumerate() {
            if let Some(wrong) = crash(&before, &events, at, lost, deaf).first() {
                return Some(format!("crash before event {at}, mixture {which}: {wrong}"));
            }
        }
    }
    None
}

#[test]
fn no_crash_loses_or_doubles_anything() {
    assert_eq!(all_crashes("none"), None);
}

#[test]
fn the_crash_test_notices_each_sync_that_is_missing() {
    for directory in ["queue/orders", "queue/deliver", "queue/train", CAUGHT, TRASH] {
        assert!(all_crashes(directory).is_some(), "a missing sync of {directory} was not noticed");
    }
}

#[test]
fn a_release_asked_again_while_the_failed_one_ends_is_not_swallowed_by_it() {
    let scratch = Scratch::new();
    let root = &scratch.0;
    let disk = Disk::new(root);
    let queue = Queue::open(disk.clone()).unwrap();
    put(root, 1);
    queue.place(vec![order(root, 1, RELEASE, Origin::Moved)]).unwrap();
    queue.fan_out(&Rules(disk.clone()), &how(), 10).unwrap();
    let failed = queue.claim(Work::Deliver, 5000).unwrap();
    // It was put back and is dragged again before the entry is gone.
    put(root, 1);
    queue.place(vec![order(root, 1, RELEASE, Origin::Moved)]).unwrap();
    assert!(!queue.has_orders(), "its order waits");
    assert_eq!(queue.fan_out(&Rules(disk.clone()), &how(), 10).unwrap(), 0);
    queue.returned(failed).unwrap();
    assert_eq!(queue.fan_out(&Rules(disk), &how(), 10).unwrap(), 1);
    let parts: Vec<_> = std::iter::from_fn(|| queue.claim(Work::Deliver, 5000)).map(|c| c.entry.part).collect();
    assert!(parts.contains(&Part::Deliver(0)) && parts.contains(&Part::Deliver(3)), "{parts:?}");
    assert!(queue.messages().contains(&message(1).base));
}
