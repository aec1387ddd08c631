//! THREAD (RFC 5256 3): which message answers which.
//!
//! A [`Forest`] takes messages one by one, in mailbox order, and links them as it goes (step 1 of REFERENCES). What is
//! left is done at the end by [`Forest::finish`], with its steps in [`super::threads`].

use super::content::Content;
use super::sort::sent_date;
use super::threads;
use crate::base::limits;
use crate::mail::{fold, header, references, subject};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;

/// How messages are threaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Equal base subjects.
    OrderedSubject,
    /// References, then equal base subjects.
    References,
    /// References alone; threads by their latest message (draft-ietf-morg-inthread).
    Refs,
}

impl Algorithm {
    /// By its name in any case.
    pub fn by_name(name: &[u8]) -> Option<Algorithm> {
        Some(match name.to_ascii_uppercase().as_slice() {
            b"ORDEREDSUBJECT" => Algorithm::OrderedSubject,
            b"REFERENCES" => Algorithm::References,
            b"REFS" => Algorithm::Refs,
            _ => return None,
        })
    }
}

/// One member of a thread; threads are lists of them, each member before its children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The message; 0: none that was found, only a parent of its children.
    pub uid: u32,
    /// How many children follow, each with its own children behind it.
    pub children: u32,
}

/// No node; also the parent of those that have none.
pub(super) const NONE: u32 = u32::MAX;

/// A message, or a message id that only others name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// 0: the message itself was not found.
    pub uid: u32,
    /// The node that it answers.
    pub parent: u32,
    /// When it was sent.
    pub date: u64,
    /// Its base subject, as a number; 0 is the empty one.
    pub subject: u32,
    /// Its subject has the marks of a reply or forward.
    pub is_reply: bool,
}

/// Messages and what they answer.
#[derive(Debug)]
pub struct Forest {
    algorithm: Algorithm,
    nodes: Vec<Node>,
    /// Nodes by message id. Ids are kept as two keyed hashes: whoever writes them neither knows the keys nor makes us
    /// keep long texts.
    ids: HashMap<u128, u32>,
    keys: [RandomState; 2],
    /// Base subjects by their folded text, in the same manner.
    subjects: HashMap<u128, u32>,
}

impl Forest {
    /// Nothing is in it yet.
    pub fn new(algorithm: Algorithm) -> Self {
        Forest {
            algorithm,
            nodes: Vec::new(),
            ids: HashMap::new(),
            keys: [RandomState::new(), RandomState::new()],
            subjects: HashMap::new(),
        }
    }

    /// Adds a message with a UID above all before.
    pub fn add(&mut self, content: &mut dyn Content) -> io::Result<()> {
        let (block, row) = (content.header()?, content.row());
        let date = sent_date(&block, row.date);
        let (mut subject, mut is_reply) = (0, false);
        if self.algorithm != Algorithm::Refs {
            let base = header::find(&block, b"Subject").map(|field| subject::base(field.value)).unwrap_or_default();
            is_reply = base.is_reply;
            if !base.text.is_empty() {
                let key = self.key(fold::casemap(&base.text).as_bytes());
                let next = self.subjects.len() as u32 + 1;
                subject = *self.subjects.entry(key).or_insert(next);
            }
        }
        let node = Node { uid: row.uid, parent: NONE, date, subject, is_reply };
        if self.algorithm == Algorithm::OrderedSubject {
            self.nodes.push(node);
            return Ok(());
        }
        let ids_of =
            |name: &[u8]| header::find(&block, name).map(|field| references::ids(field.value)).unwrap_or_default();
        let mut names = ids_of(b"References");
        if names.is_empty() {
            // only the first: what else is there may be addresses
            names = ids_of(b"In-Reply-To").into_iter().take(1).collect();
        }
        if names.len() > limits::THREAD_REFERENCES {
            // as clients shorten it: how it began and what came last
            let kept = limits::THREAD_REFERENCES / 2;
            names.drain(kept..names.len() - kept);
        }
        let names: Vec<u128> = names.iter().map(|id| self.key(id)).collect();
        let own = ids_of(b"Message-ID").first().map(|id| self.key(id));
        self.link(node, own, &names);
        Ok(())
    }

    fn key(&self, text: &[u8]) -> u128 {
        let [one, other] = &self.keys;
        u128::from(one.hash_one(text)) << 64 | u128::from(other.hash_one(text))
    }

    /// Step 1 of REFERENCES.
    fn link(&mut self, node: Node, own: Option<u128>, references: &[u128]) {
        let mut parent = NONE;
        for &id in references {
            let child = self.node_of(id);
            if parent != NONE && self.nodes.get(child as usize).is_some_and(|n| n.parent == NONE) {
                self.set_parent(child, parent);
            }
            parent = child;
        }
        // of messages with one id the first has it, others have none
        let free = own.map(|id| self.node_of(id)).filter(|&at| self.nodes.get(at as usize).is_some_and(|n| n.uid == 0));
        let at = match free {
            Some(at) => at,
            None => {
                self.nodes.push(node);
                self.nodes.len() as u32 - 1
            }
        };
        if let Some(place) = self.nodes.get_mut(at as usize) {
            // a link that others made before is likely that of a shortened References
            *place = node;
        }
        if parent != NONE {
            self.set_parent(at, parent);
        }
    }

