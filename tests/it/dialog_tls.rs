//! The IMAP dialogs once more: over sockets, under TLS (or from STARTTLS on), through the loop that drives a session. Every
//! connection of a dialog is one; what the core's stage does by calling, this one does by waiting until nothing moves.

use super::dialog::fake::Side;
use super::dialog::script::{Stage, play, usual_options};
use super::dialog::world::World;
use super::dialog::{all, oracle};
use event_listener::{Event, EventListener};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use futures_rustls::{TlsConnector, client::TlsStream};
use lazaret::bridge::{Answered, Bridge, Place};
use lazaret::imap::question::{Answer, Question, Refusal};
use lazaret::imap::{Options, Session, Tls as SessionTls};
use lazaret::net::tls::{Tls, Trust, client_config, create_self_signed};
use lazaret::net::{Connection, Ended, Pools, Stop};
use smol::future::or;
use smol::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use smol::net::{TcpListener, TcpStream};
use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Dialogs that cannot be had over sockets, since time passes in them (a line `+…`): `net::drive` takes it from the real clock,
/// and the fake world's messages came in 2023. All others must hold.
const REAL_CLOCK: &[&str] = &[
    "any-state.txt: # time to log in; what the client sends does not prolong it",
    "any-state.txt: # idle time after login, begun anew by each command",
    "concurrent.txt: # IDLE without a folder, ended by something else, and for too long",
    "search.txt: # WITHIN counts from now (RFC 5032 2)",
];

/// How long a line may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a server's connection does, so that the script can wait until it waits.
mod doing {
    /// It waits for input or a change, and has seen all there was.
    pub const WAITS: u8 = 0;
    /// Something changed that it has not looked at.
    pub const MUST_LOOK: u8 = 1;
    /// It looks.
    pub const LOOKS: u8 = 2;
    /// Something was sent that it has not read.
    pub const MUST_READ: u8 = 3;
    /// It works on what it read.
    pub const WORKS: u8 = 4;
    /// It is over.
    pub const ENDED: u8 = 5;
}

type Doing = Arc<AtomicU8>;

fn advance(doing: &Doing, steps: &[(u8, u8)]) {
    for &(from, to) in steps {
        if doing.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            return;
        }
    }
}

/// The world of a dialog, which all its connections share.
#[derive(Clone)]
struct Shared {
    world: Arc<Mutex<World>>,
    changed: Arc<Event>,
    all: Arc<Mutex<Vec<Doing>>>,
}

impl Shared {
    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world.lock().expect("nobody panicked");
        let before = world.modseq;
        let done = change(&mut world);
        if world.modseq != before {
            for doing in self.all.lock().expect("nobody panicked").iter() {
                if doing.load(Ordering::SeqCst) != doing::ENDED {
                    doing.store(doing::MUST_LOOK, Ordering::SeqCst);
                }
            }
            self.changed.notify(usize::MAX);
        }
        done
    }
}

/// One connection's bridge.
struct OneSide {
    shared: Shared,
    side: Side,
    doing: Doing,
}

impl Bridge<Session> for OneSide {
    fn place(&self, _: &Question) -> Place {
        Place::Disk
    }

    fn answer(&mut self, question: Question) -> Answered<Self, Answer> {
        let side = &mut self.side;
        Answered::Done(self.shared.change(|world| side.reply(world, question).unwrap_or_else(Answer::Refused)))
    }

    fn busy(&self) -> Answer {
        Answer::Refused(Refusal::new("UNAVAILABLE", "busy"))
    }

    fn changed(&self) -> Vec<EventListener> {
        advance(&self.doing, &[(doing::MUST_LOOK, doing::LOOKS)]);
        vec![self.shared.changed.listen()]
    }
}

impl Drop for OneSide {
    fn drop(&mut self) {
        self.side.leave(&mut self.shared.world.lock().expect("nobody panicked"));
        self.doing.store(doing::ENDED, Ordering::SeqCst);
    }
}

/// The server's socket, which tells when it is waited for.
struct Watched {
    socket: TcpStream,
    doing: Doing,
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = Pin::new(&mut self.socket).poll_read(cx, buf);
        match &read {
            Poll::Pending => advance(&self.doing, &[(doing::LOOKS, doing::WAITS), (doing::WORKS, doing::WAITS)]),
            Poll::Ready(_) => advance(&self.doing, &[(doing::MUST_READ, doing::WORKS), (doing::WAITS, doing::WORKS)]),
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(cx)
    }
}

/// A client's end.
enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Gone,
}

