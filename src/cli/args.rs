//! What can be typed. argh reads it; what argh does not know (`--option=value`, `--config` behind the command) is
//! rewritten for it first.

mod digest;
mod doctor;
mod requests;
mod senders;
mod user;

pub use digest::Digest;
pub use doctor::Doctor;
pub use requests::{Decline, Grant, Requests};
pub use senders::{Allow, Block, Lists, Unlist};
pub use user::{User, UserAdd, UserCommand, UserList, UserPasswd, UserRemove};

use super::exit::Exit;
use crate::base::limits;
use crate::mail::{Address, Class, Kept, Kind};
use crate::verdict::Filter;
use argh::FromArgs;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

/// What was typed, as plain data.
#[derive(Debug, PartialEq)]
pub struct Invocation {
    /// The configuration file, if another than the usual one.
    pub config: Option<PathBuf>,
    /// What to do.
    pub command: Command,
}

/// Why nothing is to be done: help was asked for, or the arguments are wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct Stop {
    /// What to print: to standard output when `exit` is `Done`, else to standard error.
    pub text: String,
    /// How to end.
    pub exit: Exit,
}

/// Lazaret keeps the mail that a filter rejected, shows it over IMAP, and acts on it by dragging.
#[derive(FromArgs, Debug, PartialEq)]
#[argh(help_triggers("-h", "--help"))]
struct Top {
    /// the configuration file (default: /etc/lazaret/lazaret.toml)
    #[argh(option, short = 'c')]
    config: Option<PathBuf>,

    #[argh(subcommand)]
    command: Command,
}

/// What to do.
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand)]
pub enum Command {
    /// Run the server.
    Serve(Serve),
    /// Try it out.
    Demo(Demo),
    /// Store one message.
    Deposit(Deposit),
    /// Accounts.
    User(User),
    /// List messages.
    List(List),
    /// Show a message.
    Show(Show),
    /// Deliver messages.
    Release(Release),
    /// Report messages to the filter.
    Train(Train),
    /// Remove messages.
    Remove(Remove),
    /// List requests.
    Requests(Requests),
    /// Grant requests.
    Grant(Grant),
    /// Decline requests.
    Decline(Decline),
    /// Allow senders.
    Allow(Allow),
    /// Block senders.
    Block(Block),
    /// Take senders off a list.
    Unlist(Unlist),
    /// Show lists of senders.
    Lists(Lists),
    /// Digests.
    Digest(Digest),
    /// Remove what has expired.
    Expire(Expire),
    /// Check configuration and store.
    Check(Check),
    /// Follow a test message.
    Doctor(Doctor),
    /// Short texts about one thing each.
    Help(Help),
}

/// run the server until SIGTERM; SIGHUP reads certificate, accounts and configuration again
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "serve", help_triggers("-h", "--help"))]
pub struct Serve {}

/// run a server to try out, with sample messages, three accounts and a mail server that receives what is released
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "demo", help_triggers("-h", "--help"))]
pub struct Demo {
    /// keep the data in this directory (default: a temporary one that is removed at the end)
    #[argh(option)]
    pub data: Option<PathBuf>,

    /// leave the sample messages out
    #[argh(switch)]
    pub empty: bool,

    /// print one line of JSON when everything answers
    #[argh(switch)]
    pub json: bool,
}

/// store the message on standard input; ends with a code of sysexits.h (`lazaret help exit`)
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "deposit", help_triggers("-h", "--help"))]
pub struct Deposit {
    /// the envelope sender; "" or "<>" for the null sender
    #[argh(option, from_str_fn(sender))]
    pub from: Sender,

    /// an envelope recipient; give it once for each
    #[argh(option, from_str_fn(address))]
    pub to: Vec<Address>,

    /// incoming, outgoing or unsure (default: incoming)
    #[argh(option, default = "Class::Incoming", from_str_fn(class))]
    pub class: Class,

    /// spam, phish, virus, banned or policy (default: spam)
    #[argh(option, default = "Kind::Spam", from_str_fn(kind))]
    pub kind: Kind,

    /// a filter whose header fields are believed: rspamd, spamassassin, amavis or clamav; give it once for each
    #[argh(option, from_str_fn(filter))]
    pub verdict: Vec<Filter>,

    /// the IP address of the client that sent it
    #[argh(option)]
    pub client_ip: Option<IpAddr>,

    /// the host name of that client
    #[argh(option)]
    pub client_name: Option<String>,

    /// what that client called itself
    #[argh(option)]
    pub helo: Option<String>,

