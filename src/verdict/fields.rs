//! What an earlier filter wrote into a message's header.
//!
//! Anybody can write such fields. Those of a filter are read only where the configuration says that it has seen every
//! message, and only where it is known to have removed, or to stand above, what a stranger wrote: see [`Stands`].

use super::reasons::sorted;
use super::{Action, Filter, Reason, Verdict, kinds, points, spamd};
use crate::base::limits;
use crate::mail::header;
use crate::mail::trace::Client;
use crate::mail::{Address, Kind};
use std::borrow::Cow;

/// What the believed fields of a message say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Heard {
    /// The verdict; its action is `Mark` or `Pass`, since the message was not refused.
    pub verdict: Verdict,
    /// The reverse-path, where the filter sends with one of its own: "" for the null sender.
    pub sender: Option<String>,
    /// The id under which the filter's log has it.
    pub id: Option<String>,
}

impl Heard {
    /// What a door files: the score and the reasons. What it was told otherwise is corrected: spam may be known to be worse,
    /// and the filter knows sender and id where it hands over messages in its own name.
    pub fn file(&self, kind: &mut Kind, sender: &mut String, client: &mut Client) -> (Option<String>, Vec<String>) {
        *kind = self.verdict.kind_at(*kind);
        if let Some(known) = &self.sender {
            sender.clone_from(known);
        }
        if client.queue_id.is_none() {
            client.queue_id.clone_from(&self.id);
        }
        (self.verdict.score_line(), self.verdict.reason_lines())
    }
}

/// Where a field must stand to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// Alone: the filter removes what it finds, so of two none is believed.
    Alone,
    /// Above the first Received: the filter removes nothing, and hands the message to us itself.
    OnTop,
}

