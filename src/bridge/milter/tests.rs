//! What becomes of messages, without a mail server and without a filter.

use super::*;
use crate::disk::Disk;
use crate::mail::Kept;
use crate::quarantine::Options;
use crate::quarantine::directory::{Directory, Domain};
use crate::quarantine::expire::Retention;
use crate::quarantine::folders::{Inbox, Naming, Spelling, WriteOnly};
use crate::quarantine::policy;
use crate::store::testing::{Scratch, clock};
use std::time::Duration;

const MESSAGE: &[u8] = b"From: b@z.test\r\nSubject: x\r\n\r\nbody\r\n";

struct World {
    bridge: MilterBridge,
    memory: Arc<Memory>,
    _scratch: Scratch,
}

fn world(name: &str, judge: Judge, unsure: Option<(f64, f64)>, accepts_unjudged: bool) -> World {
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
    let listed = Domain { recipients: Some(vec!["carol".into()]), ..Domain::default() };
    let directory = Directory::new([("x.test", &Domain::default()), ("y.test", &listed)]).unwrap();
    let quarantine = Quarantine::open(Disk::new(scratch.path()), 7, clock(), options, Arc::new(directory)).unwrap().0;
    let memory = Arc::new(Memory::new(1_000));
    let door = Door {
        judge,
        accepts_unjudged,
        rejects: true,
        rejects_for: HashMap::from([("y.test".to_string(), false)]),
        unsure,
        server: "mx.test".into(),
    };
    let bridge = MilterBridge::new(Arc::new(quarantine), Arc::new(door), memory.clone(), "a peer".into());
    World { bridge, memory, _scratch: scratch }
}

const ASKED: Judge = Judge::Asked { filter: 0, reject_from: Points::AsItSays };

impl World {
    fn recipient(&mut self, sender: &str, user: Option<&str>, recipient: &str, is_first: bool) -> bool {
        match self.bridge.recipient(sender, user, recipient, is_first) {
            Answer::Continue => true,
            Answer::Reply(reply) => {
                assert_eq!((reply.code, reply.enhanced), (452, "4.5.3"));
                false
            }
            other => panic!("{other:?}"),
        }
    }

    /// Hands a message in. Where a filter is asked it says this.
    fn judge(&mut self, recipient: &str, change: impl Fn(&mut Transaction), said: Result<Verdict, Silence>) -> Judged {
        assert!(self.recipient("b@z.test", None, recipient, true));
        assert!(matches!(self.bridge.answer(Question::Reserve(600)), Answered::Done(Answer::Reserved(true))));
        let mut transaction = Transaction {
            sender: "b@z.test".into(),
            recipients: vec![recipient.into()],
            message: MESSAGE.to_vec(),
            ..Transaction::default()
        };
        change(&mut transaction);
        let answered = match self.bridge.answer(Question::Judge(Box::new(transaction))) {
            Answered::Errand(Errand::Filter(inquiry, next)) => {
                assert_eq!((inquiry.filter, inquiry.request.server.as_str()), (0, "mx.test"));
                assert!(!self.memory.take(600), "the message is still held");
                next(&mut self.bridge, said)
            }
            answered => answered,
        };
        assert!(self.memory.take(1_000), "what was reserved is given back");
        self.memory.give(1_000);
        match answered {
            Answered::Done(Answer::Judged(judged)) => judged,
            _ => panic!("no judgement"),
        }
    }

    fn kept(&self, kept: Kept) -> usize {
        self.bridge.quarantine.store.ids(kept).len()
    }
}

fn said(action: Action, score: f64) -> Result<Verdict, Silence> {
    Ok(Verdict { action, score: Some(score), text: Some("words".into()), ..Verdict::default() })
}

fn code(judged: &Judged) -> u16 {
    match judged {
        Judged::Accept(_) => 250,
        Judged::Discard => 200,
        Judged::Refuse(reply) => reply.code,
    }
}