    /// the mail server's queue id
    #[argh(option)]
    pub qid: Option<String>,

    /// the name with which the sender had logged in
    #[argh(option)]
    pub user: Option<String>,

    /// further envelope recipients
    #[argh(positional, from_str_fn(address))]
    pub recipients: Vec<Address>,
}

/// An envelope sender, verbatim; "" is the null sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender(pub String);

/// list messages, newest first
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "list", help_triggers("-h", "--help"))]
pub struct List {
    /// whose: global (default), a domain, or an address
    #[argh(positional)]
    pub scope: Option<String>,

    /// the folder: caught (default), outgoing, training or trash
    #[argh(option, default = "Kept::Caught", from_str_fn(kept))]
    pub folder: Kept,

    /// only messages whose sender, recipient, subject, id or reference holds this text
    #[argh(option)]
    pub search: Option<String>,

    /// at most so many (default: 100)
    #[argh(option, default = "100")]
    pub limit: usize,

    /// one JSON object a line
    #[argh(switch)]
    pub json: bool,
}

/// show a message: why it is here, what happened to it, its header
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "show", help_triggers("-h", "--help"))]
pub struct Show {
    /// the message id, or the start of it
    #[argh(positional)]
    pub id: String,

    /// the message itself, byte for byte as it came
    #[argh(switch)]
    pub raw: bool,

    /// one JSON object
    #[argh(switch)]
    pub json: bool,
}

/// deliver messages to the recipients in whose trees they lie
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "release", help_triggers("-h", "--help"))]
pub struct Release {
    /// also report them to the filter as wrongly caught
    #[argh(switch)]
    pub train: bool,

    /// one JSON object a line
    #[argh(switch)]
    pub json: bool,

    /// message ids
    #[argh(positional)]
    pub ids: Vec<String>,
}

/// report messages to the filter; they go to Trash
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "train", help_triggers("-h", "--help"))]
pub struct Train {
    /// ham (wrongly caught) or spam
    #[argh(positional, from_str_fn(ham))]
    pub ham: bool,

    /// one JSON object a line
    #[argh(switch)]
    pub json: bool,

    /// message ids
    #[argh(positional)]
    pub ids: Vec<String>,
}

/// put messages into Trash; what is there already is removed for good
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "remove", help_triggers("-h", "--help"))]
pub struct Remove {
    /// one JSON object a line
    #[argh(switch)]
    pub json: bool,

    /// message ids
    #[argh(positional)]
    pub ids: Vec<String>,
}

/// remove what has expired, now
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "expire", help_triggers("-h", "--help"))]
pub struct Expire {
    /// only say what would be removed
    #[argh(switch)]
    pub dry_run: bool,

    /// one JSON object a line
    #[argh(switch)]
    pub json: bool,
}

/// check the configuration, the accounts and the store, and say what is wrong
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "check", help_triggers("-h", "--help"))]
pub struct Check {
    /// put right in the store what can be put right; the server must not run
    #[argh(switch)]
    pub repair: bool,

    /// only the configuration and the accounts
    #[argh(switch)]
    pub config_only: bool,

    /// one JSON object for each finding
    #[argh(switch)]
    pub json: bool,
}

/// short texts about folders, accounts, doors, doctor, exit; `lazaret help TOPIC` is the same
#[derive(FromArgs, Debug, PartialEq)]
#[argh(subcommand, name = "topic", help_triggers("-h", "--help"))]
pub struct Help {
    /// about what
    #[argh(positional)]
    pub topic: Option<String>,
}

/// Reads what was typed, without the program's own name.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, Stop> {
    let mut words = Vec::new();
    for arg in args {
        let word = arg.into_string().map_err(|raw| {
            let text = format!("the argument {:?} is not UTF-8\n", raw.to_string_lossy());
            Stop { text, exit: Exit::Usage }
        })?;
        words.push(word);
    }
    if matches!(words.as_slice(), [only] if only == "--version" || only == "-V") {
        return Err(Stop { text: format!("lazaret {}\n", env!("CARGO_PKG_VERSION")), exit: Exit::Done });
    }
    let words = rewrite(words);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match Top::from_args(&["lazaret"], &words) {
        Ok(top) => {
            ids(&top.command)?;
            Ok(Invocation { config: top.config, command: top.command })
        }
        Err(early) => {
            let exit = if early.status.is_ok() { Exit::Done } else { Exit::Usage };
            let mut text = early.output;
            if !text.ends_with('\n') {
                text.push('\n');
            }
            Err(Stop { text, exit })
        }
    }
}

