//! The crash test: no power failure, kill or error of the disk loses what was acknowledged, or does it twice.
//!
//! A scenario is run against a real quarantine while every operation on the data directory is recorded, with what was
//! promised to peers in between. A model of a file system then carries out every prefix of the operations, forgetting
//! what was not synced: all of it, each change alone, all but one, contents cut short. From each result the program is
//! started, carries out what was ordered, and what is found is compared with what was promised.
//!
//! The test proves itself: a recording in which the syncs of one place in the program do nothing must fail.

mod judge;
mod model;
mod promise;
mod record;
mod scenarios;
mod world;

use judge::{Depth, Place, START, all_crashes};
use model::Model;
use promise::Promise;
use record::{Event, Failing, Recorder, Site};
use scenarios::Scenario;
use std::collections::{BTreeMap, BTreeSet};
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
const UNNOTICED: &[(&str, &str, &str)] = &[];

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
            if all_crashes(before, promise, events, from, &deaf, Depth::All, place).0.is_some() {
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
