//! A quarantine in a directory, its clients, and the mail server and the sinks around it.

use super::promise::{Fate, Key, Mark};
use super::record::Recorder;
use lazaret::base::{Flags, Timestamp, UidRanges};
use lazaret::bridge::Bridge;
use lazaret::bridge::lmtp::{Door, LmtpBridge};
use lazaret::bridge::memory::Memory;
use lazaret::disk::Disk;
use lazaret::lmtp::{Answer, Question, Reply, Transaction};
use lazaret::mail::{Address, Class, Kept, Kind};
use lazaret::quarantine::directory::{Directory, Domain};
use lazaret::quarantine::expire::{Keep, Retention};
use lazaret::quarantine::folders::{Folder, Inbox, Naming, Spelling, WriteOnly};
use lazaret::quarantine::policy::Policy;
use lazaret::quarantine::{Account, Options, Quarantine, Scope};
use lazaret::queue::{Claim, FanOut, Outcome, Part, Work};
use lazaret::store::scan::Report;
use lazaret::store::{Clock, Reach};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Every message is about this long.
const FILLING: usize = 300;

pub struct World {
    pub quarantine: Arc<Quarantine>,
    pub report: Report,
    pub clock: Arc<AtomicU64>,
    recorder: Option<Arc<Recorder>>,
    /// The mail server takes everything.
    pub accepts: Cell<bool>,
    /// Something was not acknowledged.
    pub stopped: Cell<bool>,
    /// Errors of the disk are past.
    pub goes_on: Cell<bool>,
    /// Errors of the disk are that it is full.
    pub full: Cell<bool>,
    /// What the outside was given.
    pub carried: RefCell<Vec<(Key, String)>>,
    /// What should never have happened.
    pub wrong: RefCell<Vec<String>>,
    /// The Received line of the last delivery.
    pub received: RefCell<String>,
}

impl World {
    /// Opens the data directory; `start` is the clock, in seconds.
    pub fn open(root: &Path, recorder: Option<Arc<Recorder>>, start: u64, pid: u32) -> Result<World, String> {
        let disk = match &recorder {
            Some(recorder) => Disk::watched(root, recorder.clone()),
            None => Disk::new(root),
        };
        let now = Arc::new(AtomicU64::new(start * 1_000_000));
        let clock: Clock = {
            let now = now.clone();
            Arc::new(move || Timestamp(now.fetch_add(1000, Ordering::Relaxed)))
        };
        let domain = Domain::default();
        let directory = Directory::new([("x.test", &domain)]).expect("a directory of one domain");
        let opened = Quarantine::open(disk, pid, clock, options(), Arc::new(directory));
        let (quarantine, report) = opened.map_err(|e| e.to_string())?;
        Ok(World {
            quarantine: Arc::new(quarantine),
            report,
            clock: now,
            recorder,
            accepts: Cell::new(false),
            full: Cell::new(false),
            stopped: Cell::new(false),
            goes_on: Cell::new(false),
            carried: RefCell::default(),
            wrong: RefCell::default(),
            received: RefCell::default(),
        })
    }

    pub fn mark(&self, mark: Mark) {
        // Whoever was killed promises nothing.
        if let Some(recorder) = self.recorder.as_ref().filter(|r| !r.is_dead()) {
            recorder.mark(mark);
        }
    }

    /// What a scenario would do next makes no sense: something was not acknowledged, or the disk failed.
    pub fn is_stopped(&self) -> bool {
        self.stopped.get() || !self.goes_on.get() && self.recorder.as_ref().is_some_and(|r| r.has_failed())
    }

    pub fn recorder(&self) -> Option<&Recorder> {
        self.recorder.as_deref()
    }

