//! A small model of a file system that forgets whatever was not synced.
//!
//! It promises no more than `lazaret::disk` relies on: bytes of a file are there after its sync, names of a directory
//! after the directory's; before, each change of a directory may or may not be. A rename within one directory is one
//! change. Between two directories it is two, and what a crash loses first is the removal of the old name; when the
//! source's directory is synced and the target's is not, neither name may be left.

use lazaret::disk::Op;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

type Names = BTreeMap<String, usize>;

/// Directories and files as they are now, and as a crash would leave them.
#[derive(Clone)]
pub struct Model {
    nodes: Vec<Node>,
    pending: Vec<Change>,
    serial: u64,
}

#[derive(Clone)]
enum Node {
    Directory {
        now: Names,
        durable: Names,
    },
    File {
        bytes: Vec<u8>,
        /// So many of them survive a crash.
        durable: usize,
    },
}

/// What one directory was told and may forget, all of it or nothing.
#[derive(Clone)]
struct Change {
    serial: u64,
    directory: usize,
    removed: Option<String>,
    added: Option<(String, usize)>,
    /// The new name of the same rename: while that may be lost, this is lost with it.
    needs: Option<u64>,
}

/// What became of bytes that were not synced.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cut {
    /// They were written all the same.
    Nothing,
    /// Half of them were.
    Half,
    /// None was.
    All,
}

/// What a crash left: directories, and files with their names.
pub struct Remains {
    directories: Vec<String>,
    files: BTreeMap<usize, (Vec<String>, Vec<u8>)>,
}

impl Model {
    /// Everything below `root` as it is now, and durable.
    pub fn of(root: &Path) -> Model {
        let mut model = Model { nodes: vec![Node::directory()], pending: Vec::new(), serial: 0 };
        model.take_in(root, 0, &mut BTreeMap::new());
        model.settle();
        model
    }

    fn take_in(&mut self, path: &Path, directory: usize, known: &mut BTreeMap<u64, usize>) {
        use std::os::unix::fs::MetadataExt;
        for entry in std::fs::read_dir(path).expect("a directory of the test") {
            let entry = entry.expect("an entry");
            let meta = entry.metadata().expect("its metadata");
            let node = if meta.is_dir() {
                let node = self.add(Node::directory());
                self.take_in(&entry.path(), node, known);
                node
            } else {
                let bytes = std::fs::read(entry.path()).expect("a file of the test");
                *known.entry(meta.ino()).or_insert_with(|| {
                    self.nodes.push(Node::File { bytes, durable: 0 });
                    self.nodes.len() - 1
                })
            };
            self.names(directory).insert(text(Path::new(&entry.file_name())), node);
        }
    }

    /// Everything is durable.
    fn settle(&mut self) {
        self.pending.clear();
        for node in &mut self.nodes {
            match node {
                Node::Directory { now, durable } => durable.clone_from(now),
                Node::File { bytes, durable } => *durable = bytes.len(),
            }
        }
    }

    /// A file that another program put there, durably.
    pub fn foreign(&mut self, path: &Path, bytes: &[u8]) {
        let mut directory = 0;
        let (parents, name) = split(path);
        for part in parents {
            directory = match self.names(directory).get(&part).copied() {
                Some(node) => node,
                None => self.foreign_node(directory, part, Node::directory()),
            };
        }
        self.foreign_node(directory, name, Node::File { bytes: bytes.to_vec(), durable: bytes.len() });
    }

    fn foreign_node(&mut self, directory: usize, name: String, node: Node) -> usize {
        let node = self.add(node);
        if let Some(Node::Directory { now, durable }) = self.nodes.get_mut(directory) {
            now.insert(name.clone(), node);
            durable.insert(name, node);
        }
        node
    }

