//! Sessions of the page: a random token in the browser's cookie stands for a sign-in. They live in memory: a restart ends
//! them, and nothing on disk is worth stealing.
//!
//! A token is random and new at each sign-in, so none that an attacker planted is ever worth anything; the table holds its
//! hash. A session ends when its account's password changes, or the setting by which another server
//! knows that password.

use super::account::{Account, Accounts};
use crate::base::{Timestamp, limits};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of a token.
const TOKEN: usize = 32;

/// The sessions of a running server. Each remembers a `T`.
#[derive(Debug)]
pub struct Sessions<T> {
    table: Mutex<HashMap<[u8; 32], Arc<Session<T>>>>,
    key: hmac::Key,
    random: SystemRandom,
}

/// One browser that is signed in.
#[derive(Debug)]
pub struct Session<T> {
    /// Who it is.
    pub account: Account,
    /// What each of its forms must hold: another site does not know it.
    pub form_token: String,
    /// What is remembered from one page to the next.
    pub memory: Mutex<T>,
    stamp: [u8; 32],
    began: Timestamp,
    used: Mutex<Timestamp>,
}

impl<T: Default> Sessions<T> {
    /// None yet. `None`: the system has no random bytes.
    pub fn new() -> Option<Sessions<T>> {
        let random = SystemRandom::new();
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &random).ok()?;
        Some(Sessions { table: Mutex::default(), key, random })
    }

    /// Begins a session; the answer is its token.
    pub fn begin(&self, account: Account, accounts: &Accounts, now: Timestamp) -> Option<String> {
        let stamp = accounts.stamp(&account.login, now)?;
        let token = self.random_text()?;
        let session = Session {
            account,
            form_token: self.random_text()?,
            memory: Mutex::default(),
            stamp,
            began: now,
            used: Mutex::new(now),
        };
        let mut table = lock(&self.table);
        table.retain(|_, session| session.lives(now));
        if table.len() >= limits::SESSIONS
            && let Some(oldest) = table.iter().min_by_key(|(_, session)| *lock(&session.used)).map(|(key, _)| *key)
        {
            table.remove(&oldest);
        }
        table.insert(hashed(&token), Arc::new(session));
        Some(token)
    }

    /// The session of a token.
    pub fn find(&self, token: &str, accounts: &Accounts, now: Timestamp) -> Option<Arc<Session<T>>> {
        let key = hashed(token);
        let session = lock(&self.table).get(&key).cloned()?;
        if !session.lives(now) || accounts.stamp(&session.account.login, now) != Some(session.stamp) {
            lock(&self.table).remove(&key);
            return None;
        }
        *lock(&session.used) = now;
        Some(session)
    }

    /// Ends a session.
    pub fn end(&self, token: &str) {
        lock(&self.table).remove(&hashed(token));
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        lock(&self.table).len()
    }

    /// A random text for the cookie of somebody who is not signed in yet.
    pub fn random_text(&self) -> Option<String> {
        let mut bytes = [0; TOKEN];
        self.random.fill(&mut bytes).ok()?;
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// What the form must hold for which the browser has this cookie.
    pub fn sealed(&self, cookie: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, cookie.as_bytes()))
    }

    /// Whether a form holds what belongs to the cookie.
    pub fn is_sealed(&self, cookie: &str, seal: &str) -> bool {
        let tag = URL_SAFE_NO_PAD.decode(seal).unwrap_or_default();
        !cookie.is_empty() && hmac::verify(&self.key, cookie.as_bytes(), &tag).is_ok()
    }
}

impl<T> Session<T> {
    /// Whether a form holds the session's token.
    pub fn is_form(&self, token: &str) -> bool {
        // Compared as hashes: how far a guess is right does not show in the time.
        hashed(token) == hashed(&self.form_token)
    }

    fn lives(&self, now: Timestamp) -> bool {
        now.since(*lock(&self.used)) < limits::SESSION_IDLE && now.since(self.began) < limits::SESSION_MOST
    }
}

fn hashed(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    hash
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quarantine::directory::Directory;
    use crate::store::testing::Scratch;
    use std::time::Duration;

    const USERS: &str = "global:{PLAIN}a\n";

    fn accounts(scratch: &Scratch, users: &str) -> Accounts {
        let path = scratch.path().join("users");
        std::fs::write(&path, users).unwrap();
        Accounts::open(path, Arc::new(Directory::new([]).unwrap())).unwrap()
    }

    fn global() -> Account {
        Account { login: "global".into(), scope: super::super::Scope::Global }
    }

    #[test]
    fn a_session_lives_as_long_as_it_is_used_and_no_longer_than_a_week() {
        let scratch = Scratch::new("sessions");
        let accounts = accounts(&scratch, USERS);
        let sessions = Sessions::<()>::new().unwrap();
        let mut now = Timestamp::from_secs(1_700_000_000);
        let token = sessions.begin(global(), &accounts, now).unwrap();
        assert!(sessions.find("", &accounts, now).is_none());
        let step = limits::SESSION_IDLE - Duration::from_secs(1);
        for _ in 0..limits::SESSION_MOST.as_secs() / step.as_secs() {
            now = now.after(step);
            assert!(sessions.find(&token, &accounts, now).is_some());
        }
        assert!(sessions.find(&token, &accounts, now.after(step)).is_none(), "a week is over");
        let token = sessions.begin(global(), &accounts, now).unwrap();
        assert!(sessions.find(&token, &accounts, now.after(limits::SESSION_IDLE)).is_none(), "nobody used it");
        let token = sessions.begin(global(), &accounts, now).unwrap();
        sessions.end(&token);
        assert!(sessions.find(&token, &accounts, now).is_none());
        assert_eq!(sessions.count(), 0);
    }

    #[test]
    fn a_session_ends_with_the_password() {
        let scratch = Scratch::new("sessions");
        let accounts = accounts(&scratch, USERS);
        let sessions = Sessions::<()>::new().unwrap();
        let now = Timestamp::from_secs(1_700_000_000);
        let token = sessions.begin(global(), &accounts, now).unwrap();
        std::fs::write(scratch.path().join("users"), "global:{PLAIN}other\n").unwrap();
        assert!(sessions.find(&token, &accounts, now.after(Duration::from_secs(5))).is_none());
        let nobody = Account { login: "a@x.test".into(), ..global() };
        assert!(sessions.begin(nobody, &accounts, now).is_none());
    }

    #[test]
    fn forms_are_ours() {
        let scratch = Scratch::new("sessions");
        let accounts = accounts(&scratch, USERS);
        let sessions = Sessions::<()>::new().unwrap();
        let now = Timestamp::from_secs(1_700_000_000);
        let find = |token: &str| sessions.find(token, &accounts, now).unwrap();
        let one = find(&sessions.begin(global(), &accounts, now).unwrap());
        let other = find(&sessions.begin(global(), &accounts, now).unwrap());
        assert!(one.is_form(&one.form_token));
        assert!(!one.is_form(&other.form_token) && !one.is_form(""));
        let cookie = sessions.random_text().unwrap();
        assert!(sessions.is_sealed(&cookie, &sessions.sealed(&cookie)));
        for (cookie, seal) in [("", sessions.sealed("")), ("x", sessions.sealed(&cookie)), ("x", String::new())] {
            assert!(!sessions.is_sealed(cookie, &seal));
        }
    }
}
