//! What no single key shows: that keys fit together, and that files are there.

use super::reader::{ConfigError, Source};
use super::{Config, Listen, RouteTls, SinkTo, milter};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Guessing is not slowed down at a filter's door.
const SHORTEST_TOKEN: usize = 20;

/// Checks that the parts fit together.
pub fn consistent(config: &Config, source: &Source<'_>) -> Result<(), ConfigError> {
    config.directory().map_err(|e| {
        let section = format!("domains.{}", e.domain);
        let key = format!("{section}.{}", e.key);
        source.error_at(&[format!("{key}.{}", e.entry), key, section], e.text)
    })?;
    if config.routes.is_empty() {
        let text = "there is no [[route]]: released mail would have nowhere to go";
        return Err(source.error_at(&["route".to_string()], text));
    }
    unique(config.routes.iter().map(|r| r.name.as_str()), "route", source)?;
    unique(config.sinks.iter().map(|s| s.name.as_str()), "sink", source)?;
    for (name, domain) in &config.domains {
        if let Some(route) = domain.route.as_ref().filter(|r| !config.routes.iter().any(|known| known.name == **r)) {
            let known: Vec<&str> = config.routes.iter().map(|r| r.name.as_str()).collect();
            let text = format!("route: no [[route]] has the name {route:?}; there is {}", known.join(", "));
            return Err(source.error_at(&[format!("domains.{name}.route")], text));
        }
    }
    for (i, sink) in config.sinks.iter().enumerate() {
        let SinkTo::Mail { address, route, .. } = &sink.to else { continue };
        let mut own = config.reports.spam.iter().chain(&config.reports.ham);
        if own.any(|known| known.to_string().eq_ignore_ascii_case(address)) {
            let text = format!("{address} stands in [reports]: what is reported there would be reported there again");
            return Err(source.error_at(&[format!("sink#{i}.address")], text));
        }
        if let Some(route) = route.as_ref().filter(|route| !config.routes.iter().any(|known| known.name == **route)) {
            let known: Vec<&str> = config.routes.iter().map(|r| r.name.as_str()).collect();
            let text = format!("route: no [[route]] has the name {route:?}; there is {}", known.join(", "));
            return Err(source.error_at(&[format!("sink#{i}.route")], text));
        }
    }
    let directory = config.directory().map_err(|e| ConfigError::whole(source.path, e.to_string()))?;
    for address in config.recipients.keys() {
        let domain = address.rsplit('@').next().unwrap_or_default();
        if directory.domain_of(domain) != Some(domain) {
            let text = format!("[recipients.{address:?}]: {domain} has no section in [domains]");
            return Err(source.error_at(&[format!("recipients.{address}")], text));
        }
    }
    listeners(config, source)
}

/// No name twice. `key` is the array of tables that has them.
fn unique<'a>(names: impl Iterator<Item = &'a str>, key: &str, source: &Source<'_>) -> Result<(), ConfigError> {
    let mut seen = HashMap::new();
    for (i, name) in names.enumerate() {
        if seen.insert(name, i).is_some() {
            let text = format!("two [[{key}]] have the name {name:?}: give each its own");
            return Err(source.error_at(&[format!("{key}#{i}.name"), format!("{key}#{i}")], text));
        }
    }
    Ok(())
}

