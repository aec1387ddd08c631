//! The commands on folders (RFC 3501 6.3, RFC 5258, RFC 5819, RFC 6154, RFC 4314).

use super::reply::Reply;
use super::{Flow, Job, Session};
use crate::base::{Step, limits};
use crate::imap::items::StatusItem;
use crate::imap::question::{Answer, Folder, FolderStatus, Question};
use crate::imap::request::{List, RightsAsk};
use crate::imap::write::{self, push};
use std::collections::HashSet;

/// What goes on with folders.
#[derive(Debug)]
pub(super) enum FoldersJob {
    /// LIST: which are there?
    List(List),
    /// The lines of a LIST are written; STATUS of each is asked for on the way.
    Lines(Box<Listing>),
    /// The figures of the folder that was just listed are asked for.
    LineStatus { name: String, listing: Box<Listing> },
    /// STATUS
    Status { mailbox: String, items: Vec<StatusItem> },
    /// MYRIGHTS, GETACL, LISTRIGHTS
    Rights { mailbox: String, ask: RightsAsk },
    /// CREATE: is it there?
    Create,
    /// DELETE, RENAME: is it there?
    Change,
}

/// A LIST that is answered, some hundred folders at a time.
#[derive(Debug)]
pub(super) struct Listing {
    list: List,
    /// Those that were not looked at yet.
    folders: std::vec::IntoIter<Folder>,
    /// Names that folders which are subscribed and not listed themselves lie below.
    above: HashSet<String>,
    /// How many were looked at for that.
    looked: usize,
}

/// One line of LIST.
struct Line {
    folder: Folder,
    /// RFC 5258 3.5: listed because of what is below it.
    child_info: bool,
}

impl Session {
    pub(super) fn list(&mut self, list: List, out: &mut Vec<u8>) -> Flow {
        if list.delimiter_only {
            // RFC 3501 6.3.8: an empty name asks for the delimiter and the root
            push(out, format_args!("* {} (\\Noselect) \"/\" \"\"\r\n", word(&list)));
            return self.finish(Reply::ok("listed"));
        }
        Flow::Ask(Question::Folders, Job::Folders(FoldersJob::List(list)))
    }

    pub(super) fn folders_go(&mut self, job: FoldersJob, out: &mut Vec<u8>) -> Flow {
        let FoldersJob::Lines(mut listing) = job else { return Flow::Next(Job::Reply(Reply::bug())) };
        if !listing.look() {
            return Flow::Step(Step::Again, Job::Folders(FoldersJob::Lines(listing)));
        }
        let utf8 = self.enabled.names_are_utf8();
        for _ in 0..limits::LIST_TURN {
            let Some(folder) = listing.folders.next() else { return self.finish(Reply::ok("listed")) };
            let Some(line) = listing.line(folder) else { continue };
            let list = &listing.list;
            write_line(out, list, &line, utf8);
            if list.my_rights && !line.child_info && !line.folder.no_select {
                write_rights(out, "MYRIGHTS", &line.folder, &line.folder.name, None, utf8);
            }
            if !list.status.is_empty() && !line.folder.no_select {
                let name = line.folder.name;
                let question = Question::Status(name.clone());
                return Flow::Ask(question, Job::Folders(FoldersJob::LineStatus { name, listing }));
            }
            if out.len() >= limits::OUTPUT_BYTES {
                break;
            }
        }
        Flow::Step(Step::Again, Job::Folders(FoldersJob::Lines(listing)))
    }

