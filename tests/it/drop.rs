//! `drop/`: what other programs leave there, good and bad.

use crate::site::{Site, wait};
use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

#[test]
fn the_good_is_filed_and_the_bad_is_rejected() {
    let site = Site::new("drop");
    let server = site.serve();
    wait("the drop is made", || site.data("drop/rejects").is_dir());
    let new = |name: &str| site.data("drop/new").join(name);
    // As a Maildir delivery does it: complete when it gets its name in new/.
    let deliver = |name: &str, text: &str| {
        let tmp = site.data("drop/tmp").join(name);
        fs::write(&tmp, text).unwrap();
        fs::rename(&tmp, new(name)).unwrap();
    };
    let outside = site.data("../outside");
    fs::write(&outside, "X-Original-To: alice@example.org\n\nsecret\n").unwrap();

    // Bad ones first, so that they are tried before the good.
    symlink(&outside, new("01.link")).unwrap();
    fs::hard_link(&outside, new("02.hard")).unwrap();
    fs::create_dir(new("03.directory")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, new("04.pipe"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
    deliver("05.header", "To: alice@example.org\nCc: alice@example.org\n\nX-Original-To: alice@example.org\n");
    deliver("06.domain", "X-Original-To: alice@elsewhere.test\n\n");
    deliver("07.recipient", "X-Original-To: nobody@example.net\n\n");
    deliver("08.address", "X-Original-To: nobody\n\n");
    let old = SystemTime::now() - Duration::from_secs(400 * 86_400);
    fs::File::open(new("05.header")).map(|f| f.set_modified(old)).ok();
    // Good ones.
    let lf = "Return-Path: <bounce@list.test>\nX-Original-To: Alice+tag@example.org\nX-Original-To: carol@example.net\n\
              Subject: in LF form\n\nbody\n";
    deliver("11.lf", lf);
    let crlf = "X-Original-To: <alice@example.org>, carol@example.net\r\nSubject: in CRLF form\r\n\r\nbody\r\n";
    let cur = site.data("drop/cur/12.crlf:2,S");
    fs::write(site.data("drop/tmp/12"), crlf).unwrap();
    fs::rename(site.data("drop/tmp/12"), &cur).unwrap();
    let huge = format!("X-Original-To: alice@example.org\r\nSubject: huge\r\n\r\n{}", "x".repeat(200 << 10));
    deliver("13.huge", &huge);
    deliver("14.some", "X-Original-To: alice@example.org, alice@elsewhere.test\r\nSubject: some\r\n\r\n");
    fs::write(site.data("drop/tmp/unfinished"), "X-Original-To: alice@example.org\nSubject: unfinished\n\n").unwrap();

    wait("both directories are empty", || site.names("drop/new").is_empty() && site.names("drop/cur").is_empty());
    let rejects = [
        "01.link",
        "02.hard",
        "03.directory",
        "04.pipe",
        "05.header",
        "06.domain",
        "07.recipient",
        "08.address",
        "14.some",
    ];
    assert_eq!(site.names("drop/rejects"), rejects, "{}", site.log());
    let log = site.log();
    for (name, why) in [
        ("01.link", "it is a symbolic link"),
        ("02.hard", "it has 2 names (hard links)"),
        ("03.directory", "it is not a regular file"),
        ("04.pipe", "it is not a regular file"),
        ("05.header", "it has no X-Original-To field, and To and Cc say nothing"),
        ("06.domain", "elsewhere.test is not a domain of this quarantine: add [domains.\"elsewhere.test\"]"),
        ("07.recipient", "<nobody@example.net> is not a recipient of this quarantine: add it"),
        ("08.address", "holds \"nobody\", which is no address"),
        ("14.some", "elsewhere.test is not a domain"),
    ] {
        let line = log.lines().find(|l| l.contains(&format!("new/{name} is in drop/rejects: ")));
        assert!(line.is_some_and(|l| l.contains(why)), "{name}: {line:?}");
    }
    assert_eq!(fs::read_to_string(&outside).unwrap(), "X-Original-To: alice@example.org\n\nsecret\n");
    let kept = fs::metadata(site.data("drop/rejects/05.header")).unwrap().modified().unwrap();
    assert!(kept > old + Duration::from_secs(86_400), "its time in the rejects counts from now");
    assert_eq!(site.names("drop/tmp"), ["unfinished"]);

    let all = site.run("list --json", b"").lines();
    let of = |subject: &str| all.iter().filter(|m| m["subject"] == subject).collect::<Vec<_>>();
    assert_eq!(all.len(), 5, "{all:?}");
    let raw = |id: &str| site.run(&format!("show --raw {id}"), b"").raw;
    let id = of("in LF form")[0]["id"].as_str().unwrap();
    assert_eq!(of("in LF form")[0]["sender"], "bounce@list.test");
    let shown = site.run(&format!("show --json {id}"), b"").lines().remove(0);
    assert_eq!(shown["recipients"], serde_json::json!(["Alice+tag@example.org"]), "the topmost field only");
    assert_eq!(shown["client"]["door"], "drop");
    // Delivery fields above the first Received are in the trace; the rest is there to the byte.
    assert_eq!(raw(id), b"Subject: in LF form\n\nbody\n");
    let size = fs::metadata(shown["file"].as_str().unwrap()).unwrap().len();
    assert!(shown["file"].as_str().unwrap().contains(&format!(",S={size},W={},", size + 3)), "{shown}");
    let mut trees: Vec<&str> = of("in CRLF form").iter().map(|m| m["recipient"].as_str().unwrap()).collect();
    trees.sort_unstable();
    assert_eq!(trees, ["alice@example.org", "carol@example.net"]);
    assert_eq!(of("in CRLF form")[0]["sender"], "");
    assert_eq!(raw(of("in CRLF form")[0]["id"].as_str().unwrap()), b"Subject: in CRLF form\r\n\r\nbody\r\n");
    assert_eq!(of("huge")[0]["flags"], serde_json::json!(["$NotReleasable"]));
    assert_eq!(of("some").len(), 1);

    // A name that is among the rejects already does not keep the next one out.
    deliver("08.address", "X-Original-To: nobody\n\n");
    wait("it is rejected, too", || site.names("drop/rejects").contains(&"08.address.1".to_string()));
    server.stop();
}
