//! What is done while the crash comes: every door, verb and outcome, alone and in the combinations that share files.

use super::judge::START;
use super::promise::{Fate, Mark};
use super::record::Event;
use super::world::{World, address, global, key, message};
use lazaret::base::{Flags, Timestamp, UidRanges};
use lazaret::mail::senders::Sense;
use lazaret::mail::{Class, Kept};
use lazaret::quarantine::folders::Folder;
use lazaret::queue::Work;
use lazaret::store::Flagging;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

const ALICE: &str = "alice@x.test";
const BOB: &str = "bob@x.test";
const BOTH_HAM: [&str; 2] = ["h one", "h two"];

/// What is there before, and what is done then.
pub struct Scenario {
    pub name: String,
    pub setup: Box<dyn Fn(&World) + Sync>,
    pub run: Box<dyn Fn(&World) + Sync>,
}

fn scenario(name: &str, setup: impl Fn(&World) + Sync + 'static, run: impl Fn(&World) + Sync + 'static) -> Scenario {
    Scenario { name: name.to_string(), setup: Box::new(setup), run: Box::new(run) }
}

fn two(world: &World) {
    world.store("one", &[ALICE]);
    world.store("two", &[ALICE]);
}

fn two_one_flagged(world: &World) {
    two(world);
    flag(world, "two", Flags::ANSWERED);
}

fn in_caught() -> Fate {
    Fate::lies(&[Kept::Caught])
}

fn in_trash() -> Fate {
    Fate::lies(&[Kept::Trash])
}

/// Where a message of Caught is after it was put there, for good.
fn after(target: Folder, take: bool) -> Fate {
    let to = format!("to {ALICE}");
    let fate = match (target, take) {
        (_, false) => in_caught(),
        (Folder::Release | Folder::ReleaseTrain, true) => Fate::default(),
        _ => in_trash(),
    };
    match target {
        Folder::Release => fate.done(&[&to]),
        Folder::ReleaseTrain => fate.done(&[&to]).done(&BOTH_HAM),
        Folder::NotSpam => fate.done(&BOTH_HAM),
        _ => fate.done(&["s one"]).given_up(&["bad"]),
    }
}

