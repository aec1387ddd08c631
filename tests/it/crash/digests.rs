//! Digests in the scenarios: made when a period ended, sent, and told apart by login and period.

use super::promise::{Fate, Mark};
use super::world::{World, key};
use lazaret::queue::Notice;

/// What stands for a digest, with its period behind it.
pub const DIGEST: &str = "digest ";

impl World {
    /// A digest of a period that ended is made, unless the account was told of it.
    pub fn tell_digest(&self, login: &str, period: u64) {
        let fate = Fate::default().done(&[DIGEST]);
        let word = format!("{DIGEST}{period}");
        let _ = self.asked(vec![(key(login, &word), fate)], || self.place_digest(login, period));
    }

    pub fn place_digest(&self, login: &str, period: u64) -> Result<(), String> {
        let (sender, to) = (String::new(), login.to_string());
        let notice = Notice { login: login.to_string(), period, mark: 1, uid_validity: 1, sender, to };
        let now = self.quarantine.store.now().secs();
        self.quarantine.digests.place(&notice, b"Subject: digest\r\n\r\n", now).map(drop).map_err(|e| e.to_string())
    }

    /// Hands over what is on its way, as the worker does.
    pub fn send_digests(&self) {
        let digests = &self.quarantine.digests;
        for _ in 0..20 {
            let Ok(Some(sending)) = digests.claim(u64::MAX) else { return };
            let (key, part) =
                (key(&sending.notice.login, &format!("{DIGEST}{}", sending.notice.period)), DIGEST.to_string());
            self.mark(Mark::Carried(key.clone(), part.clone()));
            self.carried.borrow_mut().push((key.clone(), part.clone()));
            if digests.done(&sending.notice).is_ok() {
                self.mark(Mark::Ended(key, part));
            }
        }
    }
}
