//! Listing the trees: what the file names say, of all folders by all cores at start-up, or of one folder.

use super::catalogue::{Folder, Row};
use super::scan::Report;
use super::trees::Trees;
use super::{Half, Tree, TreeId};
use crate::base::Fault;
use crate::disk::list::{Lister, Names};
use crate::mail::name::Base;
use crate::mail::{Kept, Name};
use std::fmt::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Threads that list at start-up, where there are so many cores.
const LISTERS: usize = 4;

/// A file as a listing shows it.
pub(super) struct Seen {
    pub kept: Kept,
    pub half: Half,
    pub tree: Arc<Tree>,
    /// Its name on disk. Other programs may write what we would spell differently (flags in another order).
    pub called: Box<str>,
    /// The UID that the name says.
    pub uid: Option<u32>,
    /// Two files with one id in one tree have the same.
    id: u64,
}

/// A file whose name says all that a row and a name can hold.
pub(super) struct Listed {
    pub kept: Kept,
    pub row: Row,
    /// The text of a name that the row cannot hold.
    pub odd: Option<Box<str>>,
}

/// Files in several runs, each in the order of its UIDs: of each thread one. To put them together would move each once more.
#[derive(Default)]
pub(super) struct Runs(Vec<Vec<Listed>>);

/// All of them in the order of their UIDs.
pub(super) struct Merged(Vec<std::vec::IntoIter<Listed>>);

/// What start-up has listed.
pub(super) struct Listing {
    /// UIDs from this one on were never given.
    believed: u32,
    /// An empty folder: it knows which names a row can hold.
    pub blank: Folder,
    /// Files with a believable UID and the name that we would write: nearly all, and 104 bytes each.
    pub files: Runs,
    /// All others.
    pub strange: Vec<Seen>,
    /// What could not be understood, a line each.
    odd: Vec<String>,
}

/// A directory of messages: whose, of which folder, which half.
type Place = (Arc<Tree>, Kept, Half);

/// The directories that are still to be listed. Whoever has time takes the next names: while one understands some, another
/// reads more.
struct Walk {
    places: std::vec::IntoIter<Place>,
    open: Option<(Place, Lister)>,
}

impl Listing {
    fn new(believed: u32, host: &str) -> Listing {
        Listing { believed, blank: Folder::new(host), files: Runs::default(), strange: Vec::new(), odd: Vec::new() }
    }

    /// Lists all these folders. UIDs from `believed` on were never given; `host` is that of our names.
    pub(super) fn of(
        folders: Vec<(Arc<Tree>, Kept)>,
        believed: u32,
        host: &str,
        report: &mut Report,
    ) -> Result<Listing, Fault> {
        let halves = |(tree, kept): (Arc<Tree>, Kept)| Half::BOTH.map(|half| (tree.clone(), kept, half));
        let places: Vec<Place> = folders.into_iter().flat_map(halves).collect();
        let walk = Mutex::new(Walk { places: places.into_iter(), open: None });
        let list = || Listing::new(believed, host).list(&walk);
        let others = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(LISTERS) - 1;
        let (listing, more) = std::thread::scope(|scope| {
            let others: Vec<_> = (0..others).map(|_| scope.spawn(list)).collect();
            let listing = list();
            let joined = others.into_iter().map(|other| other.join().unwrap_or_else(|e| std::panic::resume_unwind(e)));
            (listing, joined.collect::<Vec<_>>())
        });
        let mut listing = listing?;
        for other in more {
            let other = other?;
            listing.files.0.extend(other.files.0);
            listing.strange.extend(other.strange);
            listing.odd.extend(other.odd);
        }
        report.odd.append(&mut listing.odd);
        Ok(listing)
    }

    /// Takes names as long as there are any.
    fn list(mut self, walk: &Mutex<Walk>) -> Result<Listing, Fault> {
        let (mut files, mut names, mut text) = (Vec::new(), Names::default(), String::new());
        loop {
            let place = walk.lock().unwrap_or_else(PoisonError::into_inner).next(&mut names)?;
            let Some(place) = place else { break };
            for (called, is_file) in names.iter() {
                match understood(called, is_file) {
                    Some((called, name)) => match self.take(&place, called, &name, &mut text) {
                        Some(listed) => files.push(listed),
                        None => self.strange.push(seen(&place, called, &name)),
                    },
                    None => self.odd.extend(complaint(&place, called)),
                }
            }
        }
        self.files.add(files);
        Ok(self)
    }

