//! Where each record lies, in memory: nothing but numbers.
//!
//! A slot is 8 bytes (32 bits of the key, 32 bits of place) in a table of our own that grows in small steps, so a message
//! costs 9 to 11 bytes. A column in the catalogue's row would cost 4, but the row changes whenever a message moves, and
//! store and cache would have to agree at each step; this way nothing else in the store knows of the cache.

/// Parts of the table, chosen by 8 bits of the key that the slots do not hold: two ids meet in the other 40 bits about once
/// in a million messages, and a growing part moves few slots while others wait.
const PARTS: usize = 256;

/// Key to place.
pub struct Index {
    parts: Vec<Part>,
}

#[derive(Default)]
struct Part {
    /// Tag and place; place 0 is an empty slot.
    slots: Vec<(u32, u32)>,
    used: usize,
}

impl Default for Index {
    fn default() -> Self {
        Index { parts: std::iter::repeat_with(Part::default).take(PARTS).collect() }
    }
}

/// The part, and the tag within it.
fn split(key: u64) -> (usize, u32) {
    (key as u8 as usize % PARTS, (key >> 32) as u32)
}

impl Index {
    /// The place of the record with this key. It may be another message's: the record itself tells.
    pub fn get(&self, key: u64) -> Option<u32> {
        let (part, tag) = split(key);
        let part = self.parts.get(part)?;
        part.slots.get(part.find(tag)?).map(|&(_, place)| place).filter(|&place| place != 0)
    }

    /// Notes a place, which is not 0; says which one it had.
    pub fn set(&mut self, key: u64, place: u32) -> Option<u32> {
        let (part, tag) = split(key);
        let part = self.parts.get_mut(part)?;
        part.reserve();
        let at = part.find(tag)?;
        let slot = part.slots.get_mut(at)?;
        let before = slot.1;
        *slot = (tag, place);
        if before == 0 {
            part.used += 1;
        }
        (before != 0).then_some(before)
    }

    /// Keeps the entries of one part (they are numbered from 0) of which `keep` says so; `false`: there is no such part.
    /// `keep` gets what an entry holds of the key, and the place.
    pub fn retain(&mut self, number: usize, mut keep: impl FnMut(Key, u32) -> bool) -> bool {
        let Some(part) = self.parts.get_mut(number) else { return false };
        let mut kept = part.slots.clone();
        kept.retain(|&(tag, place)| place != 0 && keep(Key { part: number as u8, tag }, place));
        if kept.len() < part.used {
            part.fill(kept);
        }
        true
    }

    /// Entries.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.used).sum()
    }

    /// Bytes that the table takes.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.slots.capacity() * size_of::<(u32, u32)>()).sum()
    }
}

/// As much of a key as the index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    part: u8,
    tag: u32,
}

impl From<u64> for Key {
    fn from(key: u64) -> Self {
        let (part, tag) = split(key);
        Key { part: part as u8, tag }
    }
}

impl Part {
    /// The slot of a tag, or the empty one where it belongs. `None` only without slots: one is always empty.
    fn find(&self, tag: u32) -> Option<usize> {
        let len = self.slots.len();
        // The tag's share of the table, so that any length will do.
        let mut at = ((u64::from(tag) * len as u64) >> 32) as usize;
        for _ in 0..len {
            match self.slots.get(at) {
                Some(&(found, place)) if place != 0 && found != tag => at = if at + 1 == len { 0 } else { at + 1 },
                _ => return Some(at),
            }
        }
        None
    }

    /// Room for one more: at most seven slots of eight are used.
    fn reserve(&mut self) {
        if (self.used + 1) * 8 > self.slots.len() * 7 {
            let kept = self.slots.iter().copied().filter(|&(_, place)| place != 0).collect();
            self.fill(kept);
        }
    }

    /// Builds the table anew with room for a quarter more.
    fn fill(&mut self, entries: Vec<(u32, u32)>) {
        let room = entries.len() + entries.len() / 2 - entries.len() / 8 + 8;
        self.slots = vec![(0, 0); room];
        self.used = entries.len();
        for entry in entries {
            if let Some(slot) = self.find(entry.0).and_then(|at| self.slots.get_mut(at)) {
                *slot = entry;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn is_a_map(sets in prop::collection::vec((0u64..400, 1u32..), 0..600), gone in 0u32..4) {
            // few parts and tags that lie close together, so that slots collide
            let key = |n: u64| (n << 32) | (n % 3);
            let mut index = Index::default();
            let mut model = HashMap::new();
            for &(n, place) in &sets {
                prop_assert_eq!(index.set(key(n), place), model.insert(n, place));
            }
            let parts = (0..).take_while(|&part| index.retain(part, |_, place| place % 4 != gone)).count();
            prop_assert_eq!(parts, PARTS);
            model.retain(|_, place| *place % 4 != gone);
            prop_assert_eq!(index.len(), model.len());
            for n in 0..400 {
                prop_assert_eq!(index.get(key(n)), model.get(&n).copied());
            }
        }
    }

    #[test]
    fn eleven_bytes_a_message() {
        let mut index = Index::default();
        let mut key = 1u64;
        for count in 1..300_000usize {
            key = key.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            index.set(key ^ key >> 29, count as u32);
            if count > 50_000 && count % 10_000 == 0 {
                assert!(index.bytes() <= count * 11 + 90 * PARTS, "{} bytes for {count}", index.bytes());
            }
        }
    }
}
