//! The folder table: which folders there are, what may be put into them and what that does. The only place that knows;
//! LIST, ACL, COPY, MOVE, APPEND, the pages and the docs all read it.

use super::policy::Denied;
use crate::mail::{Class, Kept};
use std::fmt;

/// A folder as IMAP shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Folder {
    /// Always empty (unless it stands for Caught, see [`Inbox::Caught`]; then [`lookup`] answers `Caught`).
    Inbox,
    /// Incoming mail that was caught.
    Caught,
    /// Outgoing mail that was caught.
    Outgoing,
    /// Copies of delivered mail.
    Training,
    /// What was removed.
    Trash,
    /// Action: deliver and report as wrongly caught.
    ReleaseTrain,
    /// Action: deliver.
    Release,
    /// Action: report as wrongly caught.
    NotSpam,
    /// Action: report as spam.
    Spam,
}

/// What is asked of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// Deliver it.
    Release,
    /// Report it as wrongly caught.
    TrainHam,
    /// Report it as spam.
    TrainSpam,
    /// Put it into Trash; in Trash: for good.
    Remove,
}

/// One line of the table.
#[derive(Debug)]
pub struct Row {
    /// Which folder.
    pub folder: Folder,
    /// Its name, and the name under `folder_names = "plain"` where that differs.
    pub names: [&'static str; 2],
    /// Other names under which it is accepted.
    pub also: &'static [&'static str],
    /// Special use (RFC 6154).
    pub special_use: Option<&'static str>,
    /// What an account may do with it (RFC 4314 2.1).
    pub rights: &'static str,
    /// Where its messages lie; `None` for INBOX and action folders.
    pub kept: Option<Kept>,
    /// Folders whose messages may be put here.
    pub from: &'static [Kept],
    /// Messages from outside (APPEND) may be put here.
    pub append: bool,
    /// What is then asked of the message, in this order.
    pub verbs: &'static [Verb],
    /// Shown only when enabled, or once it has held a message.
    pub optional: bool,
}

const CAUGHT: &str = "lrswite";
const ACTION: &str = "li";
const RELEASABLE: &[Kept] = &[Kept::Caught, Kept::Outgoing, Kept::Trash];

const fn kept(folder: Folder, name: &'static str, kept: Kept) -> Row {
    Row {
        folder,
        names: [name, name],
        also: &[],
        special_use: None,
        rights: CAUGHT,
        kept: Some(kept),
        from: &[Kept::Trash],
        append: false,
        verbs: &[],
        optional: false,
    }
}

const fn action(folder: Folder, name: &'static str, from: &'static [Kept], verbs: &'static [Verb]) -> Row {
    Row {
        folder,
        names: [name, name],
        also: &[],
        special_use: None,
        rights: ACTION,
        kept: None,
        from,
        append: false,
        verbs,
        optional: false,
    }
}

/// The table, in listing order.
pub const TABLE: [Row; 9] = [
    Row { rights: "lr", ..action(Folder::Inbox, "INBOX", &[], &[]) },
    kept(Folder::Caught, "Caught", Kept::Caught),
    Row { optional: true, ..kept(Folder::Outgoing, "Caught (Outgoing)", Kept::Outgoing) },
    Row { optional: true, ..kept(Folder::Training, "Training Requested", Kept::Training) },
    Row {
        also: &["Deleted"],
        special_use: Some("\\Trash"),
        from: &[Kept::Caught, Kept::Outgoing, Kept::Training],
        verbs: &[Verb::Remove],
        ..kept(Folder::Trash, "Trash", Kept::Trash)
    },
    Row {
        names: ["Release & Train", "Release and Train"],
        // A child in name only: it is one of the three spellings, never listed.
        also: &["Release and Train/Not Spam"],
        ..action(Folder::ReleaseTrain, "", RELEASABLE, &[Verb::Release, Verb::TrainHam])
    },
    action(Folder::Release, "Release", RELEASABLE, &[Verb::Release]),
    Row {
        append: true,
        ..action(
            Folder::NotSpam,
            "Not Spam",
            &[Kept::Caught, Kept::Outgoing, Kept::Training, Kept::Trash],
            &[Verb::TrainHam],
        )
    },
    Row { append: true, ..action(Folder::Spam, "Spam", &Kept::ALL, &[Verb::TrainSpam]) },
];

/// How folders are named and shown: the `[folders]` section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Naming {
    /// Which spelling of Release & Train is listed.
    pub spelling: Spelling,
    /// What INBOX holds.
    pub inbox: Inbox,
    /// How an action folder answers a client that wants to look into it.
    pub write_only: WriteOnly,
    /// Caught (Outgoing) is listed even before it has held a message.
    pub outgoing: bool,
    /// Training Requested is listed even before it has held a message.
    pub training: bool,
}

