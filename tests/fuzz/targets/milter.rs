//! A whole milter session: `tests/fuzz/milter.rs`, which the tests use too.
#![no_main]

#[path = "../milter.rs"]
mod milter;
mod plant;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for (sender, ..) in milter::milter(data).judged {
        plant::planted(sender.as_bytes());
    }
});
