//! The first minute: what `lazaret demo --json` promises, and that its tree is a Maildir for others. The mail programs of
//! others are in `tests/clients`.

use crate::harness::{Demo, Door, Folder, hostile};
use lazaret::app::samples::{DOMAINS, RECIPIENT, SAMPLES};
use maildir::Maildir;
use std::net::TcpStream;
use std::path::Path;

/// All messages of a Maildir, as the maildir crate reads them.
fn messages(folder: &Path) -> Vec<Vec<u8>> {
    let maildir = Maildir::from(folder.to_path_buf());
    let entries = maildir.list_new().chain(maildir.list_cur());
    entries.map(|entry| std::fs::read(entry.expect("an entry of the Maildir").path()).expect("a message")).collect()
}

#[test]
fn demo_says_where_everything_is() {
    let demo = Demo::start(&[]);
    for key in ["imap", "imaps", "lmtp"] {
        TcpStream::connect(demo.text(key)).unwrap_or_else(|e| panic!("{key} {}: {e}", demo.text(key)));
    }
    for key in ["data", "delivered", "trained"] {
        assert!(Path::new(demo.text(key)).is_dir(), "{key} {} is no folder", demo.text(key));
    }
    let certificate = std::fs::read_to_string(demo.text("ca")).expect("the certificate");
    assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----"), "ca is no PEM");
    let accounts = demo.info["accounts"].as_array().expect("accounts");
    let logins: Vec<&str> = accounts.iter().filter_map(|a| a["login"].as_str()).collect();
    assert_eq!(logins, ["global", DOMAINS[0], RECIPIENT]);
    assert!(accounts.iter().all(|a| a["password"].is_string() && a["scope"].is_string()), "{accounts:?}");
    assert!(demo.stop().success(), "it does not end cleanly on SIGTERM");
}

#[test]
fn demo_keeps_its_data_where_it_is_told() {
    let folder = Folder::new("data");
    let place = folder.0.join("kept");
    let arguments = ["--data", place.to_str().expect("a plain path")];
    let demo = Demo::start(&arguments);
    let caught = demo.tree("example.org", "alice").join("Caught");
    let first = messages(&caught);
    assert!(first.len() >= 8, "{} messages for {RECIPIENT}", first.len());
    let signed = SAMPLES.iter().find(|s| s.name == "dkim-signed").expect("the signed sample");
    assert!(first.iter().any(|m| m.ends_with(signed.message)), "the signed sample is not there to the byte");
    assert!(demo.stop().success());

    let demo = Demo::start(&[arguments[0], arguments[1], "--empty"]);
    assert_eq!(messages(&caught).len(), first.len(), "a second start with --empty changes nothing");
    assert!(demo.stop().success());
}

#[test]
fn demo_without_samples_is_empty() {
    let demo = Demo::start(&["--empty"]);
    let mail = Path::new(demo.text("data")).join("mail");
    let trees = std::fs::read_dir(mail).map(|entries| entries.count()).unwrap_or(0);
    assert_eq!(trees, 0, "there are trees without mail");
    assert!(demo.stop().success());
}

#[test]
fn hostile_mail_is_stored_to_the_byte() {
    let demo = Demo::start(&["--empty"]);
    let mut door = Door::open(demo.text("lmtp"));
    let caught = demo.tree("example.org", "alice").join("Caught");
    for (count, (name, message)) in hostile().into_iter().enumerate() {
        assert_eq!(door.deliver("odd@odd.test", &[RECIPIENT], &message), [250], "{name}");
        let stored = messages(&caught);
        assert_eq!(stored.len(), count + 1, "{name}");
        assert!(stored.iter().any(|m| m.ends_with(&message)), "{name} was changed");
    }
    assert!(demo.stop().success());
}

#[test]
fn each_recipient_has_an_answer() {
    let demo = Demo::start(&["--empty"]);
    let mut door = Door::open(demo.text("lmtp"));
    let codes =
        door.deliver("a@partner.example", &[RECIPIENT, "carol@example.net"], b"Subject: two\r\n\r\n.\r\n..\r\n");
    assert_eq!(codes, [250, 250]);
    assert_eq!(door.say("MAIL FROM:<a@partner.example>"), 250);
    assert_eq!(door.say("RCPT TO:<x@unknown.test>"), 451, "an unknown domain is deferred, never bounced");
    for (domain, local) in [("example.org", "alice"), ("example.net", "carol")] {
        let stored = messages(&demo.tree(domain, local).join("Caught"));
        assert!(stored.len() == 1 && stored[0].ends_with(b"Subject: two\r\n\r\n.\r\n..\r\n"), "{local}@{domain}");
    }
    assert!(demo.stop().success());
}

#[test]
fn demo_starts_again_after_a_start_that_was_cut_off_between_key_and_certificate() {
    let folder = Folder::new("cutoff");
    let place = folder.0.join("kept");
    std::fs::create_dir_all(&place).expect("a folder");
    for name in ["key.pem", "key.new", "cert.new"] {
        std::fs::write(place.join(name), "half of it").expect("a file");
    }
    let demo = Demo::start(&["--empty", "--data", place.to_str().expect("a plain path")]);
    assert!(demo.stop().success());
}
