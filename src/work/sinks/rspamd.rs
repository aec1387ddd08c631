//! The sink that tells rspamd's controller (`/learnham`, `/learnspam`).

use super::{Learned, Lesson, one_line};
use crate::base::{Secret, limits};
use crate::net::http::{Response, Target, post};
use std::time::Duration;

/// rspamd's controller.
#[derive(Debug, Clone)]
pub struct Rspamd {
    /// `http://host:11334`; its path is replaced.
    pub controller: Target,
    /// The header `Password`; none where `secure_ip` makes it unnecessary.
    pub password: Option<Secret<String>>,
    /// The header `classifier`, where there are several.
    pub classifier: Option<String>,
    /// Sends `Deliver-To`, for statistics of each user.
    pub per_user: bool,
    /// How long an answer may take.
    pub time: Duration,
}

impl Rspamd {
    /// A controller that needs no password.
    pub fn new(controller: Target) -> Self {
        Rspamd { controller, password: None, classifier: None, per_user: false, time: limits::TRAINING_TIME }
    }

    pub(super) async fn learn(&self, lesson: Lesson) -> Learned {
        let tree = lesson.entry.tree.to_string();
        let mut headers = Vec::new();
        if let Some(password) = &self.password {
            headers.push(("Password", password.expose().as_str()));
        }
        if let Some(classifier) = &self.classifier {
            headers.push(("classifier", classifier.as_str()));
        }
        if self.per_user && tree.is_ascii() && !tree.starts_with('~') {
            headers.push(("Deliver-To", &tree));
        }
        let target = self.controller.with_path(&format!("/learn{}", lesson.word()));
        match post(&target, &headers, lesson.message, self.time, limits::TRAINING_OUTPUT).await {
            Ok(response) => judge(&response),
            Err(e) => Learned::Retry(e.to_string()),
        }
    }
}

/// What an answer means (rspamd's `controller.c` and `stat_process.c`).
fn judge(response: &Response) -> Learned {
    let body = one_line(&response.body);
    let text = format!("{} {body}", response.status);
    match response.status {
        200 | 208 => Learned::Done(text),
        // Too few tokens, or a condition of its configuration: it will say so each time.
        204 => Learned::Done("204 not learnable".into()),
        // One path of the learn cache says 404 where the other says 208.
        404 if body.contains("already learned") => Learned::Done(text),
        404 => Learned::Misconfigured(format!("{text}: is a classifier configured?")),
        401 | 403 => Learned::Misconfigured(format!("{text}: rspamd wants another password")),
        _ => Learned::Retry(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let judged = |status, body: &str| judge(&Response { status, body: body.as_bytes().to_vec() });
        let done = |learned| matches!(learned, Learned::Done(_));
        assert!(done(judged(200, "{\"success\":true}")));
        assert!(done(judged(208, "{\"error\":\"<x> has been already learned as ham, ignore it\"}")));
        assert!(done(judged(404, "{\"error\":\"<x> has been already learned as ham, ignore it\"}")));
        assert!(done(judged(204, "")));
        assert!(matches!(judged(404, "{\"error\":\"no classifiers defined\"}"), Learned::Misconfigured(_)));
        assert!(matches!(judged(401, "unauthorized"), Learned::Misconfigured(_)));
        for status in [400, 429, 500, 503, 302] {
            assert!(matches!(judged(status, ""), Learned::Retry(_)), "{status}");
        }
    }
}