    pub(super) fn folders_answered(&mut self, job: FoldersJob, answer: Answer, out: &mut Vec<u8>) -> Flow {
        match (job, answer) {
            (FoldersJob::List(list), Answer::Folders(folders)) => {
                let listing = Listing { list, folders: folders.into_iter(), above: HashSet::new(), looked: 0 };
                Flow::Next(Job::Folders(FoldersJob::Lines(Box::new(listing))))
            }
            (FoldersJob::LineStatus { name, listing }, answer) => {
                // RFC 5819 2: a folder whose figures cannot be told is listed without them
                if let Answer::Status(status) = answer {
                    write_status(out, &name, &listing.list.status, &status, self.enabled.names_are_utf8());
                }
                Flow::Next(Job::Folders(FoldersJob::Lines(listing)))
            }
            (FoldersJob::Status { mailbox, items }, Answer::Status(status)) => {
                if items.contains(&StatusItem::HighestModSeq) {
                    self.condstore(out);
                }
                write_status(out, &mailbox, &items, &status, self.enabled.names_are_utf8());
                self.finish(Reply::ok("done"))
            }
            (FoldersJob::Rights { mailbox, ask }, Answer::Folder(folder)) => self.rights(&mailbox, &ask, &folder, out),
            (FoldersJob::Create, Answer::Folder(_)) => {
                self.finish(Reply::no("ALREADYEXISTS", "this folder is there already"))
            }
            (FoldersJob::Create, Answer::Refused(_)) => {
                self.finish(Reply::no("NOPERM", "the folders of a quarantine are fixed: no other can be created"))
            }
            (FoldersJob::Change, Answer::Folder(_)) => {
                self.finish(Reply::no("CANNOT", "the folders of a quarantine are fixed; unsubscribe to hide one"))
            }
            (_, Answer::Refused(refusal)) => self.finish(refusal.into()),
            _ => self.finish(Reply::bug()),
        }
    }

    fn rights(&mut self, mailbox: &str, ask: &RightsAsk, folder: &Folder, out: &mut Vec<u8>) -> Flow {
        let (name, who) = match ask {
            RightsAsk::Mine => ("MYRIGHTS", None),
            // who else may see this folder is not told
            RightsAsk::All => ("ACL", Some(&self.user)),
            RightsAsk::Of(identifier) => ("LISTRIGHTS", Some(identifier)),
        };
        write_rights(out, name, folder, mailbox, who.map(String::as_str), self.enabled.names_are_utf8());
        self.finish(Reply::ok("done"))
    }
}

/// A line about rights (RFC 4314 3.6 to 3.8).
fn write_rights(out: &mut Vec<u8>, word: &str, folder: &Folder, name: &str, who: Option<&str>, utf8: bool) {
    push(out, format_args!("* {word} "));
    write::mailbox(out, name, utf8);
    if let Some(who) = who {
        out.push(b' ');
        write::astring(out, who.as_bytes());
    }
    // RFC 4314 2.1.1: for clients of RFC 2086, `d` stands for the rights to delete
    let delete = folder.rights.contains(['e', 't', 'x']) && !folder.rights.contains('d');
    push(out, format_args!(" {}{}\r\n", folder.rights, if delete { "d" } else { "" }));
}

fn word(list: &List) -> &'static str {
    if list.lsub { "LSUB" } else { "LIST" }
}

impl Listing {
    fn fits(list: &List, name: &str) -> bool {
        list.patterns.iter().any(|pattern| matches(pattern, name))
    }

    /// Looks at some more of what is below; whether that was all. It counts only where a folder that is not subscribed is
    /// listed because something below it is, and is not listed itself.
    fn look(&mut self) -> bool {
        let Listing { list, folders, above, looked } = self;
        if !(list.lsub || list.recursive) {
            return true;
        }
        for folder in folders.as_slice().iter().skip(*looked).take(limits::LIST_TURN) {
            if folder.subscribed && !Self::fits(list, &folder.name) {
                above.extend(
                    folder.name.match_indices('/').filter_map(|(at, _)| folder.name.get(..at)).map(str::to_string),
                );
            }
        }
        *looked = looked.saturating_add(limits::LIST_TURN);
        *looked >= folders.len()
    }

