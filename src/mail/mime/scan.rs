//! The pass over a message that finds its parts.

use super::{Content, Kind, Part, Structure};
use crate::base::{Form, limits};
use memchr::{memchr, memchr_iter, memmem, memrchr};

/// Longest boundary that can match: RFC 2046 5.1.1 allows 70, RFC 5322 2.1.1 lines of 998. A multipart with a longer
/// one has no parts.
const BOUNDARY: usize = 900;
/// Longest line that can be a delimiter, its trailing white space included.
const DELIMITER: usize = 998;

/// Builds a [`Structure`] from a message that comes in pieces; how it is cut into pieces changes nothing.
#[derive(Debug)]
pub struct Scanner {
    form: Form,
    parts: Vec<Part>,
    /// The parts that are open, outermost first.
    open: Vec<Open>,
    in_header: bool,
    /// The header block of the innermost open part, as far as it is kept.
    header: Vec<u8>,
    /// How many more header bytes are kept, over all parts.
    budget: usize,
    /// The start of a line whose end has not come yet, and its length.
    line: Vec<u8>,
    line_len: u64,
    last_byte: u8,
    /// Wire offset behind the last whole line, line ends before it, and the wire length of the last of them.
    at: u64,
    lines: u64,
    last_end: u64,
}

#[derive(Debug)]
struct Open {
    part: usize,
    /// Line ends before its body.
    lines_before: u64,
    last_child: Option<usize>,
    /// Set while this multipart's delimiters are looked for.
    boundary: Option<Vec<u8>>,
}

/// A delimiter line that was found.
struct Delimiter {
    /// Place of its multipart among the open parts.
    depth: usize,
    closes: bool,
}

/// Most headers are no longer.
const HEADER: usize = 4 << 10;

impl Scanner {
    /// For a message whose lines end like this.
    pub fn new(form: Form) -> Self {
        let mut scanner = Scanner {
            form,
            parts: Vec::new(),
            open: Vec::new(),
            in_header: true,
            header: Vec::with_capacity(HEADER),
            budget: limits::STRUCTURE_BYTES,
            line: Vec::new(),
            line_len: 0,
            last_byte: 0,
            at: 0,
            lines: 0,
            last_end: 0,
        };
        scanner.begin_part();
        scanner
    }

