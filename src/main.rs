//! The program: arguments in, exit code out.

use lazaret::app::{demo, server};
use lazaret::cli::{self, Command, Exit};
use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = cli::run(std::env::args_os().skip(1), |config, command| {
        let done = match command {
            Command::Serve(_) => server::serve(&config),
            Command::Demo(options) => {
                demo::run(&demo::Options { data: options.data, empty: options.empty, json: options.json })
            }
            other => return cli::run_on_store(&config, &other),
        };
        match done {
            Ok(()) => Exit::Done,
            Err(text) => {
                cli::fail(text);
                Exit::Unavailable
            }
        }
    });
    exit.into()
}
