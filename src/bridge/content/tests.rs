//! Tests of what FETCH and SEARCH read of a message.

use super::*;
use crate::imap::search::{self, Against, Key};
use crate::imap::section::filter_fields;
use crate::imap::structure::render_body_structure;
use crate::mail::{Address, Name};
use crate::store::testing::{Scratch, store};

const MULTIPART: &[u8] = b"From: a@x.test\r\nSubject: hi\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
    Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nx\r\n--b\r\n\r\nplain\r\n--b--\r\n";

/// Messages of every kind, by name.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let long = b"A: b\r\n".repeat(limits::CACHE_HEADER / 4);
    vec![
        ("multipart", MULTIPART.to_vec()),
        ("empty", Vec::new()),
        ("no body", b"Subject: x\r\n".to_vec()),
        ("no header", b"\r\nx\r\n".to_vec()),
        ("NUL", b"Subject: a\0b\r\n\r\n\0".to_vec()),
        ("a long header", [&long, b"\r\nx".as_slice()].concat()),
        ("large", [MULTIPART, &b"text\r\n".repeat(60_000)].concat()),
    ]
}

fn deliver(store: &Store, bytes: &[u8]) -> u32 {
    let tree = store.tree_for(&Address::parse("a@x.test").unwrap()).unwrap();
    let name = Name::new(store.new_base(), bytes.len() as u64);
    store.deliver(&tree, Kept::Caught, name, &[bytes]).unwrap().uid
}

fn message(store: &Store, uid: u32) -> Message<'_> {
    Message::new(store, Reach::All, Kept::Caught, &store.row(Reach::All, Kept::Caught, uid).unwrap())
}

/// All that a listing asks for, one question a `Message` as well as all of one.
fn listing(store: &Store, uid: u32) -> Vec<Vec<u8>> {
    let mut one = message(store, uid);
    let mut all = Vec::new();
    for ask in [Message::envelope, Message::body_structure, Message::body, Message::header] {
        let alone = ask(&mut message(store, uid)).unwrap();
        assert_eq!(*alone, *ask(&mut one).unwrap());
        all.push(alone.to_vec());
    }
    let (names, header) = ([b"subject".to_vec(), b"X-Priority".to_vec()], all[3].clone());
    for not in [false, true] {
        let mut picked = Vec::new();
        if message(store, uid).pick(Names::of(&names).unwrap(), not, &mut picked).unwrap() {
            assert_eq!(picked, filter_fields(&header, &names, not));
        }
    }
    let words = message(store, uid).preview(false).unwrap().unwrap();
    assert_eq!(one.preview(false).unwrap().as_deref(), Some(&*words));
    all.push(words.into_bytes());
    let structure = message(store, uid).structure().unwrap();
    assert!(structure.parts().iter().map(|p| p.whole()).eq(one.structure().unwrap().parts().iter().map(|p| p.whole())));
    all.push(format!("{:?}", structure.parts().iter().map(|p| (p.whole(), &p.content)).collect::<Vec<_>>()).into());
    all.push(one.read(structure.root().header.clone(), 1 << 20).unwrap().to_vec());
    all
}

#[test]
fn answers_are_the_same_with_and_without_the_cache() {
    for (what, bytes) in samples() {
        let scratch = Scratch::new("content");
        let store = store(scratch.path());
        let uid = deliver(&store, &bytes);
        let plain = listing(&store, uid);
        let wire: Vec<u8> = bytes.iter().map(|&b| if b == 0 { 0x80 } else { b }).collect();
        let scanned = Structure::of(&wire, Form::Crlf);
        let mut expected = Vec::new();
        render_body_structure(&scanned, &mut expected);
        assert_eq!(plain[1], expected, "{what}");

        store.caches().into_iter().for_each(Cache::load);
        assert!(store.cache().get(message(&store, uid).key, bytes.len() as u64).is_none());
        fill(&store, Kept::Caught, uid);
        assert!(store.cache().get(message(&store, uid).key, bytes.len() as u64).is_some(), "{what}");
        assert_eq!(listing(&store, uid), plain, "{what}: from the cache");
        let is_short = plain[3].len() <= limits::CACHE_HEADER && !plain[3].is_empty();
        let names = Names::of(&[b"subject".to_vec()]).unwrap();
        assert_eq!(message(&store, uid).pick(names, false, &mut Vec::new()).unwrap(), is_short, "{what}");

        // A record whose parts are wrong in form, though its checksum is right.
        for payload in [b"".as_slice(), b"0.0.0/0 ", b"garbage"] {
            for cache in store.caches() {
                cache.put(message(&store, uid).key, bytes.len() as u64, payload);
            }
            assert_eq!(listing(&store, uid), plain, "{what}: over garbage");
        }
        std::fs::remove_dir_all(scratch.path().join("cache")).unwrap();
        deliver(&store, MULTIPART);
        assert_eq!(listing(&store, uid), plain, "{what}: the directory is gone");
    }
}

