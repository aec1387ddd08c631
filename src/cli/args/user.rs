//! `lazaret user`

use super::one_of;
use crate::store::passwd::Scheme;
use argh::FromArgs;

/// add, change, remove and list accounts
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "user", help_triggers("-h", "--help"))]
pub struct User {
    /// what to do
    #[argh(subcommand)]
    pub command: UserCommand,
}

/// What to do with accounts.
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand)]
pub enum UserCommand {
    /// Add one.
    Add(UserAdd),
    /// Change a password.
    Passwd(UserPasswd),
    /// Remove one.
    Remove(UserRemove),
    /// List them.
    List(UserList),
}

/// add an account; the password is asked for, or the first line of standard input
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "add", help_triggers("-h", "--help"))]
pub struct UserAdd {
    /// global, a domain, or an address
    #[argh(positional)]
    pub login: String,

    /// how the password is kept: ARGON2ID (default), BLF-CRYPT, SHA512-CRYPT, PBKDF2, SCRAM-SHA-256
    #[argh(option, default = "Scheme::Argon2id", from_str_fn(scheme))]
    pub scheme: Scheme,
}

/// change the password of an account; it is asked for, or the first line of standard input
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "passwd", help_triggers("-h", "--help"))]
pub struct UserPasswd {
    /// the account's login
    #[argh(positional)]
    pub login: String,

    /// how the password is kept: ARGON2ID (default), BLF-CRYPT, SHA512-CRYPT, PBKDF2, SCRAM-SHA-256
    #[argh(option, default = "Scheme::Argon2id", from_str_fn(scheme))]
    pub scheme: Scheme,
}

/// remove an account; its mail stays
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "remove", help_triggers("-h", "--help"))]
pub struct UserRemove {
    /// the account's login
    #[argh(positional)]
    pub login: String,
}

/// list accounts
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "list", help_triggers("-h", "--help"))]
pub struct UserList {
    /// one JSON object a line
    #[argh(switch)]
    pub json: bool,
}

fn scheme(text: &str) -> Result<Scheme, String> {
    Scheme::from_name(text).ok_or_else(|| one_of(Scheme::ALL.map(Scheme::name)))
}
