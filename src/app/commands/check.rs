//! `check`: walks the data directory as a stranger would, without the catalogue, and compares what names say with what
//! files are. Repairs what can be repaired without a guess; all else is told and left alone.

use super::super::config::Config;
use super::super::lock::{Lock, NotLocked};
use super::super::server;
use crate::base::{Context, Fault};
use crate::disk::Disk;
use crate::mail::{Kept, Name};
use crate::queue::{Entry, Order, Part};
use crate::store::{dovecot_keywords, trees::address_of};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::fs::{self, DirEntry, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// An unfinished file of this age is nobody's any more (Maildir's own rule).
const UNFINISHED: Duration = Duration::from_secs(36 * 3600);

/// What sort of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Problem {
    /// The name's sizes are not the file's.
    Size,
    /// The name's trace length cannot be.
    Trace,
    /// Two messages have one UID or one id.
    Duplicate,
    /// A file that is not adopted yet.
    NotAdopted,
    /// A left-over of something that did not end.
    Leftover,
    /// Dovecot's table of keywords.
    Keywords,
    /// Who may read or write.
    Permissions,
    /// Something of the queue that nobody carries out.
    Queue,
    /// Not what belongs there.
    Odd,
    /// It cannot be looked at.
    Unreadable,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where.
    pub path: PathBuf,
    /// What sort.
    pub problem: Problem,
    /// What is wrong, and what to do.
    pub text: String,
    /// It was put right.
    pub repaired: bool,
}

/// Checks a data directory; `repair` needs its lock. `Err`: it cannot be checked, for this reason.
pub fn check(config: &Config, repair: bool) -> Result<Vec<Finding>, String> {
    if !config.data.is_dir() {
        return Err(format!("there is no data directory {}; `lazaret serve` makes it", config.data.display()));
    }
    // Without a repair nothing is changed, so a running server does no harm; what it changes meanwhile is passed over. One
    // that starts need not wait for a long walk.
    let lock = match Lock::take(&config.data) {
        Ok(lock) => Some(lock),
        Err(held @ NotLocked::Held(_)) if repair => return Err(format!("{held}: stop it before a repair")),
        Err(NotLocked::Held(_)) => None,
        Err(failed) => return Err(failed.to_string()),
    };
    let owner = fs::metadata(&config.data).map_err(|e| format!("{}: {e}", config.data.display()))?.uid();
    let live = lock.is_none();
    let lock = lock.filter(|_| repair);
    let mut findings = walk(config, owner, live, repair);
    if repair {
        // The store's own start-up does the rest: it adopts, and sweeps what a crash left.
        let (quarantine, _) = server::open(config)?;
        quarantine.store.close().map_err(|fault| fault.to_string())?;
        // A second look says what was repaired indeed.
        let left = walk(config, owner, false, false);
        for finding in &mut findings {
            finding.repaired = !left.iter().any(|l| (&l.path, l.problem) == (&finding.path, finding.problem));
        }
        let new = left.into_iter().filter(|l| !findings.iter().any(|f| (&f.path, f.problem) == (&l.path, l.problem)));
        findings.extend(new.collect::<Vec<_>>());
    }
    drop(lock);
    Ok(findings)
}

fn walk(config: &Config, owner: u32, live: bool, repair: bool) -> Vec<Finding> {
    let disk = Disk::new(&config.data);
    let mut checker = Checker { disk, repair, live, owner, findings: Vec::new(), uids: HashMap::new() };
    checker.directories();
    checker.mail();
    checker.queue(config);
    checker.findings
}

struct Checker {
    disk: Disk,
    repair: bool,
    /// A server runs and changes things.
    live: bool,
    owner: u32,
    findings: Vec<Finding>,
    uids: HashMap<u32, PathBuf>,
}

type Fix<'a> = Option<&'a dyn Fn(&Disk) -> Result<(), Fault>>;

impl Checker {
    fn found(&mut self, path: &Path, problem: Problem, text: impl Into<String>, fix: Fix) {
        // The server has renamed or removed it since it was listed.
        if self.live && fs::symlink_metadata(path).is_err() {
            return;
        }
        let mut text = text.into();
        if let Some(fix) = fix.filter(|_| self.repair)
            && let Err(fault) = fix(&self.disk)
        {
            text = format!("{text}; not repaired: {fault}");
        }
        self.findings.push(Finding { path: path.to_path_buf(), problem, text, repaired: false });
    }

