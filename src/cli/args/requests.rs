//! `lazaret requests`, `grant` and `decline`

use argh::FromArgs;

/// list what accounts may only request and nobody has decided yet, oldest first
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "requests", help_triggers("-h", "--help"))]
pub struct Requests {
    /// of whose mail: global (default), a domain, or an address
    #[argh(option)]
    pub scope: Option<String>,

    /// one JSON object a line
    #[argh(switch)]
    pub json: bool,
}

/// do what was requested for messages
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "grant", help_triggers("-h", "--help"))]
pub struct Grant {
    /// one JSON object a line
    #[argh(switch)]
    pub json: bool,

    /// message ids, as `lazaret requests` shows them
    #[argh(positional)]
    pub ids: Vec<String>,
}

/// decline what was requested for messages; they stay where they are
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "decline", help_triggers("-h", "--help"))]
pub struct Decline {
    /// one JSON object a line
    #[argh(switch)]
    pub json: bool,

    /// message ids, as `lazaret requests` shows them
    #[argh(positional)]
    pub ids: Vec<String>,
}
