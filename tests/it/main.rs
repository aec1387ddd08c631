//! The integration tests, one binary: linking is what costs.

mod dialog_lmtp;
mod drive;

#[path = "../fuzz/lmtp.rs"]
mod fuzz_lmtp;
