//! `[[sink]]`: where trained mail goes.

use super::reader::{ConfigError, Section};
use super::value::*;
use crate::mail::report::Form;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `[[sink]]`: where trained mail goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sink {
    /// Its name, in the journal and in queue names.
    pub name: String,
    /// It takes what was wrongly caught.
    pub ham: bool,
    /// It takes spam.
    pub spam: bool,
    /// What it is.
    pub to: SinkTo,
}

/// What a sink is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkTo {
    /// A directory with the Maildirs `ham` and `spam`; `None`: `trained/` in the data directory.
    Maildir(Option<PathBuf>),
    /// A program that reads the message from its standard input.
    Command {
        /// The program and its arguments.
        command: Vec<String>,
        /// Exit codes that mean: done.
        done_codes: Vec<i32>,
        /// Exit codes that mean: try again later. All others: it failed for good.
        retry_codes: Vec<i32>,
        /// After this long it is killed and tried again later.
        time_limit: Duration,
    },
    /// rspamd's controller.
    Rspamd {
        /// Where it listens, `http://host:port`.
        url: String,
        /// The password is the first line of this file.
        password_file: Option<PathBuf>,
        /// After this long without an answer it is tried again later.
        time_limit: Duration,
    },
    /// SpamAssassin's spamd.
    Spamd {
        /// Where it listens: `host:port`, or `unix:` and a path.
        address: String,
        /// Whose Bayes database learns.
        user: Option<String>,
        /// After this long without an answer it is tried again later.
        time_limit: Duration,
    },
    /// A mail address that is sent reports.
    Mail {
        /// The address.
        address: String,
        /// From whom reports say they are; `None`: `lazaret@` and our name.
        from: Option<String>,
        /// The envelope's sender; `None`: nobody.
        sender: Option<String>,
        /// What reports look like.
        form: Form,
        /// The name of the route; `None`: that of the address's domain.
        route: Option<String>,
        /// A reply of the mail server may take so long.
        time_limit: Duration,
    },
}

/// What a sink is; its words.
#[derive(Clone, Copy)]
enum SinkKind {
    Maildir,
    Command,
    Rspamd,
    Spamd,
    Mail,
}

/// Reads one.
pub fn read(s: Section<'_>, base: &Path) -> Result<Sink, ConfigError> {
    let kinds = [
        ("maildir", SinkKind::Maildir),
        ("command", SinkKind::Command),
        ("rspamd", SinkKind::Rspamd),
        ("spamassassin", SinkKind::Spamd),
        ("mail", SinkKind::Mail),
    ];
    let learns = s.list("learns", choice(&[("ham", true), ("spam", false)]))?;
    let sink_name = s.own("name", name)?;
    let to_kind = s.own("to", choice(&kinds))?;
    // Every key is asked for whatever the sink is, so that one that does not fit is told apart from one that is unknown.
    let directory = s.own_optional("path", path)?;
    let command = s.own_list("command", text)?;
    let done_codes = s.own_list("done_codes", exit_code)?;
    let retry_codes = s.own_list("retry_codes", exit_code)?;
    let url = s.own_optional("url", http_url)?;
    let password_file = s.own_optional("password_file", path)?;
    let address = s.own_optional("address", text)?;
    let user = s.own_optional("user", text)?;
    let from = s.own_optional("from", mail_address)?;
    let sender = s.own_optional("sender", mail_address)?;
    let form = s.own_optional("form", choice(&[("arf", Form::Arf), ("attachment", Form::Attachment)]))?;
    let route = s.own_optional("route", name)?;
    let time_limit = s.value("time_limit", duration)?;
    let to = match to_kind {
        SinkKind::Maildir => SinkTo::Maildir(directory.as_ref().map(|path| base.join(path))),
        SinkKind::Command => SinkTo::Command {
            command: command.clone().filter(|c| !c.is_empty()).ok_or_else(|| {
                s.error("command", "a sink to a command needs command: expected a list like [\"sa-learn\", \"--ham\"]")
            })?,
            done_codes: done_codes.clone().unwrap_or_else(|| vec![0]),
            retry_codes: retry_codes.clone().unwrap_or_else(|| vec![75]),
            time_limit,
        },
        SinkKind::Rspamd => SinkTo::Rspamd {
            url: url.clone().ok_or_else(|| {
                s.error("url", "a sink to rspamd needs url: expected an address like \"http://127.0.0.1:11334\"")
            })?,
            password_file: password_file.clone().map(|file| base.join(file)),
            time_limit,
        },
        SinkKind::Spamd => SinkTo::Spamd {
            address: address.clone().ok_or_else(|| {
                s.error("address", "a sink to spamassassin needs address: expected one like \"127.0.0.1:783\"")
            })?,
            user: user.clone(),
            time_limit,
        },
        SinkKind::Mail => SinkTo::Mail {
            address: match &address {
                Some(_) => s.own("address", mail_address)?.to_string(),
                None => {
                    let why = "a sink to mail needs address: expected one like \"reports@example.net\"";
                    return Err(s.error("address", why));
                }
            },
            from: from.as_ref().map(ToString::to_string),
            sender: sender.as_ref().map(ToString::to_string),
            form: form.unwrap_or(Form::Arf),
            route: route.clone(),
            time_limit,
        },
    };
    let given = [
        ("path", directory.is_some()),
        ("command", command.is_some()),
        ("done_codes", done_codes.is_some()),
        ("retry_codes", retry_codes.is_some()),
        ("url", url.is_some()),
        ("password_file", password_file.is_some()),
        ("address", address.is_some()),
        ("user", user.is_some()),
        ("from", from.is_some()),
        ("sender", sender.is_some()),
        ("form", form.is_some()),
        ("route", route.is_some()),
    ];
    let fitting: &[&str] = match to_kind {
        SinkKind::Maildir => &["path"],
        SinkKind::Command => &["command", "done_codes", "retry_codes"],
        SinkKind::Rspamd => &["url", "password_file"],
        SinkKind::Spamd => &["address", "user"],
        SinkKind::Mail => &["address", "from", "sender", "form", "route"],
    };
    if let Some((key, _)) = given.iter().find(|(key, given)| *given && !fitting.contains(key)) {
        let word = kinds.iter().find(|(_, k)| *k as u8 == to_kind as u8).map_or("", |(word, _)| word);
        return Err(s.error(key, format!("a sink to \"{word}\" has no such key")));
    }
    if learns.is_empty() {
        return Err(s.error("learns", "expected \"ham\", \"spam\" or both"));
    }
    s.end()?;
    Ok(Sink { name: sink_name, ham: learns.contains(&true), spam: learns.contains(&false), to })
}
