//! What we say of the messages in tests/golden/messages, against what Dovecot said (scripts/golden asked it), and
//! against two parsers of other people.
//!
//! A difference that is argued for stands in tests/golden/differences.txt. One that is not listed fails, and so does one
//! that is listed and is no longer there.

use lazaret::base::Form;
use lazaret::imap::section::{Resolved, Section, What, filter_fields, resolve};
use lazaret::imap::{envelope, structure};
use lazaret::mail::mime::{Kind, Part, Structure};
use lazaret::mail::{header, text, words};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// An IMAP value; how a string is written (quoted or literal) does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Nil,
    Number(u64),
    Text(String),
    List(Vec<Value>),
}

fn parse(input: &[u8], at: &mut usize) -> Value {
    match input[*at] {
        b'(' => {
            *at += 1;
            let mut list = Vec::new();
            while input[*at] != b')' {
                if input[*at] == b' ' {
                    *at += 1;
                } else {
                    list.push(parse(input, at));
                }
            }
            *at += 1;
            Value::List(list)
        }
        b'"' => {
            let mut text = Vec::new();
            *at += 1;
            while input[*at] != b'"' {
                if input[*at] == b'\\' {
                    *at += 1;
                }
                assert!(!matches!(input[*at], 0 | b'\r' | b'\n' | 0x80..), "a quoted string holds {:#x}", input[*at]);
                text.push(input[*at]);
                *at += 1;
            }
            *at += 1;
            Value::Text(text.escape_ascii().to_string())
        }
        b'{' => {
            let end = *at + input[*at..].iter().position(|&b| b == b'}').expect("a literal's length ends in }");
            let len: usize = std::str::from_utf8(&input[*at + 1..end]).unwrap().parse().expect("a literal's length");
            assert_eq!(&input[end + 1..end + 3], b"\r\n");
            *at = end + 3 + len;
            assert!(!input[end + 3..*at].contains(&0), "a literal holds NUL");
            Value::Text(input[end + 3..*at].escape_ascii().to_string())
        }
        b'N' => {
            assert_eq!(&input[*at..*at + 3], b"NIL");
            *at += 3;
            Value::Nil
        }
        _ => {
            let end = *at + input[*at..].iter().position(|b| !b.is_ascii_digit()).unwrap_or(input.len() - *at);
            let number = std::str::from_utf8(&input[*at..end]).unwrap().parse().expect("a number");
            *at = end;
            Value::Number(number)
        }
    }
}

fn value(input: &[u8]) -> Value {
    let mut at = 0;
    let value = parse(input, &mut at);
    assert_eq!(at, input.len(), "something follows: {}", input.escape_ascii());
    value
}

fn unescape(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        if first == b'\\' {
            out.push(u8::from_str_radix(std::str::from_utf8(&after[1..3]).unwrap(), 16).unwrap());
            rest = &after[3..];
        } else {
            out.push(first);
            rest = after;
        }
    }
    out
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn wire(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + message.len() / 40);
    for (at, &byte) in message.iter().enumerate() {
        if byte == b'\n' && (at == 0 || message[at - 1] != b'\r') {
            out.push(b'\r');
        }
        out.push(if byte == 0 { 0x80 } else { byte });
    }
    out
}

fn section(text: &str) -> Section {
    let digits = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let path = text[..digits].split('.').filter(|n| !n.is_empty()).map(|n| n.parse().unwrap()).collect();
    let (word, list) = text[digits..].split_once(" (").unwrap_or((&text[digits..], ""));
    let names = || list.trim_end_matches(')').split(' ').map(|n| n.as_bytes().to_vec()).collect();
    let what = match word {
        "" => What::Whole,
        "HEADER" => What::Header,
        "TEXT" => What::Text,
        "MIME" => What::Mime,
        "HEADER.FIELDS" => What::Fields(names()),
        "HEADER.FIELDS.NOT" => What::NotFields(names()),
        other => panic!("section {other}"),
    };
    let section = Section { path, what };
    assert_eq!(section.to_string(), text);
    section
}

fn fetch(text: &str, structure: &Structure, wire: &[u8]) -> Vec<u8> {
    let section = section(text);
    let cut = |range: Range<u64>| &wire[range.start as usize..range.end as usize];
    match (resolve(&section, structure), &section.what) {
        // Dovecot answers "" for what is not there
        (None, _) => Vec::new(),
        (Some(Resolved::Bytes(range)), _) => cut(range).to_vec(),
        (Some(Resolved::Filtered(range)), What::Fields(names)) => filter_fields(cut(range), names, false),
        (Some(Resolved::Filtered(range)), What::NotFields(names)) => filter_fields(cut(range), names, true),
        (Some(Resolved::Filtered(_)), what) => panic!("{what:?} filters nothing"),
    }
}

