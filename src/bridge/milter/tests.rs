//! What becomes of messages, without a mail server and without a filter.

use super::*;
use crate::disk::Disk;
use crate::mail::senders::{Pattern, Sense};
use crate::mail::{Kept, Trace};
use crate::quarantine::directory::{Directory, Domain};
use crate::quarantine::expire::Retention;
use crate::quarantine::folders::{Inbox, Naming, Spelling, WriteOnly};
use crate::quarantine::policy;
use crate::quarantine::{Account, Options, Scope};
use crate::store::Reach;
use crate::store::testing::{Scratch, clock};
use crate::verdict::{Edit, Place, Proof, Which};
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
        authenticated_by: vec!["mx.test".into()],
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
fn what_the_sender_was_told_is_in_the_trace() {
    let mut w = world("milter-told", ASKED, Some((5.0, 9.0)), false);
    let plain = |_: &mut Transaction| {};
    w.judge("alice@x.test", plain, said(Action::Reject, 20.0));
    w.judge("bob@x.test", plain, said(Action::Keep, 20.0));
    w.judge("carol@y.test", plain, said(Action::Reject, 20.0));
    w.judge("dora@x.test", plain, said(Action::Mark, 6.0));
    let told = |owner: &str, kept: Kept| {
        let store = &w.bridge.quarantine.store;
        let tree = store.tree(&Address::parse(owner).unwrap()).unwrap();
        let located = store.locate_all(Reach::Tree(tree.id), kept, &store.uids_of(&tree, kept)).remove(0);
        let bytes = std::fs::read(located.path).unwrap();
        Trace::parse(&bytes[..located.name.trace as usize]).told
    };
    let refused = Told::Refused("550 5.7.1 message refused as spam and kept: words".into());
    assert_eq!(told("alice@x.test", Kept::Caught), refused);
    assert_eq!(told("bob@x.test", Kept::Caught), Told::Accepted);
    assert_eq!(told("carol@y.test", Kept::Caught), Told::Accepted, "her domain says so");
    assert_eq!(told("dora@x.test", Kept::Training), Told::Accepted);
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

fn list(w: &World, login: &str, sense: Sense, pattern: &str) {
    let scope = match login {
        "global" => Scope::Global,
        login => Scope::Recipient(Address::parse(login).unwrap()),
    };
    let pattern = Pattern::parse(pattern).unwrap();
    w.bridge.quarantine.lists().add(&Account::command(), &scope, sense, &pattern, None).unwrap();
}

fn proved(action: Action, proofs: Vec<Proof>) -> Result<Verdict, Silence> {
    said(action, 20.0).map(|verdict| Verdict { proofs, ..verdict })
}

#[test]
fn whom_a_recipient_allows_passes_where_it_is_proved() {
    let mut w = world("milter-allowed", ASKED, Some((5.0, 50.0)), false);
    list(&w, "alice@x.test", Sense::Allow, "b@z.test");
    let plain = |_: &mut Transaction| {};
    let client = |t: &mut Transaction| t.client.address = Some("192.0.2.1".into());
    let of = |domain: &str| vec![Proof::Domain(domain.into())];
    for action in [Action::Reject, Action::Keep, Action::Mark] {
        assert_eq!(code(&w.judge("alice@x.test", plain, proved(action, of("z.test")))), 250, "{action:?}");
    }
    assert_eq!(code(&w.judge("alice@x.test", client, proved(Action::Reject, vec![Proof::Sender]))), 250);
    assert_eq!(code(&w.judge("alice@x.test", plain, proved(Action::Reject, vec![Proof::Author]))), 250);
    assert_eq!((w.kept(Kept::Caught), w.kept(Kept::Training)), (0, 0));
    assert_eq!(code(&w.judge("alice@x.test", plain, proved(Action::Later, of("z.test")))), 451);
    for unproved in [vec![], of("evil.test"), vec![Proof::Sender]] {
        assert_eq!(code(&w.judge("alice@x.test", plain, proved(Action::Reject, unproved))), 550);
    }
    assert_eq!(code(&w.judge("bob@x.test", plain, proved(Action::Reject, of("z.test")))), 550, "it is alice's list");
    for kind in [Kind::Virus, Kind::Banned] {
        let verdict = proved(Action::Reject, of("z.test")).map(|verdict| Verdict { kind, ..verdict });
        assert_eq!(code(&w.judge("alice@x.test", plain, verdict)), 550, "{kind}");
    }
    assert_eq!(w.kept(Kept::Caught), 2, "the same message comes again and again");
}

#[test]
fn what_passes_by_a_list_bears_no_mark_of_spam() {
    let mut w = world("milter-allowed-marks", ASKED, None, false);
    list(&w, "global", Sense::Allow, "z.test");
    let add = |name: &str| Edit::Add { name: name.into(), value: "x".into(), place: Place::End };
    let mut verdict = proved(Action::Mark, vec![Proof::Author]).unwrap();
    verdict.edits = vec![
        Edit::Remove("X-Spam".into(), Which::All),
        add("X-Spam"),
        Edit::Remove("Subject".into(), Which::All),
        add("Subject"),
        add("X-Other"),
    ];
    let stranger = |t: &mut Transaction| t.message = [b"X-Spam: no\r\n", MESSAGE].concat();
    let Judged::Accept(edits) = w.judge("alice@x.test", stranger, Ok(verdict)) else { panic!("refused") };
    let shown = format!("{edits:?}");
    assert_eq!(edits.len(), 2, "{shown}");
    assert!(shown.contains("X-Other") && !shown.contains("Subject"), "{shown}");
}

#[test]
fn whom_a_recipient_blocks_is_refused_and_kept() {
    let mut w = world("milter-blocked", ASKED, None, true);
    list(&w, "alice@x.test", Sense::Block, "z.test");
    let plain = |_: &mut Transaction| {};
    for (said, expected) in [
        (said(Action::Pass, 0.0), 550),
        (said(Action::Mark, 6.0), 550),
        (said(Action::Later, 6.0), 550),
        (said(Action::Keep, 9.0), 200),
        (Err(Silence), 550),
    ] {
        assert_eq!(code(&w.judge("alice@x.test", plain, said.clone())), expected, "{said:?}");
        assert_eq!(code(&w.judge("bob@x.test", plain, Ok(Verdict::default()))), 250);
    }
    let large = |transaction: &mut Transaction| (transaction.oversize, transaction.size) = (true, 1 << 40);
    assert_eq!(code(&w.judge("alice@x.test", large, Err(Silence))), 550, "its header is kept");
    let two = |t: &mut Transaction| t.message = [b"From: c@y.test\r\n", MESSAGE].concat();
    assert_eq!(code(&w.judge("alice@x.test", two, said(Action::Pass, 0.0))), 250, "it is of nobody in particular");
    assert!(w.recipient("b@z.test", Some("alice@x.test"), "alice@x.test", true), "who logged in is not listed");
}

#[test]
fn recipients_whose_lists_say_different_things_are_told_apart() {
    let mut w = world("milter-apart", ASKED, None, false);
    list(&w, "alice@x.test", Sense::Block, "z.test");
    list(&w, "bob@x.test", Sense::Allow, "b@z.test");
    assert!(w.recipient("b@z.test", None, "alice@x.test", true));
    assert!(!w.recipient("b@z.test", None, "bob@x.test", false));
    assert!(!w.recipient("b@z.test", None, "eve@x.test", false));
    assert!(w.recipient("c@q.test", None, "alice@x.test", true));
    assert!(w.recipient("c@q.test", None, "bob@x.test", false), "of this sender they say nothing");
    // The envelope had another sender, so the lists could not be foreseen: the filter decides.
    let both = |t: &mut Transaction| t.recipients.push("bob@x.test".into());
    assert_eq!(code(&w.judge("alice@x.test", both, said(Action::Pass, 0.0))), 250);
    assert_eq!(code(&w.judge("alice@x.test", both, proved(Action::Reject, vec![Proof::Author]))), 550);
}

#[test]
fn a_field_in_front_proves_the_sender_where_the_door_believes_it() {
    let judge = Judge::Fields { believed: vec![Filter::SpamAssassin], reject_from: Points::AllSpam };
    let mut w = world("milter-field-proof", judge, None, false);
    list(&w, "alice@x.test", Sense::Allow, "b@z.test");
    let spam = "X-Spam-Status: Yes, score=7.2 required=5.0 tests=DKIM_VALID_AU,SPF_PASS\r\n";
    let ours = "Authentication-Results: mx.test; dkim=pass header.d=z.test\r\n";
    for (top, expected) in [
        (format!("{ours}{spam}"), 250),
        (spam.to_string(), 550),
        (format!("{}{spam}", ours.replace("mx.test", "evil.test")), 550),
        (format!("{}{ours}{spam}", ours.replace("pass", "fail")), 550),
        (format!("{spam}Received: from evil\r\n{ours}"), 550),
    ] {
        let change = |t: &mut Transaction| t.message = [top.as_bytes(), MESSAGE].concat();
        assert_eq!(code(&w.judge("alice@x.test", change, Err(Silence))), expected, "{top}");
    }
}
