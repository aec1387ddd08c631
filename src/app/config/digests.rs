//! `[digest]`, and what differs from it.

use crate::mail::Address;
use crate::quarantine::digest;

/// `[digest]`: who is told of what was caught.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// How often recipients are told of their own mail.
    pub every: digest::Every,
    /// At this hour, for days and weeks.
    pub hour: u8,
    /// On this day, for weeks; 0 is Monday.
    pub weekday: u8,
    /// Where that is.
    pub time_zone: digest::Zone,
    /// The code of its language.
    pub language: &'static str,
    /// From whom it is; `None`: lazaret@ and our name.
    pub from: Option<String>,
    /// To whom a digest of everybody's mail goes.
    pub to: Option<Address>,
    /// How often.
    pub to_every: digest::Every,
}

/// What differs from `[digest]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DigestOverrides {
    /// How often.
    pub every: Option<digest::Every>,
    /// At this hour.
    pub hour: Option<u8>,
    /// On this day.
    pub weekday: Option<u8>,
    /// Where that is.
    pub time_zone: Option<digest::Zone>,
    /// The code of its language.
    pub language: Option<&'static str>,
    /// From whom it is.
    pub from: Option<String>,
    /// Of a domain: to whom a digest of all its mail goes.
    pub to: Option<Address>,
    /// How often.
    pub to_every: Option<digest::Every>,
}

impl DigestOverrides {
    /// Puts it over what holds already.
    pub(super) fn apply(&self, to: &mut Digest) {
        to.every = self.every.unwrap_or(to.every);
        to.hour = self.hour.unwrap_or(to.hour);
        to.weekday = self.weekday.unwrap_or(to.weekday);
        to.time_zone = self.time_zone.clone().unwrap_or_else(|| to.time_zone.clone());
        to.language = self.language.unwrap_or(to.language);
        to.from = self.from.clone().or_else(|| to.from.clone());
        to.to_every = self.to_every.unwrap_or(to.to_every);
        // A domain's mail goes to whom the domain says, and to nobody else.
        to.to.clone_from(&self.to);
    }
}
