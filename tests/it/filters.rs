//! The real filters, asked by our own code: `tests/clients/filters.py` starts them.

use crate::site::{Site, wait};
use lazaret::base::Timestamp;
use lazaret::mail::Kind;
use lazaret::mail::trace::Client;
use lazaret::net::dial::Dial;
use lazaret::net::verdict::Asked;
use lazaret::verdict::{Action, Edit, Request, Verdict};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

/// Both filters, until it is dropped.
struct Filters {
    process: Child,
    where_: Value,
}

impl Filters {
    fn start() -> Option<Filters> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/filters.py");
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-B", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("python3 starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let where_: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line:?}: {e}"));
        if let Some(missing) = where_.get("missing") {
            eprintln!("skipped: {missing} missing");
            process.wait().expect("it ends");
            return None;
        }
        Some(Filters { process, where_ })
    }

    fn rspamd(&self, by_socket: bool) -> Asked {
        let at = match by_socket {
            true => format!("unix:{}", self.where_["socket"].as_str().expect("a path")),
            false => format!("http://127.0.0.1:{}", self.where_["rspamd"]),
        };
        Asked::Rspamd { worker: at.parse().expect("an address"), password: None, time: Duration::from_secs(20) }
    }

    fn spamd(&self) -> Asked {
        let daemon = Dial::Tcp(format!("127.0.0.1:{}", self.where_["spamd"]));
        Asked::Spamd { daemon, user: None, time: Duration::from_secs(60) }
    }
}

impl Drop for Filters {
    fn drop(&mut self) {
        // The end of its input is the end of it.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn ask(asked: &Asked, subject: &str, body: &str) -> Verdict {
    // Of today: filters give points to what is old.
    let at = Timestamp::from_system(SystemTime::now());
    let message = format!(
        "From: Sender <sender@spam.example>\r\nTo: alice@example.org\r\nSubject: {subject}\r\nMessage-ID: <x@spam.example>\r\n\
         Date: {}\r\n\r\n{body}\r\n",
        at.rfc5322()
    );
    let request = Request {
        sender: "sender@spam.example".into(),
        recipients: vec!["alice@example.org".into(), "Bob+x@example.net".into()],
        client: Client {
            address: Some("192.0.2.7".into()),
            name: Some("client.spam.example".into()),
            helo: Some("client.spam.example".into()),
            queue_id: Some("4ABC".into()),
            ..Client::default()
        },
        server: "mx.example.org".into(),
        at,
    };
    smol::block_on(asked.ask(&request, message.into_bytes())).unwrap_or_else(|e| panic!("{asked}: {subject}: {e}"))
}

fn has(verdict: &Verdict, name: &str) -> bool {
    verdict.reasons.iter().any(|reason| reason.name == name)
}

fn adds(verdict: &Verdict, field: &str) -> bool {
    verdict.edits.iter().any(|edit| matches!(edit, Edit::Add { name, .. } if name == field))
}

#[test]
fn the_real_filters_are_understood() {
    let Some(filters) = Filters::start() else { return };
    let gtube = filters.where_["gtube"].as_str().expect("the pattern");
    for by_socket in [false, true] {
        let rspamd = filters.rspamd(by_socket);
        let rejected = ask(&rspamd, "reject-me", "x");
        assert_eq!((rejected.action, rejected.required), (Action::Reject, Some(15.0)));
        let reason = &rejected.reason_lines()[0];
        assert_eq!(reason, "LAZARET_REJECT(20.00)[the subject says that it is spam: word reject-me, naïve]");
        assert!(adds(&rejected, "X-Spamd-Result"), "{:?}", rejected.edits);
        let marked = ask(&rspamd, "mark-me", "x");
        assert!(marked.action == Action::Mark && adds(&marked, "X-Spam"), "{marked:?}");
        let later = ask(&rspamd, "later-me", "x");
        assert_eq!((later.action, later.text.as_deref()), (Action::Later, Some("come again later")));
        assert_eq!(ask(&rspamd, "virus-me", "x").kind, Kind::Virus);
        assert_eq!(ask(&rspamd, "hello", "x").action, Action::Pass);
        let pattern = ask(&rspamd, "hello", gtube);
        assert!(pattern.action == Action::Reject && has(&pattern, "GTUBE"), "{pattern:?}");
    }
    let spamd = filters.spamd();
    let marked = ask(&spamd, "reject-me", "x");
    assert!(marked.action == Action::Mark && marked.score.is_some_and(|score| score > 20.0), "{marked:?}");
    assert!(adds(&marked, "X-Spam-Flag"), "{:?}", marked.edits);
    let long = "LAZARET_REJECT(20.00)[the subject says that it is spam, in a line that is so long that it goes on]";
    assert_eq!(marked.reason_lines()[0], long);
    // Its rule looks at what SpamAssassin took for the client: HELO and sender.
    assert!(has(&marked, "LAZARET_HELO"), "{:?}", marked.reasons);
    assert_eq!(marked.rejected_from(Some(15.0)).action, Action::Reject);
    let good = ask(&spamd, "hello", "x");
    assert!(good.action == Action::Pass && !adds(&good, "X-Spam-Flag"), "{good:?}");
    assert!(has(&ask(&spamd, "hello", gtube), "GTUBE"));
}

#[test]
fn what_a_filter_wrote_goes_through_the_intake() {
    let site = Site::new("believed");
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mail/demo/spamassassin-headers.eml");
    let sample = std::fs::read(sample).expect("the sample");
    site.serve().stop();
    // No server runs: what was read from the header must outlive the command.
    for (qid, more) in [("Q1", "--verdict amavis --verdict spamassassin"), ("Q2", "")] {
        let line = format!("deposit --from s@spam.test --to alice@example.org --qid {qid} {more}");
        let ran = site.run(&line, &sample);
        assert_eq!(ran.code, 0, "{}", ran.err);
    }
    let server = site.serve();
    wait("both are filed", || site.run("list --json", b"").lines().len() == 2);
    for row in site.run("list --json", b"").lines() {
        let id = row["id"].as_str().expect("an id");
        let shown = site.run(&format!("show --json {id}"), b"").lines().remove(0);
        let reasons = shown["reasons"].as_array().expect("a list").len();
        match shown["client"]["queue_id"].as_str() {
            Some("Q1") => assert_eq!((shown["score"].as_str(), reasons), (Some("8.40 / 5.00"), 4)),
            Some("Q2") => assert_eq!((shown["score"].as_str(), reasons), (None, 0)),
            other => panic!("nobody handed in {other:?}"),
        }
    }
    server.stop();
}
