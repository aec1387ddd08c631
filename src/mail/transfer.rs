//! Content-Transfer-Encoding undone, in pieces of any size (RFC 2045 6).
//!
//! These decoders skip what they do not understand. Those of mail-parser refuse the whole part at the first wrong byte, and
//! spam is full of them.

use super::text::hex_pair;

/// Bytes that may stand between `=` and the line end of a soft line break; more are no padding of a transport.
const PADDING: usize = 1_000;

/// Undoes one encoding.
#[derive(Debug)]
pub enum Decoder {
    /// 7bit, 8bit, binary: nothing is encoded.
    Identity,
    /// RFC 2045 6.8; bits that make no whole byte yet, and how many.
    Base64(u32, u32),
    /// RFC 2045 6.7; an escape that is not whole yet.
    QuotedPrintable(Vec<u8>),
}

impl Decoder {
    /// For an encoding as the header names it; `None` for one that nobody here knows.
    pub fn new(encoding: Option<&[u8]>) -> Option<Decoder> {
        let is = |name: &str| encoding.is_some_and(|e| e.eq_ignore_ascii_case(name.as_bytes()));
        if encoding.is_none_or(<[u8]>::is_empty) || is("7bit") || is("8bit") || is("binary") {
            Some(Decoder::Identity)
        } else if is("base64") {
            Some(Decoder::Base64(0, 0))
        } else if is("quoted-printable") {
            Some(Decoder::QuotedPrintable(Vec::new()))
        } else {
            None
        }
    }

    /// Appends what these bytes stand for.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Decoder::Identity => out.extend_from_slice(bytes),
            Decoder::Base64(bits, held) => base64(bytes, bits, held, out),
            Decoder::QuotedPrintable(held) if held.is_empty() => *held = quoted_printable(bytes, false, out).to_vec(),
            Decoder::QuotedPrintable(held) => {
                held.extend_from_slice(bytes);
                let left = quoted_printable(held, false, out).len();
                held.drain(..held.len() - left);
            }
        }
    }

    /// Appends what is left: nothing more comes.
    pub fn finish(self, out: &mut Vec<u8>) {
        if let Decoder::QuotedPrintable(held) = self {
            quoted_printable(&held, true, out);
        }
    }

    /// All of it at once; at most `most` bytes come out.
    pub fn all(mut self, body: &[u8], most: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(body.len().min(most));
        for piece in body.chunks(64 << 10) {
            self.feed(piece, &mut out);
            if out.len() >= most {
                break;
            }
        }
        if out.len() < most {
            self.finish(&mut out);
        }
        out.truncate(most);
        out
    }
}

/// What each byte stands for in base64 (RFC 2045 6.8); [`NO_DIGIT`] where it is none.
const DIGITS: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < alphabet.len() {
        digits[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    digits
};
const NO_DIGIT: u8 = 0xff;

/// Other bytes are skipped; padding ends a group, as where two encoded files were joined.
fn base64(bytes: &[u8], bits: &mut u32, held: &mut u32, out: &mut Vec<u8>) {
    out.reserve(bytes.len() / 4 * 3);
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        if *held == 0 && DIGITS[usize::from(byte)] != NO_DIGIT {
            let left = whole_groups(rest, out);
            if left.len() < rest.len() {
                rest = left;
                continue;
            }
        }
        rest = after;
        match DIGITS[usize::from(byte)] {
            NO_DIGIT if byte == b'=' => (*bits, *held) = (0, 0),
            NO_DIGIT => {}
            digit => {
                *bits = *bits << 6 | u32::from(digit);
                *held += 6;
                if *held >= 8 {
                    *held -= 8;
                    out.push((*bits >> *held) as u8);
                    *bits &= (1 << *held) - 1;
                }
            }
        }
    }
}

/// Four digits at a time, as far as there is nothing between them, for about a line. Returns the rest.
fn whole_groups<'a>(bytes: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let mut decoded = [0; 96];
    let mut room = &mut decoded[..];
    let mut rest = bytes;
    let mut len = 0;
    while let [a, b, c, d, ref after @ ..] = *rest
        && let [first, second, third, more @ ..] = room
    {
        let [a, b, c, d] =
            [DIGITS[usize::from(a)], DIGITS[usize::from(b)], DIGITS[usize::from(c)], DIGITS[usize::from(d)]];
        if a | b | c | d == NO_DIGIT {
            break;
        }
        (*first, *second, *third) = (a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d);
        (rest, room, len) = (after, more, len + 3);
    }
    out.extend_from_slice(decoded.get(..len).unwrap_or_default());
    rest
}

