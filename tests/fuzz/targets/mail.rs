//! Messages that lie in the mailbox beside those of the dialogs: what FETCH and SEARCH find odd.

macro_rules! messages {
    ($($name:literal)*) => { &[$(include_bytes!(concat!("../../mail/", $name, ".eml"))),*] };
}

/// As they came over the wire.
pub const MESSAGES: &[&[u8]] = messages!(
    "demo/forward-rfc822" "demo/nested-10" "demo/inline-image" "demo/zero-bytes" "demo/header-only" "demo/body-only"
    "demo/broken-boundary" "demo/8bit-headers" "demo/format-flowed-attachment-names" "demo/quoted-local-part"
    "odd/bad-addresses" "odd/bad-dates" "odd/all-bytes" "odd/encoded-words" "odd/imap-injection" "odd/empty-parts"
);
