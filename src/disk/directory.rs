//! A directory that is open: names in it are changed without walking to it for each.

use super::{Disk, Op};
use crate::base::{Context, Fault};
use rustix::fs::{Mode, OFlags, RenameFlags};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// A directory that is open. It stays what it was when another program puts a new one in its place: its names are then gone.
pub struct Directory {
    disk: Disk,
    path: PathBuf,
    file: OwnedFd,
}

impl Disk {
    /// Opens a directory.
    pub fn directory(&self, path: PathBuf) -> Result<Directory, Fault> {
        let file = rustix::fs::open(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .during("open the directory", &path)?;
        Ok(Directory { disk: self.clone(), path, file })
    }
}

impl Directory {
    /// When a name in it last changed, in ns since 1970; 0 when that cannot be told.
    pub fn modified(&self) -> u64 {
        super::clock::time_of(rustix::fs::fstat(&self.file))
    }

    /// Gives a file a new name, here or in another directory; fails with `AlreadyExists` when the new name is taken.
    pub fn rename(&self, name: &str, target: &Directory, new: &str) -> Result<(), Fault> {
        let (from, to) = (|| self.path.join(name), || target.path.join(new));
        let act = || rustix::fs::renameat_with(&self.file, name, &target.file, new, RenameFlags::NOREPLACE);
        let op = || Op::Rename { from: self.disk.relative(&from()), to: self.disk.relative(&to()), replace: false };
        self.disk
            .watch(op)
            .and_then(|()| self.disk.ties.between(&self.path, &target.path, act).map_err(io::Error::from))
            .map_err(|e| Fault::new(format!("give the name {} to", to().display()), from(), e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn names_change_within_and_between_open_directories() {
        let path = std::env::temp_dir().join(format!("lazaret-directory-{}", std::process::id()));
        std::fs::remove_dir_all(&path).ok();
        ["new", "cur"].iter().for_each(|half| std::fs::create_dir_all(path.join(half)).unwrap());
        let disk = Disk::new(&path);
        let [new, cur] = ["new", "cur"].map(|half| disk.directory(disk.path(half)).unwrap());
        for name in ["a", "b"] {
            disk.create(&disk.path("new").join(name)).unwrap().write(name.as_bytes()).unwrap();
        }
        new.rename("a", &cur, "a:2,S").unwrap();
        cur.rename("a:2,S", &cur, "a:2,F").unwrap();
        assert_eq!(std::fs::read(path.join("cur/a:2,F")).unwrap(), b"a");
        assert_eq!(disk.ties.before(&disk.path("new")), [disk.path("cur")], "a sync knows what it must wait for");
        assert_eq!(new.rename("b", &cur, "a:2,F").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let missing = new.rename("c", &cur, "c:2,").unwrap_err();
        assert!(missing.is_missing() && missing.path.ends_with("new/c") && missing.doing.ends_with("cur/c:2, to"));
        let meta = std::fs::metadata(path.join("cur")).unwrap();
        assert_eq!(cur.modified(), meta.mtime() as u64 * 1_000_000_000 + meta.mtime_nsec() as u64);
        assert!(disk.directory(disk.path("cur/a:2,F")).is_err());
        std::fs::remove_dir_all(&path).unwrap();
    }
}
