use super::talk::understand;
use super::*;
use crate::base::Secret;
use crate::net::smtp::Tls;
use crate::net::tls::{Trust, client_config, create_self_signed};
use proptest::prelude::*;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::unix::UnixStream;
use std::net::TcpListener;

const IR: &str = "* OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ AUTH=PLAIN AUTH=LOGIN] ready\r\n";
const BARE: &str = "* OK ready\r\n";

/// Plays a server's part, `S:` what it says and `C:` what it must hear, and says what became of the login.
fn play(script: &[&str], user: &str, password: &[u8]) -> Result<bool, String> {
    smol::block_on(async {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let server = async {
            for line in script {
                match line.split_at(2) {
                    ("C:", wanted) => {
                        let mut heard = vec![0; wanted.len()];
                        theirs.read_exact(&mut heard).await.unwrap();
                        assert_eq!(String::from_utf8_lossy(&heard), wanted);
                    }
                    (_, said) => theirs.write_all(said.as_bytes()).await.unwrap(),
                }
            }
            drop(theirs);
        };
        let (result, ()) =
            smol::future::zip(converse(Box::new(ours), &Security::Plain, user.as_bytes(), password), server).await;
        result
    })
}

#[test]
fn authenticate_plain() {
    // NUL a@b NUL p"w
    let sent = "C:a AUTHENTICATE PLAIN AGFAYgBwInc=\r\n";
    let one =
        |greeting, answer: &str| play(&[&format!("S:{greeting}"), sent, &format!("S:{answer}\r\n")], "a@b", b"p\"w");
    assert_eq!(one(IR, "a OK [CAPABILITY IMAP4rev1] welcome"), Ok(true));
    assert_eq!(one(IR, "* CAPABILITY IMAP4rev1\r\n* 3 EXISTS\r\na OK in"), Ok(true));
    assert_eq!(one(IR, "a NO [AUTHENTICATIONFAILED] no"), Ok(false));
    assert_eq!(one(IR, "a NO no"), Ok(false));
    assert_eq!(one(IR, "a NO"), Ok(false));
    for code in ["UNAVAILABLE", "inuse", "LIMIT"] {
        assert!(one(IR, &format!("a NO [{code}] later")).is_err(), "{code}");
    }
    assert!(one(IR, "a BAD what").is_err());
    assert!(one(IR, "* BYE gone").unwrap_err().contains("closed"));
    assert!(one(IR, "b OK not ours").unwrap_err().contains("not that of an IMAP server"));
    let script = [
        "S:* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\r\n",
        "C:a AUTHENTICATE PLAIN\r\n",
        "S:+\r\n",
        "C:AGFAYgBwInc=\r\n",
        "S:a OK x\r\n",
        "C:a LOGOUT\r\n",
    ];
    assert_eq!(play(&script, "a@b", b"p\"w"), Ok(true));
    let script =
        ["S:* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\r\n", "C:a AUTHENTICATE PLAIN\r\n", "S:a NO not this\r\n"];
    assert!(play(&script, "a@b", b"p\"w").unwrap_err().contains("before the password"));
}

