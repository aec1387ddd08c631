//! A stored message as the page shows it: [`view`] makes the values of `page::message`, [`html`] and [`text`] the words at
//! full length, [`part`] an attachment, [`source`] what stands in the file.
//!
//! No part is held whole in memory but the words, which are bounded; attachments are decoded piece by piece.

use crate::base::{Timestamp, limits};
use crate::imap::content::Content;
use crate::mail::header;
use crate::mail::mime::{Content as Described, Kind, Parameter, Structure};
use crate::mail::transfer::Decoder;
use crate::mail::{Trace, authentication, text as charset, words};
use crate::page::filename;
use crate::page::message::{Attachment, Body, MessageView, Origin, without_controls};
use std::io;
use std::ops::Range;

/// What the page's address and the configuration add to what the message says.
#[derive(Debug, Clone, Default)]
pub struct Asked<'a> {
    /// Names of servers whose Authentication-Results are believed wherever they stand.
    pub trusted: &'a [String],
    /// When the message will be removed.
    pub expires: Option<Timestamp>,
    /// Where all of the text is shown.
    pub text_href: String,
    /// Where the frame with the HTML is shown.
    pub html_href: String,
    /// Where the source is shown.
    pub source_href: String,
    /// Where the message is downloaded.
    pub download_href: String,
    /// Where attachments are downloaded: the part's number is put behind it.
    pub part_href: String,
}

/// The values of a message's page.
///
/// # Errors
/// The message cannot be read, or is gone.
pub fn view(message: &mut dyn Content, asked: &Asked<'_>) -> io::Result<MessageView> {
    let row = message.row();
    let trace = Trace::parse(&message.read(0..u64::from(row.trace), limits::HEADER_BYTES)?);
    let whole = message.header()?;
    let block = whole.get(row.trace as usize..).unwrap_or_default();
    let structure = message.structure()?;
    let outline = Outline::of(&structure);
    let (words, is_from_html, is_cut) = read_words(message, &structure, &outline, limits::PAGE_TEXT)?;
    let listed = outline.attachments.iter().take(limits::PAGE_ATTACHMENTS);
    let mut budget = limits::PAGE_HASHED;
    let mut attachments = Vec::new();
    for &number in listed {
        attachments.extend(attachment(message, &structure, number, &asked.part_href, &mut budget)?);
    }
    let to = [field(block, b"To"), field(block, b"Cc")];
    Ok(MessageView {
        from: field(block, b"From"),
        to: to.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", "),
        subject: field(block, b"Subject"),
        date: field(block, b"Date"),
        arrived: if row.trace > 0 { trace.arrived } else { Timestamp::from_secs(row.date) },
        expires: asked.expires,
        size: row.size.saturating_sub(u64::from(row.trace)),
        cut_from: trace.cut_from,
        class: trace.class,
        kind: trace.kind,
        score: trace.score,
        reasons: trace.reasons,
        authentication: authentication::results(block, asked.trusted),
        origin: Origin {
            door: trace.client.door,
            address: trace.client.address,
            name: trace.client.name,
            helo: trace.client.helo,
            sender: trace.sender,
            user: trace.client.user,
            queue_id: trace.client.queue_id,
        },
        told: trace.told,
        recipients: trace.recipients,
        body: Body {
            text: words,
            is_from_html,
            rest_href: is_cut.then(|| asked.text_href.clone()),
            html_href: outline.html.map(|_| asked.html_href.clone()),
        },
        attachments,
        more_attachments: outline.attachments.len() > limits::PAGE_ATTACHMENTS,
        source_href: asked.source_href.clone(),
        download_href: asked.download_href.clone(),
    })
}

/// The text at full length, and whether even that was cut.
///
/// # Errors
/// The message cannot be read, or is gone.
pub fn text(message: &mut dyn Content) -> io::Result<(String, bool)> {
    let structure = message.structure()?;
    let outline = Outline::of(&structure);
    let (words, _, is_cut) = read_words(message, &structure, &outline, limits::PAGE_WHOLE_TEXT)?;
    Ok((words, is_cut))
}

/// The HTML as it was sent, for `page::sanitise::body` and nothing else; `None`: there is none.
///
/// # Errors
/// The message cannot be read, or is gone.
pub fn html(message: &mut dyn Content) -> io::Result<Option<String>> {
    let structure = message.structure()?;
    // one byte more, so that whoever cuts it knows that there was more
    let most = limits::FRAME_INPUT + 1;
    Outline::of(&structure).html.map(|number| Ok(read_part(message, &structure, number, most)?.0)).transpose()
}

/// The message without its trace as text to show, and whether it was cut.
///
/// # Errors
/// The message cannot be read, or is gone.
pub fn source(message: &mut dyn Content) -> io::Result<(String, bool)> {
    let range = original(message);
    let is_cut = range.end - range.start > limits::PAGE_SOURCE as u64;
    let bytes = message.read(range, limits::PAGE_SOURCE)?;
    Ok((without_controls(&charset::decode_charset(&*bytes, None)), is_cut))
}

