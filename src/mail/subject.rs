//! The base subject (RFC 5256 2.1): what is left of a subject without the marks of replies, forwards and lists.

use super::words;

/// A subject taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Base {
    /// What is left; encoded words are decoded, case is as it was.
    pub text: String,
    /// A mark of a reply or forward was removed (RFC 5256 3 `REFERENCES`).
    pub is_reply: bool,
}

/// The base subject of a Subject field's value.
pub fn base(value: &[u8]) -> Base {
    let text = squeezed(&words::decode(value));
    let mut rest = text.as_str();
    let mut is_reply = false;
    loop {
        // step 2
        loop {
            rest = rest.trim_end_matches(' ');
            let Some(before) = without_end(rest, "(fwd)") else { break };
            (rest, is_reply) = (before, true);
        }
        // steps 3 to 5
        loop {
            rest = rest.trim_start_matches(' ');
            let blobs = Blobs::of(rest);
            if let Some(after) = after_reply(blobs.rest) {
                (rest, is_reply) = (after, true);
                continue;
            }
            // all blobs go, but for the last one when nothing else would be left
            rest = if blobs.rest.is_empty() { blobs.last } else { blobs.rest };
            break;
        }
        // step 6
        match without_start(rest, "[fwd:").and_then(|inner| inner.strip_suffix(']')) {
            Some(inner) => (rest, is_reply) = (inner, true),
            None => return Base { text: rest.to_string(), is_reply },
        }
    }
}

/// Runs of tabs, line ends and spaces become one space.
fn squeezed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' | '\r' | '\n' | ' ' if out.ends_with(' ') => {}
            '\t' | '\r' | '\n' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// `*subj-blob`.
struct Blobs<'a> {
    /// From the last blob on; the text itself when there is none.
    last: &'a str,
    /// What follows them.
    rest: &'a str,
}

impl<'a> Blobs<'a> {
    fn of(text: &'a str) -> Blobs<'a> {
        let mut blobs = Blobs { last: text, rest: text };
        while let Some(after) = after_blob(blobs.rest) {
            blobs = Blobs { last: blobs.rest, rest: after };
        }
        blobs
    }
}

/// Behind a `subj-blob`.
fn after_blob(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find(['[', ']'])?;
    Some(inner.get(end..)?.strip_prefix(']')?.trim_start_matches(' '))
}

/// Behind a `subj-refwd`.
fn after_reply(text: &str) -> Option<&str> {
    let word = ["re", "fwd", "fw"].iter().find_map(|word| without_start(text, word))?;
    let word = word.trim_start_matches(' ');
    after_blob(word).unwrap_or(word).strip_prefix(':')
}

fn without_start<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(start.len())?;
    head.eq_ignore_ascii_case(start).then_some(rest)
}

fn without_end<'a>(text: &'a str, end: &str) -> Option<&'a str> {
    let (rest, tail) = text.split_at_checked(text.len().checked_sub(end.len())?)?;
    tail.eq_ignore_ascii_case(end).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn marks_are_removed() {
        for (subject, want, is_reply) in [
            ("", "", false),
            ("hello", "hello", false),
            (" \t hello  \r\n world ", "hello world", false),
            ("Re: hello", "hello", true),
            ("RE:re: Fwd: FW:hello", "hello", true),
            ("re : hello", "hello", true),
            ("Re[2]: hello", "hello", true),
            ("fw [x] : hello", "hello", true),
            ("[list] hello", "hello", false),
            ("[list] [other] Re: [third] hello", "hello", true),
            ("[list]", "[list]", false),
            ("[a] [b]", "[b]", false),
            ("Re: [a] [b]", "[b]", true),
            ("hello (fwd) (FWD) ", "hello", true),
            ("[Fwd: hello]", "hello", true),
            ("[fwd: [fwd: Re: [list] hello (fwd)] ]", "hello", true),
            ("[fwd: a] b", "b", false),
            ("Re:", "", true),
            ("Re", "Re", false),
            ("Reply: x", "Reply: x", false),
            ("[Fwd: [x] y] (fwd)", "y", true),
            ("=?utf-8?q?Re=3A_Gr=C3=BC=C3=9Fe?=", "Grüße", true),
            ("[un[closed] hello", "[un[closed] hello", false),
            ("AW: hello", "AW: hello", false),
        ] {
            assert_eq!(base(subject.as_bytes()), Base { text: want.to_string(), is_reply }, "{subject:?}");
        }
    }

    #[test]
    fn long_ones_take_linear_time() {
        let start = std::time::Instant::now();
        for part in ["[a]", "Re:", "[fwd:", "(fwd)", "[", "re[", "[fwd:]", " ", "re: [x"] {
            base(&part.as_bytes().repeat(60_000 / part.len()));
        }
        assert!(start.elapsed() < std::time::Duration::from_secs(1));
    }

    proptest! {
        #[test]
        fn a_base_subject_is_its_own(subject in "(Re|fw|FWD|:|\\[|\\]|\\(fwd\\)|\\[fwd:| |x|é){0,12}") {
            let once = base(subject.as_bytes());
            let again = base(once.text.as_bytes());
            prop_assert_eq!(&again.text, &once.text);
            prop_assert!(!again.is_reply);
        }
    }
}
