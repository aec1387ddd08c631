//! The driving loop over real sockets, with a toy core: one command a line, see `Toy::obey`.

use event_listener::{Event, EventListener};
use futures_rustls::TlsConnector;
use lazaret::base::{Core, FileRange, Form, Step, Timestamp, limits};
use lazaret::bridge::{Answered, Bridge, Place};
use lazaret::net::listen::Accepted;
use lazaret::net::tls::{Tls, Trust, client_config, create_self_signed};
use lazaret::net::{Address, Connection, Ended, Executor, Gate, Listener, Pools, Stop, gate::Room};
use lazaret::serve::{self, Serving, imap::Mode};
use smol::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use smol::net::TcpStream;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What the toy shares with its bridge and the test.
#[derive(Clone)]
struct World {
    file: Arc<File>,
    changes: Arc<AtomicUsize>,
    /// So often something changes just after the core looked.
    burst: Arc<AtomicUsize>,
    changed: Arc<Event>,
}

struct Toy {
    world: World,
    line: Vec<u8>,
    next: Next,
    answer: Option<String>,
    watching: bool,
    woken: bool,
}

enum Next {
    Read,
    Flood(usize),
    Answer,
}

struct ToyBridge(World);

impl Bridge<Toy> for ToyBridge {
    fn place(&self, question: &String) -> Place {
        if question == "changes" { Place::Inline } else { Place::Disk }
    }

    fn answer(&mut self, question: String) -> Answered<Self, String> {
        Answered::Done(match question.as_str() {
            "changes" => {
                let text = format!("changes {}", self.0.changes.load(Ordering::SeqCst));
                if self.0.burst.load(Ordering::SeqCst) > 0 {
                    self.0.burst.fetch_sub(1, Ordering::SeqCst);
                    self.0.changes.fetch_add(1, Ordering::SeqCst);
                    self.0.changed.notify(usize::MAX);
                }
                text
            }
            "panic" => panic!("planted"),
            "change" => {
                while self.0.changes.load(Ordering::SeqCst) == 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                "CHANGED".into()
            }
            other => other.to_uppercase(),
        })
    }

    fn busy(&self) -> String {
        "busy".into()
    }

    fn changed(&self) -> Vec<EventListener> {
        vec![self.0.changed.listen()]
    }
}

impl Toy {
    fn obey(&mut self, line: &str, out: &mut Vec<u8>) -> Step<String> {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["ask", question] => {
                self.next = Next::Answer;
                return Step::Ask((*question).to_string());
            }
            ["copy", form, start, len] => {
                return Step::Copy(FileRange {
                    file: self.world.file.clone(),
                    start: start.parse().unwrap(),
                    len: len.parse().unwrap(),
                    form: if *form == "lf" { Form::Lf } else { Form::Crlf },
                });
            }
            ["flood", bytes] => self.next = Next::Flood(bytes.parse().unwrap()),
            ["watch"] => self.watching = true,
            ["starttls"] => {
                out.extend_from_slice(b"go\n");
                return Step::StartTls;
            }
            ["quit"] => {
                out.extend_from_slice(b"bye\n");
                return Step::Close;
            }
            _ => out.extend_from_slice(format!("{line}\n").as_bytes()),
        }
        Step::Again
    }
}

impl Core for Toy {
    type Question = String;
    type Answer = String;

    fn feed(&mut self, input: &[u8]) -> usize {
        let end = input.iter().position(|&b| b == b'\n').map_or(input.len(), |at| at + 1);
        self.line.extend_from_slice(&input[..end]);
        end
    }

    fn answer(&mut self, answer: String) {
        self.answer = Some(answer);
    }

    fn wake(&mut self) {
        self.woken = true;
    }

    fn may_hold_reply(&self) -> bool {
        true
    }

    fn step(&mut self, now: Timestamp, out: &mut Vec<u8>) -> Step<String> {
        match self.next {
            Next::Flood(0) => self.next = Next::Read,
            // As the IMAP core does: nothing more is written until this is sent.
            Next::Flood(_) if out.len() >= limits::OUTPUT_BYTES => return Step::Again,
            Next::Flood(left) => {
                let now = left.min(16 << 10);
                out.extend_from_slice(&vec![b'x'; now]);
                self.next = Next::Flood(left - now);
                return Step::Again;
            }
            Next::Answer => {
                out.extend_from_slice(format!("{}\n", self.answer.take().unwrap()).as_bytes());
                self.next = Next::Read;
            }
            Next::Read => {}
        }
        if self.line.ends_with(b"\n") {
            let line = String::from_utf8(std::mem::take(&mut self.line)).unwrap();
            return self.obey(line.trim_end(), out);
        }
        if std::mem::take(&mut self.woken) && self.watching {
            self.next = Next::Answer;
            return Step::Ask("changes".into());
        }
        Step::Read { until: now.after(Duration::from_secs(60)) }
    }
}