    /// Does what was asked between the two marks; `Err`: it was not acknowledged.
    pub fn asked(&self, fates: Vec<(Key, Fate)>, act: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
        if self.is_stopped() {
            return Err("an earlier command failed".to_string());
        }
        self.mark(Mark::Asked(fates.clone()));
        let done = act();
        match &done {
            Ok(()) => {
                self.mark(Mark::Done(fates));
                self.tell();
            }
            Err(e) => {
                if !e.starts_with("cannot ") && !e.contains("Reply") {
                    self.wrong.borrow_mut().push(format!("an error that does not say enough: {e}"));
                }
                self.stopped.set(true);
            }
        }
        done
    }

    /// A client looks at everything.
    pub fn tell(&self) {
        let figures = Kept::ALL.map(|kept| {
            let mailbox = self.quarantine.open_folder(&global(), Folder::of(kept)).expect("it may be opened");
            let counts = self.quarantine.counts(&mailbox);
            (counts.uid_next, counts.modseq)
        });
        let uid_validity = self.quarantine.store.uid_validity();
        let mut uids = HashMap::new();
        let mut twice = Vec::new();
        for message in self.find_all() {
            let place = (message.key, message.kept);
            if uids.insert(place.clone(), message.uid).is_some() {
                twice.push(place);
            }
        }
        uids.retain(|place, _| !twice.contains(place));
        self.mark(Mark::Told { uid_validity, figures, uids, line: self.line() });
    }

    /// What stands above every release, at a fixed time.
    pub fn line(&self) -> String {
        self.quarantine.received_line("1.M1P1Q1.mx.test", "alice@x.test", Timestamp(0))
    }

    /// A transaction at the LMTP door; one reply a recipient.
    pub fn lmtp(&self, class: Class, sender: &str, recipients: &[&str], message: Vec<u8>) -> Vec<Reply> {
        let door =
            Door { class, kind: Kind::Spam, reject: false, before_queue: false, believed: Vec::new(), reports: None };
        let mut bridge = LmtpBridge::new(self.quarantine.clone(), door, Arc::new(Memory::new(1 << 30)));
        let transaction = Transaction {
            sender: sender.to_string(),
            recipients: recipients.iter().map(|r| r.to_string()).collect(),
            size: message.len() as u64,
            message,
            ..Transaction::default()
        };
        match bridge.answer(Question::Store(Box::new(transaction))).done() {
            Some(Answer::Stored(replies)) => replies,
            other => panic!("the door answered {other:?}"),
        }
    }

    /// Incoming mail for the owners of these trees; each reply counts for itself.
    pub fn store(&self, word: &str, recipients: &[&str]) -> bool {
        if self.is_stopped() {
            return false;
        }
        let fates: Vec<_> = recipients.iter().map(|r| (key(r, word), Fate::lies(&[Kept::Caught]))).collect();
        self.mark(Mark::Asked(fates.clone()));
        let replies = self.lmtp(Class::Incoming, "from@far.test", recipients, message(word));
        self.take_replies(fates, &replies)
    }

    fn take_replies(&self, fates: Vec<(Key, Fate)>, replies: &[Reply]) -> bool {
        for (fate, reply) in fates.into_iter().zip(replies) {
            if reply.is_positive() {
                self.mark(Mark::Done(vec![fate]));
            } else if reply.code != if self.full.get() { 452 } else { 451 } {
                self.wrong.borrow_mut().push(format!("the door answered {reply:?}"));
            }
        }
        self.tell();
        let all = replies.iter().all(Reply::is_positive);
        self.stopped.set(!all);
        all
    }

    /// Outgoing mail of alice.
    pub fn store_outgoing(&self, word: &str, recipients: &[&str]) -> bool {
        if self.is_stopped() {
            return false;
        }
        let fates = vec![(key("alice@x.test", word), Fate::lies(&[Kept::Outgoing]))];
        self.mark(Mark::Asked(fates.clone()));
        let replies = self.lmtp(Class::Outgoing, "alice@x.test", recipients, message(word));
        self.take_replies(fates, &replies[..1])
    }

