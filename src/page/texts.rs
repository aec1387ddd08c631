//! Every text that people read, in all languages side by side: one table an area. A text that lacks a language does not
//! compile. To add a language, add a column to [`Language`], to the macro, and to each table.

/// A table of texts: `key: "English", "German", "French", "Spanish";`.
macro_rules! texts {
    ($(#[$meta:meta])* $name:ident { $($key:ident: $en:literal, $de:literal, $fr:literal, $es:literal;)* }) => {
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name { $(#[doc = $en] pub $key: &'static str,)* }

        impl $name {
            /// The texts in this language.
            pub fn of(language: super::Language) -> &'static $name {
                use super::Language;
                const EN: $name = $name { $($key: $en,)* };
                const DE: $name = $name { $($key: $de,)* };
                const FR: $name = $name { $($key: $fr,)* };
                const ES: $name = $name { $($key: $es,)* };
                match language {
                    Language::En => &EN,
                    Language::De => &DE,
                    Language::Fr => &FR,
                    Language::Es => &ES,
                }
            }

            /// All of them in this language, by key.
            #[cfg(test)]
            pub fn all(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($key), self.$key),)*]
            }
        }

        #[cfg(test)]
        #[test]
        fn translations_take_the_same_values() {
            let english = $name::of(super::Language::En).all();
            for language in super::Language::ALL {
                for ((key, text), (_, original)) in $name::of(language).all().into_iter().zip(&english) {
                    assert!(!text.is_empty(), "{language:?}: {key} is empty");
                    assert_eq!(text.matches("{}").count(), original.matches("{}").count(), "{language:?}: {key}");
                }
            }
        }
    };
}

mod common;
mod desk;
mod digest;
mod frame;
mod message;
mod reasons;
mod senders;
mod site;

pub use common::Common;
pub use desk::Desk;
pub use digest::Digest;
pub use frame::Frame;
pub use message::Message;
pub use reasons::Reasons;
pub use senders::Senders;
pub use site::Site;

/// A language of the page and the digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// German.
    De,
    /// French.
    Fr,
    /// Spanish.
    Es,
}

impl Language {
    /// All of them.
    pub const ALL: [Language; 4] = [Language::En, Language::De, Language::Fr, Language::Es];

    /// Its code (RFC 5646), as HTML's `lang` and Content-Language have it.
    pub fn code(self) -> &'static str {
        match self {
            Language::En => "en",
            Language::De => "de",
            Language::Fr => "fr",
            Language::Es => "es",
        }
    }

    /// The one with this code; regions are passed over (`de-AT` is German).
    pub fn from_code(code: &str) -> Option<Language> {
        let main = code.split('-').next().unwrap_or(code);
        Language::ALL.into_iter().find(|language| language.code().eq_ignore_ascii_case(main))
    }

    /// The best of an Accept-Language field (RFC 9110 12.5.4); English where it names none of ours.
    pub fn wanted(field: &str) -> Language {
        let mut best = (0, Language::En);
        for range in field.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let Some(language) = parts.next().and_then(Language::from_code) else { continue };
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1000, thousandths);
            if weight > best.0 {
                best = (weight, language);
            }
        }
        best.1
    }
}

/// A weight (RFC 9110 12.4.2) in thousandths; what is no number counts as nothing.
fn thousandths(text: &str) -> u32 {
    text.parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q)).map_or(0, |q| (q * 1000.0) as u32)
}

/// Puts values in place of each `{}` of a text, in order.
pub fn fill(text: &str, values: &[&str]) -> String {
    let mut values = values.iter();
    let mut pieces = text.split("{}");
    let mut filled = pieces.next().unwrap_or_default().to_string();
    for piece in pieces {
        filled.push_str(values.next().unwrap_or(&""));
        filled.push_str(piece);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_reader_s() {
        assert_eq!(Language::wanted("de-AT,de;q=0.9,en;q=0.8"), Language::De);
        assert_eq!(Language::wanted("nl, en;q=0.5, fr;q=0.7"), Language::Fr);
        assert_eq!(Language::wanted("es;q=0"), Language::En);
        for odd in ["", ";;;", "q=1", "de;q=nan", "de;q=9"] {
            assert_eq!(Language::wanted(odd), Language::En, "{odd}");
        }
    }

    #[test]
    fn values_are_put_in_order() {
        assert_eq!(fill("{} of {}", &["1", "2"]), "1 of 2");
        assert_eq!(fill("none", &["1"]), "none");
        assert_eq!(fill("{}{}", &["{}"]), "{}");
    }
}
