//! `lazaret digest`

use argh::FromArgs;

/// show the digests that would be sent now, or have them sent
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "digest", help_triggers("-h", "--help"))]
pub struct Digest {
    /// show what would be sent, and send nothing (also without any option)
    #[argh(switch)]
    pub preview: bool,

    /// as HTML instead of plain text
    #[argh(switch)]
    pub html: bool,

    /// send them now, to everybody who has something new
    #[argh(switch)]
    pub now: bool,

    /// a new key for links; those in mail that was sent stay good
    #[argh(switch)]
    pub new_key: bool,

    /// of whose mail: global, a domain, or an address
    #[argh(option, long = "for")]
    pub only: Option<String>,

    /// one JSON object a line
    #[argh(switch)]
    pub json: bool,
}