pub fn all() -> Vec<Scenario> {
    let mut all = vec![
        scenario(
            "first start, storing into new trees",
            |_| {},
            |w| {
                w.store("one", &[ALICE]);
                w.store("two", &[ALICE, BOB]);
            },
        ),
        scenario(
            "first start, and a release",
            |_| {},
            |w| {
                w.store("one", &[ALICE]);
                w.drag(Kept::Caught, &["one"], Folder::Release, true, &[("one", after(Folder::Release, true))]);
                w.drain();
            },
        ),
        scenario("to Trash, and released from there", two_one_flagged, |w| {
            let trashed = [("one", in_trash()), ("two", in_trash())];
            w.drag(Kept::Caught, &["one", "two"], Folder::Trash, true, &trashed);
            let fates = ["one", "two"].map(|word| (word, after(Folder::Release, true)));
            w.drag(Kept::Trash, &["one", "two"], Folder::Release, true, &fates);
            w.drain();
        }),
        scenario("flags, then storing", two, |w| {
            flag(w, "one", Flags::ANSWERED);
            w.store("three", &[ALICE]);
            flag(w, "two", Flags::ANSWERED);
            flag(w, "three", Flags::ANSWERED);
            w.drag(Kept::Caught, &["three"], Folder::Trash, true, &[("three", in_trash())]);
        }),
        scenario("a stop that somebody outlives", two, |w| {
            flag(w, "one", Flags::SEEN | Flags::ANSWERED);
            w.drag(Kept::Caught, &["two"], Folder::Trash, true, &[("two", in_trash())]);
            let stopped = w.asked(Vec::new(), || w.quarantine.store.close().map_err(|e| e.to_string()));
            if stopped.is_ok() {
                flag(w, "one", Flags::FLAGGED);
                w.tell();
                w.store("three", &[ALICE]);
            }
        }),
        scenario("storing into trees that exist", two, |w| {
            w.store("three", &[ALICE]);
            w.store("four", &[BOB, ALICE]);
            w.store_outgoing("five", &["a@far.test", "b@far.test"]);
        }),
        scenario("to Trash and back", two, |w| {
            w.drag(Kept::Caught, &["one", "two"], Folder::Trash, true, &[("one", in_trash()), ("two", in_trash())]);
            w.drag(Kept::Trash, &["one"], Folder::Caught, true, &[("one", in_caught())]);
            let twice = Fate::lies(&[Kept::Caught, Kept::Trash]);
            w.drag(Kept::Caught, &["one"], Folder::Trash, false, &[("one", twice)]);
        }),
        scenario("flags, then a release", two, |w| {
            flag(w, "one", Flags::ANSWERED);
            flag(w, "one", Flags::FLAGGED);
            flag(w, "two", Flags::DELETED);
            w.drag(Kept::Caught, &["one"], Folder::Release, true, &[("one", after(Folder::Release, true))]);
            w.drain();
        }),
        scenario(
            "what an exporter tells, some of it twice",
            |_| {},
            |w| {
                let exports = w.exports();
                w.export(&exports, "export1");
                w.export(&exports, "export2");
                w.export(&exports, "export1");
            },
        ),
        scenario(
            "digests",
            |_| {},
            |w| {
                w.tell_digest(ALICE, START - 7200);
                w.tell_digest("x.test", START - 7200);
                w.drain();
                w.tell_digest(ALICE, START - 3600);
                w.tell_digest(ALICE, START - 3600);
                w.drain();
            },
        ),
        scenario(
            "a digest after somebody said no",
            |w| w.quarantine.digests.set_off(BOB, true).expect("it can be noted"),
            |w| {
                w.tell_digest(ALICE, START - 3600);
                w.drain();
            },
        ),
        scenario(
            "the first lists of senders",
            |_| {},
            |w| {
                w.list(ALICE, Some(Sense::Allow), "one.example");
                w.list("x.test", Some(Sense::Block), "two.example");
                w.list(ALICE, Some(Sense::Block), "one.example");
            },
        ),
        scenario(
            "a list of senders that is there",
            |w| w.list(BOB, Some(Sense::Allow), "one.example"),
            |w| {
                w.list(BOB, Some(Sense::Block), "two.example");
                w.list(BOB, None, "one.example");
                w.list(BOB, Some(Sense::Allow), "two.example");
            },
        ),
        scenario("EXPUNGE", two, |w| {
            flag(w, "one", Flags::DELETED);
            w.expunge(Kept::Caught, &["one"], &[("one", Fate::default())]);
            w.store("three", &[ALICE]);
        }),
        scenario("expiry, and a message for the emptied tree", two, |w| {
            let later = Timestamp::from_secs(START + 15 * 86_400);
            let due = w.quarantine.due(Kept::Caught, later);
            let gone = |word| (key(ALICE, word), Fate::default());
            let expire = || w.quarantine.expire(Kept::Caught, &due).map(drop).map_err(|e| e.to_string());
            let _ = w.asked(vec![gone("one"), gone("two")], expire);
            if let Some(tree) = w.quarantine.store.tree(&address(ALICE)).filter(|_| !w.is_stopped()) {
                let _ = w.quarantine.store.remove_if_empty(&tree);
                w.tell();
            }
            w.store("three", &[ALICE]);
        }),
        scenario("an emptied tree, and a release from it", two_one_flagged, |w| {
            let fates = ["one", "two"].map(|word| (word, after(Folder::Release, true)));
            w.drag(Kept::Caught, &["one", "two"], Folder::Release, true, &fates);
            if let Some(tree) = w.quarantine.store.tree(&address(ALICE)).filter(|_| !w.is_stopped()) {
                let _ = w.quarantine.store.remove_if_empty(&tree);
                w.tell();
            }
            w.drain();
        }),
        scenario(
            "APPEND",
            |_| {},
            |w| {
                w.append("mine", Folder::Spam, after(Folder::Spam, true));
                w.append("yours", Folder::NotSpam, after(Folder::NotSpam, true));
                w.drain();
            },
        ),
        scenario(
            "reports by mail",
            |_| {},
            |w| {
                let reports = w.reports();
                w.report(&reports, "report1", after(Folder::Spam, true));
                w.report(&reports, "report2", after(Folder::Spam, true));
                w.report(&reports, "report1", after(Folder::Spam, true));
                w.drain();
            },
        ),
        scenario("new blocks of UIDs and MODSEQs", use_up_block, |w| {
            for word in ["three", "four", "five"] {
                w.store(word, &[ALICE]);
            }
            w.clock.fetch_add(1_000_000_000, Ordering::Relaxed);
            flag(w, "one", Flags::ANSWERED);
            w.tell();
        }),
        scenario("adoption", two, |w| {
            foreign(w, "mail/x.test/alice/Caught/new/1600000000.H1.box", "three", ALICE);
            foreign(w, "mail/x.test/alice/Trash/cur/1600000001.H2.box:2,S", "four", ALICE);
            foreign(w, "mail/x.test/bob/Caught/cur/strange name:2,F", "five", BOB);
            sweep(w);
        }),
        scenario("from Trash", trash_two, |w| {
            w.drag(Kept::Trash, &["one"], Folder::Release, true, &[("one", after(Folder::Release, true))]);
            w.drag(Kept::Trash, &["two"], Folder::Spam, true, &[("two", after(Folder::Spam, true))]);
            w.drain();
        }),
        scenario("asked twice", two, |w| {
            let copied = after(Folder::Release, false);
            w.drag(Kept::Caught, &["one"], Folder::Release, false, &[("one", copied)]);
            // Its release is under way, so only the training is asked, and it is kept.
            let trained = in_trash().done(&BOTH_HAM).done(&["to alice@x.test"]);
            w.drag(Kept::Caught, &["one"], Folder::ReleaseTrain, true, &[("one", trained)]);
            w.drain();
        }),
        scenario("a training that was given up is tried again", two, |w| {
            w.drag(Kept::Caught, &["one"], Folder::Spam, true, &[("one", after(Folder::Spam, true))]);
            w.drain();
            accept(w);
            let done = in_trash().done(&["s one", "s bad"]);
            // What was not acknowledged may have been trained, and still be listed as given up.
            let listed = done.clone().given_up(&["bad"]);
            w.mark(Mark::Asked(vec![(key(ALICE, "one"), listed)]));
            let again = || w.quarantine.queue.retry_all().map(drop).map_err(|e| e.to_string());
            let _ = w.asked(vec![(key(ALICE, "one"), done)], again);
            w.drain();
        }),
        scenario(
            "dragged away while it is delivered",
            |w| assert!(w.store("one", &["refused@x.test"])),
            |w| {
                let failed = in_caught().failed(None);
                w.drag(Kept::Caught, &["one"], Folder::Release, false, &[("one/refused@x.test", failed.clone())]);
                w.fan_out();
                let Some(claim) = w.quarantine.queue.claim(Work::Deliver, u64::MAX) else { return };
                w.drag(Kept::Caught, &["one"], Folder::Trash, true, &[("one/refused@x.test", failed)]);
                w.deliver(claim);
            },
        ),
        scenario("caught again", two, |w| {
            w.drag(Kept::Caught, &["one"], Folder::Release, false, &[("one", after(Folder::Release, false))]);
            w.drain();
            let line = w.received.borrow().clone();
            let again = [line.into_bytes(), message("one")].concat();
            let failed = after(Folder::Release, false).failed(None);
            let kept_again = Fate { folders: vec![Kept::Caught; 2], ..failed.clone() };
            w.mark(Mark::Asked(vec![(key(ALICE, "one"), kept_again)]));
            let act = || {
                let replies = w.lmtp(Class::Incoming, "from@far.test", &[ALICE], again);
                // Where the flag cannot be set it is kept once more.
                if replies.iter().all(|r| r.is_positive()) && !w.is_stopped() {
                    Ok(())
                } else {
                    Err(format!("{replies:?}"))
                }
            };
            let _ = w.asked(vec![(key(ALICE, "one"), failed)], act);
        }),
    ];
    for target in [Folder::Release, Folder::ReleaseTrain, Folder::NotSpam, Folder::Spam] {
        for take in [true, false] {
            let name = format!("{} to {}", if take { "MOVE" } else { "COPY" }, target.label());
            all.push(scenario(&name, two, move |w| {
                let fates = ["one", "two"].map(|word| (word, after(target, take)));
                w.drag(Kept::Caught, &["one", "two"], target, take, &fates);
                w.drain();
            }));
        }
    }
    for take in [true, false] {
        for target in [Folder::ReleaseTrain, Folder::Spam] {
            all.push(waited(target, take));
            all.push(undone(Kept::Caught, target, take));
            all.push(undone(Kept::Trash, target, take));
        }
        all.push(undone_later(take));
    }
    all.push(decided(true));
    all.push(decided(false));
    for take in [true, false] {
        all.push(refused(take));
        all.push(partly_refused(take));
    }
    all
}

