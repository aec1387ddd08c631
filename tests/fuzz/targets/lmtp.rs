//! A whole LMTP session; the first byte says how the input is cut, how much memory there is, and who may use XFORWARD.
#![no_main]

mod plant;

use lazaret::base::{Core, Step, Timestamp};
use lazaret::lmtp::{Answer, Options, Question, Reply, Session};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&how, input)) = data.split_first() else { return };
    let chunk = [usize::MAX, 1, 7, 64][usize::from(how & 3)];
    let sent = talk(how, input, chunk);
    if chunk != usize::MAX {
        assert_eq!(talk(how, input, usize::MAX), sent, "chunks change the answer");
    }
    for line in sent.split_inclusive(|b| *b == b'\n') {
        let is_reply = line.len() >= 5 && line[..3].iter().all(u8::is_ascii_digit) && line.ends_with(b"\r\n");
        assert!(is_reply, "no reply line: {:?}", String::from_utf8_lossy(line));
        assert!(line.len() <= 2048, "a reply of {} bytes", line.len());
    }
});

/// What was sent to the peer, and the senders of what was stored.
fn talk(how: u8, input: &[u8], chunk: usize) -> Vec<u8> {
    let max_size = if how & 4 == 0 { 1 << 20 } else { 100 };
    let mut session = Session::new(Options { host_name: "h.example".into(), max_size, xforward: how & 8 == 0 });
    let mut outside = Outside { room: if how & 16 == 0 { 1 << 20 } else { 300 }, used: 0 };
    let mut sent = Vec::new();
    let mut now = Timestamp::from_secs(1_700_000_000);
    if !run(&mut session, &mut outside, now, &mut sent) {
        return sent;
    }
    for mut part in input.chunks(chunk.max(1)) {
        let mut stuck = 0;
        while !part.is_empty() {
            let taken = session.feed(part);
            part = &part[taken..];
            stuck = if taken == 0 { stuck + 1 } else { 0 };
            assert!(stuck < 3, "the session takes nothing and asks for nothing");
            if !run(&mut session, &mut outside, now, &mut sent) {
                return sent;
            }
        }
    }
    now = Timestamp::from_secs(now.secs() + 3_600);
    assert!(!run(&mut session, &mut outside, now, &mut sent), "an hour of silence does not end the session");
    assert_eq!(outside.used, 0, "memory that was never given back");
    sent
}

/// Carries out steps until the session wants input; false when it closed.
fn run(session: &mut Session, outside: &mut Outside, now: Timestamp, sent: &mut Vec<u8>) -> bool {
    for _ in 0..100_000 {
        match session.step(now, sent) {
            Step::Again => {}
            Step::Ask(question) => session.answer(outside.answer(question)),
            Step::Read { .. } => return true,
            Step::Close => return false,
            other => panic!("LMTP has no step {other:?}"),
        }
    }
    panic!("the session runs in circles");
}

struct Outside {
    room: usize,
    used: usize,
}

impl Outside {
    fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Recipient { recipient, .. } if recipient.starts_with("no") => {
                Answer::Reply(Reply::new(451, "4.1.2", "no such domain here"))
            }
            Question::Recipient { recipient, .. } => {
                assert!(!recipient.contains(['\r', '\n', '\0']), "a recipient with line ends");
                Answer::Reply(Reply::new(250, "2.1.5", "ok"))
            }
            Question::Reserve(bytes) => {
                let fits = self.used + bytes <= self.room;
                self.used += if fits { bytes } else { 0 };
                Answer::Reserved(fits)
            }
            Question::Store(transaction) => {
                assert!(!transaction.recipients.is_empty(), "a message for nobody");
                assert!(transaction.message.len() as u64 <= transaction.size, "more than came");
                assert!(!transaction.sender.contains(['\r', '\n', '\0']), "a sender with line ends");
                plant::planted(transaction.sender.as_bytes());
                self.used = 0;
                Answer::Stored(transaction.recipients.iter().map(|_| Reply::new(250, "2.0.0", "stored")).collect())
            }
            Question::Forget => {
                self.used = 0;
                Answer::Done
            }
        }
    }
}
