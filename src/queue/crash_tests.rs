//! Every prefix of a recorded run, with what was not synced left out.

use super::tests::*;
use super::*;
use crate::disk::{Op, Watch};
use crate::mail::Name;
use crate::mail::name::Base;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

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
    while queue.fan_out(rules, &how(), 2, u64::MAX).unwrap() > 0 {}
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
pub(super) struct Names {
    pub(super) durable: BTreeMap<PathBuf, u32>,
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

    /// What lies there after a crash, when `lost` of what was not synced is lost.
    pub(super) fn left(mut self, lost: &dyn Fn(usize) -> bool) -> BTreeMap<PathBuf, u32> {
        let mut last_lost = false;
        for (i, change) in self.pending.iter().enumerate() {
            // A rename between two directories is not synced as one, but never loses both names by itself.
            last_lost = lost(i) || change.half && last_lost;
            if !last_lost {
                change.apply(&mut self.durable);
            }
        }
        self.durable
    }

    pub(super) fn op(&mut self, op: &Op) {
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

    let scratch = Scratch::new();
    let root = &scratch.0;
    let disk = Disk::new(root);
    Queue::open(disk.clone()).unwrap();
    for (path, number) in &names.left(lost) {
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

/// Everything lost, nothing lost, and some mixtures.
pub(super) const MIXTURES: [&dyn Fn(usize) -> bool; 5] =
    [&|_| true, &|_| false, &|i| i % 2 == 0, &|i| i % 2 == 1, &|i| i % 3 == 0];

fn all_crashes(deaf: &str) -> Option<String> {
    let (before, events) = record();
    for at in 0..=events.len() {
        for (which, lost) in MIXTURES.iter().enumerate() {
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