#[test]
fn login_quotes_and_literals() {
    let start = ["S:* OK ready\r\n", "C:a CAPABILITY\r\n", "S:* CAPABILITY IMAP4rev1\r\na OK x\r\n"];
    let with = |rest: &[&'static str]| [&start[..], rest].concat();
    let script = with(&["C:a LOGIN \"a@b\" \"p\\\"\\\\w\"\r\n", "S:a OK x\r\n"]);
    assert_eq!(play(&script, "a@b", b"p\"\\w"), Ok(true));
    let script = with(&["C:a LOGIN \"a@b\" {3}\r\n", "S:+ go\r\n", "C:p\u{fc}\r\n", "S:a NO x\r\n"]);
    assert_eq!(play(&script, "a@b", "pü".as_bytes()), Ok(false));
    let script = with(&["C:a LOGIN {3}\r\n", "S:+ go\r\n", "C:ü@ \"p w\"\r\n", "S:a NO x\r\n"]);
    assert_eq!(play(&script, "ü@", b"p w"), Ok(false));
}

#[test]
fn what_is_no_login_server() {
    for (script, why) in [
        (vec!["S:* BYE too many connections\r\n"], "too many connections"),
        (vec!["S:* PREAUTH welcome\r\n"], "PREAUTH"),
        (vec!["S:SSH-2.0-x\r\n"], "not that of an IMAP server"),
        (vec!["S:* OK ready\n"], "not that of an IMAP server"),
        (vec![], "closed"),
        (vec!["S:* OK read"], "closed"),
        (vec!["S:* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] x\r\n"], "LOGINDISABLED"),
        (vec!["S:* OK x\r\n", "C:a CAPABILITY\r\n", "S:* BYE x\r\n"], "closes"),
    ] {
        let error = play(&script, "a@b", b"secret").unwrap_err();
        assert!(error.contains(why) && !error.contains("secret"), "{script:?}: {error}");
    }
    for (user, password) in [("", &b"x"[..]), ("a", b""), ("a\r\nb LOGOUT", b"x"), ("a", b"x\0y"), ("a", b"x\n")] {
        assert!(play(&[&format!("S:{IR}")], user, password).unwrap_err().contains("not sent"), "{user:?}");
    }
}

#[test]
fn what_the_server_repeats_is_in_no_error() {
    let script =
        [&format!("S:{IR}"), "C:a AUTHENTICATE PLAIN AGFAYgBzZWNyZXQ=\r\n", "S:a BAD secret AGFAYgBzZWNyZXQ=\r\n"];
    let error = play(&script, "a@b", b"secret").unwrap_err();
    assert!(!error.contains("secret") && !error.contains("AGFA"), "{error}");
}

#[test]
fn an_endless_answer_ends() {
    let long = format!("S:{}", "x".repeat(limits::ELSEWHERE_LINE + 4096));
    assert!(play(&[&long], "a", b"b").unwrap_err().contains("a line of more"));
    let many = format!("S:{}", "* OK x\r\n".repeat(limits::ELSEWHERE_BYTES / 8 + 600));
    let error = play(&[&format!("S:{IR}"), "C:a AUTHENTICATE PLAIN AGEAYg==\r\n", &many], "a", b"b").unwrap_err();
    assert!(error.contains("more than the"), "{error}");
}

#[test]
fn inputs_at_which_the_parser_panics_are_kept_from_it() {
    for line in [
        "* 1 FETCH (INTERNALDATE NIL)\r\n",
        "* OK [ALERT]ü\r\n",
        "a NO [ALERT]ü\r\n",
        "+ [ALERT]ü\r\n",
        "a OK [PARSE]\r\n",
    ] {
        understand(line.as_bytes());
    }
}

proptest! {
    #[test]
    fn no_line_panics(start in prop::sample::select(vec!["", "* OK ", "a NO [", "* CAPABILITY ", "* BYE [ALERT]", "+"]),
                      bytes in prop::collection::vec(any::<u8>(), 0..80), end in prop::sample::select(vec!["", "\r\n", "]\r\n"])) {
        understand(&[start.as_bytes(), &bytes[..], end.as_bytes()].concat());
    }

    #[test]
    fn a_login_is_one_command_whatever_it_holds(user in "[^\0\r\n]{1,40}", password in prop::collection::vec(any::<u8>().prop_filter("sent", |b| !b"\0\r\n".contains(b)), 1..60)) {
        let said = smol::block_on(async {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let server = async {
                theirs.write_all(format!("{BARE}* CAPABILITY IMAP4rev1\r\na OK x\r\n+ x\r\n+ x\r\na NO x\r\n").as_bytes()).await.unwrap();
                let mut heard = Vec::new();
                theirs.read_to_end(&mut heard).await.unwrap();
                heard
            };
            smol::future::zip(converse(Box::new(ours), &Security::Plain, user.as_bytes(), &password), server).await.1
        });
        // As our own server's parser reads it.
        let said = said.strip_prefix(b"a CAPABILITY\r\n").unwrap();
        let tail = b"a LOGOUT\r\n";
        let command = said.strip_suffix(tail).unwrap_or(said);
        let lines = command.windows(2).filter(|pair| pair == b"\r\n").count();
        prop_assert!(command.starts_with(b"a LOGIN "));
        prop_assert!((1..=3).contains(&lines));
    }
}

fn errand(domain: &str, is_open: bool) -> Errand {
    Errand {
        domain: domain.into(),
        account: "a@x.test".into(),
        user: "a@x.test".into(),
        password: Secret::new(b"right".to_vec()),
        is_open: Box::new(move || is_open),
    }
}

/// Takes so many connections, one after the other, and answers each login with this.
fn serve(count: usize, answer: &'static str) -> (u16, std::thread::JoinHandle<()>) {
    use std::io::{Read, Write};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        for _ in 0..count {
            let (mut socket, _) = listener.accept().unwrap();
            socket.write_all(IR.as_bytes()).unwrap();
            let mut heard = [0; 100];
            assert!(socket.read(&mut heard).unwrap() > 0);
            socket.write_all(answer.as_bytes()).unwrap();
        }
    });
    (port, thread)
}

