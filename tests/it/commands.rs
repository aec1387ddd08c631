//! Commands on messages, with a running server and without one; deposit; check.

use crate::site::{Ran, Site, wait};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn message(subject: &str) -> Vec<u8> {
    format!("From: Someone <someone@partner.test>\r\nSubject: {subject}\r\n\r\nbody of {subject}\r\n").into_bytes()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("no text {key} in {value}")).to_string()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// The lines of a listing that are messages, without those of the queue.
fn messages(ran: &Ran) -> Vec<Value> {
    assert_eq!(ran.code, 0, "{}", ran.err);
    ran.lines().into_iter().filter(|line| line.get("subject").is_some()).collect()
}

fn waiting(site: &Site, id: &str) -> Vec<Value> {
    site.run("list --json", b"").lines().into_iter().filter(|l| l.get("state").is_some() && l["id"] == id).collect()
}

#[test]
fn with_a_server_and_without() {
    let site = Site::new("commands");
    let ran = site.run("list", b"");
    assert_eq!(ran.code, 69, "{}", ran.out);
    assert!(ran.err.contains("there is no data directory"), "{}", ran.err);

    let server = site.serve();
    assert_eq!(fs::metadata(site.data("state/control.sock")).unwrap().permissions().mode() & 0o777, 0o600);
    for number in 0..8 {
        let ran = site.run(
            "deposit --from sender@partner.test --to Alice+tag@example.org",
            &message(&format!("number-{number}")),
        );
        assert_eq!(ran.code, 0, "{}", ran.err);
        let id = ran.out.trim_end().strip_prefix("kept, reference ").expect("a reference").to_string();
        assert!(site.run(&format!("list --search {id}"), b"").out.contains(&format!("number-{number}")));
    }
    assert!(
        site.run("deposit --from= --to carol@example.net", &message("for carol")).out.starts_with("kept, reference")
    );
    exercise(&site, [0, 1, 2, 3]);
    server.stop();
    exercise(&site, [4, 5, 6, 7]);
}

