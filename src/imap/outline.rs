//! Where the fields of a header block lie, so that those that a client lists can be picked without reading the block.

use super::section::close_fields;
use crate::mail::header::Field;
use std::ops::Range;

/// Fields that clients ask for when they list a folder, or sort and thread it, in lower case. Another name costs a look at
/// every line of the block.
const NAMES: [&[u8]; 61] = [
    b"from",
    b"to",
    b"cc",
    b"bcc",
    b"subject",
    b"date",
    b"message-id",
    b"in-reply-to",
    b"references",
    b"reply-to",
    b"sender",
    b"content-type",
    b"content-description",
    b"content-disposition",
    b"content-language",
    b"content-transfer-encoding",
    b"mime-version",
    b"priority",
    b"x-priority",
    b"x-msmail-priority",
    b"importance",
    b"newsgroups",
    b"followup-to",
    b"lines",
    b"keywords",
    b"comments",
    b"organization",
    b"return-path",
    b"delivered-to",
    b"envelope-to",
    b"x-original-to",
    b"x-forwarded-to",
    b"resent-from",
    b"resent-to",
    b"resent-date",
    b"list-id",
    b"list-post",
    b"list-help",
    b"list-subscribe",
    b"list-unsubscribe",
    b"list-unsubscribe-post",
    b"mail-followup-to",
    b"mail-reply-to",
    b"disposition-notification-to",
    b"x-label",
    b"x-draft-info",
    b"x-uniform-type-identifier",
    b"x-universally-unique-identifier",
    b"x-k9mail-identity",
    b"chat-version",
    b"x-mailer",
    b"user-agent",
    b"auto-submitted",
    b"precedence",
    b"x-spam-flag",
    b"x-spam-status",
    b"x-lazaret-recipient",
    b"x-lazaret-sender",
    b"x-lazaret-score",
    b"x-lazaret-reason",
    b"x-lazaret-kind",
];
/// Of a field with any other name.
const OTHER: u8 = NAMES.len() as u8;
/// Bytes of one run of fields: whose it is, and 24 bits of its length.
const ENTRY: usize = 4;

/// Names of fields of which outlines know where they lie; those that they do not know are in no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names(u64);

impl Names {
    /// Those with these names, in any case. `None`: an outline does not tell of all.
    pub fn of(names: &[Vec<u8>]) -> Option<Names> {
        let bits = names.iter().map(|name| Some(1 << number(name)?));
        Some(Names(bits.collect::<Option<Vec<u64>>>()?.into_iter().fold(0, |all, bit| all | bit)))
    }

    fn has(self, number: u8) -> bool {
        1u64.checked_shl(u32::from(number)).is_some_and(|bit| self.0 & bit != 0)
    }
}

fn number(name: &[u8]) -> Option<u8> {
    NAMES.iter().position(|known| known.eq_ignore_ascii_case(name)).map(|at| at as u8)
}

/// The outline of a block with these fields: whose bytes follow each other in it, up to the empty line.
pub fn of(fields: &[Field<'_>]) -> Vec<u8> {
    let mut outline = Vec::with_capacity(fields.len() * ENTRY);
    let numbered = fields.iter().map(|field| (number(field.name).unwrap_or(OTHER), field.range.len()));
    let mut left = numbered.peekable();
    while let Some((number, mut len)) = left.next() {
        while let Some((_, more)) = left.next_if(|(next, _)| *next == number) {
            len += more;
        }
        let [a, b, c, _] = (len as u32).to_le_bytes();
        outline.extend_from_slice(&[number, a, b, c]);
    }
    outline
}

/// Whose bytes lie where, one behind the other.
fn runs(outline: &[u8]) -> impl Iterator<Item = (u8, Range<usize>)> {
    outline.chunks_exact(ENTRY).scan(0, |at, entry| {
        let &[number, a, b, c] = entry else { return None };
        let start = *at;
        *at += u32::from_le_bytes([a, b, c, 0]) as usize;
        Some((number, start..*at))
    })
}

/// Appends what [`super::section::filter_fields`] gives of a block, by its outline; `false`, and nothing, when it is the outline
/// of a longer one.
pub fn pick(outline: &[u8], block: &[u8], names: Names, not: bool, out: &mut Vec<u8>) -> bool {
    let end = runs(outline).last().map_or(0, |(_, range)| range.end);
    if end > block.len() {
        return false;
    }
    let from = out.len();
    for (_, range) in runs(outline).filter(|(number, _)| names.has(*number) != not) {
        out.extend_from_slice(block.get(range).unwrap_or_default());
    }
    close_fields(out, from, not, end < block.len());
    true
}

#[cfg(test)]
mod tests {
    use super::super::section::filter_fields;
    use super::*;
    use crate::mail::header;
    use proptest::prelude::*;

    fn outline(block: &[u8]) -> Vec<u8> {
        of(&header::fields(block).collect::<Vec<_>>())
    }

    #[test]
    fn the_table_fits_into_the_bits() {
        assert!(NAMES.len() < u64::BITS as usize);
        assert!(NAMES.iter().all(|name| name.iter().all(|b| !b.is_ascii_uppercase())));
        assert_eq!(Names::of(&[b"From".to_vec(), b"X-Other".to_vec()]), None);
        assert_eq!(Names::of(&[b"FROM".to_vec(), b"to".to_vec()]), Some(Names(3)));
    }

    #[test]
    fn an_outline_of_a_longer_block_is_not_believed() {
        let mut out = b"before".to_vec();
        let known = Names::of(&[b"to".to_vec()]).unwrap();
        assert!(!pick(&outline(b"To: a@x.test\r\n"), b"To: a\r\n", known, false, &mut out));
        assert_eq!(out, b"before");
    }

    proptest! {
        #[test]
        fn picks_what_reading_the_block_finds(
            block in "((From|to|TO|Subject|X-Other|X-Mailer| folded|odd)[ :]{0,2}[a-z\r\n ]{0,8}(\r\n|\n)?){0,9}(\r\n)?",
            names in prop::collection::vec(prop::sample::select(vec!["from", "To", "SUBJECT", "x-mailer", "bcc"]), 0..4),
            not: bool,
        ) {
            let names: Vec<Vec<u8>> = names.into_iter().map(|name| name.as_bytes().to_vec()).collect();
            let mut out = b"1 ".to_vec();
            prop_assert!(pick(&outline(block.as_bytes()), block.as_bytes(), Names::of(&names).unwrap(), not, &mut out));
            let expected = filter_fields(block.as_bytes(), &names, not);
            prop_assert_eq!(&out[2..], expected);
        }
    }
}
