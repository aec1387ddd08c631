//! Whether a text is in a header or a body, as a reader sees them: encoded words, transfer encodings and charsets undone.

#[cfg(test)]
mod tests;

use super::content::Content;
use super::needle::Needle;
use super::outline::Names;
use super::search::{Depth, Key};
use super::signature::{Maker, Place, Signature};
use crate::base::{Slice, limits};
use crate::mail::header::{self, Field};
use crate::mail::mime::{Kind, Part};
use crate::mail::{fold, text, words};
use std::borrow::Cow;
use std::io;

/// How texts are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// By i;unicode-casemap (RFC 5255 4.2).
    Exact,
    /// As FUZZY does: marks and the amount of white space do not count, and of HTML only what is shown.
    Loose,
}

impl Manner {
    /// A text in the form in which it is compared.
    pub fn fold(self, text: &str) -> String {
        match self {
            Manner::Exact => fold::casemap(text),
            Manner::Loose => fold::loose(text),
        }
    }

    /// The same, for who only looks for other bytes in it.
    fn bytes(self, text: Cow<'_, str>) -> Vec<u8> {
        match self {
            Manner::Exact => fold::casemap_bytes(text),
            Manner::Loose => fold::loose_bytes(text),
        }
    }
}

/// In which texts one is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// In all, those of headers of parts included (RFC 9051 6.4.4 `TEXT`).
    All,
    /// In parts that are text. Headers of parts and of embedded messages are none (RFC 9051 6.4.4 `BODY`).
    Bodies,
}

impl Within {
    fn covers(self, place: Place) -> bool {
        self == Within::All || place == Place::Body
    }

    fn may_have(self, signature: &Signature, value: &str) -> bool {
        [Place::Header, Place::Body].iter().any(|&place| self.covers(place) && signature.may_have(place, value))
    }
}

/// The recipients for whom the message lies here stand in this field of the trace. To a wider account they are recipients
/// like those that the sender wrote, if he wrote them.
const RECIPIENT: &[u8] = b"x-lazaret-recipient";

/// Whether a field of this name, which is in lower case, holds the text. `None`: the depth does not suffice to tell.
pub(super) fn field_has(
    content: &mut dyn Content,
    name: &[u8],
    value: &Needle,
    manner: Manner,
    depth: Depth,
) -> io::Result<Option<bool>> {
    if let Some(has) = content.field_has(name, value, manner, depth)? {
        return Ok(Some(has));
    }
    // A field that would be kept is worth one look at the header: the next search has it at hand.
    if manner == Manner::Exact
        && !content.keeps(name)
        && let Some(signature) = content.signature()?
        && !field_may_be(&signature, name, value.text())
    {
        return Ok(Some(false));
    }
    match depth {
        Depth::AtHand => Ok(None),
        Depth::Whole => Ok(Some(block_has(&block_for(content, name)?, content.row().trace, name, value, manner))),
    }
}

/// As much of the header block as tells of fields with this name.
fn block_for(content: &mut dyn Content, name: &[u8]) -> io::Result<Slice> {
    let mut picked = Vec::new();
    // The trace is told from the rest by where it ends, and has recipients too.
    match Names::of(&[name.to_vec()]).filter(|_| name != b"to") {
        Some(names) if content.pick(names, false, &mut picked)? => Ok(picked.into()),
        _ => content.header(),
    }
}

/// Whether there may be such a field: it is searched as `name: value` too.
fn field_may_be(signature: &Signature, name: &[u8], value: &str) -> bool {
    // Under this name another one is looked for as well.
    let named = if name == b"to" { None } else { std::str::from_utf8(name).ok().filter(|name| name.is_ascii()) };
    let before = named.map(|name| Manner::Exact.fold(&format!("{name}: ")));
    let may_have = |text: &str| signature.may_have(Place::Header, text);
    before.is_none_or(|before| may_have(&before)) && may_have(value)
}

