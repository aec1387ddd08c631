//! The delivering loop over a real queue and the sink server.

use super::deliver::Deliver;
use super::fan;
use super::routes::{Route, Routes};
use super::sinkserver::SinkServer;
use super::smtp_tests::{folder, kept, run, to};
use crate::base::{Fault, Form, Timestamp};
use crate::disk::Disk;
use crate::mail::name::Base;
use crate::mail::{Kept, Name};
use crate::net::Stop;
use crate::net::smtp::{Destination, Protocol, Target};
use crate::queue::{
    Asker, Entry, FanOut, Letter, NewOrder, Order, Origin, Outcome, Part, Placed, Plan, Queue, Verb, Verbs, Window,
    Work,
};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

pub(super) const TRACE: &str = "X-Trace: one\r\n";
const RECEIVED: &str = "Received: by test;\r\n\tnow\r\n";

/// Recipients by their index; notes what it is told.
pub(super) struct Rules {
    pub(super) recipients: Vec<&'static str>,
    pub(super) form: Form,
    pub(super) notes: Mutex<Vec<String>>,
}

impl Rules {
    pub(super) fn new(recipients: &[&'static str]) -> Arc<Rules> {
        Arc::new(Rules { recipients: recipients.to_vec(), form: Form::Crlf, notes: Mutex::default() })
    }

    fn note(&self, note: String) {
        self.notes.lock().unwrap().push(note);
    }

    /// Waits until so many things were noted.
    pub(super) fn wait_for(&self, count: usize) -> Vec<String> {
        let start = Instant::now();
        loop {
            let notes = self.notes.lock().unwrap().clone();
            if notes.len() >= count {
                let mut notes = notes;
                notes.sort();
                return notes;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "only {notes:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Plan for Rules {
    fn recipients(&self, _: &Order, _: &Path) -> Result<Vec<usize>, Fault> {
        Ok((0..self.recipients.len()).collect())
    }
    fn settle(&self, _: &Order) -> Result<(), Fault> {
        Ok(())
    }
    fn keep(&self, _: &[(Order, PathBuf)]) -> Result<(), Fault> {
        Ok(())
    }
}

impl Outcome for Rules {
    fn letter(&self, entry: &Entry, _: &mut File) -> io::Result<Result<Letter, String>> {
        let Part::Deliver(index) = entry.part else { return Ok(Err("no delivery".into())) };
        Ok(match self.recipients.get(index) {
            Some(&"nobody") | None => Err("the trace has no such recipient".into()),
            Some(recipient) => Ok(Letter {
                sender: "from@example.org".into(),
                recipient: recipient.to_string(),
                received: RECEIVED.into(),
                skip: TRACE.len() as u64,
                form: self.form,
            }),
        })
    }
    fn delivered(&self, entry: &Entry, reply: &str) {
        self.note(format!("delivered {:?} {reply}", entry.part));
    }
    fn deferred(&self, entry: &Entry, reason: &str, next: u64) {
        assert!(next > entry.asked);
        self.note(format!("deferred {:?} {reason}", entry.part));
    }
    fn failed(&self, entry: &Entry, file: &Path, reason: &str) -> Result<(), Fault> {
        assert!(file.exists());
        self.note(format!("failed {:?} {reason}", entry.part));
        Ok(())
    }
    fn trained(&self, entry: &Entry, reply: &str) {
        self.note(format!("trained {:?} {reply}", entry.part));
    }
    fn training_deferred(&self, entry: &Entry, reason: &str, next: u64) {
        assert!(next > entry.asked);
        self.note(format!("deferred {:?} {reason}", entry.part));
    }
    fn training_failed(&self, entry: &Entry, reason: &str) {
        self.note(format!("failed {:?} {reason}", entry.part));
    }
}

/// A queue with one order for `body` below a trace.
pub(super) fn order(root: &Path, verbs: Verbs, body: &[u8], asked: u64) -> Arc<Queue> {
    let queue = Arc::new(Queue::open(Disk::new(root)).unwrap());
    place(&queue, root, 1, verbs, body, asked);
    queue
}

pub(super) fn place(queue: &Queue, root: &Path, number: u32, verbs: Verbs, body: &[u8], asked: u64) {
    place_with(queue, root, number, verbs, body, asked, None);
}

fn place_with(queue: &Queue, root: &Path, number: u32, verbs: Verbs, body: &[u8], asked: u64, window: Option<Window>) {
    let bytes = [TRACE.as_bytes(), body].concat();
    let mut name = Name::new(Base::new(Timestamp::from_secs(asked), 1, number, "mx"), bytes.len() as u64);
    name.trace = TRACE.len() as u32;
    let source = root.join(name.to_string());
    fs::write(&source, bytes).unwrap();
    let order = Order::new(name, verbs, "alice@example.org", Asker::Recipient, Origin::Moved, asked);
    let order = Order { window, ..order };
    assert!(matches!(queue.place(vec![NewOrder { source, order }]).unwrap()[0], Placed::Placed));
}

pub(super) fn now() -> u64 {
    Timestamp::from_system(SystemTime::now()).secs()
}

/// Everything that runs; it ends with the value.
pub(super) struct Running {
    stop: Stop,
    tasks: Vec<smol::Task<()>>,
}

impl Running {
    pub(super) fn new() -> Running {
        Running { stop: Stop::new(), tasks: Vec::new() }
    }
    pub(super) fn fan(&mut self, queue: &Arc<Queue>, rules: &Arc<Rules>, sinks: &[&str]) {
        let sinks: Vec<String> = sinks.iter().map(|s| s.to_string()).collect();
        let how = FanOut { ham: sinks.clone(), spam: sinks };
        self.tasks.push(smol::spawn(fan::run(queue.clone(), rules.clone(), how, self.stop.clone())));
    }
    pub(super) fn spawn(&mut self, worker: impl FnOnce(Stop) -> smol::Task<()>) {
        self.tasks.push(worker(self.stop.clone()));
    }
    /// Waits for all to end by themselves.
    pub(super) fn stop(self) {
        self.stop.stop();
        smol::block_on(async {
            for task in self.tasks {
                task.await;
            }
        });
    }
}

fn start(queue: &Arc<Queue>, rules: &Arc<Rules>, routes: Routes) -> Running {
    let mut running = Running::new();
    running.fan(queue, rules, &[]);
    let deliver = Deliver::new(queue.clone(), rules.clone(), routes);
    for _ in 0..3 {
        let deliver = deliver.clone();
        running.spawn(|stop| smol::spawn(deliver.run(stop)));
    }
    running
}

fn exact(to: Destination) -> Route {
    Route { to, own_headers: Default::default() }
}

fn to_port(port: u16) -> Routes {
    Routes { default: exact(to(port, Protocol::Smtp)), by_domain: HashMap::new() }
}

const RELEASE: Verbs = Verbs::one(Verb::Release);

#[test]
fn every_outcome_is_told_and_only_what_waits_is_left() {
    let root = folder("deliver");
    let server = run(SinkServer::new(folder("deliver-mail")));
    let queue = order(&root, RELEASE, b"A: b\r\n\r\n.x\r\n", now());
    let rules = Rules::new(&["ok@x", "refused@x", "deferred@x", "nobody", "rejected@x"]);
    let running = start(&queue, &rules, to_port(server.port));
    let notes = rules.wait_for(5);
    running.stop();
    assert!(notes[0].starts_with("deferred Deliver(2) 451 4.2.1 "), "{notes:?}");
    assert!(notes[1].starts_with("delivered Deliver(0) 250 2.0.0 "), "{notes:?}");
    assert!(notes[2].starts_with("failed Deliver(1) 550 5.1.1 "), "{notes:?}");
    assert!(notes[3].starts_with("failed Deliver(3) the trace has no such recipient"), "{notes:?}");
    assert!(notes[4].starts_with("failed Deliver(4) 554 5.7.1 "), "{notes:?}");
    assert_eq!(kept(&server.folder), [[RECEIVED.as_bytes(), b"A: b\r\n\r\n.x\r\n"].concat()]);
    assert_eq!(queue.counts().deliveries, 1);
    let due = queue.next_due(Work::Deliver).unwrap();
    assert!(due >= now() + 50, "{due}");
}

#[test]
fn an_order_with_a_window_starts_when_it_closes() {
    let root = folder("deliver-window");
    let server = run(SinkServer::new(folder("deliver-window-mail")));
    let queue = Arc::new(Queue::open(Disk::new(&root)).unwrap());
    let rules = Rules::new(&["ok@x"]);
    let running = start(&queue, &rules, to_port(server.port));
    let window = Some(Window { seconds: 2, from: Kept::Caught, micros: 0 });
    let asked = now();
    place_with(&queue, &root, 1, RELEASE, b"A: b\r\n\r\n", asked, window);
    // Another that has none does not wait for it.
    place(&queue, &root, 2, RELEASE, b"A: c\r\n\r\n", asked);
    assert_eq!(rules.wait_for(1).len(), 1);
    assert_eq!((queue.counts().orders, queue.next_start()), (1, Some(asked + 2)));
    assert_eq!(rules.wait_for(2).len(), 2);
    assert!(now() >= asked + 2);
    running.stop();
    assert_eq!(kept(&server.folder).len(), 2);
}

#[test]
fn lf_files_are_sent_with_crlf() {
    let root = folder("deliver-lf");
    let server = run(SinkServer::new(folder("deliver-lf-mail")));
    let queue = order(&root, RELEASE, b"A: b\n\nx\n", now());
    let rules = Arc::new(Rules { form: Form::Lf, ..Arc::into_inner(Rules::new(&["ok@x"])).unwrap() });
    let running = start(&queue, &rules, to_port(server.port));
    rules.wait_for(1);
    running.stop();
    assert_eq!(kept(&server.folder), [[RECEIVED.as_bytes(), b"A: b\r\n\r\nx\r\n"].concat()]);
}

#[test]
fn what_our_filter_wrote_is_put_aside_below_our_own_line() {
    let root = folder("deliver-aside");
    let server = run(SinkServer::new(folder("deliver-aside-mail")));
    let queue = order(&root, RELEASE, b"X-Spam-Flag: YES\r\nReceived: b\r\n\r\nx\r\n", now());
    let own_headers = ["received", "x-spam-flag"].map(str::to_string);
    let route = Route { own_headers: own_headers.into(), ..exact(to(server.port, Protocol::Smtp)) };
    let rules = Rules::new(&["ok@x"]);
    let running = start(&queue, &rules, Routes { default: route, by_domain: HashMap::new() });
    rules.wait_for(1);
    running.stop();
    let aside = b"X-Pre-Release-X-Spam-Flag: YES\r\nX-Pre-Release-Received: b\r\n\r\nx\r\n";
    assert_eq!(kept(&server.folder), [[RECEIVED.as_bytes(), aside].concat()]);
}

#[test]
fn what_is_too_old_goes_back_after_one_more_attempt() {
    let root = folder("deliver-old");
    let server = run(SinkServer::new(folder("deliver-old-mail")));
    let queue = order(&root, RELEASE, b"A: b\r\n\r\n", now() - 6 * 86_400);
    let rules = Rules::new(&["deferred@x", "ok@x"]);
    let running = start(&queue, &rules, to_port(server.port));
    let notes = rules.wait_for(2);
    running.stop();
    assert!(notes[0].starts_with("delivered Deliver(1)"), "{notes:?}");
    assert!(notes[1].starts_with("failed Deliver(0) not delivered for 5 days; last: 451"), "{notes:?}");
    assert_eq!(queue.counts().deliveries, 0);
}

#[test]
fn a_dead_server_does_not_keep_others_waiting() {
    let root = folder("deliver-dead");
    let server = run(SinkServer::new(folder("deliver-dead-mail")));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut dead = to(silent.local_addr().unwrap().port(), Protocol::Smtp);
    dead.times.connect = Duration::from_secs(1);
    let routes = Routes {
        default: exact(dead),
        by_domain: [("live.test".to_string(), exact(to(server.port, Protocol::Smtp)))].into(),
    };
    let queue = order(&root, RELEASE, b"A: b\r\n\r\n", now() - 1000);
    for number in 2..40 {
        place(&queue, &root, number, RELEASE, b"A: b\r\n\r\n", now());
    }
    let rules = Rules::new(&["a@dead.test", "b@dead.test", "c@Live.Test"]);
    let started = Instant::now();
    let running = start(&queue, &rules, routes);
    while kept(&server.folder).len() < 39 {
        assert!(started.elapsed() < Duration::from_secs(15), "{:?}", rules.wait_for(0));
        std::thread::sleep(Duration::from_millis(20));
    }
    running.stop();
    let notes = rules.wait_for(0);
    let deferred = notes.iter().filter(|n| n.starts_with("deferred")).count();
    assert!((1..=3).contains(&deferred), "each worker tried once, the rest waited: {deferred}");
    assert_eq!(queue.counts().deliveries, 78);
}

#[test]
fn a_server_that_comes_up_later_gets_everything() {
    let root = folder("deliver-later");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut nowhere = to_port(port);
    nowhere.default.to.target = Target::Unix(root.join("no-such-socket"));
    let queue = order(&root, RELEASE, b"A: b\r\n\r\n", now());
    let rules = Rules::new(&["a@x", "b@x"]);
    let running = start(&queue, &rules, nowhere);
    let notes = rules.wait_for(1);
    assert!(notes[0].contains("no-such-socket"), "{notes:?}");
    running.stop();
    drop(queue);
    let server = run(SinkServer::new(folder("deliver-later-mail")));
    let queue = Arc::new(Queue::open(Disk::new(&root)).unwrap());
    assert_eq!(queue.counts().deliveries, 2);
    queue.retry_all().unwrap();
    let rules = Rules::new(&["a@x", "b@x"]);
    let running = start(&queue, &rules, to_port(server.port));
    rules.wait_for(2);
    running.stop();
    assert_eq!(kept(&server.folder).len(), 2);
    assert_eq!(queue.counts().deliveries, 0);
}
