//! The file of accounts, in Dovecot's form: one account a line, `login:{SCHEME}hash`, and whatever further fields other
//! programs keep there. Comments and those fields survive a rewrite.

mod scheme;
mod scram;

pub use scheme::{Hash, Scheme};
pub use scram::Scram;

use crate::base::{Context, Fault, limits};
use crate::disk::Disk;
use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown};
use std::path::{Path, PathBuf};

/// Largest file that is read: a million accounts.
const FILE_BYTES: u64 = 256 << 20;

/// The file's content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passwd {
    lines: Vec<Line>,
    by_login: HashMap<String, usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    /// A comment, an empty line.
    Other(String),
    /// An account; `rest` begins with the colon after the hash, if there is more.
    Account { login: String, hash: Hash, rest: String },
}

/// Why the file, or a change of it, is not accepted.
#[derive(Debug)]
pub enum PasswdError {
    /// A line that cannot be read.
    Line {
        /// The file; empty for text that is none.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it, and what was expected.
        text: String,
    },
    /// A login that cannot be, or not be changed like this.
    Login(String),
    /// The file itself.
    Fault(Fault),
}

impl fmt::Display for PasswdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PasswdError::Line { path, line, text } => write!(f, "{}:{line}: {text}", path.display()),
            PasswdError::Login(text) => f.write_str(text),
            PasswdError::Fault(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for PasswdError {}

impl From<Fault> for PasswdError {
    fn from(fault: Fault) -> Self {
        PasswdError::Fault(fault)
    }
}

impl Passwd {
    /// Reads the text of a file. Logins are lower-cased; each may stand there once.
    pub fn parse(text: &str) -> Result<Passwd, PasswdError> {
        let mut file = Passwd::default();
        for (i, line) in text.lines().enumerate() {
            let wrong = |text| PasswdError::Line { path: PathBuf::new(), line: i + 1, text };
            if line.trim().is_empty() || line.starts_with('#') {
                file.lines.push(Line::Other(line.to_string()));
                continue;
            }
            let (login, fields) =
                line.split_once(':').ok_or_else(|| wrong("expected login:{SCHEME}hash".to_string()))?;
            let (hash, rest) = fields.split_at(fields.find(':').unwrap_or(fields.len()));
            let login = check_login(login).map_err(wrong)?;
            let hash = Hash::parse(hash).map_err(wrong)?;
            if file.by_login.contains_key(&login) {
                return Err(wrong(format!("{login} stands in this file twice")));
            }
            file.by_login.insert(login.clone(), file.lines.len());
            file.lines.push(Line::Account { login, hash, rest: rest.to_string() });
        }
        Ok(file)
    }

    /// Reads a file; one that is not there has no accounts.
    pub fn load(path: &Path) -> Result<Passwd, PasswdError> {
        match File::open(path) {
            Ok(file) => Passwd::read(file, path),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Passwd::default()),
            Err(e) => Err(Fault::new("open the file of accounts", path, e).into()),
        }
    }

    fn read(file: File, path: &Path) -> Result<Passwd, PasswdError> {
        let mut text = String::new();
        file.take(FILE_BYTES).read_to_string(&mut text).during("read the file of accounts", path)?;
        Passwd::parse(&text).map_err(|e| match e {
            PasswdError::Line { line, text, .. } => PasswdError::Line { path: path.to_path_buf(), line, text },
            other => other,
        })
    }

    /// The hash of this account; `login` is lower-case.
    pub fn get(&self, login: &str) -> Option<&Hash> {
        match self.lines.get(*self.by_login.get(login)?)? {
            Line::Account { hash, .. } => Some(hash),
            Line::Other(_) => None,
        }
    }

    /// All accounts, in the file's order.
    pub fn accounts(&self) -> impl Iterator<Item = (&str, &Hash)> {
        self.lines.iter().filter_map(|line| match line {
            Line::Account { login, hash, .. } => Some((login.as_str(), hash)),
            Line::Other(_) => None,
        })
    }

    /// The hash of some account, the same one for the same number; `None`: there are no accounts.
    pub fn some(&self, number: u64) -> Option<&Hash> {
        let start = number.checked_rem(self.lines.len() as u64)? as usize;
        let (before, after) = self.lines.split_at_checked(start)?;
        after.iter().chain(before).find_map(|line| match line {
            Line::Account { hash, .. } => Some(hash),
            Line::Other(_) => None,
        })
    }

    /// How many accounts there are.
    pub fn len(&self) -> usize {
        self.by_login.len()
    }

    /// Whether there is no account.
    pub fn is_empty(&self) -> bool {
        self.by_login.is_empty()
    }

    /// Adds an account.
    pub fn add(&mut self, login: &str, hash: Hash) -> Result<(), PasswdError> {
        let login = check_login(login).map_err(PasswdError::Login)?;
        if self.by_login.contains_key(&login) {
            let text = format!("{login} has an account already: `lazaret user passwd {login}` changes its password");
            return Err(PasswdError::Login(text));
        }
        self.by_login.insert(login.clone(), self.lines.len());
        // The colons are those of a whole passwd line; Dovecot's reader does not need them, others do.
        self.lines.push(Line::Account { login, hash, rest: "::::::".to_string() });
        Ok(())
    }

    /// Changes the password of an account; its further fields stay.
    pub fn change(&mut self, login: &str, new: Hash) -> Result<(), PasswdError> {
        let at = self.find(login)?;
        if let Some(Line::Account { hash, .. }) = self.lines.get_mut(at) {
            *hash = new;
        }
        Ok(())
    }

    /// Removes an account.
    pub fn remove(&mut self, login: &str) -> Result<(), PasswdError> {
        let at = self.find(login)?;
        self.lines.remove(at);
        self.by_login.remove(&login.to_lowercase());
        for position in self.by_login.values_mut().filter(|position| **position > at) {
            *position -= 1;
        }
        Ok(())
    }

    fn find(&self, login: &str) -> Result<usize, PasswdError> {
        let found = self.by_login.get(&login.to_lowercase()).copied();
        found.ok_or_else(|| PasswdError::Login(format!("{login} has no account: `lazaret user list` shows them all")))
    }
}

