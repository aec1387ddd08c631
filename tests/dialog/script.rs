//! Dialogs as text. A line of a script is one of:
//!
//! ```text
//! # comment
//! given tls absent|offered|active     before the first C: (absent, passwords allowed, if not given)
//! given secret                        passwords only over TLS; scram: some account can log in so
//! C: a NOOP        a client's line; C2: of the second connection. Lines in a row are sent in one piece
//! R: a\r\n         the same without the line end; \r \n \0 \\ \xff are bytes, \*5000x repeats x
//! login            logs in; login2 on the second connection. open F: opens a folder; neither answer is compared
//! S: a OK *        what comes back, line by line; ` *` at the end is any rest. Lines of a literal are lines
//! S{ … }           these lines in any order
//! close            the server closed the connection; close2 the second one
//! tls              a TLS handshake was done; deflate: DEFLATE was begun
//! +30m             time passes (s, m)
//! deliver F text   a message comes into folder F, its subject with escapes as in R:; remove F uid; folder NAME rights; full: the disk is full at the next piece
//! recipient F a@b  a message comes into folder F whose trace says that it is for a@b
//! orders 2         so many messages were put into action folders since the start
//! ```
//! After the last line nothing may be left to read on any connection.

use super::fake::Peer;
use super::oracle;
use super::world::World;
use lazaret::base::Timestamp;
use lazaret::imap::{Options, Tls};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

struct Run {
    world: Rc<RefCell<World>>,
    peers: BTreeMap<usize, (Peer, usize)>,
    options: Options,
    now: Timestamp,
    chunk: usize,
}

/// Runs a script, input cut into chunks of at most `chunk` bytes.
pub fn run(script: &str, chunk: usize) -> Result<(), String> {
    let options = Options { tls: Tls::Absent, plain_login: true, scram: false, host: "mail.example.org".into() };
    let now = Timestamp::from_secs(1_700_000_000);
    let world = Rc::new(RefCell::new(World::new()));
    let mut run = Run { world, peers: BTreeMap::new(), options, now, chunk };
    let mut pending: Option<(usize, Vec<u8>)> = None;
    let mut lines = script.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let fail = |why: String| format!("line {}: {line}\n  {why}", number + 1);
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let client = word.strip_suffix(':').and_then(|w| w.strip_prefix(['C', 'R']));
        if let Some(which) = client {
            let which = peer_number(which).map_err(fail)?;
            let bytes = if word.starts_with('R') { unescape(rest) } else { format!("{rest}\r\n").into_bytes() };
            match &mut pending {
                Some((same, input)) if *same == which => input.extend(bytes),
                _ => {
                    run.flush(&mut pending);
                    pending = Some((which, bytes));
                }
            }
            continue;
        }
        run.flush(&mut pending);
        match word {
            "" | "#" => {}
            "given" => match rest {
                "tls offered" => run.options.tls = Tls::Offered,
                "tls active" => run.options.tls = Tls::Active,
                "tls absent" => run.options.tls = Tls::Absent,
                "scram" => run.options.scram = true,
                "secret" => run.options.plain_login = false,
                _ => return Err(fail("unknown".into())),
            },
            "deliver" => {
                let (folder, text) = rest.split_once(' ').ok_or_else(|| fail("folder and text".into()))?;
                run.world.borrow_mut().deliver(
                    folder,
                    &[b"Subject: ", &unescape(text)[..], b"\r\n\r\n", text.as_bytes(), b"\r\n"].concat(),
                );
                run.wake_all();
            }
            "recipient" => {
                let (folder, recipient) = rest.split_once(' ').ok_or_else(|| fail("folder and recipient".into()))?;
                run.world.borrow_mut().deliver_to(folder, recipient, b"To: other@example.org\r\n\r\n");
                run.wake_all();
            }
            "remove" => {
                let (folder, uid) = rest.split_once(' ').ok_or_else(|| fail("folder and UID".into()))?;
                run.world.borrow_mut().remove(folder, uid.parse().map_err(|_| fail("UID".into()))?);
                run.wake_all();
            }
            "folder" => {
                let (name, rights) = rest.rsplit_once(' ').ok_or_else(|| fail("name and rights".into()))?;
                let rights = if rights == "li" { "li" } else { "lrswite" };
                run.world.borrow_mut().folder(name, None, rights);
            }
            "unsubscribed" => {
                if let Some(folder) = run.world.borrow_mut().find(rest) {
                    folder.subscribed = false;
                }
            }
            "full" => run.world.borrow_mut().full = true,
            _ if word.starts_with("login") => {
                let which = peer_number(&word[5..]).map_err(&fail)?;
                run.quietly(which, "login LOGIN alice secret").map_err(&fail)?;
            }
            _ if word.starts_with("open") => {
                let which = peer_number(&word[4..]).map_err(&fail)?;
                run.quietly(which, &format!("open SELECT \"{rest}\"")).map_err(&fail)?;
            }
            "orders" => {
                let orders = run.world.borrow().orders;
                if orders.to_string() != rest {
                    return Err(fail(format!("{orders} orders")));
                }
            }
            "deflate" => {
                if run.peer(1).0.deflates != 1 {
                    return Err(fail("DEFLATE was not begun".into()));
                }
            }
            "tls" => {
                if run.peer(1).0.handshakes != 1 {
                    return Err(fail("no handshake was done".into()));
                }
            }
            "S{" => {
                let mut wanted: Vec<&str> = Vec::new();
                for (_, line) in lines.by_ref() {
                    if line == "}" {
                        break;
                    }
                    wanted.push(line);
                }
                while !wanted.is_empty() {
                    let got = run.line(1).map_err(&fail)?;
                    let at = wanted.iter().position(|w| fits(w, &got));
                    wanted.remove(at.ok_or_else(|| fail(format!("got {got:?}, wanted one of {wanted:?}")))?);
                }
            }
            _ if word.starts_with("close") => {
                let which = peer_number(&word[5..]).map_err(&fail)?;
                if !run.peer(which).0.closed {
                    return Err(fail("the connection is open".into()));
                }
            }
            _ if word.starts_with('+') => {
                let (amount, unit) = word[1..].split_at(word.len() - 2);
                let amount: u64 = amount.parse().map_err(|_| fail("a time".into()))?;
                run.now = run.now.after(Duration::from_secs(amount * if unit == "m" { 60 } else { 1 }));
                run.wake_all();
            }
            _ => match word.strip_prefix('S').and_then(|w| w.strip_suffix(':')) {
                Some(which) => {
                    let got = run.line(peer_number(which).map_err(&fail)?).map_err(&fail)?;
                    if !fits(rest, &got) {
                        return Err(fail(format!("got {got:?}")));
                    }
                }
                None => return Err(fail("unknown".into())),
            },
        }
    }
    run.flush(&mut pending);
    for (which, (peer, read)) in &run.peers {
        let left = &peer.sent[*read..];
        if !left.is_empty() {
            return Err(format!("connection {which}: not expected: {}", String::from_utf8_lossy(left)));
        }
        oracle::check(&peer.sent).map_err(|why| format!("connection {which}: {why}"))?;
    }
    if run.world.borrow().appends != 0 {
        return Err("an append was neither finished nor cancelled".into());
    }
    Ok(())
}

