//! The LMTP door (RFC 2033): bytes in, steps out. No I/O, no clock.
//!
//! Quarantined mail was already refused, or promised to be kept, by whoever hands it over. A bounce would go to a
//! forged sender, so this door is a sink: once MAIL was accepted its own refusals are 4xx, which the peer tries again.
//!
//! SMTP smuggling: commands end in CRLF and nothing else, a message ends at CRLF "." CRLF and nothing else, and what
//! could be read in two ways closes the connection. `data` and `session` say where.

mod command;
mod data;
mod held;
mod question;
mod reply;
mod session;
mod xforward;

pub use data::Receiver;
pub use question::{Answer, Forwarded, Question, Reply, Transaction};
pub use session::{Options, Session};
