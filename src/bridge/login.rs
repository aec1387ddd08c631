//! Logging in over IMAP: by a password, or by SCRAM.

use super::imap::{ImapBridge, out_of_step};
use super::{Answered, Errand};
use crate::base::Secret;
use crate::imap::question::{Answer, Refusal};
use crate::quarantine::account::Verdict;
use crate::quarantine::scram::{Begun, Ended};

impl ImapBridge {
    pub(super) fn is_remembered(&self, user: &str, password: &Secret<Vec<u8>>) -> bool {
        self.shared.accounts.is_remembered(user, password, self.peer, self.shared.quarantine.store.now())
    }

    pub(super) fn login(&mut self, user: &str, password: &Secret<Vec<u8>>) -> Answered<Self, Answer> {
        let now = self.shared.quarantine.store.now();
        let verdict = self.shared.accounts.verify(user, password, self.peer, now);
        self.decided(verdict)
    }

    fn decided(&mut self, verdict: Verdict) -> Answered<Self, Answer> {
        let Verdict::Elsewhere(check) = verdict else {
            return Answered::Done(self.judged(verdict).map_or_else(Answer::Refused, |()| Answer::LoggedIn));
        };
        let quarantine = self.shared.quarantine.clone();
        let errand = self.shared.accounts.errand(&check, move || quarantine.store.now());
        let then = move |bridge: &mut Self, outcome| {
            let now = bridge.shared.quarantine.store.now();
            let verdict = bridge.shared.accounts.learned(&check, outcome, now);
            bridge.decided(verdict)
        };
        Answered::Errand(Errand::Login(errand, Box::new(then)))
    }

    fn judged(&mut self, verdict: Verdict) -> Result<(), Refusal> {
        match verdict {
            Verdict::Good(account) => {
                log::info!(
                    "login: user=<{}> from=<{}>",
                    account.login,
                    self.peer.map_or("local".to_string(), |p| p.to_string())
                );
                (self.known)();
                self.account = Some(account);
                Ok(())
            }
            Verdict::Wrong(pause) => {
                Err(Refusal { pause, ..Refusal::new("AUTHENTICATIONFAILED", "login or password is wrong") })
            }
            Verdict::Later(pause) => Err(Refusal::new(
                "UNAVAILABLE",
                format!("too many wrong passwords: try again in {} seconds", pause.as_secs().max(1)),
            )),
            Verdict::Elsewhere(_) | Verdict::Unavailable => Err(Refusal::new(
                "UNAVAILABLE",
                "the mail server that knows this password gives no answer at the moment: try again later",
            )),
        }
    }

    pub(super) fn scram_begin(&mut self, first: &[u8]) -> Result<Answer, Refusal> {
        let now = self.shared.quarantine.store.now();
        match self.shared.accounts.scram_begin(first, self.peer, now) {
            Begun::Challenge(exchange, message) => {
                self.exchange = Some(exchange);
                Ok(Answer::Challenge(message.into_bytes()))
            }
            Begun::Broken(why) => Err(Refusal::new("AUTHENTICATIONFAILED", why)),
            Begun::Later(pause) => self.judged(Verdict::Later(pause)).and(Err(out_of_step())),
        }
    }

    pub(super) fn scram_end(&mut self, last: &[u8]) -> Result<Answer, Refusal> {
        let exchange = self.exchange.take().ok_or_else(out_of_step)?;
        let now = self.shared.quarantine.store.now();
        match self.shared.accounts.scram_end(*exchange, last, self.peer, now) {
            Ended::Good(account, message) => {
                let user = account.login.clone();
                self.judged(Verdict::Good(account))?;
                Ok(Answer::Proved { user, message: message.into_bytes() })
            }
            Ended::Bad(verdict) => self.judged(verdict).and(Err(out_of_step())),
        }
    }
}
