//! What the workers ask of the rules above the queue, and tell them. All calls come from threads that may block.

use super::names::Entry;
use crate::base::{Fault, Form};
use std::fs::File;
use std::io;
use std::path::Path;

/// One delivery, as far as only the trace and the configuration know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The reverse-path, "" for the null sender.
    pub sender: String,
    /// The recipient, verbatim.
    pub recipient: String,
    /// Our one `Received:` field, CRLF included.
    pub received: String,
    /// Bytes of the trace at the top of the file, which are not sent.
    pub skip: u64,
    /// How the file's lines end.
    pub form: Form,
}

/// The rules' side of deliveries and trainings.
pub trait Outcome: Send + Sync {
    /// Reads from the message's trace what this delivery needs. The inner error says, for people, why it can never be made.
    fn letter(&self, entry: &Entry, file: &mut File) -> io::Result<Result<Letter, String>>;

    /// The server took it and the entry is gone: journal, flags.
    fn delivered(&self, entry: &Entry, reply: &str);

    /// Not yet; the next attempt is at `next`, in seconds since 1970.
    fn deferred(&self, entry: &Entry, reason: &str, next: u64);

    /// It will not be delivered. Puts the message (its file is `file`) back where it came from, durably, with the reason
    /// in the journal; the entry is removed afterwards. After a crash between the two it is called again for the same
    /// entry and must find what it made.
    fn failed(&self, entry: &Entry, file: &Path, reason: &str) -> Result<(), Fault>;

    /// A sink learned it, or said that there is nothing to learn; the entry is gone.
    fn trained(&self, entry: &Entry, reply: &str);

    /// Not yet; the next attempt is at `next`, in seconds since 1970.
    fn training_deferred(&self, entry: &Entry, reason: &str, next: u64);

    /// It will not be learned; it lies in `queue/failed/`.
    fn training_failed(&self, entry: &Entry, reason: &str);
}
