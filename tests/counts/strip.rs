//! What comes between a kept message and its original. Where it is released, the name says how long the trace is, the trace
//! is read, the rest goes out below our own line, and what our filter wrote is put aside; where it is shown, the rest is read
//! from the file.

use crate::mails::{LARGE, SMALL, with_lf};
use crate::{Program, Scratch};
use lazaret::base::{FileRange, Form, Timestamp};
use lazaret::disk::wire::Reader;
use lazaret::mail::name::Base;
use lazaret::mail::trace::Client;
use lazaret::mail::{Name, Trace, prerelease};
use lazaret::net::smtp::compose;
use std::fs::File;
use std::sync::Arc;

const RECEIVED: &str = "Received: from lazaret by mx.test with LMTP id 1;\r\n\tTue, 14 Nov 2023 22:13:20 +0000\r\n";
/// So often the small messages, and once the large ones.
const ROUNDS: usize = 40;

/// A message as it lies in a tree.
struct Kept {
    name: String,
    form: Form,
    bytes: Vec<u8>,
    file: Arc<File>,
    original: &'static [u8],
    /// What was released last.
    released: Vec<u8>,
    /// What was read last.
    shown: Vec<u8>,
}

pub struct Strip {
    small: Vec<Kept>,
    large: Vec<Kept>,
    /// What our filter writes.
    own: Vec<String>,
}

impl Strip {
    pub fn new() -> Self {
        let scratch = Scratch::new("strip");
        let both = |(number, original): (usize, &&'static [u8])| {
            [Form::Crlf, Form::Lf].map(|form| Kept::new(original, number as u32, form, &scratch))
        };
        let [small, large] = [SMALL, LARGE].map(|mails| mails.iter().enumerate().flat_map(both).collect());
        let own = ["X-Spam-Flag", "X-Spam-Status", "X-Spamd-Result"].map(String::from).into();
        Strip { small, large, own }
    }
}

impl Kept {
    fn new(original: &'static [u8], number: u32, form: Form, scratch: &Scratch) -> Self {
        let base = Base::new(Timestamp::from_secs(1_700_000_000), 7, number, "mx.test");
        let trace = Trace {
            id: base.to_string(),
            sender: "spammer@bulk.example".into(),
            recipients: (0..=number % 4).map(|n| format!("<alice+{n}@example.org>")).collect(),
            client: Client { door: "milter".into(), address: Some("192.0.2.7".into()), ..Client::default() },
            reasons: (0..12).map(|n| format!("RULE_{n} ({n}.50) what was \\ found, in \"words\"")).collect(),
            moved: vec![b"Return-Path: <spammer@bulk.example>".to_vec()],
            ..Trace::default()
        };
        let head = trace.render();
        let body = if form == Form::Lf { with_lf(original) } else { original.to_vec() };
        let mut name = Name::new(base, (head.len() + body.len()) as u64);
        (name.uid, name.trace) = (Some(number + 1), head.len() as u32);
        name.wire_size = (form == Form::Lf).then_some((head.len() + original.len()) as u64);
        let bytes = [head, body].concat();
        let file = Arc::new(scratch.file(&name.to_string(), &bytes));
        Kept { name: name.to_string(), form, bytes, file, original, released: Vec::new(), shown: Vec::new() }
    }

    fn strip(&mut self, own: &[String]) {
        let name = Name::parse(&self.name).expect("a name that was written is read");
        let size = name.size_on_wire().unwrap_or_default();
        let (head, below) = self.bytes.split_at(name.trace as usize);
        assert!(!Trace::parse(head).recipients.is_empty());
        let message = compose(RECEIVED, below, self.form, size as usize).expect("it is in memory");
        self.released = prerelease::set_aside(message, RECEIVED.len(), own);

        let start = u64::from(name.trace);
        let range = FileRange { file: self.file.clone(), start, len: size - start, form: self.form };
        let mut reader = Reader::new(range);
        self.shown.clear();
        while !reader.is_done() {
            self.shown.extend(reader.next_piece().expect("it is there"));
        }
    }
}

impl Program for Strip {
    fn work(&mut self) {
        for _ in 0..ROUNDS {
            self.small.iter_mut().for_each(|kept| kept.strip(&self.own));
        }
        self.large.iter_mut().for_each(|kept| kept.strip(&self.own));
    }

    fn check(&self) {
        let mut aside = 0;
        for kept in self.small.iter().chain(&self.large) {
            let released = kept.released.strip_prefix(RECEIVED.as_bytes()).expect("our line on top");
            let prefix = "X-Pre-Release-";
            let text = String::from_utf8_lossy(released);
            aside += text.matches(prefix).count();
            let original = String::from_utf8_lossy(kept.original);
            assert!(text.replace(prefix, "") == original, "{}: not the original is released", kept.name);
            assert!(kept.shown == kept.original, "{}: not the original is shown", kept.name);
        }
        assert!(aside > 0, "nothing was put aside");
    }
}
