//! The journal: what happened to each message, one JSON object a line, a file a day. For people and programs that ask
//! "where did it go?"; nothing is decided from it, so it is not synced.

mod back;

pub use back::Cursor;

use super::Tally;
use crate::base::{Context, Fault, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// The journal of a data directory.
pub struct Journal {
    directory: PathBuf,
    open: Mutex<Option<(String, File)>>,
    noted: Tally,
}

/// What all lines say; details say other things.
pub const COMMON: [&str; 5] = ["time", "id", "recipient", "event", "by"];

/// One line.
#[derive(Serialize)]
struct Line<'a> {
    time: &'a str,
    id: &'a str,
    recipient: &'a str,
    event: &'a str,
    by: &'a str,
    #[serde(flatten)]
    details: Option<&'a Map<String, Value>>,
}

impl Journal {
    /// In this directory, made when it is first written to.
    pub fn new(directory: PathBuf) -> Journal {
        Journal { directory, open: Mutex::default(), noted: Tally::default() }
    }

    /// How often each event was noted.
    pub fn noted(&self) -> &Tally {
        &self.noted
    }

    /// Notes what happened: when, the message id, whose tree, the event, by whom, and details.
    pub fn note(&self, now: Timestamp, id: &str, tree: &str, event: &str, by: &str, details: Value) {
        self.note_all(now, event, by, std::iter::once((id.to_string(), tree.to_string(), details)));
    }

    /// Notes what happened to several messages at once: the id of each, whose tree, and details.
    pub fn note_all(
        &self,
        now: Timestamp,
        event: &str,
        by: &str,
        messages: impl Iterator<Item = (String, String, Value)>,
    ) {
        let time = now.rfc3339();
        let mut lines = Vec::new();
        for (id, tree, details) in messages {
            self.noted.note(event);
            debug_assert!(details.as_object().is_none_or(|more| COMMON.iter().all(|key| !more.contains_key(*key))));
            let line = Line { time: &time, id: &id, recipient: &tree, event, by, details: details.as_object() };
            // a Vec takes everything
            let _ = serde_json::to_writer(&mut lines, &line);
            lines.push(b'\n');
        }
        if !lines.is_empty()
            && let Err(fault) = self.append(now, &lines)
        {
            log::warn!("the journal misses a line: {fault}");
        }
    }

    fn append(&self, now: Timestamp, lines: &[u8]) -> Result<(), Fault> {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        let day = now.day();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_none_or(|(d, _)| *d != day) {
            let builder = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory);
            builder.during("create the directory", &self.directory)?;
            let path = self.directory.join(format!("{day}.jsonl"));
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path).during("open", &path)?;
            *open = Some((day, file));
        }
        match open.as_mut() {
            // One write of whole lines, so that lines of several processes do not mix.
            Some((_, file)) => file.write_all(lines).during("write to", &self.directory),
            None => Ok(()),
        }
    }

    /// The lines about one message, oldest first, from at most `days` files.
    pub fn about(&self, id: &str, days: usize) -> Vec<Value> {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(&self.directory).into_iter().flatten().flatten().map(|e| e.path()).collect();
        files.sort_unstable();
        let from = files.len().saturating_sub(days);
        files
            .iter()
            .skip(from)
            .filter_map(|path| std::fs::read_to_string(path).ok())
            .flat_map(|text| {
                text.lines()
                    .filter(|line| line.contains(id))
                    .filter_map(|line| serde_json::from_str::<Value>(line).ok())
                    .filter(|v| v.get("id").and_then(Value::as_str) == Some(id))
                    .collect::<Vec<_>>()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::Scratch;
    use serde_json::json;

    #[test]
    fn a_file_a_day_and_found_by_id() {
        let scratch = Scratch::new("journal");
        let journal = Journal::new(scratch.path().join("journal"));
        let day = Timestamp::from_secs(1_700_000_000);
        journal.note(day, "1.M1", "a@x.test", "stored", "lmtp", json!({ "size": 3 }));
        journal.note(
            day.after(std::time::Duration::from_secs(86_400)),
            "1.M1",
            "a@x.test",
            "released",
            "a@x.test",
            json!({ "reply": "250 \"ok\"\n" }),
        );
        journal.note(day, "2.M1", "a@x.test", "stored", "lmtp", Value::Null);
        let lines = journal.about("1.M1", 10);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["size"], 3);
        assert_eq!(lines[1]["reply"], "250 \"ok\"\n");
        assert_eq!(std::fs::read_dir(scratch.path().join("journal")).unwrap().count(), 2);
    }
}
