//! A mail store in memory that answers what an IMAP session asks, and a peer that drives a session over it. Several
//! peers share one world, so that sessions see each other's changes.

use lazaret::base::{Core, Flags, Form, Piece, Step, Timestamp, UidList, UidRanges};
use lazaret::imap::content::{Content, Row};
use lazaret::imap::question::{
    Answer, Changes, Fetch, Figures, FlagRow, Folder, Question, Refusal, Rows, Search, Selected, Store, StoreMode,
    Transferred,
};
use lazaret::imap::{Options, Session, envelope, fetch, search, structure};
use lazaret::mail::header;
use lazaret::mail::mime::Structure;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::sync::Arc;

/// One stored message.
#[derive(Debug, Clone)]
pub struct Message {
    pub bytes: Arc<[u8]>,
    pub flags: Flags,
    pub date: u64,
    pub modseq: u64,
}

/// One folder.
#[derive(Debug, Clone)]
pub struct Mailbox {
    pub name: String,
    pub special_use: Option<&'static str>,
    pub rights: &'static str,
    pub subscribed: bool,
    pub messages: BTreeMap<u32, Message>,
    /// UIDs from here on were told to no session yet.
    pub recent_from: u32,
    pub uid_next: u32,
}

/// What all sessions share.
#[derive(Debug, Default)]
pub struct World {
    pub folders: Vec<Mailbox>,
    pub uid: u32,
    pub modseq: u64,
    /// Messages that were put into action folders.
    pub orders: usize,
    /// Rows in one piece of an answer.
    pub piece: usize,
    /// The next AppendData is refused.
    pub full: bool,
    /// Appends that were begun and neither finished nor cancelled.
    pub appends: i32,
}

impl World {
    /// The folders of the product, and three caught messages with the UIDs 11 to 13.
    pub fn new() -> World {
        let mut world = World { uid: 10, modseq: 100, piece: 2, ..World::default() };
        for (name, special_use, rights) in [
            ("INBOX", None, "lr"),
            ("Caught", None, "lrswite"),
            ("Trash", Some("\\Trash"), "lrswite"),
            ("Release & Train", None, "li"),
            ("Release", None, "li"),
            ("Not Spam", None, "li"),
            ("Spam", None, "li"),
        ] {
            world.folder(name, special_use, rights);
        }
        for (i, text) in MESSAGES.iter().enumerate() {
            let uid = world.deliver("Caught", text.replace('\n', "\r\n").as_bytes()).expect("Caught is there");
            let flags = [Flags::SEEN, Flags::NONE, Flags::FLAGGED];
            let message = world.find("Caught").and_then(|f| f.messages.get_mut(&uid)).expect("just delivered");
            message.flags = flags[i % 3];
        }
        world
    }

    pub fn folder(&mut self, name: &str, special_use: Option<&'static str>, rights: &'static str) {
        self.folders.push(Mailbox {
            name: name.to_string(),
            special_use,
            rights,
            subscribed: true,
            messages: BTreeMap::new(),
            recent_from: 1,
            uid_next: 1,
        });
    }

    pub fn find(&mut self, name: &str) -> Option<&mut Mailbox> {
        self.folders.iter_mut().find(|f| f.name == name)
    }

    /// Puts a message into a folder; its UID.
    pub fn deliver(&mut self, folder: &str, bytes: &[u8]) -> Option<u32> {
        (self.uid, self.modseq) = (self.uid + 1, self.modseq + 1);
        let (uid, modseq) = (self.uid, self.modseq);
        let mailbox = self.find(folder)?;
        let date = 1_136_214_245 + u64::from(uid);
        mailbox.messages.insert(uid, Message { bytes: bytes.into(), flags: Flags::NONE, date, modseq });
        mailbox.uid_next = uid + 1;
        Some(uid)
    }

    /// Takes a message away behind everybody's back.
    pub fn remove(&mut self, folder: &str, uid: u32) {
        self.modseq += 1;
        if let Some(mailbox) = self.find(folder) {
            mailbox.messages.remove(&uid);
        }
    }

    fn readable(&mut self, name: &str) -> Result<&mut Mailbox, Refusal> {
        let folder = self.find(name).ok_or_else(|| Refusal::new("NONEXISTENT", "there is no such folder"))?;
        if folder.rights.contains('r') { Ok(folder) } else { Err(Refusal::new("NOPERM", "this folder is write-only")) }
    }
}

