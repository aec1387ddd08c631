//! Asks a filter what it says of a message.

use super::dial::Dial;
use super::http::{Target, get, post};
use crate::base::{Secret, limits};
use crate::verdict::{Request, Verdict, rspamd, spamd};
use hyper::body::Bytes;
use std::fmt;
use std::time::Duration;

/// A filter that can be asked.
#[derive(Debug, Clone)]
pub enum Asked {
    /// rspamd's worker "normal", or its proxy.
    Rspamd {
        /// `http://host:11333`, or a Unix socket; the path is replaced.
        worker: Target,
        /// The field `Password`, where the worker wants one.
        password: Option<Secret<String>>,
        /// How long all of it may take.
        time: Duration,
    },
    /// SpamAssassin's spamd.
    Spamd {
        /// Where it listens.
        daemon: Dial,
        /// Whose preferences count, if not the daemon's own.
        user: Option<String>,
        /// How long all of it may take.
        time: Duration,
    },
}

/// Why there is no verdict: which filter, what failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoVerdict(String);

impl fmt::Display for NoVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoVerdict {}

impl Asked {
    /// Asks, over a connection of its own.
    ///
    /// # Errors
    /// The filter is not reached, takes too long, or its answer is no verdict. Nothing follows from that for the message.
    pub async fn ask(
        &self,
        request: &Request,
        message: impl AsRef<[u8]> + Send + Sync + 'static,
    ) -> Result<Verdict, NoVerdict> {
        match self {
            Asked::Rspamd { worker, password, time } => {
                let head = rspamd::head(request);
                let password = password.as_ref().map(|password| ("Password", password.expose().as_str()));
                let fields = head.iter().map(|(name, value)| (*name, value.as_str())).chain(password);
                let fields: Vec<(&str, &str)> = fields.collect();
                let target = worker.with_path(rspamd::PATH);
                let body = Bytes::from_owner(message);
                let response = post(&target, &fields, body, *time, limits::VERDICT_REPLY).await;
                let response = response.map_err(|error| NoVerdict(error.to_string()))?;
                rspamd::answer(response.status, &response.body).map_err(|error| NoVerdict(format!("{target}: {error}")))
            }
            Asked::Spamd { daemon, user, time } => {
                let failed = |why: &dyn fmt::Display| NoVerdict(format!("spamd at {daemon}: {why}"));
                let head = spamd::head(request, user.as_deref(), message.as_ref());
                let parts = [head.as_slice(), message.as_ref()];
                let answer = daemon.exchange(&parts, limits::VERDICT_REPLY, *time).await;
                spamd::answer(&answer.map_err(|why| failed(&why))?).map_err(|error| failed(&error))
            }
        }
    }
}

