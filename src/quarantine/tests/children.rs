//! Children of Caught: what they are called, what they show, and whose `\Seen` it is.

use super::*;
use crate::quarantine::Named;
use crate::quarantine::mailbox::Content;
use crate::store::Sight;
use proptest::prelude::*;

fn with_tree(name: &str) -> Fixture {
    let mut options = options();
    options.naming.admin_tree = true;
    Fixture::with(name, options)
}

fn domain() -> Account {
    Account { login: "x.test".into(), scope: Scope::Domain("x.test".into()) }
}

impl Fixture {
    fn names(&self, account: &Account) -> Vec<String> {
        self.q.children(account).iter().map(|named| named.name(&self.q.options.naming)).collect()
    }

    fn open(&self, account: &Account, name: &str) -> Content {
        let named = self.q.folder(account, name).unwrap_or_else(|| panic!("there is {name}"));
        self.q.open_folder(account, named).unwrap().content.unwrap()
    }

    fn look(&self, account: &Account, name: &str, add: bool, uid: u32) {
        let how = if add { Flagging::Add } else { Flagging::Remove };
        self.q.set_flags(&self.open(account, name), &one(uid), how, Flags::SEEN, None).unwrap();
    }

    /// UIDs, and which of them are seen.
    fn seen(&self, account: &Account, name: &str) -> Vec<(u32, bool)> {
        let content = self.open(account, name);
        let mut rows = Vec::new();
        self.q.store.rows(content.sight, content.kept, &UidRanges::one(1, u32::MAX), |row, _| {
            rows.push((row.uid, row.flags.has(Flags::SEEN)));
            true
        });
        let view = content.cell.view();
        assert!(view.list.iter().eq(rows.iter().map(|(uid, _)| *uid)));
        let unseen = rows.iter().filter(|(_, seen)| !seen).count() as u32;
        assert_eq!(self.q.store.unseen(content.sight, content.kept, &view), unseen);
        rows
    }

    fn modseq(&self, account: &Account, name: &str) -> u64 {
        self.open(account, name).cell.view().modseq
    }
}

#[test]
fn children_are_there_from_the_first_message_on() {
    let f = with_tree("children");
    assert!(f.names(&global()).is_empty() && f.q.folder(&global(), "Caught/x.test").is_none());
    assert!(!f.q.has_children(&global(), &Folder::Caught.into()));
    let uid = f.caught("bob@x.test");
    f.caught("alice@x.test");
    f.caught("carol@y.test");
    let all = ["Caught/x.test", "Caught/x.test/alice", "Caught/x.test/bob", "Caught/y.test", "Caught/y.test/carol"];
    assert_eq!(f.names(&global()), all);
    assert_eq!(f.names(&domain()), all[..3]);
    assert_eq!(f.names(&alice()), [""; 0]);
    for name in all {
        let mine = name.contains("x.test");
        assert_eq!(f.q.folder(&global(), name).map(|named| named.label()).as_deref(), Some(name));
        assert_eq!(f.q.folder(&domain(), name).is_some(), mine, "{name}");
        assert_eq!(f.q.folder(&alice(), name), None, "who sees one recipient has no children");
    }
    for name in
        ["Caught/", "Caught/z.test", "Caught/x.test/", "Caught/x.test/dave", "Trash/x.test", "Caught/X.test", "/"]
    {
        assert_eq!(f.q.folder(&global(), name), None, "{name}");
    }
    assert!(f.q.has_children(&domain(), &Folder::Caught.into()) && !f.q.has_children(&domain(), &Folder::Trash.into()));
    f.q.expunge(&global(), Kept::Caught, &one(uid)).unwrap();
    assert_eq!(f.names(&global()), all, "a vanished folder is taken for a deleted one");
    assert_eq!(f.seen(&global(), "Caught/x.test/bob"), []);
}