fn listed(folder: &Mailbox, all: &[Mailbox]) -> Folder {
    let below = format!("{}/", folder.name);
    Folder {
        name: folder.name.clone(),
        special_use: folder.special_use,
        subscribed: folder.subscribed,
        has_children: all.iter().any(|f| f.name.starts_with(&below)),
        no_select: false,
        rights: folder.rights,
    }
}

fn figures(folder: &Mailbox, modseq: u64) -> Figures {
    let count = |wanted: &dyn Fn(u32, &Message) -> bool| folder.messages.iter().filter(|(u, m)| wanted(**u, m)).count();
    Figures {
        messages: folder.messages.len() as u32,
        recent: count(&|uid, _| uid >= folder.recent_from) as u32,
        unseen: count(&|_, m| !m.flags.has(Flags::SEEN)) as u32,
        deleted: count(&|_, m| m.flags.has(Flags::DELETED)) as u32,
        uid_validity: 7,
        uid_next: folder.uid_next,
        modseq,
        size: folder.messages.values().map(|m| m.bytes.len() as u64).sum(),
    }
}

/// One message as FETCH and SEARCH read it.
struct Stored {
    uid: u32,
    message: Message,
}

impl Stored {
    fn wire(&self, range: Range<u64>) -> Vec<u8> {
        let end = (range.end as usize).min(self.message.bytes.len());
        let start = (range.start as usize).min(end);
        self.message.bytes[start..end].iter().map(|&b| if b == 0 { 0x80 } else { b }).collect()
    }
}

impl Content for Stored {
    fn row(&self) -> Row {
        let m = &self.message;
        Row { uid: self.uid, flags: m.flags, size: m.bytes.len() as u64, date: m.date, modseq: m.modseq }
    }
    fn id(&self) -> String {
        format!("id{}", self.uid)
    }
    fn header(&mut self) -> io::Result<Arc<[u8]>> {
        let end = header::end(&self.message.bytes);
        Ok(self.wire(0..end as u64).into())
    }
    fn envelope(&mut self) -> io::Result<Arc<[u8]>> {
        let mut out = Vec::new();
        envelope::render(&self.header()?, &mut out);
        Ok(out.into())
    }
    fn body_structure(&mut self) -> io::Result<Arc<[u8]>> {
        let mut out = Vec::new();
        structure::render_body_structure(&*self.structure()?, &mut out);
        Ok(out.into())
    }
    fn body(&mut self) -> io::Result<Arc<[u8]>> {
        let mut out = Vec::new();
        structure::render_body(&*self.structure()?, &mut out);
        Ok(out.into())
    }
    fn structure(&mut self) -> io::Result<Arc<Structure>> {
        Ok(Arc::new(Structure::of(&self.message.bytes, Form::Crlf)))
    }
    fn bytes(&mut self, range: Range<u64>) -> io::Result<Piece> {
        let bytes = self.wire(range);
        if bytes.len() < 1000 {
            return Ok(Piece::Bytes(bytes));
        }
        let len = bytes.len() as u64;
        Ok(Piece::File(lazaret::base::FileRange {
            file: Arc::new(temporary(&bytes)?),
            start: 0,
            len,
            form: Form::Crlf,
        }))
    }
    fn read(&mut self, range: Range<u64>, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = self.wire(range);
        bytes.truncate(most);
        Ok(bytes)
    }
}

/// A file without a name.
fn temporary(bytes: &[u8]) -> io::Result<File> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("lazaret-fake-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    file.write_all(bytes)?;
    Ok(file)
}

/// One connection over the world.
pub struct Peer {
    pub session: Session,
    world: Rc<RefCell<World>>,
    open: Option<(String, bool)>,
    append: Option<(String, Flags, Vec<u8>)>,
    seen_modseq: u64,
    /// Everything that was sent to the client.
    pub sent: Vec<u8>,
    pub closed: bool,
    /// How often TLS was begun.
    pub handshakes: u32,
}

impl Peer {
    pub fn new(world: Rc<RefCell<World>>, options: Options) -> Peer {
        let seen_modseq = world.borrow().modseq;
        let session = Session::new(options);
        Peer { session, world, open: None, append: None, seen_modseq, sent: Vec::new(), closed: false, handshakes: 0 }
    }

