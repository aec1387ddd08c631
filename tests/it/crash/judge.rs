//! Starts the program on what a crash left, lets it carry out what was ordered, and compares with what was promised.

use super::digests::DIGEST;
use super::exports::{EXPORT, REPORT, report, tell};
use super::model::{Model, Remains};
use super::promise::{Fate, Key, Promise};
use super::record::Event;
use super::world::{Found, World, key};
use lazaret::base::Flags;
use lazaret::disk::Op;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// When the scenarios begin, in seconds.
pub const START: u64 = 1_700_000_000;
/// The clock after a crash: it was set back by an hour meanwhile.
const AFTER: u64 = START - 3600;

/// A directory for one test, in memory where there is such a place.
pub struct Place(pub PathBuf);

impl Place {
    pub fn new(name: &str) -> Place {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let thread = format!("{:?}", std::thread::current().id()).replace(|c: char| !c.is_ascii_digit(), "");
        let path = base.join(format!("lazaret-crash-{name}-{}-{thread}", std::process::id()));
        let place = Place(path);
        place.clear();
        place
    }

    pub fn clear(&self) {
        std::fs::remove_dir_all(&self.0).ok();
        std::fs::create_dir_all(&self.0).expect("a directory for the test");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// How much of each moment is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Every way in which a crash may leave the directory.
    All,
    /// After something was promised: nothing lost, and everything lost.
    Promises,
}

/// Lets the program crash after every event from `from` on; returns the first thing that was wrong, and how many
/// different crashes there were. `deaf`: syncs that do nothing.
pub fn all_crashes(
    before: &Model,
    promise: &Promise,
    events: &[Event],
    from: usize,
    deaf: &dyn Fn(&Event) -> bool,
    depth: Depth,
    place: &Place,
) -> (Option<String>, usize) {
    let mut model = before.clone();
    let mut promise = promise.clone();
    let mut known = HashSet::new();
    for (number, event) in events.iter().enumerate() {
        match event {
            Event::Disk(..) if deaf(event) => {}
            Event::Disk(op, _) => {
                model.carry_out(op);
                if let Op::Rename { to, .. } | Op::Link(_, to) = op {
                    promise.seen(to);
                }
            }
            Event::Failed(_) => {
                promise.errors = true;
                promise.told.clear();
            }
            Event::Foreign(path, bytes) => model.foreign(path, bytes),
            Event::Mark(mark) => promise.take(mark),
        }
        if number < from {
            continue;
        }
        let crashes = match depth {
            Depth::All => model.crashes(),
            Depth::Promises if matches!(event, Event::Mark(_)) || number + 1 == events.len() => {
                vec![model.crash_of_nothing(), model.worst()]
            }
            Depth::Promises => Vec::new(),
        };
        for remains in crashes {
            if !known.insert((promise.version, remains.fingerprint())) {
                continue;
            }
            if let Err(wrong) = judge(&remains, &promise, place) {
                let what = match event {
                    Event::Disk(op, site) => format!("{op:?} {}", site.as_ref().map_or("", |s| &s.calls)),
                    Event::Failed(op) => format!("the failed {op:?}"),
                    Event::Foreign(path, _) => format!("{} turned up", path.display()),
                    Event::Mark(mark) => format!("{mark:?}"),
                };
                let text = format!("crash after event {number}, {what}:\n{wrong}\nfrom\n{}", remains.listing());
                return (Some(text), known.len());
            }
        }
    }
    (None, known.len())
}

/// Whether what a crash left becomes a legal state.
pub fn judge(remains: &Remains, promise: &Promise, place: &Place) -> Result<(), String> {
    place.clear();
    remains.write(&place.0);
    recovers(&place.0, promise)
}

/// Whether a start on this directory leads to a legal state.
pub fn recovers(root: &Path, promise: &Promise) -> Result<(), String> {
    match catch_unwind(AssertUnwindSafe(|| start_and_look(root, promise))) {
        Ok(result) => result,
        Err(panic) => Err(format!(
            "it panicked: {}",
            panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()))
                .unwrap_or_default()
        )),
    }
}

