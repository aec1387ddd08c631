//! The sink that keeps messages in `ham` and `spam` Maildirs, for whatever reads them later.

use super::{Learned, Lesson};
use crate::base::Fault;
use crate::disk::Disk;
use std::fmt;
use std::io;
use std::path::PathBuf;

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
        let (temporary, target) = (directory.join("tmp").join(&name), directory.join("new").join(&name));
        if temporary.exists() {
            // An attempt that a crash broke off.
            self.disk.unlink(&temporary)?;
        }
        let mut file = self.disk.create(&temporary)?;
        file.write(&lesson.message)?;
        file.sync()?;
        match self.disk.rename(&temporary, &target) {
            Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => self.disk.unlink(&temporary)?,
            renamed => renamed?,
        }
        self.disk.sync_dir(&directory.join("new"))?;
        Ok(format!("{}/{name}", lesson.word()))
    }
}
