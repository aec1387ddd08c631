//! The one loop that drives any core over any stream.
//!
//! Idle connections are what there is most of, so nothing large lives across a wait: input is read into a buffer of
//! the thread and fed at once, output that was sent is freed, and each phase (plain, handshake, TLS) is a boxed future
//! of its own that is gone when the next begins.

use super::deflate::Deflate;
use super::ended::Ended;
use super::pool::Started;
use super::stream::{Stream, write_all};
use super::tls::Tls;
use super::{Pools, Stop};
use crate::base::{Core, FileRange, Step, Timestamp, limits};
use crate::bridge::{Answered, Bridge, Errand, Place};
use crate::disk::wire::Reader;
use event_listener::EventListener;
use smol::Timer;
use smol::future::{Boxed, yield_now};
use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

/// Input that is read at once; a TLS record has no more.
const INPUT_BYTES: usize = 16 << 10;

thread_local! {
    static INPUT: RefCell<Vec<u8>> = RefCell::new(vec![0; INPUT_BYTES]);
}

/// One connection: a core, the bridge that answers it, and what both need to run.
pub struct Connection<C: Core, B: Bridge<C>> {
    core: C,
    bridge: Arc<Mutex<B>>,
    pools: Arc<Pools>,
    stop: Stop,
    /// Sent when the server stops, before closing.
    farewell: &'static [u8],
    clock: Clock,
    out: Vec<u8>,
    /// In it is the end of a reply that was held back, since more commands had come.
    holds_reply: bool,
    /// Input that the core did not take yet, and how far it took it.
    unread: Vec<u8>,
    taken: usize,
    /// Taken before the core was last woken.
    watch: Watch,
    /// Goes off at this time or, when more time was given since, before it is over.
    alarm: Option<(Timestamp, Timer)>,
    turn: Turn,
}

/// Whether the listener that the connection holds is younger than the core's last look.
enum Watch {
    /// Take one, then wake the core.
    Due,
    /// The core has looked since it was taken.
    Armed(Vec<EventListener>),
    /// Nothing is watched.
    Nothing,
}

/// Wall-clock time that does not jump while a connection lives: timeouts are measured on it.
struct Clock {
    began: Instant,
    at: Timestamp,
}

impl Clock {
    fn new() -> Self {
        Clock { began: Instant::now(), at: Timestamp::from_system(SystemTime::now()) }
    }

    fn now(&self) -> Timestamp {
        self.at.after(self.began.elapsed())
    }
}

/// smol lets a task run as long as its socket is ready; this gives others their turn.
struct Turn {
    began: Instant,
    written: usize,
}

impl Turn {
    fn new() -> Self {
        Turn { began: Instant::now(), written: 0 }
    }

    async fn share(&mut self) {
        if self.written >= limits::TURN_BYTES || self.began.elapsed() >= limits::TURN_TIME {
            yield_now().await;
            *self = Turn::new();
        }
    }
}

/// What the plain phase ended with.
enum Phase {
    Ended(Ended),
    StartTls,
    StartDeflate,
}

