use super::*;
use crate::mail::name::Base;
use crate::mail::{Address, Name};
use crate::store::testing::{Scratch, store};
use crate::store::{Reach, Store};
use proptest::prelude::*;
use std::collections::HashMap;
use std::path::Path;

fn cache(path: &Path) -> Cache {
    let cache = Cache::new(&Disk::new(path), "cache");
    cache.load();
    cache
}

fn key(id: &str) -> u64 {
    Base::parse(id).key()
}

fn segment(path: &Path, number: u32) -> PathBuf {
    path.join(format!("cache/{number:04}.segment"))
}

/// The files there are.
fn files(path: &Path) -> usize {
    std::fs::read_dir(path.join("cache")).into_iter().flatten().count()
}

#[test]
fn what_was_kept_is_found_again_also_after_a_restart() {
    let scratch = Scratch::new("cache");
    let large = b"x".repeat(100_000);
    for restart in 0..3 {
        let cache = cache(scratch.path());
        assert_eq!(cache.get(key("a"), 5).as_deref(), (restart > 0).then_some(b"one".as_slice()));
        cache.put(key("a"), 5, b"one");
        cache.put(key("b"), 7, &large);
        cache.put(key("c"), 9, b"");
        assert_eq!(cache.get(key("b"), 7).as_deref(), Some(large.as_slice()));
        assert_eq!(cache.get(key("c"), 9).as_deref(), Some(b"".as_slice()));
        cache.put(key("a"), 5, b"another");
        assert_eq!(cache.get(key("a"), 5).as_deref(), Some(b"another".as_slice()), "the last one counts");
        cache.put(key("a"), 5, b"one");
    }
    assert_eq!(files(scratch.path()), 1, "a segment goes on after a restart");
}

#[test]
fn another_id_or_size_is_not_found() {
    let scratch = Scratch::new("cache");
    let cache = cache(scratch.path());
    cache.put(key("a"), 5, b"one");
    assert!(cache.get(key("a"), 6).is_none());
    assert!(cache.get(key("b"), 5).is_none());
    // Two ids that meet in the index: the record tells them apart.
    let place = cache.index().get(key("a")).unwrap();
    cache.index_mut().set(key("b"), place);
    assert!(cache.get(key("b"), 5).is_none());
    cache.put(key("b"), 5, b"two");
    assert_eq!(cache.get(key("b"), 5).as_deref(), Some(b"two".as_slice()));
}

#[test]
fn what_is_too_large_is_not_kept() {
    let scratch = Scratch::new("cache");
    let cache = cache(scratch.path());
    cache.put(key("a"), 5, &vec![0; record::MOST]);
    assert!(cache.get(key("a"), 5).is_none());
    assert_eq!(files(scratch.path()), 0);
}

#[test]
fn nothing_is_done_before_it_was_loaded() {
    let scratch = Scratch::new("cache");
    let cache = Cache::new(&Disk::new(scratch.path()), "cache");
    cache.put(key("a"), 5, b"one");
    cache.wish(Kept::Caught, 1);
    assert!(cache.get(key("a"), 5).is_none() && cache.take_wishes(9).is_empty());
    assert_eq!(files(scratch.path()), 0);
}

/// Three records, and the bytes of the segment.
fn three(path: &Path) -> Vec<u8> {
    let cache = cache(path);
    for (id, text) in [("a", "first"), ("b", "second"), ("c", "third")] {
        cache.put(key(id), 5, text.as_bytes());
    }
    std::fs::read(segment(path, 0)).unwrap()
}

/// A record is what was kept or nothing, whether the damage is there at start or comes later; and the cache goes on.
fn check(path: &Path, found: &Cache, what: &str) {
    let mut missed = 0;
    for (id, text) in [("a", "first"), ("b", "second"), ("c", "third")] {
        match found.get(key(id), 5) {
            Some(bytes) => assert_eq!(*bytes, *text.as_bytes(), "{what}"),
            None => {
                missed += 1;
                found.put(key(id), 5, text.as_bytes());
                assert_eq!(found.get(key(id), 5).as_deref(), Some(text.as_bytes()), "{what}: written again");
            }
        }
    }
    let again = cache(path);
    for id in ["a", "b", "c"] {
        assert!(again.get(key(id), 5).is_some() || missed == 0, "{what}: {id} after a restart");
    }
}

