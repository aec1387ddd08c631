//! Integration tests: one binary.

mod dialog;
