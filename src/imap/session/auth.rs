//! Greeting, TLS and login (RFC 3501 6.2, RFC 4959, RFC 4616, draft-murchison-sasl-login).

use super::reply::Reply;
use super::{Flow, Job, Session, State, Tls};
use crate::base::{Secret, limits};
use crate::imap::fragment::Event;
use crate::imap::question::{Answer, Question};
use crate::imap::write::{self, push};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A login that goes on.
#[derive(Debug)]
pub(super) enum Auth {
    /// PLAIN: the one response is waited for.
    Plain,
    /// LOGIN: the name is waited for.
    Name,
    /// LOGIN: the password is waited for.
    Password(String),
    /// The bridge checks this user's password.
    Checking(String),
    /// SCRAM-SHA-256: the first message is waited for, or looked at.
    Scram,
    /// SCRAM-SHA-256: the last message is waited for, or looked at.
    ScramProof,
    /// SCRAM-SHA-256: this user is logged in once the client has read the server's last message.
    ScramRead(String),
}

/// LOGIN's prompts, `Username:` and `Password:` in base64.
const ASK_NAME: &[u8] = b"+ VXNlcm5hbWU6\r\n";
const ASK_PASSWORD: &[u8] = b"+ UGFzc3dvcmQ6\r\n";

impl Session {
    /// `* OK [CAPABILITY …] …` (RFC 3501 7.1).
    pub(super) fn greet(&mut self, out: &mut Vec<u8>) -> Flow {
        push(out, format_args!("* OK [CAPABILITY {}] ", self.capabilities()));
        write::text(out, &format!("{} Lazaret is ready", self.options.host));
        out.extend_from_slice(b"\r\n");
        Flow::Next(Job::Read)
    }

    /// Whether a password may be sent now.
    pub(super) fn may_log_in(&self) -> bool {
        self.options.tls == Tls::Active || self.options.plain_login
    }

    pub(super) fn start_tls(&mut self, out: &mut Vec<u8>) -> Flow {
        match self.options.tls {
            Tls::Offered => {
                Reply::ok("begin TLS now").write(&self.tag, out);
                Flow::Next(Job::StartTls)
            }
            Tls::Active => Flow::Next(Job::Reply(Reply::bad("TLS is active already"))),
            Tls::Absent => Flow::Next(Job::Reply(Reply::bad("there is no TLS here"))),
        }
    }

    /// COMPRESS (RFC 4978).
    pub(super) fn compress(&mut self, mechanism: &str, out: &mut Vec<u8>) -> Flow {
        if mechanism != "DEFLATE" {
            Flow::Next(Job::Reply(Reply::bad("the mechanism is DEFLATE")))
        } else if self.compressed {
            self.finish(Reply::no("COMPRESSIONACTIVE", "COMPRESS has done that already"))
        } else {
            Reply::ok("compressed from here on").write(&self.tag, out);
            Flow::Next(Job::StartDeflate)
        }
    }

    pub(super) fn login(&mut self, user: String, password: Secret<Vec<u8>>) -> Flow {
        match self.refuse_clear() {
            Some(flow) => flow,
            None => self.check(user, password),
        }
    }

    pub(super) fn authenticate(
        &mut self,
        mechanism: &str,
        initial: Option<Secret<Vec<u8>>>,
        out: &mut Vec<u8>,
    ) -> Flow {
        let (job, prompt) = match mechanism {
            "PLAIN" => (Auth::Plain, &b"+ \r\n"[..]),
            "LOGIN" => (Auth::Name, ASK_NAME),
            "SCRAM-SHA-256" if self.options.scram => (Auth::Scram, &b"+ \r\n"[..]),
            _ => return self.finish(Reply::no("CANNOT", "this mechanism is not announced: see CAPABILITY")),
        };
        if let Some(flow) = self.refuse_clear() {
            return flow;
        }
        match initial {
            // RFC 4959 3: `=` stands for an empty response
            Some(initial) if initial.expose() == b"=" => self.response(job, b"", out),
            Some(initial) => self.response(job, initial.expose(), out),
            None => {
                out.extend_from_slice(prompt);
                self.input.set_plain(true);
                Flow::Next(Job::Auth(job))
            }
        }
    }

    /// Waits for the client's next response.
    pub(super) fn auth_line(&mut self, job: Auth, out: &mut Vec<u8>) -> Flow {
        let event = self.input.event();
        if event == Event::More {
            return Flow::Wait(Job::Auth(job));
        }
        let line = self.input.text().trim_ascii_end().to_vec();
        self.input.done();
        self.input.set_plain(false);
        match (event, line.as_slice()) {
            // RFC 3501 6.2.2: a lone star cancels, and the answer is BAD
            (Event::Line, b"*") => Flow::Next(Job::Reply(Reply::bad("cancelled"))),
            (Event::Line, line) => self.response(job, line, out),
            _ => Flow::Next(Job::Reply(Reply::bad("that response is too long"))),
        }
    }

