//! What the log says of a login that failed: `etc/fail2ban.conf` reads it, so nothing in it can be forged.

use std::fmt;
use std::net::IpAddr;

/// The log line that `etc/fail2ban.conf` reads.
pub(super) fn failure(what: &str, user: &str, peer: Option<IpAddr>, why: &str) -> String {
    format!("login {what}: user=<{}> from=<{}>{why}", Clean(user), Peer(peer))
}

/// A login as a log line may show it: nothing in it ends the line or looks like the end of its field.
struct Clean<'a>(&'a str);

impl fmt::Display for Clean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars().take(200) {
            match c {
                '<' | '>' | '\\' => write!(f, "\\x{:02x}", c as u32)?,
                c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => write!(f, "\\u{{{:x}}}", c as u32)?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

struct Peer(Option<IpAddr>);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.to_canonical().fmt(f),
            None => f.write_str("local"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fail2ban_reads_the_log_lines() {
        let filter = include_str!("../../../etc/fail2ban.conf").replace("failregex = ", "");
        let host = Some("192.0.2.1".parse().unwrap());
        for (what, why) in [("failed", ""), ("refused", " (too many wrong passwords)")] {
            let line = failure(what, "a<b", host, why);
            let pattern = line.replace("a\\x3cb", "[^<>]*").replace("192.0.2.1", "<HOST>");
            let pattern = pattern.replace('(', "\\(").replace(')', "\\)") + "$";
            assert!(filter.lines().any(|l| l.trim() == pattern), "{pattern}");
        }
    }

    #[test]
    fn log_fields_cannot_be_forged() {
        let text = Clean("a> from=<1.2.3.4>\r\nlogin\u{2028}\\").to_string();
        assert_eq!(text, "a\\x3e from=\\x3c1.2.3.4\\x3e\\u{d}\\u{a}login\\u{2028}\\x5c");
        assert_eq!(Peer(Some("::ffff:192.0.2.1".parse().unwrap())).to_string(), "192.0.2.1");
    }
}
