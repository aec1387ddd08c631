//! The only place that creates, renames, links, removes or syncs files of the data directory.
//!
//! Everything that must survive a power failure goes through [`Disk`], so that the crash test can see each operation
//! ([`Watch`]), replay any prefix of them with what was not yet synced left out, and fail any of them.
//!
//! What a file system promises, and all that this program relies on:
//! - a file's bytes are there after its `sync`;
//! - a name made, renamed or removed in a directory is so after that directory's `sync_dir`; before, it may or may not be;
//! - a rename never leaves neither name, if the target's directory is synced before the source's.

pub mod clock;
pub mod directory;
pub mod foreign;
pub mod list;
mod ties;
pub mod wire;

use crate::base::{Context, Fault};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use ties::Ties;

/// One operation, as a watcher sees it before it is carried out. Paths are relative to the data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// A new, empty file.
    Create(PathBuf),
    /// Bytes appended to a file that is open.
    Write(PathBuf, Vec<u8>),
    /// The file's bytes made durable.
    Sync(PathBuf),
    /// A new name for a file; `replace`: the target may exist.
    Rename {
        /// The old name.
        from: PathBuf,
        /// The new name.
        to: PathBuf,
        /// What had the new name is gone.
        replace: bool,
    },
    /// A second name for a file.
    Link(PathBuf, PathBuf),
    /// A name removed.
    Unlink(PathBuf),
    /// A new directory.
    MakeDir(PathBuf),
    /// An empty directory removed.
    RemoveDir(PathBuf),
    /// The directory's names made durable.
    SyncDir(PathBuf),
    /// Everything that was ever done made durable.
    SyncEverything,
}

/// Sees every operation before it is carried out, and may refuse it.
pub trait Watch: Send + Sync {
    /// An error here becomes the operation's error.
    fn before(&self, op: &Op) -> io::Result<()>;
}

/// How often a sync looks again for what must be synced first, where others move files all the time.
const SYNC_ROUNDS: usize = 8;

/// The data directory's files.
#[derive(Clone)]
pub struct Disk {
    root: Arc<Path>,
    watch: Option<Arc<dyn Watch>>,
    ties: Arc<Ties>,
    /// Held while directories are made.
    making: Arc<Mutex<()>>,
}

impl Disk {
    /// For the data directory `root`.
    pub fn new(root: &Path) -> Disk {
        Disk { root: root.into(), watch: None, ties: Arc::default(), making: Arc::default() }
    }

    /// The same, with a watcher.
    pub fn watched(root: &Path, watch: Arc<dyn Watch>) -> Disk {
        Disk { root: root.into(), watch: Some(watch), ties: Arc::default(), making: Arc::default() }
    }

