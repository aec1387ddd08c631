//! A peer that drives an IMAP session over the mail store in `world.rs`. Several peers share one world, so that
//! sessions see each other's changes. With that file it stands alone: a fuzzer includes both.

use super::world::{Mailbox, World, figures, found, listed, rows, stored, transferred};
use lazaret::base::{Core, Flags, Step, Timestamp, UidRanges};
use lazaret::imap::question::{
    Answer, Changes, FlagRow, FolderStatus, OVERFLOW, Question, Quota, Refusal, Selected, Watched,
};
use lazaret::imap::{Options, Session};
use std::cell::RefCell;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

/// As many folders below others can be watched here.
const WATCHED: usize = 4;

/// One connection over the world.
pub struct Peer {
    pub session: Session,
    world: Rc<RefCell<World>>,
    side: Side,
    seen_modseq: u64,
    /// Everything that was sent to the client.
    pub sent: Vec<u8>,
    pub closed: bool,
    /// How often TLS was begun.
    pub handshakes: u32,
    /// How often DEFLATE was begun.
    pub deflates: u32,
}

/// What answers one connection.
#[derive(Default)]
pub struct Side {
    open: Option<(String, bool)>,
    append: Vec<(String, Flags, Vec<u8>)>,
}

impl Peer {
    pub fn new(world: Rc<RefCell<World>>, options: Options) -> Peer {
        let seen_modseq = world.borrow().modseq;
        let session = Session::new(options);
        Peer {
            session,
            world,
            side: Side::default(),
            seen_modseq,
            sent: Vec::new(),
            closed: false,
            handshakes: 0,
            deflates: 0,
        }
    }

    /// Feeds input in chunks of at most `chunk` bytes, carrying out every step.
    pub fn send(&mut self, input: &[u8], chunk: usize, now: Timestamp) {
        for mut part in input.chunks(chunk.max(1)) {
            while !part.is_empty() && !self.closed {
                let taken = self.session.feed(part);
                part = &part[taken..];
                let layers = self.handshakes + self.deflates;
                self.run(now);
                if self.handshakes + self.deflates > layers {
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
                    let answer =
                        self.side.reply(&mut self.world.borrow_mut(), question).unwrap_or_else(Answer::Refused);
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
                Step::StartDeflate => {
                    assert_eq!(self.session.feed(b"x"), 0, "input is taken before DEFLATE has begun");
                    self.deflates += 1;
                }
                Step::Close => {
                    self.closed = true;
                    self.side.leave(&mut self.world.borrow_mut());
                }
            }
        }
    }
}

impl Side {
    /// What the bridge does when it is dropped.
    pub fn leave(&mut self, world: &mut World) {
        world.appends -= std::mem::take(&mut self.append).len() as i32;
    }