impl fmt::Display for Passwd {
    /// As the file has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            match line {
                Line::Other(text) => writeln!(f, "{text}")?,
                Line::Account { login, hash, rest } => writeln!(f, "{login}:{}{rest}", hash.field())?,
            }
        }
        Ok(())
    }
}

/// Changes the file durably: read, change, written beside it, renamed over it. Two that change it at once wait for each
/// other. A new file has mode 0600 and the owner of `like`, if that is there (the data directory: what root makes, the
/// server must be able to read); an old one keeps its owner, group and mode.
pub fn edit<T>(
    path: &Path,
    like: &Path,
    change: impl FnOnce(&mut Passwd) -> Result<T, PasswdError>,
) -> Result<T, PasswdError> {
    let (file, old) = lock(path, like)?;
    let mut passwd = Passwd::read(file.try_clone().during("open the file of accounts", path)?, path)?;
    let result = change(&mut passwd)?;
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Disk::new(directory).write_whole(path, passwd.to_string().as_bytes())?;
    let new = fs::metadata(path).during("look at", path)?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        chown(path, Some(old.uid()), Some(old.gid())).during("give back to its owner", path)?;
    }
    if new.mode() != old.mode() {
        fs::set_permissions(path, fs::Permissions::from_mode(old.mode() & 0o777)).during("set the mode of", path)?;
    }
    Ok(result)
}