    /// Drags these messages to a folder.
    pub fn drag(&self, from: Kept, words: &[&str], to: Folder, take: bool, fates: &[(&str, Fate)]) -> bool {
        let uids = self.uids(from, words);
        let fates = fates.iter().map(|(word, fate)| (self.key_of(word), fate.clone())).collect();
        let put = || self.quarantine.put(&global(), from, &uids, to, take).map(drop).map_err(|e| e.to_string());
        self.asked(fates, put).is_ok()
    }

    /// The same from the page: it waits. Returns with what it can be taken back.
    pub fn drag_later(&self, from: Kept, words: &[&str], to: Folder, take: bool, fates: &[(&str, Fate)]) -> u64 {
        let uids = self.uids(from, words);
        let fates = fates.iter().map(|(word, fate)| (self.key_of(word), fate.clone())).collect();
        let batch = Cell::new(0);
        let put = || {
            let done = self.quarantine.put_later(&global(), from, &uids, to, take).map_err(|e| e.to_string())?;
            batch.set(done.batch.unwrap_or(0));
            Ok(())
        };
        let _ = self.asked(fates, put);
        batch.get()
    }

    /// Takes back what was asked from the page; a stop of the program before may have lost it.
    pub fn undo(&self, batch: u64, fates: &[(&str, Fate)]) {
        let fates = fates.iter().map(|(word, fate)| (self.key_of(word), fate.clone())).collect();
        let _ = self.asked(fates, || self.quarantine.undo(&global(), batch).map(drop).map_err(|e| e.to_string()));
    }

    /// So many seconds pass.
    pub fn wait(&self, secs: u64) {
        self.clock.fetch_add(secs * 1_000_000, Ordering::Relaxed);
    }

    /// Removes these for good.
    pub fn expunge(&self, from: Kept, words: &[&str], fates: &[(&str, Fate)]) -> bool {
        let uids = self.uids(from, words);
        let fates = fates.iter().map(|(word, fate)| (self.key_of(word), fate.clone())).collect();
        let act = || self.quarantine.expunge(&global(), from, &uids).map(drop).map_err(|e| e.to_string());
        self.asked(fates, act).is_ok()
    }

    /// Appends a message from another account to Spam or Not Spam.
    pub fn append(&self, word: &str, to: Folder, fate: Fate) -> bool {
        let alice = alice();
        let bytes = message(word);
        let act = || {
            let mut appending =
                self.quarantine.append_start(&alice, to, bytes.len() as u64).map_err(|e| e.to_string())?;
            for piece in bytes.chunks(100) {
                appending.write(piece).map_err(|e| e.to_string())?;
            }
            self.quarantine.append_end(&alice, vec![appending]).map_err(|e| e.to_string())
        };
        self.asked(vec![(key("alice@x.test", word), fate)], act).is_ok()
    }

    /// The UIDs of these messages, in whosever tree.
    pub fn uids(&self, kept: Kept, words: &[&str]) -> UidRanges {
        let found = self.find_all().into_iter().filter(|f| f.kept == kept && words.contains(&f.key.1.as_str()));
        found.map(|f| f.uid).collect()
    }

    /// A word in these scenarios is one message; `word/2` is that of the second tree.
    pub fn key_of(&self, word: &str) -> Key {
        match word.split_once('/') {
            Some((word, tree)) => key(tree, word),
            None => key("alice@x.test", word),
        }
    }