    fn response(&mut self, job: Auth, base64: &[u8], out: &mut Vec<u8>) -> Flow {
        let Ok(response) = STANDARD.decode(base64) else {
            return Flow::Next(Job::Reply(Reply::bad("this is not base64")));
        };
        match job {
            Auth::Plain => self.plain(&response),
            Auth::Name => match String::from_utf8(response) {
                Ok(user) => {
                    out.extend_from_slice(ASK_PASSWORD);
                    self.input.set_plain(true);
                    Flow::Next(Job::Auth(Auth::Password(user)))
                }
                Err(_) => self.failed("a login name is UTF-8"),
            },
            Auth::Password(user) => self.check(user, Secret::new(response)),
            Auth::Scram | Auth::ScramProof if response.len() > 3 * limits::CREDENTIAL => {
                Flow::Next(Job::Reply(Reply::bad("that response is too long")))
            }
            Auth::Scram => Flow::Ask(Question::ScramBegin(Secret::new(response)), Job::Auth(Auth::Scram)),
            Auth::ScramProof => Flow::Ask(Question::ScramEnd(Secret::new(response)), Job::Auth(Auth::ScramProof)),
            // RFC 5802 5: nothing is left to be said
            Auth::ScramRead(user) if response.is_empty() => self.welcome(user),
            Auth::ScramRead(_) => Flow::Next(Job::Reply(Reply::bad("the last response is empty"))),
            Auth::Checking(_) => Flow::Next(Job::Reply(Reply::bug())),
        }
    }

    /// RFC 4616 2: `authzid NUL authcid NUL password`.
    fn plain(&mut self, response: &[u8]) -> Flow {
        let mut parts = response.split(|&b| b == 0);
        let (Some(other), Some(user), Some(password), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Flow::Next(Job::Reply(Reply::bad("a PLAIN response has three parts")));
        };
        if !other.is_empty() && other != user {
            return self.finish(Reply::no("AUTHORIZATIONFAILED", "nobody may act for somebody else here"));
        }
        match std::str::from_utf8(user) {
            Ok(user) => self.check(user.to_string(), Secret::new(password.to_vec())),
            Err(_) => self.failed("a login name is UTF-8"),
        }
    }

    fn check(&mut self, user: String, password: Secret<Vec<u8>>) -> Flow {
        if user.is_empty() || user.len() > limits::CREDENTIAL || password.expose().len() > limits::CREDENTIAL {
            return self.failed("wrong login name or password");
        }
        let job = Job::Auth(Auth::Checking(user.clone()));
        Flow::Ask(Question::Login { user, password }, job)
    }

    pub(super) fn logged_in(&mut self, job: Auth, answer: Answer, out: &mut Vec<u8>) -> Flow {
        match (job, answer) {
            (Auth::Checking(user), Answer::LoggedIn) => self.welcome(user),
            (Auth::Scram, Answer::Challenge(message)) => self.go_on(&message, Auth::ScramProof, out),
            (Auth::ScramProof, Answer::Proved { user, message }) => self.go_on(&message, Auth::ScramRead(user), out),
            (_, Answer::Refused(refusal)) => {
                self.errors += 1;
                self.pause = Some(refusal.pause);
                Flow::Next(Job::Reply(refusal.into()))
            }
            _ => Flow::Next(Job::Reply(Reply::bug())),
        }
    }

    fn welcome(&mut self, user: String) -> Flow {
        self.user = user;
        self.state = State::User;
        // RFC 3501 6.2.2, 6.2.3: clients need not ask what has changed
        let code = format!("CAPABILITY {}", self.capabilities());
        Flow::Next(Job::Reply(Reply::ok("welcome").with_code(code)))
    }

    /// Sends a challenge and waits for the response.
    fn go_on(&mut self, message: &[u8], job: Auth, out: &mut Vec<u8>) -> Flow {
        push(out, format_args!("+ {}\r\n", STANDARD.encode(message)));
        self.input.set_plain(true);
        Flow::Next(Job::Auth(job))
    }

    fn failed(&mut self, text: &'static str) -> Flow {
        self.errors += 1;
        Flow::Next(Job::Reply(Reply::no("AUTHENTICATIONFAILED", text)))
    }

    fn refuse_clear(&mut self) -> Option<Flow> {
        // the password may be known to others by now; RFC 5530 has a code for saying so
        let text = "use TLS first; if you sent a password, it travelled in clear and should be changed";
        (!self.may_log_in()).then(|| self.finish(Reply::no("PRIVACYREQUIRED", text)))
    }
}