#[test]
fn there_are_none_unless_they_are_wanted() {
    let f = Fixture::new("nochildren");
    f.caught("alice@x.test");
    assert!(f.names(&global()).is_empty() && f.q.folder(&global(), "Caught/x.test/alice").is_none());
    assert!(!f.q.has_children(&global(), &Folder::Caught.into()));
}

#[test]
fn children_of_an_inbox_that_stands_for_caught() {
    let mut options = options();
    (options.naming.admin_tree, options.naming.inbox) = (true, Inbox::Caught);
    let f = Fixture::with("inboxchildren", options);
    f.caught("alice@x.test");
    assert_eq!(f.names(&global()), ["INBOX/x.test", "INBOX/x.test/alice"]);
    let child = f.q.folder(&global(), "inbox/x.test/alice");
    assert!(child.is_some() && child == f.q.folder(&global(), "Caught/x.test/alice"));
    assert_eq!(child.unwrap().label(), "Caught/x.test/alice", "MAILBOXID stays when the setting changes");
}

#[test]
fn what_an_account_reads_in_a_child_it_has_read_and_nobody_else() {
    let f = with_tree("childseen");
    let (first, other) = (f.caught("alice@x.test"), f.caught("bob@x.test"));
    let second = f.caught("alice@x.test");
    let both = |a, b| vec![(first, a), (second, b)];
    let child = "Caught/x.test/alice";
    f.look(&global(), child, true, first);
    assert_eq!(f.seen(&global(), child), both(true, false));
    assert_eq!(f.seen(&global(), "Caught/x.test"), [(first, true), (other, false), (second, false)]);
    assert_eq!(f.seen(&global(), "Caught"), f.seen(&global(), "Caught/x.test"));
    assert_eq!(f.seen(&alice(), "Caught"), both(false, false), "an admin's look does not mark Alice's mail as read");
    assert_eq!(f.seen(&domain(), child), both(false, false), "nor that of another account");
    f.look(&alice(), "Caught", true, second);
    f.look(&domain(), "Caught", true, second);
    assert_eq!(f.seen(&global(), child), both(true, false));
    assert_eq!(f.seen(&domain(), child), both(false, true));
    f.look(&global(), "Caught", false, first);
    assert_eq!(f.seen(&global(), child), both(false, false), "and back");
    // What is not within a child cannot be changed through it.
    f.look(&global(), child, true, other);
    assert_eq!(f.seen(&global(), "Caught"), [(first, false), (other, false), (second, false)]);
}

#[test]
fn an_admins_look_moves_the_figures_of_what_he_sees_alone() {
    let f = with_tree("childmodseq");
    let uid = f.caught("alice@x.test");
    f.caught("bob@x.test");
    let all = [
        (global(), "Caught", true),
        (global(), "Caught/x.test", true),
        (global(), "Caught/x.test/alice", true),
        (global(), "Caught/x.test/bob", false),
        (domain(), "Caught", false),
        (domain(), "Caught/x.test/alice", false),
        (alice(), "Caught", false),
    ];
    let modseqs = || all.iter().map(|(account, name, _)| f.modseq(account, name)).collect::<Vec<u64>>();
    let before = modseqs();
    f.look(&global(), "Caught/x.test/alice", true, uid);
    let after = modseqs();
    for ((before, after), (account, name, moves)) in before.iter().zip(&after).zip(&all) {
        assert_eq!(before < after, *moves, "{} {name}", account.login);
    }
    let changed = |account: &Account, name: &str, since: u64| {
        let content = f.open(account, name);
        f.q.store.changed_since(content.sight, content.kept, since).len()
    };
    assert_eq!(changed(&global(), "Caught/x.test/alice", before[2]), 1);
    assert_eq!(changed(&global(), "Caught/x.test/alice", after[2]), 0);
    assert_eq!(changed(&global(), "Caught/x.test/bob", before[3]), 0);
    assert_eq!(changed(&alice(), "Caught", before[6]), 0);
    // Views that nobody has open are dropped; figures do not fall.
    f.q.store.drop_unused_views();
    assert_eq!(modseqs(), after);
    let content = f.open(&global(), "Caught/x.test/alice");
    f.q.expunge(&global(), Kept::Caught, &one(uid)).unwrap();
    let gone = f.q.store.vanished_since(content.sight, content.kept, after[2], &UidRanges::one(1, 9));
    assert_eq!(gone, one(uid));
    f.q.store.drop_unused_views();
    assert!(modseqs()[2] > after[2] && modseqs()[3] == after[3]);
}

