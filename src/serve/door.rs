//! The listeners of LMTP and of the milter: in the clear, for programs on this machine or a trusted network.

use super::Serving;
use crate::base::Core;
use crate::bridge::Bridge;
use crate::net::listen::Accepted;
use crate::net::{Connection, Gate, Listener, executor};
use std::sync::Arc;

/// What tells the protocols apart here.
pub struct Protocol {
    name: &'static str,
    connection: &'static str,
    listener: &'static str,
    /// Said to a connection that ends because we stop.
    stopping: &'static [u8],
    /// Said to one too many.
    full: &'static [u8],
}

/// RFC 2033
pub const LMTP: Protocol = Protocol {
    name: "LMTP",
    connection: "an LMTP connection",
    listener: "the LMTP listener",
    stopping: b"421 4.3.2 the server stops, try again later\r\n",
    full: b"421 4.7.0 too many connections, try again later\r\n",
};

/// It has no words for either: the mail server does what it does without its filter.
pub const MILTER: Protocol = Protocol {
    name: "milter",
    connection: "a milter connection",
    listener: "the milter listener",
    stopping: b"",
    full: b"",
};

/// Serves a listener until the stop; `make` gives each connection its core and bridge.
pub fn start<C, B>(
    serving: &Serving,
    listener: Listener,
    gate: Arc<Gate>,
    protocol: &'static Protocol,
    make: impl Fn(&Accepted) -> (C, B) + Send + Sync + 'static,
) where
    C: Core + Send + 'static,
    C::Question: Send + 'static,
    C::Answer: Send + 'static,
    B: Bridge<C>,
{
    let Serving { tasks, pools, stop } = serving.clone();
    let stopping = stop.clone();
    let at = listener.address();
    let accept = move |accepted: Accepted| {
        // There is no login here.
        accepted.seat.known();
        let peer = accepted.name();
        let (core, bridge) = make(&accepted);
        let connection = Connection::new(core, bridge, pools.clone(), stop.clone(), protocol.stopping);
        let Accepted { socket, seat, .. } = accepted;
        executor::spawn(&tasks, protocol.connection, async move {
            let ended = connection.run(socket, None).await;
            drop(seat);
            let level = if ended.is_ours() { log::Level::Error } else { log::Level::Debug };
            log::log!(level, "{}: {peer}: {ended}", protocol.name.to_lowercase());
        });
    };
    let run = listener.run(gate, stopping, protocol.full, accept);
    log::info!("{} on {at}", protocol.name);
    executor::spawn(&serving.tasks, protocol.listener, run);
}
