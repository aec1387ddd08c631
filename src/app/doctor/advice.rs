//! What to change: for each thing that can be wrong, the key of lazaret.toml, or the snippet in etc/.

use super::case::Sick;
use crate::app::config::milter::Judge;
use crate::app::config::{Config, Listen};
use crate::mail::Address;
use crate::net::verdict::Asked;
use std::io;
use std::path::Path;

pub const OTHER_VERSION: &str =
    "restart `lazaret serve`, so that server and command are of one version; its log may say more";
pub const DATA: &str = "`data` in lazaret.toml must name the data directory of the running server";
pub const DISK: &str =
    "make room on that file system, or shorten [retention] in lazaret.toml; limits.min_free says how much must be left";
pub const CLOCK: &str = "set the clock (`timedatectl`, `chronyc tracking`), then restart `lazaret serve`: while it is wrong, nothing expires";
pub const CONFIG: &str = "`lazaret check` says what is wrong with lazaret.toml";
pub const DOOR: &str = "the running server does not listen where lazaret.toml says: restart `lazaret serve` after a change of `listen`, and see \
     its log; a door on another interface or socket must be reachable from here";
pub const NO_MAIL_SERVER: &str = "name the mail server's SMTP, the port at which mail from outside comes in, with --through HOST:PORT; is it running?";
pub const SENDER: &str = "give a sender that the mail server takes, with --from ADDRESS";
pub const NOT_ITS_RECIPIENT: &str = "the mail server must take mail for this address: its domain belongs into relay_domains or mydestination (Postfix), \
     and its port into --through; or give another recipient with --to";
pub const OTHER_TREE: &str = "the [domains] of lazaret.toml (aliases, addresses, catch_all) say whose mail it is: they differ from what the running \
     server knows, restart it; or the mail server rewrites the recipient before the door";
pub const NOT_SEEN: &str =
    "it may have been moved or removed meanwhile: `lazaret show` with the reference above says what happened";
pub const IMAP: &str = "[imap] and [tls] in lazaret.toml say where IMAP is and with which certificate; restart `lazaret serve` after a change";
pub const PAGE: &str =
    "[page] in lazaret.toml says where the page is; restart `lazaret serve` after a change; its log may say more";
pub const NOT_RELEASED: &str = "[[policy.rules]] in lazaret.toml say who may release what";
pub const CONTROLLER: &str = "name rspamd's controller with --controller http://HOST:11334, or as `url` and `password_file` of a [[sink]] with \
     to = \"rspamd\"";
pub const MISSING: &str = "these were rejected without Lazaret: another mail server or another port asks rspamd past the door. Each smtpd that takes \
     mail from outside must have the door's milter (etc/postfix/milter.cf), or rspamd must tell of all (etc/rspamd/metadata_exporter.conf)";
pub const MAILBOX: &str = "--mailbox must be imaps://USER@HOST of the recipient's own mailbox, and the first line of --mailbox-password-file its password";
pub const JUNK: &str = "a rule of the mailbox files it as junk by what a filter wrote into its header: own_headers of the [[route]] must name those \
     fields, with release_headers = \"rename\"; or the mail server behind the route has a filter of its own";
pub const REMOVE: &str = "remove it: `lazaret remove` with the reference, twice (to Trash, then for good)";

/// Nobody answers at the control socket.
pub fn no_server(socket: &Path, error: &io::Error) -> Sick {
    let text = format!("no running server answers at {}: {error}", socket.display());
    let change = match error.kind() {
        io::ErrorKind::PermissionDenied => "run it as the user that runs `lazaret serve`, or as root",
        _ => {
            "start `lazaret serve` (systemctl start lazaret), and see its log (journalctl -u lazaret); --config must name its \
             configuration"
        }
    };
    Sick::Failed { text, change: change.to_string() }
}

/// The recipient is not one.
pub fn recipient(to: &Address) -> String {
    format!(
        "give a recipient whose mail is kept here, with --to; or add [domains.\"{}\"] to lazaret.toml, and its recipients",
        to.domain()
    )
}

/// The filter is not reached.
pub fn filter_down(asked: &Asked) -> String {
    let (program, worker) = match asked {
        Asked::Rspamd { .. } => ("rspamd", "a worker \"normal\" or \"proxy\" (its bind_socket)"),
        Asked::Spamd { .. } => ("spamd", "spamd (its options --listen and --port)"),
    };
    format!(
        "start {program}; filter_address of the [[milter]] in lazaret.toml must be where {worker} listens. Until then mail is \
         put off, or passes unseen where when_filter_fails is \"accept\""
    )
}

/// The filter takes the test message for no spam.
pub fn not_spam(asked: &Asked) -> &'static str {
    match asked {
        Asked::Rspamd { .. } => {
            "rspamd must know the test pattern, and reject for it: in local.d/options.inc neither enable_test_patterns = false \
             nor gtube_patterns = \"disable\"; and no rule or setting of yours may turn \"reject\" into less"
        }
        Asked::Spamd { .. } => {
            "SpamAssassin must know the test pattern (rule GTUBE, in 20_body_tests.cf): its rules must be installed (sa-update), and \
             the user's preferences (filter_user) must not give it points below required_score"
        }
    }
}

/// The mail server puts the message off.
pub fn deferred(config: &Config) -> String {
    let doors = doors(config);
    format!(
        "where the mail server says that its service is unavailable, it does not reach Lazaret: {doors}. Where the words are \
         Lazaret's, its log says why it could not ask the filter or store the message; greylisting must not hold for this \
         machine"
    )
}