/// An `=` that begins no escape stays as it is. Returns what cannot be understood before more comes.
fn quoted_printable<'a>(bytes: &'a [u8], is_end: bool, out: &mut Vec<u8>) -> &'a [u8] {
    out.reserve(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'=' {
            let (plain, escape) = rest.split_at(memchr::memchr(b'=', rest).unwrap_or(rest.len()));
            out.extend_from_slice(plain);
            rest = escape;
            continue;
        }
        if let Some(byte) = hex_pair(after.get(..2)) {
            out.push(byte);
            rest = after.get(2..).unwrap_or_default();
            continue;
        }
        rest = match soft_break(after) {
            Break::At(len) => after.get(len..).unwrap_or_default(),
            Break::Open if is_end => b"",
            Break::Open => return rest,
            Break::Half if !is_end => return rest,
            // half of two digits
            Break::No if !is_end && after.len() == 1 && after.iter().all(u8::is_ascii_hexdigit) => return rest,
            Break::Half | Break::No => {
                out.push(b'=');
                after
            }
        };
    }
    b""
}

enum Break {
    /// A soft line break so long.
    At(usize),
    /// There is none.
    No,
    /// What follows decides; at the end of all it is one.
    Open,
    /// Only a CR; at the end of all it is none.
    Half,
}

/// Whether a soft line break stands here; transport may have padded it with white space.
fn soft_break(rest: &[u8]) -> Break {
    let blanks = rest.iter().take(PADDING).take_while(|b| matches!(b, b' ' | b'\t')).count();
    match rest.get(blanks..).unwrap_or_default() {
        [b'\r', b'\n', ..] => Break::At(blanks + 2),
        [b'\n', ..] => Break::At(blanks + 1),
        [] => Break::Open,
        [b'\r'] => Break::Half,
        _ => Break::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces(encoding: &str, body: &[u8], size: usize) -> Vec<u8> {
        let mut decoder = Decoder::new(Some(encoding.as_bytes())).unwrap();
        let mut out = Vec::new();
        body.chunks(size).for_each(|piece| decoder.feed(piece, &mut out));
        decoder.finish(&mut out);
        out
    }

    #[test]
    fn encodings_by_name() {
        for known in ["", "7BIT", "8bit", "Binary", "BASE64", "quoted-Printable"] {
            assert!(Decoder::new(Some(known.as_bytes())).is_some(), "{known}");
        }
        for unknown in ["x-uuencode", "base65", "7"] {
            assert!(Decoder::new(Some(unknown.as_bytes())).is_none(), "{unknown}");
        }
        assert!(matches!(Decoder::new(None), Some(Decoder::Identity)));
    }

    #[test]
    fn what_is_held_back_is_bounded() {
        let mut decoder = Decoder::new(Some(b"quoted-printable")).unwrap();
        let mut out = Vec::new();
        for _ in 0..100 {
            decoder.feed(&[b"=".as_slice(), &b" ".repeat(10 * PADDING)].concat(), &mut out);
        }
        let Decoder::QuotedPrintable(held) = decoder else { panic!() };
        assert!(held.len() <= PADDING + 1, "{}", held.len());
    }

    /// Digit by digit, as RFC 2045 6.8 has it.
    fn plain_base64(bytes: &[u8]) -> Vec<u8> {
        let (mut out, mut bits) = (Vec::new(), String::new());
        for &byte in bytes {
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            match alphabet.iter().position(|&digit| digit == byte) {
                Some(value) => bits.push_str(&format!("{value:06b}")),
                None if byte == b'=' => bits.clear(),
                None => {}
            }
            if bits.len() >= 8 {
                out.push(u8::from_str_radix(&bits[..8], 2).unwrap());
                bits.drain(..8);
            }
        }
        out
    }

    proptest! {
        #[test]
        fn base64_in_runs_is_base64_digit_by_digit(
            lines in proptest::collection::vec("[A-Za-z0-9+/]{0,90}|[A-Za-z0-9+/=\r\n *]{0,20}|\\PC{0,4}", 0..5),
            end in "\r\n|\n|",
        ) {
            let body = lines.join(&end).into_bytes();
            prop_assert_eq!(pieces("base64", &body, usize::MAX), plain_base64(&body));
        }

        #[test]
        fn the_size_of_the_pieces_does_not_matter(
            body in proptest::collection::vec(proptest::sample::select(b"=AZaz09+/ \t\r\nx\x00\xe9".to_vec()), 0..80),
            size in 1usize..9,
        ) {
            for encoding in ["base64", "quoted-printable", "8bit"] {
                let whole = pieces(encoding, &body, usize::MAX);
                prop_assert_eq!(&pieces(encoding, &body, size), &whole);
                let all = Decoder::new(Some(encoding.as_bytes())).unwrap().all(&body, 5);
                prop_assert_eq!(all, &whole[..whole.len().min(5)]);
            }
        }
    }
}
