//! The sink that tells SpamAssassin's spamd (`TELL` of its protocol; it must run with `--allow-tell`).

use super::{Learned, Lesson};
use crate::base::limits;
use crate::net::dial::Dial;
use crate::verdict::spamd;
use std::time::Duration;

/// SpamAssassin's daemon.
#[derive(Debug, Clone)]
pub struct Spamd {
    /// Where it listens.
    pub daemon: Dial,
    /// Whose Bayes database learns, if not the daemon's own.
    pub user: Option<String>,
    /// How long an answer may take.
    pub time: Duration,
}

impl Spamd {
    pub(super) async fn learn(&self, lesson: Lesson) -> Learned {
        let head = spamd::lesson(lesson.word() == "spam", self.user.as_deref(), lesson.message.len());
        let parts = [head.as_slice(), &lesson.message];
        let answer = match self.daemon.exchange(&parts, limits::TRAINING_OUTPUT, self.time).await {
            Ok(answer) => answer,
            Err(why) => return Learned::Retry(format!("spamd at {}: {why}", self.daemon)),
        };
        match spamd::learned(&answer) {
            Ok(true) => Learned::Done("learned".to_string()),
            Ok(false) => Learned::Done("known already, or nothing to learn".to_string()),
            // 69 EX_UNAVAILABLE: what it says when it runs without --allow-tell.
            Err(why) if why.0.contains(" 69 ") => {
                Learned::Misconfigured(format!("{}: does it run with --allow-tell?", why.0))
            }
            Err(why) => Learned::Retry(why.0),
        }
    }
}