/// A directory with a certificate and a file to copy, gone when dropped.
struct Bench {
    dir: PathBuf,
    tls: Arc<Tls>,
    world: World,
    content: Vec<u8>,
    pools: Arc<Pools>,
    stop: Stop,
}

impl Bench {
    fn new(name: &str) -> Bench {
        let dir = std::env::temp_dir().join(format!("lazaret-drive-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&dir));
        std::fs::create_dir(&dir).unwrap();
        let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
        create_self_signed(&["localhost".into()], &cert, &key).unwrap();
        let content = b"one line\nanother \0 one\r\n\n".repeat(20_000);
        File::create(dir.join("file")).unwrap().write_all(&content).unwrap();
        let file = Arc::new(File::open(dir.join("file")).unwrap());
        Bench {
            tls: Arc::new(Tls::load(cert, key).unwrap()),
            world: World { file, changes: Arc::default(), burst: Arc::default(), changed: Arc::new(Event::new()) },
            dir,
            content,
            pools: Arc::new(Pools::new()),
            stop: Stop::new(),
        }
    }

    fn connection(&self) -> Box<Connection<Toy, ToyBridge>> {
        let world = self.world.clone();
        Connection::new(toy(&world), ToyBridge(world), self.pools.clone(), self.stop.clone(), b"the end\n")
    }

    async fn connector(&self) -> TlsConnector {
        TlsConnector::from(Arc::new(client_config(&Trust::Roots(self.dir.join("cert.pem"))).unwrap()))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

fn toy(world: &World) -> Toy {
    let world = world.clone();
    Toy { world, line: Vec::new(), next: Next::Read, answer: None, watching: false, woken: false }
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = smol::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

async fn line(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\n") && stream.read(&mut byte).await.unwrap() > 0 {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), command: &str) -> String {
    stream.write_all(format!("{command}\n").as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    line(stream).await
}

/// Runs a test that would hang if it failed.
fn within<T>(seconds: u64, test: impl Future<Output = T>) -> T {
    smol::block_on(smol::future::or(test, async {
        smol::Timer::after(Duration::from_secs(seconds)).await;
        panic!("still not done after {seconds} s")
    }))
}

#[test]
fn questions_and_pipelining() {
    let bench = Bench::new("questions");
    within(20, async {
        let (mut client, server) = pair().await;
        let server = smol::spawn(bench.connection().run(server, None));
        let many: String = (0..5000).map(|n| format!("ask q{n}\n")).collect();
        let sent = many.clone();
        let mut writer = client.clone();
        let writing = smol::spawn(async move { writer.write_all(sent.as_bytes()).await.unwrap() });
        let mut lines = BufReader::new(client.clone());
        for number in 0..5000 {
            let mut answer = String::new();
            lines.read_line(&mut answer).await.unwrap();
            assert_eq!(answer, format!("Q{number}\n"));
        }
        writing.await;
        assert_eq!(ask(&mut client, "ask panic").await, "busy\n");
        assert_eq!(ask(&mut client, "ask again").await, "AGAIN\n");
        assert_eq!(ask(&mut client, "quit").await, "bye\n");
        assert!(matches!(server.await, Ended::Closed));
    });
}

#[test]
fn replies_go_together_and_wait_for_nothing_that_takes_long() {
    let bench = Bench::new("together");
    within(20, async {
        let (mut client, server) = pair().await;
        let server = smol::spawn(bench.connection().run(server, None));
        client.write_all(b"one\ntwo\nask changes\nthree\nask change\nquit\n").await.unwrap();
        let mut read = [0; 100];
        let count = client.read(&mut read).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&read[..count]), "one\ntwo\nchanges 0\nthree\n");
        bench.world.changes.store(1, Ordering::SeqCst);
        assert_eq!(line(&mut client).await + &line(&mut client).await, "CHANGED\nbye\n");
        assert!(matches!(server.await, Ended::Closed));
    });
}

#[test]
fn output_that_fills_its_buffer_to_the_byte_is_sent() {
    let bench = Bench::new("full");
    within(20, async {
        let (mut client, server) = pair().await;
        let server = smol::spawn(bench.connection().run(server, None));
        client.write_all(format!("flood {}\nquit\n", 3 * limits::OUTPUT_BYTES).as_bytes()).await.unwrap();
        let answer = line(&mut client).await;
        assert_eq!(answer.len(), 3 * limits::OUTPUT_BYTES + "bye\n".len());
        assert!(matches!(server.await, Ended::Closed));
    });
}

#[test]
fn starttls_drops_what_came_before_it() {
    let bench = Bench::new("starttls");
    within(20, async {
        let (mut client, server) = pair().await;
        let server = smol::spawn(bench.connection().run(server, Some(bench.tls.clone())));
        // "injected" is in the same packet as STARTTLS: it must not run under TLS.
        client.write_all(b"echo\nstarttls\ninjected\n").await.unwrap();
        assert_eq!(line(&mut client).await, "echo\n");
        assert_eq!(line(&mut client).await, "go\n");
        let name = "localhost".try_into().unwrap();
        let mut tls = bench.connector().await.connect(name, client).await.unwrap();
        assert_eq!(ask(&mut tls, "ask inside").await, "INSIDE\n");
        assert_eq!(ask(&mut tls, "quit").await, "bye\n");
        assert!(matches!(server.await, Ended::Closed));
    });
}

#[test]
fn copies_in_both_forms_plain_and_under_tls() {
    let bench = Bench::new("copies");
    let crlf: Vec<u8> = bench.content.iter().map(|&b| if b == 0 { 0x80 } else { b }).collect();
    let lf = [b"one line\r\nanother \x80 one\r\n\r\n".as_slice()].concat().repeat(20_000);
    within(30, async {
        let (client, server) = pair().await;
        let plain = smol::spawn(bench.connection().run(server, None));
        check_copies(client, &crlf, &lf).await;
        let (client, server) = pair().await;
        let secure = smol::spawn(bench.connection().run_tls(server, bench.tls.clone()));
        let client = bench.connector().await.connect("localhost".try_into().unwrap(), client).await.unwrap();
        check_copies(client, &crlf, &lf).await;
        for ended in [plain.await, secure.await] {
            // The last copy asks for more than there is: nothing is made up.
            assert!(matches!(ended, Ended::File(_)), "{ended}");
        }
    });
}

async fn check_copies(mut client: impl AsyncRead + AsyncWrite + Unpin, crlf: &[u8], lf: &[u8]) {
    for (form, wire) in [("crlf", crlf), ("lf", lf)] {
        for (start, len) in [(0, wire.len()), (9, 3), (70_000, 200_001), (wire.len() - 1, 1), (5, 0)] {
            let command = format!("copy {form} {start} {len}\nmarker\n");
            client.write_all(command.as_bytes()).await.unwrap();
            client.flush().await.unwrap();
            let mut got = vec![0; len];
            client.read_exact(&mut got).await.unwrap();
            assert!(got == wire[start..start + len], "{form} {start} {len}");
            assert_eq!(line(&mut client).await, "marker\n");
        }
    }
    client.write_all(format!("copy lf 0 {}\n", lf.len() + 1).as_bytes()).await.unwrap();
    client.flush().await.unwrap();
    let mut rest = Vec::new();
    drop(client.read_to_end(&mut rest).await);
    assert!(rest.len() <= lf.len());
}

#[test]
fn no_change_is_lost() {
    let bench = Bench::new("changes");
    within(30, async {
        let (mut client, server) = pair().await;
        let server = smol::spawn(bench.connection().run(server, None));
        bench.world.burst.store(5, Ordering::SeqCst);
        client.write_all(b"watch\n").await.unwrap();
        for number in 0..=5 {
            assert_eq!(line(&mut client).await, format!("changes {number}\n"));
        }
        let mut seen = 5;
        for number in 6..=500 {
            bench.world.changes.store(number, Ordering::SeqCst);
            bench.world.changed.notify(usize::MAX);
            while seen < number {
                let text = line(&mut client).await;
                seen = text.trim_end().strip_prefix("changes ").unwrap().parse().unwrap();
            }
        }
        drop(client);
        assert!(matches!(server.await, Ended::ByPeer));
    });
}

#[test]
fn two_readers_at_full_speed_do_not_starve_a_third() {
    let bench = Bench::new("fairness");
    // One thread: whoever does not yield is seen at once.
    let executor = Executor::start(1).unwrap();
    within(60, async {
        for _ in 0..2 {
            let (mut client, server) = pair().await;
            executor.spawn("a server", {
                let connection = bench.connection();
                async move { drop(connection.run(server, None).await) }
            });
            client.write_all(b"flood 100000000000\n").await.unwrap();
            std::thread::spawn(move || {
                let mut buffer = vec![0; 1 << 20];
                smol::block_on(async { while client.read(&mut buffer).await.is_ok_and(|n| n > 0) {} });
            });
        }
        let (mut client, server) = pair().await;
        executor.spawn("a server", {
            let connection = bench.connection();
            async move { drop(connection.run(server, None).await) }
        });
        let mut times = Vec::new();
        for _ in 0..300 {
            let began = Instant::now();
            assert_eq!(ask(&mut client, "ping").await, "ping\n");
            times.push(began.elapsed());
        }
        times.sort();
        let p99 = times[times.len() * 99 / 100];
        assert!(p99 < Duration::from_millis(20), "{p99:?}");
    });
    executor.stop();
}

#[test]
fn a_reader_that_stands_still_holds_no_thread_and_little_memory() {
    let bench = Bench::new("stalled");
    within(30, async {
        let (mut stalled, server) = pair().await;
        let task = smol::spawn(bench.connection().run(server, None));
        stalled.write_all(b"flood 100000000\n").await.unwrap();
        smol::Timer::after(Duration::from_millis(100)).await;
        let (mut other, server) = pair().await;
        let second = smol::spawn(bench.connection().run(server, None));
        assert_eq!(ask(&mut other, "ask there").await, "THERE\n");
        assert!(!task.is_finished());
        drop(stalled);
        assert!(matches!(task.await, Ended::ByPeer));
        drop(other);
        assert!(matches!(second.await, Ended::ByPeer));
    });
}

#[test]
fn a_connection_is_small_whatever_its_core() {
    let bench = Bench::new("small");
    let (client, server) = within(5, pair());
    let plain = std::mem::size_of_val(&bench.connection().run(server.clone(), None));
    let secure = std::mem::size_of_val(&bench.connection().run_tls(server, bench.tls.clone()));
    assert!(plain < 640 && secure < 640, "{plain}, {secure}");
    drop(client);
}

#[test]
fn listeners_limits_and_a_graceful_stop() {
    let bench = Bench::new("listeners");
    let executor = Executor::start(2).unwrap();
    let serving = Serving { tasks: executor.tasks().clone(), pools: bench.pools.clone(), stop: bench.stop.clone() };
    let room = Room { total: 100, per_address: 100, before_login: 2 };
    let (clear, secure) = (Gate::new(room), Gate::new(room));
    let unix = bench.dir.join("lmtp.sock");
    let bind = |address: Address| Listener::bind(&address).unwrap();
    let tcp = || bind(Address::Tcp("127.0.0.1:0".parse().unwrap()));
    let (first, second, third) = (tcp(), tcp(), bind(Address::Unix(unix.clone(), 0o600)));
    let (Address::Tcp(first_at), Address::Tcp(second_at)) = (first.address(), second.address()) else { panic!() };
    let make = |world: &World| {
        let world = world.clone();
        move |_: &Accepted| (toy(&world), ToyBridge(world.clone()))
    };
    serve::imap::start(&serving, first, clear.clone(), Mode::StartTls(bench.tls.clone()), make(&bench.world));
    serve::imap::start(&serving, second, secure.clone(), Mode::Tls(bench.tls.clone()), make(&bench.world));
    let lmtp = Gate::new(room);
    serve::door::start(&serving, third, lmtp.clone(), &serve::door::LMTP, make(&bench.world));
    within(30, async {
        let mut a = TcpStream::connect(first_at).await.unwrap();
        assert_eq!(ask(&mut a, "one").await, "one\n");
        let mut b = TcpStream::connect(first_at).await.unwrap();
        assert_eq!(ask(&mut b, "two").await, "two\n");
        let mut c = TcpStream::connect(first_at).await.unwrap();
        assert!(line(&mut c).await.starts_with("* BYE [UNAVAILABLE] too many"));
        drop(b);
        while clear.seated() > 1 {
            smol::Timer::after(Duration::from_millis(5)).await;
        }
        let mut d = TcpStream::connect(first_at).await.unwrap();
        assert_eq!(ask(&mut d, "three").await, "three\n");

        let socket = TcpStream::connect(second_at).await.unwrap();
        let mut tls = bench.connector().await.connect("localhost".try_into().unwrap(), socket).await.unwrap();
        assert_eq!(ask(&mut tls, "ask four").await, "FOUR\n");
        for _ in 0..5 {
            let mut local = smol::net::unix::UnixStream::connect(&unix).await.unwrap();
            assert_eq!(ask(&mut local, "five").await, "five\n");
        }

        bench.stop.stop();
        assert_eq!(line(&mut a).await, "* BYE [UNAVAILABLE] the server stops\n".replace('\n', "\r\n"));
        assert_eq!(line(&mut tls).await, "* BYE [UNAVAILABLE] the server stops\r\n");
        let began = Instant::now();
        serving.settle(&[clear, secure, lmtp]).await;
        assert!(began.elapsed() < Duration::from_secs(2));
        assert!(TcpStream::connect(first_at).await.is_err());
        assert!(!unix.exists());
    });
    executor.stop();
}
