//! Accounts whose passwords a domain's own mail server knows (`auth` of a domain): they need no line in the file of
//! accounts, and are there from the first time that the server lets them in.
//!
//! An account in the file wins: its password is the file's. Logins that mean no recipient (unlisted, with a tag) take the
//! same way, but a password that nobody knows is sent in place of the one that was typed: how long the answer takes then
//! shows what the server itself shows of a wrong password, and no other name becomes one under which to guess.

use super::{Account, Accounts, Scope, Verdict, lock, message};
use crate::base::{Errand, Outcome, Secret, Timestamp};
use crate::store::passwd::Passwd;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::net::IpAddr;
use std::sync::Arc;

/// How a domain's own server is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// What is sent as login.
    pub sends: Sends,
    /// The whole setting: when it changes, what was learned under it counts no more.
    pub setting: String,
}

/// What a domain's server takes for a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sends {
    /// `alice@example.org`
    Address,
    /// `alice`
    Local,
}

/// A login that the domain's own server is to judge.
#[derive(Debug)]
pub struct Check {
    user: String,
    typed: Secret<Vec<u8>>,
    peer: Option<IpAddr>,
    users: Arc<Passwd>,
    login: String,
    /// `None`: no recipient is meant, and no answer lets anybody in.
    scope: Option<Scope>,
    domain: String,
    elsewhere: Elsewhere,
    sent: Secret<Vec<u8>>,
}

impl Accounts {
    /// Whom to ask for a login that has no account in the file; `None`: nobody.
    pub(super) fn elsewhere(
        &self,
        user: &str,
        typed: &Secret<Vec<u8>>,
        peer: Option<IpAddr>,
        now: Timestamp,
        found: (&Arc<Passwd>, &str, Option<&Scope>),
    ) -> Option<Verdict> {
        let (users, login, scope) = found;
        let directory = lock(&self.state).directory.clone();
        let (domain, elsewhere) = directory.elsewhere(login)?;
        // Nothing that a server could take for the end of something goes out (RFC 4616 2, RFC 3501 9).
        let unfit = |bytes: &[u8]| bytes.iter().any(|byte| matches!(byte, b'\0' | b'\r' | b'\n'));
        if unfit(user.as_bytes()) || unfit(typed.expose()) {
            return Some(self.wrong(user, login, typed.expose(), peer, now));
        }
        let sent = match scope {
            Some(_) => typed.clone(),
            None => Secret::new(self.unknown_password(login)),
        };
        Some(Verdict::Elsewhere(Arc::new(Check {
            user: user.to_string(),
            typed: typed.clone(),
            peer,
            users: users.clone(),
            login: login.to_string(),
            scope: scope.cloned(),
            domain: domain.to_string(),
            elsewhere: elsewhere.clone(),
            sent,
        })))
    }