    /// Feeds input in chunks of at most `chunk` bytes, carrying out every step.
    pub fn send(&mut self, input: &[u8], chunk: usize, now: Timestamp) {
        for mut part in input.chunks(chunk.max(1)) {
            while !part.is_empty() && !self.closed {
                let taken = self.session.feed(part);
                part = &part[taken..];
                let handshakes = self.handshakes;
                self.run(now);
                if self.handshakes > handshakes {
                    // what was received and not fed is dropped
                    return;
                }
                assert!(
                    taken > 0
                        || self.session.feed(&part[..1]) == 1 && {
                            part = &part[1..];
                            true
                        },
                    "stuck"
                );
            }
        }
    }

    /// Carries out steps until the session wants input.
    pub fn run(&mut self, now: Timestamp) {
        for turn in 0.. {
            assert!(turn < 1_000_000, "the session runs in circles");
            if self.closed {
                return;
            }
            let mut out = Vec::new();
            let step = self.session.step(now, &mut out);
            assert!(out.len() < 400_000, "{} bytes in one step", out.len());
            self.sent.extend_from_slice(&out);
            match step {
                Step::Again => {}
                Step::Ask(question) => {
                    let answer = self.reply(question).unwrap_or_else(Answer::Refused);
                    self.session.answer(answer);
                }
                Step::Copy(range) => {
                    let mut bytes = vec![0; range.len as usize];
                    range.file.read_exact_at(&mut bytes, range.start).expect("the fake's own file");
                    self.sent.extend_from_slice(&bytes);
                }
                Step::Read { .. } => {
                    let modseq = self.world.borrow().modseq;
                    if std::mem::replace(&mut self.seen_modseq, modseq) != modseq {
                        self.session.wake();
                        continue;
                    }
                    return;
                }
                Step::StartTls => {
                    assert_eq!(self.session.feed(b"x"), 0, "input is taken before the handshake");
                    self.handshakes += 1;
                }
                Step::StartDeflate => panic!("DEFLATE was not offered"),
                Step::Close => self.closed = true,
            }
        }
    }

