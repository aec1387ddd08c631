//! A small SMTP or LMTP server that keeps what it gets in a Maildir: the "mail server behind us" of the demo and of
//! tests. It is no mail server for anything else: everybody may send, and nothing goes anywhere.
//!
//! Some recipients provoke what a real server may do: `refused@` 550, `deferred@` 451, `slow@` waits before it answers,
//! `rejected@` is refused after the message.

use crate::base::limits;
use crate::net::Tasks;
use crate::net::stream::Stream;
use crate::net::tls::Tls;
use maildir::Maildir;
use smol::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use smol::net::TcpListener;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What the server is like.
#[derive(Clone)]
pub struct SinkServer {
    /// Where messages are kept: a Maildir, made when it is not there.
    pub folder: PathBuf,
    /// LMTP instead of SMTP.
    pub lmtp: bool,
    /// STARTTLS is offered with this.
    pub tls: Option<Arc<Tls>>,
    /// AUTH PLAIN is offered, and needed, with this response (base64, RFC 4616).
    pub login: Option<String>,
    /// SMTPUTF8, 8BITMIME, DSN and CHUNKING are offered.
    pub extensions: bool,
    /// How long `slow@` takes.
    pub slow: Duration,
}

/// What is gathered of one transaction.
#[derive(Default)]
struct Transaction {
    /// MAIL was given.
    begun: bool,
    sender: String,
    recipients: Vec<String>,
    message: Vec<u8>,
}

struct Session {
    server: Arc<SinkServer>,
    stream: BufReader<Box<dyn Stream>>,
    encrypted: bool,
    logged_in: bool,
    transaction: Transaction,
}

/// Whether the session goes on.
enum Next {
    Line,
    Tls,
    Quit,
}

impl SinkServer {
    /// A server that keeps messages in `folder` and offers everything that needs no key.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        SinkServer {
            folder: folder.into(),
            lmtp: false,
            tls: None,
            login: None,
            extensions: true,
            slow: Duration::from_secs(5),
        }
    }

    /// Serves every connection that comes, until the listener fails.
    pub async fn serve(self, listener: TcpListener, tasks: Tasks) -> io::Result<()> {
        let folder = self.folder.clone();
        smol::unblock(move || Maildir::from(folder).create_dirs()).await?;
        let server = Arc::new(self);
        loop {
            let (stream, peer) = listener.accept().await?;
            let server = server.clone();
            let session = async move {
                if let Err(e) = server.converse(Box::new(stream)).await {
                    log::debug!("sink: {peer}: {e}");
                }
            };
            tasks.spawn(session);
        }
    }

    async fn converse(self: Arc<Self>, stream: Box<dyn Stream>) -> io::Result<()> {
        let mut session = Session {
            logged_in: self.login.is_none(),
            server: self,
            stream: BufReader::new(stream),
            encrypted: false,
            transaction: Transaction::default(),
        };
        session.say("220 sink ESMTP\r\n").await?;
        loop {
            match session.turn().await? {
                Next::Line => {}
                Next::Quit => return Ok(()),
                Next::Tls => {
                    let Some(tls) = session.server.tls.clone() else { return Ok(()) };
                    let plain = session.stream.into_inner();
                    session.stream = BufReader::new(Box::new(tls.accept(plain).await?));
                    session.encrypted = true;
                    session.transaction = Transaction::default();
                }
            }
        }
    }

    fn store(&self, transaction: &Transaction) -> io::Result<()> {
        let mut file = format!("Return-Path: <{}>\r\n", transaction.sender).into_bytes();
        file.extend_from_slice(format!("X-Envelope-To: {}\r\n", transaction.recipients.join(", ")).as_bytes());
        file.extend_from_slice(&transaction.message);
        Maildir::from(self.folder.clone()).store_new(&file).map(|_| ()).map_err(io::Error::other)
    }
}

impl Session {
    async fn say(&mut self, line: &str) -> io::Result<()> {
        let stream = self.stream.get_mut();
        stream.write_all(line.as_bytes()).await?;
        stream.flush().await
    }

    async fn turn(&mut self) -> io::Result<Next> {
        let mut line = Vec::new();
        (&mut self.stream).take(limits::LMTP_LINE as u64).read_until(b'\n', &mut line).await?;
        if !line.ends_with(b"\n") {
            return Ok(Next::Quit);
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_string();
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" | "LHLO" => self.hello().await?,
            "STARTTLS" if self.server.tls.is_some() && !self.encrypted => {
                self.say("220 2.0.0 go ahead\r\n").await?;
                return Ok(Next::Tls);
            }
            "AUTH" => self.log_in(rest).await?,
            "MAIL" if !self.logged_in => self.say("530 5.7.0 authentication required\r\n").await?,
            "MAIL" => {
                self.transaction = Transaction { begun: true, sender: path_of(rest), ..Transaction::default() };
                self.say("250 2.1.0 ok\r\n").await?;
            }
            "RCPT" if self.transaction.begun => self.recipient(path_of(rest)).await?,
            "DATA" if !self.transaction.recipients.is_empty() => {
                self.say("354 go ahead\r\n").await?;
                let whole = self.read_data().await?;
                self.finish(whole).await?;
            }
            "BDAT" if self.server.extensions && !self.transaction.recipients.is_empty() => self.chunk(rest).await?,
            "DATA" | "RCPT" | "BDAT" => self.say("503 5.5.1 not now\r\n").await?,
            "RSET" => {
                self.transaction = Transaction::default();
                self.say("250 2.0.0 ok\r\n").await?;
            }
            "NOOP" => self.say("250 2.0.0 ok\r\n").await?,
            "QUIT" => {
                self.say("221 2.0.0 bye\r\n").await?;
                return Ok(Next::Quit);
            }
            _ => self.say("500 5.5.2 unknown command\r\n").await?,
        }
        Ok(Next::Line)
    }