/// The same of a header block. Its first `trace` bytes are the trace: below, a sender may have written anything.
fn block_has(block: &[u8], trace: u32, name: &[u8], value: &Needle, manner: Manner) -> bool {
    texts_of(block, trace, name).any(|text| value.is_in(&manner.bytes(text.into())))
}

/// The decoded texts of the fields in which [`Key::Header`] looks under each of these names, which are in lower case.
pub fn field_texts(block: &[u8], trace: u32, names: &[&[u8]]) -> Vec<Vec<String>> {
    let mut texts = vec![Vec::new(); names.len()];
    for field in header::fields(block) {
        for (name, texts) in names.iter().zip(&mut texts) {
            if is_under(&field, name, trace) {
                texts.push(words::decode(field.value));
            }
        }
    }
    texts
}

fn texts_of<'a>(block: &'a [u8], trace: u32, name: &'a [u8]) -> impl Iterator<Item = String> + 'a {
    let fields = header::fields(block).filter(move |field| is_under(field, name, trace));
    fields.map(|field| words::decode(field.value))
}

/// Whether a field is looked at under this name.
fn is_under(field: &Field<'_>, name: &[u8], trace: u32) -> bool {
    field.is(name) || (name == b"to" && field.is(RECIPIENT) && field.range.end <= trace as usize)
}

/// Whether texts hold one. `None`: the depth does not suffice to tell. Where the message has to be read for it, its signature
/// is made of the same reading.
pub(super) fn has(
    content: &mut dyn Content,
    value: &Needle,
    within: Within,
    manner: Manner,
    depth: Depth,
) -> io::Result<Option<bool>> {
    let signature = if manner == Manner::Exact { content.signature()? } else { None };
    if signature.as_ref().is_some_and(|signature| !within.may_have(signature, value.text())) {
        return Ok(Some(false));
    }
    if depth == Depth::AtHand {
        return Ok(None);
    }
    if manner == Manner::Exact && signature.is_none() && content.begin_signature() {
        return sign_and_look(content, value, within).map(Some);
    }
    reading_has(content, value, within, manner).map(Some)
}

fn reading_has(content: &mut dyn Content, value: &Needle, within: Within, manner: Manner) -> io::Result<bool> {
    let mut has = false;
    each_text(content, within, manner, &mut |_, text| {
        has = value.is_in(text);
        !has
    })?;
    Ok(has)
}

/// Makes the signature of a message that has none.
pub fn sign(content: &mut dyn Content) -> io::Result<()> {
    if content.signature()?.is_none() && content.begin_signature() {
        sign_each(content, &mut |_, _| {})?;
    }
    Ok(())
}

fn sign_and_look(content: &mut dyn Content, value: &Needle, within: Within) -> io::Result<bool> {
    let mut has = false;
    let signed = sign_each(content, &mut |place, text| {
        has = has || within.covers(place) && value.is_in(text);
    });
    match signed {
        // Whoever stops where the text is found would not have come to what cannot be read.
        Err(_) if has => Ok(true),
        signed => signed.map(|()| has),
    }
}

/// Makes the signature, and calls `each` with all that it is made of.
fn sign_each(content: &mut dyn Content, each: &mut dyn FnMut(Place, &[u8])) -> io::Result<()> {
    let mut maker = Maker::new(content.row().size);
    each_text(content, Within::All, Manner::Exact, &mut |place, text| {
        maker.add(place, text);
        each(place, text);
        true
    })?;
    content.sign(maker.finish());
    Ok(())
}

