//! The catalogue of a folder: it is built, three logins look at it, and what SEARCH and sets of numbers pick from it.

use crate::mails::SMALL;
use crate::world::{self, World};
use crate::{Program, Scratch};
use lazaret::base::{Flags, Timestamp, UidRanges};
use lazaret::disk::Disk;
use lazaret::imap::parse;
use lazaret::imap::question::{Answer, Search};
use lazaret::imap::request::Request;
use lazaret::imap::sequence::SequenceSet;
use lazaret::mail::name::Base;
use lazaret::mail::{Kept, Name};
use lazaret::store::{DomainId, Folder, Half, Reach, Row, Store, TreeId};
use std::fs::{self, File};
use std::sync::Arc;

const HOST: &str = "mx.test";
/// Messages in the catalogue.
const ROWS: u32 = 20_000;
/// They lie in so many trees, of so many domains.
const TREES: u32 = 40;
const DOMAINS: u32 = 4;
/// Messages that are searched by what is in them.
const SEARCHED: usize = 300;

const SETS: &[&str] = &[
    "1:*",
    "*",
    "1:20,30:*",
    "250:499",
    "1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31,33,35,37,39,41,43,45,47,49",
    "400:1,2:300,450:440",
];

const SEARCHES: &[&str] = &[
    "UNSEEN UNDELETED",
    "OR FLAGGED NOT SEEN LARGER 700 SMALLER 100000",
    "SINCE 1-Jan-2006 BEFORE 1-Jan-2007 UID 1:100,200:*",
    "SUBJECT \"rechnung\"",
    "OR FROM \"example\" OR TO \"alice\" CC \"bob\"",
    "HEADER List-Unsubscribe \"leave@\"",
    "NOT SENTSINCE 1-Feb-2020",
    "TEXT \"unsubscribe\"",
    "FUZZY BODY \"no  questions\"",
];

pub struct Filter {
    names: Vec<String>,
    store: Store,
    logins: [Reach; 3],
    sets: Vec<SequenceSet>,
    world: World,
    searches: Vec<Search>,
    /// Rows of the catalogue that was built.
    built: usize,
    /// What each login sees: messages, those that its sets picked, and those of them that are large and not `\Seen`.
    seen: Vec<(u32, usize, usize)>,
    /// What each search found.
    found: Vec<usize>,
}

impl Filter {
    pub fn new() -> Self {
        let names: Vec<String> = (1..=ROWS).map(|uid| name(uid).to_string()).collect();
        let scratch = Scratch::new("filter");
        let store = store(&scratch, &names);
        let row = store.row(Reach::All, Kept::Caught, ROWS / 2).expect("it was just stored");
        let mut world = World::new();
        world.piece = usize::MAX;
        for mail in SMALL.iter().cycle().take(SEARCHED) {
            world.deliver("Trash", mail);
        }
        let messages = world.find("Trash").into_iter().flat_map(|folder| folder.messages.iter_mut());
        messages.for_each(|(uid, message)| message.flags = flags(*uid));
        let searches = SEARCHES.iter().map(|text| search(text, &mut world)).collect();
        Filter {
            names,
            store,
            logins: [Reach::All, Reach::Domain(row.domain), Reach::Tree(row.tree)],
            sets: SETS.iter().map(|set| SequenceSet::parse(set.as_bytes()).expect("a set")).collect(),
            world,
            searches,
            built: 0,
            seen: Vec::new(),
            found: Vec::new(),
        }
    }

    fn build(&mut self) {
        let mut folder = Folder::new(HOST);
        for text in &self.names {
            let name = Name::parse(text).expect("a name that was written is read");
            let (uid, size) = (name.uid.unwrap_or_default(), name.size_on_wire().unwrap_or_default());
            let (tree, domain) = (TreeId(uid % TREES), DomainId(uid % DOMAINS));
            folder.push(Row::of(&name, (Kept::Caught, Half::Cur), uid, tree, domain, size, u64::from(uid)), &name);
        }
        self.built = folder.iter().filter(|row| row.tree.0 < TREES).count();
    }

