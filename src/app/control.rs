//! `state/control.sock`: how commands reach the running server. One request a connection, one line of JSON; the answer is
//! lines of JSON, the last of which says that it is the last. The socket's mode is 0600: whoever may connect may also read
//! and change every file of the data directory, so nothing is asked of him.
//!
//! When no server runs, a command takes the data directory's lock and does the same itself.

use super::commands::{self, Answer, Request, Why};
use super::config::Config;
use super::lock::{Lock, NotLocked};
use super::server;
use crate::base::limits;
use crate::mail;
use crate::net::gate::Room;
use crate::net::listen::{Accepted, Address, ListenError};
use crate::net::stream::{Socket, write_all};
use crate::net::{Gate, Listener, Stop, executor};
use crate::quarantine::directory::Resolution;
use crate::quarantine::{Accounts, Quarantine, Scope};
use crate::serve::Serving;
use smol::io::{AsyncBufReadExt, AsyncReadExt};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Lines of an answer that wait to be written.
const AHEAD: usize = 64;
/// A server that is starting or stopping holds the lock and does not listen; a command waits so long for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The socket of a data directory.
pub fn path(data: &Path) -> PathBuf {
    data.join("state/control.sock")
}

/// Answers commands until the stop.
pub fn start(
    serving: &Serving,
    quarantine: Arc<Quarantine>,
    accounts: Arc<Accounts>,
) -> Result<Arc<Gate>, ListenError> {
    let room = Room { total: limits::CONTROL_CONNECTIONS, ..Room::default() };
    let gate = Gate::new(room);
    let socket = path(quarantine.store.disk().root());
    let listener = Listener::bind(&Address::Unix(socket, 0o600))?;
    let (tasks, stop) = (serving.tasks.clone(), serving.stop.clone());
    let accept = move |accepted: Accepted| {
        accepted.seat.known();
        let (quarantine, accounts, stop) = (quarantine.clone(), accounts.clone(), stop.clone());
        executor::spawn(&tasks, "a command", async move {
            if let Err(error) = serve(accepted, quarantine, accounts, stop).await {
                log::debug!("control socket: {error}");
            }
        });
    };
    let run = listener.run(gate.clone(), serving.stop.clone(), b"", accept);
    executor::spawn(&serving.tasks, "the control socket", run);
    Ok(gate)
}

async fn serve(
    accepted: Accepted,
    quarantine: Arc<Quarantine>,
    accounts: Arc<Accounts>,
    stop: Stop,
) -> std::io::Result<()> {
    let Accepted { mut socket, seat, .. } = accepted;
    let mut line = Vec::new();
    let reader = socket.clone().take(limits::CONTROL_LINE);
    let mut reader = smol::io::BufReader::new(reader);
    let request = reader.read_until(b'\n', &mut line);
    let too_long = async {
        smol::Timer::after(limits::CONTROL_WAIT).await;
        Err(std::io::ErrorKind::TimedOut.into())
    };
    smol::future::or(request, too_long).await?;
    if line.is_empty() {
        return Ok(());
    }
    if let Ok(Request::Pass { recipient, from }) = serde_json::from_slice(&line) {
        return lend(&mut socket, &quarantine, &accounts, &recipient, from, stop).await;
    }
    let (sender, lines) = smol::channel::bounded::<Vec<u8>>(AHEAD);
    // What was begun is finished, also when nobody reads the answer any more.
    let job = smol::unblock(move || {
        let mut tell = |answer: Answer| {
            let mut line = serde_json::to_vec(&answer).unwrap_or_default();
            line.push(b'\n');
            sender.send_blocking(line).is_ok()
        };
        match serde_json::from_slice::<Request>(&line) {
            Ok(request) => commands::execute(&quarantine, &request, &mut tell),
            Err(e) => {
                let text = format!("the running server does not understand the request ({e}): is it another version?");
                tell(Answer::Failed { why: Why::Request, text });
            }
        }
    });
    while let Ok(line) = lines.recv().await {
        write_all(&mut socket, &line).await?;
    }
    job.await;
    drop(seat);
    Ok(())
}

