//! The rules, and no protocol: whose mail it is, which folders there are, who may do what, and what that does.

pub mod account;
pub mod act;
pub mod admit;
mod append;
pub mod children;
pub mod core;
pub mod digest;
pub mod directory;
pub mod expire;
pub mod finish;
pub mod folders;
pub mod history;
pub mod links;
pub mod lists;
pub mod mailbox;
pub mod mark;
pub mod policy;
#[cfg(test)]
mod regressions;
pub mod requests;
pub mod scope;
pub mod scram;
pub mod session;
#[cfg(test)]
mod tests;
pub mod throttle;
mod undo;
mod whole;

pub use account::{Account, Accounts, Scope};
pub use act::{Done, Failed};
pub use admit::{Arrival, Filed, Refused, has_space};
pub use append::Appending;
pub use children::Named;
pub use core::{Options, Quarantine};
pub use mailbox::{Counts, Mailbox};
