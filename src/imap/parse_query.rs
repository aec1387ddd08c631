//! The arguments of SEARCH, SORT and THREAD before the keys (RFC 4466 2.6, RFC 5256 5, RFC 5267 5, RFC 9394 4).

use super::gather::Order;
use super::parse_search::{self, Charset};
use super::parser::{Parser, Parsing};
use super::query::{Partial, Query, Returns};
use super::request::{Bad, Request};
use super::search::Key;
use super::sort::{Criterion, Field};
use super::thread::Algorithm;
use crate::base::limits;

/// `SEARCH [RETURN (…)] [CHARSET x] keys`.
pub(super) fn search(p: &mut Parser<'_>, uid: bool) -> Parsing<Request> {
    p.space()?;
    let returns = returns(p, true)?;
    let charset = if p.eat_word("CHARSET ") {
        if p.enabled.utf8 {
            // RFC 6855 3. Not after ENABLE IMAP4rev2 alone: RFC 9051 6.4.4 has CHARSET still.
            return Err(Bad("texts are UTF-8 since ENABLE UTF8=ACCEPT: CHARSET is not allowed"));
        }
        let charset = Charset::named(&p.astring()?);
        p.space()?;
        charset
    } else {
        // RFC 3501 6.4.4 has US-ASCII here; UTF-8 in its place, as RFC 9051 6.4.4 wants it, means nothing else
        Charset::Utf8
    };
    query(p, uid, Order::Mailbox, returns, charset)
}

/// `SORT [RETURN (…)] (criteria) charset keys`.
pub(super) fn sort(p: &mut Parser<'_>, uid: bool) -> Parsing<Request> {
    p.space()?;
    let returns = returns(p, false)?;
    let criteria = p.list_of(|p| {
        let reverse = p.eat_word("REVERSE ");
        let field = Field::by_name(p.atom()?).ok_or(Bad("unknown sort criterion"))?;
        Ok(Criterion { field, reverse })
    })?;
    if criteria.len() > limits::SORT_CRITERIA {
        return Err(Bad("too many sort criteria"));
    }
    let charset = charset(p)?;
    query(p, uid, Order::Sorted(criteria.into()), returns, charset)
}

/// `THREAD algorithm charset keys`.
pub(super) fn thread(p: &mut Parser<'_>, uid: bool) -> Parsing<Request> {
    p.space()?;
    let algorithm = Algorithm::by_name(p.atom()?).ok_or(Bad("unknown threading algorithm"))?;
    let charset = charset(p)?;
    query(p, uid, Order::Threads(algorithm), None, charset)
}

/// `CANCELUPDATE "tag" …` (RFC 5267 4.3.5).
pub(super) fn cancel_update(p: &mut Parser<'_>) -> Parsing<Request> {
    let mut tags = Vec::new();
    while p.eat(b' ') {
        tags.push(String::from_utf8_lossy(&p.astring()?).into_owned());
    }
    if tags.is_empty() { Err(Bad("CANCELUPDATE takes the tags of searches")) } else { Ok(Request::CancelUpdate(tags)) }
}

/// The charset that SORT and THREAD must have, spaces around it.
fn charset(p: &mut Parser<'_>) -> Parsing<Charset> {
    p.space()?;
    let charset = Charset::named(&p.astring()?);
    p.space()?;
    Ok(charset)
}

fn query(p: &mut Parser<'_>, uid: bool, order: Order, returns: Option<Returns>, charset: Charset) -> Parsing<Request> {
    let key = parse_search::keys(p, &charset)?;
    let relevancy = returns.is_some_and(|r| r.relevancy)
        || matches!(&order, Order::Sorted(criteria) if criteria.iter().any(|c| c.field == Field::Relevancy));
    if relevancy && !key.any(&|key| matches!(key, Key::Fuzzy(_))) {
        // RFC 6203 4
        return Err(Bad("RELEVANCY is of no use without FUZZY"));
    }
    if charset == Charset::Unknown {
        return Ok(Request::BadCharset { save: returns.is_some_and(|r| r.save) });
    }
    Ok(Request::Search { uid, query: Box::new(Query { key, order, returns }) })
}

/// `RETURN (…)` and a space, if it is there. Results of SORT are not kept up to date: that is CONTEXT=SORT.
fn returns(p: &mut Parser<'_>, with_contexts: bool) -> Parsing<Option<Returns>> {
    if !p.eat_word("RETURN ") {
        return Ok(None);
    }
    let mut returns = Returns::default();
    if p.eat_word("()") {
        returns = Returns::ALL;
    } else {
        p.list_of(|p| option(p, &mut returns, with_contexts))?;
    }
    p.space()?;
    Ok(Some(returns))
}

