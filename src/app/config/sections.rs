//! The sections of the file, one function each: which keys there are, of what form.

use super::doors::{class, drop_door, exporter, kind, lmtp, reports};
use super::reader::{ConfigError, Section, Source};
use super::value::*;
use super::*;
use crate::base::limits;
use crate::mail::Address;
use crate::quarantine::account::Level;
use crate::quarantine::account::elsewhere::{Elsewhere, Sends};
use crate::quarantine::digest::{Every, Zone};
use crate::quarantine::folders::{Inbox, Naming, Spelling, Verb, WriteOnly};
use crate::quarantine::policy::{Access, Policy, Rule};

type Read<T> = Result<T, ConfigError>;

/// Reads a whole file.
pub fn read(source: &Source<'_>) -> Read<Config> {
    let default_source = Source::new(Path::new("(default)"), DEFAULT);
    let default = default_source.table()?;
    let user = source.table()?;
    let top = Section::top(source, user.get_ref(), default.get_ref());
    let base = source.path.parent().unwrap_or(Path::new(""));
    let limits = limits(&top)?;
    let recipients = recipients(&top)?;
    let config = Config {
        file: source.path.to_path_buf(),
        data: base.join(top.value("data", path)?),
        host_name: top.value("host_name", host_name)?,
        users: base.join(top.value("users", path)?),
        imap: imap(&top)?,
        page: page(&top)?,
        tls: tls(&top, base)?,
        lmtp: top.sections("lmtp")?.into_iter().map(|s| lmtp(s, &limits)).collect::<Read<_>>()?,
        milter: top.sections("milter")?.into_iter().map(|s| milter::read(s, &limits, base)).collect::<Read<_>>()?,
        drop: drop_door(&top)?,
        reports: reports(&top)?,
        exporters: top.sections("exporter")?.into_iter().map(|s| exporter(s, base, &limits)).collect::<Read<_>>()?,
        domains: domains(&top, base)?,
        recipients: recipients.iter().map(|(key, (retention, _))| (key.clone(), retention.clone())).collect(),
        recipient_digests: recipients.into_iter().map(|(key, (_, digest))| (key, digest)).collect(),
        digest: digest(&top)?,
        lists: lists(&top, base)?,
        folders: folders(&top)?,
        retention: retention(&top)?,
        policy: policy(&top)?,
        routes: top.sections("route")?.into_iter().map(|s| route(s, base)).collect::<Read<_>>()?,
        sinks: top.sections("sink")?.into_iter().map(|s| sink::read(s, base)).collect::<Read<_>>()?,
        log: log(&top)?,
        limits,
    };
    top.end()?;
    Ok(config)
}

fn imap(top: &Section<'_>) -> Read<Imap> {
    let s = top.section("imap")?;
    let imap = Imap {
        tls: s.list("tls", socket_address)?,
        starttls: s.list("starttls", socket_address)?,
        plain_login_on_loopback: s.value("plain_login_on_loopback", boolean)?,
    };
    s.end()?;
    Ok(imap)
}

fn page(top: &Section<'_>) -> Read<Page> {
    let s = top.section("page")?;
    let page = Page {
        tls: s.list("tls", socket_address)?,
        plain: s.list("plain", socket_address)?,
        proxies: s.list("proxies", network)?,
        metrics: s.list("metrics", network)?,
        base_url: s.optional("base_url", base_url)?,
    };
    if let Some(open) = page.plain.iter().find(|address| !address.ip().is_loopback()) {
        let why =
            format!("{open} is reached from other machines: passwords must not cross a network in the clear, use tls");
        return Err(s.error("plain", why));
    }
    s.end()?;
    Ok(page)
}

fn lists(top: &Section<'_>, base: &Path) -> Read<Lists> {
    let s = top.section("lists")?;
    let lists = Lists {
        export: s.optional("export", path)?.map(|directory| base.join(directory)),
        export_mode: s.value("export_mode", mode)?,
    };
    s.end()?;
    Ok(lists)
}

fn tls(top: &Section<'_>, base: &Path) -> Read<Tls> {
    let s = top.section("tls")?;
    let tls = Tls { certificate: base.join(s.value("certificate", path)?), key: base.join(s.value("key", path)?) };
    s.end()?;
    Ok(tls)
}

