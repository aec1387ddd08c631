//! `state/lists/<login>.list`: the senders that an account's scope allows and blocks, a file a list (`mail/senders.rs` has its
//! form). A person may edit them, also while we run: [`Lists::refresh`] looks for that, and no change of ours is made to
//! anything but what the file says then.
//!
//! | | file | after a crash |
//! |---|---|---|
//! | L0 | old | the change was not answered |
//! | L1 `<login>.list.new` written and synced | old, and a `.new` that start-up removes | L0 |
//! | L2 renamed, directory not synced | old or new | L0 or L3 |
//! | L3 directory synced, answered | new | |

use crate::base::{Context, Fault, limits, path};
use crate::disk::Disk;
use crate::mail::senders::List;
use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Ends the name of a list.
const END: &str = ".list";

/// All lists. Share it by reference; looking is done in memory, changes block on the disk for a moment.
pub struct Lists {
    disk: Disk,
    all: RwLock<HashMap<String, Held>>,
    /// Held while a file is read and replaced.
    changing: Mutex<()>,
}

struct Held {
    list: Arc<List>,
    stamp: Stamp,
}

/// By what a file is known to be the one that was read: inode, size, time of change.
type Stamp = (u64, u64, i64, i64);

impl Lists {
    /// Reads those of a data directory.
    pub fn open(disk: Disk) -> Result<Lists, Fault> {
        let lists = Lists { disk, all: RwLock::default(), changing: Mutex::default() };
        for name in lists.names()? {
            if name.ends_with(&format!("{END}.new")) {
                lists.disk.unlink(&lists.directory().join(name))?;
            }
        }
        lists.refresh()?;
        Ok(lists)
    }

