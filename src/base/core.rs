//! The contract between a protocol core and the loop that drives it (`net::drive`).
//!
//! A core holds one connection's state. It reads no socket, no file and no clock: bytes, answers and the time go in,
//! steps come out. So every dialog runs without a network, at any chunk size, and a fuzzer drives the whole server.

use super::Timestamp;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

/// One connection of one protocol.
///
/// The driver calls [`Core::step`] until it says [`Step::Read`], feeds what arrived, and calls it again. What the core
/// appended to `out` is written to the peer before the step itself is carried out.
pub trait Core {
    /// What only the outside knows: "may alice log in?", "store this".
    type Question;
    /// The reply to one question; long replies come in pieces, one answer each.
    type Answer;

    /// Takes bytes from the peer and says how many were taken; 0 means "not now, call `step` first".
    fn feed(&mut self, input: &[u8]) -> usize;

    /// Takes the reply to the question that the last [`Step::Ask`] carried.
    fn answer(&mut self, answer: Self::Answer);

    /// Something that this connection watches has changed: ask again, when the protocol allows it.
    fn wake(&mut self);

    /// Goes on by one step, appending to `out` what the peer is to read first.
    fn step(&mut self, now: Timestamp, out: &mut Vec<u8>) -> Step<Self::Question>;

    /// Whether the reply that was written last may be sent together with those to the commands that came with its own.
    fn may_hold_reply(&self) -> bool {
        false
    }

    /// While a question is out that may take long: what the peer is sent each time so much time has passed, so that it
    /// waits on.
    fn patience(&self) -> Option<(Duration, &'static [u8])> {
        None
    }
}

/// What a core wants next. Everything in `out` is sent before it is done.
#[must_use = "a step that is not carried out leaves the connection hanging"]
#[derive(Debug)]
pub enum Step<Q> {
    /// More to do at once: call `step` again (a chance to flush and to let others run).
    Again,
    /// Put the question to the bridge, hand the reply to `answer`.
    Ask(Q),
    /// Send these bytes of a stored file.
    Copy(FileRange),
    /// Nothing to do before more input comes, `wake` is due, or the time is reached (then call `step`).
    Read {
        /// When to call `step` even if nothing came.
        until: Timestamp,
    },
    /// Begin TLS as the server. Input that was received and not yet fed is dropped (RFC 3501 6.2.1, RFC 3207 5).
    StartTls,
    /// Begin DEFLATE in both directions (RFC 4978).
    StartDeflate,
    /// Send what is left in `out`, then close.
    Close,
}

/// A range of a stored message, in the form in which the peer reads it.
#[derive(Debug, Clone)]
pub struct FileRange {
    /// The open file; it stays readable after it was unlinked.
    pub file: Arc<File>,
    /// First byte, counted in wire form (CRLF line ends).
    pub start: u64,
    /// Bytes to send, counted in wire form.
    pub len: u64,
    /// How the file's bytes become wire bytes. NUL is always sent as 0x80 (RFC 3501 9: `CHAR8` has no NUL).
    pub form: Form,
}

/// How a message's lines end on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// As on the wire; an offset in the file is an offset on the wire.
    #[default]
    Crlf,
    /// Lines end in LF: a CR is added before each LF that has none, and offsets count it.
    Lf,
}

/// A piece of an answer that goes to the peer as it is.
#[derive(Debug, Clone)]
pub enum Piece {
    /// Bytes ready to be sent.
    Bytes(Vec<u8>),
    /// Bytes that the driver copies from a file.
    File(FileRange),
}

impl Piece {
    /// Bytes in it.
    pub fn len(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::File(range) => range.len,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