/// `--option=value` becomes two words; `--config FILE` comes to the front; the command `help`, a name that argh keeps for
/// itself, becomes `topic`. What follows `--` stays as it is.
fn rewrite(words: Vec<String>) -> Vec<String> {
    let mut config = Vec::new();
    let mut rest = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            rest.push(word);
            break;
        }
        let (name, value) = match word.strip_prefix("--").and_then(|w| w.split_once('=')) {
            Some((name, value)) => (format!("--{name}"), Some(value.to_string())),
            None => (word, None),
        };
        let target = if matches!(name.as_str(), "--config" | "-c") { &mut config } else { &mut rest };
        let takes_next = matches!(name.as_str(), "--config" | "-c") && value.is_none();
        target.push(name);
        target.extend(value);
        if takes_next {
            target.extend(words.next());
        }
    }
    if let Some(first) = rest.first_mut().filter(|word| *word == "help") {
        *first = "topic".to_string();
    }
    config.into_iter().chain(rest).chain(words).collect()
}

/// Commands on messages need one at least; argh takes a list that may be empty.
fn ids(command: &Command) -> Result<(), Stop> {
    let (name, empty) = match command {
        Command::Release(c) => ("release", c.ids.is_empty()),
        Command::Train(c) => ("train", c.ids.is_empty()),
        Command::Remove(c) => ("remove", c.ids.is_empty()),
        Command::Allow(Allow { senders, .. })
        | Command::Block(Block { senders, .. })
        | Command::Unlist(Unlist { senders, .. })
            if senders.is_empty() =>
        {
            let text = "lazaret: no sender given: expected an address or a domain\n".to_string();
            return Err(Stop { text, exit: Exit::Usage });
        }
        Command::Deposit(c) if c.to.is_empty() && c.recipients.is_empty() => {
            let text = "lazaret deposit: no recipient: give --to ADDRESS\n".to_string();
            return Err(Stop { text, exit: Exit::Usage });
        }
        _ => return Ok(()),
    };
    if empty {
        let text = format!("lazaret {name}: no message id given; `lazaret list` shows them\n");
        return Err(Stop { text, exit: Exit::Usage });
    }
    Ok(())
}

impl Deposit {
    /// All recipients, in the order given.
    pub fn all_recipients(&self) -> impl Iterator<Item = &Address> {
        self.to.iter().chain(&self.recipients)
    }
}

fn address(text: &str) -> Result<Address, String> {
    let inner = text.strip_prefix('<').and_then(|t| t.strip_suffix('>')).unwrap_or(text);
    Address::parse(inner).map_err(|e| e.to_string())
}

fn sender(text: &str) -> Result<Sender, String> {
    let inner = text.strip_prefix('<').and_then(|t| t.strip_suffix('>')).unwrap_or(text);
    // Postfix's pipe transport calls the null sender so unless told otherwise (pipe(8), null_sender).
    if inner.eq_ignore_ascii_case("MAILER-DAEMON") {
        return Ok(Sender(String::new()));
    }
    let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | '"' | '\\');
    match Address::parse(inner) {
        Ok(address) => Ok(Sender(address.to_string())),
        // It is only recorded: long VERP senders are real, and a refusal here would become a bounce.
        Err(_) if inner.len() <= limits::REVERSE_PATH && !inner.contains(odd) => Ok(Sender(inner.to_string())),
        Err(e) => Err(e.to_string()),
    }
}

fn class(text: &str) -> Result<Class, String> {
    Class::from_word(text).ok_or_else(|| one_of(Class::ALL.map(Class::word)))
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::from_word(text).ok_or_else(|| one_of(Kind::ALL.map(Kind::word)))
}

fn filter(text: &str) -> Result<Filter, String> {
    Filter::from_word(text).ok_or_else(|| one_of(Filter::ALL.map(Filter::word)))
}

fn kept(text: &str) -> Result<Kept, String> {
    let known = Kept::ALL.into_iter().find(|k| k.directory().eq_ignore_ascii_case(text));
    known.ok_or_else(|| one_of(Kept::ALL.map(Kept::directory)).to_lowercase())
}

fn ham(text: &str) -> Result<bool, String> {
    match text {
        "ham" => Ok(true),
        "spam" => Ok(false),
        _ => Err(one_of(["ham", "spam"])),
    }
}

fn one_of<const N: usize>(words: [&str; N]) -> String {
    format!("expected {}", words.join(", "))
}

#[cfg(test)]
mod tests;
