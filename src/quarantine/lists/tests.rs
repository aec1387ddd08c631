use super::super::tests::{Fixture, alice, global};
use super::*;
use crate::quarantine::history::What;
use std::path::Path;

fn domain() -> Account {
    Account { login: "x.test".into(), scope: Scope::Domain("x.test".into()) }
}

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn add(f: &Fixture, account: &Account, sense: Sense, text: &str) -> Result<Option<Entry>, String> {
    f.q.lists().add(account, &account.scope, sense, &pattern(text), None).map_err(|failed| failed.to_string())
}

fn says(f: &Fixture, tree: &str, from: &str, is_proved: bool) -> Says {
    f.q.lists().says(&address(tree), &address(from), is_proved)
}

#[test]
fn each_scope_speaks_for_its_own_mail() {
    let f = Fixture::new("lists-scopes");
    add(&f, &alice(), Sense::Allow, "one.example").unwrap();
    add(&f, &domain(), Sense::Allow, "two.example").unwrap();
    add(&f, &global(), Sense::Allow, "three.example").unwrap();
    let allowed = |tree: &str| {
        ["one", "two", "three"].map(|name| says(&f, tree, &format!("bob@{name}.example"), true) == Says::Allowed)
    };
    assert_eq!(allowed("alice@x.test"), [true, true, true]);
    assert_eq!(allowed("carol@x.test"), [false, true, true]);
    assert_eq!(allowed("carol@y.test"), [false, false, true]);
    assert_eq!(says(&f, "Alice@x.test", "bob@news.one.example", true), Says::Allowed);
    assert_eq!(says(&f, "alice@x.test", "bob@other.example", true), Says::Nothing);
}

/// Forged mail is what it was without a list.
#[test]
fn without_proof_nobody_is_allowed() {
    let f = Fixture::new("lists-proof");
    add(&f, &alice(), Sense::Allow, "bob@one.example").unwrap();
    add(&f, &alice(), Sense::Block, "two.example").unwrap();
    assert_eq!(says(&f, "alice@x.test", "bob@one.example", false), Says::Nothing);
    assert_eq!(says(&f, "alice@x.test", "bob@one.example", true), Says::Allowed);
    assert_eq!(says(&f, "alice@x.test", "bob@two.example", false), Says::Blocked);
    assert_eq!(says(&f, "alice@x.test", "\"b b\"@two.example", false), Says::Blocked, "quotes hide nobody");
}

#[test]
fn one_that_blocks_is_enough() {
    let f = Fixture::new("lists-block");
    add(&f, &alice(), Sense::Allow, "bob@far.example").unwrap();
    add(&f, &global(), Sense::Block, "far.example").unwrap();
    assert_eq!(says(&f, "alice@x.test", "bob@far.example", true), Says::Blocked);
    assert_eq!(f.q.lists().overruled_by(&alice().scope, &pattern("bob@far.example")), Some(Scope::Global));
    assert_eq!(f.q.lists().overruled_by(&alice().scope, &pattern("bob@near.example")), None);
    assert_eq!(f.q.lists().overruled_by(&Scope::Global, &pattern("far.example")), None);
    add(&f, &global(), Sense::Allow, "near.example").unwrap();
    add(&f, &alice(), Sense::Block, "bob@near.example").unwrap();
    assert_eq!(says(&f, "alice@x.test", "bob@near.example", true), Says::Blocked);
    assert_eq!(says(&f, "carol@x.test", "bob@near.example", true), Says::Allowed);
}

#[test]
fn who_may_change_which_list() {
    let f = Fixture::new("lists-may");
    let lists = f.q.lists();
    let bob = Scope::Recipient(address("bob@x.test"));
    let other = Scope::Domain("y.test".into());
    for (account, scopes) in [
        (alice(), vec![bob.clone(), domain().scope, Scope::Global]),
        (domain(), vec![bob.clone(), other.clone(), Scope::Global]),
    ] {
        for scope in scopes {
            let denied = lists.add(&account, &scope, Sense::Block, &pattern("far.example"), None).unwrap_err();
            assert!(denied.to_string().contains("may change its own list"), "{denied}");
            assert!(lists.remove(&account, &scope, &pattern("far.example")).is_err());
            assert!(lists.of(&account, &scope).is_err());
        }
    }
    for scope in [bob, other, Scope::Global] {
        lists.add(&global(), &scope, Sense::Block, &pattern("far.example"), None).unwrap();
    }
    assert_eq!(lists.logins(&global()).len(), 3);
    assert!(lists.logins(&alice()).is_empty());
}

#[test]
fn what_may_be_allowed() {
    let f = Fixture::new("lists-what");
    for text in ["com", "co.uk", "github.io"] {
        assert!(add(&f, &global(), Sense::Allow, text).unwrap_err().contains("nobody in particular"), "{text}");
    }
    for text in ["gmail.com", "yahoo.co.uk", "mail.gmx.net"] {
        assert!(add(&f, &alice(), Sense::Allow, text).unwrap_err().contains("anybody can have an address"), "{text}");
    }
    for (sense, text) in [(Sense::Block, "top"), (Sense::Block, "gmail.com"), (Sense::Allow, "bob@gmail.com")] {
        assert!(add(&f, &alice(), sense, text).is_ok(), "{text}");
    }
}

