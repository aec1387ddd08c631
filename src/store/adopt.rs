//! Adoption: a file of another program in a `new/` or `cur/` gets a UID by a rename, its date and flags from its name, its
//! sizes from reading it once; its bytes stay as they are, it has no trace, and its retention starts now.

use super::catalogue::Row;
use super::halves::Halves;
use super::listing::Seen;
use super::{Half, Store, TreeId};
use crate::base::{Context, Fault};
use crate::mail::name::Base;
use crate::mail::{Kept, Name};
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::fs::File;
use std::io::Read;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Files that a thread reads at a time, while another gives names to those that were read before.
const READ: usize = 1024;
/// Threads that read, at the most.
const READERS: usize = 4;
/// Files renamed while a folder's lock is held once.
const BATCH: usize = 64;

impl Store {
    /// Gives foreign files UIDs, and names that say what they are, the oldest first as far as their names tell; durable
    /// when it returns. Says how many.
    pub(super) fn adopt(&self, mut files: Vec<Seen>, mut failed: impl FnMut(Fault)) -> Result<usize, Fault> {
        files.sort_by_cached_key(|file| (file.kept.index(), file.name().base.secs()));
        let readers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).clamp(2, READERS + 1) - 1;
        let adopted = std::thread::scope(|scope| {
            let mut adopted = 0;
            let mut chunks = files.chunks(READ);
            let mut ahead = VecDeque::new();
            loop {
                while ahead.len() <= readers
                    && let Some(chunk) = chunks.next()
                {
                    ahead.push_back(scope.spawn(|| self.adopted_names(chunk)));
                }
                let Some(next) = ahead.pop_front() else { return adopted };
                let mut named = Vec::with_capacity(READ);
                for name in next.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
                    name.map_or_else(&mut failed, |name| named.push(name));
                }
                for batch in named.chunk_by(|(a, _), (b, _)| a.kept == b.kept).flat_map(|one| one.chunks(BATCH)) {
                    adopted += self.enter_all(batch, &mut failed).unwrap_or_else(|fault| {
                        failed(fault);
                        0
                    });
                }
            }
        });
        let halves: HashSet<(TreeId, Kept, Half)> = files.iter().map(|f| (f.tree.id, f.kept, f.half)).collect();
        let directory = |(tree, kept, half)| Some(self.tree_by_id(tree)?.half(kept, half));
        let directories: BTreeSet<PathBuf> = halves.into_iter().filter_map(directory).collect();
        self.sync_each(directories.iter().map(PathBuf::as_path))?;
        Ok(adopted)
    }

    /// What these files are to be called, but for their UIDs.
    fn adopted_names<'a>(&self, files: &'a [Seen]) -> Vec<Result<(&'a Seen, Name), Fault>> {
        let mut buffer = vec![0; 64 << 10];
        files.iter().map(|file| Ok((file, self.adopted_name(file, &mut buffer)?))).collect()
    }

    fn adopted_name(&self, file: &Seen, buffer: &mut [u8]) -> Result<Name, Fault> {
        let mut name = file.name();
        let ours = matches!(&name.base, Base::Ours(_, host) if **host == *self.host) && name.size.is_some();
        if !ours {
            let (size, wire) = measure(&file.path(), buffer)?;
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
        Ok(name)
    }

    /// Gives files of one folder UIDs and these names, and publishes them: one step for everybody else. Says how many.
    fn enter_all(&self, files: &[(&Seen, Name)], failed: &mut impl FnMut(Fault)) -> Result<usize, Fault> {
        let Some(kept) = files.first().map(|(file, _)| file.kept) else { return Ok(0) };
        for (file, _) in files.iter().filter(|(file, name)| file.half != half_of(name)) {
            self.make_folder(&file.tree, kept)?;
        }
        let _entry = self.entry();
        let now = self.now();
        let mut named = Vec::with_capacity(files.len());
        for (file, name) in files {
            let uid = self.marks().take_uid()?;
            named.push((file, uid, self.with_uid(name.clone(), uid, kept, now)));
        }
        let mut folder = self.folder_mut(kept);
        let modseq = self.marks().take_modseq(now)?;
        let mut halves = Halves::new(self, kept);
        let mut rename = |file: &Seen, half, text: &str| {
            let (from, to) = (halves.of(file.tree.id, file.half)?, halves.of(file.tree.id, half)?);
            from.rename(&file.called, &to, text)
        };
        let mut rows = Vec::with_capacity(files.len());
        for (file, uid, (name, text)) in named {
            let half = half_of(&name);
            if let Err(fault) = rename(file, half, &text) {
                failed(fault);
                continue;
            }
            let size = name.size_on_wire().unwrap_or(0);
            let row = Row::of(&name, (kept, half), uid, file.tree.id, file.tree.domain, size, modseq);
            let odd = folder.is_odd(&name).then(|| text.into());
            folder.put(row, odd);
            file.tree.set_held(kept);
            rows.push(row);
        }
        self.views.added(kept, &rows);
        Ok(rows.len())
    }
}

/// Where a message of this name lies.
pub(super) fn half_of(name: &Name) -> Half {
    if name.flags.is_some() { Half::Cur } else { Half::New }
}

fn class_of(kept: Kept) -> crate::mail::Class {
    crate::mail::Class::ALL.into_iter().find(|c| c.folder() == kept).unwrap_or_default()
}

/// A file's size, and its size with CRLF line ends.
fn measure(path: &Path, buffer: &mut [u8]) -> Result<(u64, u64), Fault> {
    use std::os::unix::fs::MetadataExt;
    let mut file = File::open(path).during("open", path)?;
    let meta = file.metadata().during("look at", path)?;
    if !meta.is_file() {
        return Err(Fault::new("adopt", path, std::io::Error::other("it is not a regular file")));
    }
    let (mut size, mut wire, mut last) = (0, 0, 0u8);
    loop {
        let n = file.read(buffer).during("read", path)?;
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
