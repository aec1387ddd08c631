//! Who is told of what was caught, and when. A period ends at the same moment for everybody with the same schedule; whoever
//! has something new since he was last told gets one digest for it, and a period with nothing new passes in silence.

use super::Quarantine;
use super::account::{Account, Scope};
use super::directory::Resolution;
use crate::base::{Fault, Timestamp, UidRanges, limits};
use crate::mail::{Address, Kept};
use crate::queue::Notice;
use jiff::civil;
use jiff::tz::TimeZone;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[cfg(test)]
mod tests;

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Every {
    /// Never.
    #[default]
    Off,
    /// At each full hour.
    Hour,
    /// Once a day.
    Day,
    /// Once a week.
    Week,
}

impl Every {
    /// All of them.
    pub const ALL: [Every; 4] = [Every::Off, Every::Hour, Every::Day, Every::Week];

    /// The word in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Every::Off => "off",
            Every::Hour => "hour",
            Every::Day => "day",
            Every::Week => "week",
        }
    }
}

/// A time zone by its name in the IANA database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// The zone with this name; `None`: there is none.
    pub fn parse(name: &str) -> Option<Zone> {
        if name.eq_ignore_ascii_case("utc") {
            return Some(Zone::default());
        }
        TimeZone::get(name).ok().map(Zone)
    }

    /// Date and time of day there: `2026-03-29 08:00`.
    pub fn shown(&self, at: Timestamp) -> String {
        self.0.to_datetime(instant(at)).strftime("%Y-%m-%d %H:%M").to_string()
    }
}

impl Default for Zone {
    fn default() -> Self {
        Zone(TimeZone::UTC)
    }
}

/// When periods end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule {
    /// How often.
    pub every: Every,
    /// At this hour (0 to 23), for days and weeks.
    pub hour: u8,
    /// On this day of the week, 0 is Monday, for weeks.
    pub weekday: u8,
    /// Where that is.
    pub zone: Zone,
}

impl Schedule {
    /// When the last period ended, at `now` or before. `None`: there are no periods.
    pub fn last_end(&self, now: Timestamp) -> Option<Timestamp> {
        self.find(now, -1)
    }

    /// When the next one ends, after `now`.
    pub fn next_end(&self, now: Timestamp) -> Option<Timestamp> {
        self.find(now, 1)
    }

    /// The end nearest to `now` in one direction; `now` itself counts as past.
    fn find(&self, now: Timestamp, direction: i8) -> Option<Timestamp> {
        const HOUR: u64 = 3_600;
        match self.every {
            Every::Off => None,
            // Full hours of UTC: a clock that is set back shows some twice, and leaves others out.
            Every::Hour => {
                let last = now.secs() / HOUR * HOUR;
                Some(Timestamp::from_secs(if direction < 0 { last } else { last + HOUR }))
            }
            Every::Day | Every::Week => {
                let is_day = |date: &civil::Date| {
                    self.every == Every::Day || date.weekday().to_monday_zero_offset() == self.weekday as i8
                };
                let is_past = |end: &Timestamp| if direction < 0 { *end <= now } else { *end > now };
                let here = self.zone.0.to_datetime(instant(now)).date();
                // A week and the days around it: a zone may leave out a day, and have one twice.
                let back = (0..=9).filter_map(|days| step(here, i64::from(direction) * (days - 1)));
                back.filter(is_day).filter_map(|date| self.end_on(date)).find(is_past)
            }
        }
    }

    /// When the period ends on this day. An hour that the clocks leave out ends as much later; of one that comes twice the
    /// first counts.
    fn end_on(&self, date: civil::Date) -> Option<Timestamp> {
        let hour = i8::try_from(self.hour).ok().filter(|hour| (0..24).contains(hour))?;
        let at = self.zone.0.to_ambiguous_timestamp(date.at(hour, 0, 0, 0)).compatible().ok()?;
        u64::try_from(at.as_second()).ok().map(Timestamp::from_secs)
    }
}

fn instant(at: Timestamp) -> jiff::Timestamp {
    i64::try_from(at.secs())
        .ok()
        .and_then(|secs| jiff::Timestamp::from_second(secs).ok())
        .unwrap_or(jiff::Timestamp::MAX)
}

fn step(date: civil::Date, days: i64) -> Option<civil::Date> {
    date.checked_add(jiff::Span::new().try_days(days).ok()?).ok()
}

