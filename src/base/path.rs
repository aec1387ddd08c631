//! How a domain or a local part becomes a file name. This is the only place that knows.

use std::fmt::Write;

/// Longest file name that ext4, XFS, btrfs and ZFS take, in bytes.
pub const NAME_MAX: usize = 255;

/// Bytes that stand for themselves. `,` separates the fields of queue names, `~` marks a hashed address, `:` the flags.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_' | b'+' | b'=')
}

/// Encodes bytes as one file name: what is not plain becomes `%XX`, and a leading dot too, so that no name is hidden,
/// `.` or `..`. `None` when the result is empty or passes [`NAME_MAX`].
pub fn encode(bytes: &[u8]) -> Option<String> {
    let mut name = String::with_capacity(bytes.len());
    for (i, &byte) in bytes.iter().enumerate() {
        if is_plain(byte) && !(i == 0 && byte == b'.') {
            name.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(name, "%{byte:02X}");
        }
    }
    (!name.is_empty() && name.len() <= NAME_MAX).then_some(name)
}

/// The same for names that people see: letters and digits beyond ASCII stay as they are.
pub fn label(text: &str) -> String {
    let mut label = String::with_capacity(text.len());
    for (i, c) in text.char_indices() {
        let plain = if c.is_ascii() { is_plain(c as u8) } else { c.is_alphanumeric() };
        if plain && !(i == 0 && c == '.') {
            label.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a String cannot fail.
                let _ = write!(label, "%{byte:02X}");
            }
        }
    }
    label
}

/// The inverse of [`label`]; `None` for what `label` would not have made.
pub fn from_label(name: &str) -> Option<String> {
    let text = String::from_utf8(undo(name)?).ok()?;
    (label(&text) == name).then_some(text)
}

/// The inverse of [`encode`]; `None` for a name that `encode` would not have made.
pub fn decode(name: &str) -> Option<Vec<u8>> {
    let bytes = undo(name)?;
    (encode(&bytes)? == name).then_some(bytes)
}

fn undo(name: &str) -> Option<Vec<u8>> {
    let raw = name.as_bytes();
    let mut bytes = Vec::with_capacity(raw.len());
    let mut i = 0;
    while let Some(&byte) = raw.get(i) {
        if byte == b'%' {
            let digits = raw.get(i + 1..i + 3)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            i += 3;
        } else {
            bytes.push(byte);
            i += 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn awkward_names() {
        assert_eq!(encode(b"alice").as_deref(), Some("alice"));
        assert_eq!(encode(b"..").as_deref(), Some("%2E."));
        assert_eq!(encode(b"a/b").as_deref(), Some("a%2Fb"));
        assert_eq!(encode(b"nul\0").as_deref(), Some("nul%00"));
        assert_eq!(encode("jörg".as_bytes()).as_deref(), Some("j%C3%B6rg"));
        assert_eq!(encode(b""), None);
        assert_eq!(encode(&[b'x'; 255]).map(|n| n.len()), Some(255));
        assert_eq!(encode(&[b'x'; 256]), None);
        assert_eq!(decode("%2e."), None, "only the canonical spelling");
        assert_eq!(decode("%2"), None);
    }

    #[test]
    fn labels_can_be_read() {
        assert_eq!(label("jörg"), "jörg");
        assert_eq!(label("a/b*%&\0A"), "a%2Fb%2A%25%26%00%41");
        assert_eq!(label("..").as_str(), "%2E.");
        assert_eq!(label("a\u{202e}b\u{a0}"), "a%E2%80%AEb%C2%A0", "no marks that turn text around");
        assert_eq!(label("e\u{301}"), "e%CC%81", "the two spellings of é do not look the same");
        assert_eq!(from_label("j%C3%B6rg"), None, "only one spelling");
        assert_eq!(from_label("%C3"), None);
    }

    proptest! {
        #[test]
        fn round_trip_and_safe(bytes in proptest::collection::vec(any::<u8>(), 1..80)) {
            let name = encode(&bytes).unwrap();
            prop_assert!(!name.contains('/') && !name.contains('\0') && !name.contains(',') && !name.starts_with('.'));
            prop_assert_eq!(decode(&name).unwrap(), bytes);
        }

        #[test]
        fn labels_round_trip(text in any::<String>(), other in "[ab%/é.]{1,4}", third in "[ab%/é.]{1,4}") {
            let name = label(&text);
            prop_assert!(!name.contains(['/', '*', '\\', '"', '&']) && !name.contains(char::is_control));
            prop_assert_eq!(from_label(&name).unwrap(), text);
            prop_assert_eq!(label(&other) == label(&third), other == third);
        }
    }
}
