//! A mail store in memory: folders, messages, and what FETCH, SEARCH, STORE and MOVE do with them.

use lazaret::base::{Flags, Form, Slice, UidList, UidRanges};
use lazaret::imap::content::{Bytes, Content, Row};
use lazaret::imap::gather::{self, Gathering, Order};
use lazaret::imap::question::{
    Answer, Fetch, Figures, FlagRow, Folder, Found, Refusal, Rows, Search, Store, StoreMode, Stored as StoredFlags,
    Transferred,
};
use lazaret::imap::{envelope, fetch, preview, structure};
use lazaret::mail::header;
use lazaret::mail::mime::Structure;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;

/// One stored message.
#[derive(Debug, Clone)]
pub struct Message {
    pub bytes: Arc<[u8]>,
    pub flags: Flags,
    pub date: u64,
    pub modseq: u64,
    /// Bytes of the trace.
    pub trace: u32,
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
    /// What left which folder, and when.
    pub removed: Vec<(String, u32, u64)>,
    /// The folder that a client named last.
    pub named: String,
    /// Action folders open, and are empty.
    pub opens_empty: bool,
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
        mailbox.messages.insert(uid, Message { bytes: bytes.into(), flags: Flags::NONE, date, modseq, trace: 0 });
        mailbox.uid_next = uid + 1;
        Some(uid)
    }

    /// Puts a message for somebody into a folder.
    pub fn deliver_to(&mut self, folder: &str, recipient: &str, bytes: &[u8]) {
        let trace = format!("X-Lazaret-Recipient: {recipient}\r\n");
        let uid = self.deliver(folder, &[trace.as_bytes(), bytes].concat());
        if let Some(message) = uid.and_then(|uid| self.find(folder)?.messages.get_mut(&uid)) {
            message.trace = trace.len() as u32;
        }
    }

    /// Takes a message away behind everybody's back.
    pub fn remove(&mut self, folder: &str, uid: u32) {
        self.modseq += 1;
        let modseq = self.modseq;
        if self.find(folder).is_some_and(|mailbox| mailbox.messages.remove(&uid).is_some()) {
            self.removed.push((folder.to_string(), uid, modseq));
        }
    }

    pub fn readable(&mut self, name: &str) -> Result<&mut Mailbox, Refusal> {
        let opens_empty = self.opens_empty;
        let folder = self.find(name).ok_or_else(|| Refusal::new("NONEXISTENT", "there is no such folder"))?;
        if folder.rights.contains('r') || opens_empty {
            Ok(folder)
        } else {
            Err(Refusal::new("NOPERM", "this folder is write-only"))
        }
    }
}