/// Which spelling is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// `Release & Train`
    Classic,
    /// `Release and Train`
    Plain,
}

/// What INBOX holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inbox {
    /// Nothing, ever.
    Empty,
    /// What Caught holds; Caught itself is not listed.
    Caught,
}

/// How an action folder answers SELECT, EXAMINE and STATUS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOnly {
    /// `NO [NOPERM]`
    Refuse,
    /// It opens and is empty.
    Empty,
}

/// A folder in a listing.
#[derive(Debug, Clone, Copy)]
pub struct Listed {
    /// The name to show.
    pub name: &'static str,
    /// The folder; `Caught` for an INBOX that stands for it.
    pub folder: Folder,
    /// Its line in the table.
    pub row: &'static Row,
}

/// Where a message comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A kept folder.
    Kept(Kept),
    /// Outside: APPEND.
    Append,
}

/// The folder with this name, in any spelling that is accepted. Names are compared exactly; INBOX in any case
/// (RFC 3501 5.1).
pub fn lookup(name: &str, naming: &Naming) -> Option<Folder> {
    if name.eq_ignore_ascii_case("INBOX") {
        return Some(match naming.inbox {
            Inbox::Empty => Folder::Inbox,
            Inbox::Caught => Folder::Caught,
        });
    }
    TABLE.iter().find(|row| row.names.contains(&name) || row.also.contains(&name)).map(|row| row.folder)
}

/// What is listed, in order. `present` says of an optional folder whether it holds or has held messages.
pub fn listed(naming: &Naming, present: impl Fn(Kept) -> bool) -> Vec<Listed> {
    let shown = |row: &Row| match row.folder {
        Folder::Inbox => naming.inbox == Inbox::Empty,
        Folder::Outgoing => naming.outgoing || present(Kept::Outgoing),
        Folder::Training => naming.training || present(Kept::Training),
        _ => true,
    };
    TABLE
        .iter()
        .filter(|row| shown(row))
        .map(|row| Listed { name: row.folder.name(naming), folder: row.folder, row })
        .collect()
}

/// Whether a message from `source` may be put into `target`; the refusal says why and what would work. `class` is the
/// message's own: only its own folder takes a message back from Trash.
pub fn may_come_from(target: Folder, source: Source, class: Class) -> Result<(), Denied> {
    let row = target.row();
    let from = match source {
        Source::Append if row.append => return Ok(()),
        Source::Append => return Err(refuse_append(target)),
        Source::Kept(from) => from,
    };
    if row.kept == Some(from) {
        return Err(Denied::impossible(format!("it is in {} already", target.label())));
    }
    if !row.from.contains(&from) {
        return Err(refuse_source(target, from));
    }
    match row.kept {
        Some(kept) if kept != Kept::Trash && kept != class.folder() => Err(Denied::impossible(format!(
            "a message goes back from Trash to where it came from: drag this one to {}",
            Folder::of(class.folder()).label()
        ))),
        _ => Ok(()),
    }
}

fn refuse_append(target: Folder) -> Denied {
    if target.delivers() {
        return Denied::impossible(
            "only messages from Caught can be released: what is uploaded here was never caught, and this is no relay",
        );
    }
    Denied::not_permitted(format!(
        "{} takes no messages from outside: copy them to Spam or Not Spam to have them reported",
        target.label()
    ))
}

fn refuse_source(target: Folder, from: Kept) -> Denied {
    if target.delivers() {
        return Denied::impossible(
            "only messages from Caught can be released: those in Training Requested were delivered already, drag them to \
             Not Spam or Spam",
        );
    }
    if target == Folder::Inbox {
        return Denied::not_permitted(
            "INBOX is always empty: drag messages to Release to have them delivered to your mailbox",
        );
    }
    Denied::impossible(format!(
        "{} takes back from Trash what was removed from it, and nothing from {}",
        target.label(),
        Folder::of(from).label()
    ))
}

