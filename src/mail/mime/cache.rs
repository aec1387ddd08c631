//! A structure as bytes for the disk cache: a version, then numbers as LEB128 and texts with their length.

use super::{Content, Disposition, Kind, Parameter, Part, Structure};
use crate::base::limits;
use std::ops::Range;

/// Changes whenever the form or the scanner's verdict changes, so that older bytes are read as nothing.
const VERSION: u8 = 1;

impl Structure {
    /// The structure without the raw headers of embedded messages.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.append_to(&mut out);
        out
    }

    /// Appends the same.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        let mut out = Out(out);
        out.0.push(VERSION);
        out.number(self.size);
        out.number(self.parts.len() as u64);
        for (number, part) in self.parts.iter().enumerate() {
            // 0 is the message; a parent always comes before its children
            out.number(part.parent.map_or(0, |p| number as u64 - u64::from(p)));
            out.number(part.header.start);
            out.number(part.header.end - part.header.start);
            out.number(part.body.end - part.body.start);
            out.number(part.lines);
            out.0.push(match part.kind {
                Kind::Leaf => 0,
                Kind::Multipart => 1,
                Kind::Message => 2,
                Kind::EncodedMessage => 3,
                Kind::Opaque => 4,
            });
            out.content(&part.content);
        }
    }

    /// Reads what [`Structure::to_bytes`] wrote; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Structure> {
        let mut input = In(bytes);
        if input.byte()? != VERSION {
            return None;
        }
        let size = input.number()?;
        let count = usize::try_from(input.number()?).ok().filter(|n| (1..=limits::MIME_PARTS).contains(n))?;
        let mut parts: Vec<Part> = Vec::with_capacity(count.min(64));
        let mut last_child: Vec<Option<u32>> = Vec::new();
        for number in 0..count {
            let back = usize::try_from(input.number()?).ok()?;
            let parent = match (number, back) {
                (0, 0) => None,
                (_, 1..) => Some(number.checked_sub(back)?),
                _ => return None,
            };
            let start = input.number()?;
            let header = range(start, input.number()?)?;
            let body = range(header.end, input.number()?)?;
            let lines = input.number()?;
            let kind = match input.byte()? {
                0 => Kind::Leaf,
                1 => Kind::Multipart,
                2 => Kind::Message,
                3 => Kind::EncodedMessage,
                4 => Kind::Opaque,
                _ => return None,
            };
            let content = input.content()?;
            let bounds = parent.map_or(Some(0..size), |p| parts.get(p).map(|part: &Part| part.body.clone()))?;
            if header.start < bounds.start || body.end > bounds.end {
                return None;
            }
            if let Some(parent) = parent {
                let link = Some(number as u32);
                let last = last_child.get_mut(parent)?;
                match last.and_then(|n| parts.get_mut(n as usize)) {
                    Some(before) => before.next = link,
                    None => parts.get_mut(parent)?.first_child = link,
                }
                *last = link;
            }
            last_child.push(None);
            parts.push(Part {
                header,
                body,
                lines,
                kind,
                content,
                raw_header: Vec::new(),
                parent: parent.map(|p| p as u32),
                first_child: None,
                next: None,
            });
        }
        input.0.is_empty().then_some(Structure { parts, size })
    }
}

fn range(start: u64, len: u64) -> Option<Range<u64>> {
    Some(start..start.checked_add(len)?)
}

struct Out<'a>(&'a mut Vec<u8>);

impl Out<'_> {
    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn text(&mut self, text: &[u8]) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text);
    }

    /// An absent text is 0, a present one has its length plus one.
    fn maybe(&mut self, text: Option<&[u8]>) {
        match text {
            None => self.number(0),
            Some(text) => {
                self.number(text.len() as u64 + 1);
                self.0.extend_from_slice(text);
            }
        }
    }

    fn parameters(&mut self, all: &[Parameter]) {
        self.number(all.len() as u64);
        for parameter in all {
            self.text(&parameter.name);
            self.text(&parameter.value);
        }
    }

    fn content(&mut self, content: &Content) {
        self.maybe(content.media.as_ref().map(|(main, _)| main.as_slice()));
        if let Some((_, sub)) = &content.media {
            self.text(sub);
        }
        self.parameters(&content.parameters);
        for text in [&content.id, &content.description, &content.encoding, &content.md5, &content.location] {
            self.maybe(text.as_deref());
        }
        self.maybe(content.disposition.as_ref().map(|d| d.name.as_slice()));
        if let Some(disposition) = &content.disposition {
            self.parameters(&disposition.parameters);
        }
        self.number(content.language.len() as u64);
        for tag in &content.language {
            self.text(tag);
        }
    }
}

struct In<'a>(&'a [u8]);

impl In<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, len: u64) -> Option<Vec<u8>> {
        let (text, rest) = self.0.split_at_checked(usize::try_from(len).ok()?)?;
        self.0 = rest;
        Some(text.to_vec())
    }

    fn text(&mut self) -> Option<Vec<u8>> {
        let len = self.number()?;
        self.take(len)
    }

    fn maybe(&mut self) -> Option<Option<Vec<u8>>> {
        match self.number()? {
            0 => Some(None),
            len => Some(Some(self.take(len - 1)?)),
        }
    }

    fn parameters(&mut self) -> Option<Vec<Parameter>> {
        let count = self.number()?;
        // sections that RFC 2231 left apart keep their number, so there are never more than were read
        if count > limits::PARAMETERS as u64 {
            return None;
        }
        (0..count).map(|_| Some(Parameter { name: self.text()?, value: self.text()? })).collect()
    }

    fn content(&mut self) -> Option<Content> {
        let media = match self.maybe()? {
            None => None,
            Some(main) => Some((main, self.text()?)),
        };
        let parameters = self.parameters()?;
        let (id, description, encoding) = (self.maybe()?, self.maybe()?, self.maybe()?);
        let (md5, location) = (self.maybe()?, self.maybe()?);
        let disposition = match self.maybe()? {
            None => None,
            Some(name) => Some(Disposition { name, parameters: self.parameters()? }),
        };
        let tags = self.number()?;
        if tags > limits::PARAMETERS as u64 {
            return None;
        }
        let language = (0..tags).map(|_| self.text()).collect::<Option<Vec<_>>>()?;
        Some(Content { media, parameters, id, description, encoding, md5, disposition, language, location })
    }
}
