//! HTML cut into tags and text, as a browser cuts it (HTML standard 13.2.5), in one pass.
//!
//! Nothing depends on getting this right but what a reader sees: whatever these tokens hold, [`super::tame`] writes only
//! tags of its own, and text that cannot be one.

/// Attributes of one tag that are looked at.
const ATTRIBUTES: usize = 60;

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token<'a> {
    /// Text with its character references as they are written.
    Text(&'a str),
    /// A start tag.
    Start(Tag<'a>),
    /// An end tag, by its name.
    End(&'a str),
}

/// A start tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag<'a> {
    /// Its name as it is written.
    pub name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
}

impl Tag<'_> {
    /// The value of the first attribute of this name, character references decoded.
    pub fn attribute(&self, name: &str) -> Option<String> {
        self.written(name).map(decode)
    }

    /// The same as it is written.
    pub fn written(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

/// Elements whose content is text up to their end tag, and shows nothing.
const UNSEEN: [&str; 6] = ["script", "style", "title", "iframe", "noembed", "noframes"];

/// The tokens of a page. Comments, declarations and what [`UNSEEN`] elements hold are passed over.
#[derive(Debug)]
pub struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    /// Of a whole page or a part of one.
    pub fn new(page: &'a str) -> Self {
        Tokens { rest: page }
    }

    /// Takes so many bytes; they end where a character ends.
    fn take(&mut self, len: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let len = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        self.take(len)
    }

    fn starts_with_letter(text: &str) -> bool {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
    }

    /// What begins with `<`. `None`: nothing to show.
    fn markup(&mut self) -> Option<Token<'a>> {
        let after = self.rest.get(1..).unwrap_or_default();
        if Self::starts_with_letter(after) {
            self.take(1);
            return self.tag().map(Token::Start);
        }
        if let Some(name) = after.strip_prefix('/')
            && Self::starts_with_letter(name)
        {
            self.take(2);
            return self.tag().map(|tag| Token::End(tag.name));
        }
        if after.starts_with("!--") {
            self.take(4);
            self.comment();
        } else if after.starts_with(['!', '?', '/']) {
            let len = self.rest.find('>').map_or(self.rest.len(), |at| at + 1);
            self.take(len);
        } else {
            return Some(Token::Text(self.take(1)));
        }
        None
    }

    /// Steps behind a comment; one that is never closed takes all that follows.
    fn comment(&mut self) {
        if self.rest.starts_with('>') || self.rest.starts_with("->") {
            let len = self.rest.find('>').map_or(0, |at| at + 1);
            self.take(len);
            return;
        }
        while let Some(at) = self.rest.find("--") {
            self.take(at);
            let behind = self.rest.get(2..).unwrap_or_default();
            if behind.starts_with('>') {
                self.take(3);
                return;
            }
            if behind.starts_with("!>") {
                self.take(4);
                return;
            }
            self.take(1);
        }
        self.rest = "";
    }

    /// A tag behind its `<` or `</`; `None` when the page ends before the tag does.
    fn tag(&mut self) -> Option<Tag<'a>> {
        let space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0c');
        let name = self.take_while(|c| !space(c) && !matches!(c, '/' | '>'));
        let mut attributes = Vec::new();
        loop {
            self.take_while(|c| space(c) || c == '/');
            if self.rest.starts_with('>') {
                self.take(1);
                return Some(Tag { name, attributes });
            }
            let first = self.rest.chars().next()?.len_utf8();
            let start = self.rest;
            self.take(first);
            let more = self.take_while(|c| !space(c) && !matches!(c, '/' | '>' | '='));
            let attribute = start.get(..first + more.len()).unwrap_or_default();
            self.take_while(space);
            let mut value = "";
            if self.rest.starts_with('=') {
                self.take(1);
                self.take_while(space);
                value = match self.rest.chars().next()? {
                    quote @ ('"' | '\'') => {
                        self.take(1);
                        let Some(end) = self.rest.find(quote) else {
                            self.rest = "";
                            return None;
                        };
                        let value = self.take(end);
                        self.take(1);
                        value
                    }
                    _ => self.take_while(|c| !space(c) && c != '>'),
                };
            }
            if attributes.len() < ATTRIBUTES {
                attributes.push((attribute, value));
            }
        }
    }

    /// Steps to the end tag of an element whose content is not seen.
    fn skip_content(&mut self, name: &str) {
        while let Some(at) = self.rest.find("</") {
            self.take(at + 2);
            let found = self.rest.get(..name.len()).is_some_and(|n| n.eq_ignore_ascii_case(name));
            let ends = self
                .rest
                .get(name.len()..)
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>')));
            if found && ends {
                self.tag();
                return;
            }
        }
        self.rest = "";
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        while !self.rest.is_empty() {
            let text = self.take_while(|c| c != '<');
            if !text.is_empty() {
                return Some(Token::Text(text));
            }
            match self.markup() {
                Some(Token::Start(tag)) if UNSEEN.iter().any(|n| tag.name.eq_ignore_ascii_case(n)) => {
                    self.skip_content(tag.name);
                }
                Some(token) => return Some(token),
                None => {}
            }
        }
        None
    }
}

