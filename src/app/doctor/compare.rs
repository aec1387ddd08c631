//! What a filter says that it rejected, against what arrived here, by Message-ID.

use super::message::is_test;
use crate::base::{Timestamp, limits};
use crate::store::journal::Journal;
use serde_json::Value;
use std::collections::HashSet;
use std::fmt;

/// A message that rspamd rejected.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejected {
    /// Its Message-ID without brackets; "" when it had none.
    pub message_id: String,
    /// When, in seconds since 1970.
    pub at: u64,
    /// Envelope recipients, as far as rspamd says.
    pub recipients: Vec<String>,
}

/// Reads the history of rspamd's controller: rows in an object, or in an array as older versions have it.
pub fn rejected(history: &[u8]) -> Result<Vec<Rejected>, String> {
    let value: Value = serde_json::from_slice(history).map_err(|e| format!("its history is no JSON: {e}"))?;
    let rows = value.get("rows").unwrap_or(&value).as_array().ok_or("its history has no rows")?;
    let text = |row: &Value, key: &str| row.get(key).and_then(Value::as_str).map(str::to_string);
    let read = |row: &Value| Rejected {
        message_id: bare(&text(row, "message-id").or_else(|| text(row, "id")).unwrap_or_default()).to_string(),
        at: row.get("unix_time").and_then(Value::as_f64).unwrap_or(0.0) as u64,
        recipients: {
            let listed = row.get("rcpt_smtp").and_then(Value::as_array).into_iter().flatten();
            // A long list ends in "...".
            listed.filter_map(Value::as_str).filter(|to| to.contains('@')).map(str::to_string).collect()
        },
    };
    Ok(rows.iter().filter(|row| text(row, "action").as_deref() == Some("reject")).map(read).collect())
}

/// A Message-ID without its brackets; "" for what rspamd writes in place of one.
fn bare(id: &str) -> &str {
    let id = id.trim().trim_start_matches('<').trim_end_matches('>');
    if id == "undef" { "" } else { id }
}

/// What arrived here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arrived {
    /// Message-IDs without brackets.
    ids: HashSet<String>,
    /// From then on all are known, as RFC 3339 has it; `None`: the journal is empty.
    from: Option<String>,
}

impl Arrived {
    /// Reads the journal from its end, as far as it says Message-IDs.
    pub fn read(journal: &Journal) -> Arrived {
        let mut arrived = Arrived::default();
        journal.back(None, limits::DOCTOR_JOURNAL, |line| arrived.take(line));
        arrived
    }