    /// Carries out an operation; one that would fail changes nothing.
    pub fn carry_out(&mut self, op: &Op) {
        match op {
            Op::Create(path) => {
                if let Some((directory, name, None)) = self.find(path) {
                    let node = self.add(Node::File { bytes: Vec::new(), durable: 0 });
                    self.change(directory, None, Some((name, node)), None);
                }
            }
            Op::Write(path, more) => {
                if let Some(Node::File { bytes, .. }) = self.node_mut(path) {
                    bytes.extend_from_slice(more);
                }
            }
            Op::Sync(path) => {
                if let Some(Node::File { bytes, durable }) = self.node_mut(path) {
                    *durable = bytes.len();
                }
            }
            Op::Rename { from, to, replace } => self.rename(from, to, *replace),
            Op::Link(from, to) => {
                if let (Some((_, _, Some(node))), Some((directory, name, None))) = (self.find(from), self.find(to)) {
                    self.change(directory, None, Some((name, node)), None);
                }
            }
            Op::Unlink(path) => {
                if let Some((directory, name, Some(_))) = self.find(path) {
                    self.change(directory, Some(name), None, None);
                }
            }
            Op::MakeDir(path) => {
                if let Some((directory, name, None)) = self.find(path) {
                    let node = self.add(Node::directory());
                    self.change(directory, None, Some((name, node)), None);
                }
            }
            Op::RemoveDir(path) => {
                let Some((directory, name, Some(node))) = self.find(path) else { return };
                if matches!(self.nodes.get(node), Some(Node::Directory { now, .. }) if now.is_empty()) {
                    self.change(directory, Some(name), None, None);
                }
            }
            Op::SyncDir(path) => self.sync_directory(path),
            Op::SyncEverything => self.settle(),
        }
    }

    fn rename(&mut self, from: &Path, to: &Path, replace: bool) {
        let (Some((source, old, Some(node))), Some((target, new, there))) = (self.find(from), self.find(to)) else {
            return;
        };
        if there.is_some() && !replace {
            return;
        }
        if source == target {
            self.change(source, Some(old), Some((new, node)), None);
        } else {
            let added = self.change(target, None, Some((new, node)), None);
            self.change(source, Some(old), None, Some(added));
        }
    }

    fn sync_directory(&mut self, path: &Path) {
        let Some(at) = self.node(path) else { return };
        let Some(Node::Directory { durable, .. }) = self.nodes.get_mut(at) else { return };
        self.pending.retain(|change| {
            let synced = change.directory == at;
            if synced {
                change.apply(durable);
            }
            !synced
        });
    }

    /// What crashes now may leave: everything there, everything lost, each change lost or kept alone, contents cut.
    pub fn crashes(&self) -> Vec<Remains> {
        let count = self.pending.len();
        let unwritten = self.nodes.iter().any(|n| matches!(n, Node::File { bytes, durable } if bytes.len() > *durable));
        let cuts: &[Cut] = if unwritten { &[Cut::Nothing, Cut::Half, Cut::All] } else { &[Cut::Nothing] };
        let mut remains = Vec::new();
        for &cut in cuts {
            remains.push(self.crash(|_| false, cut));
            remains.push(self.crash(|_| true, cut));
            for one in 0..if count > 1 { count } else { 0 } {
                remains.push(self.crash(|i| i == one, cut));
                remains.push(self.crash(|i| i != one, cut));
            }
        }
        remains
    }

    /// The process was killed, and the system went on.
    pub fn crash_of_nothing(&self) -> Remains {
        self.crash(|_| false, Cut::Nothing)
    }

    /// Nothing that was not synced is left.
    pub fn worst(&self) -> Remains {
        self.crash(|_| true, Cut::All)
    }

    fn crash(&self, lost: impl Fn(usize) -> bool, cut: Cut) -> Remains {
        let mut names: Vec<Names> = self.nodes.iter().map(Node::durable_names).collect();
        let mut gone = Vec::new();
        for (i, change) in self.pending.iter().enumerate() {
            if lost(i) || change.needs.is_some_and(|needs| gone.contains(&needs)) {
                gone.push(change.serial);
            } else if let Some(names) = names.get_mut(change.directory) {
                change.apply(names);
            }
        }
        let mut remains = Remains { directories: Vec::new(), files: BTreeMap::new() };
        self.walk(&names, 0, "", cut, &mut remains);
        remains
    }

