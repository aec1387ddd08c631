use super::*;
use crate::base::limits;
use proptest::prelude::*;

/// The tree as text: kind, header text length, body, lines.
fn tree(message: &str) -> Vec<String> {
    let structure = Structure::of(message.as_bytes(), Form::Crlf);
    structure
        .parts()
        .iter()
        .map(|part| {
            let mut depth = 0;
            let mut up = part.parent();
            while let Some(parent) = up {
                depth += 1;
                up = structure.part(parent).unwrap().parent();
            }
            let body = &message[part.body.start as usize..part.body.end as usize];
            let header = &message[part.header.start as usize..part.header.end as usize];
            format!("{depth} {:?} {header:?} {body:?} {}", part.kind, part.lines)
        })
        .collect()
}

fn leaves(message: &str) -> Vec<String> {
    let structure = Structure::of(message.as_bytes(), Form::Crlf);
    let leaves = structure.parts().iter().filter(|p| p.kind == Kind::Leaf);
    leaves.map(|p| message[p.body.start as usize..p.body.end as usize].to_string()).collect()
}

fn mixed(body: &str) -> String {
    format!("Content-Type: multipart/mixed; boundary=\"b\"\n\n{body}")
}

#[test]
fn delimiters_are_whole_lines() {
    assert_eq!(
        leaves(&mixed("--b\n\na\n--b2\n--b x\n --b\nc --b\n--b-\n--b---\n--b \t\n\nd\n--b--  \nepi\n--b\n")),
        ["a\n--b2\n--b x\n --b\nc --b\n--b-\n--b---", "d"]
    );
    assert_eq!(leaves(&mixed("--b\r\n\r\na\r\n--b\r\n\r\nd\r\n--b--\r\n")), ["a", "d"]);
    assert_eq!(leaves(&mixed("--b\n\na")), ["a"]);
    assert_eq!(leaves(&mixed("--b\n\na\n")), ["a\n"]);
    assert_eq!(leaves(&mixed("--b\n--b\n\n--b\n\n\n--b--")), ["", "", ""]);
    assert_eq!(leaves(&mixed("--b--\n--b\n\na\n")), Vec::<String>::new());
    assert_eq!(leaves("Content-Type: multipart/mixed\n\n--b\n\na\n"), Vec::<String>::new());
    assert_eq!(leaves("Content-Type: multipart/mixed; boundary=\"\"\n\n--\n\na\n"), Vec::<String>::new());
}

#[test]
fn a_header_cut_by_a_delimiter() {
    assert_eq!(
        tree(&mixed(
            "--b\nA: x\n--b\nContent-Type: message/rfc822\n--b\nContent-Type: message/rfc822\n\n--b\nContent-Type: message/rfc822\n\nS: t\n--b--\n"
        ))[1..],
        [
            r#"1 Leaf "A: x" "" 0"#,
            r#"1 Message "Content-Type: message/rfc822" "" 0"#,
            r#"2 Leaf "" "" 0"#,
            r#"1 Message "Content-Type: message/rfc822\n" "" 0"#,
            r#"2 Leaf "" "" 0"#,
            r#"1 Message "Content-Type: message/rfc822\n\n" "S: t" 0"#,
            r#"2 Leaf "S: t" "" 0"#,
        ]
    );
}

#[test]
fn an_outer_delimiter_ends_inner_parts() {
    let message = mixed("--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\na\n--b\n\nx\n--c\ny\n--b--\n");
    assert_eq!(
        tree(&message)[1..],
        [
            r#"1 Multipart "Content-Type: multipart/alternative; boundary=c\n\n" "--c\n\na" 2"#,
            r#"2 Leaf "\n" "a" 0"#,
            r#"1 Leaf "\n" "x\n--c\ny" 2"#,
        ]
    );
}

#[test]
fn digests_and_messages() {
    let message = "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\nt\n--b\nContent-Type: text/plain\n\nt\n--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: BASE64\n\nU3\n--b--";
    assert_eq!(
        tree(message)[1..],
        [
            r#"1 Message "\n" "Subject: x\n\nt" 2"#,
            r#"2 Leaf "Subject: x\n\n" "t" 0"#,
            r#"1 Leaf "Content-Type: text/plain\n\n" "t" 0"#,
            r#"1 EncodedMessage "Content-Type: message/rfc822\nContent-Transfer-Encoding: BASE64\n\n" "U3" 0"#,
        ]
    );
    let structure = Structure::of(message.as_bytes(), Form::Crlf);
    assert_eq!(structure.parts()[2].raw_header, b"Subject: x\n\n");
}

