//! The header fields that most searches look at, decoded and folded, as the store keeps them: a few hundred bytes a message
//! instead of its header block.

use crate::imap::needle::Needle;
use crate::imap::text_search::{self, Manner};

/// What made these bytes: see `bridge/cached.rs`.
const FORM: &[u8] = concat!(env!("CARGO_PKG_VERSION"), "/2 ").as_bytes();
/// The fields, in the order in which they lie.
const NAMES: [&[u8]; 15] = [
    b"from",
    b"to",
    b"cc",
    b"bcc",
    b"subject",
    b"message-id",
    b"reply-to",
    b"sender",
    b"list-id",
    b"x-mailer",
    b"user-agent",
    b"x-lazaret-sender",
    b"x-lazaret-reason",
    b"x-lazaret-score",
    b"x-lazaret-kind",
];
/// Length of the exact and of the loose form of each.
const HEAD: usize = FORM.len() + NAMES.len() * 4;
/// Instead of a length: the loose form is the exact one.
const SAME: u16 = u16::MAX;
/// Between fields of the same name. It is in no text that is looked for here.
const BETWEEN: char = '\0';

/// The number of a field among those that are kept; `None`: it is not.
pub fn number(name: &[u8]) -> Option<usize> {
    NAMES.iter().position(|known| *known == name)
}

/// The fields of a header block whose first `trace` bytes are the trace. `None`: there is more than is worth keeping.
pub fn render(block: &[u8], trace: u32) -> Option<Vec<u8>> {
    let mut bytes = FORM.to_vec();
    let mut texts = Vec::new();
    for found in text_search::field_texts(block, trace, &NAMES) {
        let [exact, loose] = [Manner::Exact, Manner::Loose].map(|manner| {
            let folded: Vec<String> = found.iter().map(|text| manner.fold(text)).collect();
            folded.join(&BETWEEN.to_string())
        });
        let length = |text: &str| u16::try_from(text.len()).ok().filter(|&len| len != SAME);
        bytes.extend_from_slice(&length(&exact)?.to_le_bytes());
        texts.extend_from_slice(exact.as_bytes());
        if loose == exact {
            bytes.extend_from_slice(&SAME.to_le_bytes());
        } else {
            bytes.extend_from_slice(&length(&loose)?.to_le_bytes());
            texts.extend_from_slice(loose.as_bytes());
        }
    }
    bytes.append(&mut texts);
    Some(bytes)
}

/// Whether these bytes are fields as this release writes them.
pub fn is_one(kept: &[u8]) -> bool {
    kept.starts_with(FORM)
}

/// Whether the field with this number holds a text, which is folded already. `None`: what was kept does not tell.
pub fn has(kept: &[u8], number: usize, value: &Needle, manner: Manner) -> Option<bool> {
    // An empty one asks whether there is such a field.
    if value.text().is_empty() || value.text().contains(BETWEEN) {
        return None;
    }
    let lengths = kept.strip_prefix(FORM)?.get(..NAMES.len() * 4)?;
    let mut at = HEAD;
    for (nth, &[a, b, c, d]) in lengths.as_chunks().0.iter().enumerate() {
        let (exact, loose) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        let exact = at..at + usize::from(exact);
        let loose = if loose == SAME { exact.clone() } else { exact.end..exact.end + usize::from(loose) };
        if nth == number {
            let text = kept.get(if manner == Manner::Exact { exact } else { loose })?;
            return Some(value.is_in(text));
        }
        at = loose.end;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BLOCK: &[u8] = b"X-Lazaret-Recipient: <bob@x.test>\r\nX-Lazaret-Score: 7.5/5\r\nFrom: \"A\" <a@x.test>\r\n\
        To: one@y.test\r\nTo: two@y.test\r\nSubject: =?utf-8?q?Cr=C3=A8me?=  br\xc3\xbbl\xc3\xa9e\r\n\r\n";

    fn both(block: &[u8], trace: u32, name: &[u8], value: &str, manner: Manner) -> (Option<bool>, bool) {
        let value = Needle::from(manner.fold(value));
        let there = text_search::field_texts(block, trace, &[name])
            .iter()
            .flatten()
            .any(|text| manner.fold(text).contains(value.text()));
        (render(block, trace).and_then(|kept| has(&kept, number(name)?, &value, manner)), there)
    }

    #[test]
    fn what_is_kept_says_what_the_header_says() {
        for (name, value, manner, there) in [
            ("from", "a@X", Manner::Exact, true),
            ("subject", "Crème", Manner::Exact, true),
            ("subject", "creme", Manner::Exact, false),
            ("subject", "creme brulee", Manner::Loose, true),
            ("to", "bob@", Manner::Loose, true),
            ("to", "one@y.test", Manner::Loose, true),
            ("to", "testtwo", Manner::Exact, false),
            ("x-lazaret-score", "7.5", Manner::Loose, true),
            ("cc", "one", Manner::Exact, false),
        ] {
            let trace = BLOCK.windows(5).position(|w| w == b"From:").unwrap() as u32;
            assert_eq!(both(BLOCK, trace, name.as_bytes(), value, manner), (Some(there), there), "{name} {value}");
            assert_eq!(
                both(BLOCK, 0, b"to", "bob@", manner),
                (Some(false), false),
                "below the trace anybody may write"
            );
        }
    }

    #[test]
    fn what_does_not_tell_says_so() {
        let kept = render(BLOCK, 0).unwrap();
        let ask = |kept: &[u8], name: &[u8], value: &str| has(kept, number(name)?, &value.into(), Manner::Exact);
        assert_eq!([ask(&kept, b"from", ""), ask(&kept, b"to", "a\0b"), ask(&kept, b"date", "x")], [None; 3]);
        assert_eq!(render(&[b"Subject: ", "x".repeat(70_000).as_bytes(), b"\r\n\r\n"].concat(), 0), None);
        for len in 0..kept.len() {
            let _ = ask(&kept[..len], b"x-lazaret-kind", "x");
            assert_ne!(ask(&kept[..len], b"subject", "nowhere"), Some(true), "{len}");
        }
    }

    proptest! {
        #[test]
        fn of_any_header(
            block in "((From|to|Subject|X-Lazaret-Recipient|Date): [ -~äé\u{301}ßﬁ=?]{0,30}\r\n){0,6}",
            value in "[ a-zäéß=?]{1,3}",
            name in "from|to|subject|date",
            trace in 0u32..60,
            is_loose: bool,
        ) {
            let manner = if is_loose { Manner::Loose } else { Manner::Exact };
            let (kept, there) = both(block.as_bytes(), trace, name.as_bytes(), &value, manner);
            prop_assert_eq!(kept, number(name.as_bytes()).map(|_| there));
        }
    }
}