    /// Takes the next bytes of the message.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        loop {
            rest = self.skip_body(rest);
            let Some(lf) = memchr(b'\n', rest) else { break };
            let (line, after) = rest.split_at(lf + 1);
            rest = after;
            let content = line.get(..lf).unwrap_or_default();
            if self.line_len == 0 {
                self.take_line(content, content.len() as u64, content.last().copied().unwrap_or(0), true);
            } else {
                self.keep(content);
                self.take_kept_line(true);
            }
        }
        self.keep(rest);
    }

    /// Passes over whole lines of a body that cannot be a delimiter, all at once; gives what comes behind them. Lines that end
    /// otherwise than on the wire are counted one by one.
    fn skip_body<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if self.in_header || self.line_len > 0 || self.form != Form::Crlf || bytes.starts_with(b"--") {
            return bytes;
        }
        let last = memmem::find(bytes, b"\n--").or_else(|| memrchr(b'\n', bytes));
        let Some((lines, rest)) = last.and_then(|last| bytes.split_at_checked(last + 1)) else { return bytes };
        self.at += lines.len() as u64;
        self.lines += memchr_iter(b'\n', lines).count() as u64;
        self.last_end = if lines.ends_with(b"\r\n") { 2 } else { 1 };
        rest
    }

    /// The message is whole.
    pub fn finish(mut self) -> Structure {
        if self.line_len > 0 {
            self.take_kept_line(false);
        }
        if self.in_header {
            // ends the header, and the one of an embedded message that begins right there
            while self.in_header {
                self.end_header(self.at, self.lines);
            }
        }
        self.close_above(0, self.at, self.lines);
        self.close_top(self.at, self.lines);
        Structure { parts: self.parts, size: self.at }
    }

    /// Keeps the start of an unfinished line: all that is wanted of a header line, enough to know a delimiter in a body.
    fn keep(&mut self, bytes: &[u8]) {
        let most = if self.in_header { self.header_room().max(DELIMITER + 2) } else { DELIMITER + 2 };
        let room = most.saturating_sub(self.line.len()).min(bytes.len());
        self.line.extend_from_slice(bytes.get(..room).unwrap_or_default());
        self.line_len += bytes.len() as u64;
        self.last_byte = bytes.last().copied().unwrap_or(self.last_byte);
    }

    fn header_room(&self) -> usize {
        self.budget.min(limits::HEADER_BYTES).saturating_sub(self.header.len())
    }

    fn take_kept_line(&mut self, ended: bool) {
        let mut line = std::mem::take(&mut self.line);
        self.take_line(&line, self.line_len, self.last_byte, ended);
        line.clear();
        if line.capacity() <= 64 << 10 {
            self.line = line;
        }
        self.line_len = 0;
    }

    /// One line without its LF: its first bytes (all of them unless it is long), its length, its last byte.
    fn take_line(&mut self, line: &[u8], len: u64, last: u8, ended: bool) {
        let has_cr = len > 0 && last == b'\r';
        let added = u64::from(ended && !has_cr && self.form == Form::Lf);
        let end_len = if ended { 1 + u64::from(has_cr) + added } else { 0 };
        let start = self.at;
        let next = start + len + u64::from(ended) + added;

        if len <= DELIMITER as u64 + 1
            && line.starts_with(b"--")
            && let Some(delimiter) = self.delimiter(line)
        {
            self.end_parts(&delimiter, start);
            self.at = next;
            self.lines += u64::from(ended);
            self.last_end = end_len;
            if !delimiter.closes {
                self.begin_part();
            }
            return;
        }
        self.at = next;
        self.lines += u64::from(ended);
        self.last_end = end_len;
        if self.in_header {
            let room = self.header_room();
            let kept = line.get(..room.min(line.len())).unwrap_or_default();
            self.header.extend_from_slice(kept);
            if self.header_room() > 1 && ended {
                self.header.extend_from_slice(if added > 0 { b"\r\n" } else { b"\n" });
            }
            if ended && (len == 0 || (len == 1 && has_cr)) {
                self.end_header(self.at, self.lines);
            }
        }
    }

    /// Which open multipart's delimiter this line is. The innermost counts when two have the same boundary; a line that
    /// could open one and close another (`a` and `a--`) opens.
    fn delimiter(&self, line: &[u8]) -> Option<Delimiter> {
        let text = trim_end(line.get(2..)?);
        let stem = text.strip_suffix(b"--");
        let mut closing = None;
        // while a header is read, its own part's delimiters do not count yet: `open` has no boundary for it
        for (depth, open) in self.open.iter().enumerate().rev() {
            let Some(boundary) = &open.boundary else { continue };
            if boundary.as_slice() == text {
                if self.parts.len() >= limits::MIME_PARTS {
                    return None;
                }
                return Some(Delimiter { depth, closes: false });
            }
            if closing.is_none() && stem == Some(boundary.as_slice()) {
                closing = Some(Delimiter { depth, closes: true });
            }
        }
        closing
    }

    /// Ends all parts inside the delimiter's multipart; the line end before the delimiter belongs to it, also when it is
    /// the empty line of a header or the end of a header field (RFC 2046 5.1.1, `body-part`).
    fn end_parts(&mut self, delimiter: &Delimiter, start: u64) {
        let (mut end, mut lines) = (start - self.last_end.min(start), self.lines - self.lines.min(1));
        if self.behind_delimiter(start) {
            // that line end closes the other delimiter
            (end, lines) = (start, self.lines);
        }
        let inside = self.open.get_mut(delimiter.depth + 1..).unwrap_or_default();
        let last = inside.len().saturating_sub(1);
        for (place, open) in inside.iter_mut().enumerate() {
            let Some(part) = self.parts.get_mut(open.part) else { continue };
            part.header.start = part.header.start.min(end);
            let header_ended = !(self.in_header && place == last);
            if header_ended && part.header.end > end {
                part.header.end = end;
                part.body = end..end;
                open.lines_before = lines;
            }
        }
        while self.in_header {
            self.end_header(end, lines);
        }
        self.close_above(delimiter.depth, end, lines);
        if delimiter.closes
            && let Some(open) = self.open.get_mut(delimiter.depth)
        {
            open.boundary = None;
        }
    }

    /// Whether the line before this place is a delimiter: the part that it opened has no byte yet.
    fn behind_delimiter(&self, start: u64) -> bool {
        let mut parts = self.open.iter().rev().filter_map(|open| self.parts.get(open.part));
        let Some(mut part) = parts.next() else { return false };
        while part.header.start == start {
            match parts.next() {
                // an embedded message begins where its part's header ends
                Some(above) if above.kind == Kind::Message => part = above,
                _ => return true,
            }
        }
        false
    }

    /// Opens a part below the innermost open one; its header starts here.
    fn begin_part(&mut self) {
        let number = self.parts.len();
        let parent = self.open.last_mut();
        let parent_part = parent.as_ref().map(|open| open.part);
        if let Some(open) = parent {
            let link = Some(number as u32);
            match open.last_child.and_then(|last| self.parts.get_mut(last)) {
                Some(before) => before.next = link,
                None => {
                    if let Some(part) = self.parts.get_mut(open.part) {
                        part.first_child = link;
                    }
                }
            }
            open.last_child = Some(number);
        }
        self.parts.push(Part {
            header: self.at..self.at,
            body: self.at..self.at,
            lines: 0,
            kind: Kind::Leaf,
            content: Content::default(),
            raw_header: Vec::new(),
            parent: parent_part.map(|p| p as u32),
            first_child: None,
            next: None,
        });
        self.open.push(Open { part: number, lines_before: self.lines, last_child: None, boundary: None });
        self.in_header = true;
        self.header.clear();
    }

    /// The innermost part's header ends here: decides what its body is.
    fn end_header(&mut self, end: u64, lines: u64) {
        self.in_header = false;
        let block = std::mem::take(&mut self.header);
        self.budget = self.budget.saturating_sub(block.len());
        let depth = self.open.len();
        let Some(open) = self.open.last_mut() else { return };
        let parent_kind = self.parts.get(open.part).and_then(|p| p.parent).and_then(|p| self.parts.get(p as usize));
        let in_multipart = parent_kind.is_some_and(|p| p.kind == Kind::Multipart);
        let embedded = parent_kind.is_some_and(|p| p.kind == Kind::Message);
        let in_digest = in_multipart && parent_kind.is_some_and(|p| p.content.is("multipart", "digest"));
        let full = depth >= limits::MIME_DEPTH || self.parts.len() >= limits::MIME_PARTS;
        let Some(part) = self.parts.get_mut(open.part) else { return };

        part.content = Content::read(&block, in_multipart);
        let end = end.max(part.header.start);
        part.header.end = end;
        part.body = end..end;
        open.lines_before = lines;
        let message = match &part.content.media {
            None => in_digest,
            Some(_) => part.content.is("message", "rfc822") || part.content.is("message", "global"),
        };
        let encoded = part.content.encoding.as_deref().is_some_and(|e| e.eq_ignore_ascii_case(b"base64"));
        let multipart = part.content.is_main("multipart");
        part.kind = match () {
            () if message && encoded => Kind::EncodedMessage,
            () if (message || multipart) && full => Kind::Opaque,
            () if message => Kind::Message,
            () if multipart => Kind::Multipart,
            () => Kind::Leaf,
        };
        if part.kind == Kind::Multipart {
            let boundary = part.content.parameter("boundary").map(trim_end).unwrap_or_default();
            open.boundary = (1..=BOUNDARY).contains(&boundary.len()).then(|| boundary.to_vec());
        }
        let begins_message = part.kind == Kind::Message;
        if embedded {
            part.raw_header = block;
        } else {
            self.header = block;
            self.header.clear();
        }
        if begins_message {
            let (at, all_lines) = (self.at, self.lines);
            (self.at, self.lines) = (end, lines);
            self.begin_part();
            (self.at, self.lines) = (at, all_lines);
        }
    }

    /// Closes the open parts above this place.
    fn close_above(&mut self, depth: usize, end: u64, lines: u64) {
        while self.open.len() > depth + 1 {
            self.close_top(end, lines);
        }
    }

    fn close_top(&mut self, end: u64, lines: u64) {
        let Some(open) = self.open.pop() else { return };
        if let Some(part) = self.parts.get_mut(open.part) {
            part.body.end = end;
            part.lines = lines.saturating_sub(open.lines_before);
        }
    }
}

/// Without white space at the end (RFC 2046 5.1.1 transport-padding; and the CR).
fn trim_end(line: &[u8]) -> &[u8] {
    let len = line.iter().rposition(|b| !matches!(b, b' ' | b'\t' | b'\r')).map_or(0, |last| last + 1);
    line.get(..len).unwrap_or_default()
}
