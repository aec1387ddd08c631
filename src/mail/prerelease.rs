//! What our own filter wrote into a header, put aside when the message is released: Sieve would file it as junk by that.

use super::header::{self, Field};

/// What stands before the name of a field that was put aside.
const PREFIX: &[u8] = b"X-Pre-Release-";

/// The message from `start` on with the fields of these names put aside, unless a signature covers them: DKIM's
/// (RFC 6376 3.5 `h=`) and ARC's (RFC 8617 4.1.2) would break. Nothing else changes, and what stands before stays.
pub fn set_aside(message: Vec<u8>, start: usize, names: &[String]) -> Vec<u8> {
    let block = message.get(start..).unwrap_or_default();
    let signed = signed_names(block);
    let is_ours = |field: &Field<'_>| {
        names.iter().any(|name| field.is(name.as_bytes())) && !signed.iter().any(|name| field.is(name))
    };
    let places: Vec<usize> = header::fields(block).filter(is_ours).map(|field| start + field.range.start).collect();
    if places.is_empty() {
        return message;
    }
    let mut out = Vec::with_capacity(message.len() + places.len() * PREFIX.len());
    let mut from = 0;
    for at in places {
        out.extend_from_slice(message.get(from..at).unwrap_or_default());
        out.extend_from_slice(PREFIX);
        from = at;
    }
    out.extend_from_slice(message.get(from..).unwrap_or_default());
    out
}

/// The names in the `h=` tags of all signatures, right or not: that is not ours to find out.
fn signed_names(block: &[u8]) -> Vec<Vec<u8>> {
    let is_signature = |field: &Field<'_>| field.is(b"DKIM-Signature") || field.is(b"ARC-Message-Signature");
    let mut names = Vec::new();
    for field in header::fields(block).filter(is_signature) {
        let value = field.unfolded();
        for tag in value.split(|&b| b == b';') {
            let Some(at) = tag.iter().position(|&b| b == b'=') else { continue };
            let (name, list) = tag.split_at(at);
            if name.trim_ascii().eq_ignore_ascii_case(b"h") {
                let list = list.get(1..).unwrap_or_default();
                let bare = |name: &[u8]| name.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
                names.extend(list.split(|&b| b == b':').map(bare));
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn aside(message: &str) -> String {
        let names = ["X-Spam-Flag".to_string(), "X-Spam-Status".to_string()];
        String::from_utf8(set_aside(message.into(), 3, &names)).unwrap()
    }

    #[test]
    fn what_our_filter_wrote_gets_another_name_and_nothing_else_changes() {
        let message =
            "R:\nX-Spam-Status: Yes,\r\n\tscore=9\r\nFrom: a\r\nx-spam-flag: YES\r\n\r\nX-Spam-Flag: body\r\n";
        let expected = "R:\nX-Pre-Release-X-Spam-Status: Yes,\r\n\tscore=9\r\nFrom: a\r\nX-Pre-Release-x-spam-flag: YES\r\n\r\nX-Spam-Flag: body\r\n";
        assert_eq!(aside(message), expected);
    }

    #[test]
    fn what_a_signature_covers_stays() {
        for signature in ["DKIM-Signature", "arc-message-signature"] {
            let message = format!(
                "R:\n{signature}: v=1; H = From : To:\r\n x-SPAM-\r\n Flag ; b=x\r\nX-Spam-Flag: YES\r\nX-Spam-Status: Yes\r\n\r\n"
            );
            assert_eq!(aside(&message), message.replace("X-Spam-Status", "X-Pre-Release-X-Spam-Status"));
        }
    }

    #[test]
    fn our_own_line_on_top_is_not_looked_at() {
        let names = ["Received".to_string()];
        let message = b"Received: ours\r\nReceived: theirs\r\n\r\n".to_vec();
        let expected = b"Received: ours\r\nX-Pre-Release-Received: theirs\r\n\r\n";
        assert_eq!(set_aside(message, 16, &names), expected);
    }

    proptest! {
        #[test]
        fn taking_the_prefix_away_gives_the_message_back(
            message in "((X-Spam-Flag|DKIM-Signature|From): (h=|x|;|:|X-Spam-Flag){0,4}\r?\n|\r\n|[a\n:]){0,12}",
            start in 0usize..30,
        ) {
            let names = ["X-Spam-Flag".to_string()];
            let out = set_aside(message.clone().into_bytes(), start, &names);
            prop_assert_eq!(String::from_utf8(out).unwrap().replace("X-Pre-Release-", ""), message);
        }
    }
}