/// One field that a filter writes.
struct Rule {
    name: &'static str,
    filters: &'static [Filter],
    stands: Stands,
    read: fn(&Value<'_>, &mut Notes),
}

/// All that is read, from the most telling field on: what is known already is not replaced.
const RULES: &[Rule] = &[
    // rspamd's milter_headers with `extended_spam_headers`: `default: True [21.30 / 15.00]; SYMBOL(1.00)[options]; …`
    Rule { name: "X-Spamd-Result", filters: &[Filter::Rspamd], stands: Stands::Alone, read: spamd_result },
    Rule { name: "X-Virus", filters: &[Filter::Rspamd], stands: Stands::Alone, read: virus },
    // amavis: `INFECTED, message contains virus: …`, `BANNED, message contains …`, `BAD HEADER SECTION, …`
    Rule { name: "X-Amavis-Alert", filters: &[Filter::Amavis], stands: Stands::OnTop, read: amavis_alert },
    Rule { name: "X-Quarantine-ID", filters: &[Filter::Amavis], stands: Stands::OnTop, read: quarantine_id },
    Rule { name: "X-Envelope-From", filters: &[Filter::Amavis], stands: Stands::OnTop, read: envelope_from },
    // SpamAssassin's table of points (`report_safe 0`): `* 1.3 RULE words`
    Rule { name: "X-Spam-Report", filters: SA, stands: Stands::Alone, read: spam_report },
    // `Yes, score=7.2 required=5.0 tests=A,B …`; amavis: `Yes, score=7.2 tag=2 tag2=5 kill=6 tests=[A=1.2, B=0.1] …`
    Rule { name: "X-Spam-Status", filters: SA, stands: Stands::Alone, read: spam_status },
    Rule { name: "X-Spam-Score", filters: SA, stands: Stands::Alone, read: spam_score },
    Rule { name: "X-Spam-Flag", filters: SA, stands: Stands::Alone, read: spam_flag },
    // clamav-milter with `AddHeader Replace`: `Infected (Eicar)`, or `Clean`
    Rule { name: "X-Virus-Status", filters: &[Filter::ClamAv], stands: Stands::Alone, read: virus_status },
];

const SA: &[Filter] = &[Filter::SpamAssassin, Filter::Amavis];

/// Reads the fields of these filters in a header block. `None`: there is none.
pub fn read(block: &[u8], believed: &[Filter]) -> Option<Heard> {
    if believed.is_empty() {
        return None;
    }
    let mut found: Vec<(&Rule, Value<'_>, bool)> = Vec::new();
    let mut is_top = true;
    for field in header::fields(block).take(limits::VERDICT_FIELDS) {
        is_top &= !field.is(b"received");
        let known = RULES.iter().find(|rule| field.is(rule.name.as_bytes()));
        let rule = known.filter(|rule| rule.filters.iter().any(|filter| believed.contains(filter)));
        found.extend(rule.map(|rule| (rule, Value::of(field.value), is_top)));
    }
    let mut notes = Notes::default();
    let mut is_any = false;
    for rule in RULES {
        let mut values = found.iter().filter(|(of, ..)| of.name == rule.name);
        let value = match rule.stands {
            Stands::Alone => values.next().filter(|_| values.next().is_none()),
            Stands::OnTop => values.find(|(_, _, is_top)| *is_top),
        };
        if let Some((_, value, _)) = value {
            (rule.read)(value, &mut notes);
            is_any = true;
        }
    }
    is_any.then(|| notes.heard())
}

/// A field's value.
struct Value<'a> {
    /// On one line.
    line: String,
    /// As it is folded.
    folded: Cow<'a, str>,
}

impl<'a> Value<'a> {
    fn of(value: &'a [u8]) -> Value<'a> {
        let value = value.get(..limits::FIELD_BYTES).unwrap_or(value);
        let line = String::from_utf8_lossy(&header::unfold(value)).replace(|c: char| c.is_control(), " ");
        Value { line: line.trim().to_string(), folded: String::from_utf8_lossy(value) }
    }
}

/// What was read so far.
#[derive(Default)]
struct Notes {
    is_spam: bool,
    score: Option<f64>,
    required: Option<f64>,
    reasons: Vec<Reason>,
    kind: Option<Kind>,
    sender: Option<String>,
    id: Option<String>,
}

impl Notes {
    /// One rule more; of one that two fields name, each tells what the other does not.
    fn reason(&mut self, reason: Option<Reason>) {
        let Some(reason) = reason else { return };
        let has_room = self.reasons.len() < limits::VERDICT_REASONS * 2;
        let known = self.reasons.iter_mut().find(|known| !known.name.is_empty() && known.name == reason.name);
        match known {
            Some(known) => {
                known.score = known.score.or(reason.score);
                if known.text.is_empty() {
                    known.text = reason.text;
                }
            }
            None if has_room => self.reasons.push(reason),
            None => {}
        }
    }