    /// Every message that can be seen.
    pub fn find_all(&self) -> Vec<Found> {
        let mut all = Vec::new();
        let store = &self.quarantine.store;
        for kept in Kept::ALL {
            for located in store.locate_all(Reach::All, kept, &UidRanges::one(1, u32::MAX)) {
                let tree = located.tree.address.to_string();
                let read = std::fs::read(&located.path).map_err(|e| e.to_string());
                let word = read.and_then(|bytes| {
                    let size = located.name.size.unwrap_or(0);
                    let original = bytes.get(located.name.trace as usize..).unwrap_or_default();
                    if bytes.len() as u64 != size {
                        return Err(format!("has {} bytes, its name says {size}", bytes.len()));
                    }
                    let trace = lazaret::mail::Trace::parse(&bytes[..located.name.trace as usize]);
                    if located.name.trace > 0 && trace.recipients.is_empty() {
                        return Err("has a broken trace".to_string());
                    }
                    word_of(original).ok_or_else(|| "has bytes that nobody sent".to_string())
                });
                match word {
                    Ok(word) => all.push(Found {
                        kept,
                        key: (tree, word),
                        uid: located.row.uid,
                        id: located.name.id(),
                        flags: located.name.flags.unwrap_or_default(),
                        left: located.name.left.map(|l| l.0),
                    }),
                    Err(e) => self.wrong.borrow_mut().push(format!("{} {e}", located.path.display())),
                }
            }
        }
        all
    }

    /// Carries out everything that was ordered, as the workers do.
    pub fn drain(&self) {
        self.send_digests();
        for _ in 0..6 {
            self.fan_out();
            self.deliver_all();
            self.train_all();
            let counts = self.quarantine.queue.counts();
            if counts.orders + counts.deliveries + counts.trainings == 0 {
                return;
            }
        }
    }

    pub fn fan_out(&self) {
        let now = self.quarantine.store.now().secs();
        for _ in 0..20 {
            if let Ok(0) = self.quarantine.queue.fan_out(self.quarantine.as_ref(), &how(), 10, now) {
                return;
            }
        }
    }

    pub fn deliver_all(&self) {
        // A delivery that is put off is claimed again at once: the time here is the end of all days.
        for _ in 0..40 {
            let Some(claim) = self.quarantine.queue.claim(Work::Deliver, u64::MAX) else { return };
            self.deliver(claim);
        }
    }

    pub fn deliver(&self, claim: Claim) {
        let (queue, outcome) = (&self.quarantine.queue, self.quarantine.as_ref());
        let read = claim.open().map_err(|e| e.to_string()).and_then(|mut file| {
            let letter = outcome.letter(&claim.entry, &mut file).map_err(|e| e.to_string())?;
            file.seek(SeekFrom::Start(letter.as_ref().map_or(0, |l| l.skip))).map_err(|e| e.to_string())?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
            Ok((letter, bytes))
        });
        let (letter, bytes) = match read {
            Ok((Ok(letter), bytes)) => (letter, bytes),
            Ok((Err(reason), _)) => return self.refuse(claim, &reason),
            Err(e) => return self.wrong.borrow_mut().push(format!("a delivery cannot be read: {e}")),
        };
        let Some(word) = word_of(&bytes) else {
            return self.wrong.borrow_mut().push(format!("{}: delivered bytes that nobody sent", claim.path.display()));
        };
        let recipient = letter.recipient;
        if recipient.starts_with("refused") && !self.accepts.get() {
            return self.refuse(claim, "550 no");
        }
        if recipient.starts_with("slow") && claim.entry.attempts == 0 {
            outcome.deferred(&claim.entry, "450 later", 5);
            return queue.defer(claim, 5);
        }
        *self.received.borrow_mut() = letter.received;
        let (key, part) = ((claim.entry.tree.to_string(), word), format!("to {recipient}"));
        self.carry(key, part, claim, |claim| {
            let entry = claim.entry.clone();
            let ended = queue.done(claim);
            outcome.delivered(&entry, "250 ok");
            ended.is_ok()
        });
    }

    fn carry(&self, key: Key, part: String, claim: Claim, end: impl FnOnce(Claim) -> bool) {
        self.mark(Mark::Carried(key.clone(), part.clone()));
        self.carried.borrow_mut().push((key.clone(), part.clone()));
        if end(claim) {
            self.mark(Mark::Ended(key, part));
        }
    }

    fn refuse(&self, claim: Claim, reason: &str) {
        let (queue, outcome) = (&self.quarantine.queue, self.quarantine.as_ref());
        match outcome.failed(&claim.entry, &claim.path, reason) {
            Ok(()) => drop(queue.returned(claim)),
            Err(_) => queue.defer(claim, 5),
        }
    }