    /// What a name says that we would write as it is. `text` is only there to be used again.
    fn take(&self, place: &Place, called: &str, name: &Name, text: &mut String) -> Option<Listed> {
        text.clear();
        let is_ours = write!(text, "{name}").is_ok() && text == called;
        is_ours.then(|| self.listed(place, name, called))?
    }

    /// What a name says, when it can be believed; `text` is its own.
    fn listed(&self, (tree, kept, half): &Place, name: &Name, text: &str) -> Option<Listed> {
        let uid = name.uid.filter(|&uid| uid < self.believed)?;
        name.size?;
        let row = Row::of(name, (*kept, *half), uid, tree.id, tree.domain, name.size_on_wire()?, 0);
        Some(Listed { kept: *kept, row, odd: self.blank.is_odd(name).then(|| text.into()) })
    }

    /// What the name of a strange file says, when it can be believed.
    pub(super) fn believed(&self, file: &Seen, name: &Name) -> Option<Listed> {
        name.uid?;
        self.listed(&(file.tree.clone(), file.kept, file.half), name, &name.to_string())
    }

    pub(super) fn highest(&self) -> u32 {
        let strange = self.strange.iter().filter_map(|f| f.uid).filter(|&u| u < self.believed).max();
        self.files.highest().max(strange.unwrap_or(0))
    }

    /// Takes out files with one id in one tree: they need a closer look.
    pub(super) fn take_twins(&mut self, trees: &Trees) -> Vec<Seen> {
        let strange = self.strange.iter().map(|f| f.id);
        let mut ids: Vec<u64> = self.files.iter().map(Listed::id).chain(strange).collect();
        ids.sort_unstable();
        let twins: Vec<u64> =
            ids.windows(2).filter_map(|w| (w.first() == w.last()).then(|| w.first())?.copied()).collect();
        if twins.is_empty() {
            return Vec::new();
        }
        let is_twin = |id: u64| twins.binary_search(&id).is_ok();
        let files = self.files.0.iter_mut().flat_map(|run| run.extract_if(.., |f| is_twin(f.id())));
        let files = files.filter_map(|f| f.seen(&self.blank, trees));
        files.chain(self.strange.extract_if(.., |f| is_twin(f.id))).collect()
    }
}

impl Runs {
    /// Adds some more, in any order.
    pub(super) fn add(&mut self, mut files: Vec<Listed>) {
        // By numbers first: the files themselves are moved once.
        files.sort_by_cached_key(Listed::order);
        self.0.push(files);
    }

    /// Whether there is a file with this UID.
    pub(super) fn has(&self, uid: u32) -> bool {
        self.0.iter().any(|run| run.binary_search_by_key(&uid, |f| f.row.uid).is_ok())
    }

    /// The highest UID; 0: there are no files.
    fn highest(&self) -> u32 {
        self.0.iter().filter_map(|run| run.last()).map(|f| f.row.uid).max().unwrap_or(0)
    }

    fn iter(&self) -> impl Iterator<Item = &Listed> {
        self.0.iter().flatten()
    }
}

impl IntoIterator for Runs {
    type Item = Listed;
    type IntoIter = Merged;

    fn into_iter(self) -> Merged {
        Merged(self.0.into_iter().map(Vec::into_iter).collect())
    }
}

impl Iterator for Merged {
    type Item = Listed;

    fn next(&mut self) -> Option<Listed> {
        let next = |run: &std::vec::IntoIter<Listed>| run.as_slice().first().map(Listed::order);
        let (_, least) = self.0.iter_mut().filter_map(|run| Some((next(run)?, run))).min_by_key(|(order, _)| *order)?;
        least.next()
    }
}

impl Walk {
    /// Takes the next names and says where they lie. `None`: there are no more.
    fn next(&mut self, names: &mut Names) -> Result<Option<Place>, Fault> {
        loop {
            if let Some((place, lister)) = &mut self.open {
                lister.read(names)?;
                if !names.is_empty() {
                    return Ok(Some(place.clone()));
                }
            }
            let Some((tree, kept, half)) = self.places.next() else { return Ok(None) };
            tree.note_before_listing(kept, half);
            self.open = Lister::open(&tree.half(kept, half))?.map(|lister| ((tree, kept, half), lister));
        }
    }
}