    fn reply(&mut self, question: Question) -> Result<Answer, Refusal> {
        let world = self.world.clone();
        let mut world = world.borrow_mut();
        let world = &mut *world;
        let open = self.open.clone();
        let mailbox = |world: &mut World| -> Result<Mailbox, Refusal> {
            let (name, _) = open.clone().ok_or_else(|| Refusal::new("SERVERBUG", "asked without an open folder"))?;
            world.readable(&name).cloned()
        };
        Ok(match question {
            Question::Login { user, password } => match (user.as_str(), password.expose().as_slice()) {
                ("alice", b"secret" | b"se\"cr\\et") => Answer::LoggedIn,
                ("banned", _) => {
                    return Err(Refusal {
                        close: true,
                        ..Refusal::new("AUTHENTICATIONFAILED", "too many failed logins")
                    });
                }
                _ => return Err(Refusal::new("AUTHENTICATIONFAILED", "wrong login name or password")),
            },
            Question::Folders => Answer::Folders(world.folders.iter().map(|f| listed(f, &world.folders)).collect()),
            Question::Folder(name) => {
                let all = world.folders.clone();
                let found = all.iter().find(|f| f.name == name);
                Answer::Folder(listed(
                    found.ok_or_else(|| Refusal::new("NONEXISTENT", "there is no such folder"))?,
                    &all,
                ))
            }
            Question::Subscribe(name, on) => {
                let found = world.find(&name);
                found.ok_or_else(|| Refusal::new("NONEXISTENT", "there is no such folder"))?.subscribed = on;
                Answer::Done
            }
            Question::Status(name) => {
                let modseq = world.modseq;
                Answer::Status(figures(world.readable(&name)?, modseq))
            }
            Question::Select { folder, read_only } => {
                self.open = None;
                let modseq = world.modseq;
                let mailbox = world.readable(&folder)?;
                let recent = mailbox.messages.keys().copied().filter(|&uid| uid >= mailbox.recent_from).collect();
                let selected = Selected {
                    name: mailbox.name.clone(),
                    figures: figures(mailbox, modseq),
                    list: mailbox.messages.keys().copied().collect(),
                    recent,
                    first_unseen: mailbox.messages.iter().find(|(_, m)| !m.flags.has(Flags::SEEN)).map(|(u, _)| *u),
                    read_only: !mailbox.rights.contains('s'),
                    permanent: Flags(0x7ff_ffff).without(Flags::OURS),
                    uid_not_sticky: false,
                };
                if !read_only {
                    mailbox.recent_from = mailbox.uid_next;
                }
                self.open = Some((folder, read_only));
                Answer::Selected(selected)
            }
            Question::Unselect => {
                self.open = None;
                Answer::Done
            }
            Question::Poll { since } => {
                let folder = mailbox(world)?;
                let recent_from = folder.recent_from;
                let mut recent = UidRanges::new();
                if !open.as_ref().is_some_and(|(_, read_only)| *read_only)
                    && let Some(found) = open.as_ref().and_then(|(name, _)| world.find(name))
                    && recent_from < found.uid_next
                {
                    recent.add(recent_from, found.uid_next - 1);
                    found.recent_from = found.uid_next;
                }
                let changed = folder.messages.iter().filter(|(_, m)| m.modseq > since);
                Answer::Changes(Changes {
                    list: folder.messages.keys().copied().collect(),
                    recent,
                    flags: changed.map(|(&uid, m)| FlagRow { uid, flags: m.flags, modseq: m.modseq }).collect(),
                    modseq: world.modseq,
                    uid_next: folder.uid_next,
                })
            }
            Question::Fetch(fetch) => {
                let name = open.map(|(name, _)| name).unwrap_or_default();
                Answer::Rows(rows(world, &name, &fetch)?)
            }
            Question::Search(search) => found(&mailbox(world)?, &search, world.piece),
            Question::Store(store) => {
                let name = open.map(|(name, _)| name).unwrap_or_default();
                Answer::Stored(stored(world, &name, &store)?)
            }
            Question::Transfer { uids, target, take } => {
                let from = mailbox(world)?;
                let name = open.map(|(name, _)| name).unwrap_or_default();
                Answer::Transferred(transferred(world, &from, &name, &uids, &target, take)?)
            }
            Question::Expunge { uids } => {
                let name = open.map(|(name, _)| name).unwrap_or_default();
                world.modseq += 1;
                let gone = |uid: u32| uids.as_ref().is_none_or(|uids| uids.contains(uid));
                world.readable(&name)?.messages.retain(|&uid, m| !(m.flags.has(Flags::DELETED) && gone(uid)));
                Answer::Done
            }
            Question::AppendStart { folder, flags, size, .. } => {
                let found = world.find(&folder).ok_or_else(|| Refusal::new("TRYCREATE", "there is no such folder"))?;
                if !found.rights.contains('i') || found.name == "Release" {
                    return Err(Refusal::new("NOPERM", "nothing can be appended here"));
                }
                if size > 1_000_000 {
                    return Err(Refusal::new("TOOBIG", "this message is too large"));
                }
                world.appends += 1;
                self.append = Some((folder, flags, Vec::new()));
                Answer::Done
            }
            Question::AppendData(bytes) => {
                assert!(bytes.len() <= 65_536, "a piece of {}", bytes.len());
                if std::mem::take(&mut world.full) {
                    world.appends -= 1;
                    self.append = None;
                    return Err(Refusal::new("OVERQUOTA", "the disk is full"));
                }
                self.append.as_mut().expect("AppendStart came first").2.extend_from_slice(&bytes);
                Answer::Done
            }
            Question::AppendEnd => {
                let (folder, flags, bytes) = self.append.take().expect("AppendStart came first");
                world.appends -= 1;
                if world.readable(&folder).is_err() {
                    world.orders += 1;
                    Answer::Appended { uid: None }
                } else {
                    let uid = world.deliver(&folder, &bytes).expect("it was there at the start");
                    if let Some(message) = world.find(&folder).and_then(|f| f.messages.get_mut(&uid)) {
                        message.flags = flags;
                    }
                    Answer::Appended { uid: Some((7, uid)) }
                }
            }
            Question::AppendCancel => {
                world.appends -= i32::from(self.append.take().is_some());
                Answer::Done
            }
        })
    }
}

fn rows(world: &mut World, name: &str, fetch: &Fetch) -> Result<Rows, Refusal> {
    let mut rows = Rows::default();
    let wanted: Vec<u32> = fetch.list.within(&fetch.uids).filter(|&u| u >= fetch.from).collect();
    for (i, &uid) in wanted.iter().enumerate() {
        if i == world.piece {
            rows.next = Some(uid);
            break;
        }
        let modseq = world.modseq + 1;
        let Some(message) = world.readable(name)?.messages.get_mut(&uid) else {
            rows.vanished = true;
            continue;
        };
        let mut stored = Stored { uid, message: message.clone() };
        let seq = fetch.list.seq(uid).expect("it came from the list");
        fetch::line(seq, fetch, &mut stored, &mut rows.pieces).expect("the fake can be read");
        if fetch.mark_seen && !message.flags.has(Flags::SEEN) {
            message.flags |= Flags::SEEN;
            message.modseq = modseq;
            rows.changed.push(FlagRow { uid, flags: message.flags, modseq });
            world.modseq = modseq;
        }
    }
    Ok(rows)
}

