//! `lazaret user`: accounts.

use super::args::{UserCommand, UserList};
use super::exit::Exit;
use super::output::{Table, fail, print, print_json};
use crate::app::config::Config;
use crate::base::{Secret, limits};
use crate::quarantine::account::Scope;
use crate::store::passwd::{self, Hash, Passwd, PasswdError, Scheme};
use serde::Serialize;
use std::io::{self, BufRead, IsTerminal, Read};
use std::process::{Command, Stdio};

/// Carries out one of them.
pub fn run(config: &Config, command: &UserCommand) -> Exit {
    let result = match command {
        UserCommand::Add(c) => account(config, &c.login).and_then(|login| {
            let hash = new_hash(&login, c.scheme)?;
            edit(config, |file| file.add(&login, hash))?;
            Ok(format!("{login} has an account now\n"))
        }),
        UserCommand::Passwd(c) => existing(config, &c.login).and_then(|login| {
            let hash = new_hash(&login, c.scheme)?;
            edit(config, |file| file.change(&login, hash))?;
            Ok(format!("{login} has a new password\n"))
        }),
        UserCommand::Remove(c) => existing(config, &c.login).and_then(|login| {
            edit(config, |file| file.remove(&login))?;
            Ok(format!("{login} has no account any more; its mail stays\n"))
        }),
        UserCommand::List(c) => list(config, c),
    };
    match result {
        Ok(text) => {
            print(text);
            Exit::Done
        }
        Err((exit, text)) => {
            fail(text);
            exit
        }
    }
}

type Outcome<T> = Result<T, (Exit, String)>;

/// The name under which an account for this login is kept.
fn account(config: &Config, login: &str) -> Outcome<String> {
    let directory = config.directory().map_err(|e| (Exit::Config, e.to_string()))?;
    let (name, _) = directory.login(login).ok_or_else(|| {
        let text = format!(
            "{login} is neither \"global\", nor a domain of the configuration, nor a recipient in one: such an account \
             could not log in (the configuration is {})",
            config.file.display()
        );
        (Exit::NoUser, text)
    })?;
    if name != login.to_lowercase() {
        let text = format!("{login} is another name of {name}: it logs in with the account of {name}; add that one");
        return Err((Exit::NoUser, text));
    }
    Ok(name)
}

/// The name of an account that there is, whether or not it can log in.
fn existing(config: &Config, login: &str) -> Outcome<String> {
    let login = login.to_lowercase();
    let file = Passwd::load(&config.users).map_err(passwd_error)?;
    if file.get(&login).is_none() {
        let text = format!("{login} has no account in {}: `lazaret user list` shows them all", config.users.display());
        return Err((Exit::NoUser, text));
    }
    Ok(login)
}

fn edit(config: &Config, change: impl FnOnce(&mut Passwd) -> Result<(), PasswdError>) -> Outcome<()> {
    passwd::edit(&config.users, &config.data, change).map_err(passwd_error)
}

fn passwd_error(error: PasswdError) -> (Exit, String) {
    let exit = match &error {
        PasswdError::Line { .. } => Exit::Config,
        PasswdError::Login(_) => Exit::NoUser,
        PasswdError::Fault(fault) => Exit::of_io(&fault.source),
    };
    (exit, error.to_string())
}

fn new_hash(login: &str, scheme: Scheme) -> Outcome<Hash> {
    let password = read_password(login)?;
    Hash::make(scheme, password.expose()).map_err(|text| (Exit::Data, text))
}

/// The password: asked for twice on a terminal, else the first line of standard input.
fn read_password(login: &str) -> Outcome<Secret<Vec<u8>>> {
    let mut stdin = io::stdin().lock();
    let password = if stdin.is_terminal() {
        let hidden = echo(false);
        eprint!("New password for {login}: ");
        let first = read_line(&mut stdin);
        eprint!("\nAgain: ");
        let again = read_line(&mut stdin);
        eprintln!();
        if hidden {
            echo(true);
        }
        if first.as_ref().ok().map(Secret::expose) != again.as_ref().ok().map(Secret::expose) {
            return Err((Exit::Data, "the two passwords are not the same".to_string()));
        }
        first
    } else {
        read_line(&mut stdin)
    };
    let password = password.map_err(|e| (Exit::Io, format!("cannot read the password: {e}")))?;
    if password.expose().is_empty() {
        return Err((Exit::NoInput, "there is no password on standard input: its first line is it".to_string()));
    }
    if password.expose().len() > limits::CREDENTIAL {
        return Err((Exit::Data, format!("the password has more than {} bytes", limits::CREDENTIAL)));
    }
    Ok(password)
}

fn read_line(from: &mut impl BufRead) -> io::Result<Secret<Vec<u8>>> {
    let mut line = Vec::new();
    from.take(limits::CREDENTIAL as u64 + 3).read_until(b'\n', &mut line)?;
    while matches!(line.last(), Some(b'\n' | b'\r')) {
        line.pop();
    }
    Ok(Secret::new(line))
}

/// Whether the terminal shows what is typed. `false`: it could not be changed.
fn echo(on: bool) -> bool {
    let word = if on { "echo" } else { "-echo" };
    let status = Command::new("stty").arg(word).stdin(Stdio::inherit()).stderr(Stdio::null()).status();
    let changed = status.is_ok_and(|s| s.success());
    if !changed && !on {
        eprintln!("(the password will be visible: this terminal cannot hide it)");
    }
    changed
}

/// One account as `user list` shows it.
#[derive(Serialize)]
struct Listed<'a> {
    login: &'a str,
    scope: &'static str,
    scheme: &'static str,
}

fn list(config: &Config, options: &UserList) -> Outcome<String> {
    let file = Passwd::load(&config.users).map_err(passwd_error)?;
    let directory = config.directory().map_err(|e| (Exit::Config, e.to_string()))?;
    let scope = |login: &str| match directory.login(login) {
        Some((_, Scope::Global)) => "global",
        Some((_, Scope::Domain(_))) => "domain",
        Some((_, Scope::Recipient(_))) => "recipient",
        None => "none",
    };
    let accounts =
        file.accounts().map(|(login, hash)| Listed { login, scope: scope(login), scheme: hash.scheme().name() });
    if options.json {
        accounts.for_each(|account| print_json(&account));
        return Ok(String::new());
    }
    let mut table = Table::new(&["LOGIN", "SCOPE", "SCHEME"]);
    accounts.for_each(|a| table.row([a.login, a.scope, a.scheme]));
    if table.is_empty() {
        return Ok(format!("{} has no accounts\n", config.users.display()));
    }
    Ok(table.to_string())
}