impl Listed {
    /// By UID; of two with one, the one with the plain name first.
    fn order(&self) -> (u32, bool) {
        (self.row.uid, self.odd.is_some())
    }

    fn id(&self) -> u64 {
        id_of(self.row.tree, self.row.key)
    }

    /// The file, as a listing shows it.
    pub(super) fn seen(self, blank: &Folder, trees: &Trees) -> Option<Seen> {
        let (tree, id) = (trees.get(self.row.tree)?.clone(), self.id());
        let called = self.odd.unwrap_or_else(|| blank.name(&self.row).to_string().into());
        Some(Seen { kept: self.kept, half: self.row.half, tree, called, uid: Some(self.row.uid), id })
    }
}

/// [`Seen::id`]; `key` is that of the message id.
fn id_of(tree: TreeId, key: u64) -> u64 {
    key ^ u64::from(tree.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Seen {
    /// What its name says. Nothing is listed whose name cannot be read.
    pub(super) fn name(&self) -> Name {
        Name::parse(&self.called).unwrap_or_else(|| Name::new(Base::Foreign(self.called.clone()), 0))
    }

    pub(super) fn path(&self) -> PathBuf {
        self.tree.half(self.kept, self.half).join(&*self.called)
    }

    /// Whether the name on disk is the one that we would write.
    pub(super) fn is_called(&self, name: &Name) -> bool {
        *self.called == *name.to_string()
    }
}

/// All messages in a folder of a tree, in no order.
pub(super) fn list_folder(tree: &Arc<Tree>, kept: Kept) -> Result<Vec<Seen>, Fault> {
    let places = vec![(tree.clone(), kept, Half::New), (tree.clone(), kept, Half::Cur)];
    let mut walk = Walk { places: places.into_iter(), open: None };
    let (mut names, mut files) = (Names::default(), Vec::new());
    while let Some(place) = walk.next(&mut names)? {
        let understood = names.iter().filter_map(|(called, is_file)| understood(called, is_file));
        files.extend(understood.map(|(called, name)| seen(&place, called, &name)));
    }
    Ok(files)
}

fn seen((tree, kept, half): &Place, called: &str, name: &Name) -> Seen {
    let id = id_of(tree.id, name.base.key());
    Seen { kept: *kept, half: *half, tree: tree.clone(), called: called.into(), uid: name.uid, id }
}

/// A regular file with a name that can be read.
fn understood(called: &[u8], is_file: bool) -> Option<(&str, Name)> {
    let called = std::str::from_utf8(called).ok().filter(|_| is_file)?;
    Some((called, Name::parse(called)?))
}

/// What is said of anything else; hidden files are nobody's business.
fn complaint((tree, kept, half): &Place, called: &[u8]) -> Option<String> {
    let path = tree.half(*kept, *half).join(&*String::from_utf8_lossy(called));
    (!called.starts_with(b"."))
        .then(|| format!("{}: not a message (a regular file with a Maildir name is)", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::DomainId;
    use super::*;
    use proptest::prelude::*;

    fn listed(uid: u32, odd: bool) -> Listed {
        let name = Name::parse("1700000000.M1P1Q1.mx.test,S=3,T=0").unwrap();
        let row = Row::of(&name, (Kept::Caught, Half::New), uid, TreeId(0), DomainId(0), 3, 0);
        Listed { kept: Kept::Caught, row, odd: odd.then(|| "odd".into()) }
    }

    proptest! {
        #[test]
        fn runs_are_one_list_in_the_order_of_uids(
            runs in proptest::collection::vec(proptest::collection::vec((1u32..50, any::<bool>()), 0..40), 0..4),
            asked in 1u32..50,
        ) {
            let mut all: Vec<_> = runs.iter().flatten().copied().collect();
            all.sort_unstable();
            let mut merged = Runs::default();
            for run in runs {
                merged.add(run.into_iter().map(|(uid, odd)| listed(uid, odd)).collect());
            }
            prop_assert_eq!(merged.has(asked), all.iter().any(|(uid, _)| *uid == asked));
            prop_assert_eq!(merged.highest(), all.last().map_or(0, |(uid, _)| *uid));
            prop_assert_eq!(merged.iter().count(), all.len());
            let order: Vec<_> = merged.into_iter().map(|file| file.order()).collect();
            prop_assert_eq!(order, all);
        }
    }
}
