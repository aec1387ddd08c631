//! Cuts the byte stream into commands: a line, and the literals inside it (RFC 3501 4.3, RFC 7888). Nothing is
//! understood here, so garbage cannot get it out of step. Every byte is looked at once.

use crate::base::limits;
use memchr::memchr;
use std::fmt;

/// What stands at the front of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Not enough yet.
    More,
    /// A whole command, its literals inside: [`Fragmenter::text`]. Call [`Fragmenter::done`] after it.
    Line,
    /// The command so far ([`Fragmenter::text`]) ends in a literal's size. Call [`Fragmenter::gather`],
    /// [`Fragmenter::stream`] or [`Fragmenter::skip`].
    Literal {
        /// Bytes that follow; `u64::MAX` when the number is larger than that.
        size: u64,
        /// The client waits for `+` before it sends them.
        sync: bool,
    },
    /// The end of a command that was skipped because it was too long or a literal in it was refused.
    /// [`Fragmenter::text`] is how it began. Call [`Fragmenter::done`] after it.
    Skipped,
    /// All bytes of a streamed literal were taken; the rest of its line follows as [`Event::Line`].
    Streamed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// Gathering a line.
    #[default]
    Line,
    /// A literal's size was reported.
    Announced { size: u64, sync: bool },
    /// The literal's bytes, up to `end`, are gathered into the command.
    Gathering { end: usize },
    /// The literal's bytes are given out.
    Streaming { left: u64 },
    /// Dropping the bytes of a refused literal.
    SkippingLiteral { left: u64 },
    /// Dropping the rest of a line.
    SkippingLine,
}

/// Input that was received and not yet used.
#[derive(Default)]
pub struct Fragmenter {
    buffer: Vec<u8>,
    /// Where the line starts whose end is looked for; what stands before belongs to the command.
    line: usize,
    /// From `line` to here there is no line end.
    searched: usize,
    /// Bytes of gathered literals; they do not count as line.
    literals: usize,
    state: State,
    /// A line is only a line: `{3}` at its end means nothing (SASL, IDLE).
    plain: bool,
    /// What is in the buffer was looked at, and more is needed.
    hungry: bool,
}

impl fmt::Debug for Fragmenter {
    /// Without the bytes: a password may be among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {} bytes", self.state, self.buffer.len())
    }
}

/// Longest literal header that a skipped line is watched for: `{18446744073709551615+}` and CR LF.
const HEADER: usize = 32;
/// Digits of a size: with braces, plus and line end they fit into `HEADER`.
const DIGITS: usize = HEADER - 5;

/// How much of a skipped command is kept, so that its tag can be read.
const BEGINNING: usize = 128;

/// Input that is taken ahead of what is needed. Finished commands are moved out of the way, so it must be little.
const AHEAD: usize = 16 << 10;

impl Fragmenter {
    /// Takes input; says how much. A peer that sends ahead is held back here.
    pub fn feed(&mut self, input: &[u8]) -> usize {
        let room = if self.hungry { AHEAD } else { AHEAD.saturating_sub(self.buffer.len()) };
        let taken = input.get(..room).unwrap_or(input);
        self.buffer.extend_from_slice(taken);
        self.hungry &= taken.is_empty();
        taken.len()
    }

    /// Drops everything that was received.
    pub fn clear(&mut self) {
        *self = Fragmenter::default();
    }

    /// Whether the next lines are no commands.
    pub fn set_plain(&mut self, plain: bool) {
        self.plain = plain;
    }

    /// The first byte of what is being gathered.
    pub fn first(&self) -> Option<u8> {
        self.buffer.first().copied()
    }

    /// Looks for the next event.
    pub fn event(&mut self) -> Event {
        let event = self.look();
        self.hungry = event == Event::More;
        event
    }

    fn look(&mut self) -> Event {
        loop {
            match self.state {
                State::Line => {
                    let end = self.line_end();
                    if end.unwrap_or(self.searched).saturating_sub(self.literals) > limits::IMAP_LINE {
                        self.start_skipping();
                        continue;
                    }
                    let Some(end) = end else { return Event::More };
                    let literal = self.buffer.get(self.line..end).filter(|_| !self.plain).and_then(literal_size);
                    (self.line, self.searched) = (end, end);
                    match literal {
                        Some((size, sync)) => self.state = State::Announced { size, sync },
                        None => return Event::Line,
                    }
                }
                State::Announced { size, sync } => return Event::Literal { size, sync },
                State::Gathering { end } => {
                    if self.buffer.len() < end {
                        return Event::More;
                    }
                    (self.line, self.searched) = (end, end);
                    self.state = State::Line;
                }
                State::Streaming { left: 0 } => {
                    self.state = State::Line;
                    return Event::Streamed;
                }
                State::Streaming { .. } => return Event::More,
                State::SkippingLiteral { left } => {
                    let here = self.buffer.len().saturating_sub(self.line);
                    let gone = usize::try_from(left).unwrap_or(usize::MAX).min(here);
                    self.buffer.drain(self.line..self.line + gone);
                    let left = left - gone as u64;
                    if left > 0 {
                        self.state = State::SkippingLiteral { left };
                        return Event::More;
                    }
                    self.searched = self.line;
                    self.state = State::SkippingLine;
                }
                State::SkippingLine => {
                    let Some(end) = self.line_end() else {
                        // the last bytes may be the beginning of a literal's size
                        let gone = self.buffer.len().saturating_sub(self.line + HEADER);
                        self.buffer.drain(self.line..self.line + gone);
                        self.searched = self.buffer.len();
                        return Event::More;
                    };
                    let literal = self.buffer.get(self.line..end).and_then(literal_size);
                    self.buffer.drain(self.line..end);
                    self.searched = self.line;
                    match literal {
                        Some((left, false)) => self.state = State::SkippingLiteral { left },
                        // one that the client waits for does not come: the answer is the command's end
                        _ => return Event::Skipped,
                    }
                }
            }
        }
    }

