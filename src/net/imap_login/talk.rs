//! The few commands of a login, and what a server says to them.

use crate::base::limits;
use crate::mail::token::quote;
use crate::net::stream::{Stream, write_all};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use imap_proto::{Capability, Outcome, RequestId, Response, Status};
use smol::io::AsyncReadExt;

/// Every command has this tag: there is one at a time.
const TAG: &str = "a";

/// RFC 5530 3: refusals that say nothing of the password.
const NOT_NOW: [&str; 7] =
    ["UNAVAILABLE", "INUSE", "LIMIT", "SERVERBUG", "CONTACTADMIN", "PRIVACYREQUIRED", "CLIENTBUG"];

/// What a server offers, as far as a login needs it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Offers {
    /// AUTHENTICATE PLAIN.
    plain: bool,
    /// Its response in the same line (RFC 4959).
    at_once: bool,
    /// LOGIN is refused (RFC 3501 6.2.3).
    no_login: bool,
    start_tls: bool,
}

impl Offers {
    fn of(capabilities: &[Capability<'_>]) -> Offers {
        let mut offers = Offers::default();
        for capability in capabilities {
            match capability {
                Capability::Auth(mechanism) => offers.plain |= mechanism.eq_ignore_ascii_case("PLAIN"),
                Capability::Atom(name) => {
                    offers.at_once |= name.eq_ignore_ascii_case("SASL-IR");
                    offers.no_login |= name.eq_ignore_ascii_case("LOGINDISABLED");
                    offers.start_tls |= name.eq_ignore_ascii_case("STARTTLS");
                }
                Capability::Imap4rev1 => {}
            }
        }
        offers
    }
}

/// One line of a server, as far as a login needs it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// `+`
    GoOn,
    /// `* OK`, `a NO` and their kin, with the response code in capitals and the text.
    State { tagged: bool, status: Status, code: String, text: String, offers: Option<Offers> },
    /// `* CAPABILITY`
    Offers(Offers),
    /// Something that a login need not know.
    Other,
}

/// What a line says; `None`: it is not IMAP.
pub(super) fn understand(line: &[u8]) -> Option<Said> {
    if line.starts_with(b"+") {
        return Some(Said::GoOn);
    }
    // imap-proto panics at a letter beyond ASCII behind a response code, and at some FETCH data: it sees neither.
    let line: Vec<u8> = line.iter().map(|&byte| if byte.is_ascii() { byte } else { b'?' }).collect();
    let mut words = line.split(|&byte| byte == b' ');
    if words.next() == Some(b"*") {
        let word = words.next().unwrap_or_default().trim_ascii_end();
        let known = ["OK", "NO", "BAD", "BYE", "PREAUTH", "CAPABILITY"];
        if !known.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes())) {
            return line.ends_with(b"\r\n").then_some(Said::Other);
        }
    }
    match Response::parse(&line) {
        Ok((b"", response)) => match response {
            Response::Done { tag: RequestId(tag), status, outcome } if tag == TAG => state(true, status, outcome),
            Response::Data { status, outcome } => state(false, status, outcome),
            Response::Capabilities(list) => Some(Said::Offers(Offers::of(&list))),
            _ => None,
        },
        // A list without IMAP4rev1, or with something odd in it: then nothing is known to be offered.
        _ if line.get(..13).is_some_and(|start| start.eq_ignore_ascii_case(b"* CAPABILITY ")) => {
            Some(Said::Offers(Offers::default()))
        }
        _ => None,
    }
}

fn state(tagged: bool, status: Status, outcome: Outcome<'_>) -> Option<Said> {
    let text = outcome.information.unwrap_or_default().into_owned();
    // A code that imap-proto does not know stays in the text.
    let code = text.strip_prefix('[').and_then(|rest| rest.split([' ', ']']).next()).unwrap_or_default();
    let offers = match outcome.code {
        Some(imap_proto::ResponseCode::Capabilities(list)) => Some(Offers::of(&list)),
        _ => None,
    };
    Some(Said::State {
        tagged,
        status,
        code: code.to_ascii_uppercase(),
        text: text.chars().take(200).collect(),
        offers,
    })
}

