//! Orders and entries as values, and as file names.

use super::Work;
use super::window::Window;
use crate::base::path::{self, NAME_MAX};
use crate::mail::Name;
use std::fmt;

/// So far back, in seconds, a clock is set while it is only corrected.
const CLOCK_SLACK: u64 = 60;

/// Something that the queue can do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// Deliver it.
    Release,
    /// Report it as wrongly caught.
    TrainHam,
    /// Report it as spam.
    TrainSpam,
}

impl Verb {
    const ALL: [Verb; 3] = [Verb::Release, Verb::TrainHam, Verb::TrainSpam];

    /// The letter in a name.
    pub fn letter(self) -> char {
        match self {
            Verb::Release => 'r',
            Verb::TrainHam => 'h',
            Verb::TrainSpam => 's',
        }
    }

    /// The verb with this letter.
    pub fn from_letter(letter: char) -> Option<Verb> {
        Verb::ALL.into_iter().find(|v| v.letter() == letter)
    }
}

/// A set of verbs, not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Verbs(u8);

impl Verbs {
    /// Only this one.
    pub const fn one(verb: Verb) -> Verbs {
        Verbs(1 << verb as u8)
    }

    /// This one, too.
    pub const fn and(self, verb: Verb) -> Verbs {
        Verbs(self.0 | 1 << verb as u8)
    }

    /// Whether the verb is among them.
    pub fn has(self, verb: Verb) -> bool {
        self.0 >> verb as u8 & 1 == 1
    }

    /// The verbs.
    pub fn iter(self) -> impl Iterator<Item = Verb> {
        Verb::ALL.into_iter().filter(move |&v| self.has(v))
    }

    fn parse(letters: &str) -> Option<Verbs> {
        letters.chars().try_fold(Verbs(0), |verbs, c| Some(verbs.and(Verb::from_letter(c)?))).filter(|v| v.0 != 0)
    }
}

impl fmt::Display for Verbs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().try_for_each(|v| write!(f, "{}", v.letter()))
    }
}

/// Whose hand asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Asker {
    /// The global account.
    Global,
    /// A domain's account.
    Domain,
    /// A recipient's account.
    Recipient,
    /// The command line.
    Command,
}

impl Asker {
    const ALL: [(Asker, &'static str); 4] =
        [(Asker::Global, "g"), (Asker::Domain, "d"), (Asker::Recipient, "r"), (Asker::Command, "c")];

    pub(super) fn letter(self) -> &'static str {
        Asker::ALL.iter().find(|(asker, _)| *asker == self).map_or("g", |(_, letter)| letter)
    }

    pub(super) fn parse(letter: &str) -> Option<Asker> {
        Asker::ALL.iter().find(|(_, l)| *l == letter).map(|(asker, _)| *asker)
    }
}

/// How an order's file came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// MOVE: the message left its folder.
    Moved,
    /// COPY: the message is still where it was.
    Copied,
    /// APPEND: the message was never in a folder.
    Appended,
}

impl Origin {
    const ALL: [(Origin, &'static str); 3] = [(Origin::Moved, "m"), (Origin::Copied, "c"), (Origin::Appended, "a")];

    fn letter(self) -> &'static str {
        Origin::ALL.iter().find(|(origin, _)| *origin == self).map_or("m", |(_, letter)| letter)
    }

    fn parse(letter: &str) -> Option<Origin> {
        Origin::ALL.iter().find(|(_, l)| *l == letter).map(|(origin, _)| *origin)
    }
}

/// The recipient tree in which the message lay, `local@domain` in the spelling of its directories.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Tree {
    /// Its name.
    Named(String),
    /// `~` and 16 hexadecimal digits of its SHA-256, where the name would not have fitted into a file name.
    Hashed(String),
}

impl Tree {
    /// Whether this is the tree `local@domain`.
    pub fn is(&self, tree: &str) -> bool {
        match self {
            Tree::Named(name) => name == tree,
            Tree::Hashed(hash) => *hash == Tree::hash(tree),
        }
    }