impl Wire {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.read(buffer).await,
            Wire::Tls(stream) => stream.read(buffer).await,
            Wire::Gone => Ok(0),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Wire::Plain(stream) => stream.write_all(bytes).await,
            Wire::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            Wire::Gone => Ok(()),
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        match self {
            Wire::Plain(stream) => stream.close().await,
            Wire::Tls(stream) => stream.close().await,
            Wire::Gone => Ok(()),
        }
    }
}

struct Client {
    wire: Wire,
    deflate: Option<(Compress, Decompress)>,
    /// What came, and how much of it was looked at.
    came: Vec<u8>,
    read: usize,
    doing: Doing,
    server: smol::Task<Ended>,
}

impl Client {
    /// Reads what there is; false at the end.
    fn more(&mut self) -> Result<bool, String> {
        let mut buffer = [0; 16 << 10];
        let late = async {
            smol::Timer::after(PATIENCE).await;
            Err(io::ErrorKind::TimedOut.into())
        };
        match smol::block_on(or(self.wire.read(&mut buffer), late)) {
            Ok(0) => return Ok(false),
            Ok(count) => match &mut self.deflate {
                None => self.came.extend(&buffer[..count]),
                Some((_, inflate)) => {
                    let mut input = &buffer[..count];
                    while !input.is_empty() {
                        let mut out = Vec::with_capacity(64 << 10);
                        let before = inflate.total_in();
                        inflate
                            .decompress_vec(input, &mut out, FlushDecompress::Sync)
                            .map_err(|error| format!("what came is not DEFLATE: {error}"))?;
                        input = &input[(inflate.total_in() - before) as usize..];
                        self.came.extend(out);
                    }
                }
            },
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err("nothing came".into()),
            // a server that hung up while we were sending
            Err(_) => return Ok(false),
        }
        Ok(true)
    }
}

/// Certificates and pools, made once.
struct Ground {
    tls: Arc<Tls>,
    connector: TlsConnector,
    pools: Arc<Pools>,
}

struct Live<'a> {
    ground: &'a Ground,
    shared: Shared,
    clients: BTreeMap<usize, Client>,
    options: Options,
}

