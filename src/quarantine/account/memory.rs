//! Logins that were good a short time ago: their next one needs no hash. What is kept of a password is an HMAC under a key of
//! this process. It ends with `limits::LOGIN_MEMORY`, and with any change of the file.

use super::{Accounts, lock, message};
use crate::base::{Secret, Timestamp, limits};
use crate::store::passwd::Passwd;
use aws_lc_rs::hmac;
use std::net::IpAddr;
use std::sync::Arc;

/// Logins that are remembered at once; more only means that some are checked again.
const REMEMBERED: usize = 20_000;

/// A login that was good a short time ago.
#[derive(Debug)]
pub(super) struct Remembered {
    tag: hmac::Tag,
    until: Timestamp,
}

impl Accounts {
    /// Whether this password was right a short while ago, so that [`Accounts::verify`] need not compute a hash. Waits for
    /// no file: when one has to be looked at, the answer is `false`.
    pub fn is_remembered(&self, user: &str, typed: &Secret<Vec<u8>>, peer: Option<IpAddr>, now: Timestamp) -> bool {
        let password = typed.expose();
        let is_long = user.len() > limits::CREDENTIAL || password.len() > limits::CREDENTIAL;
        if is_long || self.is_slowed(peer, now) {
            return false;
        }
        let state = lock(&self.state);
        if state.must_look(now) {
            return false;
        }
        let (_, login, scope) = state.find(user);
        drop(state);
        scope.is_some() && self.remembers(&login, &message(&login, password), now)
    }

    pub(super) fn is_slowed(&self, peer: Option<IpAddr>, now: Timestamp) -> bool {
        lock(&self.throttle).refuses(peer, now)
    }

    pub(super) fn remembers(&self, login: &str, message: &[u8], now: Timestamp) -> bool {
        let state = lock(&self.state);
        state.memory.get(login).is_some_and(|known| {
            known.until > now
                && known.until <= now.after(limits::LOGIN_MEMORY)
                && hmac::verify(&self.key, message, known.tag.as_ref()).is_ok()
        })
    }

    pub(super) fn remember(&self, users: &Arc<Passwd>, login: &str, message: &[u8], now: Timestamp) {
        let mut state = lock(&self.state);
        // The file has changed while the hash was computed: this password may be the old one.
        if !Arc::ptr_eq(users, &state.users) {
            return;
        }
        if state.memory.len() >= REMEMBERED {
            state.memory.retain(|_, known| known.until > now);
            if state.memory.len() >= REMEMBERED {
                state.memory.clear();
            }
        }
        let known = Remembered { tag: hmac::sign(&self.key, message), until: now.after(limits::LOGIN_MEMORY) };
        state.memory.insert(login.to_string(), known);
    }
}
