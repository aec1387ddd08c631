//! An accepted connection before TLS, and writing with a limit on standing still.

use crate::base::limits;
use smol::Timer;
use smol::io::{AsyncRead, AsyncWrite};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A byte stream that the driving loop can drive.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A TCP or Unix connection.
#[derive(Debug, Clone)]
pub enum Socket {
    /// Over TCP.
    Tcp(smol::net::TcpStream),
    /// Over a Unix socket.
    Unix(smol::net::unix::UnixStream),
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Tcp(s) => Pin::new(s).poll_read(cx, buf),
            Socket::Unix(s) => Pin::new(s).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Tcp(s) => Pin::new(s).poll_write(cx, buf),
            Socket::Unix(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    /// The records of TLS come this way: without it each would be a call of its own, and a packet of its own.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Socket::Tcp(s) => Pin::new(s).poll_write_vectored(cx, bufs),
            Socket::Unix(s) => Pin::new(s).poll_write_vectored(cx, bufs),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(s) => Pin::new(s).poll_flush(cx),
            Socket::Unix(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Socket::Tcp(s) => Pin::new(s).poll_close(cx),
            Socket::Unix(s) => Pin::new(s).poll_close(cx),
        }
    }
}

/// Writes all bytes and flushes (TLS keeps records back until then).
///
/// # Errors
/// `TimedOut` when nothing could be written for `limits::WRITE_STALL`; else what the stream said.
pub async fn write_all<S: Stream>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    let mut at = 0;
    let mut stall: Option<Timer> = None;
    poll_fn(|cx| {
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let polled = match rest {
                [] => Pin::new(&mut *stream).poll_flush(cx).map_ok(|()| 0),
                rest => Pin::new(&mut *stream).poll_write(cx, rest),
            };
            match polled {
                Poll::Ready(Ok(_)) if rest.is_empty() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => {
                    at += count;
                    stall = None;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    let timer = stall.get_or_insert_with(|| Timer::after(limits::WRITE_STALL));
                    ready!(Pin::new(timer).poll(cx));
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol::io::AsyncReadExt;

    #[test]
    fn what_comes_in_pieces_goes_out_in_one_call() {
        smol::block_on(async {
            let listener = smol::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut peer = smol::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let mut socket = Socket::Tcp(listener.accept().await.unwrap().0);
            let pieces = [IoSlice::new(b"three "), IoSlice::new(b"records"), IoSlice::new(b" of TLS")];
            let sent = poll_fn(|cx| Pin::new(&mut socket).poll_write_vectored(cx, &pieces)).await.unwrap();
            assert_eq!(sent, 20);
            let mut got = [0; 20];
            peer.read_exact(&mut got).await.unwrap();
            assert_eq!(&got, b"three records of TLS");
        });
    }
}