/// Character references that stand for ASCII: those that can hide an address. Others stay as they are written.
const REFERENCES: [(&str, char); 43] = [
    ("amp", '&'),
    ("AMP", '&'),
    ("lt", '<'),
    ("LT", '<'),
    ("gt", '>'),
    ("GT", '>'),
    ("quot", '"'),
    ("QUOT", '"'),
    ("apos", '\''),
    ("Tab", '\t'),
    ("NewLine", '\n'),
    ("excl", '!'),
    ("num", '#'),
    ("dollar", '$'),
    ("percnt", '%'),
    ("lpar", '('),
    ("rpar", ')'),
    ("ast", '*'),
    ("midast", '*'),
    ("plus", '+'),
    ("comma", ','),
    ("period", '.'),
    ("sol", '/'),
    ("colon", ':'),
    ("semi", ';'),
    ("equals", '='),
    ("quest", '?'),
    ("commat", '@'),
    ("lsqb", '['),
    ("lbrack", '['),
    ("bsol", '\\'),
    ("rsqb", ']'),
    ("rbrack", ']'),
    ("Hat", '^'),
    ("lowbar", '_'),
    ("grave", '`'),
    ("lcub", '{'),
    ("lbrace", '{'),
    ("verbar", '|'),
    ("vert", '|'),
    ("rcub", '}'),
    ("rbrace", '}'),
    ("nbsp", '\u{a0}'),
];

/// An attribute's value with its character references decoded: numbers, and the names that stand for ASCII.
pub fn decode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('&') {
        let (plain, from) = rest.split_at(at);
        out.push_str(plain);
        let body = from.get(1..).unwrap_or_default();
        let (found, len) = match body.strip_prefix('#') {
            Some(digits) => numbered(digits),
            None => named(body),
        };
        match found {
            Some(c) => out.push(c),
            None => out.push('&'),
        }
        rest = body.get(len..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// The character, and the bytes behind the `&` that stand for it.
fn numbered(digits: &str) -> (Option<char>, usize) {
    let (radix, skip) = if digits.starts_with(['x', 'X']) { (16, 1) } else { (10, 0) };
    let digits = digits.get(skip..).unwrap_or_default();
    let len = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    if len == 0 {
        return (None, 0);
    }
    let significant = digits.get(..len).unwrap_or_default().trim_start_matches('0');
    let number = if significant.len() > 8 { u32::MAX } else { u32::from_str_radix(significant, radix).unwrap_or(0) };
    let c = char::from_u32(number).filter(|&c| c != '\0').unwrap_or('\u{fffd}');
    let semicolon = usize::from(digits.get(len..).is_some_and(|rest| rest.starts_with(';')));
    (Some(c), 1 + skip + len + semicolon)
}

fn named(body: &str) -> (Option<char>, usize) {
    let len = body.bytes().take(8).take_while(u8::is_ascii_alphabetic).count();
    let (name, rest) = body.split_at_checked(len).unwrap_or_default();
    let closed = rest.starts_with(';');
    // HTML standard 13.2.5.73: in an attribute the old names count without a semicolon, but not before `=` or a letter
    let old = matches!(name, "amp" | "AMP" | "lt" | "LT" | "gt" | "GT" | "quot" | "QUOT" | "nbsp");
    let counts = closed || old && !rest.starts_with(|c: char| c == '=' || c.is_ascii_alphanumeric());
    match REFERENCES.iter().find(|(n, _)| *n == name).filter(|_| counts) {
        Some((_, c)) => (Some(*c), len + usize::from(closed)),
        None => (None, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(page: &str) -> Vec<String> {
        Tokens::new(page)
            .map(|token| match token {
                Token::Text(text) => text.to_string(),
                Token::Start(tag) => {
                    let all: Vec<_> = tag.attributes.iter().map(|(n, v)| format!("{n}={v}")).collect();
                    format!("<{} {}>", tag.name, all.join(",")).replace(" >", ">")
                }
                Token::End(name) => format!("</{name}>"),
            })
            .collect()
    }

    #[test]
    fn tags_and_what_is_none() {
        for (page, want) in [
            ("a<b>c</B >d", vec!["a", "<b>", "c", "</B>", "d"]),
            ("<a/href='x y'/b=1 c = \">\" d>", vec!["<a href=x y,b=1,c=>,d=>"]),
            ("1 < 2 <3 <", vec!["1 ", "<", " 2 ", "<", "3 ", "<"]),
            ("a<!-- <b> -->b<!-->c<!--->d<!--x--!>e<!---->f", vec!["a", "b", "c", "d", "e", "f"]),
            ("a<!doctype html><?x?></ x>b", vec!["a", "b"]),
            ("a<!--never closed", vec!["a"]),
            ("a<b x='never closed>", vec!["a"]),
            ("a<script>if(a<b)</scripty></SCRIPT\n>b", vec!["a", "b"]),
            ("a<style>never closed", vec!["a"]),
            ("<img =x onerror=y>", vec!["<img =x=,onerror=y>"]),
            ("<ä>é", vec!["<", "ä>é"]),
        ] {
            assert_eq!(shown(page), want, "{page}");
        }
    }

    #[test]
    fn references_in_attributes() {
        for (written, want) in [
            ("jav&#x61;script&colon;x", "javascript:x"),
            ("&#0000106&#97;v&Tab;a", "jav\ta"),
            ("a&amp;b&ampc&amp=&lt", "a&b&ampc&amp=<"),
            ("&#0;&#xd800;&#99999999999;&#;&#x;&unknown;&", "\u{fffd}\u{fffd}\u{fffd}&#;&#x;&unknown;&"),
        ] {
            assert_eq!(decode(written), want, "{written}");
        }
    }
}