fn domains(top: &Section<'_>, base: &Path) -> Read<BTreeMap<String, Domain>> {
    let mut domains = BTreeMap::new();
    for (name, s) in top.named_sections("domains")? {
        if Address::parse(&format!("postmaster@{name}")).is_err() {
            return Err(s.error("", format!("{name:?} is no domain")));
        }
        let mut listed = s.optional_list("recipients", text)?;
        let file = s.optional("recipients_file", path)?;
        if let Some(file) = file {
            let file = base.join(file);
            let lines = recipients_file(&file).map_err(|why| s.error("recipients_file", why))?;
            listed.get_or_insert_default().extend(lines);
        }
        let (auth, elsewhere) = auth(&s, base)?.unzip();
        let domain = Domain {
            auth,
            directory: directory::Domain {
                aliases: s.optional_list("aliases", text)?.unwrap_or_default(),
                addresses: s.entries("addresses", text)?,
                catch_all: s.optional("catch_all", text)?,
                recipients: listed,
                delimiter: s.optional("delimiter", delimiter)?.unwrap_or(Some('+')),
                elsewhere,
            },
            reply: s.optional("reply", milter::reply)?,
            route: s.optional("route", super::value::name)?,
            retention: overrides(&s)?,
            digest: digest_overrides(&s, true)?,
        };
        if domains.contains_key(&name.to_lowercase()) {
            return Err(s.error("", format!("the domain {} has two sections", name.to_lowercase())));
        }
        if let Some(bad) = domain.directory.recipients.iter().flatten().find(|local| local.contains('@')) {
            return Err(s.error("recipients", format!("expected local parts, what stands before the @, found {bad:?}")));
        }
        s.end()?;
        domains.insert(name.to_lowercase(), domain);
    }
    Ok(domains)
}

/// The server that knows a domain's passwords, and what the rules need to know of it.
fn auth(s: &Section<'_>, base: &Path) -> Read<Option<(Auth, Elsewhere)>> {
    // Every key is asked for, so that one without its server is told apart from one that is unknown.
    let server = s.optional("auth", imap_url)?;
    let ca_file = s.optional("auth_ca_file", path)?.map(|file| base.join(file));
    let verify = s.optional("auth_verify", boolean)?;
    let user = s.optional("auth_user", choice(&[("address", Sends::Address), ("local", Sends::Local)]))?;
    let Some((tls, host, port)) = server else {
        let given =
            [("auth_ca_file", ca_file.is_some()), ("auth_verify", verify.is_some()), ("auth_user", user.is_some())];
        return match given.iter().find(|(_, is_given)| *is_given) {
            Some((key, _)) => Err(s.error(key, "it belongs to auth, which is missing: no server is asked")),
            None => Ok(None),
        };
    };
    if tls == RouteTls::None && !is_local_host(&host) {
        let why = "passwords would cross a network in the clear: expected \"imaps://\", or \"imap://\" with STARTTLS";
        return Err(s.error("auth", why));
    }
    if tls == RouteTls::None && (ca_file.is_some() || verify.is_some()) {
        let key = if ca_file.is_some() { "auth_ca_file" } else { "auth_verify" };
        return Err(s.error(key, "there is no certificate without TLS: expected \"imaps://\" or \"imap://\" in auth"));
    }
    let verify = verify.unwrap_or(true);
    if !verify && !is_local_host(&host) {
        let why =
            "passwords would go to anybody who answers in the server's place: name its certificate in auth_ca_file";
        return Err(s.error("auth_verify", why));
    }
    let auth = Auth { tls, host, port, ca_file, verify };
    let sends = user.unwrap_or(Sends::Address);
    let setting = format!("{auth:?} {sends:?}");
    Ok(Some((auth, Elsewhere { sends, setting })))
}

/// One local part a line; empty lines and those that begin with # are passed over.
fn recipients_file(path: &Path) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let mut locals = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.contains(['@', ' ', '\t']) || line.len() > limits::LOCAL_PART {
            return Err(format!("{}:{}: expected a local part, what stands before the @", path.display(), i + 1));
        }
        locals.push(line.to_string());
    }
    Ok(locals)
}

