//! Rules of the tree that no compiler checks.

use crate::source::{self, Source, Token, root};
use std::fs;

/// Longest file of Rust, in lines.
const LINES: usize = 500;
/// Files that may be longer, each with its reason.
const LONGER: &[(&str, &str)] = &[];

#[test]
fn files_are_cut_by_concern() {
    let sources = all_rust();
    check("at most 500 lines a file (or an argued entry in LONGER)", too_long(&sources));
    for (path, reason) in LONGER {
        assert!(
            !reason.is_empty() && sources.iter().any(|s| s.path == *path),
            "LONGER names {path}, which is not there"
        );
    }
    assert_eq!(too_long(&[Source::planted("src/a.rs", &"x\n".repeat(LINES + 1))]).len(), 1);
}

fn too_long(sources: &[Source]) -> Vec<String> {
    let long = |s: &&Source| s.text.lines().count() > LINES && !LONGER.iter().any(|(path, _)| s.path == *path);
    sources.iter().filter(long).map(|s| format!("{}: {} lines", s.path, s.text.lines().count())).collect()
}

#[test]
fn nothing_is_left_over() {
    check("no left-overs", left_overs(&all_rust()));
    let planted = "fn f() { todo!() }\nfn g() { dbg!(1); unimplemented!() }\n// FIX_ME later\n#[ignore]\n#[ignore = \"slow\"]\n/* XX_X */";
    assert_eq!(left_overs(&[Source::planted("src/a.rs", &planted.replace("X_", "X"))]).len(), 7);
    assert!(left_overs(&[Source::planted("src/a.rs", "fn todo() { ignore(todo) } // ignored \"dbg!\"")]).is_empty());
}

