//! What the page shows of a message: its HTML made harmless, the filter's reasons, the names of files, targets of links.
#![no_main]

mod plant;

use lazaret::page::reasons::Sorted;
use lazaret::page::target::Target;
use lazaret::page::texts::Language;
use lazaret::page::{filename, sanitise};
use libfuzzer_sys::fuzz_target;

/// The names of all tags that the frame's body may hold.
const TAGS: [&str; 20] = [
    "b",
    "blockquote",
    "br",
    "code",
    "div",
    "h3",
    "h4",
    "hr",
    "i",
    "li",
    "ol",
    "p",
    "pre",
    "s",
    "span",
    "sub",
    "sup",
    "u",
    "ul",
    "wbr",
];

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let document = sanitise::body(&text, Language::En);
    let body = document
        .split_once("<body dir=\"auto\">")
        .and_then(|(_, rest)| rest.strip_suffix("</body></html>"))
        .expect("a body");
    for tag in body.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("a tag that ends");
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let name = name.strip_prefix('/').unwrap_or(name);
        assert!(TAGS.contains(&name), "the tag {tag:?}");
        for attribute in attributes.split_terminator("\" ") {
            let known = attribute.starts_with("class=\"") || attribute.starts_with("dir=\"");
            assert!(attributes.is_empty() || known, "the attribute {attribute:?}");
        }
    }
    let lines: Vec<String> = text.lines().map(String::from).collect();
    let sorted = Sorted::of(&lines);
    assert_eq!(sorted.against.len() + sorted.in_favour.len() + sorted.neutral.len(), lines.len(), "a reason was lost");
    for reason in sorted.against.iter().chain(&sorted.neutral) {
        let _ = reason.meaning(Language::Fr);
    }
    let name = filename::safe(&text, "x");
    assert!(!name.contains(['/', '\\', '\r', '\n', '\0']) && !name.starts_with('.'), "the file name {name:?}");
    assert!(!filename::disposition(&text).contains(['\r', '\n']));
    if let Target::Web { host, .. } = Target::of(&text, None) {
        assert!(host.is_ascii(), "the host {host:?}");
    }
    plant::planted(name.as_bytes());
});