#[test]
fn damage_at_any_byte_means_parse_again() {
    let scratch = Scratch::new("cache");
    let good = three(scratch.path());
    let path = segment(scratch.path(), 0);
    let mut lost = 0;
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x41;
        std::fs::write(&path, &bytes).unwrap();
        let damaged = cache(scratch.path());
        lost += usize::from(["a", "b", "c"].iter().any(|id| damaged.get(key(id), 5).is_none()));
        check(scratch.path(), &damaged, &format!("byte {at} flipped before the start"));

        std::fs::write(&path, &good).unwrap();
        let running = cache(scratch.path());
        File::options().write(true).open(&path).unwrap().write_all_at(&bytes[at..=at], at as u64).unwrap();
        for (id, text) in [("a", "first"), ("b", "second"), ("c", "third")] {
            assert!(
                running.get(key(id), 5).is_none_or(|found| *found == *text.as_bytes()),
                "byte {at} flipped while running"
            );
        }
        let all = [("a", "first"), ("b", "second"), ("c", "third")];
        let mut window = Window::default();
        window.expect(all.iter().map(|(id, _)| key(id)));
        // The first is read for itself, the others in a block, and then the first as well.
        for nth in [0, 1, 2, 2, 1, 0] {
            let found = running.peek(nth, 5, &mut window);
            assert!(
                found.is_none_or(|found| *found == *all[nth].1.as_bytes()),
                "byte {at} flipped before it was seen in a window"
            );
        }
    }
    assert_eq!(lost, 3 * record::HEAD + "firstsecondthird".len(), "all but the zeros around the records count");
}

#[test]
fn a_segment_that_is_cut_short_loses_its_end_only() {
    let scratch = Scratch::new("cache");
    let good = three(scratch.path());
    let path = segment(scratch.path(), 0);
    let zeros = record::UNIT as usize - (record::HEAD + "third".len());
    for len in 0..=good.len() {
        std::fs::write(&path, &good).unwrap();
        let running = cache(scratch.path());
        File::options().write(true).open(&path).unwrap().set_len(len as u64).unwrap();
        let found = |cache: &Cache| ["a", "b", "c"].iter().filter(|id| cache.get(key(id), 5).is_some()).count();
        let left = found(&running);
        let again = cache(scratch.path());
        assert!(found(&again) <= left && (left < 3 || len >= good.len() - zeros), "cut to {len}");
        check(scratch.path(), &again, &format!("cut to {len}"));
    }
}

#[test]
fn the_directory_may_go_while_it_runs() {
    let scratch = Scratch::new("cache");
    let cache = cache(scratch.path());
    cache.put(key("a"), 5, b"one");
    std::fs::remove_dir_all(scratch.path().join("cache")).unwrap();
    cache.put(key("b"), 5, b"two");
    assert_eq!(cache.get(key("b"), 5).as_deref(), Some(b"two".as_slice()));
    assert!(cache.get(key("a"), 5).is_none(), "its file is gone, and its space free");
    let place = cache.index().get(key("b")).unwrap();
    assert_eq!(split(place).0, 1, "who still reads segment 0 must not look for it there");
    assert_eq!(files(scratch.path()), 1);
    // A directory that cannot be made is no error either.
    std::fs::remove_dir_all(scratch.path().join("cache")).unwrap();
    std::fs::write(scratch.path().join("cache"), b"").unwrap();
    cache.put(key("c"), 5, b"three");
    assert!(cache.get(key("c"), 5).is_none());
    std::fs::remove_file(scratch.path().join("cache")).unwrap();
    cache.put(key("c"), 5, b"three");
    assert!(cache.get(key("c"), 5).is_none(), "it waits until it is looked after");
}

#[test]
fn two_threads() {
    let scratch = Scratch::new("cache");
    let cache = cache(scratch.path());
    let run = |salt: usize| {
        for round in 0..400 {
            let id = format!("{}.M{}", round % 97, salt % 2);
            let text = id.repeat(1 + round % 97);
            if let Some(found) = cache.get(key(&id), 5) {
                assert_eq!(*found, *text.as_bytes());
            }
            cache.put(key(&id), 5, text.as_bytes());
            if salt == 3 && round % 50 == 0 {
                std::fs::remove_dir_all(scratch.path().join("cache")).ok();
            }
        }
    };
    std::thread::scope(|scope| {
        for salt in 0..4 {
            let run = &run;
            scope.spawn(move || run(salt));
        }
    });
}

