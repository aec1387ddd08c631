//! The milter door (Sendmail's mail filter protocol, versions 2 to 6): bytes in, steps out. No I/O, no clock.
//!
//! The mail server shows each message before it answers its sender, so what is refused here is refused in the sender's
//! face, and we have it already. The protocol's text calls a command of the server SMFIC, an answer SMFIR, a thing that
//! a filter may do SMFIF, and a step that it does not want, or that needs no answer, SMFIP; constants have these names.
//!
//! The server counts answers: one too many, or one too few, and it takes one for that to another command. Each packet is
//! therefore answered in one place (`session`), and what cannot be understood closes the connection: the server then does
//! what it was told to do without its filter, which is to defer the mail.

mod command;
mod field;
mod negotiate;
mod packet;
mod question;
mod reply;
mod session;

pub use question::{Answer, Client, Edit, Judged, Question, Reply, Transaction};
pub use reply::PROGRESS;
pub use session::{Options, Session};