/// Lists, shows, releases, trains and removes: four messages by the number in their subjects.
fn exercise(site: &Site, [released, trained, removed, both]: [u32; 4]) {
    let id_of = |number: u32| {
        let found = messages(&site.run(&format!("list --json --search number-{number}"), b""));
        assert_eq!(found.len(), 1, "{found:?}");
        text(&found[0], "id")
    };
    let all = messages(&site.run("list --json", b""));
    let order: Vec<String> = all.iter().map(|m| text(m, "arrived")).collect();
    assert!(order.is_sorted_by(|a, b| a >= b), "newest first: {order:?}");
    let first = &messages(&site.run(&format!("list --json --search number-{released}"), b""))[0];
    let expected = [
        "arrived",
        "class",
        "expires",
        "flags",
        "folder",
        "from",
        "id",
        "kind",
        "recipient",
        "sender",
        "size",
        "subject",
    ];
    assert_eq!(keys(first), expected);
    for (key, value) in [
        ("recipient", "alice@example.org"),
        ("sender", "sender@partner.test"),
        ("from", "Someone <someone@partner.test>"),
        ("class", "incoming"),
        ("kind", "spam"),
        ("folder", "caught"),
    ] {
        assert_eq!(text(first, key), value);
    }
    let day = |key: &str| text(first, key)[..10].to_string();
    assert!(day("expires") > day("arrived"));

    // Scopes and limits.
    assert_eq!(messages(&site.run("list --json carol@example.net", b"")).len(), 1);
    assert_eq!(messages(&site.run("list --json EXAMPLE.NET", b"")).len(), 1);
    assert_eq!(messages(&site.run("list --json --limit 2", b"")).len(), 2);
    assert_eq!(site.run("list elsewhere.test", b"").code, 67);
    assert!(site.run("list --folder outgoing", b"").out.starts_with("no message in "));
    assert!(site.run("list", b"").out.starts_with("ID "));

    // Ids: whole, a beginning, a file's path; and not when several begin so.
    let id = id_of(released);
    let shown = site.run(&format!("show --json {id}"), b"").lines().remove(0);
    assert_eq!(shown["recipients"], serde_json::json!(["Alice+tag@example.org"]));
    assert_eq!(shown["client"]["door"], "deposit");
    assert_eq!(shown["journal"][0]["event"], "stored");
    assert_eq!(shown["message"]["id"], id.as_str());
    let start = id.strip_suffix("est").unwrap().to_string();
    for form in [start, text(&shown, "file")] {
        assert_eq!(site.run(&format!("show --json {form}"), b"").lines()[0]["id"], id.as_str());
    }
    assert_eq!(site.run(&format!("show --raw {id}"), b"").raw, message(&format!("number-{released}")));
    let page = site.run(&format!("show {id}"), b"").out;
    for part in ["expires    ", "<Alice+tag@example.org>", "stored", "Subject: number-"] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let ambiguous = site.run("show 1", b"");
    assert!(ambiguous.code == 66 && ambiguous.err.contains("have ids that begin with 1"), "{}", ambiguous.err);
    assert_eq!(site.run("show nothing", b"").code, 66);

    // Release: it leaves the folder and waits; asked again it is a no-op.
    let did = site.run(&format!("release --json {id}"), b"");
    assert_eq!((did.code, text(&did.lines()[0], "outcome")), (0, "asked".into()), "{}", did.out);
    assert_eq!(keys(&did.lines()[0]), ["id", "outcome", "recipient", "text"]);
    assert!(messages(&site.run(&format!("list --json --search number-{released}"), b"")).is_empty());
    // While the server fans an order out, the order and what it becomes are both listed.
    wait("it waits as one", || waiting(site, &id).len() == 1);
    let waits = waiting(site, &id);
    assert!(waits.len() == 1 && waits[0]["verbs"] == serde_json::json!(["release"]), "{waits:?}");
    assert_eq!(keys(&waits[0]), ["asked", "attempts", "id", "next", "part", "recipient", "state", "verbs"]);
    let again = site.run(&format!("release {id}"), b"");
    assert!(again.code == 0 && again.out.contains("asked before"), "{}", again.out);
    let shown = site.run(&format!("show --json {id}"), b"").lines().remove(0);
    assert!(shown["message"].is_null() && shown["waiting"].as_array().unwrap().len() == 1, "{shown}");
    let events: Vec<&str> = shown["journal"].as_array().unwrap().iter().filter_map(|l| l["by"].as_str()).collect();
    assert!(events.contains(&"command"), "{events:?}");

    // Both: the queue has two parts, or an order of two verbs.
    let id = id_of(both);
    assert_eq!(site.run(&format!("release --train {id}"), b"").code, 0);
    wait("both verbs are in the queue or done", || {
        let page = site.run(&format!("show {id}"), b"").out;
        page.contains("release") && page.contains("train-ham")
    });

    // Train: kept in Trash once the server has fanned it out; before, it waits.
    let id = id_of(trained);
    assert_eq!(site.run(&format!("train spam --json {id}"), b"").lines()[0]["outcome"], "asked");
    assert!(messages(&site.run(&format!("list --json --search number-{trained}"), b"")).is_empty());

    // Remove: to Trash; from Trash for good; then it is gone, which the journal knows.
    let id = id_of(removed);
    let outcome = |line: &str| {
        let ran = site.run(line, b"");
        (ran.code, text(&ran.lines()[0], "outcome"))
    };
    assert_eq!(outcome(&format!("remove --json {id}")), (0, "removed".into()));
    assert_eq!(
        messages(&site.run("list --json --folder trash", b"")).iter().filter(|m| m["id"] == id.as_str()).count(),
        1
    );
    assert_eq!(outcome(&format!("remove --json {id}")), (0, "expunged".into()));
    assert_eq!(outcome(&format!("remove --json {id}")), (0, "already".into()));
    assert_eq!(outcome(&format!("release --json {id}")), (1, "unknown".into()));
    assert!(site.run(&format!("show {id}"), b"").out.contains("expunged"));

    // One bad id does not keep the others from being done.
    let ran = site.run("remove --json nothing 1", b"");
    assert_eq!((ran.code, ran.lines().len()), (1, 2), "{}", ran.out);
    assert!(site.run("expire --dry-run", b"").out.ends_with("0 messages would be removed\n"));
    assert_eq!(site.run("check", b"").code, 0, "{}", site.run("check", b"").out);
}

