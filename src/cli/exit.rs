//! Exit codes: those of sysexits.h, which mail servers understand from a pipe transport (75: try again later; most
//! others: give up).

use std::io;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It was done.
    Done = 0,
    /// Something was found or refused, without an error of the machine.
    Found = 1,
    /// The arguments are wrong.
    Usage = 64,
    /// What was read is wrong.
    Data = 65,
    /// What was to be read is not there.
    NoInput = 66,
    /// No such recipient or account.
    NoUser = 67,
    /// Something needed is not there: no server runs, no store.
    Unavailable = 69,
    /// A fault of this program.
    Software = 70,
    /// A file could not be made.
    CannotCreate = 73,
    /// Reading or writing failed.
    Io = 74,
    /// Not now; the same may work later.
    TryLater = 75,
    /// Not allowed.
    NoPermission = 77,
    /// The configuration is wrong.
    Config = 78,
}

/// Every code with its meaning, for `lazaret help exit`.
pub const TABLE: [(Exit, &str); 13] = [
    (Exit::Done, "done"),
    (Exit::Found, "check or doctor found something; or some of what was asked was refused"),
    (Exit::Usage, "the arguments are wrong"),
    (Exit::Data, "what was read is wrong"),
    (Exit::NoInput, "what was to be read is not there: a file, a message"),
    (Exit::NoUser, "no such recipient or account"),
    (Exit::Unavailable, "something needed is not there"),
    (Exit::Software, "a fault of this program"),
    (Exit::CannotCreate, "a file could not be made"),
    (Exit::Io, "reading or writing failed"),
    (Exit::TryLater, "not now: try again later; a mail server keeps the message in its queue"),
    (Exit::NoPermission, "not allowed"),
    (Exit::Config, "the configuration is wrong"),
];

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The code for an I/O error of a command (not of a door: those answer [`Exit::TryLater`]).
    pub fn of_io(error: &io::Error) -> Exit {
        match error.kind() {
            io::ErrorKind::NotFound => Exit::NoInput,
            io::ErrorKind::PermissionDenied => Exit::NoPermission,
            io::ErrorKind::AlreadyExists => Exit::CannotCreate,
            _ => Exit::Io,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_those_of_sysexits() {
        let codes: HashSet<u8> = TABLE.iter().map(|(exit, _)| exit.code()).collect();
        assert_eq!(codes.len(), TABLE.len());
        for (exit, code) in [(Exit::Usage, 64), (Exit::NoUser, 67), (Exit::TryLater, 75), (Exit::Config, 78)] {
            assert_eq!(exit.code(), code);
        }
    }
}
