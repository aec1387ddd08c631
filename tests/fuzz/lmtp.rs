//! The LMTP core under any bytes: what the fuzzer drives, and what the tests give their dialogs and random commands to.

use lazaret::base::{Core, Step, Timestamp};
use lazaret::lmtp::{Answer, Options, Question, Reply, Session, Transaction};

/// All that can be seen from outside.
#[derive(Debug, Default, PartialEq)]
pub struct Seen {
    /// What the peer was told.
    pub sent: Vec<u8>,
    /// What was stored: sender, recipients, message, size.
    pub stored: Vec<(String, Vec<String>, Vec<u8>, u64)>,
    /// The session ended before its input did.
    pub closed: bool,
}

/// The first two bytes choose how the rest is cut, who the peer is and how much memory there is; the rest is what the
/// peer sends. An hour of silence follows.
///
/// # Panics
/// When the core breaks its contract: it hangs, panics, holds more memory than it was allowed or keeps it, stores a
/// message for nobody, sends what is no reply, or says something else when the same bytes come in other pieces.
pub fn lmtp(input: &[u8]) -> Seen {
    let (&[how, room], bytes) = input.split_first_chunk().map_or((&[0, 0], input), |(head, rest)| (head, rest));
    let whole = run(how, room, bytes, bytes.len().max(1));
    let chunk = 1 + usize::from(how & 31);
    if chunk < bytes.len() {
        assert_eq!(whole, run(how, room, bytes, chunk), "the cut changes what comes out");
    }
    for line in whole.sent.split_inclusive(|b| *b == b'\n') {
        let is_reply = line.len() >= 5 && line[..3].iter().all(u8::is_ascii_digit) && line.ends_with(b"\r\n");
        let clean = line[..line.len() - 2].iter().all(|b| !b.is_ascii_control());
        assert!(is_reply && clean, "no reply line: {:?}", String::from_utf8_lossy(line));
        assert!(line.len() <= 512, "a reply of {} bytes (RFC 5321 4.5.3.1.5)", line.len());
    }
    whole
}

fn run(how: u8, room: u8, bytes: &[u8], chunk: usize) -> Seen {
    let max_size = if how & 32 == 0 { 40_000 } else { 100 };
    let options = Options { host_name: "fuzz".into(), max_size, xforward: how & 64 == 0 };
    let mut session = Session::new(options);
    let mut now = Timestamp::from_secs(1_000_000);
    let mut outside = Outside { room: usize::from(room) << 10, used: 0, stored: Vec::new() };
    let (mut sent, mut at, mut closed) = (Vec::new(), 0, None);
    // Each byte ends a command at most, and a command takes a handful of steps.
    for _ in 0..bytes.len() * 16 + 64 {
        match session.step(now, &mut sent) {
            Step::Again => {}
            Step::Read { until } => {
                assert!(until > now, "a wait that is already over");
                if at == bytes.len() {
                    assert!(closed.is_none(), "an hour of silence does not end the session");
                    (closed, now) = (Some(false), Timestamp::from_secs(now.secs() + 3_600));
                    continue;
                }
                let end = (at + chunk).min(bytes.len());
                let taken = session.feed(&bytes[at..end]);
                assert!(taken > 0 && taken <= end - at, "input was wanted and not taken");
                at += taken;
            }
            Step::Close => {
                assert_eq!(outside.used, 0, "memory that was never given back");
                return Seen { sent, stored: outside.stored, closed: closed.unwrap_or(true) };
            }
            Step::Ask(question) => session.answer(outside.answer(question)),
            other => panic!("LMTP has no step {other:?}"),
        }
    }
    panic!("the core does not come to rest");
}

/// Stands in for the store.
struct Outside {
    room: usize,
    used: usize,
    stored: Vec<(String, Vec<String>, Vec<u8>, u64)>,
}

impl Outside {
    fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Recipient { recipient, .. } if recipient.starts_with('n') => {
                Answer::Reply(Reply::new(451, "4.1.1", "no"))
            }
            Question::Recipient { sender, recipient } => {
                assert!(!sender.contains(['\r', '\n', '\0']), "a sender with line ends");
                assert!(!recipient.contains(['\r', '\n', '\0']), "a recipient with line ends");
                Answer::Reply(Reply::new(250, "2.1.5", format!("{recipient} is known")))
            }
            Question::Reserve(more) if self.used + more <= self.room => {
                self.used += more;
                Answer::Reserved(true)
            }
            Question::Reserve(_) => Answer::Reserved(false),
            Question::Forget => {
                self.used = 0;
                Answer::Done
            }
            Question::Store(transaction) => {
                let Transaction { sender, recipients, message, size, oversize, .. } = *transaction;
                assert!(message.len() <= self.used, "more was held than was allowed");
                assert!(!recipients.is_empty(), "a message for nobody");
                assert!(message.len() as u64 == size || oversize && message.len() as u64 <= size);
                self.used = 0;
                let replies = recipients.iter().map(|r| Reply::new(250, "2.0.0", format!("kept for {r}"))).collect();
                self.stored.push((sender, recipients, message, size));
                Answer::Stored(replies)
            }
        }
    }
}