    pub fn train_all(&self) {
        let (queue, outcome) = (&self.quarantine.queue, self.quarantine.as_ref());
        for _ in 0..40 {
            let Some(claim) = queue.claim(Work::Train, u64::MAX) else { return };
            let Part::Train { verb, sink } = claim.entry.part.clone() else { return };
            let bytes = std::fs::read(&claim.path).unwrap_or_default();
            let word = bytes.get(claim.entry.message.trace as usize..).and_then(word_of);
            let Some(word) = word else {
                return self.wrong.borrow_mut().push(format!("{}: trained with bytes of nobody", claim.path.display()));
            };
            if sink == "bad" && !self.accepts.get() {
                let entry = claim.entry.clone();
                drop(queue.give_up(claim));
                outcome.training_failed(&entry, "not wanted");
                continue;
            }
            if sink == "two" && claim.entry.attempts == 0 {
                outcome.training_deferred(&claim.entry, "later", 5);
                queue.defer(claim, 5);
                continue;
            }
            let (key, part) = ((claim.entry.tree.to_string(), word), format!("{} {sink}", verb.letter()));
            self.carry(key, part, claim, |claim| {
                let entry = claim.entry.clone();
                let ended = queue.done(claim);
                outcome.trained(&entry, "ok");
                ended.is_ok()
            });
        }
    }
}

/// A message that can be seen.
#[derive(Debug, Clone)]
pub struct Found {
    pub kept: Kept,
    pub key: Key,
    pub uid: u32,
    pub id: String,
    pub flags: Flags,
    pub left: Option<u128>,
}

pub fn how() -> FanOut {
    let names = |names: &[&str]| names.iter().map(|n| n.to_string()).collect();
    FanOut { ham: names(&["one", "two"]), spam: names(&["one", "bad"]) }
}

pub fn global() -> Account {
    Account { login: "global".into(), scope: Scope::Global }
}

pub fn alice() -> Account {
    Account { login: "alice@x.test".into(), scope: Scope::Recipient(address("alice@x.test")) }
}

pub fn address(text: &str) -> Address {
    Address::parse(text).expect("an address")
}

/// A message in the tree of an address of x.test.
pub fn key(tree: &str, word: &str) -> Key {
    (tree.to_string(), word.to_string())
}

/// The bytes of a message; no other has them.
pub fn message(word: &str) -> Vec<u8> {
    let filling = format!("{word} ").repeat(FILLING / (word.len() + 1));
    format!("Received: from far.test\r\nSubject: {word}\r\n\r\n{filling}\r\n.\r\nend\r\n").into_bytes()
}

/// Whose bytes these are, all of them.
pub fn word_of(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let word = text.split_once("Subject: ")?.1.split("\r\n").next()?;
    // What came back has our own line on top.
    let original = match text.strip_prefix("Received: from quarantine by ") {
        Some(rest) => rest.find("Received: from far.test").and_then(|at| rest.get(at..))?,
        None => text,
    };
    (original.as_bytes() == message(word)).then(|| word.to_string())
}

fn options() -> Options {
    let days = |days: u64| Keep { age: Some(Duration::from_secs(days * 86_400)), ..Keep::default() };
    Options {
        host: "mx.test".into(),
        naming: Naming {
            spelling: Spelling::Classic,
            inbox: Inbox::Empty,
            write_only: WriteOnly::Refuse,
            outgoing: true,
            training: true,
            admin_tree: false,
        },
        policy: Policy::default(),
        retention: Retention { folders: [days(14); 4], ..Retention::default() },
        new_trees_per_hour: 1000,
        min_free_percent: 0,
        home: address("postmaster@x.test"),
        release_delay: Duration::from_secs(10),
        queue_age: lazaret::base::limits::QUEUE_AGE,
    }
}
