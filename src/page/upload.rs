//! Forms with a file: `multipart/form-data` (RFC 7578), one file at most.

use super::request::Fields;
use crate::base::limits;
use crate::mail::form;

/// Its fields and its file. `None` when it is damaged.
pub fn parse(body: &[u8], boundary: &str) -> Option<(Fields, Option<Vec<u8>>)> {
    let (mut fields, mut file) = (Fields::default(), None);
    for part in form::parts(body, boundary)? {
        match part.filename {
            Some(filename) if file.is_none() && !filename.is_empty() => file = Some(part.content.to_vec()),
            Some(_) => {}
            None if part.content.len() > limits::FORM_BYTES => return None,
            None => fields.push(&part.name, &String::from_utf8_lossy(part.content)),
        }
    }
    Some((fields, file))
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

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes: Vec<u8>) {
            parse(&bytes, "x");
            parse(&[b"--x\r\n".as_slice(), &bytes].concat(), "x");
        }
    }
}
