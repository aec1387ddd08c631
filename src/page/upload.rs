//! Forms with a file: `multipart/form-data` (RFC 7578), one file at most.

use super::request::Fields;
use crate::base::limits;
use memchr::memmem;

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

/// Its fields and its file. `None` when it is damaged.
pub fn parse(body: &[u8], boundary: &str) -> Option<(Fields, Option<Vec<u8>>)> {
    let delimiter = format!("\r\n--{boundary}");
    let mut rest = body.strip_prefix(delimiter.get(2..)?.as_bytes())?;
    let (mut fields, mut file) = (Fields::default(), None);
    for _ in 0..limits::FORM_FIELDS {
        if rest.starts_with(b"--") {
            return Some((fields, file));
        }
        rest = rest.strip_prefix(b"\r\n")?;
        let end = memmem::find(rest, delimiter.as_bytes())?;
        let part = rest.get(..end)?;
        rest = rest.get(end + delimiter.len()..)?;
        let head_end = memmem::find(part, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(part.get(..head_end)?).into_owned();
        let content = part.get(head_end + 4..)?;
        let disposition = head.lines().find(|line| line.to_ascii_lowercase().starts_with("content-disposition:"))?;
        let name = parameter(disposition, "name")?;
        match parameter(disposition, "filename") {
            Some(filename) if file.is_none() && !filename.is_empty() => file = Some(content.to_vec()),
            Some(_) => {}
            None if content.len() > limits::FORM_BYTES => return None,
            None => fields.push(&name, &String::from_utf8_lossy(content)),
        }
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
    use proptest::prelude::*;

    const FORM: &str = "--xx\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\nabc\r\n--xx\r\n\
        Content-Disposition: form-data; name=\"file\"; filename=\"a.eml\"\r\nContent-Type: message/rfc822\r\n\r\n\
        Subject: x\r\n\r\n--x\r\n--xx--\r\n";

    #[test]
    fn a_form_with_a_file() {
        let (fields, file) = parse(FORM.as_bytes(), "xx").unwrap();
        assert_eq!(fields.text("csrf"), "abc");
        assert_eq!(file.unwrap(), b"Subject: x\r\n\r\n--x");
    }

    #[test]
    fn a_damaged_form_is_no_form() {
        for end in 0..FORM.len() - 4 {
            assert!(parse(&FORM.as_bytes()[..end], "xx").is_none(), "cut at {end}");
        }
        assert!(parse(FORM.as_bytes(), "yy").is_none());
    }

    #[test]
    fn boundaries() {
        assert_eq!(boundary("multipart/form-data; boundary=abc").as_deref(), Some("abc"));
        assert_eq!(boundary("Multipart/Form-Data; charset=x; Boundary=\"a b\"").as_deref(), Some("a b"));
        for none in ["multipart/form-data", "multipart/mixed; boundary=a", "multipart/form-data; boundary=\"\"", ""] {
            assert_eq!(boundary(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            parse(&bytes, "x");
            parse(&[b"--x\r\n".as_slice(), &bytes].concat(), "x");
        }
    }
}
