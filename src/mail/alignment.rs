//! Whether it is proved that a message is from whom it says: an identifier that SPF or DKIM vouches for belongs to the
//! domain of the From address (identifier alignment, RFC 7489 3.1, relaxed).
//!
//! Two domains belong together when they have one organisational domain (RFC 7489 3.2): what somebody could register below
//! a public suffix. The list of public suffixes is compiled in; one that is newer than this program counts as a domain that
//! somebody registered, so names below it count as one organisation until an update.

use super::address::Address;
use super::authentication::Found;

/// A domain as the DNS has it: lower-case ASCII, labels beyond it in Punycode (RFC 5890 2.3.2.1). `None`: it is none.
pub fn ascii(domain: &str) -> Option<String> {
    let name = idna::domain_to_ascii(domain.strip_suffix('.').unwrap_or(domain)).ok()?;
    let plain =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    (name.len() <= crate::base::limits::DOMAIN && name.split('.').all(plain)).then_some(name)
}

/// The organisational domain of a domain (as [`ascii`] writes it); `None`: it is a public suffix, which belongs to nobody
/// in particular.
pub fn organisation(domain: &str) -> Option<&str> {
    psl::domain_str(domain)
}

/// Whether these two domains are of one organisation.
pub fn is_aligned(one: &str, other: &str) -> bool {
    let (Some(one), Some(other)) = (ascii(one), ascii(other)) else { return false };
    one == other || organisation(&one).is_some_and(|own| organisation(&other) == Some(own))
}

/// The result that proves this From address, of results that may be believed (`authentication::results`).
pub fn proof<'a>(results: &'a [Found], from: &Address) -> Option<&'a Found> {
    results.iter().find(|found| {
        matches!(found.method.as_str(), "spf" | "dkim" | "dmarc")
            && found.result == "pass"
            && found.identity.as_deref().is_some_and(|identity| {
                // an address, `@domain` as header.i has it, or a domain
                let domain = identity.rsplit_once('@').map_or(identity, |(_, domain)| domain);
                is_aligned(domain, from.domain())
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_of_one_organisation() {
        for (one, other) in [
            ("far.example", "far.example"),
            ("Far.Example.", "far.example"),
            ("bounce.far.example", "far.example"),
            ("far.example", "news.far.example"),
            ("bounce.far.example", "news.far.example"),
            ("a.b.bbc.co.uk", "bbc.co.uk"),
            ("bücher.example", "mail.xn--bcher-kva.example"),
        ] {
            assert!(is_aligned(one, other) && is_aligned(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("far.example", "near.example"),
            ("evilfar.example", "far.example"),
            ("far.example.evil.example", "far.example"),
            ("bbc.co.uk", "itv.co.uk"),
            ("co.uk", "bbc.co.uk"),
            ("uk", "bbc.co.uk"),
            ("mallory.github.io", "alice.github.io"),
            ("mallory.github.io", "github.io"),
            ("", "far.example"),
            ("", ""),
            ("far..example", "far..example"),
        ] {
            assert!(!is_aligned(one, other) && !is_aligned(other, one), "{one} {other}");
        }
    }

    #[test]
    fn suffixes_beyond_ascii_are_known_as_the_dns_has_them() {
        // 公司.cn is a public suffix.
        assert_eq!(ascii("食狮.公司.cn").as_deref(), Some("xn--85x722f.xn--55qx5d.cn"));
        assert_eq!(organisation("a.xn--85x722f.xn--55qx5d.cn"), Some("xn--85x722f.xn--55qx5d.cn"));
        assert_eq!(organisation("xn--55qx5d.cn"), None);
        assert_eq!(organisation("com"), None);
    }

    #[test]
    fn what_is_proof_and_what_is_not() {
        let found = |method: &str, result: &str, identity: &str| Found {
            method: method.into(),
            result: result.into(),
            identity: Some(identity.into()).filter(|i: &String| !i.is_empty()),
        };
        let from = Address::parse("bob@news.far.example").unwrap();
        for good in [
            found("dkim", "pass", "far.example"),
            found("dkim", "pass", "@mail.far.example"),
            found("spf", "pass", "bounce+x@em.far.example"),
            found("spf", "pass", "news.far.example"),
            found("dmarc", "pass", "news.far.example"),
        ] {
            assert_eq!(proof(std::slice::from_ref(&good), &from), Some(&good), "{good:?}");
        }
        for bad in [
            found("dkim", "pass", "evil.example"),
            found("dkim", "pass", ""),
            found("dkim", "fail", "far.example"),
            found("spf", "softfail", "bob@far.example"),
            found("spf", "pass", "bob@far.example@evil.example"),
            found("spf", "pass", "far.example.evil.example"),
            found("dmarc", "none", "news.far.example"),
            found("iprev", "pass", "far.example"),
            found("arc", "pass", "far.example"),
        ] {
            assert_eq!(proof(std::slice::from_ref(&bad), &from), None, "{bad:?}");
        }
        let all = [found("dkim", "pass", "evil.example"), found("spf", "pass", "far.example")];
        assert_eq!(proof(&all, &from), all.get(1));
    }
}
