//! From arguments to exit code.

use super::args::{Command, Invocation, parse};
use super::exit::Exit;
use super::output::{fail, print};
use super::{check, help, user};
use crate::app::config::{self, Config};
use std::ffi::OsString;
use std::path::Path;

/// Carries out what was typed (without the program's own name). What needs the store or a server is handed to `rest`, with
/// the configuration; `demo` gets the default one.
pub fn run(args: impl IntoIterator<Item = OsString>, rest: impl FnOnce(Config, Command) -> Exit) -> Exit {
    let Invocation { config, command } = match parse(args) {
        Ok(invocation) => invocation,
        Err(stop) if stop.exit == Exit::Done => {
            print(stop.text);
            return Exit::Done;
        }
        Err(stop) => {
            fail(stop.text.trim_end());
            return stop.exit;
        }
    };
    match &command {
        Command::Help(options) => return topic(options.topic.as_deref()),
        Command::Demo(_) if config.is_none() => return rest(Config::default_config(), command),
        _ => {}
    }
    let path = config.as_deref().unwrap_or(Path::new(config::PATH));
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(error) if matches!(command, Command::Deposit(_)) => {
            // Whoever deposits is a mail server: it keeps the message until this file is good again.
            fail(&error);
            return Exit::TryLater;
        }
        Err(error) => return check::report(&error, matches!(&command, Command::Check(c) if c.json)),
    };
    match &command {
        Command::User(options) => user::run(&config, &options.command),
        Command::Check(options) => match check::run(&config, options) {
            Exit::Done if !options.config_only => rest(config, command),
            exit => exit,
        },
        _ => rest(config, command),
    }
}

fn topic(topic: Option<&str>) -> Exit {
    match help::text(topic) {
        Some(text) => {
            print(text);
            Exit::Done
        }
        None => {
            fail(format_args!("there is no such topic; there are {}", help::topics()));
            Exit::Usage
        }
    }
}
