use super::*;

fn at(text: &str) -> Timestamp {
    let instant: jiff::Timestamp = text.parse().unwrap();
    Timestamp::from_secs(instant.as_second() as u64)
}

fn daily(hour: u8, zone: &str) -> Schedule {
    Schedule { every: Every::Day, hour, weekday: 0, zone: Zone::parse(zone).unwrap() }
}

/// All ends from `from` to `to`, as a server sees them that looks every ten minutes.
fn ends(schedule: &Schedule, from: &str, to: &str) -> Vec<String> {
    let (mut now, to) = (at(from), at(to));
    let mut known = schedule.last_end(now).unwrap();
    let mut ends = Vec::new();
    while now < to {
        now = now.after(Duration::from_secs(600));
        let last = schedule.last_end(now).unwrap();
        assert!(last <= now && last >= known, "{last} after {known}");
        let next = schedule.next_end(now).unwrap();
        assert!(next > now, "{next} is the next at {now}");
        assert_eq!(schedule.last_end(next), Some(next), "what was foretold comes");
        if last > known {
            ends.push(last.rfc3339());
            known = last;
        }
    }
    ends
}

#[test]
fn a_day_ends_at_its_hour_there() {
    let berlin = daily(8, "Europe/Berlin");
    assert_eq!(berlin.last_end(at("2026-01-10T07:00:00Z")), Some(at("2026-01-10T07:00:00Z")));
    assert_eq!(berlin.last_end(at("2026-01-10T06:59:59Z")), Some(at("2026-01-09T07:00:00Z")));
    assert_eq!(berlin.next_end(at("2026-01-10T07:00:00Z")), Some(at("2026-01-11T07:00:00Z")));
    assert_eq!(Schedule::default().next_end(at("2026-01-10T07:00:00Z")), None);
}

#[test]
fn no_day_is_left_out_or_comes_twice_when_clocks_are_set() {
    for (hour, spring, autumn) in [
        (8, ["27T07", "28T07", "29T06", "30T06"], ["23T06", "24T06", "25T07", "26T07"]),
        // This hour is left out on 29 March, and comes twice on 25 October.
        (2, ["27T01", "28T01", "29T01", "30T00"], ["23T00", "24T00", "25T00", "26T01"]),
        (0, ["26T23", "27T23", "28T23", "29T22"], ["22T22", "23T22", "24T22", "25T23"]),
    ] {
        let schedule = daily(hour, "Europe/Berlin");
        let found = ends(&schedule, "2026-03-26T22:30:00Z", "2026-03-30T21:00:00Z");
        assert_eq!(found, spring.map(|day| format!("2026-03-{day}:00:00Z")), "{hour} h in spring");
        let found = ends(&schedule, "2026-10-22T21:30:00Z", "2026-10-26T20:00:00Z");
        assert_eq!(found, autumn.map(|day| format!("2026-10-{day}:00:00Z")), "{hour} h in autumn");
    }
}

#[test]
fn every_day_of_a_year_once_in_odd_zones() {
    for zone in ["Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu", "Africa/Casablanca", "America/Santiago"] {
        for hour in [0, 2, 23] {
            let found = ends(&daily(hour, zone), "2025-12-31T12:00:00Z", "2026-12-31T12:00:00Z");
            assert_eq!(found.len(), 365, "{zone} at {hour}");
        }
    }
    // Samoa had no 30 December 2011: there is no digest for a day that was not.
    let found = ends(&daily(8, "Pacific/Apia"), "2011-12-28T12:00:00Z", "2012-01-02T12:00:00Z");
    assert_eq!(
        found,
        [
            "2011-12-28T18:00:00Z",
            "2011-12-29T18:00:00Z",
            "2011-12-30T18:00:00Z",
            "2011-12-31T18:00:00Z",
            "2012-01-01T18:00:00Z"
        ]
    );
}

#[test]
fn weeks_and_hours() {
    let week = Schedule { every: Every::Week, weekday: 4, ..daily(9, "America/New_York") };
    let found = ends(&week, "2026-03-01T00:00:00Z", "2026-03-22T00:00:00Z");
    assert_eq!(found, ["2026-03-06T14:00:00Z", "2026-03-13T13:00:00Z", "2026-03-20T13:00:00Z"]);
    let hour = Schedule { every: Every::Hour, ..daily(9, "Asia/Kathmandu") };
    assert_eq!(ends(&hour, "2026-03-28T23:30:00Z", "2026-03-29T05:30:00Z").len(), 6);
}

#[test]
fn zones_have_names() {
    assert!(Zone::parse("Europe/Berlin").is_some() && Zone::parse("UTC") == Some(Zone::default()));
    for bad in ["", "Mars/Olympus", "../../etc/passwd", "Europe"] {
        assert_eq!(Zone::parse(bad), None, "{bad}");
    }
    assert_eq!(Zone::parse("Europe/Berlin").unwrap().shown(at("2026-07-01T06:05:00Z")), "2026-07-01 08:05");
}

mod periods {
    use super::super::super::tests::{Fixture, alice};
    use super::*;
    use crate::mail::{Class, Kind};

