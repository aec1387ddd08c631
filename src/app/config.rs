//! The configuration: one TOML file. `etc/lazaret.toml` documents every key and is compiled in: a key that a file leaves
//! out has the value that it has there.
//!
//! What stands here is plain data. The rest of `app` turns it into each module's own options.

mod check;
mod digests;
mod doors;
pub mod milter;
mod reader;
mod sections;
mod sink;
mod value;

pub use digests::{Digest, DigestOverrides};
pub use doors::{DropDoor, Exporter, Reports};
pub use milter::Milter;
pub use reader::ConfigError;
pub use sections::is_local_host;
pub use sink::{Sink, SinkTo};
pub use value::imap_server;

use crate::mail::{Class, Kind};
use crate::quarantine::{directory, folders, policy};
use crate::verdict::Filter;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The annotated configuration, which is also the default.
pub const DEFAULT: &str = include_str!("../../etc/lazaret.toml");

/// Where the file is looked for unless told otherwise.
pub const PATH: &str = "/etc/lazaret/lazaret.toml";

/// Everything that can be configured. Paths are absolute, or relative to the working directory if the file's path is.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file; empty for the default.
    pub file: PathBuf,
    /// The data directory.
    pub data: PathBuf,
    /// Our name in greetings, Received lines and file names; `None`: the machine's.
    pub host_name: Option<String>,
    /// The file of accounts.
    pub users: PathBuf,
    /// `[imap]`
    pub imap: Imap,
    /// `[page]`
    pub page: Page,
    /// `[tls]`
    pub tls: Tls,
    /// `[[lmtp]]`
    pub lmtp: Vec<Lmtp>,
    /// `[[milter]]`
    pub milter: Vec<Milter>,
    /// `[drop]`
    pub drop: DropDoor,
    /// `[[exporter]]`
    pub exporters: Vec<Exporter>,
    /// `[domains]`, by name in lower case.
    pub domains: BTreeMap<String, Domain>,
    /// `[recipients]`: retention for some, by resolved address in lower case.
    pub recipients: BTreeMap<String, Overrides>,
    /// `[digest]`
    pub digest: Digest,
    /// What differs from it for recipients, by resolved address in lower case.
    pub recipient_digests: BTreeMap<String, DigestOverrides>,
    /// `[lists]`
    pub lists: Lists,
    /// `[folders]`
    pub folders: folders::Naming,
    /// `[retention]`
    pub retention: Retention,
    /// `[policy]`
    pub policy: policy::Policy,
    /// `[[route]]`; the first is for every domain that names none. Never empty.
    pub routes: Vec<Route>,
    /// `[reports]`
    pub reports: Reports,
    /// `[[sink]]`
    pub sinks: Vec<Sink>,
    /// `[limits]`
    pub limits: Limits,
    /// `[log]`
    pub log: Log,
}

/// `[imap]`: where mail programs connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imap {
    /// TLS from the first byte.
    pub tls: Vec<SocketAddr>,
    /// STARTTLS; no login before it.
    pub starttls: Vec<SocketAddr>,
    /// On loopback, login without TLS is allowed on the `starttls` addresses.
    pub plain_login_on_loopback: bool,
}

/// `[page]`: where browsers connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// HTTPS.
    pub tls: Vec<SocketAddr>,
    /// Plain HTTP, on loopback.
    pub plain: Vec<SocketAddr>,
    /// Peers at the plain addresses whose X-Forwarded-For is believed.
    pub proxies: Vec<Network>,
    /// Peers to whom it tells its figures.
    pub metrics: Vec<Network>,
    /// Where people find it, without a slash at the end; `None`: the first TLS address under our name.
    pub base_url: Option<String>,
}

/// `[tls]`: PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and those that it was signed by.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Listen {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// `[[lmtp]]`: one listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lmtp {
    /// Where.
    pub listen: Listen,
    /// Mode of a Unix socket.
    pub socket_mode: u32,
    /// Why the messages that come in here are here.
    pub class: Class,
    /// What the filter took them for.
    pub kind: Kind,
    /// What the peer is told once a message is stored.
    pub reply: Reply,
    /// Our answer is what the sender sees; only then `Reply::Reject` is allowed.
    pub before_queue: bool,
    /// Filters whose header fields are believed.
    pub verdict: Vec<Filter>,
    /// Peers whose XFORWARD is believed.
    pub xforward: Vec<Network>,
    /// Larger messages are kept as headers only.
    pub max_size: u64,
}

