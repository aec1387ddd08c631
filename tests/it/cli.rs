//! The command line as it is typed: accounts, help, and that the man page tells all of it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A site in a directory of its own, removed at its end.
struct Site(PathBuf);

impl Site {
    fn new(name: &str) -> Site {
        let path = std::env::temp_dir().join(format!("lazaret-cli-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        let config = "data = \"data\"\n[imap]\ntls = []\nstarttls = []\n[page]\ntls = []\n\
                      [domains.\"example.org\"]\naliases = [\"example.net\"]\naddresses.info = \"alice\"\n";
        fs::write(path.join("lazaret.toml"), config).unwrap();
        Site(path)
    }

    /// Exit code, standard output, standard error.
    fn run(&self, line: &str, input: &str) -> (i32, String, String) {
        let file = self.0.join("lazaret.toml");
        run(line.split_whitespace().chain(["--config", file.to_str().unwrap()]), input)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run<'a>(arguments: impl IntoIterator<Item = &'a str>, input: &str) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lazaret"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn accounts_come_and_go() {
    let site = Site::new("accounts");
    let users = site.0.join("users");
    assert_eq!(site.run("user list", "").1, format!("{} has no accounts\n", users.display()));
    assert_eq!(site.run("user add global", "first\n").0, 0);
    assert_eq!(site.run("user add --scheme=sha512-crypt example.org", "second").0, 0);
    assert_eq!(site.run("user add Alice@example.org --scheme PBKDF2", "third\r\n").0, 0);
    let (code, out, _) = site.run("user list", "");
    assert_eq!(code, 0);
    assert_eq!(
        out,
        "LOGIN              SCOPE      SCHEME\n\
         global             global     ARGON2ID\n\
         example.org        domain     SHA512-CRYPT\n\
         alice@example.org  recipient  PBKDF2\n"
    );
    let json = site.run("user list --json", "").1;
    assert_eq!(json.lines().next(), Some(r#"{"login":"global","scope":"global","scheme":"ARGON2ID"}"#));

    let before = fs::read_to_string(&users).unwrap();
    for (line, code, text) in [
        ("user add global", 67, "has an account already"),
        ("user add bob@elsewhere.example", 67, "could not log in"),
        ("user add info@example.net", 67, "another name of alice@example.org"),
        ("user passwd bob@example.org", 67, "has no account in"),
        ("user remove bob@example.org", 67, "has no account in"),
        ("user add bob@example.org --scheme MD5", 64, "expected ARGON2ID"),
    ] {
        let (got, out, err) = site.run(line, "password\n");
        assert_eq!((got, out.as_str()), (code, ""), "{line}: {err}");
        assert!(err.contains(text), "{line}: {err}");
    }
    assert_eq!(site.run("user add bob@example.org", "").0, 66, "no password");
    assert_eq!(fs::read_to_string(&users).unwrap(), before);

    assert_eq!(site.run("user passwd alice@EXAMPLE.org", "fourth\n").0, 0);
    assert_eq!(site.run("user remove example.org", "").0, 0);
    let after = fs::read_to_string(&users).unwrap();
    assert_eq!(after.lines().count(), 2);
    assert_eq!(after.lines().next(), before.lines().next(), "global is as it was");
    assert!(after.contains("alice@example.org:{ARGON2ID}$argon2id$"));
}

#[test]
fn check_says_what_is_wrong_with_accounts() {
    let site = Site::new("check");
    let users = site.0.join("users");
    fs::write(&users, "# people\nglobal:{MD5}x\n").unwrap();
    let (code, out, err) = site.run("check --config-only", "");
    assert_eq!((code, out.as_str()), (78, ""));
    assert!(err.contains("users:2:1: unknown password scheme {MD5}: expected one of ARGON2ID,"), "{err}");
    fs::write(&users, "bob@elsewhere.example:{PLAIN}x\n").unwrap();
    assert!(site.run("check --config-only", "").2.contains("bob@elsewhere.example cannot log in"));
    fs::write(&users, "bob@example.org:{PLAIN}x\n").unwrap();
    let (code, out, err) = site.run("check --config-only", "");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.ends_with("lazaret.toml: good (1 domain, 1 LMTP listener, 1 account)\n"), "{out}");
}

#[test]
fn help_and_mistakes() {
    assert!(run(["help"], "").1.contains("folders"));
    let (code, out, _) = run(["help", "folders"], "");
    assert!(code == 0 && out.contains("Release & Train"));
    assert_eq!(run(["help", "nothing"], "").0, 64);
    assert!(run(["--version"], "").1.starts_with("lazaret "));
    let (code, out, err) = run(["frobnicate"], "");
    assert_eq!((code, out.as_str()), (64, ""));
    assert!(err.contains("frobnicate"), "{err}");
    let (code, _, err) = run(["user", "list", "--config", "/nonexistent/lazaret.toml"], "");
    assert_eq!(code, 78);
    assert!(
        err.starts_with("lazaret: /nonexistent/lazaret.toml: cannot read the configuration: No such file"),
        "{err}"
    );
}

/// Every command and option that `--help` knows stands in the man page, and so does every exit code.
#[test]
fn the_man_page_tells_everything() {
    let man = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/lazaret.1")).unwrap();
    let man = man.replace("\\-", "-");
    let commands = |help: &str| -> Vec<String> {
        let (_, list) = help.split_once("Commands:\n").unwrap_or_default();
        let named = list.lines().filter(|l| l.starts_with("  ") && !l.starts_with("   "));
        named.filter_map(|l| l.split_whitespace().next().map(str::to_string)).collect()
    };
    let top = run(["--help"], "").1;
    let mut all: Vec<Vec<String>> = commands(&top).into_iter().map(|c| vec![c]).collect();
    all.extend(commands(&run(["user", "--help"], "").1).into_iter().map(|c| vec!["user".to_string(), c]));
    assert!(all.len() >= 16, "{all:?}");
    for command in all.iter().filter(|c| c[0] != "topic") {
        let name = command.join(" ");
        let entry = [format!(".B {name}\n"), format!(".BR {name} "), format!(".BR \"{name}\" ")];
        assert!(name == "user" || entry.iter().any(|e| man.contains(e)), "the man page lacks the command {name}");
        let help = run(command.iter().map(String::as_str).chain(["--help"]), "").1;
        for option in help.split_whitespace().filter(|w| w.starts_with("--")) {
            let option = option.trim_end_matches([',', ']']);
            assert!(option == "--help" || man.contains(option), "the man page lacks {option} of {name}");
        }
    }
    let exit = run(["help", "exit"], "").1;
    for line in exit.lines().skip(1) {
        let (code, meaning) = line.split_once(' ').unwrap();
        let start = man.split_once(&format!(".TP\n.B {code}\n")).map(|(_, rest)| rest.to_lowercase());
        assert!(start.is_some_and(|text| text.starts_with(&meaning.trim().to_lowercase())), "exit code {code}");
    }
}
