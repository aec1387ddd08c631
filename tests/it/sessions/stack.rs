//! The quarantine of the model in a directory of its own, and everything that happens to it besides sessions.

use super::Random;
use super::fault::Fault;
use lazaret::base::{Timestamp, UidRanges};
use lazaret::bridge::crew::Crew;
use lazaret::bridge::imap::Shared;
use lazaret::bridge::memory::Memory;
use lazaret::disk::Disk;
use lazaret::mail::trace::Client as Door;
use lazaret::mail::{Address, Class, Kept, Kind};
use lazaret::quarantine::directory::{Directory, Domain};
use lazaret::quarantine::expire::Retention;
use lazaret::quarantine::folders::{Folder, Inbox, Naming, Spelling, WriteOnly};
use lazaret::quarantine::policy::Policy;
use lazaret::quarantine::{Account, Accounts, Arrival, Options, Quarantine, Scope};
use lazaret::queue::{FanOut, Outcome, Work};
use lazaret::store::subscriptions::Subscriptions;
use lazaret::store::{Clock, Reach, Row, Sight};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Messages in all folders, at the most: histories stay lively.
const MOST: u32 = 40;

/// What happens besides commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    Deliver,
    DeliverOther,
    Expire,
    Return,
    FileIn,
    FileOut,
    FileRenamed,
    Restart,
}

impl Event {
    pub const ALL: [Event; 8] = [
        Event::Deliver,
        Event::DeliverOther,
        Event::Expire,
        Event::Return,
        Event::FileIn,
        Event::FileOut,
        Event::FileRenamed,
        Event::Restart,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Event::Deliver => "deliver",
            Event::DeliverOther => "deliver-other",
            Event::Expire => "expire",
            Event::Return => "return",
            Event::FileIn => "file-in",
            Event::FileOut => "file-out",
            Event::FileRenamed => "file-renamed",
            Event::Restart => "restart",
        }
    }
}

