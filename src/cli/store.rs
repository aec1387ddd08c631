//! Commands on messages: from what was typed to a request, from answers to a table or JSON and an exit code.

use super::args::{Check, Command, Digest, List, Requests, Show};
use super::exit::Exit;
use super::output::{Table, clean, fail, print, print_json};
use super::{deposit, doctor, senders, shown};
use crate::app::commands::check::check;
use crate::app::commands::{self, Answer, Message, Request, Saying, Waiting, Why};
use crate::app::config::{Config, Log};
use crate::app::control::{Unanswered, ask};
use crate::app::map;
use crate::base::time::minute;

/// Carries out a command on the store.
pub fn run(config: &Config, command: &Command) -> Exit {
    // What the store finds when it is opened here is told; what goes well is not.
    map::start_log(&Log { level: log::LevelFilter::Warn, ..config.log });
    match command {
        Command::Deposit(options) => deposit::run(config, options),
        Command::List(options) => list(config, options),
        Command::Show(options) => show(config, options),
        Command::Release(c) => verbs(config, Request::Release { ids: c.ids.clone(), train: c.train }, c.json),
        Command::Train(c) => verbs(config, Request::Train { ids: c.ids.clone(), ham: c.ham }, c.json),
        Command::Remove(c) => verbs(config, Request::Remove { ids: c.ids.clone() }, c.json),
        Command::Requests(options) => requests(config, options),
        Command::Grant(c) => verbs(config, Request::Grant { ids: c.ids.clone() }, c.json),
        Command::Decline(c) => verbs(config, Request::Decline { ids: c.ids.clone() }, c.json),
        Command::Allow(c) => verbs(config, says(Saying::Allow, &c.list, &c.senders), c.json),
        Command::Block(c) => verbs(config, says(Saying::Block, &c.list, &c.senders), c.json),
        Command::Unlist(c) => verbs(config, says(Saying::Unlist, &c.list, &c.senders), c.json),
        Command::Lists(options) => senders::lists(config, options),
        Command::Digest(options) => digest(config, options),
        Command::Expire(c) => expire(config, c.dry_run, c.json),
        Command::Check(options) => check_store(config, options),
        Command::Doctor(options) => doctor::run(config, options),
        Command::Serve(_) | Command::Demo(_) | Command::User(_) | Command::Help(_) => {
            fail("a fault of this program: that is no command on the store");
            Exit::Software
        }
    }
}

/// Asks, hands each answer to `each`, and says how it ended.
pub(super) fn answers(config: &Config, request: &Request, mut each: impl FnMut(Answer)) -> Exit {
    let mut exit = Exit::Done;
    let asked = ask(config, request, |answer| match answer {
        Answer::Failed { why, text } => {
            fail(clean(&text));
            exit = match why {
                Why::Request => Exit::Usage,
                Why::Message => Exit::NoInput,
                Why::Scope => Exit::NoUser,
                Why::Later => Exit::TryLater,
                Why::Disk => Exit::Io,
            };
        }
        Answer::Done => {}
        answer => each(answer),
    });
    match asked {
        Ok(()) => exit,
        Err(unanswered) => {
            fail(clean(&unanswered.to_string()));
            match unanswered {
                Unanswered::Unreachable(_) => Exit::Unavailable,
                Unanswered::Broken(_) => Exit::TryLater,
            }
        }
    }
}

fn list(config: &Config, options: &List) -> Exit {
    let request = Request::List {
        scope: options.scope.clone(),
        folder: options.folder.directory().to_lowercase(),
        search: options.search.clone(),
        limit: options.limit,
    };
    let (mut messages, mut waiting) = (message_table(), waiting_table());
    let exit = answers(config, &request, |answer| match answer {
        Answer::Message(message) if options.json => print_json(&message),
        Answer::Waiting(entry) if options.json => print_json(&entry),
        Answer::Message(message) => message_row(&mut messages, &message),
        Answer::Waiting(entry) => waiting_row(&mut waiting, &entry),
        _ => {}
    });
    if options.json || exit != Exit::Done {
        return exit;
    }
    if messages.is_empty() {
        print(format_args!("no message in {}\n", options.folder));
    } else {
        print(&messages);
    }
    if !waiting.is_empty() {
        print(format_args!("\nIn the queue:\n{waiting}"));
    }
    exit
}

fn says(saying: Saying, list: &Option<String>, senders: &[String]) -> Request {
    Request::Senders { saying, list: list.clone(), senders: senders.to_vec() }
}

fn requests(config: &Config, options: &Requests) -> Exit {
    let mut table = Table::new(&["ID", "ASKED", "BY", "WHAT", "RECIPIENT", "CLASS", "KIND"]);
    let exit = answers(config, &Request::Requests { scope: options.scope.clone() }, |answer| match answer {
        Answer::Requested(request) if options.json => print_json(&request),
        Answer::Requested(r) => {
            table.row([r.id, r.asked, r.by, r.verbs.join(", "), r.recipient, r.class, r.kind]);
        }
        _ => {}
    });
    if !options.json && exit == Exit::Done {
        if table.is_empty() {
            print("no request waits\n");
        } else {
            print(&table);
        }
    }
    exit
}