    fn list(&mut self, directory: &Path) -> Vec<DirEntry> {
        match fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => {
                self.found(directory, Problem::Unreadable, format!("it cannot be listed: {e}"), None);
                Vec::new()
            }
        }
    }

    /// Nobody else may look in, and `mail/` and `queue/` are on one file system.
    fn directories(&mut self) {
        let root = self.disk.root().to_path_buf();
        let inside =
            ["mail", "queue", "intake", "intake/new", "intake/tmp", "state", "journal"].map(|name| root.join(name));
        for path in inside.iter().chain([&root]) {
            let Ok(meta) = fs::symlink_metadata(path) else { continue };
            let mode = meta.mode() & 0o777;
            if !meta.is_dir() {
                self.found(path, Problem::Odd, "it is not a directory", None);
            } else if mode & 0o077 != 0 {
                let close = |_: &Disk| set_mode(path, mode & 0o700);
                self.found(
                    path,
                    Problem::Permissions,
                    format!("mode {mode:04o} lets others in; 0700 is right"),
                    Some(&close),
                );
            }
        }
        let device = |name: &str| fs::metadata(root.join(name)).ok().map(|meta| meta.dev());
        if let (Some(mail), Some(queue)) = (device("mail"), device("queue"))
            && mail != queue
        {
            let text = "mail/ and queue/ are on two file systems: no message can be released; put both on one";
            self.found(&root.join("queue"), Problem::Queue, text, None);
        }
    }

    fn mail(&mut self) {
        let mail = self.disk.path("mail");
        for domain in self.list(&mail) {
            for local in self.list_directory(&domain) {
                let name = |entry: &DirEntry| entry.file_name().into_string().ok();
                let address = name(&domain).zip(name(&local)).and_then(|(d, l)| address_of(&d, &l));
                if address.is_none() {
                    self.found(&local.path(), Problem::Odd, "no address has this directory", None);
                    continue;
                }
                self.tree(&local);
            }
        }
    }

    fn list_directory(&mut self, entry: &DirEntry) -> Vec<DirEntry> {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            return Vec::new();
        }
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            return self.list(&entry.path());
        }
        self.found(&entry.path(), Problem::Odd, "it is not a directory", None);
        Vec::new()
    }

    fn tree(&mut self, tree: &DirEntry) {
        let mut ids: HashMap<String, PathBuf> = HashMap::new();
        for folder in self.list_directory(tree) {
            let kept = Kept::ALL.into_iter().find(|kept| folder.file_name().to_str() == Some(kept.directory()));
            if kept.is_none() || !folder.file_type().is_ok_and(|t| t.is_dir()) {
                self.found(&folder.path(), Problem::Odd, "it is no folder of a recipient", None);
                continue;
            }
            self.keywords(&folder.path().join("dovecot-keywords"));
            self.unfinished(&folder.path().join("tmp"));
            for half in ["new", "cur"] {
                for entry in self.list(&folder.path().join(half)) {
                    self.message(&entry, half == "cur", &mut ids);
                }
            }
        }
    }

    fn keywords(&mut self, path: &Path) {
        let right = dovecot_keywords();
        if fs::read_to_string(path).ok().as_deref() != Some(right.as_str()) {
            let write = |disk: &Disk| disk.write_whole(path, right.as_bytes());
            let text = "it does not name our keywords: Dovecot would show others";
            self.found(path, Problem::Keywords, text, Some(&write));
        }
    }

    fn unfinished(&mut self, tmp: &Path) {
        for entry in self.list(tmp) {
            let path = entry.path();
            let age = entry.metadata().and_then(|m| m.modified()).map(|at| SystemTime::now().duration_since(at));
            let ours = entry
                .file_name()
                .to_str()
                .and_then(Name::parse)
                .is_some_and(|name| matches!(name.base, crate::mail::name::Base::Ours(..)));
            if matches!(age, Ok(Ok(age)) if age > UNFINISHED) || ours && !self.live {
                let remove = |disk: &Disk| disk.unlink(&path);
                self.found(
                    &path,
                    Problem::Leftover,
                    "a message that was never finished, nor acknowledged",
                    Some(&remove),
                );
            }
        }
    }

    fn message(&mut self, entry: &DirEntry, in_cur: bool, ids: &mut HashMap<String, PathBuf>) {
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            return;
        }
        let name = entry.file_name().to_str().and_then(Name::parse);
        let meta = match entry.metadata() {
            Ok(meta) => meta,
            Err(e) => return self.found(&path, Problem::Unreadable, format!("it cannot be looked at: {e}"), None),
        };
        let Some(name) = name.filter(|_| meta.is_file()) else {
            let text = "not a message: a regular file with a Maildir name is; move it elsewhere";
            return self.found(&path, Problem::Odd, text, None);
        };
        self.permissions(&path, &meta);
        // One that was moved while we walked is seen twice.
        let moved = |other: &PathBuf| self.live && !other.exists();
        if let Some(other) = ids.insert(name.id(), path.clone()).filter(|other| !moved(other)) {
            let same = fs::metadata(&other).is_ok_and(|m| m.ino() == meta.ino());
            let what = if same { "the same file" } else { "another message" };
            let text = format!("{what} in this tree has the same id: {}; remove one of them", other.display());
            self.found(&path, Problem::Duplicate, text, None);
        }
        let Some(uid) = name.uid.filter(|_| name.size.is_some()) else {
            if !self.live {
                self.found(&path, Problem::NotAdopted, "not adopted yet: the server does it", None);
            }
            return;
        };
        if let Some(other) = self.uids.insert(uid, path.clone()) {
            let text = format!("{} has the same UID {uid}; the next start gives one of them another", other.display());
            self.found(&path, Problem::Duplicate, text, None);
        }
        if in_cur && name.flags.is_none() {
            self.found(
                &path,
                Problem::Odd,
                "it lies in cur/ and its name has no flags; the next start adds them",
                None,
            );
        }
        self.sizes(&path, &name, &meta);
        self.trace(&path, &name, &meta);
    }

    fn sizes(&mut self, path: &Path, name: &Name, meta: &Metadata) {
        let size = meta.len();
        let wire = match name.wire_size.map(|_| wire_size(path)) {
            None => None,
            Some(Ok(wire)) => Some(wire),
            Some(Err(fault)) => return self.found(path, Problem::Unreadable, fault.to_string(), None),
        };
        if name.size == Some(size) && name.wire_size == wire {
            return;
        }
        let wire_size = wire.filter(|wire| *wire != size);
        let right = path.with_file_name(Name { size: Some(size), wire_size, ..name.clone() }.to_string());
        let rename = |disk: &Disk| {
            disk.rename(path, &right)?;
            disk.sync_dir(path.parent().unwrap_or(Path::new("/")))
        };
        let told = |size: Option<u64>| size.map_or("none".to_string(), |size| size.to_string());
        let text = format!(
            "it has {size} bytes ({} with CRLF line ends), its name says S={} W={}",
            told(wire.or(Some(size))),
            told(name.size),
            told(name.wire_size)
        );
        self.found(path, Problem::Size, text, Some(&rename));
    }

    fn trace(&mut self, path: &Path, name: &Name, meta: &Metadata) {
        if name.trace == 0 {
            return;
        }
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(name.trace.into()).read_to_end(&mut bytes));
        if let Err(e) = read {
            return self.found(path, Problem::Unreadable, format!("it cannot be read: {e}"), None);
        }
        let lines = bytes.split_inclusive(|b| *b == b'\n');
        let plausible = u64::from(name.trace) <= meta.len()
            && lines.fold(true, |all, line| all && line.starts_with(b"X-Lazaret-") && line.ends_with(b"\r\n"));
        if !plausible {
            let text = format!(
                "its name says that the first {} bytes are a trace, and they are not: a release would send other bytes than \
                 came in; restore it from a backup or remove it",
                name.trace
            );
            self.found(path, Problem::Trace, text, None);
        }
    }

    fn permissions(&mut self, path: &Path, meta: &Metadata) {
        if meta.uid() != self.owner {
            let text = format!("it belongs to user {}, the data directory to {}: chown it", meta.uid(), self.owner);
            self.found(path, Problem::Permissions, text, None);
        } else if meta.mode() & 0o600 != 0o600 {
            let mode = meta.mode() & 0o777;
            let open = |_: &Disk| set_mode(path, mode | 0o600);
            self.found(path, Problem::Permissions, format!("mode {mode:04o}: its owner cannot read it"), Some(&open));
        }
    }

    fn queue(&mut self, config: &Config) {
        let sinks: HashSet<&str> = config.sinks.iter().map(|sink| sink.name.as_str()).collect();
        for directory in ["orders", "deliver", "train", "failed"] {
            for entry in self.list(&self.disk.path("queue").join(directory)) {
                self.queued(&entry, directory, &sinks);
            }
        }
    }

    fn queued(&mut self, entry: &DirEntry, directory: &str, sinks: &HashSet<&str>) {
        let path = entry.path();
        let file_name = entry.file_name();
        let text = file_name.to_str().unwrap_or_default();
        if directory == "orders" && text.starts_with('.') {
            if !self.live {
                let remove = |disk: &Disk| disk.unlink(&path);
                self.found(&path, Problem::Leftover, "an APPEND that did not end, nor was acknowledged", Some(&remove));
            }
            return;
        }
        let message = match directory {
            "orders" => Order::parse(text).map(|order| order.message),
            _ => Entry::parse(text).map(|entry| {
                if let Part::Train { sink, .. } = &entry.part
                    && !sinks.contains(sink.as_str())
                {
                    let text = format!(
                        "no sink {sink:?} is configured any more: nobody learns it; configure it or remove the file"
                    );
                    self.found(&path, Problem::Queue, text, None);
                }
                entry.message
            }),
        };
        let (Some(message), Ok(meta)) = (message, entry.metadata()) else {
            return self.found(&path, Problem::Queue, "not a name of this queue: nobody carries it out", None);
        };
        if !meta.is_file() || message.size.is_some_and(|size| size != meta.len()) {
            let text = format!("it has {} bytes, and its name tells of another message", meta.len());
            self.found(&path, Problem::Queue, text, None);
        }
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Fault> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).during("change the mode of", path)
}

/// The size of a file with CRLF line ends.
fn wire_size(path: &Path) -> Result<u64, Fault> {
    let mut file = File::open(path).during("open", path)?;
    let (mut size, mut last) = (0, 0u8);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = file.read(&mut buffer).during("read", path)?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { return Ok(size) };
        for &byte in bytes {
            size += 1 + u64::from(byte == b'\n' && last != b'\r');
            last = byte;
        }
    }
}
