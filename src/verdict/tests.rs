//! What real filters answered, and what nobody should answer.

use super::fields::{self, Heard};
use super::*;
use crate::base::Timestamp;
use crate::mail::trace::Client;
use proptest::prelude::*;

fn request() -> Request {
    Request {
        sender: "sender@spam.example".into(),
        recipients: vec!["alice@example.org".into(), "Bob+x@example.org".into()],
        client: Client {
            address: Some("192.0.2.7".into()),
            name: Some("client.spam.example".into()),
            helo: Some("client.spam.example".into()),
            queue_id: Some("4ABC".into()),
            ..Client::default()
        },
        server: "mx.example.org".into(),
        at: Timestamp::from_secs(1_763_719_200),
    }
}

fn real(name: &str) -> Verdict {
    let bytes = std::fs::read(format!("{}/tests/verdict/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    if name.ends_with(".json") { rspamd::answer(200, &bytes) } else { spamd::answer(&bytes) }.unwrap()
}

fn added<'v>(verdict: &'v Verdict, name: &str) -> Option<&'v str> {
    verdict.edits.iter().find_map(|edit| match edit {
        Edit::Add { name: of, value, .. } if of == name => Some(value.as_str()),
        _ => None,
    })
}

fn removed(verdict: &Verdict, name: &str) -> bool {
    verdict.edits.contains(&Edit::Remove(name.into(), Which::All))
}

#[test]
fn rspamd_rejects() {
    let verdict = real("rspamd-reject-me.json");
    assert_eq!((verdict.action, verdict.kind, &verdict.text), (Action::Reject, Kind::Spam, &None));
    assert_eq!(verdict.score_line().unwrap(), "22.70 / 15.00");
    let lines = verdict.reason_lines();
    assert_eq!(lines[0], "LAZARET_REJECT(20.00)[the subject says that it is spam: word reject-me, naïve]");
    assert_eq!(lines[1], "HFILTER_FROMHOST_NORES_A_OR_MX(1.50)[FROM host no resolve to A or MX: spam.example]");
    assert_eq!((lines.len(), lines[4].as_str()), (13, "MIME_GOOD(-0.10)[Known content-type: text/plain]"));
    assert!(removed(&verdict, "X-Spamd-Result") && removed(&verdict, "X-Spam"));
    assert_eq!(added(&verdict, "X-Rspamd-Queue-Id"), Some("4ABC"));
    let result = added(&verdict, "X-Spamd-Result").unwrap();
    assert!(result.starts_with("default: True [22.70 / 15.00];\n\tLAZARET_REJECT(20.00)[word reject-me,naïve];\n\t"));

    // What it writes into a header says the same to whoever believes it.
    let block = format!("X-Spamd-Result: {}\r\n\r\n", result.replace('\n', "\r\n"));
    let heard = fields::read(block.as_bytes(), &[Filter::Rspamd]).unwrap().verdict;
    assert_eq!((heard.action, heard.score, heard.required), (Action::Mark, Some(22.7), Some(15.0)));
    let names = |verdict: &Verdict| verdict.reasons.iter().map(|r| (r.name.clone(), r.score)).collect::<Vec<_>>();
    assert_eq!(names(&heard), names(&verdict));
    assert_eq!(heard.reasons[0].text, "word reject-me,naïve");
}

#[test]
fn rspamd_marks_defers_and_knows_its_own_pattern() {
    let marked = real("rspamd-mark-me.json");
    assert_eq!((marked.action, marked.score), (Action::Mark, Some(10.7)));
    assert_eq!((added(&marked, "X-Spam"), removed(&marked, "X-Spam")), (Some("Yes"), true));
    let later = real("rspamd-later-me.json");
    assert_eq!((later.action, later.text.as_deref()), (Action::Later, Some("come again later")));
    let gtube = real("rspamd-gtube.json");
    assert_eq!((gtube.action, gtube.reason_lines()), (Action::Reject, vec!["GTUBE(0.00)".to_string()]));
}