    async fn hello(&mut self) -> io::Result<()> {
        let mut lines = vec!["sink".to_string(), format!("SIZE {}", limits::MESSAGE_BYTES)];
        if self.server.extensions {
            lines.extend(["8BITMIME", "SMTPUTF8", "DSN", "CHUNKING", "ENHANCEDSTATUSCODES"].map(String::from));
        }
        if self.server.tls.is_some() && !self.encrypted {
            lines.push("STARTTLS".into());
        }
        if self.server.login.is_some() {
            lines.push("AUTH CRAM-MD5 PLAIN".into());
        }
        let last = lines.len() - 1;
        let mark = |i| if i == last { ' ' } else { '-' };
        let reply: String = lines.iter().enumerate().map(|(i, line)| format!("250{}{line}\r\n", mark(i))).collect();
        self.say(&reply).await
    }

    async fn log_in(&mut self, rest: &str) -> io::Result<()> {
        if rest.strip_prefix("PLAIN ").is_some_and(|given| Some(given) == self.server.login.as_deref()) {
            self.logged_in = true;
            self.say("235 2.7.0 welcome\r\n").await
        } else {
            self.say("535 5.7.8 wrong name or password\r\n").await
        }
    }

    async fn recipient(&mut self, recipient: String) -> io::Result<()> {
        match recipient.split('@').next().unwrap_or_default() {
            "refused" => return self.say("550 5.1.1 no such user\r\n").await,
            "deferred" => return self.say("451 4.2.1 try again later\r\n").await,
            "slow" => drop(smol::Timer::after(self.server.slow).await),
            _ => {}
        }
        if self.transaction.recipients.len() >= limits::LMTP_RECIPIENTS {
            return self.say("452 4.5.3 too many recipients\r\n").await;
        }
        self.transaction.recipients.push(recipient);
        self.say("250 2.1.5 ok\r\n").await
    }

    /// Reads up to the line that is a lone dot; `false` when the message was too large to be kept.
    async fn read_data(&mut self) -> io::Result<bool> {
        let mut whole = true;
        let mut at_start = true;
        let mut piece = Vec::new();
        let mut last = 0;
        loop {
            piece.clear();
            let read = (&mut self.stream).take(limits::PIECE_BYTES as u64).read_until(b'\n', &mut piece).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if at_start && piece == b".\r\n" {
                return Ok(whole);
            }
            let line = if at_start { piece.strip_prefix(b".").unwrap_or(&piece) } else { &piece };
            let message = &mut self.transaction.message;
            whole &= (message.len() + line.len()) as u64 <= limits::MESSAGE_BYTES;
            if whole {
                message.extend_from_slice(line);
            }
            at_start = piece.ends_with(b"\r\n") || (piece == b"\n" && last == b'\r');
            last = piece.last().copied().unwrap_or(0);
        }
    }

    /// RFC 3030.
    async fn chunk(&mut self, rest: &str) -> io::Result<()> {
        let mut words = rest.split_ascii_whitespace();
        let size: u64 = words.next().and_then(|w| w.parse().ok()).unwrap_or(u64::MAX);
        if size > limits::MESSAGE_BYTES.saturating_sub(self.transaction.message.len() as u64) {
            self.say("552 5.3.4 too large\r\n").await?;
            return Err(io::ErrorKind::InvalidData.into());
        }
        let message = &mut self.transaction.message;
        if (&mut self.stream).take(size).read_to_end(message).await? as u64 != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match words.next() {
            Some(word) if word.eq_ignore_ascii_case("LAST") => self.finish(true).await,
            _ => self.say("250 2.0.0 more\r\n").await,
        }
    }

    async fn finish(&mut self, whole: bool) -> io::Result<()> {
        let transaction = std::mem::take(&mut self.transaction);
        let recipients = transaction.recipients.clone();
        let rejects = |recipient: &String| recipient.starts_with("rejected@");
        let stored = if whole && !recipients.iter().all(rejects) {
            let server = self.server.clone();
            smol::unblock(move || server.store(&transaction)).await
        } else {
            Ok(())
        };
        let reply = |recipient: &String| match &stored {
            _ if !whole => "552 5.3.4 too large\r\n".to_string(),
            _ if rejects(recipient) => "554 5.7.1 this looks like spam\r\n".to_string(),
            Ok(()) => format!("250 2.0.0 kept for {recipient}\r\n"),
            Err(e) => format!("451 4.3.0 {e}\r\n"),
        };
        // RFC 2033 4.2: one reply for each recipient.
        let replies = if self.server.lmtp { recipients.len() } else { 1 };
        let text: String = recipients.iter().take(replies).map(reply).collect();
        self.say(&text).await
    }
}

/// What stands between the angle brackets of MAIL and RCPT.
fn path_of(rest: &str) -> String {
    let inner = rest.split_once('<').map_or("", |(_, after)| after);
    inner.rsplit_once('>').map_or("", |(path, _)| path).to_string()
}
