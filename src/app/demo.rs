//! `lazaret demo`: everything on this machine in one process, to try it out. Data in a temporary directory, a self-signed
//! certificate, three accounts, sample messages through the real LMTP door, and a mail server of our own that takes what
//! is released, so that a message that is dragged to Release visibly arrives.

use super::config::Config;
use super::map;
use super::samples::{DOMAINS, RECIPIENT, SAMPLES, Sample};
use super::server::{Orders, Server};
use crate::disk::Disk;
use crate::net::smtp::{Courier, Destination, Parcel, Protocol, Security, Sent, Target, Times};
use crate::net::tls::create_self_signed;
use crate::store::passwd::{Hash, Scheme};
use crate::work::sinkserver::SinkServer;
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The password of all three accounts.
const PASSWORD: &str = "lazaret";
/// Ports to try first, so that what is printed today works in the mail program tomorrow.
const PORTS: [u16; 4] = [10993, 10143, 10024, 10443];
/// What the doors are for, in the order in which they are configured.
const DOORS: [&str; 7] = [
    "incoming spam",
    "outgoing spam",
    "unsure spam",
    "incoming phish",
    "incoming virus",
    "incoming banned",
    "incoming policy",
];

/// How the demonstration is run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Keep the data here.
    pub data: Option<PathBuf>,
    /// No sample messages.
    pub empty: bool,
    /// One line of JSON instead of a page for people.
    pub json: bool,
}

