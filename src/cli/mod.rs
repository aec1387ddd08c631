//! The command line: what was typed becomes a [`Command`], what was done becomes text or JSON and an exit code.

mod args;
mod check;
mod deposit;
mod doctor;
mod exit;
mod help;
mod output;
mod run;
mod senders;
mod shown;
mod store;
mod user;

pub use args::{
    Check, Command, Demo, Deposit, Doctor, Expire, Help, Invocation, List, Release, Remove, Sender, Serve, Show, Stop,
    Train, User, UserAdd, UserCommand, UserList, UserPasswd, UserRemove, parse,
};
pub use exit::Exit;
pub use output::{Table, clean, fail, print, print_json};
pub use run::run;
pub use store::run as run_on_store;
