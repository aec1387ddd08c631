use super::super::testing::{Scratch, store};
use super::super::{Flagging, Store, Tree, View};
use super::*;
use crate::base::UidRanges;
use crate::mail::{Address, Name};
use proptest::prelude::*;
use std::collections::BTreeMap;

const ALL: Reach = Reach::All;

fn tree(store: &Store, who: &str) -> Arc<Tree> {
    store.tree_for(&Address::parse(who).unwrap()).unwrap()
}

fn deliver(store: &Store, who: &str) -> u32 {
    let name = Name::new(store.new_base(), 3);
    store.deliver(&tree(store, who), Kept::Caught, name, &[b"a\r\n"]).unwrap().uid
}

fn flag(store: &Store, reach: Reach, uid: u32, flags: Flags) {
    store.set_flags(reach, Kept::Caught, &UidRanges::one(uid, uid), Flagging::Add, flags).unwrap();
}

fn view(store: &Store, reach: Reach) -> View {
    store.view(reach, Kept::Caught).view()
}

fn figures(view: &View) -> (u32, u64) {
    (view.uid_next, view.modseq)
}

fn modseqs(store: &Store, reach: Reach) -> Vec<(u32, u64, Flags)> {
    store.changed_since(reach, Kept::Caught, 0).iter().map(|r| (r.uid, r.modseq, r.flags)).collect()
}

fn restart(store: Store, path: &Path) -> Store {
    store.close().unwrap();
    drop(store);
    super::super::testing::store(path)
}

/// Alice has 1 to 4, of which 3 is flagged; the whole store has seen 1 and unseen 2; 4 left.
fn some(path: &Path) -> Store {
    let store = store(path);
    (0..4).for_each(|_| assert!(deliver(&store, "a@x.test") > 0));
    flag(&store, ALL, 3, Flags::FLAGGED);
    flag(&store, ALL, 1, Flags::SEEN);
    flag(&store, ALL, 2, Flags::SEEN);
    store.set_flags(ALL, Kept::Caught, &UidRanges::one(2, 2), Flagging::Remove, Flags::SEEN).unwrap();
    store.remove(ALL, Kept::Caught, &UidRanges::one(4, 4)).unwrap();
    store
}

#[test]
fn a_stop_changes_nothing() {
    let scratch = Scratch::new("changes");
    let first = some(scratch.path());
    let mine = Reach::Tree(tree(&first, "a@x.test").id);
    let reaches = [ALL, mine, Reach::Domain(first.domain("x.test")), Reach::Domain(first.domain("y.test"))];
    let before = reaches.map(|r| (figures(&view(&first, r)), modseqs(&first, r)));
    let since = modseqs(&first, ALL).iter().map(|(_, modseq, _)| *modseq).max().unwrap();
    let second = restart(first, scratch.path());
    let third = restart(second, scratch.path());
    let mine = Reach::Tree(tree(&third, "a@x.test").id);
    let reaches = [ALL, mine, Reach::Domain(third.domain("x.test")), Reach::Domain(third.domain("y.test"))];
    assert_eq!(reaches.map(|r| (figures(&view(&third, r)), modseqs(&third, r))), before);
    let known = UidRanges::one(1, u32::MAX);
    assert_eq!(third.vanished_since(mine, Kept::Caught, since, &known), UidRanges::one(4, 4));
    let now = view(&third, mine).modseq;
    assert_eq!(third.vanished_since(mine, Kept::Caught, now, &known), UidRanges::new());
}