impl Asked {
    /// Asks whether it is there at all.
    ///
    /// # Errors
    /// In words: it is not reached, or what answers is no such filter.
    pub async fn ping(&self, time: Duration) -> Result<(), String> {
        match self {
            Asked::Rspamd { worker, .. } => {
                let response = get(&worker.with_path(rspamd::PING), &[], time, limits::HTTP_REPLY).await;
                let response = response.map_err(|error| error.to_string())?;
                if rspamd::is_pong(response.status, &response.body) {
                    return Ok(());
                }
                Err(format!("what answers there is not rspamd (status {})", response.status))
            }
            Asked::Spamd { daemon, .. } => {
                let answer = daemon.exchange(&[spamd::PING], limits::HTTP_REPLY, time).await?;
                if spamd::is_pong(&answer) { Ok(()) } else { Err("what answers there is not spamd".to_string()) }
            }
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Asked::Rspamd { worker, .. } => write!(f, "rspamd at {worker}"),
            Asked::Spamd { daemon, .. } => write!(f, "spamd at {daemon}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Action;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    const REPORT: &[u8] = b"SPAMD/1.1 0 EX_OK\r\nContent-length: 3\r\nSpam: True ; 9.0 / 5.0\r\n\r\nx\r\n";

    /// Answers one connection over a Unix socket, and gives what it was sent up to `ends`.
    fn service(answer: Vec<u8>, ends: &'static [u8]) -> (tempdir::Dir, std::thread::JoinHandle<Vec<u8>>) {
        let dir = tempdir::Dir::new();
        let listener = UnixListener::bind(dir.socket()).unwrap();
        let thread = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(ends) {
                let mut buffer = [0; 4096];
                match socket.read(&mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => request.extend_from_slice(&buffer[..count]),
                }
            }
            let _ = socket.write_all(&answer);
            request
        });
        (dir, thread)
    }

    /// A directory that goes with the test.
    mod tempdir {
        use std::path::PathBuf;

        pub struct Dir(PathBuf);

        impl Dir {
            pub fn new() -> Dir {
                static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
                let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let path = std::env::temp_dir().join(format!("lazaret-verdict-{}-{count}", std::process::id()));
                std::fs::create_dir_all(&path).unwrap();
                Dir(path)
            }

            pub fn socket(&self) -> PathBuf {
                self.0.join("s")
            }
        }

        impl Drop for Dir {
            fn drop(&mut self) {
                drop(std::fs::remove_dir_all(&self.0));
            }
        }
    }

    fn spamd(at: &tempdir::Dir, millis: u64) -> Asked {
        Asked::Spamd { daemon: Dial::Unix(at.socket()), user: None, time: Duration::from_millis(millis) }
    }

    fn ask(asked: &Asked) -> Result<Verdict, String> {
        let request = Request { sender: "ä@x.test".into(), recipients: vec!["a@b.test".into()], ..Request::default() };
        smol::block_on(asked.ask(&request, b"A: b\r\n\r\nend".to_vec())).map_err(|error| error.to_string())
    }

    #[test]
    fn over_a_unix_socket() {
        let (dir, thread) = service(REPORT.to_vec(), b"end");
        let verdict = ask(&spamd(&dir, 5_000)).unwrap();
        assert_eq!((verdict.action, verdict.score), (Action::Mark, Some(9.0)));
        assert!(thread.join().unwrap().starts_with(b"REPORT SPAMC/1.5\r\nContent-length: "));

        let json = br#"{"action":"reject","score":20}"#;
        let answer = [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", json.len()).as_bytes(), json].concat();
        let (dir, thread) = service(answer, b"end");
        let worker = format!("unix:{}", dir.socket().display()).parse().unwrap();
        let password = Some(Secret::new("secret".to_string()));
        let rspamd = Asked::Rspamd { worker, password, time: Duration::from_secs(5) };
        assert_eq!(ask(&rspamd).unwrap().action, Action::Reject);
        let request = String::from_utf8(thread.join().unwrap()).unwrap().to_lowercase();
        assert!(request.starts_with("post /checkv2 http/1.1\r\n"), "{request}");
        for field in ["from: <ä@x.test>", "rcpt: <a@b.test>", "password: secret", "host: localhost"] {
            assert!(request.contains(&format!("\r\n{field}\r\n")), "{field} in {request}");
        }
    }

    #[test]
    fn no_verdict() {
        let why = |asked: &Asked| ask(asked).unwrap_err();
        let nobody = tempdir::Dir::new();
        assert!(why(&spamd(&nobody, 5_000)).contains("cannot connect"));
        let (dir, thread) = service(Vec::new(), b"end");
        assert!(why(&spamd(&dir, 5_000)).contains("broke off"));
        thread.join().unwrap();
        let (dir, thread) = service(b"SPAMD/1.0 74 EX_IOERR\r\n".to_vec(), b"end");
        assert!(why(&spamd(&dir, 5_000)).contains("74 EX_IOERR"));
        thread.join().unwrap();
        let (dir, thread) = service(vec![b'x'; limits::VERDICT_REPLY + 100_000], b"end");
        assert!(why(&spamd(&dir, 20_000)).contains("is over"));
        thread.join().unwrap();
        let silent = tempdir::Dir::new();
        let listener = UnixListener::bind(silent.socket()).unwrap();
        assert!(why(&spamd(&silent, 50)).contains("did not answer within 0.05 s"));
        drop(listener);
    }
}
