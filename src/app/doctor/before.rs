//! What is looked at before anything is sent: the server, its disk and clock, its doors, the filter.

use super::advice;
use super::case::{Case, Finding, Sick, failed};
use super::compare::{Arrived, compare, rejected};
use super::message::SUBJECT;
use crate::app::commands::{Answer, Request as Asking};
use crate::app::config::milter::Judge;
use crate::app::config::{Listen, SinkTo};
use crate::app::map;
use crate::base::{Secret, Timestamp, limits};
use crate::disk::Disk;
use crate::mail::{Address, Kept};
use crate::net::dial::Dial;
use crate::net::http::{Target, get};
use crate::net::verdict::Asked;
use crate::quarantine::directory::Resolution;
use crate::verdict::{Action, Request};
use serde_json::Value;
use smol::io::AsyncReadExt;
use std::cell::RefCell;
use std::time::{Duration, SystemTime};

/// So far may a time in the journal lie ahead of the clock.
const AHEAD: Duration = Duration::from_secs(3_600);

impl Case<'_> {
    /// Whether the server answers, and lends a pass.
    pub fn server(&mut self) -> Finding {
        self.lend()?;
        let whose = self.pass.as_ref().map(|pass| pass.recipient.clone()).unwrap_or_default();
        Ok(format!("it runs, and <{}> is mail of {whose}", self.options.to))
    }

    /// Whether the data directory has room.
    pub fn disk(&mut self) -> Finding {
        let data = &self.config.data;
        let disk = Disk::new(data);
        let Some((free, all)) = disk.space() else {
            return failed(format!("the free space of {} cannot be told", data.display()), advice::DATA);
        };
        let percent = free.saturating_mul(100) / all.max(1);
        let least = self.config.limits.min_free;
        let told = format!("{} has {} MB free, {percent} %", data.display(), free >> 20);
        if crate::quarantine::has_space(&disk, least) {
            return Ok(told);
        }
        failed(format!("{told}: below {least} % doors answer 452"), advice::DISK)
    }

    /// Whether nothing in the journal lies ahead of the clock.
    pub fn clock(&mut self) -> Finding {
        let now = Timestamp::from_system(SystemTime::now());
        let mut last = None;
        self.journal().back(None, limits::DOCTOR_RECENT, |line| {
            let line = serde_json::from_str::<Value>(line).unwrap_or_default();
            last = line.get("time").and_then(Value::as_str).map(str::to_string);
            last.is_none()
        });
        match last {
            Some(last) if last > now.after(AHEAD).rfc3339() => failed(
                format!("the clock says {}, and the journal's last line is of {last}", now.rfc3339()),
                advice::CLOCK,
            ),
            Some(last) => Ok(format!("{}; the journal's last line is of {last}", now.rfc3339())),
            None => Ok(format!("{}; the journal is empty", now.rfc3339())),
        }
    }

    /// Whether an earlier run that was killed has left its test message.
    pub fn earlier(&mut self) -> Finding {
        let mut left = Vec::new();
        for kept in Kept::ALL {
            let request = Asking::List {
                scope: self.pass.as_ref().map(|pass| pass.recipient.clone()),
                folder: kept.directory().to_lowercase(),
                search: Some(SUBJECT.to_string()),
                limit: limits::DOCTOR_MISSING,
            };
            let answers = self.ask(&request).or_else(|why| failed(why, advice::OTHER_VERSION))?;
            left.extend(answers.into_iter().filter_map(|answer| match answer {
                Answer::Message(message) => Some(message.id),
                _ => None,
            }));
        }
        // Anybody can write such a subject, so nothing is removed for it.
        Ok(match left.is_empty() {
            true => "no test message of an earlier run is here".to_string(),
            false => format!("test messages of earlier runs are still here; `lazaret remove {}`", left.join(" ")),
        })
    }

    /// Whether a `[[milter]]`'s filter answers, and takes the test message for spam.
    pub async fn filter(&mut self, number: usize) -> Finding {
        let Some(door) = self.config.milter.get(number) else { return Err(Sick::Skipped("it is gone".to_string())) };
        if matches!(door.filter, Judge::Headers { .. }) {
            return Err(Sick::Skipped(
                "a filter before Lazaret is believed (filter = \"headers\"): nobody is asked".into(),
            ));
        }
        let made = RefCell::new(None);
        let door = map::milter_door(self.config, door, |asked| {
            made.replace(Some(asked));
            0
        });
        let asked = match (door, made.into_inner()) {
            (Ok(_), Some(asked)) => asked,
            (Err(why), _) => return failed(why, advice::CONFIG),
            (Ok(_), None) => return Err(Sick::Skipped("it asks nobody".to_string())),
        };
        if let Err(why) = asked.ping(limits::DOCTOR_CONNECT).await {
            return failed(format!("{asked} does not answer: {why}"), advice::filter_down(&asked));
        }
        // No recipient is named: what listens to the filter must not take this for mail.
        let request = Request {
            server: map::host(self.config),
            at: Timestamp::from_system(SystemTime::now()),
            ..Request::default()
        };
        match asked.ask(&request, self.message.bytes.clone()).await {
            Err(why) => failed(format!("it gives no verdict on the test message: {why}"), advice::filter_down(&asked)),
            Ok(verdict) => {
                let is_spam = match &asked {
                    Asked::Rspamd { .. } => matches!(verdict.action, Action::Reject | Action::Keep),
                    Asked::Spamd { .. } => verdict.action != Action::Pass,
                };
                let score = verdict.score_line().unwrap_or_else(|| "without points".to_string());
                let told = format!("{asked} calls the test message {}: {score}", word(verdict.action));
                if is_spam { Ok(told) } else { failed(told, advice::not_spam(&asked)) }
            }
        }
    }

    /// What rspamd says that it rejected, against what is here.
    pub async fn compared(&mut self, url: &str) -> Finding {
        let target: Target = match url.parse() {
            Ok(target) => target,
            Err(e) => return failed(format!("{e}"), advice::CONTROLLER),
        };
        let target = target.with_path("/history");
        let password = match self.controller_password(url) {
            Ok(password) => password,
            Err(why) => return failed(why, advice::CONTROLLER),
        };
        let fields: Vec<(&str, &str)> =
            password.iter().map(|password| ("Password", password.expose().as_str())).collect();
        let history = match get(&target, &fields, limits::DOCTOR_REPLY, limits::DOCTOR_HISTORY).await {
            Ok(response) if response.status == 200 => response.body,
            Ok(response) => return failed(format!("{target} answered {}", response.status), advice::CONTROLLER),
            Err(e) => return failed(e.to_string(), advice::CONTROLLER),
        };
        let rejected = match rejected(&history) {
            Ok(rejected) => rejected,
            Err(why) => return failed(format!("{target}: {why}"), advice::CONTROLLER),
        };
        let directory =
            map::directory(self.config).map_err(|text| Sick::Failed { text, change: advice::CONFIG.into() })?;
        let is_ours = |to: &str| {
            let address = Address::parse(to).ok();
            address.is_some_and(|address| !matches!(directory.resolve(&address), Resolution::UnknownDomain))
        };
        let told = compare(&rejected, &Arrived::read(self.journal()), is_ours);
        if told.missing.is_empty() { Ok(told.to_string()) } else { failed(told.to_string(), advice::MISSING) }
    }

    fn controller_password(&self, url: &str) -> Result<Option<Secret<String>>, String> {
        let of_it = self.config.sinks.iter().find_map(|sink| match &sink.to {
            SinkTo::Rspamd { url: known, password_file, .. } if known == url => password_file.as_deref(),
            _ => None,
        });
        of_it.map(map::first_line).transpose()
    }
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Pass => "no spam",
        Action::Mark => "spam that is marked",
        Action::Later => "mail that is put off",
        Action::Reject => "spam that is refused",
        Action::Keep => "spam that is kept silently",
    }
}