/// The message was accepted, and is not here.
pub fn not_caught(config: &Config) -> String {
    let mut changes = Vec::new();
    for door in &config.milter {
        changes.push(match door.filter {
            Judge::Headers { .. } => format!(
                "the mail server must ask first the filter, then Lazaret at {}, in this order (smtpd_milters, \
                 etc/postfix/milter.cf), and the filter must write the fields that `verdict` names",
                at(&door.listen)
            ),
            _ => format!(
                "the mail server does not ask Lazaret at this port: Postfix's main.cf needs smtpd_milters = {{ {} … }}, see \
                 etc/postfix/milter.cf; then `postfix reload`",
                milter_at(&door.listen)
            ),
        });
    }
    for door in &config.exporters {
        changes.push(format!(
            "rspamd must be asked by the mail server, and tell Lazaret at {}: etc/rspamd/metadata_exporter.conf. It tells nothing \
             of GTUBE (rspamd's issue 4379): with --text give words that a rule of yours rejects",
            at(&door.listen)
        ));
    }
    if changes.is_empty() {
        for door in &config.lmtp {
            changes.push(format!(
                "what the filter calls spam must be handed by LMTP to {}: for Exim see etc/exim, amavis has \
                 $spam_quarantine_method = 'lmtp:…'",
                at(&door.listen)
            ));
        }
    }
    if changes.is_empty() {
        return format!(
            "no door is configured but {}: what the filter calls spam must be put there, with the field {}",
            config.data.join("drop").display(),
            config.drop.header
        );
    }
    changes.join("; or: ")
}

/// The message was refused, and is not here.
pub fn refused_elsewhere(config: &Config) -> String {
    if !config.milter.is_empty() {
        return "somebody refuses before Lazaret sees the message: with several milters, or a filter before the milters, let Lazaret be \
                the one that refuses, or let the others only mark (etc/postfix/milter.cf, \"Other filters?\")"
            .to_string();
    }
    not_caught(config)
}

/// The route's server is not reached, or puts the message off.
pub fn route(name: &str) -> String {
    format!(
        "[[route]] {name:?} in lazaret.toml: host, port, protocol and tls must be those of a mail server that takes this mail from \
         this machine, at a port that is not filtered (Exim: 10590 of etc/exim/main)"
    )
}

/// The route's server refused it for good.
pub fn refused_by_route(name: &str) -> String {
    format!(
        "where the words are the filter's, what is released is filtered again: [[route]] {name:?} must lead to a port without the \
         filter (Postfix: an smtpd in master.cf with `-o smtpd_milters=`, for this machine only; Exim: 10590 of etc/exim/main). \
         Where they are the mail server's, it must take mail for this recipient from this machine"
    )
}

/// What was released came in once more.
pub fn caught_again(name: &str) -> String {
    format!(
        "what is released is filtered again: [[route]] {name:?} must lead past the filter, to a port without content_filter and \
         without milters (Postfix: an smtpd in master.cf with `-o content_filter= -o smtpd_milters=`, for this machine only; Exim: \
         10590 of etc/exim/main)"
    )
}

/// Where the doors are.
fn doors(config: &Config) -> String {
    let milters = config.milter.iter().map(|door| format!("its milter is {}", milter_at(&door.listen)));
    let lmtp = config.lmtp.iter().map(|door| format!("its LMTP door is {}", at(&door.listen)));
    let all: Vec<String> = milters.chain(lmtp).collect();
    if all.is_empty() { "no door is configured".to_string() } else { all.join(", ") }
}

fn at(listen: &Listen) -> String {
    match listen {
        Listen::Tcp(address) => address.to_string(),
        Listen::Unix(path) => path.display().to_string(),
    }
}

/// As Postfix writes it.
fn milter_at(listen: &Listen) -> String {
    match listen {
        Listen::Tcp(address) => format!("inet:{address}"),
        Listen::Unix(path) => format!("unix:{}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let text = format!("data = \"d\"\n{text}\n[domains.\"example.org\"]\n");
        Config::parse(Path::new("lazaret.toml"), &text).unwrap()
    }

    #[test]
    fn advice_names_the_doors_that_are_configured() {
        let milter = config("[[milter]]\nlisten = \"127.0.0.1:8026\"\nfilter = \"spamassassin\"\n");
        assert!(not_caught(&milter).contains("inet:127.0.0.1:8026") && not_caught(&milter).contains("smtpd_milters"));
        assert!(!not_caught(&milter).contains("LMTP"), "the usual door is not what he uses");
        assert!(refused_elsewhere(&milter).contains("Other filters?"));
        let socket = "[[exporter]]\nlisten = \"unix:/run/lazaret/exporter\"\n";
        assert!(not_caught(&config(socket)).contains("tell Lazaret at /run/lazaret/exporter: etc/rspamd"));
        assert!(not_caught(&config("")).contains("by LMTP to 127.0.0.1:8024"));
        assert!(not_caught(&config("lmtp = []")).contains("drop"));
    }

    #[test]
    fn every_file_that_advice_names_exists() {
        let milter = config("[[milter]]\nlisten = \"127.0.0.1:8026\"\nfilter = \"spamassassin\"\n");
        let exporter = config("[[exporter]]\nlisten = \"unix:/run/lazaret/exporter\"\n");
        let all = [
            not_caught(&milter),
            refused_elsewhere(&milter),
            not_caught(&exporter),
            not_caught(&config("")),
            route("r"),
            refused_by_route("r"),
            caught_again("r"),
            MISSING.to_string(),
        ];
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for text in all {
            for word in text.split([' ', ',', ';', ')', '(', ':']).filter(|word| word.starts_with("etc/")) {
                assert!(root.join(word.trim_end_matches('.')).exists(), "{word} in {text}");
            }
        }
    }
}
