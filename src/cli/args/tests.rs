use super::*;

fn run(line: &[&str]) -> Result<Invocation, Stop> {
    parse(line.iter().map(OsString::from))
}

fn command(line: &[&str]) -> Command {
    run(line).unwrap_or_else(|stop| panic!("{line:?}: {}", stop.text)).command
}

fn stop(line: &[&str]) -> Stop {
    run(line).expect_err("should stop")
}

#[test]
fn deposit_takes_everything() {
    let Command::Deposit(d) = command(&[
        "deposit",
        "--from=Bob@Example.com",
        "--to",
        "alice+x@example.org",
        "--to=<carol@example.org>",
        "--class",
        "outgoing",
        "--kind=virus",
        "--client-ip",
        "2001:db8::1",
        "--client-name",
        "a.example",
        "--helo=x=y",
        "--qid",
        "4XyZ",
        "--user",
        "bob",
        "dave@example.org",
    ]) else {
        panic!()
    };
    let to: Vec<String> = d.all_recipients().map(Address::to_string).collect();
    assert_eq!(to, ["alice+x@example.org", "carol@example.org", "dave@example.org"]);
    assert_eq!(d.from.0, "Bob@example.com");
    assert_eq!((d.class, d.kind, d.helo.as_deref()), (Class::Outgoing, Kind::Virus, Some("x=y")));
    for null in ["--from=", "--from=<>", "--from=MAILER-DAEMON"] {
        let Command::Deposit(d) = command(&["deposit", null, "--to", "a@x"]) else { panic!() };
        assert_eq!(d.from, Sender(String::new()));
    }
    for none in ["--client-ip=", "--client-ip=unknown"] {
        let Command::Deposit(d) = command(&["deposit", "--from=", none, "--to", "a@x"]) else { panic!() };
        assert_eq!(d.client_ip, Some(ClientIp(None)));
    }
    assert!(stop(&["deposit", "--from", "a@x", "--to", "nobody"]).text.contains("local-part@domain"));
    assert!(stop(&["deposit", "--from", "a@x", "--to", "a@x", "--class", "x"]).text.contains("incoming, outgoing"));
}

#[test]
fn a_wrong_argument_of_deposit_bounces_nothing() {
    for line in [
        &["deposit", "--from", "a@x"][..],
        &["deposit", "--from", "a@x", "--to", "nobody"],
        &["--config", "f", "deposit", "--from=a@x", "--to=a@x", "--client-ip=x"],
        &["deposit", "--qid=1", "--no-such-option", "-c", "f"],
    ] {
        assert_eq!(stop(line).exit, Exit::TryLater, "{line:?}");
    }
    for line in [&["list", "--no-such-option"][..], &["-c", "deposit", "lists", "--no-such-option"], &["deposits"]] {
        assert_eq!(stop(line).exit, Exit::Usage, "{line:?}");
    }
    assert_eq!(stop(&["deposit", "--help"]).exit, Exit::Done);
}

#[test]
fn config_is_taken_anywhere() {
    let file = Some(PathBuf::from("f.toml"));
    for line in [
        &["--config", "f.toml", "serve"][..],
        &["serve", "--config", "f.toml"],
        &["-c", "f.toml", "serve"],
        &["serve", "--config=f.toml"],
    ] {
        assert_eq!(run(line), Ok(Invocation { config: file.clone(), command: Command::Serve(Serve {}) }), "{line:?}");
    }
    assert_eq!(stop(&["serve", "--config"]).exit, Exit::Usage);
}

#[test]
fn help_is_for_the_asking() {
    for line in [&["-h"][..], &["--help"], &["serve", "-h"], &["user", "add", "-h"], &["user", "--help"]] {
        let stop = stop(line);
        assert_eq!(stop.exit, Exit::Done, "{line:?}: {}", stop.text);
        assert!(stop.text.starts_with("Usage: lazaret"), "{}", stop.text);
    }
    assert_eq!(command(&["help", "folders"]), Command::Help(Help { topic: Some("folders".into()) }));
    assert!(stop(&["--version"]).text.starts_with("lazaret 0."));
}

#[test]
fn mistakes_end_with_usage() {
    for line in [
        &[][..],
        &["srve"],
        &["serve", "now"],
        &["list", "--limit", "many"],
        &["release"],
        &["train", "maybe", "id"],
        &["train", "ham"],
        &["user"],
        &["user", "add"],
        &["show"],
        &["allow"],
        &["block", "--for", "example.org"],
        &["unlist", "--json"],
    ] {
        let stop = stop(line);
        assert_eq!(stop.exit, Exit::Usage, "{line:?}: {}", stop.text);
        assert!(stop.text.ends_with('\n') && stop.text.len() > 5, "{line:?}");
    }
}

#[test]
fn commands_on_messages() {
    let Command::Train(t) = command(&["train", "ham", "--json", "1.a", "2.b"]) else { panic!() };
    assert!(t.ham && t.json && t.ids == ["1.a", "2.b"]);
    let Command::Release(r) = command(&["release", "--train", "--", "--odd=id"]) else { panic!() };
    assert!(r.train && r.ids == ["--odd=id"]);
    let Command::List(l) = command(&["list"]) else { panic!() };
    assert_eq!((l.scope, l.folder, l.limit), (None, Kept::Caught, 100));
    let Command::List(l) = command(&["list", "example.org", "--folder=trash", "--search=x"]) else { panic!() };
    assert_eq!((l.scope.as_deref(), l.folder, l.search.as_deref()), (Some("example.org"), Kept::Trash, Some("x")));
}

#[test]
fn commands_on_senders() {
    let Command::Allow(a) = command(&["allow", "--for=alice@example.org", "far.example", "bob@near.example"]) else {
        panic!()
    };
    assert_eq!((a.list.as_deref(), a.senders.len(), a.json), (Some("alice@example.org"), 2, false));
    let Command::Lists(l) = command(&["lists", "--json"]) else { panic!() };
    assert!(l.list.is_none() && l.json);
}

#[test]
fn odd_bytes_are_refused() {
    use std::os::unix::ffi::OsStringExt;
    let stop = parse([OsString::from("list"), OsString::from_vec(vec![0xff])]).unwrap_err();
    assert_eq!(stop.exit, Exit::Usage);
}
