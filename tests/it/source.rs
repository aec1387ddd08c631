//! Reading Rust source as the rules of `layers` and `tidy` need it: tokens without comments, texts and tests.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A file of the tree.
#[derive(Debug, Clone)]
pub struct Source {
    /// Path below the package, with `/`.
    pub path: String,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// A file that exists only in memory.
    pub fn planted(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.into() }
    }

    /// The module path: `src/imap/mod.rs` is `["imap"]`, `src/imap/parse.rs` is `["imap", "parse"]`.
    pub fn module(&self) -> Vec<&str> {
        let inside = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        inside.split('/').filter(|part| !matches!(*part, "mod" | "lib")).collect()
    }

    /// Tokens of the code that ships, with line numbers.
    pub fn shipped(&self) -> Vec<Token> {
        without_tests(tokens(&self.text))
    }
}

/// Where the package is.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `folder` whose names end in `ending`, by path.
pub fn files(folder: &str, ending: &str) -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root().join(folder), ending, &mut found);
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn collect(folder: &Path, ending: &str, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            if !path.ends_with("target") {
                collect(&path, ending, found);
            }
        } else if path.to_string_lossy().ends_with(ending) {
            let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let path = path.strip_prefix(root()).expect("below the package").to_string_lossy().replace('\\', "/");
            found.push(Source { path, text });
        }
    }
}

/// The files of src that ship: those that only tests compile (`#[cfg(test)] mod name;`) are left out.
pub fn shipped_files() -> Vec<Source> {
    let all = files("src", ".rs");
    let mut tests_only = HashSet::new();
    for source in &all {
        let tokens = tokens(&source.text);
        for at in 0..tokens.len() {
            let words: Vec<&str> = tokens[at..].iter().take(14).map(|t| t.text.as_str()).collect();
            let declared = match &words[..] {
                ["#", "[", "cfg", "(", "test", ")", "]", "pub", "(", _, ")", "mod", name, ";", ..]
                | ["#", "[", "cfg", "(", "test", ")", "]", "pub", "mod", name, ";", ..]
                | ["#", "[", "cfg", "(", "test", ")", "]", "mod", name, ";", ..] => Some(*name),
                _ => None,
            };
            if let Some(name) = declared {
                let folder = match source.path.strip_suffix("/mod.rs") {
                    Some(folder) => folder.to_string(),
                    None if source.path == "src/lib.rs" => "src".to_string(),
                    None => source.path.trim_end_matches(".rs").to_string(),
                };
                tests_only.insert(format!("{folder}/{name}.rs"));
                tests_only.insert(format!("{folder}/{name}/"));
            }
        }
    }
    all.into_iter()
        .filter(|s| !tests_only.iter().any(|t| s.path == *t || t.ends_with('/') && s.path.starts_with(t)))
        .collect()
}

/// A word, a `::`, or one other character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

impl Token {
    /// Whether it is a name or a keyword.
    pub fn is_word(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// Cuts source into tokens. Comments, texts and characters vanish; lifetimes stay as `'` and a word.
pub fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let (mut i, mut line, mut found) = (0, 1, Vec::new());
    while i < chars.len() {
        let c = chars[i];
        let start = i;
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && chars[i] != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            while i < chars.len() {
                match (chars[i], at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 {
                    break;
                }
            }
        } else if let Some(hashes) = raw_text(&chars, i) {
            let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            while i < chars.len() && chars[i] != '"' {
                i += 1;
            }
            i += 1;
            while i < chars.len() && !chars[i..].starts_with(&end) {
                i += 1;
            }
            i += end.len();
        } else if c == '"' {
            i += 1;
            while i < chars.len() && chars[i] != '"' {
                i += if chars[i] == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if c == '\'' && (at(i + 1) == '\\' || at(i + 2) == '\'') {
            i += if at(i + 1) == '\\' { 3 } else { 2 };
            while i < chars.len() && chars[i] != '\'' {
                i += 1;
            }
            i += 1;
        } else if c.is_alphanumeric() || c == '_' {
            while i < chars.len() && (chars[i].is_alphanumeric() || chars[i] == '_') {
                i += 1;
            }
            found.push(Token { text: chars[start..i].iter().collect(), line });
        } else if c == ':' && at(i + 1) == ':' {
            found.push(Token { text: "::".into(), line });
            i += 2;
        } else {
            if !c.is_whitespace() {
                found.push(Token { text: c.to_string(), line });
            }
            i += 1;
        }
        line += chars[start..i.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    found
}

/// How many `#` a raw text that begins here has.
fn raw_text(chars: &[char], i: usize) -> Option<usize> {
    let before = i.checked_sub(1).map(|b| chars[b]);
    if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let mut rest = &chars[i..];
    rest = rest.strip_prefix(&['b']).or(rest.strip_prefix(&['c'])).unwrap_or(rest);
    rest = rest.strip_prefix(&['r'])?;
    let hashes = rest.iter().take_while(|c| **c == '#').count();
    (rest.get(hashes) == Some(&'"')).then_some(hashes)
}

/// Drops every item that stands under `#[cfg(test)]`.
pub fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut i = 0;
    while i < tokens.len() {
        let words: Vec<&str> = tokens[i..].iter().take(7).map(|t| t.text.as_str()).collect();
        if words == ["#", "[", "cfg", "(", "test", ")", "]"] {
            i = end_of_item(&tokens, i + 7);
        } else {
            kept.push(tokens[i].clone());
            i += 1;
        }
    }
    kept
}

/// The index after the item that begins here: its `;` or `,`, or the closing brace of its body.
fn end_of_item(tokens: &[Token], from: usize) -> usize {
    let mut depth = 0i32;
    for (i, token) in tokens.iter().enumerate().skip(from) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" if depth == 1 => {
                let is_use = tokens[from..i].iter().any(|t| t.text == "use");
                if !is_use {
                    return i + 1;
                }
                depth -= 1;
            }
            "}" | ")" | "]" => depth -= 1,
            ";" if depth == 0 => return i + 1,
            _ => {}
        }
    }
    tokens.len()
}

#[test]
fn tokens_leave_out_comments_texts_and_tests() {
    let text = r##"
        use a::b; // c::d
        /* e::f /* g::h */ i::j */
        fn k<'l>(m: &'l str) -> char { let n = "o::p\" q::r"; let s = r#"t::u " v::w"#; '"' }
        const X: char = '\''; const Y: &[u8] = b"y::y";
        #[cfg(test)]
        use {gone::one, gone::two};
        #[cfg(test)]
        mod tests { fn gone() { gone::three(); } }
        fn z() {}
    "##;
    let words: Vec<String> = without_tests(tokens(text)).into_iter().filter(Token::is_word).map(|t| t.text).collect();
    let expected = "use a b fn k l m l str char let n let s const X char const Y u8 b fn z";
    assert_eq!(words.join(" "), expected);
    assert_eq!(tokens("a\n\"b\nc\"\nd").last().unwrap().line, 4);
}

/// The lines of Cargo.toml's `[dependencies]`: the name in code, and the name there.
pub fn dependencies() -> std::collections::BTreeMap<String, String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let table = manifest.split("\n[").find(|t| t.starts_with("dependencies]")).expect("a table [dependencies]");
    let lines = table.lines().skip(1).filter(|l| !l.starts_with('#'));
    let names = lines.filter_map(|l| l.split_once('=')).map(|(name, _)| name.trim().to_string());
    names.map(|name| (name.replace('-', "_"), name)).collect()
}
