//! The mail that reports a message to somebody who learns from it: in the Abuse Reporting Format (RFC 5965), or as a mail
//! with an attachment. The message lies in it byte for byte.

use super::trace::Trace;
use super::{Kind, author, compose, header, words};
use crate::base::Timestamp;
use std::fmt::Write;

/// Longest line that may travel (RFC 5322 2.1.1), without its line end.
const LINE: usize = 998;
/// Longest value of a field of the machine-readable part; an envelope may hold longer ones.
const VALUE: usize = 900;

/// What a report says of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opinion {
    /// It was wrongly taken for spam.
    Ham,
    /// It is spam.
    Spam,
}

/// How a message is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// RFC 5965: a text, what is known of the message for programs, the message.
    Arf,
    /// A text, and the message as an attachment.
    Attachment,
}

/// A report of one message.
#[derive(Debug, Clone)]
pub struct Report<'a> {
    /// How.
    pub form: Form,
    /// What is said of it.
    pub opinion: Opinion,
    /// From whom the report is, an address.
    pub from: &'a str,
    /// To whom it goes, an address.
    pub to: &'a str,
    /// Our name.
    pub host: &'a str,
    /// What tells this report from all others, and stays when it is sent once more: letters, digits, dots.
    pub id: &'a str,
    /// When it is made.
    pub date: Timestamp,
    /// What is known of the message; nothing of one that came from outside.
    pub trace: &'a Trace,
    /// The message in wire form.
    pub original: &'a [u8],
}

impl Report<'_> {
    /// The mail, all of it in wire form, ending in CRLF.
    pub fn render(&self) -> Vec<u8> {
        let fields = self.fields();
        let text = self.text();
        let is_arf = self.form == Form::Arf;
        let boundary = boundary(self.id, self.original);
        let kind = if is_arf { "report; report-type=feedback-report" } else { "mixed" };
        // What encloses a part must not promise less than the part needs (RFC 2045 6.4).
        let mut outer = transfer(self.original);
        if is_arf && !fields.is_ascii() {
            outer = outer.max(Transfer::Eight);
        }
        let mut top = format!(
            "From: Lazaret <{}>\r\nTo: <{}>\r\nSubject: {}\r\nDate: {}\r\nMessage-ID: <report.{}@{}>\r\n\
             Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: multipart/{kind};\r\n\
             \tboundary=\"{boundary}\"\r\nContent-Transfer-Encoding: {}\r\n\r\n\
             --{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n{text}\r\n",
            self.from,
            self.to,
            self.subject(),
            self.date.rfc5322(),
            self.id,
            self.host,
            outer.word(),
        );
        if is_arf {
            let inner = if fields.is_ascii() { Transfer::Seven } else { Transfer::Eight };
            let _ = write!(
                top,
                "--{boundary}\r\nContent-Type: message/feedback-report\r\nContent-Transfer-Encoding: {}\r\n\r\n{fields}\r\n",
                inner.word()
            );
        }
        // Of a message that was too large there is a header only (RFC 5965 2 d).
        let media = if self.trace.cut_from.is_some() { "text/rfc822-headers" } else { "message/rfc822" };
        let _ = write!(
            top,
            "--{boundary}\r\nContent-Type: {media}\r\nContent-Disposition: attachment; filename=\"message.eml\"\r\n\
             Content-Transfer-Encoding: {}\r\n\r\n",
            transfer(self.original).word()
        );
        // The line end before a delimiter belongs to it (RFC 2046 5.1.1).
        [top.as_bytes(), self.original, format!("\r\n--{boundary}--\r\n").as_bytes()].concat()
    }

    /// That of the message itself (RFC 5965 2 f).
    fn subject(&self) -> String {
        let own = header::find(self.original, b"Subject").map(|field| words::decode(&field.unfolded()));
        compose::header_text(&own.unwrap_or_default().chars().take(VALUE).collect::<String>())
    }

    fn text(&self) -> String {
        let what = match self.opinion {
            Opinion::Spam => "somebody who may say so calls it spam",
            Opinion::Ham => "it was taken for spam, and somebody who may say so says that it is not",
        };
        format!(
            "This is a report of the mail message that is attached:\r\n{what}.\r\n\r\nIt was made by the quarantine at {}.\r\n",
            self.host
        )
    }

    /// The machine-readable part (RFC 5965 3).
    fn fields(&self) -> String {
        let mut out = String::new();
        let mut field = |name: &str, value: &str| {
            let clean = value.chars().map(|c| if c.is_control() { ' ' } else { c });
            // A String takes everything.
            let _ = write!(out, "{name}: {}\r\n", clean.take(VALUE / 4).collect::<String>().trim());
        };
        let kind = match (self.opinion, self.trace.kind) {
            // RFC 6430
            (Opinion::Ham, _) => "not-spam",
            (Opinion::Spam, Kind::Phish) => "fraud",
            (Opinion::Spam, Kind::Virus) => "virus",
            (Opinion::Spam, _) => "abuse",
        };
        field("Feedback-Type", kind);
        field("User-Agent", concat!("Lazaret/", env!("CARGO_PKG_VERSION")));
        field("Version", "1");
        field("Reporting-MTA", &format!("dns; {}", self.host));
        let (trace, client) = (self.trace, &self.trace.client);
        // A message that nobody brought to a door has no envelope.
        if trace.arrived != Timestamp::default() {
            field("Original-Mail-From", &format!("<{}>", trace.sender));
            for recipient in &trace.recipients {
                field("Original-Rcpt-To", &format!("<{recipient}>"));
            }
            field("Arrival-Date", &trace.arrived.rfc5322());
        }
        if let Some(address) = client.address.as_deref().filter(|text| text.parse::<std::net::IpAddr>().is_ok()) {
            field("Source-IP", address);
        }
        let block = self.original.get(..header::end(self.original)).unwrap_or_default();
        if let Some(author) = author::author(block) {
            field("Reported-Domain", author.domain());
        }
        out
    }
}

