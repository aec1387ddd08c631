//! Message identifiers in Message-ID, References and In-Reply-To (RFC 5322 3.6.4, RFC 5256 3 `REFERENCES`).

use super::header;

/// The message ids of a field's value, in order, without angle brackets and in one spelling: quotes that a local part
/// does not need, and white space, are gone. What has no `@` between angle brackets is none.
pub fn ids(value: &[u8]) -> Vec<Vec<u8>> {
    let value = header::unfold(value);
    let mut found = Vec::new();
    let mut rest: &[u8] = &value;
    while let Some(start) = memchr::memchr(b'<', rest) {
        rest = rest.get(start + 1..).unwrap_or_default();
        let Some((id, len)) = id(rest) else { continue };
        found.push(id);
        rest = rest.get(len..).unwrap_or_default();
    }
    found
}

/// The id up to its `>`, and how long it was written. `None` when it breaks off or is none.
fn id(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut id = Vec::new();
    let (mut quoted, mut at_sign) = (false, None);
    let mut bytes = text.iter().enumerate();
    while let Some((at, &byte)) = bytes.next() {
        match byte {
            // also in quotes, so that no byte is looked at twice
            b'<' => return None,
            b'\\' if quoted => id.push(*bytes.next().filter(|(_, b)| **b != b'<')?.1),
            b'"' if at_sign.is_none() => quoted = !quoted,
            _ if quoted => id.push(byte),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'>' => {
                let sign = at_sign?;
                return (sign > 0 && sign + 1 < id.len()).then_some((id, at + 1));
            }
            b'@' => {
                at_sign.get_or_insert(id.len());
                id.push(byte);
            }
            _ => id.push(byte),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(value: &str) -> Vec<String> {
        ids(value.as_bytes()).into_iter().map(|id| String::from_utf8(id).unwrap()).collect()
    }

    #[test]
    fn spellings() {
        // RFC 5256 3
        assert_eq!(found("<\"01KF8JCEOCBS0045PS\"@xxx.yyy.com>"), found("<01KF8JCEOCBS0045PS@xxx.yyy.com>"));
        assert_eq!(found("<a@b>\r\n\t<c@d><e@[1.2.3.4]>"), ["a@b", "c@d", "e@[1.2.3.4]"]);
        assert_eq!(found("a@b's message of <x y@z > yesterday"), ["xy@z"]);
        assert_eq!(found("<\"a\\\"b\"@c>"), ["a\"b@c"]);
        assert_eq!(found("<a <b@c> d> <> <@> <a@> <@b> <c d@e"), ["b@c"]);
        assert_eq!(found("<no-sign>"), [""; 0]);
    }

    proptest! {
        #[test]
        fn never_panics(value in "[<>@\"\\\\a .]{0,40}") {
            found(&value);
        }
    }
}
