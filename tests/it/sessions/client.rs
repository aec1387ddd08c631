//! A client that believes what it is told, as RFC 3501 and RFC 7162 say that it may.

use super::Random;
use super::belief::after;
use super::fault::Fault;
use super::stack::Stack;
use lazaret::base::{Core, Flags, Piece, Step, Timestamp};
use lazaret::bridge::Bridge;
use lazaret::bridge::imap::ImapBridge;
use lazaret::imap::{Options, Session, Tls};
use lazaret::mail::Kept;
use lazaret::store::Row;
use std::collections::{BTreeMap, HashMap};

/// How much a client knows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// RFC 3501.
    Plain,
    /// CONDSTORE.
    Condstore,
    /// QRESYNC.
    Resync,
}

/// A message as the client knows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Known {
    pub uid: Option<u32>,
    pub flags: Option<Flags>,
    pub modseq: u64,
}

/// What a client remembers of a folder that is not open.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    pub validity: u32,
    pub highest: u64,
    pub messages: BTreeMap<u32, Known>,
}

pub struct Client {
    pub kind: Kind,
    pub login: &'static str,
    /// It looks at Caught through the child of this recipient.
    pub child: Option<&'static str>,
    pub link: Option<(Session, ImapBridge)>,
    pub fault: Option<Fault>,
    pub folder: Kept,
    pub memory: HashMap<Kept, Memory>,
    pub tag: usize,
    // The open folder.
    pub list: Vec<Known>,
    pub validity: u32,
    pub uid_next: u32,
    /// HIGHESTMODSEQ, by the rules of RFC 7162 6.
    pub highest: u64,
    /// The highest that was ever told in this folder.
    pub told_highest: u64,
    /// Of the command under way.
    pub max_fetched: u64,
    pub code: Option<u64>,
    pub modified: Vec<u32>,
    pub history: Vec<String>,
}

const FLAGS: [(&str, Flags); 4] = [
    ("\\Seen", Flags::SEEN),
    ("\\Flagged", Flags::FLAGGED),
    ("\\Deleted", Flags::DELETED),
    ("\\Answered", Flags(1 << 2)),
];
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

impl Client {
    pub fn new(stack: &Stack, kind: Kind, login: &'static str, child: Option<&'static str>) -> Client {
        let mut client = Client {
            kind,
            login,
            child,
            link: None,
            fault: stack.fault,
            folder: Kept::Caught,
            memory: HashMap::new(),
            tag: 0,
            list: Vec::new(),
            validity: 0,
            uid_next: 0,
            highest: 0,
            told_highest: 0,
            max_fetched: 0,
            code: None,
            modified: Vec::new(),
            history: Vec::new(),
        };
        client.connect(stack);
        client.select(stack, Kept::Caught, &mut super::Random(1));
        client
    }

    pub fn breach(&self, what: &str) -> ! {
        let from = self.history.len().saturating_sub(30);
        panic!("{} {:?} ({:?}): {what}\n{}", self.login, self.child, self.kind, self.history[from..].join("\n"));
    }

    fn connect(&mut self, stack: &Stack) {
        let options = Options { tls: Tls::Absent, plain_login: true, scram: false, host: "h".into() };
        self.link = Some((Session::new(options), ImapBridge::new(stack.shared.clone(), None, || {})));
        self.list.clear();
        self.say(&format!("LOGIN {} a", self.login));
        match self.kind {
            Kind::Plain => {}
            Kind::Condstore => drop(self.say("ENABLE CONDSTORE")),
            Kind::Resync => drop(self.say("ENABLE QRESYNC")),
        }
    }

    /// The connection is lost; what is known of the folder is remembered.
    pub fn cut_off(&mut self) {
        self.remember();
        self.link = None;
    }

    pub fn come_back(&mut self, stack: &Stack, random: &mut Random) {
        self.connect(stack);
        self.select(stack, self.folder, random);
    }

    fn remember(&mut self) {
        let known = self.list.iter().filter_map(|known| Some((known.uid?, known.clone()))).collect();
        let memory = Memory { validity: self.validity, highest: self.highest, messages: known };
        self.memory.insert(self.folder, memory);
        self.list.clear();
    }