    fn look(&mut self) {
        for reach in self.logins {
            let view = self.store.view(reach, Kept::Caught).view();
            let (mut picked, mut unread) = (0, 0);
            for set in &self.sets {
                let uids = set.messages(&view.list).expect("the numbers are there");
                picked += view.list.within(&uids).count();
                self.store.rows(reach, Kept::Caught, &uids, |row, folder| {
                    let is_wanted = row.size > 20_000 && !row.flags.has(Flags::SEEN);
                    unread += usize::from(is_wanted && !folder.id(row).is_empty());
                    true
                });
            }
            picked += self.store.changed_since(reach, Kept::Caught, 1).len();
            self.seen.push((view.list.len(), picked, unread));
        }
    }

    fn search(&mut self) {
        let folder = self.world.readable("Trash").expect("Trash may be read");
        for search in &self.searches {
            let Answer::Found(found) = world::found(folder, search, usize::MAX) else { panic!("no result") };
            self.found.push(found.uids.len());
        }
    }
}

/// As most are: of ours, with a trace, looked at or not.
fn name(uid: u32) -> Name {
    let at = Timestamp(1_700_000_000_000_000 + u64::from(uid) * 7_654_321);
    let mut name = Name::new(Base::new(at, 4711, uid, HOST), 1_000 + u64::from(uid) * 7_919 % 60_000);
    (name.uid, name.trace, name.flags) = (Some(uid), 400 + uid % 100, Some(flags(uid)));
    name
}

fn flags(uid: u32) -> Flags {
    [Flags::NONE, Flags::SEEN, Flags::SEEN | Flags::FLAGGED, Flags::NONE, Flags::DELETED][uid as usize % 5]
}

/// A store over empty files of these names. It is open when they are gone.
fn store(scratch: &Scratch, names: &[String]) -> Store {
    for (name, uid) in names.iter().zip(1..) {
        let (user, domain) = (uid % TREES, uid % DOMAINS);
        let folder = scratch.0.join(format!("mail/d{domain}.example/user{user}/Caught/cur"));
        if uid <= TREES {
            fs::create_dir_all(&folder).expect("a folder below target/ can be made");
        }
        File::create(folder.join(name)).expect("a file below target/ can be made");
    }
    let clock = Arc::new(|| Timestamp::from_secs(1_800_000_000));
    Store::open(Disk::new(&scratch.0), HOST, 4711, clock).expect("the store opens").0
}

fn search(text: &str, world: &mut World) -> Search {
    let list = world.readable("Trash").expect("Trash may be read").messages.keys().copied().collect();
    let Ok(Request::Search { query, .. }) = parse::command(format!("a SEARCH {text}\r\n").as_bytes()).request else {
        panic!("{text} is no search")
    };
    Search {
        key: Arc::new(query.key.resolve(&list, &UidRanges::new()).expect("the numbers are there")),
        list,
        from: 0,
        recent: Arc::default(),
        now: Timestamp::from_secs(1_800_000_000),
        order: query.order,
        with_modseqs: false,
        with_scores: false,
    }
}

impl Program for Filter {
    fn work(&mut self) {
        self.build();
        self.look();
        self.search();
    }

    fn check(&self) {
        assert_eq!(self.built, self.names.len());
        let sizes: Vec<u32> = self.seen.iter().map(|(messages, ..)| *messages).collect();
        assert_eq!(sizes, [ROWS, ROWS / DOMAINS, ROWS / TREES]);
        for (messages, picked, unread) in &self.seen {
            assert!(*picked > 2 * *messages as usize && *unread > 0 && unread < picked, "{:?}", self.seen);
        }
        assert!(self.found.iter().all(|found| (1..SEARCHED).contains(found)), "{:?}", self.found);
    }
}