fn summary(bytes: &[u8]) -> String {
    format!("{} {:08x}", bytes.len(), crc32fast::hash(bytes))
}

/// Name, size, and what scripts/golden wrote of it, item by item.
type Answers = (String, u64, Vec<(String, String)>);

fn answers() -> Vec<Answers> {
    let text = fs::read_to_string(golden().join("envelope-bodystructure.txt")).unwrap();
    let mut all = Vec::new();
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("== ") {
            let (name, size) = head.rsplit_once(' ').unwrap();
            all.push((name.to_string(), size.parse().unwrap(), Vec::new()));
        } else {
            let (item, answer) = match line.strip_prefix('[') {
                Some(_) => line.split_once("] ").map(|(item, answer)| (format!("{item}]"), answer)).unwrap(),
                None => line.split_once(' ').map(|(item, answer)| (item.to_string(), answer)).unwrap(),
            };
            all.last_mut().unwrap().2.push((item, answer.to_string()));
        }
    }
    all
}

/// (name, item) → reason. A line is `name | item, item | reason`.
fn declared() -> BTreeMap<(String, String), String> {
    let text = fs::read_to_string(golden().join("differences.txt")).unwrap();
    let mut all = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let [name, items, reason] = line.split(" | ").collect::<Vec<_>>()[..] else {
            panic!("not name | items | reason: {line}")
        };
        assert!(reason.len() > 10, "a difference needs its reason: {line}");
        for item in items.split(", ") {
            let again = all.insert((name.to_string(), item.to_string()), reason.to_string());
            assert!(again.is_none(), "{name} {item} is declared twice");
        }
    }
    all
}

