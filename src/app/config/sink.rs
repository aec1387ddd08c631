//! `[[sink]]`: where trained mail goes.

use super::reader::{ConfigError, Section};
use super::value::*;
use super::{Sink, SinkTo};
use std::path::Path;

/// What a sink is; its words.
#[derive(Clone, Copy)]
enum SinkKind {
    Maildir,
    Command,
    Rspamd,
    Spamd,
}

/// Reads one.
pub fn read(s: Section<'_>, base: &Path) -> Result<Sink, ConfigError> {
    let kinds = [
        ("maildir", SinkKind::Maildir),
        ("command", SinkKind::Command),
        ("rspamd", SinkKind::Rspamd),
        ("spamassassin", SinkKind::Spamd),
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
    ];
    let fitting: &[&str] = match to_kind {
        SinkKind::Maildir => &["path"],
        SinkKind::Command => &["command", "done_codes", "retry_codes"],
        SinkKind::Rspamd => &["url", "password_file"],
        SinkKind::Spamd => &["address", "user"],
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