    /// Answers a question out of the world.
    pub fn reply(&mut self, world: &mut World, question: Question) -> Result<Answer, Refusal> {
        let open = self.open.clone();
        if let Question::Folder(name)
        | Question::Status(name)
        | Question::Select { folder: name, .. }
        | Question::Transfer { target: name, .. }
        | Question::AppendStart { folder: name, .. } = &question
        {
            world.named.clone_from(name);
        }
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
            Question::ScramBegin(first) if first.expose() == b"n,,n=alice,r=x" => {
                Answer::Challenge(b"r=xy,s=QQ==,i=4096".to_vec())
            }
            Question::ScramBegin(_) => return Err(Refusal::new("AUTHENTICATIONFAILED", "this is no SCRAM")),
            Question::ScramEnd(last) if last.expose() == b"c=biws,r=xy,p=right" => {
                Answer::Proved { user: "alice".into(), message: b"v=ok".to_vec() }
            }
            Question::ScramEnd(_) => return Err(Refusal::new("AUTHENTICATIONFAILED", "wrong login name or password")),
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
                let mailbox = world.readable(&name)?;
                let deleted = mailbox.messages.values().filter(|m| m.flags.has(Flags::DELETED));
                Answer::Status(FolderStatus {
                    figures: figures(mailbox, modseq),
                    mailbox_id: format!("F{name}"),
                    deleted_size: deleted.map(|m| m.bytes.len() as u64).sum(),
                })
            }
            Question::Quota(name) => {
                if let Some(name) = &name {
                    if world.find(name).is_none() {
                        return Ok(Answer::Quota(None));
                    }
                    if !world.readable(name)?.rights.contains('r') {
                        return Ok(Answer::Quota(None));
                    }
                }
                let messages = || world.folders.iter().flat_map(|f| f.messages.values());
                Answer::Quota(Some(Quota {
                    bytes: messages().map(|m| m.bytes.len() as u64).sum(),
                    most_bytes: 1 << 30,
                    messages: messages().count() as u64,
                    most_messages: 1000,
                }))
            }
            Question::Watch { children, .. } => {
                let below = world.folders.iter().filter(|folder| folder.name.contains('/')).count();
                if children && below > WATCHED {
                    return Err(Refusal::new(OVERFLOW, "too many to watch"));
                }
                let removed = &world.removed;
                let watched = world.folders.iter().map(|folder| {
                    let gone = removed.iter().filter(|(name, ..)| *name == folder.name).map(|(_, _, at)| *at);
                    let modseq = folder.messages.values().map(|m| m.modseq).chain(gone).max().unwrap_or(1);
                    Watched {
                        name: folder.name.clone(),
                        subscribed: folder.subscribed,
                        figures: folder.rights.contains('r').then(|| figures(folder, modseq)),
                    }
                });
                Answer::Watched(watched.collect())
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
                    read_only: !mailbox.rights.contains('i'),
                    permanent: match mailbox.rights.contains('r') {
                        true => Flags(0x7ff_ffff).without(Flags::OURS),
                        false => Flags::NONE,
                    },
                    mailbox_id: format!("F{}", mailbox.name.replace(['/', '%'], "-")),
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
            Question::Vanished { since, known } => {
                let name = open.map(|(name, _)| name).unwrap_or_default();
                let gone =
                    world.removed.iter().filter(|(from, uid, at)| *from == name && *at > since && known.contains(*uid));
                let mut gone: Vec<u32> = gone.map(|(_, uid, _)| *uid).collect();
                gone.sort_unstable();
                Answer::Vanished(gone.into_iter().collect())
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
                let gone = |uid: u32| uids.as_ref().is_none_or(|uids| uids.contains(uid));
                let deleted = |(uid, m): (&u32, &super::world::Message)| {
                    (m.flags.has(Flags::DELETED) && gone(*uid)).then_some(*uid)
                };
                let uids: Vec<u32> = world.readable(&name)?.messages.iter().filter_map(deleted).collect();
                for uid in uids {
                    world.remove(&name, uid);
                }
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
                self.append.push((folder, flags, Vec::new()));
                Answer::Done
            }
            Question::AppendData(bytes) => {
                assert!(bytes.len() <= 65_536, "a piece of {}", bytes.len());
                if std::mem::take(&mut world.full) {
                    return Err(Refusal::new("OVERQUOTA", "the disk is full"));
                }
                self.append.last_mut().expect("AppendStart came first").2.extend_from_slice(&bytes);
                Answer::Done
            }
            Question::AppendEnd => {
                let mut uids = Vec::new();
                for (folder, flags, bytes) in std::mem::take(&mut self.append) {
                    world.appends -= 1;
                    if world.find(&folder).is_none_or(|found| !found.rights.contains('r')) {
                        world.orders += 1;
                        continue;
                    }
                    let uid = world.deliver(&folder, &bytes).expect("it was there at the start");
                    if let Some(message) = world.find(&folder).and_then(|f| f.messages.get_mut(&uid)) {
                        message.flags = flags;
                    }
                    uids.push(uid);
                }
                Answer::Appended { uids: (!uids.is_empty()).then_some((7, uids)) }
            }
            Question::AppendCancel => {
                world.appends -= std::mem::take(&mut self.append).len() as i32;
                Answer::Done
            }
        })
    }
}
