//! The integration tests, one binary: linking is what costs.

mod dialog_lmtp;
mod drive;
//! Integration tests: one binary.

mod dialog;