    const DAY: u64 = 86_400;

    /// Everybody daily at midnight UTC; the fixture begins at 22:13.
    fn fixture(name: &str) -> Fixture {
        let f = Fixture::new(name);
        on(&f);
        assert!(due(&f).is_empty(), "periods before the first start are nobody's");
        f
    }

    fn on(f: &Fixture) {
        let settings = Settings { schedule: daily(0, "UTC"), ..Settings::default() };
        f.q.set_digest_rules(Rules { all: settings, ..Rules::default() });
    }

    fn due(f: &Fixture) -> Vec<String> {
        let due = f.q.digests_due(f.q.store.now()).unwrap();
        due.into_iter().map(|due| due.account.login).collect()
    }

    /// What a period brings: who is told, and of how many. `well`: the process lives to say that all was dealt with.
    fn told(f: &Fixture, well: bool) -> Vec<(String, u32)> {
        let now = f.q.store.now();
        let mut told = Vec::new();
        for due in f.q.digests_due(now).unwrap() {
            if let Some(new) = f.q.new_for_digest(&due.account).unwrap()
                && f.q.place_digest(&due, &new, b"mail").unwrap()
            {
                told.push((due.account.login, new.count));
            }
        }
        if well {
            f.q.digests_checked(now).unwrap();
        }
        told.sort();
        told
    }

    fn one(login: &str, count: u32) -> (String, u32) {
        (login.to_string(), count)
    }

    #[test]
    fn once_a_period_and_only_of_what_is_new() {
        let f = fixture("periods");
        f.caught("alice@x.test");
        f.caught("bob@x.test");
        assert_eq!(told(&f, true), [], "the period has not ended");
        f.later(DAY / 2);
        assert_eq!(told(&f, true), [one("alice@x.test", 1), one("bob@x.test", 1)]);
        assert_eq!(told(&f, true), []);
        f.later(DAY);
        assert_eq!(told(&f, true), [], "nothing is new");
        f.caught("alice@x.test");
        f.caught("alice@x.test");
        assert_eq!(told(&f, true), [], "it came after the end of a period in which nothing was new");
        let f = f.restarted();
        on(&f);
        assert_eq!(told(&f, true), []);
        f.later(3 * DAY);
        assert_eq!(told(&f, true), [one("alice@x.test", 2)], "after a long stop once");
        assert_eq!(f.q.digests.waiting(), 3);
    }

    #[test]
    fn a_stop_in_the_middle_leaves_nobody_out_and_tells_nobody_twice() {
        let f = fixture("middle");
        f.caught("alice@x.test");
        f.later(DAY);
        assert_eq!(told(&f, false), [one("alice@x.test", 1)]);
        f.caught("bob@x.test");
        let f = f.restarted();
        on(&f);
        assert_eq!(told(&f, true), [one("bob@x.test", 1)], "who was not reached is told when it goes on");
    }

    #[test]
    fn a_clock_that_was_wrong_silences_nobody() {
        let f = fixture("clock");
        f.caught("alice@x.test");
        f.q.digests_checked(f.q.store.now().after(Duration::from_secs(400 * DAY))).unwrap();
        assert_eq!(told(&f, true), [], "what was noted ahead is not believed");
        f.later(DAY);
        assert_eq!(told(&f, true), [one("alice@x.test", 1)]);
    }

    #[test]
    fn who_said_no_is_left_in_peace() {
        let f = fixture("no");
        f.caught("alice@x.test");
        f.q.set_digest(&alice(), false).unwrap();
        f.later(DAY);
        assert_eq!(told(&f, true), []);
        f.q.set_digest(&alice(), true).unwrap();
        f.later(DAY);
        assert_eq!(told(&f, true), [one("alice@x.test", 1)]);
    }

    #[test]
    fn wide_accounts_are_told_at_their_address_and_lists_are_bounded() {
        let f = fixture("wide");
        let settings = Settings { schedule: daily(0, "UTC"), ..Settings::default() };
        let to = Address::parse("admin@y.test").unwrap();
        let wide = vec![(Scope::Domain("x.test".into()), to.clone(), settings)];
        f.q.set_digest_rules(Rules { wide, ..Rules::default() });
        for _ in 0..limits::DIGEST_ROWS + 3 {
            f.store(Class::Incoming, Kind::Spam, "s@far.test", &["alice@x.test"], b"Subject: x\r\n\r\n");
        }
        f.caught("carol@y.test");
        f.later(DAY);
        let due = f.q.digests_due(f.q.store.now()).unwrap();
        let [due] = &due[..] else { panic!("{due:?}") };
        assert_eq!((&due.to, due.account.login.as_str()), (&to, "x.test"));
        let new = f.q.new_for_digest(&due.account).unwrap().unwrap();
        assert_eq!((new.count, new.more), (limits::DIGEST_ROWS, 3));
        let (lowest, highest) = (new.uids.iter().next().unwrap().0, new.mark);
        assert!(new.uids.contains(highest) && highest - lowest + 1 == limits::DIGEST_ROWS, "the newest are listed");
    }
}
