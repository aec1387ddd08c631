//! Delivery to the mail server behind us, over SMTP (RFC 5321) or LMTP (RFC 2033).
//!
//! [`Courier`] keeps one connection to one destination and hands over one message after the other. Every recipient of
//! every message gets exactly one [`Sent`]; an error of the network is a [`Sent::Deferred`] like any other. mail-send's
//! low-level calls speak the protocol; sockets, TLS and time limits are ours, since its `send` stops at the first
//! refused recipient and its greeting has no time limit.

mod connection;
mod parcel;

pub use connection::{Connection, Step};
pub use parcel::{Parcel, compose};

use crate::base::{Secret, limits};
use futures_rustls::rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where messages go, and how.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The server's address.
    pub target: Target,
    /// SMTP or LMTP.
    pub protocol: Protocol,
    /// Whether and when TLS begins.
    pub security: Security,
    /// AUTH with this name and password; never over an unencrypted connection that leaves this host.
    pub login: Option<Login>,
    /// What we call ourselves in EHLO or LHLO: a host name, or an address in brackets.
    pub helo: String,
    /// Time limits.
    pub times: Times,
}

/// A server's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Host name or IP address, and port.
    Tcp(String, u16),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Target::Tcp(host, port) => write!(f, "{host}:{port}"),
            Target::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// One reply for all recipients after the message.
    Smtp,
    /// One reply for each recipient after the message.
    Lmtp,
}

/// Whether and when TLS begins.
#[derive(Debug, Clone)]
pub enum Security {
    /// Never.
    Plain,
    /// By STARTTLS; a server that does not offer it gets nothing.
    StartTls(Tls),
    /// At once.
    Implicit(Tls),
}

/// How the server's certificate is checked.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Trusted roots and versions.
    pub config: Arc<ClientConfig>,
    /// The name that the certificate must carry.
    pub name: ServerName<'static>,
}

/// What AUTH sends.
#[derive(Debug, Clone)]
pub struct Login {
    /// User name.
    pub user: String,
    /// Password.
    pub password: Secret<String>,
}

/// Time limits of one dialog (RFC 5321 4.5.3.2).
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// To connect, for the handshake and for the greeting, each.
    pub connect: Duration,
    /// For the reply to a command.
    pub reply: Duration,
    /// For the reply after the message; the time to write it is added.
    pub last: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Times { connect: limits::SMTP_CONNECT, reply: limits::SMTP_REPLY, last: limits::SMTP_LAST_REPLY }
    }
}

/// What became of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// The server took the message.
    Delivered(Reply),
    /// Not now; why.
    Deferred(String),
    /// Never.
    Refused(Reply),
}

impl Sent {
    /// A reply's meaning by its first digit. 530 says that the login is missing, 535 that it is wrong: that is a matter
    /// of configuration, and no reason to give the message back.
    fn by_reply(reply: Reply) -> Sent {
        match reply.code {
            200..=299 => Sent::Delivered(reply),
            530 | 535 => Sent::Deferred(reply.to_string()),
            500..=599 => Sent::Refused(reply),
            _ => Sent::Deferred(reply.to_string()),
        }
    }
}

/// One reply of a server, or of this client in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// The enhanced code (RFC 3463); zeros when the server gave none.
    pub enhanced: [u8; 3],
    /// For people: one line without control characters, at most 500 characters.
    pub text: String,
}

impl Reply {
    /// A reply whose text is made one clean line.
    pub fn new(code: u16, enhanced: [u8; 3], text: &str) -> Self {
        let text: String = text.chars().take(500).map(|c| if c.is_control() { ' ' } else { c }).collect();
        Reply { code, enhanced, text: text.trim().to_string() }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.enhanced {
            [0, ..] => write!(f, "{} {}", self.code, self.text),
            [class, subject, detail] => write!(f, "{} {class}.{subject}.{detail} {}", self.code, self.text),
        }
    }
}

/// Hands messages to one destination, one after the other, over a connection that is kept.
pub struct Courier {
    destination: Arc<Destination>,
    connection: Option<Connection>,
    reached: bool,
}

impl Courier {
    /// A courier that is not connected yet.
    pub fn new(destination: Arc<Destination>) -> Self {
        Courier { destination, connection: None, reached: true }
    }

    /// Hands over one message; one result for each recipient, in order. Connects when needed. A kept connection that
    /// the server has closed meanwhile is noticed before any of the message is sent, and replaced.
    pub async fn deliver(&mut self, parcel: &Parcel<'_>) -> Vec<Sent> {
        if let Some(mut connection) = self.connection.take()
            && connection.is_alive().await
        {
            return self.send_over(connection, parcel).await;
        }
        let opened = Connection::open(&self.destination).await;
        self.reached = opened.is_ok();
        match opened {
            Ok(connection) => self.send_over(connection, parcel).await,
            Err(reason) => {
                let reason = format!("{}: {reason}", self.destination.target);
                parcel.recipients.iter().map(|_| Sent::Deferred(reason.clone())).collect()
            }
        }
    }

    /// Whether the last message found the server ready to talk; if not, the next one need not be tried at once.
    pub fn has_reached(&self) -> bool {
        self.reached
    }

    /// Whether a connection is kept.
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Says QUIT, when connected.
    pub async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.quit().await;
        }
    }

    async fn send_over(&mut self, mut connection: Connection, parcel: &Parcel<'_>) -> Vec<Sent> {
        let (sent, usable) = connection.send(parcel).await;
        if usable {
            self.connection = Some(connection);
        }
        sent
    }
}
