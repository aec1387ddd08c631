use super::*;
use crate::base::{Form, Slice};
use crate::imap::content::{Bytes, Row};
use crate::mail::trace::{Client, Told};
use crate::page::texts::Language;
use crate::page::{message as page, sanitise};
use std::sync::Arc;

/// A message in memory.
struct Stored {
    bytes: Vec<u8>,
    trace: u32,
}

impl Stored {
    fn new(message: &[u8]) -> Stored {
        Stored { bytes: message.to_vec(), trace: 0 }
    }

    fn with_trace(trace: &Trace, message: &[u8]) -> Stored {
        let block = trace.render();
        Stored { trace: block.len() as u32, bytes: [&block, message].concat() }
    }

    fn range(&self, range: Range<u64>) -> Vec<u8> {
        let end = (range.end as usize).min(self.bytes.len());
        self.bytes[(range.start as usize).min(end)..end].to_vec()
    }
}

impl Content for Stored {
    fn row(&self) -> Row {
        Row { size: self.bytes.len() as u64, trace: self.trace, date: 1_700_000_000, ..Row::default() }
    }

    fn id(&self) -> io::Result<String> {
        Ok("id".into())
    }

    fn header(&mut self) -> io::Result<Slice> {
        Ok(self.bytes[..header::end(&self.bytes)].to_vec().into())
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
        Ok(Arc::new(Structure::of(&self.bytes, Form::Crlf)))
    }

    fn bytes(&mut self, range: Range<u64>) -> io::Result<Bytes> {
        Ok(Bytes::Held(self.range(range).into()))
    }

