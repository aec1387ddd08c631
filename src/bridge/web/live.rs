//! News for a page that is open: counts of the folders, and the newest message of the one that is shown.

use super::{Answered, Remembered, Site, Turned, Visit, folder, href};
use crate::mail::Kept;
use crate::page::request::Request;
use crate::page::response::{Body, POLICY, Response};
use crate::quarantine::session::Session;
use crate::store::{Reach, ViewCell};
use event_listener::EventListener;
use std::fmt::Write;
use std::sync::Arc;

/// What a page watches. No change is lost if [`Watch::listeners`] is called before [`Watch::line`].
pub struct Watch {
    site: Arc<Site>,
    session: Arc<Session<Remembered>>,
    request: Request,
    shown: Kept,
    cells: Vec<(Kept, Arc<ViewCell>)>,
    last: String,
}

impl Watch {
    /// Each completes when something changes.
    pub fn listeners(&self) -> Vec<EventListener> {
        self.cells.iter().map(|(_, cell)| cell.listen()).collect()
    }

    /// The next line, when there is something new.
    pub fn line(&mut self) -> Option<Vec<u8>> {
        let mut counts = String::new();
        let mut newest = 0;
        for (kept, cell) in &self.cells {
            let view = cell.view();
            let comma = if counts.is_empty() { "" } else { "," };
            // Writing to a String does not fail.
            let _ = write!(counts, "{comma}\"{}\":{}", href(*kept), view.list.len());
            if *kept == self.shown {
                newest = view.list.last().unwrap_or(0);
            }
        }
        let line = format!("data: {{\"counts\":{{{counts}}},\"newest\":{newest}}}\n\n");
        if line == self.last {
            return None;
        }
        self.last = line.clone();
        Some(line.into_bytes())
    }

    /// Whether the session goes on.
    pub fn lives(&self) -> bool {
        let token = self.request.cookie(super::COOKIE).unwrap_or_default();
        let found = self.site.sessions.find(token, &self.site.accounts, self.site.quarantine.store.now());
        found.is_some_and(|session| Arc::ptr_eq(&session, &self.session))
    }
}

impl Visit {
    pub(super) fn live(self) -> Answered {
        let quarantine = self.quarantine();
        let reach: Reach = quarantine.reach(&self.session.account)?;
        let kept = quarantine.folders().into_iter().filter_map(|listed| listed.row.kept);
        let cells = kept.map(|kept| (kept, quarantine.store.view(reach, kept))).collect();
        let shown = self.request.query.text("of").strip_prefix('/').and_then(folder).unwrap_or(Kept::Caught);
        let fields = vec![("content-type", "text/event-stream".to_string()), ("x-accel-buffering", "no".to_string())];
        let response = Response { status: 200, fields, body: Body::Events, policy: POLICY, in_frame: false };
        let Visit { site, session, request } = self;
        Ok(Turned::Live(response, Watch { site, session, request, shown, cells, last: String::new() }))
    }
}
