//! The training loop and its sinks over a real queue.

use super::deliver_tests::{Rules, Running, now, order};
use super::routes::Route;
use super::sinks::{Command, Folder, Mail, Meaning, Rspamd, Sink};
use super::sinkserver::SinkServer;
use super::smtp_tests::{self, folder, kept};
use super::train::Train;
use crate::base::Secret;
use crate::disk::Disk;
use crate::mail::report::Opinion;
use crate::mail::{Name, reported};
use crate::net::smtp::Protocol;
use crate::queue::{Queue, Verb, Verbs};
use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

const MESSAGE: &[u8] = b"A: b\r\n\r\nlearn \xff\0 this\r\n";

fn start(queue: &Arc<Queue>, rules: &Arc<Rules>, name: &str, sink: Sink) -> Running {
    let mut running = Running::new();
    running.fan(queue, rules, &[name]);
    let train = Train::new(queue.clone(), rules.clone(), HashMap::from([(name.to_string(), sink)]));
    running.spawn(|stop| smol::spawn(train.run(stop)));
    running
}

fn command(script: &str, time: Duration) -> Sink {
    let argv = ["/bin/sh", "-c", script, "sh", "{verb}", "{id}", "x{kind}y{", "{tree}"].map(String::from).to_vec();
    Sink::Command(Command { argv, codes: HashMap::from([(7, Meaning::Done), (8, Meaning::Never)]), time })
}

/// Runs one training to its first note.
fn one(root: &Path, verb: Verb, sink: Sink) -> (String, Arc<Queue>) {
    let queue = order(root, Verbs::one(verb), MESSAGE, now());
    let rules = Rules::new(&[]);
    let running = start(&queue, &rules, "sink", sink);
    let note = rules.wait_for(1).remove(0);
    running.stop();
    (note, queue)
}

#[test]
fn folder_keeps_the_original_once() {
    let root = folder("train-folder");
    let sink = || Sink::Folder(Folder { disk: Disk::new(&root), path: root.join("trained") });
    let (note, queue) = one(&root, Verb::TrainHam, sink());
    assert!(note.contains("TrainHam") && note.contains("kept as ham/"), "{note}");
    assert_eq!(queue.counts().trainings, 0);
    let new = root.join("trained/ham/new");
    let files = || -> Vec<_> { fs::read_dir(&new).unwrap().map(|f| f.unwrap().path()).collect() };
    assert_eq!(files().len(), 1);
    assert_eq!(fs::read(&files()[0]).unwrap(), MESSAGE);
    assert_eq!(fs::read_dir(root.join("trained/ham/tmp")).unwrap().count(), 0);
    let maildir = maildir::Maildir::from(root.join("trained/ham"));
    assert_eq!(maildir.list_new().filter(|m| m.is_ok()).count(), 1, "another program reads it as a Maildir");
    let asked = Name::parse(files()[0].file_name().unwrap().to_str().unwrap()).unwrap().base.secs().unwrap();
    drop(queue);
    // As after a crash before the entry was removed: the same message once more.
    let queue = order(&root, Verbs::one(Verb::TrainHam), MESSAGE, asked);
    let rules = Rules::new(&[]);
    let running = start(&queue, &rules, "sink", sink());
    assert!(rules.wait_for(1)[0].starts_with("trained"));
    running.stop();
    assert_eq!(files().len(), 1);
}

#[test]
fn command_gets_message_and_placeholders() {
    let root = folder("train-command");
    let out = root.join("out");
    let script = format!("cat > {0}; echo \"$1 $3 $4\"; echo oops >&2; exit 7", out.display());
    let (note, queue) = one(&root, Verb::TrainSpam, command(&script, Duration::from_secs(10)));
    assert!(note.starts_with("trained") && note.contains("spam xspamy{ alice@example.org oops"), "{note}");
    assert_eq!(fs::read(&out).unwrap(), MESSAGE);
    assert_eq!(queue.counts().trainings, 0);
}

#[test]
fn command_exit_codes() {
    for (script, expected, trainings, failed) in [
        ("exit 0", "trained", 0, 0),
        ("exit 75", "deferred", 1, 0),
        ("exit 8", "failed", 0, 1),
        ("kill -9 $$", "deferred", 1, 0),
    ] {
        let root = folder("train-exit");
        let (note, queue) = one(&root, Verb::TrainHam, command(script, Duration::from_secs(10)));
        assert!(note.starts_with(expected), "{script}: {note}");
        assert_eq!(queue.counts().trainings, trainings, "{script}");
        assert_eq!(queue.failed_list().unwrap().len(), failed, "{script}");
    }
}