    /// What is to be found out for a login; `clock` is read when its turn comes.
    pub fn errand(
        self: &Arc<Self>,
        check: &Arc<Check>,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Errand {
        let (local, domain) = check.login.rsplit_once('@').unwrap_or((check.login.as_str(), ""));
        let user = match check.elsewhere.sends {
            Sends::Address if domain.is_empty() => local.to_string(),
            Sends::Address => format!("{local}@{}", check.domain),
            Sends::Local => local.to_string(),
        };
        let (accounts, asked) = (self.clone(), check.clone());
        Errand {
            domain: check.domain.clone(),
            account: check.login.clone(),
            user,
            password: check.sent.clone(),
            is_open: Box::new(move || accounts.is_open(&asked, clock())),
        }
    }

    /// Whether neither a right password nor too many wrong ones have decided this login meanwhile.
    fn is_open(&self, check: &Check, now: Timestamp) -> bool {
        let message = message(&check.login, check.typed.expose());
        let known = check.scope.is_some() && self.remembers(&check.login, &message, now);
        !known && lock(&self.throttle).refused(check.peer, &check.login, now).is_none()
    }

    /// What follows from the server's answer, as [`Accounts::verify`] says it.
    pub fn learned(&self, check: &Check, outcome: Outcome, now: Timestamp) -> Verdict {
        let Check { user, typed, peer, login, .. } = check;
        // The file or the configuration has changed while the server was asked: what it said may count no more.
        if outcome == Outcome::Settled || !self.is_as_asked(check, now) {
            return self.verify(user, typed, *peer, now);
        }
        match (outcome, &check.scope) {
            (Outcome::Right, Some(scope)) => {
                self.remember(&check.users, login, &message(login, typed.expose()), now);
                self.right(login);
                Verdict::Good(Account { login: login.clone(), scope: scope.clone() })
            }
            (Outcome::Unknown, _) => Verdict::Unavailable,
            _ => self.wrong(user, login, typed.expose(), *peer, now),
        }
    }

    fn is_as_asked(&self, check: &Check, now: Timestamp) -> bool {
        let (users, login, scope) = self.find(&check.user, now);
        let directory = lock(&self.state).directory.clone();
        Arc::ptr_eq(&users, &check.users)
            && login == check.login
            && scope == check.scope
            && directory.elsewhere(&login) == Some((check.domain.as_str(), &check.elsewhere))
    }

    /// What a page session of such an account depends on; `None`: there is none.
    pub(super) fn stamp_elsewhere(&self, login: &str) -> Option<hmac::Tag> {
        let directory = lock(&self.state).directory.clone();
        let (own, _) = directory.login(login)?;
        let (domain, elsewhere) = directory.elsewhere(login)?;
        let text = format!("elsewhere\0{domain}\0{}", elsewhere.setting);
        (own == login).then(|| hmac::sign(&self.key, text.as_bytes()))
    }

    /// Whether any domain's own server is asked.
    pub(in crate::quarantine) fn asks_elsewhere(&self) -> bool {
        lock(&self.state).directory.has_elsewhere()
    }

    /// A password that is nobody's, the same for the same login.
    fn unknown_password(&self, login: &str) -> Vec<u8> {
        let tag = hmac::sign(&self.key, format!("unknown\0{login}").as_bytes());
        URL_SAFE_NO_PAD.encode(tag).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quarantine::directory::{Directory, Domain};
    use crate::store::testing::Scratch;
    use std::time::Duration;

    const T0: Timestamp = Timestamp::from_secs(1_000_000);

    fn at(secs: u64) -> Timestamp {
        T0.after(Duration::from_secs(secs))
    }

    fn directory(sends: Sends, setting: &str) -> Arc<Directory> {
        let domain = Domain {
            aliases: vec!["example.net".into()],
            addresses: vec![("info".into(), "alice".into())],
            recipients: Some(vec!["alice".into(), "bob".into()]),
            delimiter: Some('+'),
            elsewhere: Some(Elsewhere { sends, setting: setting.into() }),
            ..Domain::default()
        };
        Arc::new(Directory::new([("example.org", &domain), ("other.example", &Domain::default())]).unwrap())
    }

    fn accounts(scratch: &Scratch, users: &str) -> Arc<Accounts> {
        let path = scratch.path().join("users");
        std::fs::write(&path, users).unwrap();
        Arc::new(Accounts::open(path, directory(Sends::Address, "imaps://a")).unwrap())
    }

    fn log_in(accounts: &Accounts, user: &str, password: &[u8], secs: u64) -> Verdict {
        accounts.verify(user, &Secret::new(password.to_vec()), Some("192.0.2.7".parse().unwrap()), at(secs))
    }

    fn check(verdict: Verdict) -> Arc<Check> {
        match verdict {
            Verdict::Elsewhere(check) => check,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn whom_the_server_is_asked_about() {
        let scratch = Scratch::new("elsewhere");
        let a = accounts(&scratch, "global:{PLAIN}g\nexample.org:{PLAIN}d\nbob@example.org:{PLAIN}own\n");
        for user in ["alice@example.org", "ALICE@example.NET", "info@example.org", "info@example.net"] {
            let errand = a.errand(&check(log_in(&a, user, b"secret", 0)), || T0);
            assert_eq!((errand.domain.as_str(), errand.user.as_str()), ("example.org", "alice@example.org"), "{user}");
            assert_eq!(
                (errand.account.as_str(), errand.password.expose().as_slice()),
                ("alice@example.org", &b"secret"[..])
            );
            assert!(!format!("{errand:?}").contains("secret"));
        }
        a.reload(directory(Sends::Local, "imaps://a")).unwrap();
        assert_eq!(a.errand(&check(log_in(&a, "info@example.net", b"secret", 0)), || T0).user, "alice");
        // An account in the file has the file's password, and wide scopes are never asked about.
        assert!(matches!(log_in(&a, "bob@example.org", b"own", 0), Verdict::Good(_)));
        for user in ["bob@example.org", "global", "example.org", "example.net", "x@other.example", "x@nowhere.example"]
        {
            assert!(matches!(log_in(&a, user, b"secret", 0), Verdict::Wrong(_)), "{user}");
        }
    }

    #[test]
    fn what_could_end_a_command_is_never_sent() {
        let scratch = Scratch::new("elsewhere");
        let a = accounts(&scratch, "");
        let odd: [(&str, &[u8]); 5] = [
            ("alice@example.org", b""),
            ("alice@example.org", b"a\0b"),
            ("alice@example.org", b"a\r\nb"),
            ("alice@example.org", b"a\n"),
            ("al\r\nice@example.org", b"secret"),
        ];
        for (n, (user, password)) in odd.into_iter().enumerate() {
            let verdict = log_in(&a, user, password, n as u64 * 10_000);
            assert!(matches!(verdict, Verdict::Wrong(_)), "{user:?} {password:?}: {verdict:?}");
        }
    }

    #[test]
    fn an_unlisted_login_takes_the_same_way_with_a_password_that_is_nobodys() {
        let scratch = Scratch::new("elsewhere");
        let a = accounts(&scratch, "");
        for user in ["nobody@example.org", "alice+x@example.org"] {
            let check = check(log_in(&a, user, b"secret", 0));
            let errand = a.errand(&check, || T0);
            assert_eq!(errand.user, user);
            assert_ne!(errand.password.expose(), b"secret");
            assert!(matches!(a.learned(&check, Outcome::Right, T0), Verdict::Wrong(_)), "{user}");
            assert_eq!(a.stamp(user, T0), None);
        }
    }

    #[test]
    fn a_right_password_is_remembered_until_something_changes() {
        let scratch = Scratch::new("elsewhere");
        let a = accounts(&scratch, "");
        let first = check(log_in(&a, "info@example.org", b"secret", 0));
        let Verdict::Good(account) = a.learned(&first, Outcome::Right, T0) else { panic!() };
        assert_eq!(account.login, "alice@example.org");
        assert!(matches!(log_in(&a, "alice@example.org", b"secret", 299), Verdict::Good(_)));
        check(log_in(&a, "alice@example.org", b"secret", 300));
        check(log_in(&a, "alice@example.org", b"other", 10));
        assert!(!a.errand(&first, || T0).is_open.as_ref()(), "what waited for its turn need not ask");
        assert!(matches!(a.learned(&first, Outcome::Settled, T0), Verdict::Good(_)));
        a.reload(directory(Sends::Address, "imaps://b")).unwrap();
        check(log_in(&a, "alice@example.org", b"secret", 11));
        // The answer of the server that was asked before the change counts no more.
        check(a.learned(&first, Outcome::Right, at(12)));
        check(log_in(&a, "alice@example.org", b"secret", 12));
    }

    #[test]
    fn an_account_that_the_file_got_meanwhile_has_the_files_password() {
        let scratch = Scratch::new("elsewhere");
        let a = accounts(&scratch, "");
        let asked = check(log_in(&a, "alice@example.org", b"secret", 0));
        std::fs::write(scratch.path().join("users"), "alice@example.org:{PLAIN}own\n").unwrap();
        assert!(matches!(a.learned(&asked, Outcome::Right, at(5)), Verdict::Wrong(_)));
        assert!(matches!(log_in(&a, "alice@example.org", b"own", 5), Verdict::Good(_)));
    }

    #[test]
    fn wrong_answers_count_and_missing_ones_do_not() {
        let scratch = Scratch::new("elsewhere");
        let a = accounts(&scratch, "");
        for n in 0..20 {
            let check = check(log_in(&a, "alice@example.org", format!("guess{n}").as_bytes(), 0));
            assert!(matches!(a.learned(&check, Outcome::Unknown, T0), Verdict::Unavailable));
        }
        let waiting = check(log_in(&a, "alice@example.org", b"waits", 0));
        let mut verdicts = Vec::new();
        for n in 0..6 {
            verdicts.push(match log_in(&a, "alice@example.org", format!("guess{n}").as_bytes(), 0) {
                Verdict::Elsewhere(check) => a.learned(&check, Outcome::Wrong, T0),
                other => other,
            });
        }
        assert!(matches!(verdicts.first(), Some(Verdict::Wrong(_))), "{verdicts:?}");
        assert!(matches!(verdicts.last(), Some(Verdict::Later(_))), "{verdicts:?}");
        // A guess that came before them and waited for its turn is not carried out either.
        assert!(!a.errand(&waiting, || T0).is_open.as_ref()());
        assert!(matches!(a.learned(&waiting, Outcome::Settled, T0), Verdict::Later(_)));
    }

    #[test]
    fn a_session_depends_on_the_setting_alone() {
        let scratch = Scratch::new("elsewhere");
        let a = accounts(&scratch, "global:{PLAIN}g\n");
        let stamp = a.stamp("alice@example.org", T0);
        assert!(stamp.is_some());
        assert_eq!(a.stamp("alice@example.org", at(1_000)), stamp);
        assert_eq!(a.stamp("info@example.org", T0), None, "an alias is no account");
        a.reload(directory(Sends::Address, "imaps://a")).unwrap();
        assert_eq!(a.stamp("alice@example.org", T0), stamp);
        a.reload(directory(Sends::Address, "imaps://b")).unwrap();
        assert_ne!(a.stamp("alice@example.org", T0), stamp);
        a.reload(Arc::new(Directory::new([("example.org", &Domain::default())]).unwrap())).unwrap();
        assert_eq!(a.stamp("alice@example.org", T0), None);
    }
}
