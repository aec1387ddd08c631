//! From the configuration to each module's own options: no module below takes a [`Config`].

use super::config::milter::Judge;
use super::config::{self, Config, LogForm, Protocol, RouteTls, SinkTo};
use crate::base::{Secret, limits};
use crate::bridge::exporter;
use crate::bridge::milter;
use crate::bridge::reports;
use crate::disk::Disk;
use crate::mail::report::Opinion;
use crate::mail::{Address, Kept};
use crate::net::http::HttpError;
use crate::net::imap_login::Server;
use crate::net::smtp::{self, Destination, Login, Security, Times};
use crate::net::tls::{Trust, client_config};
use crate::net::verdict::Asked;
use crate::quarantine::expire::{Keep, Overrides, Retention};
use crate::quarantine::{Options, Scope, digest, directory::Directory, lists};
use crate::queue::FanOut;
use crate::serve::exporter::Terms;
use crate::work::routes::{Route, Routes};
use crate::work::sinks::{Command, Folder, Mail, Meaning, Rspamd, Sink, Spamd, Stamp};
use rustls_pki_types::ServerName;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a configuration cannot be put to use.
pub type MapError = String;

/// Roots of trust of common systems, for routes without `ca_file`.
const SYSTEM_ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Our name: the configured one, or the machine's.
pub fn host(config: &Config) -> String {
    config.host_name.clone().unwrap_or_else(|| {
        let uname = rustix::system::uname();
        uname.nodename().to_string_lossy().into_owned()
    })
}

/// The rules' options.
pub fn options(config: &Config) -> Result<Options, MapError> {
    let domain = config.domains.keys().next().cloned().unwrap_or_else(|| "localhost".to_string());
    let home = Address::parse(&format!("postmaster@{domain}")).map_err(|e| format!("{domain}: {e}"))?;
    Ok(Options {
        host: host(config),
        naming: config.folders,
        policy: config.policy.clone(),
        retention: retention(config),
        new_trees_per_hour: config.limits.new_trees,
        min_free_percent: config.limits.min_free,
        home,
        release_delay: config.limits.release_delay,
        queue_age: config.limits.queue_age,
    })
}

/// Where lists of senders are exported.
pub fn list_export(config: &Config) -> Option<lists::Export> {
    let config::Lists { export, export_mode } = &config.lists;
    export.clone().map(|directory| lists::Export { directory, mode: *export_mode })
}

/// The directory of recipients.
pub fn directory(config: &Config) -> Result<Arc<Directory>, MapError> {
    config.directory().map(Arc::new).map_err(|e| e.to_string())
}

fn retention(config: &Config) -> Retention {
    let of = |r: &config::Retention| -> Overrides {
        let keep = |age| Keep { age, count: r.messages, bytes: r.bytes };
        [(Kept::Caught, r.incoming), (Kept::Outgoing, r.outgoing), (Kept::Training, r.unsure), (Kept::Trash, r.trash)]
            .into_iter()
            .map(|(kept, age)| (kept, keep(age)))
            .collect()
    };
    let all = of(&config.retention);
    let domains = config.domains.keys().map(|domain| (domain.clone(), of(&config.retention_of(domain, "")))).collect();
    let recipients = config.recipients.keys().filter_map(|text| {
        let address = Address::parse(text).ok()?;
        let retention = config.retention_of(address.domain(), address.local());
        Some((address, of(&retention)))
    });
    Retention {
        folders: Kept::ALL.map(|kept| all.get(&kept).copied().unwrap_or_default()),
        domains,
        recipients: recipients.collect(),
        journal: config.retention.journal,
        trained: config.retention.trained,
        failed: config.retention.failed,
        rejects: config.retention.rejects,
    }
}

