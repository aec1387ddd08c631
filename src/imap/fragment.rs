//! Cuts the byte stream into commands: a line, and the literals inside it (RFC 3501 4.3, RFC 7888). Nothing is
//! understood here, so garbage cannot get it out of step. Every byte is looked at once.

use crate::base::limits;
use memchr::memchr;

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
#[derive(Debug, Default)]
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

/// Longest literal header that a skipped line is watched for: `{18446744073709551615+}` and CR LF.
const HEADER: usize = 32;

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
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let size = digits.iter().fold(0u64, |n, d| n.saturating_mul(10).saturating_add(u64::from(d - b'0')));
    Some((size, sync))
}
