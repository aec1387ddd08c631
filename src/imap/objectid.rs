//! Identifiers of messages and folders (RFC 8474).

/// Longest identifier (RFC 8474 7 `objectid`).
const MOST: usize = 255;

/// EMAILID of the message with this id. Two ids never give the same one, except when a file name is so odd that its
/// spelling would be too long: then it is a hash.
pub fn email_id(id: &str) -> String {
    spelled('M', id)
}

/// MAILBOXID of a folder, from a text that names it in this account for good.
pub fn mailbox_id(folder: &str) -> String {
    spelled('F', folder)
}

/// Letters, digits and `-` stand for themselves, `_-` is a dot, `_` and two hexadecimal digits any other byte. `_H` begins
/// what is hashed.
fn spelled(prefix: char, text: &str) -> String {
    let mut out = String::from(prefix);
    for byte in text.bytes() {
        match byte {
            b'-' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => out.push(char::from(byte)),
            b'.' => out.push_str("_-"),
            _ => out.push_str(&format!("_{byte:02X}")),
        }
    }
    if out.len() > MOST { format!("{prefix}_H{:032X}", fnv(text.as_bytes())) } else { out }
}

/// FNV-1a in 128 bits: the same on every machine and in every release, as an identifier has to be.
fn fnv(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(BASIS, |hash, &byte| (hash ^ u128::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spelled_so_that_it_can_be_read() {
        assert_eq!(email_id("1700000000.M5P7Q1.mx-1"), "M1700000000_-M5P7Q1_-mx-1");
        assert_eq!(email_id("a_b:é"), "Ma_5Fb_3A_C3_A9");
        assert_eq!(mailbox_id("Caught"), "FCaught");
        assert_eq!(email_id(&"x".repeat(254)).len(), 255);
        // the published check value of the 128-bit variant for "a"
        assert_eq!(format!("{:032x}", fnv(b"a")), "d228cb696f1a8caf78912b704e4a8964");
        assert_eq!(email_id(&"x".repeat(255)).len(), 35);
    }

    proptest! {
        #[test]
        fn always_an_identifier_and_never_the_same(a in "\\PC{0,90}", b in "[a-c._:]{0,6}", c in "[a-c._:]{0,6}") {
            for id in [email_id(&a), mailbox_id(&a)] {
                prop_assert!(id.len() <= MOST);
                prop_assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            }
            prop_assert_eq!(email_id(&b) == email_id(&c), b == c);
        }
    }
}
