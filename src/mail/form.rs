//! `multipart/form-data` (RFC 7578), taken apart without copying.

use crate::base::limits;
use memchr::memmem;

/// One part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'a> {
    /// The field's name.
    pub name: String,
    /// The name of a file, when it is one.
    pub filename: Option<String>,
    /// What it holds, byte for byte.
    pub content: &'a [u8],
}

/// The boundary of a form with a file (RFC 2046 5.1.1); `None` when it is no such form.
pub fn boundary(media_type: &str) -> Option<String> {
    let (essence, parameters) = media_type.split_once(';')?;
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then(|| value.trim_matches('"').to_string())
    })?;
    (1..=70).contains(&value.len()).then_some(value)
}

/// The parts of a body, `limits::FORM_FIELDS` at most. `None` when it is damaged.
pub fn parts<'a>(body: &'a [u8], boundary: &str) -> Option<Vec<Part<'a>>> {
    let delimiter = format!("\r\n--{boundary}");
    let mut rest = body.strip_prefix(delimiter.get(2..)?.as_bytes())?;
    let mut parts = Vec::new();
    for _ in 0..limits::FORM_FIELDS {
        if rest.starts_with(b"--") {
            return Some(parts);
        }
        rest = rest.strip_prefix(b"\r\n")?;
        let end = memmem::find(rest, delimiter.as_bytes())?;
        let part = rest.get(..end)?;
        rest = rest.get(end + delimiter.len()..)?;
        let head_end = memmem::find(part, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(part.get(..head_end)?).into_owned();
        let content = part.get(head_end + 4..)?;
        let disposition = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
        parts.push(Part {
            name: parameter(disposition, "name")?,
            filename: parameter(disposition, "filename"),
            content,
        });
    }
    None
}

/// A quoted parameter of Content-Disposition. Browsers write `%22` for a quote (RFC 7578 4.2, HTML), so none is within.
fn parameter(line: &str, name: &str) -> Option<String> {
    let value = line.split(';').find_map(|piece| piece.trim().strip_prefix(name)?.strip_prefix("=\""))?;
    value.strip_suffix('"').map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries() {
        assert_eq!(boundary("multipart/form-data; boundary=abc").as_deref(), Some("abc"));
        assert_eq!(boundary("Multipart/Form-Data; charset=x; Boundary=\"a b\"").as_deref(), Some("a b"));
        for none in ["multipart/form-data", "multipart/mixed; boundary=a", "multipart/form-data; boundary=\"\"", ""] {
            assert_eq!(boundary(none), None, "{none}");
        }
    }
}
