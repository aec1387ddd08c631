//! Which module may name what. A module uses only what is below it; protocol cores and the store never see each other.

use crate::names;
use crate::source::{self, Source};
use std::collections::BTreeMap;

/// What one module of `src` may name in code that ships.
struct Rule {
    module: &'static str,
    /// Modules of ours.
    modules: &'static [&'static str],
    /// Outside crates.
    crates: &'static [&'static str],
    /// Paths of `std`, each with all that is below it.
    std: &'static [&'static [&'static str]],
    /// Whether it may be `async`.
    is_async: bool,
}

/// Values and nothing else: no files, no clock, no sockets, no threads, no locks (`LazyLock` only makes a constant table).
const VALUES: &[&str] = &[
    "std::any",
    "std::array",
    "std::ascii",
    "std::borrow",
    "std::char",
    "std::cmp",
    "std::collections",
    "std::convert",
    "std::error",
    "std::fmt",
    "std::hash",
    "std::iter",
    "std::marker",
    "std::mem",
    "std::net::IpAddr",
    "std::net::Ipv4Addr",
    "std::net::Ipv6Addr",
    "std::num",
    "std::ops",
    "std::rc",
    "std::slice",
    "std::str",
    "std::string",
    "std::sync::Arc",
    "std::sync::LazyLock",
    "std::time::Duration",
    "std::vec",
];
/// Readers that the caller opened.
const READING: &[&str] = &["std::io"];
/// Errors and paths as values; `File` as a handle that a step or an answer carries.
const HANDLES: &[&str] = &["std::io", "std::path", "std::fs::File"];
/// A clock's reading as a value; who may take one is a rule of `tidy`.
const TIMES: &[&str] = &["std::time::SystemTime", "std::time::UNIX_EPOCH"];
const FILES: &[&str] = &["std::fs", "std::os", "std::ffi"];
/// With threads: a panic in one goes on in whoever waits for it.
/// A panic of a thread goes on in the one that waits for it.
const LOCKS: &[&str] = &["std::sync", "std::thread", "std::cell", "std::panic::resume_unwind"];
const ALL: &[&str] = &["std"];

