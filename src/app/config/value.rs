//! Values that TOML has no type for: durations, sizes, addresses to listen on, networks. Each converter answers with
//! what it expected.

use super::reader::Converted;
use super::{Listen, Network, RouteTls};
use crate::base::limits;
use crate::mail::Address;
use crate::verdict::Filter;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeValue;

/// Longest duration that makes sense: a hundred years.
const LONGEST: u64 = 100 * 365 * 86_400;

/// An address.
pub fn mail_address(value: &DeValue<'_>) -> Converted<Address> {
    // What goes into a header of ours is plain.
    let plain = value.as_str().filter(|text| text.is_ascii() && !text.contains('"'));
    let address = plain.and_then(|text| Address::parse(text).ok());
    address.ok_or_else(|| "an address like \"postmaster@example.org\"".to_string())
}

/// A string that is not empty.
pub fn text(value: &DeValue<'_>) -> Converted<String> {
    match value.as_str() {
        Some(text) if !text.is_empty() && !text.chars().any(char::is_control) => Ok(text.to_string()),
        _ => Err("a text in quotes".to_string()),
    }
}

/// A path.
pub fn path(value: &DeValue<'_>) -> Converted<PathBuf> {
    text(value).map(PathBuf::from).map_err(|_| "a path in quotes".to_string())
}

/// `true` or `false`.
pub fn boolean(value: &DeValue<'_>) -> Converted<bool> {
    value.as_bool().ok_or_else(|| "true or false".to_string())
}

/// A whole number in a range.
pub fn integer(least: u64, most: u64) -> impl Fn(&DeValue<'_>) -> Converted<u64> {
    move |value| {
        let number = value.as_integer().and_then(|i| i64::from_str_radix(i.as_str(), i.radix()).ok());
        number
            .and_then(|n| u64::try_from(n).ok())
            .filter(|n| (least..=most).contains(n))
            .ok_or_else(|| format!("a whole number from {least} to {most}"))
    }
}

/// An exit code.
pub fn exit_code(value: &DeValue<'_>) -> Converted<i32> {
    integer(0, 255)(value).map(|code| code as i32)
}

/// One of some words.
pub fn choice<T: Copy>(choices: &[(&'static str, T)]) -> impl Fn(&DeValue<'_>) -> Converted<T> {
    let choices = choices.to_vec();
    move |value| {
        let known = choices.iter().find(|(word, _)| value.as_str() == Some(word)).map(|(_, choice)| *choice);
        known.ok_or_else(|| one_of(&choices.iter().map(|(word, _)| *word).collect::<Vec<_>>()))
    }
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| format!("\"{w}\"")).collect();
    match quoted.as_slice() {
        [first, second] => format!("{first} or {second}"),
        _ => format!("one of {}", quoted.join(", ")),
    }
}

/// The value, or `"none"` for no limit.
pub fn or_none<T>(one: impl Fn(&DeValue<'_>) -> Converted<T>) -> impl Fn(&DeValue<'_>) -> Converted<Option<T>> {
    move |value| match value.as_str() {
        Some("none") => Ok(None),
        _ => one(value).map(Some).map_err(|expected| format!("{expected}, or \"none\"")),
    }
}

/// `"14 d"`
pub fn duration(value: &DeValue<'_>) -> Converted<Duration> {
    const UNITS: [(&str, u64); 5] = [("s", 1), ("min", 60), ("h", 3_600), ("d", 86_400), ("w", 7 * 86_400)];
    let secs = value.as_str().and_then(|text| scaled(text, &UNITS)).filter(|secs| (1..=LONGEST).contains(secs));
    secs.map(Duration::from_secs).ok_or_else(|| "a duration like \"90 s\", \"15 min\", \"1 h\", \"14 d\"".to_string())
}

/// `"64 MB"`; K, M and G are powers of 1024.
pub fn size(value: &DeValue<'_>) -> Converted<u64> {
    const UNITS: [(&str, u64); 5] = [("B", 1), ("KB", 1 << 10), ("MB", 1 << 20), ("GB", 1 << 30), ("TB", 1 << 40)];
    let bytes = value.as_str().and_then(|text| scaled(text, &UNITS)).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| "a size like \"500 KB\", \"64 MB\", \"2 GB\"".to_string())
}

/// `"5 %"`
pub fn percent(value: &DeValue<'_>) -> Converted<u8> {
    let number = value.as_str().and_then(|text| scaled(text, &[("%", 1)])).filter(|n| *n <= 50);
    number.and_then(|n| u8::try_from(n).ok()).ok_or_else(|| "a share from \"0 %\" to \"50 %\"".to_string())
}

/// A whole number and a unit, with or without a space between them.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start_matches(' '))?;
    number.parse::<u64>().ok()?.checked_mul(*factor).filter(|n| *n <= i64::MAX as u64)
}

/// `"127.0.0.1:993"`
pub fn socket_address(value: &DeValue<'_>) -> Converted<SocketAddr> {
    let address = value.as_str().and_then(|text| text.parse().ok());
    address.ok_or_else(|| "an address with port like \"127.0.0.1:993\" or \"[::1]:993\"".to_string())
}

