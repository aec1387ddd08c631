//! Runs `tests/dialog/milter/*.txt`: whole, byte by byte, in odd chunks, and over TCP.
//!
//! `O:` the mail server's offer: version, actions, steps in hexadecimal · `C:` a packet from it: the command and its data,
//! with escapes (`\r \n \t \0 \xHH \\`) · `R:` bytes as they are, with escapes · `S:` a packet from us, `*` matches any run ·
//! `Q:` what was asked of the outside, in order · `+5m` the clock · `close` we close · `given max_size=N|room=N`.
//! Senders choose what becomes of a message: refuse@, defer@, discard@, mute@, edit@.

use crate::dialog_lmtp::compare;
use lazaret::base::{Core, Step, Timestamp};
use lazaret::bridge::{Answered, Bridge, Place};
use lazaret::milter::{Answer, Edit, Judged, Options, Question, Reply, Session, Transaction};
use lazaret::net::{Connection, Pools, Stop};
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Stands in for the rules.
#[derive(Clone, Default)]
struct Outside {
    room: usize,
    used: usize,
    log: Arc<Mutex<Vec<String>>>,
}

impl Outside {
    fn note(&self, line: String) {
        self.log.lock().unwrap().push(line);
    }
}

impl Bridge<Session> for Outside {
    fn place(&self, _: &Question) -> Place {
        Place::Disk
    }

    fn answer(&mut self, question: Question) -> Answered<Self, Answer> {
        Answered::Done(match question {
            Question::Recipient { sender, user, recipient, is_first } => {
                let user = user.unwrap_or_default();
                let first = if is_first { " first" } else { "" };
                self.note(format!("Recipient {recipient} of <{sender}>{user}{first}"));
                match recipient.starts_with("other") && !is_first {
                    true => Answer::Reply(Reply::new(452, "4.5.3", "100% alone")),
                    false => Answer::Continue,
                }
            }
            Question::Reserve(bytes) => {
                let fits = self.used + bytes <= self.room;
                self.used += if fits { bytes } else { 0 };
                Answer::Reserved(fits)
            }
            Question::Forget => {
                self.used = 0;
                self.note("Forget".into());
                Answer::Done
            }
            Question::Broken(why) => {
                self.used = 0;
                self.note(format!("Broken: {why}"));
                Answer::Done
            }
            Question::Judge(transaction) => {
                self.used = 0;
                self.note(shown(&transaction));
                let field = |name: &str| (name.to_string(), "yes\n\tvery".to_string());
                match transaction.sender.split('@').next().unwrap() {
                    "refuse" => Answer::Judged(Judged::Refuse(Reply::new(550, "5.7.1", "100% spam"))),
                    "defer" => Answer::Reply(Reply::new(451, "4.7.1", "later")),
                    "discard" => Answer::Judged(Judged::Discard),
                    "mute" => Answer::Done,
                    "edit" => {
                        let (name, value) = field("X-Spam");
                        Answer::Judged(Judged::Accept(vec![
                            Edit::Remove { nth: 2, name: name.clone() },
                            Edit::Remove { nth: 1, name: name.clone() },
                            Edit::Change { nth: 1, name: "Subject".into(), value: "[SPAM] x".into() },
                            Edit::Insert { above: 1, name: name.clone(), value: value.clone() },
                            Edit::Add { name, value },
                        ]))
                    }
                    _ => Answer::Judged(Judged::Accept(Vec::new())),
                }
            }
        })
    }

    fn busy(&self) -> Answer {
        Answer::Done
    }

    fn changed(&self) -> Vec<event_listener::EventListener> {
        Vec::new()
    }
}

fn shown(t: &Transaction) -> String {
    let c = &t.client;
    let words: Vec<&str> =
        [&c.address, &c.name, &c.helo, &t.user, &t.queue_id].iter().map(|v| v.as_deref().unwrap_or("-")).collect();
    let message = String::from_utf8_lossy(&t.message).escape_default().to_string();
    format!(
        "Judge from <{}> to {} client {} size {}{}{} {message}",
        t.sender,
        t.recipients.join(","),
        words.join(" "),
        t.size,
        if t.oversize { " cut" } else { "" },
        if t.rebuilt { " rebuilt" } else { "" },
    )
}

enum Move {
    Send(Vec<u8>),
    Later(Duration),
}

struct Dialog {
    name: String,
    options: Options,
    room: usize,
    moves: Vec<Move>,
    replies: Vec<String>,
    asked: Vec<String>,
    closes: bool,
}