/// What the peer is told once a message is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// 250
    Accept,
    /// 550, kept in quarantine.
    Reject,
}

/// Some addresses: those whose first bits are these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// The first of them.
    pub address: IpAddr,
    /// How many bits count.
    pub bits: u8,
}

/// `[domains."example.org"]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Names and recipients.
    pub directory: directory::Domain,
    /// The server that knows its users' passwords; `None`: the file of accounts alone does.
    pub auth: Option<Auth>,
    /// What the sender of a message is told that a `[[milter]]` kept; `None`: what that says.
    pub reply: Option<Reply>,
    /// The route of its mail, by name; `None`: the first.
    pub route: Option<String>,
    /// What differs from `[retention]`.
    pub retention: Overrides,
    /// What differs from `[digest]`.
    pub digest: DigestOverrides,
}

/// `auth` of a domain and its kin: an IMAP server that is asked for passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// Whether and when TLS begins; `None` on this machine only.
    pub tls: RouteTls,
    /// Host name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Certificates (PEM) that are believed, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The server's certificate must be good; if not, it is on this machine.
    pub verify: bool,
}

/// How long, and how much; `None`: for ever, any number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Caught.
    pub incoming: Option<Duration>,
    /// Caught (Outgoing).
    pub outgoing: Option<Duration>,
    /// Training Requested.
    pub unsure: Option<Duration>,
    /// Trash.
    pub trash: Option<Duration>,
    /// Messages in `trained/`.
    pub trained: Option<Duration>,
    /// What the queue gave up.
    pub failed: Option<Duration>,
    /// Files of the journal.
    pub journal: Option<Duration>,
    /// What came by `drop/` and could not be filed.
    pub rejects: Option<Duration>,
    /// Messages in one kept folder of one recipient.
    pub messages: Option<u64>,
    /// Bytes in one kept folder of one recipient.
    pub bytes: Option<u64>,
}

/// What differs from `[retention]`; the outer `None`: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Caught.
    pub incoming: Option<Option<Duration>>,
    /// Caught (Outgoing).
    pub outgoing: Option<Option<Duration>>,
    /// Training Requested.
    pub unsure: Option<Option<Duration>>,
    /// Trash.
    pub trash: Option<Option<Duration>>,
    /// Messages in one kept folder of one recipient.
    pub messages: Option<Option<u64>>,
    /// Bytes in one kept folder of one recipient.
    pub bytes: Option<Option<u64>>,
}

/// `[lists]`: senders that are allowed and blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lists {
    /// The directory where filter and mail server find them; `None`: they are not exported.
    pub export: Option<PathBuf>,
    /// Mode of the files there.
    pub export_mode: u32,
}

/// `[[route]]`: where released mail goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// SMTP or LMTP.
    pub protocol: Protocol,
    /// Host name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether and when TLS begins.
    pub tls: RouteTls,
    /// Log in with this name.
    pub user: Option<String>,
    /// The password is the first line of this file.
    pub password_file: Option<PathBuf>,
    /// Certificates (PEM) that are believed, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The server's certificate must be good.
    pub verify: bool,
    /// Header fields that `own_headers` names get another name.
    pub rename_own: bool,
    /// What our own filter writes into headers.
    pub own_headers: Vec<String>,
}

/// The protocol of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// SMTP
    Smtp,
    /// LMTP
    Lmtp,
}

/// Whether and when TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteTls {
    /// Never.
    None,
    /// After STARTTLS, which the server must know.
    Starttls,
    /// From the first byte.
    Implicit,
}

