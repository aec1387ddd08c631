//! Where a link really leads, as a browser would read it, written so that nobody takes another host for it.

use ammonia::Url;

/// Characters of an address that are read; the host stands at its beginning.
const READ: usize = 2_048;
/// Characters of a path and query that are shown.
const SHOWN: usize = 100;

/// Where a link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// To a web server.
    Web {
        /// `http://` or `https://`; with a `…@` behind it when a user name stands before the host, as in
        /// `https://bank.example@evil.test/`: that name is there to be taken for the host.
        before: String,
        /// The host, in ASCII: look-alike letters show as `xn--…`.
        host: String,
        /// Port, path and query, cut.
        after: String,
    },
    /// To a mailbox.
    Mail(String),
    /// Something that no mail needs to link to, by its scheme: `javascript`, `data`, `file`.
    Other(String),
    /// It is no address, or a relative one: there is no page that it could be relative to.
    Nowhere,
}

impl Target {
    /// Of a `href`, its character references decoded; `base` is what the page says that addresses are relative to.
    pub fn of(href: &str, base: Option<&str>) -> Target {
        let base = base.and_then(|base| parse(base, None));
        let Some(url) = parse(href, base.as_ref()) else { return Target::Nowhere };
        match (url.scheme(), url.host_str()) {
            (scheme @ ("http" | "https"), Some(host)) => {
                let user = !url.username().is_empty() || url.password().is_some();
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
                let path = if url.path() == "/" && query.is_empty() { "" } else { url.path() };
                Target::Web {
                    before: format!("{scheme}://{}", if user { "…@" } else { "" }),
                    host: host.to_string(),
                    after: format!("{port}{}", cut(&format!("{path}{query}"))),
                }
            }
            ("mailto", _) => Target::Mail(cut(url.path())),
            (scheme, _) => Target::Other(cut(scheme)),
        }
    }

    /// Whether this text is an address of another site: then it says something else than it does.
    pub fn is_belied_by(&self, text: &str) -> bool {
        let text = text.trim();
        let Target::Web { host, .. } = self else { return false };
        if text.contains(char::is_whitespace) || text.contains('@') && !text.contains("://") {
            return false;
        }
        let whole = if text.contains("://") { text.to_string() } else { format!("https://{text}") };
        let Some(Target::Web { host: named, .. }) = parse(&whole, None).map(|_| Target::of(&whole, None)) else {
            return false;
        };
        let top = named.rsplit_once('.').map(|(_, top)| top);
        let is_name = top.is_some_and(|top| top.len() > 1 && top.bytes().all(|b| b.is_ascii_alphabetic()));
        is_name && plain(&named) != plain(host)
    }
}

/// A host without the `www.` that many leave out.
fn plain(host: &str) -> &str {
    host.strip_prefix("www.").unwrap_or(host)
}

fn parse(href: &str, base: Option<&Url>) -> Option<Url> {
    let end = href.char_indices().nth(READ).map_or(href.len(), |(at, _)| at);
    Url::options().base_url(base).parse(href.get(..end)?).ok()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(href: &str) -> String {
        match Target::of(href, None) {
            Target::Web { before, host, after } => format!("{before}[{host}]{after}"),
            Target::Mail(address) => format!("mail {address}"),
            Target::Other(scheme) => format!("other {scheme}"),
            Target::Nowhere => "nowhere".into(),
        }
    }

    #[test]
    fn the_host_is_the_one_that_a_browser_goes_to() {
        for (href, want) in [
            ("https://evil.test/a?b#c", "https://[evil.test]/a?b"),
            ("https://bank.example@evil.test/", "https://…@[evil.test]"),
            ("https://bank.example:pw@evil.test:8443/x", "https://…@[evil.test]:8443/x"),
            ("https:\\\\evil.test\\bank.example", "https://[evil.test]/bank.example"),
            (" ht\ntps://e\tvil.test ", "https://[evil.test]"),
            ("https:evil.test", "https://[evil.test]"),
            ("http://bаnk.example/", "http://[xn--bnk-6cd.example]"),
            ("http://0x7f.1/", "http://[127.0.0.1]"),
            ("http://2130706433/", "http://[127.0.0.1]"),
            ("http://%65vil.test/", "http://[evil.test]"),
            ("http://bank。example/", "http://[bank.example]"),
            ("mailto:a@b.test?subject=x", "mail a@b.test"),
            ("JavaScript:alert(1)", "other javascript"),
            ("data:text/html,x", "other data"),
            ("//evil.test/x", "nowhere"),
            ("/x", "nowhere"),
            ("", "nowhere"),
            ("http://", "nowhere"),
        ] {
            assert_eq!(shown(href), want, "{href}");
        }
        let relative = Target::of("login", Some("https://evil.test/a/b"));
        assert_eq!(relative, Target::of("https://evil.test/a/login", None));
        let long = format!("https://evil.test/{}", "ä".repeat(9_000));
        assert!(shown(&long).starts_with("https://[evil.test]/%C3") && shown(&long).ends_with('…'));
    }

    #[test]
    fn a_text_that_names_another_site() {
        let target = Target::of("https://evil.test/", None);
        for text in ["https://bank.example/login", "www.bank.example", " bank.example "] {
            assert!(target.is_belied_by(text), "{text}");
        }
        for text in
            ["click", "evil.test", "www.evil.test/x", "see 1.2", "1.2", "a@bank.example", "bank.example now", ""]
        {
            assert!(!target.is_belied_by(text), "{text}");
        }
    }
}