fn recipients(top: &Section<'_>) -> Read<BTreeMap<String, (Overrides, DigestOverrides)>> {
    let mut recipients = BTreeMap::new();
    for (name, s) in top.named_sections("recipients")? {
        let address = Address::parse(&name).map_err(|e| s.error("", format!("{name:?} is no address: {e}")))?;
        let key = format!("{}@{}", address.local().to_lowercase(), address.domain());
        let both = (overrides(&s)?, digest_overrides(&s, false)?);
        s.end()?;
        recipients.insert(key, both);
    }
    Ok(recipients)
}

fn overrides(s: &Section<'_>) -> Read<Overrides> {
    let s = s.section("retention")?;
    let overrides = Overrides {
        incoming: s.optional("incoming", or_none(duration))?,
        outgoing: s.optional("outgoing", or_none(duration))?,
        unsure: s.optional("unsure", or_none(duration))?,
        trash: s.optional("trash", or_none(duration))?,
        messages: s.optional("messages", or_none(integer(1, u64::from(u32::MAX))))?,
        bytes: s.optional("bytes", or_none(size))?,
    };
    s.end()?;
    Ok(overrides)
}

fn digest(top: &Section<'_>) -> Read<Digest> {
    let s = top.section("digest")?;
    let digest = Digest {
        every: s.value("every", every)?,
        hour: s.value("hour", integer(0, 23))? as u8,
        weekday: s.value("weekday", weekday)?,
        time_zone: s.value("time_zone", time_zone)?,
        language: s.value("language", language)?,
        from: s.optional("from", mail_address)?.map(|address| address.to_string()),
        to: s.optional("to", mail_address)?,
        to_every: s.value("to_every", every)?,
    };
    s.end()?;
    Ok(digest)
}

/// What differs for a domain, or for one recipient, who has no digest but his own.
fn digest_overrides(s: &Section<'_>, is_domain: bool) -> Read<DigestOverrides> {
    let s = s.section("digest")?;
    let overrides = DigestOverrides {
        every: s.optional("every", every)?,
        hour: s.optional("hour", integer(0, 23))?.map(|hour| hour as u8),
        weekday: s.optional("weekday", weekday)?,
        time_zone: s.optional("time_zone", time_zone)?,
        language: s.optional("language", language)?,
        from: s.optional("from", mail_address)?.map(|address| address.to_string()),
        to: if is_domain { s.optional("to", mail_address)? } else { None },
        to_every: if is_domain { s.optional("to_every", every)? } else { None },
    };
    s.end()?;
    Ok(overrides)
}

fn every(value: &toml::de::DeValue<'_>) -> super::reader::Converted<Every> {
    choice(&Every::ALL.map(|every| (every.word(), every)))(value)
}

fn weekday(value: &toml::de::DeValue<'_>) -> super::reader::Converted<u8> {
    const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let mut number = 0..;
    choice(&DAYS.map(|day| (day, number.next().unwrap_or(0))))(value)
}