/// Who is told of what was caught. `page`: where the page was bound, if it was.
pub fn digest_rules(config: &Config, page: Option<SocketAddr>) -> digest::Rules {
    let host = host(config);
    let settings = |d: &config::Digest, every| digest::Settings {
        schedule: digest::Schedule { every, hour: d.hour, weekday: d.weekday, zone: d.time_zone.clone() },
        from: d.from.clone().unwrap_or_else(|| format!("lazaret@{host}")),
        language: d.language.to_string(),
    };
    let own = |d: &config::Digest| settings(d, d.every);
    let domains = config.domains.keys().map(|name| (name.clone(), config.digest_of(name, None)));
    let domains: Vec<(String, config::Digest)> = domains.collect();
    let wide_of = |scope: Scope, d: &config::Digest| d.to.clone().map(|to| (scope, to, settings(d, d.to_every)));
    let of_domains = domains.iter().filter_map(|(name, d)| wide_of(Scope::Domain(name.clone()), d));
    let recipients = config.recipient_digests.keys().filter_map(|text| {
        let address = Address::parse(text).ok()?;
        let digest = config.digest_of(address.domain(), Some(address.local()));
        Some((address, own(&digest)))
    });
    let port = page.or_else(|| config.page.tls.first().copied()).map_or(443, |address| address.port());
    let port = if port == 443 { String::new() } else { format!(":{port}") };
    digest::Rules {
        all: own(&config.digest),
        wide: wide_of(Scope::Global, &config.digest).into_iter().chain(of_domains).collect(),
        recipients: recipients.collect(),
        domains: domains.iter().map(|(name, d)| (name.clone(), own(d))).collect(),
        base_url: config.page.base_url.clone().unwrap_or_else(|| format!("https://{host}{port}")),
    }
}

/// Where released mail goes.
pub fn routes(config: &Config) -> Result<Routes, MapError> {
    let first = config.routes.first().ok_or("there is no [[route]]: released mail has nowhere to go")?;
    let mut by_domain = HashMap::new();
    for (domain, settings) in &config.domains {
        let Some(route) = config.route(domain).filter(|r| r.name != first.name) else { continue };
        let to = self::route(config, route)?;
        for name in settings.directory.aliases.iter().chain([domain]) {
            by_domain.insert(name.clone(), to.clone());
        }
    }
    Ok(Routes { default: self::route(config, first)?, by_domain })
}

fn route(config: &Config, route: &config::Route) -> Result<Route, MapError> {
    let about = |e: String| format!("route {:?}: {e}", route.name);
    let security = security(route.tls, &route.host, route.ca_file.as_deref(), route.verify).map_err(about)?;
    let login = match (&route.user, &route.password_file) {
        (Some(user), Some(file)) => Some(Login { user: user.clone(), password: first_line(file).map_err(about)? }),
        _ => None,
    };
    let target = match route.host.strip_prefix("unix:") {
        Some(path) => smtp::Target::Unix(PathBuf::from(path)),
        None => smtp::Target::Tcp(route.host.clone(), route.port),
    };
    let protocol = match route.protocol {
        Protocol::Smtp => smtp::Protocol::Smtp,
        Protocol::Lmtp => smtp::Protocol::Lmtp,
    };
    let to = Destination { target, protocol, security, login, helo: host(config), times: Times::default() };
    let own_headers = if route.rename_own { route.own_headers.clone().into() } else { Default::default() };
    Ok(Route { to, own_headers })
}

/// The servers that know the passwords of domains.
pub fn logins(config: &Config) -> Result<HashMap<String, Server>, MapError> {
    let asked = config.domains.iter().filter_map(|(name, domain)| Some((name, domain.auth.as_ref()?)));
    let server = |(name, auth): (&String, &config::Auth)| {
        let security = security(auth.tls, &auth.host, auth.ca_file.as_deref(), auth.verify)
            .map_err(|e| format!("domain {name}: auth: {}", e.replace("ca_file", "auth_ca_file")))?;
        Ok((name.clone(), Server::new(auth.host.clone(), auth.port, security)))
    };
    asked.map(server).collect()
}

/// How a client of ours is protected.
pub fn security(tls: RouteTls, host: &str, ca_file: Option<&Path>, verify: bool) -> Result<Security, MapError> {
    let made = || -> Result<smtp::Tls, MapError> {
        let trust = match (ca_file, verify) {
            (_, false) => Trust::Anybody,
            (Some(file), true) => Trust::Roots(file.to_path_buf()),
            (None, true) => Trust::Roots(system_roots()?),
        };
        let config = client_config(&trust).map_err(|e| e.to_string())?;
        let name = ServerName::try_from(host.to_string()).map_err(|e| format!("{host}: {e}"))?;
        Ok(smtp::Tls { config: Arc::new(config), name })
    };
    Ok(match tls {
        RouteTls::None => Security::Plain,
        RouteTls::Starttls => Security::StartTls(made()?),
        RouteTls::Implicit => Security::Implicit(made()?),
    })
}

