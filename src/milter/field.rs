//! A header field on its way in: name, NUL, value, NUL, into the bytes that it was on the wire.

/// How far a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Field {
    /// In the name.
    #[default]
    Name,
    /// Behind the NUL that ends the name; whether the last byte was a CR.
    Value(bool),
    /// Behind the NUL that ends the value.
    End,
}

impl Field {
    /// Appends what these bytes stand for: at most two for each, and one more. `spaced`: white space behind the colon
    /// comes with the value; else one space is put there. `None`: something follows the value.
    ///
    /// A folded value's lines end in LF (Postfix, Sendmail) or in CRLF; on the wire it was CRLF.
    pub(super) fn push(&mut self, input: &[u8], spaced: bool, out: &mut Vec<u8>) -> Option<()> {
        for &byte in input {
            *self = match (*self, byte) {
                (Field::Name, 0) => {
                    out.extend_from_slice(if spaced { b":" } else { b": " });
                    Field::Value(false)
                }
                (Field::Name, _) => {
                    out.push(byte);
                    Field::Name
                }
                (Field::Value(_), 0) => Field::End,
                (Field::Value(false), b'\n') => {
                    out.extend_from_slice(b"\r\n");
                    Field::Value(false)
                }
                (Field::Value(_), _) => {
                    out.push(byte);
                    Field::Value(byte == b'\r')
                }
                (Field::End, _) => return None,
            };
        }
        Some(())
    }

    /// Appends the end of the line. `None`: the value was not ended.
    pub(super) fn end(self, out: &mut Vec<u8>) -> Option<()> {
        (self == Field::End).then(|| out.extend_from_slice(b"\r\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(input: &[u8], spaced: bool, chunk: usize) -> Option<Vec<u8>> {
        let (mut field, mut out) = (Field::default(), Vec::new());
        for piece in input.chunks(chunk) {
            let before = out.len();
            field.push(piece, spaced, &mut out)?;
            assert!(out.len() - before <= 2 * piece.len() + 1);
        }
        field.end(&mut out)?;
        Some(out)
    }

    #[test]
    fn fields_as_they_were() {
        assert_eq!(line(b"Subject\0 a\n\tb\0", true, 1).unwrap(), b"Subject: a\r\n\tb\r\n");
        assert_eq!(line(b"Subject\0a\r\n\tb\0", false, 3).unwrap(), b"Subject: a\r\n\tb\r\n");
        assert_eq!(line(b"X\0\0", true, 2).unwrap(), b"X:\r\n");
        assert_eq!(line(b"X\0\ta\r\0", true, 2).unwrap(), b"X:\ta\r\r\n");
        for bad in [&b"X"[..], b"X\0a", b"X\0a\0b", b"", b"X\0\0\0"] {
            assert_eq!(line(bad, true, 1), None);
        }
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(input in prop::collection::vec(prop::sample::select(b"\0\r\n a:".to_vec()), 0..40), chunk in 1usize..9) {
            for spaced in [true, false] {
                prop_assert_eq!(line(&input, spaced, chunk), line(&input, spaced, 100));
            }
        }

        #[test]
        fn a_folded_field_comes_back(value in "[ -~]{0,30}((\r\n)[ \t][ -~]{0,30}){0,3}") {
            let wire = format!("X-A:{value}\r\n");
            let packet = format!("X-A\0{}\0", value.replace("\r\n", "\n"));
            prop_assert_eq!(line(packet.as_bytes(), true, 5).unwrap(), wire.as_bytes());
        }
    }
}
