//! The running server: everything is opened and bound before anything runs, and stopped in the opposite order.

use super::config::{Config, Listen, Reply};
use super::control;
use super::lock::Lock;
use super::map;
use crate::base::{Timestamp, limits};
use crate::bridge::crew::Crew;
use crate::bridge::exporter::Exports;
use crate::bridge::imap::{ImapBridge, Shared};
use crate::bridge::lmtp::{Door, LmtpBridge};
use crate::bridge::memory::Memory;
use crate::bridge::milter::MilterBridge;
use crate::bridge::reports::Reports;
use crate::bridge::web::Site;
use crate::disk::Disk;
use crate::net::gate::Room;
use crate::net::listen::{Accepted, Address};
use crate::net::tls::Tls;
use crate::net::{Executor, Gate, Listener, Pools, Stop, Tasks, executor};
use crate::quarantine::{Accounts, Quarantine};
use crate::serve::{self, Serving};
use crate::store::Clock;
use crate::store::repeats::Repeats;
use crate::store::subscriptions::Subscriptions;
use crate::work::sinks::Stamp;
use crate::work::{care, deliver::Deliver, digest, drop, fan, intake, train::Train};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A loop that runs until the stop.
type Loop = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Workers that tell sinks.
const TRAINERS: usize = 4;

/// A command that found no server has the lock for a moment; a start waits so long for it.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);

/// A running server.
pub struct Server {
    /// The rules and the store.
    pub quarantine: Arc<Quarantine>,
    /// Where IMAP with TLS from the first byte listens.
    pub imaps: Vec<SocketAddr>,
    /// Where IMAP with STARTTLS listens.
    pub imap: Vec<SocketAddr>,
    /// Where LMTP listens, on TCP.
    pub lmtp: Vec<SocketAddr>,
    /// Where rspamd's exporter is awaited, on TCP.
    pub exporters: Vec<SocketAddr>,
    /// Where milters listen, on TCP.
    pub milter: Vec<SocketAddr>,
    /// Where the page is, over HTTPS and in the clear.
    pub page: [Vec<SocketAddr>; 2],
    executor: Executor,
    serving: Serving,
    gates: Vec<Arc<Gate>>,
    accounts: Arc<Accounts>,
    tls: Option<Arc<Tls>>,
    /// Messages on their way in, at all doors.
    intake: Arc<Memory>,
    config_file: Option<PathBuf>,
    lock: Lock,
}

/// The clock of this machine.
pub fn clock() -> Clock {
    Arc::new(|| Timestamp::from_system(SystemTime::now()))
}

/// Opens the data directory of a configuration. The caller holds its lock.
pub fn open(config: &Config) -> Result<(Quarantine, crate::store::scan::Report), String> {
    let options = map::options(config)?;
    let directory = map::directory(config)?;
    let disk = Disk::new(&config.data);
    let (quarantine, report) =
        Quarantine::open(disk, std::process::id(), clock(), options, directory).map_err(|e| e.to_string())?;
    quarantine.set_digest_rules(map::digest_rules(config, None));
    quarantine.lists().export_to(map::list_export(config));
    quarantine.lists().are_asked(!config.milter.is_empty());
    for odd in &report.odd {
        log::warn!("left alone: {odd}");
    }
    if report.restored {
        log::warn!(
            "{} was restored or copied: a million UIDs are skipped, so that no client takes one message for another",
            config.data.display()
        );
    }
    Ok((quarantine, report))
}

impl Server {
    /// Opens, binds and starts everything; when it returns, every listener answers.
    pub fn start(config: &Config) -> Result<Server, String> {
        let lock = Lock::take_soon(&config.data, LOCK_PATIENCE).map_err(|e| {
            format!("{e} ({}); stop it first, or give this one another `data` directory", config.data.display())
        })?;
        let (quarantine, report) = open(config)?;
        let quarantine = Arc::new(quarantine);
        let tls = match config.needs_certificate() {
            false => None,
            true => Some(Arc::new(Tls::load(&config.tls.certificate, &config.tls.key).map_err(|e| e.to_string())?)),
        };
        let accounts = Accounts::open(&config.users, quarantine.directory()).map_err(|e| e.to_string())?;
        let logins = map::logins(config)?;
        let executor = Executor::start_default().map_err(|e| format!("cannot start threads: {e}"))?;
        let serving = Serving { tasks: executor.tasks().clone(), pools: Arc::new(Pools::new()), stop: Stop::new() };
        serving.pools.logins.set(logins);
        let mut server = Server {
            imaps: Vec::new(),
            imap: Vec::new(),
            lmtp: Vec::new(),
            exporters: Vec::new(),
            milter: Vec::new(),
            page: Default::default(),
            accounts: Arc::new(accounts),
            gates: Vec::new(),
            config_file: (!config.file.as_os_str().is_empty()).then(|| config.file.clone()),
            quarantine,
            executor,
            serving,
            tls,
            intake: Arc::new(Memory::holding(config.limits.intake_memory as usize, map::largest(config))),
            lock,
        };
        server.listen_imap(config)?;
        server.listen_doors(config)?;
        server.listen_exporters(config)?;
        server.listen_page(config)?;
        server.set_digest_rules(config);
        server.work(config)?;
        // Mail goes on without it, and commands say that they do not reach us.
        match control::start(&server.serving, server.quarantine.clone(), server.accounts.clone()) {
            Ok(gate) => server.gates.push(gate),
            Err(e) => log::error!("{e}; commands do not reach this server"),
        }
        log::info!("{} messages of {} recipients in {}", report.messages, report.trees, config.data.display());
        Ok(server)
    }