#[test]
fn a_child_takes_back_its_own() {
    let f = with_tree("childback");
    let uid = f.caught("alice@x.test");
    f.caught("bob@x.test");
    f.q.put(&global(), Kept::Caught, &one(uid), Folder::Trash, true).unwrap();
    let back = f.last(Kept::Trash);
    let to = |name: &str| f.q.folder(&global(), name).unwrap();
    let refused = |from, uid, target: Named| match f.q.put(&global(), from, &one(uid), target, true) {
        Err(Failed::Denied(denied)) => denied.text,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        refused(Kept::Trash, back, to("Caught/x.test/bob")),
        "a message goes back from Trash to where it came from: drag this one to Caught or Caught/x.test/alice"
    );
    let done = f.q.put(&global(), Kept::Trash, &one(back), to("Caught/x.test/alice"), true).unwrap();
    let uid = f.last(Kept::Caught);
    assert_eq!(done.placed, [(back, uid)]);
    assert_eq!(f.seen(&global(), "Caught/x.test/alice"), [(uid, false)]);
    assert_eq!(refused(Kept::Caught, uid, to("Caught/x.test/bob")), "it is in Caught already");
    let outgoing = f.in_folder(Kept::Outgoing);
    assert!(refused(Kept::Outgoing, outgoing, to("Caught/x.test")).contains("nothing from Caught (Outgoing)"));
    f.q.put(&global(), Kept::Caught, &one(uid), Folder::Release, true).unwrap();
    assert_eq!(f.carry_out(&[]), ["deliver alice@x.test"]);
    assert_eq!(f.seen(&global(), "Caught/x.test/alice"), []);
}

#[test]
fn figures_of_children_hold_over_a_restart() {
    let f = with_tree("childrestart");
    let (uid, _) = (f.caught("alice@x.test"), f.caught("bob@x.test"));
    f.look(&global(), "Caught/x.test/alice", true, uid);
    let sights = |q: &Quarantine| {
        let all =
            [(global(), "Caught/x.test/alice"), (global(), "Caught/x.test/bob"), (domain(), "Caught/x.test/alice")];
        all.map(|(account, name)| {
            let content = q.open_folder(&account, q.folder(&account, name).unwrap()).unwrap().content.unwrap();
            let view = content.cell.view();
            let Sight { reach, eye } = content.sight;
            assert_ne!(reach, eye);
            (view.uid_next, view.modseq, q.store.unseen(content.sight, content.kept, &view))
        })
    };
    let before = sights(&f.q);
    assert_eq!(before.map(|(.., unseen)| unseen), [0, 1, 1]);
    f.q.store.close().unwrap();
    assert_eq!(sights(&f.restarted().q), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_child_is_found_by_its_name(local in "[a-z/%*&.~\"\\\\ éüß]{1,9}") {
        let address = Address::parse(&format!("\"{}\"@x.test", local.replace('\\', "\\\\").replace('"', "\\\"")));
        let Ok(address) = address else { return Ok(()) };
        let f = with_tree("childname");
        let Ok(tree) = f.q.store.tree_for(&address) else { return Ok(()) };
        tree.set_held(Kept::Caught);
        let names = f.names(&global());
        prop_assert_eq!(names.len(), 2);
        prop_assert_eq!(names[1].matches('/').count(), 2, "{}", names[1]);
        prop_assert_eq!(f.q.folder(&global(), &names[1]).unwrap().child, Some(Scope::Recipient(address)));
    }
}