/// The layers, lowest first: a module may use only modules that stand above it in this list.
const RULES: &[Rule] = &[
    Rule { module: "base", modules: &[], crates: &[], std: &[VALUES, HANDLES, TIMES], is_async: false },
    Rule {
        module: "mail",
        modules: &["base"],
        crates: &["memchr", "mail_parser", "base64", "unicode_normalization", "psl", "idna"],
        std: &[VALUES, READING],
        is_async: false,
    },
    Rule {
        module: "imap",
        modules: &["base", "mail"],
        crates: &["memchr", "imap_proto", "base64"],
        std: &[VALUES, HANDLES],
        is_async: false,
    },
    Rule {
        module: "lmtp",
        modules: &["base", "mail"],
        crates: &["memchr", "smtp_proto"],
        std: &[VALUES],
        is_async: false,
    },
    Rule { module: "milter", modules: &["base", "mail"], crates: &["memchr"], std: &[VALUES], is_async: false },
    Rule {
        module: "verdict",
        modules: &["base", "mail"],
        crates: &["serde_json", "base64"],
        std: &[VALUES],
        is_async: false,
    },
    Rule {
        module: "disk",
        modules: &["base"],
        crates: &["memchr", "rustix"],
        std: &[VALUES, HANDLES, TIMES, FILES, LOCKS],
        is_async: false,
    },
    Rule {
        module: "store",
        modules: &["base", "mail", "disk"],
        crates: &[
            "event_listener",
            "aws_lc_rs",
            "argon2",
            "bcrypt",
            "sha_crypt",
            "base64",
            "rustix",
            "maildir",
            "memchr",
            "crc32fast",
            "serde",
            "serde_json",
            "log",
        ],
        std: &[VALUES, HANDLES, TIMES, FILES, LOCKS],
        is_async: false,
    },
    Rule {
        module: "queue",
        modules: &["base", "mail", "disk"],
        crates: &["event_listener", "aws_lc_rs", "maildir", "serde", "serde_json", "log"],
        std: &[VALUES, HANDLES, TIMES, FILES, LOCKS],
        is_async: false,
    },
    Rule {
        module: "quarantine",
        modules: &["base", "mail", "disk", "store", "queue"],
        crates: &[
            "jiff",
            "log",
            "serde",
            "serde_json",
            "base64",
            "aws_lc_rs",
            "argon2",
            "bcrypt",
            "sha_crypt",
            "memchr",
            "mail_parser",
        ],
        std: &[VALUES, HANDLES, LOCKS],
        is_async: false,
    },
    Rule {
        module: "page",
        modules: &["base", "mail", "quarantine"],
        crates: &["maud", "ammonia", "memchr"],
        std: &[VALUES],
        is_async: false,
    },
    Rule {
        module: "bridge",
        modules: &["base", "mail", "imap", "lmtp", "milter", "verdict", "store", "quarantine", "page", "disk"],
        crates: &["event_listener", "log", "memchr", "rayon_core", "aws_lc_rs", "maud", "prometheus_client"],
        std: &[VALUES, HANDLES, LOCKS],
        is_async: false,
    },
    Rule {
        module: "net",
        modules: &["base", "mail", "verdict", "disk", "page", "bridge"],
        crates: &[
            "rcgen",
            "smol",
            "async_task",
            "async_compat",
            "event_listener",
            "futures_rustls",
            "rustls",
            "rustls_pki_types",
            "hyper",
            "pin_project_lite",
            "smol_hyper",
            "http_body_util",
            "mail_send",
            "smtp_proto",
            "imap_proto",
            "log",
            "memchr",
            "rustix",
            "base64",
            "flate2",
        ],
        std: &[ALL],
        is_async: true,
    },
    Rule {
        module: "work",
        modules: &["base", "mail", "verdict", "disk", "store", "queue", "quarantine", "net"],
        crates: &[
            "rustix",
            "smol",
            "log",
            "mail_send",
            "async_compat",
            "futures_rustls",
            "maildir",
            "base64",
            "serde_json",
        ],
        std: &[ALL],
        is_async: true,
    },
    Rule {
        module: "serve",
        modules: &["base", "mail", "imap", "lmtp", "milter", "verdict", "quarantine", "page", "bridge", "net"],
        crates: &["smol", "log", "event_listener", "futures_rustls", "rustls"],
        std: &[ALL],
        is_async: true,
    },
    Rule {
        module: "app",
        modules: &[
            "base",
            "mail",
            "imap",
            "lmtp",
            "milter",
            "verdict",
            "disk",
            "store",
            "queue",
            "quarantine",
            "bridge",
            "net",
            "work",
            "serve",
        ],
        crates: &[
            "rustix",
            "smol",
            "log",
            "env_logger",
            "serde",
            "serde_json",
            "toml",
            "rcgen",
            "aws_lc_rs",
            "rustls",
            "rustls_pki_types",
            "futures_rustls",
            "async_signal",
            "base64",
        ],
        std: &[ALL],
        is_async: true,
    },
    Rule {
        module: "cli",
        modules: &["base", "mail", "verdict", "disk", "store", "queue", "quarantine", "net", "work", "app"],
        crates: &["argh", "log", "env_logger", "serde", "serde_json", "smol"],
        std: &[ALL],
        is_async: true,
    },
    Rule { module: "main", modules: &[], crates: &["lazaret"], std: &[ALL], is_async: false },
];

/// All breaches in these files, one line each: where, what, and what the module may name instead.
fn breaches(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let module = source.module();
        let Some(&top) = module.first() else { continue };
        let Some(rule) = RULES.iter().find(|rule| rule.module == top) else {
            found.push(format!("{}: module {top} has no rule in tests/it/layers.rs", source.path));
            continue;
        };
        let tokens = source.shipped();
        let is_crate = |name: &str| CRATES.with(|known| known.contains_key(name));
        for path in names::paths(&tokens, &module, &is_crate) {
            if let Some(why) = judge(rule, &path.segments) {
                found.push(format!("{}:{}: {} ({why})", source.path, path.line, path.segments.join("::")));
            }
        }
        if !rule.is_async {
            for token in tokens.iter().filter(|t| matches!(t.text.as_str(), "async" | "await")) {
                found.push(format!("{}:{}: {} ({top} is synchronous)", source.path, token.line, token.text));
            }
        }
    }
    found
}

/// Why this module may not name this path.
fn judge(rule: &Rule, path: &[String]) -> Option<String> {
    let first = path.first()?.as_str();
    match first {
        "crate" => {
            let target = path.get(1)?.as_str();
            let known = RULES.iter().any(|r| r.module == target);
            let allowed = target == rule.module || rule.modules.contains(&target) || !known && target != "*";
            (!allowed).then(|| format!("{} may use {}", rule.module, list(rule.modules)))
        }
        "std" | "core" | "alloc" => {
            let joined = format!("std{}", path[1..].iter().map(|p| format!("::{p}")).collect::<String>());
            let allowed = rule
                .std
                .iter()
                .flat_map(|list| list.iter())
                .any(|p| joined == *p || joined.starts_with(&format!("{p}::")));
            (!allowed).then(|| format!("{} may not reach it in std", rule.module))
        }
        _ => {
            (!rule.crates.contains(&first)).then(|| format!("{} may use the crates {}", rule.module, list(rule.crates)))
        }
    }
}

