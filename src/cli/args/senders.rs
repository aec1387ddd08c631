//! `lazaret allow`, `block`, `unlist` and `lists`

use argh::FromArgs;

/// allow senders: their mail is not to be caught, where SPF or DKIM proves that it is theirs
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "allow", help_triggers("-h", "--help"))]
pub struct Allow {
    /// in whose list: global (default), a domain, or an address
    #[argh(option, long = "for")]
    pub list: Option<String>,

    /// one JSON object a line
    #[argh(switch)]
    pub json: bool,

    /// addresses, and domains, which stand for all below them, too
    #[argh(positional)]
    pub senders: Vec<String>,
}

/// block senders: their mail is to be caught
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "block", help_triggers("-h", "--help"))]
pub struct Block {
    /// in whose list: global (default), a domain, or an address
    #[argh(option, long = "for")]
    pub list: Option<String>,

    /// one JSON object a line
    #[argh(switch)]
    pub json: bool,

    /// addresses, and domains, which stand for all below them, too
    #[argh(positional)]
    pub senders: Vec<String>,
}

/// take senders off a list
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "unlist", help_triggers("-h", "--help"))]
pub struct Unlist {
    /// off whose list: global (default), a domain, or an address
    #[argh(option, long = "for")]
    pub list: Option<String>,

    /// one JSON object a line
    #[argh(switch)]
    pub json: bool,

    /// addresses and domains, as `lazaret lists` shows them
    #[argh(positional)]
    pub senders: Vec<String>,
}

/// list the senders that are allowed and blocked
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "lists", help_triggers("-h", "--help"))]
pub struct Lists {
    /// in whose list: global, a domain, or an address (default: in all)
    #[argh(positional)]
    pub list: Option<String>,

    /// one JSON object a line
    #[argh(switch)]
    pub json: bool,
}