/// Asked from the page, and carried out when nobody took it back.
fn waited(target: Folder, take: bool) -> Scenario {
    let name = format!("asked with a delay, {} to {}", if take { "MOVE" } else { "COPY" }, target.label());
    scenario(&name, two_one_flagged, move |w| {
        let fates = ["one", "two"].map(|word| (word, after(target, take)));
        w.drag_later(Kept::Caught, &["one", "two"], target, take, &fates);
        w.fan_out();
        w.deliver_all();
        w.wait(11);
        w.drain();
    })
}

/// Asked from the page, and taken back: before and after the fan-out has looked at it.
fn undone(from: Kept, target: Folder, take: bool) -> Scenario {
    let how = if take { "MOVE" } else { "COPY" };
    let name = format!("undone, {how} from {from} to {}", target.label());
    let setup = if from == Kept::Trash { trash_two } else { two_one_flagged };
    scenario(&name, setup, move |w| {
        let asked = match (from, target, take) {
            (Kept::Trash, Folder::ReleaseTrain, false) => Fate { folders: vec![from], ..after(target, take) },
            (Kept::Trash, _, false) => Fate { folders: vec![from], ..after(target, take) },
            _ => after(target, take),
        };
        for (word, looked) in [("one", false), ("two", true)] {
            flag(w, word, Flags::FLAGGED);
            let batch = w.drag_later(from, &[word], target, take, &[(word, asked.clone())]);
            if looked {
                w.fan_out();
            }
            w.undo(batch, &[(word, Fate::lies(&[from]))]);
        }
        w.wait(11);
        w.drain();
    })
}

