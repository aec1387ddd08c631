//! The trace: the header block that we put on top of a stored message. It says for whom the message was, who sent it from
//! where, and why it is here.
//!
//! The name's `T=` says how long it is, so removing it gives the original byte for byte whatever a spammer wrote below;
//! and only those bytes are ever read as a trace. Values are escaped so that none holds CR, LF or NUL: `\` and control
//! characters become `\xHH`.

use super::{Class, Kind};
use crate::base::{Timestamp, limits};
use std::fmt::Write;

/// What a trace says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace {
    /// The message id, which is also the reference that a sender is told.
    pub id: String,
    /// When it came.
    pub arrived: Timestamp,
    /// The reverse-path, "" for the null sender.
    pub sender: String,
    /// Those RCPTs that resolved to this tree, verbatim; for outgoing mail all of them.
    pub recipients: Vec<String>,
    /// Class.
    pub class: Class,
    /// Kind.
    pub kind: Kind,
    /// The door and what it was told of the client.
    pub client: Client,
    /// The filter's score, as it wrote it.
    pub score: Option<String>,
    /// Why it was caught, one reason each.
    pub reasons: Vec<String>,
    /// Only the header was kept: the message had this many bytes.
    pub cut_from: Option<u64>,
    /// What its sender was told.
    pub told: Told,
    /// The mail server did not say what white space stood behind the colons of the header: one space was put there.
    pub rebuilt: bool,
    /// Delivery fields that stood above the first Received (Return-Path, Delivered-To …): whole fields, unescaped.
    pub moved: Vec<Vec<u8>>,
}

/// What the sender of a message was told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Told {
    /// Nobody noted it.
    #[default]
    Unknown,
    /// That it was taken.
    Accepted,
    /// That it was refused; the reply, without the reference.
    Refused(String),
}

/// Who handed the message in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Client {
    /// The door: `lmtp`, `milter`, `deposit`, `drop`.
    pub door: String,
    /// IP address.
    pub address: Option<String>,
    /// Host name.
    pub name: Option<String>,
    /// What it called itself.
    pub helo: Option<String>,
    /// The mail server's queue id.
    pub queue_id: Option<String>,
    /// The authenticated sender.
    pub user: Option<String>,
}

const PREFIX: &str = "X-Lazaret-";

/// The words of [`Told`]; a reply follows the second one.
const ACCEPTED: &str = "accepted";
const REFUSED: &str = "refused: ";

/// Fields that tell how a message was delivered, and that would make a later delivery of it bounce as a loop.
const DELIVERY_FIELDS: [&str; 4] = ["return-path", "delivered-to", "x-original-to", "envelope-to"];

impl Trace {
    /// The block as it stands on top of the file, without an empty line after it.
    pub fn render(&self) -> Vec<u8> {
        let mut text = String::new();
        let mut field = |name: &str, value: &str| {
            text.push_str(PREFIX);
            text.push_str(name);
            text.push_str(": ");
            escape(value.as_bytes(), &mut text);
            text.push_str("\r\n");
        };
        field("Id", &self.id);
        field(
            "Arrived",
            &format!("{} ({}.{:06})", self.arrived.rfc5322(), self.arrived.secs(), self.arrived.subsec_micros()),
        );
        field("Sender", &format!("<{}>", self.sender));
        for recipient in &self.recipients {
            field("Recipient", recipient);
        }
        field("Class", self.class.word());
        field("Kind", self.kind.word());
        field("Door", &self.client.door);
        for (name, value) in self.client_fields() {
            if let Some(value) = value {
                field(name, value);
            }
        }
        if let Some(score) = &self.score {
            field("Score", score);
        }
        for reason in &self.reasons {
            field("Reason", reason);
        }
        if let Some(size) = self.cut_from {
            field("Cut-From", &format!("{size}"));
        }
        match &self.told {
            Told::Unknown => {}
            Told::Accepted => field("Told", ACCEPTED),
            Told::Refused(reply) => field("Told", &format!("{REFUSED}{reply}")),
        }
        if self.rebuilt {
            field("Rebuilt", "the mail server did not say what white space stood behind the colons of the header");
        }
        for moved in &self.moved {
            text.push_str(PREFIX);
            text.push_str("Moved: ");
            escape(moved, &mut text);
            text.push_str("\r\n");
        }
        text.into_bytes()
    }