/// No address twice.
fn listeners(config: &Config, source: &Source<'_>) -> Result<(), ConfigError> {
    let imap = config.imap.tls.iter().map(|a| (Listen::Tcp(*a), "imap.tls".to_string()));
    let starttls = config.imap.starttls.iter().map(|a| (Listen::Tcp(*a), "imap.starttls".to_string()));
    let lmtp = config.lmtp.iter().enumerate().map(|(i, l)| (l.listen.clone(), format!("lmtp#{i}.listen")));
    let exporter = config.exporters.iter().enumerate().map(|(i, e)| (e.listen.clone(), format!("exporter#{i}.listen")));
    let milter = config.milter.iter().enumerate().map(|(i, l)| (l.listen.clone(), format!("milter#{i}.listen")));
    let mut seen: HashMap<Listen, String> = HashMap::new();
    let page = config.page.tls.iter().map(|a| (Listen::Tcp(*a), "page.tls".to_string()));
    let plain = config.page.plain.iter().map(|a| (Listen::Tcp(*a), "page.plain".to_string()));
    for (listen, key) in imap.chain(starttls).chain(lmtp).chain(milter).chain(exporter).chain(page).chain(plain) {
        // Port 0 is a new one each time.
        if matches!(&listen, Listen::Tcp(address) if address.port() == 0) {
            continue;
        }
        let shown = match &listen {
            Listen::Tcp(address) => address.to_string(),
            Listen::Unix(path) => path.display().to_string(),
        };
        if let Some(other) = seen.insert(listen, key.clone()) {
            let other = other.split('#').next().unwrap_or_default();
            return Err(source.error_at(&[key], format!("{shown} is listened on already, by {other}")));
        }
    }
    Ok(())
}

/// Checks that files are there: what cannot be known without looking at the machine.
pub fn files(config: &Config) -> Result<(), ConfigError> {
    let fault = |what: &str, path: &Path, why: String| {
        Err(ConfigError::whole(&config.file, format!("{what} {}: {why}", path.display())))
    };
    let read = |what: &str, path: &Path| match read_some(path) {
        Ok(text) => Ok(text),
        Err(e) => fault(what, path, format!("cannot read it: {e}")).map(|()| String::new()),
    };
    if config.needs_certificate() {
        let certificate = read("tls.certificate", &config.tls.certificate)?;
        if !certificate.contains("-----BEGIN CERTIFICATE-----") {
            return fault(
                "tls.certificate",
                &config.tls.certificate,
                "it holds no certificate in PEM form".to_string(),
            );
        }
        let key = read("tls.key", &config.tls.key)?;
        if !key.contains("PRIVATE KEY-----") {
            return fault("tls.key", &config.tls.key, "it holds no private key in PEM form".to_string());
        }
    }
    for route in &config.routes {
        if let Some(path) = &route.password_file {
            read(&format!("[[route]] {}: password_file", route.name), path)?;
        }
        if let Some(path) = route.ca_file.as_ref().filter(|_| route.tls != RouteTls::None) {
            read(&format!("[[route]] {}: ca_file", route.name), path)?;
        }
    }
    for (name, domain) in &config.domains {
        if let Some(path) = domain.auth.as_ref().and_then(|auth| auth.ca_file.as_ref()) {
            read(&format!("[domains.{name:?}]: auth_ca_file"), path)?;
        }
    }
    for exporter in &config.exporters {
        if let Some(path) = &exporter.token_file
            && read("[[exporter]]: token_file", path)?.lines().next().unwrap_or_default().len() < SHORTEST_TOKEN
        {
            let why =
                format!("its first line is the password, {SHORTEST_TOKEN} characters at least: openssl rand -hex 24");
            return fault("[[exporter]]: token_file", path, why);
        }
    }
    for door in &config.milter {
        if let milter::Judge::Rspamd { password_file: Some(path), .. } = &door.filter {
            read("[[milter]]: filter_password_file", path)?;
        }
    }
    if let Some(path) = config.lists.export.as_ref().filter(|path| !path.is_dir()) {
        let why = "it is no directory: make one that this server may write to and the filter may read";
        return fault("lists.export", path, why.to_string());
    }
    for sink in &config.sinks {
        if let SinkTo::Rspamd { password_file: Some(path), .. } = &sink.to {
            read(&format!("[[sink]] {}: password_file", sink.name), path)?;
        }
    }
    Ok(())
}

/// The first megabyte of a file: all that a certificate or a password has.
fn read_some(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(1 << 20).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
