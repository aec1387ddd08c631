use super::*;
use proptest::prelude::*;

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap()
}

fn says(list: &str, from: &str, is_proved: bool) -> Option<Sense> {
    List::parse(list).says(&pattern(from), is_proved)
}

#[test]
fn senders_as_people_write_them() {
    for (written, read) in [
        ("Bob@Far.Example.", "bob@far.example"),
        (" bob+news@far.example ", "bob+news@far.example"),
        ("far.example", "far.example"),
        ("@far.example", "far.example"),
        ("*@far.example", "far.example"),
        ("*.far.example", "far.example"),
        (".FAR.example", "far.example"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("jörg@bücher.example", "jörg@xn--bcher-kva.example"),
        ("\"bob\"@far.example", "bob@far.example"),
        ("top", "top"),
    ] {
        assert_eq!(pattern(written).to_string(), read, "{written}");
    }
    for written in [
        "",
        "@",
        "*",
        "a b@far.example",
        "\"a b\"@far.example",
        "a@",
        "far..example",
        "a@[192.0.2.1]",
        "far.example/24",
        "*far.example",
        "a#b",
    ] {
        assert_eq!(Pattern::parse(written), Err(NoPattern), "{written}");
    }
}

#[test]
fn the_narrowest_entry_counts() {
    let list = "allow far.example\nblock news.far.example\nallow bob@news.far.example\n";
    assert_eq!(says(list, "carol@far.example", true), Some(Sense::Allow));
    assert_eq!(says(list, "carol@a.b.far.example", true), Some(Sense::Allow));
    assert_eq!(says(list, "carol@x.news.far.example", true), Some(Sense::Block));
    assert_eq!(says(list, "BOB@news.far.example", true), Some(Sense::Allow));
    assert_eq!(says(list, "bob+x@news.far.example", true), Some(Sense::Block));
    assert_eq!(says(list, "bob@notfar.example", true), None);
    assert_eq!(says("", "bob@far.example", true), None);
}

/// A forger gains nothing, and what is blocked stays so.
#[test]
fn without_proof_nobody_is_allowed() {
    let list = "block far.example\nallow bob@far.example\nallow near.example\n";
    assert_eq!(says(list, "bob@far.example", false), Some(Sense::Block));
    assert_eq!(says(list, "bob@near.example", false), None);
    assert_eq!(
        says("allow bob@x.example\nblock bob@x.example\nallow bob@x.example", "bob@x.example", true),
        Some(Sense::Block)
    );
}

#[test]
fn what_a_person_wrote_stays() {
    let text = "# mine\n\nallow bob@far.example 2026-11-22T04:30:00Z a b@x.test\n  block  Spam.example   my old bank\nbanana\nallow a b c\n";
    let list = List::parse(text);
    let entries: Vec<_> = list.entries().cloned().collect();
    assert_eq!(entries.len(), 3);
    assert_eq!((entries[0].since.as_deref(), entries[0].by.as_str()), (Some("2026-11-22T04:30:00Z"), "a b@x.test"));
    assert_eq!((entries[1].since.as_deref(), entries[1].by.as_str()), (None, "my old bank"));
    assert_eq!(list.odd().collect::<Vec<_>>(), [(5, "banana")]);
    let changed = list.with(Entry { sense: Sense::Allow, ..entries[1].clone() }).without(&pattern("bob@far.example"));
    assert_eq!(changed.to_string(), "# mine\n\nbanana\nallow a b c\nallow spam.example my old bank\n");
    assert_eq!((changed.len(), changed.has(&pattern("spam.example"))), (2, Some(Sense::Allow)));
}

proptest! {
    #[test]
    fn any_text_is_read_and_nothing_of_it_is_lost(text in "([a-z@.# *\\-ß\"\t]|allow |block |\n){0,80}") {
        let list = List::parse(&text);
        let again = List::parse(&list.to_string());
        prop_assert_eq!(&again, &list);
        prop_assert_eq!(list.to_string().lines().count(), text.lines().count());
        let odd = list.odd().count();
        prop_assert!(list.entries().count() + odd <= text.lines().count());
        for entry in list.entries() {
            prop_assert_eq!(Pattern::parse(&entry.pattern.to_string()), Ok(entry.pattern.clone()));
            prop_assert!(list.without(&entry.pattern).has(&entry.pattern).is_none());
        }
    }

    #[test]
    fn what_is_set_is_said(local in "[a-zA-Z0-9+_-]{1,10}", domain in "[a-z]{1,8}(\\.[a-z]{1,8}){1,3}", whole: bool, allow: bool) {
        let from = pattern(&format!("{local}@{domain}"));
        let entry = Entry {
            sense: if allow { Sense::Allow } else { Sense::Block },
            pattern: if whole { pattern(&domain) } else { from.clone() },
            since: None,
            by: String::new(),
        };
        let list = List::parse(&List::default().with(entry.clone()).to_string());
        prop_assert_eq!(list.says(&from, true), Some(entry.sense));
        prop_assert_eq!(list.says(&from, false), (!allow).then_some(Sense::Block));
        let below = pattern(&format!("{local}@below.{domain}"));
        prop_assert_eq!(list.says(&below, true), whole.then_some(entry.sense));
    }
}
