//! The names in a directory, a buffer full at a time: a listing of 100,000 allocates nothing for each of them, and several
//! threads can take turns at reading it.

use crate::base::{Context, Fault};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;
use std::ffi::CStr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Bytes that one look at the directory fills: some 800 names of messages.
const BUFFER: usize = 64 << 10;

/// A directory that is being listed.
pub struct Lister {
    path: PathBuf,
    directory: OwnedFd,
    buffer: Vec<u8>,
}

/// Some of a directory's names.
#[derive(Default)]
pub struct Names {
    text: Vec<u8>,
    /// Where each ends in the text, and whether it is that of a regular file.
    ends: Vec<(usize, bool)>,
}

impl Lister {
    /// Opens a directory; `None` when it is not there.
    pub fn open(path: &Path) -> Result<Option<Lister>, Fault> {
        match rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(directory) => {
                Ok(Some(Lister { path: path.to_path_buf(), directory, buffer: Vec::with_capacity(BUFFER) }))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(Fault::new("list", path, e.into())),
        }
    }

    /// Puts the next names in the place of those that `names` holds. None: that was all.
    pub fn read(&mut self, names: &mut Names) -> Result<(), Fault> {
        names.text.clear();
        names.ends.clear();
        let mut list = RawDir::new(&self.directory, self.buffer.spare_capacity_mut());
        while let Some(entry) = list.next() {
            let entry = entry.during("list", &self.path)?;
            let name = entry.file_name();
            if !matches!(name.to_bytes(), b"." | b"..") {
                names.add(name, is_file(&self.directory, name, entry.file_type()));
            }
            if list.is_buffer_empty() && !names.ends.is_empty() {
                break;
            }
        }
        Ok(())
    }
}

impl Names {
    fn add(&mut self, name: &CStr, is_file: bool) {
        self.text.extend_from_slice(name.to_bytes());
        self.ends.push((self.text.len(), is_file));
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The names, in no order, and whether each is that of a regular file.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], bool)> {
        let mut start = 0;
        self.ends.iter().map(move |&(end, is_file)| {
            let name = self.text.get(start..end).unwrap_or_default();
            start = end;
            (name, is_file)
        })
    }
}

/// Some file systems do not tell it in the listing.
fn is_file(directory: &OwnedFd, name: &CStr, listed: FileType) -> bool {
    match listed {
        FileType::Unknown => rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile),
        known => known == FileType::RegularFile,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_once_over_many_buffers() {
        let path = std::env::temp_dir().join(format!("lazaret-list-{}", std::process::id()));
        std::fs::remove_dir_all(&path).ok();
        assert!(Lister::open(&path).unwrap().is_none());
        std::fs::create_dir_all(path.join("a directory")).unwrap();
        std::os::unix::fs::symlink("nowhere", path.join("a link")).unwrap();
        let files: BTreeSet<String> = (0..2000).map(|n| format!("{n:0100}")).collect();
        files.iter().for_each(|name| drop(std::fs::File::create(path.join(name)).unwrap()));
        let mut lister = Lister::open(&path).unwrap().unwrap();
        let (mut names, mut found, mut others, mut reads) = (Names::default(), BTreeSet::new(), BTreeSet::new(), 0);
        loop {
            lister.read(&mut names).unwrap();
            if names.is_empty() {
                break;
            }
            reads += 1;
            for (name, is_file) in names.iter() {
                let name = String::from_utf8(name.to_vec()).unwrap();
                assert!(if is_file { found.insert(name) } else { others.insert(name) });
            }
        }
        assert!(found == files && reads > 2, "{reads}");
        assert!(others.iter().eq(["a directory", "a link"]));
        assert!(Lister::open(&path.join(files.first().unwrap())).is_err());
        std::fs::remove_dir_all(&path).unwrap();
    }
}
