//! A stream that is compressed both ways (RFC 4978, RFC 1951).
//!
//! What we send is compressed afresh for each piece that is written, without what was sent before: answers come in pieces of
//! some ten KB, so little is lost by it, and the compressor's quarter of a megabyte belongs to the thread and not to the
//! connection. What a peer sends may refer to the 32 KB before it, so each connection keeps a decompressor.

use super::stream::Stream;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use smol::io::{AsyncRead, AsyncWrite};
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Compressed input that is read at once. Whoever sends few bytes that become many gets no further than their first.
const INPUT: usize = 4 << 10;
/// What is compressed at once; it takes less than a millisecond.
const OUTPUT: usize = 64 << 10;
/// Level 3 of 9: half the time of the usual 6, for a tenth more bytes.
const LEVEL: u32 = 3;

thread_local! {
    static COMPRESS: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(LEVEL), false));
}

/// A stream under DEFLATE.
pub struct Deflate<S> {
    stream: S,
    inflate: Decompress,
    /// Compressed input that is not used up, and how far it is.
    input: Vec<u8>,
    used: usize,
    /// The last piece filled its buffer: there may be more of it inside.
    is_full: bool,
    /// Compressed output that the peer has not taken, and how far it has.
    output: Vec<u8>,
    sent: usize,
}

impl<S> Deflate<S> {
    /// From here on everything is compressed.
    pub fn new(stream: S) -> Self {
        Deflate {
            stream,
            inflate: Decompress::new(false),
            input: Vec::new(),
            used: 0,
            is_full: false,
            output: Vec::new(),
            sent: 0,
        }
    }

    /// The next bytes from what was read; none when more has to be read.
    fn inflate(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        if self.used >= self.input.len() && !self.is_full {
            return Ok(None);
        }
        let (taken, made) = (self.inflate.total_in(), self.inflate.total_out());
        let input = self.input.get(self.used..).unwrap_or_default();
        let status = self
            .inflate
            .decompress(input, buf, FlushDecompress::None)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let made = (self.inflate.total_out() - made) as usize;
        self.used += (self.inflate.total_in() - taken) as usize;
        self.is_full = made == buf.len();
        if self.used >= self.input.len() {
            (self.input, self.used) = (Vec::new(), 0);
        }
        match (made, status) {
            // the peer says that nothing more comes
            (0, Status::StreamEnd) => Ok(Some(0)),
            (0, _) if !self.input.is_empty() => Err(io::Error::from(io::ErrorKind::InvalidData)),
            (0, _) => Ok(None),
            (made, _) => Ok(Some(made)),
        }
    }
}

impl<S: Stream> Deflate<S> {
    /// Sends what is compressed, and keeps no memory for it.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.output.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.sent += count,
            }
        }
        (self.output, self.sent) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }
}

/// These bytes, compressed, so that a peer that has them all can read them all.
fn deflate(bytes: &[u8]) -> io::Result<Vec<u8>> {
    COMPRESS.with_borrow_mut(|compress| {
        compress.reset();
        let mut out = Vec::with_capacity(bytes.len() / 2 + 64);
        loop {
            let rest = bytes.get(compress.total_in() as usize..).unwrap_or_default();
            compress.compress_vec(rest, &mut out, FlushCompress::Sync).map_err(io::Error::other)?;
            // room that is left is the sign that the flush is whole
            if compress.total_in() as usize >= bytes.len() && out.len() < out.capacity() {
                return Ok(out);
            }
            out.reserve(out.capacity().max(64));
        }
    })
}

impl<S: Stream> AsyncRead for Deflate<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        loop {
            if let Some(count) = this.inflate(buf)? {
                return Poll::Ready(Ok(count));
            }
            let mut piece = [0; INPUT];
            match ready!(Pin::new(&mut this.stream).poll_read(cx, &mut piece))? {
                0 => return Poll::Ready(Ok(0)),
                count => this.input = piece.get(..count).unwrap_or_default().to_vec(),
            }
        }
    }
}

impl<S: Stream> AsyncWrite for Deflate<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        let piece = buf.get(..OUTPUT).unwrap_or(buf);
        this.output = deflate(piece)?;
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.stream).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol::io::{AsyncReadExt, AsyncWriteExt, Cursor};

    fn read(wire: Vec<u8>, piece: usize) -> io::Result<Vec<u8>> {
        smol::block_on(async {
            let mut stream = Deflate::new(Cursor::new(wire));
            let (mut all, mut buffer) = (Vec::new(), vec![0; piece]);
            loop {
                match stream.read(&mut buffer).await? {
                    0 => return Ok(all),
                    count => all.extend_from_slice(&buffer[..count]),
                }
                assert!(stream.input.len() <= INPUT && stream.input.capacity() <= 2 * INPUT);
            }
        })
    }

    fn written(pieces: &[&[u8]]) -> Vec<u8> {
        smol::block_on(async {
            let mut stream = Deflate::new(Cursor::new(Vec::new()));
            for piece in pieces {
                stream.write_all(piece).await.unwrap();
                stream.flush().await.unwrap();
                assert_eq!(stream.output.capacity(), 0, "an idle connection keeps no output");
            }
            stream.stream.into_inner()
        })
    }

    #[test]
    fn what_is_written_can_be_read_in_any_pieces() {
        let mut noise = 1u32;
        let random: Vec<u8> = std::iter::repeat_with(|| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (noise >> 24) as u8
        })
        .take(200_000)
        .collect();
        let long = b"* 1 FETCH (FLAGS ())\r\n".repeat(20_000);
        let pieces: [&[u8]; 5] = [b"a OK done\r\n", &random, b"x", &long, b""];
        let wire = written(&pieces);
        assert!(wire.len() < 230_000, "{}", wire.len());
        for piece in [1, 7, 4096, 100_000] {
            assert!(read(wire.clone(), piece).unwrap() == pieces.concat(), "in pieces of {piece}");
        }
    }

    #[test]
    fn a_bomb_comes_out_in_pieces() {
        let mut compress = Compress::new(Compression::best(), false);
        let mut bomb = Vec::with_capacity(1 << 20);
        compress.compress_vec(&vec![0; 100 << 20], &mut bomb, FlushCompress::Finish).unwrap();
        assert!(bomb.len() < 200_000);
        assert_eq!(read(bomb, 16 << 10).unwrap().len(), 100 << 20);
    }

    #[test]
    fn garbage_ends_the_connection() {
        assert_eq!(read(b"a LOGIN alice secret\r\n".to_vec(), 100).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