impl Run {
    /// A connection, made when it is first named.
    fn peer(&mut self, which: usize) -> &mut (Peer, usize) {
        let now = self.now;
        self.peers.entry(which).or_insert_with(|| {
            let mut peer = Peer::new(self.world.clone(), self.options.clone());
            peer.run(now);
            (peer, 0)
        })
    }

    fn flush(&mut self, pending: &mut Option<(usize, Vec<u8>)>) {
        if let Some((which, input)) = pending.take() {
            let (chunk, now) = (self.chunk, self.now);
            self.peer(which).0.send(&input, chunk, now);
            self.wake_all();
        }
    }

    fn wake_all(&mut self) {
        let now = self.now;
        self.peers.values_mut().for_each(|(peer, _)| peer.run(now));
    }

    /// Carries out a command whose answer is of no interest, as long as it is OK.
    fn quietly(&mut self, which: usize, command: &str) -> Result<(), String> {
        self.flush(&mut Some((which, format!("{command}\r\n").into_bytes())));
        let tag = command.split(' ').next().unwrap_or_default();
        loop {
            let line = self.line(which)?;
            if let Some(rest) = line.strip_prefix(tag) {
                return if rest.starts_with(" OK") { Ok(()) } else { Err(line) };
            }
        }
    }

    /// The next line that a connection was sent.
    fn line(&mut self, which: usize) -> Result<String, String> {
        let (peer, read) = self.peer(which);
        let left = &peer.sent[*read..];
        let end = left.iter().position(|&b| b == b'\n').ok_or("nothing came")?;
        let line = left[..end].strip_suffix(b"\r").unwrap_or(&left[..end]);
        let line = String::from_utf8_lossy(line).into_owned();
        *read += end + 1;
        Ok(line)
    }
}

fn peer_number(text: &str) -> Result<usize, String> {
    if text.is_empty() { Ok(1) } else { text.parse().map_err(|_| "no connection".to_string()) }
}

/// A star at the end is any text, two stars anywhere, once, too.
pub fn fits(pattern: &str, line: &str) -> bool {
    if let Some((beginning, end)) = pattern.split_once("**") {
        let Some(left) = line.strip_prefix(beginning) else { return false };
        return (0..=left.len()).any(|at| left.get(at..).is_some_and(|left| fits(end, left)));
    }
    match pattern.strip_suffix(" *") {
        Some(beginning) => line.strip_prefix(beginning).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')),
        None => pattern == line,
    }
}

/// Bytes of an `R:` line.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let escape = rest.chars().next().expect("something after a backslash");
        rest = &rest[1..];
        match escape {
            'r' => bytes.push(b'\r'),
            'n' => bytes.push(b'\n'),
            '0' => bytes.push(0),
            'x' => {
                bytes.push(u8::from_str_radix(&rest[..2], 16).expect("two hexadecimal digits"));
                rest = &rest[2..];
            }
            '*' => {
                let end = rest.find(|c: char| !c.is_ascii_digit()).expect("a character after the number");
                let count: usize = rest[..end].parse().expect("a number");
                bytes.extend(std::iter::repeat_n(rest.as_bytes()[end], count));
                rest = &rest[end + 1..];
            }
            other => bytes.push(other as u8),
        }
    }
    bytes
}