/// Calls `each` with the texts, folded, until it says `false`.
fn each_text(
    content: &mut dyn Content,
    within: Within,
    manner: Manner,
    each: &mut dyn FnMut(Place, &[u8]) -> bool,
) -> io::Result<()> {
    let with_headers = within.covers(Place::Header);
    if with_headers && !each_field(&content.header()?, manner, each) {
        return Ok(());
    }
    let structure = content.structure()?;
    for (number, part) in structure.parts().iter().enumerate() {
        if number > 0 && with_headers {
            let block = content.read(part.header.clone(), limits::HEADER_BYTES)?;
            if !each_field(&block, manner, each) {
                return Ok(());
            }
        }
        if is_text(part) && !each_form(content, part, manner, each)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Calls `each` with each field of the block, written out; `false`: it has had enough.
fn each_field(block: &[u8], manner: Manner, each: &mut dyn FnMut(Place, &[u8]) -> bool) -> bool {
    header::fields(block).all(|field| {
        let (name, value) = (String::from_utf8_lossy(field.name), words::decode(field.value));
        each(Place::Header, &manner.bytes([&*name, ": ", &*value].concat().into()))
    })
}

/// Calls `each` with the text of a part. HTML is searched as it is, so that an address in a link is found, and without its
/// tags, so that a word is found whatever is between its letters.
fn each_form(
    content: &mut dyn Content,
    part: &Part,
    manner: Manner,
    each: &mut dyn FnMut(Place, &[u8]) -> bool,
) -> io::Result<bool> {
    let body = content.read(part.body.clone(), limits::SEARCH_PART)?;
    let charset = part.content.parameter("charset");
    let text = text::decode(&body, part.content.encoding.as_deref(), charset, limits::SEARCH_PART);
    let html = part.content.is("text", "html");
    let words = html.then(|| text::html_to_text(&text));
    let as_it_is = (!html || manner == Manner::Exact).then_some(text);
    let mut forms = as_it_is.into_iter().chain(words.map(Cow::Owned));
    Ok(forms.all(|text| each(Place::Body, &manner.bytes(text))))
}

/// What cannot be taken apart is searched as it is, delivery reports too (RFC 9051 6.4.4); pictures and the like are not.
fn is_text(part: &Part) -> bool {
    match part.kind {
        Kind::Leaf => part.content.media.is_none() || part.content.is_main("text") || part.content.is_main("message"),
        Kind::EncodedMessage | Kind::Opaque => true,
        Kind::Multipart | Kind::Message => false,
    }
}

/// How well a message that matches does so, 1 to 100 (RFC 6203 4): where the FUZZY texts of the key are found, and whether
/// they are found as they were written.
pub fn score(key: &Key, content: &mut dyn Content) -> io::Result<u8> {
    Ok(scored(key, content, Manner::Exact)?.unwrap_or(100).clamp(1, 100))
}

/// `None`: there is nothing fuzzy in it.
fn scored(key: &Key, content: &mut dyn Content, manner: Manner) -> io::Result<Option<u8>> {
    let each = |keys: &[Key], content: &mut dyn Content| -> io::Result<Vec<u8>> {
        let scores = keys.iter().map(|key| scored(key, content, manner));
        Ok(scores.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
    };
    let value = match key {
        Key::Fuzzy(key) => return scored(key, content, Manner::Loose),
        Key::And(keys) => {
            let scores = each(keys, content)?;
            let sum: u32 = scores.iter().map(|&score| u32::from(score)).sum();
            return Ok((!scores.is_empty()).then(|| (sum / scores.len() as u32) as u8));
        }
        Key::Or(keys) => return Ok(each(keys, content)?.into_iter().max()),
        Key::Header { value, .. } | Key::Text(value) | Key::Body(value) if manner == Manner::Loose => value,
        _ => return Ok(None),
    };
    let block = content.header()?;
    let trace = content.row().trace;
    let whole_field = |name: &[u8]| block_has(&block, trace, name, value, Manner::Loose);
    let any_field = || !each_field(&block, Manner::Loose, &mut |_, text| !value.is_in(text));
    let place = match key {
        Key::Header { name, .. } if name != b"subject" => 80,
        Key::Header { .. } | Key::Text(_) if whole_field(b"subject") => 100,
        Key::Text(_) if whole_field(b"from") || whole_field(b"to") => 75,
        Key::Text(_) if any_field() => 25,
        Key::Text(_) | Key::Body(_) if reading_has(content, value, Within::Bodies, Manner::Loose)? => 50,
        _ => 1,
    };
    Ok(Some(place))
}
