//! The IMAP dialogs of one connection once more: over a socket, under TLS, through the loop that drives a session.

use super::dialog::fake::Side;
use super::dialog::script::fits;
use super::dialog::world::World;
use futures_rustls::TlsConnector;
use lazaret::bridge::{Bridge, Place};
use lazaret::imap::question::{Answer, Question, Refusal};
use lazaret::imap::{Options, Session, Tls as SessionTls};
use lazaret::net::tls::{Tls, Trust, client_config, create_self_signed};
use lazaret::net::{Connection, Ended, Pools, Stop};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use std::sync::Arc;

/// The world of one dialog as a bridge.
struct OneSide {
    world: World,
    side: Side,
}

impl Bridge<Session> for OneSide {
    fn place(&self, _: &Question) -> Place {
        Place::Disk
    }

    fn answer(&mut self, question: Question) -> Answer {
        self.side.reply(&mut self.world, question).unwrap_or_else(Answer::Refused)
    }

    fn busy(&self) -> Answer {
        Answer::Refused(Refusal::new("UNAVAILABLE", "busy"))
    }

    fn changed(&self) -> Vec<event_listener::EventListener> {
        Vec::new()
    }
}

/// What a client sends, and the patterns of what it gets: `None` where anything may come until a line begins so.
struct Script {
    input: Vec<u8>,
    wanted: Vec<Wanted>,
}

enum Wanted {
    Line(String),
    Until(&'static str),
}

/// A dialog whose client sends everything without waiting; `None`: it has more than one connection, or its time passes.
fn script(part: &str) -> Option<Script> {
    let (mut input, mut wanted) = (Vec::new(), Vec::new());
    for line in part.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "" | "#" => {}
            _ if line.starts_with('#') => {}
            "C:" => input.extend(format!("{rest}\r\n").into_bytes()),
            "R:" => input.extend(super::dialog::script::unescape(rest)),
            "S:" => wanted.push(Wanted::Line(rest.to_string())),
            "login" => {
                input.extend(b"login LOGIN alice secret\r\n");
                wanted.push(Wanted::Until("login OK"));
            }
            "open" => {
                input.extend(format!("open SELECT \"{rest}\"\r\n").into_bytes());
                wanted.push(Wanted::Until("open OK"));
            }
            _ => return None,
        }
    }
    // Plain text would be read as it is, and what comes after DEFLATE cannot.
    let text = String::from_utf8_lossy(&input).to_ascii_uppercase();
    let never = ["STARTTLS", "COMPRESS", "AUTHENTICATE"];
    (!never.iter().any(|word| text.contains(word)) && !part.contains("\ngiven ")).then_some(Script { input, wanted })
}

async fn talk(script: &Script, tls: Arc<Tls>, connector: &TlsConnector, pools: Arc<Pools>) -> (Vec<u8>, Ended) {
    let options = Options { tls: SessionTls::Active, plain_login: true, scram: false, host: "mail.example.org".into() };
    let bridge = OneSide { world: World::new(), side: Side::default() };
    let connection = Connection::new(Session::new(options), bridge, pools, Stop::new(), b"");
    let listener = smol::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let client = smol::net::TcpStream::connect(listener.local_addr().expect("its address")).await.expect("it connects");
    let (server, _) = listener.accept().await.expect("it is accepted");
    let server = smol::spawn(connection.run_tls(server, tls));
    let name = "localhost".try_into().expect("a name");
    let mut client = connector.connect(name, client).await.expect("a handshake");
    // The end of input ends the connection after the last answer.
    drop(client.write_all(&script.input).await);
    drop(client.close().await);
    let mut sent = Vec::new();
    drop(client.read_to_end(&mut sent).await);
    (sent, server.await)
}

fn judge(script: &Script, sent: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(sent).into_owned();
    let mut lines = text.lines().peekable();
    if !matches!(script.wanted.first(), Some(Wanted::Line(line)) if line.starts_with("* OK")) {
        lines.next();
    }
    for wanted in &script.wanted {
        match wanted {
            Wanted::Until(beginning) => {
                lines.find(|line| line.starts_with(beginning)).ok_or(format!("no {beginning}"))?;
            }
            Wanted::Line(pattern) => {
                let line = lines.next().ok_or(format!("nothing, wanted {pattern}"))?;
                if !fits(pattern, line) {
                    return Err(format!("got {line:?}, wanted {pattern:?}"));
                }
            }
        }
    }
    lines.next().map_or(Ok(()), |line| Err(format!("not expected: {line:?}")))
}

#[test]
fn over_tls() {
    let place = std::env::temp_dir().join(format!("lazaret-dialog-tls-{}", std::process::id()));
    std::fs::create_dir_all(&place).expect("a directory");
    let (cert, key) = (place.join("cert.pem"), place.join("key.pem"));
    create_self_signed(&["localhost".to_string()], &cert, &key).expect("a certificate");
    let tls = Arc::new(Tls::load(&cert, &key).expect("it is loaded"));
    let connector = TlsConnector::from(Arc::new(client_config(&Trust::Roots(cert)).expect("it is trusted")));
    let pools = Arc::new(Pools::new());
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialog/imap");
    let (mut count, mut failed) = (0, Vec::new());
    for path in std::fs::read_dir(folder).expect("the dialogs are there").flatten().map(|entry| entry.path()) {
        let text = std::fs::read_to_string(&path).expect("a dialog is UTF-8");
        for part in text.split("\n---\n") {
            let Some(script) = script(part) else { continue };
            let (sent, _) = smol::block_on(talk(&script, tls.clone(), &connector, pools.clone()));
            count += 1;
            if let Err(why) = judge(&script, &sent) {
                let title = part.lines().find(|line| line.starts_with('#')).unwrap_or_default();
                failed.push(format!("{}: {title}\n  {why}", path.display()));
            }
        }
    }
    drop(std::fs::remove_dir_all(place));
    assert!(failed.is_empty(), "{} of {count} failed:\n{}", failed.len(), failed.join("\n"));
    assert!(count > 50, "only {count} dialogs");
}
