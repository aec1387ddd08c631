//! What comes out of hostile pages is checked by a reader that knows only the few tags that may be there.

use super::*;
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// The part of a frame's document that came from the message. All around it is ours, byte for byte.
fn inside(document: &str) -> &str {
    let head = document.find("<body dir=\"auto\">").expect("a body") + "<body dir=\"auto\">".len();
    let before = &document[..head];
    assert!(
        before.starts_with("<!DOCTYPE html><html lang=\"")
            && before.ends_with(&format!("<style>{STYLE}</style></head><body dir=\"auto\">"))
    );
    document[head..].strip_suffix("</body></html>").expect("an end")
}

/// What stands in a page besides the tags that [`TAGS`] and its like allow, in exactly one spelling each.
fn forbidden(page: &str) -> Option<String> {
    let mut known: Vec<String> =
        ["<br>", "<hr>", "<wbr>", "<span class=\"note\">", "<p><b>", "</p>", "</span>"].map(String::from).into();
    for tag in TAGS.into_iter().filter(|tag| *tag != "span") {
        known.extend([format!("<{tag}>"), format!("</{tag}>")]);
        if BLOCKS.contains(&tag) {
            known.extend(DIRECTIONS.map(|dir| format!("<{tag} dir=\"{dir}\">")));
        }
    }
    for class in BOXES {
        known.push(format!("<div class=\"{class}\">"));
        known.extend(DIRECTIONS.map(|dir| format!("<div class=\"{class}\" dir=\"{dir}\">")));
        known.extend(DIRECTIONS.map(|dir| format!("<div dir=\"{dir}\" class=\"{class}\">")));
    }
    let mut rest = page;
    while let Some(at) = rest.find(['<', '>']) {
        rest = &rest[at..];
        match known.iter().find(|tag| rest.starts_with(tag.as_str())) {
            Some(tag) => rest = &rest[tag.len()..],
            None => return Some(rest.chars().take(60).collect()),
        }
    }
    None
}

/// The vectors of `tests/xss/html.txt`, by name.
pub(crate) fn vectors() -> Vec<(String, String)> {
    let file = include_str!("../../../tests/xss/html.txt");
    let all = file.split("\n=== ").skip(1).filter_map(|section| section.split_once('\n'));
    all.map(|(name, html)| {
        let html = html
            .replace("CANARY", &format!("http://canary.invalid/{name}"))
            .replace("@NUL@", "\0")
            .replace("@FF@", "\x0c");
        (name.to_string(), html)
    })
    .collect()
}

#[test]
fn nothing_in_the_corpus_leaves_a_tag_or_an_address_behind() {
    let all = vectors();
    assert!(all.len() >= 200, "{}", all.len());
    for (name, html) in &all {
        for page in [
            html.clone(),
            format!("<table><tr><td><b>{html}"),
            format!("<svg><p>{html}</p></svg>"),
            format!("x\"'>{html}"),
        ] {
            let document = body(&page, Language::En);
            assert_eq!(forbidden(inside(&document)), None, "{name}: {document}");
            assert_eq!(forbidden(inside(&body(inside(&document), Language::De))), None, "{name}: once more");
        }
    }
}

#[test]
fn the_checker_sees_what_is_forbidden() {
    for bad in [
        "<script>",
        "<b onclick=x>",
        "<a href=\"x\">",
        "<div class=\"x\">",
        "<img>",
        "a > b",
        "<div dir=\"x\">",
        "<!-- -->",
    ] {
        assert!(forbidden(&format!("<div><b>x</b>{bad}</div>")).is_some(), "{bad}");
    }
}

