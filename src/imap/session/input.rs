//! From input to the job that carries out the next command.

use super::folders::FoldersJob;
use super::notify::Moment;
use super::reply::Reply;
use super::{After, Flow, Job, Session, State};
use crate::base::limits;
use crate::imap::capability;
use crate::imap::commands::{Numbers, States};
use crate::imap::fragment::Event;
use crate::imap::parse::{self, Parsed};
use crate::imap::question::Question;
use crate::imap::request::Request;
use crate::imap::write::push;

impl Session {
    /// Reads the next command.
    pub(super) fn read(&mut self, out: &mut Vec<u8>) -> Flow {
        if matches!(self.state, State::Nobody) && self.input.first() == Some(0x16) {
            // the first byte of a TLS handshake, which has no line end to wait for
            return Flow::Next(Job::Bye("this port does not begin with TLS: use STARTTLS, or the port for TLS"));
        }
        // RFC 5465 3: what changes is told between commands, too
        if self.notify.is_some() && std::mem::take(&mut self.woken) {
            return self.look(Moment::Between, After::Read);
        }
        match self.input.event() {
            Event::More => Flow::Wait(Job::Read),
            Event::Literal { size, sync } => self.literal(size, sync, out),
            Event::Line => {
                let parsed = parse::command_in(self.input.text(), self.enabled);
                self.input.done();
                self.begin(parsed, out)
            }
            Event::Skipped => {
                let tag = parse::tag(self.input.text());
                self.input.done();
                self.too_big(tag)
            }
            Event::Streamed => Flow::Next(Job::Read),
        }
    }

    fn literal(&mut self, size: u64, sync: bool, out: &mut Vec<u8>) -> Flow {
        let nobody = matches!(self.state, State::Nobody);
        if !nobody && let Some((tag, head)) = parse::append_head(self.input.text(), self.enabled) {
            (self.tag, self.numbers) = (tag, Numbers::MayChange);
            return self.append(head, size, sync);
        }
        let most = if nobody { limits::IMAP_LITERALS_BEFORE_LOGIN } else { limits::IMAP_LITERALS };
        if size <= most.saturating_sub(self.input.gathered()) as u64 {
            self.input.gather();
            if sync {
                out.extend_from_slice(b"+ go on\r\n");
            }
            return Flow::Next(Job::Read);
        }
        self.refuse_literal(size, sync).unwrap_or_else(|| {
            let tag = parse::tag(self.input.text());
            self.input.done();
            self.too_big(tag)
        })
    }

    /// Skips a literal that is not wanted; the flow that does it, or `None` when it will not come: the client waited.
    pub(super) fn refuse_literal(&mut self, size: u64, sync: bool) -> Option<Flow> {
        if sync {
            return None;
        }
        if size > limits::IMAP_SKIP {
            return Some(Flow::Next(Job::Bye("[TOOBIG] that literal is too large even to be skipped")));
        }
        self.input.skip();
        Some(Flow::Next(Job::Read))
    }

    fn too_big(&mut self, tag: Option<String>) -> Flow {
        self.tag = tag.unwrap_or_else(|| "*".to_string());
        Flow::Next(Job::Reply(Reply::bad("this command is too long").with_code("TOOBIG")))
    }

    /// Starts a command.
    fn begin(&mut self, parsed: Parsed, out: &mut Vec<u8>) -> Flow {
        self.tag = parsed.tag.unwrap_or_else(|| "*".to_string());
        let Some(command) = parsed.command else {
            if matches!(self.state, State::Nobody) && is_http(&self.tag) {
                return Flow::Next(Job::Bye("this is an IMAP server"));
            }
            let reply = parsed.request.err().map_or_else(|| Reply::bad("unknown command"), Reply::from);
            return Flow::Next(Job::Reply(reply));
        };
        if !command.states.has(self.states()) {
            let reply = match self.states() {
                States::NOBODY => Reply::bad("log in first"),
                States::USER if command.states == States::OPEN => Reply::bad("select a folder first"),
                _ => Reply::bad("this is only possible before login"),
            };
            return Flow::Next(Job::Reply(reply));
        }
        self.numbers = command.numbers;
        match parsed.request {
            Ok(request) => self.execute(request, out),
            Err(bad) => Flow::Next(Job::Reply(bad.into())),
        }
    }