    /// The command (or how it began) that the last event was about.
    pub fn text(&self) -> &[u8] {
        self.buffer.get(..self.line).unwrap_or_default()
    }

    /// The command was dealt with: forget it.
    pub fn done(&mut self) {
        self.buffer.drain(..self.line.min(self.buffer.len()));
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
        (self.line, self.searched, self.literals, self.state) = (0, 0, 0, State::Line);
    }

    /// The announced literal becomes part of the command. The caller has bounded its size.
    pub fn gather(&mut self) {
        if let State::Announced { size, .. } = self.state {
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            self.literals = self.literals.saturating_add(size);
            self.state = State::Gathering { end: self.line.saturating_add(size) };
        }
    }

    /// Bytes of literals in this command so far.
    pub fn gathered(&self) -> usize {
        self.literals
    }

    /// The command so far is understood; the announced literal's bytes are given out by [`Fragmenter::take`].
    pub fn stream(&mut self) {
        if let State::Announced { size, .. } = self.state {
            self.done();
            self.state = State::Streaming { left: size };
        }
    }

    /// Bytes of the streamed literal, once `most` of them or the last of them are here.
    pub fn take(&mut self, most: usize) -> Option<Vec<u8>> {
        let State::Streaming { left } = self.state else { return None };
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(most);
        if want == 0 || self.buffer.len() < want {
            return None;
        }
        let rest = self.buffer.split_off(want);
        let piece = std::mem::replace(&mut self.buffer, rest);
        self.state = State::Streaming { left: left - want as u64 };
        Some(piece)
    }

    /// The announced or streamed literal is refused. One that comes unasked is dropped together with the rest of the
    /// command; the next event then is [`Event::Skipped`]. After one that the client waits for, call
    /// [`Fragmenter::done`]: it does not come.
    pub fn skip(&mut self) {
        match self.state {
            State::Announced { size, sync: false } => {
                let kept = BEGINNING.min(self.line);
                self.buffer.drain(kept..self.line);
                self.line = kept;
                self.state = State::SkippingLiteral { left: size };
            }
            State::Streaming { left } => self.state = State::SkippingLiteral { left },
            _ => {}
        }
    }

    /// One past the LF of the line, when it is there.
    fn line_end(&mut self) -> Option<usize> {
        let found = memchr(b'\n', self.buffer.get(self.searched..).unwrap_or_default());
        match found {
            Some(at) => Some(self.searched + at + 1),
            None => {
                self.searched = self.buffer.len();
                None
            }
        }
    }

    /// Keeps how the command began, and the line whose end is still looked for.
    fn start_skipping(&mut self) {
        let kept = BEGINNING.min(self.searched.max(self.line));
        self.buffer.drain(kept..self.line.max(kept));
        (self.line, self.searched) = (kept, kept);
        self.state = State::SkippingLine;
    }
}

