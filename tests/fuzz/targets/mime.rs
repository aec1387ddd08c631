//! Everything that reads a message: structure at any cut, envelope, sections, cache form, words, dates, addresses, text.
#![no_main]

mod plant;

use lazaret::base::Form;
use lazaret::imap::section::{self, Resolved, Section, What};
use lazaret::imap::{envelope, structure};
use lazaret::mail::date::Written;
use lazaret::mail::mime::{Kind, Scanner, Structure};
use lazaret::mail::{header, text, words};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&how, message)) = data.split_first() else { return };
    let form = if how & 1 == 0 { Form::Crlf } else { Form::Lf };
    let whole = Structure::of(message, form);
    let mut scanner = Scanner::new(form);
    for piece in message.chunks(usize::from(how >> 1).max(1)) {
        scanner.feed(piece);
    }
    assert!(scanner.finish() == whole, "pieces change the structure");
    for part in whole.parts() {
        assert!(part.header.start <= part.header.end && part.header.end <= part.body.start, "header and body overlap");
        assert!(part.body.start <= part.body.end && part.body.end <= whole.size(), "a body outside");
        if let Some(parent) = part.parent().and_then(|p| whole.part(p)) {
            assert!(
                parent.body.start <= part.header.start && part.body.end <= parent.body.end,
                "a part outside its parent"
            );
        }
        plant::planted(part.content.parameter("charset").unwrap_or_default());
    }
    let mut out = Vec::new();
    structure::render_body_structure(&whole, &mut out);
    structure::render_body(&whole, &mut out);
    assert_eq!(out.iter().filter(|b| **b == 0).count(), 0, "NUL in BODYSTRUCTURE");
    let read = Structure::from_bytes(&whole.to_bytes()).expect("what was written is read");
    assert_eq!(read.parts().len(), whole.parts().len());
    assert_eq!(read.to_bytes(), whole.to_bytes());
    let _ = Structure::from_bytes(message);

    if form == Form::Crlf {
        assert_eq!(whole.size(), message.len() as u64);
        let root = whole.root();
        for what in [What::Whole, What::Header, What::Text, What::Mime, What::Fields(vec![b"subject".to_vec()])] {
            for path in [vec![], vec![1], vec![2], vec![1, 1], vec![2, 1, 3]] {
                let Some(found) = section::resolve(&Section { path, what: what.clone() }, &whole) else { continue };
                let (Resolved::Bytes(range) | Resolved::Filtered(range)) = found;
                assert!(range.start <= range.end && range.end <= whole.size(), "a section outside");
            }
        }
        let block = &message[root.header.start as usize..root.header.end as usize];
        read_header(block);
        for part in whole.parts().iter().filter(|p| p.kind == Kind::Leaf).take(20) {
            let body = &message[part.body.start as usize..part.body.end as usize];
            let encoding = [Some(&b"base64"[..]), Some(b"quoted-printable"), None][usize::from(how >> 1) % 3];
            let decoded = text::decode(body, encoding, part.content.parameter("charset"), 4096);
            let _ = text::html_to_text(&decoded);
        }
    }
});

fn read_header(block: &[u8]) {
    let mut out = Vec::new();
    envelope::render(block, &mut out);
    assert!(out.starts_with(b"(") && out.ends_with(b")") && !out.contains(&0), "an ENVELOPE");
    for field in header::fields(block).take(100) {
        let value = field.unfolded();
        let decoded = words::decode(&value);
        plant::planted(decoded.trim().as_bytes());
        if let Some(date) = Written::parse(&value) {
            let _ = (date.timestamp(), date.day_number());
        }
    }
    let names = [b"subject".to_vec(), b"to".to_vec()];
    let with = section::filter_fields(block, &names, false);
    let without = section::filter_fields(block, &names, true);
    // A line end and the empty line may be added.
    assert!(with.len() <= block.len() + 4 && without.len() <= block.len() + 4, "filtered fields grew");
}
