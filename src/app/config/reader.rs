//! Reads TOML key by key, so that each error has a place and says what was expected. It knows no key by itself: what is
//! not asked for is unknown.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// Line and column, counted from 1 (columns in characters); `None`: the file as a whole.
    pub at: Option<(usize, usize)>,
    /// What is wrong and what was expected.
    pub text: String,
}

impl ConfigError {
    /// An error of a file as a whole.
    pub fn whole(file: &Path, text: impl Into<String>) -> ConfigError {
        ConfigError { file: file.to_path_buf(), at: None, text: text.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some((line, column)) = self.at {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", self.text)
    }
}

impl std::error::Error for ConfigError {}

/// A file's text, for places in it.
pub struct Source<'t> {
    /// Its path.
    pub path: &'t Path,
    /// Its text.
    pub text: &'t str,
    /// Every key that was asked for: `imap.tls`, `lmtp.class`, `domains.*.route`.
    pub asked: RefCell<BTreeSet<String>>,
    /// Places to which later checks may point: of keys (`domains.x.aliases`) and of entries of lists and tables.
    places: RefCell<Vec<(String, Range<usize>)>>,
}

/// A table, with the table from which it takes what it lacks.
pub struct Section<'a> {
    source: &'a Source<'a>,
    /// As people write it: `[imap]`, `[[lmtp]]`; empty at the top.
    title: String,
    /// For `asked`, with `*` for keys that the user chose.
    schema: String,
    /// For `places`.
    path: String,
    user: Option<&'a DeTable<'a>>,
    default: Option<&'a DeTable<'a>>,
    span: Range<usize>,
    known: RefCell<Vec<&'static str>>,
}

/// What a converter makes of a value: the value, or what was expected (said after "expected ").
pub type Converted<T> = Result<T, String>;

impl<'t> Source<'t> {
    /// The text of this file.
    pub fn new(path: &'t Path, text: &'t str) -> Source<'t> {
        Source { path, text, asked: RefCell::default(), places: RefCell::default() }
    }

    /// An error at a place.
    pub fn error(&self, span: Range<usize>, text: impl Into<String>) -> ConfigError {
        let before = self.text.get(..span.start.min(self.text.len())).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        ConfigError { file: self.path.to_path_buf(), at: Some((line, column)), text: text.into() }
    }

    /// An error at the place of the first of these keys that is in the file; else of the file as a whole.
    pub fn error_at(&self, keys: &[String], text: impl Into<String>) -> ConfigError {
        let places = self.places.borrow();
        match keys.iter().find_map(|key| places.iter().find(|(path, _)| path == key)) {
            Some((_, span)) => self.error(span.clone(), text),
            None => ConfigError::whole(self.path, text),
        }
    }

    fn note(&self, path: String, span: Range<usize>) {
        self.places.borrow_mut().push((path, span));
    }

    /// Parses the text as TOML.
    pub fn table(&self) -> Result<Spanned<DeTable<'_>>, ConfigError> {
        DeTable::parse(self.text).map_err(|e| {
            let mut text = e.message().lines().collect::<Vec<_>>().join("; ");
            if text == "duplicate key" {
                let key = e.span().and_then(|span| self.text.get(span)).unwrap_or_default();
                text = format!("the key {key} stands here twice");
            }
            match e.span() {
                Some(span) => self.error(span, text),
                None => ConfigError::whole(self.path, text),
            }
        })
    }
}