/// Whether a door is open, and greets if it is one that does.
pub async fn door(what: &str, listen: &Listen, greets: bool) -> Finding {
    let dial = match listen {
        Listen::Tcp(address) if address.ip().is_unspecified() => {
            Dial::Tcp(format!("{}:{}", if address.is_ipv4() { "127.0.0.1" } else { "[::1]" }, address.port()))
        }
        Listen::Tcp(address) => Dial::Tcp(address.to_string()),
        Listen::Unix(path) => Dial::Unix(path.clone()),
    };
    let knock = async {
        let mut socket = dial.connect().await.map_err(|e| format!("cannot connect: {e}"))?;
        if !greets {
            return Ok(());
        }
        let mut greeting = [0; 4];
        socket.read_exact(&mut greeting).await.map_err(|e| format!("it does not greet: {e}"))?;
        if greeting.starts_with(b"220") { Ok(()) } else { Err("somebody else listens there".to_string()) }
    };
    let late = async {
        smol::Timer::after(limits::DOCTOR_CONNECT).await;
        Err(format!("no answer within {} s", limits::DOCTOR_CONNECT.as_secs()))
    };
    match smol::future::or(knock, late).await {
        Ok(()) => Ok(format!("{what} at {dial} is open")),
        Err(why) => failed(format!("{what} at {dial}: {why}"), advice::DOOR),
    }
}