impl Dialog {
    fn read(path: &std::path::Path) -> Dialog {
        let mut dialog = Dialog {
            name: path.file_name().unwrap().to_string_lossy().into_owned(),
            options: Options { max_size: 1 << 20 },
            room: 1 << 30,
            moves: Vec::new(),
            replies: Vec::new(),
            asked: Vec::new(),
            closes: false,
        };
        for line in fs::read_to_string(path).unwrap().lines() {
            let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
            match mark {
                "" | "#" => {}
                "O:" => {
                    let numbers = rest.split(' ').map(|n| u32::from_str_radix(n, 16).unwrap());
                    let data: Vec<u8> = numbers.flat_map(u32::to_be_bytes).collect();
                    dialog.send(&packet(&[b"O", &data[..]].concat()));
                }
                "C:" => dialog.send(&packet(&unescape(rest))),
                "R:" => dialog.send(&unescape(rest)),
                "S:" => dialog.replies.push(rest.into()),
                "Q:" => dialog.asked.push(rest.into()),
                "close" => dialog.closes = true,
                "given" => match rest.split_once('=').unwrap() {
                    ("max_size", n) => dialog.options.max_size = n.parse().unwrap(),
                    ("room", n) => dialog.room = n.parse().unwrap(),
                    other => panic!("{other:?}"),
                },
                later if later.starts_with('+') && later.ends_with('m') => {
                    let minutes: u64 = later[1..later.len() - 1].parse().unwrap();
                    dialog.moves.push(Move::Later(Duration::from_secs(minutes * 60)));
                }
                _ => panic!("{}: {line}", dialog.name),
            }
        }
        assert!(!dialog.replies.is_empty() || !dialog.asked.is_empty(), "{} expects nothing", dialog.name);
        dialog
    }

    fn send(&mut self, bytes: &[u8]) {
        match self.moves.last_mut() {
            Some(Move::Send(input)) => input.extend_from_slice(bytes),
            _ => self.moves.push(Move::Send(bytes.to_vec())),
        }
    }

    fn check(&self, how: &str, out: &[u8], outside: &Outside, closed: bool) {
        let packets = packets(out);
        let sent: Vec<&str> = packets.iter().map(String::as_str).collect();
        let log = outside.log.lock().unwrap();
        let asked: Vec<&str> = log.iter().map(String::as_str).collect();
        compare(&format!("{} {how}, replies", self.name), &self.replies, &sent);
        compare(&format!("{} {how}, questions", self.name), &self.asked, &asked);
        assert_eq!(closed, self.closes, "{} {how}: closed", self.name);
    }
}

fn packet(content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32).to_be_bytes()[..], content].concat()
}

