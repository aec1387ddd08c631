//! What a browser asks, as values: path, fields of query and form, the cookie. Parsing is bounded and total: whatever a
//! peer sends becomes fields, or a refusal.

use super::texts::Language;
use crate::base::limits;
use std::net::IpAddr;

/// What is to be done with the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Look: GET and HEAD change nothing.
    Get,
    /// Act.
    Post,
}

/// Whether the page that sent a request was ours, as far as the browser says (RFC 6454 7, Fetch Metadata).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origin {
    /// It says so, or that a person typed the address.
    Ours,
    /// It says that it was another.
    Foreign,
    /// It says nothing.
    #[default]
    Unknown,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// GET or POST.
    pub method: Method,
    /// The path as it was sent, without its query.
    pub path: String,
    /// The fields behind `?`.
    pub query: Fields,
    /// The fields of a form.
    pub form: Fields,
    /// The file of a form.
    pub upload: Option<Vec<u8>>,
    /// The Cookie field.
    pub cookie: String,
    /// What the reader wants to read.
    pub language: Language,
    /// From where; `None`: this machine, by a Unix socket.
    pub peer: Option<IpAddr>,
    /// Whose page sent it.
    pub origin: Origin,
}

impl Request {
    /// A look at a path with its query (`/caught?q=x`).
    pub fn get(target: &str) -> Request {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Request {
            method: Method::Get,
            path: path.to_string(),
            query: Fields::parse(query.as_bytes()),
            form: Fields::default(),
            upload: None,
            cookie: String::new(),
            language: Language::En,
            peer: None,
            origin: Origin::Unknown,
        }
    }

    /// The path's segments, percent-decoded; `None` when one is no text, or could be taken for a step in a path.
    pub fn segments(&self) -> Option<Vec<String>> {
        let rest = self.path.strip_prefix('/')?;
        let mut segments = Vec::new();
        for segment in rest.split('/') {
            let decoded = String::from_utf8(percent_decoded(segment.as_bytes(), false)).ok()?;
            if decoded.is_empty() && rest.is_empty() {
                continue;
            }
            if matches!(decoded.as_str(), "" | "." | "..") || decoded.contains(['\0', '\r', '\n']) {
                return None;
            }
            segments.push(decoded);
        }
        Some(segments)
    }

    /// The value of a cookie (RFC 6265 4.2.1).
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookie.split(';').find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
    }
}

/// Names and values in order, names as often as they were sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded`. Bytes that are no UTF-8 become U+FFFD; fields above
    /// [`limits::FORM_FIELDS`] are not looked at.
    pub fn parse(bytes: &[u8]) -> Fields {
        let text = |bytes: &[u8]| String::from_utf8_lossy(&percent_decoded(bytes, true)).into_owned();
        let pairs = bytes.split(|b| *b == b'&').filter(|pair| !pair.is_empty()).take(limits::FORM_FIELDS);
        let split = |pair: &[u8]| match pair.iter().position(|b| *b == b'=') {
            Some(at) => (text(pair.get(..at).unwrap_or_default()), text(pair.get(at + 1..).unwrap_or_default())),
            None => (text(pair), String::new()),
        };
        Fields(pairs.map(split).collect())
    }

    /// Adds a field.
    pub fn push(&mut self, name: &str, value: &str) {
        self.0.push((name.to_string(), value.to_string()));
    }

    /// The first value with this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first value with this name; "" when there is none.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// Every value with this name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Undoes percent-encoding; what is no encoding stays as it is. `plus`: `+` is a space.
fn percent_decoded(bytes: &[u8], plus: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let pair = || {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let (high, low) = (digit(*bytes.get(at + 1)?)?, digit(*bytes.get(at + 2)?)?);
            u8::try_from(high * 16 + low).ok()
        };
        match (byte, pair()) {
            (b'%', Some(decoded)) => {
                out.push(decoded);
                at += 2;
            }
            (b'+', _) if plus => out.push(b' '),
            _ => out.push(byte),
        }
        at += 1;
    }
    out
}

/// Percent-encodes what is not unreserved (RFC 3986 2.3): for one segment of a path, or one value of a query.
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(HEX.get(usize::from(digit)).map_or('0', |hex| char::from(*hex)));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forms() {
        let fields = Fields::parse(b"a=1&b=x+y%26z&a=2&&c&%C3%A4=%ff&d=%4");
        assert_eq!(fields.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(fields.get("b"), Some("x y&z"));
        assert_eq!(fields.get("c"), Some(""));
        assert_eq!(fields.text("ä"), "\u{fffd}");
        assert_eq!(fields.text("d"), "%4");
        assert_eq!(fields.get("e"), None);
        assert_eq!(Fields::parse(&b"a&".repeat(limits::FORM_FIELDS * 2)).all("a").count(), limits::FORM_FIELDS);
    }

    #[test]
    fn paths_hold_no_steps() {
        let segments = |path: &str| Request::get(path).segments();
        assert_eq!(segments("/"), Some(vec![]));
        assert_eq!(segments("/caught?q=%2f"), Some(vec!["caught".to_string()]));
        assert_eq!(segments("/m/a%2Fb@x.test"), Some(vec!["m".to_string(), "a/b@x.test".to_string()]));
        for bad in ["", "caught", "//", "/caught/", "/../x", "/m/%2e%2e", "/m/.", "/m/%00", "/%ff", "/a%0d%0ab", "*"] {
            assert_eq!(segments(bad), None, "{bad}");
        }
    }

    #[test]
    fn cookies() {
        let request = Request { cookie: "a=1; __Host-x=abc=; __Host-xy=2".into(), ..Request::get("/") };
        assert_eq!(request.cookie("__Host-x"), Some("abc="));
        assert_eq!(request.cookie("a"), Some("1"));
        assert_eq!(request.cookie("x"), None);
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(name in ".*", value in ".*") {
            let form = format!("{}={}", encoded(&name), encoded(&value));
            let fields = Fields::parse(form.as_bytes());
            prop_assert_eq!(fields.get(&name), Some(value.as_str()));
            let request = Request::get(&format!("/{}", encoded(&name)));
            if let Some(segments) = request.segments() && !segments.is_empty() {
                prop_assert_eq!(segments, vec![name]);
            }
        }

        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>, path in ".*") {
            Fields::parse(&bytes);
            Request::get(&path).segments();
        }
    }
}
