//! What is looked at, in order: it follows from what is configured.

use super::Options;
use crate::app::config::{Config, Listen, SinkTo};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One thing that is looked at.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The running server answers, and lends a pass.
    Server,
    /// The data directory and its disk.
    Disk,
    /// The journal is not ahead of the clock.
    Clock,
    /// No test message of an earlier run is here.
    Earlier,
    /// A door is open.
    Door {
        /// What people call it.
        what: &'static str,
        /// Where it listens.
        listen: Listen,
        /// It speaks first.
        greets: bool,
    },
    /// The filter of this `[[milter]]` answers, and takes the test message for spam.
    Filter(usize),
    /// The mail server takes sender, recipient and message.
    Mail,
    /// It refuses the message, or takes it though it is kept.
    Refused,
    /// The message is here, with its reasons.
    Stored,
    /// It is seen over IMAP, here.
    Imap {
        /// Where IMAP listens.
        address: SocketAddr,
        /// TLS from the first byte.
        implicit: bool,
    },
    /// It is seen on the page, here.
    Page {
        /// Where the page is.
        address: SocketAddr,
        /// Over HTTPS.
        tls: bool,
    },
    /// It is dragged to Release.
    Released,
    /// The mail server of its route takes it.
    Handed,
    /// It is not caught again.
    Quiet,
    /// It is in the mailbox.
    Delivered,
    /// What rspamd says that it rejected is here; its controller.
    Compared(String),
    /// There is nothing to look at, and why.
    Absent(&'static str, &'static str),
}

/// What must hold before a step makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// The server runs.
    Server,
    /// All that came before is in order: a message that cannot be followed is not sent.
    AllBefore,
    /// The mail server has answered.
    Answer,
    /// The message is kept here.
    Stored,
    /// It was released.
    Released,
    /// The route's server took it.
    Handed,
}

impl Step {
    /// What it is called in the report.
    pub fn name(&self) -> &'static str {
        match self {
            Step::Server => "server",
            Step::Disk => "disk",
            Step::Clock => "clock",
            Step::Earlier => "earlier",
            Step::Door { .. } => "door",
            Step::Filter(_) => "filter",
            Step::Mail => "mail",
            Step::Refused => "refused",
            Step::Stored => "stored",
            Step::Imap { .. } => "imap",
            Step::Page { .. } => "page",
            Step::Released => "released",
            Step::Handed => "handed",
            Step::Quiet => "not-caught-again",
            Step::Delivered => "delivered",
            Step::Compared(_) => "compared",
            Step::Absent(name, _) => name,
        }
    }

    /// What it needs.
    pub fn needs(&self) -> Need {
        match self {
            Step::Server | Step::Disk | Step::Clock | Step::Filter(_) | Step::Absent(..) => Need::Nothing,
            Step::Earlier | Step::Door { .. } | Step::Compared(_) => Need::Server,
            Step::Mail => Need::AllBefore,
            Step::Refused => Need::Answer,
            Step::Stored => Need::Answer,
            Step::Imap { .. } | Step::Page { .. } | Step::Released => Need::Stored,
            Step::Handed => Need::Released,
            Step::Quiet | Step::Delivered => Need::Handed,
        }
    }
}

/// The steps for this configuration.
pub fn plan(config: &Config, options: &Options) -> Vec<Step> {
    let mut steps = vec![Step::Server, Step::Disk, Step::Clock, Step::Earlier];
    let milters = config.milter.iter().map(|door| ("the milter door", &door.listen, false));
    let lmtp = config.lmtp.iter().map(|door| ("the LMTP door", &door.listen, true));
    let exporters = config.exporters.iter().map(|door| ("the door for rspamd's exporter", &door.listen, false));
    let doors = milters.chain(lmtp).chain(exporters);
    steps.extend(doors.map(|(what, listen, greets)| Step::Door { what, listen: listen.clone(), greets }));
    steps.extend((0..config.milter.len()).map(Step::Filter));
    if config.milter.is_empty() {
        steps.push(Step::Absent("filter", "no [[milter]] is configured: the mail server asks its filter itself"));
    }
    steps.extend([Step::Mail, Step::Refused, Step::Stored]);
    let implicit = config.imap.tls.first().map(|address| (*address, true));
    let imap = implicit.or_else(|| config.imap.starttls.first().map(|address| (*address, false)));
    steps.push(match imap {
        Some((address, implicit)) => Step::Imap { address: here(address), implicit },
        None => Step::Absent("imap", "[imap] has neither tls nor starttls"),
    });
    let secure = config.page.tls.first().map(|address| (*address, true));
    let page = secure.or_else(|| config.page.plain.first().map(|address| (*address, false)));
    steps.push(match page {
        Some((address, tls)) => Step::Page { address: here(address), tls },
        None => Step::Absent("page", "[page] has neither tls nor plain"),
    });
    if options.release {
        steps.extend([Step::Released, Step::Handed, Step::Quiet, Step::Delivered]);
    } else {
        steps.push(Step::Absent("released", "--no-release was given"));
    }
    steps.push(match controller(config, options) {
        Some(url) => Step::Compared(url),
        None => Step::Absent(
            "compared",
            "no history of a filter is known: rspamd's is read where --controller or a [[sink]] with to = \"rspamd\" \
             names its controller; SpamAssassin keeps none",
        ),
    });
    steps
}

