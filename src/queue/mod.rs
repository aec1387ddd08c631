//! What was asked for and is not yet done, on disk.
//!
//! An *order* says which verbs somebody asked for; it is one file, the message itself under a longer name. The worker
//! fans it out into *entries*, one for each verb × recipient or verb × sink: hard links with names that follow from the
//! order alone, so that doing it twice gives the same files.
//!
//! ```text
//! orders/<message name>,V=<verbs>,R=<tree>,A=<asker>,O=<origin>,D=<asked at>[,Y=<window>]:2,<flags>
//! deliver/<message name>,V=r,R=…,A=…,D=…,P=<recipient's index in the trace>[,N=<attempts>][,X=<not before>]:2,<flags>
//! train/<message name>,V=<h or s>,R=…,A=…,D=…,K=<sink>[,N=…][,X=…]:2,<flags>
//! failed/<as in train/>          a training that was given up
//! orders/.batch-<message id>     several messages of one APPEND that are to become orders, all of them (see `batch`)
//! orders/.<anything else>        a message that is being appended; swept at start
//! ```
//!
//! States of one request, with what a crash in each leaves and what start-up makes of it:
//!
//! | | source in mail/ | order | entries | after a crash |
//! |---|---|---|---|---|
//! | S0 | there | – | – | nothing was answered, nothing happened |
//! | S1 placed, orders/ not synced | there (COPY), gone (MOVE) | perhaps | – | S0 or S2; a MOVE leaves one of both names at least |
//! | S2 answered OK: orders/ synced | as S1, its removal perhaps not durable | there | – | `settle` removes a source that came back; then fan-out |
//! | S3 source's directory synced, entries linked | gone (MOVE) | there | some or all | fan-out again: names are the same |
//! | S4 entries synced, a copy kept where the verbs do not deliver | gone | there | all | fan-out again; `keep` must do nothing the second time |
//! | S5 order removed, orders/ not synced | gone | perhaps | all | S4 or S6; no part has started, so nothing is done twice |
//! | S6 orders/ synced | gone | – | all | parts start |
//! | S7 the server took it, entry not yet removed | gone | – | there | **is delivered a second time**: unavoidable, so the removal follows the reply at once |
//! | S8 entry removed, directory not synced | gone | – | perhaps | S7 or S9 |
//! | S9 done | gone | – | – | |
//! | F1 refused for good: returned to Caught, synced | returned | – | there | `return` must find what it made before, then S9 |
//!
//! An order with a window (`Y=`, see `window`) goes from S2 to S3 in two steps: its source's directory is synced at once,
//! entries are linked when the window has closed. Until then it can be taken back (`undo`):
//!
//! | | order | message in mail/ | after a crash |
//! |---|---|---|---|
//! | U0 held; after a restart `settle` was called | there | as S2 | S2: the undo was not answered |
//! | U1 MOVE: renamed into its folder, under a new UID | perhaps | perhaps, one of both at least | S2 (`settle` removes the second name), or U3 |
//! | U2 the folder's directory synced | perhaps | there | S2 (`settle` removes it again), or U3 |
//! | U3 orders/ synced, answered | – | there | the message lies in its folder, nothing is asked |
//!
//! After a COPY the message is in its folder all the time: the order is unlinked, then orders/ synced.
//!
//! Retry state (`N=`, `X=`) changes by a rename that is not synced: at worst an attempt comes early.
//!
//! The queue reads its directories once, in [`Queue::open`]; after that it alone changes them and knows them by heart.

mod batch;
#[cfg(test)]
mod crash_tests;
mod digests;
mod entries;
mod fan;
mod index;
mod names;
mod outcome;
mod place;
mod requests;
pub mod schedule;
mod sync;
#[cfg(test)]
mod tests;
mod undo;
mod window;

pub use digests::{Digests, Ledger, Notice, Sending};
pub use entries::Claim;
pub use fan::{FanOut, Plan};
pub use index::{Counts, Listed};
pub use names::{Asker, Entry, Order, Origin, Part, Tree, Verb, Verbs, is_sink_name};
pub use outcome::{Letter, Outcome};
pub use place::{NewOrder, Placed};
pub use requests::{Full, Request, Requests};
pub use undo::{Held, Waiting};
pub use window::Window;

use crate::base::Fault;
use crate::disk::Disk;
use crate::mail::name::Base;
use event_listener::{Event, EventListener};
use index::Index;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use sync::GroupSync;

/// Which kind of work an entry is; each has its own directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Work {
    /// Deliveries.
    Deliver,
    /// Trainings.
    Train,
}

/// Orders and entries. All calls block on the disk for a moment, none waits for a network; share it by `Arc`.
pub struct Queue {
    disk: Disk,
    index: Mutex<Index>,
    /// Held while orders are placed, so that "already there" means "durable".
    placing: Mutex<()>,
    deliver: GroupSync,
    train: GroupSync,
    changed: Event,
    /// What could not be done for so long is given up.
    age: Duration,
}

impl Queue {
    /// Fires when there may be something new to fan out or to claim. Get the listener first, look, then wait for it.
    pub fn listen(&self) -> EventListener {
        self.changed.listen()
    }

    /// With another limit of how long an entry is tried.
    pub fn giving_up_after(self, age: Duration) -> Queue {
        Queue { age, ..self }
    }

    /// What could not be done for so long is given up.
    pub fn age(&self) -> Duration {
        self.age
    }

    /// The same for people: `5 days`, `36 hours`.
    pub fn age_text(&self) -> String {
        match self.age.as_secs() / 3_600 {
            hours if hours >= 48 && hours % 24 == 0 => format!("{} days", hours / 24),
            hours => format!("{hours} hours"),
        }
    }

    /// How much there is.
    pub fn counts(&self) -> Counts {
        self.index().counts()
    }

    /// Orders, then entries by the time of their next attempt, `most` at the most: for people.
    pub fn list(&self, most: usize) -> Vec<Listed> {
        self.index().list(most)
    }

    /// The messages of which anything is asked and not done.
    pub fn messages(&self) -> HashSet<Base> {
        self.index().messages()
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        // The index is changed only by code that does not panic half-way; going on is better than stopping all mail.
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        self.changed.notify(usize::MAX);
    }

    /// Where orders lie.
    pub fn orders(&self) -> PathBuf {
        self.disk.path("queue/orders")
    }

    fn failed(&self) -> PathBuf {
        self.disk.path("queue/failed")
    }

    fn directory(&self, work: Work) -> PathBuf {
        self.disk.path(match work {
            Work::Deliver => "queue/deliver",
            Work::Train => "queue/train",
        })
    }

    fn sync(&self, work: Work) -> Result<(), Fault> {
        let group = match work {
            Work::Deliver => &self.deliver,
            Work::Train => &self.train,
        };
        let directory = self.directory(work);
        group.sync(&directory, || self.disk.sync_dir(&directory))
    }
}