impl<'a> Section<'a> {
    /// The whole file.
    pub fn top(source: &'a Source<'a>, user: &'a DeTable<'a>, default: &'a DeTable<'a>) -> Section<'a> {
        Section {
            source,
            title: String::new(),
            schema: String::new(),
            path: String::new(),
            user: Some(user),
            default: Some(default),
            span: 0..0,
            known: RefCell::default(),
        }
    }

    /// The value of a key, from the file or else from the default; `None`: neither has it.
    pub fn optional<T>(
        &self,
        key: &'static str,
        convert: impl Fn(&DeValue<'_>) -> Converted<T>,
    ) -> Result<Option<T>, ConfigError> {
        self.ask(key);
        let Some((value, own)) = self.find(key) else { return Ok(None) };
        convert(value.get_ref()).map(Some).map_err(|expected| {
            let text = format!("{key}: expected {expected}, found {}", found(value.get_ref()));
            if own { self.source.error(value.span(), text) } else { ConfigError::whole(Path::new("(default)"), text) }
        })
    }

    /// The value of a key that the file or the default must have.
    pub fn value<T>(
        &self,
        key: &'static str,
        convert: impl Fn(&DeValue<'_>) -> Converted<T>,
    ) -> Result<T, ConfigError> {
        self.optional(key, &convert)?.ok_or_else(|| self.missing(key, convert(&DeValue::Boolean(false)).err()))
    }

    /// The value of a key that the file itself must have: there is no default that would be right.
    pub fn own<T>(&self, key: &'static str, convert: impl Fn(&DeValue<'_>) -> Converted<T>) -> Result<T, ConfigError> {
        if self.user.is_some_and(|table| !table.contains_key(key)) {
            self.ask(key);
            return Err(self.missing(key, convert(&DeValue::Boolean(false)).err()));
        }
        self.value(key, convert)
    }

    /// The list of a key, from the file or else from the default; an error points to the entry that is wrong.
    pub fn optional_list<T>(
        &self,
        key: &'static str,
        convert: impl Fn(&DeValue<'_>) -> Converted<T>,
    ) -> Result<Option<Vec<T>>, ConfigError> {
        let each = convert(&DeValue::Boolean(false)).err().map_or(String::new(), |e| format!(", each {e}"));
        let Some(()) = self.optional(key, |v| v.as_array().map(drop).ok_or_else(|| format!("a list{each}")))? else {
            return Ok(None);
        };
        let items = self.find(key).and_then(|(value, _)| value.get_ref().as_array()).into_iter().flat_map(|a| a.iter());
        let convert = |item: &Spanned<DeValue<'_>>| {
            convert(item.get_ref()).map_err(|expected| {
                let text = format!("{key}: expected {expected}, found {}", found(item.get_ref()));
                self.source.error(item.span(), text)
            })
        };
        items.map(convert).collect::<Result<_, _>>().map(Some)
    }

    /// The same for a key that the file or the default must have.
    pub fn list<T>(
        &self,
        key: &'static str,
        convert: impl Fn(&DeValue<'_>) -> Converted<T>,
    ) -> Result<Vec<T>, ConfigError> {
        self.optional_list(key, convert)?.ok_or_else(|| self.missing(key, Some("a list".to_string())))
    }

    /// The same for a key that only the file itself has.
    pub fn own_list<T>(
        &self,
        key: &'static str,
        convert: impl Fn(&DeValue<'_>) -> Converted<T>,
    ) -> Result<Option<Vec<T>>, ConfigError> {
        if self.user.is_some_and(|table| !table.contains_key(key)) {
            self.ask(key);
            return Ok(None);
        }
        self.optional_list(key, convert)
    }

    /// The value of a key that only the file itself has: a default of another entry would not be meant.
    pub fn own_optional<T>(
        &self,
        key: &'static str,
        convert: impl Fn(&DeValue<'_>) -> Converted<T>,
    ) -> Result<Option<T>, ConfigError> {
        if self.user.is_some_and(|table| !table.contains_key(key)) {
            self.ask(key);
            return Ok(None);
        }
        self.optional(key, convert)
    }

    fn missing(&self, key: &str, expected: Option<String>) -> ConfigError {
        // Most likely it is there and mistyped.
        let known = self.known.borrow();
        let mut typed = self.user.into_iter().flat_map(|table| table.iter()).map(|(typed, _)| typed);
        if let Some(typo) =
            typed.find(|t| !known.contains(&t.get_ref().as_ref()) && nearest(t.get_ref(), &[key]).is_some())
        {
            return self.unknown(typo, &format!("did you mean {key}?"));
        }
        let expected = expected.map_or(String::new(), |e| format!(": expected {e}"));
        self.source.error(self.span.clone(), format!("{} lacks {key}{expected}", self.title))
    }

    fn unknown(&self, key: &Spanned<std::borrow::Cow<'_, str>>, help: &str) -> ConfigError {
        let place = if self.title.is_empty() { String::new() } else { format!(" in {}", self.title) };
        self.source.error(key.span(), format!("unknown key {}{place}: {help}", key.get_ref()))
    }

    /// An error at the value of a key, or at the section when the default has it.
    pub fn error(&self, key: &str, text: impl Into<String>) -> ConfigError {
        match self.find(key) {
            Some((value, true)) => self.source.error(value.span(), format!("{key}: {}", text.into())),
            _ => self.source.error(self.span.clone(), format!("{}: {}", self.title, text.into())),
        }
    }

    /// The table with this key; empty when neither the file nor the default has it.
    pub fn section(&self, key: &'static str) -> Result<Section<'a>, ConfigError> {
        self.ask(key);
        let (user, span) = match self.user.and_then(|t| t.get(key)) {
            Some(value) => (Some(self.as_table(key, value)?), value.span()),
            None => (None, self.span.clone()),
        };
        let default = self.default.and_then(|t| t.get(key)).and_then(|v| v.get_ref().as_table());
        Ok(Section {
            title: self.child_title(key),
            schema: join(&self.schema, key),
            path: join(&self.path, key),
            user,
            default,
            span,
            source: self.source,
            known: RefCell::default(),
        })
    }

    /// The tables of an array of tables: the file's, or else the default's. What the file's lack is taken from the
    /// default's first.
    pub fn sections(&self, key: &'static str) -> Result<Vec<Section<'a>>, ConfigError> {
        self.ask(key);
        let default = self.default.and_then(|t| t.get(key)).and_then(|v| v.get_ref().as_array());
        let tables = |value: &'a Spanned<DeValue<'a>>, default: Option<&'a DeTable<'a>>, own: bool| {
            let wrong = || {
                let text = format!("{key}: expected sections [[{key}]], found {}", found(value.get_ref()));
                self.source.error(value.span(), text)
            };
            let array = value.get_ref().as_array().ok_or_else(wrong)?;
            let each = array.iter().enumerate().map(|(i, item)| {
                let table = item.get_ref().as_table().ok_or_else(wrong)?;
                let path = format!("{}#{i}", join(&self.path, key));
                if own {
                    self.source.note(path.clone(), item.span());
                }
                Ok(Section {
                    title: format!("[[{}]]", join(&self.schema, key)),
                    schema: join(&self.schema, key),
                    path,
                    user: own.then_some(table),
                    default: if own { default } else { Some(table) },
                    span: item.span(),
                    source: self.source,
                    known: RefCell::default(),
                })
            });
            each.collect::<Result<Vec<_>, ConfigError>>()
        };
        let template = default.and_then(|array| array.iter().next()).and_then(|item| item.get_ref().as_table());
        match (self.user.and_then(|t| t.get(key)), self.default.and_then(|t| t.get(key))) {
            (Some(value), _) => tables(value, template, true),
            (None, Some(value)) => tables(value, None, false),
            (None, None) => Ok(Vec::new()),
        }
    }

    /// The tables below this key, each under a name that the user chose.
    pub fn named_sections(&self, key: &'static str) -> Result<Vec<(String, Section<'a>)>, ConfigError> {
        self.ask(key);
        let Some(value) = self.user.and_then(|t| t.get(key)) else { return Ok(Vec::new()) };
        let table = self.as_table(key, value)?;
        let each = table.iter().map(|(name, value)| {
            let path = join(&join(&self.path, key), name.get_ref());
            self.source.note(path.clone(), name.span());
            let user = value.get_ref().as_table().ok_or_else(|| {
                let title = format!("[{}.\"{}\"]", join(&self.schema, key), name.get_ref());
                let text = format!("expected a section {title}, found {}", found(value.get_ref()));
                self.source.error(value.span(), text)
            })?;
            let section = Section {
                title: format!("[{}.\"{}\"]", join(&self.schema, key), name.get_ref()),
                schema: join(&join(&self.schema, key), "*"),
                path,
                user: Some(user),
                default: None,
                span: value.span(),
                source: self.source,
                known: RefCell::default(),
            };
            Ok((name.get_ref().to_string(), section))
        });
        each.collect()
    }

    /// The entries of a table whose keys the user chose.
    pub fn entries<T>(
        &self,
        key: &'static str,
        convert: impl Fn(&DeValue<'_>) -> Converted<T>,
    ) -> Result<Vec<(String, T)>, ConfigError> {
        self.ask(key);
        let Some(value) = self.user.and_then(|t| t.get(key)) else { return Ok(Vec::new()) };
        let table = self.as_table(key, value)?;
        let each = table.iter().map(|(name, value)| {
            self.source.note(join(&join(&self.path, key), name.get_ref()), name.span());
            let entry = convert(value.get_ref()).map_err(|expected| {
                let text = format!("{}: expected {expected}, found {}", name.get_ref(), found(value.get_ref()));
                self.source.error(value.span(), text)
            })?;
            Ok((name.get_ref().to_string(), entry))
        });
        each.collect()
    }

    /// Ends the section: a key that was not asked for is unknown.
    pub fn end(self) -> Result<(), ConfigError> {
        let known = self.known.borrow();
        for (key, value) in self.user.into_iter().flat_map(|table| table.iter()) {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let help = match nearest(name, &known) {
                Some(near) => format!("did you mean {near}?"),
                // [domains.example.org] is the table org in the table example.
                None if self.schema.ends_with('*') && value.get_ref().is_table() => {
                    "a name with a dot needs quotes, like [domains.\"example.org\"]".to_string()
                }
                None => format!("it knows {}", known.join(", ")),
            };
            return Err(self.unknown(key, &help));
        }
        Ok(())
    }

    fn ask(&self, key: &'static str) {
        self.known.borrow_mut().push(key);
        self.source.asked.borrow_mut().insert(join(&self.schema, key));
        if let Some(value) = self.user.and_then(|t| t.get(key)) {
            self.source.note(join(&self.path, key), value.span());
        }
    }

    /// The value of a key, and whether it stands in the file.
    fn find(&self, key: &str) -> Option<(&'a Spanned<DeValue<'a>>, bool)> {
        let user = self.user.and_then(|t| t.get(key)).map(|value| (value, true));
        user.or_else(|| self.default.and_then(|t| t.get(key)).map(|value| (value, false)))
    }

    fn as_table(&self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Result<&'a DeTable<'a>, ConfigError> {
        value.get_ref().as_table().ok_or_else(|| {
            let text = format!("expected a section {}, found {}", self.child_title(key), found(value.get_ref()));
            self.source.error(value.span(), text)
        })
    }

    fn child_title(&self, key: &str) -> String {
        match self.title.trim_start_matches('[').trim_end_matches(']') {
            "" => format!("[{key}]"),
            title => format!("[{title}.{key}]"),
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_string() } else { format!("{path}.{key}") }
}

/// What stands there, for an error.
fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{:?}", text.chars().take(60).collect::<String>()),
        DeValue::Integer(number) => number.as_str().to_string(),
        DeValue::Float(number) => number.as_str().to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a date".to_string(),
        DeValue::Array(_) => "a list".to_string(),
        DeValue::Table(_) => "a table".to_string(),
    }
}

/// The known key that a mistyped one was most likely meant to be.
pub fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let most = (key.chars().count() / 3).max(1);
    known.iter().map(|k| (distance(key, k), *k)).filter(|(d, _)| *d <= most).min().map(|(_, k)| k)
}

/// How many letters were put in, left out, changed or swapped with their neighbour (Damerau and Levenshtein, restricted).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut last_x = None;
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let at = |row: &[usize], k: usize| row.get(k).copied().unwrap_or(usize::MAX / 2);
            let mut least = (at(&row, j) + usize::from(x != y)).min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            if j > 0 && last_x == Some(y) && b.get(j - 1) == Some(&x) {
                least = least.min(at(&before, j - 1) + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
        last_x = Some(x);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_key() {
        let known = ["listen", "class", "kind", "xforward"];
        assert_eq!(nearest("lissten", &known), Some("listen"));
        assert_eq!(nearest("listne", &known), Some("listen"));
        assert_eq!(nearest("clas", &known), Some("class"));
        assert_eq!(nearest("x-forward", &known), Some("xforward"));
        assert_eq!(nearest("retention", &known), None);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("ab", "ba"), 1);
    }
}