/// `"127.0.0.1:8024"` or `"unix:/run/lazaret/lmtp"`
pub fn listen(value: &DeValue<'_>) -> Converted<Listen> {
    let expected = || "an address like \"127.0.0.1:8024\", or \"unix:\" and the path of a socket".to_string();
    let text = value.as_str().ok_or_else(expected)?;
    match text.strip_prefix("unix:") {
        // A socket's address holds 108 bytes with its end (unix(7)).
        Some(path) if path.starts_with('/') && path.len() < 108 => Ok(Listen::Unix(path.into())),
        Some(_) => Err("\"unix:\" and an absolute path of at most 107 bytes".to_string()),
        None => text.parse().map(Listen::Tcp).map_err(|_| expected()),
    }
}

/// An address, or the first bits of some: `"127.0.0.0/8"`.
pub fn network(value: &DeValue<'_>) -> Converted<Network> {
    let parse = |text: &str| {
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most), |b| b.parse().ok()).filter(|b| *b <= most)?;
        Some(Network { address, bits })
    };
    value.as_str().and_then(parse).ok_or_else(|| "an address or network like \"127.0.0.0/8\"".to_string())
}

/// How long something can be taken back: `"10 s"`, at most an hour; `"none"`: not at all.
pub fn undo_window(value: &DeValue<'_>) -> Converted<Duration> {
    let delay = or_none(duration)(value).map(Option::unwrap_or_default);
    delay
        .ok()
        .filter(|delay| *delay <= limits::RELEASE_DELAY_MOST)
        .ok_or_else(|| "a duration like \"10 s\", at most \"1 h\", or \"none\"".to_string())
}

/// `"0660"`
pub fn mode(value: &DeValue<'_>) -> Converted<u32> {
    let mode = value.as_str().filter(|t| t.len() == 4 && t.starts_with('0'));
    mode.and_then(|t| u32::from_str_radix(t, 8).ok()).ok_or_else(|| "an octal mode like \"0660\"".to_string())
}

/// One character between a local part and its tag, or nothing.
pub fn delimiter(value: &DeValue<'_>) -> Converted<Option<char>> {
    let expected = || "one character like \"+\", or \"\" for no tags".to_string();
    let mut chars = value.as_str().ok_or_else(expected)?.chars();
    match (chars.next(), chars.next()) {
        (None, _) => Ok(None),
        (Some(c), None) if !c.is_alphanumeric() && !c.is_whitespace() && !c.is_control() && c != '@' => Ok(Some(c)),
        _ => Err(expected()),
    }
}

/// A host name as SMTP and mail programs take it.
pub fn host_name(value: &DeValue<'_>) -> Converted<Option<String>> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match value.as_str() {
        Some("") => Ok(None),
        Some(name) if name.len() <= 255 && name.chars().all(good) => Ok(Some(name.to_string())),
        _ => Err("a host name like \"mail.example.org\", or \"\" for the machine's own".to_string()),
    }
}

/// `https://host`, with a port or without; no path.
pub fn base_url(value: &DeValue<'_>) -> Converted<String> {
    let good = |text: &&str| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
        let host = rest.split('/').next().unwrap_or_default();
        !host.is_empty() && rest == host && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b))
    };
    let url = value.as_str().map(|text| text.trim_end_matches('/')).filter(good);
    let expected = "an address like \"https://quarantine.example.org\", without a path";
    url.map(str::to_string).ok_or_else(|| expected.to_string())
}

/// `imaps://host`, `imap://host` (STARTTLS) or `imap-plain://host`, with a port or without: whether and when TLS begins,
/// host, port.
pub fn imap_url(value: &DeValue<'_>) -> Converted<(RouteTls, String, u16)> {
    let expected = "an address like \"imaps://mail.example.org\", or with \"imap://\" and STARTTLS";
    value.as_str().and_then(imap_server).ok_or_else(|| expected.to_string())
}

/// The same of a text.
pub fn imap_server(text: &str) -> Option<(RouteTls, String, u16)> {
    let (scheme, rest) = text.split_once("://")?;
    let (tls, usual) = match scheme {
        "imaps" => (RouteTls::Implicit, 993),
        "imap" => (RouteTls::Starttls, 143),
        "imap-plain" => (RouteTls::None, 143),
        _ => return None,
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.strip_prefix('[') {
        Some(v6) => {
            let (host, port) = v6.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, port)
        }
        None => rest.split_at(rest.find(':').unwrap_or(rest.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port > 0)?,
        None if port.is_empty() => usual,
        None => return None,
    };
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    (!host.is_empty() && host.len() <= 255 && host.chars().all(good)).then(|| (tls, host.to_string(), port))
}

/// The name of a header field (RFC 5322 2.2).
pub fn header_name(value: &DeValue<'_>) -> Converted<String> {
    let name = value.as_str().filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_graphic() && b != b':'));
    name.map(str::to_string).ok_or_else(|| "the name of a header field like \"X-Original-To\"".to_string())
}

