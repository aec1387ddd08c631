//! The messages that are worked on: a choice by name, so that a new sample for another test changes no count.

macro_rules! mails {
    ($($name:literal)*) => { &[$(include_bytes!(concat!("../mail/", $name, ".eml"))),*] };
}

/// Of the size that most mail has. Lines end in CRLF, with exceptions.
pub const SMALL: &[&[u8]] = mails!(
    "demo/8bit-headers" "demo/calendar-invite" "demo/dkim-signed" "demo/dsn" "demo/format-flowed-attachment-names"
    "demo/forward-rfc822" "demo/inline-image" "demo/invoice" "demo/japanese-iso-2022-jp" "demo/long-subject"
    "demo/many-recipients" "demo/nested-10" "demo/newsletter" "demo/phish-bank" "demo/pills-html-base64"
    "demo/rspamd-headers" "demo/spamassassin-headers" "demo/utf8-headers" "odd/bad-addresses" "odd/encoded-words"
);

/// Larger, and harder to take apart.
pub const LARGE: &[&[u8]] = mails!(
    "demo/large-300k" "odd/base64" "odd/calendar-bomb" "odd/html-attack" "odd/huge-boundary" "odd/long-tokens"
    "odd/parameters"
);

/// The same message in the form in which other programs keep it.
pub fn with_lf(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    for (at, &byte) in message.iter().enumerate() {
        if byte != b'\r' || message.get(at + 1) != Some(&b'\n') {
            out.push(byte);
        }
    }
    out
}
