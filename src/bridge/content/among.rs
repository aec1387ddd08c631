//! What the store keeps of many messages, read and written together.

use crate::bridge::cached::Which;
use crate::store::cache::Window;
use crate::store::{Cache, Row as Known, Store};

/// One of the caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shelf {
    Parsed,
    Headers,
    Fields,
    Texts,
}

impl Shelf {
    const ALL: [Shelf; 4] = [Shelf::Parsed, Shelf::Headers, Shelf::Fields, Shelf::Texts];

    /// The cache itself.
    pub(super) fn of(self, store: &Store) -> &Cache {
        match self {
            Shelf::Parsed => store.cache(),
            Shelf::Headers => store.headers(),
            Shelf::Fields => store.fields(),
            Shelf::Texts => store.texts(),
        }
    }
}

/// Messages that are looked at one after the other: what the store keeps of them is read together, and what is made of them is
/// written together, so that it will be read like this again.
#[derive(Default)]
pub struct Among {
    parsed: Window,
    headers: Window,
    fields: Window,
    texts: Window,
}

impl Among {
    /// These will be looked at; they are called by their place in this list.
    pub fn expect(&mut self, rows: &[Known]) {
        for shelf in Shelf::ALL {
            self.window(shelf).expect(rows.iter().map(|row| row.key));
        }
    }

    /// Which of these records there are not of one of them. Whether the others are any good turns out when they are read.
    pub fn lacks(&mut self, store: &Store, nth: usize, which: Which) -> Which {
        Which {
            header: which.header && !store.headers().may_have(nth, &mut self.headers),
            parsed: which.parsed && !store.cache().may_have(nth, &mut self.parsed),
            ..which
        }
    }

    /// Writes what was made.
    pub fn write(&mut self, store: &Store) {
        for shelf in Shelf::ALL {
            shelf.of(store).put_gathered(self.window(shelf));
        }
    }

    pub(super) fn window(&mut self, shelf: Shelf) -> &mut Window {
        match shelf {
            Shelf::Parsed => &mut self.parsed,
            Shelf::Headers => &mut self.headers,
            Shelf::Fields => &mut self.fields,
            Shelf::Texts => &mut self.texts,
        }
    }
}