    /// The node of a message id; an empty one if it was not named before.
    fn node_of(&mut self, id: u128) -> u32 {
        let next = self.nodes.len() as u32;
        let at = *self.ids.entry(id).or_insert(next);
        if at == next {
            self.nodes.push(Node { uid: 0, parent: NONE, date: 0, subject: 0, is_reply: false });
        }
        at
    }

    /// Links, unless that would make a loop, or a thread deeper than the limit: then the child begins one of its own.
    fn set_parent(&mut self, child: u32, parent: u32) {
        let mut above = parent;
        for _ in 0..limits::THREAD_DEPTH {
            if above == child {
                return;
            }
            let Some(node) = self.nodes.get(above as usize) else {
                if let Some(node) = self.nodes.get_mut(child as usize) {
                    node.parent = parent;
                }
                return;
            };
            above = node.parent;
        }
    }

    /// About how much memory it uses, and will at the end.
    pub fn bytes(&self) -> usize {
        let node = size_of::<Node>() + size_of::<threads::Edge>() + size_of::<Member>() + 8;
        self.nodes.capacity() * node + 37 * (self.ids.capacity() + self.subjects.capacity())
    }

    /// The threads, one after the other.
    pub fn finish(self) -> Vec<Member> {
        match self.algorithm {
            Algorithm::OrderedSubject => threads::by_subject(&self.nodes),
            Algorithm::References => threads::by_reference(self.nodes, true),
            Algorithm::Refs => threads::by_reference(self.nodes, false),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A forest from (id, references, date, base subject, is a reply); UIDs are 1, 2, …
    pub fn forest(algorithm: Algorithm, messages: &[(u128, &[u128], u64, u32, bool)]) -> Forest {
        let mut forest = Forest::new(algorithm);
        for (at, &(id, references, date, subject, is_reply)) in messages.iter().enumerate() {
            let node = Node { uid: at as u32 + 1, parent: NONE, date, subject, is_reply };
            match algorithm {
                Algorithm::OrderedSubject => forest.nodes.push(node),
                _ => forest.link(node, (id > 0).then_some(id), references),
            }
        }
        forest
    }

    /// As THREAD writes it.
    pub fn shown(members: &[Member]) -> String {
        fn one(rest: &mut std::slice::Iter<'_, Member>, out: &mut String) {
            let Some(member) = rest.next() else { return };
            if member.uid > 0 {
                out.push_str(&member.uid.to_string());
            }
            match member.children {
                1 => {
                    out.push(' ');
                    one(rest, out);
                }
                children => {
                    if children > 0 && member.uid > 0 {
                        out.push(' ');
                    }
                    for _ in 0..children {
                        out.push('(');
                        one(rest, out);
                        out.push(')');
                    }
                }
            }
        }
        let (mut rest, mut out) = (members.iter(), String::new());
        while rest.len() > 0 {
            out.push('(');
            one(&mut rest, &mut out);
            out.push(')');
        }
        out
    }

    #[test]
    fn by_references() {
        let show =
            |messages: &[(u128, &[u128], u64, u32, bool)]| shown(&forest(Algorithm::References, messages).finish());
        // a chain, a branch, and a thread of its own
        assert_eq!(show(&[(1, &[], 1, 0, false), (2, &[1], 2, 0, true), (3, &[1, 2], 3, 0, true)]), "(1 2 3)");
        assert_eq!(show(&[(1, &[], 1, 0, false), (2, &[1], 3, 0, true), (3, &[1], 2, 0, true)]), "(1 (3)(2))");
        assert_eq!(show(&[(1, &[], 2, 0, false), (2, &[], 1, 0, false)]), "(2)(1)");
        // a parent that is not there: kept only over several
        assert_eq!(show(&[(2, &[1], 2, 0, true), (3, &[1], 1, 0, true)]), "((2)(1))");
        assert_eq!(show(&[(2, &[1], 2, 0, true)]), "(1)");
        assert_eq!(
            show(&[(2, &[9, 8], 1, 0, true), (3, &[9, 7], 2, 0, true), (4, &[9, 8], 3, 0, true)]),
            "((1)(2)(3))"
        );
        // the same id twice: the first has it
        assert_eq!(show(&[(1, &[], 1, 0, false), (1, &[], 2, 0, false), (3, &[1], 3, 0, true)]), "(1 3)(2)");
        // loops are not made
        assert_eq!(show(&[(1, &[2], 1, 0, true), (2, &[1], 2, 0, true)]), "(2 1)");
        assert_eq!(show(&[(1, &[1], 1, 0, true)]), "(1)");
        // a link from a shortened References gives way to the message's own
        assert_eq!(show(&[(3, &[1, 2], 1, 0, true), (2, &[9], 2, 0, true), (9, &[], 3, 0, false)]), "(3 2 1)");
    }

    #[test]
    fn by_subject_when_references_are_missing() {
        let show =
            |messages: &[(u128, &[u128], u64, u32, bool)]| shown(&forest(Algorithm::References, messages).finish());
        assert_eq!(show(&[(1, &[], 1, 5, false), (2, &[], 2, 5, true)]), "(1 2)");
        assert_eq!(show(&[(1, &[], 2, 5, false), (2, &[], 1, 5, true)]), "(1 2)");
        assert_eq!(show(&[(1, &[], 1, 5, false), (2, &[], 2, 5, false)]), "((1)(2))");
        assert_eq!(show(&[(1, &[], 1, 5, true), (2, &[], 2, 5, true)]), "((1)(2))");
        assert_eq!(show(&[(1, &[], 1, 0, false), (2, &[], 2, 0, false)]), "(1)(2)");
        // one more joins those under the empty parent
        assert_eq!(show(&[(1, &[], 1, 5, false), (2, &[], 2, 5, false), (3, &[], 3, 5, true)]), "((1)(2)(3))");
        let pair: &[u128] = &[9];
        let other: &[u128] = &[8];
        let two = [(1, pair, 1, 5, true), (2, pair, 2, 5, true), (3, other, 3, 5, true), (4, other, 4, 5, true)];
        assert_eq!(show(&two), "((1)(2)(3)(4))");
        assert_eq!(show(&[two[0], two[1], (5, &[], 0, 5, false)]), "((3)(1)(2))");
        assert_eq!(shown(&forest(Algorithm::Refs, &two).finish()), "((1)(2))((3)(4))");
    }

    #[test]
    fn ordered_by_subject_alone() {
        let show =
            |messages: &[(u128, &[u128], u64, u32, bool)]| shown(&forest(Algorithm::OrderedSubject, messages).finish());
        assert_eq!(show(&[(0, &[], 3, 1, false), (0, &[], 2, 2, false), (0, &[], 1, 1, true)]), "(3 1)(2)");
        assert_eq!(show(&[(0, &[], 1, 1, false), (0, &[], 2, 1, false), (0, &[], 3, 1, true)]), "(1 (2)(3))");
        assert_eq!(show(&[(0, &[], 1, 0, false), (0, &[], 2, 0, false)]), "(1 2)");
    }

    #[test]
    fn threads_by_their_latest_message() {
        let messages: [(u128, &[u128], u64, u32, bool); 3] =
            [(1, &[], 1, 0, false), (2, &[], 2, 0, false), (3, &[1], 3, 0, true)];
        assert_eq!(shown(&forest(Algorithm::Refs, &messages).finish()), "(2)(1 3)");
        assert_eq!(shown(&forest(Algorithm::References, &messages).finish()), "(1 3)(2)");
    }

    #[test]
    fn a_chain_has_its_limit() {
        let mut forest = Forest::new(Algorithm::References);
        for at in 1..=3 * limits::THREAD_DEPTH as u32 {
            let node = Node { uid: at, parent: NONE, date: at.into(), subject: 0, is_reply: false };
            forest.link(node, Some(at.into()), &[u128::from(at) - 1]);
        }
        let threads = forest.finish();
        assert_eq!(threads.len(), 3 * limits::THREAD_DEPTH);
        assert!(threads.iter().filter(|m| m.children == 0).count() < 5);
    }

    proptest! {
        #[test]
        fn every_message_once(messages in prop::collection::vec((0u128..8, prop::collection::vec(1u128..8, 0..4), 0u64..4, 0u32..3, any::<bool>()), 0..12)) {
            let rows: Vec<_> = messages.iter().map(|(id, refs, date, subject, reply)| (*id, refs.as_slice(), *date, *subject, *reply)).collect();
            for algorithm in [Algorithm::OrderedSubject, Algorithm::References, Algorithm::Refs] {
                let members = forest(algorithm, &rows).finish();
                let mut uids: Vec<u32> = members.iter().map(|m| m.uid).filter(|&uid| uid > 0).collect();
                uids.sort_unstable();
                prop_assert_eq!(uids, (1..=rows.len() as u32).collect::<Vec<_>>());
                prop_assert!(members.iter().all(|m| m.uid > 0 || m.children > 1));
                // the counts of children fit: whole threads come out
                let text = shown(&members);
                prop_assert_eq!(text.matches('(').count(), text.matches(')').count());
                let mut open = 0i64;
                for member in &members {
                    open = (open - 1).max(0) + i64::from(member.children);
                }
                prop_assert_eq!(open, 0);
            }
        }
    }
}