fn start_and_look(root: &Path, promise: &Promise) -> Result<(), String> {
    let world = World::open(root, None, AFTER, 8)?;
    world.accepts.set(promise.accepts);
    let mut wrong: Vec<String> = world.report.odd.iter().map(|odd| format!("left alone at start-up: {odd}")).collect();
    uids(&world, promise, &world.find_all(), &mut wrong);
    numbers(&world, promise, &mut wrong);
    // The period is dealt with again, as at every start.
    for (login, word) in promise.legal.keys() {
        if let Some(period) = word.strip_prefix(DIGEST).and_then(|period| period.parse().ok()) {
            world.place_digest(login, period)?;
        }
    }
    // rspamd tells again of what it told before.
    let exports = world.exports();
    for (_, word) in promise.legal.keys().filter(|(_, word)| word.starts_with(EXPORT)) {
        if tell(&exports, word) != 200 {
            wrong.push(format!("{word} is not taken again"));
        }
    }
    // A mail server that heard no answer sends the report again.
    let reports = world.reports();
    for (_, word) in promise.legal.keys().filter(|(_, word)| word.starts_with(REPORT)) {
        if report(&reports, word) != 250 {
            wrong.push(format!("{word} is not taken again"));
        }
    }
    world.drain();
    let found = world.find_all();
    uids(&world, promise, &found, &mut wrong);
    fates(&world, promise, &found, &mut wrong);
    again(&world, promise, &mut wrong);
    wrong.append(&mut world.wrong.borrow_mut());
    leftovers(root, &mut wrong);
    probe(&world, promise, &mut wrong);
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// A UID stands for one message, for ever.
fn uids(world: &World, promise: &Promise, found: &[Found], wrong: &mut Vec<String>) {
    let mut here: HashMap<u32, &Found> = HashMap::new();
    for message in found {
        if let Some(id) = promise.uids.get(&message.uid)
            && *id != message.id
        {
            wrong.push(format!("UID {} was that of {id}, it is now that of {}", message.uid, message.id));
        }
        if here.insert(message.uid, message).is_some() {
            wrong.push(format!("UID {} is there twice", message.uid));
        }
    }
    for message in found {
        let told = promise.told.get(&(message.key.clone(), message.kept));
        // One that was not answered may be there a second time by now, beside the first.
        let is_second =
            |uid: u32| [EXPORT, REPORT].iter().any(|told| message.key.1.starts_with(told)) && here.contains_key(&uid);
        if let Some(uid) = told
            && *uid != message.uid
            && !is_second(*uid)
        {
            wrong.push(format!("{:?} had UID {uid}, it is now {}", message.key, message.uid));
        }
    }
    if !promise.line.is_empty() && promise.line != world.line() {
        wrong.push("releases from before are not known any more when they come back".to_string());
    }
    if let Some(validity) = promise.uid_validity
        && world.quarantine.store.uid_validity() != validity
    {
        wrong.push(format!("UIDVALIDITY was {validity}, it is {}", world.quarantine.store.uid_validity()));
    }
}

/// UIDNEXT and HIGHESTMODSEQ never fall.
fn numbers(world: &World, promise: &Promise, wrong: &mut Vec<String>) {
    use lazaret::store::Reach;
    for (kept, (uid_next, modseq)) in lazaret::mail::Kept::ALL.into_iter().zip(promise.figures) {
        let view = world.quarantine.store.view(Reach::All, kept).view();
        if view.uid_next < uid_next {
            wrong.push(format!("UIDNEXT of {kept} was {uid_next}, it is {}", view.uid_next));
        }
        if view.modseq < modseq {
            wrong.push(format!("HIGHESTMODSEQ of {kept} was {modseq}, it is {}", view.modseq));
        }
    }
}

/// Each message is where it was promised, once everything is done.
fn fates(world: &World, promise: &Promise, found: &[Found], wrong: &mut Vec<String>) {
    let mut now: BTreeMap<Key, Fate> = promise.legal.keys().map(|key| (key.clone(), Fate::default())).collect();
    let requests: HashSet<(String, String)> =
        world.quarantine.requests(&super::world::global()).into_iter().map(|r| (r.recipient, r.id)).collect();
    for message in found {
        let fate = now.entry(message.key.clone()).or_default();
        let requested = requests.contains(&(message.key.0.clone(), message.id.clone()));
        if requested != message.flags.has(Flags::RELEASE_REQUESTED) {
            wrong.push(format!("{:?}: requested is {requested}, its flags are {}", message.key, message.flags));
        }
        fate.requested |= requested;
        fate.folders.push(message.kept);
        fate.folders.sort();
        fate.failed |= message.flags.has(Flags::RELEASE_FAILED);
        fate.left = message.left.or(fate.left);
    }
    let carried = world.carried.borrow();
    for (key, part) in carried.iter().chain(promise.carried.keys()) {
        now.entry(key.clone()).or_default().parts.insert(part.clone());
    }
    for (key, sense) in world.listed() {
        now.entry(key).or_default().parts.insert(sense);
    }
    match given_up(world) {
        Ok(given_up) => {
            for (key, sink) in given_up {
                now.entry(key).or_default().given_up.insert(sink);
            }
        }
        Err(e) => wrong.push(e),
    }
    for (key, fate) in now {
        let absent = [Fate::default()];
        let legal = promise.legal.get(&key).map_or(&absent[..], Vec::as_slice);
        if !legal.iter().any(|l| l.allows(&fate)) {
            wrong.push(format!("{key:?} is {fate:?}, promised was {legal:?}"));
        }
    }
    let counts = world.quarantine.queue.counts();
    if counts.orders + counts.deliveries + counts.trainings > 0 {
        wrong.push(format!("left in the queue: {counts:?}"));
    }
}

fn given_up(world: &World) -> Result<Vec<(Key, String)>, String> {
    let root = world.quarantine.store.disk().path("queue/failed");
    let mut all = Vec::new();
    for file in std::fs::read_dir(&root).map_err(|e| e.to_string())? {
        let path = file.map_err(|e| e.to_string())?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let Some(entry) = lazaret::queue::Entry::parse(name) else { return Err(format!("{name} is in failed/")) };
        let bytes = std::fs::read(&path).map_err(|e| e.to_string())?;
        let word = bytes.get(entry.message.trace as usize..).and_then(super::world::word_of);
        let word = word.ok_or_else(|| format!("{name} in failed/ has bytes of nobody"))?;
        let lazaret::queue::Part::Train { sink, .. } = entry.part else { return Err(format!("{name} is in failed/")) };
        all.push((key(&entry.tree.to_string(), &word), sink));
    }
    Ok(all)
}

/// What was noted as done is not done again, and nothing twice.
fn again(world: &World, promise: &Promise, wrong: &mut Vec<String>) {
    let mut seen = HashSet::new();
    // A report whose answer was not heard comes again, and may have been taken the first time.
    let is_told_twice =
        |fates: &Vec<Fate>| fates.iter().any(|fate| fate.folders.windows(2).any(|two| two.first() == two.last()));
    let is_unanswered = |key: &Key| key.1.starts_with(REPORT) && promise.legal.get(key).is_some_and(is_told_twice);
    for done in world.carried.borrow().iter().filter(|(key, _)| !is_unanswered(key)) {
        if promise.ended.contains(done) {
            wrong.push(format!("{done:?} was done again"));
        }
        if !seen.insert(done.clone()) {
            wrong.push(format!("{done:?} was done twice after the crash"));
        }
    }
}

/// Nothing unfinished stays.
fn leftovers(root: &Path, wrong: &mut Vec<String>) {
    let mut stack = vec![root.to_path_buf()];
    while let Some(directory) = stack.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if path.is_dir() {
                stack.push(path);
            } else if path.ends_with("dovecot-keywords") {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                if text.lines().count() < 20 || !text.ends_with('\n') {
                    wrong.push(format!("{} is torn: {text:?}", path.display()));
                }
            } else if directory.ends_with("tmp") || hidden {
                wrong.push(format!("{} was not swept", path.display()));
            }
        }
    }
}

/// The program goes on: a new message gets a UID that nobody has seen.
fn probe(world: &World, promise: &Promise, wrong: &mut Vec<String>) {
    if !world.store("probe", &["alice@x.test"]) {
        wrong.push("nothing can be stored after the crash".to_string());
        return;
    }
    let probe = world.find_all().into_iter().find(|f| f.key.1 == "probe");
    let told = promise.figures.iter().map(|(uid_next, _)| uid_next.saturating_sub(1));
    let highest = promise.uids.keys().copied().chain(told).max().unwrap_or(0);
    match probe {
        Some(probe) if probe.uid > highest => {}
        other => wrong.push(format!("a new message after the crash is {other:?}, UIDs up to {highest} were seen")),
    }
}