#[test]
fn as_dovecot_answers() {
    let mut declared = declared();
    let mut wrong = Vec::new();
    let answers = answers();
    let files = fs::read_dir(golden().join("messages")).unwrap().count();
    assert_eq!(answers.len(), files, "run scripts/golden again");
    for (name, size, items) in answers {
        let message = fs::read(golden().join("messages").join(&name)).unwrap();
        let structure = Structure::of(&message, Form::Lf);
        let wire = wire(&message);
        assert_eq!(structure.size(), size, "{name}");
        for (item, theirs) in items {
            let mut out = Vec::new();
            match item.as_str() {
                "ENVELOPE" => envelope::render(&wire[..structure.root().header.end as usize], &mut out),
                "BODY" => structure::render_body(&structure, &mut out),
                "BODYSTRUCTURE" => structure::render_body_structure(&structure, &mut out),
                _ => out.extend(fetch(item.trim_start_matches('[').trim_end_matches(']'), &structure, &wire)),
            }
            let (ours, theirs) = match item.starts_with('[') {
                true => (summary(&out), theirs.replace("NIL", "0 00000000")),
                false => (format!("{:?}", value(&out)), format!("{:?}", value(&unescape(&theirs)))),
            };
            let expected = declared.remove(&(name.clone(), item.clone()));
            match (ours == theirs, expected) {
                (true, None) | (false, Some(_)) => {}
                (true, Some(reason)) => wrong.push(format!("{name} {item}: no longer differs ({reason})")),
                (false, None) => wrong.push(format!("{name} {item}\n  ours   {ours}\n  theirs {theirs}")),
            }
        }
    }
    wrong.extend(declared.keys().map(|(name, item)| format!("{name} {item}: declared, and never asked")));
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// mail-parser takes `--boundary` for a delimiter in mid-line and by its prefix, decodes inside base64 and refuses what we
/// repair: so this is only about messages where it can be right.
#[test]
fn mail_parser_decodes_the_same_text() {
    let (mut parts, mut words) = (0, 0);
    for entry in fs::read_dir(golden().join("messages")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("spam-") {
            continue;
        }
        let message = fs::read(&path).unwrap();
        let theirs = mail_parser::MessageParser::default().parse(&message).unwrap();
        let structure = Structure::of(&message, Form::Crlf);
        // it keeps the parts of an embedded message apart
        let embedded = |part: &Part| {
            std::iter::successors(part.parent(), |&up| structure.part(up)?.parent())
                .any(|up| structure.part(up).is_some_and(|part| part.kind == Kind::Message))
        };
        let leaves: Vec<_> =
            structure.parts().iter().filter(|part| part.kind == Kind::Leaf && !embedded(part)).collect();
        let is_leaf = |part: &&mail_parser::MessagePart<'_>| !part.is_multipart() && !part.is_message();
        let mut their_leaves: Vec<_> = theirs.parts.iter().filter(is_leaf).collect();
        their_leaves.sort_by_key(|part| part.offset_body);
        if leaves.is_empty() {
            continue; // a multipart whose boundary never comes: it makes one part of it
        }
        assert_eq!(leaves.len(), their_leaves.len(), "{name}");
        for (ours, theirs) in leaves.iter().zip(their_leaves) {
            let body = &message[ours.body.start as usize..ours.body.end as usize];
            assert_eq!(ours.body.start, u64::from(theirs.offset_body), "{name}");
            if let mail_parser::PartType::Text(want) | mail_parser::PartType::Html(want) = &theirs.body {
                let content = &ours.content;
                let got = text::decode(body, content.encoding.as_deref(), content.parameter("charset"), usize::MAX);
                // unlabelled 8-bit text is Windows-1252 to us, broken UTF-8 to it
                if content.parameter("charset").is_none() && want.contains('\u{fffd}') {
                    continue;
                }
                // it trims the ends of some bodies
                assert_eq!(got.trim_end(), want.trim_end(), "{name} at {}", ours.body.start);
                parts += 1;
            }
        }
        if let (Some(want), Some(field)) =
            (theirs.subject(), header::fields(&message).filter(|f| f.is(b"Subject")).last())
        {
            assert_eq!(words::decode(field.value).trim_end(), want.trim_end(), "{name}");
            words += 1;
        }
    }
    assert!(parts > 50 && words > 40, "{parts} parts and {words} subjects were compared");
}

#[test]
fn imap_proto_reads_every_answer() {
    for entry in fs::read_dir(golden().join("messages")).unwrap() {
        let path = entry.unwrap().path();
        let message = fs::read(&path).unwrap();
        let structure = Structure::of(&message, Form::Lf);
        let wire = wire(&message);
        let mut line = b"* 1 FETCH (ENVELOPE ".to_vec();
        envelope::render(&wire[..structure.root().header.end as usize], &mut line);
        line.extend_from_slice(b" BODYSTRUCTURE ");
        structure::render_body_structure(&structure, &mut line);
        line.extend_from_slice(b")\r\n");
        let read = std::panic::catch_unwind(|| match imap_proto::Response::parse(&line) {
            Ok((rest, imap_proto::Response::Fetch(1, items))) => (rest.len(), items.len()),
            other => panic!("{other:?}"),
        });
        assert_eq!(read.ok(), Some((0, 2)), "{}: {}", path.display(), line.escape_ascii());
    }
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "From: ",
        "To: ",
        "Subject: ",
        "\n",
        "\n\n",
        "\r",
        "\0",
        "\u{e9}",
        "\"",
        "\\",
        "(",
        ")",
        "<",
        ">",
        "@",
        ":",
        ";",
        ",",
        " ",
        "a",
        "=",
        "--b\n",
        "--b--\n",
        "Content-Type: multipart/mixed; boundary=b\n\n",
        "Content-Type: message/rfc822\n\n",
        "Content-Type: text/",
        "; name=\"",
        "*0*=",
        "Content-Disposition: ",
        "Content-Language: ",
        "Content-ID: ",
        "Content-Transfer-Encoding: base64\n",
        "Content-Location: ",
        "NIL",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|all| all.concat().into_bytes())
}

proptest! {
    /// Whatever comes in, what goes out is IMAP.
    #[test]
    fn hostile_messages_render_well_formed(message in hostile()) {
        let structure = Structure::of(&message, Form::Lf);
        let wire = wire(&message);
        let mut envelope = Vec::new();
        envelope::render(&wire[..structure.root().header.end as usize], &mut envelope);
        prop_assert!(matches!(value(&envelope), Value::List(items) if items.len() == 10));
        let (mut body, mut extended) = (Vec::new(), Vec::new());
        structure::render_body(&structure, &mut body);
        structure::render_body_structure(&structure, &mut extended);
        value(&body);
        value(&extended);
        let line = [b"* 1 FETCH (ENVELOPE ", &envelope[..], b" BODYSTRUCTURE ", &extended, b")\r\n"].concat();
        let read = std::panic::catch_unwind(|| matches!(imap_proto::Response::parse(&line), Ok((b"", _))));
        prop_assert!(read.unwrap_or(false), "{}", line.escape_ascii());
    }
}