pub fn listed(folder: &Mailbox, all: &[Mailbox]) -> Folder {
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

pub fn figures(folder: &Mailbox, modseq: u64) -> Figures {
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
        Row {
            uid: self.uid,
            flags: m.flags,
            size: m.bytes.len() as u64,
            date: m.date,
            modseq: m.modseq,
            saved: m.date + 60,
            trace: m.trace,
        }
    }
    fn id(&self) -> io::Result<String> {
        Ok(format!("id{}", self.uid))
    }
    fn header(&mut self) -> io::Result<Slice> {
        let end = header::end(&self.message.bytes);
        Ok(self.wire(0..end as u64).into())
    }
    fn envelope(&mut self) -> io::Result<Slice> {
        let mut out = Vec::new();
        envelope::render(&self.header()?, &mut out);
        Ok(out.into())
    }
    fn body_structure(&mut self) -> io::Result<Slice> {
        let mut out = Vec::new();
        structure::render_body_structure(&*self.structure()?, &mut out);
        Ok(out.into())
    }
    fn body(&mut self) -> io::Result<Slice> {
        let mut out = Vec::new();
        structure::render_body(&*self.structure()?, &mut out);
        Ok(out.into())
    }
    fn structure(&mut self) -> io::Result<Arc<Structure>> {
        Ok(Arc::new(Structure::of(&self.message.bytes, Form::Crlf)))
    }
    fn bytes(&mut self, range: Range<u64>) -> io::Result<Bytes> {
        let bytes = self.wire(range);
        if bytes.len() < 1000 {
            return Ok(Bytes::Held(bytes.into()));
        }
        let len = bytes.len() as u64;
        Ok(Bytes::File(lazaret::base::FileRange {
            file: Arc::new(temporary(&bytes)?),
            start: 0,
            len,
            form: Form::Crlf,
        }))
    }
    fn raw(&mut self, range: Range<u64>, sink: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<()> {
        let bytes = self.message.bytes.get(range.start as usize..range.end as usize).unwrap_or_default();
        let _ = bytes.chunks(5).all(sink);
        Ok(())
    }
    fn preview(&mut self, lazy: bool) -> io::Result<Option<String>> {
        if lazy && self.message.bytes.len() > 1000 {
            return Ok(None);
        }
        let structure = self.structure()?;
        preview::render(&structure, &mut |range, most| self.read(range, most)).map(Some)
    }
    fn read(&mut self, range: Range<u64>, most: usize) -> io::Result<Slice> {
        let mut bytes = self.wire(range);
        bytes.truncate(most);
        Ok(bytes.into())
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

pub fn rows(world: &mut World, name: &str, fetch: &Fetch) -> Result<Rows, Refusal> {
    let mut rows = Rows::default();
    let wanted: Vec<u32> = fetch.list.within_from(&fetch.uids, fetch.from).collect();
    let mut lines = fetch::Lines::new(fetch);
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
        if message.modseq <= fetch.since {
            continue;
        }
        let mut stored = Stored { uid, message: message.clone() };
        let seq = fetch.list.seq(uid).expect("it came from the list");
        if let Err(trouble) = lines.add(seq, &mut stored) {
            rows.refused = Some(trouble.refusal().expect("the fake can be read"));
        }
        if fetch.mark_seen && !message.flags.has(Flags::SEEN) {
            message.flags |= Flags::SEEN;
            message.modseq = modseq;
            rows.changed.push(FlagRow { uid, flags: message.flags, modseq });
            world.modseq = modseq;
        }
    }
    rows.pieces = lines.into_pieces();
    Ok(rows)
}

pub fn found(folder: &Mailbox, question: &Search, piece: usize) -> Answer {
    let mut gathering = Gathering::new(&question.order);
    let in_order = question.order == Order::Mailbox;
    let mut found = Found::default();
    for (i, uid) in question.list.iter_from(question.from).enumerate() {
        if i == piece && in_order {
            found.next = Some(uid);
            break;
        }
        let Some(message) = folder.messages.get(&uid) else { continue };
        let mut stored = Stored { uid, message: message.clone() };
        let Some((modseq, score)) = gather::look(question, &mut stored).expect("the fake can be read") else {
            continue;
        };
        gathering.add(question, &mut stored, modseq, score).expect("the fake can be read");
        if in_order {
            found.uids.push(uid);
            found.modseqs.extend(question.with_modseqs.then_some(modseq));
            found.scores.extend(question.with_scores.then_some(score));
        }
    }
    if in_order {
        return Answer::Found(found);
    }
    while !gathering.order(&mut || true) {}
    gathering.finish(question)
}

pub fn stored(world: &mut World, name: &str, store: &Store) -> Result<StoredFlags, Refusal> {
    world.modseq += 1;
    let modseq = world.modseq;
    let mut done = StoredFlags::default();
    for (&uid, message) in &mut world.readable(name)?.messages {
        if store.uids.contains(uid) && store.unchanged_since.is_some_and(|since| message.modseq > since) {
            done.modified.push(uid);
        } else if store.uids.contains(uid) {
            let flags = match store.mode {
                StoreMode::Add => message.flags | store.flags,
                StoreMode::Remove => message.flags.without(store.flags),
                StoreMode::Replace => store.flags | (message.flags & Flags::OURS),
            };
            if flags != message.flags {
                (message.flags, message.modseq) = (flags, modseq);
            }
            done.rows.push(FlagRow { uid, flags, modseq: message.modseq });
        }
    }
    Ok(done)
}

pub fn transferred(
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