#[test]
fn mail_of_others_moves_no_figures() {
    let scratch = Scratch::new("others");
    let mut store = some(scratch.path());
    let alice = |store: &Store| figures(&view(store, Reach::Tree(tree(store, "a@x.test").id)));
    let nobody = |store: &Store| figures(&view(store, Reach::Tree(tree(store, "nobody@x.test").id)));
    let before = (alice(&store), nobody(&store));
    for _ in 0..3 {
        let uid = deliver(&store, "b@x.test");
        flag(&store, ALL, uid, Flags::FLAGGED);
        let whole = figures(&view(&store, Reach::Domain(store.domain("x.test"))));
        assert!(whole.0 == uid + 1 && whole.1 > before.0.1);
        assert_eq!((alice(&store), nobody(&store)), before);
        store.drop_unused_views();
        assert_eq!((alice(&store), nobody(&store)), before);
        assert_eq!(figures(&view(&store, Reach::Domain(store.domain("x.test")))), whole);
        store = restart(store, scratch.path());
    }
    // Her last message leaves, and her tree; her figures stay.
    store.remove(ALL, Kept::Caught, &UidRanges::one(1, 4)).unwrap();
    let before = alice(&store);
    assert!(store.remove_if_empty(&tree(&store, "a@x.test")).unwrap());
    let store = restart(restart(store, scratch.path()), scratch.path());
    assert_eq!(alice(&store), before);
}

#[test]
fn what_other_programs_did_meanwhile_has_changed() {
    let scratch = Scratch::new("meanwhile");
    let first = some(scratch.path());
    let five = deliver(&first, "a@x.test");
    let [one, three, five_at] = [1, 3, five].map(|uid| first.locate(Kept::Caught, uid).unwrap());
    let before = view(&first, ALL);
    first.close().unwrap();
    let mine = first.tree_by_id(five_at.tree.id).unwrap();
    drop(first);
    std::fs::remove_file(&one.path).unwrap();
    let answered = format!("{}R", three.name);
    std::fs::rename(&three.path, three.path.with_file_name(answered)).unwrap();
    // Moved with its UID into another folder, where that is new.
    let there = mine.half(Kept::Trash, super::super::Half::New);
    std::fs::create_dir_all(&there).unwrap();
    std::fs::rename(&five_at.path, there.join(five_at.name.to_string())).unwrap();

    let second = store(scratch.path());
    let changed = second.changed_since(ALL, Kept::Caught, before.modseq);
    assert_eq!(changed.iter().map(|r| (r.uid, r.flags)).collect::<Vec<_>>(), [(3, Flags::FLAGGED | Flags::ANSWERED)]);
    let gone = second.vanished_since(ALL, Kept::Caught, before.modseq, &UidRanges::one(1, five));
    assert_eq!(gone, [1, five].into_iter().collect());
    assert!(view(&second, ALL).modseq >= changed[0].modseq && view(&second, ALL).uid_next == before.uid_next);
    let trash = second.view(ALL, Kept::Trash).view();
    assert!(trash.uid_next == five + 1 && trash.modseq > before.modseq);
}

#[test]
fn without_the_file_everything_has_changed() {
    type Harm = fn(&Path);
    let copy = |path: &Path| std::fs::copy(path.join("state/changes"), path.join("old")).map(drop).unwrap();
    let harms: [(&str, Harm); 5] = [
        ("killed", |_| {}),
        ("deleted", |path| std::fs::remove_file(path.join("state/changes")).unwrap()),
        ("cut", |path| {
            let file = std::fs::OpenOptions::new().write(true).open(path.join("state/changes")).unwrap();
            file.set_len(file.metadata().unwrap().len() - 1).unwrap();
        }),
        ("old", |path| std::fs::rename(path.join("old"), path.join("state/changes")).unwrap()),
        ("seen", |path| std::fs::remove_file(path.join("state/seen/global.Caught")).unwrap()),
    ];
    for (what, harm) in harms {
        let scratch = Scratch::new(what);
        let first = restart(some(scratch.path()), scratch.path());
        copy(scratch.path());
        flag(&first, ALL, 1, Flags::ANSWERED);
        let before = view(&first, ALL);
        if what != "killed" {
            first.close().unwrap();
        }
        drop(first);
        harm(scratch.path());
        let second = store(scratch.path());
        let after = view(&second, ALL);
        assert!(after.modseq > before.modseq && after.uid_next >= before.uid_next, "{what}");
        let changed = second.changed_since(ALL, Kept::Caught, before.modseq);
        assert_eq!(changed.iter().map(|r| r.uid).collect::<Vec<_>>(), [1, 2, 3], "{what}");
        let gone = |since| second.vanished_since(ALL, Kept::Caught, since, &UidRanges::one(2, u32::MAX));
        assert!(gone(0).contains(4) && gone(before.modseq).contains(4) && !gone(0).contains(3), "{what}");
        assert!(!gone(0).contains(after.uid_next) && gone(after.modseq).is_empty(), "{what}");
    }
}