    /// Sends a command and believes the answer; the lines.
    pub fn say(&mut self, command: &str) -> Vec<String> {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        self.history.push(format!("C: {tag} {command}"));
        (self.max_fetched, self.code) = (0, None);
        self.modified.clear();
        let sent = match self.fault {
            Some(Fault::ExpungeDuringFetch) if command.starts_with("FETCH ") => self.spoiled(command),
            _ => command.to_string(),
        };
        let answer = self.exchange(&format!("{tag} {sent}\r\n"));
        self.believe(&tag, command, &answer)
    }

    /// The same command with UIDs.
    fn spoiled(&self, command: &str) -> String {
        let mut words = command.splitn(3, ' ');
        let number = words.nth(1).and_then(|n| n.parse::<usize>().ok());
        let uid = number.and_then(|n| self.list.get(n - 1)).and_then(|known| known.uid);
        match uid {
            Some(uid) => format!("UID FETCH {uid} {}", words.next().unwrap_or_default()),
            None => command.to_string(),
        }
    }

    /// What the session writes when it gets this input.
    fn exchange(&mut self, input: &str) -> String {
        let Some((session, bridge)) = &mut self.link else { return String::new() };
        let (mut sent, mut left, mut woken) = (Vec::new(), input.as_bytes(), false);
        loop {
            let mut out = Vec::new();
            let step = session.step(NOW, &mut out);
            sent.extend_from_slice(&out);
            match step {
                Step::Again => {}
                Step::Ask(mut question) => {
                    if let Some(fault) = self.fault {
                        fault.ask(&mut question);
                    }
                    let mut answer = bridge.answer(question).done().expect("nobody else is asked");
                    if let Some(fault) = self.fault {
                        fault.answer(&mut answer);
                    }
                    session.answer(answer);
                }
                Step::Read { .. } if !left.is_empty() => {
                    let taken = session.feed(left);
                    left = &left[taken..];
                }
                Step::Read { .. } if !std::mem::replace(&mut woken, true) => session.wake(),
                Step::Read { .. } | Step::Close => return String::from_utf8_lossy(&sent).into_owned(),
                Step::Copy(range) => match (range.len, Piece::File(range)) {
                    (len, Piece::File(_)) => sent.resize(sent.len() + len as usize, b'x'),
                    _ => unreachable!("it is a file"),
                },
                Step::StartTls | Step::StartDeflate => panic!("nobody asked for it"),
            }
        }
    }

    /// Opens a folder; a client that remembers it asks for what it missed.
    fn select(&mut self, stack: &Stack, folder: Kept, random: &mut Random) {
        self.folder = folder;
        self.list.clear();
        (self.told_highest, self.highest) = (0, 0);
        let memory = self.memory.get(&folder).cloned().unwrap_or_default();
        let resync = match self.kind {
            Kind::Resync if memory.validity > 0 => {
                let uids: Vec<String> = memory.messages.keys().map(u32::to_string).collect();
                let uids =
                    if uids.is_empty() || random.one_in(3) { String::new() } else { format!(" {}", uids.join(",")) };
                let known: Vec<u32> = memory.messages.keys().copied().collect();
                let pairs = match random.below(known.len() + 1) {
                    0 => String::new(),
                    n if uids.is_empty() => format!(" 1:{} ({n} {})", known[known.len() - 1], known[n - 1]),
                    n => format!(" ({n} {})", known[n - 1]),
                };
                format!(" (QRESYNC ({} {}{uids}{pairs}))", memory.validity, memory.highest)
            }
            _ => String::new(),
        };
        let name = match self.child.and_then(|child| child.split_once('@')) {
            _ if folder == Kept::Trash => "Trash".to_string(),
            Some((local, domain)) => format!("Caught/{domain}/{local}"),
            None => "Caught".to_string(),
        };
        let lines = self.say(&format!("SELECT {name}{resync}"));
        let exists = lines.iter().find_map(|line| line.strip_prefix("* ")?.strip_suffix(" EXISTS")?.parse().ok());
        let exists: usize = exists.unwrap_or_else(|| self.breach("no EXISTS"));
        let uid_next = self.uid_next;
        if resync.is_empty() {
            self.list = vec![Known::default(); exists];
            self.learn();
            if self.kind == Kind::Condstore && memory.validity > 0 {
                self.changed_since(&memory);
            }
        } else {
            self.resynced(&lines, exists);
        }
        if self.list.iter().filter_map(|known| known.uid).any(|uid| uid >= self.uid_next && self.uid_next == uid_next) {
            self.breach("a message has a UID from UIDNEXT on");
        }
        self.compare(stack);
    }

