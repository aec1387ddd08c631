//! The page's requests: who asks, whether he may, and what he is shown. Synchronous; long work is cut into turns, and
//! `serve::web` gives each its thread.

mod desk;
pub mod digest;
mod links;
mod listing;
mod live;
pub mod message;
mod metrics;
mod query;
mod reading;
mod senders;
mod sign_in;
mod verbs;

pub use live::Watch;

use super::Place;
use super::memory::Memory;
use crate::base::{Errand, Fault, Outcome, limits};
use crate::mail::Kept;
use crate::mail::senders::Sense;
use crate::page::layout::{self, Frame, Notice, Tab};
use crate::page::request::{Method, Origin, Request};
use crate::page::response::Response;
use crate::page::texts::{Common, Digest, Language, Site as Texts};
use crate::quarantine::session::{Session, Sessions};
use crate::quarantine::{Accounts, Quarantine};
use std::net::IpAddr;
use std::sync::{Arc, MutexGuard, PoisonError};
use verbs::{Undoable, Works};

/// The cookie of a session. Its prefix binds it to this host, to TLS and to the whole site (RFC 6265bis 4.1.3).
const COOKIE: &str = "__Host-lazaret";
/// The cookie of somebody who looks at the sign-in.
const FORM_COOKIE: &str = "__Host-lazaret-form";

/// What all requests share.
pub struct Site {
    quarantine: Arc<Quarantine>,
    accounts: Arc<Accounts>,
    sessions: Sessions<Remembered>,
    works: Works,
    uploads: Arc<Memory>,
    /// Who may read the metrics.
    may_measure: Box<dyn Fn(IpAddr) -> bool + Send + Sync>,
}

/// What a session remembers from one page to the next.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    notice: Option<Notice>,
    /// What the last action did, so that it can be undone.
    undoable: Undoable,
}

/// What became of a request so far.
pub enum Turned {
    /// The answer.
    Done(Response),
    /// More is to be done before the answer is known.
    Again(Place, Box<dyn FnOnce() -> Turned + Send>),
    /// A server elsewhere must be asked first: no thread waits for it. The rest belongs where passwords are checked.
    Errand(Errand, Box<dyn FnOnce(Outcome) -> Turned + Send>),
    /// The answer; the rest is done afterwards.
    Aside(Response, Box<dyn FnOnce() -> Turned + Send>, Place),
    /// Lines follow, as things change.
    Live(Response, Watch),
}

impl Turned {
    fn again(place: Place, go_on: impl FnOnce() -> Turned + Send + 'static) -> Turned {
        Turned::Again(place, Box::new(go_on))
    }
}

/// A request of somebody who is signed in.
struct Visit {
    site: Arc<Site>,
    session: Arc<Session<Remembered>>,
    request: Request,
}

/// Why there is no page; each is a page of its own.
enum NoPage {
    /// There is no such thing.
    Missing,
    /// The message has gone.
    Gone,
    /// The form is not ours.
    Foreign,
    /// Too much is done at the moment.
    Busy,
    /// The disk failed.
    Trouble(Fault),
    /// A message could not be read; the log has why.
    Unreadable,
}

impl From<Fault> for NoPage {
    fn from(fault: Fault) -> Self {
        NoPage::Trouble(fault)
    }
}

type Answered = Result<Turned, NoPage>;

impl Site {
    /// A site without sessions; `may_measure` says who may read the metrics. `None`: the system has no random bytes.
    pub fn new(
        quarantine: Arc<Quarantine>,
        accounts: Arc<Accounts>,
        may_measure: impl Fn(IpAddr) -> bool + Send + Sync + 'static,
    ) -> Option<Site> {
        let uploads = Arc::new(Memory::new(limits::UPLOADS));
        let (sessions, works, may_measure) = (Sessions::new()?, Works::default(), Box::new(may_measure));
        Some(Site { quarantine, accounts, sessions, works, uploads, may_measure })
    }

