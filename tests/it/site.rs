//! A site with a configuration of its own: the program runs in it as a server and as commands.

use crate::harness::Folder;
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A directory with `lazaret.toml` and a data directory.
pub struct Site {
    folder: Folder,
}

/// How a command ended.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
    pub raw: Vec<u8>,
}

impl Ran {
    /// One JSON value a line.
    pub fn lines(&self) -> Vec<Value> {
        self.out.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{l}: {e}"))).collect()
    }
}

/// A server of a site; killed when dropped.
pub struct Server(Child);

impl Site {
    /// A site without data. Released mail has nowhere to go: nothing listens at its route.
    pub fn new(name: &str) -> Site {
        let folder = Folder::new(name);
        let config = "data = \"data\"\nhost_name = \"mx.test\"\n[imap]\ntls = []\nstarttls = []\n[page]\ntls = []\n\
                      [[lmtp]]\nlisten = \"unix:LMTP\"\nclass = \"incoming\"\n\
                      [[route]]\nname = \"default\"\nhost = \"127.0.0.1\"\nport = 1\n\
                      [limits]\nmax_size = \"100 KB\"\n\
                      [domains.\"example.org\"]\n[domains.\"example.net\"]\nrecipients = [\"carol\"]\n";
        let socket = folder.0.join("lmtp.sock");
        let config = config.replace("LMTP", socket.to_str().expect("a plain path"));
        fs::write(folder.0.join("lazaret.toml"), config).expect("a configuration");
        Site { folder }
    }

    pub fn data(&self, below: &str) -> PathBuf {
        self.folder.0.join("data").join(below)
    }

    /// Runs a command; `line` is split at spaces.
    pub fn run(&self, line: &str, input: &[u8]) -> Ran {
        self.run_with(&line.split_whitespace().collect::<Vec<_>>(), input)
    }

    pub fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ran {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().expect("the program starts");
        // A command that does not read its input may be gone already.
        let _ = child.stdin.take().expect("its input").write_all(input);
        let Output { status, stdout, stderr } = child.wait_with_output().expect("its output");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran { code: status.code().expect("no signal"), out: text(&stdout), err: text(&stderr), raw: stdout }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lazaret"));
        command.arg("--config").arg(self.folder.0.join("lazaret.toml")).args(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts a server; its log goes to `log` beside the configuration.
    pub fn serve(&self) -> Server {
        let log = fs::File::create(self.folder.0.join("log")).expect("a log");
        let child = self.command(&["serve"]).stdout(Stdio::null()).stderr(log).spawn().expect("the server starts");
        let server = Server(child);
        wait("the control socket answers", || UnixStream::connect(self.data("state/control.sock")).is_ok());
        server
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.0.join("log")).unwrap_or_default()
    }

    /// Names in a directory of the data directory, sorted.
    pub fn names(&self, below: &str) -> Vec<String> {
        names(&self.data(below))
    }
}

impl Server {
    /// SIGTERM, and waits for the end.
    pub fn stop(mut self) {
        let id = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it runs");
        wait("the server ends", || self.0.try_wait().expect("its status").is_some());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|e| e.file_name().into_string().expect("a plain name")).collect();
    names.sort();
    names
}

/// Waits until something is so, for ten seconds at most.
pub fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < deadline, "not within ten seconds: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