fn system_roots() -> Result<PathBuf, MapError> {
    let found = SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.exists());
    found.ok_or_else(|| "this system has no list of certificate authorities where it is usual: set ca_file".to_string())
}

/// The first line of a file that holds a password.
pub fn first_line(file: &Path) -> Result<Secret<String>, MapError> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("cannot read {}: {e}", file.display()))?;
    Ok(Secret::new(text.lines().next().unwrap_or_default().to_string()))
}

/// Where trained mail goes, and which sink is told what.
pub fn sinks(config: &Config, disk: &Disk, stamp: &Stamp) -> Result<(HashMap<String, Sink>, FanOut), MapError> {
    let mut sinks = HashMap::new();
    let mut how = FanOut::default();
    for sink in &config.sinks {
        let about = |e: String| format!("sink {:?}: {e}", sink.name);
        let made = match &sink.to {
            SinkTo::Maildir(path) => {
                Sink::Folder(Folder { disk: disk.clone(), path: path.clone().unwrap_or_else(|| disk.path("trained")) })
            }
            SinkTo::Command { command, done_codes, retry_codes, time_limit } => {
                let done = done_codes.iter().map(|&code| (code, Meaning::Done));
                let codes = done.chain(retry_codes.iter().map(|&code| (code, Meaning::Retry))).collect();
                Sink::Command(Command { argv: command.clone(), codes, time: *time_limit })
            }
            SinkTo::Rspamd { url, password_file, time_limit } => {
                let mut rspamd = Rspamd::new(url.parse().map_err(|e| about(format!("{e}")))?);
                rspamd.password = password_file.as_deref().map(first_line).transpose().map_err(about)?;
                rspamd.time = *time_limit;
                Sink::Rspamd(rspamd)
            }
            SinkTo::Spamd { address, user, time_limit } => {
                let daemon = address.parse().map_err(|e| about(format!("address: {e}")))?;
                Sink::Spamd(Spamd { daemon, user: user.clone(), time: *time_limit })
            }
            SinkTo::Mail { address, from, sender, form, route, time_limit } => {
                let host = host(config);
                let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
                let named = route.as_ref().and_then(|name| config.routes.iter().find(|known| known.name == *name));
                let known = named.or_else(|| config.route(domain)).or(config.routes.first());
                let mut route = self::route(config, known.ok_or_else(|| about("there is no [[route]]".to_string()))?)?;
                (route.to.times.connect, route.to.times.reply) = (*time_limit, *time_limit);
                let from = from.clone().unwrap_or_else(|| format!("lazaret@{host}"));
                let mut mail = Mail::new(address.clone(), from, host, route, stamp.clone());
                (mail.sender, mail.form) = (sender.clone().unwrap_or_default(), *form);
                Sink::Mail(mail)
            }
        };
        sinks.insert(sink.name.clone(), made);
        how.ham.extend(sink.ham.then(|| sink.name.clone()));
        how.spam.extend(sink.spam.then(|| sink.name.clone()));
    }
    Ok((sinks, how))
}

/// Where reports come by mail; `None`: nowhere.
pub fn report_rules(config: &Config) -> Option<reports::Rules> {
    let config::Reports { spam, ham, from_all } = &config.reports;
    let spam = spam.iter().map(|address| (address.clone(), Opinion::Spam));
    let addresses = spam.chain(ham.iter().map(|address| (address.clone(), Opinion::Ham))).collect();
    (!config.reports.is_empty()).then_some(reports::Rules { addresses, from_all: *from_all })
}

