//! The milter core under any bytes: what the fuzzer drives, and what the tests give their dialogs and random packets to.

use lazaret::base::{Core, Step, Timestamp};
use lazaret::milter::{Answer, Edit, Judged, Options, PROGRESS, Question, Reply, Session, Transaction};

/// All that can be seen from outside.
#[derive(Debug, Default, PartialEq)]
pub struct Seen {
    /// What the peer was told.
    pub sent: Vec<u8>,
    /// What was judged: sender, recipients, message, size.
    pub judged: Vec<(String, Vec<String>, Vec<u8>, u64)>,
    /// What was said to be broken.
    pub broken: Vec<&'static str>,
    /// The session ended before its input did.
    pub closed: bool,
}

/// The first two bytes choose how the rest is cut and how much memory there is; the rest is what the peer sends. Three
/// hours of silence follow.
///
/// # Panics
/// When the core breaks its contract: it hangs, panics, holds more memory than it was allowed or keeps it, judges a
/// message for nobody, sends what is no packet, or says something else when the same bytes come in other pieces.
pub fn milter(input: &[u8]) -> Seen {
    let (&[how, room], bytes) = input.split_first_chunk().map_or((&[0, 0], input), |(head, rest)| (head, rest));
    let whole = run(how, room, bytes, bytes.len().max(1));
    let chunk = 1 + usize::from(how & 31);
    if chunk < bytes.len() {
        assert_eq!(whole, run(how, room, bytes, chunk), "the cut changes what comes out");
    }
    let mut rest = &whole.sent[..];
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        assert!((1..=65_535).contains(&length) && length <= after.len(), "no packet: {rest:?}");
        let (packet, after) = after.split_at(length);
        check(packet);
        rest = after;
    }
    assert!(rest.is_empty(), "half a packet: {rest:?}");
    whole
}

/// One packet as libmilter would send it.
fn check(packet: &[u8]) {
    match packet {
        [b'c' | b'a' | b'd'] => {}
        [b'O', data @ ..] => assert!(data.len() >= 12, "an offer of {} bytes", data.len()),
        [b'y', text @ .., 0] => {
            assert!(text.len() <= 1_000 && text[..3].iter().all(u8::is_ascii_digit) && matches!(text[0], b'4' | b'5'));
            assert_eq!(text[0], text[4], "the enhanced code belongs to the code");
            assert!(text.iter().all(|b| matches!(b, b' '..=b'~')), "{text:?}");
            let undoubled = text.split(|b| *b != b'%').any(|run| run.len() % 2 == 1);
            assert!(!undoubled, "a % alone: {text:?}");
        }
        [b'h' | b'i' | b'm', data @ .., 0] => assert!(data.contains(&0), "a field without a value: {data:?}"),
        other => panic!("no packet of a filter: {other:?}"),
    }
}

fn run(how: u8, room: u8, bytes: &[u8], chunk: usize) -> Seen {
    let mut session = Session::new(Options { max_size: if how & 32 == 0 { 40_000 } else { 100 } });
    let mut now = Timestamp::from_secs(1_000_000);
    let mut outside = Outside { room: usize::from(room) << 12, used: 0, seen: Seen::default() };
    let (mut sent, mut at, mut closed) = (Vec::new(), 0, None);
    // Each five bytes are a packet at most, and a packet takes a handful of steps.
    for _ in 0..bytes.len() * 16 + 64 {
        match session.step(now, &mut sent) {
            Step::Again => {}
            Step::Read { until } => {
                assert!(until > now, "a wait that is already over");
                if at == bytes.len() {
                    assert!(closed.is_none(), "hours of silence do not end the session");
                    (closed, now) = (Some(false), Timestamp::from_secs(now.secs() + 3 * 3_600));
                    continue;
                }
                let end = (at + chunk).min(bytes.len());
                let taken = session.feed(&bytes[at..end]);
                assert!(taken > 0 && taken <= end - at, "input was wanted and not taken");
                at += taken;
            }
            Step::Close => {
                assert_eq!(outside.used, 0, "memory that was never given back");
                return Seen { sent, closed: closed.unwrap_or(true), ..outside.seen };
            }
            Step::Ask(question) => {
                let long = matches!(question, Question::Judge(_));
                assert_eq!(session.patience().map(|(_, sign)| sign), long.then_some(PROGRESS));
                session.answer(outside.answer(question));
            }
            other => panic!("a milter has no step {other:?}"),
        }
    }
    panic!("the core does not come to rest");
}

/// Stands in for the rules.
struct Outside {
    room: usize,
    used: usize,
    seen: Seen,
}

impl Outside {
    fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Recipient { recipient, .. } if recipient.starts_with('n') => {
                Answer::Reply(Reply::new(452, "4.5.3", "another time"))
            }
            Question::Recipient { sender, recipient, .. } => {
                assert!(!sender.contains(['\r', '\n', '\0']), "a sender with line ends");
                assert!(!recipient.contains(['\r', '\n', '\0']), "a recipient with line ends");
                Answer::Continue
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
            Question::Broken(why) => {
                self.used = 0;
                self.seen.broken.push(why);
                Answer::Done
            }
            Question::Judge(transaction) => {
                let Transaction { sender, recipients, message, size, oversize, queue_id, .. } = *transaction;
                assert!(message.len() <= self.used, "more was held than was allowed");
                assert!(!recipients.is_empty(), "a message for nobody");
                assert!(message.len() as u64 == size || oversize && message.len() as u64 <= size);
                self.used = 0;
                let text = format!("{}: {sender} to {recipients:?}", queue_id.unwrap_or_default());
                let judged = match message.last() {
                    Some(b'r') => Judged::Refuse(Reply::new(550, "5.7.1", text)),
                    Some(b'd') => Judged::Discard,
                    _ => {
                        let name = String::from_utf8_lossy(&message).chars().take(5).collect::<String>();
                        Judged::Accept(vec![
                            Edit::Add { name: name.clone(), value: text.clone() },
                            Edit::Insert { above: 0, name: "X-Fuzz".into(), value: text },
                            Edit::Change { nth: 1, name: "Subject".into(), value: name.clone() },
                            Edit::Remove { nth: 1, name },
                        ])
                    }
                };
                self.seen.judged.push((sender, recipients, message, size));
                Answer::Judged(judged)
            }
        }
    }
}
