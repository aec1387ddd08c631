//! What happened, in order: every operation on the data directory, and what was promised to whom in between.

use super::promise::Mark;
use lazaret::disk::{Op, Watch};
use std::backtrace::Backtrace;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// One thing that happened.
#[derive(Clone)]
pub enum Event {
    /// An operation; of a sync also from where in the program it came.
    Disk(Op, Option<Site>),
    /// An operation that was made to fail.
    Failed(Op),
    /// Another program put a file there.
    Foreign(PathBuf, Vec<u8>),
    /// A promise.
    Mark(Mark),
}

/// The place in the program from which a sync came, and what was synced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// Innermost function first.
    pub calls: String,
    /// The path without what differs between recipients and messages.
    pub what: String,
}

/// Which operations fail.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Failing {
    /// None.
    Never,
    /// This one, with this error of the system.
    One(usize, i32),
    /// This one and all after it: the process was killed.
    From(usize),
}

/// Notes everything.
pub struct Recorder {
    state: Mutex<State>,
    sites: bool,
}

struct State {
    events: Vec<Event>,
    failing: Failing,
    /// Operations so far.
    count: usize,
}

impl Recorder {
    /// `sites`: from where a sync came is wanted, which takes its time.
    pub fn new(failing: Failing, sites: bool) -> Recorder {
        Recorder { state: Mutex::new(State { events: Vec::new(), failing, count: 0 }), sites }
    }

    pub fn mark(&self, mark: Mark) {
        self.note(Event::Mark(mark));
    }

    pub fn note(&self, event: Event) {
        self.with(|state| state.events.push(event));
    }

    pub fn set_failing(&self, failing: Failing) {
        self.with(|state| state.failing = failing);
    }

    /// Operations so far.
    pub fn count(&self) -> usize {
        self.with(|state| state.count)
    }

    /// Whether an operation was made to fail.
    pub fn has_failed(&self) -> bool {
        self.with(|state| matches!(state.failing, Failing::One(at, _) if state.count > at))
    }

    /// Whether the process was killed.
    pub fn is_dead(&self) -> bool {
        self.with(|state| matches!(state.failing, Failing::From(at) if state.count > at))
    }

    pub fn events(&self) -> Vec<Event> {
        self.with(|state| state.events.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Watch for Recorder {
    fn before(&self, op: &Op) -> io::Result<()> {
        let site =
            (self.sites && matches!(op, Op::Sync(_) | Op::SyncDir(_) | Op::SyncEverything)).then(|| Site::here(op));
        self.with(|state| {
            let number = state.count;
            state.count += 1;
            let error = match state.failing {
                Failing::One(at, error) if at == number => Some(error),
                Failing::From(at) if number >= at => Some(5),
                _ => None,
            };
            match error {
                Some(error) => {
                    if matches!(state.failing, Failing::One(..)) {
                        state.events.push(Event::Failed(op.clone()));
                    }
                    Err(io::Error::from_raw_os_error(error))
                }
                None => {
                    state.events.push(Event::Disk(op.clone(), site));
                    Ok(())
                }
            }
        })
    }
}

impl Site {
    fn here(op: &Op) -> Site {
        let trace = Backtrace::force_capture().to_string();
        let mut calls: Vec<String> = Vec::new();
        let mut function = "";
        for line in trace.lines().map(str::trim) {
            let Some(place) = line.strip_prefix("at ") else {
                function = line.split_once(": ").map_or(line, |(_, f)| f);
                continue;
            };
            let place = place.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/")).unwrap_or(place);
            let Some(inside) = place.trim_start_matches("./").strip_prefix("src/") else { continue };
            let file = inside.split(':').next().unwrap_or_default();
            let call = format!("{file} {}", function_name(function));
            if !file.starts_with("disk/") && !call.ends_with(" closure") && calls.last() != Some(&call) {
                calls.push(call);
            }
        }
        calls.truncate(3);
        let what = match op {
            Op::Sync(path) => format!("file {}", class_of(path)),
            Op::SyncDir(path) => format!("directory {}", class_of(path)),
            _ => "everything".to_string(),
        };
        Site { calls: calls.join(" < "), what }
    }
}

/// `<lazaret::store::Store>::deliver::{{closure}}<T>` is `deliver`.
fn function_name(path: &str) -> String {
    let mut plain = String::new();
    let mut depth = 0;
    for c in path.chars() {
        match c {
            '<' | '{' => depth += 1,
            '>' | '}' => depth -= 1,
            c if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    let is_hash = |part: &str| part.len() == 17 && part.starts_with('h');
    let name = plain.rsplit("::").map(str::trim).find(|part| !part.is_empty() && !is_hash(part));
    // A closure in a frame that was inlined has no other name.
    name.unwrap_or("closure").to_string()
}

fn class_of(path: &Path) -> String {
    let parts: Vec<&str> = path.iter().filter_map(|p| p.to_str()).collect();
    let mut class: Vec<&str> = parts.clone();
    if parts.first() == Some(&"mail") {
        for (at, word) in [(1, "<domain>"), (2, "<recipient>"), (3, "<folder>")] {
            if let Some(part) = class.get_mut(at) {
                *part = word;
            }
        }
        if let Some(name) = class.get_mut(5) {
            *name = "<message>";
        }
    }
    if parts.first() == Some(&"queue")
        && let Some(name) = class.get_mut(2)
    {
        *name = "<message>";
    }
    if class.is_empty() { "<data>".to_string() } else { class.join("/") }
}
