//! The crash test: no power failure, kill or error of the disk loses what was acknowledged, or does it twice.
//!
//! A scenario is run against a real quarantine while every operation on the data directory is recorded, with what was
//! promised to peers in between. A model of a file system then carries out every prefix of the operations, forgetting
//! what was not synced: all of it, each change alone, all but one, contents cut short. From each result the program is
//! started, carries out what was ordered, and what is found is compared with what was promised.
//!
//! The test proves itself: a recording in which the syncs of one place in the program do nothing must fail.

mod digests;
mod judge;
mod model;
mod promise;
mod record;
mod requests;
mod scenarios;
mod senders;
mod world;

use judge::{Depth, Place, START, all_crashes};
use lazaret::disk::Op;
use model::Model;
use promise::{Mark, Promise};
use record::{Event, Failing, Recorder, Site};
use scenarios::Scenario;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use world::World;

/// A scenario that was run, and what was there before.
struct Recording {
    before: Model,
    promise: Promise,
    events: Vec<Event>,
}

/// Runs a scenario and records it; the setup is no part of the recording.
fn record(scenario: &Scenario, failing: Failing, sites: bool, place: &Place) -> Recording {
    let (before, promise) = set_up(scenario, place);
    let recorder = Arc::new(Recorder::new(failing, sites));
    if let Ok(world) = World::open(&place.0, Some(recorder.clone()), START + 3600, 7) {
        world.tell();
        (scenario.run)(&world);
    }
    Recording { before, promise, events: recorder.events() }
}

fn set_up(scenario: &Scenario, place: &Place) -> (Model, Promise) {
    place.clear();
    let mut promise = Promise::default();
    if scenario.name.starts_with("first start") {
        return (Model::of(&place.0), promise);
    }
    // The setup is watched for its promises only.
    let recorder = Arc::new(Recorder::new(Failing::Never, false));
    let world = World::open(&place.0, Some(recorder.clone()), START, 6).expect("a new data directory opens");
    (scenario.setup)(&world);
    world.tell();
    world.quarantine.store.close().expect("it closes");
    for event in recorder.events() {
        match event {
            Event::Mark(mark) => promise.take(&mark),
            Event::Disk(lazaret::disk::Op::Rename { to, .. }, _) => promise.seen(&to),
            _ => {}
        }
    }
    (Model::of(&place.0), promise)
}

/// Gives each of these to one of two threads.
fn share<T: Sync>(all: &[T], act: impl Fn(&T, &Place) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let place = Place::new("it");
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    act(one, &place);
                }
            });
        }
    });
}

/// What is wrong when the process is killed at each operation and started again, and then the power fails.
fn kills(scenario: &Scenario, deaf: &dyn Fn(&Event) -> bool, place: &Place) -> Option<String> {
    let (before, promise) = set_up(scenario, place);
    for at in 0.. {
        place.clear();
        before.crash_of_nothing().write(&place.0);
        let recorder = Arc::new(Recorder::new(Failing::From(at), false));
        if let Ok(world) = World::open(&place.0, Some(recorder.clone()), START + 3600, 7) {
            world.tell();
            (scenario.run)(&world);
        }
        if !recorder.is_dead() {
            return None;
        }
        let from = recorder.events().len();
        recorder.set_failing(Failing::Never);
        match World::open(&place.0, Some(recorder.clone()), START + 7200, 8) {
            Ok(world) => {
                let accepts = |event: &Event| matches!(event, Event::Mark(Mark::Accepts));
                world.accepts.set(recorder.events().iter().any(accepts));
                world.tell();
                world.drain();
                world.store("late", &["alice@x.test"]);
            }
            Err(e) => return Some(format!("killed at operation {at}: it does not start again: {e}")),
        }
        let events = recorder.events();
        let second = Place::new("second");
        let (found, _) = all_crashes(&before, &promise, &events, from, deaf, Depth::Promises, &second);
        if let Some(found) = found {
            return Some(format!("killed at operation {at}, started again, then {found}"));
        }
    }
    None
}

