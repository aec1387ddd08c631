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
    /// Accounts that see more than one recipient have children of Caught (`quarantine/children.rs`).
    pub admin_tree: bool,
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
mod tests;
