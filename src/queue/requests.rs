//! What somebody may only request, and a wider scope has not decided yet: `state/requests/`, an empty file each.
//!
//! ```text
//! <message id>,V=<what>,R=<tree>,A=<asker>,D=<asked at>
//! ```
//!
//! `V=` has a letter for each verb, which the rules above know. There is one file for a tree, a message and a set of
//! verbs.
//!
//! | | file | after a crash |
//! |---|---|---|
//! | Q0 made, directory not synced | perhaps | filed or not: nobody was told |
//! | Q1 directory synced, the asker is told | there | it waits |
//! | Q2 granted: the order is durable, the file is there | there | start-up sees what the message's flags and the queue say, and removes it |
//! | Q3 declined: file removed, directory not synced | perhaps | it waits again, or Q4 |
//! | Q4 directory synced, the administrator is told | – | declined |

use super::names::{Asker, Tree};
use crate::base::path::NAME_MAX;
use crate::base::{Context, Fault, limits};
use crate::disk::Disk;
use crate::mail::Name;
use crate::mail::name::Base;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The message.
    pub message: Base,
    /// A letter for each verb.
    pub what: String,
    /// In which tree it lay.
    pub tree: Tree,
    /// Who asked.
    pub asker: Asker,
    /// When, in seconds since 1970.
    pub asked: u64,
}

impl Request {
    /// Its file name; `None` when even with a hash in place of the tree it is too long.
    pub fn file_name(&self) -> Option<String> {
        let with = |tree: &Tree| {
            let name = Name { size: None, ..Name::new(self.message.clone(), 0) }
                .with_field('V', Some(self.what.clone()))
                .with_field('R', Some(tree.field()?))
                .with_field('A', Some(self.asker.letter().into()))
                .with_field('D', Some(self.asked.to_string()));
            Some(name.to_string()).filter(|n| n.len() <= NAME_MAX)
        };
        with(&self.tree).or_else(|| with(&self.tree.hashed()))
    }

    /// Reads a file name.
    pub fn parse(text: &str) -> Option<Request> {
        let name = Name::parse(text)?;
        let what = name.field('V').filter(|v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_lowercase()))?;
        Some(Request {
            what: what.to_string(),
            tree: Tree::parse(name.field('R')?)?,
            asker: Asker::parse(name.field('A')?)?,
            asked: name.field('D')?.parse().ok()?,
            message: name.base,
        })
    }

    /// Whether these letters hold all that it asks for.
    pub fn is_within(&self, letters: &str) -> bool {
        self.what.chars().all(|letter| letters.contains(letter))
    }

    fn key(&self) -> Key {
        (self.message.clone(), self.tree.hashed(), self.what.clone())
    }
}

type Key = (Base, Tree, String);

/// Why requests were not filed; none of them was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// One tree has as many as it may.
    Tree,
    /// All trees together have.
    All,
}

/// All requests. Share it by reference; calls block on the disk for a moment.
pub struct Requests {
    disk: Disk,
    /// With their file names.
    all: Mutex<HashMap<Key, (Request, String)>>,
}

impl Requests {
    /// Reads those of a data directory.
    pub fn open(disk: Disk) -> Result<Requests, Fault> {
        let directory = disk.path("state/requests");
        let mut all = HashMap::new();
        let names = if directory.is_dir() { super::place::names(&directory)? } else { Vec::new() };
        for file in names {
            match file.to_str().and_then(|text| Some((Request::parse(text)?, text.to_string()))) {
                Some((request, text)) => {
                    all.insert(request.key(), (request, text));
                }
                None => log::warn!("{}: {} is no request; it is left alone", directory.display(), file.display()),
            }
        }
        Ok(Requests { disk, all: Mutex::new(all) })
    }

    /// Files those that are not there yet, all or none; returns these. Durable when it returns.
    pub fn file(&self, requests: Vec<Request>) -> Result<Result<Vec<Request>, Full>, Fault> {
        let mut all = self.lock();
        let mut here = HashSet::new();
        let new: Vec<Request> =
            requests.into_iter().filter(|r| !all.contains_key(&r.key()) && here.insert(r.key())).collect();
        if let Some(full) = is_full(&all, &new) {
            return Ok(Err(full));
        }
        if new.is_empty() {
            return Ok(Ok(new));
        }
        let directory = self.directory();
        self.disk.make_dirs(&directory)?;
        let mut made: Vec<(Request, String)> = Vec::with_capacity(new.len());
        let filed = new.iter().try_for_each(|request| {
            let too_long = || io::Error::new(io::ErrorKind::InvalidFilename, "the message's id leaves no room for it");
            let name = request.file_name().ok_or_else(too_long).during("file a request in", &directory)?;
            match self.disk.create(&directory.join(&name)) {
                Err(fault) if fault.kind() != io::ErrorKind::AlreadyExists => return Err(fault),
                _ => {}
            }
            made.push((request.clone(), name));
            Ok(())
        });
        if let Err(fault) = filed.and_then(|()| self.disk.sync_dir(&directory)) {
            for (_, name) in made {
                if let Err(fault) = self.disk.unlink(&directory.join(name)) {
                    log::warn!("{fault}: this request, which was refused, may be seen after a restart");
                }
            }
            return Err(fault);
        }
        all.extend(made.into_iter().map(|(request, name)| (request.key(), (request, name))));
        Ok(Ok(new))
    }

