//! Runs `tests/dialog/lmtp/*.txt`: whole, byte by byte, in odd chunks, and over TCP.
//!
//! `C:` a line from the client (CRLF is added) · `R:` the same with escapes (`\r \n \0 \\`) and nothing added · `S:` a
//! line from the server, `*` matches any run · `Q:` a message that was stored or forgotten, in order · `+5m` the clock ·
//! `close` the server closes · `given max_size=N|room=N|xforward=no`.

use lazaret::base::{Core, Step, Timestamp};
use lazaret::bridge::{Answered, Bridge, Place};
use lazaret::lmtp::{Answer, Options, Question, Reply, Session, Transaction};
use lazaret::net::{Connection, Pools, Stop};
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Stands in for the store.
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
            Question::Recipient { sender, recipient } => Answer::Reply(if recipient.ends_with("@unknown.example") {
                Reply::new(451, "4.1.2", "no such domain here")
            } else {
                Reply::new(250, "2.1.5", format!("{recipient} for {sender:?}"))
            }),
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
            Question::Store(transaction) => {
                self.used = 0;
                self.note(shown(&transaction));
                match transaction.sender.as_str() {
                    "busy@example.org" => Answer::Reply(Reply::new(451, "4.3.2", "busy")),
                    "mute@example.org" => Answer::Stored(Vec::new()),
                    _ => Answer::Stored(
                        transaction
                            .recipients
                            .iter()
                            .map(|r| match r.starts_with("full") {
                                true => Reply::new(452, "4.2.2", format!("no room for {r}")),
                                false => Reply::new(250, "2.0.0", format!("stored for {r}")),
                            })
                            .collect(),
                    ),
                }
            }
        })
    }

    fn busy(&self) -> Answer {
        Answer::Reply(Reply::new(451, "4.3.2", "busy"))
    }

    fn changed(&self) -> Vec<event_listener::EventListener> {
        Vec::new()
    }
}

fn shown(t: &Transaction) -> String {
    let f = &t.forwarded;
    let client: Vec<&str> =
        [&f.address, &f.name, &f.helo, &f.ident, &f.source].iter().map(|v| v.as_deref().unwrap_or("-")).collect();
    let message = String::from_utf8_lossy(&t.message).escape_default().to_string();
    format!(
        "Store from <{}> to {} helo {} client {} size {}{} {message}",
        t.sender,
        t.recipients.join(","),
        t.helo,
        client.join(" "),
        t.size,
        if t.oversize { " cut" } else { "" }
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
    stored: Vec<String>,
    closes: bool,
}

impl Dialog {
    fn read(path: &std::path::Path) -> Dialog {
        let mut dialog = Dialog {
            name: path.file_name().unwrap().to_string_lossy().into_owned(),
            options: Options { host_name: "mx.example.org".into(), max_size: 1 << 20, xforward: true },
            room: 1 << 30,
            moves: Vec::new(),
            replies: Vec::new(),
            stored: Vec::new(),
            closes: false,
        };
        for line in fs::read_to_string(path).unwrap().lines() {
            let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
            match mark {
                "" | "#" => {}
                "C:" => dialog.send(format!("{rest}\r\n").as_bytes()),
                "R:" => dialog.send(unescape(rest).as_bytes()),
                "S:" => dialog.replies.push(rest.into()),
                "Q:" => dialog.stored.push(rest.into()),
                "close" => dialog.closes = true,
                "given" => match rest.split_once('=').unwrap() {
                    ("max_size", n) => dialog.options.max_size = n.parse().unwrap(),
                    ("room", n) => dialog.room = n.parse().unwrap(),
                    ("xforward", yes) => dialog.options.xforward = yes == "yes",
                    other => panic!("{other:?}"),
                },
                later if later.starts_with('+') && later.ends_with('m') => {
                    let minutes: u64 = later[1..later.len() - 1].parse().unwrap();
                    dialog.moves.push(Move::Later(Duration::from_secs(minutes * 60)));
                }
                _ => panic!("{}: {line}", dialog.name),
            }
        }
        assert!(!dialog.replies.is_empty(), "{} expects nothing", dialog.name);
        dialog
    }

    fn send(&mut self, bytes: &[u8]) {
        match self.moves.last_mut() {
            Some(Move::Send(input)) => input.extend_from_slice(bytes),
            _ => self.moves.push(Move::Send(bytes.to_vec())),
        }
    }

    fn outside(&self) -> Outside {
        Outside { room: self.room, ..Outside::default() }
    }

    fn check(&self, how: &str, out: &[u8], outside: &Outside, closed: bool) {
        let text = String::from_utf8_lossy(out);
        let lines: Vec<&str> = text.split_terminator("\r\n").collect();
        let log = outside.log.lock().unwrap();
        let stored: Vec<&str> = log.iter().map(String::as_str).collect();
        compare(&format!("{} {how}, replies", self.name), &self.replies, &lines);
        compare(&format!("{} {how}, questions", self.name), &self.stored, &stored);
        assert_eq!(closed, self.closes, "{} {how}: closed", self.name);
    }
}

pub fn compare(what: &str, expected: &[String], got: &[&str]) {
    for (at, pattern) in expected.iter().enumerate() {
        let line = got.get(at).unwrap_or_else(|| panic!("{what}: {pattern:?} is missing; got {got:#?}"));
        assert!(matches(pattern, line), "{what}: expected {pattern:?}, got {line:?}");
    }
    assert_eq!(got.len(), expected.len(), "{what}: too much: {:?}", &got[expected.len().min(got.len())..]);
}

fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn unescape(text: &str) -> String {
    text.replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0")
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
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialog/lmtp");
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 8, "dialogs are missing");
    paths.iter().map(|p| Dialog::read(p)).collect()
}