impl Folder {
    /// Its line in the table.
    pub fn row(self) -> &'static Row {
        // Every folder has a line: a test goes through all of them.
        TABLE.iter().find(|row| row.folder == self).unwrap_or(&TABLE[0])
    }

    /// The folder that shows this kept folder.
    pub fn of(kept: Kept) -> Folder {
        match kept {
            Kept::Caught => Folder::Caught,
            Kept::Outgoing => Folder::Outgoing,
            Kept::Training => Folder::Training,
            Kept::Trash => Folder::Trash,
        }
    }

    /// The name under which it is listed.
    pub fn name(self, naming: &Naming) -> &'static str {
        let [classic, plain] = self.row().names;
        match (self, naming.inbox, naming.spelling) {
            (Folder::Caught, Inbox::Caught, _) => "INBOX",
            (_, _, Spelling::Classic) => classic,
            (_, _, Spelling::Plain) => plain,
        }
    }

    /// Its name in texts for people.
    pub fn label(self) -> &'static str {
        self.row().names[0]
    }

    /// Where its messages lie; `None` for INBOX and action folders.
    pub fn kept(self) -> Option<Kept> {
        self.row().kept
    }

    /// Whether it is write-only: what is put into it is acted on.
    pub fn is_action(self) -> bool {
        self.kept().is_none() && self != Folder::Inbox
    }

    /// Whether putting a message into it delivers the message.
    pub fn delivers(self) -> bool {
        self.row().verbs.contains(&Verb::Release)
    }
}

impl Verb {
    /// All verbs.
    pub const ALL: [Verb; 4] = [Verb::Release, Verb::TrainHam, Verb::TrainSpam, Verb::Remove];