    fn walk(&self, names: &[Names], at: usize, path: &str, cut: Cut, remains: &mut Remains) {
        for (name, &node) in &names[at] {
            let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            match &self.nodes[node] {
                Node::Directory { .. } => {
                    remains.directories.push(path.clone());
                    self.walk(names, node, &path, cut, remains);
                }
                Node::File { bytes, durable } => {
                    let left = match cut {
                        Cut::Nothing => bytes.len(),
                        Cut::Half => durable + (bytes.len() - durable) / 2,
                        Cut::All => *durable,
                    };
                    remains.files.entry(node).or_insert_with(|| (Vec::new(), bytes[..left].to_vec())).0.push(path);
                }
            }
        }
    }

    fn change(
        &mut self,
        directory: usize,
        removed: Option<String>,
        added: Option<(String, usize)>,
        needs: Option<u64>,
    ) -> u64 {
        self.serial += 1;
        let change = Change { serial: self.serial, directory, removed, added, needs };
        change.apply(self.names(directory));
        self.pending.push(change);
        self.serial
    }

    fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Its names now; of a file, none.
    fn names(&mut self, directory: usize) -> &mut Names {
        match &mut self.nodes[directory] {
            Node::Directory { now, .. } => now,
            Node::File { .. } => panic!("a file was used as a directory"),
        }
    }

    /// The directory of a path, the last name, and what has it. `None`: there is no such directory.
    fn find(&mut self, path: &Path) -> Option<(usize, String, Option<usize>)> {
        let (parents, name) = split(path);
        let mut directory = 0;
        for part in parents {
            directory = self.names(directory).get(&part).copied()?;
        }
        let node = self.names(directory).get(&name).copied();
        Some((directory, name, node))
    }

    fn node(&mut self, path: &Path) -> Option<usize> {
        if path.as_os_str().is_empty() { Some(0) } else { self.find(path)?.2 }
    }

    fn node_mut(&mut self, path: &Path) -> Option<&mut Node> {
        let at = self.node(path)?;
        self.nodes.get_mut(at)
    }
}

impl Node {
    fn directory() -> Node {
        Node::Directory { now: Names::new(), durable: Names::new() }
    }

    fn durable_names(&self) -> Names {
        match self {
            Node::Directory { durable, .. } => durable.clone(),
            Node::File { .. } => Names::new(),
        }
    }
}

impl Change {
    fn apply(&self, names: &mut Names) {
        if let Some(name) = &self.removed {
            names.remove(name);
        }
        if let Some((name, node)) = &self.added {
            names.insert(name.clone(), *node);
        }
    }
}

impl Remains {
    /// Equal for equal remains.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.directories.hash(&mut hasher);
        let mut files: Vec<_> = self.files.values().collect();
        files.sort();
        files.hash(&mut hasher);
        hasher.finish()
    }

    /// Puts them into an empty directory.
    pub fn write(&self, root: &Path) {
        for directory in &self.directories {
            std::fs::create_dir(root.join(directory)).expect("a directory can be made");
        }
        for (paths, bytes) in self.files.values() {
            let first = root.join(&paths[0]);
            std::fs::write(&first, bytes).expect("a file can be written");
            for path in &paths[1..] {
                std::fs::hard_link(&first, root.join(path)).expect("a link can be made");
            }
        }
        keep_identity(&root.join("state/marks"));
    }

    /// For people: every name with its file's size.
    pub fn listing(&self) -> String {
        let mut lines: Vec<String> =
            self.files.values().flat_map(|(paths, b)| paths.iter().map(|p| format!("  {p} ({})", b.len()))).collect();
        lines.sort();
        lines.join("\n")
    }
}

/// The marks know the file that they were written into; here they are on the disk on which they were, not restored.
fn keep_identity(marks: &Path) {
    use std::os::unix::fs::MetadataExt;
    let Ok(bytes) = std::fs::read(marks) else { return };
    let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(&bytes) else { return };
    let meta = std::fs::metadata(marks).expect("it was just read");
    value["inode"] = meta.ino().into();
    value["born"] = meta.created().map_or(0, |t| lazaret::base::Timestamp::from_system(t).0).into();
    std::fs::write(marks, value.to_string()).expect("it can be written");
}

fn split(path: &Path) -> (Vec<String>, String) {
    let mut parts: Vec<String> = path.iter().map(|p| text(Path::new(p))).collect();
    let name = parts.pop().unwrap_or_default();
    (parts, name)
}

fn text(path: &Path) -> String {
    path.to_str().expect("names in this test are UTF-8").to_string()
}