    fn gate(&mut self, config: &Config) -> Arc<Gate> {
        let per_address = config.limits.connections_per_address as usize;
        let gate =
            Gate::new(Room { total: limits::CONNECTIONS, per_address, before_login: limits::CONNECTIONS_BEFORE_LOGIN });
        self.gates.push(gate.clone());
        gate
    }

    fn listen_imap(&mut self, config: &Config) -> Result<(), String> {
        let Some(tls) = self.tls.clone() else { return Ok(()) };
        let shared = Arc::new(Shared {
            quarantine: self.quarantine.clone(),
            accounts: self.accounts.clone(),
            subscriptions: Subscriptions::new(self.quarantine.store.disk()),
            ordering: Arc::new(Memory::new(limits::ORDER_BYTES)),
            crew: Crew::new(),
        });
        let host = map::host(config);
        let plain_on_loopback = config.imap.plain_login_on_loopback;
        let implicit = config.imap.tls.iter().map(|a| (*a, true));
        for (address, is_implicit) in implicit.chain(config.imap.starttls.iter().map(|a| (*a, false))) {
            let listener = Listener::bind(&Address::Tcp(address)).map_err(|e| e.to_string())?;
            if let Address::Tcp(bound) = listener.address() {
                if is_implicit { self.imaps.push(bound) } else { self.imap.push(bound) }
            }
            let (shared, host) = (shared.clone(), host.clone());
            let make = move |accepted: &Accepted| {
                let options = crate::imap::Options {
                    tls: if is_implicit { crate::imap::Tls::Active } else { crate::imap::Tls::Offered },
                    plain_login: plain_on_loopback && accepted.is_local(),
                    scram: shared.accounts.has_scram(shared.quarantine.store.now()),
                    host: host.clone(),
                };
                let seat = accepted.seat.clone();
                let peer = accepted.peer.map(|p| p.ip());
                (crate::imap::Session::new(options), ImapBridge::new(shared.clone(), peer, move || seat.known()))
            };
            let mode = if is_implicit {
                serve::imap::Mode::Tls(tls.clone())
            } else {
                serve::imap::Mode::StartTls(tls.clone())
            };
            let gate = self.gate(config);
            serve::imap::start(&self.serving, listener, gate, mode, make);
        }
        Ok(())
    }

    /// LMTP and milter.
    fn listen_doors(&mut self, config: &Config) -> Result<(), String> {
        let memory = self.intake.clone();
        let reports = map::report_rules(config).map(|rules| Arc::new(Reports::new(self.quarantine.clone(), rules)));
        for door in &config.lmtp {
            let listener = bind(&door.listen, door.socket_mode, &mut self.lmtp)?;
            let quarantine = self.quarantine.clone();
            let memory = memory.clone();
            let host_name = map::host(config);
            let trusted = door.xforward.clone();
            let max_size = door.max_size;
            let rules = Door {
                class: door.class,
                kind: door.kind,
                reject: door.reply == Reply::Reject,
                before_queue: door.before_queue,
                believed: door.verdict.clone(),
                reports: reports.clone(),
            };
            let make = move |accepted: &Accepted| {
                // Whoever may write to a Unix socket is trusted already.
                let xforward = accepted.peer.is_none_or(|p| trusted.iter().any(|n| n.contains(p.ip())));
                let options = crate::lmtp::Options { host_name: host_name.clone(), max_size, xforward };
                (crate::lmtp::Session::new(options), LmtpBridge::new(quarantine.clone(), rules.clone(), memory.clone()))
            };
            let gate = self.gate(config);
            serve::door::start(&self.serving, listener, gate, &serve::door::LMTP, make);
        }
        for door in &config.milter {
            let listener = bind(&door.listen, door.socket_mode, &mut self.milter)?;
            let rules = Arc::new(map::milter_door(config, door, |filter| self.serving.pools.filters.add(filter))?);
            let (quarantine, memory, max_size) = (self.quarantine.clone(), memory.clone(), door.max_size);
            let make = move |accepted: &Accepted| {
                let session = crate::milter::Session::new(crate::milter::Options { max_size });
                (session, MilterBridge::new(quarantine.clone(), rules.clone(), memory.clone(), accepted.name()))
            };
            let gate = self.gate(config);
            serve::door::start(&self.serving, listener, gate, &serve::door::MILTER, make);
        }
        Ok(())
    }

