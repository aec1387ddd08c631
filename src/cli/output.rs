//! What commands print: tables for people, JSON for programs.

use serde::Serialize;
use std::fmt;
use std::io::{self, Write};

/// A table with a heading. The last column is not padded.
#[derive(Debug, Default)]
pub struct Table {
    heading: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub fn new(heading: &[&str]) -> Table {
        Table { heading: heading.iter().map(|s| s.to_string()).collect(), rows: Vec::new() }
    }

    /// Adds a row. What a terminal would obey is made visible instead: the cells may hold what a stranger wrote.
    pub fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(|cell| clean(cell.as_ref())).collect());
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = || std::iter::once(&self.heading).chain(&self.rows);
        let columns = all().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|i| all().filter_map(|row| row.get(i)).map(|cell| cell.chars().count()).max().unwrap_or(0))
            .collect();
        for row in all() {
            let mut line = String::new();
            for (cell, &width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:width$}  "));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// The text without what a terminal would obey: control characters (ESC among them) and those that turn the direction of
/// writing become `\u{…}`.
pub fn clean(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || turns(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Prints text. A reader that has gone away (`| head`) is no error.
pub fn print(text: impl fmt::Display) {
    let mut out = io::stdout().lock();
    // What else could be done about a closed standard output?
    let _ = write!(out, "{text}").and_then(|()| out.flush());
}

/// Prints one value as one line of JSON.
pub fn print_json(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(line) => print(format_args!("{line}\n")),
        Err(e) => fail(format_args!("cannot write JSON: {e}")),
    }
}

/// Prints an error.
pub fn fail(text: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "lazaret: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["LOGIN", "SCOPE"]);
        table.row(["ä@example.org", "recipient"]);
        table.row(["global", "everything\x1b[2J"]);
        assert_eq!(
            table.to_string(),
            "LOGIN          SCOPE\nä@example.org  recipient\nglobal         everything\\u{1b}[2J\n"
        );
    }

    #[test]
    fn terminals_obey_nothing() {
        assert_eq!(clean("a\r\n\u{202e}b\u{9b}"), "a\\u{d}\\u{a}\\u{202e}b\\u{9b}");
    }
}