/// How one account is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// When.
    pub schedule: Schedule,
    /// From whom the mail says it is.
    pub from: String,
    /// The code of its language.
    pub language: String,
}

/// What is configured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// For recipients that are not named otherwise.
    pub all: Settings,
    /// For those of some domains.
    pub domains: HashMap<String, Settings>,
    /// For some recipients; the key is a tree's address.
    pub recipients: HashMap<Address, Settings>,
    /// Digests of a domain's mail, or of everybody's, and to whom they go.
    pub wide: Vec<(Scope, Address, Settings)>,
    /// What links begin with, without a slash at the end.
    pub base_url: String,
}

impl Rules {
    /// How a recipient is told of his own mail.
    pub fn of(&self, recipient: &Address) -> &Settings {
        let domain = || self.domains.get(recipient.domain());
        self.recipients.get(recipient).or_else(domain).unwrap_or(&self.all)
    }

    /// Whether anybody gets digests.
    pub fn is_on(&self) -> bool {
        self.schedules().any(|schedule| schedule.every != Every::Off)
    }

    /// All schedules that there are.
    fn schedules(&self) -> impl Iterator<Item = &Schedule> {
        let own = [&self.all].into_iter().chain(self.domains.values()).chain(self.recipients.values());
        own.chain(self.wide.iter().map(|(_, _, settings)| settings)).map(|settings| &settings.schedule)
    }
}

/// Somebody who is to be told, if there is something new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Of whose mail.
    pub account: Account,
    /// To whom it goes.
    pub to: Address,
    /// How.
    pub settings: Settings,
    /// When the period ended.
    pub period: Timestamp,
}

/// What is new for an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct New {
    /// What is listed: the newest, at most [`limits::DIGEST_ROWS`].
    pub uids: UidRanges,
    /// How many these are.
    pub count: u32,
    /// So many older ones are new besides.
    pub more: u32,
    /// The highest UID.
    pub mark: u32,
}

/// How it went, for the status page and for metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Somebody gets digests.
    pub is_on: bool,
    /// When periods were last dealt with to the end.
    pub checked: Option<Timestamp>,
    /// When the next period ends.
    pub next: Option<Timestamp>,
    /// When the mail server last took one, since the start of this process.
    pub last_success: Option<Timestamp>,
    /// When one last failed, and why.
    pub last_failure: Option<(Timestamp, String)>,
    /// How many the mail server took since the start.
    pub sent: u64,
    /// How many attempts failed since the start.
    pub failed: u64,
    /// How many are on their way.
    pub waiting: usize,
}

/// What is remembered while the process runs.
#[derive(Debug, Default)]
pub(super) struct Memory {
    rules: Mutex<Arc<Rules>>,
    state: Mutex<State>,
}

