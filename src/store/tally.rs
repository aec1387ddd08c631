//! How often what happened since the start.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Counts by word. The words are ours, so there are few.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<String, u64>>);

impl Tally {
    /// It happened once more.
    pub fn note(&self, what: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(what) {
            Some(count) => *count += 1,
            None => drop(counts.insert(what.to_string(), 1)),
        }
    }

    /// All counts, by word.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