    /// On which threads a request is answered.
    pub fn place(&self, request: &Request) -> Place {
        match (request.method, request.path.as_str()) {
            (Method::Post, "/sign-in") => Place::Password,
            (_, "/style.css" | "/script.js" | "/icon.svg" | "/healthz") => Place::Inline,
            _ => Place::Disk,
        }
    }

    /// Room for a body of so many bytes.
    pub fn room(&self, bytes: usize) -> Option<Box<dyn Send>> {
        let mut share = super::memory::Share::of(&self.uploads);
        share.is(bytes).then(|| Box::new(share) as Box<dyn Send>)
    }

    /// The answer when no thread is free, or answering panicked.
    pub fn busy(request: &Request) -> Response {
        let text = Texts::of(request.language).busy;
        Response::html(503, layout::refusal(request.language, text)).with("retry-after", "2")
    }

    /// Answers a request.
    pub fn answer(self: Arc<Self>, request: Request) -> Turned {
        let language = request.language;
        self.dispatch(request).unwrap_or_else(|why| refused(language, why))
    }

    fn dispatch(self: Arc<Self>, request: Request) -> Answered {
        let segments = request.segments().ok_or(NoPage::Missing)?;
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        let fixed = |media_type, text: &str| {
            let response = Response::bytes(200, media_type, text.as_bytes().to_vec());
            Ok(Turned::Done(response.with("cache-control", "public, max-age=3600")))
        };
        match (request.method, path.as_slice()) {
            (Method::Get, ["style.css"]) => return fixed("text/css; charset=utf-8", layout::STYLE),
            (Method::Get, ["script.js"]) => return fixed("text/javascript; charset=utf-8", layout::SCRIPT),
            (Method::Get, ["icon.svg" | "favicon.ico"]) => return fixed("image/svg+xml", layout::ICON),
            (Method::Get, ["healthz"]) => return Ok(Turned::Done(self.health())),
            (Method::Get, ["metrics"]) if request.peer.is_some_and(|peer| (self.may_measure)(peer)) => {
                return Ok(Turned::Done(self.metrics()));
            }
            (Method::Get, ["sign-in"]) => return self.show_sign_in(&request),
            (Method::Post, ["sign-in"]) => return self.sign_in(request),
            // It is good by itself, whoever follows it.
            (_, ["link", text]) => return self.link(&request, text),
            _ => {}
        }
        let token = request.cookie(COOKIE).unwrap_or_default();
        let Some(session) = self.sessions.find(token, &self.accounts, self.quarantine.store.now()) else {
            return match request.method {
                Method::Get if path.as_slice() == ["events"] => Ok(Turned::Done(Response::text(403, "signed out\n"))),
                Method::Get => Ok(Turned::Done(Response::see("/sign-in"))),
                Method::Post => Err(NoPage::Foreign),
            };
        };
        // A form of another site, or of somebody else's session, does nothing.
        if request.method == Method::Post
            && (request.origin == Origin::Foreign || !session.is_form(request.form.text("csrf")))
        {
            return Err(NoPage::Foreign);
        }
        let visit = Visit { site: self, session, request };
        match (visit.request.method, path.as_slice()) {
            (Method::Get, []) => Ok(Turned::Done(Response::see(href(Kept::Caught)))),
            (Method::Post, ["sign-out"]) => Ok(Turned::Done(visit.sign_out())),
            (Method::Get, ["events"]) => visit.live(),
            (Method::Post, ["act"]) => visit.act(),
            (Method::Post, ["undo"]) => visit.undo(),
            (_, ["digest"]) => visit.digest(),
            (Method::Get, ["work", id]) => visit.work(id),
            (Method::Get, ["message", recipient, id]) => visit.message(recipient, id),
            (method, ["message", recipient, id, word]) if let Some(sense) = Sense::from_word(word) => match method {
                Method::Get => visit.ask_about_sender(recipient, id, sense),
                Method::Post => visit.answer_about_sender(recipient, id, sense),
            },
            (Method::Get, ["senders"]) => visit.senders(),
            (Method::Post, ["senders"]) => visit.change_senders(),
            (Method::Get, ["message", recipient, id, what @ ..]) => visit.behind(recipient, id, what),
            (Method::Get, ["history"]) => visit.history(),
            (Method::Get, ["requests"]) => visit.requests(),
            (Method::Post, ["requests"]) => visit.decide(),
            (Method::Get, ["status"]) => visit.status(),
            (Method::Get, ["report"]) => visit.show_report(),
            (Method::Post, ["report"]) => visit.report(),
            (Method::Get, [name]) if folder(name).is_some() => visit.list(folder(name).ok_or(NoPage::Missing)?),
            _ => Err(NoPage::Missing),
        }
    }
}

