//! The delivery client against the sink server.

use super::sinkserver::SinkServer;
use crate::base::Form;
use crate::net::smtp::{Courier, Destination, Parcel, Protocol, Security, Sent, Target, Times, compose};
use crate::net::{Executor, tls};
use smol::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A running server; it ends with the value.
pub(crate) struct Running {
    pub(crate) port: u16,
    pub(crate) folder: PathBuf,
    _executor: Executor,
}

/// Starts a server on a free port.
pub(crate) fn run(server: SinkServer) -> Running {
    let executor = Executor::start(1).unwrap();
    let listener = smol::block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = server.folder.clone();
    let tasks = executor.tasks().clone();
    executor.spawn("the sink", async move { server.serve(listener, tasks).await.unwrap() });
    Running { port, folder, _executor: executor }
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
        times: Times { connect: Duration::from_secs(5), reply: Duration::from_secs(5), last: Duration::from_secs(5) },
    }
}

/// What is in the folder, oldest first, without the two lines that the server adds.
pub(crate) fn kept(folder: &std::path::Path) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = std::fs::read_dir(folder.join("new")).unwrap().map(|e| e.unwrap().path()).collect();
    // By their names, SECONDS.#COUNTMNANOSECONDSP...: a file system's clock may be too slow to tell.
    let when = |file: &std::path::PathBuf| {
        let (seconds, rest) = file.file_name()?.to_str()?.split_once(".#")?;
        let nanoseconds = rest.split_once('M')?.1.split_once('P')?.0;
        Some((seconds.parse::<u64>().ok()?, nanoseconds.parse::<u32>().ok()?))
    };
    files.sort_by_key(|file| when(file).expect("a name of the library"));
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
    let folder = folder("tls");
    let make = |name: &str| {
        let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        tls::create_self_signed(&[name.to_string()], &certificate, &key).unwrap();
    };
    make("sink.test");
    make("other.test");
    let client = |root: &str| Tls {
        config: Arc::new(tls::client_config(&tls::Trust::Roots(folder.join(root))).unwrap()),
        name: "sink.test".try_into().unwrap(),
    };
    let tls = |trusted| client(if trusted { "sink.test.pem" } else { "other.test.pem" });
    let server = run(SinkServer {
        tls: Some(Arc::new(tls::Tls::load(folder.join("sink.test.pem"), folder.join("sink.test.key")).unwrap())),
        login: Some("AHVzZXIAcGFzcw==".into()),
        ..SinkServer::new(folder.join("mail"))
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
    let plain = run(SinkServer::new(super::smtp_tests::folder("no-tls")));
    destination.target = Target::Tcp("127.0.0.1".into(), plain.port);
    assert!(matches!(try_with(&destination), Sent::Deferred(r) if r.contains("STARTTLS")));
    assert_eq!(kept(&server.folder).len(), 1);
    assert_eq!(kept(&plain.folder).len(), 0, "nothing goes out in the clear");
}

/// aiosmtpd keeps every message as `<number>` in a folder; it prints its port.
const AIOSMTPD: &str = r#"
import asyncio, os, sys
from aiosmtpd.smtp import SMTP
from aiosmtpd.lmtp import LMTP
folder, kind = sys.argv[1:]
class Handler:
    count = 0
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused@"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 ok"
    async def handle_DATA(self, server, session, envelope):
        with open(os.path.join(folder, str(self.count)), "wb") as f:
            f.write(envelope.original_content)
        self.count += 1
        # LMTP has one reply for each recipient; aiosmtpd leaves that to its handler.
        return "\r\n".join(["250 kept"] * (len(envelope.rcpt_tos) if kind == "lmtp" else 1))
async def main():
    handler = Handler()
    cls = LMTP if kind == "lmtp" else SMTP
    server = await asyncio.get_running_loop().create_server(
        lambda: cls(handler, enable_SMTPUTF8=True, hostname="aio"), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"#;

#[test]
fn against_aiosmtpd() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let has = Command::new("/usr/bin/python3").args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
    if !has.is_ok_and(|status| status.success()) {
        eprintln!("not run: Debian's python3-aiosmtpd is not installed");
        return;
    }
    for (protocol, kind) in [(Protocol::Smtp, "smtp"), (Protocol::Lmtp, "lmtp")] {
        let folder = folder(&format!("aio-{kind}"));
        let mut python = Command::new("/usr/bin/python3");
        python.args(["-c", AIOSMTPD, folder.to_str().unwrap(), kind]).stdout(Stdio::piped());
        let mut server = Killed(python.spawn().unwrap());
        let mut line = String::new();
        BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut courier = Courier::new(Arc::new(to(line.trim().parse().unwrap(), protocol)));
        // aiosmtpd has no CHUNKING: what DATA cannot carry is left out here.
        let samples: Vec<&[u8]> = SAMPLES.into_iter().filter(|s| s.ends_with(b"\r\n") && !s.contains(&b'\0')).collect();
        let samples: Vec<&[u8]> = samples.into_iter().filter(|s| !s.windows(5).any(|w| w == b"bare\n")).collect();
        assert_eq!(samples.len(), 4);
        for (i, sample) in samples.iter().enumerate() {
            let sent = send(&mut courier, &["refused@x", "jörg@x", "a@x"], sample, Form::Crlf);
            assert!(matches!(&sent[0], Sent::Refused(r) if r.to_string() == "550 5.1.1 no such user"), "{sent:?}");
            assert!(delivered(&sent[1..]), "{sent:?}");
            let kept = std::fs::read(folder.join(i.to_string())).unwrap();
            assert_eq!(kept, [RECEIVED.as_bytes(), sample].concat());
        }
        smol::block_on(courier.close());
    }
}

/// A process that ends with the value, also when a check fails.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
