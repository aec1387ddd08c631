//! `lazaret help`: short texts, made from the tables that the program itself goes by.

use super::exit;
use super::output::Table;
use crate::mail::Kept;
use crate::quarantine::folders::{self, Folder, Inbox, Naming, Row, Spelling, WriteOnly};

/// Topics, each with what it is about.
const TOPICS: [(&str, &str); 5] = [
    ("folders", "what may be dragged where, and what that does"),
    ("accounts", "who sees what"),
    ("doors", "how mail comes in"),
    ("doctor", "what lazaret doctor looks at, and what it leaves"),
    ("exit", "exit codes"),
];

/// The text about a topic, or about all of them. `None`: there is no such topic.
pub fn text(topic: Option<&str>) -> Option<String> {
    match topic {
        None => Some(overview()),
        Some("folders") => Some(folder_table()),
        Some("accounts") => Some(ACCOUNTS.to_string()),
        Some("doors") => Some(DOORS.to_string()),
        Some("doctor") => Some(DOCTOR.to_string()),
        Some("exit") => Some(exit_table()),
        Some(_) => None,
    }
}

/// "folders, accounts, …"
pub fn topics() -> String {
    TOPICS.map(|(name, _)| name).join(", ")
}

fn overview() -> String {
    let mut table = Table::new(&["TOPIC", "ABOUT"]);
    for (name, about) in TOPICS {
        table.row([name, about]);
    }
    format!(
        "lazaret --help lists the commands, lazaret COMMAND --help the options of one.\n\
         lazaret demo starts a server to try out. The configuration is {}.\n\n{table}",
        crate::app::config::PATH
    )
}

fn folder_table() -> String {
    let naming = Naming {
        spelling: Spelling::Classic,
        inbox: Inbox::Empty,
        write_only: WriteOnly::Empty,
        outgoing: true,
        training: true,
        admin_tree: false,
    };
    let mut table = Table::new(&["FOLDER", "MAY COME FROM", "WHAT HAPPENS"]);
    for folder in folders::listed(&naming, |_: Kept| true) {
        table.row([folder.name.to_string(), sources(folder.row), happens(folder.row)]);
    }
    format!("{table}\nWhat is only reported, not delivered, can be dragged back from Trash until it expires.\n")
}

fn sources(row: &Row) -> String {
    let mut names: Vec<&str> = row.from.iter().map(|kept| Folder::of(*kept).label()).collect();
    if row.append {
        names.push("elsewhere");
    }
    if names.is_empty() { "-".to_string() } else { names.join(", ") }
}

fn happens(row: &Row) -> String {
    if row.verbs.is_empty() {
        let text = if row.kept.is_some() { "it is kept" } else { "always empty" };
        return text.to_string();
    }
    row.verbs.iter().map(|verb| verb.doing()).collect::<Vec<_>>().join(", ")
}

fn exit_table() -> String {
    let mut table = Table::new(&["CODE", "MEANING"]);
    for (exit, meaning) in exit::TABLE {
        table.row([exit.code().to_string().as_str(), meaning]);
    }
    table.to_string()
}

const ACCOUNTS: &str = "\
An account sees the mail that its login names:

  global             everybody's
  example.org        that of one domain
  alice@example.org  that of one recipient

Other names of a domain and alias addresses log in, too. A recipient may not release
viruses nor outgoing mail, unless [policy] says otherwise: asking for it files a request,
which the domain's account grants, or lazaret requests, grant and decline.

  lazaret user add alice@example.org      asks for the password
  lazaret user passwd alice@example.org
  lazaret user remove alice@example.org
  lazaret user list

A running server sees each change within a second.
";

const DOORS: &str = "\
Mail comes in

  by LMTP    [[lmtp]] in the configuration; each listener has its class. The answer is
             2xx or 4xx, never a bounce to a forged sender.
  deposit    lazaret deposit --from SENDER --to RECIPIENT < message, from a pipe
             transport; it works whether or not the server runs.
  drop/      a Maildir in the data directory where any program may leave mail; [drop]
             names the header field that holds the recipient.
";

const DOCTOR: &str = "\
lazaret doctor --to ADDRESS [--through HOST:PORT] sends a test message that every filter
takes for spam, and follows it. Each step is told as it ends:

  server, disk, clock, earlier   the running server; room; test messages left behind
  door, filter                   each door is open; each filter asked says \"spam\"
  mail, refused, stored          the mail server refuses it, and it is kept with reasons
  imap, page                     its recipient sees it
  released, handed               it is dragged to Release, and the route's server takes it
  not-caught-again, delivered    no filter catches the release; where to look for it
  compared                       what rspamd rejected lately, and which of it is missing

What fails says what to change; what makes no sense after it is skipped, and nothing is
sent unless all before it is in order. At the end the test message is removed here. The
one that was released is in the mailbox of ADDRESS; with --no-release there is none.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_has_a_text() {
        for (topic, _) in TOPICS {
            let text = text(Some(topic)).unwrap();
            assert!(text.lines().count() > 5 && text.lines().all(|l| l.chars().count() < 120), "{text}");
        }
        assert_eq!(text(Some("nothing")), None);
        assert!(text(None).unwrap().contains("folders"));
    }

    #[test]
    fn the_folder_text_is_the_table() {
        let text = text(Some("folders")).unwrap();
        let line = |start: &str| text.lines().find(|l| l.starts_with(start)).unwrap().to_string();
        assert!(line("Release & Train").ends_with("release, report as not spam"));
        assert!(line("Release ").contains("Caught, Caught (Outgoing), Trash"));
        assert!(line("Spam").contains("elsewhere"));
    }
}