#[test]
fn a_full_list_says_so_and_what_is_there_needs_no_room() {
    let f = Fixture::new("lists-full");
    let directory = f.scratch.path().join("state/lists");
    std::fs::create_dir_all(&directory).unwrap();
    let text: String = (0..limits::LIST_SENDERS).map(|n| format!("block s{n}.example\n")).collect();
    std::fs::write(directory.join("global.list"), text).unwrap();
    f.q.lists().refresh().unwrap();
    assert!(add(&f, &global(), Sense::Block, "more.example").unwrap_err().contains("as many as there may be"));
    assert!(add(&f, &global(), Sense::Allow, "s7.example").is_ok());
    f.q.lists().remove(&global(), &Scope::Global, &pattern("s8.example")).unwrap().unwrap();
    assert!(add(&f, &global(), Sense::Block, "more.example").is_ok());
}

#[test]
fn changes_are_kept_told_and_taken_back() {
    let f = Fixture::new("lists-told");
    f.caught("alice@x.test");
    let tree = address("alice@x.test");
    let lists = f.q.lists();
    let (scope, bob) = (alice().scope, pattern("bob@far.example"));
    assert_eq!(lists.add(&alice(), &scope, Sense::Allow, &bob, Some(("1.M1", &tree))).unwrap(), None);
    let before = lists.add(&alice(), &scope, Sense::Block, &bob, None).unwrap().unwrap();
    assert_eq!((before.sense, before.by.as_str()), (Sense::Allow, "alice@x.test"));
    lists.restore(&alice(), &scope, &bob, Some(&before)).unwrap();
    assert_eq!(lists.of(&alice(), &scope).unwrap().has(&bob), Some(Sense::Allow));
    lists.restore(&alice(), &scope, &bob, None).unwrap();
    assert_eq!(lists.remove(&alice(), &scope, &bob).unwrap(), None, "twice is no error");
    add(&f, &domain(), Sense::Block, "spam.example").unwrap();
    let told = |account: &Account| -> Vec<(What, String, Option<String>)> {
        let (told, _) = f.q.history(account, None, 10);
        told.into_iter().map(|told| (told.what, told.id, told.text)).collect()
    };
    let sender = |text: &str| Some(text.to_string());
    assert_eq!(
        told(&alice()),
        [
            (What::Unlisted, String::new(), sender("bob@far.example")),
            (What::Allowed, String::new(), sender("bob@far.example")),
            (What::Blocked, String::new(), sender("bob@far.example")),
            (What::Allowed, "1.M1".into(), sender("bob@far.example")),
        ]
    );
    assert_eq!(told(&domain()).len(), 5);
    assert_eq!(told(&domain())[0], (What::Blocked, String::new(), sender("spam.example")));
    let f = f.restarted();
    assert_eq!(says(&f, "alice@x.test", "x@spam.example", true), Says::Blocked);
}

fn exported(directory: &Path, name: &str) -> String {
    std::fs::read_to_string(directory.join(name)).unwrap()
}

#[test]
fn exported_at_once_at_each_change_and_edit() {
    use std::os::unix::fs::PermissionsExt;
    let f = Fixture::new("lists-export");
    let directory = f.scratch.path().join("exported");
    std::fs::create_dir(&directory).unwrap();
    add(&f, &alice(), Sense::Allow, "bob#1@far.example").unwrap();
    f.q.lists().export_to(Some(Export { directory: directory.clone(), mode: 0o644 }));
    assert!(exported(&directory, "rspamd-senders.map").ends_with("\n\"bob#1@far.example>alice@x.test\" allow\n"));
    let recipients = exported(&directory, "rspamd-recipients.map");
    assert!(
        recipients.ends_with("\n\"@x.test\" x.test +\n\"@y.test\" y.test\n\"info@x.test\" alice@x.test\n"),
        "{recipients}"
    );
    assert_eq!(exported(&directory, "postfix-senders").lines().count(), 1);
    add(&f, &global(), Sense::Block, "spam.example").unwrap();
    add(&f, &global(), Sense::Allow, "good@spam.example").unwrap();
    add(&f, &domain(), Sense::Block, "other.example").unwrap();
    let postfix = exported(&directory, "postfix-senders");
    assert!(
        postfix.ends_with("\ngood@spam.example DUNNO\nspam.example REJECT 5.7.1 this sender is blocked here\n"),
        "{postfix}"
    );
    let mode = std::fs::metadata(directory.join("postfix-senders")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o644);
    std::fs::write(f.scratch.path().join("state/lists/x.test.list"), "block third.example\nallow third.example\n")
        .unwrap();
    f.q.lists().refresh().unwrap();
    let senders = exported(&directory, "rspamd-senders.map");
    assert_eq!(
        senders.lines().filter(|line| line.contains(">x.test\"")).collect::<Vec<_>>(),
        ["\"third.example>x.test\" block"]
    );
    // Where nobody can write the change counts all the same.
    std::fs::remove_dir_all(&directory).unwrap();
    add(&f, &domain(), Sense::Block, "fourth.example").unwrap();
    assert_eq!(says(&f, "alice@x.test", "bob@fourth.example", true), Says::Blocked);
}
