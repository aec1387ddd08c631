//! The time in which an order can be taken back.

use crate::mail::Kept;
use std::fmt;

/// How long an order waits, and what taking it back needs to know besides. As `Y=` in its name: seconds, a letter for the
/// folder, microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// From when it was asked until it starts.
    pub seconds: u32,
    /// The folder from which the message was taken.
    pub from: Kept,
    /// When it was asked, beyond the whole second: with it, it tells the commands of one asker apart.
    pub micros: u32,
}

const LETTERS: [(Kept, char); 4] =
    [(Kept::Caught, 'c'), (Kept::Outgoing, 'o'), (Kept::Training, 't'), (Kept::Trash, 'x')];

impl Window {
    /// Reads the value of the field.
    pub(super) fn parse(text: &str) -> Option<Window> {
        let at = text.find(|c: char| !c.is_ascii_digit())?;
        let (seconds, rest) = text.split_at(at);
        let letter = rest.chars().next()?;
        let (from, _) = LETTERS.iter().find(|(_, l)| *l == letter)?;
        let micros = rest.get(letter.len_utf8()..)?.parse().ok().filter(|&m| m < 1_000_000)?;
        Some(Window { seconds: seconds.parse().ok()?, from: *from, micros })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = LETTERS.iter().find(|(kept, _)| *kept == self.from).map_or('c', |(_, letter)| *letter);
        write!(f, "{}{letter}{}", self.seconds, self.micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_what_is_none() {
        for from in Kept::ALL {
            let window = Window { seconds: 3600, from, micros: 999_999 };
            assert_eq!(Window::parse(&window.to_string()), Some(window));
        }
        for text in ["", "10", "c1", "10c", "10q1", "10c1000000", "10c-1", "10\u{e4}1", "99999999999c1"] {
            assert_eq!(Window::parse(text), None, "{text}");
        }
    }
}
