//! The Date field (RFC 5322 3.3 and what arrives instead of it).

use crate::base::Timestamp;
use crate::base::time::{days_from_civil, month_number};

/// A date as its sender wrote it: local time, and how far that is from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Four digits.
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 60.
    pub second: u32,
    /// Minutes east of UTC; an unknown zone is 0.
    pub zone: i32,
}

impl Written {
    /// Reads the value of a Date field: weekday and comments are passed over, two-digit years and the zone names of
    /// RFC 5322 4.3 are known, seconds and zone may be missing.
    pub fn parse(value: &[u8]) -> Option<Written> {
        let mut words = words(value).peekable();
        // a weekday, with or without its comma; or none
        while words.peek()?.first()?.is_ascii_alphabetic() && month_of(words.peek()?).is_none() {
            words.next();
        }
        let first = words.next()?;
        let (day, month) = match month_of(first) {
            Some(month) => (number(words.next()?, 2)?, month), // as asctime writes it: Nov 5 10:00:00 2024
            None => (number(first, 2)?, month_of(words.next()?)?),
        };
        let mut third = words.next()?;
        let mut year = None;
        if !third.contains(&b':') {
            year = Some(full_year(third)?);
            third = words.next().unwrap_or(b"0:0");
        }
        let (hour, minute, second) = time_of_day(third)?;
        let mut zone = 0;
        if let Some(year_or_zone) = words.next() {
            match year {
                Some(_) => zone = zone_minutes(year_or_zone),
                None => year = Some(full_year(year_or_zone)?),
            }
        }
        let written = Written { year: year?, month, day, hour, minute, second, zone };
        written.is_possible().then_some(written)
    }

    fn is_possible(&self) -> bool {
        let leap = (self.year % 4 == 0 && self.year % 100 != 0) || self.year % 400 == 0;
        let days = match self.month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        (1..=days).contains(&self.day) && self.hour < 24 && self.minute < 60 && self.second <= 60
    }

    /// The point in time; one before 1970 counts as 1970.
    pub fn timestamp(&self) -> Timestamp {
        let secs = self.day_number() * 86_400
            + i64::from(self.hour) * 3600
            + i64::from(self.minute) * 60
            + i64::from(self.second)
            - i64::from(self.zone) * 60;
        Timestamp::from_secs(u64::try_from(secs).unwrap_or(0))
    }

    /// The day as it is written, in days since 1970-01-01: SENTON and its like disregard time and zone
    /// (RFC 3501 6.4.4).
    pub fn day_number(&self) -> i64 {
        days_from_civil(self.year, self.month, self.day)
    }
}

/// The words of a date, without comments. `5-Nov-2024` and `Tue,5` are several words, a zone keeps its sign.
fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = value.get(..200).unwrap_or(value);
    std::iter::from_fn(move || {
        let mut level = 0u32;
        let skip = rest.iter().position(|&b| {
            match b {
                b'(' => level += 1,
                b')' => level = level.saturating_sub(1),
                _ => {}
            }
            level == 0 && (b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-'))
        })?;
        rest = rest.get(skip..)?;
        let signed = matches!(rest.first(), Some(b'+' | b'-'));
        let from = usize::from(signed);
        let body = rest.get(from..)?;
        let len = body.iter().position(|b| !(b.is_ascii_alphanumeric() || *b == b':')).unwrap_or(body.len());
        let (word, after) = rest.split_at(from + len);
        rest = after;
        // the hyphen of `5-Nov-2024` is no sign
        let digits = word.get(1..).is_some_and(|w| w.len() == 4 && w.iter().all(u8::is_ascii_digit));
        let spaced = rest.is_empty() || !rest.starts_with(b"-");
        Some(if signed && !(digits && spaced) { word.get(1..).unwrap_or_default() } else { word })
    })
    .filter(|word| !word.is_empty())
}

fn number(word: &[u8], most: usize) -> Option<u32> {
    let text = std::str::from_utf8(word).ok()?;
    (word.len() <= most && word.iter().all(u8::is_ascii_digit)).then(|| text.parse().ok())?
}