fn option(p: &mut Parser<'_>, returns: &mut Returns, with_contexts: bool) -> Parsing<()> {
    match p.atom()?.to_ascii_uppercase().as_slice() {
        b"MIN" => returns.min = true,
        b"MAX" => returns.max = true,
        b"ALL" => returns.all = true,
        b"COUNT" => returns.count = true,
        b"SAVE" => returns.save = true,
        b"RELEVANCY" => returns.relevancy = true,
        b"CONTEXT" if with_contexts => returns.context = true,
        b"UPDATE" if with_contexts => returns.update = true,
        b"PARTIAL" => {
            p.space()?;
            if returns.partial.replace(partial(p)?).is_some() {
                return Err(Bad("PARTIAL goes once"));
            }
        }
        _ => return Err(Bad("unknown return option")),
    }
    if returns.all && returns.partial.is_some() {
        // RFC 9394 3.1
        return Err(Bad("it is either ALL or PARTIAL"));
    }
    Ok(())
}

/// `partial-range` (RFC 9394 4).
pub(super) fn partial(p: &mut Parser<'_>) -> Parsing<Partial> {
    const WRONG: &str = "a part of the results looks like 1:100 or -1:-100";
    let from_end = p.eat(b'-');
    let one = p.number()?;
    p.expect(b':', WRONG)?;
    if p.eat(b'-') != from_end {
        return Err(Bad(WRONG));
    }
    let other = p.number()?;
    if one == 0 || other == 0 { Err(Bad(WRONG)) } else { Ok(Partial { one, other, from_end }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::parse::command;

    fn parsed(text: &str) -> Parsing<Request> {
        command(format!("a {text}\r\n").as_bytes()).request
    }

    fn returned(options: &str) -> Option<Returns> {
        match parsed(&format!("SEARCH RETURN ({options}) ALL")) {
            Ok(Request::Search { query, .. }) => query.returns,
            _ => None,
        }
    }

    #[test]
    fn options() {
        assert_eq!(returned(""), Some(Returns::ALL));
        let both = Returns { min: true, save: true, ..Returns::default() };
        assert_eq!(returned("save Min"), Some(both));
        let partial = returned("PARTIAL -5:-1").and_then(|r| r.partial);
        assert_eq!(partial, Some(Partial { one: 5, other: 1, from_end: true }));
        for bad in [
            "ALL PARTIAL 1:2",
            "PARTIAL 1:2 PARTIAL 1:2",
            "PARTIAL",
            "PARTIAL 0:1",
            "PARTIAL 1:-2",
            "X",
            " ALL",
            "RELEVANCY",
        ] {
            assert_eq!(returned(bad), None, "{bad}");
        }
    }

    #[test]
    fn sort_and_thread() {
        assert!(parsed("SORT (SUBJECT REVERSE DATE) UTF-8 ALL").is_ok());
        assert!(parsed("UID SORT RETURN () (REVERSE DATE) UTF-8 UNDELETED UNKEYWORD $Junk").is_ok());
        assert!(parsed("SORT (RELEVANCY) UTF-8 FUZZY SUBJECT \"Helo\"").is_ok());
        assert!(parsed("THREAD references \"UTF-8\" SINCE 5-MAR-2000").is_ok());
        for bad in [
            "SORT () UTF-8 ALL",
            "SORT (REVERSE) UTF-8 ALL",
            "SORT (SUBJECT)",
            "SORT (SUBJECT) UTF-8",
            "SORT (NOSUCH) UTF-8 ALL",
            "SORT (RELEVANCY) UTF-8 ALL",
            "SORT RETURN (UPDATE) (DATE) UTF-8 ALL",
            "SORT DATE UTF-8 ALL",
            "THREAD NOSUCH UTF-8 ALL",
            "THREAD RETURN () REFS UTF-8 ALL",
            "CANCELUPDATE",
        ] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
        let many = "SIZE ".repeat(limits::SORT_CRITERIA + 1);
        assert!(parsed(&format!("SORT ({}) UTF-8 ALL", many.trim_end())).is_err());
    }

    #[test]
    fn charsets() {
        assert_eq!(
            parsed("SEARCH RETURN (SAVE) CHARSET X-NONE SUBJECT \"\"").ok(),
            Some(Request::BadCharset { save: true })
        );
        assert_eq!(parsed("THREAD REFS X-NONE ALL").ok(), Some(Request::BadCharset { save: false }));
        assert!(parsed("SEARCH CHARSET X-NONE NOSUCH").is_err());
    }
}
