//! The HTML of a caught message, with nothing left in it that runs, loads or leads anywhere.
//!
//! Four walls, each of which would do alone: `tame` writes a plain page out of its own tags; ammonia, which knows HTML as
//! browsers read it, lets pass no other; the document says in itself that nothing may be loaded; and the frame that shows
//! it is sandboxed and sent under [`FRAME_POLICY`].
//!
//! Links cannot be followed: this is mail that was caught. Behind each stands where it really leads.

mod tame;
#[cfg(test)]
mod tests;
pub mod token;

#[cfg(test)]
pub(crate) use tests::vectors;

use super::texts::{Frame, Language};
use crate::base::limits;
use ammonia::Builder;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// Content-Security-Policy of the answer that is the frame's page. `sandbox` without a word gives it an origin of its own
/// and forbids scripts, forms, windows and navigation of the page around it, even where it is opened outside of a frame.
/// `default-src` leaves forms and `base` out, so they are named. The one style sheet is ours, let in by its hash: no mail's
/// could come with it.
pub const FRAME_POLICY: &str = "default-src 'none'; style-src 'sha256-ByrMbun40cg1KMamcp8RFQJeG3N7Fz7snkd3wDSCfd0='; \
    form-action 'none'; base-uri 'none'; sandbox";

/// The style sheet of the frame. Without any address, so that nothing can be loaded by it.
const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;margin:1rem;color:#111;background:#fff;overflow-wrap:anywhere}\
.p{margin:0 0 1em}.dd{margin-left:2em}.center{text-align:center}.table{display:table}.row{display:table-row}\
.cell{display:table-cell;padding:2px 4px;vertical-align:top}pre{white-space:pre-wrap}\
.note{unicode-bidi:isolate;direction:ltr;color:#444;font-size:.875em}\
@media(max-width:40rem){.table,.row,.cell{display:block}}";

/// Every tag that a message may keep; none of them has an address in any of its attributes.
const TAGS: [&str; 19] = [
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
    "pre",
    "s",
    "span",
    "sub",
    "sup",
    "u",
    "ul",
    "wbr",
];
const BLOCKS: [&str; 8] = ["blockquote", "div", "h3", "h4", "li", "ol", "pre", "ul"];
const DIRECTIONS: [&str; 3] = ["ltr", "rtl", "auto"];
const BOXES: [&str; 6] = ["p", "dd", "table", "row", "cell", "center"];

static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let directions: HashMap<&str, HashSet<&str>> = [("dir", HashSet::from(DIRECTIONS))].into();
    let mut cleaner = Builder::empty();
    cleaner
        .tags(HashSet::from(TAGS))
        .clean_content_tags(HashSet::from(["script", "style"]))
        .tag_attribute_values(BLOCKS.into_iter().map(|tag| (tag, directions.clone())).collect())
        .allowed_classes([("div", HashSet::from(BOXES)), ("span", HashSet::from(["note"]))].into())
        .url_schemes(HashSet::new())
        .link_rel(None);
    cleaner
});

/// A whole document for a sandboxed frame: the HTML of a message, made harmless. At most `limits::FRAME_INPUT` bytes of
/// it are looked at; the document says when something is missing.
pub fn body(html: &str, language: Language) -> String {
    let texts = Frame::of(language);
    let end = (0..=limits::FRAME_INPUT.min(html.len())).rev().find(|&at| html.is_char_boundary(at)).unwrap_or(0);
    let tamed = tame::tame(html.get(..end).unwrap_or_default(), texts);
    let clean = CLEANER.clean(&tamed.page).to_string();
    let cut = if tamed.is_cut || end < html.len() { format!("<p><b>{}</b></p>", texts.cut) } else { String::new() };
    format!(
        "<!DOCTYPE html><html lang=\"{}\"><head><meta charset=\"utf-8\">\
        <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
        form-action 'none'; base-uri 'none'\"><meta name=\"referrer\" content=\"no-referrer\">\
        <title>{}</title><style>{STYLE}</style></head><body dir=\"auto\">{clean}{cut}</body></html>",
        language.code(),
        texts.title,
    )
}