/// A connection, and what came over it.
pub(super) struct Talk<S> {
    stream: S,
    input: Vec<u8>,
    heard: usize,
}

impl<S: Stream> Talk<S> {
    pub(super) fn new(stream: S) -> Self {
        Talk { stream, input: Vec::new(), heard: 0 }
    }

    /// The stream, for TLS. What came in the clear behind the server's answer would be taken for what came under TLS.
    pub(super) fn into_stream(self) -> Result<S, String> {
        if self.input.is_empty() { Ok(self.stream) } else { Err("it said more before TLS than it may".to_string()) }
    }

    /// Waits for the greeting (RFC 3501 7.1).
    pub(super) async fn greeting(&mut self) -> Result<Option<Offers>, String> {
        match self.hear().await? {
            Said::State { tagged: false, status: Status::Ok, offers, .. } => Ok(offers),
            Said::State { tagged: false, status: Status::PreAuth, .. } => {
                Err("it lets everybody in without a password (PREAUTH)".to_string())
            }
            Said::State { text, .. } => Err(format!("it refuses connections: {text}")),
            _ => Err("its greeting is not that of an IMAP server".to_string()),
        }
    }

    pub(super) async fn start_tls(&mut self) -> Result<(), String> {
        self.say(b"STARTTLS").await?;
        match self.result().await? {
            (Status::Ok, _) => Ok(()),
            _ => Err("it does not begin TLS, which is required".to_string()),
        }
    }

    /// CAPABILITY (RFC 3501 6.1.1).
    pub(super) async fn capabilities(&mut self) -> Result<Offers, String> {
        self.say(b"CAPABILITY").await?;
        let mut offers = Offers::default();
        loop {
            match self.hear().await? {
                Said::Offers(found) => offers = found,
                Said::State { tagged: true, .. } => return Ok(offers),
                Said::State { status: Status::Bye, text, .. } => {
                    return Err(format!("it closes the connection: {text}"));
                }
                Said::State { .. } | Said::Other => {}
                Said::GoOn => return Err(CONFUSED.to_string()),
            }
        }
    }

    /// Whether the server lets this user in.
    pub(super) async fn log_in(&mut self, offers: &Offers, user: &[u8], password: &[u8]) -> Result<bool, String> {
        if [user, password].iter().any(|text| text.is_empty() || text.iter().any(|byte| b"\0\r\n".contains(byte))) {
            return Err("a login or password of that form is not sent".to_string());
        }
        let pieces = match offers {
            Offers { plain: true, at_once, .. } => plain(*at_once, user, password),
            Offers { no_login: true, .. } => return Err("it takes no password here (LOGINDISABLED)".to_string()),
            _ => login(user, password),
        };
        for (n, piece) in pieces.iter().enumerate() {
            if n > 0 {
                self.go_on().await?;
            }
            write_all(&mut self.stream, piece).await.map_err(|error| error.to_string())?;
        }
        match self.result().await? {
            (Status::Ok, _) => Ok(true),
            (Status::No, code) if !NOT_NOW.contains(&code.as_str()) => Ok(false),
            // The code is the server's, but one of a fixed list; its text may hold the password.
            (Status::No, code) => Err(format!("it says nothing of the password: {code}")),
            _ => Err("it does not understand the login".to_string()),
        }
    }

    /// Says goodbye; what the server says to that changes nothing.
    pub(super) async fn log_out(&mut self) {
        if self.say(b"LOGOUT").await.is_ok() {
            drop(smol::io::AsyncWriteExt::close(&mut self.stream).await);
        }
    }

