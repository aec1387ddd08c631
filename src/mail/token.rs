//! The lexical tokens of RFC 5322 3.2 and RFC 2045 5.1, read leniently: comments, atoms, quoted strings, phrases, domains.
//!
//! Input is one unfolded field value without NUL ([`super::header::unfold`]). A cursor never goes back by itself, so
//! reading a list is linear.

use memchr::memchr2;

/// The text at the cursor is not what was looked for; the cursor may have moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

/// `Ok(true)`: read, and more follows. `Ok(false)`: read, and the input is at its end.
pub type Outcome = Result<bool, Broken>;

/// A position in a field value.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    data: &'a [u8],
    at: usize,
    /// The text of the comment that was skipped last; RFC 822 mailers put names there.
    pub comment: Vec<u8>,
}

/// Writes a quoted string: in header fields (RFC 5322 3.2.4) and in IMAP (RFC 3501 4.3) quotes and backslashes are escaped
/// alike. What else may stand in it the caller knows.
pub fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        let (plain, special) = rest.split_at(at);
        let (special, after) = special.split_at(1);
        for part in [plain, b"\\", special] {
            out.extend_from_slice(part);
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// `atext` of RFC 5322 3.2.3, and any 8-bit byte.
pub fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

/// `token` of RFC 2045 5.1, and any 8-bit byte.
fn is_token(byte: u8) -> bool {
    byte == b'.' || (is_atext(byte) && !matches!(byte, b'/' | b'=' | b'?'))
}

impl<'a> Cursor<'a> {
    /// At the start of a value.
    pub fn new(data: &'a [u8]) -> Self {
        Cursor { data, at: 0, comment: Vec::new() }
    }

    /// The next byte.
    pub fn peek(&self) -> Option<u8> {
        self.data.get(self.at).copied()
    }

    /// Whether bytes are left.
    pub fn more(&self) -> bool {
        self.at < self.data.len()
    }

    /// Steps over the next byte.
    pub fn bump(&mut self) {
        self.at = (self.at + 1).min(self.data.len());
    }

    /// Steps over the next byte if it is this one.
    pub fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.bump();
        }
        found
    }

    /// The position, for [`Cursor::rewind`].
    pub fn mark(&self) -> usize {
        self.at
    }

    /// Back to a marked position.
    pub fn rewind(&mut self, mark: usize) {
        self.at = mark.min(self.data.len());
    }

    /// Copies bytes while they satisfy the predicate; tells whether there were any.
    fn take_while(&mut self, out: &mut Vec<u8>, wanted: impl Fn(u8) -> bool) -> bool {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|&b| !wanted(b)).unwrap_or(rest.len());
        out.extend_from_slice(&rest[..len]);
        self.at += len;
        len > 0
    }

    /// White space and comments (CFWS, RFC 5322 3.2.2).
    pub fn skip_cfws(&mut self) -> Outcome {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                b'(' => self.skip_comment()?,
                _ => return Ok(true),
            }
        }
        Ok(false)
    }

    fn skip_comment(&mut self) -> Result<(), Broken> {
        let outcome = self.read_comment();
        if outcome.is_err() {
            self.comment.clear();
        }
        outcome
    }

    fn read_comment(&mut self) -> Result<(), Broken> {
        self.bump();
        self.comment.clear();
        let mut level = 1u32;
        while let Some(byte) = self.peek() {
            self.bump();
            match byte {
                b'(' => level += 1,
                b')' => {
                    level -= 1;
                    if level == 0 {
                        return Ok(());
                    }
                }
                b'\\' => match self.quoted_pair()? {
                    Some(escaped) => {
                        self.comment.push(escaped);
                        continue;
                    }
                    None => {
                        self.comment.push(b'\\');
                        continue;
                    }
                },
                b'\n' => continue,
                _ => {}
            }
            self.comment.push(byte);
        }
        Err(Broken)
    }

    /// What a backslash that was just read stands for: the next byte, or itself before a line end.
    fn quoted_pair(&mut self) -> Result<Option<u8>, Broken> {
        match self.peek().ok_or(Broken)? {
            b'\r' | b'\n' => Ok(None),
            byte => {
                self.bump();
                Ok(Some(byte))
            }
        }
    }

    /// `atom`.
    pub fn atom(&mut self, out: &mut Vec<u8>) -> Outcome {
        if self.take_while(out, is_atext) { self.skip_cfws() } else { Err(Broken) }
    }

    /// `dot-atom`, with white space allowed around the dots as RFC 822 did.
    pub fn dot_atom(&mut self, out: &mut Vec<u8>) -> Outcome {
        loop {
            if !self.take_while(out, is_atext) {
                return Err(Broken);
            }
            if !self.skip_cfws()? {
                return Ok(false);
            }
            if !self.eat(b'.') {
                return Ok(true);
            }
            out.push(b'.');
            if !self.skip_cfws()? {
                return Err(Broken);
            }
        }
    }

    /// A MIME `token` (RFC 2045 5.1); may be empty.
    pub fn token(&mut self, out: &mut Vec<u8>) -> Outcome {
        self.take_while(out, is_token);
        self.skip_cfws()
    }

    /// `quoted-string`; the cursor is at its opening quote. One that is not closed adds nothing.
    pub fn quoted(&mut self, out: &mut Vec<u8>) -> Outcome {
        let before = out.len();
        self.read_quoted(out).inspect_err(|Broken| out.truncate(before))?;
        self.skip_cfws()
    }

    fn read_quoted(&mut self, out: &mut Vec<u8>) -> Result<(), Broken> {
        self.bump();
        loop {
            self.take_while(out, |b| !matches!(b, b'"' | b'\\' | b'\n'));
            match self.peek().ok_or(Broken)? {
                b'"' => {
                    self.bump();
                    return Ok(());
                }
                b'\\' => {
                    self.bump();
                    let byte = self.quoted_pair()?.unwrap_or(b'\\');
                    out.push(byte);
                }
                _ => self.bump(),
            }
        }
    }

    /// `phrase` (RFC 5322 3.2.5 with obs-phrase); words are joined by one space.
    pub fn phrase(&mut self, out: &mut Vec<u8>) -> Outcome {
        match self.peek() {
            None => return Ok(false),
            Some(b'.') => return Err(Broken),
            Some(_) => {}
        }
        loop {
            let more = if self.peek() == Some(b'"') {
                self.quoted(out)?
            } else {
                self.take_while(out, |b| is_atext(b) || b == b'.');
                self.skip_cfws()?
            };
            match self.peek() {
                Some(next) if more && (is_atext(next) || matches!(next, b'"' | b'.')) => out.push(b' '),
                _ => return Ok(more),
            }
        }
    }

    /// `"@" domain`; the cursor is at the `@`, which is not copied.
    pub fn domain(&mut self, out: &mut Vec<u8>) -> Outcome {
        self.bump();
        if !self.skip_cfws()? {
            return Err(Broken);
        }
        if self.peek() == Some(b'[') { self.domain_literal(out) } else { self.dot_atom(out) }
    }

    fn domain_literal(&mut self, out: &mut Vec<u8>) -> Outcome {
        self.bump();
        out.push(b'[');
        loop {
            self.take_while(out, |b| !matches!(b, b'[' | b']' | b'\\' | b'\n'));
            match self.peek().ok_or(Broken)? {
                b'[' => return Err(Broken),
                b']' => {
                    out.push(b']');
                    self.bump();
                    return self.skip_cfws();
                }
                b'\\' => {
                    self.bump();
                    out.push(b'\\');
                    if let Some(byte) = self.quoted_pair()? {
                        out.push(byte);
                    }
                }
                _ => self.bump(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(text: &'a str, how: impl Fn(&mut Cursor<'a>, &mut Vec<u8>) -> Outcome) -> (String, Outcome, usize) {
        let mut cursor = Cursor::new(text.as_bytes());
        let mut out = Vec::new();
        let outcome = how(&mut cursor, &mut out);
        (String::from_utf8(out).unwrap(), outcome, cursor.mark())
    }

    #[test]
    fn tokens() {
        assert_eq!(read("a.b (c(d\\)) e) <", Cursor::phrase), ("a.b".into(), Ok(true), 15));
        assert_eq!(read("J. \"R. R.\" T", Cursor::phrase), ("J. R. R. T".into(), Ok(false), 12));
        assert_eq!(read("\"a\\\"b\\", Cursor::quoted).1, Err(Broken));
        assert_eq!(read("a . b.c>", Cursor::dot_atom), ("a.b.c".into(), Ok(true), 7));
        assert_eq!(read("a..b", Cursor::dot_atom).1, Err(Broken));
        assert_eq!(read("@[1.2\\]] x", Cursor::domain), ("[1.2\\]]".into(), Ok(true), 9));
        assert_eq!(read("(open", |c, _| c.skip_cfws()), (String::new(), Err(Broken), 5));
        assert_eq!(read("utf-8;", Cursor::token), ("utf-8".into(), Ok(true), 5));
    }
}