/// What the bytes of a part need of the way (RFC 2045 2.7 to 2.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Transfer {
    Seven,
    Eight,
    Binary,
}

impl Transfer {
    fn word(self) -> &'static str {
        match self {
            Transfer::Seven => "7bit",
            Transfer::Eight => "8bit",
            Transfer::Binary => "binary",
        }
    }
}

/// A message within a mail may not be encoded (RFC 2046 5.2.1), so what it is has to be said.
fn transfer(bytes: &[u8]) -> Transfer {
    let mut need = Transfer::Seven;
    for line in bytes.split_inclusive(|&b| b == b'\n') {
        let (text, is_ended) = match line.strip_suffix(b"\n") {
            Some(text) => (text.strip_suffix(b"\r"), true),
            None => (Some(line), false),
        };
        let Some(text) = text.filter(|text| text.len() <= LINE) else { return Transfer::Binary };
        if memchr::memchr2(b'\r', 0, text).is_some() && (is_ended || text != b"\r") {
            return Transfer::Binary;
        }
        if !text.is_ascii() {
            need = Transfer::Eight;
        }
    }
    need
}

/// A boundary that no line of the message has.
fn boundary(id: &str, original: &[u8]) -> String {
    let word: String = id.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    let mut boundary = format!("=_{word}");
    let mut number = 0_u32;
    while memchr::memmem::find(original, format!("--{boundary}").as_bytes()).is_some() {
        boundary = format!("=_{word}_{number}");
        number = number.saturating_add(1);
    }
    boundary
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::reported;
    use crate::mail::trace::Client;
    use proptest::prelude::*;

    fn report<'a>(trace: &'a Trace, original: &'a [u8]) -> Report<'a> {
        Report {
            form: Form::Arf,
            opinion: Opinion::Spam,
            from: "lazaret@q.example",
            to: "abuse@far.example",
            host: "q.example",
            id: "1.M2P3Q4.h.spam",
            date: Timestamp::from_secs(1_700_000_000),
            trace,
            original,
        }
    }

    fn text(report: &Report<'_>) -> String {
        String::from_utf8(report.render()).unwrap()
    }

    #[test]
    fn what_is_known_of_a_message_is_told() {
        let trace = Trace {
            arrived: Timestamp::from_secs(1_699_999_999),
            sender: "bounce@evil.example".into(),
            recipients: vec!["alice@example.org".into(), "bob\r\nX: y@example.org".into()],
            client: Client { address: Some("192.0.2.7".into()), ..Client::default() },
            ..Trace::default()
        };
        let mail = text(&report(
            &trace,
            b"From: A <a@news.evil.example>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nx\r\n",
        ));
        for line in [
            "Auto-Submitted: auto-generated",
            "Content-Type: multipart/report; report-type=feedback-report;",
            "Feedback-Type: abuse",
            "Version: 1",
            "Reporting-MTA: dns; q.example",
            "Original-Mail-From: <bounce@evil.example>",
            "Original-Rcpt-To: <alice@example.org>",
            "Original-Rcpt-To: <bob  X: y@example.org>",
            "Arrival-Date: Tue, 14 Nov 2023 22:13:19 +0000",
            "Source-IP: 192.0.2.7",
            "Reported-Domain: news.evil.example",
        ] {
            assert!(mail.contains(&format!("\r\n{line}\r\n")), "{line} is not in {mail}");
        }
        let subject = mail.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap();
        assert_eq!(words::decode(subject.as_bytes()), "Grüße");
    }

    #[test]
    fn of_what_came_from_outside_no_envelope_is_invented() {
        let trace = Trace::default();
        let mail = text(&Report { opinion: Opinion::Ham, ..report(&trace, b"Subject: x\r\n\r\n") });
        assert!(mail.contains("Feedback-Type: not-spam\r\n"), "{mail}");
        for name in ["Original-", "Arrival-Date", "Source-IP", "Reported-Domain"] {
            assert!(!mail.contains(name), "{name}");
        }
    }

    #[test]
    fn a_header_alone_is_called_so() {
        let trace = Trace { cut_from: Some(1 << 30), ..Trace::default() };
        let mail = text(&report(&trace, b"Subject: x\r\n\r\n"));
        assert!(mail.contains("Content-Type: text/rfc822-headers\r\n") && !mail.contains("message/rfc822"), "{mail}");
    }

    #[test]
    fn the_need_of_a_message_is_told() {
        for (bytes, need) in [
            (&b""[..], Transfer::Seven),
            (b"a: b\r\n\r\nc", Transfer::Seven),
            (b"a: b\r\n\r\n\xe4\r\n", Transfer::Eight),
            (b"a\nb", Transfer::Binary),
            (b"a\rb\r\n", Transfer::Binary),
            (b"a\0\r\n", Transfer::Binary),
            (&[b'x'; LINE + 1], Transfer::Binary),
            (&[b'x'; LINE], Transfer::Seven),
        ] {
            assert_eq!(transfer(bytes), need, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn a_report_gives_back_the_message(
            original in proptest::collection::vec(
                prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'='), Just(b'_'), any::<u8>()], 1..200),
            sender in ".{0,30}", is_ham: bool, is_arf: bool, has_delimiters: bool,
        ) {
            let mut original = original;
            if has_delimiters {
                original.extend_from_slice(b"\r\n--=_1M2P3Q4hspam\r\n--=_1M2P3Q4hspam_0--\r\nx");
            }
            let trace = Trace { arrived: Timestamp::from_secs(1), sender, ..Trace::default() };
            let form = if is_arf { Form::Arf } else { Form::Attachment };
            let opinion = if is_ham { Opinion::Ham } else { Opinion::Spam };
            let mail = Report { form, opinion, ..report(&trace, &original) }.render();
            prop_assert!(mail.ends_with(b"--\r\n"));
            let read = reported::read(&mail).unwrap();
            prop_assert_eq!(read.opinion, is_arf.then_some(opinion));
            prop_assert_eq!(read.messages.len(), 1);
            prop_assert_eq!(read.messages[0].as_ref(), &original[..]);
        }
    }
}
