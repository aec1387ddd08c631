//! Listening sockets: bound before anything runs, accepted from with a permit in hand.

use super::gate::{Gate, Seat};
use super::stream::Socket;
use super::{Stop, stream};
use crate::base::limits;
use smol::net::unix::UnixListener;
use smol::net::{TcpListener, TcpStream};
use smol::{Async, Timer};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An IP address and port.
    Tcp(SocketAddr),
    /// A Unix socket, and who may connect to it (its mode, like 0o660).
    Unix(PathBuf, u32),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => write!(f, "{address}"),
            Address::Unix(path, _) => write!(f, "{}", path.display()),
        }
    }
}

/// Why a socket cannot be listened on: which, why, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenError(String);

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ListenError {}

/// A bound socket; a Unix socket's file goes when it is dropped.
#[derive(Debug)]
pub struct Listener {
    socket: Bound,
    address: Address,
}

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection that was let in.
#[derive(Debug)]
pub struct Accepted {
    /// Its bytes.
    pub socket: Socket,
    /// Its IP address and port; `None` over a Unix socket.
    pub peer: Option<SocketAddr>,
    /// Its place in the counts; keep it as long as the connection lives, and tell it of the login.
    pub seat: Arc<Seat>,
}

impl Accepted {
    /// Whether the peer is on this machine.
    pub fn is_local(&self) -> bool {
        self.peer.is_none_or(|p| p.ip().to_canonical().is_loopback())
    }

    /// For the log.
    pub fn name(&self) -> String {
        self.peer.map_or_else(|| "a local program".to_string(), |p| p.to_string())
    }
}

impl Listener {
    /// Binds. A Unix socket that a dead server left behind is replaced.
    pub fn bind(address: &Address) -> Result<Listener, ListenError> {
        let bound = match address {
            Address::Tcp(at) => bind_tcp(*at).map(Bound::Tcp),
            Address::Unix(path, mode) => bind_unix(path, *mode).map(Bound::Unix),
        };
        match bound {
            Ok(socket) => Ok(Listener { socket, address: address.clone() }),
            Err(error) => Err(ListenError(format!("cannot listen on {address}: {}", advice(address, &error)))),
        }
    }

    /// Where it listens; with port 0 given, the port that was chosen.
    pub fn address(&self) -> Address {
        match &self.socket {
            Bound::Tcp(socket) => socket.local_addr().map_or_else(|_| self.address.clone(), Address::Tcp),
            Bound::Unix(_) => self.address.clone(),
        }
    }

    /// Accepts until `stop`, handing each connection to `serve`, which must not block. `refusal` is sent to those that
    /// are one too many.
    pub async fn run(self, gate: Arc<Gate>, stop: Stop, refusal: &'static [u8], mut serve: impl FnMut(Accepted)) {
        loop {
            // The permit first: a connection that is accepted is served.
            let next = async {
                let permit = gate.permit().await;
                Some((permit, self.accept().await))
            };
            let stopped = async {
                stop.stopped().await;
                None
            };
            let Some((permit, accepted)) = smol::future::or(stopped, next).await else { return };
            match accepted {
                Ok((mut socket, peer)) => match gate.seat(permit, peer.map(|p| p.ip())) {
                    Ok(seat) => serve(Accepted { socket, peer, seat }),
                    Err(crowded) => {
                        log::warn!("{}: refused {}: {crowded:?}", self.address, peer_name(peer.map(|p| p.ip())));
                        // At once or not at all: a newcomer too many costs no task.
                        drop(smol::future::poll_once(stream::write_all(&mut socket, refusal)).await);
                    }
                },
                Err(error) if is_peers(&error) => {}
                Err(error) => {
                    log::error!("{}: cannot accept connections: {error}; trying again", self.address);
                    Timer::after(limits::ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        match &self.socket {
            Bound::Tcp(socket) => {
                let (socket, peer) = socket.accept().await?;
                no_delay(&socket);
                Ok((Socket::Tcp(socket), Some(peer)))
            }
            Bound::Unix(socket) => Ok((Socket::Unix(socket.accept().await?.0), None)),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Address::Unix(path, _) = &self.address {
            drop(std::fs::remove_file(path));
        }
    }
}

fn no_delay(socket: &TcpStream) {
    // Replies are written whole; waiting to fill a packet only adds 40 ms to each.
    if let Err(error) = socket.set_nodelay(true) {
        log::debug!("cannot set TCP_NODELAY: {error}");
    }
}

fn peer_name(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "a local program".to_string(), |a| a.to_string())
}

/// Errors that tell of one connection that has gone already, not of us.
fn is_peers(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

fn bind_tcp(at: SocketAddr) -> io::Result<TcpListener> {
    // std sets SO_REUSEADDR, so a restart need not wait for old connections.
    let socket = std::net::TcpListener::bind(at)?;
    Ok(TcpListener::from(Async::new(socket)?))
}

fn bind_unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    if std::fs::symlink_metadata(path).is_ok_and(|m| m.file_type().is_socket()) {
        match std::os::unix::net::UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
            _ => return Err(io::ErrorKind::AddrInUse.into()),
        }
    }
    let socket = std::os::unix::net::UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    Ok(UnixListener::from(Async::new(socket)?))
}

fn advice(address: &Address, error: &io::Error) -> String {
    let advice = match (error.kind(), address) {
        (io::ErrorKind::AddrInUse, Address::Tcp(at)) => {
            format!(
                "another program listens there (`ss -ltnp 'sport = :{}'` shows it); stop it or choose another port",
                at.port()
            )
        }
        (io::ErrorKind::AddrInUse, Address::Unix(..)) => {
            "another program listens there, or a file is in the way".into()
        }
        (io::ErrorKind::AddrNotAvailable, _) => "this machine does not have that address".into(),
        (io::ErrorKind::PermissionDenied, Address::Tcp(at)) if at.port() < 1024 => {
            "ports below 1024 need CAP_NET_BIND_SERVICE (the systemd unit has it), or choose a higher port".into()
        }
        (io::ErrorKind::PermissionDenied, _) => {
            "the user that runs lazaret may not; change the directory's owner".into()
        }
        (io::ErrorKind::NotFound, _) => "its directory does not exist; create it".into(),
        _ => return error.to_string(),
    };
    format!("{error}; {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_address_is_explained() {
        let first = Listener::bind(&Address::Tcp("127.0.0.1:0".parse().unwrap())).unwrap();
        let error = Listener::bind(&first.address()).unwrap_err().to_string();
        assert!(error.contains("127.0.0.1:") && error.contains("another program"), "{error}");
    }

    #[test]
    fn a_stale_unix_socket_is_replaced_and_a_live_one_is_not() {
        let path = std::env::temp_dir().join(format!("lazaret-listen-{}", std::process::id()));
        drop(std::fs::remove_file(&path));
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let address = Address::Unix(path.clone(), 0o600);
        let listener = Listener::bind(&address).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Listener::bind(&address).is_err());
        drop(listener);
        assert!(!path.exists());
        std::fs::write(&path, "not a socket").unwrap();
        assert!(Listener::bind(&address).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"not a socket");
        std::fs::remove_file(path).unwrap();
    }
}
