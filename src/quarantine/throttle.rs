//! Wrong passwords are slowed, per address and per account, in bounded memory.
//!
//! A few mistakes cost nothing but a pause; then each further one doubles the time in which no password is looked at.
//! The same wrong password again tells a guesser nothing and is what a telephone with an old password does all day: it is
//! not counted.

use crate::base::Timestamp;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

/// Addresses and accounts that are remembered, each. The least guilty is forgotten first.
const ENTRIES: usize = 10_000;
/// Mistakes that cost only a pause.
const FREE: u32 = 5;
/// Longest time in which an address is refused.
const ADDRESS_MOST: Duration = Duration::from_secs(15 * 60);
/// Longest time in which an account is refused: short, since its owner is refused with the guesser.
const ACCOUNT_MOST: Duration = Duration::from_secs(30);
/// After this long without a mistake everything is forgiven.
const FORGIVEN: Duration = Duration::from_secs(3_600);
/// Longest pause before a wrong password is answered.
const PAUSE_MOST: u32 = 5;

/// Who has typed wrong passwords lately.
#[derive(Debug, Default)]
pub struct Throttle {
    addresses: Table<IpAddr>,
    accounts: Table<String>,
}

/// Identifies a wrong attempt without holding the password: part of a keyed hash of login and password.
pub type Attempt = [u8; 8];

#[derive(Debug)]
struct Table<K> {
    entries: HashMap<K, Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    mistakes: u32,
    last: Timestamp,
    attempt: Attempt,
}

impl Throttle {
    /// How long to wait before a password for this account, from this address, is looked at again; `None`: now.
    pub fn refused(&mut self, address: Option<IpAddr>, account: &str, now: Timestamp) -> Option<Duration> {
        let by_address = self.refused_address(address, now);
        let by_account = self.accounts.wait(account, ACCOUNT_MOST, now);
        by_address.max(by_account)
    }

    /// Whether no password from this address is looked at now.
    pub fn refuses(&mut self, address: Option<IpAddr>, now: Timestamp) -> bool {
        self.refused_address(address, now).is_some()
    }

    fn refused_address(&mut self, address: Option<IpAddr>, now: Timestamp) -> Option<Duration> {
        self.addresses.wait(&address.and_then(key)?, ADDRESS_MOST, now)
    }

    /// Notes a wrong password; how long to wait before that is answered.
    pub fn wrong(&mut self, address: Option<IpAddr>, account: &str, attempt: Attempt, now: Timestamp) -> Duration {
        let by_address = address.and_then(key).map_or(0, |key| self.addresses.count(key, attempt, now));
        let by_account = self.accounts.count(account.to_string(), attempt, now);
        Duration::from_secs(u64::from(by_address.max(by_account).clamp(1, PAUSE_MOST)))
    }

    /// Notes a right password. The address keeps its mistakes: a guesser may have an account of his own.
    pub fn right(&mut self, account: &str) {
        self.accounts.entries.remove(account);
    }
}

impl<K: Hash + Eq> Default for Table<K> {
    fn default() -> Self {
        Table { entries: HashMap::new() }
    }
}

impl<K: Hash + Eq + Clone> Table<K> {
    fn wait<Q>(&mut self, key: &Q, most: Duration, now: Timestamp) -> Option<Duration>
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let entry = self.entries.get_mut(key)?;
        // A clock that was set back must not lock anybody out.
        entry.last = entry.last.min(now);
        let doublings = entry.mistakes.checked_sub(FREE)?.min(20);
        let until = entry.last.after(Duration::from_secs(1 << doublings).min(most));
        (until > now).then(|| until.since(now))
    }

    /// Counts a mistake and says how many there are now.
    fn count(&mut self, key: K, attempt: Attempt, now: Timestamp) -> u32 {
        if self.entries.len() >= ENTRIES && !self.entries.contains_key(&key) {
            self.make_room(now);
        }
        let entry = self.entries.entry(key).or_insert(Entry { mistakes: 0, last: now, attempt: Attempt::default() });
        if now.since(entry.last) >= FORGIVEN {
            entry.mistakes = 0;
        }
        if entry.mistakes == 0 || entry.attempt != attempt {
            entry.mistakes = entry.mistakes.saturating_add(1);
            entry.attempt = attempt;
            entry.last = now;
        }
        entry.mistakes
    }

    /// Forgets what is forgiven, and if that is nothing, one with the fewest mistakes.
    fn make_room(&mut self, now: Timestamp) {
        self.entries.retain(|_, e| now.since(e.last) < FORGIVEN);
        if self.entries.len() >= ENTRIES {
            let least = self.entries.iter().min_by_key(|(_, e)| (e.mistakes, e.last)).map(|(key, _)| key.clone());
            if let Some(key) = least {
                self.entries.remove(&key);
            }
        }
    }
}

