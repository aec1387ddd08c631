//! The program: arguments in, exit code out.

use lazaret::cli::{self, Exit};
use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = cli::run(std::env::args_os().skip(1), |_, command| {
        cli::fail(format_args!("not part of this build: {command:?}"));
        Exit::Unavailable
    });
    exit.into()
}