proptest! {
    #[test]
    fn is_a_map_that_may_forget(steps in prop::collection::vec((0u8..12, 0usize..3000, 0u8..10), 1..60)) {
        let scratch = Scratch::new("cache");
        let mut cache = cache(scratch.path());
        let mut model: HashMap<String, Vec<u8>> = HashMap::new();
        for (id, len, what) in steps {
            let id = format!("1700000000.M{id}P1Q1.h");
            match what {
                0 => cache = self::cache(scratch.path()),
                1 => prop_assert!(cache.get(key(&id), 8).is_none()),
                _ => {
                    let text = vec![len as u8; len];
                    cache.put(key(&id), 7, &text);
                    model.insert(id, text);
                }
            }
            for (id, text) in &model {
                let found = cache.get(key(id), 7).map(|found| found.to_vec());
                prop_assert_eq!(found.as_ref(), Some(text));
            }
        }
    }
}

#[test]
fn nothing_is_written_where_a_write_failed() {
    let scratch = Scratch::new("failed");
    let (store, all) = filled(&scratch, 1);
    // A file that cannot be written to fails as a full disk does, without leaving half a record.
    let file = File::open(segment(scratch.path(), 0)).unwrap();
    store.cache.tail().segment = Some((0, Arc::new(Segment::new(file, 1))));
    store.cache.put(key("lost"), 5, b"lost");
    assert!(!store.cache.takes() && store.cache.get(key("lost"), 5).is_none());
    assert!(!store.tend_caches());
    store.cache.put(key("other"), 5, b"kept");
    assert_eq!(split(store.cache.index().get(key("other")).unwrap()).0, 1);
    assert_eq!(store.cache.get(key("other"), 5).as_deref(), Some(b"kept".as_slice()));
    assert!(store.cache.get(key(&all[0].1), 3).is_some(), "what was written before is still read");
}

#[test]
fn a_segment_of_another_form_is_removed() {
    let scratch = Scratch::new("form");
    let good = three(scratch.path());
    for (start, magic) in [(record::UNIT as usize, *b"LzC2"), (16, *b"LzC3")] {
        let mut bytes = vec![0; start];
        bytes.extend_from_slice(&good[record::UNIT as usize..]);
        bytes[start..start + 4].copy_from_slice(&magic);
        std::fs::write(segment(scratch.path(), 3), bytes).unwrap();
        check(scratch.path(), &cache(scratch.path()), "another form");
        assert!(!segment(scratch.path(), 3).exists());
    }
}

#[test]
fn a_record_is_proven_again_after_the_caches_were_looked_after() {
    let scratch = Scratch::new("proven");
    let (store, all) = filled(&scratch, 2);
    let payload = |id: &str| id.as_bytes().repeat(2000);
    let seen = |id: &str| {
        let mut window = Window::default();
        window.expect([key(id)].into_iter());
        // The first time it is read for itself, and proven in any case; the second time in a block.
        store.cache.peek(0, 3, &mut window);
        store.cache.peek(0, 3, &mut window).map(<[u8]>::to_vec)
    };
    assert!(all.iter().all(|(_, id)| seen(id).as_deref() == Some(&payload(id))));
    let place = store.cache.index().get(key(&all[0].1)).unwrap();
    let at = split(place).1 + record::HEAD as u64 + 7;
    let file = File::options().write(true).open(segment(scratch.path(), 0)).unwrap();
    file.write_all_at(b"~", at).unwrap();
    assert!(!store.tend_caches());
    assert!(seen(&all[0].1).is_none());
    assert!(seen(&all[1].1).as_deref() == Some(&payload(&all[1].1)));
}

#[test]
fn a_segment_gets_a_number_that_none_had_lately() {
    let scratch = Scratch::new("numbers");
    let (store, all) = filled(&scratch, 1);
    for number in 1..4 {
        let size = u64::from(number);
        seal(&store.cache);
        store.cache.put(key("other"), size, b"x");
        assert_eq!(split(store.cache.index().get(key("other")).unwrap()).0, number);
        assert!(!store.tend_caches());
    }
    assert!(segment(scratch.path(), 0).exists() && store.cache.get(key(&all[0].1), 3).is_some());
    assert!(!segment(scratch.path(), 1).exists());
    store.cache.tail().next = SEGMENTS - 1;
    for number in [SEGMENTS - 1, 1] {
        seal(&store.cache);
        store.cache.put(key("other"), 9, b"x");
        assert_eq!(split(store.cache.index().get(key("other")).unwrap()).0, number, "0 is taken");
    }
}