#[test]
fn what_a_killed_process_left_unsynced_is_not_lost_later() {
    let scenarios = scenarios::all();
    let wrong = Mutex::new(Vec::new());
    share(&scenarios, |scenario, place| {
        if let Some(found) = kills(scenario, &|_| false, place) {
            wrong.lock().expect("no panic").push(format!("{}: {found}", scenario.name));
        }
    });
    let wrong = wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "{} scenarios fail:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// Errors of the system: no space, and a disk that fails.
const ERRORS: [i32; 2] = [28, 5];

/// What is wrong when one operation fails, and everything goes on, and then the process is killed or the power fails.
fn faults(scenario: &Scenario, error: i32, place: &Place) -> Option<String> {
    let (before, promise) = set_up(scenario, place);
    for at in 0.. {
        place.clear();
        before.crash_of_nothing().write(&place.0);
        let recorder = Arc::new(Recorder::new(Failing::One(at, error), false));
        let mut wrong = Vec::new();
        match World::open(&place.0, Some(recorder.clone()), START + 3600, 7) {
            Ok(world) => {
                world.full.set(error == 28);
                world.tell();
                (scenario.run)(&world);
                world.drain();
                world.stopped.set(false);
                world.goes_on.set(true);
                if recorder.count() > at && !world.store("late", &["alice@x.test"]) {
                    wrong.push("nothing can be stored afterwards".to_string());
                }
                wrong.append(&mut world.wrong.borrow_mut());
            }
            Err(e) if e.contains(place.0.to_str().unwrap_or_default()) && e.starts_with("cannot ") => {}
            Err(e) => wrong.push(format!("the error does not say enough: {e}")),
        }
        if recorder.count() <= at {
            return None;
        }
        let events = recorder.events();
        let from = events.iter().position(|e| matches!(e, Event::Failed(_))).unwrap_or(0);
        wrong.extend(tried_again(events.get(from..).unwrap_or_default()));
        if wrong.is_empty() {
            let second = Place::new("second");
            wrong.extend(all_crashes(&before, &promise, &events, from, &|_| false, Depth::Promises, &second).0);
        }
        if !wrong.is_empty() {
            let failed = match events.get(from) {
                Some(Event::Failed(op)) => format!("{op:?}"),
                _ => String::new(),
            };
            return Some(format!("operation {at}, {failed}, fails with {error}: {}", wrong.join("\n")));
        }
    }
    None
}

/// A sync that failed, and was done again for the same change.
fn tried_again(events: &[Event]) -> Option<String> {
    let Some(Event::Failed(failed)) = events.first() else { return None };
    for event in &events[1..] {
        let op = match event {
            Event::Disk(op, _) => op,
            // Later commands and attempts may sync the same directory for what they changed.
            Event::Mark(_) => return None,
            _ => continue,
        };
        if op == failed && matches!(op, Op::Sync(_) | Op::SyncDir(_)) {
            return Some(format!("{op:?} failed and was tried again"));
        }
        // A delivery that is put off begins anew, and what it makes durable then is told to nobody before.
        if matches!(op, Op::Rename { to, .. } if to.starts_with("queue/deliver")) {
            return None;
        }
        if matches!((op, failed), (Op::Create(new), Op::Sync(old)) if new == old) {
            return None;
        }
        if let Op::SyncDir(directory) = failed
            && paths(op).iter().any(|path| path.parent() == Some(directory))
        {
            return None;
        }
    }
    None
}

fn paths(op: &Op) -> Vec<&Path> {
    match op {
        Op::Create(path) | Op::Unlink(path) | Op::MakeDir(path) | Op::RemoveDir(path) => vec![path],
        Op::Rename { from, to, .. } | Op::Link(from, to) => vec![from, to],
        _ => Vec::new(),
    }
}

#[test]
fn an_error_of_the_disk_is_told_and_loses_nothing() {
    let scenarios = scenarios::all();
    let all: Vec<_> = scenarios.iter().flat_map(|s| ERRORS.map(|error| (s, error))).collect();
    let wrong = Mutex::new(Vec::new());
    share(&all, |(scenario, error), place| {
        if let Some(found) = faults(scenario, *error, place) {
            wrong.lock().expect("no panic").push(format!("{}: {found}", scenario.name));
        }
    });
    let wrong = wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "{} scenarios fail:\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn no_power_failure_loses_or_doubles_anything() {
    let scenarios = scenarios::all();
    let wrong = Mutex::new(Vec::new());
    let count = AtomicUsize::new(0);
    share(&scenarios, |scenario, place| {
        let recording = record(scenario, Failing::Never, true, place);
        let none = |_: &Event| false;
        let (found, crashes) =
            all_crashes(&recording.before, &recording.promise, &recording.events, 0, &none, Depth::All, place);
        count.fetch_add(crashes, Ordering::Relaxed);
        if let Some(found) = found {
            wrong.lock().expect("no panic").push(format!("{}: {found}", scenario.name));
        }
    });
    let wrong = wrong.into_inner().expect("no panic");
    println!("{} crashes", count.into_inner());
    assert!(wrong.is_empty(), "{} scenarios fail:\n{}", wrong.len(), wrong.join("\n\n"));
}

/// Syncs whose loss nothing can notice, each with the reason why it is there all the same: functions, and what is synced.
const UNNOTICED: &[(&str, &str, &str)] = &[
    (
        "store/scan.rs open",
        "directory <data>",
        "making the queue's directories syncs the same directory again before anything is promised; the store does not count on it",
    ),
    (
        "store/marks.rs write < store/marks.rs close",
        "directory state",
        "the marks of before are legal too, but skip numbers and have every mail program ask for all flags again",
    ),
];

/// One place in the program that syncs, and which scenarios need it.
#[derive(Default)]
struct Needed {
    scenarios: BTreeSet<String>,
    seen_in: BTreeSet<String>,
}

#[test]
fn every_sync_is_needed() {
    let scenarios = scenarios::all();
    let sites: Mutex<BTreeMap<Site, Needed>> = Mutex::default();
    share(&scenarios, |scenario, place| {
        let recording = record(scenario, Failing::Never, true, place);
        let site_of = |event: &Event| match event {
            Event::Disk(_, site) => site.clone(),
            _ => None,
        };
        let here: BTreeSet<Site> = recording.events.iter().filter_map(site_of).collect();
        for site in here {
            {
                let mut sites = sites.lock().expect("no panic");
                let needed = sites.entry(site.clone()).or_default();
                needed.seen_in.insert(scenario.name.clone());
                // One that needs it is enough.
                if !needed.scenarios.is_empty() {
                    continue;
                }
            }
            let deaf = |event: &Event| matches!(event, Event::Disk(_, Some(s)) if *s == site);
            let from = recording.events.iter().position(deaf).unwrap_or(0);
            let Recording { before, promise, events } = &recording;
            let noticed = match site.what.as_str() {
                // Only a process that was killed before leaves it something to do.
                "everything" => {
                    kills(scenario, &|event| matches!(event, Event::Disk(Op::SyncEverything, _)), place).is_some()
                }
                _ => all_crashes(before, promise, events, from, &deaf, Depth::All, place).0.is_some(),
            };
            if noticed {
                let mut sites = sites.lock().expect("no panic");
                sites.entry(site).or_default().scenarios.insert(scenario.name.clone());
            }
        }
    });
    let sites = sites.into_inner().expect("no panic");
    let argued =
        |site: &Site| UNNOTICED.iter().any(|(calls, what, _)| site.calls.contains(calls) && site.what == *what);
    let mut missing = Vec::new();
    for (site, needed) in &sites {
        let by = needed.scenarios.iter().next();
        println!("{:60} {:50} {}", site.what, site.calls, by.map_or("NOTHING", String::as_str));
        if by.is_none() && !argued(site) {
            missing.push(format!("{} by {} (seen in {:?})", site.what, site.calls, needed.seen_in));
        }
    }
    assert!(missing.is_empty(), "nothing fails without these syncs:\n{}", missing.join("\n"));
    for (calls, what, reason) in UNNOTICED {
        let used = sites
            .iter()
            .any(|(site, needed)| site.calls.contains(calls) && site.what == *what && needed.scenarios.is_empty());
        assert!(used && !reason.is_empty(), "UNNOTICED lists {what} by {calls}, which is noticed or not there");
    }
}
