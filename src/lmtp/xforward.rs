//! XFORWARD (Postfix): what the peer knows of the real client.

use super::Forwarded;
use super::command::xtext;
use std::net::IpAddr;

/// Longest value; Postfix sends at most 255 bytes.
const VALUE: usize = 255;

/// Adds the attributes of one command to what earlier ones said. `None`: it does not parse, and nothing was changed.
pub(super) fn apply(arguments: &str, forwarded: &mut Forwarded) -> Option<()> {
    let mut next = forwarded.clone();
    let mut any = false;
    for attribute in arguments.split(' ').filter(|a| !a.is_empty()) {
        let (name, value) = attribute.split_once('=')?;
        let value = text(value)?;
        any = true;
        match name.to_ascii_uppercase().as_str() {
            "ADDR" => {
                next.address = match value {
                    Some(value) => Some(address(&value)?),
                    None => None,
                }
            }
            "NAME" => next.name = value,
            "HELO" => next.helo = value,
            "IDENT" => next.ident = value,
            "SOURCE" => {
                let value = value.map(|v| v.to_ascii_uppercase());
                if !matches!(value.as_deref(), None | Some("LOCAL" | "REMOTE")) {
                    return None;
                }
                next.source = value;
            }
            "PORT" if value.as_ref().is_none_or(|v| v.parse::<u16>().is_ok()) => {}
            "PROTO" => {}
            _ => return None,
        }
    }
    any.then(|| *forwarded = next)
}

/// The decoded value; `Some(None)` when the peer does not know it.
fn text(value: &str) -> Option<Option<String>> {
    let decoded = xtext(value)?;
    if decoded.is_empty() || decoded.len() > VALUE || decoded.chars().any(char::is_control) {
        return None;
    }
    let unknown = ["[UNAVAILABLE]", "[TEMPUNAVAIL]"].iter().any(|u| decoded.eq_ignore_ascii_case(u));
    Some((!unknown).then_some(decoded))
}

fn address(value: &str) -> Option<String> {
    let bare = match value.get(..5) {
        Some(prefix) if prefix.eq_ignore_ascii_case("IPv6:") => value.get(5..)?,
        _ => value,
    };
    bare.parse::<IpAddr>().ok().map(|ip| ip.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes() {
        let mut f = Forwarded::default();
        assert!(apply("NAME=spike.example ADDR=IPv6:2001:db8::1 PROTO=ESMTP PORT=1234", &mut f).is_some());
        assert!(apply("HELO=a+20b SOURCE=remote IDENT=[TEMPUNAVAIL]", &mut f).is_some());
        assert_eq!(f.address.as_deref(), Some("2001:db8::1"));
        assert_eq!(f.name.as_deref(), Some("spike.example"));
        assert_eq!(f.helo.as_deref(), Some("a b"));
        assert_eq!(f.source.as_deref(), Some("REMOTE"));
        assert_eq!(f.ident, None);
        let before = f.clone();
        for bad in ["", "NAME", "NAME=", "NAME=a+0Db", "ADDR=nowhere", "PORT=x", "SOURCE=moon", "WHAT=x", "NAME=a+2"] {
            assert!(apply(bad, &mut f).is_none(), "{bad}");
            assert_eq!(f, before);
        }
        assert!(apply("NAME=[unavailable]", &mut f).is_some());
        assert_eq!(f.name, None);
    }
}
