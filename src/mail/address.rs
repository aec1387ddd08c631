//! Mail addresses: parsed once, never checked again.

use crate::base::{limits, path};
use std::fmt;

/// A mailbox address as SMTP knows it. The local part keeps its spelling; the domain is lower-case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    local: String,
    domain: String,
}

/// Why a text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressError {
    /// No `@`, or nothing before or after it.
    Incomplete,
    /// A control character, NUL, or a byte that SMTP cannot carry here.
    Forbidden,
    /// Over `limits::LOCAL_PART` or `limits::DOMAIN`.
    TooLong,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressError::Incomplete => "an address is local-part@domain",
            AddressError::Forbidden => {
                "an address holds no control characters, spaces outside quotes, or angle brackets"
            }
            AddressError::TooLong => "the local part has at most 64 bytes, the domain at most 255",
        })
    }
}

impl std::error::Error for AddressError {}

impl Address {
    /// Parses `local@domain` (RFC 5321 4.1.2 Mailbox, RFC 6531 for UTF-8). A quoted local part loses quotes that it does
    /// not need and keeps its meaning; the domain is lower-cased, a trailing dot is dropped.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        let at = text.rfind('@').ok_or(AddressError::Incomplete)?;
        let (local, domain) = (&text[..at], &text[at + 1..]);
        // lower case can be longer: the limit is for what is kept
        let domain = domain.strip_suffix('.').unwrap_or(domain).to_lowercase();
        let local = match local.strip_prefix('"') {
            Some(rest) => unquote(rest.strip_suffix('"').ok_or(AddressError::Forbidden)?)?,
            None if local
                .chars()
                .any(|c| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '\\' | ',' | ';' | '(' | ')')) =>
            {
                return Err(AddressError::Forbidden);
            }
            None => local.to_string(),
        };
        if local.is_empty() || domain.is_empty() || domain.ends_with('.') {
            return Err(AddressError::Incomplete);
        }
        if local.len() > limits::LOCAL_PART || domain.len() > limits::DOMAIN {
            return Err(AddressError::TooLong);
        }
        let bad_domain = |c: char| {
            c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '\\' | '@' | '/' | ',' | '(' | ')')
        };
        if local.chars().any(char::is_control) || domain.chars().any(bad_domain) {
            return Err(AddressError::Forbidden);
        }
        Ok(Address { local, domain })
    }

    /// The local part, unquoted, in its own spelling.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain, lower-case.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The same address with another local part.
    pub fn with_local(&self, local: &str) -> Address {
        Address { local: local.to_string(), domain: self.domain.clone() }
    }

    /// The same address in another domain.
    pub fn with_domain(&self, domain: &str) -> Address {
        Address { local: self.local.clone(), domain: domain.to_lowercase() }
    }

    /// The local part in lower case without what follows the delimiter: `Alice+news` → `alice`.
    pub fn base_local(&self, delimiter: Option<char>) -> String {
        let local = self.local.to_lowercase();
        match delimiter.and_then(|d| local.find(d)) {
            Some(at) if at > 0 => local[..at].to_string(),
            _ => local,
        }
    }

    /// The names of the two directories of this address's tree, lower-cased and encoded.
    pub fn directories(&self) -> Option<(String, String)> {
        Some((path::encode(self.domain.as_bytes())?, path::encode(self.local.to_lowercase().as_bytes())?))
    }
}

impl fmt::Display for Address {
    /// As SMTP writes it: the local part is quoted where it must be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_atom(&self.local) {
            write!(f, "{}@{}", self.local, self.domain)
        } else {
            f.write_str("\"")?;
            for c in self.local.chars() {
                if matches!(c, '"' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
            write!(f, "\"@{}", self.domain)
        }
    }
}

/// Whether a local part needs no quotes (RFC 5321 4.1.2 Dot-string, RFC 6531 3.3).
fn is_dot_atom(local: &str) -> bool {
    let utf8 = |c: char| !c.is_ascii() && !c.is_whitespace();
    let atext = |c: char| c.is_ascii_alphanumeric() || utf8(c) || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    !local.is_empty()
        && local.chars().all(atext)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
}

fn unquote(inner: &str) -> Result<String, AddressError> {
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(chars.next().ok_or(AddressError::Forbidden)?),
            '"' => return Err(AddressError::Forbidden),
            c => text.push(c),
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spellings() {
        let a = Address::parse("Alice+Shop@Example.ORG.").unwrap();
        assert_eq!(a.to_string(), "Alice+Shop@example.org");
        assert_eq!(a.base_local(Some('+')), "alice");
        assert_eq!(Address::parse("\"a b\"@x").unwrap().to_string(), "\"a b\"@x");
        assert_eq!(Address::parse("\"ab\"@x").unwrap().to_string(), "ab@x");
        assert_eq!(Address::parse("a@b\r\nRCPT TO:<x@y>"), Err(AddressError::Forbidden));
        assert_eq!(Address::parse("@x"), Err(AddressError::Incomplete));
        assert_eq!(Address::parse("a b@x"), Err(AddressError::Forbidden));
        assert_eq!(Address::parse("../../etc@x").unwrap().directories().unwrap().1, "%2E.%2F..%2Fetc");
        assert_eq!(Address::parse("+tag@x").unwrap().base_local(Some('+')), "+tag");
        assert_eq!(Address::parse("jörg@bücher.example").unwrap().to_string(), "jörg@bücher.example");
    }

    #[test]
    fn domain_of_dots_at_its_end_is_none() {
        assert_eq!(Address::parse("a@b.."), Err(AddressError::Incomplete));
        assert_eq!(Address::parse("a@.."), Err(AddressError::Incomplete));
    }

    #[test]
    fn domain_that_grows_in_lower_case_is_measured_after_it() {
        assert_eq!(Address::parse(&format!("a@{}", "İ".repeat(127))), Err(AddressError::TooLong));
    }

    #[test]
    fn white_space_beyond_ascii_stays_quoted() {
        let address = Address::parse("\"a\u{a0}b\"@x").unwrap();
        assert_eq!(address.to_string(), "\"a\u{a0}b\"@x");
        assert_eq!(Address::parse(&address.to_string()), Ok(address));
    }

    proptest! {
        #[test]
        fn printed_form_parses_to_the_same(local in "[ -~äß]{1,40}", domain in "[a-z0-9.-]{1,30}[a-z0-9]") {
            let quoted: String = local.chars().flat_map(|c| if matches!(c, '"' | '\\') { vec!['\\', c] } else { vec![c] }).collect();
            if let Ok(address) = Address::parse(&format!("\"{quoted}\"@{domain}")) {
                prop_assert_eq!(address.local(), local.as_str());
                prop_assert_eq!(Address::parse(&address.to_string()).unwrap(), address);
            }
        }
    }
}