    /// A command without literals, and what was said to it: the lines before its result, its status, its text.
    pub(super) async fn ask(&mut self, command: &[u8]) -> Result<(Vec<Vec<u8>>, Status, String), String> {
        self.say(command).await?;
        let mut lines = Vec::new();
        loop {
            let line = self.line().await?;
            if !line.starts_with(TAG.as_bytes()) {
                lines.push(line);
                continue;
            }
            return match understand(&line) {
                Some(Said::State { tagged: true, status, text, .. }) => Ok((lines, status, text)),
                _ => Err(CONFUSED.to_string()),
            };
        }
    }

    async fn say(&mut self, command: &[u8]) -> Result<(), String> {
        let line = [TAG.as_bytes(), b" ", command, b"\r\n"].concat();
        write_all(&mut self.stream, &line).await.map_err(|error| error.to_string())
    }

    /// Waits for `+`.
    async fn go_on(&mut self) -> Result<(), String> {
        loop {
            match self.hear().await? {
                Said::GoOn => return Ok(()),
                Said::State { tagged: true, .. } => return Err("it refuses the login before the password".to_string()),
                Said::State { status: Status::Bye, .. } => return Err(CLOSED.to_string()),
                _ => {}
            }
        }
    }

    /// Waits for a command's end: its status, and its response code.
    async fn result(&mut self) -> Result<(Status, String), String> {
        loop {
            match self.hear().await? {
                Said::State { tagged: true, status, code, .. } => return Ok((status, code)),
                Said::State { status: Status::Bye, .. } => return Err(CLOSED.to_string()),
                Said::GoOn => return Err(CONFUSED.to_string()),
                _ => {}
            }
        }
    }

    async fn hear(&mut self) -> Result<Said, String> {
        let line = self.line().await?;
        understand(&line).ok_or_else(|| CONFUSED.to_string())
    }

    async fn line(&mut self) -> Result<Vec<u8>, String> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.input) {
                let rest = self.input.split_off(end + 1);
                return Ok(std::mem::replace(&mut self.input, rest));
            }
            if self.input.len() > limits::ELSEWHERE_LINE {
                return Err(format!("it sent a line of more than {} KB", limits::ELSEWHERE_LINE >> 10));
            }
            let mut buffer = [0; 2048];
            let count = self.stream.read(&mut buffer).await.map_err(|error| error.to_string())?;
            self.heard += count;
            if count == 0 {
                return Err(CLOSED.to_string());
            }
            if self.heard > limits::ELSEWHERE_BYTES {
                return Err(format!("it says more than the {} KB of a login", limits::ELSEWHERE_BYTES >> 10));
            }
            self.input.extend_from_slice(buffer.get(..count).unwrap_or_default());
        }
    }
}

const CLOSED: &str = "it closed the connection before an answer";
const CONFUSED: &str = "its answer is not that of an IMAP server";

/// AUTHENTICATE PLAIN (RFC 3501 6.2.2, RFC 4616 2); each piece but the first waits for the server's `+`.
fn plain(at_once: bool, user: &[u8], password: &[u8]) -> Vec<Vec<u8>> {
    let response = STANDARD.encode([b"\0", user, b"\0", password].concat());
    match at_once {
        true => vec![format!("{TAG} AUTHENTICATE PLAIN {response}\r\n").into_bytes()],
        false => vec![format!("{TAG} AUTHENTICATE PLAIN\r\n").into_bytes(), format!("{response}\r\n").into_bytes()],
    }
}

/// LOGIN (RFC 3501 6.2.3); each piece but the first waits for the server's `+`.
fn login(user: &[u8], password: &[u8]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    let mut piece = format!("{TAG} LOGIN").into_bytes();
    for text in [user, password] {
        piece.push(b' ');
        if text.iter().all(|byte| (b' '..=b'~').contains(byte)) {
            quote(text, &mut piece);
        } else {
            piece.extend_from_slice(format!("{{{}}}\r\n", text.len()).as_bytes());
            pieces.push(std::mem::replace(&mut piece, text.to_vec()));
        }
    }
    piece.extend_from_slice(b"\r\n");
    pieces.push(piece);
    pieces
}
