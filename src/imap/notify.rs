//! What a client wants to be told of without asking (RFC 5465).

use super::items::Item;
use super::question::{Figures, Watched};
use std::collections::HashMap;

/// The events that can be told of; the code of the refusal of others.
pub const BADEVENT: &str = "BADEVENT (MessageNew MessageExpunge FlagChange)";

/// `NOTIFY SET`, and what was told since.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notify {
    /// STATUS of the other folders is wanted at once.
    pub status: bool,
    /// What of the open folder; `None`: nothing.
    pub selected: Option<Selected>,
    /// What of the others: the first group that names a folder counts.
    pub others: Vec<Group>,
    /// An event was named that we do not know.
    pub unknown_event: bool,
    /// Figures that the client was told, or need not be told.
    told: HashMap<String, Figures>,
}

/// `SELECTED` and `SELECTED-DELAYED` (RFC 5465 6.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selected {
    /// Removals wait for a command that allows them.
    pub delayed: bool,
    /// FlagChange.
    pub flags: bool,
    /// What of a new message is told.
    pub items: Vec<Item>,
}

/// A group of folders, and the events in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Which.
    pub folders: Folders,
    /// MessageNew and MessageExpunge.
    pub messages: bool,
    /// FlagChange.
    pub flags: bool,
}

/// RFC 5465 6.2 to 6.6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Folders {
    /// PERSONAL, and INBOXES: any kept folder may get mail.
    All,
    /// SUBSCRIBED
    Subscribed,
    /// SUBTREE: these and what is below.
    Below(Vec<String>),
    /// MAILBOXES
    Named(Vec<String>),
}

impl Folders {
    fn has(&self, folder: &Watched) -> bool {
        let below =
            |name: &str, root: &str| name.strip_prefix(root).is_some_and(|r| r.is_empty() || r.starts_with('/'));
        match self {
            Folders::All => true,
            Folders::Subscribed => folder.subscribed,
            Folders::Below(roots) => roots.iter().any(|root| below(&folder.name, root)),
            Folders::Named(names) => names.contains(&folder.name),
        }
    }

    /// Whether the client wrote the name.
    fn names(&self, folder: &Watched) -> bool {
        matches!(self, Folders::Below(names) | Folders::Named(names) if names.contains(&folder.name))
    }
}

/// What is to be told of a folder that is not open.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// Its figures.
    Status(String, Figures),
    /// It cannot be looked into (RFC 5465 3.1).
    NoAccess(String),
}

impl Notify {
    /// Wishes for nothing yet; `status`: the STATUS of the other folders is wanted at once.
    pub fn new(status: bool) -> Self {
        Notify { status, ..Notify::default() }
    }

    /// Whether the others have to be watched.
    pub fn watches(&self) -> bool {
        self.others.iter().any(|group| group.messages || group.flags)
    }

    /// Whether folders below others may be among them.
    pub fn watches_children(&self) -> bool {
        let below = |folders: &Folders| match folders {
            Folders::All | Folders::Subscribed | Folders::Below(_) => true,
            Folders::Named(names) => names.iter().any(|name| name.contains('/')),
        };
        self.others.iter().any(|group| (group.messages || group.flags) && below(&group.folders))
    }

    /// Takes the figures at the start; what is told of them.
    pub fn begin(&mut self, folders: Vec<Watched>, open: Option<&str>) -> Vec<News> {
        let mut news = Vec::new();
        for folder in folders {
            let Some(group) = self.others.iter().find(|group| group.folders.has(&folder)) else { continue };
            match folder.figures {
                None if group.folders.names(&folder) => news.push(News::NoAccess(folder.name)),
                None => {}
                Some(figures) => {
                    if self.status && (group.messages || group.flags) && open != Some(folder.name.as_str()) {
                        news.push(News::Status(folder.name.clone(), figures));
                    }
                    self.told.insert(folder.name, figures);
                }
            }
        }
        news
    }

    /// Takes the figures now; what changed and is wanted. The open folder is told of as [`Notify::selected`] says.
    pub fn changed(&mut self, folders: Vec<Watched>, open: Option<&str>) -> Vec<News> {
        let mut news = Vec::new();
        for folder in folders {
            let Some(figures) = folder.figures else { continue };
            let told = self.told.insert(folder.name.clone(), figures).unwrap_or_default();
            let Some(group) = self.others.iter().find(|group| group.folders.has(&folder)) else { continue };
            let messages = (figures.messages, figures.uid_next) != (told.messages, told.uid_next);
            let flags = figures.modseq != told.modseq;
            if open != Some(folder.name.as_str()) && (group.messages && messages || group.flags && flags) {
                news.push(News::Status(folder.name, figures));
            }
        }
        news
    }
}
