//! Sessions of several accounts over one quarantine, with random commands, deliveries, expiry, returned releases and changes
//! by other programs. Each session believes what it is told, and must never be told anything that a client may not be
//! (RFC 3501 2.3.1.1, 5.5, 7.4.1, RFC 7162, RFC 9051); what it believes in the end must be what there is.
//!
//! `STEPS` and `SEED` in the environment say how long and which run (`scripts/sessions`).

mod belief;
mod client;
mod fault;
mod stack;

use client::{Client, Kind};
use fault::Fault;
use stack::{Event, Stack};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Steps in an ordinary run of the tests.
const STEPS: usize = 50_000;
/// A planted fault is found within so many.
const FOUND_WITHIN: usize = 20_000;

/// A small generator: the same run for the same seed, everywhere.
pub struct Random(u64);

impl Random {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n.max(1)
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// How often each command came right after each event.
type Table = BTreeMap<(&'static str, &'static str), usize>;

/// Carries out a history; panics at the first breach.
fn run(seed: u64, steps: usize, fault: Option<Fault>, table: &mut Table) {
    let mut random = Random(seed | 1);
    let mut stack = Stack::new(fault);
    let kinds = [
        (Kind::Plain, "alice@x.test", None),
        (Kind::Resync, "alice@x.test", None),
        (Kind::Condstore, "x.test", None),
        (Kind::Resync, "global", None),
        (Kind::Resync, "global", Some("alice@x.test")),
    ];
    let new = |(kind, login, child)| Client::new(&stack, kind, login, child);
    let mut clients: Vec<Client> = kinds.into_iter().map(new).collect();
    for step in 0..steps {
        stack.step = step;
        if step > 0 && step % STEPS == 0 {
            println!("{step} steps");
        }
        let event = random.one_in(2).then(|| stack.random_event(&mut random));
        if event == Some(Event::Restart) {
            let clean = random.one_in(2);
            clients.iter_mut().for_each(Client::cut_off);
            stack.restart(clean);
            clients.iter_mut().for_each(|client| client.come_back(&stack, &mut random));
        }
        let who = random.below(clients.len());
        let command = clients[who].random_command(&stack, &mut random);
        *table.entry((command, event.map_or("-", Event::name))).or_default() += 1;
        if random.one_in(12) {
            let who = random.below(clients.len());
            clients[who].compare(&stack);
        }
    }
    clients.iter_mut().for_each(|client| client.compare(&stack));
}

fn seed() -> u64 {
    let given = std::env::var("SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        now.as_nanos() as u64
    })
}

#[test]
fn no_session_is_told_what_is_not_so() {
    let seed = seed();
    let steps = std::env::var("STEPS").ok().and_then(|text| text.parse().ok()).unwrap_or(STEPS);
    println!("SEED={seed} STEPS={steps}");
    let mut table = Table::new();
    run(seed, steps, None, &mut table);
    let events: Vec<&str> = Event::ALL.iter().map(|event| event.name()).chain(["-"]).collect();
    let mut commands: Vec<&str> = table.keys().map(|(command, _)| *command).collect();
    commands.dedup();
    println!("{:>18} {}", "", events.join(" "));
    for command in commands {
        let counts = events.iter().map(|event| {
            let count = table.get(&(command, *event)).copied().unwrap_or(0);
            if steps >= 1_000_000 {
                assert!(count >= 1_000, "{command} came only {count} times after {event}");
            }
            format!("{count:>width$}", width = event.len())
        });
        println!("{command:>18} {}", counts.collect::<Vec<_>>().join(" "));
    }
}

fn of_701_messages() -> Stack {
    let mut stack = Stack::new(None);
    (0..700).for_each(|_| stack.deliver("alice@x.test"));
    stack
}

#[test]
fn what_is_made_while_it_is_told_is_told_once_and_in_order() {
    let stack = of_701_messages();
    let mut client = Client::new(&stack, Kind::Plain, "alice@x.test", None);
    let mut all = |command: &str| -> Vec<String> {
        let told = client.say(command).into_iter().filter(|line| line.contains(" FETCH (")).collect::<Vec<_>>();
        assert_eq!(told.len(), 701, "{command}");
        told
    };
    let commands =
        ["FETCH 1:* (UID ENVELOPE)", "FETCH 1:* (UID BODYSTRUCTURE)", "UID FETCH 1:* (ENVELOPE PREVIEW BODY)"];
    let without = commands.map(&mut all);
    stack.shared.quarantine.store.caches().into_iter().for_each(|cache| cache.load());
    // The first makes what is lacking, by all cores; the second reads it.
    assert_eq!([commands.map(&mut all), commands.map(&mut all)], [without.clone(), without]);
}

#[test]
fn planted_faults_are_found() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    let mut found = Vec::new();
    for fault in Fault::ALL {
        let outcome = catch_unwind(AssertUnwindSafe(|| run(7, FOUND_WITHIN, Some(fault), &mut Table::new())));
        match outcome {
            Ok(()) => missed.push(fault),
            Err(why) => {
                let text = why.downcast_ref::<String>().cloned().unwrap_or_default();
                found.push(format!("{fault:?}: {text}"));
            }
        }
    }
    std::panic::set_hook(hook);
    println!("{}", found.join("\n"));
    assert!(missed.is_empty(), "not found: {missed:?}");
}

#[test]
fn a_search_that_goes_on_in_many_turns_finds_each_once() {
    let stack = of_701_messages();
    let mut client = Client::new(&stack, Kind::Plain, "alice@x.test", None);
    client.say("UID STORE 100:300 +FLAGS (\\Flagged)");
    let mut told = |command: &str| -> Vec<String> {
        let is_result = |line: &String| ["* SEARCH", "* SORT", "* THREAD"].iter().any(|what| line.starts_with(what));
        client.say(command).into_iter().filter(is_result).collect()
    };
    let commands = [
        "UID SEARCH ALL",
        "SEARCH FLAGGED",
        "UID SEARCH NOT (FLAGGED SUBJECT 1)",
        "UID SEARCH OR FLAGGED TEXT 2",
        "UID SORT (SUBJECT) UTF-8 FLAGGED",
        "THREAD REFERENCES UTF-8 ALL",
    ];
    let quickly = commands.map(&mut told);
    assert!(quickly.iter().all(|lines| lines.len() == 1 && lines[0].len() > 200), "{quickly:?}");
    // Each look at the clock takes a third of a turn, and most see it over.
    for tick in [10_000, 50_000] {
        stack.tick.store(tick, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(commands.map(&mut told), quickly);
    }
}