    /// The word in configuration, journal and command line.
    pub fn word(self) -> &'static str {
        match self {
            Verb::Release => "release",
            Verb::TrainHam => "train-ham",
            Verb::TrainSpam => "train-spam",
            Verb::Remove => "remove",
        }
    }

    /// The verb with this word.
    pub fn from_word(word: &str) -> Option<Verb> {
        Verb::ALL.into_iter().find(|v| v.word() == word)
    }

    /// What it does, in a text for people: "you may not … this message".
    pub fn doing(self) -> &'static str {
        match self {
            Verb::Release => "release",
            Verb::TrainHam => "report as not spam",
            Verb::TrainSpam => "report as spam",
            Verb::Remove => "remove",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FOLDERS: [Folder; 9] = [
        Folder::Inbox,
        Folder::Caught,
        Folder::Outgoing,
        Folder::Training,
        Folder::Trash,
        Folder::ReleaseTrain,
        Folder::Release,
        Folder::NotSpam,
        Folder::Spam,
    ];

    fn naming(spelling: Spelling, inbox: Inbox) -> Naming {
        Naming { spelling, inbox, write_only: WriteOnly::Refuse, outgoing: false, training: false }
    }

    fn all_namings() -> impl Iterator<Item = Naming> {
        [Spelling::Classic, Spelling::Plain]
            .into_iter()
            .flat_map(|s| [Inbox::Empty, Inbox::Caught].into_iter().map(move |i| naming(s, i)))
    }

    fn names(naming: &Naming) -> Vec<&'static str> {
        listed(naming, |_| false).iter().map(|l| l.name).collect()
    }

    #[test]
    fn each_folder_has_its_line() {
        for folder in FOLDERS {
            assert_eq!(folder.row().folder, folder);
        }
        for kept in Kept::ALL {
            assert_eq!(Folder::of(kept).kept(), Some(kept));
        }
    }

    /// The table of the design, written out again by hand: source × target.
    #[test]
    fn every_source_and_target() {
        use Folder::*;
        let append = Source::Append;
        let [caught, outgoing, training, trash] = Kept::ALL.map(Source::Kept);
        let allowed: &[(Folder, &[Source])] = &[
            (Inbox, &[]),
            (Caught, &[trash]),
            (Outgoing, &[trash]),
            (Training, &[trash]),
            (Trash, &[caught, outgoing, training]),
            (ReleaseTrain, &[caught, outgoing, trash]),
            (Release, &[caught, outgoing, trash]),
            (NotSpam, &[caught, outgoing, training, trash, append]),
            (Spam, &[caught, outgoing, training, trash, append]),
        ];
        assert_eq!(allowed.len(), FOLDERS.len());
        for (target, sources) in allowed {
            for source in [caught, outgoing, training, trash, append] {
                let class = Class::ALL.into_iter().find(|c| Some(c.folder()) == target.kept()).unwrap_or_default();
                let answer = may_come_from(*target, source, class);
                assert_eq!(answer.is_ok(), sources.contains(&source), "{source:?} -> {target:?}: {answer:?}");
            }
        }
    }

    #[test]
    fn verbs_rights_and_special_use() {
        let line = |f: Folder| (f.row().rights, f.row().special_use, f.row().verbs);
        assert_eq!(line(Folder::Inbox), ("lr", None, &[][..]));
        assert_eq!(line(Folder::Caught), ("lrswite", None, &[][..]));
        assert_eq!(line(Folder::Trash), ("lrswite", Some("\\Trash"), &[Verb::Remove][..]));
        assert_eq!(line(Folder::ReleaseTrain), ("li", None, &[Verb::Release, Verb::TrainHam][..]));
        assert_eq!(line(Folder::Release), ("li", None, &[Verb::Release][..]));
        assert_eq!(line(Folder::NotSpam), ("li", None, &[Verb::TrainHam][..]));
        assert_eq!(line(Folder::Spam), ("li", None, &[Verb::TrainSpam][..]));
        for folder in FOLDERS {
            assert_eq!(folder.is_action(), folder.row().rights == "li", "{folder:?}");
        }
    }

    #[test]
    fn a_message_goes_back_to_its_own_folder() {
        assert!(may_come_from(Folder::Caught, Source::Kept(Kept::Trash), Class::Incoming).is_ok());
        let wrong = may_come_from(Folder::Caught, Source::Kept(Kept::Trash), Class::Outgoing).unwrap_err();
        assert!(wrong.text.ends_with("drag this one to Caught (Outgoing)"), "{wrong:?}");
    }

    #[test]
    fn refusals_say_what_would_work() {
        let text = |target, source| may_come_from(target, source, Class::Unsure).unwrap_err().text;
        let release = text(Folder::Release, Source::Kept(Kept::Training));
        assert!(release.starts_with("only messages from Caught can be released"), "{release}");
        assert!(text(Folder::Release, Source::Append).starts_with("only messages from Caught can be released"));
        assert!(text(Folder::Trash, Source::Append).contains("Spam or Not Spam"));
        assert!(text(Folder::Inbox, Source::Kept(Kept::Caught)).contains("drag messages to Release"));
        assert_eq!(text(Folder::Trash, Source::Kept(Kept::Trash)), "it is in Trash already");
    }

    #[test]
    fn what_is_listed() {
        let rest = ["Release", "Not Spam", "Spam"];
        let classic = [&["INBOX", "Caught", "Trash", "Release & Train"][..], &rest].concat();
        assert_eq!(names(&naming(Spelling::Classic, Inbox::Empty)), classic);
        let phone = [&["INBOX", "Trash", "Release and Train"][..], &rest].concat();
        assert_eq!(names(&naming(Spelling::Plain, Inbox::Caught)), phone);
        let all = Naming { outgoing: true, ..naming(Spelling::Classic, Inbox::Empty) };
        let shown: Vec<_> = listed(&all, |k| k == Kept::Training).iter().map(|l| l.name).collect();
        assert_eq!(shown[..4], ["INBOX", "Caught", "Caught (Outgoing)", "Training Requested"]);
        assert_eq!(shown.len(), 9);
    }

    #[test]
    fn every_spelling_is_accepted_under_every_naming() {
        for naming in all_namings() {
            for name in ["Release & Train", "Release and Train", "Release and Train/Not Spam"] {
                assert_eq!(lookup(name, &naming), Some(Folder::ReleaseTrain), "{name}");
            }
            assert_eq!(lookup("Deleted", &naming), Some(Folder::Trash));
            assert_eq!(lookup("Caught", &naming), Some(Folder::Caught));
            assert_eq!(lookup("caught", &naming), None);
            assert_eq!(lookup("Release and Train/Spam", &naming), None);
            for entry in listed(&naming, |_| true) {
                assert_eq!(lookup(entry.name, &naming), Some(entry.folder), "{}", entry.name);
            }
        }
        assert_eq!(lookup("inBox", &naming(Spelling::Classic, Inbox::Empty)), Some(Folder::Inbox));
        assert_eq!(lookup("inBox", &naming(Spelling::Classic, Inbox::Caught)), Some(Folder::Caught));
    }

    proptest! {
        /// Only the names of the table are folders; nothing near them is.
        #[test]
        fn names_are_exact(name in "\\PC{0,30}|(Release|Spam|Not Spam|Trash|Caught)[ /&a-zA-Z]{0,8}") {
            for naming in all_namings() {
                let known = name.eq_ignore_ascii_case("inbox")
                    || TABLE.iter().any(|r| r.names.contains(&name.as_str()) || r.also.contains(&name.as_str()));
                prop_assert_eq!(lookup(&name, &naming).is_some(), known);
            }
        }

        #[test]
        fn only_inbox_ignores_case(upper in proptest::collection::vec(any::<bool>(), 5)) {
            let name: String =
                "inbox".chars().zip(upper).map(|(c, up)| if up { c.to_ascii_uppercase() } else { c }).collect();
            prop_assert_eq!(lookup(&name, &naming(Spelling::Classic, Inbox::Empty)), Some(Folder::Inbox));
        }
    }
}
