//! What follows DATA (RFC 5321 4.5.2): finds the end, takes the stuffed dots away, keeps every other byte.

use memchr::memchr;

/// Streaming receiver of one message. Only CRLF "." CRLF ends it; a bare CR or LF is data like any other byte, so no
/// two readers can disagree on where the message ends.
#[derive(Debug, Clone, Default)]
pub struct Receiver {
    at: At,
}

/// What was read last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum At {
    /// CRLF, or nothing: the DATA command's own CRLF counts (RFC 5321 4.1.1.4).
    #[default]
    LineStart,
    /// A dot at the start of a line, not yet passed on.
    Dot,
    /// A dot at the start of a line and a CR, neither passed on.
    DotCr,
    /// A CR.
    Cr,
    /// Anything else.
    Middle,
    /// The end of the message.
    End,
}

impl Receiver {
    /// Takes input, appends what belongs to the message to `out`, and says how many bytes were taken: all of them, or
    /// fewer when the message ended. Never appends more than it takes plus one byte.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) -> usize {
        let mut rest = input;
        while let Some((&byte, tail)) = rest.split_first() {
            self.at = match (self.at, byte) {
                (At::End, _) => break,
                (At::LineStart, b'.') => {
                    rest = tail;
                    At::Dot
                }
                (At::Dot, b'\r') => {
                    rest = tail;
                    At::DotCr
                }
                (At::DotCr, b'\n') => {
                    rest = tail;
                    At::End
                }
                // The CR was no end: it is data after a stuffed dot, and this byte is looked at again behind it.
                (At::DotCr, _) => {
                    out.push(b'\r');
                    At::Cr
                }
                (At::Cr, b'\n') => {
                    out.push(byte);
                    rest = tail;
                    At::LineStart
                }
                // One copy up to and including the next CR.
                (At::LineStart | At::Dot | At::Cr | At::Middle, _) => {
                    let found = memchr(b'\r', rest);
                    let (now, later) = rest.split_at(found.map_or(rest.len(), |at| at + 1));
                    out.extend_from_slice(now);
                    rest = later;
                    if found.is_some() { At::Cr } else { At::Middle }
                }
            };
        }
        input.len() - rest.len()
    }

    /// Whether the end was seen.
    pub fn is_complete(&self) -> bool {
        self.at == At::End
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rule as the RFC has it, over the whole input: message, and where the rest starts.
    fn reference(input: &[u8]) -> Option<(Vec<u8>, usize)> {
        let mut lines = Vec::new();
        let mut start = 0;
        loop {
            let end = start + input[start..].windows(2).position(|w| w == b"\r\n")?;
            let line = &input[start..end];
            start = end + 2;
            if line == b"." {
                return Some((lines, start));
            }
            lines.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
            lines.extend_from_slice(b"\r\n");
        }
    }

    fn receive(input: &[u8], sizes: &[usize]) -> (Vec<u8>, usize, bool) {
        let (mut receiver, mut out, mut taken) = (Receiver::default(), Vec::new(), 0);
        let mut sizes = sizes.iter().cycle();
        while taken < input.len() && !receiver.is_complete() {
            let to = input.len().min(taken + sizes.next().unwrap());
            taken += receiver.push(&input[taken..to], &mut out);
        }
        (out, taken, receiver.is_complete())
    }

    #[test]
    fn only_crlf_dot_crlf_ends() {
        for inner in
            ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r\r\n", "\r\n.\r", "\r\n..\r\n", "\r\n.\0\r\n"]
        {
            let input = format!("a{inner}RSET\r\n.\r\nNOOP\r\n");
            let (out, taken, complete) = receive(input.as_bytes(), &[1]);
            assert!(complete, "{inner:?}");
            assert_eq!(&input[taken..], "NOOP\r\n", "{inner:?}");
            assert!(out.ends_with(b"RSET\r\n"), "{inner:?}");
        }
    }

    #[test]
    fn dots_are_unstuffed_and_the_empty_message_ends() {
        assert_eq!(receive(b"..a\r\n.b\r\nc.\r\n.\r\n", &[3]).0, b".a\r\nb\r\nc.\r\n");
        assert_eq!(receive(b".\r\nQUIT", &[1]), (Vec::new(), 3, true));
        assert_eq!(receive(b".\r\r\n.\r\n", &[1]), (b"\r\r\n".to_vec(), 7, true));
    }

    proptest! {
        #[test]
        fn agrees_with_the_reference_at_any_chunking(
            tokens in prop::collection::vec(prop::sample::select(vec!["\r", "\n", "\r\n", ".", "..", "a", "\r\n.\r\n", "\r\n.", "x y", "\0"]), 0..60),
            sizes in prop::collection::vec(1usize..9, 1..6),
        ) {
            let input = tokens.concat().into_bytes();
            let (out, taken, complete) = receive(&input, &sizes);
            match reference(&input) {
                Some((message, rest)) => {
                    prop_assert!(complete);
                    prop_assert_eq!(out, message);
                    prop_assert_eq!(taken, rest);
                }
                None => {
                    prop_assert!(!complete);
                    prop_assert_eq!(taken, input.len());
                }
            }
        }
    }
}
