//! A whole IMAP session over the fake store of the dialogs: the first byte says how the input is cut and whether a user
//! is logged in.
#![no_main]

#[path = "../../dialog/fake.rs"]
#[allow(dead_code)] // the dialogs use more of it
mod fake;
mod plant;

use lazaret::base::Timestamp;
use lazaret::imap::{Options, Tls};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::rc::Rc;

fuzz_target!(|data: &[u8]| {
    let Some((&how, input)) = data.split_first() else { return };
    let chunk = [usize::MAX, 1, 7, 64][usize::from(how & 3)];
    let sent = talk(how, input, chunk);
    if chunk != usize::MAX {
        assert_eq!(talk(how, input, usize::MAX), sent, "chunks change the answer");
    }
    for line in sent.split(|b| *b == b'\n') {
        plant::planted(line);
    }
});

fn talk(how: u8, input: &[u8], chunk: usize) -> Vec<u8> {
    let now = Timestamp::from_secs(1_700_000_000);
    let tls = if how & 4 == 0 { Tls::Offered } else { Tls::Active };
    let options = Options { tls, plain_login: how & 8 == 0, host: "h".into() };
    let mut peer = fake::Peer::new(Rc::new(RefCell::new(fake::World::new())), options);
    peer.run(now);
    if how & 16 == 0 {
        peer.send(b"a LOGIN alice secret\r\nb SELECT Caught\r\n", usize::MAX, now);
    }
    peer.send(input, chunk, now);
    // Half an hour of silence ends every session (RFC 3501 5.4).
    peer.run(Timestamp::from_secs(1_700_000_000 + 3_600));
    peer.sent
}
