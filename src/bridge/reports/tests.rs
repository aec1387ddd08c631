//! What is taken as a report, by whom, and what is not.

use super::*;
use crate::bridge::lmtp::{Door, LmtpBridge};
use crate::bridge::memory::Memory;
use crate::bridge::{Answered, Bridge};
use crate::disk::Disk;
use crate::lmtp::{Answer, Question};
use crate::mail::trace::Told;
use crate::mail::{Class, Kind, Trace};
use crate::quarantine::Options;
use crate::quarantine::directory::{Directory, Domain};
use crate::quarantine::expire::Retention;
use crate::quarantine::folders::{Inbox, Naming, Spelling, WriteOnly};
use crate::quarantine::policy;
use crate::queue::{Asker, Order, Origin};
use crate::store::Reach;
use crate::store::testing::{Scratch, clock};
use std::time::Duration;

const LOGGED_IN: &str = "Received: from a (b [192.0.2.1]) by mx.test with ESMTPSA id 1; d\r\n";
const STRANGER: &str = "Received: from a (b [192.0.2.1]) by mx.test with ESMTPS id 1; d\r\n";

struct World {
    reports: Reports,
    quarantine: Arc<Quarantine>,
    scratch: Scratch,
}

fn world(name: &str, from_all: bool) -> World {
    let scratch = Scratch::new(name);
    let naming = Naming {
        spelling: Spelling::Classic,
        inbox: Inbox::Empty,
        write_only: WriteOnly::Empty,
        outgoing: false,
        training: false,
        admin_tree: false,
    };
    let options = Options {
        host: "mx.test".into(),
        naming,
        policy: policy::Policy::default(),
        retention: Retention::default(),
        new_trees_per_hour: 100,
        min_free_percent: 0,
        home: Address::parse("postmaster@x.test").unwrap(),
        release_delay: Duration::ZERO,
        queue_age: crate::base::limits::QUEUE_AGE,
    };
    let directory = Directory::new([("x.test", &Domain::default())]).unwrap();
    let quarantine = Quarantine::open(Disk::new(scratch.path()), 7, clock(), options, Arc::new(directory)).unwrap().0;
    let quarantine = Arc::new(quarantine);
    let at = |text: &str, opinion| (Address::parse(text).unwrap(), opinion);
    let addresses = HashMap::from([at("spam@x.test", Opinion::Spam), at("ham@x.test", Opinion::Ham)]);
    let reports = Reports::new(quarantine.clone(), Rules { addresses, from_all });
    World { reports, quarantine, scratch }
}

impl World {
    /// The code of the reply; 0: it is ordinary mail.
    fn take(&self, sender: &str, recipient: &str, message: &str) -> u16 {
        let message = message.as_bytes().to_vec();
        let mail = Transaction { sender: sender.into(), message, ..Transaction::default() };
        self.reports.take(recipient, &mail).map_or(0, |reply| reply.code)
    }

    /// Orders: whose, what is asked, the bytes; sorted.
    fn orders(&self) -> Vec<String> {
        let folder = std::fs::read_dir(self.scratch.path().join("queue/orders")).unwrap();
        let mut all: Vec<String> = folder
            .map(|entry| {
                let path = entry.unwrap().path();
                let order = Order::parse(path.file_name().unwrap().to_str().unwrap()).unwrap();
                assert_eq!((order.asker, order.origin), (Asker::Recipient, Origin::Appended));
                let text = String::from_utf8(std::fs::read(path).unwrap()).unwrap();
                format!("{} {} {text}", order.tree, order.verbs)
            })
            .collect();
        all.sort();
        all
    }
}

fn forward(top: &str, messages: &[&str]) -> String {
    let parts: String =
        messages.iter().map(|m| format!("--b\r\nContent-Type: message/rfc822\r\n\r\n{m}\r\n")).collect();
    format!("{top}Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n")
}

#[test]
fn each_attached_message_becomes_an_order_of_the_reporter() {
    let world = world("reports-orders", false);
    assert!(world.reports.are_for("SPAM@x.test") && !world.reports.are_for("alice@x.test"));
    let mail = forward(LOGGED_IN, &["Subject: one\r\n\r\n\n\rx", "Subject: two\r\n", "Subject: one\r\n\r\n\n\rx"]);
    assert_eq!(world.take("Alice@x.test", "Spam@x.test", &mail), 250);
    assert_eq!(world.orders(), ["alice@x.test s Subject: one\r\n\r\n\n\rx", "alice@x.test s Subject: two\r\n"]);
    assert_eq!(world.take("alice@x.test", "alice@x.test", &mail), 0);
}

