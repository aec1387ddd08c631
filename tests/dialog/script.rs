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
//! write_only empty action folders open and are empty, as in the default configuration; without it they refuse
//! orders 2         so many messages were put into action folders since the start
//! ```
//! After the last line nothing may be left to read on any connection.

use super::world::World;
use lazaret::imap::{Options, Tls};
use std::time::Duration;

/// Where a dialog takes place: over the core itself, or over sockets. Connections are made when they are first named.
pub trait Stage {
    /// What the sessions are told; before the first connection.
    fn options(&mut self) -> &mut Options;
    /// Sends one piece.
    fn send(&mut self, which: usize, input: &[u8]) -> Result<(), String>;
    /// The next line that a connection was sent, without its end.
    fn line(&mut self, which: usize) -> Result<String, String>;
    /// The world changes, and every session that watches it is woken.
    fn change(&mut self, change: &mut dyn FnMut(&mut World)) -> Result<(), String>;
    /// Time passes.
    fn pass(&mut self, time: Duration) -> Result<(), String>;
    /// The server must have closed the connection.
    fn closed(&mut self, which: usize) -> Result<(), String>;
    /// A TLS handshake must have been begun, or is done now, on the first connection.
    fn handshake(&mut self) -> Result<(), String>;
    /// The same for DEFLATE.
    fn deflate(&mut self) -> Result<(), String>;
    /// Nothing may be left to read, and nothing half done.
    fn finish(self) -> Result<(), String>;
}

/// How sessions are made when a script says nothing else.
pub fn usual_options() -> Options {
    Options { tls: Tls::Absent, plain_login: true, scram: false, host: "mail.example.org".into() }
}

/// Plays a script.
pub fn play(script: &str, mut stage: impl Stage) -> Result<(), String> {
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
                    flush(&mut stage, &mut pending).map_err(fail)?;
                    pending = Some((which, bytes));
                }
            }
            continue;
        }
        flush(&mut stage, &mut pending).map_err(fail)?;
        match word {
            "" | "#" => {}
            "given" => match rest {
                "tls offered" => stage.options().tls = Tls::Offered,
                "tls active" => stage.options().tls = Tls::Active,
                "tls absent" => stage.options().tls = Tls::Absent,
                "scram" => stage.options().scram = true,
                "secret" => stage.options().plain_login = false,
                _ => return Err(fail("unknown".into())),
            },
            "deliver" => {
                let (folder, text) = rest.split_once(' ').ok_or_else(|| fail("folder and text".into()))?;
                let message = [b"Subject: ", &unescape(text)[..], b"\r\n\r\n", text.as_bytes(), b"\r\n"].concat();
                let mut change = |world: &mut World| {
                    world.deliver(folder, &message);
                };
                stage.change(&mut change).map_err(&fail)?;
            }
            "recipient" => {
                let (folder, recipient) = rest.split_once(' ').ok_or_else(|| fail("folder and recipient".into()))?;
                let message = b"To: other@example.org\r\n\r\n";
                stage.change(&mut |world| world.deliver_to(folder, recipient, message)).map_err(&fail)?;
            }
            "remove" => {
                let (folder, uid) = rest.split_once(' ').ok_or_else(|| fail("folder and UID".into()))?;
                let uid = uid.parse().map_err(|_| fail("UID".into()))?;
                stage.change(&mut |world| world.remove(folder, uid)).map_err(&fail)?;
            }
            "folder" => {
                let (name, rights) = rest.rsplit_once(' ').ok_or_else(|| fail("name and rights".into()))?;
                let rights = if rights == "li" { "li" } else { "lrswite" };
                stage.change(&mut |world| world.folder(name, None, rights)).map_err(&fail)?;
            }
            "unsubscribed" => {
                let mut change = |world: &mut World| world.find(rest).into_iter().for_each(|f| f.subscribed = false);
                stage.change(&mut change).map_err(&fail)?;
            }
            "write_only" => match rest {
                "empty" => stage.change(&mut |world| world.opens_empty = true).map_err(&fail)?,
                _ => return Err(fail("unknown".into())),
            },
            "full" => stage.change(&mut |world| world.full = true).map_err(&fail)?,
            _ if word.starts_with("login") => {
                let which = peer_number(&word[5..]).map_err(&fail)?;
                quietly(&mut stage, which, "login LOGIN alice secret").map_err(&fail)?;
            }
            _ if word.starts_with("open") => {
                let which = peer_number(&word[4..]).map_err(&fail)?;
                quietly(&mut stage, which, &format!("open SELECT \"{rest}\"")).map_err(&fail)?;
            }
            "orders" => {
                let mut orders = 0;
                stage.change(&mut |world| orders = world.orders).map_err(&fail)?;
                if orders.to_string() != rest {
                    return Err(fail(format!("{orders} orders")));
                }
            }
            "deflate" => stage.deflate().map_err(&fail)?,
            "tls" => stage.handshake().map_err(&fail)?,
            "S{" => {
                let mut wanted: Vec<&str> = Vec::new();
                for (_, line) in lines.by_ref() {
                    if line == "}" {
                        break;
                    }
                    wanted.push(line);
                }
                while !wanted.is_empty() {
                    let got = stage.line(1).map_err(&fail)?;
                    let at = wanted.iter().position(|w| fits(w, &got));
                    wanted.remove(at.ok_or_else(|| fail(format!("got {got:?}, wanted one of {wanted:?}")))?);
                }
            }
            _ if word.starts_with("close") => {
                let which = peer_number(&word[5..]).map_err(&fail)?;
                stage.closed(which).map_err(&fail)?;
            }
            _ if word.starts_with('+') => {
                let (amount, unit) = word[1..].split_at(word.len() - 2);
                let amount: u64 = amount.parse().map_err(|_| fail("a time".into()))?;
                stage.pass(Duration::from_secs(amount * if unit == "m" { 60 } else { 1 })).map_err(&fail)?;
            }
            _ => match word.strip_prefix('S').and_then(|w| w.strip_suffix(':')) {
                Some(which) => {
                    let got = stage.line(peer_number(which).map_err(&fail)?).map_err(&fail)?;
                    if !fits(rest, &got) {
                        return Err(fail(format!("got {got:?}")));
                    }
                }
                None => return Err(fail("unknown".into())),
            },
        }
    }
    flush(&mut stage, &mut pending)?;
    stage.finish()
}

fn flush(stage: &mut impl Stage, pending: &mut Option<(usize, Vec<u8>)>) -> Result<(), String> {
    pending.take().map_or(Ok(()), |(which, input)| stage.send(which, &input))
}

/// Carries out a command whose answer is of no interest, as long as it is OK.
fn quietly(stage: &mut impl Stage, which: usize, command: &str) -> Result<(), String> {
    stage.send(which, format!("{command}\r\n").as_bytes())?;
    let tag = command.split(' ').next().unwrap_or_default();
    loop {
        let line = stage.line(which)?;
        if let Some(rest) = line.strip_prefix(tag) {
            return if rest.starts_with(" OK") { Ok(()) } else { Err(line) };
        }
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
