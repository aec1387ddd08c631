//! The sink that keeps messages in `ham` and `spam` Maildirs, for whatever reads them later.

use super::{Learned, Lesson};
use crate::base::{Context, Fault};
use crate::disk::Disk;
use maildir::Maildir;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Two Maildirs, `ham` and `spam`, below one directory.
#[derive(Clone)]
pub struct Folder {
    /// For the names that must last.
    pub disk: Disk,
    /// The directory, for instance `trained` in the data directory.
    pub path: PathBuf,
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Folder({})", self.path.display())
    }
}

impl Folder {
    pub(super) async fn learn(&self, lesson: Lesson) -> Learned {
        let folder = self.clone();
        smol::unblock(move || match folder.keep(&lesson) {
            Ok(name) => Learned::Done(format!("kept as {name}")),
            Err(fault) => Learned::Retry(fault.to_string()),
        })
        .await
    }

    /// The name follows from the message alone, so a second time changes nothing.
    fn keep(&self, lesson: &Lesson) -> Result<String, Fault> {
        let directory = self.path.join(lesson.word());
        for part in ["tmp", "new", "cur"] {
            self.disk.make_dirs(&directory.join(part))?;
        }
        let name = format!("{},S={}", lesson.entry.message.id(), lesson.message.len());
        let target = directory.join("new").join(&name);
        let temporary = self.write(&directory, &lesson.message)?;
        match self.disk.link(temporary.path(), &target) {
            Err(fault) if fault.kind() != io::ErrorKind::AlreadyExists => return Err(fault),
            _ => {}
        }
        // The temporary name goes when the value does.
        drop(temporary);
        self.disk.sync_dir(&directory.join("new"))?;
        Ok(format!("{}/{name}", lesson.word()))
    }

    fn write(&self, directory: &Path, message: &[u8]) -> Result<maildir::TemporaryMailFile, Fault> {
        let open = Maildir::from(directory.to_path_buf()).open_file_in_tmp().map_err(io::Error::other);
        let mut temporary = open.during("create a file in", directory.join("tmp"))?;
        let written = temporary.write_all(message);
        written.during("write", temporary.path())?;
        File::open(temporary.path()).and_then(|f| f.sync_all()).during("sync", temporary.path())?;
        Ok(temporary)
    }
}