/// What a milter listener is for. `add` takes a filter and says its number.
pub fn milter_door(
    config: &Config,
    door: &config::Milter,
    add: impl Fn(Asked) -> usize,
) -> Result<milter::Door, MapError> {
    let about = |e: &dyn std::fmt::Display| format!("[[milter]]: filter_address: {e}");
    let from = |points: Option<f64>| points.map_or(milter::Points::AllSpam, milter::Points::From);
    let judge = match &door.filter {
        Judge::Rspamd { address, password_file, time_limit } => {
            let url = if address.starts_with("unix:") { address.clone() } else { format!("http://{address}") };
            let worker = url.parse().map_err(|e: HttpError| about(&e))?;
            let password = password_file.as_deref().map(first_line).transpose()?;
            let filter = add(Asked::Rspamd { worker, password, time: *time_limit });
            milter::Judge::Asked { filter, reject_from: milter::Points::AsItSays }
        }
        Judge::SpamAssassin { address, user, time_limit, reject_from } => {
            let daemon = address.parse().map_err(|e: &'static str| about(&e))?;
            let filter = add(Asked::Spamd { daemon, user: user.clone(), time: *time_limit });
            milter::Judge::Asked { filter, reject_from: from(*reject_from) }
        }
        Judge::Headers { believed, reject_from } => {
            milter::Judge::Fields { believed: believed.clone(), reject_from: from(*reject_from) }
        }
    };
    let own = |(name, domain): (&String, &config::Domain)| Some((name.clone(), domain.reply? == config::Reply::Reject));
    Ok(milter::Door {
        judge,
        accepts_unjudged: door.accepts_unjudged,
        rejects: door.reply == config::Reply::Reject,
        rejects_for: config.domains.iter().filter_map(own).collect(),
        unsure: door.unsure,
        authenticated_by: door.authenticated_by.clone(),
        server: host(config),
    })
}

/// How mail in `drop/` is to be understood.
pub fn drop_rules(config: &Config) -> crate::work::drop::Rules {
    let config::DropDoor { header, class, kind, verdict } = &config.drop;
    crate::work::drop::Rules {
        header: header.clone(),
        class: *class,
        kind: *kind,
        believed: verdict.clone(),
        max_size: config.limits.max_size,
    }
}

/// What comes in by rspamd's exporter at one listener, and who may bring it.
pub fn exporter(exporter: &config::Exporter) -> Result<(exporter::Door, Terms), MapError> {
    let token = exporter.token_file.as_deref().map(first_line).transpose();
    let door = exporter::Door {
        rejected: exporter.rejected,
        marked: exporter.marked,
        outgoing: exporter.outgoing,
        kind: exporter.kind,
        max_size: exporter.max_size,
    };
    let token = token.map_err(|e| format!("[[exporter]]: token_file: {e}"))?;
    Ok((door, Terms { token, most: export_bytes(exporter) }))
}

/// The largest request of rspamd's exporter: in JSON three bytes of a message take four. One that is a little over the
/// limit still comes, and its header is kept.
fn export_bytes(exporter: &config::Exporter) -> usize {
    let message = usize::try_from(exporter.max_size).unwrap_or(usize::MAX);
    message.saturating_add(message / 2).saturating_add(limits::EXPORT_METADATA)
}

/// The largest piece of memory that a door may ask for.
pub fn largest(config: &Config) -> u64 {
    let lmtp = config.lmtp.iter().map(|door| door.max_size);
    // The request, and the message in it.
    let exporter = config.exporters.iter().map(|door| 2 * export_bytes(door) as u64);
    let milter = config.milter.iter().map(|door| door.max_size);
    lmtp.chain(milter).chain(exporter).max().unwrap_or(0)
}

/// Starts logging to standard error. The first call counts.
pub fn start_log(log: &config::Log) {
    use std::io::Write;
    let form = log.form;
    let mut builder = env_logger::Builder::new();
    builder.filter_level(log::LevelFilter::Warn).filter_module("lazaret", log.level);
    builder.format(move |out, record| {
        // One line a record: what a peer sent must not look like a line of ours.
        let text = record.args().to_string().replace(|c: char| c.is_control(), " ");
        match form {
            LogForm::Plain => {
                let now = crate::base::Timestamp::from_system(std::time::SystemTime::now());
                writeln!(out, "{now} {:5} {text}", record.level())
            }
            LogForm::Journal => {
                let priority = match record.level() {
                    log::Level::Error => 3,
                    log::Level::Warn => 4,
                    log::Level::Info => 6,
                    log::Level::Debug | log::Level::Trace => 7,
                };
                writeln!(out, "<{priority}>{text}")
            }
        }
    });
    // A second start in one process (tests) keeps the first one's logger.
    let _ = builder.try_init();
}
