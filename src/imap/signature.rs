//! Which texts a message can not hold, told by a few hundred bytes: for its headers and for its bodies the set of all three
//! bytes that follow one another in their texts, as they are compared (`imap/text_search.rs`).
//!
//! A text that is looked for has to be opened and read only where each three of its bytes are in the set. Then it may be
//! there; where three are missing, it is not. A set is a row of bits, one for many triples of bytes: so it is small, and says
//! of some that they are there when they are not.

use crate::base::{Slice, limits};

/// What made these bytes: see `bridge/cached.rs`. The number changes with whatever changes what a text is, or how it is
/// folded.
const FORM: &[u8] = concat!(env!("CARGO_PKG_VERSION"), "/1 ").as_bytes();
/// Fewest bits of a set.
const LEAST: usize = 64;
/// Bits of a set while it is made, for each byte of the message.
const ROOM: u64 = 2;
/// Fewest of them: most of a small message is its header.
const LEAST_ROOM: u64 = 1 << 14;
/// Instead of the size of a set: it would say of most texts that they may be there.
const FULL: u8 = 0;

/// The bits of a byte: to look one up is faster than to shift by a number that is not known before.
const BITS: [u8; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

// A hash has so many bits.
const _: () = assert!(limits::SIGNATURE_BITS <= 1 << 24 && limits::SIGNATURE_BITS.is_power_of_two());

/// Where in a message a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a field of a header, of the message or of a part.
    Header,
    /// In a part that is text.
    Body,
}

/// Puts a signature together.
pub struct Maker {
    header: Set,
    body: Set,
}

/// A power of two of bits.
struct Set(Vec<u8>);

impl Maker {
    /// Of no text yet, of a message of so many bytes.
    pub fn new(size: u64) -> Maker {
        let bits = size.saturating_mul(ROOM).max(LEAST_ROOM).min(limits::SIGNATURE_BITS as u64);
        let set = || Set(vec![0; bits.next_power_of_two() as usize / 8]);
        Maker { header: set(), body: set() }
    }

    /// Adds a text, folded. Nothing is found across two texts.
    pub fn add(&mut self, place: Place, text: &[u8]) {
        match place {
            Place::Header => self.header.add(text),
            Place::Body => self.body.add(text),
        }
    }

    /// The signature of all that was added.
    pub fn finish(self) -> Signature {
        let mut bytes = FORM.to_vec();
        let sets = [self.header.shrunk(), self.body.shrunk()];
        bytes.extend(sets.iter().map(|set| set.as_ref().map_or(FULL, |set| (set.len() * 8).ilog2() as u8)));
        sets.iter().flatten().for_each(|set| bytes.extend_from_slice(set));
        Signature(bytes.into())
    }
}

impl Set {
    fn add(&mut self, text: &[u8]) {
        let set = self.0.as_mut_slice();
        let last = set.len() - 1;
        let mut put = |hash: usize| {
            if let Some(byte) = set.get_mut((hash / 8) & last) {
                *byte |= BITS[hash % 8];
            }
        };
        // Four at a time are one number, of which the last is dropped.
        for four in text.windows(4) {
            if let Some(&four) = four.first_chunk() {
                put(hash(u32::from_le_bytes(four)));
            }
        }
        if let Some(&[a, b, c]) = text.last_chunk() {
            put(hash(u32::from_le_bytes([a, b, c, 0])));
        }
    }

    /// As short as leaves about two thirds of the bits unset. The parts of a longer set are laid over each other, so a bit is
    /// found where the lowest bits of its hash say. `None`: more than half of all bits are set.
    fn shrunk(self) -> Option<Vec<u8>> {
        let words = self.0.as_chunks::<8>().0.iter();
        let used: usize = words.map(|&word| u64::from_le_bytes(word).count_ones() as usize).sum();
        if used * 2 > self.0.len() * 8 {
            return None;
        }
        let bits = (used * 5 / 2).next_power_of_two().max(LEAST);
        let mut set = vec![0; bits.min(self.0.len() * 8) / 8];
        for part in self.0.chunks_exact(set.len()) {
            set.iter_mut().zip(part).for_each(|(byte, more)| *byte |= more);
        }
        Some(set)
    }
}