    /// CONDSTORE alone: FETCH CHANGEDSINCE brings every flag that differs from what is remembered.
    fn changed_since(&mut self, memory: &Memory) {
        let lines = self.say(&format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {})", memory.highest));
        let told: Vec<u32> = lines.iter().filter_map(|line| after(line, "UID ", &[' ', ')'])?.parse().ok()).collect();
        for known in &self.list {
            let (Some(uid), Some(flags)) = (known.uid, known.flags) else { continue };
            let before = memory.messages.get(&uid).and_then(|before| before.flags);
            if before.is_some_and(|before| before != flags) && !told.contains(&uid) {
                self.breach(&format!("CHANGEDSINCE does not tell of {uid}"));
            }
        }
    }

    /// What a client with QRESYNC knows after SELECT: what it remembered, less what vanished, with what changed.
    fn resynced(&mut self, lines: &[String], exists: usize) {
        let highest = self.highest;
        let memory = self.memory.remove(&self.folder).unwrap_or_default();
        self.list = memory.messages.into_values().collect();
        if self.list.len() > exists {
            self.breach("more is remembered than there is, after VANISHED");
        }
        let last = self.list.last().and_then(|known| known.uid).unwrap_or(0);
        self.list.resize(exists, Known::default());
        for line in lines.iter().filter(|line| line.contains(" FETCH (")) {
            let n = line.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
            let uid = after(line, "UID ", &[' ', ')']).and_then(|uid| uid.parse::<u32>().ok());
            // New ones are fetched below.
            if uid.is_some_and(|uid| uid <= last) {
                self.fetched(n, line);
            }
        }
        if self.list.iter().any(|known| known.uid.is_none()) {
            self.say(&format!("UID FETCH {}:* (FLAGS MODSEQ)", last + 1));
        }
        self.highest = self.highest.max(highest);
    }

    /// Asks for what it does not know.
    fn learn(&mut self) {
        for _ in 0..5 {
            let unknown = |known: &Known| known.uid.is_none() || known.flags.is_none();
            let Some(at) = self.list.iter().position(unknown) else { return };
            let items = if self.kind == Kind::Plain { "(UID FLAGS)" } else { "(UID FLAGS MODSEQ)" };
            self.say(&format!("FETCH {}:* {items}", at + 1));
            // Those that are gone by now have no answer.
            self.say("NOOP");
        }
        self.breach("some messages are never told of");
    }

    fn truth(&self, stack: &Stack) -> Vec<Row> {
        stack.truth(self.login, self.child.filter(|_| self.folder == Kept::Caught), self.folder)
    }

    /// What it believes must be what there is.
    pub fn compare(&mut self, stack: &Stack) {
        self.say("NOOP");
        let truth = self.truth(stack);
        if self.list.len() != truth.len() {
            self.breach(&format!("it knows {} messages, there are {}", self.list.len(), truth.len()));
        }
        for (known, row) in self.list.iter().zip(&truth) {
            if known.uid.is_some_and(|uid| uid != row.uid) {
                self.breach(&format!("it takes {} for {:?}", row.uid, known.uid));
            }
            if known.flags.is_some_and(|flags| flags != row.flags) {
                self.breach(&format!("{} has the flags {}, known are {:?}", row.uid, row.flags, known.flags));
            }
            if known.modseq > row.modseq || self.kind != Kind::Plain && known.uid.is_some() && known.modseq < row.modseq
            {
                self.breach(&format!("{} has the MODSEQ {}, known is {}", row.uid, row.modseq, known.modseq));
            }
        }
        if self.kind != Kind::Plain {
            self.learn();
        }
    }