fn list(names: &[&str]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

thread_local! {
    /// The crates of Cargo.toml's `[dependencies]`, as code names them, with their names there.
    static CRATES: BTreeMap<String, String> = source::dependencies();
}

#[test]
fn every_module_names_only_what_is_below_it() {
    let found = breaches(&source::shipped_files());
    assert!(found.is_empty(), "{} breaches of the layers (DESIGN 6):\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_table_is_in_order_and_names_what_exists() {
    for (at, rule) in RULES.iter().enumerate() {
        for module in rule.modules {
            assert!(RULES[..at].iter().any(|r| r.module == *module), "{} stands below {module}", rule.module);
        }
        for name in rule.crates.iter().filter(|name| **name != "lazaret") {
            assert!(CRATES.with(|c| c.contains_key(*name)), "{}: no dependency is called {name}", rule.module);
        }
        let exists = source::root().join("src").join(rule.module);
        assert!(exists.is_dir() || exists.with_extension("rs").is_file(), "there is no module {}", rule.module);
    }
}

/// Whether planting this line in that module is a breach.
fn is_caught(module: &str, line: &str) -> bool {
    let path = if module == "main" { "src/main.rs".to_string() } else { format!("src/{module}/planted.rs") };
    !breaches(&[Source::planted(&path, line)]).is_empty()
}

#[test]
fn a_planted_breach_of_each_rule_is_caught() {
    const STD: [&str; 8] = [
        "std::fs::read",
        "std::net::TcpStream",
        "std::sync::Mutex",
        "std::thread::spawn",
        "std::env::var",
        "std::process::Command",
        "std::time::Instant",
        "std::os::unix::fs::symlink",
    ];
    for rule in RULES {
        let me = rule.module;
        for other in RULES.iter().map(|r| r.module) {
            let allowed = other == me || rule.modules.contains(&other);
            for line in [format!("use crate::{other}::x;"), format!("fn f() {{ crate::{other}::x() }}")] {
                assert_eq!(is_caught(me, &line), !allowed, "{me}: {line}");
            }
        }
        for name in CRATES.with(|c| c.keys().cloned().collect::<Vec<_>>()) {
            let allowed = rule.crates.contains(&name.as_str());
            for line in [format!("use {name}::x;"), format!("fn f() {{ {name}::x!() }}"), format!("use ::{name}::x;")] {
                assert_eq!(is_caught(me, &line), !allowed, "{me}: {line}");
            }
        }
        for path in STD {
            let allowed =
                rule.std.iter().flat_map(|l| l.iter()).any(|p| path == *p || path.starts_with(&format!("{p}::")));
            assert_eq!(is_caught(me, &format!("use {path};")), !allowed, "{me}: {path}");
            assert_eq!(is_caught(me, &format!("fn f() {{ {path}(0) }}")), !allowed, "{me}: {path}");
        }
        assert_eq!(is_caught(me, "async fn f() {}"), !rule.is_async, "{me}: async");
        assert!(is_caught(me, "use unheard_of::x;"), "{me}: a crate that nobody knows");
    }
    assert!(is_caught("fresh", "fn f() {}"), "a module without a rule");
}

#[test]
fn no_spelling_hides_a_breach() {
    for line in [
        "use crate::{base::Flags, store::Tree};",
        "use crate::{base::{self, Flags}, mail::{address::{Address}}, quarantine};",
        "use super::super::store::Tree;",
        "use super::super::{store};",
        "use crate::store as mail;",
        "pub use crate::store::*;",
        "use crate::*;",
        "type T = Vec<crate::store::Tree>;",
        "impl super::super::lmtp::X for Y {}",
        "use std::{fmt, fs};",
        "use std::{sync::{Arc, Mutex}};",
        "fn f() { let x = std::fs::read(p); }",
        "fn f() { core::sync::atomic::AtomicU8::new(0); }",
        "extern crate smol;",
        "fn f() { ::smol::block_on(x) }",
        "fn f() { let smol = 1; smol::spawn(x) }",
        "#[cfg(not(test))] use smol::x;",
    ] {
        assert!(is_caught("imap", line), "not caught: {line}");
    }
    for line in [
        "use crate::{base::Flags, mail::Address, imap::parse};",
        "use super::parse; fn f() { parse::x() }",
        "use super::log; fn f() { log::x() }",
        "mod toml; fn f() { toml::x() }",
        "// use crate::store::Tree;\nfn f() { \"crate::store\"; }",
        "#[cfg(test)] mod tests { use crate::store::Tree; use std::fs; }",
        "use Kind::*; use self::Kind::Spam;",
        "pub(crate) fn f() {} pub(in crate::imap) fn g() {}",
    ] {
        assert!(!is_caught("imap", line), "caught without need: {line}");
    }
}
