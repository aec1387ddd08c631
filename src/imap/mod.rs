//! The IMAP server as a pure state machine (RFC 3501, later RFC 9051): bytes in, steps out. What needs mail or
//! accounts is a [`question`]; the bridge answers it.
//!
//! From the wire inwards: `fragment` finds the end of a command, `parse*` understand it with the table in `commands`,
//! `session` carries it out. `fetch` and `search` read messages through [`content::Content`], wherever they run.

pub mod binary;
mod capability;
pub mod commands;
pub mod content;
mod contexts;
pub mod envelope;
pub mod fetch;
pub mod fragment;
pub mod gather;
pub mod items;
pub mod mutf7;
pub mod needle;
mod notify;
pub mod objectid;
pub mod outline;
pub mod parse;
mod parse_fetch;
mod parse_list;
mod parse_notify;
mod parse_query;
mod parse_search;
mod parse_sync;
mod parser;
pub mod preview;
pub mod query;
pub mod question;
pub mod request;
mod results;
pub mod search;
pub mod section;
pub mod sequence;
mod session;
pub mod signature;
pub mod sort;
pub mod structure;
pub mod text_search;
pub mod thread;
mod threads;
mod view;
pub mod write;

pub use session::{Options, Session, Tls};