    fn listen_exporters(&mut self, config: &Config) -> Result<(), String> {
        if config.exporters.is_empty() {
            return Ok(());
        }
        let store = &self.quarantine.store;
        let repeats = Arc::new(Repeats::open(store.disk(), store.now()));
        for exporter in &config.exporters {
            let (door, terms) = map::exporter(exporter)?;
            let listener = bind(&exporter.listen, exporter.socket_mode, &mut self.exporters)?;
            let exports = Exports::new(self.quarantine.clone(), repeats.clone(), self.intake.clone(), door);
            let gate = self.gate(config);
            serve::exporter::start(&self.serving, listener, gate, terms, Arc::new(exports));
        }
        Ok(())
    }

    fn listen_page(&mut self, config: &Config) -> Result<(), String> {
        let networks = config.page.metrics.clone();
        let may_measure = move |peer| networks.iter().any(|network| network.contains(peer));
        let site = Site::new(self.quarantine.clone(), self.accounts.clone(), may_measure);
        let site = Arc::new(site.ok_or("the system has no random bytes")?);
        let secure = config.page.tls.iter().map(|address| (*address, true));
        for (address, is_tls) in secure.chain(config.page.plain.iter().map(|address| (*address, false))) {
            let listener = Listener::bind(&Address::Tcp(address)).map_err(|e| e.to_string())?;
            if let Address::Tcp(bound) = listener.address() {
                let [over_tls, plain] = &mut self.page;
                if is_tls { over_tls.push(bound) } else { plain.push(bound) }
            }
            let proxies = config.page.proxies.clone();
            let mode = serve::web::Mode {
                tls: self.tls.clone().filter(|_| is_tls),
                is_proxy: Box::new(move |peer| proxies.iter().any(|network| network.contains(peer))),
                host: config.page.base_url.as_ref().and_then(|url| Some(url.split_once("://")?.1.to_string())),
            };
            let gate = self.gate(config);
            serve::web::start(&self.serving, listener, gate, mode, site.clone());
        }
        Ok(())
    }

    fn work(&self, config: &Config) -> Result<(), String> {
        let (quarantine, stop) = (&self.quarantine, &self.serving.stop);
        let queue = quarantine.queue.clone();
        let q = quarantine.clone();
        let stamp: Stamp = Arc::new(move |id, to| q.received_line(id, to, q.store.now()));
        let (sinks, how) = map::sinks(config, quarantine.store.disk(), &stamp)?;
        let deliver = Deliver::new(queue.clone(), quarantine.clone(), map::routes(config)?);
        let train = Train::new(queue.clone(), quarantine.clone(), sinks);
        let keep =
            |what, make: Box<dyn Fn() -> Loop + Send>| executor::keep(self.executor.tasks(), what, stop.clone(), make);
        let (q, s) = (quarantine.clone(), stop.clone());
        keep("the fan-out", Box::new(move || Box::pin(fan::run(queue.clone(), q.clone(), how.clone(), s.clone()))));
        for _ in 0..limits::DELIVERIES {
            let (deliver, s) = (deliver.clone(), stop.clone());
            keep("a delivery worker", Box::new(move || Box::pin(deliver.clone().run(s.clone()))));
        }
        for _ in 0..TRAINERS {
            let (train, s) = (train.clone(), stop.clone());
            keep("a training worker", Box::new(move || Box::pin(train.clone().run(s.clone()))));
        }
        let (q, s, rules) = (quarantine.clone(), stop.clone(), map::drop_rules(config));
        keep("the drop", Box::new(move || Box::pin(drop::run(q.clone(), rules.clone(), s.clone()))));
        let (q, s) = (quarantine.clone(), stop.clone());
        keep("the intake", Box::new(move || Box::pin(intake::run(q.clone(), s.clone()))));
        let (q, s) = (quarantine.clone(), stop.clone());
        keep("the sweep", Box::new(move || Box::pin(care::sweep(q.clone(), s.clone()))));
        let (q, s) = (quarantine.clone(), stop.clone());
        keep("the news", Box::new(move || Box::pin(care::wake(q.clone(), s.clone()))));
        let (q, s, pools) = (quarantine.clone(), stop.clone(), self.serving.pools.clone());
        let fill = move || Box::pin(care::cache(q.clone(), pools.clone(), crate::bridge::fill, s.clone())) as Loop;
        keep("the cache", Box::new(fill));
        let (q, s) = (quarantine.clone(), stop.clone());
        let plan = move || Box::pin(digest::plan(q.clone(), crate::bridge::web::digest::compose, s.clone())) as Loop;
        keep("the digests", Box::new(plan));
        let (q, s, routes) = (quarantine.clone(), stop.clone(), map::routes(config)?);
        let send = move || Box::pin(digest::send(q.clone(), routes.clone(), s.clone())) as Loop;
        keep("the sending of digests", Box::new(send));
        let (q, s) = (quarantine.clone(), stop.clone());
        keep("expiry", Box::new(move || Box::pin(care::expire(q.clone(), s.clone()))));
        Ok(())
    }