impl<C, B> Connection<C, B>
where
    C: Core + Send,
    C::Question: Send + 'static,
    C::Answer: Send + 'static,
    B: Bridge<C>,
{
    /// A connection that is ready to run. `farewell` is sent when the server stops (`* BYE …`, `421 …`).
    ///
    /// Boxed from the beginning: by value, it would lie several times in the future that runs it.
    pub fn new(core: C, bridge: B, pools: Arc<Pools>, stop: Stop, farewell: &'static [u8]) -> Box<Self> {
        Box::new(Connection {
            core,
            bridge: Arc::new(Mutex::new(bridge)),
            pools,
            stop,
            farewell,
            clock: Clock::new(),
            out: Vec::new(),
            holds_reply: false,
            unread: Vec::new(),
            taken: 0,
            watch: Watch::Due,
            alarm: None,
            turn: Turn::new(),
        })
    }

    /// Drives it in the clear to its end; `tls` serves STARTTLS.
    pub async fn run<S: Stream>(mut self: Box<Self>, mut stream: S, tls: Option<Arc<Tls>>) -> Ended {
        let phase = Box::pin(self.phase(&mut stream)).await;
        match (phase, tls) {
            (Phase::Ended(ended), _) => ended,
            (Phase::StartTls, Some(tls)) => {
                // RFC 3501 6.2.1, RFC 3207 5: what came in the clear must not be taken for what came under TLS.
                (self.unread, self.taken) = (Vec::new(), 0);
                self.secure(stream, tls).await
            }
            (Phase::StartTls, None) => Ended::Misstep("STARTTLS without a certificate"),
            (Phase::StartDeflate, _) => self.compressed(stream).await,
        }
    }

    /// Does the TLS handshake first, then drives it to its end.
    pub async fn run_tls<S: Stream>(mut self: Box<Self>, stream: S, tls: Arc<Tls>) -> Ended {
        self.secure(stream, tls).await
    }

    async fn secure<S: Stream>(&mut self, stream: S, tls: Arc<Tls>) -> Ended {
        let mut stream = match Box::pin(tls.accept(stream)).await {
            Ok(stream) => Box::new(stream),
            Err(error) => return Ended::Handshake(error),
        };
        drop(tls);
        match Box::pin(self.phase(&mut *stream)).await {
            Phase::Ended(ended) => ended,
            Phase::StartTls => Ended::Misstep("STARTTLS under TLS"),
            Phase::StartDeflate => self.compressed(stream).await,
        }
    }

    /// The rest of it, compressed. What came before belongs to nothing (RFC 4978 3: a client waits for the answer).
    async fn compressed<S: Stream>(&mut self, stream: S) -> Ended {
        (self.unread, self.taken) = (Vec::new(), 0);
        let mut stream = Box::new(Deflate::new(stream));
        match Box::pin(self.phase(&mut *stream)).await {
            Phase::Ended(ended) => ended,
            Phase::StartTls | Phase::StartDeflate => Ended::Misstep("TLS or DEFLATE under DEFLATE"),
        }
    }

    async fn phase<S: Stream>(&mut self, stream: &mut S) -> Phase {
        loop {
            let step = self.core.step(self.clock.now(), &mut self.out);
            let send = self.out.len() >= limits::OUTPUT_BYTES || !self.out.is_empty() && self.is_due(&step);
            if send && let Err(ended) = self.send(stream).await {
                return Phase::Ended(ended);
            }
            let done = match step {
                Step::Again => Ok(()),
                Step::Ask(question) => match self.core.patience() {
                    None => {
                        let answer = self.ask(question).await;
                        self.core.answer(answer);
                        Ok(())
                    }
                    Some(patience) => Box::pin(self.ask_patiently(stream, question, patience)).await,
                },
                Step::Copy(range) => Box::pin(self.copy(stream, range)).await,
                Step::Read { until } => self.read(stream, until).await,
                Step::StartTls => return Phase::StartTls,
                Step::StartDeflate => return Phase::StartDeflate,
                Step::Close => {
                    Box::pin(hang_up(stream)).await;
                    Err(Ended::Closed)
                }
            };
            if let Err(ended) = done {
                return Phase::Ended(ended);
            }
            self.turn.share().await;
        }
    }

    /// Whether what was written is sent before this step. Replies to commands that came together go together where the protocol
    /// lets them, but none waits for a command that may take long.
    fn is_due(&mut self, step: &Step<C::Question>) -> bool {
        match step {
            Step::Again => false,
            Step::Ask(question) => self.holds_reply && self.bridge().place(question) != Place::Inline,
            Step::Read { .. } => {
                self.holds_reply = self.taken < self.unread.len() && self.core.may_hold_reply();
                !self.holds_reply
            }
            _ => true,
        }
    }

    fn bridge(&self) -> MutexGuard<'_, B> {
        // A panic while answering was reported by `busy`; the bridge itself stays in use.
        self.bridge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what the core wrote, and keeps no memory for it.
    async fn send<S: Stream>(&mut self, stream: &mut S) -> Result<(), Ended> {
        let out = std::mem::take(&mut self.out);
        self.holds_reply = false;
        self.turn.written += out.len();
        write_all(stream, &out).await.map_err(Ended::from_write)
    }

    async fn ask(&mut self, question: C::Question) -> C::Answer {
        let place = self.bridge().place(&question);
        match self.answered(place, move |bridge| bridge.answer(question)).await {
            Answered::Done(answer) => answer,
            // Rare, and larger than all else that waits here: a box of its own, while it lasts.
            Answered::Errand(errand) => Box::pin(self.carry_out(errand)).await,
        }
    }

    /// Asks, and tells the peer every so often that it is still being done.
    async fn ask_patiently<S: Stream>(
        &mut self,
        stream: &mut S,
        question: C::Question,
        (pause, sign): (Duration, &'static [u8]),
    ) -> Result<(), Ended> {
        self.send(stream).await?;
        let answer = {
            let signs = async {
                loop {
                    Timer::after(pause).await;
                    if let Err(error) = write_all(stream, sign).await {
                        return Err(Ended::from_write(error));
                    }
                }
            };
            let answer = async { Ok(self.ask(question).await) };
            smol::future::or(answer, signs).await?
        };
        self.core.answer(answer);
        Ok(())
    }

    /// Lets the bridge answer on the threads of this place.
    async fn answered<F>(&mut self, place: Place, answer: F) -> Answered<B, C::Answer>
    where
        F: FnOnce(&mut B) -> Answered<B, C::Answer> + Send + 'static,
    {
        let bridge = self.bridge.clone();
        // A panic while answering was reported by `busy`; the bridge itself stays in use.
        let job = move || answer(&mut bridge.lock().unwrap_or_else(PoisonError::into_inner));
        let done = match self.pools.start(place, job) {
            Started::Done(done) => done,
            Started::Waits(future) => future.await,
        };
        match done {
            Ok(answered) => answered,
            Err(error) => {
                log::warn!("a request was refused ({place:?} pool): {error}");
                Answered::Done(self.bridge().busy())
            }
        }
    }

    /// Asks the server elsewhere, and what follows from its answer, until nobody is to be asked any more.
    async fn carry_out(&mut self, mut errand: Errand<B, C::Answer>) -> C::Answer {
        loop {
            let answered = match errand {
                Errand::Login(login, next) => {
                    let outcome = self.pools.logins.run(&login).await;
                    self.answered(Place::Password, move |bridge| next(bridge, outcome)).await
                }
                Errand::Filter(inquiry, next) => {
                    let said = self.pools.filters.ask(*inquiry).await;
                    self.answered(Place::Disk, move |bridge| next(bridge, said)).await
                }
            };
            match answered {
                Answered::Done(answer) => return answer,
                Answered::Errand(another) => errand = another,
            }
        }
    }

    /// Sends a range of a file; the next piece is read while one is written.
    async fn copy<S: Stream>(&mut self, stream: &mut S, range: FileRange) -> Result<(), Ended> {
        let pools = self.pools.clone();
        let mut next = start_reading(&pools, Reader::new(range));
        loop {
            let (reader, piece) = finish_reading(&pools, next).await?;
            let done = reader.is_done();
            next = start_reading(&pools, reader);
            self.turn.written += piece.len();
            write_all(stream, &piece).await.map_err(Ended::from_write)?;
            if done {
                return Ok(());
            }
            self.turn.share().await;
        }
    }

    /// Feeds the core: from what is left, else from the peer. Returns early when the core is to be stepped because
    /// something changed or the time is reached.
    async fn read<S: Stream>(&mut self, stream: &mut S, until: Timestamp) -> Result<(), Ended> {
        if self.taken < self.unread.len() {
            return self.feed_unread();
        }
        // The order matters, see `Bridge::changed`: first the listener, then the core looks.
        if let Watch::Due = self.watch {
            let listeners = self.bridge().changed();
            self.watch = if listeners.is_empty() {
                Watch::Nothing
            } else {
                self.core.wake();
                Watch::Armed(listeners)
            };
            return Ok(());
        }
        let left = until.since(self.clock.now());
        // Each new timer wakes the thread that waits for all sockets, so one serves as long as it is not too late.
        if self.alarm.as_ref().is_none_or(|(at, _)| *at > until) {
            self.alarm = Some((until, Timer::after(left)));
        }
        let mut stopped = self.stop.listen();
        if self.stop.is_stopped() {
            return Err(self.part(stream).await);
        }
        let (core, unread, watch, alarm) = (&mut self.core, &mut self.unread, &mut self.watch, &mut self.alarm);
        let woken = poll_fn(|cx| {
            // Before the socket, which may be ready for ever.
            if pin!(&mut stopped).poll(cx).is_ready() {
                return Poll::Ready(Woken::Stop);
            }
            let read = INPUT.with_borrow_mut(|buffer| {
                Pin::new(&mut *stream).poll_read(cx, buffer).map_ok(|count| {
                    let input = buffer.get(..count).unwrap_or_default();
                    let taken = core.feed(input);
                    unread.extend_from_slice(input.get(taken..).unwrap_or_default());
                    (count, taken)
                })
            });
            match read {
                Poll::Ready(result) => return Poll::Ready(Woken::Read(result)),
                Poll::Pending => {}
            }
            if let Watch::Armed(listeners) = watch
                && listeners.iter_mut().any(|listener| pin!(listener).poll(cx).is_ready())
            {
                return Poll::Ready(Woken::Changed);
            }
            match alarm {
                Some((_, timer)) if !left.is_zero() => Pin::new(timer).poll(cx).map(|_| Woken::Time),
                _ => Poll::Ready(Woken::Time),
            }
        })
        .await;
        self.turn = Turn::new();
        match woken {
            Woken::Stop => Err(self.part(stream).await),
            Woken::Read(Ok((0, _))) => Err(Ended::ByPeer),
            Woken::Read(Ok(_)) | Woken::Changed => {
                // A command may change what is watched.
                self.watch = Watch::Due;
                Ok(())
            }
            Woken::Read(Err(error)) if is_gone(&error) => Err(Ended::ByPeer),
            Woken::Read(Err(error)) => Err(Ended::Failed(error)),
            Woken::Time => {
                self.alarm = None;
                Ok(())
            }
        }
    }

    fn feed_unread(&mut self) -> Result<(), Ended> {
        let taken = self.core.feed(self.unread.get(self.taken..).unwrap_or_default());
        if taken == 0 {
            return Err(Ended::Misstep("input was wanted and not taken"));
        }
        self.taken += taken;
        if self.taken >= self.unread.len() {
            (self.unread, self.taken) = (Vec::new(), 0);
        }
        self.watch = Watch::Due;
        Ok(())
    }

    async fn part<S: Stream>(&mut self, stream: &mut S) -> Ended {
        let bye = async {
            if write_all(stream, self.farewell).await.is_ok() {
                hang_up(stream).await;
            }
        };
        // A peer that does not read has had its chance.
        let late = async { _ = Timer::after(limits::LINGER).await };
        Box::pin(smol::future::or(bye, late)).await;
        Ended::Stopped
    }
}

/// Says that nothing more comes, and reads what the peer had under way: closing a socket with unread input resets the
/// connection, and the peer would lose the reply that says why.
async fn hang_up<S: Stream>(stream: &mut S) {
    let drain = async {
        // The peer may have gone already; there is nobody to tell.
        drop(smol::io::AsyncWriteExt::close(stream).await);
        let mut left = limits::OUTPUT_BYTES;
        let mut buffer = [0; 512];
        while let Ok(count @ 1..) = smol::io::AsyncReadExt::read(stream, &mut buffer).await {
            left = left.saturating_sub(count);
            if left == 0 {
                return;
            }
        }
    };
    smol::future::or(drain, async { _ = Timer::after(limits::LINGER).await }).await;
}

/// Starts reading a piece. The reader is kept as well, for a full pool.
fn start_reading(pools: &Pools, reader: Reader) -> Fetch {
    let mut at_work = reader.clone();
    let read = (!reader.is_done()).then(|| {
        let job = move || at_work.next_piece().map(|piece| (at_work, piece));
        pools.disk.run(job)
    });
    Fetch { reader, read }
}

/// Waits for a piece. A full pool is waited for as well: half a message is out already, there is no way to refuse.
async fn finish_reading(pools: &Pools, mut fetch: Fetch) -> Result<(Reader, Vec<u8>), Ended> {
    let began = Instant::now();
    loop {
        let Some(read) = fetch.read else { return Ok((fetch.reader, Vec::new())) };
        match read.await {
            Ok(result) => return result.map_err(Ended::File),
            Err(super::pool::NotDone::Full) if began.elapsed() < limits::WRITE_STALL => {
                Timer::after(Duration::from_millis(20)).await;
                fetch = start_reading(pools, fetch.reader);
            }
            Err(error) => return Err(Ended::File(io::Error::other(error))),
        }
    }
}

struct Fetch {
    reader: Reader,
    read: Option<Boxed<Fetched>>,
}

type Fetched = Result<io::Result<(Reader, Vec<u8>)>, super::pool::NotDone>;

enum Woken {
    Read(io::Result<(usize, usize)>),
    Changed,
    Time,
    Stop,
}

/// TLS peers often close without saying so (RFC 8446 6.1 asks them to); for mail protocols the commands tell the end.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

impl<C: Core, B: Bridge<C>> fmt::Debug for Connection<C, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("unread", &self.unread.len()).finish_non_exhaustive()
    }
}
