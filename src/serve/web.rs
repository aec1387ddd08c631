//! The page's listener: HTTPS for browsers, or plain HTTP on loopback for a proxy in front.

use super::Serving;
use crate::base::limits;
use crate::bridge::Place;
use crate::bridge::web::{Site, Turned, Watch};
use crate::net::listen::Accepted;
use crate::net::tls::Tls;
use crate::net::web::{Answers, Caller, Lines};
use crate::net::{Gate, Listener, Pools, Stop, Tasks, executor, web};
use crate::page::request::Request;
use crate::page::response::Response;
use smol::future::Boxed;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How connections come.
pub struct Mode {
    /// HTTPS; `None`: plain HTTP.
    pub tls: Option<Arc<Tls>>,
    /// Peers that are proxies of ours.
    pub is_proxy: Box<dyn Fn(IpAddr) -> bool + Send + Sync>,
    /// The host and port of the configured address.
    pub host: Option<String>,
}

/// Serves a listener until the stop.
pub fn start(serving: &Serving, listener: Listener, gate: Arc<Gate>, mode: Mode, site: Arc<Site>) {
    let Serving { tasks, pools, stop } = serving.clone();
    let desk = Arc::new(Desk { site, pools, tasks: tasks.clone(), stop: stop.clone(), live: AtomicUsize::new(0) });
    let stopping = stop.clone();
    log::info!("the page on {}", listener.address());
    let mode = Arc::new(mode);
    // In the clear it would only look like broken TLS.
    let refusal: &[u8] = match mode.tls {
        Some(_) => b"",
        None => b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    };
    let accept = move |accepted: Accepted| {
        let name = accepted.name();
        let Accepted { socket, peer, seat } = accepted;
        let peer = peer.map(|peer| peer.ip().to_canonical());
        let is_proxy = mode.tls.is_none() && peer.is_none_or(|peer| (mode.is_proxy)(peer));
        let caller = Caller { peer, is_proxy, host: mode.host.clone() };
        let (desk, stop, mode) = (desk.clone(), stop.clone(), mode.clone());
        executor::spawn(&tasks, "a page's connection", async move {
            let served = match &mode.tls {
                Some(tls) => match tls.accept(socket).await {
                    Ok(stream) => web::serve(stream, caller, desk, stop).await,
                    Err(error) => Err(error),
                },
                None => web::serve(socket, caller, desk, stop).await,
            };
            drop(seat);
            if let Err(error) = served {
                log::debug!("page: {name}: {error}");
            }
        });
    };
    executor::spawn(&serving.tasks, "the page's listener", listener.run(gate, stopping, refusal, accept));
}

/// Gives each request its thread.
struct Desk {
    site: Arc<Site>,
    pools: Arc<Pools>,
    tasks: Tasks,
    stop: Stop,
    /// Browsers that wait for news.
    live: AtomicUsize,
}

impl Answers for Desk {
    fn answer(self: Arc<Self>, request: Request) -> Boxed<(Response, Option<Lines>)> {
        Box::pin(async move {
            let (site, place, busy) = (self.site.clone(), self.site.place(&request), Site::busy(&request));
            match self.turns(place, Box::new(move || site.answer(request))).await {
                Some(Turned::Done(response)) => (response, None),
                Some(Turned::Aside(response, rest, place)) => {
                    let desk = self.clone();
                    executor::spawn(
                        &self.tasks,
                        "work of the page",
                        async move { drop(desk.turns(place, rest).await) },
                    );
                    (response, None)
                }
                Some(Turned::Live(response, watch)) => match self.watched(watch) {
                    Some(lines) => (response, Some(lines)),
                    None => (busy, None),
                },
                Some(Turned::Again(..) | Turned::Errand(..)) | None => (busy, None),
            }
        })
    }

    fn room(&self, bytes: usize) -> Option<Box<dyn Send>> {
        self.site.room(bytes)
    }
}

impl Desk {
    /// Runs one turn after the other, each where it belongs. `None`: a queue was full, or it panicked.
    async fn turns(&self, place: Place, first: Box<dyn FnOnce() -> Turned + Send>) -> Option<Turned> {
        let (mut place, mut next) = (place, first);
        loop {
            match self.pools.start(place, next).done().await.ok()? {
                Turned::Again(at, go_on) => (place, next) = (at, go_on),
                Turned::Errand(errand, then) => {
                    let outcome = self.pools.logins.run(&errand).await;
                    (place, next) = (Place::Password, Box::new(move || then(outcome)));
                }
                turned => return Some(turned),
            }
        }
    }

    /// Sends lines as things change, until the browser has gone, is signed out, or the server stops.
    fn watched(self: &Arc<Self>, mut watch: Watch) -> Option<Lines> {
        if self.live.fetch_add(1, Ordering::Relaxed) >= limits::LIVE {
            self.live.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let (sender, lines) = smol::channel::bounded(1);
        let desk = self.clone();
        executor::spawn(&self.tasks, "a page's news", async move {
            loop {
                let listeners = watch.listeners();
                let line = watch.line().unwrap_or_else(|| b":\n\n".to_vec());
                if !watch.lives() || sender.send(line).await.is_err() {
                    break;
                }
                let beat = async {
                    smol::Timer::after(limits::LIVE_BEAT).await;
                };
                let closed = async {
                    desk.stop.stopped().await;
                    sender.close();
                };
                smol::future::or(smol::future::or(any(listeners), beat), closed).await;
            }
            desk.live.fetch_sub(1, Ordering::Relaxed);
        });
        Some(lines)
    }
}

/// Completes with the first of them.
async fn any(mut listeners: Vec<event_listener::EventListener>) {
    std::future::poll_fn(|cx| {
        let is_ready = listeners.iter_mut().any(|listener| std::pin::Pin::new(listener).poll(cx).is_ready());
        if is_ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await
}