#[test]
fn errands() {
    let (port, thread) = serve(3, "a OK x\r\n");
    let logins = Logins::default();
    assert_eq!(smol::block_on(logins.run(&errand("x.test", true))), Outcome::Unknown, "no server");
    logins.set([("x.test".to_string(), Server::new("127.0.0.1".into(), port, Security::Plain))].into());
    assert_eq!(smol::block_on(logins.run(&errand("x.test", false))), Outcome::Settled);
    let (one, other) = (errand("x.test", true), errand("x.test", true));
    let both = smol::block_on(smol::future::zip(logins.run(&one), logins.run(&other)));
    assert_eq!(both, (Outcome::Right, Outcome::Right));
    assert_eq!(smol::block_on(logins.run(&errand("x.test", true))), Outcome::Right);
    thread.join().unwrap();
    assert_eq!(smol::block_on(logins.run(&errand("x.test", true))), Outcome::Unknown, "nobody listens");
    assert!(logins.turns().is_empty(), "who waited has left");
    assert_eq!(logins.waiting.load(Ordering::Relaxed), 0);
    logins.waiting.store(limits::ELSEWHERE_QUEUE, Ordering::Relaxed);
    assert_eq!(smol::block_on(logins.run(&errand("x.test", true))), Outcome::Unknown);
    assert_eq!(logins.waiting.load(Ordering::Relaxed), limits::ELSEWHERE_QUEUE);
}

#[test]
fn starttls_takes_nothing_from_the_clear() {
    let dir = std::env::temp_dir().join(format!("lazaret-imap-login-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&dir));
    std::fs::create_dir(&dir).unwrap();
    let (certificate, key) = (dir.join("c.pem"), dir.join("k.pem"));
    create_self_signed(&["localhost".into()], &certificate, &key).unwrap();
    let config = Arc::new(client_config(&Trust::Roots(certificate)).unwrap());
    let security = Security::StartTls(Tls { config, name: "localhost".try_into().unwrap() });
    std::fs::remove_dir_all(&dir).unwrap();
    for (answer, why) in [
        ("a OK go\r\n* OK [CAPABILITY IMAP4rev1] planted\r\n", "before TLS"),
        ("a NO not here\r\n", "required"),
        ("a BAD what\r\n", "required"),
        ("a OK go\r\n", "TLS could not be agreed on"),
    ] {
        let error = smol::block_on(async {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let server = async {
                theirs.write_all(IR.as_bytes()).await.unwrap();
                let mut heard = [0; 12];
                theirs.read_exact(&mut heard).await.unwrap();
                assert_eq!(&heard, b"a STARTTLS\r\n");
                theirs.write_all(answer.as_bytes()).await.unwrap();
                drop(theirs);
            };
            smol::future::zip(converse(Box::new(ours), &security, b"a", b"b"), server).await.0.unwrap_err()
        });
        assert!(error.contains(why), "{answer:?}: {error}");
    }
}
