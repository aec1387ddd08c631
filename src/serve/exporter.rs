//! The listener for rspamd's exporter: plain HTTP, for a filter on this machine or a trusted network.

use super::Serving;
use crate::base::Secret;
use crate::bridge::Place;
use crate::bridge::exporter::{Export, Exports, LOST};
use crate::net::export::{self, Files, Rules};
use crate::net::listen::Accepted;
use crate::net::{Gate, Listener, Pools, executor};
use smol::future::Boxed;
use std::sync::Arc;

/// Who may tell, and how much.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The password; `None`: whoever may connect may tell.
    pub token: Option<Secret<String>>,
    /// The largest body of a request.
    pub most: usize,
}

/// Serves a listener until the stop.
pub fn start(serving: &Serving, listener: Listener, gate: Arc<Gate>, terms: Terms, exports: Arc<Exports>) {
    let Serving { tasks, pools, stop } = serving.clone();
    let desk = Arc::new(Desk { exports, pools });
    let stopping = stop.clone();
    log::info!("rspamd's exporter on {}", listener.address());
    let accept = move |accepted: Accepted| {
        let peer = accepted.name();
        // The password comes with each request.
        accepted.seat.known();
        let Accepted { socket, seat, .. } = accepted;
        let rules = Rules { token: terms.token.clone(), most: terms.most, peer: peer.clone() };
        let (desk, stop) = (desk.clone(), stop.clone());
        executor::spawn(&tasks, "an exporter's connection", async move {
            if let Err(error) = export::serve(socket, rules, desk, stop).await {
                log::debug!("exporter: {peer}: {error}");
            }
            drop(seat);
        });
    };
    let refusal = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    executor::spawn(&serving.tasks, "the exporter's listener", listener.run(gate, stopping, refusal, accept));
}

/// Gives each message its thread.
struct Desk {
    exports: Arc<Exports>,
    pools: Arc<Pools>,
}

impl Files for Desk {
    fn file(self: Arc<Self>, export: Export) -> Boxed<(u16, String)> {
        Box::pin(async move {
            let exports = self.exports.clone();
            let answered = self.pools.start(Place::Disk, move || exports.take(&export)).done().await;
            answered.unwrap_or_else(|error| {
                log::error!("exporter: a message is not kept: {error}; {LOST}");
                (503, "busy".to_string())
            })
        })
    }

    fn room(&self, bytes: usize) -> Option<Box<dyn Send>> {
        self.exports.room(bytes)
    }
}
