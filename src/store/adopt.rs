//! Adoption: a file of another program in a `new/` or `cur/` gets a UID by a rename, its date and flags from its name, its
//! sizes from reading it once; its bytes stay as they are, it has no trace, and its retention starts now.

use super::listing::Seen;
use super::{Half, Store};
use crate::base::{Context, Fault};
use crate::mail::name::Base;
use crate::mail::{Kept, Name};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

impl Store {
    /// Gives foreign files UIDs, and names that say what they are; durable when it returns. Says how many.
    pub(super) fn adopt(&self, files: Vec<Seen>, mut failed: impl FnMut(Fault)) -> Result<usize, Fault> {
        let mut directories = BTreeSet::new();
        let mut adopted = 0;
        for file in files {
            match self.adopt_one(&file) {
                Ok(()) => adopted += 1,
                Err(fault) => failed(fault),
            }
            directories.insert(file.tree.half(file.kept, file.half));
        }
        self.sync_each(directories.iter().map(PathBuf::as_path))?;
        Ok(adopted)
    }

    fn adopt_one(&self, file: &Seen) -> Result<(), Fault> {
        let mut name = file.name();
        let ours = matches!(&name.base, Base::Ours(_, host) if **host == *self.host) && name.size.is_some();
        if !ours {
            let (size, wire) = measure(&file.path())?;
            // Only this store writes traces; a name from elsewhere cannot claim one.
            name = Name {
                size: Some(size),
                wire_size: (wire != size).then_some(wire),
                flags: name.flags,
                ..Name::new(name.base, size)
            };
            name.retain_from = Some(self.now().secs());
            (name.class, name.kind) = (class_of(file.kept), Default::default());
            if name.base.secs().is_none() {
                name.base = self.new_base();
            }
        }
        if file.half == Half::Cur && name.flags.is_none() {
            name.flags = Some(Default::default());
        }
        // A rename into the same half, under a UID of its own.
        self.move_in(&file.tree, file.kept, &file.path(), name).map(|_| ())
    }
}

fn class_of(kept: Kept) -> crate::mail::Class {
    crate::mail::Class::ALL.into_iter().find(|c| c.folder() == kept).unwrap_or_default()
}

/// A file's size, and its size with CRLF line ends.
fn measure(path: &Path) -> Result<(u64, u64), Fault> {
    use std::os::unix::fs::MetadataExt;
    let mut file = File::open(path).during("open", path)?;
    let meta = file.metadata().during("look at", path)?;
    if !meta.is_file() {
        return Err(Fault::new("adopt", path, std::io::Error::other("it is not a regular file")));
    }
    let (mut size, mut wire, mut last) = (0, 0, 0u8);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = file.read(&mut buffer).during("read", path)?;
        let Some(bytes) = buffer.get(..n).filter(|b| !b.is_empty()) else { break };
        size += n as u64;
        let mut bare = 0;
        for at in memchr::memchr_iter(b'\n', bytes) {
            let before = at.checked_sub(1).and_then(|i| bytes.get(i)).copied().unwrap_or(last);
            bare += u64::from(before != b'\r');
        }
        wire += n as u64 + bare;
        last = bytes.last().copied().unwrap_or(last);
    }
    debug_assert!(size == meta.size() || size > 0);
    Ok((size, wire))
}
