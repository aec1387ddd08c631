//! The sample messages of `lazaret demo`: files of tests/mail/demo, each with the envelope under which it comes in.

/// One sample message.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// The file's name without `.eml`: what is special about it.
    pub name: &'static str,
    /// The bytes, as DATA carries them before dot-stuffing.
    pub message: &'static [u8],
    /// The reverse-path without angle brackets, "" for the null sender.
    pub sender: &'static str,
    /// The recipients without angle brackets, verbatim.
    pub recipients: &'static [&'static str],
    /// Why it is here: `incoming`, `outgoing` or `unsure`.
    pub class: &'static str,
    /// What the filter found: `spam`, `phish`, `virus`, `banned` or `policy`.
    pub kind: &'static str,
}

/// The domains whose mail the demonstration keeps.
pub const DOMAINS: [&str; 2] = ["example.org", "example.net"];

/// The recipient that has an account, beside the one of its domain and `global`.
pub const RECIPIENT: &str = "alice@example.org";

/// Recipients at which the built-in mail server fails on purpose: 550, 451, and an answer that takes ten seconds.
pub const REFUSED: &str = "refused@example.org";
/// See [`REFUSED`].
pub const DEFERRED: &str = "deferred@example.org";
/// See [`REFUSED`].
pub const SLOW: &str = "slow@example.org";

macro_rules! samples {
    ($($name:literal $sender:literal => [$($recipient:literal),+] $class:ident $kind:ident;)+) => {
        /// All samples, in the order in which they come in.
        pub const SAMPLES: &[Sample] = &[$(Sample {
            name: $name,
            message: include_bytes!(concat!("../../tests/mail/demo/", $name, ".eml")),
            sender: $sender,
            recipients: &[$($recipient),+],
            class: stringify!($class),
            kind: stringify!($kind),
        }),+];
    };
}

