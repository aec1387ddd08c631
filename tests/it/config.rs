//! Configurations that are wrong, each in its way: what the program says of them is compared to the letter.
//!
//! `tests/config/bad/WHY/` holds `lazaret.toml` and `expected`, the error as it is printed. Paths in it count from that
//! directory. To see what a new case says: write `expected` empty and run the test.

use lazaret::app::config::Config;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn gallery() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/bad")
}

/// What is said of each case, and what was expected.
fn cases() -> BTreeMap<String, (String, String)> {
    let mut cases = BTreeMap::new();
    for entry in fs::read_dir(gallery()).unwrap() {
        let directory = entry.unwrap().path();
        let file = directory.join("lazaret.toml");
        let said = match Config::load(&file).and_then(|config| config.check_files()) {
            Ok(()) => "nothing".to_string(),
            Err(error) => error.to_string().replace(&format!("{}/", directory.display()), ""),
        };
        let expected = fs::read_to_string(directory.join("expected")).unwrap_or_default();
        let name = directory.file_name().unwrap().to_string_lossy().into_owned();
        cases.insert(name, (said, expected.trim_end().to_string()));
    }
    cases
}

#[test]
fn each_is_refused_as_expected() {
    let cases = cases();
    assert!(cases.len() >= 50, "only {} cases", cases.len());
    let wrong: Vec<String> = cases
        .iter()
        .filter(|(_, (said, expected))| said != expected)
        .map(|(name, (said, expected))| format!("{name}\n  said:     {said}\n  expected: {expected}"))
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// An error is one line, and names its file first.
#[test]
fn errors_have_a_place() {
    for (name, (said, _)) in cases() {
        assert!(said.starts_with("lazaret.toml:"), "{name}: {said}");
        assert_eq!(said.lines().count(), 1, "{name}: {said}");
    }
}

#[test]
fn the_program_says_the_same() {
    let file = gallery().join("listener-without-class/lazaret.toml");
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_lazaret")).args(arguments).arg("--config").arg(&file).output();
        let output = output.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, out, err) = run(&["check"]);
    assert_eq!((code, out.as_str()), (Some(78), ""));
    assert!(err.starts_with(&format!("lazaret: {}:1:1: [[lmtp]] lacks class: expected ", file.display())), "{err}");
    let (code, out, err) = run(&["check", "--json"]);
    assert_eq!((code, err.as_str()), (Some(78), ""));
    assert!(out.contains("\"line\":1,\"column\":1,\"text\":\"[[lmtp]] lacks class"), "{out}");
    assert_eq!(run(&["serve"]).0, Some(78));
}
