//! One HTTP/1.1 connection that is served (RFC 9112): what every listener has in common. One parser, hyper's, and limits.

use super::Stop;
use super::stream::Stream;
use crate::base::limits;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::HttpService;
use smol::Timer;
use smol::io::{AsyncRead, AsyncWrite};
use smol_hyper::rt::{FuturesIo, SmolTimer};
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Why a request is not answered: the status, and what to tell.
pub type Refused = (u16, &'static str);

/// Serves a connection to its end. `head`: the most bytes of a request line with its fields.
pub async fn connection<S, H, B>(stream: S, head: usize, service: H, stop: Stop) -> io::Result<()>
where
    S: Stream + 'static,
    H: HttpService<Incoming, ResBody = B>,
    H::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let connection = http1::Builder::new()
        .timer(SmolTimer::new())
        .header_read_timeout(limits::HTTP_HEAD_TIME)
        .max_header_size(head)
        .max_headers(limits::HTTP_FIELDS)
        .max_buf_size(head * 2)
        .serve_connection(FuturesIo::new(Patient::new(stream)), service);
    let mut connection = std::pin::pin!(connection);
    let end = async {
        stop.stopped().await;
        None
    };
    let ended = smol::future::or(async { Some(connection.as_mut().await) }, end).await;
    match ended {
        Some(ended) => ended.map_err(io::Error::other),
        None => {
            connection.as_mut().graceful_shutdown();
            let late = async {
                Timer::after(limits::GRACE).await;
                Ok(())
            };
            smol::future::or(async { connection.await.map_err(io::Error::other) }, late).await
        }
    }
}

/// The whole body of a request, of at most `most` bytes, within `limits::HTTP_BODY_TIME`.
pub async fn body(body: Incoming, most: usize) -> Result<Bytes, Refused> {
    let late = async {
        Timer::after(limits::HTTP_BODY_TIME).await;
        Err((408, "the rest of the request did not come\n"))
    };
    let whole = async {
        let body = Limited::new(body, most).collect().await;
        body.map(|body| body.to_bytes()).map_err(|_| (400, "the request broke off\n"))
    };
    smol::future::or(whole, late).await
}

/// A stream whose peer must take something within `limits::WRITE_STALL`.
struct Patient<S> {
    stream: S,
    stall: Option<Timer>,
}

impl<S> Patient<S> {
    fn new(stream: S) -> Self {
        Patient { stream, stall: None }
    }

    fn watch<T>(&mut self, polled: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stall = None;
            return polled;
        }
        let timer = self.stall.get_or_insert_with(|| Timer::after(limits::WRITE_STALL));
        Pin::new(timer).poll(cx).map(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.watch(polled, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_flush(cx);
        this.watch(polled, cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.stream).poll_close(cx);
        this.watch(polled, cx)
    }
}