/// A page that says why there is no other.
fn refused(language: Language, why: NoPage) -> Turned {
    let texts = Texts::of(language);
    let (status, text) = match why {
        NoPage::Missing => (404, texts.not_found),
        NoPage::Gone => (410, texts.gone),
        NoPage::Foreign => (403, texts.foreign),
        NoPage::Busy => (503, texts.busy),
        NoPage::Unreadable => (500, texts.trouble),
        NoPage::Trouble(fault) => {
            log::error!("{fault}");
            (500, texts.trouble)
        }
    };
    Turned::Done(Response::html(status, layout::refusal(language, text)))
}

/// Where a folder's list is.
fn href(kept: Kept) -> &'static str {
    match kept {
        Kept::Caught => "/caught",
        Kept::Outgoing => "/outgoing",
        Kept::Training => "/training",
        Kept::Trash => "/trash",
    }
}

/// The folder whose list is at this name.
fn folder(name: &str) -> Option<Kept> {
    Kept::ALL.into_iter().find(|kept| href(*kept).strip_prefix('/') == Some(name))
}

/// What people call a folder.
fn label(kept: Kept, common: &'static Common) -> &'static str {
    match kept {
        Kept::Caught => common.caught,
        Kept::Outgoing => common.outgoing,
        Kept::Training => common.training,
        Kept::Trash => common.trash,
    }
}

impl Visit {
    fn quarantine(&self) -> &Arc<Quarantine> {
        &self.site.quarantine
    }

    fn texts(&self) -> &'static Texts {
        Texts::of(self.request.language)
    }

    fn common(&self) -> &'static Common {
        Common::of(self.request.language)
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.session.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_wide(&self) -> bool {
        !matches!(self.session.account.scope, crate::quarantine::Scope::Recipient(_))
    }

    /// The frame of a page. What became of the last action is told once.
    fn frame(&self, title: &str, current: &str) -> Result<Frame, NoPage> {
        let quarantine = self.quarantine();
        let mut tabs = Vec::new();
        for kept in quarantine.folders().iter().filter_map(|listed| listed.row.kept) {
            let reach = quarantine.reach(&self.session.account)?;
            let view = quarantine.store.view(reach, kept).view();
            tabs.push(Tab {
                href: href(kept).to_string(),
                label: label(kept, self.common()).to_string(),
                count: Some(view.list.len()),
                unread: view.unseen,
                is_current: href(kept) == current,
            });
        }
        let waiting = quarantine.requests(&self.session.account).len() as u32;
        for (at, name) in desk::others(self) {
            tabs.push(Tab {
                href: at.to_string(),
                label: name.to_string(),
                count: (at == "/requests" && waiting > 0).then_some(waiting),
                unread: 0,
                is_current: at == current,
            });
        }
        if quarantine.digest_rules().is_on() {
            let label = Digest::of(self.request.language).settings.to_string();
            tabs.push(Tab { href: "/digest".into(), label, is_current: current == "/digest", ..Tab::default() });
        }
        Ok(Frame {
            language: self.request.language,
            title: title.to_string(),
            login: self.session.account.login.clone(),
            form_token: self.session.form_token.clone(),
            tabs,
            notice: self.remembered().notice.take(),
        })
    }
}
