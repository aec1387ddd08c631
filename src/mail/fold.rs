//! Text in the form in which it is compared.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// i;unicode-casemap (RFC 5051 2): titlecase, then decomposed, marks in canonical order. Two texts are equal when these
/// are, one contains the other when these do, and their order is that of these.
pub fn casemap(text: &str) -> String {
    if text.is_ascii() { text.to_ascii_uppercase() } else { text.chars().map(title).nfkd().collect() }
}

/// Looser than [`casemap`]: marks are dropped, runs of white space are one space.
pub fn loose(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut push = |c: char| {
        if !c.is_whitespace() {
            out.push(c);
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    };
    if text.is_ascii() {
        text.chars().for_each(|c| push(c.to_ascii_uppercase()));
    } else {
        text.chars().nfkd().filter(|&c| !is_combining_mark(c)).flat_map(char::to_uppercase).for_each(push);
    }
    out
}

/// The simple titlecase mapping of UnicodeData.txt, which the standard library lacks. It is the simple uppercase mapping
/// but for the letters below; where that is longer than one letter, there is no simple one.
fn title(c: char) -> char {
    let shifted = |by: u32| char::from_u32(u32::from(c) + by).unwrap_or(c);
    match c {
        '\0'..='\x7f' => c.to_ascii_uppercase(),
        'Ǆ' | 'ǅ' | 'ǆ' => 'ǅ',
        'Ǉ' | 'ǈ' | 'ǉ' => 'ǈ',
        'Ǌ' | 'ǋ' | 'ǌ' => 'ǋ',
        'Ǳ' | 'ǲ' | 'ǳ' => 'ǲ',
        // Georgian has capitals for words that are all capitals, and no titlecase
        'ა'..='ჺ' | 'ჽ'..='ჿ' => c,
        // Greek with an iota below: titlecase letters of their own
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => shifted(8),
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => shifted(9),
        _ => {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(one), None) => one,
                _ => c,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn letters() {
        for (one, other) in [
            ("straße", "STRAßE"),
            ("Müller", "MU\u{308}LLER"),
            ("ｗｉｄｅ", "WIDE"),
            ("привет", "ПРИВЕТ"),
            ("각", "\u{1100}\u{1161}\u{11a8}"),
            ("q\u{307}\u{323}", "Q\u{323}\u{307}"),
            ("ǆ", "Ǆ"),
            ("ᾀ", "ᾈ"),
            ("ი", "ი"),
            ("ς", "Σ"),
            ("①", "1"),
        ] {
            assert_eq!(casemap(one), casemap(other), "{one} {other}");
        }
        for (one, other) in [("strasse", "straße"), ("a", "ä"), ("ﬁ", "fi")] {
            assert_ne!(casemap(one), casemap(other), "{one} {other}");
        }
        // RFC 5051 2: "ǆ" is "ǅ" first, which is taken apart then
        assert_eq!(casemap("ǆ"), "Dz\u{30c}");
        for (one, other) in [("crème  brûlée", "CREME\r\n BRULEE"), ("ﬁn", "fin"), ("Straße", "STRASSE")] {
            assert_eq!(loose(one), loose(other), "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn folding_again_of_capitals_changes_nothing(text in "[ -~À-ÞА-я]{0,20}") {
            let once = casemap(&text);
            prop_assert_eq!(casemap(&once), once.clone());
        }

        #[test]
        fn ascii_is_its_capitals(text in "[ -~]{0,40}") {
            prop_assert_eq!(casemap(&format!("{text}é")), format!("{}E\u{301}", text.to_ascii_uppercase()));
        }
    }
}