/// Where the message lies as it came, without our trace: what a download gives.
pub fn original(message: &dyn Content) -> Range<u64> {
    let row = message.row();
    u64::from(row.trace).min(row.size)..row.size
}

/// What a downloaded message is called.
///
/// # Errors
/// The message cannot be read, or is gone.
pub fn file_name(message: &mut dyn Content) -> io::Result<String> {
    let trace = message.row().trace as usize;
    let subject = field(message.header()?.get(trace..).unwrap_or_default(), b"Subject");
    Ok(filename::safe(&format!("{}.eml", subject.replace(['/', '\\'], "_")), "message.eml"))
}

/// Which parts of a message are its words, and which are attached. What lies within an attached message is part of that.
struct Outline {
    plain: Option<u32>,
    html: Option<u32>,
    attachments: Vec<u32>,
}

impl Outline {
    fn of(structure: &Structure) -> Outline {
        let mut outline = Outline { plain: None, html: None, attachments: Vec::new() };
        // parents stand before their children
        let mut inside = Vec::with_capacity(structure.parts().len());
        for (number, part) in (0u32..).zip(structure.parts()) {
            let parent = part.parent().map(|parent| parent as usize);
            let hidden = parent.is_some_and(|parent| {
                let kind = structure.parts().get(parent).map(|part| part.kind);
                matches!(kind, Some(Kind::Message | Kind::EncodedMessage))
                    || inside.get(parent).copied().unwrap_or_default()
            });
            inside.push(hidden);
            if hidden || part.kind == Kind::Multipart {
                continue;
            }
            let slot = match words_of(&part.content).filter(|_| part.kind == Kind::Leaf) {
                Some(Words::Plain) => Some(&mut outline.plain),
                Some(Words::Html) => Some(&mut outline.html),
                None => None,
            };
            match slot {
                Some(slot) if slot.is_none() => *slot = Some(number),
                _ if part.parent().is_none() && part.body.is_empty() => {}
                _ => outline.attachments.push(number),
            }
        }
        outline
    }
}

enum Words {
    Plain,
    Html,
}

/// Whether a part is text that mail programs show.
fn words_of(content: &Described) -> Option<Words> {
    let attached = content.disposition.as_ref().is_some_and(|d| d.name.eq_ignore_ascii_case(b"attachment"));
    if attached {
        None
    } else if content.media.is_none() || content.is("text", "plain") {
        Some(Words::Plain)
    } else {
        content.is("text", "html").then_some(Words::Html)
    }
}

/// The words of a message, at most so many bytes; whether they were made of HTML; whether there are more.
fn read_words(
    message: &mut dyn Content,
    structure: &Structure,
    outline: &Outline,
    most: usize,
) -> io::Result<(String, bool, bool)> {
    if let Some(number) = outline.plain {
        let (words, is_cut) = read_part(message, structure, number, most)?;
        if !words.trim().is_empty() || outline.html.is_none() {
            return Ok((words, false, is_cut));
        }
    }
    let Some(number) = outline.html else { return Ok((String::new(), false, false)) };
    let (page, is_cut) = read_part(message, structure, number, limits::FRAME_INPUT)?;
    let mut words = charset::html_to_text(&page);
    let is_long = cut(&mut words, most);
    Ok((words, true, is_cut || is_long))
}

