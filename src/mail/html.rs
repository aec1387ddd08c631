//! The words of an HTML page.
//!
//! What comes out is, byte for byte, what mail-parser makes of the page, which looks at every byte in a dozen ways. Here
//! tags and text are told apart first, and text is copied in stretches.

use super::fold::words_len;
use mail_parser::decoders::html::add_html_token;
use memchr::{memchr, memchr2};

/// The words of a page, without its tags, comments, styles and scripts. Of white space one space is left.
pub fn to_text(page: &str) -> String {
    let mut words = Words { out: String::with_capacity(page.len()), gap: false, fresh: true };
    let mut hidden = Hidden::default();
    let mut rest = page;
    loop {
        let (text, tag) = rest.split_at(memchr(b'<', rest.as_bytes()).unwrap_or(rest.len()));
        if !hidden.any() {
            words.add(text, !tag.is_empty());
        }
        let Some((tag, after)) = Tag::first(tag) else { return words.out };
        if tag.is(b"br") || (tag.is(b"p") && tag.is_end) {
            words.end_line();
        }
        hidden.note(&tag);
        rest = after;
    }
}

/// White space between words, and between the words of a tag.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Words as they are put together.
struct Words {
    out: String,
    /// There was white space since the last word.
    gap: bool,
    /// There was a line end, and no word since that ended otherwise than before a tag. No space stands before such a word.
    fresh: bool,
}

impl Words {
    /// The text between two tags, or behind the last one.
    fn add(&mut self, text: &str, before_tag: bool) {
        let mut rest = text;
        loop {
            let (blanks, from) = rest.split_at(rest.bytes().position(|b| !is_blank(b)).unwrap_or(rest.len()));
            self.gap |= !blanks.is_empty();
            if from.is_empty() {
                return;
            }
            let is_entity = from.starts_with('&');
            let (len, is_whole) = if self.fresh || is_entity { word_len(from) } else { (as_it_is(from), true) };
            let (word, after) = from.split_at(len);
            let ends_at_tag = before_tag && !is_whole;
            if self.gap && (!self.fresh || ends_at_tag) {
                self.out.push(' ');
            }
            if is_entity {
                add_html_token(&mut self.out, word.as_bytes(), false);
            } else {
                self.out.push_str(word);
            }
            self.gap = false;
            self.fresh &= ends_at_tag;
            rest = after;
        }
    }

    fn end_line(&mut self) {
        self.out.push('\n');
        (self.gap, self.fresh) = (false, true);
    }
}

/// The length of the first word, or entity, or what ends like one; whether it ends before the text does, or in a semicolon.
fn word_len(text: &str) -> (usize, bool) {
    let ends = |&(_, byte): &(usize, u8)| is_blank(byte) || matches!(byte, b'&' | b';');
    match text.bytes().enumerate().skip(1).find(ends) {
        Some((at, b';')) => (at + 1, true),
        Some((at, _)) => (at, true),
        None => (text.len(), false),
    }
}

/// How much of a text that begins with a word comes out as it is, when this is no fresh line: words with one space between
/// them.
fn as_it_is(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut len = 0;
    loop {
        len += words_len(bytes.get(len..).unwrap_or_default(), b'&');
        match bytes.get(len..).unwrap_or_default() {
            [] | [b'&', ..] => return len,
            [b' ', next, ..] if !is_blank(*next) => len += 1,
            [byte, ..] if is_blank(*byte) => return len,
            _ => len += 1,
        }
    }
}

/// A tag, by its name.
struct Tag<'a> {
    /// Empty when there is more than a name: a comment, attributes.
    name: &'a [u8],
    is_end: bool,
}

