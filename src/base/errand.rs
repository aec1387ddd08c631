//! What only a server elsewhere knows: whether a password is right there. The rules, which never wait, hand it up as a
//! value; whoever may wait for a network (`net::imap_login`) carries it out and hands the outcome back.

use super::Secret;
use std::fmt;

/// A password to be checked by a domain's own server.
pub struct Errand {
    /// The domain whose server is asked.
    pub domain: String,
    /// The account: for each, one errand goes after the other, so that every guess meets what the one before it cost.
    pub account: String,
    /// What is sent as login.
    pub user: String,
    /// What is sent as password.
    pub password: Secret<Vec<u8>>,
    /// Whether there is still something to be asked, now that it is this errand's turn. Takes no time.
    pub is_open: Box<dyn Fn() -> bool + Send + Sync>,
}

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errand").field("domain", &self.domain).field("user", &self.user).finish_non_exhaustive()
    }
}

/// What became of an errand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The server lets this user in.
    Right,
    /// The server says that login or password is wrong.
    Wrong,
    /// It was not asked: what came before it has decided. Look again.
    Settled,
    /// Nobody knows: the server cannot be reached, or gave no answer that says so. The log has why.
    Unknown,
}