    fn raw(&mut self, range: Range<u64>, sink: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<()> {
        let _ = self.range(range).chunks(7).all(sink);
        Ok(())
    }

    fn preview(&mut self, _: bool) -> io::Result<Option<String>> {
        Ok(None)
    }

    fn read(&mut self, range: Range<u64>, most: usize) -> io::Result<Slice> {
        let mut bytes = self.range(range);
        bytes.truncate(most);
        Ok(bytes.into())
    }
}

fn wire(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

fn asked() -> Asked<'static> {
    Asked { html_href: "html".into(), text_href: "text".into(), part_href: "part/".into(), ..Asked::default() }
}

const MIXED: &str = "From: =?utf-8?q?B=C3=B6b?= <bob@a.test>\nTo: a@x.test\nCc: b@x.test\nSubject: =?utf-8?b?w6R4?=\n\
    MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=m\n\n--m\nContent-Type: multipart/alternative; boundary=a\n\n\
    --a\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\ncaf=E9\n\
    --a\nContent-Type: text/html\n\n<p>page</p>\n--a--\n\
    --m\nContent-Type: Application/PDF; name=\"../../a.pdf\"\nContent-Transfer-Encoding: base64\n\nSGVs\nbG8=\n\
    --m\nContent-Type: text/plain\nContent-Disposition: attachment; filename*=utf-8''%E2%82%AC%0D%0A.txt\n\nx\n\
    --m\nContent-Type: message/rfc822\n\nSubject: inner\nContent-Type: text/html\n\n<b>inner</b>\n\
    --m\nContent-Type: text/plain\n\nsecond text\n--m--\n";

#[test]
fn a_message_of_many_parts() {
    let view = view(&mut Stored::new(&wire(MIXED)), &asked()).unwrap();
    assert_eq!((view.from.as_str(), view.subject.as_str()), ("Böb <bob@a.test>", "äx"));
    assert_eq!(view.to, "a@x.test, b@x.test");
    assert_eq!((view.body.text.trim_end(), view.body.is_from_html), ("café", false));
    assert_eq!((view.body.html_href.as_deref(), view.body.rest_href), (Some("html"), None));
    let shown: Vec<_> = view.attachments.iter().map(|a| (a.name.as_str(), a.media_type.as_str(), a.size)).collect();
    assert_eq!(shown[..2], [("a.pdf", "application/pdf", 5), ("€.txt", "text/plain", 1)]);
    assert_eq!((shown[2].1, shown[3].1, shown.len()), ("message/rfc822", "text/plain", 4));
    assert!(shown[2].0.ends_with(".eml"), "{shown:?}");
    let hello = "185f8db32271fe25f561a6fc938b2e264306ec304eda518007d1764826381969";
    assert_eq!(view.attachments[0].sha256.as_deref(), Some(hello));
    assert!(!view.attachments[0].is_estimate && view.attachments[0].href.starts_with("part/"));
}

#[test]
fn attachments_come_out_decoded_and_nothing_else_does() {
    let mut message = Stored::new(&wire(MIXED));
    let listed = view(&mut message, &asked()).unwrap().attachments;
    let numbers: Vec<u32> = listed.iter().map(|a| a.href["part/".len()..].parse().unwrap()).collect();
    let count = message.structure().unwrap().parts().len() as u32;
    for number in 0..count + 3 {
        assert_eq!(part(&mut message, number).unwrap().is_some(), numbers.contains(&number), "{number}");
    }
    let pdf = part(&mut message, numbers[0]).unwrap().unwrap();
    let mut bytes = Vec::new();
    pdf.copy(&mut message, &mut |piece| {
        bytes.extend_from_slice(piece);
        true
    })
    .unwrap();
    assert_eq!(bytes, b"Hello");
    let mut pieces = 0;
    pdf.copy(&mut message, &mut |_| {
        pieces += 1;
        false
    })
    .unwrap();
    assert_eq!(pieces, 1, "a sink that has had enough is left alone");
}

#[test]
fn the_trace_is_told_and_not_shown() {
    let trace = Trace {
        id: "1.M2".into(),
        sender: "bob@a.test".into(),
        recipients: vec!["a@x.test".into()],
        client: Client { door: "lmtp".into(), address: Some("192.0.2.1".into()), ..Client::default() },
        score: Some("12.5".into()),
        reasons: vec!["BAYES_SPAM(5.1)[99%]".into()],
        told: Told::Accepted,
        ..Trace::default()
    };
    let mail = wire("Authentication-Results: mx; spf=fail smtp.mailfrom=a.test\nReceived: x\nSubject: s\n\nbody\n");
    let mut message = Stored::with_trace(&trace, &mail);
    let view = view(&mut message, &asked()).unwrap();
    assert_eq!((view.size, view.subject.as_str(), view.body.text.trim_end()), (mail.len() as u64, "s", "body"));
    assert_eq!((view.origin.sender.as_str(), view.origin.address.as_deref()), ("bob@a.test", Some("192.0.2.1")));
    assert_eq!(view.told, Told::Accepted);
    assert_eq!((view.reasons, view.recipients), (trace.reasons, trace.recipients));
    assert_eq!(view.authentication.unwrap()[0].result, "fail");
    assert_eq!(source(&mut message).unwrap(), (String::from_utf8(mail.clone()).unwrap(), false));
    let range = original(&message);
    assert_eq!(message.range(range), mail);
    assert_eq!(file_name(&mut message).unwrap(), "s.eml");
}

#[test]
fn long_texts_are_cut_and_the_rest_is_linked() {
    let long = "ä".repeat(limits::PAGE_TEXT);
    for head in ["Content-Type: text/plain; charset=utf-8", "Content-Type: text/html; charset=utf-8"] {
        let mut message = Stored::new(&wire(&format!("{head}\n\n{long}\n")));
        let view = view(&mut message, &asked()).unwrap();
        assert!(view.body.text.len() <= limits::PAGE_TEXT, "{head}");
        assert_eq!(view.body.rest_href.as_deref(), Some("text"), "{head}");
        let (whole, is_cut) = text(&mut message).unwrap();
        assert_eq!((whole.trim_end(), is_cut), (long.as_str(), false), "{head}");
    }
    let mut page = Stored::new(&wire(&format!("Content-Type: text/html\n\n{}", "x".repeat(2 * limits::FRAME_INPUT))));
    let shown = sanitise::body(&html(&mut page).unwrap().unwrap(), Language::En);
    assert!(shown.contains("too long to be shown"));
    let (_, is_cut) = source(&mut page).unwrap();
    assert!(is_cut);
}

#[test]
fn large_attachments_are_listed_without_being_read() {
    let body = "A".repeat(76) + "\n";
    let part = format!("--m\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\n{}", body.repeat(450_000));
    let mail = format!("Content-Type: multipart/mixed; boundary=m\n\n{part}\n--m\nContent-Type: a/b\n\nx\n--m--\n");
    let view = view(&mut Stored::new(&wire(&mail)), &asked()).unwrap();
    assert!(view.attachments[0].is_estimate && view.attachments[0].sha256.is_none());
    assert!(view.attachments[0].size.abs_diff(450_000 * 57) < 200, "{}", view.attachments[0].size);
    let many =
        format!("Content-Type: multipart/mixed; boundary=m\n\n{}--m--\n", "--m\nContent-Type: a/b\n\nx\n".repeat(300));
    let view = super::view(&mut Stored::new(&wire(&many)), &asked()).unwrap();
    assert_eq!((view.attachments.len(), view.more_attachments), (limits::PAGE_ATTACHMENTS, true));
}

/// A page of a mail that has this text wherever a mail can have one.
fn page_with(bad: &str) -> String {
    let bad = bad.replace(['\r', '\n'], " ");
    let quoted = bad.replace(['\\', '"'], "'");
    let mail = format!(
        "Authentication-Results: mx; spf=fail smtp.mailfrom=\"{quoted}\"\r\nReceived: x\r\nFrom: {bad}\r\nTo: {bad}\r\nSubject: {bad}\r\n\
         Date: {bad}\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n\r\n{bad}\r\n--m\r\n\
         Content-Type: image/png; name=\"{quoted}\"\r\n\r\nx\r\n--m--\r\n"
    );
    let client = Client {
        door: bad.clone(),
        address: Some(bad.clone()),
        name: Some(bad.clone()),
        helo: Some(bad.clone()),
        queue_id: Some(bad.clone()),
        user: Some(bad.clone()),
    };
    let reasons = vec![format!("GTUBE(1)[{bad}]"), format!("plain {bad}")];
    let recipients = vec![bad.clone()];
    let trace = Trace {
        sender: format!("x{bad}x"),
        recipients,
        client,
        score: Some(bad.clone()),
        reasons,
        told: Told::Refused(bad),
        ..Trace::default()
    };
    let view = view(&mut Stored::with_trace(&trace, mail.as_bytes()), &asked()).unwrap();
    page::render(&view, Language::En).into_string()
}

#[test]
fn no_text_of_a_mail_adds_markup_to_its_page() {
    let marks = |page: &str| (page.matches('<').count(), page.matches('>').count(), page.matches('"').count());
    let harmless = marks(&page_with("harmless"));
    for (name, vector) in sanitise::vectors() {
        let page = page_with(&format!("x{vector}x"));
        assert_eq!(marks(&page), harmless, "{name}: {page}");
    }
}
