//! Integration tests: one binary.

mod dialog;
mod golden;