    fn client_fields(&self) -> [(&'static str, Option<&str>); 5] {
        let c = &self.client;
        [
            ("Client-Address", c.address.as_deref()),
            ("Client-Name", c.name.as_deref()),
            ("Client-Helo", c.helo.as_deref()),
            ("Queue-Id", c.queue_id.as_deref()),
            ("User", c.user.as_deref()),
        ]
    }

    /// Reads a block; `bytes` are exactly those that the name's `T=` counts. Fields that are not understood are passed
    /// over: an older or newer version may have written them.
    pub fn parse(bytes: &[u8]) -> Trace {
        let mut trace = Trace::default();
        for line in bytes.split(|&b| b == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let Some(field) = line.strip_prefix(PREFIX.as_bytes()) else { continue };
            let Some(colon) = memchr::memmem::find(field, b": ") else { continue };
            let (name, value) = (field.get(..colon).unwrap_or_default(), field.get(colon + 2..).unwrap_or_default());
            let raw = unescape(value);
            let text = String::from_utf8_lossy(&raw).into_owned();
            match name {
                b"Id" => trace.id = text,
                b"Arrived" => trace.arrived = arrived(&text).unwrap_or_default(),
                b"Sender" => trace.sender = text.trim_start_matches('<').trim_end_matches('>').to_string(),
                b"Recipient" if trace.recipients.len() < limits::LMTP_RECIPIENTS => trace.recipients.push(text),
                b"Class" => trace.class = Class::from_word(&text).unwrap_or_default(),
                b"Kind" => trace.kind = Kind::from_word(&text).unwrap_or_default(),
                b"Door" => trace.client.door = text,
                b"Client-Address" => trace.client.address = Some(text),
                b"Client-Name" => trace.client.name = Some(text),
                b"Client-Helo" => trace.client.helo = Some(text),
                b"Queue-Id" => trace.client.queue_id = Some(text),
                b"User" => trace.client.user = Some(text),
                b"Score" => trace.score = Some(text),
                b"Reason" => trace.reasons.push(text),
                b"Cut-From" => trace.cut_from = text.parse().ok(),
                b"Told" if text == ACCEPTED => trace.told = Told::Accepted,
                b"Told" => {
                    trace.told =
                        text.strip_prefix(REFUSED).map_or(Told::Unknown, |reply| Told::Refused(reply.to_string()));
                }
                b"Rebuilt" => trace.rebuilt = true,
                b"Moved" => trace.moved.push(raw),
                _ => {}
            }
        }
        trace
    }
}

fn arrived(text: &str) -> Option<Timestamp> {
    let (_, rest) = text.rsplit_once('(')?;
    let (secs, micros) = rest.strip_suffix(')')?.split_once('.')?;
    Some(Timestamp(secs.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(micros.parse().ok()?)?))
}

fn escape(value: &[u8], out: &mut String) {
    let mut rest = value;
    while !rest.is_empty() {
        let (good, bad) = match std::str::from_utf8(rest) {
            Ok(text) => (text, &[][..]),
            Err(e) => {
                let (good, bad) = rest.split_at(e.valid_up_to());
                (std::str::from_utf8(good).unwrap_or_default(), bad)
            }
        };
        for c in good.chars() {
            if c == '\\' || c.is_control() {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(out, "\\x{byte:02X}");
                }
            } else {
                out.push(c);
            }
        }
        rest = match bad.split_first() {
            Some((byte, after)) => {
                let _ = write!(out, "\\x{byte:02X}");
                after
            }
            None => &[],
        };
    }
}