    /// The executor, for what else runs beside the server.
    pub fn tasks(&self) -> &Tasks {
        self.executor.tasks()
    }

    /// Reads certificate, accounts and recipients again; what cannot be read stays as it was, with a line in the log.
    /// Connections stay.
    pub fn reload(&self) {
        if let Some(Err(e)) = self.tls.as_ref().map(|tls| tls.reload()) {
            log::error!("the old certificate stays: {e}");
        }
        let directory = match &self.config_file {
            None => Ok(self.quarantine.directory()),
            Some(file) => Config::load(file).map_err(|e| e.to_string()).and_then(|config| {
                let (directory, logins) = (map::directory(&config)?, map::logins(&config)?);
                self.serving.pools.logins.set(logins);
                self.set_digest_rules(&config);
                Ok(directory)
            }),
        };
        match directory {
            Ok(directory) => {
                self.quarantine.set_directory(directory.clone());
                self.quarantine.lists().export();
                if let Err(e) = self.accounts.reload(directory) {
                    log::error!("the old accounts stay: {e}");
                }
                log::info!(
                    "certificate, accounts, recipients and digests were read again; other settings need a restart"
                );
            }
            Err(e) => log::error!("the old configuration stays: {e}"),
        }
    }

    fn set_digest_rules(&self, config: &Config) {
        let [over_tls, _] = &self.page;
        self.quarantine.set_digest_rules(map::digest_rules(config, over_tls.first().copied()));
    }

    /// Stops listening, lets connections and workers end, and makes the marks exact.
    pub fn stop(self) {
        let Server { quarantine, executor, serving, gates, lock, .. } = self;
        serving.stop.stop();
        smol::block_on(serving.settle(&gates));
        executor.stop();
        serving.pools.stop();
        if let Err(fault) = quarantine.store.close() {
            log::error!("{fault}: some UIDs are skipped at the next start");
        }
        drop(lock);
    }
}

/// Binds; a TCP address is noted as it was bound.
fn bind(listen: &Listen, socket_mode: u32, bound: &mut Vec<SocketAddr>) -> Result<Listener, String> {
    let address = match listen {
        Listen::Tcp(address) => Address::Tcp(*address),
        Listen::Unix(path) => Address::Unix(path.clone(), socket_mode),
    };
    let listener = Listener::bind(&address).map_err(|e| e.to_string())?;
    if let Address::Tcp(address) = listener.address() {
        bound.push(address);
    }
    Ok(listener)
}

/// `lazaret serve`: runs until SIGTERM or SIGINT; SIGHUP reloads.
pub fn serve(config: &Config) -> Result<(), String> {
    map::start_log(&config.log);
    config.check_files().map_err(|e| e.to_string())?;
    let orders = Orders::listen()?;
    let server = Server::start(config)?;
    smol::block_on(orders.obey(&server));
    server.stop();
    Ok(())
}

/// Signals from outside. Listen before anybody is told that the server runs, or an early SIGTERM kills it.
pub struct Orders(async_signal::Signals);

impl Orders {
    /// From now on SIGTERM, SIGINT and SIGHUP are ours.
    pub fn listen() -> Result<Orders, String> {
        use async_signal::{Signal, Signals};
        let signals = Signals::new([Signal::Term, Signal::Int, Signal::Hup]);
        signals.map(Orders).map_err(|e| format!("cannot listen for signals: {e}"))
    }

    /// Waits for SIGTERM or SIGINT, reloading at each SIGHUP.
    pub async fn obey(mut self, server: &Server) {
        use smol::stream::StreamExt;
        while let Some(Ok(async_signal::Signal::Hup)) = self.0.next().await {
            server.reload();
        }
        log::info!("stopping");
    }
}
