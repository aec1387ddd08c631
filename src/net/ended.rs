//! How a driven connection ended.

use crate::base::limits;
use std::fmt;
use std::io;

/// Why a connection ended.
#[derive(Debug)]
pub enum Ended {
    /// The core closed it: the usual end.
    Closed,
    /// The peer closed it.
    ByPeer,
    /// The server stops.
    Stopped,
    /// The peer took nothing for `limits::WRITE_STALL`.
    Stalled,
    /// The socket failed.
    Failed(io::Error),
    /// TLS could not be agreed on.
    Handshake(io::Error),
    /// A stored file could not be read as far as was promised; closing is the only way to say so.
    File(io::Error),
    /// The core asked for what is not there, or took no input when it wanted some: a bug.
    Misstep(&'static str),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Closed => f.write_str("closed"),
            Ended::ByPeer => f.write_str("closed by the peer"),
            Ended::Stopped => f.write_str("closed because the server stops"),
            Ended::Stalled => write!(f, "closed: the peer read nothing for {} s", limits::WRITE_STALL.as_secs()),
            Ended::Failed(error) => write!(f, "the connection failed: {error}"),
            Ended::Handshake(error) => write!(f, "TLS could not be agreed on: {error}"),
            Ended::File(error) => write!(f, "closed: a stored message could not be sent whole: {error}"),
            Ended::Misstep(what) => write!(f, "closed by an internal error: {what}"),
        }
    }
}

impl Ended {
    /// Whether an administrator should see it without asking for details.
    pub fn is_ours(&self) -> bool {
        matches!(self, Ended::File(_) | Ended::Misstep(_))
    }

    pub(super) fn from_write(error: io::Error) -> Ended {
        match error.kind() {
            io::ErrorKind::TimedOut => Ended::Stalled,
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Ended::ByPeer,
            _ => Ended::Failed(error),
        }
    }
}
