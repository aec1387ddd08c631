//! `lazaret show`: one message for people, or byte for byte.

use super::exit::Exit;
use super::output::{Table, clean, fail, print};
use super::store::{waiting_row, waiting_table};
use crate::app::commands::Shown;
use crate::store::journal::COMMON;
use serde_json::Value;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

/// Writes the message as it came, without the trace.
pub fn raw(shown: &Shown) -> Exit {
    let Some(path) = &shown.file else {
        fail("it is in no folder any more; `lazaret show` without --raw says what became of it");
        return Exit::NoInput;
    };
    let copy = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(shown.trace_bytes.into()))?;
        let mut out = io::stdout().lock();
        match io::copy(&mut file, &mut out).and_then(|_| out.flush()) {
            // Whoever read it has seen enough.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            done => done,
        }
    };
    match copy() {
        Ok(()) => Exit::Done,
        Err(e) => {
            fail(format_args!("cannot copy {}: {e}", path.display()));
            Exit::of_io(&e)
        }
    }
}

/// Prints all about it.
pub fn print_all(shown: &Shown) {
    let mut facts: Vec<(&str, String)> = vec![("id", shown.id.clone())];
    if let Some(m) = &shown.message {
        facts.push(("lies in", format!("{} of {}", m.folder, m.recipient)));
        facts.push(("arrived", m.arrived.clone()));
        facts.push(("expires", m.expires.clone().unwrap_or_else(|| "never".to_string())));
        facts.push(("caught as", format!("{} {}", m.class, m.kind)));
        facts.push(("sender", format!("<{}>", m.sender)));
    } else if shown.waiting.is_empty() {
        facts.push(("lies in", "no folder any more; see below".to_string()));
    } else {
        facts.push(("lies in", "the queue; see below".to_string()));
    }
    facts.extend(shown.recipients.iter().map(|recipient| ("recipient", format!("<{recipient}>"))));
    client(shown, &mut facts);
    facts.extend(shown.score.iter().map(|score| ("score", score.clone())));
    facts.extend(shown.reasons.iter().map(|reason| ("reason", reason.clone())));
    if let Some(m) = &shown.message {
        facts.push(("size", format!("{} bytes", m.size)));
        if !m.flags.is_empty() {
            facts.push(("flags", m.flags.join(" ")));
        }
    }
    if let Some(size) = shown.cut_from {
        facts.push(("cut", format!("only the header was kept, of {size} bytes: it cannot be released")));
    }
    facts.extend(shown.file.iter().map(|file| ("file", file.display().to_string())));
    for (what, value) in facts {
        print(format_args!("{what:<10} {}\n", clean(&value)));
    }
    if !shown.waiting.is_empty() {
        let mut table = waiting_table();
        shown.waiting.iter().for_each(|waiting| waiting_row(&mut table, waiting));
        print(format_args!("\nIn the queue:\n{table}"));
    }
    if !shown.journal.is_empty() {
        print(format_args!("\nWhat happened:\n{}", history(&shown.journal)));
    }
    if !shown.header.is_empty() {
        print("\n");
        shown.header.lines().take_while(|line| !line.is_empty()).for_each(|line| {
            // A tab is how long fields are folded.
            print(format_args!("{}\n", clean(&line.replace('\t', "    "))));
        });
    }
}

fn client(shown: &Shown, facts: &mut Vec<(&'static str, String)>) {
    let Some(client) = &shown.client else { return };
    facts.push(("door", client.door.clone()));
    let parts = [("", &client.name), ("", &client.address), ("helo ", &client.helo)];
    let parts: Vec<String> =
        parts.iter().filter_map(|(what, value)| value.as_ref().map(|value| format!("{what}{value}"))).collect();
    if !parts.is_empty() {
        facts.push(("client", parts.join(", ")));
    }
    facts.extend(client.user.iter().map(|user| ("user", user.clone())));
    facts.extend(client.queue_id.iter().map(|id| ("queue id", id.clone())));
}

/// The journal's lines as a table: when, what, by whom, and what else is in them.
fn history(journal: &[Value]) -> Table {
    let mut table = Table::new(&["TIME", "EVENT", "BY", "DETAILS"]);
    for line in journal {
        let text = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default().to_string();
        let more = line.as_object().into_iter().flatten().filter(|(key, _)| !COMMON.contains(&key.as_str()));
        let more = more.map(|(key, value)| match value.as_str() {
            Some(value) => format!("{key} {value}"),
            None => format!("{key} {value}"),
        });
        table.row([text("time"), text("event"), text("by"), more.collect::<Vec<_>>().join(", ")]);
    }
    table
}
