//! Every dialog of `tests/dialog/imap`, with its input whole, byte by byte and in odd chunks.

#[path = "../dialog/codec.rs"]
mod codec;
#[path = "../dialog/coverage.rs"]
mod coverage;
#[path = "../dialog/direct.rs"]
mod direct;
#[path = "../dialog/fake.rs"]
pub mod fake;
#[path = "../dialog/model.rs"]
mod model;
#[path = "../dialog/oracle.rs"]
pub mod oracle;
#[path = "../dialog/script.rs"]
pub mod script;
#[path = "../dialog/search.rs"]
mod search;
#[path = "../dialog/world.rs"]
pub mod world;

use lazaret::base::Timestamp;
use lazaret::imap::{Options, Tls};
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Every file's name and its dialogs.
pub fn all() -> Vec<(String, Vec<String>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialog/imap");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("the dialogs are there").flatten().map(|e| e.path()).collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).expect("a dialog is UTF-8");
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        (name, text.split("\n---\n").map(str::to_string).collect())
    };
    paths.iter().map(read).collect()
}

#[test]
fn dialogs() {
    let mut failed = Vec::new();
    let mut count = 0;
    for (name, parts) in all() {
        for (i, part) in parts.iter().enumerate() {
            for chunk in [usize::MAX, 1, 7, 64] {
                count += 1;
                if let Err(why) = direct::run(part, chunk) {
                    let title = part.lines().find(|l| l.starts_with('#')).unwrap_or_default();
                    failed.push(format!("{name} part {}, chunks of {chunk}: {title}\n  {why}", i + 1));
                    break;
                }
            }
        }
    }
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
    assert!(count > 100, "only {count} runs");
}

#[test]
fn a_runner_that_notices() {
    for wrong in ["S: * BAD *", "S: * OK *\nS: a OK *", "S: * OK *\nC: a NOOP", "S: * OK *\nC: a NOOP\nS: b OK *"] {
        assert!(direct::run(wrong, 1).is_err(), "{wrong}");
    }
    assert!(oracle::check(b"* 1 FETCH (NOSUCH 1)\r\n").is_err());
    assert!(oracle::check(b"a OK [NOSUCH] x\r\n").is_err());
    assert!(oracle::check(b"* NOSUCH\r\n").is_err());
    for wrong in [
        "",
        " (TAG \"a\") MIN",
        " (TAG \"a\")UID",
        " (TAG \"a\") ALL 1,",
        " (TAG \"a\") ALL 1 ALL 2",
        " (TAG \"a\") COUNT x",
    ] {
        assert!(oracle::check(format!("* ESEARCH{wrong}\r\n").as_bytes()).is_err(), "{wrong}");
    }
    assert!(oracle::check(b"* SEARCH 1 (MODSEQ 0)\r\n").is_err());
    assert!(oracle::check(b"* OK [X]\xc3\xa4\r\n").is_err());
}

#[test]
fn commands_of_another_library_are_understood() {
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut seen = BTreeMap::<String, u32>::new();
    for _ in 0..60_000 {
        let random: Vec<u8> = std::iter::repeat_with(|| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed >> 32) as u8
        })
        .take(300)
        .collect();
        if let Some((name, command, bytes)) = codec::command(&random) {
            *seen.entry(name).or_default() += 1;
            let refused = codec::refused(&bytes);
            assert!(refused.is_none(), "{refused:?}: {} {command}", String::from_utf8_lossy(&bytes));
        }
    }
    assert!(seen.len() >= 25 && seen.values().sum::<u32>() > 5_000, "{seen:?}");
}

/// One connection that gets anything at all; what it was sent.
fn anything(input: &[u8], chunk: usize) -> Vec<u8> {
    let world = Rc::new(RefCell::new(world::World::new()));
    let options = Options { tls: Tls::Offered, plain_login: true, scram: false, host: "h".into() };
    let mut peer = fake::Peer::new(world, options);
    let now = Timestamp::from_secs(1_700_000_000);
    peer.run(now);
    peer.send(b"a LOGIN alice secret\r\nb SELECT Caught\r\n", usize::MAX, now);
    peer.send(input, chunk, now);
    peer.sent
}

fn input() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        4 => prop::sample::select(vec![
            "a ", "NOOP", "FETCH ", "UID ", "1:* ", "SEARCH ", "STORE ", "COPY ", "(", ")", "\r\n", "\r\n", "\r\n", "\n",
            "{3}", "{3+}\r\n", "{70000+}\r\n", "abc", "\"", "\\", "FLAGS ", "BODY[", "]", "<0.5>", "APPEND ", "Trash ",
            "IDLE", "DONE", "LIST ", "\"\" ", "*", "%", "NOT ", "OR ", "TEXT ", "HEADER ", "1 ", "MOVE ", "EXPUNGE",
            "(\\Deleted)", "STATUS ", "SELECT ", "Caught", "CLOSE", "AUTHENTICATE PLAIN", "=",
            "SORT ", "(SUBJECT)", "UTF-8 ", "THREAD ", "REFERENCES ", "RETURN ", "(ALL SAVE)", "(UPDATE COUNT) ", "$ ", "ALL",
        ]).prop_map(|s| s.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(token, 0..60).prop_map(|tokens| tokens.concat())
}

fn deed() -> impl Strategy<Value = model::Deed> {
    use model::{Command, Deed};
    let command = prop_oneof![
        1 => Just(Command::Noop),
        1 => Just(Command::Fetch),
        1 => Just(Command::Body),
        1 => Just(Command::Search),
        1 => Just(Command::Expunge),
        1 => Just(Command::Move),
        1 => Just(Command::IdleBriefly),
        8 => (any::<bool>(), any::<bool>(), any::<bool>(), 0usize..3)
            .prop_map(|(silent, uid, add, flag)| Command::Store { silent, uid, add, flag }),
    ];
    prop_oneof![
        5 => (0usize..2, command, 0usize..20).prop_map(|(who, what, number)| Deed::Command { who, what, number }),
        2 => Just(Deed::Deliver),
        1 => (0usize..20).prop_map(Deed::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn clients_know_what_there_is(deeds in prop::collection::vec(deed(), 0..60)) {
        model::check(&deeds);
    }

    #[test]
    fn chunks_change_nothing(input in input(), chunk in 1usize..20) {
        let whole = anything(&input, usize::MAX);
        let cut = anything(&input, chunk);
        prop_assert_eq!(String::from_utf8_lossy(&cut), String::from_utf8_lossy(&whole));
        // a SEARCH or a literal may be cut off by the end of the input, never by anything else
        prop_assert_eq!(oracle::check(&whole).err(), None);
    }
}
