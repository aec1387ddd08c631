//! Commands as imap-codec writes them, and whether our parser takes them.

use arbitrary::{Arbitrary, Unstructured};
use imap_codec::CommandCodec;
use imap_codec::encode::{Encoder, Fragment};
use imap_codec::imap_types::command::{Command, CommandBody};
use lazaret::imap::parse;

/// A random command: its name, what it is, and its bytes, if it is one that we know.
pub fn command(random: &[u8]) -> Option<(String, String, Vec<u8>)> {
    let command = Command::arbitrary(&mut Unstructured::new(random)).ok()?;
    // APPEND's message is never parsed, only its head; the others belong to extensions
    if matches!(command.body, CommandBody::Append { .. }) || parse_name(command.body.name()).is_none() {
        return None;
    }
    let bytes: Vec<u8> = CommandCodec::default()
        .encode(&command)
        .flat_map(|fragment| match fragment {
            Fragment::Line { data } | Fragment::Literal { data, .. } => data,
        })
        .collect();
    if bytes.ends_with(b" ()\r\n") && matches!(command.body, CommandBody::Status { .. } | CommandBody::Fetch { .. }) {
        return None; // RFC 3501 9 wants one item at least
    }
    Some((command.body.name().to_string(), format!("{command:?}"), bytes))
}

fn parse_name(name: &str) -> Option<()> {
    lazaret::imap::commands::Command::by_name(name.as_bytes()).map(|_| ())
}

/// Why our parser refuses it.
pub fn refused(bytes: &[u8]) -> Option<&'static str> {
    const RIGHTLY: [&str; 3] = ["this is not UTF-8", "this search is nested too deep", "unknown threading algorithm"];
    parse::command(bytes).request.err().map(|bad| bad.0).filter(|why| !RIGHTLY.contains(why))
}
