//! A hostile page becomes a plain one: balanced tags of a few kinds, all of them written here, and text between them.
//!
//! Tables become boxes that a style sheet lays out as a table: HTML moves what stands wrongly inside a real one, which is
//! what sanitisers were tricked with, and what takes them quadratic time. Colours, fonts and hidden text are left out on
//! purpose: what a sender wanted nobody to read is read here.

use super::token::{Tag, Token, Tokens};
use crate::base::limits;
use crate::page::target::Target;
use crate::page::texts::Frame;

/// Characters of one text that have to be escaped: for each, the serialiser behind ammonia looks through the rest of that
/// text, so that a megabyte of `&` takes half a minute. A place where a line may break ends a text.
const ESCAPED: usize = 200;

/// An element that is open.
struct Open {
    name: &'static str,
    close: &'static str,
    is_inline: bool,
}

/// How an element is shown.
enum Shape {
    /// As a box of its own.
    Block(&'static str, &'static str, &'static str),
    /// Within a line.
    Inline(&'static str, &'static str, &'static str),
    /// Its content only.
    Content,
}

/// The shape of an element that has an end tag.
fn shape(name: &str) -> Shape {
    use Shape::{Block, Content, Inline};
    match name {
        "p" => Block("p", "<div class=\"p\"", "</div>"),
        "dd" => Block("dd", "<div class=\"dd\"", "</div>"),
        "table" => Block("table", "<div class=\"table\"", "</div>"),
        "tr" => Block("tr", "<div class=\"row\"", "</div>"),
        "td" | "th" => Block("td", "<div class=\"cell\"", "</div>"),
        "center" => Block("center", "<div class=\"center\"", "</div>"),
        "blockquote" => Block("blockquote", "<blockquote", "</blockquote>"),
        "ul" | "menu" | "dir" => Block("ul", "<ul", "</ul>"),
        "ol" => Block("ol", "<ol", "</ol>"),
        "li" => Block("li", "<li", "</li>"),
        "pre" | "listing" | "xmp" | "plaintext" => Block("pre", "<pre", "</pre>"),
        "h1" | "h2" => Block("h", "<h3", "</h3>"),
        "h3" | "h4" | "h5" | "h6" => Block("h", "<h4", "</h4>"),
        "div" | "section" | "article" | "header" | "footer" | "main" | "nav" | "aside" | "address" | "figure"
        | "figcaption" | "fieldset" | "legend" | "details" | "summary" | "dl" | "dt" | "caption" | "option" => {
            Block("div", "<div", "</div>")
        }
        "b" | "strong" => Inline("b", "<b", "</b>"),
        "i" | "em" | "cite" | "dfn" | "var" => Inline("i", "<i", "</i>"),
        "u" | "ins" => Inline("u", "<u", "</u>"),
        "s" | "strike" | "del" => Inline("s", "<s", "</s>"),
        "code" | "tt" | "kbd" | "samp" => Inline("code", "<code", "</code>"),
        "sub" => Inline("sub", "<sub", "</sub>"),
        "sup" => Inline("sup", "<sup", "</sup>"),
        _ => Content,
    }
}

/// A link whose text is being written.
struct Link {
    target: Target,
    text: String,
}

/// The plain page, and whether the original was cut.
pub struct Tamed {
    /// HTML without a frame around it.
    pub page: String,
    /// Not all of it is there.
    pub is_cut: bool,
}

/// Tames a page; at most `limits::FRAME_OUTPUT` bytes come out.
pub fn tame(page: &str, texts: &'static Frame) -> Tamed {
    let mut tamer = Tamer { out: String::new(), open: Vec::new(), link: None, base: None, escaped: 0, texts };
    let mut is_cut = false;
    for token in Tokens::new(page) {
        if tamer.out.len() >= limits::FRAME_OUTPUT {
            is_cut = true;
            break;
        }
        match token {
            Token::Text(text) => tamer.text(text),
            Token::Start(tag) => tamer.start(&tag),
            Token::End(name) => tamer.end(&name.to_ascii_lowercase()),
        }
    }
    tamer.end_link();
    tamer.close_to(0);
    Tamed { page: tamer.out, is_cut }
}

struct Tamer {
    out: String,
    open: Vec<Open>,
    link: Option<Link>,
    base: Option<String>,
    /// Characters that ammonia's serialiser escapes, since the last break.
    escaped: usize,
    texts: &'static Frame,
}

impl Tamer {
    /// Text with its character references as they are: none of them can begin a tag.
    fn text(&mut self, text: &str) {
        self.write(text, true);
        if let Some(link) = &mut self.link
            && link.text.len() < 300
        {
            link.text.push_str(text);
        }
    }

    /// Writes text that cannot be a tag; of one with `references` those stay as they are written.
    fn write(&mut self, text: &str, references: bool) {
        for c in text.chars() {
            if matches!(c, '&' | '<' | '>' | '\u{a0}') {
                self.escaped += 1;
                if self.escaped > ESCAPED {
                    self.escaped = 0;
                    self.out.push_str("<wbr>");
                }
            }
            match c {
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '&' if !references => self.out.push_str("&amp;"),
                c => self.out.push(c),
            }
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        let name = tag.name.to_ascii_lowercase();
        match name.as_str() {
            "br" => self.out.push_str("<br>"),
            "hr" => self.out.push_str("<hr>"),
            "a" => {
                self.end_link();
                self.link = self.target(tag, "href").map(|target| Link { target, text: String::new() });
            }
            "area" => {
                if let Some(target) = self.target(tag, "href") {
                    self.note(&[tag.written("alt").unwrap_or_default()], Some(&target));
                }
            }
            "base" if self.base.is_none() => self.base = tag.attribute("href"),
            "img" | "image" => self.image(tag),
            "form" => {
                let target = self.target(tag, "action").unwrap_or(Target::Nowhere);
                self.note(&[self.texts.form], Some(&target));
            }
            "input" | "select" | "textarea"
                if !tag.attribute("type").is_some_and(|t| t.eq_ignore_ascii_case("hidden")) =>
            {
                self.note(&[self.texts.field], None);
            }
            name => self.open(name, tag),
        }
    }

    fn open(&mut self, name: &str, tag: &Tag<'_>) {
        let (name, start, close, is_inline) = match shape(name) {
            Shape::Block(name, start, close) => (name, start, close, false),
            Shape::Inline(name, start, close) => (name, start, close, true),
            Shape::Content => return,
        };
        // HTML standard 13.1.2.4: what is ended by the next of its kind
        let ended = match name {
            "p" => self.find("p", "td"),
            "li" => self.find("li", "ul").filter(|&at| self.find("li", "ol") == Some(at)),
            "td" => self.find("td", "table"),
            "tr" => self.find("tr", "table"),
            _ => None,
        };
        if let Some(at) = ended {
            self.close_to(at);
        }
        if self.open.len() >= limits::FRAME_DEPTH {
            return;
        }
        self.out.push_str(start);
        if !is_inline && let Some(dir) = direction(tag) {
            self.out.push_str(" dir=\"");
            self.out.push_str(dir);
            self.out.push('"');
        }
        self.out.push('>');
        self.open.push(Open { name, close, is_inline });
    }

    fn end(&mut self, name: &str) {
        let found = match shape(name) {
            _ if name == "a" => return self.end_link(),
            // a stray end tag of a word's style ends no box
            Shape::Inline(name, ..) => {
                let inner = self.open.iter().rev().take_while(|open| open.is_inline).count();
                self.find(name, "").filter(|at| *at >= self.open.len() - inner)
            }
            Shape::Block("table", ..) => self.find("table", ""),
            Shape::Block(name, ..) => self.find(name, "table"),
            Shape::Content => None,
        };
        if let Some(at) = found {
            self.close_to(at);
        }
    }

    /// Where the innermost open element of this name stands, unless it lies outside of a `barrier`.
    fn find(&self, name: &str, barrier: &str) -> Option<usize> {
        let inner = self.open.iter().rev().take_while(|open| open.name == name || open.name != barrier);
        inner.zip((0..self.open.len()).rev()).find(|(open, _)| open.name == name).map(|(_, at)| at)
    }

    /// Closes all but this many elements.
    fn close_to(&mut self, len: usize) {
        while self.open.len() > len {
            if let Some(open) = self.open.pop() {
                self.out.push_str(open.close);
            }
        }
    }

    fn target(&self, tag: &Tag<'_>, attribute: &str) -> Option<Target> {
        Some(Target::of(&tag.attribute(attribute)?, self.base.as_deref()))
    }

    /// Writes where the link leads, behind its text.
    fn end_link(&mut self) {
        let Some(link) = self.link.take() else { return };
        let lies = link.target.is_belied_by(&super::token::decode(&link.text));
        self.note(&[if lies { self.texts.other_site } else { "" }], Some(&link.target));
    }

    /// What an image said of itself, in its place.
    fn image(&mut self, tag: &Tag<'_>) {
        let alt = tag.written("alt").unwrap_or_default().trim();
        let alt = alt.get(..alt.char_indices().nth(200).map_or(alt.len(), |(at, _)| at)).unwrap_or_default();
        let side = |name: &str| tag.attribute(name).and_then(|v| v.trim().trim_end_matches("px").parse::<u16>().ok());
        let size = match (side("width"), side("height")) {
            (Some(width), Some(height)) => format!("{width} × {height}"),
            _ => String::new(),
        };
        let source = tag.attribute("src").filter(|source| !source.trim().is_empty());
        let host = match source.map(|source| Target::of(&source, self.base.as_deref())) {
            Some(Target::Web { host, .. }) => host,
            _ => String::new(),
        };
        self.note(&[self.texts.image, alt, &size, &host], None);
    }

    /// A remark of ours within the text: `[a, b → target]`.
    fn note(&mut self, words: &[&str], target: Option<&Target>) {
        self.out.push_str("<span class=\"note\">[");
        let words: Vec<_> = words.iter().filter(|word| !word.is_empty()).collect();
        for (at, word) in words.iter().enumerate() {
            self.out.push_str(if at > 0 { ", " } else { "" });
            self.write(word, true);
        }
        if let Some(target) = target {
            self.out.push_str(if words.is_empty() { "→ " } else { " → " });
            match target {
                Target::Web { before, host, after } => {
                    self.write(before, false);
                    self.out.push_str("<b>");
                    self.write(host, false);
                    self.out.push_str("</b>");
                    self.write(after, false);
                }
                Target::Mail(address) => self.write(address, false),
                Target::Other(scheme) => self.write(&format!("{scheme}:"), false),
                Target::Nowhere => self.write(self.texts.nowhere, false),
            }
        }
        self.out.push_str("]</span>");
    }
}

/// The direction of writing, where a tag says it.
fn direction(tag: &Tag<'_>) -> Option<&'static str> {
    let wanted = tag.written("dir")?;
    ["ltr", "rtl", "auto"].into_iter().find(|known| wanted.eq_ignore_ascii_case(known))
}
