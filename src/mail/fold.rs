//! Text in the form in which it is compared.

use std::borrow::Cow;
use std::sync::LazyLock;
use unicode_normalization::char::{canonical_combining_class, decompose_compatible, is_combining_mark};

/// i;unicode-casemap (RFC 5051 2): titlecase, then decomposed, marks in canonical order. Two texts are equal when these
/// are, one contains the other when these do, and their order is that of these.
pub fn casemap(text: &str) -> String {
    // characters were put together whole
    String::from_utf8(casemap_bytes(text.into())).unwrap_or_default()
}

/// Looser than [`casemap`]: marks are dropped, runs of white space are one space.
pub fn loose(text: &str) -> String {
    String::from_utf8(loose_bytes(text.into())).unwrap_or_default()
}

/// The UTF-8 of [`casemap`], for who only looks for other bytes in it.
pub fn casemap_bytes(text: Cow<'_, str>) -> Vec<u8> {
    if text.is_ascii() { capitals(text) } else { CASEMAP.fold(&text) }
}

/// The UTF-8 of [`loose`].
pub fn loose_bytes(text: Cow<'_, str>) -> Vec<u8> {
    let folded = if text.is_ascii() { capitals(text) } else { LOOSE.fold(&text) };
    let mut out = Vec::with_capacity(folded.len());
    let mut rest = folded.as_slice();
    loop {
        if rest.first().is_some_and(|&first| first > b' ') {
            let (words, after) = rest.split_at(words_len(rest, b'\n'));
            out.extend_from_slice(words);
            rest = after;
        }
        let Some(at) = rest.iter().position(|b| matches!(b, b'\t'..=b'\r' | b' ')) else { break };
        let (word, after) = rest.split_at(at);
        out.extend_from_slice(word);
        if !out.ends_with(b" ") {
            out.push(b' ');
        }
        rest = after.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

/// ASCII in capitals: where it lies, if it is ours.
fn capitals(text: Cow<'_, str>) -> Vec<u8> {
    match text {
        Cow::Borrowed(text) => text.to_ascii_uppercase().into_bytes(),
        Cow::Owned(mut text) => {
            text.make_ascii_uppercase();
            text.into_bytes()
        }
    }
}

/// A way to fold that takes each character by itself, and then puts marks in order.
struct Folding {
    /// What becomes of one character.
    parts: fn(char, &mut dyn FnMut(char)),
    /// The same, for those below [`TABLE_END`].
    table: Vec<Folded>,
}

/// What becomes of a character.
#[derive(Debug, Clone, Copy)]
struct Folded {
    /// UTF-8: so much that nearly everything fits, and so little that it is copied in one go.
    bytes: [u8; ROOM],
    /// How many of the bytes count.
    len: u8,
    kind: Folds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Folds {
    /// The bytes are what becomes of it.
    Short,
    /// It does not fit.
    Long,
    /// These are marks, whose order depends on what stands around them. Nothing else begins with one.
    Marks,
}

const ROOM: usize = 6;

/// The table has most alphabets, and kana.
const TABLE_END: char = '\u{3100}';
static CASEMAP: LazyLock<Folding> = LazyLock::new(|| Folding::new(casemap_parts));
static LOOSE: LazyLock<Folding> = LazyLock::new(|| Folding::new(loose_parts));

fn casemap_parts(c: char, emit: &mut dyn FnMut(char)) {
    decompose_compatible(title(c), emit);
}

/// White space is a space here, one for each.
fn loose_parts(c: char, emit: &mut dyn FnMut(char)) {
    decompose_compatible(c, |part| {
        if part.is_whitespace() {
            emit(' ');
        } else if !is_combining_mark(part) {
            part.to_uppercase().for_each(&mut *emit);
        }
    });
}

impl Folding {
    fn new(parts: fn(char, &mut dyn FnMut(char))) -> Self {
        let mut folding = Folding { parts, table: Vec::new() };
        folding.table = ('\0'..TABLE_END).map(|c| folding.one(c)).collect();
        folding
    }

    /// A text, folded. It is walked through by bytes, since this is done for all of the mail that is searched.
    fn fold(&self, text: &str) -> Vec<u8> {
        let mut out = Output { bytes: vec![0; text.len() + text.len() / 8 + ROOM], len: 0, in_marks: false };
        let table = self.table.as_slice();
        let mut rest = text.as_bytes();
        loop {
            let (code, after) = match *rest {
                [a, ..] if a < 0x80 => {
                    let (ascii, others) = rest.split_at(ascii_len(rest));
                    out.ascii(ascii);
                    rest = others;
                    continue;
                }
                [a, b, ref after @ ..] if a < 0xe0 => (low(a, 5) << 6 | low(b, 6), after),
                // ideographs stay as they are
                [a @ 0xe4..=0xe9, b, c, ref after @ ..] => {
                    out.add(&Folded { bytes: [a, b, c, 0, 0, 0], len: 3, kind: Folds::Short });
                    rest = after;
                    continue;
                }
                [a, b, c, ref after @ ..] if a < 0xf0 => (low(a, 4) << 12 | low(b, 6) << 6 | low(c, 6), after),
                [a, b, c, d, ref after @ ..] => (low(a, 3) << 18 | low(b, 6) << 12 | low(c, 6) << 6 | low(d, 6), after),
                _ => return out.finish(),
            };
            match table.get(code as usize) {
                Some(folded) if folded.kind == Folds::Short => out.add(folded),
                _ => self.add_rare(code, &mut out),
            }
            rest = after;
        }
    }

    fn add_rare(&self, code: u32, out: &mut Output) {
        let c = char::from_u32(code).unwrap_or_default();
        let folded = match c {
            ..TABLE_END => self.table.get(code as usize).copied().unwrap_or(Folded::LONG),
            // rare ideographs, private letters, pictures: they stay as they are
            '\u{3400}'..='\u{4dff}' | '\u{e000}'..='\u{f8ff}' | '\u{fffd}' | '\u{1f300}'..='\u{1faff}' => {
                Folded::of(&[c], Folds::Short)
            }
            // Korean syllables are two or three letters
            '가'..='힣' => Folded::LONG,
            _ => self.one(c),
        };
        match folded.kind {
            Folds::Short => out.add(&folded),
            Folds::Long => (self.parts)(c, &mut |part| out.add(&Folded::of(&[part], Folds::Short))),
            Folds::Marks => out.add_marks(&folded),
        }
    }

    fn one(&self, c: char) -> Folded {
        let mut parts = Vec::new();
        (self.parts)(c, &mut |part| parts.push(part));
        let is_mark = parts.first().is_some_and(|&first| canonical_combining_class(first) != 0);
        Folded::of(&parts, if is_mark { Folds::Marks } else { Folds::Short })
    }
}

/// The lowest bits of a byte.
fn low(byte: u8, bits: u32) -> u32 {
    u32::from(byte) & ((1 << bits) - 1)
}

impl Folded {
    const LONG: Folded = Folded { bytes: [0; ROOM], len: 0, kind: Folds::Long };

    fn of(parts: &[char], kind: Folds) -> Self {
        let (mut bytes, mut len) = ([0; ROOM], 0);
        for part in parts {
            match bytes.get_mut(len..len + part.len_utf8()) {
                Some(room) => len += part.encode_utf8(room).len(),
                None => return Folded::LONG,
            }
        }
        Folded { bytes, len: len as u8, kind }
    }
}

/// A folded text that grows.
struct Output {
    /// There is room behind what counts of it.
    bytes: Vec<u8>,
    len: usize,
    /// It ends in marks whose order is not decided yet.
    in_marks: bool,
}

impl Output {
    #[inline]
    fn add(&mut self, folded: &Folded) {
        if self.in_marks {
            self.order_marks();
        }
        if self.bytes.len() < self.len + ROOM {
            self.bytes.resize(2 * self.bytes.len() + ROOM, 0);
        }
        if let Some(room) = self.bytes.get_mut(self.len..).and_then(|room| room.first_chunk_mut()) {
            *room = folded.bytes;
            self.len += usize::from(folded.len);
        }
    }

    fn add_marks(&mut self, marks: &Folded) {
        self.in_marks = false;
        self.add(marks);
        self.in_marks = true;
    }

    /// ASCII, whose letters become capitals.
    fn ascii(&mut self, text: &[u8]) {
        if self.in_marks {
            self.order_marks();
        }
        let end = self.len + text.len();
        if self.bytes.len() < end {
            self.bytes.resize(2 * end, 0);
        }
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(text);
            room.make_ascii_uppercase();
            self.len = end;
        }
    }

    /// Puts the marks at its end in canonical order (Unicode 3.11, D109).
    fn order_marks(&mut self) {
        let mut marks = Vec::new();
        while let Some(mark) = self.last()
            && canonical_combining_class(mark) != 0
        {
            self.len -= mark.len_utf8();
            marks.push(mark);
        }
        marks.reverse();
        marks.sort_by_key(|&mark| canonical_combining_class(mark));
        self.in_marks = false;
        marks.into_iter().for_each(|mark| self.add(&Folded::of(&[mark], Folds::Short)));
    }

    fn last(&self) -> Option<char> {
        let text = self.bytes.get(..self.len)?;
        let start = text.iter().rposition(|byte| byte & 0xc0 != 0x80)?;
        std::str::from_utf8(text.get(start..)?).ok()?.chars().next()
    }

    fn finish(mut self) -> Vec<u8> {
        if self.in_marks {
            self.order_marks();
        }
        self.bytes.truncate(self.len);
        self.bytes
    }
}

/// How many bytes these begin with, or some fewer, that are words with one space between them and have no `but` in them.
/// Most text is that, and is asked for it in large pieces.
pub(super) fn words_len(bytes: &[u8], but: u8) -> usize {
    let mut rest = bytes;
    while let (Some(here), Some(next)) =
        (rest.first_chunk::<32>(), rest.get(1..).and_then(|rest| rest.first_chunk::<32>()))
    {
        let is_plain = |(&b, &next): (&u8, &u8)| ((b > b' ') & (b != but)) | ((b == b' ') & (next > b' '));
        if !here.iter().zip(next).fold(true, |plain, pair| plain & is_plain(pair)) {
            break;
        }
        rest = rest.get(32..).unwrap_or_default();
    }
    bytes.len() - rest.len()
}

/// How many ASCII bytes these begin with.
pub(super) fn ascii_len(bytes: &[u8]) -> usize {
    // a run is short, or it is long and quicker asked for in large pieces
    let short = bytes.iter().take(16).take_while(|b| b.is_ascii()).count();
    if short < 16 {
        return short;
    }
    let long = bytes.as_chunks::<32>().0.iter().take_while(|chunk| chunk.is_ascii()).count() * 32;
    long + bytes.iter().skip(long).take_while(|b| b.is_ascii()).count()
}

/// The simple titlecase mapping of UnicodeData.txt, which the standard library lacks. It is the simple uppercase mapping
/// but for the letters below; where that is longer than one letter, there is no simple one.
fn title(c: char) -> char {
    let shifted = |by: u32| char::from_u32(u32::from(c) + by).unwrap_or(c);
    match c {
        '\0'..='\x7f' => c.to_ascii_uppercase(),
        'Ǆ' | 'ǅ' | 'ǆ' => 'ǅ',
        'Ǉ' | 'ǈ' | 'ǉ' => 'ǈ',
        'Ǌ' | 'ǋ' | 'ǌ' => 'ǋ',
        'Ǳ' | 'ǲ' | 'ǳ' => 'ǲ',
        // Georgian has capitals for words that are all capitals, and no titlecase
        'ა'..='ჺ' | 'ჽ'..='ჿ' => c,
        // Greek with an iota below: titlecase letters of their own
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => shifted(8),
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => shifted(9),
        _ => {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(one), None) => one,
                _ => c,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization;

    /// The plain way: every character through the tables of Unicode.
    fn plain_casemap(text: &str) -> String {
        text.chars().map(title).nfkd().collect()
    }

    fn plain_loose(text: &str) -> String {
        let mut out = String::new();
        for c in text.chars().nfkd().filter(|&c| !is_combining_mark(c)).flat_map(char::to_uppercase) {
            if !c.is_whitespace() {
                out.push(c);
            } else if !out.ends_with(' ') {
                out.push(' ');
            }
        }
        out
    }

    #[test]
    fn every_character_folds_as_the_plain_way_says() {
        for c in ('\0'..='\u{323ff}').chain('\u{e0000}'..='\u{e0fff}') {
            let text = c.to_string();
            for text in [&text, &format!("a\u{301}{c}\u{323}\u{308} {c}{c}\u{fb}b")] {
                assert_eq!(casemap(text), plain_casemap(text), "{c:?}");
                assert_eq!(loose(text), plain_loose(text), "{c:?}");
            }
            // what `Folded::Marks` says
            let mut marks = Vec::new();
            casemap_parts(c, &mut |part| marks.push(canonical_combining_class(part) != 0));
            assert!(marks.first() == Some(&false) || marks.iter().all(|&is_mark| is_mark), "{c:?}");
        }
    }

    #[test]
    fn letters() {
        for (one, other) in [
            ("straße", "STRAßE"),
            ("Müller", "MU\u{308}LLER"),
            ("ｗｉｄｅ", "WIDE"),
            ("привет", "ПРИВЕТ"),
            ("각", "\u{1100}\u{1161}\u{11a8}"),
            ("q\u{307}\u{323}", "Q\u{323}\u{307}"),
            ("ǆ", "Ǆ"),
            ("ᾀ", "ᾈ"),
            ("ი", "ი"),
            ("ς", "Σ"),
            ("①", "1"),
        ] {
            assert_eq!(casemap(one), casemap(other), "{one} {other}");
        }
        for (one, other) in [("strasse", "straße"), ("a", "ä"), ("ﬁ", "fi")] {
            assert_ne!(casemap(one), casemap(other), "{one} {other}");
        }
        // RFC 5051 2: "ǆ" is "ǅ" first, which is taken apart then
        assert_eq!(casemap("ǆ"), "Dz\u{30c}");
        for (one, other) in [("crème  brûlée", "CREME\r\n BRULEE"), ("ﬁn", "fin"), ("Straße", "STRASSE")] {
            assert_eq!(loose(one), loose(other), "{one} {other}");
        }
    }

    #[test]
    fn many_marks_take_little_time() {
        let start = std::time::Instant::now();
        let marks = format!("a{}", "\u{301}\u{323}".repeat(100_000));
        assert_eq!(casemap(&marks), plain_casemap(&marks));
        assert!(start.elapsed() < std::time::Duration::from_secs(2));
    }

    proptest! {
        #[test]
        fn texts_fold_as_the_plain_way_says(
            text in "([ -~]{0,40}|[\\s\u{80}-\u{5ff}]{0,9}|[\u{300}-\u{36f}]{1,4}|[\u{1e00}-\u{3200}가-힣一-龥]{0,6}|\\PC{0,9}){0,8}"
        ) {
            prop_assert_eq!(casemap(&text), plain_casemap(&text));
            prop_assert_eq!(loose(&text), plain_loose(&text));
        }

        #[test]
        fn folding_again_of_capitals_changes_nothing(text in "[ -~À-ÞА-я]{0,20}") {
            let once = casemap(&text);
            prop_assert_eq!(casemap(&once), once.clone());
        }

        #[test]
        fn ascii_is_its_capitals(text in "[ -~]{0,40}") {
            prop_assert_eq!(casemap(&format!("{text}é")), format!("{}E\u{301}", text.to_ascii_uppercase()));
        }
    }
}