    /// Removes those that `gone` picks; returns them. [`Requests::sync`] makes it durable, where start-up would not see by
    /// itself that they are decided.
    pub fn remove(&self, gone: impl Fn(&Request) -> bool) -> Result<Vec<Request>, Fault> {
        let mut all = self.lock();
        let keys: Vec<Key> = all.iter().filter(|(_, (request, _))| gone(request)).map(|(key, _)| key.clone()).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let directory = self.directory();
        let mut removed = Vec::with_capacity(keys.len());
        for key in keys {
            let Some((request, name)) = all.get(&key) else { continue };
            match self.disk.unlink(&directory.join(name)) {
                Err(fault) if !fault.is_missing() => return Err(fault),
                _ => removed.push(request.clone()),
            }
            all.remove(&key);
        }
        Ok(removed)
    }

    /// Makes durable what was removed.
    pub fn sync(&self) -> Result<(), Fault> {
        self.disk.sync_dir(&self.directory())
    }

    /// All of them, oldest first.
    pub fn all(&self) -> Vec<Request> {
        let mut all: Vec<Request> = self.lock().values().map(|(request, _)| request.clone()).collect();
        all.sort_by(|a, b| (a.asked, &a.message, &a.what).cmp(&(b.asked, &b.message, &b.what)));
        all
    }

    /// Whether there is one that `wanted` picks.
    pub fn any(&self, wanted: impl Fn(&Request) -> bool) -> bool {
        self.lock().values().any(|(request, _)| wanted(request))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn directory(&self) -> PathBuf {
        self.disk.path("state/requests")
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, (Request, String)>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there is no room for these besides those.
fn is_full(all: &HashMap<Key, (Request, String)>, new: &[Request]) -> Option<Full> {
    if all.len() + new.len() > limits::REQUESTS && !new.is_empty() {
        return Some(Full::All);
    }
    let mut trees: HashMap<Tree, usize> = HashMap::new();
    for request in new {
        *trees.entry(request.tree.hashed()).or_default() += 1;
    }
    for (_, tree, _) in all.keys() {
        if let Some(count) = trees.get_mut(tree) {
            *count += 1;
        }
    }
    trees.values().any(|&count| count > limits::REQUESTS_PER_TREE).then_some(Full::Tree)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Scratch, TREE, message};
    use super::*;

    fn request(number: u32, what: &str) -> Request {
        let tree = Tree::Named(TREE.into());
        Request { message: message(number).base, what: what.into(), tree, asker: Asker::Recipient, asked: 5 }
    }

    fn requests(scratch: &Scratch) -> Requests {
        Requests::open(Disk::new(&scratch.0)).unwrap()
    }

    #[test]
    fn names_and_what_is_none() {
        let one = request(1, "rh");
        let name = one.file_name().unwrap();
        assert_eq!(name, "1000.M0P1Q1.mx,V=rh,R=alice%40example.org,A=r,D=5");
        assert_eq!(Request::parse(&name), Some(one));
        let long = Request { tree: Tree::Named(format!("{}@x.test", "l".repeat(240))), ..request(1, "r") };
        let read = Request::parse(&long.file_name().unwrap()).unwrap();
        assert!(read.tree.is(&long.tree.to_string()) && read.key() == long.key());
        for text in ["", "x", "x,V=,R=a,A=r,D=1", "x,V=R,R=a,A=r,D=1", "x,V=r,A=r,D=1", "x,V=r,R=a,A=r,D=x"] {
            assert_eq!(Request::parse(text), None, "{text}");
        }
    }

    #[test]
    fn filed_once_kept_and_removed() {
        let scratch = Scratch::new();
        let all = requests(&scratch);
        assert!(all.is_empty());
        let both = vec![request(1, "r"), request(2, "r"), request(1, "r")];
        assert_eq!(all.file(both.clone()).unwrap().unwrap().len(), 2);
        assert_eq!(all.file(both).unwrap().unwrap(), []);
        assert_eq!(all.file(vec![request(1, "rh")]).unwrap().unwrap().len(), 1);
        let again = requests(&scratch);
        assert_eq!(again.all(), all.all());
        let gone = again.remove(|r| r.message == message(1).base && r.is_within("rh")).unwrap();
        assert_eq!(gone.len(), 2);
        assert_eq!(requests(&scratch).all(), [request(2, "r")]);
    }

    #[test]
    fn beyond_the_limit_none_is_filed() {
        let scratch = Scratch::new();
        let all = requests(&scratch);
        let many = |from: u32, to: usize| (from..to as u32).map(|n| request(n, "r")).collect::<Vec<_>>();
        let most = limits::REQUESTS_PER_TREE;
        assert_eq!(all.file(many(0, most + 1)).unwrap(), Err(Full::Tree));
        assert!(all.is_empty());
        assert!(all.file(many(0, most)).unwrap().is_ok());
        assert_eq!(all.file(many(0, most + 1)).unwrap(), Err(Full::Tree));
        assert_eq!(all.file(many(0, most)).unwrap(), Ok(vec![]), "what is there needs no room");
    }
}
