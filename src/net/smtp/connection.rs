//! One connection to a mail server: greeting, TLS, login, and one transaction after the other.

use super::parcel::{check_address, needs_chunking};
use super::{Destination, Login, Parcel, Protocol, Reply, Security, Sent, Target, Times, Tls};
use crate::net::stream::Stream;
use async_compat::{Compat, CompatExt};
use futures_rustls::TlsConnector;
use mail_send::{Credentials, Error, SmtpClient};
use smol::future;
use smol::net::TcpStream;
use smtp_proto::{
    AUTH_LOGIN, AUTH_PLAIN, EXT_8BIT_MIME, EXT_CHUNKING, EXT_DSN, EXT_SIZE, EXT_SMTP_UTF8, EXT_START_TLS, EhloResponse,
    Response,
};
use std::io;
use std::time::Duration;

type Client = SmtpClient<Compat<Box<dyn Stream>>>;

/// A connection that has said EHLO or LHLO.
pub struct Connection {
    client: Client,
    hello: EhloResponse<String>,
    protocol: Protocol,
    times: Times,
    decided: Step,
}

impl Connection {
    /// Connects, waits for the greeting, starts TLS and logs in, as configured. The error says which step failed.
    pub async fn open(destination: &Destination) -> Result<Connection, String> {
        // mail-send's time limits are tokio's timers; Compat lends them a runtime while this future is polled.
        async {
            let times = destination.times;
            let (mut stream, local) = within(times.connect, connect(&destination.target)).await.map_err(text)?;
            if let Security::Implicit(tls) = &destination.security {
                stream = within(times.connect, start_tls(tls, stream)).await.map_err(text)?;
            }
            let mut client = SmtpClient { stream: stream.compat(), timeout: times.reply };
            let greeting = within(times.connect, client.read()).await.map_err(|e| format!("greeting: {}", text(e)))?;
            if greeting.code != 220 {
                return Err(format!("greeting: {}", reply(&greeting)));
            }
            let mut hello = say_hello(&mut client, destination).await?;
            let mut encrypted = matches!(destination.security, Security::Implicit(_));
            if let Security::StartTls(tls) = &destination.security {
                if !hello.has_capability(EXT_START_TLS) {
                    return Err("the server does not offer STARTTLS, and it is required".into());
                }
                let answer = client.cmd("STARTTLS\r\n").await.map_err(|e| format!("STARTTLS: {}", text(e)))?;
                if answer.code != 220 {
                    return Err(format!("STARTTLS: {}", reply(&answer)));
                }
                let stream = within(times.connect, start_tls(tls, client.stream.into_inner())).await.map_err(text)?;
                client = SmtpClient { stream: stream.compat(), timeout: times.reply };
                // What was said before TLS counts for nothing (RFC 3207 4.2).
                hello = say_hello(&mut client, destination).await?;
                encrypted = true;
            }
            if let Some(login) = &destination.login {
                if !encrypted && !local {
                    return Err("the password is not sent over an unencrypted connection; configure TLS".into());
                }
                log_in(&mut client, login, &hello).await?;
            }
            Ok(Connection { client, hello, protocol: destination.protocol, times, decided: Step::Sender })
        }
        .compat()
        .await
    }

    /// Whether a kept connection still answers; it begins a fresh transaction.
    pub async fn is_alive(&mut self) -> bool {
        self.client.timeout = self.times.connect;
        let alive = self.client.rset().compat().await.is_ok();
        self.client.timeout = self.times.reply;
        alive
    }

    /// One transaction. Gives one result for each recipient, in order, and whether the connection can be used again.
    pub async fn send(&mut self, parcel: &Parcel<'_>) -> (Vec<Sent>, bool) {
        let mut sent: Vec<Option<Sent>> = vec![None; parcel.recipients.len()];
        let (rest, usable) = match self.transact(parcel, &mut sent).compat().await {
            Ok(()) => (Sent::Deferred("the server gave no reply for this recipient".into()), true),
            Err(Stop::All(answer)) => {
                let usable = answer.code != 421 && self.is_alive().await;
                (Sent::by_reply(answer), usable)
            }
            Err(Stop::Broken(why)) => (Sent::Deferred(why), false),
        };
        (sent.into_iter().map(|one| one.unwrap_or_else(|| rest.clone())).collect(), usable)
    }

    /// At which command of the last transaction what became of its last recipient was decided.
    pub fn decided(&self) -> Step {
        self.decided
    }

