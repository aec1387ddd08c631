//! IMAP sessions over the mail store of the dialogs. The first byte says how the input is cut and where the session
//! stands when it begins; what follows 0xFD is no input but an event: a message comes or goes, the other session speaks.
#![no_main]

#[path = "../../dialog/fake.rs"]
#[allow(dead_code)] // the dialogs use more of it
mod fake;
mod mail;
mod plant;
#[path = "../../dialog/world.rs"]
#[allow(dead_code)] // the dialogs use more of it
mod world;

use fake::Peer;
use lazaret::base::Timestamp;
use lazaret::imap::{Options, Tls};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use world::World;

fuzz_target!(|data: &[u8]| {
    let Some((&how, input)) = data.split_first() else { return };
    let chunk = [usize::MAX, 1, 7, 64][usize::from(how & 3)];
    let sent = talk(how, input, chunk);
    // What NOTIFY tells comes between commands: where they are cut shows (RFC 5465 3).
    let asynchronous = input.windows(6).any(|word| word.eq_ignore_ascii_case(b"NOTIFY"));
    if chunk != usize::MAX && !asynchronous && talk(how, input, usize::MAX) != sent {
        panic!("chunks change the answer");
    }
    for stream in &sent.streams {
        readable(stream);
    }
    // At the very end: a fuzzer learns from the last few comparisons only.
    plant::planted(sent.named.as_bytes());
});

/// What a conversation came to.
#[derive(PartialEq)]
struct Talk {
    /// What both sessions were sent.
    streams: [Vec<u8>; 2],
    /// The folder that was named last.
    named: String,
}

fn talk(how: u8, input: &[u8], chunk: usize) -> Talk {
    let mut now = Timestamp::from_secs(1_700_000_000);
    let tls = if how & 64 == 0 { Tls::Absent } else { Tls::Offered };
    let options = Options { tls, plain_login: how & 128 == 0, scram: false, host: "h".into() };
    let start = ["", "a LOGIN alice secret\r\n", "b SELECT Caught\r\n", "b EXAMINE Caught\r\n"];
    let (start, select) = match how >> 2 & 3 {
        0 => ("", ""),
        1 => (start[1], ""),
        2 => (start[1], start[2]),
        _ => (start[1], start[3]),
    };
    let mut world = World::new();
    world.piece = if how & 16 == 0 { 2 } else { 100 };
    if how & 32 != 0 {
        for message in mail::MESSAGES {
            world.deliver("Caught", message);
        }
    }
    let world = Rc::new(RefCell::new(world));
    let mut peers = [Peer::new(world.clone(), options.clone()), Peer::new(world.clone(), options)];
    for peer in &mut peers {
        peer.run(now);
        peer.send(start.as_bytes(), usize::MAX, now);
        peer.send(select.as_bytes(), usize::MAX, now);
    }
    let mut who = 0;
    for (number, part) in input.split(|b| *b == 0xfd).enumerate() {
        let mut part = part;
        if number > 0 {
            let Some((&event, rest)) = part.split_first() else { continue };
            part = rest;
            match event {
                b'1' | b'2' => who = usize::from(event - b'1'),
                b'd' => drop(world.borrow_mut().deliver("Caught", b"Subject: new\r\n\r\nnew\r\n")),
                b't' => drop(world.borrow_mut().deliver("Trash", b"")),
                b'f' => world.borrow_mut().full = true,
                b's' => now = now.after(Duration::from_secs(61)),
                b'm' => now = now.after(Duration::from_secs(1_861)),
                b'a'..=b'z' => world.borrow_mut().remove("Caught", u32::from(event - b'a') + 11),
                _ => world.borrow_mut().modseq += 1,
            }
            peers.iter_mut().for_each(|peer| peer.run(now));
        }
        peers[who].send(part, chunk, now);
    }
    // Silence ends every session (RFC 3501 5.4), whatever it was at.
    now = now.after(Duration::from_secs(2 * 3_600));
    for peer in &mut peers {
        peer.run(now);
        assert!(peer.closed, "silence does not end the session");
    }
    // What a session was at when it ended is dropped with its bridge.
    assert!((0..=2).contains(&world.borrow().appends), "an APPEND was neither finished nor cancelled");
    let named = world.borrow().named.clone();
    Talk { streams: peers.map(|peer| peer.sent), named }
}

/// Reads the stream as a client does: lines that end in CRLF, whole literals, quotes and parentheses that close.
fn readable(mut stream: &[u8]) {
    while !stream.is_empty() {
        response(&mut stream);
    }
}

/// Takes one response off the stream; its bytes without literals.
fn response(stream: &mut &[u8]) -> Vec<u8> {
    let mut line = Vec::new();
    loop {
        let end = stream.iter().position(|b| *b == b'\n').expect("the last line ends");
        let (now, rest) = stream.split_at(end + 1);
        let now = now.strip_suffix(b"\r\n").expect("lines end in CRLF");
        assert!(!now.contains(&b'\r') && !now.contains(&0), "{:?}", String::from_utf8_lossy(now));
        line.extend_from_slice(now);
        *stream = rest;
        let Some(length) = literal(now) else { break };
        assert!(length <= stream.len(), "a literal is cut: {:?}", String::from_utf8_lossy(&line));
        *stream = &stream[length..];
    }
    let is_fetch = line.get(2).is_some_and(u8::is_ascii_digit) && line.starts_with(b"* ");
    let data = [&b"* LIST"[..], b"* LSUB", b"* STATUS", b"* ACL", b"* NAMESPACE", b"* FLAGS"];
    if is_fetch || data.iter().any(|word| line.starts_with(word)) {
        balanced(&line);
    }
    line
}

/// The length that a line announces at its end.
fn literal(line: &[u8]) -> Option<usize> {
    let inside = line.strip_suffix(b"}")?;
    let open = inside.iter().rposition(|b| *b == b'{')?;
    std::str::from_utf8(&inside[open + 1..]).ok()?.parse().ok()
}

fn balanced(line: &[u8]) {
    let (mut depth, mut quoted, mut bytes) = (0_i32, false, line.iter());
    while let Some(byte) = bytes.next() {
        match (byte, quoted) {
            (b'"', _) => quoted = !quoted,
            (b'\\', true) => drop(bytes.next()),
            (b'(', false) => depth += 1,
            (b')', false) => depth -= 1,
            _ => {}
        }
        assert!(depth >= 0, "too many closed: {:?}", String::from_utf8_lossy(line));
    }
    assert!(depth == 0 && !quoted, "something is open: {:?}", String::from_utf8_lossy(line));
}