/// A hash of the three lowest bytes: each of its 24 bits depends on all of theirs.
#[inline]
fn hash(triple: u32) -> usize {
    (u64::from(triple & 0x00ff_ffff).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize
}

/// What is known of the texts of one message.
#[derive(Debug, Clone)]
pub struct Signature(Slice);

impl Signature {
    /// Reads what [`Signature::bytes`] gave; `None` for anything else.
    pub fn read(bytes: Slice) -> Option<Signature> {
        let (sizes, sets) = bytes.strip_prefix(FORM)?.split_first_chunk::<2>()?;
        let [header, body] = *sizes;
        (set_len(header)? + set_len(body)? == sets.len()).then_some(Signature(bytes))
    }

    /// All of it, to be kept.
    pub fn bytes(&self) -> &Slice {
        &self.0
    }

    /// Whether one of the texts there may hold this one, which is folded as they were. `false` is certain.
    pub fn may_have(&self, place: Place, text: &str) -> bool {
        let Some(set) = self.set(place) else { return true };
        text.as_bytes().windows(3).all(|three| {
            let [a, b, c] = *three else { return true };
            let hash = hash(u32::from_le_bytes([a, b, c, 0])) % (set.len() * 8);
            set.get(hash / 8).is_none_or(|byte| byte >> (hash % 8) & 1 == 1)
        })
    }

    /// The set of a place. `None`: it is full.
    fn set(&self, place: Place) -> Option<&[u8]> {
        let (&[header, body], sets) = self.0.get(FORM.len()..)?.split_first_chunk::<2>()?;
        let (headers, bodies) = sets.split_at_checked(set_len(header)?)?;
        let (size, set) = match place {
            Place::Header => (header, headers),
            Place::Body => (body, bodies),
        };
        (size != FULL).then_some(set)
    }
}

/// Bytes of a set of this size, if there are such sets.
fn set_len(size: u8) -> Option<usize> {
    let bits = 1usize.checked_shl(u32::from(size))?;
    let is_one = (LEAST..=limits::SIGNATURE_BITS).contains(&bits);
    if size == FULL { Some(0) } else { is_one.then_some(bits / 8) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn signed(header: &[&str], body: &[&str]) -> Signature {
        let mut maker = Maker::new([header, body].iter().flat_map(|texts| texts.iter()).map(|t| t.len() as u64).sum());
        header.iter().for_each(|text| maker.add(Place::Header, text.as_bytes()));
        body.iter().for_each(|text| maker.add(Place::Body, text.as_bytes()));
        let made = maker.finish();
        Signature::read(made.bytes().to_vec().into()).unwrap()
    }

    /// Words that are nowhere else.
    fn words(count: usize) -> String {
        (0..count).map(|n| format!("{:x} ", (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect()
    }

    #[test]
    fn says_where_a_text_may_be() {
        let signature = signed(&["SUBJECT: HELLO", "ab"], &["SOME WORDS"]);
        let may = |place, text| signature.may_have(place, text);
        assert!(may(Place::Header, "HELLO") && may(Place::Body, "WORD"));
        assert!(!may(Place::Header, "WORD") && !may(Place::Body, "HELLO"));
        assert!(!may(Place::Header, "HELLO WORLD") && !may(Place::Header, "LLOab"), "across two texts");
        assert!(may(Place::Header, "zz") && may(Place::Body, "z") && may(Place::Body, ""), "too short to tell");
    }

    #[test]
    fn without_texts_nothing_is_there() {
        let signature = signed(&[], &["a", "ab", ""]);
        assert!([Place::Header, Place::Body].iter().all(|&place| !signature.may_have(place, "abc")));
        assert!(signature.bytes().len() < 40);
    }

    #[test]
    fn a_few_bits_a_triple_and_few_mistakes() {
        for count in [10, 100, 1_000] {
            let text = words(count);
            let signature = signed(&[], &[&text]);
            let triples = text.as_bytes().windows(3).collect::<std::collections::HashSet<_>>().len();
            assert!(
                signature.bytes().len() * 8 <= triples * 5 + 200,
                "{} bytes for {triples}",
                signature.bytes().len()
            );
            let wrong = (0..10_000).filter(|n| signature.may_have(Place::Body, &format!("Q{n:04}Z"))).count();
            // A third of the bits are set, and four triples are asked for.
            assert!(wrong < 300, "{wrong} of 10,000 with {count} words");
        }
    }

    #[test]
    fn a_text_of_everything_is_not_told() {
        let mut random = 1u64;
        let mut letter = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b' ' + (random >> 40) as u8 % 95)
        };
        let all: String = (0..300_000).map(|_| letter()).collect();
        let signature = signed(&["SUBJECT"], &[&all]);
        assert!(signature.may_have(Place::Body, "NOWHERE") && !signature.may_have(Place::Header, "NOWHERE"));
        assert!(signature.bytes().len() < 60);
    }

    #[test]
    fn what_is_cut_short_or_longer_or_of_another_form_is_nothing() {
        let bytes = signed(&["SUBJECT"], &[&words(100)]).bytes().to_vec();
        for len in 0..bytes.len() {
            assert!(Signature::read(bytes[..len].to_vec().into()).is_none(), "{len}");
        }
        assert!(Signature::read([bytes.as_slice(), b"x"].concat().into()).is_none());
        assert!(Signature::read([b"0.0.0/0 ", &bytes[FORM.len()..]].concat().into()).is_none());
    }

    proptest! {
        #[test]
        fn never_denies_what_is_there(
            texts in prop::collection::vec("[ -~]{0,40}|\\PC{0,9}|[a-z]{0,300}", 1..5),
            which: prop::sample::Index, from: prop::sample::Index, to: prop::sample::Index, in_body: bool,
        ) {
            let all: Vec<&str> = texts.iter().map(String::as_str).collect();
            let signature = if in_body { signed(&[], &all) } else { signed(&all, &[]) };
            let text = which.get(&all);
            let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let (a, b) = (*from.get(&ends), *to.get(&ends));
            let place = if in_body { Place::Body } else { Place::Header };
            prop_assert!(signature.may_have(place, &text[a.min(b)..a.max(b)]));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(sizes: [u8; 2], tail in prop::collection::vec(any::<u8>(), 0..60), text in "[a-z]{0,9}") {
            for bytes in [[FORM, &sizes, &tail].concat(), [FORM, &[6, FULL], &tail].concat(), [FORM, &[6, 1]].concat(), tail] {
                if let Some(signature) = Signature::read(bytes.into()) {
                    let _ = (signature.may_have(Place::Header, &text), signature.may_have(Place::Body, &text));
                }
            }
        }
    }
}