    /// The data directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path in the data directory.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    fn watch(&self, op: impl FnOnce() -> Op) -> io::Result<()> {
        self.watch.as_ref().map_or(Ok(()), |w| w.before(&op()))
    }

    fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).to_path_buf()
    }

    /// Creates a file that must not exist, mode 0600, to be written and synced.
    pub fn create(&self, path: &Path) -> Result<NewFile, Fault> {
        self.watch(|| Op::Create(self.relative(path))).during("create", path)?;
        let file = rustix::fs::open(
            path,
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
            Mode::RUSR | Mode::WUSR,
        )
        .during("create", path)?;
        Ok(NewFile { disk: self.clone(), path: path.to_path_buf(), file: File::from(file) })
    }

    /// Renames a file; fails with `AlreadyExists` when the new name is taken.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<(), Fault> {
        self.watch(|| Op::Rename { from: self.relative(from), to: self.relative(to), replace: false })
            .and_then(|()| {
                self.ties
                    .moving(from, to, || rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE))
                    .map_err(io::Error::from)
            })
            .map_err(|e| Fault::new(format!("give the name {} to", to.display()), from, e))
    }

    /// Renames a file over whatever has the new name, in the same directory.
    pub fn replace(&self, from: &Path, to: &Path) -> Result<(), Fault> {
        self.watch(|| Op::Rename { from: self.relative(from), to: self.relative(to), replace: true })
            .and_then(|()| fs::rename(from, to))
            .map_err(|e| Fault::new(format!("give the name {} to", to.display()), from, e))
    }

    /// Gives a file a second name; fails with `AlreadyExists` when the new name is taken.
    pub fn link(&self, from: &Path, to: &Path) -> Result<(), Fault> {
        self.watch(|| Op::Link(self.relative(from), self.relative(to)))
            .and_then(|()| Ok(rustix::fs::linkat(CWD, from, CWD, to, AtFlags::empty())?))
            .map_err(|e| Fault::new(format!("give the second name {} to", to.display()), from, e))
    }

    /// Holds a file, if it is there: while it is held its name is removed quickly, whatever it takes the file system to free what
    /// the file held. That is done when the last that is held is dropped.
    pub fn hold(&self, path: &Path) -> Option<OwnedFd> {
        rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).ok()
    }

    /// Removes a name.
    pub fn unlink(&self, path: &Path) -> Result<(), Fault> {
        self.watch(|| Op::Unlink(self.relative(path))).and_then(|()| fs::remove_file(path)).during("remove", path)
    }

    /// Makes the names in a directory durable, after those in directories to which files of this one were moved: a
    /// message that leaves must not be gone before it has arrived. When it fails nothing may be assumed of them; it is never tried again
    /// for the same change, since the kernel forgets what it could not write.
    pub fn sync_dir(&self, path: &Path) -> Result<(), Fault> {
        self.sync_after(path, &mut Vec::new())
    }

    fn sync_after(&self, path: &Path, waiting: &mut Vec<PathBuf>) -> Result<(), Fault> {
        waiting.push(path.to_path_buf());
        for round in 0..SYNC_ROUNDS {
            // Two that wait for each other: no order is right for both.
            let first = |waiting: &[PathBuf]| {
                let mut targets = self.ties.before(path);
                targets.retain(|target| !waiting.contains(target));
                targets
            };
            for target in first(waiting) {
                match self.sync_after(&target, waiting) {
                    // It was removed as empty, so what went there has gone on from there.
                    Err(fault) if fault.is_missing() => self.ties.entered(&target, u64::MAX),
                    other => other?,
                }
            }
            let sync = || {
                // Something may have left since; in the end it is synced all the same.
                if round + 1 < SYNC_ROUNDS && !first(waiting).is_empty() {
                    return Ok(false);
                }
                self.watch(|| Op::SyncDir(self.relative(path)))?;
                File::open(path)?.sync_all().map(|()| true)
            };
            if self.ties.syncing(path, sync).during("sync the directory", path)? {
                break;
            }
        }
        waiting.pop();
        Ok(())
    }

    /// Makes durable whatever was done to the file system of the data directory, by whomever. A process that was killed
    /// may have left changes that the next one sees and that a power failure would still undo: called at start-up,
    /// everything that is seen afterwards stays.
    pub fn sync_everything(&self) -> Result<(), Fault> {
        self.watch(|| Op::SyncEverything)
            .and_then(|()| Ok(rustix::fs::syncfs(File::open(&self.root)?)?))
            .during("sync the file system of", &self.root)
    }

    /// Makes a directory, mode 0700, and those above it; those that were new are durable when it returns. After an error
    /// none is there that is not durable.
    pub fn make_dirs(&self, path: &Path) -> Result<(), Fault> {
        // Whoever finds a directory that another is making waits until it is durable.
        let _one_at_a_time = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        self.make_dirs_locked(path)
    }

    fn make_dirs_locked(&self, path: &Path) -> Result<(), Fault> {
        if path.is_dir() {
            return Ok(());
        }
        let parent = path.parent().unwrap_or(Path::new("/"));
        if parent != path {
            self.make_dirs_locked(parent)?;
        }
        self.watch(|| Op::MakeDir(self.relative(path))).during("create the directory", path)?;
        match rustix::fs::mkdir(path, Mode::RWXU) {
            Ok(()) => {}
            // Another program made it at the same time; what matters is that it is a directory and durable.
            Err(rustix::io::Errno::EXIST) if path.is_dir() => {}
            Err(e) => return Err(Fault::new("create the directory", path, e.into())),
        }
        self.sync_dir(parent).inspect_err(|_| {
            // The next attempt makes it anew: found as it is, it would be taken for durable.
            let _ = self.remove_dir(path);
        })
    }

    /// Removes an empty directory; `Ok(false)` when it was not empty or not there.
    pub fn remove_dir(&self, path: &Path) -> Result<bool, Fault> {
        self.watch(|| Op::RemoveDir(self.relative(path))).during("remove the directory", path)?;
        match rustix::fs::rmdir(path) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::NOTEMPTY | rustix::io::Errno::EXIST | rustix::io::Errno::NOENT) => Ok(false),
            Err(e) => Err(Fault::new("remove the directory", path, e.into())),
        }
    }

    /// Reads a small file; `None` when it is not there.
    pub fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, Fault> {
        match fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Fault::new("read", path, e)),
        }
    }

    /// Free and all space of the data directory's file system, in bytes. `None` when it cannot be told.
    pub fn space(&self) -> Option<(u64, u64)> {
        rustix::fs::statvfs(&*self.root)
            .ok()
            .map(|s| (s.f_bavail.saturating_mul(s.f_frsize), s.f_blocks.saturating_mul(s.f_frsize)))
    }

    /// Removes the files (not the directories) of a directory that were last written before `before` (seconds since 1970); says how
    /// many. A directory that is not there has none.
    pub fn remove_older(&self, directory: &Path, before: u64) -> Result<usize, Fault> {
        use std::os::unix::fs::MetadataExt;
        let mut removed = 0;
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let old = entry.metadata().is_ok_and(|meta| !meta.is_dir() && meta.mtime().max(0).unsigned_abs() < before);
            if old {
                self.unlink(&entry.path())?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Replaces a small file durably: temporary file beside it, sync, rename over it, sync of the directory.
    pub fn write_whole(&self, path: &Path, bytes: &[u8]) -> Result<(), Fault> {
        self.write_whole_as(path, bytes, 0o600)
    }

    /// The same, with this mode, whatever the process's mask is: for other programs to read.
    pub fn write_whole_as(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), Fault> {
        let directory = path.parent().unwrap_or(Path::new("."));
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        let temporary = PathBuf::from(temporary);
        if temporary.exists() {
            self.unlink(&temporary)?;
        }
        let mut file = self.create(&temporary)?;
        if mode != 0o600 {
            rustix::fs::fchmod(&file.file, Mode::from_raw_mode(mode)).during("set the mode of", &temporary)?;
        }
        file.write(bytes)?;
        file.sync()?;
        self.replace(&temporary, path)?;
        self.sync_dir(directory)
    }
}

/// A file that is being written.
pub struct NewFile {
    disk: Disk,
    path: PathBuf,
    file: File,
}

impl NewFile {
    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.disk
            .watch(|| Op::Write(self.disk.relative(&self.path), bytes.to_vec()))
            .and_then(|()| self.file.write_all(bytes))
            .during("write", &self.path)
    }

    /// Makes its bytes durable.
    pub fn sync(&self) -> Result<(), Fault> {
        self.disk
            .watch(|| Op::Sync(self.disk.relative(&self.path)))
            .and_then(|()| self.file.sync_all())
            .during("sync", &self.path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of this test's own, removed when it is dropped.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("lazaret-disk-{name}-{}", std::process::id()));
            fs::remove_dir_all(&path).ok();
            fs::create_dir_all(&path).unwrap();
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    #[derive(Default)]
    struct Recorder(Mutex<Vec<Op>>);

    impl Watch for Recorder {
        fn before(&self, op: &Op) -> io::Result<()> {
            self.0.lock().unwrap().push(op.clone());
            Ok(())
        }
    }

    #[test]
    fn write_whole_syncs_the_file_before_the_rename_and_the_directory_after() {
        let scratch = Scratch::new("whole");
        let recorder = Arc::new(Recorder::default());
        let disk = Disk::watched(&scratch.0, recorder.clone());
        disk.write_whole(&disk.path("marks"), b"1").unwrap();
        disk.write_whole(&disk.path("marks"), b"2").unwrap();
        assert_eq!(fs::read(disk.path("marks")).unwrap(), b"2");
        let ops = recorder.0.lock().unwrap();
        let sync = ops.iter().position(|o| matches!(o, Op::Sync(_))).unwrap();
        let rename = ops.iter().position(|o| matches!(o, Op::Rename { .. })).unwrap();
        let dir = ops.iter().position(|o| matches!(o, Op::SyncDir(_))).unwrap();
        assert!(sync < rename && rename < dir);
    }

    #[test]
    fn rename_and_link_do_not_replace() {
        let scratch = Scratch::new("noreplace");
        let disk = Disk::new(&scratch.0);
        for name in ["a", "b"] {
            disk.create(&disk.path(name)).unwrap().write(name.as_bytes()).unwrap();
        }
        let error = disk.rename(&disk.path("a"), &disk.path("b")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(disk.link(&disk.path("a"), &disk.path("b")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(error.to_string().starts_with("cannot give the name "), "{error}");
        assert!(disk.create(&disk.path("a")).is_err());
    }

    #[test]
    fn a_file_where_a_directory_should_be_is_an_error_that_names_it() {
        let scratch = Scratch::new("notdir");
        let disk = Disk::new(&scratch.0);
        disk.create(&disk.path("mail")).unwrap();
        let error = disk.make_dirs(&disk.path("mail/x/y")).unwrap_err();
        assert!(error.to_string().contains("mail"), "{error}");
    }
}
