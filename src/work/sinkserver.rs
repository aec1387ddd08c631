//! A small SMTP or LMTP server that keeps what it gets in a Maildir: the "mail server behind us" of the demo and of
//! tests. It is no mail server for anything else: everybody may send, and nothing goes anywhere.
//!
//! Some recipients provoke what a real server may do: `refused@` 550, `deferred@` 451, `slow@` waits before it answers,
//! `rejected@` is refused after the message.

use crate::base::limits;
use futures_rustls::TlsAcceptor;
use maildir::Maildir;
use smol::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
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
    pub tls: Option<TlsAcceptor>,
    /// AUTH PLAIN is offered, and needed, with this name and password.
    pub login: Option<(String, String)>,
    /// SMTPUTF8, 8BITMIME, DSN and CHUNKING are offered.
    pub extensions: bool,
    /// How long `slow@` takes.
    pub slow: Duration,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

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
    pub async fn serve(self, listener: TcpListener, executor: Arc<smol::Executor<'static>>) -> io::Result<()> {
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
            executor.spawn(session).detach();
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
                    let Some(acceptor) = session.server.tls.clone() else { return Ok(()) };
                    let plain = session.stream.into_inner();
                    session.stream = BufReader::new(Box::new(acceptor.accept(plain).await?));
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
        use base64::Engine;
        let given = rest.strip_prefix("PLAIN ").and_then(|b| base64::engine::general_purpose::STANDARD.decode(b).ok());
        let wanted = self.server.login.as_ref().map(|(user, password)| format!("\0{user}\0{password}").into_bytes());
        if given.is_some() && given == wanted {
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::base::Form;
    use crate::net::smtp::{Courier, Destination, Parcel, Protocol, Security, Sent, Target, Times, compose};

    /// A running server; it ends with the value.
    pub(crate) struct Running {
        pub(crate) port: u16,
        pub(crate) folder: PathBuf,
        _executor: Arc<smol::Executor<'static>>,
        _task: smol::Task<()>,
    }

    /// Starts a server on a free port.
    pub(crate) fn run(server: SinkServer) -> Running {
        let executor = Arc::new(smol::Executor::new());
        let listener = smol::block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let folder = server.folder.clone();
        let (inner, serving) = (executor.clone(), executor.clone());
        let task = smol::spawn(async move {
            let served = inner.clone().run(server.serve(listener, serving)).await;
            served.unwrap();
        });
        Running { port, folder, _executor: executor, _task: task }
    }

    pub(crate) fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("lazaret-sink-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    pub(crate) fn to(port: u16, protocol: Protocol) -> Destination {
        Destination {
            target: Target::Tcp("127.0.0.1".into(), port),
            protocol,
            security: Security::Plain,
            login: None,
            helo: "test".into(),
            times: Times {
                connect: Duration::from_secs(5),
                reply: Duration::from_secs(5),
                last: Duration::from_secs(5),
            },
        }
    }

    /// What is in the folder, oldest first, without the two lines that the server adds.
    pub(crate) fn kept(folder: &std::path::Path) -> Vec<Vec<u8>> {
        let mut files: Vec<_> = std::fs::read_dir(folder.join("new")).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort_by_key(|f| f.metadata().unwrap().modified().unwrap());
        let body = |bytes: Vec<u8>| {
            let ends: Vec<usize> = memchr::memchr_iter(b'\n', &bytes).collect();
            bytes[ends[1] + 1..].to_vec()
        };
        files.into_iter().map(|f| body(std::fs::read(f).unwrap())).collect()
    }

    const RECEIVED: &str = "Received: by test; now\r\n";

    fn send(courier: &mut Courier, recipients: &[&str], message: &[u8], form: Form) -> Vec<Sent> {
        let data = compose(RECEIVED, message, form, message.len()).unwrap();
        let parcel = Parcel { sender: "from@example.org", recipients, data: &data };
        smol::block_on(courier.deliver(&parcel))
    }

    fn delivered(sent: &[Sent]) -> bool {
        sent.iter().all(|s| matches!(s, Sent::Delivered(_)))
    }

    const SAMPLES: [&[u8]; 8] = [
        b"A: b\r\n\r\nplain\r\n",
        b"A: b\r\n\r\nno end",
        b"A: b\r\n\r\n.\r\n..\r\n.x\r\n\r\n",
        b".starts: with a dot\r\n\r\nx\r\n",
        b"A: b\r\n\r\nnul \0 and 8-bit \xff\xfe\r\n",
        b"A: b\r\n\r\nbare\n.\nbare\r.\rend\r\n",
        b"A: b\r\n\r\nx\r\n\r\n\r\n",
        b"",
    ];

    #[test]
    fn bytes_arrive_as_they_were() {
        for (protocol, lmtp) in [(Protocol::Smtp, false), (Protocol::Lmtp, true)] {
            let server = run(SinkServer { lmtp, ..SinkServer::new(folder(&format!("bytes-{lmtp}"))) });
            let mut courier = Courier::new(Arc::new(to(server.port, protocol)));
            for sample in SAMPLES {
                assert!(delivered(&send(&mut courier, &["a@x", "b@x"], sample, Form::Crlf)), "{sample:?}");
            }
            assert!(delivered(&send(&mut courier, &["a@x"], b"A: b\n\n.\nx\n", Form::Lf)));
            smol::block_on(courier.close());
            let kept = kept(&server.folder);
            assert_eq!(kept.len(), SAMPLES.len() + 1);
            for (sample, kept) in SAMPLES.into_iter().chain([&b"A: b\r\n\r\n.\r\nx\r\n"[..]]).zip(&kept) {
                assert_eq!(kept, &[RECEIVED.as_bytes(), sample].concat());
            }
        }
    }

    #[test]
    fn without_chunking_only_what_data_cannot_carry_differs() {
        let server = run(SinkServer { extensions: false, ..SinkServer::new(folder("plain")) });
        let mut courier = Courier::new(Arc::new(to(server.port, Protocol::Smtp)));
        assert!(delivered(&send(&mut courier, &["a@x"], b"A: b\r\n\r\nno end", Form::Crlf)));
        assert!(delivered(&send(&mut courier, &["a@x"], b"A: b\r\n\r\nx\n.\n", Form::Crlf)));
        assert!(delivered(&send(&mut courier, &["a@x"], b"A: b\r\n\r\n.\r\nx\r\n", Form::Crlf)));
        let kept = kept(&server.folder);
        assert_eq!(kept[0], [RECEIVED.as_bytes(), b"A: b\r\n\r\nno end\r\n"].concat());
        assert_eq!(kept[1], [RECEIVED.as_bytes(), b"A: b\r\n\r\nx\n..\n\r\n"].concat(), "never an end of the message");
        assert_eq!(kept[2], [RECEIVED.as_bytes(), b"A: b\r\n\r\n.\r\nx\r\n"].concat());
        let sent = send(&mut courier, &["jörg@x"], b"A: b\r\n\r\n", Form::Crlf);
        assert!(matches!(&sent[0], Sent::Refused(r) if r.enhanced == [5, 6, 7]), "{sent:?}");
    }

    #[test]
    fn each_recipient_has_a_result() {
        for (protocol, lmtp) in [(Protocol::Smtp, false), (Protocol::Lmtp, true)] {
            let server = run(SinkServer { lmtp, ..SinkServer::new(folder(&format!("each-{lmtp}"))) });
            let mut courier = Courier::new(Arc::new(to(server.port, protocol)));
            let recipients = ["refused@x", "ok@x", "deferred@x", "jörg@x", "evil@x>\r\nRCPT TO:<y@x", "rejected@x"];
            let sent = send(&mut courier, &recipients, SAMPLES[0], Form::Crlf);
            assert!(matches!(&sent[0], Sent::Refused(r) if r.code == 550 && r.enhanced == [5, 1, 1]), "{sent:?}");
            assert!(matches!(&sent[1], Sent::Delivered(r) if r.code == 250), "{sent:?}");
            assert!(matches!(&sent[2], Sent::Deferred(r) if r.starts_with("451 4.2.1 ")), "{sent:?}");
            assert!(matches!(&sent[3], Sent::Delivered(_)), "{sent:?}");
            assert!(matches!(&sent[4], Sent::Refused(r) if r.code == 553), "{sent:?}");
            assert_eq!(matches!(&sent[5], Sent::Refused(r) if r.code == 554), lmtp, "{sent:?}");
            let sent = send(&mut courier, &["refused@x"], SAMPLES[0], Form::Crlf);
            assert!(matches!(&sent[0], Sent::Refused(_)));
            assert!(delivered(&send(&mut courier, &["ok@x"], SAMPLES[0], Form::Crlf)), "the connection is still good");
            assert_eq!(kept(&server.folder).len(), 2);
        }
    }

    #[test]
    fn a_server_that_does_not_answer_defers() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = silent.local_addr().unwrap().port();
        let mut destination = to(port, Protocol::Smtp);
        destination.times.connect = Duration::from_millis(100);
        let mut courier = Courier::new(Arc::new(destination));
        let sent = send(&mut courier, &["a@x", "b@x"], SAMPLES[0], Form::Crlf);
        assert_eq!(sent.len(), 2);
        assert!(matches!(&sent[0], Sent::Deferred(r) if r.contains("greeting: no answer in time")), "{sent:?}");
        drop(silent);
        let sent = send(&mut courier, &["a@x"], SAMPLES[0], Form::Crlf);
        assert!(matches!(&sent[0], Sent::Deferred(r) if r.contains("refused")), "{sent:?}");
        let server = run(SinkServer { slow: Duration::from_secs(60), ..SinkServer::new(folder("slow")) });
        let mut destination = to(server.port, Protocol::Smtp);
        destination.times.reply = Duration::from_millis(100);
        let mut courier = Courier::new(Arc::new(destination));
        let sent = send(&mut courier, &["slow@x"], SAMPLES[0], Form::Crlf);
        assert!(matches!(&sent[0], Sent::Deferred(r) if r == "RCPT: no answer in time"), "{sent:?}");
        assert!(delivered(&send(&mut courier, &["a@x"], SAMPLES[0], Form::Crlf)), "on a new connection");
    }

    #[test]
    fn tls_and_login() {
        use crate::base::Secret;
        use crate::net::smtp::{Login, Tls};
        use futures_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, crypto::ring};
        let own = rcgen::generate_simple_self_signed(vec!["sink.test".to_string()]).unwrap();
        let key = rustls_pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let server_config = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)
            .unwrap();
        let client_config = |trusted: bool| {
            let mut roots = RootCertStore::empty();
            if trusted {
                roots.add(own.cert.der().clone()).unwrap();
            }
            let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
            Arc::new(builder.unwrap().with_root_certificates(roots).with_no_client_auth())
        };
        let tls = |trusted| Tls { config: client_config(trusted), name: "sink.test".try_into().unwrap() };
        let server = run(SinkServer {
            tls: Some(TlsAcceptor::from(Arc::new(server_config))),
            login: Some(("user".into(), "pass".into())),
            ..SinkServer::new(folder("tls"))
        });
        let login = |password: &str| Some(Login { user: "user".into(), password: Secret::new(password.into()) });
        let mut destination = to(server.port, Protocol::Smtp);
        destination.security = Security::StartTls(tls(true));
        destination.login = login("pass");
        let try_with = |destination: &Destination| {
            let mut courier = Courier::new(Arc::new(destination.clone()));
            let sent = send(&mut courier, &["a@x"], SAMPLES[4], Form::Crlf);
            smol::block_on(courier.close());
            sent.into_iter().next().unwrap()
        };
        assert!(matches!(try_with(&destination), Sent::Delivered(_)));
        destination.login = login("wrong");
        assert!(matches!(try_with(&destination), Sent::Deferred(r) if r.contains("login as user: 535")));
        destination.login = None;
        assert!(matches!(try_with(&destination), Sent::Deferred(r) if r.starts_with("530")));
        destination.login = login("pass");
        destination.security = Security::StartTls(tls(false));
        assert!(matches!(try_with(&destination), Sent::Deferred(r) if r.contains("certificate")));
        let plain = run(SinkServer::new(folder("no-tls")));
        destination.target = Target::Tcp("127.0.0.1".into(), plain.port);
        assert!(matches!(try_with(&destination), Sent::Deferred(r) if r.contains("STARTTLS")));
        assert_eq!(kept(&server.folder).len(), 1);
        assert_eq!(kept(&plain.folder).len(), 0, "nothing goes out in the clear");
    }
}
