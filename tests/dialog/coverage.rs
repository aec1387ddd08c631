//! Every command, and every extension that is announced, stands in a dialog: in each state in which it may come it is
//! understood, in each other it is refused. The states are found from the answers, the rules from the commands' own table.

use super::{all, direct};
use lazaret::imap::commands::{COMMANDS, Command, States};
use std::collections::{BTreeMap, BTreeSet};

const STATES: [(States, &str); 3] =
    [(States::NOBODY, "before login"), (States::USER, "logged in"), (States::OPEN, "with a folder open")];

/// What shows that an extension is used: a command (or the same with UID), and words in it, one after another.
const EXTENSIONS: &[(&str, &str, &[&str])] = &[
    ("ACL", "GETACL", &[]),
    ("APPENDLIMIT", "STATUS", &["APPENDLIMIT"]),
    ("AUTH=LOGIN", "AUTHENTICATE", &["LOGIN"]),
    ("AUTH=PLAIN", "AUTHENTICATE", &["PLAIN"]),
    ("AUTH=SCRAM-SHA-256", "AUTHENTICATE", &["SCRAM-SHA-256"]),
    ("BINARY", "FETCH", &["BINARY"]),
    ("CHILDREN", "LIST", &["CHILDREN"]),
    ("COMPRESS=DEFLATE", "COMPRESS", &["DEFLATE"]),
    ("CONDSTORE", "FETCH", &["CHANGEDSINCE"]),
    ("CONTEXT=SEARCH", "SEARCH", &["UPDATE"]),
    ("ENABLE", "ENABLE", &[]),
    ("ESEARCH", "SEARCH", &["RETURN ("]),
    ("ESORT", "SORT", &["RETURN ("]),
    ("I18NLEVEL=1", "SORT", &["(SUBJECT"]),
    ("ID", "ID", &[]),
    ("IDLE", "IDLE", &[]),
    ("IMAP4rev1", "CAPABILITY", &[]),
    ("IMAP4rev2", "ENABLE", &["IMAP4REV2"]),
    ("LIST-EXTENDED", "LIST", &["RETURN ("]),
    ("LIST-MYRIGHTS", "LIST", &["RETURN (", "MYRIGHTS"]),
    ("LIST-STATUS", "LIST", &["RETURN (", "STATUS ("]),
    ("LITERAL+", "STATUS", &["+}"]),
    ("LOGINDISABLED", "LOGIN", &[]),
    ("MOVE", "MOVE", &[]),
    ("MULTIAPPEND", "APPEND", &["{", "{"]),
    ("NAMESPACE", "NAMESPACE", &[]),
    ("NOTIFY", "NOTIFY", &["SET"]),
    ("OBJECTID", "FETCH", &["EMAILID"]),
    ("PARTIAL", "SEARCH", &["PARTIAL"]),
    ("PREVIEW", "FETCH", &["PREVIEW"]),
    ("QRESYNC", "SELECT", &["QRESYNC"]),
    ("QUOTA", "GETQUOTAROOT", &[]),
    ("QUOTA=RES-MESSAGE", "SETQUOTA", &["MESSAGE"]),
    ("QUOTA=RES-STORAGE", "SETQUOTA", &["STORAGE"]),
    ("RIGHTS=kxte", "MYRIGHTS", &[]),
    ("SASL-IR", "AUTHENTICATE", &["PLAIN", "AG"]),
    ("SAVEDATE", "FETCH", &["SAVEDATE"]),
    ("SEARCH=FUZZY", "SEARCH", &["FUZZY"]),
    ("SEARCHRES", "SEARCH", &["SAVE"]),
    ("SORT", "SORT", &[]),
    ("SORT=DISPLAY", "SORT", &["(DISPLAY"]),
    ("SPECIAL-USE", "LIST", &["SPECIAL-USE"]),
    ("STARTTLS", "STARTTLS", &[]),
    ("STATUS=SIZE", "STATUS", &["SIZE"]),
    ("THREAD=ORDEREDSUBJECT", "THREAD", &["ORDEREDSUBJECT"]),
    ("THREAD=REFERENCES", "THREAD", &["REFERENCES"]),
    ("THREAD=REFS", "THREAD", &["REFS"]),
    ("UIDPLUS", "UID EXPUNGE", &[]),
    ("UNSELECT", "UNSELECT", &[]),
    ("UTF8=ACCEPT", "ENABLE", &["UTF8=ACCEPT"]),
    ("WITHIN", "SEARCH", &["YOUNGER"]),
];

/// A command that was answered.
struct Answered {
    /// Index into `STATES`.
    state: usize,
    name: String,
    /// All of it, literals too, in upper case.
    text: String,
    bad: bool,
}