fn language(value: &toml::de::DeValue<'_>) -> super::reader::Converted<&'static str> {
    choice(&["en", "de", "fr", "es"].map(|code| (code, code)))(value)
}

fn time_zone(value: &toml::de::DeValue<'_>) -> super::reader::Converted<Zone> {
    let zone = value.as_str().and_then(Zone::parse);
    zone.ok_or_else(|| "a time zone like \"Europe/Berlin\", or \"UTC\"".to_string())
}

fn retention(top: &Section<'_>) -> Read<Retention> {
    let s = top.section("retention")?;
    let retention = Retention {
        incoming: s.value("incoming", or_none(duration))?,
        outgoing: s.value("outgoing", or_none(duration))?,
        unsure: s.value("unsure", or_none(duration))?,
        trash: s.value("trash", or_none(duration))?,
        trained: s.value("trained", or_none(duration))?,
        failed: s.value("failed", or_none(duration))?,
        journal: s.value("journal", or_none(duration))?,
        rejects: s.value("rejects", or_none(duration))?,
        messages: s.value("messages", or_none(integer(1, u64::from(u32::MAX))))?,
        bytes: s.value("bytes", or_none(size))?,
    };
    s.end()?;
    Ok(retention)
}

fn folders(top: &Section<'_>) -> Read<Naming> {
    let s = top.section("folders")?;
    let naming = Naming {
        spelling: s.value("folder_names", choice(&[("classic", Spelling::Classic), ("plain", Spelling::Plain)]))?,
        inbox: s.value("inbox", choice(&[("empty", Inbox::Empty), ("caught", Inbox::Caught)]))?,
        write_only: s.value("write_only", choice(&[("refuse", WriteOnly::Refuse), ("empty", WriteOnly::Empty)]))?,
        outgoing: s.value("outgoing", boolean)?,
        training: s.value("training", boolean)?,
        admin_tree: s.value("admin_tree", boolean)?,
    };
    s.end()?;
    Ok(naming)
}

fn policy(top: &Section<'_>) -> Read<Policy> {
    let s = top.section("policy")?;
    let rules = s.sections("rules")?.into_iter().map(|s| {
        let rule = Rule {
            level: s.own_optional("scope", choice(&Level::ALL.map(|l| (l.word(), l))))?,
            class: s.own_optional("class", class)?,
            kind: s.own_optional("kind", kind)?,
            verbs: s.own_list("verbs", choice(&Verb::ALL.map(|v| (v.word(), v))))?.unwrap_or_default(),
            access: s.own("may", choice(&Access::ALL.map(|a| (a.word(), a))))?,
        };
        s.end()?;
        Ok(rule)
    });
    let policy = Policy { rules: rules.collect::<Read<_>>()? };
    s.end()?;
    Ok(policy)
}

fn route(s: Section<'_>, base: &Path) -> Read<Route> {
    let tls = [("none", RouteTls::None), ("starttls", RouteTls::Starttls), ("implicit", RouteTls::Implicit)];
    let route = Route {
        name: s.value("name", name)?,
        protocol: s.value("protocol", choice(&[("smtp", Protocol::Smtp), ("lmtp", Protocol::Lmtp)]))?,
        host: s.own("host", text)?,
        port: s.value("port", integer(1, 65_535))? as u16,
        tls: s.value("tls", choice(&tls))?,
        user: s.own_optional("user", text)?,
        password_file: s.own_optional("password_file", path)?.map(|file| base.join(file)),
        ca_file: s.own_optional("ca_file", path)?.map(|file| base.join(file)),
        verify: s.value("verify", boolean)?,
        rename_own: s.value("release_headers", choice(&[("rename", true), ("exact", false)]))?,
        own_headers: s.list("own_headers", header_name)?,
    };
    if route.user.is_some() != route.password_file.is_some() {
        return Err(s.error("user", "user and password_file belong together; one of them is missing"));
    }
    if route.user.is_some() && route.tls == RouteTls::None && !is_local_host(&route.host) {
        let why = "the password would be sent in the clear: expected tls = \"starttls\" or \"implicit\" with it";
        return Err(s.error("user", why));
    }
    s.end()?;
    Ok(route)
}

/// Whether a host is this machine.
pub fn is_local_host(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|a| a.is_loopback())
}

fn limits(top: &Section<'_>) -> Read<Limits> {
    let s = top.section("limits")?;
    let limits = Limits {
        max_size: s.value("max_size", size)?,
        intake_memory: s.value("intake_memory", size)?,
        new_trees: s.value("new_trees_per_hour", integer(1, 1_000_000))? as u32,
        connections_per_address: s.value("connections_per_address", integer(1, 20_000))? as u32,
        min_free: s.value("min_free", percent)?,
        queue_age: s.value("queue_age", duration)?,
        release_delay: s.value("release_delay", undo_window)?,
    };
    s.end()?;
    Ok(limits)
}

fn log(top: &Section<'_>) -> Read<Log> {
    use ::log::LevelFilter;
    let levels = [
        ("error", LevelFilter::Error),
        ("warn", LevelFilter::Warn),
        ("info", LevelFilter::Info),
        ("debug", LevelFilter::Debug),
        ("trace", LevelFilter::Trace),
    ];
    let s = top.section("log")?;
    let log = Log {
        level: s.value("level", choice(&levels))?,
        form: s.value("form", choice(&[("plain", LogForm::Plain), ("journal", LogForm::Journal)]))?,
    };
    s.end()?;
    Ok(log)
}