impl Quarantine {
    /// What is configured.
    pub fn digest_rules(&self) -> Arc<Rules> {
        self.digesting.rules.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The configuration was read.
    pub fn set_digest_rules(&self, rules: Rules) {
        *self.digesting.rules.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// How it went.
    pub fn digest_state(&self) -> State {
        let rules = self.digest_rules();
        let state = self.digesting.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        State {
            is_on: rules.is_on(),
            checked: self.digests.checked().map(Timestamp::from_secs),
            next: self.next_digest(self.store.now()),
            waiting: self.digests.waiting(),
            ..state
        }
    }

    /// The mail server took a digest, or why it did not, or why there was none.
    pub fn note_digest(&self, outcome: Result<(), String>) {
        let now = self.store.now();
        let mut state = self.digesting.state.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(()) => {
                state.last_success = Some(now);
                state.sent += 1;
            }
            Err(why) => {
                state.last_failure = Some((now, why));
                state.failed += 1;
            }
        }
    }

    /// When the next period ends for anybody. `None`: nobody gets digests.
    pub fn next_digest(&self, now: Timestamp) -> Option<Timestamp> {
        self.digest_rules().schedules().filter_map(|schedule| schedule.next_end(now)).min()
    }

    /// Who is to be told of a period that ended since the last look. Say [`Quarantine::digests_checked`] when all of them
    /// were dealt with.
    pub fn digests_due(&self, now: Timestamp) -> Result<Vec<Due>, Fault> {
        let checked = match self.digests.checked() {
            Some(checked) if checked <= now.secs().saturating_add(limits::DIGEST_SLACK.as_secs()) => checked,
            // The first start: periods that ended before are nobody's. Or the clock was wrong and is right again; what was
            // noted under the wrong one would keep everybody in the dark.
            _ => {
                self.digests.set_checked(now.secs())?;
                now.secs()
            }
        };
        Ok(self.told(|account, settings| {
            let end = settings.schedule.last_end(now)?;
            let told = self.digests.ledger(&account.login).period;
            let in_future = told > now.after(limits::DIGEST_SLACK).secs();
            (end.secs() > checked && (end.secs() > told || in_future)).then_some(end)
        }))
    }

    /// Everybody who gets digests, or one of them, as if a period ended now.
    pub fn digests_now(&self, now: Timestamp, only: Option<&str>) -> Vec<Due> {
        self.told(|account, settings| {
            let is_meant = match only {
                Some(login) => account.login == login,
                None => settings.schedule.every != Every::Off,
            };
            is_meant.then_some(now)
        })
    }

    /// All periods that ended until then were dealt with.
    pub fn digests_checked(&self, now: Timestamp) -> Result<(), Fault> {
        self.digests.set_checked(now.secs())
    }

    fn told(&self, period: impl Fn(&Account, &Settings) -> Option<Timestamp>) -> Vec<Due> {
        let rules = self.digest_rules();
        let directory = self.directory();
        let recipients = self.store.all_trees().into_iter().filter_map(|tree| {
            let settings = rules.of(&tree.address);
            let resolved = directory.resolve(&tree.address);
            let is_there = matches!(resolved, Resolution::Tree(resolved) if resolved == tree.address);
            is_there.then(|| (Scope::Recipient(tree.address.clone()), tree.address.clone(), settings.clone()))
        });
        let wide = rules.wide.iter().cloned();
        let mut due = Vec::new();
        for (scope, to, settings) in recipients.chain(wide) {
            let account = Account { login: scope.to_string(), scope };
            if self.digests.ledger(&account.login).is_off {
                continue;
            }
            if let Some(period) = period(&account, &settings) {
                due.push(Due { account, to, settings, period });
            }
        }
        due
    }

    /// What came into Caught since this account was last told. `None`: nothing.
    pub fn new_for_digest(&self, account: &Account) -> Result<Option<New>, Fault> {
        let ledger = self.digests.ledger(&account.login);
        let told = if ledger.uid_validity == self.store.uid_validity() { ledger.mark } else { 0 };
        let list = self.store.view(self.reach(account)?, Kept::Caught).view().list;
        let Some(mark) = list.last().filter(|last| *last > told) else { return Ok(None) };
        let total = list.iter_from(told.saturating_add(1)).count() as u32;
        let count = total.min(limits::DIGEST_ROWS);
        let uids = (list.len() - count + 1..=list.len()).filter_map(|seq| list.uid(seq)).collect();
        Ok(Some(New { uids, count, more: total - count, mark }))
    }

    /// Has a digest sent. Durable when it returns; `false`: the account was told of that period before.
    pub fn place_digest(&self, due: &Due, new: &New, mail: &[u8]) -> Result<bool, Fault> {
        let notice = Notice {
            login: due.account.login.clone(),
            period: due.period.secs(),
            mark: new.mark,
            uid_validity: self.store.uid_validity(),
            // RFC 3834 3.3: nobody answers what a program sent.
            sender: String::new(),
            to: due.to.to_string(),
        };
        self.digests.place(&notice, mail, self.store.now().secs())
    }

    /// Whether this account wants digests.
    pub fn wants_digest(&self, account: &Account) -> bool {
        !self.digests.ledger(&account.login).is_off
    }

    /// It does, or does not. Durable when it returns.
    pub fn set_digest(&self, account: &Account, is_wanted: bool) -> Result<(), Fault> {
        self.digests.set_off(&account.login, !is_wanted)
    }

    /// Until when a link to a message is good: as long as the message is there, also when its release fails.
    pub fn link_end(&self, expires: Option<Timestamp>) -> u64 {
        expires.map_or(u64::MAX, |expires| expires.after(LINK_GRACE).secs())
    }
}

/// A message whose release failed lives so much longer (`finish.rs`), and one that was deleted until it leaves Trash.
const LINK_GRACE: Duration = Duration::from_secs(8 * 86_400);