#[test]
fn a_large_file_is_read_quickly_and_any_other_bytes_are_no_panic() {
    let scratch = Scratch::new("large");
    let disk = Disk::new(scratch.path());
    disk.make_dirs(&disk.path("state")).unwrap();
    let mail = disk.path("mail");
    let mut trees = Trees::default();
    let tree = trees.intern(&mail, &Address::parse("a@x.test").unwrap()).unwrap();
    let folders = [0, 1, 2, 3].map(|_| Folder::new("h"));
    let [mut caught, others @ ..] = folders;
    let name = Name::new(crate::mail::name::Base::new(crate::base::Timestamp(1), 1, 1, "h"), 1);
    for uid in 1..=100_000 {
        let modseq = 1_700_000_000_000_000 + u64::from(uid % 977) * 1_000_003;
        caught.push(
            Row::of(&name, (Kept::Caught, super::super::Half::New), uid * 3, tree.id, tree.domain, 1, modseq),
            &name,
        );
    }
    let mut history = History::new(Figures { uid_next: 7, modseq: u64::MAX });
    history.note(Kept::Caught, &Row { uid: u32::MAX, ..*caught.get(3).unwrap() });
    history.remove(Kept::Trash, Removal { modseq: 5, uid: 9, tree: tree.id, domain: tree.domain });
    let [b, c, d] = &others;
    let checksum = write(&disk, history.clone(), &trees, [&caught, b, c, d]).unwrap();
    let bytes = std::fs::read(disk.path("state/changes")).unwrap();
    println!("{} bytes for 100,000 messages", bytes.len());
    let began = std::time::Instant::now();
    let (read_history, mut past) = read(&disk, Some(checksum), &mail, &mut trees).unwrap();
    assert_eq!(read_history, history);
    assert!(caught.iter().all(|row| past.modseq_of(Kept::Caught, row) == Some(row.modseq)));
    println!("read and compared in {:?}", began.elapsed());
    assert!(past.gone(1).is_empty());
    assert!(
        read(&disk, Some(checksum ^ 1), &mail, &mut trees).is_none() && read(&disk, None, &mail, &mut trees).is_none()
    );
    for cut in (0..400).chain([bytes.len() / 2, bytes.len() - 1]) {
        let mut wrong = bytes.get(..cut).unwrap().to_vec();
        wrong.extend([0xff; 9]);
        std::fs::write(disk.path("state/changes"), &wrong).unwrap();
        if let Some((_, past)) = read(&disk, Some(crc32fast::hash(&wrong)), &mail, &mut trees) {
            past.gone(1);
        }
    }
}

/// What a client of a scope was told last.
#[derive(Default)]
struct Client {
    uid_next: u32,
    modseq: u64,
    flags: BTreeMap<u32, Flags>,
}

const WHO: [&str; 3] = ["a@x.test", "b@x.test", "c@y.test"];

fn reaches(store: &Store) -> Vec<Reach> {
    let mut reaches = vec![ALL, Reach::Domain(store.domain("x.test")), Reach::Domain(store.domain("y.test"))];
    reaches.extend(WHO.map(|who| Reach::Tree(tree(store, who).id)));
    reaches
}

