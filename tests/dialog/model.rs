//! A client that believes what it is told. After any history, what it believes must be what there is.

use super::fake::Peer;
use super::world::World;
use lazaret::base::{Flags, Timestamp};
use lazaret::imap::{Options, Tls};
use std::cell::RefCell;
use std::rc::Rc;

/// One thing that happens; numbers are taken modulo what there is.
#[derive(Debug, Clone)]
pub enum Deed {
    /// A command of a session: FETCH, STORE and their kind, or NOOP.
    Command { who: usize, what: Command, number: usize },
    /// A message comes in.
    Deliver,
    /// A message goes away behind all sessions.
    Remove(usize),
}

/// What a client does.
#[derive(Debug, Clone, Copy)]
pub enum Command {
    Noop,
    Fetch,
    Body,
    Search,
    Store { silent: bool, uid: bool, add: bool, flag: usize },
    Expunge,
    Move,
    IdleBriefly,
}

/// A message as a client knows it.
#[derive(Debug, Clone, Default, PartialEq)]
struct Known {
    uid: Option<u32>,
    flags: Option<Flags>,
}

struct Client {
    peer: Peer,
    read: usize,
    known: Vec<Known>,
}

const FLAGS: [(&str, Flags); 3] =
    [("\\Seen", Flags::SEEN), ("\\Flagged", Flags::FLAGGED), ("\\Deleted", Flags::DELETED)];
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

impl Client {
    fn new(world: &Rc<RefCell<World>>) -> Client {
        let options = Options { tls: Tls::Absent, plain_login: true, scram: false, host: "h".into() };
        let peer = Peer::new(world.clone(), options);
        let mut client = Client { peer, read: 0, known: Vec::new() };
        client.say("a LOGIN alice secret\r\nb SELECT Caught\r\nc FETCH 1:* (UID FLAGS)\r\n", true);
        client
    }

    /// Sends, and believes what comes back. Without `may_expunge`, EXPUNGE must not be among it.
    fn say(&mut self, text: &str, may_expunge: bool) {
        self.peer.send(text.as_bytes(), usize::MAX, NOW);
        let new = String::from_utf8_lossy(&self.peer.sent[self.read..]).into_owned();
        self.read = self.peer.sent.len();
        for line in new.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let number = words.get(1).and_then(|n| n.parse::<usize>().ok());
            match (words.as_slice(), number) {
                (["*", _, "EXPUNGE"], Some(n)) => {
                    assert!(may_expunge, "EXPUNGE during {text}");
                    assert!((1..=self.known.len()).contains(&n), "EXPUNGE {n} of {}", self.known.len());
                    self.known.remove(n - 1);
                }
                (["*", _, "EXISTS"], Some(n)) => {
                    assert!(n >= self.known.len(), "EXISTS {n} of {}", self.known.len());
                    self.known.resize(n, Known::default());
                }
                (["*", _, "FETCH", ..], Some(n)) => self.fetched(n, line),
                ([tag, "BAD", ..], _) => panic!("{tag} BAD: {line} after {text}"),
                _ => {}
            }
        }
    }

    fn fetched(&mut self, n: usize, line: &str) {
        assert!((1..=self.known.len()).contains(&n), "{line} of {}", self.known.len());
        let known = &mut self.known[n - 1];
        if let Some(uid) = line.split("UID ").nth(1).and_then(|t| t.split([' ', ')']).next()) {
            let uid = uid.parse().expect("a UID");
            assert!(known.uid.is_none_or(|k| k == uid), "{line}, but it was {known:?}");
            known.uid = Some(uid);
        }
        if let Some(flags) = line.split("FLAGS (").nth(1).and_then(|t| t.split(')').next()) {
            known.flags = Some(flags.split(' ').filter_map(Flags::by_name).fold(Flags::NONE, |a, f| a | f));
        }
    }

    fn act(&mut self, what: Command, number: usize) {
        let count = self.known.len();
        let n = if count == 0 { 0 } else { number % count + 1 };
        match what {
            Command::Noop => self.say("d NOOP\r\n", true),
            Command::IdleBriefly => self.say("d IDLE\r\nDONE\r\n", true),
            Command::Expunge => self.say("d EXPUNGE\r\n", true),
            _ if count == 0 => {}
            Command::Fetch => self.say(&format!("d FETCH {n} (UID FLAGS)\r\n"), false),
            Command::Body => self.say(&format!("d FETCH {n} (BODY[TEXT]<9000.1>)\r\n"), false),
            Command::Search => self.say("d SEARCH DELETED\r\n", false),
            Command::Move => self.say(&format!("d MOVE {n} Trash\r\n"), true),
            Command::Store { silent, uid, add, flag } => {
                let (name, flag) = FLAGS[flag % 3];
                let Known { uid: known, flags } = self.known[n - 1].clone();
                let (set, uid) = match known {
                    Some(known) if uid => (known.to_string(), "UID "),
                    _ => (n.to_string(), ""),
                };
                let (sign, dot) = (if add { "+" } else { "-" }, if silent { ".SILENT" } else { "" });
                let before = self.read;
                self.say(&format!("d {uid}STORE {set} {sign}FLAGS{dot} ({name})\r\n"), !uid.is_empty());
                // a client that asked for silence works the result out from what it knows at that moment
                let told = String::from_utf8_lossy(&self.peer.sent[before..]).contains(" FETCH (");
                if silent && let Some(now) = known.and_then(|k| self.known.iter_mut().find(|m| m.uid == Some(k))) {
                    let base = if told { now.flags } else { flags };
                    now.flags = base.map(|f| if add { f | flag } else { f.without(flag) });
                } else if silent && let Some(now) = self.known.get_mut(n - 1) {
                    now.flags = None;
                }
            }
        }
    }
}

/// Carries out a history with two sessions, and compares.
pub fn check(deeds: &[Deed]) {
    let world = Rc::new(RefCell::new(World::new()));
    let mut clients = [Client::new(&world), Client::new(&world)];
    for deed in deeds {
        match deed {
            Deed::Command { who, what, number } => clients[who % 2].act(*what, *number),
            Deed::Deliver => {
                world.borrow_mut().deliver("Caught", b"Subject: x\r\n\r\nx\r\n");
            }
            Deed::Remove(number) => {
                let uids: Vec<u32> =
                    world.borrow_mut().find("Caught").expect("it is there").messages.keys().copied().collect();
                if !uids.is_empty() {
                    world.borrow_mut().remove("Caught", uids[number % uids.len()]);
                }
            }
        }
    }
    for client in &mut clients {
        client.say("y NOOP\r\n", true);
        let mut world = world.borrow_mut();
        let truth = &world.find("Caught").expect("it is there").messages;
        assert_eq!(client.known.len(), truth.len());
        for (known, (&uid, message)) in client.known.iter().zip(truth) {
            assert!(known.uid.is_none_or(|k| k == uid), "{known:?} is {uid}");
            assert!(known.flags.is_none_or(|f| f == message.flags), "{known:?} has {}", message.flags);
        }
    }
}
