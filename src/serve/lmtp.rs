//! The LMTP listener: in the clear, for programs on this machine or a trusted network.

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
        let connection = Connection::new(
            core,
            bridge,
            pools.clone(),
            stop.clone(),
            b"421 4.3.2 the server stops, try again later\r\n",
        );
        let Accepted { socket, seat, .. } = accepted;
        executor::spawn(&tasks, "an LMTP connection", async move {
            let ended = connection.run(socket, None).await;
            drop(seat);
            log::log!(if ended.is_ours() { log::Level::Error } else { log::Level::Debug }, "lmtp: {peer}: {ended}");
        });
    };
    let run = listener.run(gate, stopping, b"421 4.7.0 too many connections, try again later\r\n", accept);
    log::info!("LMTP on {at}");
    executor::spawn(&serving.tasks, "the LMTP listener", run);
}
