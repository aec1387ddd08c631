//! Accounts: who may log in, and whose mail he then sees.
//!
//! Whether an account exists does not show in the time that a login takes: a name without an account is checked against
//! the hash of some other account, always the same one for the same name.

pub mod elsewhere;
mod logged;
mod memory;
pub mod pass;

use super::directory::Directory;
pub use super::scope::{Level, Scope};
use super::throttle::{Attempt, Throttle};
use crate::base::{Secret, Timestamp, limits};
use crate::store::Tally;
use crate::store::passwd::{Hash, Passwd, PasswdError, Watched};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use elsewhere::Check;
use logged::failure;
use memory::Remembered;
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Somebody who is logged in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Account {
    /// The name under which the account is kept.
    pub login: String,
    /// Whose mail it sees.
    pub scope: Scope,
}

/// What became of a login.
#[derive(Debug)]
pub enum Verdict {
    /// The password is right.
    Good(Account),
    /// The login or the password is wrong; say so after this pause.
    Wrong(Duration),
    /// Too many wrong passwords: this one was not looked at. Try again after this time.
    Later(Duration),
    /// The domain's own server knows: carry out [`Accounts::errand`], and hand the outcome to [`Accounts::learned`].
    Elsewhere(Arc<Check>),
    /// The domain's own server cannot be asked at the moment. Try again later.
    Unavailable,
}

/// The accounts of a running server.
#[derive(Debug)]
pub struct Accounts {
    key: hmac::Key,
    nobody: Hash,
    state: Mutex<State>,
    throttle: Mutex<Throttle>,
    passes: Mutex<HashMap<String, pass::Pass>>,
    attempts: Tally,
}

#[derive(Debug)]
struct State {
    file: Watched,
    looked: Timestamp,
    users: Arc<Passwd>,
    directory: Arc<Directory>,
    memory: HashMap<String, Remembered>,
}

impl State {
    /// Whether the file may have changed since it was looked at.
    fn must_look(&self, now: Timestamp) -> bool {
        now.since(self.looked) >= LOOK || now < self.looked
    }

    /// The accounts, the login that is meant, and what it reaches.
    fn find(&self, user: &str) -> (Arc<Passwd>, String, Option<Scope>) {
        let typed = user.to_lowercase();
        match self.directory.login(user) {
            // An alias that has an account of its own keeps it.
            Some((login, scope)) if self.users.get(&typed).is_none() => (self.users.clone(), login, Some(scope)),
            Some((_, scope)) => (self.users.clone(), typed, Some(scope)),
            None => (self.users.clone(), typed, None),
        }
    }
}

/// The hash of a random password that nobody knows: what a name is checked against where there are no accounts at all.
const NOBODY: &str =
    "{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$VwAkBBPBfR9USASIxQXoqw$EELp0yzkYy9grrzDpDb/d6JPHS3YL2mGhBlTqqW4UxY";
/// How often the file of accounts is looked at for changes.
const LOOK: Duration = Duration::from_secs(1);

impl Accounts {
    /// Reads the file of accounts.
    pub fn open(file: impl Into<PathBuf>, directory: Arc<Directory>) -> Result<Accounts, PasswdError> {
        let mut file = Watched::new(file);
        let users = file.changed()?.unwrap_or_default();
        if users.is_empty() && !directory.has_elsewhere() {
            log::warn!(
                "nobody can log in: {} has no accounts; `lazaret user add global` makes one that sees everything",
                file.path().display()
            );
        }
        let mut bytes = [0; 32];
        let random = SystemRandom::new();
        random.fill(&mut bytes).map_err(|_| PasswdError::Login("the system has no random bytes".to_string()))?;
        Ok(Accounts {
            key: hmac::Key::new(hmac::HMAC_SHA256, &bytes),
            nobody: Hash::parse(NOBODY).map_err(PasswdError::Login)?,
            state: Mutex::new(State {
                file,
                looked: Timestamp::default(),
                users: Arc::new(users),
                directory,
                memory: HashMap::new(),
            }),
            throttle: Mutex::new(Throttle::default()),
            passes: Mutex::default(),
            attempts: Tally::default(),
        })
    }

