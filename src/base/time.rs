//! Points in time, and the three ways in which mail writes them. Nothing here reads a clock.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Microseconds since 1970-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub u64);

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// A point in time as a calendar shows it, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Civil {
    /// Year of the Gregorian calendar.
    pub year: i64,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 59.
    pub second: u32,
    /// 0 is Sunday.
    pub weekday: u32,
}

impl Timestamp {
    /// From a clock's reading; a clock before 1970 counts as 1970.
    pub fn from_system(time: SystemTime) -> Self {
        Timestamp(time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64))
    }

    /// From whole seconds since 1970.
    pub const fn from_secs(secs: u64) -> Self {
        Timestamp(secs.saturating_mul(1_000_000))
    }

    /// Whole seconds since 1970.
    pub const fn secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The part below a second, in microseconds.
    pub const fn subsec_micros(self) -> u32 {
        (self.0 % 1_000_000) as u32
    }

    /// This much later.
    pub fn after(self, by: Duration) -> Self {
        Timestamp(self.0.saturating_add(by.as_micros() as u64))
    }

    /// How long from `earlier` to this; zero when it is not earlier.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// The calendar's view, in UTC.
    pub fn civil(self) -> Civil {
        let secs = self.secs() as i64;
        let days = secs.div_euclid(86_400);
        let rest = secs.rem_euclid(86_400) as u32;
        let (year, month, day) = civil_from_days(days);
        let weekday = (days + 4).rem_euclid(7) as u32;
        Civil { year, month, day, hour: rest / 3600, minute: rest / 60 % 60, second: rest % 60, weekday }
    }

    /// `02-Jan-2006 15:04:05 +0000`, the day padded with a space: `date-time` of RFC 3501 9, without its quotes.
    pub fn imap(self) -> String {
        let c = self.civil();
        format!(
            "{:2}-{}-{:04} {:02}:{:02}:{:02} +0000",
            c.day,
            MONTHS[c.month as usize - 1],
            c.year,
            c.hour,
            c.minute,
            c.second
        )
    }

    /// `Mon, 02 Jan 2006 15:04:05 +0000` (RFC 5322 3.3).
    pub fn rfc5322(self) -> String {
        let c = self.civil();
        format!(
            "{}, {:02} {} {:04} {:02}:{:02}:{:02} +0000",
            DAYS[c.weekday as usize],
            c.day,
            MONTHS[c.month as usize - 1],
            c.year,
            c.hour,
            c.minute,
            c.second
        )
    }

    /// `2006-01-02T15:04:05Z` (RFC 3339).
    pub fn rfc3339(self) -> String {
        let c = self.civil();
        format!("{}T{:02}:{:02}:{:02}Z", self.day(), c.hour, c.minute, c.second)
    }

    /// `2006-01-02`.
    pub fn day(self) -> String {
        let c = self.civil();
        format!("{:04}-{:02}-{:02}", c.year, c.month, c.day)
    }

    /// From a calendar date and time of day, in UTC; out-of-range parts carry over.
    pub fn from_civil(year: i64, month: u32, day: u32, hour: u32, minute: u32, second: u32) -> Self {
        let days = days_from_civil(year, month, day);
        let secs = days * 86_400 + i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        Timestamp::from_secs(secs.max(0) as u64)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// An RFC 3339 time to the minute, for people: `2026-01-31 09:05`.
pub fn minute(exact: &str) -> String {
    exact.get(..16).unwrap_or(exact).replace('T', " ")
}

/// The number (1 to 12) of an English month's first three letters, in any case.
pub fn month_number(name: &[u8]) -> Option<u32> {
    MONTHS.iter().position(|m| m.as_bytes().eq_ignore_ascii_case(name)).map(|i| i as u32 + 1)
}

/// Days since 1970-01-01 of a Gregorian date (era arithmetic: 400 years have 146,097 days).
pub fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let (month, day) = (i64::from(month), i64::from(day));
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u32;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 } as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        let t = Timestamp::from_secs(1_136_214_245);
        assert_eq!(t.imap(), " 2-Jan-2006 15:04:05 +0000");
        assert_eq!(t.rfc5322(), "Mon, 02 Jan 2006 15:04:05 +0000");
        assert_eq!(t.rfc3339(), "2006-01-02T15:04:05Z");
        assert_eq!(Timestamp(0).rfc5322(), "Thu, 01 Jan 1970 00:00:00 +0000");
        assert_eq!(Timestamp::from_secs(951_782_400).day(), "2000-02-29");
    }

    #[test]
    fn calendar_and_back() {
        for days in (0..60_000).step_by(7) {
            let (y, m, d) = civil_from_days(days);
            assert_eq!(days_from_civil(y, m, d), days);
        }
    }
}