/// The size in `{n}` or `{n+}` at the end of a line (its end included), and whether the client waits.
fn literal_size(line: &[u8]) -> Option<(u64, bool)> {
    let line = line.strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line).strip_suffix(b"}")?;
    let (line, sync) = match line.strip_suffix(b"+") {
        Some(line) => (line, false),
        None => (line, true),
    };
    let open = line.iter().rposition(|&b| b == b'{')?;
    let digits = line.get(open + 1..)?;
    // Of a line that is skipped only its last bytes are kept: what may be longer than they are is no size, then or ever.
    if digits.is_empty() || digits.len() > DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits.iter().fold(0u64, |n, d| n.saturating_mul(10).saturating_add(u64::from(d - b'0')));
    Some((size, sync))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Everything that comes out, literals up to `most` bytes gathered, larger ones refused.
    fn cut(input: &[u8], chunk: usize, most: u64) -> Vec<(Event, Vec<u8>)> {
        let mut fragmenter = Fragmenter::default();
        let mut events = Vec::new();
        let mut rest = input;
        loop {
            match fragmenter.event() {
                Event::More if rest.is_empty() => return events,
                Event::More => {
                    let taken = fragmenter.feed(&rest[..chunk.min(rest.len())]);
                    assert!(taken > 0, "it wants more and takes nothing");
                    rest = &rest[taken..];
                }
                Event::Literal { size, .. } if size <= most => fragmenter.gather(),
                Event::Literal { sync, .. } => {
                    fragmenter.skip();
                    if sync {
                        events.push((Event::Skipped, fragmenter.text().to_vec()));
                        fragmenter.done();
                    }
                }
                event => {
                    events.push((event, fragmenter.text().to_vec()));
                    fragmenter.done();
                }
            }
        }
    }

    fn texts(input: &[u8]) -> Vec<String> {
        cut(input, usize::MAX, 10).into_iter().map(|(_, text)| String::from_utf8_lossy(&text).into_owned()).collect()
    }

    #[test]
    fn lines_and_literals() {
        assert_eq!(texts(b"a NOOP\r\nb NOOP\nc"), ["a NOOP\r\n", "b NOOP\n"]);
        assert_eq!(texts(b"a {3}\r\nx\r\n {0+}\r\n y\r\nb\r\n"), ["a {3}\r\nx\r\n {0+}\r\n y\r\n", "b\r\n"]);
        // a size may not begin in a literal's bytes
        assert_eq!(texts(b"a {2}\r\n{3}\r\nb\r\n"), ["a {2}\r\n{3}\r\n", "b\r\n"]);
        assert_eq!(texts(b"a {11+}\r\nb NOOP\r\nxyz {3+}\r\nabc\r\nc\r\n"), ["a {11+}\r\n", "c\r\n"]);
        assert_eq!(texts(b"a {11}\r\nb NOOP\r\n"), ["a {11}\r\n", "b NOOP\r\n"]);
        assert_eq!(texts(b"a {x}\r\n{}\r\n {+}\r\n"), ["a {x}\r\n", "{}\r\n", " {+}\r\n"]);
    }

    #[test]
    fn what_was_typed_is_not_shown() {
        let mut fragmenter = Fragmenter::default();
        fragmenter.feed(b"a LOGIN x hunter2\r\n");
        assert_eq!(format!("{fragmenter:?}"), "Line of 19 bytes");
    }

    #[test]
    fn a_size_with_too_many_digits_is_none_however_it_is_cut() {
        for digits in [20, 26, 27, 28, 29, 60] {
            let input = format!("a {{11+}}\r\n01234567890 {{{}+}}\r\nb NOOP\r\n", "9".repeat(digits));
            for chunk in [1, 7, 31] {
                assert_eq!(cut(input.as_bytes(), chunk, 10), cut(input.as_bytes(), usize::MAX, 10), "{digits} {chunk}");
            }
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(literal_size(b"{3}\r\n"), Some((3, true)));
        assert_eq!(literal_size(b"x{12+}\n"), Some((12, false)));
        assert_eq!(literal_size(b"{99999999999999999999999}\r\n"), Some((u64::MAX, true)));
        for other in [&b"{3}"[..], b"{3} \r\n", b"{-3}\r\n", b"{}\r\n", b"3}\r\n", b"{3++}\r\n"] {
            assert_eq!(literal_size(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_long_line_keeps_its_beginning_only() {
        let mut input = b"tag NOOP ".to_vec();
        input.resize(limits::IMAP_LINE + 10, b'x');
        input.extend_from_slice(b" {5+}\r\n1\r\n34\r\nnext\r\n");
        for chunk in [1, 1000, usize::MAX] {
            let events = cut(&input, chunk, 10);
            assert_eq!(events.len(), 2);
            assert_eq!(events[0].0, Event::Skipped);
            assert!(events[0].1.starts_with(b"tag NOOP x") && events[0].1.len() == BEGINNING);
            assert_eq!(events[1].1, b"next\r\n");
        }
    }

    #[test]
    fn a_peer_that_sends_ahead_is_held_back() {
        let mut fragmenter = Fragmenter::default();
        let ahead = vec![b'\n'; 10 * AHEAD];
        assert_eq!(fragmenter.feed(&ahead), AHEAD);
        assert_eq!(fragmenter.feed(&ahead), 0);
        for _ in 0..AHEAD {
            assert_eq!(fragmenter.event(), Event::Line);
            fragmenter.done();
        }
        assert_eq!(fragmenter.event(), Event::More);
        assert_eq!(fragmenter.feed(&ahead), AHEAD);
    }

    proptest! {
        #[test]
        fn chunks_change_nothing(
            parts in proptest::collection::vec(
                prop::sample::select(vec!["a", " ", "\r\n", "\n", "\r", "{3}\r\n", "{4+}\r\n", "{0}\r\n", "{20+}\r\n", "{20}\r\n", "{3", "}", "0123456789"]),
                0..60,
            ),
            chunk in 1usize..9,
        ) {
            let input = parts.concat();
            prop_assert_eq!(cut(input.as_bytes(), chunk, 10), cut(input.as_bytes(), usize::MAX, 10));
        }

        #[test]
        fn no_byte_is_lost_unless_refused(input in proptest::collection::vec(prop::sample::select(b"a{}0+1\r\n".to_vec()), 0..80)) {
            let mut all: Vec<u8> = Vec::new();
            for (event, text) in cut(&input, 3, u64::MAX - 1) {
                prop_assert_eq!(event, Event::Line);
                all.extend_from_slice(&text);
            }
            prop_assert!(input.starts_with(&all));
        }
    }
}
