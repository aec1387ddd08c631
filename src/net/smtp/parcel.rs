//! A message on its way, and the checks that keep an address from becoming a command.

use super::Reply;
use crate::base::Form;
use std::io::{self, Read};

/// One message for some recipients.
#[derive(Debug, Clone, Copy)]
pub struct Parcel<'a> {
    /// The reverse-path, "" for the null sender.
    pub sender: &'a str,
    /// Forward-paths, verbatim.
    pub recipients: &'a [&'a str],
    /// What is sent, as [`compose`] makes it.
    pub data: &'a [u8],
}

/// Our one `Received:` line followed by the original bytes in wire form. A file in LF form gets a CR before each LF that
/// has none; one in CRLF form stays as it is, bare CR and LF included.
///
/// `received` is a whole header field with its CRLF; `size` is about how many bytes `original` gives.
pub fn compose(received: &str, mut original: impl Read, form: Form, size: usize) -> io::Result<Vec<u8>> {
    let mut data = Vec::with_capacity(received.len() + size);
    data.extend_from_slice(received.as_bytes());
    match form {
        Form::Crlf => {
            original.read_to_end(&mut data)?;
        }
        Form::Lf => {
            let mut piece = vec![0; 32 << 10];
            let mut last = 0;
            loop {
                let read = match original.read(&mut piece) {
                    Ok(0) => break,
                    Ok(read) => read,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                    Err(e) => return Err(e),
                };
                for &byte in piece.iter().take(read) {
                    if byte == b'\n' && last != b'\r' {
                        data.push(b'\r');
                    }
                    data.push(byte);
                    last = byte;
                }
            }
        }
    }
    Ok(data)
}

/// Whether an address may stand between `<` and `>` of a command line (RFC 5321 4.1.2): no control characters, and
/// spaces and angle brackets only within the quotes of its local part.
pub(super) fn check_address(address: &str) -> Result<(), Reply> {
    let mut quoted = false;
    let mut escaped = false;
    for (i, c) in address.chars().enumerate() {
        let bad = c.is_control() || (!quoted && matches!(c, ' ' | '<' | '>')) || (c == '"' && !quoted && i > 0);
        if bad {
            return Err(Reply::new(553, [5, 1, 3], "the address holds characters that SMTP cannot carry"));
        }
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
    }
    if quoted { Err(Reply::new(553, [5, 1, 3], "the address has an open quote")) } else { Ok(()) }
}

/// Whether DATA would change the message: it cannot end without CRLF, and mail-send doubles a dot after a bare CR or
/// LF too (else a server that takes those for line ends could be made to see the end of the message). BDAT (RFC 3030)
/// changes nothing.
pub(super) fn needs_chunking(data: &[u8]) -> bool {
    if !data.ends_with(b"\r\n") {
        return true;
    }
    memchr::memchr_iter(b'.', data).any(|dot| match dot.checked_sub(1).and_then(|i| data.get(i)) {
        Some(b'\r') => true,
        Some(b'\n') => dot.checked_sub(2).and_then(|i| data.get(i)) != Some(&b'\r'),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses() {
        for good in ["", "a@b", "jörg@x", "\"a b\"@x", "\"a>\\\"b\"@x", "postmaster"] {
            assert!(check_address(good).is_ok(), "{good}");
        }
        for bad in ["a@b>\r\nDATA", "a b@x", "a>@x", "\"a@x", "a\"b c\"@x", "a\0@x", "a@x> SIZE=1", "\"a\" \"b\"@x"] {
            assert!(check_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_data_would_change() {
        assert!(!needs_chunking(b"A: b\r\n\r\n.\r\n..\r\na.b\r\n"));
        assert!(needs_chunking(b"A: b\r\n\r\nend"));
        assert!(needs_chunking(b"A: b\r\n\r\nx\n.\r\n"));
        assert!(needs_chunking(b"A: b\r\n\r\nx\r.\r\n"));
    }

    #[test]
    fn lf_form_becomes_crlf() {
        let data = compose("R: x\r\n", &b"A: b\n\nline\r\nbare\rcr\nend"[..], Form::Lf, 0).unwrap();
        assert_eq!(data, b"R: x\r\nA: b\r\n\r\nline\r\nbare\rcr\r\nend");
    }

    proptest! {
        #[test]
        fn crlf_form_stays(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let data = compose("R: x\r\n", &bytes[..], Form::Crlf, 9).unwrap();
            prop_assert_eq!(&data[6..], &bytes[..]);
        }
    }
}
