//! The test message: what every spam filter takes for spam, and what tells people that it is harmless.

use crate::base::Timestamp;
use crate::mail::Address;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// The text that spam filters agree to take for spam (Generic Test for Unsolicited Bulk Email). In two pieces, so that a
/// filter that looks at this program's source finds nothing.
const GTUBE: [&str; 2] = ["XJS*C4JDBQADN1.NSBN3*2IDNEN*", "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"];
/// How the Message-IDs of test messages begin.
const MARK: &str = "lazaret-doctor.";
/// How their subjects begin.
pub const SUBJECT: &str = "Lazaret doctor: test message";
/// Random bytes that tell one test message from another.
const TOKEN_BYTES: usize = 8;

/// A test message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestMessage {
    /// Its Message-ID, in angle brackets.
    pub message_id: String,
    /// How its subject begins; no other message's does so.
    pub subject: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl TestMessage {
    /// A new one. `None`: the system has no random bytes.
    pub fn new(to: &Address, text: Option<&str>, host: &str, now: Timestamp) -> Option<TestMessage> {
        let mut random = [0; TOKEN_BYTES];
        SystemRandom::new().fill(&mut random).ok()?;
        let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(TestMessage::with_token(&token, to, text, host, now))
    }

    fn with_token(token: &str, to: &Address, text: Option<&str>, host: &str, now: Timestamp) -> TestMessage {
        let message_id = format!("<{MARK}{token}@{host}>");
        let subject = format!("{SUBJECT} {token}");
        // Rules look at the subject, or at the text.
        let told = text.map(|text| format!(" {text}")).unwrap_or_default();
        let caught = text.map_or_else(|| GTUBE.concat(), str::to_string);
        let text = format!(
            "From: Lazaret doctor <lazaret-doctor@{host}>\r\nTo: <{to}>\r\nSubject: {subject}{told}\r\nDate: {date}\r\n\
             Message-ID: {message_id}\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=us-ascii\r\n\r\n\
             This is a test: `lazaret doctor` was run on {host} and follows this message\r\n\
             from the mail server to the quarantine and back. It is harmless, and may be\r\n\
             deleted. Spam filters take the next line for spam, as they should:\r\n\r\n{caught}\r\n",
            date = now.rfc5322(),
        );
        TestMessage { message_id, subject, bytes: text.into_bytes() }
    }
}

/// Whether a Message-ID, with or without its brackets, is that of a test message.
pub fn is_test(message_id: &str) -> bool {
    message_id.trim_start_matches('<').starts_with(MARK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::header;

    #[test]
    fn a_test_message_is_mail_and_unlike_any_other() {
        let to = Address::parse("alice@example.org").unwrap();
        let now = Timestamp::from_secs(1_800_000_000);
        let message = TestMessage::with_token("0123", &to, None, "mx.example.org", now);
        assert_eq!(message.message_id, "<lazaret-doctor.0123@mx.example.org>");
        assert!(is_test(&message.message_id) && is_test("lazaret-doctor.x@y") && !is_test("<x@lazaret-doctor.y>"));
        let field =
            |name: &str| header::find(&message.bytes, name.as_bytes()).unwrap().unfolded().trim_ascii().to_vec();
        assert_eq!(field("subject"), message.subject.as_bytes());
        assert_eq!(field("message-id"), message.message_id.as_bytes());
        assert_eq!(field("date"), now.rfc5322().as_bytes());
        let text = String::from_utf8(message.bytes.clone()).unwrap();
        assert!(
            text.is_ascii() && text.lines().all(|line| line.len() < 100) && !text.replace("\r\n", "").contains('\n')
        );
        assert!(text.contains("\r\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"));
        let new = || TestMessage::new(&to, None, "mx", now).unwrap();
        let other = TestMessage::with_token("0123", &to, Some("my rule"), "mx", now).bytes;
        let other = String::from_utf8(other).unwrap();
        assert!(
            other.contains("message 0123 my rule\r\n") && other.contains("\r\nmy rule\r\n") && !other.contains("GTUBE")
        );
        assert_ne!(new().message_id, new().message_id);
    }
}
