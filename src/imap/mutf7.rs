//! Modified UTF-7, the encoding of mailbox names (RFC 3501 5.1.3).

use base64::Engine;
use base64::alphabet::Alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::sync::LazyLock;

/// Base64 with `,` for `/`, without padding.
static ENGINE: LazyLock<GeneralPurpose> = LazyLock::new(|| {
    let alphabet = Alphabet::new("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,")
        .expect("64 different printable characters");
    let config =
        GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::RequireNone);
    GeneralPurpose::new(&alphabet, config)
});

/// A name as the wire has it.
pub fn encode(name: &str) -> String {
    let mut wire = String::with_capacity(name.len());
    let mut shifted: Vec<u8> = Vec::new();
    let flush = |shifted: &mut Vec<u8>, wire: &mut String| {
        if !shifted.is_empty() {
            wire.push('&');
            ENGINE.encode_string(&shifted, wire);
            wire.push('-');
            shifted.clear();
        }
    };
    for c in name.chars() {
        if matches!(c, ' '..='~') {
            flush(&mut shifted, &mut wire);
            wire.push(c);
            if c == '&' {
                wire.push('-');
            }
        } else {
            let mut units = [0; 2];
            shifted.extend(c.encode_utf16(&mut units).iter().flat_map(|unit| unit.to_be_bytes()));
        }
    }
    flush(&mut shifted, &mut wire);
    wire
}

/// The name that the wire means; `None` when it is not modified UTF-7. Spellings that [`encode`] would not choose
/// (base64 of printable ASCII, two runs side by side) are accepted: they name nothing else.
pub fn decode(wire: &[u8]) -> Option<String> {
    let mut name = String::with_capacity(wire.len());
    let mut rest = wire;
    while let Some((&byte, after)) = rest.split_first() {
        match byte {
            b'&' => {
                let end = after.iter().position(|&b| b == b'-')?;
                let (run, tail) = after.split_at_checked(end)?;
                if run.is_empty() {
                    name.push('&');
                } else {
                    let bytes = ENGINE.decode(run).ok()?;
                    let (pairs, []) = bytes.as_chunks::<2>() else { return None };
                    for c in char::decode_utf16(pairs.iter().map(|&pair| u16::from_be_bytes(pair))) {
                        name.push(c.ok()?);
                    }
                }
                rest = tail.get(1..)?;
            }
            b' '..=b'~' => {
                name.push(char::from(byte));
                rest = after;
            }
            _ => return None,
        }
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_names() {
        assert_eq!(encode("Release & Train"), "Release &- Train");
        assert_eq!(encode("Entwürfe"), "Entw&APw-rfe");
        assert_eq!(encode("~peter/mail/台北/日本語"), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        assert_eq!(decode(b"Release &- Train").unwrap(), "Release & Train");
        for bad in [&b"&"[..], b"&A-", b"&AP", b"&2D0-", b"caf\xc3\xa9", b"&AAA=-", b"a\x7f"] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn there_and_back(name in "\\PC{0,40}") {
            let wire = encode(&name);
            prop_assert!(wire.bytes().all(|b| (b' '..=b'~').contains(&b)));
            prop_assert_eq!(decode(wire.as_bytes()), Some(name));
        }

        #[test]
        fn anything_is_decoded_or_refused(wire in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some(name) = decode(&wire) {
                prop_assert_eq!(decode(encode(&name).as_bytes()), Some(name));
            }
        }
    }
}