    /// The same tree as a hash: one spelling for both forms.
    pub(super) fn hashed(&self) -> Tree {
        match self {
            Tree::Named(name) => Tree::Hashed(Tree::hash(name)),
            Tree::Hashed(_) => self.clone(),
        }
    }

    fn hash(tree: &str) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, tree.as_bytes());
        let first = digest.as_ref().first_chunk().map_or(0, |first| u64::from_be_bytes(*first));
        format!("~{first:016x}")
    }

    pub(super) fn field(&self) -> Option<String> {
        match self {
            Tree::Named(name) => path::encode(name.as_bytes()),
            Tree::Hashed(hash) => Some(hash.clone()),
        }
    }

    pub(super) fn parse(field: &str) -> Option<Tree> {
        if field.starts_with('~') {
            return Some(Tree::Hashed(field.to_string()));
        }
        String::from_utf8(path::decode(field)?).ok().map(Tree::Named)
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tree::Named(text) | Tree::Hashed(text) => f.write_str(text),
        }
    }
}

/// Verbs that were asked for one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The message's name, without UID and further fields.
    pub message: Name,
    /// What was asked.
    pub verbs: Verbs,
    /// In which tree it lay.
    pub tree: Tree,
    /// Who asked.
    pub asker: Asker,
    /// How the file came here.
    pub origin: Origin,
    /// When, in seconds since 1970.
    pub asked: u64,
    /// The time in which it can be taken back, and does not start; `None`: it starts at once.
    pub window: Option<Window>,
}

/// One part of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The message's name, without UID, `L=` and further fields.
    pub message: Name,
    /// What is to be done.
    pub part: Part,
    /// In which tree it lay.
    pub tree: Tree,
    /// Who asked.
    pub asker: Asker,
    /// When it was asked, in seconds since 1970; its age counts from here.
    pub asked: u64,
    /// Attempts that were made and did not succeed.
    pub attempts: u32,
    /// Not to be tried before, in seconds since 1970.
    pub next: u64,
}

/// What one entry is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// Deliver to the recipient with this index in the trace.
    Deliver(usize),
    /// Tell this sink.
    Train {
        /// `TrainHam` or `TrainSpam`.
        verb: Verb,
        /// The sink's name: letters, digits, `.`, `-`, `_`.
        sink: String,
    },
}

impl Part {
    /// Which directory it lies in.
    pub fn work(&self) -> Work {
        match self {
            Part::Deliver(_) => Work::Deliver,
            Part::Train { .. } => Work::Train,
        }
    }

    /// The verb that it carries out.
    pub fn verb(&self) -> Verb {
        match self {
            Part::Deliver(_) => Verb::Release,
            Part::Train { verb, .. } => *verb,
        }
    }
}

impl Order {
    /// An order for the message with this name; what only folders need leaves the name.
    pub fn new(message: Name, verbs: Verbs, tree: &str, asker: Asker, origin: Origin, asked: u64) -> Order {
        let message = Name { uid: None, ..message.without_more() };
        Order { message, verbs, tree: Tree::Named(tree.to_string()), asker, origin, asked, window: None }
    }

    /// Its file name. `None` when even with a hash in place of the tree it is too long.
    pub fn file_name(&self) -> Option<String> {
        let with = |tree: &Tree| {
            let name = self
                .message
                .clone()
                .with_field('V', Some(self.verbs.to_string()))
                .with_field('R', Some(tree.field()?))
                .with_field('A', Some(self.asker.letter().into()))
                .with_field('O', Some(self.origin.letter().into()))
                .with_field('D', Some(self.asked.to_string()))
                .with_field('Y', self.window.map(|window| window.to_string()));
            Some(name.to_string()).filter(|n| n.len() <= NAME_MAX)
        };
        with(&self.tree).or_else(|| with(&self.tree.hashed()))
    }