/// The commands of one connection, each in the state that the answers before it had led to.
fn answered(said: &direct::Said, into: &mut Vec<Answered>) {
    let sent = String::from_utf8_lossy(&said.sent).to_uppercase();
    let lines: Vec<&str> = sent.lines().collect();
    let came = String::from_utf8_lossy(&said.came).into_owned();
    let mut found = Vec::new();
    let (mut next, mut state) = (0, 0);
    for line in came.lines() {
        let mut words = line.splitn(3, ' ');
        let (Some(tag), Some(result)) = (words.next(), words.next()) else { continue };
        let tag = tag.to_uppercase();
        let is_result = matches!(result, "OK" | "NO" | "BAD");
        let at = (next..lines.len()).find(|&i| lines[i].split(' ').next() == Some(&tag));
        let Some(at) = at.filter(|_| is_result) else { continue };
        next = at + 1;
        let mut words = lines[at].split(' ').skip(1);
        let mut name = words.next().unwrap_or_default().to_string();
        if name == "UID" {
            name = format!("UID {}", words.next().unwrap_or_default());
        }
        found.push((at, state, name.clone(), result == "BAD"));
        state = match (name.as_str(), result) {
            ("LOGIN" | "AUTHENTICATE", "OK") => 1,
            ("SELECT" | "EXAMINE", "OK") => 2,
            ("SELECT" | "EXAMINE", "NO") | ("CLOSE" | "UNSELECT", "OK") => 1,
            _ => state,
        };
    }
    let ends: Vec<usize> = found.iter().skip(1).map(|(at, ..)| *at).chain([lines.len()]).collect();
    for ((at, state, name, bad), end) in found.into_iter().zip(ends) {
        into.push(Answered { state, name, text: lines[at..end].join("\n"), bad });
    }
}

/// Whether the words stand in the text, one after another.
fn contains(text: &str, words: &[&str]) -> bool {
    let mut rest = text;
    words.iter().all(|word| {
        let found = rest.find(word);
        rest = found.map_or("", |at| &rest[at + word.len()..]);
        found.is_some()
    })
}

/// What is missing: the command, in which form, in the states in which no dialog has it.
fn missing(all: &[Answered], what: &str, command: &Command, words: &[&str]) -> Vec<String> {
    let is_it = |a: &Answered| a.name == command.name || a.name.strip_prefix("UID ") == Some(command.name);
    let check = |(i, (state, place)): (usize, &(States, &str))| {
        let wanted = command.states.has(*state);
        let is_there = all.iter().any(|a| a.state == i && is_it(a) && a.bad != wanted && contains(&a.text, words));
        let should = if wanted { "understood" } else { "refused with BAD" };
        (!is_there).then(|| format!("{what}: no dialog has {} {words:?} {should} {place}", command.name))
    };
    STATES.iter().enumerate().filter_map(check).collect()
}

#[test]
fn every_command_and_extension_in_every_state() {
    let mut commands = Vec::new();
    let mut announced = BTreeSet::new();
    for (name, parts) in all() {
        for part in &parts {
            let mut said = BTreeMap::new();
            direct::record(part, usize::MAX, &mut said).unwrap_or_else(|why| panic!("{name}: {why}"));
            for said in said.values() {
                answered(said, &mut commands);
                let came = String::from_utf8_lossy(&said.came).into_owned();
                let words =
                    came.lines().filter_map(|line| line.strip_prefix("* CAPABILITY ")).flat_map(str::split_whitespace);
                announced
                    .extend(words.map(|word| word.split_once("LIMIT=").map_or(word, |_| "APPENDLIMIT").to_string()));
            }
        }
    }
    let listed: BTreeSet<String> = EXTENSIONS.iter().map(|(name, ..)| name.to_string()).collect();
    assert_eq!(announced, listed, "what dialogs were told is announced, and the table above");
    let mut gaps: Vec<String> =
        COMMANDS.iter().flat_map(|command| missing(&commands, command.name, command, &[])).collect();
    for (what, name, words) in EXTENSIONS {
        let command = Command::by_name(name.as_bytes()).unwrap_or_else(|| panic!("{what}: there is no {name}"));
        gaps.extend(missing(&commands, what, command, words));
    }
    assert!(gaps.is_empty(), "{} gaps:\n{}", gaps.len(), gaps.join("\n"));
}

#[test]
fn a_gap_is_noticed() {
    let mut commands = Vec::new();
    let mut said = BTreeMap::new();
    let script = "login\nopen Caught\nC: a UID MOVE 11 Trash\nS: * OK *\nS: * 1 EXPUNGE\nS: a OK *\n\
                  C: b CLOSE\nS: b OK *\nC: c MOVE 1 Trash\nS: c BAD *";
    direct::record(script, usize::MAX, &mut said).expect("the dialog holds");
    said.values().for_each(|said| answered(said, &mut commands));
    let states: Vec<_> = commands.iter().map(|a| (a.name.as_str(), a.state, a.bad)).collect();
    let wanted =
        [("LOGIN", 0, false), ("SELECT", 1, false), ("UID MOVE", 2, false), ("CLOSE", 2, false), ("MOVE", 1, true)];
    assert_eq!(states, wanted);
    let command = Command::by_name(b"MOVE").expect("it is there");
    let gaps = missing(&commands, "MOVE", command, &[]);
    assert_eq!(gaps, ["MOVE: no dialog has MOVE [] refused with BAD before login"]);
    assert_eq!(missing(&commands, "x", command, &["SPAM"]).len(), 3);
}