    /// The list of this login; an empty one if there is none.
    pub fn get(&self, login: &str) -> Arc<List> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.get(login).map(|held| held.list.clone()).unwrap_or_default()
    }

    /// All lists that name anybody, by login.
    pub fn all(&self) -> Vec<(String, Arc<List>)> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let mut lists: Vec<_> = all.iter().map(|(login, held)| (login.clone(), held.list.clone())).collect();
        lists.retain(|(_, list)| !list.is_empty());
        lists.sort_by(|a, b| a.0.cmp(&b.0));
        lists
    }

    /// Changes the list of a login into what `change` makes of it; `None`: it stays. Durable when it returns.
    pub fn change<E: From<Fault>>(
        &self,
        login: &str,
        change: impl FnOnce(&List) -> Result<Option<List>, E>,
    ) -> Result<(), E> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = self.directory();
        let path = self.path(login)?;
        // What a person wrote there since we looked must not be lost.
        self.look(login)?;
        let Some(list) = change(&self.get(login))? else { return Ok(()) };
        self.disk.make_dirs(&directory)?;
        let remark = if path.exists() { String::new() } else { remark(login) };
        self.disk.write_whole(&path, format!("{remark}{list}").as_bytes())?;
        self.look(login)?;
        Ok(())
    }

    /// Reads again what another hand changed; tells whether anything was.
    pub fn refresh(&self) -> Result<bool, Fault> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut logins: Vec<String> = self.names()?.iter().filter_map(|name| login_of(name)).collect();
        logins.extend(self.all.read().unwrap_or_else(PoisonError::into_inner).keys().cloned());
        logins.sort_unstable();
        logins.dedup();
        let mut any = false;
        for login in logins {
            // One that cannot be read must not keep the others from counting.
            match self.look(&login) {
                Ok(changed) => any |= changed,
                Err(fault) => log::error!("{fault}"),
            }
        }
        Ok(any)
    }

    /// Replaces a file that other programs read, in a directory that somebody made for that.
    pub fn export(&self, path: &std::path::Path, text: &str, mode: u32) -> Result<(), Fault> {
        if self.disk.read(path)?.is_some_and(|there| there == text.as_bytes()) {
            return Ok(());
        }
        self.disk.write_whole_as(path, text.as_bytes(), mode)
    }

    /// Reads one list again if its file is another; tells whether it was.
    fn look(&self, login: &str) -> Result<bool, Fault> {
        let path = self.path(login)?;
        let known = self.all.read().unwrap_or_else(PoisonError::into_inner).get(login).map(|held| held.stamp);
        let stamp = match std::fs::metadata(&path) {
            Ok(meta) if meta.len() > limits::LIST_BYTES => {
                let why = format!("it is larger than {} bytes; until then it counts as before", limits::LIST_BYTES);
                return Err(Fault::new("read the list of senders", &path, io::Error::other(why)));
            }
            Ok(meta) => Some((meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(Fault::new("look at", &path, e)),
        };
        if stamp == known {
            return Ok(false);
        }
        let read = stamp.map(|_| self.disk.read(&path)).transpose()?.flatten();
        let held = match (stamp, read) {
            (Some(stamp), Some(bytes)) => {
                let list = List::parse(&String::from_utf8_lossy(&bytes));
                for (number, line) in list.odd() {
                    log::warn!("{}:{number}: {line:?} is not understood and counts for nothing", path.display());
                }
                Some(Held { list: Arc::new(list), stamp })
            }
            _ => None,
        };
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        match held {
            Some(held) => drop(all.insert(login.to_string(), held)),
            None => drop(all.remove(login)),
        }
        Ok(true)
    }

    fn names(&self) -> Result<Vec<String>, Fault> {
        let directory = self.directory();
        let entries = match std::fs::read_dir(&directory) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.during("list", &directory)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry.during("list", &directory)?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn directory(&self) -> PathBuf {
        self.disk.path("state/lists")
    }

    fn path(&self, login: &str) -> Result<PathBuf, Fault> {
        let directory = self.directory();
        // `.new` stands behind it while it is written.
        let name = path::encode(login.as_bytes()).filter(|name| name.len() + 2 * END.len() <= path::NAME_MAX);
        let no_name =
            || io::Error::new(io::ErrorKind::InvalidFilename, "the account's name is too long for a file name");
        let name = name.ok_or_else(no_name).during("keep a list of senders in", &directory)?;
        Ok(directory.join(format!("{name}{END}")))
    }
}

fn login_of(name: &str) -> Option<String> {
    String::from_utf8(path::decode(name.strip_suffix(END)?)?).ok()
}

/// What a new file begins with.
fn remark(login: &str) -> String {
    let login: String = login.chars().filter(|c| !c.is_control()).collect();
    format!(
        "# Senders of {login}: a line each with allow or block, and an address or a domain, which stands for all below it,\n\
         # too. \"allow\" counts only for mail that aligned SPF or DKIM proves. Changes count within a minute.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::senders::{Entry, Pattern, Sense};
    use crate::store::testing::Scratch;

    fn open(scratch: &Scratch) -> Lists {
        Lists::open(Disk::new(scratch.path())).unwrap()
    }

    fn add(lists: &Lists, login: &str, sense: Sense, text: &str) {
        let entry = Entry { sense, pattern: Pattern::parse(text).unwrap(), since: None, by: "me".into() };
        lists.change::<Fault>(login, |list| Ok(Some(list.with(entry)))).unwrap();
    }

    fn has(lists: &Lists, login: &str, text: &str) -> Option<Sense> {
        lists.get(login).has(&Pattern::parse(text).unwrap())
    }

    #[test]
    fn kept_a_file_a_list() {
        let scratch = Scratch::new("lists");
        let lists = open(&scratch);
        assert!(!scratch.path().join("state/lists").exists(), "made on first use");
        add(&lists, "alice@x.test", Sense::Allow, "bob@far.example");
        add(&lists, "x.test", Sense::Block, "far.example");
        std::fs::write(scratch.path().join("state/lists/x.test.list.new"), "half").unwrap();
        let again = open(&scratch);
        assert_eq!(has(&again, "alice@x.test", "bob@far.example"), Some(Sense::Allow));
        assert_eq!(has(&again, "x.test", "far.example"), Some(Sense::Block));
        assert_eq!(has(&again, "global", "far.example"), None);
        assert_eq!(again.all().iter().map(|(login, _)| login.as_str()).collect::<Vec<_>>(), ["alice@x.test", "x.test"]);
        let text = std::fs::read_to_string(scratch.path().join("state/lists/alice%40x.test.list")).unwrap();
        assert!(
            text.starts_with("# Senders of alice@x.test") && text.ends_with("\nallow bob@far.example me\n"),
            "{text}"
        );
        assert!(!scratch.path().join("state/lists/x.test.list.new").exists());
    }

    #[test]
    fn what_a_person_writes_meanwhile_counts_and_is_not_lost() {
        let scratch = Scratch::new("lists-edit");
        let lists = open(&scratch);
        add(&lists, "x.test", Sense::Allow, "one.example");
        let path = scratch.path().join("state/lists/x.test.list");
        std::fs::write(&path, "block two.example\nnonsense\n").unwrap();
        add(&lists, "x.test", Sense::Allow, "three.example");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "block two.example\nnonsense\nallow three.example me\n");
        assert_eq!(has(&lists, "x.test", "one.example"), None);
        assert!(!lists.refresh().unwrap());
        std::fs::write(scratch.path().join("state/lists/y.test.list"), "allow four.example\n").unwrap();
        std::fs::write(scratch.path().join("state/lists/y.test.list~"), "allow five.example\n").unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(lists.refresh().unwrap());
        assert_eq!(lists.all().len(), 1);
        assert_eq!(has(&lists, "y.test", "four.example"), Some(Sense::Allow));
    }

    #[test]
    fn one_that_is_too_large_counts_as_before() {
        let scratch = Scratch::new("lists-large");
        let lists = open(&scratch);
        add(&lists, "x.test", Sense::Block, "one.example");
        let path = scratch.path().join("state/lists/x.test.list");
        std::fs::write(path, "#".repeat(limits::LIST_BYTES as usize + 1)).unwrap();
        lists.refresh().unwrap();
        assert_eq!(has(&lists, "x.test", "one.example"), Some(Sense::Block));
        let change = lists.change::<Fault>("x.test", |list| Ok(Some(list.clone())));
        assert!(change.unwrap_err().to_string().contains("larger than"), "it is not written over");
        let long = format!("{}@x.test", "ä".repeat(60));
        let change = lists.change::<Fault>(&long, |list| Ok(Some(list.clone())));
        assert!(change.unwrap_err().to_string().contains("too long"));
    }
}