#[test]
fn deposit_never_loses_and_never_bounces() {
    let site = Site::new("deposit");
    let tmp_is_empty = || assert_eq!(site.names("intake/tmp"), Vec::<String>::new());
    assert_eq!(site.run("deposit --from= --to a@example.org", b"x").code, 75, "no data directory");
    fs::create_dir(site.data("")).unwrap();
    assert_eq!(site.run("deposit --from= --to nobody", b"x").code, 64);
    assert_eq!(site.run("deposit --from=", b"x").code, 64);
    for line in ["--to a@elsewhere.test", "--to a@example.org --to a@elsewhere.test", "--to nobody@example.net"] {
        let ran = site.run(&format!("deposit --from= {line}"), b"x");
        assert_eq!((ran.code, ran.out.as_str()), (75, ""), "{line}");
        assert!(ran.err.contains("not kept, try again later"), "{}", ran.err);
    }
    assert_eq!(site.names("intake/new"), Vec::<String>::new());

    // Without a server it is left, to be filed at the start.
    let mbox = b"From x@y.test Tue Nov  5 10:00:00 2024\nReturn-Path: <x@y.test>\nSubject: left\n\nline\nline\n";
    let ran = site.run("deposit --from x@y.test --class outgoing --kind virus --client-ip 192.0.2.1 --user bob@example.org --to a@example.org", mbox);
    assert!(ran.code == 0 && ran.out.contains("no server runs"), "{}{}", ran.out, ran.err);
    assert_eq!(site.run("deposit --from= --to a@example.org", b"").code, 0, "an empty message is one");
    assert_eq!(site.names("intake/new").len(), 2);
    tmp_is_empty();
    fs::write(site.data("intake/new/broken"), "no envelope\n").unwrap();
    let server = site.serve();
    wait("both are filed", || site.names("intake/new") == ["broken"]);
    let left = messages(&site.run("list --json --folder outgoing", b"")).remove(0);
    assert_eq!((text(&left, "recipient"), text(&left, "kind")), ("bob@example.org".into(), "virus".into()));
    let shown = site.run(&format!("show --json {}", text(&left, "id")), b"").lines().remove(0);
    assert_eq!(
        (&shown["client"]["address"], &shown["client"]["user"]),
        (&"192.0.2.1".into(), &"bob@example.org".into())
    );
    let raw = site.run(&format!("show --raw {}", text(&left, "id")), b"").raw;
    assert_eq!(raw, b"Subject: left\n\nline\nline\n", "the bytes stay, the mail server's own lines go");
    let file = text(&shown, "file");
    let (size, trace) = (fs::metadata(&file).unwrap().len(), shown["trace_bytes"].as_u64().unwrap());
    assert_eq!(size, trace + raw.len() as u64);
    assert!(file.contains(&format!(",S={size},W={},", size + 4)), "four lines end in LF: {file}");
    assert_eq!(left["size"].as_u64(), Some(size + 4));
    wait("the log says why", || site.log().contains("broken is not filed yet: it does not begin with the line"));

    // With a server: at once, with the same answers.
    assert!(
        site.run("deposit --from x@y.test --to a@example.org --to b@example.org", b"Subject: two\n\n")
            .out
            .contains(", ")
    );
    assert_eq!(site.run("deposit --from= --to a@elsewhere.test", b"x").code, 75);
    tmp_is_empty();
    let large = [b"Subject: large\r\n\r\n".as_slice(), &vec![b'x'; 200 << 10]].concat();
    assert_eq!(site.run("deposit --from= --to a@example.org", &large).code, 0);
    let large = text(&messages(&site.run("list --json --search large", b"")).remove(0), "id");
    let shown = site.run(&format!("show --json {large}"), b"").lines().remove(0);
    assert_eq!(shown["cut_from"], (200 << 10) + 18);
    let refused = site.run(&format!("release {large}"), b"");
    assert!(refused.code == 1 && refused.out.contains("only its header was kept"), "{}", refused.out);
    assert_eq!(site.run(&format!("train spam {large}"), b"").code, 0);
    // It is killed, and its socket stays behind.
    drop(server);
    assert!(site.data("state/control.sock").exists());
    assert!(site.run("deposit --from= --to a@example.org", b"x").out.contains("no server runs"));
    assert_eq!(site.run("list", b"").code, 0);

    // A configuration that is wrong: the mail server keeps the message.
    fs::write(site.data("../lazaret.toml"), "nonsense = 1\n").unwrap();
    let ran = site.run("deposit --from= --to a@example.org", b"x");
    assert_eq!(ran.code, 75, "{}", ran.err);
}

