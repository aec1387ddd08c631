//! Starts the built program as a user would, and hostile mail that is too large to store as files.

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A folder that is removed at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    /// A fresh one; `name` only helps whoever finds it.
    pub fn new(name: &str) -> Folder {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("lazaret-it-{name}-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running `lazaret demo --json`.
pub struct Demo {
    process: Child,
    /// What it printed.
    pub info: Value,
}

impl Demo {
    /// Starts it and waits for its line of JSON.
    pub fn start(arguments: &[&str]) -> Demo {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lazaret"));
        command.args(["demo", "--json"]).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the program starts");
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().expect("its output"));
        output.read_line(&mut line).expect("its output is text");
        let info = serde_json::from_str(&line).unwrap_or_else(|error| {
            let _ = process.kill();
            panic!("`lazaret demo --json` printed {line:?}, which is no JSON: {error}")
        });
        Demo { process, info }
    }

    /// One of the values that are text.
    pub fn text(&self, key: &str) -> &str {
        self.info[key].as_str().unwrap_or_else(|| panic!("the line of JSON has no text {key}: {}", self.info))
    }

    /// The recipient's tree.
    pub fn tree(&self, domain: &str, local: &str) -> PathBuf {
        Path::new(self.text("data")).join("mail").join(domain).join(local)
    }

    /// SIGTERM, and how it ended.
    pub fn stop(mut self) -> ExitStatus {
        let id = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it runs");
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait().expect("its status") {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it still runs 20 seconds after SIGTERM");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client at the LMTP door.
pub struct Door {
    stream: BufReader<TcpStream>,
}

impl Door {
    /// Connects and says LHLO.
    pub fn open(address: &str) -> Door {
        let stream = TcpStream::connect(address).unwrap_or_else(|e| panic!("{address}: {e}"));
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time limit");
        let mut door = Door { stream: BufReader::new(stream) };
        assert_eq!(door.reply(), 220);
        assert_eq!(door.say("LHLO test.example"), 250);
        door
    }

    /// One command, and the code of its reply.
    pub fn say(&mut self, command: &str) -> u16 {
        self.send(format!("{command}\r\n").as_bytes());
        self.reply()
    }

    /// A whole transaction; the code for each recipient.
    pub fn deliver(&mut self, sender: &str, recipients: &[&str], message: &[u8]) -> Vec<u16> {
        assert_eq!(self.say(&format!("MAIL FROM:<{sender}>")), 250);
        for recipient in recipients {
            assert_eq!(self.say(&format!("RCPT TO:<{recipient}>")), 250);
        }
        assert_eq!(self.say("DATA"), 354);
        let mut stuffed = Vec::with_capacity(message.len() + 100);
        for line in message.split_inclusive(|b| *b == b'\n') {
            let starts_line = stuffed.is_empty() || stuffed.ends_with(b"\r\n");
            if starts_line && line.starts_with(b".") {
                stuffed.push(b'.');
            }
            stuffed.extend_from_slice(line);
        }
        stuffed.extend_from_slice(b".\r\n");
        self.send(&stuffed);
        recipients.iter().map(|_| self.reply()).collect()
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("the door takes it");
    }

    fn reply(&mut self) -> u16 {
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).expect("a reply");
            let code = line.get(..3).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no reply: {line:?}"));
            if line.as_bytes().get(3) != Some(&b'-') {
                return code;
            }
        }
    }
}

/// Mail that nobody sends and everybody must survive: a name, and the bytes.
pub fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let part = "--x\r\nContent-Type: text/plain\r\n\r\npart\r\n";
    let parts =
        |n: usize| format!("Content-Type: multipart/mixed; boundary=x\r\n\r\n{}--x--\r\n", part.repeat(n)).into_bytes();
    let mut deep = String::new();
    for level in 0..1_000 {
        deep.push_str(&format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"));
    }
    deep.push_str("\r\nthe bottom\r\n");
    vec![
        ("nothing", Vec::new()),
        ("10,000 parts", parts(10_000)),
        ("depth 1,000", deep.into_bytes()),
        ("a header line of 1 MB", format!("X-Long: {}\r\n\r\nbody\r\n", "x".repeat(1 << 20)).into_bytes()),
        ("50 MB", "0123456789abcdef\r\n".repeat((50 << 20) / 18).into_bytes()),
        ("NUL", b"Subject: \0\r\n\r\n\0\0\r\n".to_vec()),
    ]
}
