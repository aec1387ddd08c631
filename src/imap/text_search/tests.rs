use super::*;
use crate::base::Form;
use crate::imap::content::{Bytes, Row};
use crate::imap::{outline, search};
use crate::mail::mime::Structure;
use proptest::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// A message in memory, and what was kept of its texts.
struct Stored {
    bytes: Vec<u8>,
    signature: Option<Signature>,
    /// It was read.
    is_read: bool,
    /// Its parts cannot be read.
    is_cut: bool,
}

impl Stored {
    fn new(bytes: Vec<u8>) -> Self {
        Stored { bytes, signature: None, is_read: false, is_cut: false }
    }

    fn all(&mut self) -> &[u8] {
        self.is_read = true;
        &self.bytes
    }
}

impl Content for Stored {
    fn row(&self) -> Row {
        Row { size: self.bytes.len() as u64, ..Row::default() }
    }
    fn id(&self) -> io::Result<String> {
        Ok("id".into())
    }
    fn header(&mut self) -> io::Result<Slice> {
        let end = header::end(&self.bytes);
        Ok(self.all()[..end].to_vec().into())
    }
    fn pick(&mut self, names: Names, not: bool, out: &mut Vec<u8>) -> io::Result<bool> {
        let block = self.header()?;
        Ok(outline::pick(&outline::of(&header::fields(&block).collect::<Vec<_>>()), &block, names, not, out))
    }
    fn signature(&mut self) -> io::Result<Option<Signature>> {
        Ok(self.signature.clone())
    }
    fn begin_signature(&mut self) -> bool {
        true
    }
    fn sign(&mut self, made: Signature) {
        self.signature = Signature::read(made.bytes().to_vec().into());
    }
    fn envelope(&mut self) -> io::Result<Slice> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn body_structure(&mut self) -> io::Result<Slice> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn body(&mut self) -> io::Result<Slice> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn structure(&mut self) -> io::Result<Arc<Structure>> {
        Ok(Arc::new(Structure::of(self.all(), Form::Crlf)))
    }
    fn bytes(&mut self, range: Range<u64>) -> io::Result<Bytes> {
        Ok(Bytes::Held(self.read(range, usize::MAX)?))
    }
    fn raw(&mut self, _: Range<u64>, _: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn preview(&mut self, _: bool) -> io::Result<Option<String>> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn read(&mut self, range: Range<u64>, most: usize) -> io::Result<Slice> {
        if self.is_cut {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let bytes = &self.all()[range.start as usize..range.end as usize];
        Ok(bytes[..most.min(bytes.len())].to_vec().into())
    }
}

fn wire(text: &str) -> Stored {
    Stored::new(text.replace('\n', "\r\n").into_bytes())
}

const NEWS: &str = "From: a@x.test\nX-Mailer: The Bat\nSubject: =?utf-8?q?Cr=C3=A8me?= brulee\n\
    Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html; charset=iso-8859-1\n\
    Content-Transfer-Encoding: quoted-printable\n\n<p>caf=E9 <b>la</b>tte <a href=\"http://link.test/\">here</a>\n--b\n\
    Content-Type: message/rfc822\n\nSubject: inner words\n\nenclosed\n--b\nContent-Type: image/png; name=picture.png\n\npixels\n--b--\n";

/// What a key says of a message that has a signature, before it is read.
fn asked(key: &Key) -> Option<bool> {
    let mut message = wire(NEWS);
    sign(&mut message).unwrap();
    message.is_read = false;
    let against = search::Against { recent: &Default::default(), now: crate::base::Timestamp(0) };
    let glanced = search::glance(key, &mut message, &against).unwrap();
    assert!(!message.is_read, "a glance opens nothing");
    let plain = search::matches(key, &mut wire(NEWS), &against).unwrap();
    assert_eq!(search::matches(key, &mut message, &against).unwrap(), plain, "{key:?}");
    assert!(glanced.is_none_or(|glanced| glanced == plain), "{key:?}");
    assert!(glanced.is_some() || message.is_read, "{key:?}");
    glanced
}

#[test]
fn what_is_not_there_is_told_without_reading() {
    let text = |value: &str| Key::Text(Manner::Exact.fold(value).into());
    let body = |value: &str| Key::Body(Manner::Exact.fold(value).into());
    let field = |name: &str, value: &str| Key::Header { name: name.into(), value: Manner::Exact.fold(value).into() };
    for absent in [
        text("zyzzyva"),
        body("zyzzyva"),
        body("inner words"),
        body("The Bat"),
        text("pixels"),
        field("x-mailer", "zyzzyva"),
        field("list-id", "x.test"),
        field("list-id", ""),
        Key::And(vec![text("Cr\u{e8}me"), text("zyzzyva")]),
        Key::Or(vec![text("zyzzyva"), body("quokka")]),
        Key::not(Key::not(body("quokka"))),
    ] {
        assert_eq!(asked(&absent), Some(false), "{absent:?}");
        assert_eq!(asked(&Key::not(absent)), Some(true));
    }
    for there in [
        text("cre\u{300}me"),
        text("CAF\u{c9} latte"),
        body("link.test"),
        body("latte"),
        text("inner words"),
        text("picture.png"),
        body("enclosed"),
        field("x-mailer", "bat"),
        field("x-mailer", ""),
        Key::And(vec![text("latte"), body("caf\u{e9}")]),
        Key::Or(vec![text("zyzzyva"), body("latte")]),
        Key::not(Key::not(text("latte"))),
    ] {
        assert_eq!(asked(&there), None, "{there:?}");
    }
    // Of loose texts there is no signature.
    assert_eq!(asked(&Key::Fuzzy(Box::new(Key::Text("ZYZZYVA".into())))), None);
    assert_eq!(asked(&Key::And(vec![Key::none(), text("latte")])), Some(false));
}

#[test]
fn the_recipient_of_the_trace_is_not_denied() {
    let mut message = wire("X-Lazaret-Recipient: <bob@x.test>\n\nx");
    sign(&mut message).unwrap();
    let mut has =
        |name: &[u8], value: &str| field_has(&mut message, name, &value.into(), Manner::Exact, Depth::AtHand).unwrap();
    // Without the catalogue's length of the trace nothing is in it: what counts is that it must be looked at.
    assert_eq!([has(b"to", "BOB@"), has(b"to", ""), has(b"list-id", "BOB@")], [None, None, Some(false)]);
}

#[test]
fn what_cannot_be_read_makes_no_signature() {
    let mut message = Stored { is_cut: true, ..wire(NEWS) };
    let mut look = |value: &str| has(&mut message, &value.into(), Within::All, Manner::Exact, Depth::Whole);
    assert_eq!(look("THE BAT").unwrap(), Some(true), "it is found before");
    assert!(look("LATTE").is_err());
    assert!(message.signature.is_none() && sign(&mut message).is_err());
}

/// A part: its type, charset and transfer encoding, and its text.
type Made = (&'static str, &'static str, &'static str, String);

fn made() -> impl Strategy<Value = Made> {
    let one_of = |all: &'static [&'static str]| prop::sample::select(all);
    (
        one_of(&["text/plain", "text/html", "message/rfc822", "application/pdf", "nonsense"]),
        one_of(&["utf-8", "iso-8859-1", "koi8-r", "utf-16", "shift_jis", "utf-7", "x-unknown"]),
        one_of(&["8bit", "base64", "quoted-printable", "x-unknown"]),
        "([ -~]{0,30}|\\PC{0,9}|[a\u{300}-\u{330}ßﬁ가ǆ ]{0,6}|<[bp]>|\r\n){0,6}",
    )
}

fn message((fields, parts): (String, Vec<Made>)) -> Vec<u8> {
    use base64::Engine;
    let mut bytes = format!("{fields}Content-Type: multipart/mixed; boundary=b\r\n\r\n").into_bytes();
    for (kind, charset, encoding, text) in parts {
        let head =
            format!("--b\r\nContent-Type: {kind}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n");
        bytes.extend_from_slice(head.as_bytes());
        match encoding {
            "base64" => bytes.extend(base64::engine::general_purpose::STANDARD.encode(text).bytes()),
            "quoted-printable" => bytes.extend(text.bytes().flat_map(|byte| format!("={byte:02X}").into_bytes())),
            _ => bytes.extend(text.bytes()),
        }
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"--b--\r\n");
    bytes
}

/// A piece of a text, by two places in it.
fn piece(text: &str, (from, to): (prop::sample::Index, prop::sample::Index)) -> &str {
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let (a, b) = (*from.get(ends.as_slice()), *to.get(ends.as_slice()));
    &text[a.min(b)..a.max(b)]
}

#[test]
fn only_the_trace_says_for_whom_it_is() {
    let block = b"X-Lazaret-Recipient: <Bob@x.test>\r\nTo: al@x.test\r\nX-Lazaret-Recipient: <eve@x.test>\r\n\r\n";
    let has = |trace, name: &[u8], value: &str| {
        block_has(block, trace, name, &Manner::Exact.fold(value).into(), Manner::Exact)
    };
    assert!(has(35, b"to", "bob@") && has(35, b"to", "AL@"));
    assert!(!has(35, b"to", "eve@") && !has(0, b"to", "bob@") && !has(35, b"cc", "bob@"));
    assert!(has(35, b"x-lazaret-recipient", "bob@") && has(35, b"x-lazaret-recipient", "eve@"));
}

proptest! {
    #[test]
    fn a_signature_denies_nothing_that_reading_finds(
        all in (
            "((Subject|X-Mailer|To|X-Lazaret-Recipient): ([ -~]{0,20}|[é\u{301}ßﬁǆ ]{0,5}|=\\?utf-8\\?q\\?[a-z=C3A4]{0,8}\\?=){0,3}\r\n){0,5}",
            prop::collection::vec(made(), 0..4),
        ),
        which: prop::sample::Index,
        ends: (prop::sample::Index, prop::sample::Index),
        other in "\\PC{0,5}|[a-z]{1,4}",
    ) {
        let mut plain = Stored::new(message(all));
        let mut texts = Vec::new();
        each_text(&mut plain, Within::All, Manner::Exact, &mut |_, text| {
            texts.push(String::from_utf8(text.to_vec()).unwrap());
            true
        }).unwrap();
        let mut signed = Stored::new(plain.bytes.clone());
        sign(&mut signed).unwrap();
        let block = plain.header().unwrap();
        let fields: Vec<_> = header::fields(&block).map(|field| (field.name.to_ascii_lowercase(), words::decode(field.value))).collect();
        let (name, field) = which.get(fields.as_slice());
        let field = Manner::Exact.fold(field);
        let text: &String = which.get(texts.as_slice());
        for value in [piece(text, ends), piece(&field, ends), &Manner::Exact.fold(&other)] {
            let value = &Needle::from(value);
            for within in [Within::All, Within::Bodies] {
                let there = reading_has(&mut plain, value, within, Manner::Exact).unwrap();
                let mut first = Stored::new(plain.bytes.clone());
                prop_assert_eq!(has(&mut first, value, within, Manner::Exact, Depth::Whole).unwrap(), Some(there));
                prop_assert!(first.signature.is_some());
                prop_assert_eq!(has(&mut signed, value, within, Manner::Exact, Depth::Whole).unwrap(), Some(there));
                let glanced = has(&mut signed, value, within, Manner::Exact, Depth::AtHand).unwrap();
                prop_assert!(glanced.is_none_or(|glanced| glanced == there), "{:?}", value);
            }
            for name in [name.as_slice(), b"to", b"x-mailer"] {
                for trace in [0, block.len() as u32] {
                    let there = block_has(&block, trace, name, value, Manner::Exact);
                    prop_assert!(!there || field_may_be(&signed.signature.clone().unwrap(), name, value.text()), "{:?}", value);
                    if trace == 0 {
                        let found = field_has(&mut signed, name, value, Manner::Exact, Depth::Whole).unwrap();
                        prop_assert_eq!(found, Some(there), "{:?}", value);
                    }
                }
            }
        }
    }
}
