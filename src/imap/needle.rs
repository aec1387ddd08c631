//! A text that is looked for in many messages.

use memchr::memmem::Finder;

/// A text that is looked for, folded as the texts are in which it is looked for. What finding it takes is prepared once.
#[derive(Debug, Clone)]
pub struct Needle {
    text: Box<str>,
    /// Apart: it takes some hundred bytes, which every other search key would take too.
    finder: Box<Finder<'static>>,
}

impl Needle {
    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is in these bytes.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        self.finder.find(bytes).is_some()
    }
}

impl From<String> for Needle {
    fn from(text: String) -> Self {
        Needle { finder: Box::new(Finder::new(&text).into_owned()), text: text.into() }
    }
}

impl From<&str> for Needle {
    fn from(text: &str) -> Self {
        Needle::from(text.to_string())
    }
}

impl PartialEq for Needle {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Needle {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_found_wherever_it_lies_and_the_empty_one_everywhere() {
        let text = format!("{}ab", "x".repeat(300));
        for start in 0..300 {
            assert!(
                Needle::from("xab").is_in(&text.as_bytes()[start..])
                    && !Needle::from("abx").is_in(&text.as_bytes()[start..])
            );
        }
        assert!(Needle::from("").is_in(b"") && !Needle::from("a").is_in(b""));
        assert!(Needle::from("a") == Needle::from("a".to_string()) && Needle::from("a") != Needle::from("b"));
    }
}