#[test]
fn a_listing_opens_no_message_that_the_cache_has() {
    let scratch = Scratch::new("content");
    let store = store(scratch.path());
    store.caches().into_iter().for_each(Cache::load);
    let uid = deliver(&store, MULTIPART);
    let plain = listing(&store, uid);
    let opened = store.open_message(Reach::All, Kept::Caught, uid).unwrap().unwrap();
    let path = scratch.path().join("mail/x.test/a/Caught/new").join(opened.name.to_string());
    std::fs::write(&path, b"").unwrap();
    assert_eq!(listing(&store, uid), plain);
    // The bytes themselves come from the file, and it is too short.
    assert!(message(&store, uid).read(0..MULTIPART.len() as u64, 1 << 20).is_err());
}

/// Searches, and whether what they look for is in [`MULTIPART`].
fn searches() -> Vec<(Key, bool)> {
    let header = |name: &[u8], value: &str| Key::Header { name: name.to_vec(), value: value.into() };
    vec![
        (Key::Text("PLAIN".into()), true),
        (Key::Text("INNER".into()), true),
        (Key::Body("INNER".into()), false),
        (Key::Text("ZYZZYVA".into()), false),
        (Key::Body("ZYZZYVA".into()), false),
        (Key::Fuzzy(Box::new(Key::Text("PLAIN".into()))), true),
        (header(b"content-type", "BOUNDARY=B"), true),
        (header(b"content-type", "ZYZZYVA"), false),
        (header(b"x-mailer", ""), false),
        (header(b"subject", "HI"), true),
    ]
}

fn matches(store: &Store, uid: u32, key: &Key) -> io::Result<bool> {
    let against = Against { recent: &UidRanges::new(), now: store.now() };
    search::matches(key, &mut message(store, uid), &against)
}

#[test]
fn searches_find_the_same_with_and_without_the_caches() {
    for (what, bytes) in samples() {
        let scratch = Scratch::new("content");
        let store = store(scratch.path());
        let uid = deliver(&store, &bytes);
        let (key, size) = (message(&store, uid).key, bytes.len() as u64);
        let found = || searches().iter().map(|(key, _)| matches(&store, uid, key).unwrap()).collect::<Vec<_>>();
        let plain = found();
        if what == "multipart" {
            assert_eq!(plain, searches().into_iter().map(|(_, there)| there).collect::<Vec<_>>());
        }
        store.caches().into_iter().for_each(Cache::load);
        assert_eq!(found(), plain, "{what}: when they are made");
        assert!(store.texts().get(key, size).is_some(), "{what}");
        assert_eq!(found(), plain, "{what}: from them");
        for payload in [b"".as_slice(), b"0.0.0/0 ", b"garbage"] {
            store.texts().put(key, size, payload);
            assert_eq!(found(), plain, "{what}: over garbage");
            assert_ne!(&*store.texts().get(key, size).unwrap(), payload, "{what}: it is made again");
        }
        std::fs::remove_dir_all(scratch.path().join("cache")).unwrap();
        deliver(&store, MULTIPART);
        assert_eq!(found(), plain, "{what}: the directory is gone");
    }
}

#[test]
fn a_text_search_opens_no_message_that_cannot_have_the_text() {
    let scratch = Scratch::new("content");
    let store = store(scratch.path());
    store.caches().into_iter().for_each(Cache::load);
    let uid = deliver(&store, MULTIPART);
    assert!(!matches(&store, uid, &Key::Text("QUOKKA".into())).unwrap());
    let key = message(&store, uid).key;
    assert!(store.cache().get(key, MULTIPART.len() as u64).is_none(), "what a listing wants is left to it");
    let opened = store.open_message(Reach::All, Kept::Caught, uid).unwrap().unwrap();
    let path = scratch.path().join("mail/x.test/a/Caught/new").join(opened.name.to_string());
    std::fs::write(&path, b"").unwrap();
    for (key, _) in searches().into_iter().filter(|(key, _)| format!("{key:?}").contains("ZYZZYVA")) {
        assert!(!matches(&store, uid, &key).unwrap(), "{key:?}");
        assert!(matches(&store, uid, &Key::not(key)).unwrap());
    }
    // What may be there has to be read.
    assert!(matches(&store, uid, &Key::Text("PLAIN".into())).is_err());
}

#[test]
fn what_is_parsed_ahead_is_signed() {
    let scratch = Scratch::new("content");
    let store = store(scratch.path());
    store.caches().into_iter().for_each(Cache::load);
    for (what, bytes) in samples() {
        let uid = deliver(&store, &bytes);
        fill(&store, Kept::Caught, uid);
        let mut message = message(&store, uid);
        assert_eq!(message.signature().unwrap().is_some(), bytes.len() as u64 <= WHOLE, "{what}");
        assert!(message.opened.is_none(), "{what}");
    }
}