#[test]
fn a_report_that_comes_again_is_taken_once() {
    let world = world("reports-again", false);
    let mail = forward(LOGGED_IN, &["Subject: one\r\n"]);
    for _ in 0..2 {
        assert_eq!(world.take("alice@x.test", "spam@x.test", &mail), 250);
    }
    assert_eq!(world.orders().len(), 1);
    assert_eq!(world.take("alice@x.test", "ham@x.test", &mail), 250);
    assert_eq!(world.take("bob@far.test", "spam@x.test", &mail), 250);
    assert_eq!(
        world.orders(),
        ["alice@x.test h Subject: one\r\n", "alice@x.test s Subject: one\r\n", "postmaster@x.test s Subject: one\r\n"]
    );
}

#[test]
fn a_stranger_reports_nothing() {
    let world = world("reports-stranger", false);
    let mail = forward("", &["Subject: one\r\n"]);
    assert_eq!(world.take("alice@x.test", "spam@x.test", &mail), 0);
    assert_eq!(world.take("alice@x.test", "spam@x.test", &format!("{STRANGER}{LOGGED_IN}{mail}")), 0);
    assert!(world.orders().is_empty());
}

#[test]
fn whoever_may_report_reports_where_all_may() {
    let world = world("reports-all", true);
    assert_eq!(world.take("", "spam@x.test", &forward(STRANGER, &["Subject: one\r\n"])), 250);
    assert_eq!(world.orders(), ["postmaster@x.test s Subject: one\r\n"]);
}

#[test]
fn a_feedback_report_says_itself_what_it_thinks() {
    let world = world("reports-arf", true);
    let mail = "Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\n\
        Content-Type: message/feedback-report\r\n\r\nFeedback-Type: not-spam\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\
        Subject: one\r\n--b--\r\n";
    assert_eq!(world.take("", "spam@x.test", mail), 250);
    assert_eq!(world.orders(), ["postmaster@x.test h Subject: one"]);
}

#[test]
fn what_cannot_be_taken_is_refused_for_good_and_says_why() {
    let world = world("reports-refused", true);
    assert_eq!(world.take("alice@x.test", "spam@x.test", "Subject: Fwd: one\r\n\r\n> one\r\n"), 550);
    let many = vec!["Subject: one\r\n"; crate::base::limits::REPORT_MESSAGES + 1];
    assert_eq!(world.take("alice@x.test", "spam@x.test", &forward("", &many)), 552);
    let own = world.quarantine.received_line("report.1.M1P1Q1.h", "spam@x.test", world.quarantine.store.now());
    assert_eq!(world.take("alice@x.test", "spam@x.test", &forward(&own, &["Subject: one\r\n"])), 554);
    let mail = Transaction { oversize: true, message: b"Subject: x\r\n\r\n".to_vec(), ..Transaction::default() };
    assert_eq!(world.reports.take("spam@x.test", &mail).unwrap().code, 552);
    assert!(world.orders().is_empty());
}

#[test]
fn what_the_sender_is_told_at_an_lmtp_door_is_in_the_trace() {
    let world = world("reports-told", false);
    let told = |class, reject, before_queue| {
        let door = Door { class, kind: Kind::Spam, reject, before_queue, believed: Vec::new(), reports: None };
        let mut bridge = LmtpBridge::new(world.quarantine.clone(), door, Arc::new(Memory::new(1_000)));
        let message = b"Subject: x\r\n\r\n".to_vec();
        let mail = Transaction { recipients: vec!["alice@x.test".into()], message, ..Transaction::default() };
        let Answered::Done(Answer::Stored(replies)) = bridge.answer(Question::Store(Box::new(mail))) else { panic!() };
        assert_eq!(replies[0].code, if reject { 550 } else { 250 });
        let store = &world.quarantine.store;
        let tree = store.tree(&Address::parse("alice@x.test").unwrap()).unwrap();
        let kept = class.folder();
        let located = store.locate_all(Reach::Tree(tree.id), kept, &store.uids_of(&tree, kept)).pop().unwrap();
        let bytes = std::fs::read(located.path).unwrap();
        Trace::parse(&bytes[..located.name.trace as usize]).told
    };
    let refused = Told::Refused("550 5.7.1 message refused as spam and kept in quarantine".into());
    assert_eq!(told(Class::Incoming, true, true), refused);
    assert_eq!(told(Class::Incoming, false, true), Told::Accepted);
    assert_eq!(told(Class::Incoming, false, false), Told::Unknown, "the mail server, or a filter in it, has told him");
    assert_eq!(told(Class::Unsure, false, false), Told::Accepted);
}