fn unescape(value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.strip_prefix(b"x").and_then(|hex| hex.get(..2)).and_then(|h| std::str::from_utf8(h).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| byte == b'\\') {
            Some(code) => {
                bytes.push(code);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    bytes
}

/// The delivery fields that stand above the first Received of a message as it came in, and the message without them.
/// Whole fields, continuation lines included; everything else keeps its bytes and its order.
pub fn split_delivery_fields(message: &[u8]) -> (Vec<Vec<u8>>, Vec<&[u8]>) {
    let mut moved = Vec::new();
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while let Some(rest) = message.get(at..).filter(|r| !r.is_empty()) {
        let end = at + field_len(rest);
        let field = message.get(at..end).unwrap_or_default();
        let Some(colon) = memchr::memchr(b':', field) else { break };
        let name = field.get(..colon).unwrap_or_default().trim_ascii_end();
        if name.eq_ignore_ascii_case(b"received") {
            break;
        }
        if DELIVERY_FIELDS.iter().any(|f| name.eq_ignore_ascii_case(f.as_bytes())) {
            kept.extend(message.get(start..at).filter(|k| !k.is_empty()));
            moved.push(field.trim_ascii_end().to_vec());
            start = end;
        }
        at = end;
    }
    kept.extend(message.get(start..).filter(|k| !k.is_empty()));
    (moved, kept)
}

/// Bytes of the first field, continuation lines and line end included. An empty line is a field of its own.
fn field_len(rest: &[u8]) -> usize {
    let mut end = 0;
    loop {
        let line = rest.get(end..).unwrap_or_default();
        end += memchr::memchr(b'\n', line).map_or(line.len(), |i| i + 1);
        let blank = line.starts_with(b"\n") || line.starts_with(b"\r\n");
        if blank || !matches!(rest.get(end), Some(b' ' | b'\t')) {
            return end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn delivery_fields_above_the_first_received_only() {
        let message = b"Return-Path: <a@b>\r\nX-Spam: yes\r\nDelivered-To: c@d\r\n\te\r\nReceived: x\r\nDelivered-To: inner\r\n\r\nbody";
        let (moved, kept) = split_delivery_fields(message);
        assert_eq!(moved, [b"Return-Path: <a@b>".to_vec(), b"Delivered-To: c@d\r\n\te".to_vec()]);
        assert_eq!(kept.concat(), b"X-Spam: yes\r\nReceived: x\r\nDelivered-To: inner\r\n\r\nbody");
        for whole in
            [&b""[..], b"\r\nDelivered-To: body", b"no header at all", b"Delivered-To", b"A: b\n\nEnvelope-To: x\n"]
        {
            let (moved, kept) = split_delivery_fields(whole);
            assert!(moved.is_empty());
            assert_eq!(kept.concat(), whole);
        }
    }

    proptest! {
        #[test]
        fn any_values_come_back_and_break_no_line(
            sender in ".{0,40}", recipients in proptest::collection::vec(".{0,30}", 0..5), reason: String, helo: Option<String>,
            moved in proptest::collection::vec(any::<u8>(), 0..60), rebuilt: bool, told: Option<Option<String>>, at in 0u64..4_000_000_000_000_000,
        ) {
            let mut trace = Trace { id: "1.M2P3Q4.h".into(), arrived: Timestamp(at), recipients, reasons: vec![reason], rebuilt, ..Trace::default() };
            trace.sender = sender.replace(['<', '>'], "");
            trace.client.helo = helo;
            trace.told = match told {
                None => Told::Unknown,
                Some(None) => Told::Accepted,
                Some(Some(reply)) => Told::Refused(reply),
            };
            trace.moved.push(moved);
            let bytes = trace.render();
            prop_assert!(!bytes.contains(&0));
            prop_assert!(bytes.split_inclusive(|&b| b == b'\n').all(|l| l.starts_with(PREFIX.as_bytes()) && l.ends_with(b"\r\n")));
            prop_assert_eq!(bytes.iter().filter(|&&b| b == b'\r').count(), bytes.iter().filter(|&&b| b == b'\n').count());
            prop_assert_eq!(Trace::parse(&bytes), trace);
        }

        #[test]
        fn splitting_keeps_every_byte(message in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b':'), Just(b' '), Just(b'a')], 0..80)) {
            let (moved, kept) = split_delivery_fields(&message);
            prop_assert!(moved.is_empty());
            prop_assert_eq!(kept.concat(), message);
        }

        #[test]
        fn any_bytes_parse(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Trace::parse(&bytes);
        }
    }
}