fn found(folder: &Mailbox, question: &Search, piece: usize) -> Answer {
    let (mut uids, mut next) = (Vec::new(), None);
    for (i, uid) in question.list.iter_from(question.from).enumerate() {
        if i == piece {
            next = Some(uid);
            break;
        }
        if let Some(message) = folder.messages.get(&uid) {
            let mut stored = Stored { uid, message: message.clone() };
            if search::matches(&question.key, &mut stored, &question.recent).expect("the fake can be read") {
                uids.push(uid);
            }
        }
    }
    Answer::Found { uids, next }
}

fn stored(world: &mut World, name: &str, store: &Store) -> Result<Vec<FlagRow>, Refusal> {
    world.modseq += 1;
    let modseq = world.modseq;
    let mut rows = Vec::new();
    for (&uid, message) in &mut world.readable(name)?.messages {
        if store.uids.contains(uid) {
            let flags = match store.mode {
                StoreMode::Add => message.flags | store.flags,
                StoreMode::Remove => message.flags.without(store.flags),
                StoreMode::Replace => store.flags | (message.flags & Flags::OURS),
            };
            if flags != message.flags {
                (message.flags, message.modseq) = (flags, modseq);
            }
            rows.push(FlagRow { uid, flags, modseq: message.modseq });
        }
    }
    Ok(rows)
}

fn transferred(
    world: &mut World,
    from: &Mailbox,
    name: &str,
    uids: &UidRanges,
    target: &str,
    take: bool,
) -> Result<Transferred, Refusal> {
    let to = world.find(target).ok_or_else(|| Refusal::new("TRYCREATE", "there is no such folder"))?;
    if !to.rights.contains('i') {
        return Err(Refusal::new("NOPERM", "nothing can be put here"));
    }
    let readable = to.rights.contains('r');
    let list: UidList = from.messages.keys().copied().collect();
    let (mut old, mut new) = (Vec::new(), Vec::new());
    let mut refused = None;
    for uid in list.within(uids) {
        let Some(message) = from.messages.get(&uid) else { continue };
        if target == "Release" && message.flags.has(Flags::FLAGGED) {
            refused = Some(Refusal::new("CANNOT", "flagged messages cannot be released"));
            continue;
        }
        if readable {
            new.extend(world.deliver(target, &message.bytes));
        } else {
            world.orders += 1;
        }
        old.push(uid);
        if take {
            world.remove(name, uid);
        }
    }
    let copy_uid = (readable && !old.is_empty()).then_some((7, old, new));
    Ok(Transferred { copy_uid, refused })
}

/// What lies in Caught at first. Lines end in CRLF when they are stored.
pub const MESSAGES: [&str; 3] = [
    "From: Bob <bob@example.net>\nTo: alice@example.org\nSubject: Hello\nDate: Mon, 2 Jan 2006 15:04:05 +0000\n\
     Message-ID: <1@example.net>\n\nBuy now.\n",
    "From: =?utf-8?q?J=C3=BCrgen?= <j@example.net>\nTo: alice@example.org\nSubject: =?utf-8?b?R3LDvMOfZQ==?=\n\
     Date: Tue, 3 Jan 2006 23:30:00 -0800\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n\
     --b\nContent-Type: text/html\n\n<p>Click <b>he</b>re</p>\n--b\nContent-Type: text/plain; charset=utf-8\n\
     Content-Transfer-Encoding: base64\n\nZ2VoZWltZXIgU2No77+9w6R0eg==\n--b--\n",
    concat!(
        "From: carol@example.net\nTo: alice@example.org\nSubject: Long\n\n",
        "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz\n",
        "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz\n",
        "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz\n",
        "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz\n",
        "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz\n",
        "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz\n",
        "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz\n",
        "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz\n",
        "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz\n",
        "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz\n",
        "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz\n",
        "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz\n",
        "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz\n",
        "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz\n",
        "the end\n"
    ),
];