/// Where rspamd's controller is.
fn controller(config: &Config, options: &Options) -> Option<String> {
    let sink = config.sinks.iter().find_map(|sink| match &sink.to {
        SinkTo::Rspamd { url, .. } => Some(url.clone()),
        _ => None,
    });
    options.controller.clone().or(sink)
}

/// How an address that is listened at is reached from this machine.
fn here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// From where a pass must be good for these steps: whoever connects to an address of this machine comes from that address,
/// or from loopback.
pub fn sources(steps: &[Step]) -> Vec<IpAddr> {
    let mut sources = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    for step in steps {
        if let Step::Imap { address, .. } | Step::Page { address, .. } = step
            && !sources.contains(&address.ip())
        {
            sources.push(address.ip());
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Address;
    use std::path::Path;

    fn steps(text: &str, release: bool) -> Vec<Step> {
        let text = format!("data = \"d\"\n{text}\n[domains.\"example.org\"]\n");
        let config = Config::parse(Path::new("lazaret.toml"), &text).unwrap();
        let options = Options { release, ..Options::new(Address::parse("alice@example.org").unwrap()) };
        plan(&config, &options)
    }

    fn names(steps: &[Step]) -> Vec<&'static str> {
        steps.iter().map(Step::name).collect()
    }

    #[test]
    fn what_is_configured_is_followed() {
        let milter = "lmtp = []\n[[milter]]\nlisten = \"127.0.0.1:8026\"\nfilter = \"rspamd\"\n\
                      [[milter]]\nlisten = \"127.0.0.1:8027\"\nfilter = \"spamassassin\"\n";
        let all = steps(milter, true);
        let expected = [
            "server",
            "disk",
            "clock",
            "earlier",
            "door",
            "door",
            "filter",
            "filter",
            "mail",
            "refused",
            "stored",
            "imap",
            "page",
            "released",
            "handed",
            "not-caught-again",
            "delivered",
            "compared",
        ];
        assert_eq!(names(&all), expected);
        assert_eq!(all[11], Step::Imap { address: "127.0.0.1:993".parse().unwrap(), implicit: true });
        assert_eq!(all[12], Step::Page { address: "127.0.0.1:8443".parse().unwrap(), tls: true });
        assert!(matches!(all[17], Step::Absent("compared", _)));

        let bare = steps("lmtp = []\n[imap]\ntls = []\nstarttls = []\n[page]\ntls = []\n", false);
        let expected = [
            "server", "disk", "clock", "earlier", "filter", "mail", "refused", "stored", "imap", "page", "released",
            "compared",
        ];
        assert_eq!(names(&bare), expected);
        for step in &bare[8..] {
            assert!(matches!(step, Step::Absent(..)), "{step:?}");
        }
        let lmtp = steps("[imap]\ntls = []\n", true);
        assert!(lmtp.contains(&Step::Imap { address: "127.0.0.1:143".parse().unwrap(), implicit: false }));
        assert!(matches!(&lmtp[4], Step::Door { what: "the LMTP door", greets: true, .. }));
        let sink = "[[sink]]\nname = \"r\"\nlearns = [\"ham\"]\nto = \"rspamd\"\nurl = \"http://127.0.0.1:11334\"\n";
        assert_eq!(steps(sink, true).last(), Some(&Step::Compared("http://127.0.0.1:11334".to_string())));
    }

    #[test]
    fn a_pass_is_good_from_where_we_come() {
        let text = "[imap]\ntls = [\"192.0.2.1:993\"]\n[page]\ntls = [\"[::]:8443\"]\n";
        let sources = sources(&steps(text, true));
        assert_eq!(sources, ["127.0.0.1", "::1", "192.0.2.1"].map(|ip| ip.parse::<IpAddr>().unwrap()));
    }
}