    /// Checks a login. Takes as long as a password hash does (a tenth of a second, or several): call it on the thread
    /// that is kept for this.
    pub fn verify(&self, user: &str, typed: &Secret<Vec<u8>>, peer: Option<IpAddr>, now: Timestamp) -> Verdict {
        let password = typed.expose();
        if user.len() > limits::CREDENTIAL || password.len() > limits::CREDENTIAL || password.is_empty() {
            return self.wrong(user, "", password, peer, now);
        }
        if let Some(account) = self.by_pass(user, password, peer, now) {
            return Verdict::Good(account);
        }
        let (users, login, scope) = self.find(user, now);
        let message = message(&login, password);
        // Whoever guesses from an address is not to learn here, uncounted, what is right.
        if let Some(scope) = &scope
            && !self.is_slowed(peer, now)
            && self.remembers(&login, &message, now)
        {
            self.attempts.note("right");
            return Verdict::Good(Account { login, scope: scope.clone() });
        }
        if let Some(wait) = self.refused(peer, user, &login, now) {
            return Verdict::Later(wait);
        }
        let known = users.get(&login);
        if known.is_none()
            && let Some(verdict) = self.elsewhere(user, typed, peer, now, (&users, &login, scope.as_ref()))
        {
            return verdict;
        }
        let hash = known.unwrap_or_else(|| self.stand_in(&users, &login));
        let right = hash.verify(password);
        match scope {
            Some(scope) if right && known.is_some() => {
                self.remember(&users, &login, &message, now);
                self.right(&login);
                Verdict::Good(Account { login, scope })
            }
            _ => self.wrong(user, &login, password, peer, now),
        }
    }

    /// Reads the file of accounts again, and takes another directory. The old accounts stay when the file is wrong.
    pub fn reload(&self, directory: Arc<Directory>) -> Result<(), PasswdError> {
        let mut state = lock(&self.state);
        state.directory = directory;
        state.memory.clear();
        let mut file = Watched::new(state.file.path());
        let users = file.changed()?;
        state.file = file;
        if let Some(users) = users {
            state.users = Arc::new(users);
        }
        Ok(())
    }

    /// How long nothing is looked at after too many wrong passwords.
    pub(super) fn refused(&self, peer: Option<IpAddr>, user: &str, login: &str, now: Timestamp) -> Option<Duration> {
        let wait = lock(&self.throttle).refused(peer, login, now)?;
        self.attempts.note("refused");
        log::warn!("{}", failure("refused", user, peer, " (too many wrong passwords)"));
        Some(wait)
    }

    /// The logins whose mail this scope sees, in order.
    pub fn seen_by(&self, scope: &Scope, now: Timestamp) -> Vec<String> {
        let (users, directory) = (self.users(now), lock(&self.state).directory.clone());
        let is_seen = |login: &&str| match (scope, directory.login(login)) {
            (Scope::Global, _) => true,
            (Scope::Domain(domain), Some((_, Scope::Domain(of)))) => of == *domain,
            (_, Some((_, Scope::Recipient(address)))) => scope.sees(&address),
            _ => false,
        };
        let mut logins: Vec<String> =
            users.accounts().map(|(login, _)| login).filter(is_seen).map(str::to_string).collect();
        logins.sort_unstable();
        logins
    }

    /// What changes when the account's password does, or the setting by which another server knows it; `None`: there is
    /// no such account. Differs from run to run.
    pub fn stamp(&self, login: &str, now: Timestamp) -> Option<[u8; 32]> {
        let users = self.users(now);
        let tag = match users.get(login) {
            Some(hash) => hmac::sign(&self.key, hash.field().as_bytes()),
            None => self.stamp_pass(login, now).or_else(|| self.stamp_elsewhere(login))?,
        };
        tag.as_ref().try_into().ok()
    }

    /// The password was right.
    pub(super) fn right(&self, login: &str) {
        self.attempts.note("right");
        lock(&self.throttle).right(login);
    }

    /// The accounts as they are now.
    pub(super) fn users(&self, now: Timestamp) -> Arc<Passwd> {
        self.look(now).users.clone()
    }

    /// How often somebody was let in ("right"), was not ("wrong"), or was not looked at ("refused").
    pub fn attempts(&self) -> &Tally {
        &self.attempts
    }