/// What was sent, a packet each, escaped as in the scripts.
fn packets(mut out: &[u8]) -> Vec<String> {
    let mut packets = Vec::new();
    while let Some((length, rest)) = out.split_first_chunk() {
        let (packet, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        let shown = packet.iter().map(|&b| match b {
            0 => "\\0".to_string(),
            b'\\' => "\\\\".to_string(),
            b' '..=b'~' => char::from(b).to_string(),
            b => format!("\\x{b:02x}"),
        });
        packets.push(shown.collect());
        out = rest;
    }
    assert!(out.is_empty(), "half a packet: {out:?}");
    packets
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let (&kind, after) = rest.split_first().expect("something behind a backslash");
        rest = after;
        bytes.push(match kind {
            b'0' => 0,
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'x' => {
                let (hex, after) = rest.split_at(2);
                rest = after;
                u8::from_str_radix(std::str::from_utf8(hex).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    bytes
}

/// Drives the core without sockets or clock.
struct Bench {
    session: Session,
    outside: Outside,
    now: Timestamp,
    out: Vec<u8>,
    closed: bool,
}

impl Bench {
    fn settle(&mut self) {
        while !self.closed {
            match self.session.step(self.now, &mut self.out) {
                Step::Again => {}
                Step::Ask(question) => {
                    let answer = self.outside.answer(question).done().expect("nobody else is asked");
                    self.session.answer(answer);
                }
                Step::Read { until } => {
                    assert!(until > self.now, "a time to wake that has passed would spin");
                    return;
                }
                Step::Close => self.closed = true,
                other => panic!("{other:?}"),
            }
        }
    }

    fn input(&mut self, input: &[u8], sizes: &[usize]) {
        let mut at = 0;
        for size in sizes.iter().cycle() {
            let end = (at + size).min(input.len());
            while at < end && !self.closed {
                let taken = self.session.feed(&input[at..end]);
                assert!(taken > 0, "the core wanted input and took none");
                at += taken;
                self.settle();
            }
            if at >= input.len() || self.closed {
                return;
            }
        }
    }
}

fn dialogs() -> Vec<Dialog> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialog/milter");
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 8, "dialogs are missing");
    paths.iter().map(|p| Dialog::read(p)).collect()
}

#[test]
fn at_any_chunk_size() {
    for dialog in dialogs() {
        for sizes in [&[usize::MAX >> 8][..], &[1], &[2], &[3, 1, 7], &[13, 4], &[100, 1]] {
            let now = Timestamp::from_secs(1_800_000_000);
            let outside = Outside { room: dialog.room, ..Outside::default() };
            let session = Session::new(dialog.options.clone());
            let mut bench = Bench { session, outside, now, out: Vec::new(), closed: false };
            bench.settle();
            for step in &dialog.moves {
                match step {
                    Move::Send(input) => bench.input(input, sizes),
                    Move::Later(by) => {
                        bench.now = bench.now.after(*by);
                        bench.settle();
                    }
                }
            }
            dialog.check(&format!("in chunks of {sizes:?}"), &bench.out, &bench.outside, bench.closed);
        }
    }
}

#[test]
fn over_tcp() {
    use smol::io::{AsyncReadExt, AsyncWriteExt};
    let pools = Arc::new(Pools::new());
    for dialog in dialogs().into_iter().filter(|d| d.moves.iter().all(|m| matches!(m, Move::Send(_)))) {
        let outside = Outside { room: dialog.room, ..Outside::default() };
        let session = Session::new(dialog.options.clone());
        let connection = Connection::new(session, outside.clone(), pools.clone(), Stop::new(), b"");
        let (out, closed) = smol::block_on(async {
            let listener = smol::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut server = smol::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (socket, _) = listener.accept().await.unwrap();
            let running = smol::spawn(connection.run(socket, None));
            for step in &dialog.moves {
                let Move::Send(input) = step else { continue };
                drop(server.write_all(input).await);
            }
            drop(server.shutdown(std::net::Shutdown::Write));
            let mut out = Vec::new();
            drop(server.read_to_end(&mut out).await);
            (out, matches!(running.await, lazaret::net::Ended::Closed))
        });
        dialog.check("over TCP", &out, &outside, closed);
    }
}

#[test]
fn a_thousand_recipients_and_one_more() {
    let mut input = packet(b"M<>\0");
    for number in 0..=1000 {
        input.extend(packet(format!("R<u{number}@example.org>\0").as_bytes()));
    }
    input.extend([packet(b"LA\0b\0"), packet(b"E"), packet(b"Q")].concat());
    for sizes in [&[usize::MAX >> 8][..], &[1], &[1460]] {
        let outside = Outside { room: 1 << 20, ..Outside::default() };
        let session = Session::new(Options { max_size: 1 << 20 });
        let mut bench = Bench { session, outside, now: Timestamp::from_secs(1), out: Vec::new(), closed: false };
        bench.settle();
        bench.input(&input, sizes);
        let sent = packets(&bench.out);
        assert_eq!(sent.iter().filter(|p| *p == "c").count(), 1 + 1000 + 1);
        assert_eq!(sent.iter().filter(|p| p.starts_with("y452 4.5.3 ")).count(), 1);
        assert_eq!(sent.last().unwrap(), "a");
        let log = bench.outside.log.lock().unwrap();
        assert_eq!(log.last().unwrap().matches("@example.org").count(), 1000);
        assert!(bench.closed);
    }
}

mod any_input {
    use super::*;
    use crate::fuzz_milter::milter;
    use proptest::prelude::*;

    const PACKETS: &[&[u8]] = &[
        b"O\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff",
        b"O\0\0\0\x02\0\0\0\x3f\0\0\0\x7f",
        b"DMi\0ABC\0{auth_authen}\0alice\0",
        b"Cmx.example\x004\0\x19192.0.2.1\0",
        b"Hmx\0",
        b"M<a@b>\0",
        b"R<c@d>\0",
        b"R<no@d>\0",
        b"T",
        b"LSubject\0 x\n\ty\0",
        b"LX\0\0",
        b"LX\0a",
        b"N",
        b"Bhello\r\n",
        b"Br",
        b"E",
        b"Ed",
        b"A",
        b"K",
        b"Q",
        b"U?",
        b"",
        b"z",
    ];

    #[test]
    fn dialogs_as_seeds() {
        for dialog in dialogs() {
            for step in &dialog.moves {
                let Move::Send(input) = step else { continue };
                for head in [[0, 0], [0, 255], [6, 17], [30, 32]] {
                    milter(&[&head[..], input].concat());
                }
            }
        }
    }

    proptest! {
        #[test]
        fn packets_in_any_order(
            head in any::<[u8; 2]>(),
            parts in prop::collection::vec((prop::sample::select(PACKETS), prop::sample::select(vec![1usize, 1, 1, 1, 1, 3000])), 0..40),
        ) {
            let mut input = [&head[..], &packet(b"M<a@b>\0"), &packet(b"R<c@d>\0")].concat();
            for (part, times) in parts {
                let content = match part.first() {
                    Some(b'B') => [b"B".to_vec(), part[1..].repeat(times)].concat(),
                    _ => part.to_vec(),
                };
                input.extend(packet(&content));
            }
            milter(&input);
        }

        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            milter(&bytes);
        }
    }
}