/// Opens the file, made when it is not there, and waits until nobody else changes it.
fn lock(path: &Path, like: &Path) -> Result<(File, fs::Metadata), PasswdError> {
    loop {
        let is_new = !path.exists();
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).mode(0o600).open(path);
        let file = file.during("open the file of accounts", path)?;
        file.lock().during("lock", path)?;
        if is_new
            && let (Ok(like), Ok(own)) = (fs::metadata(like), file.metadata())
            && (own.uid(), own.gid()) != (like.uid(), like.gid())
        {
            fchown(&file, Some(like.uid()), Some(like.gid())).during("give to the owner of the data", path)?;
        }
        let locked = file.metadata().during("look at", path)?;
        // The one who had the lock has put another file in its place.
        let current = fs::metadata(path).during("look at", path)?;
        if (locked.dev(), locked.ino()) == (current.dev(), current.ino()) {
            return Ok((file, locked));
        }
    }
}

/// A file of accounts that is read again when it has changed.
#[derive(Debug)]
pub struct Watched {
    path: PathBuf,
    seen: Option<Stamp>,
}

/// What tells one content of a file from another without reading it: device, inode, size, time of change.
type Stamp = (u64, u64, u64, i64, i64);

impl Watched {
    /// Watches this file; the first [`Watched::changed`] reads it.
    pub fn new(path: impl Into<PathBuf>) -> Watched {
        Watched { path: path.into(), seen: None }
    }