/// Requested of an administrator, who decides.
fn decided(grant: bool) -> Scenario {
    let name = format!("requested and {}", if grant { "granted" } else { "declined" });
    let setup = |w: &World| {
        for word in ["one", "two"] {
            w.store_outgoing(word, &["a@far.test"]);
        }
    };
    scenario(&name, setup, move |w| {
        let lies = Fate::lies(&[Kept::Outgoing]);
        let requested = ["one", "two"].map(|word| (word, lies.clone().requested()));
        w.request(&["one", "two"], &requested);
        let fate = if grant { Fate::default().done(&["to a@far.test"]) } else { lies.clone() };
        w.decide("one", grant, fate);
        w.drain();
        w.expunge(Kept::Outgoing, &["two"], &[("two", Fate::default())]);
    })
}

/// Asked before the program was stopped, and taken back after.
fn undone_later(take: bool) -> Scenario {
    let target = Folder::Release;
    let setup = move |w: &World| {
        two_one_flagged(w);
        let fates = ["one", "two"].map(|word| (word, after(target, take)));
        w.drag_later(Kept::Caught, &["one", "two"], target, take, &fates);
    };
    scenario(&format!("undone after a restart, {}", if take { "MOVE" } else { "COPY" }), setup, move |w| {
        // The clock of a scenario is an hour on: what waits is no longer to be taken back, unless it is set back.
        w.clock.store((START + 5) * 1_000_000, Ordering::Relaxed);
        let waiting = w.quarantine.waiting(&global());
        let Some(waiting) = waiting.first() else { return };
        let back = ["one", "two"].map(|word| (word, in_caught()));
        w.undo(waiting.batch, &back);
        w.wait(11);
        w.drain();
    })
}