#[test]
fn limits_hold() {
    let deep = "Content-Type: message/rfc822\n\n".repeat(50_000);
    let structure = Structure::of(deep.as_bytes(), Form::Lf);
    assert_eq!(structure.parts().len(), limits::MIME_DEPTH);
    assert_eq!(structure.parts().last().unwrap().kind, Kind::Opaque);

    let nested: String =
        (0..5_000).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n")).collect();
    assert_eq!(Structure::of(nested.as_bytes(), Form::Lf).parts().len(), limits::MIME_DEPTH);

    let many = mixed(&"--b\n\nx\n".repeat(50_000));
    let structure = Structure::of(many.as_bytes(), Form::Lf);
    assert_eq!(structure.parts().len(), limits::MIME_PARTS);
    assert_eq!(Structure::from_bytes(&structure.to_bytes()).as_ref(), Some(&structure));

    let long_line =
        [b"Subject: ".to_vec(), vec![b'x'; 3 << 20], b"\nContent-Type: text/html\n\nbody".to_vec()].concat();
    let structure = Structure::of(&long_line, Form::Lf);
    assert_eq!(structure.root().content.media, None);
    assert_eq!(structure.root().body.end - structure.root().body.start, 4);
}

/// Messages that hit the odd places more often than chance would.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("\n"),
        Just("\r\n"),
        Just("\r"),
        Just("--b"),
        Just("--"),
        Just("--b--"),
        Just("--c\n"),
        Just("--c--\n"),
        Just("\n--b\n"),
        Just("\r\n--b\r\n"),
        Just("x"),
        Just(" "),
        Just("\0"),
        Just("A: b\n"),
        Just("Content-Type: multipart/mixed; boundary=b\n"),
        Just("Content-Type: multipart/digest;\r\n boundary=\"c\"\r\n\r\n"),
        Just("Content-Type: message/rfc822\n\n"),
        Just("Content-Transfer-Encoding: base64\n"),
        Just("Mime-Version: 1.0\n"),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|all| all.concat().into_bytes())
}

proptest! {
    #[test]
    fn chunks_change_nothing(message in pieces(), cuts in proptest::collection::vec(1usize..9, 1..9), lf: bool) {
        let form = if lf { Form::Lf } else { Form::Crlf };
        let whole = Structure::of(&message, form);
        let mut scanner = Scanner::new(form);
        let (mut rest, mut turn) = (message.as_slice(), 0);
        while !rest.is_empty() {
            let (now, later) = rest.split_at(cuts[turn % cuts.len()].min(rest.len()));
            scanner.feed(now);
            (rest, turn) = (later, turn + 1);
        }
        prop_assert_eq!(scanner.finish(), whole);
    }

    #[test]
    fn lf_form_counts_the_wire_form(message in pieces()) {
        let mut wire = Vec::new();
        for (at, &byte) in message.iter().enumerate() {
            if byte == b'\n' && (at == 0 || message[at - 1] != b'\r') {
                wire.push(b'\r');
            }
            wire.push(byte);
        }
        let lf = Structure::of(&message, Form::Lf);
        let crlf = Structure::of(&wire, Form::Crlf);
        prop_assert_eq!(lf.size(), wire.len() as u64);
        prop_assert_eq!(lf.to_bytes(), crlf.to_bytes());
    }

    #[test]
    fn parts_nest(message in pieces()) {
        let structure = Structure::of(&message, Form::Crlf);
        prop_assert_eq!(structure.size(), message.len() as u64);
        prop_assert_eq!(structure.root().whole(), 0..structure.size());
        for (number, part) in structure.parts().iter().enumerate() {
            prop_assert!(part.header.start <= part.header.end && part.header.end == part.body.start && part.body.start <= part.body.end);
            let body = &message[part.body.start as usize..part.body.end as usize];
            prop_assert_eq!(part.lines, memchr::memchr_iter(b'\n', body).count() as u64);
            let mut at = part.body.start;
            for child in structure.children(number as u32) {
                let child = structure.part(child).unwrap();
                prop_assert_eq!(child.parent(), Some(number as u32));
                prop_assert!(child.header.start >= at && child.body.end <= part.body.end);
                at = child.body.end;
            }
            prop_assert_eq!(part.kind == Kind::Message, part.first_child().is_some() && part.kind != Kind::Multipart);
        }
    }

    #[test]
    fn bytes_and_back(message in pieces()) {
        let mut structure = Structure::of(&message, Form::Lf);
        let bytes = structure.to_bytes();
        structure.parts.iter_mut().for_each(|part| part.raw_header.clear());
        prop_assert_eq!(Structure::from_bytes(&bytes), Some(structure));
        for len in 0..bytes.len() {
            prop_assert_eq!(Structure::from_bytes(&bytes[..len]), None);
        }
    }

    #[test]
    fn hostile_bytes_are_refused_or_sound(mut bytes in pieces().prop_map(|m| Structure::of(&m, Form::Lf).to_bytes()), at: proptest::sample::Index, value: u8) {
        let at = at.index(bytes.len());
        bytes[at] = value;
        if let Some(structure) = Structure::from_bytes(&bytes) {
            for number in 0..structure.parts().len() {
                prop_assert!(structure.children(number as u32).count() <= structure.parts().len());
            }
            let mut out = Vec::new();
            crate::imap::structure::render_body_structure(&structure, &mut out);
        }
    }
}