/// The client asks what happened since; the answer must lead to what is there.
fn synchronize(client: &mut Client, store: &Store, reach: Reach, kept: Kept) -> Result<(), TestCaseError> {
    let view = store.view(reach, kept).view();
    prop_assert!(view.uid_next >= client.uid_next, "UIDNEXT fell from {} to {}", client.uid_next, view.uid_next);
    prop_assert!(view.modseq >= client.modseq, "HIGHESTMODSEQ fell from {} to {}", client.modseq, view.modseq);
    let known: UidRanges = client.flags.keys().copied().collect();
    let gone = store.vanished_since(reach, kept, client.modseq, &known);
    client.flags.retain(|&uid, _| !gone.contains(uid));
    for row in store.changed_since(reach, kept, client.modseq) {
        prop_assert!(row.modseq <= view.modseq && row.uid < view.uid_next);
        client.flags.insert(row.uid, row.flags);
    }
    let mut there = BTreeMap::new();
    store.rows(reach, kept, &UidRanges::one(1, u32::MAX), |row, _| {
        there.insert(row.uid, row.flags);
        true
    });
    prop_assert_eq!(&client.flags, &there, "{:?} {}", reach, kept);
    (client.uid_next, client.modseq) = (view.uid_next, view.modseq);
    Ok(())
}

fn random_file(path: &Path, kept: Kept, n: usize) -> Option<std::path::PathBuf> {
    let halves = WHO.iter().flat_map(|who| ["new", "cur"].map(|half| (who, half)));
    let mut files: Vec<_> = halves
        .flat_map(|(who, half)| {
            let (local, domain) = who.split_once('@').unwrap();
            let at = path.join("mail").join(domain).join(local).join(kept.directory()).join(half);
            std::fs::read_dir(at).into_iter().flatten().flatten().map(|f| f.path())
        })
        .collect();
    files.sort();
    files.get(n % files.len().max(1)).cloned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_client_that_asks_what_changed_has_what_is_there(
        steps in proptest::collection::vec((0u8..14, 0usize..40, 0usize..6), 1..40)
    ) {
        let scratch = Scratch::new("model");
        let mut store = store(scratch.path());
        let mut clients: Vec<[Client; 2]> = (0..6).map(|_| Default::default()).collect();
        let folders = [Kept::Caught, Kept::Trash];
        for (step, n, who) in steps {
            let kept = folders[n % 2];
            let reach = reaches(&store)[who];
            let one = {
                let view = store.view(reach, kept).view();
                let uid = view.list.uid(n as u32 % view.list.len().max(1) + 1).unwrap_or(0);
                UidRanges::one(uid, uid)
            };
            let flags = [Flags::SEEN, Flags::FLAGGED, Flags::SEEN | Flags::ANSWERED][n % 3];
            match step {
                0..3 => drop(deliver(&store, WHO[who % 3])),
                3 => drop(store.set_flags(reach, kept, &one, Flagging::Add, flags).unwrap()),
                4 => drop(store.set_flags(reach, kept, &one, Flagging::Remove, flags).unwrap()),
                5 => drop(store.remove(reach, kept, &one).unwrap()),
                6 => drop(store.relocate(reach, Kept::Caught, &one, |_| Kept::Trash, false, |_| {}).unwrap()),
                7 => store.drop_unused_views(),
                8 => drop(store.remove_if_empty(&tree(&store, WHO[who % 3])).unwrap()),
                // Another program, while we run or not; then a stop or a kill.
                _ => {
                    if step > 10 && step % 2 == 1 {
                        store.close().unwrap();
                    }
                    if let Some(file) = random_file(scratch.path(), kept, n) {
                        let name = file.file_name().unwrap().to_str().unwrap();
                        let flagged = Name::parse(name).map(|n| Name { flags: Some(flags), ..n }).unwrap().to_string();
                        match n % 3 {
                            0 => {}
                            1 => std::fs::remove_file(&file).unwrap(),
                            _ => std::fs::rename(&file, file.with_file_name(flagged)).unwrap(),
                        }
                    }
                    if step > 10 {
                        drop(store);
                        store = super::super::testing::store(scratch.path());
                    } else {
                        for tree in store.all_trees() {
                            store.sweep_tree(&tree, true);
                        }
                    }
                }
            }
            let index = (n + who) % 6;
            for (at, kept) in folders.into_iter().enumerate() {
                synchronize(&mut clients[index][at], &store, reaches(&store)[index], kept)?;
            }
        }
        for (index, reach) in reaches(&store).into_iter().enumerate() {
            for (at, kept) in folders.into_iter().enumerate() {
                synchronize(&mut clients[index][at], &store, reach, kept)?;
            }
        }
    }
}
