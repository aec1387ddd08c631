//! Asks a domain's own mail server whether a password is right: an IMAP login (RFC 3501 6.2) that ends at once.
//!
//! What the server says is bounded in bytes and time, and read by imap-proto. Nothing of it is logged once the password was
//! sent: a server may repeat what it did not understand.

mod talk;
pub mod visit;

use super::smtp::Security;
use super::stream::Stream;
use crate::base::{Errand, Outcome, limits};
use futures_rustls::TlsConnector;
use smol::Timer;
use smol::lock::{Mutex as Lock, Semaphore};
use smol::net::TcpStream;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use talk::Talk;

/// A domain's own mail server.
#[derive(Debug)]
pub struct Server {
    host: String,
    port: u16,
    security: Security,
    room: Arc<Semaphore>,
}

impl Server {
    /// A server at a host name or IP address. In the clear it is asked on this machine only.
    pub fn new(host: String, port: u16, security: Security) -> Server {
        Server { host, port, security, room: Arc::new(Semaphore::new(limits::ELSEWHERE_AT_ONCE)) }
    }

    /// Whether the server lets this user in; the error says why that cannot be known.
    async fn ask(&self, user: &[u8], password: &[u8]) -> Result<bool, String> {
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|error| format!("cannot connect: {error}"))?;
        let is_here = stream.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback());
        if matches!(self.security, Security::Plain) && !is_here {
            return Err("it is not on this machine, and a password is not sent there in the clear".to_string());
        }
        converse(Box::new(stream), &self.security, user, password).await
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if matches!(self.security, Security::Implicit(_)) { "imaps" } else { "imap" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// The servers that are asked for passwords, and who waits for them.
#[derive(Debug, Default)]
pub struct Logins {
    servers: RwLock<HashMap<String, Arc<Server>>>,
    /// For each account that waits: its errands go one after the other.
    turns: Mutex<HashMap<String, Arc<Lock<()>>>>,
    waiting: AtomicUsize,
}

impl Logins {
    /// The servers, by domain, for errands that come from now on.
    pub fn set(&self, servers: HashMap<String, Server>) {
        let servers = servers.into_iter().map(|(domain, server)| (domain, Arc::new(server))).collect();
        *self.servers.write().unwrap_or_else(PoisonError::into_inner) = servers;
    }

    /// Carries out an errand when its turn comes.
    pub async fn run(&self, errand: &Errand) -> Outcome {
        match self.outcome(errand).await {
            Ok(outcome) => outcome,
            Err(why) => {
                log::warn!("a password of {} could not be checked: {why}", errand.domain);
                Outcome::Unknown
            }
        }
    }

    async fn outcome(&self, errand: &Errand) -> Result<Outcome, String> {
        let server = self.servers.read().unwrap_or_else(PoisonError::into_inner).get(&errand.domain).cloned();
        let server = server.ok_or("no server is configured for it any more")?;
        let _seat = self.seat().ok_or("too many logins wait for servers already")?;
        let turn = Turn { logins: self, account: &errand.account, lock: self.turn(&errand.account) };
        let first = async { (turn.lock.lock_arc().await, server.room.acquire_arc().await) };
        let _held = within(limits::ELSEWHERE_TIME, first)
            .await
            .ok_or_else(|| format!("{server} has not answered the logins before this one"))?;
        if !(errand.is_open)() {
            return Ok(Outcome::Settled);
        }
        let answer = within(limits::ELSEWHERE_TIME, server.ask(errand.user.as_bytes(), errand.password.expose())).await;
        match answer {
            Some(Ok(true)) => Ok(Outcome::Right),
            Some(Ok(false)) => Ok(Outcome::Wrong),
            Some(Err(why)) => Err(format!("{server}: {why}")),
            None => Err(format!("{server} gave no answer within {} s", limits::ELSEWHERE_TIME.as_secs())),
        }
    }

    fn seat(&self) -> Option<Seat<'_>> {
        let seat = Seat(&self.waiting);
        (self.waiting.fetch_add(1, Ordering::Relaxed) < limits::ELSEWHERE_QUEUE).then_some(seat)
    }

    fn turn(&self, account: &str) -> Arc<Lock<()>> {
        self.turns().entry(account.to_string()).or_default().clone()
    }

    fn turns(&self) -> MutexGuard<'_, HashMap<String, Arc<Lock<()>>>> {
        // Each change is one insertion or removal.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that waits; given back when it is dropped.
struct Seat<'a>(&'a AtomicUsize);

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place in an account's row; the last one takes the row away.
struct Turn<'a> {
    logins: &'a Logins,
    account: &'a str,
    lock: Arc<Lock<()>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut turns = self.logins.turns();
        // The table's and ours: nobody else waits, and nobody can begin to while we hold the table.
        if Arc::strong_count(&self.lock) <= 2 {
            turns.remove(self.account);
        }
    }
}

/// `None`: it took too long.
async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let late = async {
        Timer::after(limit).await;
        None
    };
    smol::future::or(async { Some(work.await) }, late).await
}

/// One login over a fresh connection.
async fn converse(stream: Box<dyn Stream>, security: &Security, user: &[u8], password: &[u8]) -> Result<bool, String> {
    let (mut talk, offers) = begin(stream, security).await?;
    let is_right = talk.log_in(&offers, user, password).await?;
    // The answer is known; nobody waits for the rest.
    within(limits::LINGER, talk.log_out()).await;
    Ok(is_right)
}

/// Greeting, TLS, and what the server offers.
async fn begin(
    mut stream: Box<dyn Stream>,
    security: &Security,
) -> Result<(Talk<Box<dyn Stream>>, talk::Offers), String> {
    if let Security::Implicit(tls) = security {
        stream = start_tls(tls, stream).await?;
    }
    let mut talk = Talk::new(stream);
    let mut offers = talk.greeting().await?;
    if let Security::StartTls(tls) = security {
        talk.start_tls().await?;
        talk = Talk::new(start_tls(tls, talk.into_stream()?).await?);
        // What was said in the clear counts for nothing (RFC 3501 6.2.1).
        offers = None;
    }
    let offers = match offers {
        Some(offers) => offers,
        None => talk.capabilities().await?,
    };
    Ok((talk, offers))
}

async fn start_tls(tls: &super::smtp::Tls, stream: Box<dyn Stream>) -> Result<Box<dyn Stream>, String> {
    let connector = TlsConnector::from(tls.config.clone());
    match connector.connect(tls.name.clone(), stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(format!("TLS could not be agreed on: {error}")),
    }
}

#[cfg(test)]
mod tests;
