//! `lazaret deposit`: one message from standard input into the quarantine. It is written to `intake/tmp` and synced; then
//! either the running server files it at once, or it is renamed to `intake/new`, where the server finds it.
//!
//! Whoever calls is a mail server with one message in its hand: every doubt is "try again later", and what was refused
//! leaves nothing behind.

use super::commands::{Answer, Request};
use super::config::Config;
use super::control;
use super::map;
use crate::base::Timestamp;
use crate::disk::Disk;
use crate::mail::{Address, Class, name::Base};
use crate::quarantine::admit::has_space;
use crate::quarantine::directory::Resolution;
use crate::verdict::Filter;
use crate::work::intake::{Envelope, directories, read_message};
use std::io::Read;
use std::time::SystemTime;

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deposited {
    /// The server has filed it under these ids.
    Filed(Vec<String>),
    /// It waits for a server; durable.
    Left,
}

/// Takes a message; what the `believed` filters wrote into it goes into its trace. `Err`: nothing was kept, for this reason; the caller keeps it and tries again.
pub fn deposit(
    config: &Config,
    mut envelope: Envelope,
    believed: &[Filter],
    input: impl Read,
) -> Result<Deposited, String> {
    known(config, &envelope)?;
    if !config.data.is_dir() {
        return Err(format!("there is no data directory {}; `lazaret serve` makes it", config.data.display()));
    }
    let disk = Disk::new(&config.data);
    if !has_space(&disk, config.limits.min_free) {
        return Err(format!("less than {} % of {} are free", config.limits.min_free, config.data.display()));
    }
    let held = read_message(input, config.limits.max_size)
        .map_err(|e| format!("the message cannot be read from standard input: {e}"))?;
    envelope.cut_from = held.cut_from;
    let message = without_separator(&held.bytes);
    envelope.hear(message, believed);
    let (new, tmp) = directories(disk.root());
    let name =
        Base::new(Timestamp::from_system(SystemTime::now()), std::process::id(), 0, &map::host(config)).to_string();
    let path = tmp.join(&name);
    let written = (|| {
        disk.make_dirs(&tmp)?;
        disk.make_dirs(&new)?;
        let mut file = disk.create(&path)?;
        file.write(envelope.line().as_bytes())?;
        file.write(message)?;
        file.sync()
    })();
    let mut unfinished = Unfinished { disk: &disk, path: Some(&path) };
    written.map_err(|fault| fault.to_string())?;
    match control::connect(&config.data) {
        Ok(stream) => file(stream, name),
        Err(_) => {
            let target = new.join(&name);
            disk.rename(&path, &target).map_err(|fault| fault.to_string())?;
            unfinished.path = None;
            if let Err(fault) = disk.sync_dir(&new) {
                // It may or may not survive a power failure: better the sender has it once more.
                drop(disk.unlink(&target));
                return Err(fault.to_string());
            }
            Ok(Deposited::Left)
        }
    }
}

/// A file of `intake/tmp`, removed at the end.
struct Unfinished<'a> {
    disk: &'a Disk,
    path: Option<&'a std::path::Path>,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.path
            && let Err(fault) = self.disk.unlink(path)
            && !fault.is_missing()
        {
            log::warn!("{fault}: the server removes it in two days");
        }
    }
}

fn file(stream: std::os::unix::net::UnixStream, name: String) -> Result<Deposited, String> {
    let mut outcome = Err("the running server did not say what became of it".to_string());
    control::over(stream, &Request::Deposit { file: name }, |answer| match answer {
        Answer::Filed { ids } => outcome = Ok(Deposited::Filed(ids)),
        Answer::Failed { text, .. } => outcome = Err(text),
        _ => {}
    })
    .map_err(|e| e.to_string())?;
    outcome
}

/// A domain that is not ours is found out now, while the mail server still has the message.
fn known(config: &Config, envelope: &Envelope) -> Result<(), String> {
    if envelope.class == Class::Outgoing {
        return Ok(());
    }
    let directory = map::directory(config)?;
    for recipient in &envelope.recipients {
        let address = Address::parse(recipient).map_err(|e| format!("<{recipient}>: {e}"))?;
        match directory.resolve(&address) {
            Resolution::Tree(_) => {}
            Resolution::UnknownDomain => {
                return Err(format!(
                    "mail for {address} was handed in, but {} is not among [domains]: the mail server's list and ours differ",
                    address.domain()
                ));
            }
            Resolution::UnknownRecipient => return Err(format!("<{address}> is not a recipient of this quarantine")),
        }
    }
    Ok(())
}

/// The message without the line that mbox puts before it, which pipe transports add when told to (Postfix: `flags=F`).
fn without_separator(message: &[u8]) -> &[u8] {
    let rest = message.strip_prefix(b"From ").filter(|rest| !rest.trim_ascii_start().starts_with(b":"));
    let end = rest.and_then(|rest| rest.iter().position(|&b| b == b'\n'));
    end.and_then(|end| message.get(b"From ".len() + end + 1..)).unwrap_or(message)
}

#[cfg(test)]
mod tests {
    use super::without_separator;

    #[test]
    fn only_the_separator_goes() {
        assert_eq!(without_separator(b"From a@x.test Tue Nov 5 10:00:00 2024\nA: b\n\nc"), b"A: b\n\nc");
        for whole in [&b""[..], b"From : a@x.test\n\n", b"From: a@x.test\n\n", b"From a@x.test", b"A: b\nFrom x\n"] {
            assert_eq!(without_separator(whole), whole);
        }
    }
}
