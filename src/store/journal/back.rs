//! The journal read backwards, in pieces: for people who look what happened last.

use super::Journal;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::str::FromStr;

/// Bytes of a file that are read at once; longer lines do not exist, and are passed over.
const BLOCK: u64 = 256 << 10;

/// A place in the journal; what lies before it is read next. As text: the day, a dot, the offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    day: String,
    offset: u64,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.day, self.offset)
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Cursor, ()> {
        let (day, offset) = text.split_once('.').ok_or(())?;
        let offset = offset.parse().map_err(|_| ())?;
        if is_day(day) { Ok(Cursor { day: day.to_string(), offset }) } else { Err(()) }
    }
}

/// Whether it looks like 2026-11-22: what comes from a link becomes no path.
fn is_day(text: &str) -> bool {
    let right = |(i, b): (usize, u8)| if matches!(i, 4 | 7) { b == b'-' } else { b.is_ascii_digit() };
    text.len() == 10 && text.bytes().enumerate().all(right)
}

impl Journal {
    /// Hands over lines, the newest first, from before a place (`None`: from the end), until `each` wants no more, or more
    /// than `most` bytes were read. Returns where to go on; `None`: there is nothing before.
    pub fn back(&self, before: Option<&Cursor>, most: u64, mut each: impl FnMut(&str) -> bool) -> Option<Cursor> {
        let mut left = most;
        for (day, path) in self.days().into_iter().rev() {
            if before.is_some_and(|cursor| day > cursor.day) {
                continue;
            }
            // What cannot be read is passed over: nothing is decided from it.
            let Ok(mut file) = File::open(&path) else { continue };
            let length = file.metadata().map_or(0, |meta| meta.len());
            let mut end = before.filter(|c| c.day == day).map_or(length, |c| c.offset.min(length));
            while end > 0 {
                if left == 0 {
                    return Some(Cursor { day, offset: end });
                }
                let start = end.saturating_sub(BLOCK);
                let mut block = Vec::new();
                let read = file
                    .seek(SeekFrom::Start(start))
                    .and_then(|_| (&mut file).take(end - start).read_to_end(&mut block));
                if read.is_err() {
                    break;
                }
                left = left.saturating_sub(end - start);
                // The first line is whole where the file begins.
                let whole = if start == 0 { Some(0) } else { memchr::memchr(b'\n', &block).map(|at| at + 1) };
                let Some(whole) = whole.filter(|&at| at < block.len()) else {
                    end = start;
                    continue;
                };
                for line in block.get(whole..).unwrap_or_default().split_inclusive(|&b| b == b'\n').rev() {
                    end = end.saturating_sub(line.len() as u64);
                    if let Ok(line) = std::str::from_utf8(line)
                        && !each(line.trim_end())
                    {
                        return Some(Cursor { day, offset: end });
                    }
                }
            }
        }
        None
    }

    /// The days of which there is a file, with it, oldest first.
    fn days(&self) -> Vec<(String, PathBuf)> {
        let files = std::fs::read_dir(&self.directory).into_iter().flatten().flatten().map(|entry| entry.path());
        let day = |path: &PathBuf| {
            let day = path.file_name()?.to_str()?.strip_suffix(".jsonl")?;
            is_day(day).then(|| day.to_string())
        };
        let mut days: Vec<_> = files.filter_map(|path| Some((day(&path)?, path))).collect();
        days.sort_unstable();
        days
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Timestamp;
    use crate::store::testing::Scratch;
    use proptest::prelude::*;
    use serde_json::json;

    fn ids(journal: &Journal, before: Option<&Cursor>, most: u64, limit: usize) -> (Vec<String>, Option<Cursor>) {
        let mut ids = Vec::new();
        let next = journal.back(before, most, |line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            ids.push(line["id"].as_str().unwrap().to_string());
            ids.len() < limit
        });
        (ids, next)
    }

    /// Some days of lines, of some length each.
    fn journal(scratch: &Scratch, days: u64, lines: u64, filling: usize) -> Journal {
        let journal = Journal::new(scratch.path().join("journal"));
        for day in 0..days {
            for line in 0..lines {
                let at = Timestamp::from_secs(1_700_000_000 + day * 86_400);
                journal.note(
                    at,
                    &format!("{day}.{line}"),
                    "a@x.test",
                    "stored",
                    "x",
                    json!({ "x": "ä".repeat(filling) }),
                );
            }
        }
        journal
    }

    #[test]
    fn newest_first_over_days_in_any_pieces() {
        for (limit, most) in [(1, u64::MAX), (3, u64::MAX), (1000, u64::MAX), (1000, 1)] {
            let scratch = Scratch::new("back");
            let journal = journal(&scratch, 3, 40, 2_000);
            std::fs::write(scratch.path().join("journal/README"), "x").unwrap();
            let expected: Vec<String> =
                (0..3).rev().flat_map(|day| (0..40).rev().map(move |line| format!("{day}.{line}"))).collect();
            let (mut all, mut cursor) = (Vec::new(), None);
            loop {
                let (ids, next) = ids(&journal, cursor.as_ref(), most, limit);
                all.extend(ids);
                // As it goes through a link.
                cursor = next.map(|next| next.to_string().parse::<Cursor>().unwrap());
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(all, expected, "{limit} {most}");
        }
    }

    #[test]
    fn what_is_written_meanwhile_is_not_in_older_pieces() {
        let scratch = Scratch::new("meanwhile");
        let journal = journal(&scratch, 1, 4, 1);
        let (first, cursor) = ids(&journal, None, u64::MAX, 2);
        journal.note(Timestamp::from_secs(1_700_000_000), "new", "a@x.test", "stored", "x", json!({}));
        let (rest, end) = ids(&journal, cursor.as_ref(), u64::MAX, 10);
        assert_eq!((first, rest), (vec!["0.3".into(), "0.2".into()], vec!["0.1".into(), "0.0".into()]));
        assert_eq!(end, None);
    }

    #[test]
    fn a_line_that_is_too_long_or_torn_is_passed_over() {
        let scratch = Scratch::new("long");
        let journal = journal(&scratch, 1, 2, 1);
        let path = journal.days()[0].1.clone();
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str(&"x".repeat(3 * BLOCK as usize));
        text.push('\n');
        std::fs::write(&path, text).unwrap();
        let mut seen = Vec::new();
        assert_eq!(
            journal.back(None, u64::MAX, |line| {
                seen.push(line.len());
                true
            }),
            None
        );
        assert_eq!(seen.len(), 3, "{seen:?}");
    }

    proptest! {
        #[test]
        fn no_cursor_of_a_stranger_becomes_a_path(text in "\\PC{0,30}", number in "[0-9./-]{0,25}") {
            for text in [text, number] {
                if let Ok(cursor) = text.parse::<Cursor>() {
                    prop_assert!(is_day(&cursor.day));
                }
            }
        }
    }
}