fn left_overs(sources: &[Source]) -> Vec<String> {
    // The words in pieces, so that this file does not breach its own rule.
    let marks = ["FIX", "TO", "XX", "HA"].into_iter().zip(["ME", "DO", "X", "CK"]).map(|(a, b)| [a, b].concat());
    let marks: Vec<String> = marks.collect();
    let mut found = Vec::new();
    for source in sources {
        let tokens = source::tokens(&source.text);
        for pair in tokens.windows(2) {
            let (first, second) = (pair[0].text.as_str(), pair[1].text.as_str());
            let left = matches!((first, second), ("todo" | "dbg" | "unimplemented", "!") | ("[", "ignore"));
            if left {
                found.push(format!("{}:{}: {first}{second}", source.path, pair[0].line));
            }
        }
        for (number, line) in source.text.lines().enumerate() {
            let comment = line.split_once("//").or_else(|| line.split_once("/*")).map_or("", |(_, comment)| comment);
            let mut words = comment.split(|c: char| !c.is_alphanumeric());
            if words.any(|word| marks.iter().any(|mark| mark == word)) {
                found.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn the_map_names_every_file_and_no_other() {
    let map = fs::read_to_string(root().join("src/ARCHITECTURE.md")).expect("src/ARCHITECTURE.md");
    let mut sources = source::files("src", ".rs");
    check("src/ARCHITECTURE.md names each folder or file of src", unnamed(&map, &sources));
    sources.extend(all_rust());
    check("each path in src/ARCHITECTURE.md exists", gone(&map));
    assert_eq!(
        unnamed(
            "`disk/` and `app/demo.rs`",
            &[Source::planted("src/app/demo.rs", ""), Source::planted("src/net/tls.rs", "")]
        )
        .len(),
        1
    );
    assert_eq!(gone("`src/nowhere/x.rs` and `src/lib.rs`").len(), 1);
}

fn unnamed(map: &str, sources: &[Source]) -> Vec<String> {
    let named = |path: &str| {
        let inside = path.trim_start_matches("src/");
        // A file by its path, or by the folder that it lies in.
        let folders = inside.match_indices('/').map(|(at, _)| &inside[..=at]);
        folders.chain([inside]).any(|name| map.contains(&format!("`{name}`")) || map.contains(&format!("`src/{name}`")))
    };
    sources.iter().filter(|s| !named(&s.path)).map(|s| s.path.clone()).collect()
}

/// Paths in back-quotes that begin with a folder of ours and do not exist.
fn gone(map: &str) -> Vec<String> {
    let quoted = map.split('`').skip(1).step_by(2);
    let ours = quoted.filter(|q| ["src/", "tests/", "etc/", "scripts/"].iter().any(|top| q.starts_with(top)));
    ours.filter(|q| !q.contains(['*', '<', ' ']) && !root().join(q).exists()).map(String::from).collect()
}

/// Who may take each name that reaches the machine; a path is a folder or a file.
const KEPT: &[(&[&str], &[&str])] = &[
    // One place renames and syncs, so that the crash test sees every operation (DESIGN 4).
    (
        &[
            "fs::rename",
            "renameat",
            "renameat_with",
            "fs::hard_link",
            "linkat",
            "sync_all",
            "sync_data",
            "fsync",
            "fdatasync",
            "syncfs",
        ],
        &["src/disk/"],
    ),
    // Time is passed in, so that tests can set it.
    (&["SystemTime::now", "Instant::now"], &["src/net/", "src/work/", "src/serve/", "src/app/", "src/cli/"]),
    // What people read goes through `log`, or comes from a command.
    (&["println!", "print!", "eprintln!", "eprint!"], &["src/cli/", "src/app/", "src/main.rs"]),
    (&["process::exit", "process::abort"], &["src/main.rs"]),
];

#[test]
fn the_machine_is_reached_in_one_place() {
    let sources = source::shipped_files();
    check("only these places may name it (KEPT in tests/it/tidy.rs)", strays(&sources));
    for (names, places) in KEPT {
        for name in *names {
            let planted = format!("fn f() {{ x::{name}(y) }}");
            assert_eq!(strays(&[Source::planted("src/mail/a.rs", &planted)]).len(), 1, "{name}");
            assert!(strays(&[Source::planted(&format!("{}mod.rs", places[0]), &planted)]).is_empty(), "{name}");
        }
    }
}

fn strays(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let tokens = source.shipped();
        for (names, places) in KEPT {
            if places.iter().any(|place| source.path.starts_with(place)) {
                continue;
            }
            for at in 0..tokens.len() {
                if let Some(name) = names.iter().find(|name| stands_at(&tokens, at, name)) {
                    found.push(format!("{}:{}: {name} (only in {})", source.path, tokens[at].line, places.join(", ")));
                }
            }
        }
    }
    found
}

/// Whether these tokens call `name`: a function or method, a `path::function`, or a `macro!`.
fn stands_at(tokens: &[Token], at: usize, name: &str) -> bool {
    let word = |i: usize| tokens.get(i).map_or("", |t| t.text.as_str());
    let declared = at > 0 && word(at - 1) == "fn";
    if let Some(name) = name.strip_suffix('!') {
        return word(at) == name && word(at + 1) == "!";
    }
    match name.split_once("::") {
        // Also without parentheses: `map_or_else(Instant::now, …)`.
        Some((kind, function)) => word(at) == kind && word(at + 1) == "::" && word(at + 2) == function,
        None if declared || at == 0 || word(at) != name => false,
        None => word(at - 1) == "::" || word(at - 1) == "." && word(at + 1) == "(" || word(at - 1) == "{",
    }
}

#[test]
fn every_dependency_is_used_and_says_why() {
    let sources = source::shipped_files();
    let words: std::collections::HashSet<String> =
        sources.iter().flat_map(Source::shipped).map(|token| token.text).collect();
    let unused = source::dependencies().into_iter().filter(|(code, _)| !words.contains(code));
    check("each dependency is named in src", unused.map(|(_, name)| name).collect());
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let tables = manifest.split("\n[").filter(|t| t.starts_with("dependencies]") || t.starts_with("dev-dependencies]"));
    let silent = tables.flat_map(str::lines).filter(|l| l.contains(" = ") && !l.contains(" # "));
    check("each dependency says why it is there", silent.map(String::from).collect());
}

#[test]
fn the_readme_is_short_and_its_files_exist() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    assert!(readme.lines().count() <= 150, "README.md has {} lines, at most 150", readme.lines().count());
    check("each path in README.md exists", gone(&readme));
}

#[test]
fn no_test_file_is_forgotten() {
    let main = fs::read_to_string(root().join("tests/it/main.rs")).expect("tests/it/main.rs");
    let tokens = source::tokens(&main);
    let listed = |name: &str| tokens.windows(2).any(|w| w[0].text == "mod" && w[1].text == name);
    let mut forgotten = Vec::new();
    for entry in fs::read_dir(root().join("tests/it")).expect("tests/it") {
        let name = entry.expect("an entry").file_name().into_string().expect("a plain name");
        let module = name.trim_end_matches(".rs");
        if module != "main" && !listed(module) {
            forgotten.push(name);
        }
    }
    check("tests/it/main.rs lists every file beside it", forgotten);
}

#[test]
fn scripts_can_be_run() {
    use std::os::unix::fs::PermissionsExt;
    let mut stiff = Vec::new();
    for source in source::files("scripts", "").into_iter().chain(source::files(".ci", "")) {
        let mode = fs::metadata(root().join(&source.path)).expect("a file").permissions().mode();
        if source.text.starts_with("#!") && mode & 0o111 == 0 {
            stiff.push(source.path);
        }
    }
    check("a script that names its interpreter is executable", stiff);
}

/// Rust of src and of the tests.
fn all_rust() -> Vec<Source> {
    let mut all = source::files("src", ".rs");
    all.extend(source::files("tests", ".rs"));
    all
}

fn check(rule: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{rule}; {} breaches:\n{}", found.len(), found.join("\n"));
}