#[test]
fn the_first_recipient_fixes_the_answer() {
    let mut w = world("milter-first", ASKED, None, false);
    assert!(w.recipient("b@z.test", None, "alice@x.test", true));
    assert!(w.recipient("b@z.test", None, "bob@X.test", false));
    assert!(!w.recipient("b@z.test", None, "carol@y.test", false), "other answers are due there");
    assert!(w.recipient("b@z.test", None, "dora@elsewhere.test", false), "mail for it is put off if it is spam");
    assert!(w.recipient("b@z.test", None, "carol@y.test", true), "a transaction of its own");
    assert!(w.recipient("a@x.test", None, "dora@elsewhere.test", true));
    assert!(!w.recipient("a@x.test", None, "alice@x.test", false), "one goes out and one stays");
    assert!(w.recipient("a@x.test", Some("a@x.test"), "dora@elsewhere.test", true));
    assert!(w.recipient("a@x.test", Some("a@x.test"), "alice@x.test", false), "who logged in sends");
}

#[test]
fn each_verdict_has_its_answer() {
    let mut w = world("milter-verdicts", ASKED, Some((5.0, 9.0)), false);
    let plain = |_: &mut Transaction| {};
    assert_eq!(code(&w.judge("alice@x.test", plain, said(Action::Pass, 1.0))), 250);
    assert_eq!(code(&w.judge("alice@x.test", plain, said(Action::Later, 7.0))), 451);
    assert_eq!(code(&w.judge("alice@x.test", plain, Err(Silence))), 451);
    assert_eq!((w.kept(Kept::Caught), w.kept(Kept::Training)), (0, 0));
    let Judged::Refuse(reply) = w.judge("alice@x.test", plain, said(Action::Reject, 20.0)) else { panic!("accepted") };
    assert_eq!((reply.code, reply.enhanced, w.kept(Kept::Caught)), (550, "5.7.1", 1));
    let id = w.bridge.quarantine.store.ids(Kept::Caught).into_iter().next().unwrap().1.to_string();
    assert_eq!(reply.text, format!("message refused as spam and kept, reference {id}: words"));
    assert_eq!(code(&w.judge("bob@x.test", plain, said(Action::Keep, 20.0))), 200);
    assert_eq!(code(&w.judge("carol@y.test", plain, said(Action::Reject, 20.0))), 200);
    assert_eq!(w.kept(Kept::Caught), 3);
    assert_eq!(code(&w.judge("alice@x.test", plain, said(Action::Mark, 8.9))), 250);
    assert_eq!(code(&w.judge("alice@x.test", plain, said(Action::Mark, 9.0))), 250);
    assert_eq!((w.kept(Kept::Caught), w.kept(Kept::Training)), (3, 1), "a copy of what is unsure");
    // Not ours, not a recipient, no address: it is put off, and not kept.
    for recipient in ["dora@elsewhere.test", "nobody@y.test", "no address"] {
        assert_eq!(code(&w.judge(recipient, plain, said(Action::Reject, 20.0))), 451, "{recipient}");
    }
    assert_eq!(w.kept(Kept::Caught), 3);
    let large = |transaction: &mut Transaction| (transaction.oversize, transaction.size) = (true, 1 << 40);
    assert_eq!(code(&w.judge("alice@x.test", large, said(Action::Reject, 20.0))), 250, "nobody can judge it");
    let mut w = world("milter-accepts", ASKED, None, true);
    assert_eq!(code(&w.judge("alice@x.test", plain, Err(Silence))), 250);
}

#[test]
fn fields_of_an_earlier_filter() {
    let believed = vec![Filter::SpamAssassin];
    let spam =
        |t: &mut Transaction| t.message = [&b"X-Spam-Status: Yes, score=7.2 required=5.0\r\n"[..], MESSAGE].concat();
    for (reject_from, expected) in
        [(Points::AllSpam, 550), (Points::From(8.0), 250), (Points::From(7.2), 550), (Points::AsItSays, 250)]
    {
        let judge = Judge::Fields { believed: believed.clone(), reject_from };
        let mut w = world("milter-fields", judge, None, false);
        assert_eq!(code(&w.judge("alice@x.test", spam, Err(Silence))), expected, "{reject_from:?}");
        assert_eq!(code(&w.judge("alice@x.test", |_| {}, Err(Silence))), 250, "nobody called it spam");
        let header = |t: &mut Transaction| {
            spam(t);
            (t.oversize, t.size) = (true, 1 << 40);
        };
        assert_eq!(code(&w.judge("bob@x.test", header, Err(Silence))), expected);
        assert_eq!(w.kept(Kept::Caught), if expected == 550 { 2 } else { 0 });
    }
}