    /// The line of a folder, if it has one.
    fn line(&self, mut folder: Folder) -> Option<Line> {
        let list = &self.list;
        if !Self::fits(list, &folder.name) {
            return None;
        }
        let wanted = (!list.subscribed || folder.subscribed) && (!list.special_use || folder.special_use.is_some());
        let child_info = self.above.contains(&folder.name);
        // RFC 3501 6.3.9: LSUB marks what is not subscribed itself
        folder.no_select |= list.lsub && !folder.subscribed;
        (wanted || child_info).then_some(Line { folder, child_info: child_info && list.recursive })
    }
}

fn write_line(out: &mut Vec<u8>, list: &List, line: &Line, utf8: bool) {
    let folder = &line.folder;
    push(out, format_args!("* {} (", word(list)));
    let mut attributes: Vec<&str> = Vec::new();
    if folder.no_select {
        attributes.push("\\Noselect");
    }
    attributes.push(if folder.has_children { "\\HasChildren" } else { "\\HasNoChildren" });
    attributes.extend(folder.special_use);
    if list.return_subscribed && folder.subscribed {
        attributes.push("\\Subscribed");
    }
    push(out, format_args!("{}) \"/\" ", attributes.join(" ")));
    write::mailbox(out, &folder.name, utf8);
    if line.child_info {
        out.extend_from_slice(b" (\"CHILDINFO\" (\"SUBSCRIBED\"))");
    }
    out.extend_from_slice(b"\r\n");
}

pub(super) fn write_status(out: &mut Vec<u8>, name: &str, items: &[StatusItem], status: &FolderStatus, utf8: bool) {
    let figures = &status.figures;
    out.extend_from_slice(b"* STATUS ");
    write::mailbox(out, name, utf8);
    out.extend_from_slice(b" (");
    for (i, item) in items.iter().enumerate() {
        push(out, format_args!("{}{} ", if i > 0 { " " } else { "" }, item.name()));
        let value = match item {
            StatusItem::Messages => u64::from(figures.messages),
            StatusItem::Recent => u64::from(figures.recent),
            StatusItem::UidNext => u64::from(figures.uid_next),
            StatusItem::UidValidity => u64::from(figures.uid_validity),
            StatusItem::Unseen => u64::from(figures.unseen),
            StatusItem::Deleted => u64::from(figures.deleted),
            StatusItem::Size => figures.size,
            StatusItem::HighestModSeq => figures.modseq,
            StatusItem::AppendLimit => limits::MESSAGE_BYTES,
            StatusItem::DeletedStorage => status.deleted_size,
            StatusItem::MailboxId => {
                push(out, format_args!("({})", status.mailbox_id));
                continue;
            }
        };
        push(out, format_args!("{value}"));
    }
    out.extend_from_slice(b")\r\n");
}

/// Whether a name fits a pattern: `*` is anything, `%` anything without a delimiter (RFC 3501 6.3.8). INBOX has no case.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern = if name == "INBOX" { pattern.to_ascii_uppercase() } else { pattern.to_string() };
    // reached[i]: the pattern so far fits the first i bytes; no backtracking, whatever the pattern
    let name = name.as_bytes();
    let mut reached = vec![false; name.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    for &token in pattern.as_bytes() {
        let mut before = false;
        let mut run = false;
        for (i, here) in reached.iter_mut().enumerate() {
            let was = *here;
            let previous = i.checked_sub(1).and_then(|i| name.get(i)).copied();
            *here = match token {
                b'*' => run || was,
                b'%' => was || (run && previous != Some(b'/')),
                _ => before && previous == Some(token),
            };
            run = *here;
            before = was;
        }
    }
    reached.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, name, fits) in [
            ("*", "a/b", true),
            ("%", "a/b", false),
            ("%", "a", true),
            ("a/%", "a/b", true),
            ("%/%", "a/b", true),
            ("a%", "a/b", false),
            ("*b", "a/b", true),
            ("inb*", "INBOX", true),
            ("inbox", "INBOX", true),
            ("caught", "Caught", false),
            ("Caught", "Caught", true),
            ("", "", true),
            ("", "a", false),
            ("*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("C*t%", "Caught (Outgoing)", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }
}
