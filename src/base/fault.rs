//! I/O errors that say what was being done, and to which file or peer.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// An I/O error with what was being done and the path.
#[derive(Debug)]
pub struct Fault {
    /// What was being done: "sync", "rename to /x/y".
    pub doing: String,
    /// The file or directory.
    pub path: PathBuf,
    /// Why it failed.
    pub source: io::Error,
}

impl Fault {
    /// Names the step and the file of an I/O error.
    pub fn new(doing: impl Into<String>, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Fault { doing: doing.into(), path: path.into(), source }
    }

    /// The kind of the underlying error.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Whether the file was not there.
    pub fn is_missing(&self) -> bool {
        self.kind() == io::ErrorKind::NotFound
    }

    /// Whether the disk or a quota is full.
    pub fn is_full(&self) -> bool {
        matches!(self.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.doing, self.path.display(), self.source)
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        io::Error::new(fault.kind(), fault)
    }
}

/// Adds the step and the path to an I/O result: `File::open(p).during("open", p)?`.
pub trait Context<T> {
    /// Names the step and the file.
    fn during(self, doing: &str, path: impl AsRef<Path>) -> Result<T, Fault>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn during(self, doing: &str, path: impl AsRef<Path>) -> Result<T, Fault> {
        self.map_err(|e| Fault::new(doing, path.as_ref(), e.into()))
    }
}