    /// `false`: what is older is not known.
    fn take(&mut self, line: &str) -> bool {
        let Ok(value) = serde_json::from_str::<Value>(line) else { return true };
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        if text("event") == Some("stored") {
            // Older versions did not note it.
            let Some(id) = text("message_id") else { return false };
            self.ids.insert(bare(id).to_string());
        }
        self.from = text("time").map(str::to_string).or(self.from.take());
        true
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Rejected messages that were compared.
    pub compared: usize,
    /// Of them, those that arrived here.
    pub here: usize,
    /// The others, by Message-ID, with the first recipient.
    pub missing: Vec<String>,
    /// Rejected before the journal says what arrived.
    pub older: usize,
    /// Without a Message-ID.
    pub nameless: usize,
    /// For nobody whose mail is kept here.
    pub elsewhere: usize,
}

/// Compares. `is_ours`: whether an address is one whose mail is kept here.
pub fn compare(rejected: &[Rejected], arrived: &Arrived, is_ours: impl Fn(&str) -> bool) -> Comparison {
    let mut told = Comparison::default();
    let mut seen = HashSet::new();
    for message in rejected.iter().filter(|message| !is_test(&message.message_id)) {
        let is_older = arrived.from.as_ref().is_none_or(|from| Timestamp::from_secs(message.at).rfc3339() < *from);
        if !message.recipients.is_empty() && !message.recipients.iter().any(|to| is_ours(to)) {
            told.elsewhere += 1;
        } else if is_older {
            told.older += 1;
        } else if message.message_id.is_empty() {
            told.nameless += 1;
        } else if seen.insert(&message.message_id) {
            // A sender who comes again, or a mail server that asks twice, is one message.
            told.compared += 1;
            if arrived.ids.contains(&message.message_id) {
                told.here += 1;
            } else {
                let to = message.recipients.first().map(|to| format!(" to <{to}>")).unwrap_or_default();
                let when = Timestamp::from_secs(message.at).rfc3339();
                told.missing.push(format!("<{}>{to} at {when}", message.message_id));
            }
        }
    }
    told
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "of {} messages that rspamd rejected lately {} arrived here", self.compared, self.here)?;
        let left = [
            (self.older, "from before the journal says what arrived"),
            (self.nameless, "without a Message-ID"),
            (self.elsewhere, "for other domains"),
        ];
        let left: Vec<String> = left.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        if !left.is_empty() {
            write!(f, " (not compared: {})", left.join(", "))?;
        }
        if !self.missing.is_empty() {
            let some: Vec<&str> = self.missing.iter().take(limits::DOCTOR_MISSING).map(String::as_str).collect();
            let more = if self.missing.len() > some.len() { ", …" } else { "" };
            write!(f, "; missing: {}{more}", some.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T: u64 = 1_800_000_000;

    fn line(event: &str, at: u64, id: Option<&str>) -> String {
        let mut line = serde_json::json!({ "time": Timestamp::from_secs(at).rfc3339(), "id": "1.M1", "event": event });
        if let Some(id) = id {
            line["message_id"] = id.into();
        }
        line.to_string()
    }

    /// From lines, the oldest first.
    fn arrived(lines: &[String]) -> Arrived {
        let mut arrived = Arrived::default();
        lines.iter().rev().all(|line| arrived.take(line));
        arrived
    }

    fn row(id: &str, at: u64, to: &str) -> Rejected {
        let recipients = if to.is_empty() { Vec::new() } else { vec![to.to_string()] };
        Rejected { message_id: id.to_string(), at, recipients }
    }

    #[test]
    fn both_forms_of_the_history_are_read() {
        let rows = format!(
            r#"[{{"message-id":"a@x","action":"reject","unix_time":{T}.5,"rcpt_smtp":["alice@example.org","..."]}},
                {{"message-id":"b@x","action":"no action","unix_time":{T}}},
                {{"id":"undef","action":"reject","unix_time":{T}}}]"#
        );
        let expected = [row("a@x", T, "alice@example.org"), row("", T, "")];
        assert_eq!(rejected(rows.as_bytes()).unwrap(), expected);
        assert_eq!(rejected(format!(r#"{{"version":2,"rows":{rows}}}"#).as_bytes()).unwrap(), expected);
        for bad in ["", "{}", "\"no\"", "<html>"] {
            assert!(rejected(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_did_not_arrive_is_named() {
        let arrived = arrived(&[
            line("stored", T, Some("<a@x>")),
            line("released", T + 5, None),
            line("stored", T + 10, Some("")),
        ]);
        let rejected = [
            row("a@x", T + 1, "alice@example.org"),
            row("a@x", T + 2, "alice@example.org"),
            row("b@x", T + 3, "alice@example.org"),
            row("c@x", T + 3, "carol@elsewhere.test"),
            row("", T + 3, "alice@example.org"),
            row("old@x", T - 1, "alice@example.org"),
            row("lazaret-doctor.1@mx", T + 3, "alice@example.org"),
        ];
        let told = compare(&rejected, &arrived, |to| to.ends_with("@example.org"));
        assert_eq!((told.compared, told.here, told.older, told.nameless, told.elsewhere), (2, 1, 1, 1, 1));
        assert_eq!(told.missing.len(), 1);
        let text = told.to_string();
        assert!(
            text.starts_with("of 2 messages that rspamd rejected lately 1 arrived here (not compared: 1 from"),
            "{text}"
        );
        assert!(text.contains("; missing: <b@x> to <alice@example.org> at 20"), "{text}");
    }

    #[test]
    fn lines_of_older_versions_end_what_is_known() {
        let lines = [line("stored", T, None), line("stored", T + 10, Some("<a@x>"))];
        let told = compare(&[row("before@x", T, ""), row("b@x", T + 11, "")], &arrived(&lines), |_| true);
        assert_eq!((told.older, told.missing.len()), (1, 1));
        let told = compare(&[row("b@x", T, "")], &Arrived::default(), |_| true);
        assert_eq!((told.older, told.compared), (1, 0), "nothing is known");
    }

    #[test]
    fn a_long_list_is_cut() {
        let rejected: Vec<Rejected> = (0..50).map(|n| row(&format!("{n}@x"), T, "")).collect();
        let told = compare(&rejected, &arrived(&[line("expired", T, None)]), |_| true);
        assert_eq!(told.missing.len(), 50);
        assert_eq!(told.to_string().matches("@x>").count(), limits::DOCTOR_MISSING);
    }

    proptest! {
        #[test]
        fn any_history_and_any_journal_are_read(history: Vec<u8>, lines: Vec<String>) {
            let _ = rejected(&history);
            arrived(&lines);
        }
    }
}
