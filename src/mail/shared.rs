//! Domains in which anybody can have an address within minutes: the large providers of free mail. That mail comes from such
//! a domain says nothing about who wrote it, so a list of senders names single addresses there.

use super::alignment::{ascii, organisation};

/// Whether anybody can have an address in this domain.
pub fn is_shared(domain: &str) -> bool {
    let Some(domain) = ascii(domain) else { return false };
    let own = organisation(&domain).unwrap_or(&domain);
    let of_family = |family: &str| own.strip_prefix(family).is_some_and(|rest| rest.starts_with('.'));
    DOMAINS.contains(&own) || FAMILIES.iter().any(|family| of_family(family))
}

/// Providers with a domain in each of many countries: the name before the public suffix.
const FAMILIES: [&str; 6] = ["gmail", "googlemail", "hotmail", "live", "outlook", "yahoo"];

/// All others.
const DOMAINS: [&str; 118] = [
    "126.com",
    "139.com",
    "163.com",
    "189.cn",
    "1und1.de",
    "abv.bg",
    "aim.com",
    "alice.it",
    "aliyun.com",
    "aol.com",
    "aol.de",
    "arcor.de",
    "att.net",
    "bellsouth.net",
    "bigpond.com",
    "bluewin.ch",
    "bol.com.br",
    "bt.com",
    "btinternet.com",
    "centrum.cz",
    "charter.net",
    "comcast.net",
    "cox.net",
    "cock.li",
    "daum.net",
    "disroot.org",
    "earthlink.net",
    "email.com",
    "email.cz",
    "email.de",
    "fastmail.com",
    "fastmail.fm",
    "foxmail.com",
    "free.fr",
    "freemail.hu",
    "freenet.de",
    "gmx.at",
    "gmx.ch",
    "gmx.com",
    "gmx.de",
    "gmx.eu",
    "gmx.fr",
    "gmx.net",
    "guerrillamail.com",
    "hanmail.net",
    "hey.com",
    "hush.com",
    "hushmail.com",
    "icloud.com",
    "ig.com.br",
    "inbox.lv",
    "inbox.ru",
    "interia.pl",
    "juno.com",
    "kolabnow.com",
    "laposte.net",
    "libero.it",
    "list.ru",
    "mac.com",
    "mail.bg",
    "mail.com",
    "mail.de",
    "mail.ru",
    "mailbox.org",
    "mailfence.com",
    "mailinator.com",
    "mailo.com",
    "me.com",
    "msn.com",
    "naver.com",
    "netscape.net",
    "neuf.fr",
    "ntlworld.com",
    "o2.pl",
    "online.de",
    "onet.pl",
    "op.pl",
    "optonline.net",
    "orange.fr",
    "passport.com",
    "pm.me",
    "posteo.de",
    "posteo.net",
    "proton.me",
    "protonmail.ch",
    "protonmail.com",
    "qq.com",
    "rambler.ru",
    "rediffmail.com",
    "riseup.net",
    "rocketmail.com",
    "runbox.com",
    "sapo.pt",
    "sbcglobal.net",
    "seznam.cz",
    "sfr.fr",
    "shaw.ca",
    "sina.com",
    "sky.com",
    "sohu.com",
    "t-online.de",
    "talktalk.net",
    "terra.com.br",
    "tiscali.it",
    "tuta.com",
    "tutanota.com",
    "ukr.net",
    "uol.com.br",
    "verizon.net",
    "virgilio.it",
    "wanadoo.fr",
    "web.de",
    "wp.pl",
    "yandex.com",
    "yandex.ru",
    "yeah.net",
    "ymail.com",
    "zoho.com",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_and_others() {
        for domain in ["gmail.com", "GMX.de", "yahoo.co.uk", "live.nl", "mail.gmx.net", "ymail.com"] {
            assert!(is_shared(domain), "{domain}");
        }
        for domain in ["far.example", "notgmail.com", "gmail.com.evil.example", "gmail.evil.example", "live", ""] {
            assert!(!is_shared(domain), "{domain}");
        }
        assert!(DOMAINS.iter().all(|domain| organisation(domain) == Some(domain)), "each can be registered");
    }
}