    /// How many accounts there are.
    pub fn count(&self) -> usize {
        lock(&self.state).users.len()
    }

    /// The users as they are now, the name under which this login's account is kept, and its scope.
    pub(super) fn find(&self, user: &str, now: Timestamp) -> (Arc<Passwd>, String, Option<Scope>) {
        self.look(now).find(user)
    }

    /// Reads the file again when it has changed, at most once a second.
    fn look(&self, now: Timestamp) -> MutexGuard<'_, State> {
        let mut state = lock(&self.state);
        if state.must_look(now) {
            state.looked = now;
            match state.file.changed() {
                Ok(None) => {}
                Ok(Some(users)) => {
                    log::info!("{} has changed: {} accounts", state.file.path().display(), users.len());
                    state.users = Arc::new(users);
                    state.memory.clear();
                }
                Err(e) => log::error!("{e}; the accounts stay as they were"),
            }
        }
        state
    }

    /// The hash against which a name without an account is checked: the cost is that of some account.
    fn stand_in<'a>(&'a self, users: &'a Passwd, login: &str) -> &'a Hash {
        let tag = hmac::sign(&self.key, login.as_bytes());
        let number = tag.as_ref().iter().take(8).fold(0_u64, |n, b| n << 8 | u64::from(*b));
        users.some(number).unwrap_or(&self.nobody)
    }

    pub(super) fn wrong(
        &self,
        user: &str,
        login: &str,
        password: &[u8],
        peer: Option<IpAddr>,
        now: Timestamp,
    ) -> Verdict {
        self.attempts.note("wrong");
        log::warn!("{}", failure("failed", user, peer, ""));
        let tag = hmac::sign(&self.key, &message(login, password));
        let mut attempt = Attempt::default();
        attempt.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        Verdict::Wrong(lock(&self.throttle).wrong(peer, login, attempt, now))
    }
}

/// What is hashed of a login: the NUL keeps one name's end from being another password's beginning.
fn message(login: &str, password: &[u8]) -> Vec<u8> {
    [login.as_bytes(), b"\0", password].concat()
}