#[test]
fn all_that_rspamd_may_ask_for() {
    let answer = |json: &str| rspamd::answer(200, json.as_bytes()).unwrap();
    let verdict = answer(
        r#"{"action":"rewrite subject","subject":"*** SPAM *** x\r\nBcc: y","score":6,"required_score":15,"symbols":{"CLAM_VIRUS":{"score":8}},
        "dkim-signature":["a=b;\n\tc=d","e"],
        "milter":{"remove_headers":{"X-A":0,"X-B":[1,3],"X-C":-1,"bad name":0},
        "add_headers":{"X-One":"a","X-Two":[{"value":"b","order":0},{"value":"c","index":-3}],"X-Old":["d","e"],"X: Y":"z",
        "X-Evil":"a\r\n\r\nbody\n\n\tfolded\u0000"},"change_from":"x"}}"#,
    );
    let remove = |name: &str, which| Edit::Remove(name.into(), which);
    let add = |name: &str, value: &str, place| Edit::Add { name: name.into(), value: value.into(), place };
    assert_eq!((verdict.action, verdict.kind), (Action::Mark, Kind::Virus));
    let mut wanted = vec![
        remove("X-A", Which::All),
        remove("X-B", Which::FromTop(3)),
        remove("X-B", Which::FromTop(1)),
        remove("X-C", Which::FromEnd(1)),
        add("X-Evil", "a\n\tbody\n\tfolded", Place::End),
        add("X-Old", "d", Place::End),
        add("X-Old", "e", Place::End),
        add("X-One", "a", Place::End),
        add("X-Two", "b", Place::Top(0)),
        add("X-Two", "c", Place::AboveLast(2)),
        add("DKIM-Signature", "a=b;\n\tc=d", Place::Top(1)),
        add("DKIM-Signature", "e", Place::Top(1)),
    ];
    wanted.extend([remove("Subject", Which::All), add("Subject", "*** SPAM *** x\n\tBcc: y", Place::End)]);
    assert_eq!(verdict.edits, wanted);

    for (json, action) in [
        (r#"{"action":"no action"}"#, Action::Pass),
        (r#"{"action":"greylist"}"#, Action::Pass),
        (r#"{"action":"discard"}"#, Action::Keep),
        (r#"{"action":"quarantine"}"#, Action::Keep),
        (r#"{"action":"reject","milter":{"reject":"discard"}}"#, Action::Keep),
        (r#"{"action":"reject","milter":{"no_action":true}}"#, Action::Pass),
        (r#"{"action":"soft reject","score":null}"#, Action::Later),
    ] {
        assert_eq!(answer(json).action, action, "{json}");
    }
    let named = answer(r#"{"action":"add header","milter":{"spam_header":{"X-Junk":"sure"}}}"#);
    assert_eq!((added(&named, "X-Junk"), added(&named, "X-Spam")), (Some("sure"), None));
    assert_eq!(added(&answer(r#"{"action":"add header","milter":{"spam_header":"Oh"}}"#), "X-Spam"), Some("Oh"));
    let told = answer(r#"{"action":"reject","messages":{"smtp_message":" Nö,\r\n250 ok  thanks "}}"#);
    assert_eq!(told.text.as_deref(), Some("N?, 250 ok thanks"));
}

#[test]
fn no_verdict_says_why() {
    let why = |status, body: &str| rspamd::answer(status, body.as_bytes()).unwrap_err().to_string();
    assert_eq!(why(403, r#"{"error":"unauthorized"}"#), "rspamd answered 403 unauthorized");
    assert_eq!(why(500, "<html>\r\n"), "rspamd answered 500 <html>");
    assert!(why(200, "{").contains("no JSON"));
    assert!(why(200, r#"{"error":"x"}"#).ends_with("no verdict: x"));
    for (bytes, part) in [
        ("", "broke off in its first line"),
        ("SPAMD/1.0 76 Bad header line: x\r\n", "spamd answered SPAMD/1.0 76 Bad header line: x"),
        ("HTTP/1.1 200 OK\r\n\r\n", "none of its protocol"),
        ("SPAMD/1.1 0 EX_OK\r\nSpam: True ; 1 / 5\r\n", "broke off in its header"),
        ("SPAMD/1.1 0 EX_OK\r\n\r\n", "no Spam field"),
        ("SPAMD/1.1 0 EX_OK\r\nSpam: True ; x / 5\r\n\r\n", "no score"),
        ("SPAMD/1.1 0 EX_OK\r\nContent-length: 3\r\nSpam: True ; 9 / 5\r\n\r\nab", "broke off in its report"),
    ] {
        let why = spamd::answer(bytes.as_bytes()).unwrap_err().to_string();
        assert!(why.contains(part), "{why}");
    }
}

#[test]
fn spamassassin_marks() {
    let verdict = real("spamd-reject-me.txt");
    assert_eq!((verdict.action, verdict.score_line().unwrap().as_str()), (Action::Mark, "21.80 / 5.00"));
    let lines = verdict.reason_lines();
    assert_eq!(
        lines,
        [
            "LAZARET_REJECT(20.00)[the subject says that it is spam, in a line that is so long that it goes on]",
            "RCVD_ILLEGAL_IP(1.30)[Received: contains illegal IP address]",
            "LAZARET_HELO(0.50)[the client was told]",
            "MSGID_SHORT(0.00)[Message-ID is unusually short]",
        ]
    );
    assert_eq!(added(&verdict, "X-Spam-Flag"), Some("YES"));
    assert_eq!(added(&verdict, "X-Spam-Level"), Some("*********************"));
    assert!(
        added(&verdict, "X-Spam-Status")
            .unwrap()
            .starts_with("Yes, score=21.8 required=5.0\n\ttests=LAZARET_REJECT,\n")
    );
    assert!(removed(&verdict, "X-Spam-Status"));
    assert_eq!(verdict.clone().rejected_from(Some(22.0)).action, Action::Mark);
    assert_eq!(verdict.clone().rejected_from(None).action, Action::Mark);
    assert_eq!(verdict.rejected_from(Some(21.8)).action, Action::Reject);
    let hello = real("spamd-hello.txt");
    assert_eq!((hello.action, added(&hello, "X-Spam-Flag"), hello.score), (Action::Pass, None, Some(1.8)));
}

#[test]
fn words_of_the_message_in_a_report_are_no_reasons() {
    let report = "Content preview: ----\n ---- -----\n -99 USER_IN_WELCOMELIST trusted\n\n pts rule\n---- ----- ---\n 5.0 BAYES_99 BODY: spam\n   [score: 1]\n\n 9 X y\n";
    let lines: Vec<String> = spamd::report(report).iter().map(Reason::to_string).collect();
    assert_eq!(lines, ["BAYES_99(5.00)[BODY: spam]"]);
}

#[test]
fn requests() {
    let head = rspamd::head(&request());
    let text: Vec<String> = head.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!(
        text,
        [
            "From: <sender@spam.example>",
            "Rcpt: <alice@example.org>",
            "Rcpt: <Bob+x@example.org>",
            "Milter: Yes",
            "IP: 192.0.2.7",
            "Helo: client.spam.example",
            "Hostname: client.spam.example",
            "Queue-Id: 4ABC",
            "MTA-Name: mx.example.org",
        ]
    );
    let head = String::from_utf8(spamd::head(&request(), Some("alice"), b"12345")).unwrap();
    let (first, added) = head.split_once("\r\n\r\n").unwrap();
    assert_eq!(first, format!("REPORT SPAMC/1.5\r\nContent-length: {}\r\nUser: alice", added.len() + 5));
    assert_eq!(
        added,
        "X-Envelope-From: <sender@spam.example>\r\nX-Envelope-To: <alice@example.org>,\r\n\t<Bob+x@example.org>\r\n\
         Received: from client.spam.example (client.spam.example [192.0.2.7])\r\n\tby mx.example.org (Postfix) with ESMTP id 4ABC;\r\n\t\
         Fri, 21 Nov 2025 10:00:00 +0000\r\n"
    );
    let nobody = Request { sender: String::new(), ..Request::default() };
    assert_eq!(rspamd::head(&nobody)[0], ("From", "<>".to_string()));
    assert!(!rspamd::head(&nobody).iter().any(|(name, _)| *name == "IP"));
}

fn heard(block: &str, believed: &[Filter]) -> Heard {
    fields::read(block.replace('\n', "\r\n").as_bytes(), believed).unwrap()
}

#[test]
fn fields_of_the_samples() {
    let read = |name: &str| {
        let path = format!("{}/tests/mail/demo/{name}.eml", env!("CARGO_MANIFEST_DIR"));
        fields::read(&std::fs::read(path).unwrap(), &[Filter::Rspamd, Filter::SpamAssassin]).unwrap().verdict
    };
    let rspamd = read("rspamd-headers");
    assert_eq!((rspamd.score_line().as_deref(), rspamd.action), (Some("21.30 / 15.00"), Action::Mark));
    assert_eq!(rspamd.reason_lines()[..2], ["BAYES_SPAM(5.10)[99.97%]", "ABUSE_SURBL(5.00)[casino.test:url]"]);
    assert_eq!(rspamd.reasons.len(), 6);
    let spamassassin = read("spamassassin-headers");
    assert_eq!(spamassassin.score_line().as_deref(), Some("8.40 / 5.00"));
    assert_eq!(spamassassin.reason_lines(), ["BAYES_99", "HTML_MESSAGE", "MIME_HTML_ONLY", "URIBL_BLACK"]);
}

#[test]
fn fields_of_spamassassin() {
    let block = "X-Spam-Checker-Version: SpamAssassin 4.0.1 (2024-03-25) on mx\nX-Spam-Flag: YES\nX-Spam-Level: ****\n\
        X-Spam-Status: Yes, score=1001.3 required=5.0 tests=GTUBE,\n\tRCVD_ILLEGAL_IP autolearn=no autolearn_force=no version=4.0.1\n\
        X-Spam-Report: \n\t*  1.3 RCVD_ILLEGAL_IP Received: contains illegal IP\n\t*      address\n\t* 1000 GTUBE BODY: Generic Test\n\n";
    let Heard { verdict, sender, id } = heard(block, &[Filter::SpamAssassin]);
    assert_eq!((verdict.action, verdict.score, verdict.required), (Action::Mark, Some(1001.3), Some(5.0)));
    assert_eq!(
        verdict.reason_lines(),
        ["GTUBE(1000.00)[BODY: Generic Test]", "RCVD_ILLEGAL_IP(1.30)[Received: contains illegal IP address]"]
    );
    assert_eq!((sender, id), (None, None));
    let no = heard("X-Spam-Status: No, hits=-1.5 tests=none autolearn=ham\n", &[Filter::SpamAssassin]).verdict;
    assert_eq!((no.action, no.score_line().as_deref(), no.reasons.len()), (Action::Pass, Some("-1.50"), 0));
}

#[test]
fn fields_of_amavis() {
    let block = "X-Envelope-From: <sender@spam.example>\nX-Envelope-To: <alice@example.org>\nX-Envelope-To-Blocked: <alice@example.org>\n\
        X-Quarantine-ID: <WttDZv3e9d9l>\nX-Amavis-Alert: BANNED, message contains .exe,evil.exe\nX-Spam-Flag: YES\nX-Spam-Score: 9.9\n\
        X-Spam-Status: Yes, score=8.1..9.902 tag=-999 tag2=6.2\n\tkill=6.9 tests=[BAYES_99=3.5, HTML_MESSAGE=0.001,\n\tX=-1] autolearn=no\n\
        Received: from x by y\nX-Quarantine-ID: <forged>\nX-Amavis-Alert: INFECTED, no\n\n";
    let Heard { verdict, sender, id } = heard(block, &[Filter::Amavis]);
    assert_eq!((verdict.action, verdict.score, verdict.required), (Action::Mark, Some(9.902), Some(6.2)));
    assert_eq!(verdict.kind, Kind::Banned);
    assert_eq!(
        verdict.reason_lines(),
        ["BANNED, message contains .exe,evil.exe", "BAYES_99(3.50)", "HTML_MESSAGE(0.00)", "X(-1.00)"]
    );
    assert_eq!((sender.as_deref(), id.as_deref()), (Some("sender@spam.example"), Some("WttDZv3e9d9l")));
    assert_eq!(heard("X-Envelope-From: <>\nReceived: x\n\n", &[Filter::Amavis]).sender.as_deref(), Some(""));
    let infected =
        heard("X-Amavis-Alert: INFECTED, message contains virus: Eicar\nReceived: x\n", &[Filter::Amavis]).verdict;
    assert_eq!(
        (infected.kind, infected.kind_at(Kind::Policy), infected.kind_at(Kind::Spam)),
        (Kind::Virus, Kind::Policy, Kind::Virus)
    );
}

/// Quarantined by amavis 2.13; the spammer had written fields of his own.
#[test]
fn fields_of_a_real_amavis() {
    let read = |name: &str| {
        let path = format!("{}/tests/verdict/{name}.eml", env!("CARGO_MANIFEST_DIR"));
        fields::read(&std::fs::read(path).unwrap(), &[Filter::Amavis]).unwrap()
    };
    let Heard { verdict, sender, id } = read("amavis-gtube");
    assert_eq!((verdict.action, verdict.kind), (Action::Mark, Kind::Spam));
    assert_eq!(verdict.score_line().as_deref(), Some("1002.30 / 5.00"));
    let reasons = ["GTUBE(1000.00)", "RCVD_ILLEGAL_IP(1.30)", "TVD_SPACE_RATIO_MINFP(1.00)", "TVD_SPACE_RATIO(0.00)"];
    assert_eq!(verdict.reason_lines(), reasons);
    assert_eq!((sender.as_deref(), id.as_deref()), (Some("sender@spam.example"), Some("tGp1vt0V6bry")));
    let banned = read("amavis-banned").verdict;
    assert_eq!((banned.kind, banned.score), (Kind::Banned, Some(0.0)));
    assert_eq!(banned.reason_lines(), ["BANNED, message contains application/octet-stream,evil.exe"]);
}

#[test]
fn nobody_is_believed_who_was_not_named() {
    let block = b"X-Spam-Flag: YES\r\nX-Spamd-Result: default: True [9 / 5]; A(9)[]\r\nX-Virus-Status: Infected (Eicar)\r\n\r\n";
    assert_eq!(fields::read(block, &[]), None);
    assert_eq!(fields::read(b"Subject: x\r\n\r\nX-Spam-Flag: YES\r\n", &Filter::ALL), None);
    assert_eq!(fields::read(block, &[Filter::Amavis]).unwrap().verdict.score, None);
    assert_eq!(fields::read(block, &[Filter::ClamAv]).unwrap().verdict.kind, Kind::Virus);
    assert_eq!(fields::read(b"X-Virus-Status: Clean\r\n\r\n", &[Filter::ClamAv]).unwrap().verdict, Verdict::default());
    // A filter that removes what it finds writes one.
    let forged = b"X-Spam-Score: -99\r\nX-Spam-Score: 9\r\n\r\n";
    assert_eq!(fields::read(forged, &[Filter::SpamAssassin]), None);
    // What stands above our own mail server's field is nobody else's.
    let ours = b"X-Spam-Score: 9\r\nReceived: x\r\nX-Spam-Score: -99\r\n\r\n";
    assert_eq!(fields::read(ours, &[Filter::SpamAssassin]).unwrap().verdict.score, Some(9.0));
    let nobodys = b"X-Spam-Score: -99\r\nX-Spam-Score: 9\r\nX-Quarantine-ID: <a>\r\n\r\n";
    assert_eq!(fields::read(nobodys, &Filter::ALL), None);
    // One that does not stands on top.
    assert_eq!(fields::read(b"Received: x\r\nX-Amavis-Alert: BANNED, y\r\n\r\n", &[Filter::Amavis]), None);
}

/// Whatever was read, it fits: bounded, one line, and a header that stays one.
fn fits(verdict: &Verdict) -> bool {
    let text = |text: &str| text.len() <= limits::VERDICT_TEXT && !text.contains(char::is_control);
    let reason =
        |r: &Reason| text(&r.text) && r.name.len() <= limits::VERDICT_NAME && r.score.is_none_or(f64::is_finite);
    let folded =
        |value: &str| value.split('\n').skip(1).all(|line| line.starts_with([' ', '\t']) && !line.trim().is_empty());
    let edit = |edit: &Edit| match edit {
        Edit::Remove(name, _) => field_name(name).is_some(),
        Edit::Add { name, value, .. } => {
            let odd = value.chars().any(|c| c.is_control() && c != '\n' && c != '\t');
            field_name(name).is_some() && folded(value) && !odd && value.len() <= 2 * limits::VERDICT_FIELD
        }
    };
    verdict.reasons.len() <= limits::VERDICT_REASONS
        && verdict.reasons.iter().all(reason)
        && verdict.edits.len() <= limits::VERDICT_EDITS
        && verdict.edits.iter().all(edit)
        && verdict.text.as_ref().is_none_or(|t| text(t) && t.is_ascii())
        && verdict.score.is_none_or(f64::is_finite)
}

#[test]
fn filters_say_that_they_are_there() {
    assert!(rspamd::is_pong(200, b"pong\r\n") && !rspamd::is_pong(404, b"pong") && !rspamd::is_pong(200, b"<html>"));
    assert!(spamd::is_pong(b"SPAMD/1.5 0 PONG\r\n") && !spamd::is_pong(b"SPAMD/1.5 76 Bad header line\r\n"));
    assert!(!spamd::is_pong(b"") && !spamd::is_pong(b"220 PONG"));
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..4_000, at in 0usize..4_000, to: u8) {
        for name in ["rspamd-reject-me.json", "spamd-reject-me.txt"] {
            let mut real = std::fs::read(format!("{}/tests/verdict/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
            if let Some(byte) = real.get_mut(at) {
                *byte = to;
            }
            let cut = &real[..cut.min(real.len())];
            for bytes in [&bytes, &real, cut] {
                for verdict in [rspamd::answer(200, bytes), spamd::answer(bytes)].into_iter().flatten() {
                    prop_assert!(fits(&verdict));
                }
                if let Some(heard) = fields::read(bytes, &Filter::ALL) {
                    prop_assert!(fits(&heard.verdict));
                }
            }
        }
    }

    #[test]
    fn any_field_is_read(name in 0usize..7, value in "[-A-Za-z0-9_ =.,;:*()\\[\\]<>\r\n\t\\PC]{0,120}") {
        let names = ["X-Spamd-Result", "X-Spam-Status", "X-Spam-Report", "X-Spam-Score", "X-Amavis-Alert", "X-Envelope-From", "X-Quarantine-ID"];
        let block = format!("{}: {value}\r\n\r\n", names[name]);
        let heard = fields::read(block.as_bytes(), &Filter::ALL).unwrap_or_default();
        prop_assert!(fits(&heard.verdict));
        prop_assert!(heard.id.is_none_or(|id| !id.contains(char::is_control) && id.len() <= limits::VERDICT_NAME));
    }

    #[test]
    fn values_of_strangers_begin_no_line(text in ".{0,60}", helo: String) {
        let mut request = request();
        (request.sender, request.client.helo) = (text.clone(), Some(helo));
        (request.client.user, request.client.name) = (Some(text.clone()), Some(text.clone()));
        request.recipients.push(text);
        for (_, value) in rspamd::head(&request) {
            prop_assert!(!value.contains(char::is_control));
        }
        let head = spamd::head(&request, request.client.user.as_deref(), b"");
        let head = String::from_utf8(head).unwrap();
        let known = ["REPORT ", "Content-length: ", "User: ", "X-Envelope-", "Received: ", "\t"];
        prop_assert!(head.split("\r\n").all(|line| line.is_empty() || known.iter().any(|k| line.starts_with(k))));
        prop_assert!(!head.replace("\r\n", "").contains(['\r', '\n', '\0']));
        prop_assert_eq!(head.matches("\r\n\r\n").count(), 1);
    }
}
