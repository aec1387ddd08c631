//! A stored message on its way out: a range in wire form, in pieces, from a file in either form.

use crate::base::{FileRange, Form, limits};
use memchr::memchr2;
use std::io;
use std::os::unix::fs::FileExt;

/// What is read in one call while only skipping towards the range's start; keeps one job on the pool short.
const SKIP_BYTES: u64 = 1 << 20;

/// Reads a range piece by piece. Blocking.
#[derive(Debug, Clone)]
pub struct Reader {
    range: FileRange,
    /// Where the next read starts in the file.
    at: u64,
    /// Wire bytes that the file gave before `at`.
    wire: u64,
    /// The last byte was a CR.
    after_cr: bool,
    /// Wire bytes that were handed out.
    sent: u64,
    /// NUL stays as it is.
    exact: bool,
}

impl Reader {
    /// Starts before the range's first byte.
    pub fn new(range: FileRange) -> Self {
        let at = match range.form {
            Form::Crlf => range.start,
            Form::Lf => 0,
        };
        Reader { range, at, wire: at, after_cr: false, sent: 0, exact: false }
    }

    /// The same with each NUL as it is, for those who can carry it.
    pub fn exact(range: FileRange) -> Self {
        Reader { exact: true, ..Reader::new(range) }
    }

    /// Whether all was handed out.
    pub fn is_done(&self) -> bool {
        self.sent >= self.range.len
    }

    /// The next bytes, about `limits::PIECE_BYTES`; empty when a long way still lies before the range's start or when
    /// all was handed out.
    ///
    /// # Errors
    /// Reading failed, or the file ends before the range does (`UnexpectedEof`).
    pub fn next_piece(&mut self) -> io::Result<Vec<u8>> {
        let mut piece = Vec::new();
        let began = self.at;
        while !self.is_done() && piece.is_empty() && self.at - began < SKIP_BYTES {
            let far = self.range.start.saturating_sub(self.wire);
            let mut raw = vec![0; limits::PIECE_BYTES.min(self.left().saturating_add(far) as usize)];
            let count = match self.range.file.read_at(&mut raw, self.at) {
                Ok(0) => {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than its name says"));
                }
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.at += count as u64;
            raw.truncate(count);
            piece = match self.range.form {
                Form::Crlf => self.take(raw),
                Form::Lf => {
                    let converted = self.convert(&raw);
                    self.take(converted)
                }
            };
        }
        Ok(piece)
    }

    fn left(&self) -> u64 {
        self.range.len - self.sent
    }

    /// What of these wire bytes lies in the range.
    fn take(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        let skip = self.range.start.saturating_sub(self.wire).min(bytes.len() as u64) as usize;
        self.wire += bytes.len() as u64;
        bytes.drain(..skip);
        bytes.truncate(usize::try_from(self.left()).unwrap_or(usize::MAX));
        self.sent += bytes.len() as u64;
        if !self.exact {
            replace_nul(&mut bytes);
        }
        bytes
    }

    /// Adds a CR before each LF that has none.
    fn convert(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut wire = Vec::with_capacity(bytes.len() + bytes.len() / 32 + 16);
        let mut rest = bytes;
        while let Some(at) = memchr2(b'\n', b'\r', rest) {
            let (line, after) = rest.split_at(at);
            wire.extend_from_slice(line);
            let Some((&byte, after)) = after.split_first() else { break };
            let has_cr = self.after_cr && line.is_empty();
            if byte == b'\n' && !has_cr {
                wire.push(b'\r');
            }
            wire.push(byte);
            self.after_cr = byte == b'\r';
            rest = after;
        }
        if !rest.is_empty() {
            self.after_cr = false;
            wire.extend_from_slice(rest);
        }
        wire
    }
}

/// RFC 3501 9: `CHAR8` has no NUL.
fn replace_nul(bytes: &mut [u8]) {
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(0, rest) {
        rest[at] = 0x80;
        rest = &mut rest[at + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;
    use std::sync::Arc;

    fn range(content: &[u8], start: u64, len: u64, form: Form) -> FileRange {
        static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("lazaret-copy-{}-{number}", std::process::id()));
        std::fs::File::create(&path).unwrap().write_all(content).unwrap();
        let file = Arc::new(std::fs::File::open(&path).unwrap());
        std::fs::remove_file(path).unwrap();
        FileRange { file, start, len, form }
    }

    fn read(range: FileRange) -> io::Result<Vec<u8>> {
        let mut reader = Reader::new(range);
        let mut all = Vec::new();
        while !reader.is_done() {
            all.extend(reader.next_piece()?);
        }
        Ok(all)
    }

    fn naive(content: &[u8], form: Form) -> Vec<u8> {
        let mut wire = Vec::new();
        for &byte in content {
            if form == Form::Lf && byte == b'\n' && wire.last() != Some(&b'\r') {
                wire.push(b'\r');
            }
            wire.push(if byte == 0 { 0x80 } else { byte });
        }
        wire
    }

    proptest! {
        #[test]
        fn any_range_of_any_file(
            tokens in prop::collection::vec(prop::sample::select(vec!["\r", "\n", "\r\n", "a", "line", "\0"]), 0..80),
            from in 0usize..100, len in 0usize..100,
        ) {
            let content = tokens.concat().into_bytes();
            for form in [Form::Crlf, Form::Lf] {
                let wire = naive(&content, form);
                let from = from.min(wire.len());
                let to = (from + len).min(wire.len());
                let got = read(range(&content, from as u64, (to - from) as u64, form)).unwrap();
                prop_assert_eq!(&got, &wire[from..to]);
            }
        }
    }

    #[test]
    fn large_files_and_their_ends() {
        let content = b"0123456789\n".repeat(300_000);
        let wire = naive(&content, Form::Lf);
        let start = 3_000_001;
        let got = read(range(&content, start, wire.len() as u64 - start, Form::Lf)).unwrap();
        assert!(got == wire[start as usize..]);
        assert!(read(range(&content, 5, content.len() as u64 - 5, Form::Crlf)).unwrap() == content[5..]);
        for form in [Form::Crlf, Form::Lf] {
            let error = read(range(b"short\r\n", 0, 8, form)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