    fn execute(&mut self, request: Request, out: &mut Vec<u8>) -> Flow {
        match request {
            Request::Capability => {
                push(out, format_args!("* CAPABILITY {}\r\n", self.capabilities()));
                self.finish(Reply::ok("these"))
            }
            Request::Noop => self.finish(Reply::ok("done")),
            Request::Logout => {
                out.extend_from_slice(b"* BYE goodbye\r\n");
                Reply::ok("goodbye").write(&self.tag, out);
                Flow::Next(Job::Closed)
            }
            Request::Id => {
                out.extend_from_slice(b"* ID (\"name\" \"Lazaret\")\r\n");
                self.finish(Reply::ok("that is me"))
            }
            Request::StartTls => self.start_tls(out),
            Request::Authenticate { mechanism, initial } => self.authenticate(&mechanism, initial, out),
            Request::Login { user, password } => self.login(user, password),
            Request::Enable(names) => {
                let had = self.enabled;
                out.extend_from_slice(b"* ENABLED");
                // RFC 5161 3.1: what is not known is left out
                for name in names.iter().filter_map(|name| self.enabled.enable(name)) {
                    push(out, format_args!(" {name}"));
                }
                out.extend_from_slice(b"\r\n");
                if std::mem::replace(&mut self.enabled.condstore, had.condstore) {
                    self.condstore(out);
                }
                if let Some(view) = self.enabled.rev2.then(|| self.view_mut()).flatten() {
                    view.recent = Default::default();
                }
                self.finish(Reply::ok("done"))
            }
            Request::Namespace => {
                // RFC 2342 5
                out.extend_from_slice(b"* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
                self.finish(Reply::ok("done"))
            }
            Request::Create(name) => {
                let name = name.strip_suffix('/').map(str::to_string).unwrap_or(name);
                Flow::Ask(Question::Folder(name), Job::Folders(FoldersJob::Create))
            }
            Request::Delete(name) | Request::Rename(name) => {
                Flow::Ask(Question::Folder(name), Job::Folders(FoldersJob::Change))
            }
            Request::Subscribe { mailbox, on } => Flow::Ask(Question::Subscribe(mailbox, on), Job::Plain("done")),
            Request::List(list) => self.list(list, out),
            Request::Status { mailbox, items } => {
                Flow::Ask(Question::Status(mailbox.clone()), Job::Folders(FoldersJob::Status { mailbox, items }))
            }
            Request::Rights { mailbox, ask } => {
                Flow::Ask(Question::Folder(mailbox.clone()), Job::Folders(FoldersJob::Rights { mailbox, ask }))
            }
            Request::Compress(mechanism) => self.compress(&mechanism, out),
            Request::Quota(ask) => self.quota(ask),
            Request::ChangeRights => self.finish(Reply::no("NOPERM", "the rights of these folders are fixed")),
            Request::Idle => {
                out.extend_from_slice(b"+ idling\r\n");
                self.input.set_plain(true);
                // what changed before IDLE is told at once
                self.woken = true;
                Flow::Next(Job::Idle)
            }
            Request::Select { mailbox, read_only, known } => self.select(mailbox, read_only, known, out),
            Request::Notify(notify) => self.notify(notify),
            Request::Close { expunge } => self.close(expunge),
            Request::Expunge(set) => self.expunge(set),
            Request::Search { uid, query } => self.search(uid, *query, out),
            Request::BadCharset { save } => self.bad_charset(save),
            Request::CancelUpdate(tags) => self.cancel_update(&tags),
            Request::Fetch { uid, set, items, modifiers } => self.fetch(uid, &set, items, modifiers, out),
            Request::Store { uid, set, mode, silent, flags, unchanged_since } => {
                self.store(uid, &set, mode, silent, flags, unchanged_since, out)
            }
            Request::Transfer { uid, set, target, take } => self.transfer(uid, &set, target, take),
            Request::Append => Flow::Next(Job::Reply(Reply::bad(
                "APPEND takes a mailbox, flags and a date if wanted, and the message as a literal",
            ))),
        }
    }

    /// IDLE goes on until DONE (RFC 2177).
    pub(super) fn idle(&mut self) -> Flow {
        // before input: what is told does not depend on how much of it is there
        if std::mem::take(&mut self.woken) {
            return self.look(Moment::Idle, After::Idle);
        }
        match self.input.event() {
            Event::More => Flow::Wait(Job::Idle),
            event => {
                let done = event == Event::Line && self.input.text().trim_ascii_end().eq_ignore_ascii_case(b"DONE");
                self.input.done();
                self.input.set_plain(false);
                if done {
                    self.finish(Reply::ok("done"))
                } else {
                    Flow::Next(Job::Reply(Reply::bad("IDLE ends with DONE")))
                }
            }
        }
    }

    /// What is offered depends on what was done so far (RFC 3501 6.1.1, 6.2.1).
    pub(super) fn capabilities(&self) -> String {
        capability::list(&self.options, !matches!(self.state, State::Nobody), self.may_log_in())
    }
}

/// A browser, or somebody who makes one speak to us: not one byte more of it is a command.
fn is_http(tag: &str) -> bool {
    matches!(tag, "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "CONNECT" | "PATCH" | "TRACE" | "PRI")
}