samples! {
    "newsletter" "bounce+1f3@bakers.example" => ["alice@example.org"] incoming spam;
    "invoice" "rechnung@mueller-buero.example" => ["alice@example.org"] incoming spam;
    "phish-bank" "security@examp1e-bank.test" => ["alice@example.org"] incoming phish;
    "pills-html-base64" "no-reply@cheap-pills.test" => ["alice@example.org"] incoming spam;
    "lottery" "festus.bello@lottery-board.test" => ["alice@example.org"] incoming spam;
    "dkim-signed" "orders@shop.example" => ["alice@example.org"] incoming spam;
    "inline-image" "tickets@theatre.example" => ["alice@example.org"] incoming spam;
    "calendar-invite" "oskar@partner.example" => ["alice@example.org", "bob@example.org"] incoming spam;
    "dsn" "" => ["alice@example.org"] incoming spam;
    "forward-rfc822" "bob@example.org" => ["alice@example.org"] incoming spam;
    "japanese-iso-2022-jp" "info@tanaka.example" => ["alice@example.org"] incoming spam;
    "chinese-gb18030" "wang@faktura.test" => ["alice@example.org"] incoming spam;
    "russian-koi8-r" "ivan@kredit.test" => ["bob@example.org"] incoming spam;
    "arabic-rtl" "books@nour.example" => ["bob@example.org"] incoming spam;
    "hebrew-rtl-override" "billing@parcels.test" => ["carol@example.net"] incoming virus;
    "greek-windows-1253" "shop@agora.example" => ["carol@example.net"] incoming spam;
    "8bit-headers" "post@mueller.test" => ["carol@example.net"] incoming spam;
    "utf8-headers" "jörg@bücher.example" => ["carol@example.net"] incoming spam;
    "no-subject" "nobody@quiet.test" => ["bob@example.org"] incoming spam;
    "long-subject" "deals@longwinded.test" => ["bob@example.org"] incoming spam;
    "no-message-id" "raw@script.test" => ["bob@example.org"] incoming spam;
    "empty-body" "ping@probe.test" => ["dave@example.net"] incoming spam;
    "zero-bytes" "empty@probe.test" => ["dave@example.net"] incoming spam;
    "body-only" "nohead@probe.test" => ["dave@example.net"] incoming spam;
    "header-only" "nobody@probe.test" => ["dave@example.net"] incoming spam;
    "dot-lines" "dots@morse.test" => ["alice@example.org"] incoming spam;
    "bare-lf" "unix@script.test" => ["dave@example.net"] incoming spam;
    "nested-10" "dolls@nest.test" => ["dave@example.net"] incoming spam;
    "broken-boundary" "half@broken.test" => ["dave@example.net"] incoming spam;
    "broken-base64" "half@broken.test" => ["dave@example.net"] incoming spam;
    "large-300k" "photos@print.example" => ["alice@example.org"] incoming spam;
    "headers-above-received" "hobby-bounces@hobby.example" => ["bob@example.org"] incoming spam;
    "rspamd-headers" "win@casino.test" => ["alice@example.org"] incoming spam;
    "spamassassin-headers" "slim@slimfast.test" => ["carol@example.net"] incoming spam;
    "many-recipients" "circular@club.example" => ["alice@example.org", "bob@example.org", "carol@example.net", "dave@example.net"] incoming spam;
    "plus-tag" "hello@garden.example" => ["Alice+Garden@Example.ORG"] incoming spam;
    "quoted-local-part" "\"odd one\"@quoted.test" => ["\"carol c.\"@example.net"] incoming spam;
    "format-flowed-attachment-names" "files@names.example" => ["bob@example.org"] incoming spam;
    "banned-attachment" "scan@copier.test" => ["bob@example.org"] incoming banned;
    "policy-spf-fail" "director@example.net" => ["dave@example.net"] incoming policy;
    "release-refused" "trial@partner.example" => ["refused@example.org"] incoming spam;
    "release-deferred" "trial@partner.example" => ["deferred@example.org"] incoming spam;
    "release-slow" "trial@partner.example" => ["slow@example.org"] incoming spam;
    "outgoing-newsletter" "bob@example.org" => ["ann@partner.example", "ben@partner.example", "cem@club.example"] outgoing spam;
    "outgoing-hijacked" "alice@example.org" => ["victim@partner.example"] outgoing phish;
    "unsure-offer" "travel@trips.example" => ["alice@example.org"] unsure spam;
    "unsure-reminder" "library@town.example" => ["carol@example.net"] unsure spam;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn samples_are_what_the_demonstration_promises() {
        let names: HashSet<_> = SAMPLES.iter().map(|sample| sample.name).collect();
        assert_eq!(names.len(), SAMPLES.len(), "a sample stands in the table twice");
        assert!((40..=60).contains(&SAMPLES.len()), "some forty samples, not {}", SAMPLES.len());
        let own = |s: &&Sample| s.class == "incoming" && s.recipients.contains(&RECIPIENT);
        assert!(SAMPLES.iter().filter(own).count() >= 8, "at least eight belong to the recipient account");
        for class in ["incoming", "outgoing", "unsure"] {
            assert!(SAMPLES.iter().any(|s| s.class == class), "no sample of class {class}");
        }
        for domain in DOMAINS {
            assert!(SAMPLES.iter().any(|s| s.recipients.iter().any(|r| r.ends_with(domain))), "nothing for {domain}");
        }
    }

    #[test]
    fn samples_fit_through_the_door() {
        for sample in SAMPLES {
            // DATA ends in CRLF dot CRLF, so whatever it carries is empty or ends in CRLF.
            assert!(sample.message.is_empty() || sample.message.ends_with(b"\r\n"), "{}", sample.name);
            let local = |a: &&str| DOMAINS.iter().any(|d| a.to_lowercase().ends_with(&format!("@{d}")));
            match sample.class {
                "outgoing" => assert!(local(&sample.sender), "{}: outgoing mail has a local sender", sample.name),
                _ => assert!(sample.recipients.iter().all(local), "{}: recipients are local", sample.name),
            }
        }
    }

    #[test]
    fn every_file_of_the_folder_is_in_the_table() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mail/demo");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let name = name.strip_suffix(".eml").unwrap();
            assert!(SAMPLES.iter().any(|s| s.name == name), "{name}.eml is missing in src/app/samples.rs");
        }
    }
}
