//! Integration tests: one binary.

mod dialog;
//! x
mod golden;
