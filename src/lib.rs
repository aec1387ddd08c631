#![doc = include_str!("ARCHITECTURE.md")]

pub mod app;
pub mod base;
pub mod bridge;
pub mod cli;
pub mod disk;
pub mod imap;
pub mod lmtp;
pub mod mail;
pub mod milter;
pub mod net;
pub mod page;
pub mod quarantine;
pub mod queue;
pub mod serve;
pub mod store;
pub mod work;
