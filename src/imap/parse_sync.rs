//! The parameters and modifiers by which a client says what it knows already (RFC 7162 7, before it RFC 4551).

use super::parse_query;
use super::parser::{Parser, Parsing};
use super::request::{Bad, Known, Modifiers, Resync};
use crate::base::limits;

/// The rest of `(CONDSTORE)` or `(QRESYNC (…))` after SELECT's mailbox.
pub(super) fn known(p: &mut Parser<'_>) -> Parsing<Known> {
    let mut known = Known::Nothing;
    loop {
        match p.atom()?.to_ascii_uppercase().as_slice() {
            b"CONDSTORE" if known == Known::Nothing => known = Known::Condstore,
            b"CONDSTORE" => {}
            b"QRESYNC" => {
                p.space()?;
                known = Known::Resync(resync(p)?);
            }
            _ => return Err(Bad("SELECT takes the parameters CONDSTORE and QRESYNC")),
        }
        if p.eat(b')') {
            return Ok(known);
        }
        p.space()?;
    }
}

/// `(uidvalidity modseq [known-uids] [(seqs uids)])`.
fn resync(p: &mut Parser<'_>) -> Parsing<Resync> {
    const WRONG: &str = "QRESYNC takes (uidvalidity modseq [uids] [(numbers uids)])";
    p.expect(b'(', WRONG)?;
    let uid_validity = p.number()?;
    p.space()?;
    let modseq = p.number64()?;
    let (mut uids, mut pairs) = (None, Vec::new());
    if p.eat(b' ') && p.peek() != Some(b'(') {
        uids = Some(p.set()?);
        p.eat(b' ');
    }
    if p.eat(b'(') {
        let numbers = p.set()?;
        p.space()?;
        let at = p.set()?;
        p.expect(b')', WRONG)?;
        // What lies beyond the limit only makes the answer longer.
        pairs = numbers.iter().zip(at.iter()).take(limits::RESYNC_PAIRS).collect();
    }
    p.expect(b')', WRONG)?;
    Ok(Resync { uid_validity, modseq, uids, pairs })
}

/// The rest of `(CHANGEDSINCE n [VANISHED] [PARTIAL a:b])` after FETCH's items.
pub(super) fn modifiers(p: &mut Parser<'_>, uid: bool) -> Parsing<Modifiers> {
    let mut modifiers = Modifiers::default();
    loop {
        match p.atom()?.to_ascii_uppercase().as_slice() {
            b"CHANGEDSINCE" => {
                p.space()?;
                modifiers.since = Some(p.number64()?);
            }
            b"VANISHED" => modifiers.vanished = true,
            // RFC 9394 3.3
            b"PARTIAL" if uid && modifiers.partial.is_none() => {
                p.space()?;
                modifiers.partial = Some(parse_query::partial(p)?);
            }
            _ => return Err(Bad("unknown FETCH modifier")),
        }
        if p.eat(b')') {
            if modifiers.vanished && modifiers.since.is_none() {
                // RFC 7162 3.2.6
                return Err(Bad("VANISHED goes with CHANGEDSINCE"));
            }
            return Ok(modifiers);
        }
        p.space()?;
    }
}

/// The rest of `(UNCHANGEDSINCE n) ` after STORE's set.
pub(super) fn unchanged_since(p: &mut Parser<'_>) -> Parsing<u64> {
    if !p.eat_word("UNCHANGEDSINCE ") {
        return Err(Bad("unknown STORE modifier"));
    }
    let modseq = p.number64()?;
    p.expect(b')', "a STORE modifier is (UNCHANGEDSINCE n)")?;
    p.space()?;
    Ok(modseq)
}