    /// One command; its name.
    pub fn random_command(&mut self, stack: &Stack, random: &mut Random) -> &'static str {
        let count = self.list.len();
        let n = random.below(count) + 1;
        let uid = self.list.get(n - 1).and_then(|known| known.uid);
        let name = match (random.below(17), uid) {
            (0, _) => self.plain("NOOP", "NOOP"),
            (1, _) => self.idle(),
            (2, _) => self.plain("EXPUNGE", "EXPUNGE"),
            (3, _) => self.plain("UID SEARCH", "UID SEARCH UNSEEN"),
            (4, _) => self.plain("STATUS", "STATUS Trash (MESSAGES UIDNEXT UNSEEN)"),
            (5, _) => {
                self.say("UNSELECT");
                self.remember();
                let other = if random.one_in(3) { Kept::Trash } else { Kept::Caught };
                self.select(stack, other, random);
                "SELECT"
            }
            (6, _) => {
                self.cut_off();
                self.come_back(stack, random);
                "reconnect"
            }
            (7, Some(_)) => self.plain("FETCH", &format!("FETCH {n} (UID FLAGS)")),
            (8, Some(uid)) => self.plain("UID FETCH", &format!("UID FETCH {uid}:* (FLAGS)")),
            (9, Some(_)) => self.plain("SEARCH", "SEARCH SEEN"),
            (10, Some(uid)) => self.plain("UID EXPUNGE", &format!("UID EXPUNGE {uid}")),
            (11, Some(_)) => {
                let target = if self.folder == Kept::Trash { "Caught" } else { "Trash" };
                self.plain("MOVE", &format!("MOVE {n} {target}"))
            }
            (12, Some(uid)) => {
                self.plain("MOVE Release", &format!("UID MOVE {uid} Release"));
                stack.carry_out(random.one_in(2));
                "MOVE Release"
            }
            (13 | 14, Some(uid)) if self.kind != Kind::Plain => self.store_unless_changed(stack, random, n, uid),
            (_, Some(uid)) => self.store(random, n, uid),
            _ => self.plain("NOOP", "NOOP"),
        };
        if self.kind != Kind::Plain || random.one_in(4) {
            self.learn();
        }
        name
    }

    fn plain(&mut self, name: &'static str, command: &str) -> &'static str {
        self.say(command);
        name
    }

    fn idle(&mut self) -> &'static str {
        self.say("IDLE");
        let tag = format!("t{}", self.tag);
        (self.max_fetched, self.code) = (0, None);
        let answer = self.exchange("DONE\r\n");
        self.believe(&tag, "DONE", &answer);
        "IDLE"
    }

    fn store(&mut self, random: &mut Random, n: usize, uid: u32) -> &'static str {
        let (name, flag) = FLAGS[random.below(FLAGS.len())];
        let (add, silent, by_uid) = (random.one_in(2), random.one_in(3), random.one_in(2));
        let (sign, dot) = (if add { '+' } else { '-' }, if silent { ".SILENT" } else { "" });
        let (verb, number) = if by_uid { ("UID STORE", uid) } else { ("STORE", n as u32) };
        let lines = self.say(&format!("{verb} {number} {sign}FLAGS{dot} ({name})"));
        let done = lines.last().is_some_and(|line| line.contains(" OK "));
        if silent && let Some(known) = self.list.iter_mut().find(|known| known.uid == Some(uid)) {
            let computed = known.flags.map(|flags| if add { flags | flag } else { flags.without(flag) });
            // a client that cannot tell asks again
            known.flags = computed.filter(|_| done);
        }
        if by_uid { "UID STORE" } else { "STORE" }
    }

    /// RFC 7162 3.1.3
    fn store_unless_changed(&mut self, stack: &Stack, random: &mut Random, n: usize, uid: u32) -> &'static str {
        let known = self.list[n - 1].modseq;
        let since = if random.one_in(2) { known } else { known.saturating_sub(1) };
        let row = self.truth(stack).into_iter().find(|row| row.uid == uid);
        let (name, _) = FLAGS[random.below(FLAGS.len())];
        self.say(&format!("UID STORE {uid} (UNCHANGEDSINCE {since}) +FLAGS ({name})"));
        match row {
            Some(row) if (row.modseq > since) != self.modified.contains(&uid) => {
                self.breach(&format!("{uid} changed at {}, and MODIFIED is {:?}", row.modseq, self.modified));
            }
            None if !self.modified.is_empty() => self.breach("MODIFIED of a message that is gone"),
            _ => {}
        }
        "UNCHANGEDSINCE"
    }
}