/// A word for names of queue entries and routes.
pub fn name(value: &DeValue<'_>) -> Converted<String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let name = value.as_str().filter(|t| !t.is_empty() && t.len() <= 32 && t.chars().all(good));
    name.map(str::to_string).ok_or_else(|| "a name of lower-case letters, digits, - and _".to_string())
}

/// Where rspamd listens.
pub fn http_url(value: &DeValue<'_>) -> Converted<String> {
    let good = |host: &str| {
        let host = host.strip_suffix('/').unwrap_or(host);
        !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']'))
    };
    let url = value.as_str().filter(|text| text.strip_prefix("http://").is_some_and(good));
    url.map(|u| u.trim_end_matches('/').to_string())
        .ok_or_else(|| "an address like \"http://127.0.0.1:11334\"".to_string())
}

/// A filter whose header fields can be believed.
pub fn filter(value: &DeValue<'_>) -> Converted<Filter> {
    choice(&Filter::ALL.map(|f| (f.word(), f)))(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> DeValue<'_> {
        DeValue::String(text.into())
    }

    #[test]
    fn durations_and_sizes() {
        for (text, secs) in [("90 s", 90), ("15min", 900), ("1 h", 3_600), ("14 d", 1_209_600), ("2 w", 1_209_600)] {
            assert_eq!(duration(&string(text)), Ok(Duration::from_secs(secs)), "{text}");
        }
        for text in ["", "14", "d", "14 days", "-1 d", "1.5 h", "0 s", "14 D", "99999999999999999999 d", "9999999999 w"]
        {
            assert!(duration(&string(text)).is_err(), "{text}");
        }
        for (text, bytes) in [("1 B", 1), ("64 MB", 64 << 20), ("2GB", 2 << 30)] {
            assert_eq!(size(&string(text)), Ok(bytes), "{text}");
        }
        for text in ["64", "64 mb", "64 MiB", "0 B", "9999999999 TB"] {
            assert!(size(&string(text)).is_err(), "{text}");
        }
        assert_eq!(percent(&string("5 %")), Ok(5));
        assert!(percent(&string("51%")).is_err());
        assert!(duration(&DeValue::Boolean(true)).is_err());
        assert_eq!(or_none(duration)(&string("none")), Ok(None));
    }

    #[test]
    fn addresses() {
        assert_eq!(listen(&string("unix:/run/x")), Ok(Listen::Unix("/run/x".into())));
        assert!(listen(&string("[::1]:24")).is_ok());
        for text in ["unix:run/x", "127.0.0.1", "localhost:24", "24", &format!("unix:/{}", "x".repeat(107))] {
            assert!(listen(&string(text)).is_err(), "{text}");
        }
        let net = network(&string("10.0.0.0/8")).unwrap();
        assert!(net.contains("10.1.2.3".parse().unwrap()) && net.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!net.contains("11.0.0.1".parse().unwrap()) && !net.contains("::1".parse().unwrap()));
        let all = network(&string("::/0")).unwrap();
        assert!(all.contains("2001:db8::1".parse().unwrap()));
        let one = network(&string("192.0.2.1")).unwrap();
        assert!(one.contains("192.0.2.1".parse().unwrap()) && !one.contains("192.0.2.0".parse().unwrap()));
        assert!(network(&string("10.0.0.0/33")).is_err() && network(&string("example.org")).is_err());
    }

    #[test]
    fn small_values() {
        assert_eq!(mode(&string("0660")), Ok(0o660));
        assert!(mode(&string("660")).is_err() && mode(&string("0888")).is_err() && mode(&string("07777")).is_err());
        assert_eq!(delimiter(&string("")), Ok(None));
        assert!(delimiter(&string("a")).is_err() && delimiter(&string("++")).is_err());
        assert_eq!(http_url(&string("http://[::1]:11334/")).as_deref(), Ok("http://[::1]:11334"));
        assert!(http_url(&string("https://x")).is_err() && http_url(&string("http://a b")).is_err());
        assert!(header_name(&string("X:")).is_err() && host_name(&string("a b")).is_err());
        let imap = |text| imap_url(&string(text));
        assert_eq!(imap("imaps://mail.example.org"), Ok((RouteTls::Implicit, "mail.example.org".into(), 993)));
        assert_eq!(imap("imap://[::1]:1143/"), Ok((RouteTls::Starttls, "::1".into(), 1143)));
        assert_eq!(imap("imap-plain://127.0.0.1"), Ok((RouteTls::None, "127.0.0.1".into(), 143)));
        let bad = [
            "mail.example.org",
            "imaps://",
            "imaps://a:0",
            "imaps://a:x",
            "imaps://u@a",
            "imaps://[a]",
            "imaps://[::1]1",
            "imaps://a/b",
        ];
        assert!(bad.iter().all(|text| imap(text).is_err()));
        assert!(name(&string("Main")).is_err());
        let choices = choice(&[("a", 1), ("b", 2)]);
        assert_eq!(choices(&string("b")), Ok(2));
        assert_eq!(choices(&string("c")), Err("\"a\" or \"b\"".to_string()));
    }
}