/// The directory of the demonstration; a temporary one is removed at the end.
struct Place {
    path: PathBuf,
    temporary: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.temporary {
            // Nothing can be done about a file that stays.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// Runs the demonstration until SIGTERM or SIGINT.
pub fn run(options: &Options) -> Result<(), String> {
    let place = place(options)?;
    let mail_server =
        smol::block_on(smol::net::TcpListener::bind("127.0.0.1:0")).map_err(|e| format!("cannot listen: {e}"))?;
    let route = mail_server.local_addr().map_err(|e| e.to_string())?;
    for name in ["delivered", "trained", "lists"] {
        let path = place.path.join(name);
        std::fs::create_dir_all(&path).map_err(|e| format!("cannot create {}: {e}", path.display()))?;
    }
    let config = configure(&place.path, route, options.json)?;
    map::start_log(&config.log);
    let orders = Orders::listen()?;
    let server = Server::start(&config)?;
    let delivered = place.path.join("delivered");
    let sink = SinkServer::new(&delivered);
    let tasks = server.tasks().clone();
    let run = {
        let tasks = tasks.clone();
        async move {
            if let Err(e) = sink.serve(mail_server, tasks).await {
                log::error!("the mail server of the demonstration ended: {e}");
            }
        }
    };
    crate::net::executor::spawn(&tasks, "the mail server of the demonstration", run);
    let door = *server.lmtp.first().ok_or("no LMTP door")?;
    let known = server.quarantine.store.all_trees().len();
    if !options.empty && known == 0 {
        smol::block_on(fill(&server))?;
    }
    let page = if options.json { line(&place.path, &server, door) } else { page(&place, &server, door) };
    let mut out = std::io::stdout().lock();
    // Whoever started it may have gone; the server is of use all the same.
    let _ = writeln!(out, "{page}").and_then(|()| out.flush());
    drop(out);
    smol::block_on(orders.obey(&server));
    server.stop();
    Ok(())
}

fn place(options: &Options) -> Result<Place, String> {
    let (path, temporary) = match &options.data {
        Some(path) => (std::path::absolute(path).map_err(|e| format!("{}: {e}", path.display()))?, false),
        None => (std::env::temp_dir().join(format!("lazaret-demo-{}", std::process::id())), true),
    };
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
    made.map_err(|e| format!("cannot create {}: {e}", path.display()))?;
    Ok(Place { path, temporary })
}

/// Writes the configuration, certificate and accounts that are not there yet, and reads them as `serve` would.
fn configure(place: &Path, route: SocketAddr, any_port: bool) -> Result<Config, String> {
    let disk = Disk::new(place);
    let write =
        |name: &str, text: &str| disk.write_whole(&place.join(name), text.as_bytes()).map_err(|e| e.to_string());
    let (certificate, key) = (place.join("cert.pem"), place.join("key.pem"));
    if !certificate.exists() {
        // Under other names first: a start that is cut off leaves no half-written certificate.
        let (new_certificate, new_key) = (place.join("cert.new"), place.join("key.new"));
        for old in [&new_certificate, &new_key].into_iter().filter(|path| path.exists()) {
            std::fs::remove_file(old).map_err(|e| format!("cannot remove {}: {e}", old.display()))?;
        }
        let names = ["localhost".to_string(), "127.0.0.1".to_string()];
        create_self_signed(&names, &new_certificate, &new_key).map_err(|e| e.to_string())?;
        disk.replace(&new_key, &key).map_err(|e| e.to_string())?;
        disk.replace(&new_certificate, &certificate).map_err(|e| e.to_string())?;
    }
    if !place.join("users").exists() {
        let mut users = String::new();
        for (login, _) in accounts() {
            // A cheap scheme would teach nobody anything; one hash serves all three since they share the password.
            let hash = Hash::make(Scheme::Argon2id, PASSWORD.as_bytes())?;
            let _ = writeln!(users, "{login}:{}", hash.field());
        }
        write("users", &users)?;
    }
    // Scripts are told the ports, people like the same ones each time.
    let [imaps, imap, lmtp, page] = PORTS.map(|port| if any_port || !is_free(port) { 0 } else { port });
    let mut text = format!(
        "data = {data:?}\nhost_name = \"localhost\"\nusers = \"users\"\n\
         [imap]\ntls = [\"127.0.0.1:{imaps}\"]\nstarttls = [\"127.0.0.1:{imap}\"]\nplain_login_on_loopback = true\n\
         [page]\ntls = [\"127.0.0.1:{page}\"]\nmetrics = [\"127.0.0.0/8\"]\n\
         [tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n\
         [[route]]\nname = \"default\"\nhost = \"127.0.0.1\"\nport = {route}\n\
         [[sink]]\nname = \"trained\"\nlearns = [\"ham\", \"spam\"]\nto = \"maildir\"\npath = \"trained\"\n\
         [lists]\nexport = \"lists\"\nexport_mode = \"0644\"\n\
         [log]\nlevel = \"warn\"\n",
        data = place.join("data"),
        route = route.port(),
    );
    for (port, class) in [(lmtp, "incoming"), (0, "outgoing"), (0, "unsure")] {
        let verdict = "verdict = [\"rspamd\", \"spamassassin\"]";
        let _ = writeln!(text, "[[lmtp]]\nlisten = \"127.0.0.1:{port}\"\nclass = \"{class}\"\n{verdict}");
    }
    for kind in ["phish", "virus", "banned", "policy"] {
        let _ = writeln!(text, "[[lmtp]]\nlisten = \"127.0.0.1:0\"\nclass = \"incoming\"\nkind = \"{kind}\"");
    }
    for domain in DOMAINS {
        let _ = writeln!(text, "[domains.{domain:?}]");
    }
    write("lazaret.toml", &text)?;
    Config::load(&place.join("lazaret.toml")).map_err(|e| e.to_string())
}

fn is_free(port: u16) -> bool {
    std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()
}

fn accounts() -> [(&'static str, &'static str); 3] {
    [("global", "global"), (DOMAINS[0], "domain"), (RECIPIENT, "recipient")]
}

/// Hands in the samples, each at the door for its class and kind.
async fn fill(server: &Server) -> Result<(), String> {
    for (address, what) in server.lmtp.iter().zip(DOORS) {
        let here = |s: &&Sample| format!("{} {}", s.class, s.kind) == what;
        let mut courier = Courier::new(Arc::new(Destination {
            target: Target::Tcp(address.ip().to_string(), address.port()),
            protocol: Protocol::Lmtp,
            security: Security::Plain,
            login: None,
            helo: "demo.localhost".to_string(),
            times: Times::default(),
        }));
        for sample in SAMPLES.iter().filter(here) {
            let parcel = Parcel { sender: sample.sender, recipients: sample.recipients, data: sample.message };
            for sent in courier.deliver(&parcel).await {
                if let Sent::Deferred(reason) = sent {
                    return Err(format!("the sample {} was not taken: {reason}", sample.name));
                }
            }
        }
        courier.close().await;
    }
    Ok(())
}

fn line(place: &Path, server: &Server, lmtp: SocketAddr) -> String {
    let accounts: Vec<_> = accounts()
        .iter()
        .map(|(login, scope)| json!({ "login": login, "password": PASSWORD, "scope": scope }))
        .collect();
    let doors: serde_json::Map<_, _> =
        DOORS.iter().zip(&server.lmtp).map(|(what, address)| (what.to_string(), address.to_string().into())).collect();
    json!({
        "imap": server.imap.first().map(SocketAddr::to_string),
        "imaps": server.imaps.first().map(SocketAddr::to_string),
        "lmtp": lmtp.to_string(),
        "doors": doors,
        "page": page_address(server),
        "data": place.join("data"),
        "delivered": place.join("delivered"),
        "trained": place.join("trained"),
        "lists": place.join("lists"),
        "ca": place.join("cert.pem"),
        "config": place.join("lazaret.toml"),
        "accounts": accounts,
    })
    .to_string()
}

fn page_address(server: &Server) -> String {
    let [over_tls, _] = &server.page;
    over_tls.first().map(|address| format!("https://localhost:{}/", address.port())).unwrap_or_default()
}

fn page(place: &Place, server: &Server, lmtp: SocketAddr) -> String {
    let imaps = server.imaps.first().map_or(0, SocketAddr::port);
    let imap = server.imap.first().map_or(0, SocketAddr::port);
    let messages = SAMPLES.len();
    format!(
        "Lazaret is running with {messages} sample messages. Ctrl-C ends it{gone}.

  accounts    {accounts}
              the password of all is: {PASSWORD}
  page        {web}   (a browser warns of the self-signed certificate)
  IMAP        127.0.0.1 port {imaps} (TLS), port {imap} (STARTTLS); the certificate is self-signed
  LMTP        {lmtp}
  data        {data}
  delivered   {delivered}   (what was released arrives here)
  trained     {trained}

Thunderbird: add an account \"{RECIPIENT}\", configure manually: IMAP, 127.0.0.1, port {imaps}, SSL/TLS, normal password;
             any outgoing server. Confirm the certificate, open Caught, and drag a message to Release.
mutt:        mutt -f imaps://{user}@127.0.0.1:{imaps}/Caught
curl:        curl -k --url 'imaps://127.0.0.1:{imaps}/Caught' -u {RECIPIENT}:{PASSWORD} -X 'UID MOVE 1 Release'
             ls {delivered}/new

Recipients that provoke failures: refused@ (550), deferred@ (451), slow@ (waits): release a message that lies with them.",
        web = page_address(server),
        gone = if place.temporary { " and removes its data" } else { "" },
        accounts = accounts().map(|(login, _)| login).join(", "),
        data = place.path.join("data").display(),
        delivered = place.path.join("delivered").display(),
        trained = place.path.join("trained").display(),
        user = RECIPIENT.replace('@', "%40"),
    )
}
