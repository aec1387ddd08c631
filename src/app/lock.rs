//! One writer: whoever changes the data directory holds its lock.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

/// The lock of a data directory, held until it is dropped.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "closing the file gives the lock back")] File);

/// Why the lock is not ours.
#[derive(Debug)]
pub enum NotLocked {
    /// Another process holds it; its number, if it can be read.
    Held(Option<u32>),
    /// The file cannot be made or locked.
    Failed(String),
}

impl Lock {
    /// Takes the lock, or says who has it. Makes the data directory.
    pub fn take(data: &Path) -> Result<Lock, NotLocked> {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        let path = data.join("lock");
        let failed = |e: std::io::Error| NotLocked::Failed(format!("cannot lock {}: {e}", path.display()));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(failed)?;
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                return Err(NotLocked::Held(text.trim().parse().ok()));
            }
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        let write =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        write.map_err(failed)?;
        Ok(Lock(file))
    }

    /// Takes the lock, waiting for whoever has it for `patience` at most.
    pub fn take_soon(data: &Path, patience: Duration) -> Result<Lock, NotLocked> {
        let began = Instant::now();
        loop {
            match Lock::take(data) {
                Err(NotLocked::Held(_)) if began.elapsed() < patience => std::thread::sleep(Duration::from_millis(50)),
                taken => return taken,
            }
        }
    }
}

impl std::fmt::Display for NotLocked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NotLocked::Held(Some(pid)) => write!(f, "process {pid} uses this data directory"),
            NotLocked::Held(None) => write!(f, "another process uses this data directory"),
            NotLocked::Failed(text) => f.write_str(text),
        }
    }
}