#[test]
fn check_finds_and_repairs() {
    let site = Site::new("store");
    let ran = site.run("check", b"");
    assert!(ran.code == 69 && ran.err.contains("there is no data directory"), "{}", ran.err);
    let folder = site.data("mail/example.org/alice/Caught");
    for half in ["new", "cur", "tmp"] {
        fs::create_dir_all(folder.join(half)).unwrap();
    }
    fs::create_dir_all(site.data("queue/deliver")).unwrap();
    for path in ["", "mail", "queue"] {
        fs::set_permissions(site.data(path), fs::Permissions::from_mode(0o700)).unwrap();
    }
    let put = |below: &str| fs::write(site.data("").join(below), b"Subject: x\n\n").unwrap();
    let in_new = |name: &str| put(&format!("mail/example.org/alice/Caught/new/{name}"));
    in_new("1600000000.M1P1Q1.mx.test,S=12,U=1");
    in_new("1600000000.M1P1Q2.mx.test,S=11,U=2");
    in_new("1600000000.M1P1Q3.mx.test,S=12,W=13,U=3");
    in_new("1600000000.M1P1Q4.mx.test,S=12,U=4,T=5");
    in_new("1600000000.M1P1Q5.mx.test,S=12,U=1");
    in_new("1600000000.foreign");
    put("mail/example.org/alice/Caught/tmp/1600000000.M1P1Q6.mx.test");
    put("mail/example.org/alice/stray");
    put("queue/deliver/nonsense");
    fs::set_permissions(site.data("mail"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(folder.join("cur/directory")).unwrap();

    let problems = |ran: &Ran| -> BTreeSet<(String, bool)> {
        ran.lines().iter().map(|l| (text(l, "problem"), l["repaired"].as_bool().unwrap())).collect()
    };
    let set = |problems: &[(&str, bool)]| problems.iter().map(|(p, r)| (p.to_string(), *r)).collect::<BTreeSet<_>>();
    let first = site.run("check --json", b"");
    assert_eq!((first.code, keys(&first.lines()[0])), (1, vec!["path", "problem", "repaired", "text"]));
    let all = ["size", "trace", "duplicate", "not-adopted", "leftover", "keywords", "permissions", "queue", "odd"];
    assert_eq!(problems(&first), set(&all.map(|p| (p, false))), "{}", first.out);
    assert_eq!(first.lines().iter().filter(|l| l["problem"] == "size").count(), 2);
    assert!(folder.join("new/1600000000.foreign").exists(), "without --repair nothing changes");

    let repaired = site.run("check --json --repair", b"");
    let expected = all.map(|p| (p, !["trace", "queue", "odd"].contains(&p)));
    assert_eq!((repaired.code, problems(&repaired)), (1, set(&expected)), "{}", repaired.out);
    let left = site.run("check --json", b"");
    assert_eq!(problems(&left), set(&[("trace", false), ("queue", false), ("odd", false)]), "{}", left.out);
    let names = site.names("mail/example.org/alice/Caught/new");
    assert!(names.contains(&"1600000000.M1P1Q2.mx.test,S=12,U=2".to_string()), "{names:?}");
    assert!(names.contains(&"1600000000.M1P1Q3.mx.test,S=12,W=14,U=3".to_string()), "{names:?}");

    // What is old enough goes; the adopted one counts from now.
    let dry = site.run("expire --dry-run --json", b"");
    assert_eq!((dry.code, messages(&dry).len()), (0, 5), "{}", dry.out);
    assert_eq!(site.names("mail/example.org/alice/Caught/new").len(), 6);
    assert!(site.run("expire", b"").out.starts_with("5 messages and "));
    assert_eq!(site.names("mail/example.org/alice/Caught/new").len(), 1);

    fs::remove_file(site.data("queue/deliver/nonsense")).unwrap();
    fs::remove_file(site.data("mail/example.org/alice/stray")).unwrap();
    fs::remove_dir(folder.join("cur/directory")).unwrap();
    let server = site.serve();
    let clean = site.run("check", b"");
    assert!(clean.code == 0 && clean.out.ends_with("data: nothing is wrong\n"), "{}", clean.out);
    let refused = site.run("check --repair", b"");
    assert!(refused.code == 69 && refused.err.contains("stop it before a repair"), "{}", refused.err);
    server.stop();
}

/// What `lazaret doctor` has the server do: a message goes for good, from its folder or from the queue.
#[test]
fn a_message_is_discarded_wherever_it_is() {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream;
    let site = Site::new("discard");
    let server = site.serve();
    let discard = |id: &str| -> Value {
        let mut socket = UnixStream::connect(site.data("state/control.sock")).unwrap();
        writeln!(socket, "{}", serde_json::json!({ "do": "discard", "ids": [id] })).unwrap();
        let line = BufReader::new(socket).lines().next().unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    };
    let deposit = |subject: &str| {
        let ran = site.run("deposit --from= --to alice@example.org", &message(subject));
        ran.out.trim_end().strip_prefix("kept, reference ").unwrap().to_string()
    };
    let id = deposit("in its folder");
    assert_eq!(text(&discard(&id), "outcome"), "expunged");
    assert!(!site.data("mail/example.org/alice").exists(), "its tree was empty");
    let id = deposit("in the queue");
    assert_eq!(site.run(&format!("release {id}"), b"").code, 0);
    // Nothing listens at the route.
    wait("it waits for its next attempt", || waiting(&site, &id).iter().any(|w| w["attempts"] == 1));
    assert_eq!(text(&discard(&id), "outcome"), "expunged");
    assert!(waiting(&site, &id).is_empty() && site.names("queue/deliver").is_empty());
    assert!(messages(&site.run("list --json", b"")).is_empty());
    assert_eq!(text(&discard(&id), "outcome"), "already");
    server.stop();
}
