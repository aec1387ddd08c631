//! Passes: logins that the running server lends to `lazaret doctor`, so that it can sign in as a recipient does without
//! anybody's password.
//!
//! A pass lives in memory and nowhere else, for as long as whoever asked for it holds its [`Lent`], and for
//! `limits::PASS_TIME` at the most. Its password is random and new each time, it is good from addresses of this machine
//! only, and it sees one recipient's mail. No account in the file can have its name, which holds a space.

use super::{Account, Accounts, Scope, lock, message};
use crate::base::{Secret, Timestamp, limits};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::net::IpAddr;
use std::sync::Arc;

/// How the logins of passes begin.
const NAME: &str = "lazaret doctor";
/// Random bytes of a password.
const BYTES: usize = 32;
/// Random bytes of a login: two passes never have the same.
const NAME_BYTES: usize = 6;

/// A pass as the accounts know it.
#[derive(Debug)]
pub(super) struct Pass {
    tag: hmac::Tag,
    scope: Scope,
    until: Timestamp,
    from: Vec<IpAddr>,
}

/// A pass in somebody's hand; it ends when this is dropped.
#[derive(Debug)]
pub struct Lent {
    /// The login.
    pub user: String,
    /// Its password.
    pub password: Secret<String>,
    accounts: Arc<Accounts>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        lock(&self.accounts.passes).remove(&self.user);
    }
}

impl Accounts {
    /// Lends a pass for this scope, good for clients at these addresses. `None`: the system has no random bytes.
    pub fn lend(self: &Arc<Self>, scope: Scope, from: Vec<IpAddr>, now: Timestamp) -> Option<Lent> {
        let mut random = [0; BYTES + NAME_BYTES];
        SystemRandom::new().fill(&mut random).ok()?;
        let (secret, name) = random.split_at(BYTES);
        let password = URL_SAFE_NO_PAD.encode(secret);
        let user = format!("{NAME} {}", URL_SAFE_NO_PAD.encode(name));
        let tag = hmac::sign(&self.key, &message(&user, password.as_bytes()));
        let pass = Pass { tag, scope, until: now.after(limits::PASS_TIME), from };
        lock(&self.passes).insert(user.clone(), pass);
        Some(Lent { user, password: Secret::new(password), accounts: self.clone() })
    }

    /// Whom a pass lets in. `None`: there is no such pass, and the login is looked at as any other.
    pub(super) fn by_pass(&self, user: &str, password: &[u8], peer: Option<IpAddr>, now: Timestamp) -> Option<Account> {
        let passes = lock(&self.passes);
        let pass = passes.get(user)?;
        let is_here = peer.is_some_and(|peer| pass.from.contains(&peer.to_canonical()));
        let is_right = hmac::verify(&self.key, &message(user, password), pass.tag.as_ref()).is_ok();
        let good = is_here && is_right && now < pass.until;
        good.then(|| Account { login: user.to_string(), scope: pass.scope.clone() })
    }

    /// As [`Accounts::stamp`], for a pass.
    pub(super) fn stamp_pass(&self, login: &str, now: Timestamp) -> Option<hmac::Tag> {
        lock(&self.passes).get(login).filter(|pass| now < pass.until).map(|pass| pass.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Address;
    use crate::quarantine::account::Verdict;
    use crate::quarantine::directory::{Directory, Domain};
    use crate::store::testing::Scratch;
    use std::time::Duration;

    const T0: Timestamp = Timestamp::from_secs(1_700_000_000);
    const HERE: [u8; 4] = [127, 0, 0, 1];

    fn accounts(scratch: &Scratch) -> Arc<Accounts> {
        let domain = Domain::default();
        let directory = Arc::new(Directory::new([("example.org", &domain)]).unwrap());
        Arc::new(Accounts::open(scratch.path().join("users"), directory).unwrap())
    }

    fn lend(accounts: &Arc<Accounts>) -> Lent {
        let scope = Scope::Recipient(Address::parse("alice@example.org").unwrap());
        accounts.lend(scope, vec![HERE.into()], T0).unwrap()
    }

    fn is_let_in(accounts: &Accounts, user: &str, password: &str, peer: Option<[u8; 4]>, now: Timestamp) -> bool {
        let password = Secret::new(password.as_bytes().to_vec());
        matches!(accounts.verify(user, &password, peer.map(IpAddr::from), now), Verdict::Good(_))
    }

    #[test]
    fn a_pass_lets_its_holder_in_from_this_machine_only() {
        let scratch = Scratch::new("pass");
        let accounts = accounts(&scratch);
        let lent = lend(&accounts);
        let (user, password) = (lent.user.clone(), lent.password.expose().clone());
        assert!(is_let_in(&accounts, &user, &password, Some(HERE), T0));
        let mapped: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
        assert!(accounts.by_pass(&user, password.as_bytes(), Some(mapped), T0).is_some());
        for (peer, now, word) in [
            (Some([192, 0, 2, 1]), T0, password.as_str()),
            (None, T0, password.as_str()),
            (Some(HERE), T0.after(limits::PASS_TIME), password.as_str()),
            (Some(HERE), T0, "guess"),
            (Some(HERE), T0, ""),
        ] {
            assert!(!is_let_in(&accounts, &user, word, peer, now), "{peer:?} {word}");
        }
        assert!(!is_let_in(&accounts, "lazaret doctor", &password, Some(HERE), T0));
        assert!(!is_let_in(&accounts, "alice@example.org", &password, Some(HERE), T0));
    }

    #[test]
    fn a_pass_ends_with_its_holder_and_so_do_its_sessions() {
        let scratch = Scratch::new("pass-ends");
        let accounts = accounts(&scratch);
        let lent = lend(&accounts);
        let other = lend(&accounts);
        let (user, password) = (lent.user.clone(), lent.password.expose().clone());
        assert_ne!((&lent.user, lent.password.expose()), (&other.user, other.password.expose()));
        assert!(accounts.stamp(&user, T0).is_some());
        assert!(accounts.stamp(&user, T0.after(limits::PASS_TIME + Duration::from_secs(1))).is_none());
        drop(lent);
        assert!(accounts.stamp(&user, T0).is_none());
        assert!(!is_let_in(&accounts, &user, &password, Some(HERE), T0));
        assert!(is_let_in(&accounts, &other.user, other.password.expose(), Some(HERE), T0), "the other one lives");
    }

    #[test]
    fn a_pass_sees_one_recipient() {
        let scratch = Scratch::new("pass-scope");
        let accounts = accounts(&scratch);
        let lent = lend(&accounts);
        let password = Secret::new(lent.password.expose().as_bytes().to_vec());
        let Verdict::Good(account) = accounts.verify(&lent.user, &password, Some(HERE.into()), T0) else { panic!() };
        assert!(account.scope.sees(&Address::parse("alice@example.org").unwrap()));
        assert!(!account.scope.sees(&Address::parse("bob@example.org").unwrap()));
        assert!(!format!("{lent:?}").contains(lent.password.expose().as_str()));
    }
}