#[test]
fn at_any_chunk_size() {
    for dialog in dialogs() {
        for sizes in [&[usize::MAX >> 8][..], &[1], &[2], &[3, 1, 7], &[13, 4], &[100, 1]] {
            let session = Session::new(dialog.options.clone());
            let now = Timestamp::from_secs(1_800_000_000);
            let mut bench = Bench { session, outside: dialog.outside(), now, out: Vec::new(), closed: false };
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
        let outside = dialog.outside();
        let connection =
            Connection::new(Session::new(dialog.options.clone()), outside.clone(), pools.clone(), Stop::new(), b"");
        let (out, closed) = smol::block_on(async {
            let listener = smol::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut client = smol::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (server, _) = listener.accept().await.unwrap();
            let server = smol::spawn(connection.run(server, None));
            for step in &dialog.moves {
                let Move::Send(input) = step else { continue };
                drop(client.write_all(input).await);
            }
            drop(client.shutdown(std::net::Shutdown::Write));
            let mut out = Vec::new();
            drop(client.read_to_end(&mut out).await);
            (out, matches!(server.await, lazaret::net::Ended::Closed))
        });
        dialog.check("over TCP", &out, &outside, closed);
    }
}

/// RFC 2920 3.2, 2, 5 and 6.
#[test]
fn replies_that_may_be_held_back() {
    let options = Options { host_name: "x".into(), max_size: 1 << 20, xforward: false };
    let outside = Outside { room: 1 << 20, ..Outside::default() };
    let now = Timestamp::from_secs(1);
    let mut bench = Bench { session: Session::new(options), outside, now, out: Vec::new(), closed: false };
    bench.settle();
    for (line, may) in [
        ("LHLO a", false),
        ("MAIL FROM:<>", true),
        ("NOOP", false),
        ("RCPT TO:<u@example.org>", true),
        ("VRFY u", false),
        ("RSET", true),
        ("TURN", false),
        ("MAIL FROM:<>", true),
        ("RCPT TO:<u@unknown.example>", true),
        ("RCPT TO:<u@example.org>", true),
        ("DATA", false),
    ] {
        bench.input(format!("{line}\r\n").as_bytes(), &[99]);
        assert_eq!(bench.session.may_hold_reply(), may, "{line}");
    }
    assert!(bench.out.ends_with(b"\r\n354 end with CRLF . CRLF\r\n"));
}

#[test]
fn a_thousand_recipients_and_one_more() {
    let mut input = String::from("LHLO a\r\nMAIL FROM:<>\r\n");
    for number in 0..=1000 {
        input += &format!("RCPT TO:<u{number}@example.org>\r\n");
    }
    input += "DATA\r\nA: b\r\n\r\n.\r\nQUIT\r\n";
    for sizes in [&[usize::MAX >> 8][..], &[1], &[1460]] {
        let options = Options { host_name: "x".into(), max_size: 1 << 20, xforward: false };
        let outside = Outside { room: 1 << 20, ..Outside::default() };
        let now = Timestamp::from_secs(1);
        let mut bench = Bench { session: Session::new(options), outside, now, out: Vec::new(), closed: false };
        bench.settle();
        bench.input(input.as_bytes(), sizes);
        let text = String::from_utf8(bench.out).unwrap();
        assert_eq!(text.matches("\r\n250 2.1.5 ").count(), 1000);
        assert_eq!(text.matches("\r\n452 4.5.3 ").count(), 1);
        assert_eq!(text.matches("\r\n250 2.0.0 stored for u").count(), 1000);
        assert!(text.contains("stored for u999@example.org\r\n221 "));
        assert!(bench.closed);
    }
}

mod any_input {
    use super::*;
    use crate::fuzz_lmtp::lmtp;
    use proptest::prelude::*;

    const PARTS: &[&str] = &[
        "LHLO a\r\n",
        "MAIL FROM:<a@b>\r\n",
        "RCPT TO:<c@d>\r\n",
        "RCPT TO:<no@d>\r\n",
        "DATA\r\n",
        ".\r\n",
        "\r\n.\r\n",
        "x",
        "\r",
        "\n",
        ".",
        "RSET\r\n",
        "NOOP\r\n",
        "XFORWARD NAME=a\r\n",
        "\r\n",
        "\u{e9}",
        "QUIT",
        "BDAT 3\r\n",
        "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n",
    ];

    #[test]
    fn dialogs_as_seeds() {
        for dialog in dialogs() {
            for step in &dialog.moves {
                let Move::Send(input) = step else { continue };
                for head in [[0, 0], [0, 255], [6, 70], [30, 128]] {
                    lmtp(&[&head[..], input].concat());
                }
            }
        }
    }

    proptest! {
        #[test]
        fn commands_in_any_order(
            head in any::<[u8; 2]>(),
            parts in prop::collection::vec((prop::sample::select(PARTS), prop::sample::select(vec![1usize, 1, 1, 1, 1, 5000])), 0..40),
        ) {
            let text: String = parts.iter().map(|(part, times)| part.repeat(*times)).collect();
            lmtp(&[&head[..], b"LHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", text.as_bytes()].concat());
        }

        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            lmtp(&bytes);
        }
    }
}