#[test]
fn command_is_killed_with_its_children_and_its_output_is_bounded() {
    let root = folder("train-late");
    let pid = root.join("pid");
    let script = format!("(sh -c 'echo $PPID' > {}; yes) & sleep 1000", pid.display());
    let started = Instant::now();
    let (note, queue) = one(&root, Verb::TrainHam, command(&script, Duration::from_millis(500)));
    assert!(note.starts_with("deferred") && note.contains("was killed after 0.5 s"), "{note}");
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(queue.counts().trainings, 1);
    let child: u32 = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    let gone = || match fs::read_to_string(format!("/proc/{child}/stat")) {
        Ok(stat) => stat.contains(") Z "),
        Err(_) => true,
    };
    while !gone() {
        assert!(started.elapsed() < Duration::from_secs(10), "child {child} is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
    let missing =
        Sink::Command(Command { argv: vec!["/no/such".into()], codes: HashMap::new(), time: Duration::from_secs(1) });
    let (note, _) = one(&folder("train-missing"), Verb::TrainHam, missing);
    assert!(note.contains("cannot run /no/such"), "{note}");
}

/// Answers one HTTP request with `answer` and gives the request.
fn http(answer: &'static str) -> (String, mpsc::Receiver<Vec<u8>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut piece = [0; 4096];
        while !request.ends_with(MESSAGE) {
            let read = stream.read(&mut piece).unwrap();
            assert!(read > 0, "the request ended early: {:?}", String::from_utf8_lossy(&request));
            request.extend_from_slice(&piece[..read]);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        sender.send(request).unwrap();
    });
    (url, receiver)
}

#[test]
fn rspamd_is_told() {
    let already = "HTTP/1.1 208 x\r\nContent-Length: 49\r\n\r\n{\"error\":\"<x> has been already learned as spam\"}\n";
    let odd = "HTTP/1.1 204 x\r\nContent-Length: 17\r\n\r\n{\"error\":\"short\"}";
    let wrong = "HTTP/1.1 401 x\r\nContent-Length: 0\r\n\r\n";
    for (answer, expected) in [(already, "trained"), (odd, "trained"), (wrong, "deferred")] {
        let (url, request) = http(answer);
        let rspamd = Rspamd {
            password: Some(Secret::new("geheim".into())),
            per_user: true,
            time: Duration::from_secs(5),
            ..Rspamd::new(url.parse().unwrap())
        };
        let (note, _) = one(&folder("train-rspamd"), Verb::TrainSpam, Sink::Rspamd(rspamd));
        assert!(note.starts_with(expected), "{note}");
        let request = request.recv().unwrap();
        let head = String::from_utf8_lossy(&request).to_lowercase();
        assert!(head.starts_with("post /learnspam http/1.1\r\n"), "{head}");
        assert!(
            head.contains("\r\npassword: geheim\r\n") && head.contains("\r\ndeliver-to: alice@example.org\r\n"),
            "{head}"
        );
    }
}

#[test]
fn a_sink_that_was_removed_from_the_configuration() {
    let root = folder("train-removed");
    let queue = order(&root, Verbs::one(Verb::TrainHam), MESSAGE, now());
    let rules = Rules::new(&[]);
    let mut running = Running::new();
    running.fan(&queue, &rules, &["old"]);
    let train = Train::new(queue.clone(), rules.clone(), HashMap::new());
    running.spawn(|stop| smol::spawn(train.run(stop)));
    let notes = rules.wait_for(1);
    running.stop();
    assert!(notes[0].contains("no sink \"old\" is configured"), "{notes:?}");
    assert_eq!(queue.failed_list().unwrap().len(), 1);
}

/// Reports to an address behind a server on this port.
fn mail(to: &str, port: u16) -> Sink {
    let route = Route { to: smtp_tests::to(port, Protocol::Smtp), own_headers: Default::default() };
    let stamp = Arc::new(|id: &str, to: &str| format!("Received: {id} {to}\r\n"));
    Sink::Mail(Mail::new(to.into(), "us@q.example".into(), "q.example".into(), route, stamp))
}

#[test]
fn mail_carries_the_original() {
    let root = folder("train-mail");
    let server = smtp_tests::run(SinkServer::new(root.join("server")));
    let (note, queue) = one(&root, Verb::TrainHam, mail("desk@far.example", server.port));
    assert!(note.starts_with("trained") && note.contains("reported to desk@far.example: 250"), "{note}");
    assert_eq!(queue.counts().trainings, 0);
    let mails = kept(&server.folder);
    let [mail] = mails.as_slice() else { panic!("{} mails", mails.len()) };
    assert!(mail.starts_with(b"Received: report."), "{}", String::from_utf8_lossy(mail));
    let read = reported::read(mail).unwrap();
    assert_eq!(read.opinion, Some(Opinion::Ham));
    assert_eq!(read.messages.iter().map(|m| m.to_vec()).collect::<Vec<_>>(), [MESSAGE]);
}

#[test]
fn mail_that_is_refused_ends_and_a_server_that_is_away_is_tried_again() {
    let root = folder("train-mail-refused");
    let server = smtp_tests::run(SinkServer::new(root.join("server")));
    let (note, queue) = one(&root.join("a"), Verb::TrainSpam, mail("refused@far.example", server.port));
    assert!(
        note.starts_with("failed") && note.contains("the report to refused@far.example was refused: 550"),
        "{note}"
    );
    assert_eq!(queue.counts().trainings, 0);
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (note, queue) = one(&root.join("b"), Verb::TrainSpam, mail("desk@far.example", gone));
    assert!(note.starts_with("deferred"), "{note}");
    assert_eq!(queue.counts().trainings, 1);
}