/// What counts as one address: a host of IPv4, a /64 of IPv6 (one customer has at least that). Loopback is nobody in
/// particular: a proxy or a web mailer stands there for all its users.
fn key(address: IpAddr) -> Option<IpAddr> {
    let address = address.to_canonical();
    match address {
        _ if address.is_loopback() => None,
        IpAddr::V4(_) => Some(address),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Some(IpAddr::from([a, b, c, d, 0, 0, 0, 0]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_secs(1_000_000);

    fn at(secs: u64) -> Timestamp {
        T0.after(Duration::from_secs(secs))
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn attempt(n: u64) -> Attempt {
        n.to_le_bytes()
    }

    #[test]
    fn refusals_grow_and_end() {
        let mut throttle = Throttle::default();
        let guesser = ip("192.0.2.1");
        for n in 1..=4 {
            assert_eq!(throttle.wrong(guesser, "a", attempt(n), at(0)), Duration::from_secs(n.min(5)));
            assert_eq!(throttle.refused(guesser, "a", at(0)), None);
        }
        throttle.wrong(guesser, "a", attempt(5), at(0));
        assert_eq!(throttle.refused(guesser, "a", at(0)), Some(Duration::from_secs(1)));
        assert_eq!(throttle.refused(guesser, "a", at(1)), None);
        for n in 6..=40 {
            throttle.wrong(guesser, "a", attempt(n), at(1));
        }
        assert_eq!(throttle.refused(guesser, "other", at(1)), Some(ADDRESS_MOST));
        assert_eq!(throttle.refused(ip("192.0.2.2"), "a", at(1)), Some(ACCOUNT_MOST), "the owner waits little");
        assert_eq!(throttle.refused(ip("192.0.2.2"), "other", at(1)), None);
        assert_eq!(throttle.wrong(guesser, "a", attempt(99), at(3_700)), Duration::from_secs(1), "forgiven");
    }

    #[test]
    fn the_same_mistake_counts_once() {
        let mut throttle = Throttle::default();
        for _ in 0..100 {
            assert_eq!(throttle.wrong(ip("192.0.2.1"), "a", attempt(7), at(0)), Duration::from_secs(1));
        }
        assert_eq!(throttle.refused(ip("192.0.2.1"), "a", at(0)), None);
    }

    #[test]
    fn a_right_password_clears_the_account_only() {
        let mut throttle = Throttle::default();
        for n in 1..=10 {
            throttle.wrong(ip("2001:db8::1"), "a", attempt(n), at(0));
        }
        throttle.right("a");
        assert_eq!(throttle.refused(ip("2001:db9::1"), "a", at(0)), None);
        assert!(throttle.refused(ip("2001:db8::ffff"), "a", at(0)).is_some(), "the same /64");
        assert!(throttle.refused(ip("2001:db8:0:1::1"), "a", at(0)).is_none(), "another /64");
    }

    #[test]
    fn loopback_and_clocks() {
        let mut throttle = Throttle::default();
        for n in 1..=10 {
            throttle.wrong(ip("::ffff:127.0.0.1"), &format!("user{n}"), attempt(n), at(0));
        }
        assert_eq!(throttle.refused(ip("127.0.0.1"), "x", at(0)), None);
        for n in 1..=30 {
            throttle.wrong(None, "y", attempt(n), at(1_000_000));
        }
        assert_eq!(throttle.refused(None, "y", at(0)), Some(ACCOUNT_MOST), "counted from the new time");
        assert_eq!(throttle.refused(None, "y", at(31)), None);
    }

    #[test]
    fn memory_is_bounded_and_the_guilty_stay() {
        let mut throttle = Throttle::default();
        for n in 1..=10 {
            throttle.wrong(ip("192.0.2.1"), "victim", attempt(n), at(0));
        }
        for n in 0..ENTRIES as u32 + 50 {
            throttle.wrong(Some(IpAddr::V4((0x0a00_0000 + n).into())), &format!("u{n}"), attempt(1), at(1));
        }
        assert_eq!(throttle.addresses.entries.len(), ENTRIES);
        assert_eq!(throttle.accounts.entries.len(), ENTRIES);
        assert!(throttle.refused(ip("192.0.2.1"), "nobody", at(1)).is_some());
        assert!(throttle.refused(None, "victim", at(1)).is_some());
    }
}
