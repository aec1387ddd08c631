//! Between protocol cores and the store: a question becomes verbs, their outcome becomes the answer. Synchronous; runs
//! on the pool that [`Bridge::place`] names. `net::drive` is the one caller.

mod cached;
mod content;
pub mod crew;
pub mod exporter;
mod fetch;
mod fields;
mod figures;
mod folders;
pub mod imap;
pub mod lmtp;
mod login;
pub mod memory;
pub mod milter;
pub mod reports;
mod search;
mod turn;
pub mod web;

pub use content::fill;

use crate::base::{self, Core, Outcome};
use crate::verdict::{Request, Verdict};
use event_listener::EventListener;
use std::sync::Arc;

/// Answers the questions of one connection's core.
///
/// No change is lost if the caller takes a listener from [`Bridge::changed`] *before* it wakes the core: what changes
/// after that fires the listener, what changed before is seen by the question that the core asks when woken.
pub trait Bridge<C: Core>: Send + 'static {
    /// Where this question is answered.
    fn place(&self, question: &C::Question) -> Place;

    /// Answers one question. Never called twice at once.
    fn answer(&mut self, question: C::Question) -> Answered<Self, C::Answer>;

    /// The answer to any question when the pool's queue is full or answering panicked.
    fn busy(&self) -> C::Answer;

    /// Each completes when something that this connection watches has changed; none: it watches nothing.
    fn changed(&self) -> Vec<EventListener>;
}

/// What became of a question so far.
pub enum Answered<B: ?Sized, A> {
    /// The answer.
    Done(A),
    /// A server elsewhere must be asked first: no thread waits for it.
    Errand(Errand<B, A>),
}

impl<B: ?Sized, A> Answered<B, A> {
    /// The answer, when nobody else had to be asked.
    pub fn done(self) -> Option<A> {
        match self {
            Answered::Done(answer) => Some(answer),
            Answered::Errand(..) => None,
        }
    }
}

/// What a server elsewhere is asked, and how it goes on with the outcome.
pub enum Errand<B: ?Sized, A> {
    /// Whether a password is right. It goes on where passwords are checked.
    Login(base::Errand, Next<B, Outcome, A>),
    /// What a filter says of a message. It goes on where the disk is waited for.
    Filter(Box<Inquiry>, Next<B, Result<Verdict, Silence>, A>),
}

/// Goes on with the outcome of an errand.
pub type Next<B, O, A> = Box<dyn FnOnce(&mut B, O) -> Answered<B, A> + Send>;

/// A question to a filter.
#[derive(Debug)]
pub struct Inquiry {
    /// Which of those that are configured, by its number.
    pub filter: usize,
    /// Who sends what to whom.
    pub request: Request,
    /// The message.
    pub message: Arc<Vec<u8>>,
}

/// A filter gave no verdict; why was logged by whoever asked it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence;

/// Which threads answer a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At once, on the thread that drives the connection: only short locks, below 1 ms, no disk.
    Inline,
    /// The disk is read or written.
    Disk,
    /// Much is read or compared: SEARCH, filling the cache. In pieces of at most 10 ms.
    Scan,
    /// A command or script of the administrator is run.
    Slow,
    /// A password is hashed.
    Password,
}