/// A store with `count` messages, each with a record of about a megabyte's sixteenth.
fn filled(scratch: &Scratch, count: usize) -> (Store, Vec<(u32, String)>) {
    let store = store(scratch.path());
    store.caches().into_iter().for_each(Cache::load);
    let tree = store.tree_for(&Address::parse("a@x.test").unwrap()).unwrap();
    let mut all = Vec::new();
    for _ in 0..count {
        let placed = store.deliver(&tree, Kept::Caught, Name::new(store.new_base(), 3), &[b"a\r\n"]).unwrap();
        let id = placed.name.id();
        store.cache.put(key(&id), 3, &id.as_bytes().repeat(2000));
        all.push((placed.uid, id));
    }
    (store, all)
}

/// The segment that is written to counts as full, so that the next one begins.
fn seal(cache: &Cache) {
    cache.tail().segment = None;
}

#[test]
fn stored_messages_are_wished_for() {
    let scratch = Scratch::new("cache");
    let (store, all) = filled(&scratch, 3);
    let uids: Vec<u32> = store.cache.take_wishes(2).into_iter().map(|(_, uid)| uid).collect();
    assert_eq!(uids, [all[0].0, all[1].0]);
    assert_eq!(store.cache.take_wishes(9).len(), 1);
}

#[test]
fn a_segment_that_is_mostly_dead_is_moved_and_removed() {
    let scratch = Scratch::new("cache");
    let (store, all) = filled(&scratch, 60);
    seal(&store.cache);
    assert!(!store.tend_caches(), "nothing is dead");
    let (gone, left) = all.split_at(45);
    // What moves to another folder keeps its record.
    let moved = left[0].0;
    store
        .relocate(Reach::All, Kept::Caught, &crate::base::UidRanges::one(moved, moved), |_| Kept::Trash, false, |_| {})
        .unwrap();
    for (uid, _) in gone {
        store.remove(Reach::All, Kept::Caught, &crate::base::UidRanges::one(*uid, *uid)).unwrap();
    }
    assert!(store.tend_caches());
    let mut steps = 1;
    while store.cache.move_some() {
        steps += 1;
    }
    assert!(steps > 2, "in small steps");
    assert!(!segment(scratch.path(), 0).exists() && segment(scratch.path(), 1).exists());
    for again in [&store.cache, &cache(scratch.path())] {
        assert!(gone.iter().all(|(_, id)| again.get(key(id), 3).is_none()));
        assert!(left.iter().all(|(_, id)| again.get(key(id), 3).as_deref() == Some(&id.as_bytes().repeat(2000)[..])));
    }
    assert!(!store.tend_caches(), "and that was it");
}

#[test]
fn a_segment_without_any_message_is_removed() {
    let scratch = Scratch::new("cache");
    let (store, all) = filled(&scratch, 5);
    seal(&store.cache);
    for (uid, _) in &all {
        store.remove(Reach::All, Kept::Caught, &crate::base::UidRanges::one(*uid, *uid)).unwrap();
    }
    assert!(!store.tend_caches());
    assert_eq!(files(scratch.path()), 0);
    assert_eq!(store.cache.index().len(), 0);
}

#[test]
fn a_window_finds_what_a_single_look_finds() {
    let scratch = Scratch::new("window");
    let cache = cache(scratch.path());
    let text = |n: usize| vec![n as u8; if n.is_multiple_of(90) { 70_000 } else { n * 7 % 900 }];
    for n in 0..600 {
        cache.put(key(&format!("id{n}")), n as u64, &text(n));
    }
    let mut window = Window::default();
    for order in [(0..600).collect::<Vec<_>>(), (0..600).rev().collect(), (0..600).map(|n| n * 211 % 600).collect()] {
        for some in order.chunks(100) {
            window.expect(some.iter().map(|n| key(&format!("id{n}"))));
            for (nth, &n) in some.iter().enumerate() {
                assert_eq!(cache.look(nth, n as u64, &mut window).as_deref(), Some(text(n).as_slice()), "{n}");
                assert_eq!(cache.peek(nth, n as u64, &mut window), Some(text(n).as_slice()), "{n}");
                if n > 500 {
                    // It goes where the window ended when it was read.
                    cache.put(key(&format!("id{n}")), n as u64, &text(n));
                }
            }
        }
    }
    window.expect([key("id600"), key("id1")].into_iter());
    let mut look = |nth, size| cache.look(nth, size, &mut window).map(|found| found.to_vec());
    assert_eq!([look(0, 600), look(1, 1), look(1, 2), look(2, 1)], [None, Some(text(1)), None, None]);
}
