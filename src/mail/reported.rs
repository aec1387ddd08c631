//! A mail that reports others: which messages are attached to it, byte for byte, and what it says of them.
//!
//! People make such mails by "forward as attachment", programs in the Abuse Reporting Format (RFC 5965). What is inside an
//! attached message is that message's own affair: an attachment of it is not reported.

use super::header;
use super::mime::{Kind, Part, Structure};
use super::report::Opinion;
use super::transfer::Decoder;
use crate::base::{Form, limits};
use std::borrow::Cow;
use std::ops::Range;

/// What a mail reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported<'a> {
    /// What it says of them, if it says it in a form for programs.
    pub opinion: Option<Opinion>,
    /// The messages, one at least, none of them empty.
    pub messages: Vec<Cow<'a, [u8]>>,
}

/// Why nothing is taken of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// No message is attached.
    NoMessage,
    /// More than `limits::REPORT_MESSAGES` are.
    TooMany,
}

/// Reads a mail in wire form.
pub fn read(mail: &[u8]) -> Result<Reported<'_>, Unusable> {
    let structure = Structure::of(mail, Form::Crlf);
    let mut messages = Vec::new();
    for part in structure.parts() {
        if !stands_in_multiparts_only(part, &structure) {
            continue;
        }
        if let Some(message) = attached(part, mail).filter(|message| !message.is_empty()) {
            if messages.len() >= limits::REPORT_MESSAGES {
                return Err(Unusable::TooMany);
            }
            messages.push(message);
        }
    }
    if messages.is_empty() {
        return Err(Unusable::NoMessage);
    }
    Ok(Reported { opinion: opinion(&structure, mail), messages })
}

fn stands_in_multiparts_only(part: &Part, structure: &Structure) -> bool {
    let above = |part: &Part| part.parent().and_then(|number| structure.part(number));
    std::iter::successors(above(part), |part| above(part)).all(|part| part.kind == Kind::Multipart)
}

/// The message that this part is.
fn attached<'a>(part: &Part, mail: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    if !matches!(part.kind, Kind::Message | Kind::EncodedMessage) {
        return None;
    }
    let body = bytes(mail, &part.body)?;
    // RFC 2046 5.2.1 forbids to encode a message, and RFC 6532 3.7 allows it for some: what is meant is plain.
    match Decoder::new(part.content.encoding.as_deref())? {
        Decoder::Identity => Some(Cow::Borrowed(body)),
        decoder => Some(Cow::Owned(decoder.all(body, body.len()))),
    }
}

/// What a report in the form of RFC 5965 says of its message; types that it does not have say nothing.
fn opinion(structure: &Structure, mail: &[u8]) -> Option<Opinion> {
    let root = &structure.root().content;
    let is_feedback = |kind: &[u8]| kind.eq_ignore_ascii_case(b"feedback-report");
    if !root.is("multipart", "report") || !root.parameter("report-type").is_some_and(is_feedback) {
        return None;
    }
    let told = structure.children(0).filter_map(|number| structure.part(number));
    let told = told.into_iter().find(|part| part.content.is("message", "feedback-report"))?;
    let kind = header::find(bytes(mail, &told.body)?, b"Feedback-Type")?;
    let kind = String::from_utf8_lossy(&kind.unfolded()).trim().to_ascii_lowercase();
    match kind.as_str() {
        "abuse" | "fraud" | "virus" => Some(Opinion::Spam),
        // RFC 6430
        "not-spam" => Some(Opinion::Ham),
        _ => None,
    }
}