fn month_of(word: &[u8]) -> Option<u32> {
    month_number(word.get(..3)?).filter(|_| word.iter().all(u8::is_ascii_alphabetic))
}

/// RFC 5322 4.3: 00 to 49 are 2000 to 2049, other two- and three-digit years count from 1900.
fn full_year(word: &[u8]) -> Option<i64> {
    let word = word.strip_prefix(b"-").unwrap_or(word);
    let year = i64::from(number(word, 4)?);
    Some(match word.len() {
        2 if year < 50 => 2000 + year,
        2 | 3 => 1900 + year,
        4 => year,
        _ => return None,
    })
}

fn time_of_day(word: &[u8]) -> Option<(u32, u32, u32)> {
    let mut fields = word.split(|&b| b == b':').map(|field| number(field, 2));
    let (hour, minute) = (fields.next()??, fields.next()??);
    let second = fields.next().unwrap_or(Some(0))?;
    Some((hour, minute, second))
}

fn zone_minutes(word: &[u8]) -> i32 {
    let sign = match word.first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => {
            return match word.to_ascii_uppercase().as_slice() {
                b"EDT" => -4 * 60,
                b"EST" | b"CDT" => -5 * 60,
                b"CST" | b"MDT" => -6 * 60,
                b"MST" | b"PDT" => -7 * 60,
                b"PST" => -8 * 60,
                _ => 0,
            };
        }
    };
    let digits = word.get(1..).and_then(|digits| number(digits, 4)).unwrap_or(0) as i32;
    if digits / 100 > 23 || digits % 100 > 59 { 0 } else { sign * (digits / 100 * 60 + digits % 100) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utc(text: &str) -> Option<String> {
        Written::parse(text.as_bytes()).map(|w| w.timestamp().rfc3339())
    }

    #[test]
    fn spellings() {
        for text in [
            "Tue, 05 Nov 2024 10:00:01 +0130",
            "5 Nov 2024 10:00:01 +0130",
            "Tue 5 November 2024 10:00:01 +0130 (CEST)",
            "Tue, (a (b)) 5 Nov (x) 24 10:00:01 +0130",
            "Tue,5-Nov-2024 10:00:01 +0130",
        ] {
            assert_eq!(utc(text).as_deref(), Some("2024-11-05T08:30:01Z"), "{text}");
        }
        assert_eq!(utc("Tue Nov  5 10:00:01 2024").as_deref(), Some("2024-11-05T10:00:01Z"));
        assert_eq!(utc("5 Nov 2024 10:00 EST").as_deref(), Some("2024-11-05T15:00:00Z"));
        assert_eq!(utc("5 Nov 2024 10:00:00 -0800").as_deref(), Some("2024-11-05T18:00:00Z"));
        assert_eq!(utc("29 Feb 2023 10:00:00 GMT"), None);
        assert_eq!(utc("5 Nov 99 10:00").as_deref(), Some("1999-11-05T10:00:00Z"));
        assert_eq!(utc("5 Nov 2024").as_deref(), Some("2024-11-05T00:00:00Z"));
        for bad in ["", "Tue", "Nov", "now", "2024-11-05", "99 Nov 2024 1:2:3", "5 Nov 2024 25:00"] {
            assert_eq!(utc(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_day_as_written() {
        let east = Written::parse(b"Tue, 5 Nov 2024 00:30:00 +1200").unwrap();
        assert_eq!(east.day_number(), days_from_civil(2024, 11, 5));
        assert_eq!(east.timestamp().day(), "2024-11-04");
    }

    proptest! {
        #[test]
        fn what_we_write_reads_back(secs in 0u64..4_000_000_000) {
            let time = Timestamp::from_secs(secs);
            let read = Written::parse(time.rfc5322().as_bytes()).unwrap();
            prop_assert_eq!(read.timestamp(), time);
        }

        #[test]
        fn never_panics(text in "[0-9a-zA-Z:,+() -]{0,40}") {
            let _ = Written::parse(text.as_bytes()).map(|w| w.timestamp());
        }
    }
}