#[test]
fn what_a_reader_sees() {
    for (html, want) in [
        ("<h1>A &amp; b</h1><p>c<p>d", "<h3>A &amp; b</h3><div class=\"p\">c</div><div class=\"p\">d</div>"),
        (
            "<table><tr><td align=x>a<td>b<tr><td>c</table>d",
            "<div class=\"table\"><div class=\"row\"><div class=\"cell\">a</div><div class=\"cell\">b</div></div>\
             <div class=\"row\"><div class=\"cell\">c</div></div></div>d",
        ),
        ("<ul><li>a<li>b<ul><li>c</ul></ul>", "<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul>"),
        (
            "<a href='https://evil.test/a'>Your bank</a>",
            "Your bank<span class=\"note\">[→ https://<b>evil.test</b>/a]</span>",
        ),
        (
            "<a href='https://bank.example@evil.test'>https://bank.example/</a>",
            "https://bank.example/<span class=\"note\">[careful: the text names another site → https://…@<b>evil.test</b>]</span>",
        ),
        (
            "<img src='https://track.test/x' width=1 height='1px' alt='<b>'>",
            "<span class=\"note\">[image not shown, &lt;b&gt;, 1 × 1, track.test]</span>",
        ),
        (
            "<form action=//x><input type=password><input type=hidden>",
            "<span class=\"note\">[a form that sends what is typed → no address]</span><span class=\"note\">[input field]</span>",
        ),
        (
            "<base href=https://evil.test/x/><a href=y>z</a>",
            "z<span class=\"note\">[→ https://<b>evil.test</b>/x/y]</span>",
        ),
        ("<b>a<div>b</b>c</div>d", "<b>a<div>bc</div>d</b>"),
        ("<div dir=RTL>x</div><div dir=x>y</div>", "<div dir=\"rtl\">x</div><div>y</div>"),
        ("<div style='display:none'>seen</div><font color=white>too</font>", "<div>seen</div>too"),
    ] {
        assert_eq!(inside(&body(html, Language::En)), want, "{html}");
    }
    assert!(body("x", Language::Fr).contains("lang=\"fr\""));
}

#[test]
fn hostile_sizes_take_neither_stack_nor_time() {
    let many = |text: &str| text.repeat((1 << 20) / text.len());
    let pages = [
        many("<div>"),
        many("<blockquote>"),
        many("<table><tr><td>"),
        many("<table>"),
        many("<table>x"),
        many("<font color=a>") + &many("<p>"),
        many("<b><i><u>"),
        many("<b id=1><p>"),
        many("</div>"),
        many("</p>"),
        many("</b>"),
        many("<a href=x>"),
        many("<img>"),
        many("<li>"),
        many("<ul><li>"),
        many("<h1>"),
        many("<!--a--!>"),
        many("<!-"),
        "<!--".to_string() + &many("--"),
        "<script>".to_string() + &many("</"),
        many("<a b='"),
        many("<"),
        many("&"),
        many("&#1"),
        many("&nbsp;"),
        many("\u{a0}"),
        many("&unknown;"),
        "<b ".to_string() + &many("a=b "),
        many("<svg><math>"),
        many("<select><option>"),
        many("<form><input>"),
        format!("<a href='https://{}'>x", many("ä")),
        format!("<base href='https://x.test/{}'>{}", many("a"), many("<a href=y>")),
    ];
    for page in pages {
        let start = Instant::now();
        let document = body(&page, Language::En);
        let took = start.elapsed();
        let shown: String = page.chars().take(40).collect();
        assert_eq!(forbidden(inside(&document)), None, "{shown}");
        assert!(document.len() <= 5 * limits::FRAME_OUTPUT, "{shown}: {} bytes", document.len());
        assert!(took < Duration::from_secs(8), "{shown}: {took:?}");
    }
}

#[test]
fn a_cut_page_says_so() {
    let texts = Frame::of(Language::En);
    assert!(!body(&"ä".repeat(limits::FRAME_INPUT / 2), Language::En).contains(texts.cut));
    assert!(body(&"ä".repeat(limits::FRAME_INPUT / 2 + 1), Language::En).contains(texts.cut));
    assert!(body(&"<img>".repeat(limits::FRAME_INPUT / 6), Language::En).contains(texts.cut));
}

#[test]
fn the_policy_lets_our_style_sheet_in_and_nothing_else() {
    use base64::Engine;
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, STYLE.as_bytes());
    let hash = base64::engine::general_purpose::STANDARD.encode(hash);
    assert!(FRAME_POLICY.contains(&format!("style-src 'sha256-{hash}'")), "write this into FRAME_POLICY: {hash}");
    assert!(
        !STYLE.contains("url") && !STYLE.contains('@') || STYLE.matches('@').count() == STYLE.matches("@media").count()
    );
}

proptest! {
    #[test]
    fn any_text_becomes_harmless(html in "(<|>|/|a|p|td|table|b|li|svg|img|style|script|title|!--|--|=|\"|'| |&|#|;|x|href|src|é){0,80}") {
        let once = body(&html, Language::En);
        prop_assert_eq!(forbidden(inside(&once)), None);
        let again = body(inside(&once), Language::En);
        prop_assert_eq!(forbidden(inside(&again)), None);
    }

    #[test]
    fn any_bytes_become_harmless(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let once = body(&String::from_utf8_lossy(&bytes), Language::Es);
        prop_assert_eq!(forbidden(inside(&once)), None);
    }
}