/// Cuts a text to so many bytes; tells whether it was longer.
fn cut(text: &mut String, most: usize) -> bool {
    let end = (0..=most.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    let is_long = end < text.len();
    text.truncate(end);
    is_long
}

/// The text of one part, and whether there is more of it.
fn read_part(message: &mut dyn Content, structure: &Structure, number: u32, most: usize) -> io::Result<(String, bool)> {
    let Some(part) = structure.part(number) else { return Ok((String::new(), false)) };
    // three bytes of quoted-printable stand for one, and soft line breaks for none
    let bytes = message.read(part.body.clone(), 4 * most)?;
    let is_long = part.body.end - part.body.start > bytes.len() as u64;
    let encoding = part.content.encoding.as_deref();
    let decoded = charset::decode_transfer(&bytes, encoding, most + 1);
    let mut text = charset::decode_charset(decoded, part.content.parameter("charset")).into_owned();
    let is_cut = cut(&mut text, most);
    Ok((text, is_cut || is_long))
}

/// A field as a person reads it, cut.
fn field(block: &[u8], name: &[u8]) -> String {
    let mut text = header::find(block, name).map(|field| words::decode(field.value)).unwrap_or_default();
    if cut(&mut text, limits::PAGE_FIELD) {
        text.push('…');
    }
    text
}

/// One attachment, for download.
#[derive(Debug)]
pub struct Part {
    /// A safe file name.
    pub name: String,
    /// What the message calls its type. A browser must not be told it: it would open what ought to be saved.
    pub media_type: String,
    body: Range<u64>,
    encoding: Option<Vec<u8>>,
}

impl Part {
    /// Hands out its decoded bytes piece by piece, until `sink` has had enough and says `false`. A transfer encoding that
    /// nobody here knows stays as it is.
    ///
    /// # Errors
    /// The message cannot be read, or is gone.
    pub fn copy(&self, message: &mut dyn Content, sink: &mut dyn FnMut(&[u8]) -> bool) -> io::Result<()> {
        let mut decoder = Decoder::new(self.encoding.as_deref()).unwrap_or(Decoder::Identity);
        let mut piece = Vec::new();
        let mut wanted = true;
        message.raw(self.body.clone(), &mut |bytes| {
            piece.clear();
            decoder.feed(bytes, &mut piece);
            wanted = piece.is_empty() || sink(&piece);
            wanted
        })?;
        if wanted {
            piece.clear();
            decoder.finish(&mut piece);
            if !piece.is_empty() {
                sink(&piece);
            }
        }
        Ok(())
    }
}

/// The attachment of this number; `None`: there is none.
///
/// # Errors
/// The message cannot be read, or is gone.
pub fn part(message: &mut dyn Content, number: u32) -> io::Result<Option<Part>> {
    let structure = message.structure()?;
    let is_attached = Outline::of(&structure).attachments.contains(&number);
    Ok(if is_attached { describe(&structure, number) } else { None })
}

fn describe(structure: &Structure, number: u32) -> Option<Part> {
    let part = structure.part(number)?;
    let is_message = matches!(part.kind, Kind::Message | Kind::EncodedMessage);
    let other = format!("part-{number}{}", if is_message { ".eml" } else { "" });
    let media = part.content.media.as_ref().map(|(main, sub)| [main.as_slice(), b"/", sub].concat());
    let encoding = match part.kind {
        Kind::Leaf | Kind::EncodedMessage => part.content.encoding.clone(),
        Kind::Multipart | Kind::Message | Kind::Opaque => None,
    };
    Some(Part {
        name: filename::safe(&named(&part.content), &other),
        media_type: String::from_utf8_lossy(&media.unwrap_or_else(|| b"text/plain".to_vec())).to_ascii_lowercase(),
        body: part.body.clone(),
        encoding,
    })
}

/// What a part calls itself: `filename` of its disposition, else `name` of its type.
fn named(content: &Described) -> String {
    let disposition = content.disposition.as_ref().map(|d| d.parameters.as_slice()).unwrap_or_default();
    let find = |parameters: &[Parameter], name: &[u8]| {
        parameters.iter().find(|p| p.name.eq_ignore_ascii_case(name)).map(|p| p.value.clone())
    };
    let named = |parameters: &[Parameter], name: &str| {
        let extended = find(parameters, format!("{name}*").as_bytes()).map(|value| extended(&value));
        extended.or_else(|| find(parameters, name.as_bytes()).map(|value| words::decode(&value)))
    };
    named(disposition, "filename").or_else(|| named(&content.parameters, "name")).unwrap_or_default()
}

/// `charset'language'text` with escaped bytes (RFC 2231 4).
fn extended(value: &[u8]) -> String {
    let mut pieces = value.splitn(3, |&b| b == b'\'');
    let (name, _, text) = (pieces.next().unwrap_or_default(), pieces.next(), pieces.next());
    let mut bytes = Vec::new();
    let mut rest = text.unwrap_or(value);
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| byte == b'%') {
            Some(escaped) => {
                bytes.push(escaped);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    charset::decode_charset(bytes, text.map(|_| name).filter(|name| !name.is_empty())).into_owned()
}

/// An attachment as the page lists it. Of those that the budget of bytes to read does not reach, no hash is computed.
fn attachment(
    message: &mut dyn Content,
    structure: &Structure,
    number: u32,
    href: &str,
    budget: &mut u64,
) -> io::Result<Option<Attachment>> {
    let Some(part) = describe(structure, number) else { return Ok(None) };
    let encoded = part.body.end - part.body.start;
    // a file with bare LFs is read from its beginning
    let left = budget.checked_sub(part.body.end);
    *budget = left.unwrap_or(0);
    let mut size = 0;
    let mut sha256 = None;
    if left.is_some() {
        let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        part.copy(message, &mut |bytes| {
            size += bytes.len() as u64;
            hash.update(bytes);
            true
        })?;
        let digits = hash.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        sha256 = Some(digits);
    } else {
        let is_base64 = part.encoding.as_deref().is_some_and(|e| e.eq_ignore_ascii_case(b"base64"));
        // RFC 2045 6.8: lines of 76 characters and a line end stand for 57 bytes
        size = if is_base64 { encoded / 78 * 57 } else { encoded };
    }
    let href = format!("{href}{number}");
    let is_estimate = left.is_none();
    Ok(Some(Attachment { name: part.name, media_type: part.media_type, size, is_estimate, sha256, href }))
}

#[cfg(test)]
mod tests;