    /// Reads a file name.
    pub fn parse(text: &str) -> Option<Order> {
        let name = Name::parse(text)?;
        Some(Order {
            window: name.field('Y').map_or(Some(None), |y| Window::parse(y).map(Some))?,
            verbs: Verbs::parse(name.field('V')?)?,
            tree: Tree::parse(name.field('R')?)?,
            asker: Asker::parse(name.field('A')?)?,
            origin: Origin::parse(name.field('O')?)?,
            asked: name.field('D')?.parse().ok()?,
            message: name.without_more(),
        })
    }

    /// Whether its window is open: it must not start. A clock that was set back keeps nothing waiting.
    pub fn waits(&self, now: u64) -> bool {
        self.starts().is_some_and(|starts| now < starts && now.saturating_add(CLOCK_SLACK) >= self.asked)
    }

    /// When its window closes, in seconds since 1970.
    pub fn starts(&self) -> Option<u64> {
        // Whole seconds, and none less than was promised.
        let from = |window: &Window| self.asked.saturating_add(u64::from(window.micros > 0));
        self.window.map(|window| from(&window).saturating_add(u64::from(window.seconds)))
    }

    /// All orders of one command have this in common, and no others of the same asker: when it was asked, in microseconds.
    pub fn batch(&self) -> Option<u64> {
        self.window.map(|window| self.asked.saturating_mul(1_000_000).saturating_add(u64::from(window.micros)))
    }

    /// An entry of it, to be tried at once.
    pub fn entry(&self, part: Part) -> Entry {
        Entry {
            message: Name { left: None, ..self.message.clone() },
            part,
            tree: self.tree.clone(),
            asker: self.asker,
            asked: self.asked,
            attempts: 0,
            next: 0,
        }
    }
}

impl Entry {
    /// Its file name; `None` as in [`Order::file_name`].
    pub fn file_name(&self) -> Option<String> {
        let with = |tree: &Tree| {
            let name = self
                .message
                .clone()
                .with_field('V', Some(self.part.verb().letter().to_string()))
                .with_field('R', Some(tree.field()?))
                .with_field('A', Some(self.asker.letter().into()))
                .with_field('D', Some(self.asked.to_string()));
            let name = match &self.part {
                Part::Deliver(index) => name.with_field('P', Some(index.to_string())),
                Part::Train { sink, .. } => name.with_field('K', Some(sink.clone())),
            };
            let name = name
                .with_field('N', (self.attempts > 0).then(|| self.attempts.to_string()))
                .with_field('X', (self.next > 0).then(|| self.next.to_string()));
            Some(name.to_string()).filter(|n| n.len() <= NAME_MAX)
        };
        with(&self.tree).or_else(|| with(&self.tree.hashed()))
    }

    /// Reads a file name.
    pub fn parse(text: &str) -> Option<Entry> {
        let name = Name::parse(text)?;
        let verb = Verb::from_letter(name.field('V')?.chars().next()?)?;
        let part = match verb {
            Verb::Release => Part::Deliver(name.field('P')?.parse().ok()?),
            _ => Part::Train { verb, sink: name.field('K')?.to_string() },
        };
        Some(Entry {
            part,
            tree: Tree::parse(name.field('R')?)?,
            asker: Asker::parse(name.field('A')?)?,
            asked: name.field('D')?.parse().ok()?,
            attempts: name.field('N').map_or(Some(0), |n| n.parse().ok())?,
            next: name.field('X').map_or(Some(0), |n| n.parse().ok())?,
            message: name.without_more(),
        })
    }
}