fn bytes<'a>(mail: &'a [u8], range: &Range<u64>) -> Option<&'a [u8]> {
    mail.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(mail: &str) -> Result<Vec<String>, Unusable> {
        let text = |message: &Cow<'_, [u8]>| String::from_utf8_lossy(message).into_owned();
        read(mail.as_bytes()).map(|read| read.messages.iter().map(text).collect())
    }

    fn mixed(parts: &[&str]) -> String {
        let parts: String = parts.iter().map(|part| format!("--b\r\n{part}\r\n")).collect();
        format!("From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n")
    }

    #[test]
    fn every_attached_message_is_found() {
        let text = "Content-Type: text/plain\r\n\r\nsee below";
        let one = "Content-Type: message/rfc822; name=\"a.eml\"\r\n\r\nSubject: one\r\n\r\nfirst\r\n";
        let two = "Content-Type: MESSAGE/RFC822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogdHdvDQoNCg==";
        let all = shown(&mixed(&[text, one, text, two])).unwrap();
        assert_eq!(all, ["Subject: one\r\n\r\nfirst\r\n", "Subject: two\r\n\r\n"]);
        let digest = "Content-Type: multipart/digest; boundary=c\r\n\r\n--c\r\n\r\nSubject: three\r\n\r\n--c--";
        assert_eq!(shown(&mixed(&[digest])).unwrap(), ["Subject: three\r\n"]);
        assert_eq!(shown("Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ny").unwrap(), ["Subject: x\r\n\r\ny"]);
    }

    #[test]
    fn what_an_attached_message_has_attached_is_its_own() {
        let inner = mixed(&["Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\n"])
            .replace("--b", "--i")
            .replace("=b", "=i");
        let outer = mixed(&[&format!("Content-Type: message/rfc822\r\n\r\n{inner}")]);
        assert_eq!(shown(&outer).unwrap(), [inner]);
    }

    #[test]
    fn a_mail_without_a_message_reports_nothing() {
        let eml = "Content-Type: application/octet-stream; name=a.eml\r\n\r\nSubject: x\r\n\r\n";
        let headers = "Content-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n";
        for mail in ["", "Subject: x\r\n\r\nis spam", &mixed(&[]), &mixed(&[eml, headers])] {
            assert_eq!(shown(mail), Err(Unusable::NoMessage), "{mail}");
        }
        let empty = mixed(&["Content-Type: message/rfc822\r\n"]);
        assert_eq!(shown(&empty), Err(Unusable::NoMessage));
        let unknown = "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: x-odd\r\n\r\nSubject: x\r\n";
        assert_eq!(shown(&mixed(&[unknown])), Err(Unusable::NoMessage));
    }

    #[test]
    fn so_many_and_no_more() {
        let one = "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n";
        assert_eq!(shown(&mixed(&vec![one; limits::REPORT_MESSAGES])).unwrap().len(), limits::REPORT_MESSAGES);
        assert_eq!(shown(&mixed(&vec![one; limits::REPORT_MESSAGES + 1])), Err(Unusable::TooMany));
    }

    #[test]
    fn only_a_feedback_report_says_what_it_thinks() {
        let feedback = |kind: &str| {
            format!("Content-Type: message/feedback-report\r\n\r\nVersion: 1\r\nfeedback-type: {kind}\r\n")
        };
        let one = "Content-Type: message/rfc822\r\n\r\nSubject: x\r\n";
        let arf = "multipart/report; report-type=\"Feedback-Report\"";
        for (kind, opinion) in [
            ("abuse", Some(Opinion::Spam)),
            ("Fraud", Some(Opinion::Spam)),
            ("not-spam ", Some(Opinion::Ham)),
            ("opt-out", None),
        ] {
            let plain = mixed(&[&feedback(kind), one]);
            assert_eq!(read(plain.as_bytes()).unwrap().opinion, None);
            let report = plain.replacen("multipart/mixed", arf, 1);
            assert_eq!(read(report.as_bytes()).unwrap().opinion, opinion, "{kind}");
        }
    }

    proptest! {
        #[test]
        fn any_mail_is_read(pieces in proptest::collection::vec(prop_oneof![
            Just("--b\r\n"), Just("--b--\r\n"), Just("--c\r\n"), Just("\r\n"), Just("x\r\n"), Just("x"),
            Just("Content-Type: message/rfc822\r\n"), Just("Content-Type: multipart/mixed; boundary=b\r\n"),
            Just("Content-Type: multipart/report; report-type=feedback-report; boundary=c\r\n"),
            Just("Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n"),
            Just("Content-Transfer-Encoding: base64\r\n"), Just("Content-Transfer-Encoding: quoted-printable\r\n"),
        ], 0..40)) {
            let mail = pieces.concat();
            if let Ok(read) = read(mail.as_bytes()) {
                prop_assert!(!read.messages.is_empty() && read.messages.len() <= limits::REPORT_MESSAGES);
                prop_assert!(read.messages.iter().map(|m| m.len()).sum::<usize>() <= mail.len());
            }
        }
    }
}