/// Lends a pass until the other side closes the connection.
async fn lend(
    socket: &mut Socket,
    quarantine: &Quarantine,
    accounts: &Arc<Accounts>,
    recipient: &str,
    from: Vec<IpAddr>,
    stop: Stop,
) -> std::io::Result<()> {
    let tree = mail::Address::parse(recipient).ok().map(|address| quarantine.directory().resolve(&address));
    let (answer, lent) = match tree {
        Some(Resolution::Tree(tree)) => {
            match accounts.lend(Scope::Recipient(tree.clone()), from, quarantine.store.now()) {
                Some(lent) => {
                    let (user, password) = (lent.user.clone(), lent.password.expose().clone());
                    (Answer::Pass { user, password, recipient: tree.to_string() }, Some(lent))
                }
                None => (Answer::Failed { why: Why::Later, text: "the system has no random bytes".to_string() }, None),
            }
        }
        _ => {
            let text = format!("{recipient} is not a recipient in one of the [domains]");
            (Answer::Failed { why: Why::Scope, text }, None)
        }
    };
    let mut line = serde_json::to_vec(&answer)?;
    line.push(b'\n');
    write_all(socket, &line).await?;
    let closed = async {
        // Nothing more is said: what can be read is its end.
        let _ = socket.read(&mut [0]).await;
    };
    let over = async {
        smol::Timer::after(limits::PASS_TIME).await;
    };
    smol::future::or(closed, smol::future::or(over, stop.stopped())).await;
    drop(lent);
    Ok(())
}

/// Why a request was not carried out, or not to its end.
#[derive(Debug)]
pub enum Unanswered {
    /// Neither a server nor the store can be reached.
    Unreachable(String),
    /// The server was reached and did not answer to the end: what it did is not known.
    Broken(String),
}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unanswered::Unreachable(text) | Unanswered::Broken(text) => f.write_str(text),
        }
    }
}

/// Has a request carried out: by the running server, or here.
pub fn ask(config: &Config, request: &Request, mut tell: impl FnMut(Answer)) -> Result<(), Unanswered> {
    let unreachable = |text: String| Unanswered::Unreachable(text);
    if !config.data.is_dir() {
        let data = config.data.display();
        return Err(unreachable(format!("there is no data directory {data}; `lazaret serve` makes it")));
    }
    let began = Instant::now();
    loop {
        let refused = match connect(&config.data) {
            Ok(stream) => return over(stream, request, tell),
            Err(e) => e,
        };
        match Lock::take(&config.data) {
            Ok(lock) => {
                let (quarantine, _) = server::open(config).map_err(unreachable)?;
                commands::execute(&quarantine, request, &mut |answer| {
                    tell(answer);
                    true
                });
                quarantine.store.close().map_err(|fault| unreachable(fault.to_string()))?;
                drop(lock);
                return Ok(());
            }
            Err(NotLocked::Held(_)) if began.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(100)),
            Err(held @ NotLocked::Held(_)) => {
                let socket = path(&config.data);
                return Err(unreachable(format!(
                    "{held} ({}), and does not answer at {}: {refused}",
                    config.data.display(),
                    socket.display()
                )));
            }
            Err(failed) => {
                return Err(unreachable(format!("{failed}; run it as the user that runs `lazaret serve`")));
            }
        }
    }
}

/// The running server, if there is one.
pub fn connect(data: &Path) -> std::io::Result<UnixStream> {
    UnixStream::connect(path(data))
}

/// Asks the running server for a pass. It is good as long as the connection that comes with it is kept.
pub fn pass(mut stream: UnixStream, request: &Request) -> Result<(Answer, UnixStream), Unanswered> {
    let broken =
        |e: std::io::Error| Unanswered::Broken(format!("the running server did not answer ({e}); its log may say why"));
    let mut line = serde_json::to_vec(request).map_err(|e| broken(e.into()))?;
    line.push(b'\n');
    stream.set_read_timeout(Some(limits::CONTROL_WAIT)).map_err(broken)?;
    stream.write_all(&line).map_err(broken)?;
    let mut answer = Vec::new();
    BufReader::new(&stream).take(limits::CONTROL_LINE).read_until(b'\n', &mut answer).map_err(broken)?;
    let answer = serde_json::from_slice(&answer).map_err(|e| broken(e.into()))?;
    Ok((answer, stream))
}

/// Asks the running server.
pub fn over(mut stream: UnixStream, request: &Request, mut tell: impl FnMut(Answer)) -> Result<(), Unanswered> {
    let broken = |e: std::io::Error| {
        Unanswered::Broken(format!("the running server did not answer to the end ({e}); its log may say why"))
    };
    let mut line = serde_json::to_vec(request).map_err(|e| broken(e.into()))?;
    line.push(b'\n');
    if line.len() as u64 > limits::CONTROL_LINE {
        return Err(Unanswered::Unreachable("too many messages at once: name fewer in one command".to_string()));
    }
    stream.set_read_timeout(Some(limits::CONTROL_WAIT)).map_err(broken)?;
    stream.write_all(&line).map_err(broken)?;
    let mut lines = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        lines.read_until(b'\n', &mut line).map_err(broken)?;
        if line.is_empty() {
            return Err(broken(std::io::ErrorKind::UnexpectedEof.into()));
        }
        let answer: Answer = serde_json::from_slice(&line).map_err(|e| broken(e.into()))?;
        let last = matches!(answer, Answer::Done | Answer::Failed { .. });
        tell(answer);
        if last {
            return Ok(());
        }
    }
}
