//! The LMTP core under any bytes: the entry point for a fuzzer, and for the seeds that the tests run.

use lazaret::base::{Core, Step, Timestamp};
use lazaret::lmtp::{Answer, Options, Question, Reply, Session};

/// The first two bytes choose how the rest is cut and how much memory there is; the rest is what a peer sends.
///
/// # Panics
/// When the core breaks its contract: it hangs, panics, holds more memory than it was allowed, stores a message for
/// nobody, or says something else when the same bytes come in other pieces.
pub fn lmtp(input: &[u8]) {
    let (&[cut, room], bytes) = input.split_first_chunk().map_or((&[0, 0], input), |(head, rest)| (head, rest));
    let room = usize::from(room) << 10;
    let whole = run(bytes, bytes.len().max(1), room);
    assert_eq!(whole, run(bytes, 1 + usize::from(cut) % 32, room), "the cut changes what comes out");
}

/// All that can be seen from outside: replies, stored messages, whether it closed.
type Seen = (Vec<u8>, Vec<(Vec<String>, Vec<u8>, u64)>, bool);

fn run(bytes: &[u8], chunk: usize, room: usize) -> Seen {
    let options = Options { host_name: "fuzz".into(), max_size: 40_000, xforward: true };
    let mut session = Session::new(options);
    let now = Timestamp::from_secs(1_000_000);
    let (mut out, mut stored, mut used) = (Vec::new(), Vec::new(), 0);
    let mut at = 0;
    // Each byte ends a command at most, and a command takes a handful of steps.
    for _ in 0..bytes.len() * 16 + 64 {
        match session.step(now, &mut out) {
            Step::Again => {}
            Step::Read { until } => {
                assert!(until > now);
                if at == bytes.len() {
                    return (out, stored, false);
                }
                let end = (at + chunk).min(bytes.len());
                let taken = session.feed(&bytes[at..end]);
                assert!(taken > 0 && taken <= end - at, "input was wanted and not taken");
                at += taken;
            }
            Step::Close => return (out, stored, true),
            Step::Ask(question) => session.answer(match question {
                Question::Recipient { recipient, .. } if recipient.starts_with('n') => {
                    Answer::Reply(Reply::new(451, "4.1.1", "no"))
                }
                Question::Recipient { .. } => Answer::Reply(Reply::new(250, "2.1.5", "yes")),
                Question::Reserve(more) if used + more <= room => {
                    used += more;
                    Answer::Reserved(true)
                }
                Question::Reserve(_) => Answer::Reserved(false),
                Question::Forget => {
                    used = 0;
                    Answer::Done
                }
                Question::Store(transaction) => {
                    assert!(transaction.message.len() <= used, "more was held than was allowed");
                    assert!(!transaction.recipients.is_empty(), "a message for nobody");
                    assert!(transaction.message.len() as u64 == transaction.size || transaction.oversize);
                    used = 0;
                    let replies = transaction.recipients.iter().map(|_| Reply::new(250, "2.0.0", "kept")).collect();
                    stored.push((transaction.recipients, transaction.message, transaction.size));
                    Answer::Stored(replies)
                }
            }),
            other => panic!("{other:?}"),
        }
    }
    panic!("the core does not come to rest");
}
