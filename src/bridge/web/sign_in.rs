//! Signing in and out.

use super::{Answered, COOKIE, FORM_COOKIE, NoPage, Site, Turned, Visit};
use crate::base::Secret;
use crate::page::layout;
use crate::page::request::{Origin, Request};
use crate::page::response::Response;
use crate::page::texts::{Site as Texts, fill};
use crate::quarantine::account::Verdict;
use std::sync::Arc;

/// A cookie that only this site gets, and no script.
fn cookie(name: &str, value: &str) -> String {
    let lifetime = if value.is_empty() { "; Max-Age=0" } else { "" };
    format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{lifetime}")
}

impl Site {
    pub(super) fn show_sign_in(&self, request: &Request) -> Answered {
        Ok(Turned::Done(self.sign_in_page(request, 200, "", None)))
    }

    fn sign_in_page(&self, request: &Request, status: u16, login: &str, trouble: Option<&str>) -> Response {
        let mut fresh = None;
        let known = request.cookie(FORM_COOKIE).filter(|cookie| !cookie.is_empty());
        let value = known.map(str::to_string).or_else(|| {
            fresh = self.sessions.random_text();
            fresh.clone()
        });
        let seal = self.sessions.sealed(&value.unwrap_or_default());
        let response = Response::html(status, layout::sign_in(request.language, &seal, login, trouble));
        match fresh {
            Some(value) => response.with("set-cookie", cookie(FORM_COOKIE, &value)),
            None => response,
        }
    }

    pub(super) fn sign_in(self: Arc<Self>, request: Request) -> Answered {
        let seal = request.form.text("csrf");
        let form_cookie = request.cookie(FORM_COOKIE).unwrap_or_default();
        if request.origin == Origin::Foreign || !self.sessions.is_sealed(form_cookie, seal) {
            return Err(NoPage::Foreign);
        }
        let password = Secret::new(request.form.text("password").as_bytes().to_vec());
        let now = self.quarantine.store.now();
        let verdict = self.accounts.verify(request.form.text("login").trim(), &password, request.peer, now);
        Ok(self.signed_in(request, verdict))
    }

    /// What follows from a verdict.
    fn signed_in(self: Arc<Self>, request: Request, verdict: Verdict) -> Turned {
        let (texts, login) = (Texts::of(request.language), request.form.text("login").trim());
        let now = self.quarantine.store.now();
        Turned::Done(match verdict {
            Verdict::Good(account) => {
                log::info!(
                    "page: login: user=<{}> from=<{}>",
                    account.login,
                    request.peer.map_or("local".to_string(), |peer| peer.to_string())
                );
                if let Some(old) = request.cookie(COOKIE) {
                    self.sessions.end(old);
                }
                match self.sessions.begin(account, &self.accounts, now) {
                    Some(token) => Response::see("/").with("set-cookie", cookie(COOKIE, &token)),
                    None => self.sign_in_page(&request, 403, login, Some(texts.wrong)),
                }
            }
            // The pause that makes guessing slow is kept by the account layer: the next tries are not looked at.
            Verdict::Wrong(_) => self.sign_in_page(&request, 403, login, Some(texts.wrong)),
            Verdict::Later(pause) => {
                let seconds = pause.as_secs().max(1).to_string();
                let page = self.sign_in_page(&request, 429, login, Some(&fill(texts.wait, &[&seconds])));
                page.with("retry-after", seconds)
            }
            Verdict::Unavailable => self.sign_in_page(&request, 503, login, Some(texts.unavailable)),
            Verdict::Elsewhere(check) => {
                let quarantine = self.quarantine.clone();
                let errand = self.accounts.errand(&check, move || quarantine.store.now());
                let then = move |outcome| {
                    let verdict = self.accounts.learned(&check, outcome, self.quarantine.store.now());
                    self.signed_in(request, verdict)
                };
                return Turned::Errand(errand, Box::new(then));
            }
        })
    }
}

impl Visit {
    pub(super) fn sign_out(&self) -> Response {
        self.site.sessions.end(self.request.cookie(COOKIE).unwrap_or_default());
        Response::see("/sign-in").with("set-cookie", cookie(COOKIE, "")).with("clear-site-data", "\"cache\"")
    }
}