/// Incoming mail that the mail server refuses for good, and other mail that it puts off.
fn refused(take: bool) -> Scenario {
    let setup = |w: &World| {
        w.store("one", &["refused@x.test"]);
        w.store("two", &["slow@x.test"]);
    };
    scenario(&format!("refused and put off, {}", if take { "MOVE" } else { "COPY" }), setup, move |w| {
        let put_off = if take { Fate::default() } else { in_caught() }.done(&["to slow@x.test"]);
        let fates = [("one/refused@x.test", in_caught().failed(None)), ("two/slow@x.test", put_off)];
        w.drag(Kept::Caught, &["one", "two"], Folder::Release, take, &fates);
        w.drain();
        accept(w);
        let released = if take { Fate::default() } else { in_caught() }.done(&["to refused@x.test"]);
        let released = Fate { either: true, ..released };
        w.drag(Kept::Caught, &["one"], Folder::Release, take, &[("one/refused@x.test", released)]);
        w.drain();
    })
}

/// Outgoing mail that one of three recipients takes; the others get it later, and he not again.
fn partly_refused(take: bool) -> Scenario {
    let setup = |w: &World| {
        w.store_outgoing("one", &["a@far.test", "refused1@far.test", "refused2@far.test"]);
    };
    scenario(&format!("partly refused, {}", if take { "MOVE" } else { "COPY" }), setup, move |w| {
        let lies = Fate::lies(&[Kept::Outgoing]).done(&["to a@far.test"]);
        let failed = lies.clone().failed(Some(0b110));
        w.drag(Kept::Outgoing, &["one"], Folder::Release, take, &[("one", failed)]);
        w.drain();
        accept(w);
        let parts = ["to refused1@far.test", "to refused2@far.test"];
        let released = if take {
            Fate::default().done(&["to a@far.test"]).done(&parts)
        } else {
            Fate { either: true, ..lies.done(&parts) }
        };
        w.drag(Kept::Outgoing, &["one"], Folder::Release, take, &[("one", released)]);
        w.drain();
    })
}

/// From now on the mail server takes everything.
fn accept(world: &World) {
    if world.is_stopped() {
        return;
    }
    world.accepts.set(true);
    world.mark(Mark::Accepts);
}

fn flag(world: &World, word: &str, flags: Flags) {
    let uids = world.uids(Kept::Caught, &[word]);
    let Ok(mailbox) = world.quarantine.open_folder(&global(), Folder::Caught) else { return };
    let Some(content) = mailbox.content else { return };
    let _ = world.quarantine.set_flags(&content, &uids, Flagging::Add, flags, None);
}

fn trash_two(world: &World) {
    two(world);
    world.drag(Kept::Caught, &["one", "two"], Folder::Trash, true, &[("one", in_trash()), ("two", in_trash())]);
}

/// Leaves three UIDs of the block that was reserved.
fn use_up_block(world: &World) {
    two(world);
    let store = &world.quarantine.store;
    let ends = |uid: u32| uid % 8192 > 8187;
    let mut folder = Kept::Caught;
    let mut uid = world.uids(folder, &["two"]).iter().next().map_or(0, |(uid, _)| uid);
    while !ends(uid) {
        let to = if folder == Kept::Caught { Kept::Trash } else { Kept::Caught };
        let all = lazaret::store::Reach::All;
        let moved = store.relocate(all, folder, &UidRanges::one(uid, uid), |_| to, false, |_| {});
        uid = moved.expect("it can be moved").first().map_or(0, |(_, placed)| placed.uid);
        folder = to;
    }
    let fate = Fate::lies(&[folder]);
    world.mark(Mark::Done(vec![(key(ALICE, "two"), fate)]));
}

fn foreign(world: &World, path: &str, word: &str, tree: &str) {
    let disk = world.quarantine.store.disk();
    let target = disk.path(path);
    let folder = if path.contains("Trash") { in_trash() } else { in_caught() };
    world.mark(Mark::Asked(vec![(key(tree, word), folder.clone())]));
    std::fs::create_dir_all(target.parent().expect("a folder")).expect("another program can make directories");
    std::fs::write(&target, message(word)).expect("another program can write");
    if let Some(recorder) = world.recorder() {
        recorder.note(Event::Foreign(PathBuf::from(path), message(word)));
    }
    world.mark(Mark::Done(vec![(key(tree, word), folder)]));
}

fn sweep(world: &World) {
    let store = &world.quarantine.store;
    store.find_new_trees();
    for tree in store.all_trees() {
        store.sweep_tree(&tree, true);
    }
    world.tell();
}