impl Live<'_> {
    fn client(&mut self, which: usize) -> &mut Client {
        self.clients.entry(which).or_insert_with(|| {
            let doing = Doing::new(AtomicU8::new(doing::MUST_LOOK));
            self.shared.all.lock().expect("nobody panicked").push(doing.clone());
            let bridge = OneSide { shared: self.shared.clone(), side: Side::default(), doing: doing.clone() };
            let session = Session::new(self.options.clone());
            let connection = Connection::new(session, bridge, self.ground.pools.clone(), Stop::new(), b"");
            smol::block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                let client =
                    TcpStream::connect(listener.local_addr().expect("its address")).await.expect("it connects");
                client.set_nodelay(true).expect("an option");
                let (socket, _) = listener.accept().await.expect("it is accepted");
                socket.set_nodelay(true).expect("an option, as serve sets it");
                let (socket, tls) = (Watched { socket, doing: doing.clone() }, self.ground.tls.clone());
                let (wire, server) = if self.options.tls == SessionTls::Offered {
                    (Wire::Plain(client), smol::spawn(connection.run(socket, Some(tls))))
                } else {
                    let server = smol::spawn(connection.run_tls(socket, tls));
                    (secured(&self.ground.connector, client).await, server)
                };
                Client { wire, deflate: None, came: Vec::new(), read: 0, doing, server }
            })
        })
    }

    /// Waits until every connection waits.
    fn settle(&self) {
        let until = Instant::now() + PATIENCE;
        let waits = |client: &Client| matches!(client.doing.load(Ordering::SeqCst), doing::WAITS | doing::ENDED);
        while !self.clients.values().all(waits) && Instant::now() < until {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

async fn secured(connector: &TlsConnector, stream: TcpStream) -> Wire {
    let name = "localhost".try_into().expect("a name");
    Wire::Tls(Box::new(connector.connect(name, stream).await.expect("a handshake")))
}

impl Stage for Live<'_> {
    fn options(&mut self) -> &mut Options {
        &mut self.options
    }

    fn send(&mut self, which: usize, input: &[u8]) -> Result<(), String> {
        let client = self.client(which);
        let bytes = match &mut client.deflate {
            None => input.to_vec(),
            Some((compress, _)) => {
                let mut out = Vec::with_capacity(input.len() + 1024);
                compress.compress_vec(input, &mut out, FlushCompress::Sync).expect("it can be compressed");
                out
            }
        };
        self.settle();
        let client = self.client(which);
        advance(&client.doing, &[(doing::WAITS, doing::MUST_READ)]);
        // A server may have hung up; what it said before is what counts.
        drop(smol::block_on(client.wire.write(&bytes)));
        self.settle();
        Ok(())
    }

    fn line(&mut self, which: usize) -> Result<String, String> {
        let client = self.client(which);
        loop {
            let left = &client.came[client.read..];
            if let Some(end) = left.iter().position(|&b| b == b'\n') {
                let line = left[..end].strip_suffix(b"\r").unwrap_or(&left[..end]);
                let line = String::from_utf8_lossy(line).into_owned();
                client.read += end + 1;
                return Ok(line);
            }
            if !client.more()? {
                return Err("the connection ended".into());
            }
        }
    }

    fn change(&mut self, change: &mut dyn FnMut(&mut World)) -> Result<(), String> {
        self.settle();
        self.shared.change(change);
        self.settle();
        Ok(())
    }

    fn pass(&mut self, _: Duration) -> Result<(), String> {
        Err("a real clock".into())
    }

    fn closed(&mut self, which: usize) -> Result<(), String> {
        let client = self.client(which);
        while client.more()? {}
        Ok(())
    }

    fn handshake(&mut self) -> Result<(), String> {
        let connector = self.ground.connector.clone();
        let client = self.client(1);
        match std::mem::replace(&mut client.wire, Wire::Gone) {
            Wire::Plain(stream) => {
                client.doing.store(doing::MUST_READ, Ordering::SeqCst);
                client.wire = smol::block_on(secured(&connector, stream));
                self.settle();
                Ok(())
            }
            _ => Err("TLS had begun".into()),
        }
    }

    fn deflate(&mut self) -> Result<(), String> {
        let fresh = || (Compress::new(Compression::default(), false), Decompress::new(false));
        self.client(1).deflate.get_or_insert_with(fresh);
        Ok(())
    }

    fn finish(mut self) -> Result<(), String> {
        for (which, client) in &mut self.clients {
            drop(smol::block_on(client.wire.close()));
            while client.more()? {}
            let left = String::from_utf8_lossy(&client.came[client.read..]);
            if !left.is_empty() {
                return Err(format!("connection {which}: not expected: {left}"));
            }
            oracle::check(&client.came).map_err(|why| format!("connection {which}: {why}"))?;
        }
        for client in std::mem::take(&mut self.clients).into_values() {
            let ended = smol::block_on(client.server);
            if ended.is_ours() {
                return Err(format!("the server's end: {ended}"));
            }
        }
        let appends = self.shared.world.lock().expect("nobody panicked").appends;
        if appends == 0 { Ok(()) } else { Err("an append was neither finished nor cancelled".into()) }
    }
}

fn live<'a>(ground: &'a Ground) -> Live<'a> {
    let shared = Shared {
        world: Arc::new(Mutex::new(World::new())),
        changed: Arc::new(Event::new()),
        all: Arc::new(Mutex::new(Vec::new())),
    };
    Live { ground, shared, clients: BTreeMap::new(), options: usual_options() }
}

#[test]
fn over_tls() {
    let place = std::env::temp_dir().join(format!("lazaret-dialog-tls-{}", std::process::id()));
    std::fs::create_dir_all(&place).expect("a directory");
    let (cert, key) = (place.join("cert.pem"), place.join("key.pem"));
    create_self_signed(&["localhost".to_string()], &cert, &key).expect("a certificate");
    let ground = Ground {
        tls: Arc::new(Tls::load(&cert, &key).expect("it is loaded")),
        connector: TlsConnector::from(Arc::new(client_config(&Trust::Roots(cert)).expect("it is trusted"))),
        pools: Arc::new(Pools::new()),
    };
    let (mut failed, mut left_out) = (Vec::new(), Vec::new());
    for (name, parts) in all() {
        for part in parts {
            let title = part.lines().find(|line| line.starts_with('#')).unwrap_or_default();
            let title = format!("{name}: {title}");
            if part.lines().any(|line| line.starts_with('+')) {
                left_out.push(title);
            } else if let Err(why) = play(&part, live(&ground)) {
                failed.push(format!("{title}\n  {why}"));
            }
        }
    }
    for wrong in ["S: * BAD *", "S: * OK *\nS: * OK *", "S: * OK *\nC: a NOOP", "login\ndeliver Caught x\norders 1"] {
        assert!(play(wrong, live(&ground)).is_err(), "{wrong}");
    }
    drop(std::fs::remove_dir_all(place));
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
    assert_eq!(left_out, REAL_CLOCK, "what is left out over sockets, and why, is listed above");
}
