//! A whole LMTP session: `tests/fuzz/lmtp.rs`, which the tests use too.
#![no_main]

#[path = "../lmtp.rs"]
mod lmtp;
mod plant;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for (sender, ..) in lmtp::lmtp(data).stored {
        plant::planted(sender.as_bytes());
    }
});
