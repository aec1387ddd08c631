//! Reads what a session sent as a client would: with imap-proto, and with imap-codec what imap-proto does not know.

use imap_codec::ResponseCodec;
use imap_codec::decode::Decoder;
use imap_proto::{AttributeValue, Response};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Responses that imap-proto cannot read and imap-codec can: these, STATUS SIZE, and BODY without a section.
const CODEC: [&str; 3] = ["* NAMESPACE", "* STATUS", " FETCH (BODY ("];
/// Those that neither can: extended data of LIST (RFC 5258 3.5), and ENABLED without a name (RFC 5161 3.2).
const NEITHER: [&str; 2] = ["* LIST", "* ENABLED\r\n"];
/// Response codes that imap-proto leaves in the text.
const CODES: [&str; 21] = [
    "ALREADYEXISTS",
    "AUTHENTICATIONFAILED",
    "AUTHORIZATIONFAILED",
    "BADCHARSET",
    "BADEVENT",
    "CANNOT",
    "CLOSED",
    "EXPUNGEISSUED",
    "NONEXISTENT",
    "NOPERM",
    "OVERQUOTA",
    "PRIVACYREQUIRED",
    "READ-ONLY",
    "TOOBIG",
    "UNAVAILABLE",
    "INUSE",
    "LIMIT",
    "MODIFIED",
    "CONTACTADMIN",
    "EXPIRED",
    "UIDNOTSTICKY",
];

/// Reads a whole conversation; says what cannot be read.
pub fn check(mut sent: &[u8]) -> Result<usize, String> {
    let mut count = 0;
    while !sent.is_empty() {
        let start = String::from_utf8_lossy(&sent[..sent.len().min(200)]).into_owned();
        let parsed = catch_unwind(AssertUnwindSafe(|| Response::parse(sent).map(|(rest, r)| (rest.len(), judge(&r)))));
        let left = match parsed.map_err(|_| format!("imap-proto panics at {start:?}"))? {
            Ok((left, verdict)) => {
                verdict.map_err(|why| format!("{why}: {start:?}"))?;
                left
            }
            Err(error) if CODEC.iter().any(|kind| start.lines().next().is_some_and(|l| l.contains(kind))) => {
                match ResponseCodec::new().decode(sent) {
                    Ok((rest, _)) => rest.len(),
                    Err(second) => return Err(format!("neither reads {start:?}: {error:?}, {second:?}")),
                }
            }
            Err(_) if NEITHER.iter().any(|kind| start.starts_with(kind)) => {
                let end = sent.iter().position(|&b| b == b'\n').ok_or("a line without end")?;
                sent.len() - end - 1
            }
            Err(error) => return Err(format!("imap-proto cannot read {start:?}: {error:?}")),
        };
        sent = &sent[sent.len() - left..];
        count += 1;
    }
    Ok(count)
}

fn judge(response: &Response<'_>) -> Result<(), String> {
    let text = match response {
        Response::Fetch(_, items) if items.iter().any(|i| matches!(i, AttributeValue::Unknown)) => {
            return Err("a FETCH item that imap-proto does not know".into());
        }
        Response::Done { outcome, .. } | Response::Data { outcome, .. } | Response::Continue(outcome) => {
            outcome.information.as_deref()
        }
        _ => None,
    };
    let unread = text.and_then(|text| text.trim_start().strip_prefix('['));
    if let Some(code) = unread.and_then(|text| text.split([' ', ']']).next())
        && !CODES.contains(&code)
    {
        return Err(format!("response code {code}"));
    }
    Ok(())
}