pub struct Stack {
    root: PathBuf,
    clock: Arc<AtomicU64>,
    /// Microseconds that pass with each look at the clock.
    pub tick: Arc<AtomicU64>,
    pub shared: Arc<Shared>,
    pub fault: Option<Fault>,
    pub step: usize,
    count: u64,
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

fn options() -> Options {
    let naming = Naming {
        spelling: Spelling::Classic,
        inbox: Inbox::Empty,
        write_only: WriteOnly::Refuse,
        outgoing: false,
        training: false,
        admin_tree: true,
    };
    Options {
        host: "mx.test".into(),
        naming,
        policy: Policy::default(),
        retention: Retention::default(),
        new_trees_per_hour: 100,
        min_free_percent: 0,
        home: Address::parse("postmaster@x.test").expect("an address"),
        release_delay: std::time::Duration::from_secs(10),
        queue_age: lazaret::base::limits::QUEUE_AGE,
    }
}

fn open(root: &Path, clock: &Arc<AtomicU64>, tick: &Arc<AtomicU64>) -> Arc<Shared> {
    let now: Clock = {
        let (clock, tick) = (clock.clone(), tick.clone());
        Arc::new(move || Timestamp(clock.fetch_add(tick.load(Ordering::Relaxed), Ordering::Relaxed)))
    };
    let disk = Disk::new(root);
    let directory = Arc::new(Directory::new([("x.test", &Domain::default())]).expect("a directory of one domain"));
    let users = root.join("users");
    std::fs::write(&users, "alice@x.test:{PLAIN}a\nx.test:{PLAIN}a\nglobal:{PLAIN}a\n").expect("the accounts");
    let accounts = Accounts::open(users, directory.clone()).expect("the accounts are read");
    let (quarantine, _) = Quarantine::open(disk.clone(), 7, now, options(), directory).expect("it opens");
    Arc::new(Shared {
        quarantine: Arc::new(quarantine),
        accounts: Arc::new(accounts),
        subscriptions: Subscriptions::new(&disk),
        ordering: Arc::new(Memory::new(1 << 30)),
        crew: Crew::new(),
    })
}

impl Stack {
    pub fn new(fault: Option<Fault>) -> Stack {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let root = place.join(format!("lazaret-sessions-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&root).expect("a directory of its own");
        let clock = Arc::new(AtomicU64::new(1_700_000_000_000_000));
        let tick = Arc::new(AtomicU64::new(7));
        let shared = open(&root, &clock, &tick);
        let mut stack = Stack { root, clock, tick, shared, fault, step: 0, count: 0 };
        stack.deliver("alice@x.test");
        stack
    }

    /// Stops it, or kills it, and starts it again. All sessions are gone.
    pub fn restart(&mut self, clean: bool) {
        if clean {
            self.quarantine().store.close().expect("it stops");
        }
        self.clock.fetch_add(5_000_000, Ordering::Relaxed);
        self.shared = open(&self.root, &self.clock, &self.tick);
        if self.truth("alice@x.test", None, Kept::Caught).is_empty() {
            // Else there is no folder for her below Caught.
            self.deliver("alice@x.test");
        }
    }

    pub fn quarantine(&self) -> &Quarantine {
        &self.shared.quarantine
    }

    /// What an account sees of a folder, or through a child of it: of the mail of one recipient.
    pub fn truth(&self, login: &str, child: Option<&str>, kept: Kept) -> Vec<Row> {
        let eye = self.reach(login);
        let sight = Sight { reach: child.map_or(eye, |child| self.reach(child)), eye };
        let list = self.quarantine().store.view(sight, kept).view().list;
        let mut rows = Vec::new();
        self.quarantine().store.rows(sight, kept, &UidRanges::one(1, u32::MAX), |row, _| {
            rows.push(*row);
            true
        });
        assert!(list.iter().eq(rows.iter().map(|row| row.uid)), "view and catalogue differ");
        rows
    }

    fn reach(&self, login: &str) -> Reach {
        let scope = match login {
            "global" => Scope::Global,
            "x.test" => Scope::Domain("x.test".into()),
            login => Scope::Recipient(Address::parse(login).expect("an address")),
        };
        self.quarantine().reach(&Account { login: login.into(), scope }).expect("it has a reach")
    }

    pub fn random_event(&mut self, random: &mut Random) -> Event {
        let event = match random.below(90) {
            0..18 => Event::Deliver,
            18..29 => Event::DeliverOther,
            29..41 => Event::Expire,
            41..53 => Event::Return,
            53..63 => Event::FileIn,
            63..73 => Event::FileOut,
            73..83 => Event::FileRenamed,
            _ => Event::Restart,
        };
        self.clock.fetch_add(random.below(30_000) as u64 + 1, Ordering::Relaxed);
        let full = self.quarantine().store.view(Reach::All, Kept::Caught).view().list.len() >= MOST;
        match event {
            Event::Deliver if !full => self.deliver("alice@x.test"),
            Event::DeliverOther if !full => self.deliver_other(),
            Event::Deliver | Event::DeliverOther | Event::Expire => self.expire(random),
            Event::Return => self.give_back(),
            Event::FileIn => self.file_in(random),
            Event::FileOut => self.file_out(random),
            Event::FileRenamed => self.file_renamed(random),
            Event::Restart => {}
        }
        if random.one_in(20) {
            self.quarantine().store.drop_unused_views();
        }
        event
    }

    pub fn deliver(&mut self, to: &str) {
        self.count += 1;
        let message = format!("Subject: {}\r\n\r\n{}\r\n", self.count, self.count);
        let arrival = Arrival {
            class: Class::Incoming,
            kind: Kind::Spam,
            sender: "s@spam.test".into(),
            recipients: vec![to.to_string()],
            client: Door { door: "test".into(), ..Door::default() },
            message: message.as_bytes(),
            ..Arrival::default()
        };
        for filed in self.quarantine().admit(&arrival) {
            filed.unwrap_or_else(|_| panic!("it is stored"));
        }
    }

    /// Mail of others moves neither UIDNEXT nor HIGHESTMODSEQ (RFC 3501 2.3.1.1, DESIGN 4).
    fn deliver_other(&mut self) {
        let figures = |stack: &Stack| {
            let reach = stack.reach("alice@x.test");
            [reach, Reach::All].map(|eye| {
                let view = stack.quarantine().store.view(Sight { reach, eye }, Kept::Caught).view();
                (view.uid_next, view.modseq)
            })
        };
        let before = figures(self);
        self.deliver("bob@x.test");
        assert_eq!(figures(self), before, "bob's mail shows in alice's folder");
    }

    fn some(&self, kept: Kept, random: &mut Random) -> Option<u32> {
        let list = self.quarantine().store.view(Reach::All, kept).view().list;
        list.uid(random.below(list.len() as usize) as u32 + 1)
    }

    fn kept(random: &mut Random) -> Kept {
        if random.one_in(4) { Kept::Trash } else { Kept::Caught }
    }

    fn expire(&self, random: &mut Random) {
        let kept = Self::kept(random);
        for _ in 0..=random.below(4) {
            if let Some(uid) = self.some(kept, random) {
                self.quarantine().expire(kept, &UidRanges::one(uid, uid)).expect("it expires");
            }
        }
    }

    /// A release that the mail server refuses: the message comes back.
    fn give_back(&self) {
        let quarantine = self.quarantine();
        let list = quarantine.store.view(self.reach("alice@x.test"), Kept::Caught).view().list;
        if let Some(uid) = list.iter().next() {
            // It may have been asked before, and be refused now: then nothing happens.
            let account = Account { login: "global".into(), scope: Scope::Global };
            let _ = quarantine.put(&account, Kept::Caught, &UidRanges::one(uid, uid), Folder::Release, true);
        }
        self.carry_out(false);
    }

    /// Orders are carried out, as the workers do.
    pub fn carry_out(&self, accepted: bool) {
        let quarantine = self.quarantine();
        let how = FanOut { ham: vec!["sink".into()], spam: vec!["sink".into()] };
        while quarantine.queue.fan_out(quarantine, &how, 100, u64::MAX).expect("orders are fanned out") > 0 {}
        while let Some(claim) = quarantine.queue.claim(Work::Deliver, u64::MAX) {
            let entry = claim.entry.clone();
            if accepted {
                quarantine.queue.done(claim).expect("done");
                quarantine.delivered(&entry, "250 ok");
            } else {
                quarantine.failed(&entry, &claim.path, "550 no").expect("it comes back");
                quarantine.queue.done(claim).expect("done");
            }
        }
        while let Some(claim) = quarantine.queue.claim(Work::Train, u64::MAX) {
            let entry = claim.entry.clone();
            quarantine.queue.done(claim).expect("done");
            quarantine.trained(&entry, "ok");
        }
    }

    fn sweep(&self) {
        for tree in self.quarantine().store.all_trees() {
            self.quarantine().store.sweep_tree(&tree, true);
        }
    }

    fn file_in(&mut self, random: &mut Random) {
        let full = self.quarantine().store.view(Reach::All, Kept::Caught).view().list.len() >= MOST;
        let folder = self.root.join("mail/x.test/alice").join(Self::kept(random).directory()).join("cur");
        if !full && folder.is_dir() {
            self.count += 1;
            let flags = ["", "S", "FS"][random.below(3)];
            std::fs::write(folder.join(format!("160{:07}.H{}.box:2,{flags}", self.count, self.count)), b"A: b\n\nx\n")
                .expect("a file");
        }
        self.sweep();
    }

    fn file_out(&self, random: &mut Random) {
        let kept = Self::kept(random);
        if let Some(located) = self.some(kept, random).and_then(|uid| self.quarantine().store.locate(kept, uid)) {
            std::fs::remove_file(located.path).expect("it was there");
        }
        self.sweep();
    }

    fn file_renamed(&self, random: &mut Random) {
        let kept = Self::kept(random);
        if let Some(located) = self.some(kept, random).and_then(|uid| self.quarantine().store.locate(kept, uid)) {
            let name = located.name.to_string();
            let base = name.split(":2,").next().unwrap_or_default();
            let flags = ["", "F", "S", "RS", "FT"][random.below(5)];
            let to = located.tree.path.join(kept.directory()).join("cur").join(format!("{base}:2,{flags}"));
            std::fs::rename(&located.path, to).expect("it was there");
        }
        self.sweep();
    }
}
