//! What the packets of an envelope say.

use super::Client;
use super::packet::Broken;
use crate::base::limits;
use std::net::IpAddr;

/// Longest value of a macro, and of a host name, that is kept; longer ones are cut.
const VALUE: usize = 255;

/// Macros that matter here, as far as they were told.
#[derive(Debug, Clone, Default)]
pub(super) struct Macros {
    /// `i`: the queue id.
    pub(super) queue_id: Option<String>,
    /// `{auth_authen}`: who logged in.
    pub(super) user: Option<String>,
    /// `{client_addr}`
    pub(super) address: Option<String>,
    /// `{client_name}`
    pub(super) name: Option<String>,
}

impl Macros {
    /// Takes note of what a SMFIC_MACRO packet says. What is of a transaction is forgotten with it.
    pub(super) fn note(&mut self, data: &[u8]) {
        // The command that they belong to comes first.
        let Some((_, pairs)) = data.split_first() else { return };
        let mut texts = strings(pairs);
        while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
            let slot = match name.strip_prefix(b"{").and_then(|n| n.strip_suffix(b"}")).unwrap_or(name) {
                b"i" => &mut self.queue_id,
                b"auth_authen" => &mut self.user,
                b"client_addr" => &mut self.address,
                b"client_name" => &mut self.name,
                _ => continue,
            };
            *slot = Some(short(value)).filter(|value| !value.is_empty());
        }
    }

    /// The transaction has ended.
    pub(super) fn end_of_message(&mut self) {
        (self.queue_id, self.user) = (None, None);
    }
}

/// The texts of a packet, each ended by NUL. A last one that is not ended counts.
fn strings(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.strip_suffix(b"\0").unwrap_or(data).split(|&b| b == 0)
}

fn short(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..VALUE).unwrap_or(bytes));
    text.chars().filter(|c| !c.is_control()).collect()
}

/// SMFIC_CONNECT: host name, protocol family, and, unless that is `U`, port and address.
pub(super) fn connect(data: &[u8]) -> Result<Client, Broken> {
    let broken = Broken("its description of the client cannot be understood");
    let end = memchr::memchr(0, data).ok_or(broken)?;
    let (name, rest) = data.split_at(end);
    let (&family, rest) = rest.get(1..).and_then(<[u8]>::split_first).ok_or(broken)?;
    let address = match family {
        b'U' | b'L' => None,
        b'4' | b'6' => strings(rest.get(2..).ok_or(broken)?).next().and_then(address),
        _ => return Err(broken),
    };
    Ok(Client { address, name: host_name(&short(name)), helo: None })
}

/// A host name, unless it is what stands for one: `[192.0.2.1]`, `unknown`.
pub(super) fn host_name(name: &str) -> Option<String> {
    let is_none = name.is_empty() || name.starts_with('[') || name.eq_ignore_ascii_case("unknown");
    (!is_none).then(|| name.to_string())
}

/// An IP address; Sendmail writes `IPv6:` in front.
pub(super) fn address(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let bare = match text.get(..5) {
        Some(prefix) if prefix.eq_ignore_ascii_case("IPv6:") => text.get(5..)?,
        _ => text,
    };
    bare.parse::<IpAddr>().ok().map(|ip| ip.to_string())
}

/// SMFIC_HELO.
pub(super) fn helo(data: &[u8]) -> Option<String> {
    strings(data).next().map(short).filter(|helo| !helo.is_empty())
}

/// SMFIC_MAIL and SMFIC_RCPT: the path, in angle brackets, without them. What follows are ESMTP arguments.
pub(super) fn path(data: &[u8]) -> Result<String, Broken> {
    let path = strings(data).next().unwrap_or_default();
    let bare = path.strip_prefix(b"<").and_then(|p| p.strip_suffix(b">")).unwrap_or(path);
    if bare.len() > limits::REVERSE_PATH {
        return Err(Broken("it sent an address that is too long"));
    }
    match std::str::from_utf8(bare) {
        Ok(text) if !text.contains(char::is_control) => Ok(text.to_string()),
        // An address that cannot be one is not ours to lose mail for: it resolves to nobody.
        _ => Ok(short(bare)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients() {
        let of = |data: &[u8]| connect(data).map(|c| (c.name, c.address));
        let some = |s: &str| Some(s.to_string());
        assert_eq!(of(b"mx.example\x004\x30\x39192.0.2.1\0"), Ok((some("mx.example"), some("192.0.2.1"))));
        assert_eq!(of(b"[x]\x006\x00\x00IPv6:2001:DB8::1\0"), Ok((None, some("2001:db8::1"))));
        assert_eq!(of(b"unknown\x006\x00\x002001:db8::1"), Ok((None, some("2001:db8::1"))));
        assert_eq!(of(b"localhost\0U"), Ok((some("localhost"), None)));
        assert_eq!(of(b"localhost\0L\0\0/var/run/x\0"), Ok((some("localhost"), None)));
        for bad in [&b""[..], b"x", b"x\0", b"x\x004", b"x\x004\0", b"x\0Z\0\0y\0"] {
            assert!(connect(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn macros_with_and_without_braces() {
        let mut macros = Macros::default();
        macros.note(b"C{client_addr}\x00192.0.2.1\0{client_name}\0mx\0j\0host\0");
        macros.note(b"Mi\0ABC\0{auth_authen}\0ali\nce\0{odd");
        assert_eq!((macros.queue_id.as_deref(), macros.user.as_deref()), (Some("ABC"), Some("alice")));
        macros.note(b"M{auth_authen}\0\0{i}\0DEF\0");
        assert_eq!((macros.queue_id.as_deref(), macros.user.as_deref()), (Some("DEF"), None));
        macros.end_of_message();
        assert_eq!((macros.queue_id, macros.name.as_deref()), (None, Some("mx")));
        Macros::default().note(b"");
        let mut long = Macros::default();
        long.note(&[b"Mi\0".to_vec(), vec![b'x'; 60_000], vec![0]].concat());
        assert_eq!(long.queue_id.unwrap().len(), VALUE);
    }

    #[test]
    fn paths() {
        assert_eq!(path(b"<Alice+x@example.org>\0SIZE=3\0").unwrap(), "Alice+x@example.org");
        assert_eq!(path(b"<>\0").unwrap(), "");
        assert_eq!(path(b"bare@example.org").unwrap(), "bare@example.org");
        assert_eq!(path(b"<a\nb@\xff>\0").unwrap(), "ab@\u{fffd}");
        assert!(path(&[b'x'; 2000]).is_err());
        assert_eq!(helo(b"mx\0").as_deref(), Some("mx"));
        assert_eq!(helo(b"\0"), None);
    }
}
