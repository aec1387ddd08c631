//! The milter listener: in the clear, for mail servers on this machine or a trusted network.

use super::Serving;
use crate::base::Core;
use crate::bridge::Bridge;
use crate::net::listen::Accepted;
use crate::net::{Connection, Gate, Listener, executor};
use std::sync::Arc;

/// Serves a listener until the stop; `make` gives each connection its core and bridge.
pub fn start<C, B>(
    serving: &Serving,
    listener: Listener,
    gate: Arc<Gate>,
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
        // The protocol has no word for it: the mail server does what it does without its filter.
        let connection = Connection::new(core, bridge, pools.clone(), stop.clone(), b"");
        let Accepted { socket, seat, .. } = accepted;
        executor::spawn(&tasks, "a milter connection", async move {
            let ended = connection.run(socket, None).await;
            drop(seat);
            log::log!(if ended.is_ours() { log::Level::Error } else { log::Level::Debug }, "milter: {peer}: {ended}");
        });
    };
    let run = listener.run(gate, stopping, b"", accept);
    log::info!("milter on {at}");
    executor::spawn(&serving.tasks, "the milter listener", run);
}
