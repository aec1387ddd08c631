//! The IMAP listener, in its three modes.

use super::Serving;
use crate::base::Core;
use crate::bridge::Bridge;
use crate::net::listen::Accepted;
use crate::net::tls::Tls;
use crate::net::{Connection, Gate, Listener, executor};
use std::sync::Arc;

/// How a connection begins.
#[derive(Debug, Clone)]
pub enum Mode {
    /// TLS from the first byte (RFC 8314 3.2), port 993.
    Tls(Arc<Tls>),
    /// In the clear, with STARTTLS before a login, port 143.
    StartTls(Arc<Tls>),
    /// In the clear: for this machine and for tests.
    Plain,
}

impl Mode {
    /// Whether a connection is under TLS before its core says anything.
    pub fn is_tls(&self) -> bool {
        matches!(self, Mode::Tls(_))
    }

    /// Whether the core may offer STARTTLS.
    pub fn offers_starttls(&self) -> bool {
        matches!(self, Mode::StartTls(_))
    }
}

/// Serves a listener until the stop; `make` gives each connection its core and bridge. The bridge should keep
/// `accepted.seat` and call [`crate::net::Seat::known`] at the login.
pub fn start<C, B>(
    serving: &Serving,
    listener: Listener,
    gate: Arc<Gate>,
    mode: Mode,
    make: impl Fn(&Accepted) -> (C, B) + Send + Sync + 'static,
) where
    C: Core + Send + 'static,
    C::Question: Send + 'static,
    C::Answer: Send + 'static,
    B: Bridge<C>,
{
    let Serving { tasks, pools, stop } = serving.clone();
    let stopping = stop.clone();
    let refusal: &[u8] = match mode {
        // Bytes in the clear would only look like broken TLS.
        Mode::Tls(_) => b"",
        Mode::StartTls(_) | Mode::Plain => b"* BYE [UNAVAILABLE] too many connections, try again later\r\n",
    };
    let at = listener.address();
    log::info!("IMAP on {at}");
    let accept = move |accepted: Accepted| {
        let peer = accepted.name();
        let (core, bridge) = make(&accepted);
        let connection =
            Connection::new(core, bridge, pools.clone(), stop.clone(), b"* BYE [UNAVAILABLE] the server stops\r\n");
        let Accepted { socket, seat, .. } = accepted;
        let mode = mode.clone();
        executor::spawn(&tasks, "an IMAP connection", async move {
            let ended = match mode {
                Mode::Tls(tls) => connection.run_tls(socket, tls).await,
                Mode::StartTls(tls) => connection.run(socket, Some(tls)).await,
                Mode::Plain => connection.run(socket, None).await,
            };
            drop(seat);
            log::log!(if ended.is_ours() { log::Level::Error } else { log::Level::Debug }, "imap: {peer}: {ended}");
        });
    };
    executor::spawn(&serving.tasks, "the IMAP listener", listener.run(gate, stopping, refusal, accept));
}
