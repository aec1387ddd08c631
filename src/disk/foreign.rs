//! Files that other programs left, which are not trusted: nothing is opened through a link, nothing that is not a regular
//! file with one name, and opening never waits.

use rustix::fs::{Mode, OFlags};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Why a file is not read.
#[derive(Debug)]
pub enum Odd {
    /// It is a symbolic link: it may lead anywhere.
    Link,
    /// It is a directory, a pipe, a socket or a device.
    NotRegular,
    /// It has so many names; what it holds may belong to somebody else.
    Names(u64),
    /// It cannot be opened.
    Io(io::Error),
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Odd::Link => f.write_str("it is a symbolic link; only regular files are read: copy the file itself"),
            Odd::NotRegular => f.write_str("it is not a regular file"),
            Odd::Names(count) => {
                write!(
                    f,
                    "it has {count} names (hard links), so it may be somebody else's: copy it instead of linking it"
                )
            }
            Odd::Io(error) => write!(f, "it cannot be opened: {error}"),
        }
    }
}

/// Opens a file for reading if it is a regular one with a single name.
pub fn open(path: &Path) -> Result<File, Odd> {
    // NONBLOCK: a pipe without a writer would block. It means nothing for regular files.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::LOOP) => return Err(Odd::Link),
        // A socket, or a device without a driver.
        Err(rustix::io::Errno::NXIO | rustix::io::Errno::NODEV) => return Err(Odd::NotRegular),
        Err(error) => return Err(Odd::Io(error.into())),
    };
    let meta = file.metadata().map_err(Odd::Io)?;
    match meta.nlink() {
        _ if !meta.is_file() => Err(Odd::NotRegular),
        1 => Ok(file),
        names => Err(Odd::Names(names)),
    }
}

/// Whether a path still names this open file.
pub fn is_named(file: &File, path: &Path) -> bool {
    let same =
        |open: std::fs::Metadata, named: std::fs::Metadata| (open.dev(), open.ino()) == (named.dev(), named.ino());
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => same(open, named),
        _ => false,
    }
}

/// Whether a path is a directory itself, not a link to one.
pub fn is_directory(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_regular_files_with_one_name() {
        let root = std::env::temp_dir().join(format!("lazaret-foreign-{}", std::process::id()));
        fs::remove_dir_all(&root).ok();
        fs::create_dir_all(root.join("directory")).unwrap();
        let at = |name: &str| root.join(name);
        fs::write(at("good"), "x").unwrap();
        std::os::unix::fs::symlink(at("good"), at("link")).unwrap();
        fs::write(at("two"), "x").unwrap();
        fs::hard_link(at("two"), at("names")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        let good = open(&at("good")).unwrap();
        assert!(is_named(&good, &at("good")) && !is_named(&good, &at("two")));
        assert!(matches!(open(&at("link")), Err(Odd::Link)));
        assert!(matches!(open(&at("two")), Err(Odd::Names(2))));
        for name in ["directory", "pipe", "socket"] {
            assert!(matches!(open(&at(name)), Err(Odd::NotRegular)), "{name}");
        }
        assert!(matches!(open(&at("nothing")), Err(Odd::Io(_))));
        assert!(is_directory(&at("directory")) && !is_directory(&at("link")));
        fs::remove_dir_all(&root).unwrap();
    }
}