    /// Ends the session politely; what the server says to that changes nothing.
    pub async fn quit(mut self) {
        self.client.timeout = self.times.connect;
        if let Err(e) = self.client.quit().compat().await {
            log::debug!("QUIT: {e}");
        }
    }

    /// Fills `sent` where a recipient's result differs from the one that `Stop` brings for the rest.
    async fn transact(&mut self, parcel: &Parcel<'_>, sent: &mut [Option<Sent>]) -> Result<(), Stop> {
        self.decided = Step::Sender;
        check_address(parcel.sender).map_err(Stop::All)?;
        let mail = self.mail_command(parcel)?;
        let answer = self.command("MAIL", &mail).await?;
        if !is_positive(&answer) {
            return Err(Stop::All(reply(&answer)));
        }
        self.decided = Step::Recipient;
        let mut accepted = Vec::new();
        for (&recipient, slot) in parcel.recipients.iter().zip(sent.iter_mut()) {
            match self.offer(recipient).await? {
                None => accepted.push(slot),
                Some(refusal) => *slot = Some(refusal),
            }
        }
        if accepted.is_empty() {
            return self.command("RSET", "RSET\r\n").await.map(|_| ());
        }
        self.decided = Step::Message;
        let answers = if self.hello.has_capability(EXT_CHUNKING) && needs_chunking(parcel.data) {
            self.send_chunk(parcel.data, accepted.len()).await?
        } else {
            let answer = self.command("DATA", "DATA\r\n").await?;
            if answer.code != 354 {
                return Err(Stop::All(reply(&answer)));
            }
            self.send_data(parcel.data, accepted.len()).await?
        };
        for (i, slot) in accepted.into_iter().enumerate() {
            // SMTP gives one reply for all.
            let answer = answers.get(i).or(answers.last());
            *slot = answer.map(|answer| Sent::by_reply(reply(answer)));
        }
        Ok(())
    }

    fn mail_command(&self, parcel: &Parcel<'_>) -> Result<String, Stop> {
        let mut mail = format!("MAIL FROM:<{}>", parcel.sender);
        if self.hello.has_capability(EXT_SIZE) {
            mail.push_str(&format!(" SIZE={}", parcel.data.len()));
        }
        if self.hello.has_capability(EXT_8BIT_MIME) && !parcel.data.is_ascii() {
            mail.push_str(" BODY=8BITMIME");
        }
        let international = |address: &str| !address.is_ascii();
        if international(parcel.sender) || parcel.recipients.iter().any(|r| international(r)) {
            if !self.hello.has_capability(EXT_SMTP_UTF8) {
                // RFC 6531 3.2: it cannot be sent to this server, now or later.
                let why = "the address is not ASCII, and the mail server does not offer SMTPUTF8";
                return Err(Stop::All(Reply::new(550, [5, 6, 7], why)));
            }
            mail.push_str(" SMTPUTF8");
        }
        mail.push_str("\r\n");
        Ok(mail)
    }

    /// Offers one recipient; `None` when the server took it.
    async fn offer(&mut self, recipient: &str) -> Result<Option<Sent>, Stop> {
        if let Err(refusal) = check_address(recipient) {
            return Ok(Some(Sent::Refused(refusal)));
        }
        // A bounce to whoever sent the spam helps nobody (RFC 3461 4.1).
        let notify = if self.hello.has_capability(EXT_DSN) { " NOTIFY=NEVER" } else { "" };
        let answer = self.command("RCPT", &format!("RCPT TO:<{recipient}>{notify}\r\n")).await?;
        Ok((!is_positive(&answer)).then(|| Sent::by_reply(reply(&answer))))
    }

    async fn send_data(&mut self, data: &[u8], accepted: usize) -> Result<Vec<Response<String>>, Stop> {
        // write_message adds the CRLF that stands before the final dot.
        let body = data.strip_suffix(b"\r\n").unwrap_or(data);
        let replies = self.replies(accepted);
        let client = &mut self.client;
        let exchange = async {
            client.write_message(body).await?;
            client.read_many(replies).await
        };
        within(writing_time(self.times.last, data.len()), exchange).await.map_err(|e| Stop::broken("DATA", e))
    }

    async fn send_chunk(&mut self, data: &[u8], accepted: usize) -> Result<Vec<Response<String>>, Stop> {
        let replies = self.replies(accepted);
        let client = &mut self.client;
        let exchange = async {
            let stream = client.stream.get_mut();
            smol::io::AsyncWriteExt::write_all(stream, format!("BDAT {} LAST\r\n", data.len()).as_bytes()).await?;
            smol::io::AsyncWriteExt::write_all(stream, data).await?;
            smol::io::AsyncWriteExt::flush(stream).await?;
            client.read_many(replies).await
        };
        within(writing_time(self.times.last, data.len()), exchange).await.map_err(|e| Stop::broken("BDAT", e))
    }