    /// The content, if it is not what was read last.
    pub fn changed(&mut self) -> Result<Option<Passwd>, PasswdError> {
        let stamp = match fs::metadata(&self.path) {
            Ok(m) => (m.dev(), m.ino(), m.size(), m.ctime(), m.ctime_nsec()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => (0, 0, 0, 0, 0),
            Err(e) => return Err(Fault::new("look at the file of accounts", &self.path, e).into()),
        };
        if self.seen == Some(stamp) {
            return Ok(None);
        }
        // Also when it cannot be read: the same error need not be told twice.
        self.seen = Some(stamp);
        Passwd::load(&self.path).map(Some)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A login in lower case, if it can stand in the file.
fn check_login(login: &str) -> Result<String, String> {
    if login.is_empty() || login.len() > limits::CREDENTIAL {
        return Err(format!("a login has 1 to {} bytes", limits::CREDENTIAL));
    }
    if login.starts_with('#') || login.chars().any(|c| c.is_control() || c == ':' || c.is_whitespace()) {
        return Err("a login holds no colon, space or control character, and begins with no #".to_string());
    }
    Ok(login.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "# accounts\n\nGlobal:{PLAIN}g:::::\nalice@example.org:{PLAIN}a b\nbob@example.org:{PLAIN}b:1000:1000::/home/bob::quota=1G\n";

    fn plain(password: &str) -> Hash {
        Hash::make(Scheme::Plain, password.as_bytes()).unwrap()
    }

    /// A directory of this test's own, removed at its end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let path = std::env::temp_dir().join(format!("lazaret-passwd-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn reads_and_keeps_everything() {
        let file = Passwd::parse(TEXT).unwrap();
        assert_eq!(
            file.accounts().map(|(l, _)| l).collect::<Vec<_>>(),
            ["global", "alice@example.org", "bob@example.org"]
        );
        assert!(file.get("alice@example.org").unwrap().verify(b"a b"));
        assert!(file.get("carol@example.org").is_none());
        assert!((0..20).all(|n| file.some(n).is_some()) && Passwd::default().some(7).is_none());
        assert_eq!(file.to_string(), TEXT.replace("Global", "global"));
    }

    #[test]
    fn changes_touch_one_line() {
        let mut file = Passwd::parse(TEXT).unwrap();
        file.change("BOB@example.org", plain("new")).unwrap();
        file.remove("global").unwrap();
        file.add("Carol@example.org", plain("c")).unwrap();
        assert_eq!(
            file.to_string(),
            "# accounts\n\nalice@example.org:{PLAIN}a b\nbob@example.org:{PLAIN}new:1000:1000::/home/bob::quota=1G\ncarol@example.org:{PLAIN}c::::::\n"
        );
        assert!(file.get("carol@example.org").unwrap().verify(b"c"));
        assert!(file.get("bob@example.org").unwrap().verify(b"new"));
        assert!(file.add("carol@EXAMPLE.org", plain("c")).unwrap_err().to_string().contains("user passwd"));
        assert!(file.remove("dave").unwrap_err().to_string().contains("has no account"));
        assert!(file.add("a:b", plain("c")).is_err());
    }

    #[test]
    fn errors_have_line_numbers() {
        for (text, expected) in [
            ("# x\nalice\n", ":2: expected login:{SCHEME}hash"),
            (
                "a:{MD5}x",
                ":1: unknown password scheme {MD5}: expected one of ARGON2ID, BLF-CRYPT, SHA512-CRYPT, PBKDF2, SCRAM-SHA-256, PLAIN",
            ),
            ("a:secret", ":1: the password has no scheme"),
            ("a:{PLAIN}x\n\nA:{PLAIN}y", ":3: a stands in this file twice"),
            (":{PLAIN}x", ":1: a login has 1 to"),
        ] {
            let error = Passwd::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn edits_on_disk() {
        let scratch = Scratch::new("edit");
        let path = scratch.0.join("users");
        edit(&path, &scratch.0, |f| f.add("a@x", plain("1"))).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        edit(&path, &scratch.0, |f| f.add("b@x", plain("2"))).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        let before = fs::read(&path).unwrap();
        assert!(edit(&path, &scratch.0, |f| f.add("b@x", plain("3"))).is_err());
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1, "no temporary file is left");
        fs::write(&path, "broken\n").unwrap();
        let error = edit(&path, &scratch.0, |f| f.remove("a@x")).unwrap_err().to_string();
        assert_eq!(error, format!("{}:1: expected login:{{SCHEME}}hash", path.display()));
    }

    #[test]
    fn edits_at_once_are_all_kept() {
        let scratch = Scratch::new("race");
        let path = scratch.0.join("users");
        std::thread::scope(|scope| {
            for t in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    for i in 0..10 {
                        edit(path, path, |f| f.add(&format!("u{t}-{i}@x"), plain("p"))).unwrap();
                    }
                });
            }
        });
        assert_eq!(Passwd::load(&path).unwrap().len(), 40);
    }

    #[test]
    fn watched_file_is_read_when_it_changes() {
        let scratch = Scratch::new("watch");
        let path = scratch.0.join("users");
        let mut watched = Watched::new(&path);
        assert_eq!(watched.changed().unwrap().unwrap().len(), 0);
        assert!(watched.changed().unwrap().is_none());
        edit(&path, &scratch.0, |f| f.add("a@x", plain("1"))).unwrap();
        assert_eq!(watched.changed().unwrap().unwrap().len(), 1);
        assert!(watched.changed().unwrap().is_none());
        fs::write(&path, "x\n").unwrap();
        assert!(watched.changed().is_err());
        assert!(watched.changed().unwrap().is_none());
    }

    proptest! {
        #[test]
        fn round_trip(entries in proptest::collection::btree_map("[a-z0-9.@+ä-ü-]{1,20}", "[ -9;-~äß]{1,20}", 0..8), extra in "(:[a-z=/]*){0,3}") {
            let mut file = Passwd::default();
            for (login, password) in &entries {
                file.add(login, plain(password)).unwrap();
            }
            let text = file.to_string().replace("::::::", &extra);
            let read = Passwd::parse(&text).unwrap();
            prop_assert_eq!(read.to_string(), text);
            for (login, password) in &entries {
                prop_assert!(read.get(login).unwrap().verify(password.as_bytes()));
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}|([a-c]{0,2}:\\{PLAIN\\}[a-z:]{0,5}\n){0,5}") {
            if let Ok(file) = Passwd::parse(&text) {
                prop_assert_eq!(Passwd::parse(&file.to_string()).unwrap(), file);
            }
        }
    }
}
