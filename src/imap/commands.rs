//! The commands: the one table of their names, of when they are allowed and of what may be announced during them.

use super::parser::{Parser, Parsing};
use super::request::{QuotaAsk, Request, RightsAsk};
use super::{parse, parse_fetch, parse_list, parse_notify, parse_query};

/// States in which a command is allowed (RFC 3501 3), as a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct States(u8);

impl States {
    /// Before login.
    pub const NOBODY: States = States(1);
    /// After login, no folder open.
    pub const USER: States = States(2);
    /// A folder is open.
    pub const OPEN: States = States(4);
    /// Logged in, with or without a folder.
    const LOGGED_IN: States = States(6);
    /// Always.
    const ANY: States = States(7);

    /// Whether `state` is in this set.
    pub fn has(self, state: States) -> bool {
        self.0 & state.0 != 0
    }
}

/// Whether EXPUNGE may be announced while the command runs (RFC 3501 7.4.1): it changes sequence numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// They may change.
    MayChange,
    /// They must stay: the command used them.
    Stay,
}

/// One command.
#[derive(Debug)]
pub struct Command {
    /// Upper-case; commands with UID in front have it in the name.
    pub name: &'static str,
    /// When it is allowed.
    pub states: States,
    /// What may be announced.
    pub numbers: Numbers,
    /// Parses its arguments, the space before them included.
    pub parse: fn(&mut Parser<'_>) -> Parsing<Request>,
}

impl Command {
    /// The command with this name, in any case.
    pub fn by_name(name: &[u8]) -> Option<&'static Command> {
        COMMANDS.iter().find(|c| c.name.as_bytes().eq_ignore_ascii_case(name))
    }
}

const fn command(
    name: &'static str,
    states: States,
    numbers: Numbers,
    parse: fn(&mut Parser<'_>) -> Parsing<Request>,
) -> Command {
    Command { name, states, numbers, parse }
}

use Numbers::{MayChange, Stay};

/// All commands.
pub const COMMANDS: &[Command] = &[
    // any state
    command("CAPABILITY", States::ANY, MayChange, |_| Ok(Request::Capability)),
    command("NOOP", States::ANY, MayChange, |_| Ok(Request::Noop)),
    command("LOGOUT", States::ANY, MayChange, |_| Ok(Request::Logout)),
    command("ID", States::ANY, MayChange, parse::id),
    // before login
    command("STARTTLS", States::NOBODY, MayChange, |_| Ok(Request::StartTls)),
    command("AUTHENTICATE", States::NOBODY, MayChange, parse::authenticate),
    command("LOGIN", States::NOBODY, MayChange, parse::login),
    // logged in
    command("ENABLE", States::LOGGED_IN, MayChange, parse::enable),
    command("SELECT", States::LOGGED_IN, MayChange, |p| parse::select(p, false)),
    command("EXAMINE", States::LOGGED_IN, MayChange, |p| parse::select(p, true)),
    command("CREATE", States::LOGGED_IN, MayChange, |p| parse::one_mailbox(p).map(Request::Create)),
    command("DELETE", States::LOGGED_IN, MayChange, |p| parse::one_mailbox(p).map(Request::Delete)),
    command("RENAME", States::LOGGED_IN, MayChange, parse::rename),
    command("SUBSCRIBE", States::LOGGED_IN, MayChange, |p| parse::subscribe(p, true)),
    command("UNSUBSCRIBE", States::LOGGED_IN, MayChange, |p| parse::subscribe(p, false)),
    command("LIST", States::LOGGED_IN, MayChange, parse_list::list),
    command("LSUB", States::LOGGED_IN, MayChange, parse_list::lsub),
    command("STATUS", States::LOGGED_IN, MayChange, parse::status),
    command("NAMESPACE", States::LOGGED_IN, MayChange, |_| Ok(Request::Namespace)),
    command("APPEND", States::LOGGED_IN, MayChange, |_| Ok(Request::Append)),
    command("IDLE", States::LOGGED_IN, MayChange, |_| Ok(Request::Idle)),
    command("NOTIFY", States::LOGGED_IN, MayChange, parse_notify::notify),
    command("MYRIGHTS", States::LOGGED_IN, MayChange, |p| parse::rights(p, |_| Ok(RightsAsk::Mine))),
    command("GETACL", States::LOGGED_IN, MayChange, |p| parse::rights(p, |_| Ok(RightsAsk::All))),
    command("LISTRIGHTS", States::LOGGED_IN, MayChange, |p| parse::rights(p, parse::identifier)),
    command("SETACL", States::LOGGED_IN, MayChange, |p| parse::change_rights(p, 3)),
    command("DELETEACL", States::LOGGED_IN, MayChange, |p| parse::change_rights(p, 2)),
    command("COMPRESS", States::LOGGED_IN, MayChange, parse::compress),
    command("GETQUOTA", States::LOGGED_IN, MayChange, parse::get_quota),
    command("GETQUOTAROOT", States::LOGGED_IN, MayChange, |p| {
        parse::one_mailbox(p).map(QuotaAsk::Mailbox).map(Request::Quota)
    }),
    command("SETQUOTA", States::LOGGED_IN, MayChange, parse::set_quota),
    // a folder is open
    command("CHECK", States::OPEN, MayChange, |_| Ok(Request::Noop)),
    command("CLOSE", States::OPEN, MayChange, |_| Ok(Request::Close { expunge: true })),
    command("UNSELECT", States::OPEN, MayChange, |_| Ok(Request::Close { expunge: false })),
    command("EXPUNGE", States::OPEN, MayChange, |_| Ok(Request::Expunge(None))),
    command("UID EXPUNGE", States::OPEN, MayChange, parse::uid_expunge),
    command("SEARCH", States::OPEN, Stay, |p| parse_query::search(p, false)),
    command("UID SEARCH", States::OPEN, MayChange, |p| parse_query::search(p, true)),
    command("SORT", States::OPEN, Stay, |p| parse_query::sort(p, false)),
    command("UID SORT", States::OPEN, MayChange, |p| parse_query::sort(p, true)),
    command("THREAD", States::OPEN, Stay, |p| parse_query::thread(p, false)),
    command("UID THREAD", States::OPEN, MayChange, |p| parse_query::thread(p, true)),
    command("CANCELUPDATE", States::OPEN, MayChange, parse_query::cancel_update),
    command("FETCH", States::OPEN, Stay, |p| parse_fetch::fetch(p, false)),
    command("UID FETCH", States::OPEN, MayChange, |p| parse_fetch::fetch(p, true)),
    command("STORE", States::OPEN, Stay, |p| parse::store(p, false)),
    command("UID STORE", States::OPEN, MayChange, |p| parse::store(p, true)),
    command("COPY", States::OPEN, MayChange, |p| parse::transfer(p, false, false)),
    command("UID COPY", States::OPEN, MayChange, |p| parse::transfer(p, true, false)),
    command("MOVE", States::OPEN, MayChange, |p| parse::transfer(p, false, true)),
    command("UID MOVE", States::OPEN, MayChange, |p| parse::transfer(p, true, true)),
];