    fn heard(self) -> Heard {
        let reasons = sorted(self.reasons);
        let verdict = Verdict {
            action: if self.is_spam { Action::Mark } else { Action::Pass },
            score: self.score,
            required: self.required,
            kind: self.kind.unwrap_or_else(|| kinds::of(&reasons)),
            reasons,
            ..Verdict::default()
        };
        Heard { verdict, sender: self.sender, id: self.id }
    }
}

fn spamd_result(value: &Value<'_>, notes: &mut Notes) {
    let Some((metric, rest)) = value.line.split_once('[') else { return };
    let Some((numbers, mut rest)) = rest.split_once(']') else { return };
    notes.is_spam |= metric.contains("True");
    if let Some((score, required)) = numbers.split_once('/') {
        notes.score = notes.score.or_else(|| points(score));
        notes.required = notes.required.or_else(|| points(required));
    }
    // Options may hold semicolons; a symbol ends where its brackets do.
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_') {
        rest = rest.get(start..).unwrap_or_default();
        let Some((name, after)) = rest.split_once('(') else { return };
        let Some((score, after)) = after.split_once(')') else { return };
        let (text, after) = match after.strip_prefix('[') {
            Some(options) => options.split_once("];").or_else(|| options.rsplit_once(']')).unwrap_or((options, "")),
            None => ("", after),
        };
        notes.reason(Reason::of(name, points(score), text.trim_end_matches(']')));
        rest = after;
    }
}

fn virus(value: &Value<'_>, notes: &mut Notes) {
    notes.kind = Some(Kind::Virus);
    notes.reason(Reason::plain(&value.line));
}

fn virus_status(value: &Value<'_>, notes: &mut Notes) {
    if value.line.to_ascii_lowercase().starts_with("infected") {
        virus(value, notes);
    }
}

fn amavis_alert(value: &Value<'_>, notes: &mut Notes) {
    let kind = match value.line.split([',', ' ']).next() {
        Some("INFECTED") => Some(Kind::Virus),
        Some("BANNED") => Some(Kind::Banned),
        Some("BAD") => Some(Kind::Policy),
        _ => None,
    };
    notes.kind = notes.kind.or(kind);
    notes.reason(Reason::plain(&value.line));
}

fn quarantine_id(value: &Value<'_>, notes: &mut Notes) {
    let id = value.line.trim_start_matches('<').trim_end_matches('>');
    notes.id = Some(super::line(id, limits::VERDICT_NAME)).filter(|id| !id.is_empty());
}

fn envelope_from(value: &Value<'_>, notes: &mut Notes) {
    let path = value.line.strip_prefix('<').and_then(|path| path.strip_suffix('>'));
    notes.sender = match path {
        Some("") => Some(String::new()),
        Some(path) => Address::parse(path).ok().map(|address| address.to_string()),
        None => None,
    };
}

fn spam_report(value: &Value<'_>, notes: &mut Notes) {
    // Else it is a whole report, in which words of the message stand, too.
    let is_table =
        value.folded.lines().map(str::trim_start).find(|line| !line.is_empty()).is_some_and(|l| l.starts_with('*'));
    if !is_table {
        return spamd::report(&value.folded).into_iter().for_each(|reason| notes.reason(Some(reason)));
    }
    let mut last: Option<Reason> = None;
    for line in value.folded.lines().filter_map(|line| line.trim_start().strip_prefix('*')) {
        match spamd::row(line) {
            Some(reason) => notes.reason(last.replace(reason)),
            None => {
                if let Some(last) = &mut last {
                    last.text = super::line(&format!("{} {}", last.text, line.trim()), limits::VERDICT_TEXT);
                }
            }
        }
    }
    notes.reason(last);
}

fn spam_status(value: &Value<'_>, notes: &mut Notes) {
    let text = &value.line;
    notes.is_spam |= text.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("yes"));
    let part = |key: &str| {
        let at = text
            .match_indices(key)
            .find(|(at, _)| text.get(..*at).is_none_or(|b| !b.ends_with(char::is_alphanumeric)))?
            .0;
        text.get(at + key.len()..)
    };
    // amavis writes `5.1..6.2` when recipients' scores differ.
    let number = |key: &str| points(part(key)?.split([' ', ',', ';']).next()?.rsplit("..").next()?);
    notes.score = notes.score.or_else(|| number("score=").or_else(|| number("hits=")));
    notes.required = notes.required.or_else(|| number("required=").or_else(|| number("tag2=")));
    let tests = part("tests=").unwrap_or_default();
    let tests = match tests.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or_default(),
        // The list was folded behind its commas; another word with `=` ends it.
        None => tests.split(" autolearn").next().and_then(|list| list.split(" version=").next()).unwrap_or_default(),
    };
    for test in tests.split(',').map(str::trim).filter(|test| *test != "none") {
        let (name, score) = test.split_once('=').unwrap_or((test, ""));
        let name = name.split(' ').next().unwrap_or_default();
        notes.reason(Reason::of(name, points(score), ""));
    }
}

fn spam_score(value: &Value<'_>, notes: &mut Notes) {
    // Some write stars, or the threshold, behind the number.
    notes.score = notes.score.or_else(|| points(value.line.split([' ', '/', '(']).next()?));
}

fn spam_flag(value: &Value<'_>, notes: &mut Notes) {
    notes.is_spam |= value.line.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("yes"));
}
