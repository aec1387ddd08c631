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
    /// In the order of their numbers.
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
    /// Of the messages.
    keys: Vec<u64>,
    windows: [Expecting; 4],
}

/// A window, and whether it has been told of the messages: most looks need one of four, or none.
#[derive(Default)]
struct Expecting {
    window: Window,
    is_told: bool,
}

impl Among {
    /// These will be looked at; they are called by their place in this list.
    pub fn expect(&mut self, rows: &[Known]) {
        self.keys.clear();
        self.keys.extend(rows.iter().map(|row| row.key));
        self.windows.iter_mut().for_each(|expecting| expecting.is_told = false);
    }

    /// Which of these records there are not of one of them. Whether the others are any good turns out when they are read.
    pub fn lacks(&mut self, store: &Store, nth: usize, which: Which) -> Which {
        let mut lacks = |shelf: Shelf| !shelf.of(store).may_have(nth, self.window(shelf));
        Which { header: which.header && lacks(Shelf::Headers), parsed: which.parsed && lacks(Shelf::Parsed), ..which }
    }

    /// Writes what was made.
    pub fn write(&mut self, store: &Store) {
        for (shelf, expecting) in Shelf::ALL.into_iter().zip(&mut self.windows) {
            shelf.of(store).put_gathered(&mut expecting.window);
        }
    }

    pub(super) fn window(&mut self, shelf: Shelf) -> &mut Window {
        let Expecting { window, is_told } = &mut self.windows[shelf as usize];
        if !*is_told {
            window.expect(self.keys.iter().copied());
            *is_told = true;
        }
        window
    }
}
