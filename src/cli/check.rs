//! `lazaret check`: what can be said of configuration and accounts without the store.

use super::args::Check;
use super::exit::Exit;
use super::output::{fail, print, print_json};
use crate::app::config::{Config, ConfigError};
use crate::store::passwd::{Passwd, PasswdError};
use serde::Serialize;
use std::path::Path;

/// One finding, as JSON has it.
#[derive(Serialize)]
struct Finding<'a> {
    file: &'a Path,
    line: Option<usize>,
    column: Option<usize>,
    text: &'a str,
}

/// Checks the files that a good configuration names, and the accounts. `Done`: nothing was found, and for people a line
/// says what there is.
pub fn run(config: &Config, options: &Check) -> Exit {
    if let Err(error) = config.check_files() {
        return report(&error, options.json);
    }
    let users = match Passwd::load(&config.users) {
        Ok(users) => users,
        Err(PasswdError::Line { path, line, text }) => {
            return report(&ConfigError { file: path, at: Some((line, 1)), text }, options.json);
        }
        Err(e) => return report(&ConfigError::whole(&config.users, e.to_string()), options.json),
    };
    let directory = match config.directory() {
        Ok(directory) => directory,
        Err(e) => return report(&ConfigError::whole(&config.file, e.to_string()), options.json),
    };
    if let Some((login, _)) = users.accounts().find(|(login, _)| directory.login(login).is_none()) {
        let text = format!("{login} cannot log in: it is no domain of the configuration, nor a recipient in one");
        return report(&ConfigError::whole(&config.users, text), options.json);
    }
    if !options.json {
        print(format_args!(
            "{}: good ({}, {}, {})\n",
            config.file.display(),
            count(config.domains.len(), "domain"),
            count(config.lmtp.len(), "LMTP listener"),
            count(users.len(), "account"),
        ));
    }
    Exit::Done
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Tells of an error in the configuration.
pub fn report(error: &ConfigError, json: bool) -> Exit {
    if json {
        let (line, column) = error.at.map_or((None, None), |(line, column)| (Some(line), Some(column)));
        print_json(&Finding { file: &error.file, line, column, text: &error.text });
    } else {
        fail(error);
    }
    Exit::Config
}
