//! imap

pub mod envelope;
pub mod section;
pub mod structure;
