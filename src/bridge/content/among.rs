//! What the store keeps of many messages, read together.

use crate::bridge::cached::Which;
use crate::store::cache::Window;
use crate::store::{Row as Known, Store};

/// Messages that are looked at one after the other: what the store keeps of them is read together.
#[derive(Default)]
pub struct Among {
    pub(super) cache: Window,
    pub(super) headers: Window,
    pub(super) fields: Window,
    pub(super) texts: Window,
}

impl Among {
    /// These will be looked at; they are called by their place in this list.
    pub fn expect(&mut self, rows: &[Known]) {
        for window in [&mut self.cache, &mut self.headers, &mut self.fields, &mut self.texts] {
            window.expect(rows.iter().map(|row| row.key));
        }
    }

    /// Which of these records there are not of one of them. Whether the others are any good turns out when they are read.
    pub fn lacks(&mut self, store: &Store, nth: usize, which: Which) -> Which {
        Which {
            header: which.header && !store.headers().may_have(nth, &mut self.headers),
            parsed: which.parsed && !store.cache().may_have(nth, &mut self.cache),
            ..which
        }
    }
}