fn digest(config: &Config, options: &Digest) -> Exit {
    let what = match (options.new_key, options.now, options.preview) {
        (false, false, _) => commands::Digest::Preview,
        (false, true, false) => commands::Digest::Now,
        (true, false, false) => commands::Digest::NewKey,
        _ => {
            fail("expected one of --preview, --now and --new-key");
            return Exit::Usage;
        }
    };
    let mut is_quiet = true;
    let mut all_good = true;
    let exit = answers(config, &Request::Digest { what, only: options.only.clone() }, |answer| {
        is_quiet = false;
        match answer {
            Answer::Digest(preview) if options.json => print_json(&preview),
            Answer::Digest(preview) if options.html => print(format_args!("{}\n", preview.html)),
            Answer::Digest(preview) => print(format_args!("{}\n", preview.text)),
            Answer::Did(did) if options.json => print_json(&did),
            Answer::Did(did) => {
                all_good &= did.outcome.is_good();
                print(format_args!("{}: {}\n", clean(&did.id), clean(&did.text)));
            }
            _ => {}
        }
    });
    if is_quiet && exit == Exit::Done && !options.json {
        print("nothing is new for anybody who gets digests; --for ADDRESS shows one that is switched off\n");
    }
    if exit == Exit::Done && !all_good { Exit::Found } else { exit }
}

fn message_table() -> Table {
    Table::new(&["ID", "ARRIVED", "EXPIRES", "RECIPIENT", "KIND", "SENDER", "SUBJECT"])
}

fn message_row(table: &mut Table, message: &Message) {
    let sender = if message.sender.is_empty() { "<>" } else { &message.sender };
    let expires = message.expires.as_deref().map_or("never", |time| time.get(..10).unwrap_or(time));
    let arrived = minute(&message.arrived);
    let row = [&message.id, &arrived, expires, &message.recipient, &message.kind, sender, &message.subject];
    table.row(row.map(|cell| cut(cell, 60)));
}

pub(super) fn waiting_table() -> Table {
    Table::new(&["ID", "RECIPIENT", "WHAT", "FOR", "STATE", "ASKED", "ATTEMPTS", "NEXT"])
}

pub(super) fn waiting_row(table: &mut Table, waiting: &Waiting) {
    let dash = || "-".to_string();
    table.row([
        waiting.id.clone(),
        waiting.recipient.clone(),
        waiting.verbs.join(", "),
        waiting.part.clone().unwrap_or_else(dash),
        waiting.state.clone(),
        waiting.asked.clone(),
        waiting.attempts.to_string(),
        waiting.next.clone().unwrap_or_else(dash),
    ]);
}

/// At most so many characters.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_string();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

fn show(config: &Config, options: &Show) -> Exit {
    let mut exit = Exit::Done;
    let asked = answers(config, &Request::Show { id: options.id.clone() }, |answer| {
        if let Answer::Shown(shown) = answer {
            if options.raw {
                exit = shown::raw(&shown);
            } else if options.json {
                print_json(&shown);
            } else {
                shown::print_all(&shown);
            }
        }
    });
    if asked == Exit::Done { exit } else { asked }
}

fn verbs(config: &Config, request: Request, json: bool) -> Exit {
    let mut all_good = true;
    let exit = answers(config, &request, |answer| {
        if let Answer::Did(did) = answer {
            all_good &= did.outcome.is_good();
            if json {
                print_json(&did);
            } else {
                print(format_args!("{}: {}\n", clean(&did.id), clean(&did.text)));
            }
        }
    });
    if exit == Exit::Done && !all_good { Exit::Found } else { exit }
}

fn expire(config: &Config, dry_run: bool, json: bool) -> Exit {
    let mut table = message_table();
    let mut total = String::new();
    let exit = answers(config, &Request::Expire { dry_run }, |answer| match answer {
        Answer::Message(message) if json => print_json(&message),
        Answer::Message(message) if dry_run => message_row(&mut table, &message),
        Answer::Expired { messages, files } => {
            total = match dry_run {
                true => format!("{messages} messages would be removed\n"),
                false => format!("{messages} messages and {files} other files were removed\n"),
            }
        }
        _ => {}
    });
    if !json {
        if !table.is_empty() {
            print(&table);
        }
        print(total);
    }
    exit
}

fn check_store(config: &Config, options: &Check) -> Exit {
    let findings = match check(config, options.repair) {
        Ok(findings) => findings,
        Err(why) => {
            fail(clean(&why));
            return Exit::Unavailable;
        }
    };
    let mut left = 0;
    for finding in &findings {
        left += usize::from(!finding.repaired);
        if options.json {
            print_json(finding);
        } else {
            let repaired = if finding.repaired { "repaired: " } else { "" };
            print(format_args!("{}: {repaired}{}\n", clean(&finding.path.to_string_lossy()), clean(&finding.text)));
        }
    }
    if !options.json {
        let repaired = findings.len() - left;
        print(match (left, repaired) {
            (0, 0) => format!("{}: nothing is wrong\n", config.data.display()),
            (left, 0) => format!("{}: {left} found; --repair puts right what can be\n", config.data.display()),
            (left, repaired) => format!("{}: {repaired} repaired, {left} left\n", config.data.display()),
        });
    }
    if left == 0 { Exit::Done } else { Exit::Found }
}
