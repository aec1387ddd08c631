//! Which server a recipient's mail goes to, and the connections to it.

use crate::base::limits;
use crate::mail::prerelease;
use crate::net::smtp::{Courier, Destination};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Others look again after this many seconds whether a server that was away is back.
const PROBE_PAUSE: u64 = 5;

/// The servers, by the recipient's domain.
#[derive(Debug, Clone)]
pub struct Routes {
    /// For every domain without one of its own.
    pub default: Route,
    /// By domain, in lower case.
    pub by_domain: HashMap<String, Route>,
}

/// One way for released mail.
#[derive(Debug, Clone)]
pub struct Route {
    /// Where it goes.
    pub to: Destination,
    /// Header fields that our own filter adds: they are put aside.
    pub own_headers: Arc<[String]>,
}

/// The same with their connections.
pub(super) struct Roads {
    default: Road,
    by_domain: HashMap<String, Road>,
}

/// One server, its idle connections, and whether it could be reached.
pub(super) struct Road {
    destination: Arc<Destination>,
    own_headers: Arc<[String]>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Courier>,
    /// Attempts in a row that did not reach the server.
    unreached: u32,
    /// It is not tried before, in seconds since 1970.
    rests_until: u64,
    /// After a rest one worker tries, alone.
    probing: bool,
}

impl Roads {
    pub(super) fn new(routes: Routes) -> Self {
        let by_domain = routes.by_domain.into_iter().map(|(domain, to)| (domain, Road::new(to))).collect();
        Roads { default: Road::new(routes.default), by_domain }
    }

    /// The road to a recipient.
    pub(super) fn to(&self, recipient: &str) -> &Road {
        let domain = recipient.rsplit_once('@').map_or("", |(_, domain)| domain).to_lowercase();
        self.by_domain.get(&domain).unwrap_or(&self.default)
    }

    /// Takes all idle connections, to be closed.
    pub(super) fn take_idle(&self) -> Vec<Courier> {
        let roads = self.by_domain.values().chain([&self.default]);
        roads.flat_map(|road| std::mem::take(&mut road.state().idle)).collect()
    }
}

impl Road {
    pub(super) fn new(route: Route) -> Self {
        Road { destination: Arc::new(route.to), own_headers: route.own_headers, state: Mutex::default() }
    }

    /// A message as it goes this way; the first `ours` bytes are what we put on top.
    pub(super) fn dress(&self, message: Vec<u8>, ours: usize) -> Vec<u8> {
        prerelease::set_aside(message, ours, &self.own_headers)
    }

    /// Until when this server is left alone. After `None` the caller tries it, and must say so with `give_back`.
    pub(super) fn rests(&self, now: u64) -> Option<u64> {
        let mut state = self.state();
        if state.rests_until > now {
            return Some(state.rests_until);
        }
        if state.unreached > 0 && std::mem::replace(&mut state.probing, true) {
            return Some(now.saturating_add(PROBE_PAUSE));
        }
        None
    }

    /// A connection of its own for the caller.
    pub(super) fn courier(&self) -> Courier {
        self.state().idle.pop().unwrap_or_else(|| Courier::new(self.destination.clone()))
    }

    /// Gives it back after use. A server that was not reached rests, so that its messages do not keep every worker busy
    /// with waiting while others could be served.
    pub(super) fn give_back(&self, courier: Courier, now: u64) {
        let mut state = self.state();
        state.probing = false;
        if courier.has_reached() {
            state.unreached = 0;
            state.rests_until = 0;
        } else {
            state.unreached = state.unreached.saturating_add(1);
            let first = limits::RETRY_FIRST.as_secs() / 2;
            let pause = first.saturating_mul(u64::from(state.unreached)).min(limits::RETRY_FIRST.as_secs() * 5);
            state.rests_until = now.saturating_add(pause);
        }
        if courier.is_connected() {
            state.idle.push(courier);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