    /// Replies that follow the message (RFC 2033 4.2).
    fn replies(&self, accepted: usize) -> usize {
        match self.protocol {
            Protocol::Smtp => 1,
            Protocol::Lmtp => accepted,
        }
    }

    async fn command(&mut self, verb: &'static str, line: &str) -> Result<Response<String>, Stop> {
        let answer = self.client.cmd(line).await.map_err(|e| Stop::broken(verb, e))?;
        if answer.code == 421 {
            // The server closes the connection after it (RFC 5321 3.8).
            return Err(Stop::Broken(reply(&answer).to_string()));
        }
        Ok(answer)
    }
}

/// The commands of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// MAIL
    Sender,
    /// RCPT
    Recipient,
    /// DATA or BDAT, and the message
    Message,
}

/// Why a transaction ended early.
enum Stop {
    /// This reply holds for every recipient that has none of its own.
    All(Reply),
    /// The connection is of no more use.
    Broken(String),
}

impl Stop {
    fn broken(step: &str, error: Error) -> Stop {
        Stop::Broken(format!("{step}: {}", text(error)))
    }
}

/// Also says whether the peer is on this host.
async fn connect(target: &Target) -> Result<(Box<dyn Stream>, bool), Error> {
    match target {
        Target::Tcp(host, port) => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            let local = stream.peer_addr()?.ip().is_loopback();
            Ok((Box::new(stream), local))
        }
        Target::Unix(path) => Ok((Box::new(smol::net::unix::UnixStream::connect(path).await?), true)),
    }
}

async fn start_tls(tls: &Tls, stream: Box<dyn Stream>) -> Result<Box<dyn Stream>, Error> {
    let connector = TlsConnector::from(tls.config.clone());
    Ok(Box::new(connector.connect(tls.name.clone(), stream).await?))
}

async fn say_hello(client: &mut Client, destination: &Destination) -> Result<EhloResponse<String>, String> {
    match destination.protocol {
        Protocol::Smtp => client.ehlo(&destination.helo).await.map_err(|e| format!("EHLO: {}", text(e))),
        Protocol::Lmtp => client.lhlo(&destination.helo).await.map_err(|e| format!("LHLO: {}", text(e))),
    }
}

async fn log_in(client: &mut Client, login: &Login, hello: &EhloResponse<String>) -> Result<(), String> {
    // mail-send would begin CRAM-MD5, which it was built without, and leave the server waiting in the middle of it.
    let offered = EhloResponse { auth_mechanisms: hello.auth_mechanisms & (AUTH_PLAIN | AUTH_LOGIN), ..hello.clone() };
    let credentials = Credentials::Plain { username: login.user.as_str(), secret: login.password.expose().as_str() };
    client
        .authenticate(Shared(&credentials), Shared(&offered))
        .await
        .map(|_| ())
        .map_err(|e| format!("login as {}: {}", login.user, text(e)))
}

/// `authenticate` takes its arguments by `AsRef`, which they do not implement.
struct Shared<'a, T>(&'a T);

impl<T> AsRef<T> for Shared<'_, T> {
    fn as_ref(&self) -> &T {
        self.0
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    future::or(work, async {
        smol::Timer::after(limit).await;
        Err(Error::Timeout)
    })
    .await
}

/// The time for the reply, and a second for every 16 KB before it.
fn writing_time(reply: Duration, len: usize) -> Duration {
    reply.saturating_add(Duration::from_secs((len >> 14) as u64))
}

fn is_positive(answer: &Response<String>) -> bool {
    answer.code / 100 == 2
}

fn reply(answer: &Response<String>) -> Reply {
    Reply::new(answer.code, answer.esc, &answer.message)
}

/// An error in one line, for the journal and for people.
fn text(error: Error) -> String {
    match error {
        Error::UnexpectedReply(answer) | Error::AuthenticationFailed(answer) => reply(&answer).to_string(),
        Error::Timeout => "no answer in time".into(),
        Error::UnparseableReply => "the connection was closed, or the reply is not SMTP".into(),
        Error::UnsupportedAuthMechanism => "the server offers neither AUTH PLAIN nor AUTH LOGIN".into(),
        Error::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => "the connection was closed".into(),
        Error::Io(e) => e.to_string(),
        other => other.to_string(),
    }
}