/// `[limits]`: the few that a site may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest message that is kept whole, for doors that have no limit of their own.
    pub max_size: u64,
    /// Messages in memory at intake, together.
    pub intake_memory: u64,
    /// New recipient trees in an hour.
    pub new_trees: u32,
    /// Connections from one address.
    pub connections_per_address: u32,
    /// Below this many percent of free space doors answer 452.
    pub min_free: u8,
    /// How long a delivery is tried.
    pub queue_age: Duration,
    /// How long what was asked in the browser can be taken back; zero: not at all.
    pub release_delay: Duration,
}

/// `[log]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// The least important lines that are written.
    pub level: log::LevelFilter,
    /// How a line begins.
    pub form: LogForm,
}

/// How a log line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogForm {
    /// With time and level.
    Plain,
    /// With the priority that systemd's journal reads, `<4>`; it adds the time itself.
    Journal,
}

impl Config {
    /// Whether anything listens that needs the certificate.
    pub fn needs_certificate(&self) -> bool {
        !(self.imap.tls.is_empty() && self.imap.starttls.is_empty() && self.page.tls.is_empty())
    }

    /// Reads the file at `path`.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| ConfigError::whole(path, format!("cannot read the configuration: {e}")))?;
        Config::parse(path, &text)
    }

    /// Reads the text of a file; `path` is named in errors, and relative paths count from its directory. Lists of
    /// recipients in files of their own are read, too; see [`Config::check_files`] for the other files.
    pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
        let source = reader::Source::new(path, text);
        let config = sections::read(&source)?;
        check::consistent(&config, &source)?;
        Ok(config)
    }

    /// The compiled-in default. It has no domains.
    pub fn default_config() -> Config {
        // A test reads the text that is compiled in.
        Config::parse(Path::new(""), "").expect("etc/lazaret.toml is read by a test")
    }

    /// Whether the files that it names are there and can be read: certificate, key, passwords. What `serve` needs.
    pub fn check_files(&self) -> Result<(), ConfigError> {
        check::files(self)
    }

    /// Domains, aliases and recipients, ready for resolving. [`Config::parse`] has checked them.
    pub fn directory(&self) -> Result<directory::Directory, directory::DirectoryError> {
        directory::Directory::new(self.domains.iter().map(|(name, domain)| (name.as_str(), &domain.directory)))
    }

    /// The route of a domain's mail: its own, or the first.
    pub fn route(&self, domain: &str) -> Option<&Route> {
        let name = self.domains.get(domain).and_then(|d| d.route.as_deref());
        name.and_then(|name| self.routes.iter().find(|r| r.name == name)).or_else(|| self.routes.first())
    }

    /// How the recipients of a domain are told of their mail; with `local`, how that one is.
    pub fn digest_of(&self, domain: &str, local: Option<&str>) -> Digest {
        let mut digest = self.digest.clone();
        let recipient = local.and_then(|local| self.recipient_digests.get(&format!("{local}@{domain}")));
        for overrides in self.domains.get(domain).map(|d| &d.digest).into_iter().chain(recipient) {
            overrides.apply(&mut digest);
        }
        digest
    }

    /// Retention of a recipient (resolved, lower-case): his own, his domain's, everybody's.
    pub fn retention_of(&self, domain: &str, local: &str) -> Retention {
        let mut retention = self.retention.clone();
        let recipient = self.recipients.get(&format!("{local}@{domain}"));
        for overrides in self.domains.get(domain).map(|d| &d.retention).into_iter().chain(recipient) {
            overrides.apply(&mut retention);
        }
        retention
    }
}

impl Overrides {
    fn apply(&self, to: &mut Retention) {
        fn set<T: Copy>(to: &mut T, from: Option<T>) {
            if let Some(value) = from {
                *to = value;
            }
        }
        set(&mut to.incoming, self.incoming);
        set(&mut to.outgoing, self.outgoing);
        set(&mut to.unsure, self.unsure);
        set(&mut to.trash, self.trash);
        set(&mut to.messages, self.messages);
        set(&mut to.bytes, self.bytes);
    }
}

impl Network {
    /// Whether this address is one of them. IPv4 in IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                (a.to_bits() ^ b.to_bits()).checked_shr(32 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                (a.to_bits() ^ b.to_bits()).checked_shr(128 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