/// Whether a sink's name can stand in a file name; configuration must refuse others.
pub fn is_sink_name(name: &str) -> bool {
    (1..=16).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Flags, Timestamp};
    use crate::mail::Kept;
    use crate::mail::name::{Base, Left};
    use proptest::prelude::*;

    fn message() -> Name {
        let mut name = Name::new(Base::new(Timestamp(1_732_215_812_123_456), 77, 5, "mx.example.org"), 8312);
        name.uid = Some(9);
        name.trace = 412;
        name.left = Some(Left(5));
        name.flags = Some(Flags::SEEN);
        name
    }

    #[test]
    fn names_say_everything() {
        let verbs = Verbs::one(Verb::Release).and(Verb::TrainHam);
        let order = Order::new(message(), verbs, "alice@example.org", Asker::Recipient, Origin::Moved, 17);
        let text = order.file_name().unwrap();
        assert_eq!(
            text,
            "1732215812.M123456P77Q5.mx.example.org,S=8312,T=412,L=5,V=rh,R=alice%40example.org,A=r,O=m,D=17:2,S"
        );
        assert_eq!(Order::parse(&text).unwrap(), order);
        let window = Some(Window { seconds: 10, from: Kept::Trash, micros: 123 });
        let waiting = Order { window, ..order.clone() };
        let text = waiting.file_name().unwrap();
        assert!(text.ends_with(",O=m,D=17,Y=10x123:2,S"), "{text}");
        assert_eq!(Order::parse(&text).unwrap(), waiting);
        assert_eq!((waiting.starts(), waiting.batch()), (Some(28), Some(17_000_123)));
        let mut entry = order.entry(Part::Deliver(2));
        assert_eq!(
            entry.file_name().unwrap(),
            "1732215812.M123456P77Q5.mx.example.org,S=8312,T=412,V=r,R=alice%40example.org,A=r,D=17,P=2:2,S"
        );
        entry.attempts = 3;
        entry.next = 99;
        assert_eq!(Entry::parse(&entry.file_name().unwrap()).unwrap(), entry);
    }

    #[test]
    fn what_is_no_order_is_none() {
        for text in [
            "x",
            "x,V=r",
            "x,V=,R=a,A=g,O=m,D=1",
            "x,V=q,R=a,A=g,O=m,D=1",
            "x,V=r,R=a,A=z,O=m,D=1",
            "x,V=r,R=a,A=g,O=m,D=1,Y=10",
            ".x",
        ] {
            assert_eq!(Order::parse(text), None, "{text}");
        }
        assert_eq!(Entry::parse("x,V=r,R=a,A=g,D=1,K=file"), None);
        assert_eq!(Entry::parse("x,V=h,R=a,A=g,D=1,P=1"), None);
    }

    proptest! {
        #[test]
        fn any_tree_fits(
            local in "[a-zäß/.+]{1,64}", domain in "[a-z0-9.-]{1,200}", left: u128, flags in 0u32..1 << 28, uid in 1u32..,
            host in "[a-z.]{0,60}", size in 0u64..1 << 40, index in 0usize..100, attempts in 0u32..1000, next in 0u64..1 << 34,
        ) {
            let mut name = Name::new(Base::new(Timestamp(5_000_000_000_999_999), u32::MAX, u32::MAX, &host), size);
            name.left = Some(Left(left));
            name.flags = Some(Flags(flags));
            name.uid = Some(uid);
            name.retain_from = Some(5_000_000_000);
            name.trace = 99_999;
            let tree = format!("{local}@{domain}");
            let verbs = Verbs::one(Verb::Release).and(Verb::TrainHam);
            let order = Order::new(name, verbs, &tree, Asker::Domain, Origin::Copied, 5_000_000_000);
            let read = Order::parse(&order.file_name().unwrap()).unwrap();
            prop_assert!(read.tree.is(&tree));
            prop_assert_eq!(&read.message, &order.message);
            for part in [Part::Deliver(index), Part::Train { verb: Verb::TrainSpam, sink: "sixteen-letters-".into() }] {
                let entry = Entry { attempts, next, ..order.entry(part) };
                let read = Entry::parse(&entry.file_name().unwrap()).unwrap();
                prop_assert!(read.tree.is(&tree));
                prop_assert_eq!(Entry { tree: entry.tree.clone(), ..read }, entry);
            }
        }
    }
}