impl<'a> Tag<'a> {
    /// The first tag of a text that begins with `<`, and what follows it. `None`: it does not end.
    fn first(text: &'a str) -> Option<(Self, &'a str)> {
        let mut from = 1;
        loop {
            let inner = text.get(from..)?;
            let start = inner.bytes().position(|b| !is_blank(b) && b != b'/')?;
            let (slashes, inner) = inner.split_at(start);
            let from_inner = from + start;
            if inner.starts_with("!--") {
                let end = from_inner + comment_len(inner.as_bytes())?;
                return Some((Tag { name: b"", is_end: false }, text.get(end..)?));
            }
            let at = memchr2(b'<', b'>', inner.as_bytes())?;
            let (inner, after) = inner.split_at(at);
            if let Some(after) = after.strip_prefix('>') {
                return Some((Tag { name: only_word(inner.as_bytes()), is_end: slashes.contains('/') }, after));
            }
            // a tag within a tag takes its place
            from = from_inner + at + 1;
        }
    }

    fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// The only word, without slashes at its end; empty when there are others.
fn only_word(inner: &[u8]) -> &[u8] {
    let len = inner.iter().position(|&b| is_blank(b)).unwrap_or(inner.len());
    let (word, rest) = inner.split_at(len);
    if rest.iter().any(|&b| !is_blank(b) && b != b'/') {
        return b"";
    }
    word.get(..word.iter().rposition(|&b| b != b'/').map_or(0, |last| last + 1)).unwrap_or_default()
}

/// The length of a comment that begins with `!--`. It ends with `>` behind two hyphens, not more.
fn comment_len(comment: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr(b'>', comment.get(at..)?)? + 1;
        let text = comment.get(..at - 1)?;
        if text.iter().rev().take(3).take_while(|&&b| b == b'-').count() == 2 {
            return Some(at);
        }
    }
}

/// Which elements are open whose text nobody sees. They do not nest.
#[derive(Default)]
struct Hidden {
    head: bool,
    style: bool,
    script: bool,
    template: bool,
}

impl Hidden {
    fn any(&self) -> bool {
        self.head || self.style || self.script || self.template
    }

    fn note(&mut self, tag: &Tag<'_>) {
        for (name, open) in [
            (&b"head"[..], &mut self.head),
            (b"style", &mut self.style),
            (b"script", &mut self.script),
            (b"template", &mut self.template),
        ] {
            if tag.is(name) {
                *open = !tag.is_end;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_parser::decoders::html::html_to_text;
    use proptest::prelude::*;

    #[test]
    fn pages() {
        for page in [
            "",
            "<",
            ">",
            "a",
            "<p>a&amp;b<style>x</style></p>",
            "<br>a<b> c d</b> e",
            "<br> a<b> c</b> d",
            "<br>a;<b> c",
            "a; b;c ;d;;e;",
            "a &#65; &#x42;&nosuch;&lt&gt;&;&",
            "<!-->a<!---->b-->c<!--->d-->e<!-- > -- > ---> -->f",
            "< / br / > x < br/ / >y<br /a>z</br>",
            "<p a>x</p ><P/>y</P>",
            "<a <b <!-- --> c>d< /!-- e --> f",
            "<head>a<br>b</head>c<script>&a;b;</script>d<template>e<!--",
            "a  b\t\r\nc \u{a0}é ü",
        ] {
            assert_eq!(to_text(page), html_to_text(page), "{page}");
        }
    }

    proptest! {
        #[test]
        fn any_page(
            tokens in prop::collection::vec(
                prop::sample::select(vec![
                    "<", ">", "/", "!", "--", "-", "&", ";", "#", " ", " ", "\r\n", "\t", "a", "bc", "é", "€", "\u{a0}", "\0",
                    "<br>", "<BR/>", "</p>", "<p>", "<p a=b>", "<head>", "</head>", "<style>", "</style>", "<script>", "</SCRIPT>",
                    "<template>", "</template>", "<!--", "-->", "amp", "&lt;", "&#65;", "&#x1F600;", "&nbsp;", "br", "p", "head",
                ]),
                0..40,
            )
        ) {
            let page = tokens.concat();
            prop_assert_eq!(to_text(&page), html_to_text(&page), "{}", page);
        }

        #[test]
        fn any_characters(page in "[<>a/!& -;#xé\n]{0,80}|\\PC{0,60}") {
            prop_assert_eq!(to_text(&page), html_to_text(&page));
        }
    }
}