/// A panic elsewhere leaves these maps whole: each change is one insertion or removal.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Address;
    use crate::quarantine::directory::Domain;
    use crate::store::passwd;
    use crate::store::passwd::Scheme;
    use std::fs;
    use std::path::Path;

    const T0: Timestamp = Timestamp::from_secs(1_000_000);

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("lazaret-account-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Scratch(path)
        }

        fn users(&self) -> PathBuf {
            self.0.join("users")
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn directory() -> Arc<Directory> {
        let domain = Domain {
            aliases: vec!["example.net".into()],
            addresses: vec![("info".into(), "alice".into())],
            delimiter: Some('+'),
            ..Domain::default()
        };
        Arc::new(Directory::new([("example.org", &domain)]).unwrap())
    }

    fn set(path: &Path, login: &str, password: &str) {
        let hash = Hash::make(Scheme::Pbkdf2, password.as_bytes()).unwrap();
        passwd::edit(path, path, |f| f.change(login, hash.clone()).or_else(|_| f.add(login, hash.clone()))).unwrap();
    }

    fn accounts(scratch: &Scratch) -> Accounts {
        for login in ["global", "example.org", "alice@example.org"] {
            set(&scratch.users(), login, "right");
        }
        Accounts::open(scratch.users(), directory()).unwrap()
    }

    fn try_at(accounts: &Accounts, user: &str, password: &str, secs: u64) -> Verdict {
        let password = Secret::new(password.as_bytes().to_vec());
        let peer = Some("192.0.2.7".parse().unwrap());
        accounts.verify(user, &password, peer, T0.after(Duration::from_secs(secs)))
    }

    fn good(verdict: Verdict) -> String {
        match verdict {
            Verdict::Good(account) => {
                assert_eq!(account.login, account.scope.to_string());
                account.login
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn scopes_and_aliases_log_in() {
        let scratch = Scratch::new("scopes");
        let a = accounts(&scratch);
        for (user, login) in [
            ("global", "global"),
            ("Example.ORG", "example.org"),
            ("example.net", "example.org"),
            ("ALICE@example.org", "alice@example.org"),
            ("info@example.net", "alice@example.org"),
        ] {
            assert_eq!(good(try_at(&a, user, "right", 0)), login);
            assert!(matches!(try_at(&a, user, "wrong", 0), Verdict::Wrong(_)), "{user}");
        }
        for user in ["", "bob@example.org", "alice@elsewhere.example", "elsewhere.example", "alice+x@example.org"] {
            assert!(!matches!(try_at(&a, user, "right", 10_000), Verdict::Good(_)), "{user}");
        }
        assert!(matches!(try_at(&a, "global", "", 20_000), Verdict::Wrong(_)));
        let alice = Scope::Recipient(Address::parse("alice@example.org").unwrap());
        let bob = Address::parse("bob@example.org").unwrap();
        assert!(Scope::Global.sees(&bob) && Scope::Domain("example.org".into()).sees(&bob) && !alice.sees(&bob));
    }

    #[test]
    fn an_unknown_domain_is_a_wrong_password() {
        let scratch = Scratch::new("unknown");
        set(&scratch.users(), "eve@elsewhere.example", "right");
        let a = Accounts::open(scratch.users(), directory()).unwrap();
        assert!(matches!(try_at(&a, "eve@elsewhere.example", "right", 0), Verdict::Wrong(_)));
    }

    #[test]
    fn guessing_is_slowed_and_the_remembered_owner_is_not() {
        let scratch = Scratch::new("guess");
        let a = accounts(&scratch);
        good(try_at(&a, "alice@example.org", "right", 0));
        for user in ["alice@example.org", "nobody@example.org"] {
            let verdicts: Vec<_> = (0..6).map(|n| try_at(&a, user, &format!("guess{n}"), 4_000)).collect();
            assert!(verdicts.iter().any(|v| matches!(v, Verdict::Later(_))), "{user}: {verdicts:?}");
        }
        let scratch = Scratch::new("guess2");
        let a = accounts(&scratch);
        good(try_at(&a, "alice@example.org", "right", 0));
        for n in 0..6 {
            try_at(&a, "alice@example.org", &format!("guess{n}"), 10);
        }
        let typed = Secret::new(b"right".to_vec());
        good(a.verify(
            "alice@example.org",
            &typed,
            Some("192.0.2.8".parse().unwrap()),
            T0.after(Duration::from_secs(10)),
        ));
        for user in ["alice@example.org", "example.org"] {
            let verdict = try_at(&a, user, "right", 10);
            assert!(
                matches!(verdict, Verdict::Later(_)),
                "{user}: a guesser learns nothing while his address is refused"
            );
        }
    }

    #[test]
    fn memory_ends_with_the_file_and_with_time() {
        let scratch = Scratch::new("memory");
        let a = accounts(&scratch);
        good(try_at(&a, "global", "right", 0));
        assert_eq!(lock(&a.state).memory.len(), 1);
        let message = message("global", b"right");
        assert!(a.remembers("global", &message, T0.after(Duration::from_secs(299))));
        assert!(!a.remembers("global", &message, T0.after(Duration::from_secs(300))));
        assert!(!a.remembers("global", &super::message("global", b"other"), T0));
        for (user, password, secs, is) in [
            ("GLOBAL", "right", 299, true),
            ("global", "right", 300, false),
            ("global", "wrong", 0, false),
            ("nobody", "right", 0, false),
        ] {
            let typed = Secret::new(password.as_bytes().to_vec());
            let now = T0.after(Duration::from_secs(secs));
            assert!(!a.is_remembered(user, &typed, None, now), "the file has to be looked at first");
            a.find(user, now);
            assert_eq!(a.is_remembered(user, &typed, None, now), is, "{user} {password} {secs}");
        }
        set(&scratch.users(), "global", "new");
        assert!(matches!(try_at(&a, "global", "right", 2), Verdict::Wrong(_)));
        good(try_at(&a, "global", "new", 2));
        fs::write(scratch.users(), "broken\n").unwrap();
        good(try_at(&a, "global", "new", 4));
        assert!(a.reload(directory()).is_err());
        good(try_at(&a, "global", "new", 6));
        fs::remove_file(scratch.users()).unwrap();
        a.reload(directory()).unwrap();
        assert_eq!(a.count(), 0);
        assert!(matches!(try_at(&a, "global", "new", 8), Verdict::Wrong(_)));
    }
}
