//! Authentication-Results (RFC 8601): what our own side found out about who sent a message.

use super::header::{self, Field};
use super::token::Cursor;

/// Results of one field that are read.
const RESULTS: usize = 20;

/// One result.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// `spf`, `dkim`, `dmarc` …, in lower case.
    pub method: String,
    /// `pass`, `fail`, `none` …, in lower case.
    pub result: String,
    /// Whose: the domain or address that was checked, as the field has it.
    pub identity: Option<String>,
}

/// The results that may be believed; `None`: there are none.
///
/// Anybody can write this field into a message, so only these count: fields that stand above the first Received, which our
/// own mail server wrote after the message had come, and fields of a server that `trusted` names (RFC 8601 5).
pub fn results(block: &[u8], trusted: &[String]) -> Option<Vec<Found>> {
    let received = header::fields(block).any(|field| field.is(b"Received"));
    let mut is_above = received;
    let mut found = Vec::new();
    let mut any = false;
    for field in header::fields(block) {
        if field.is(b"Received") {
            is_above = false;
        } else if field.is(b"Authentication-Results")
            && let Some((server, results)) = read(&field)
            && (is_above || trusted.iter().any(|name| name.eq_ignore_ascii_case(&server)))
        {
            any = true;
            found.extend(results);
        }
    }
    found.truncate(RESULTS);
    any.then_some(found)
}

/// The results of a message that our own mail server has not put its Received on yet, as a milter sees it: those of the
/// topmost field of a server that `trusted` names, above every Received. A server of that name which looks at every
/// message, puts its field above what it finds, and removes fields with its own name (RFC 8601 5: each has to) leaves no room
/// for a forged one.
pub fn in_front(block: &[u8], trusted: &[String]) -> Option<Vec<Found>> {
    let above = header::fields(block).take_while(|field| !field.is(b"Received"));
    let mut told = above.filter(|field| field.is(b"Authentication-Results")).filter_map(|field| read(&field));
    let (_, mut found) = told.find(|(server, _)| trusted.iter().any(|name| name.eq_ignore_ascii_case(server)))?;
    found.truncate(RESULTS);
    Some(found)
}

/// The server that wrote the field, and its results.
fn read(field: &Field<'_>) -> Option<(String, Vec<Found>)> {
    let value = field.unfolded();
    let words = words(&value);
    let mut groups = words.split(|word| word == ";");
    let server = groups.next()?.first()?.clone();
    let results = groups.take(RESULTS).filter_map(result).collect();
    Some((server, results))
}

/// `method[/version] = result` and its properties, of which `ptype.property = value` says whose it is.
fn result(words: &[String]) -> Option<Found> {
    let [method, equals, result, rest @ ..] = words else { return None };
    if equals != "=" {
        return None;
    }
    let method = method.split('/').next().unwrap_or(method).to_ascii_lowercase();
    let wanted: &[&str] = match method.as_str() {
        "spf" => &["smtp.mailfrom", "smtp.helo", "smtp.mfrom"],
        "dkim" => &["header.d", "header.i"],
        "dmarc" => &["header.from"],
        _ => &["smtp.remote-ip", "policy.iprev", "smtp.auth", "header.d"],
    };
    let value = |name: &str| {
        rest.windows(3).find_map(|three| match three {
            [property, equals, value] if equals == "=" && property.eq_ignore_ascii_case(name) => Some(value.clone()),
            _ => None,
        })
    };
    let identity = wanted.iter().find_map(|name| value(name)).filter(|value| !value.is_empty());
    Some(Found { method, result: result.to_ascii_lowercase(), identity })
}

/// The words of the field's value, `;` and `=` by themselves; comments are passed over.
fn words(value: &[u8]) -> Vec<String> {
    let mut cursor = Cursor::new(value);
    let mut words = Vec::new();
    while cursor.skip_cfws() == Ok(true) && words.len() < 40 * RESULTS {
        let mut word = Vec::new();
        match cursor.peek() {
            Some(byte @ (b';' | b'=')) => {
                cursor.bump();
                word.push(byte);
            }
            Some(b'"') => {
                let _ = cursor.quoted(&mut word);
            }
            _ => {
                while let Some(byte) = cursor.peek().filter(|b| !b.is_ascii_whitespace() && !b";=(\"".contains(b)) {
                    word.push(byte);
                    cursor.bump();
                }
            }
        }
        words.push(String::from_utf8_lossy(&word).into_owned());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(block: &str, trusted: &[&str]) -> Option<String> {
        let trusted: Vec<String> = trusted.iter().map(|name| name.to_string()).collect();
        let found = results(block.as_bytes(), &trusted)?;
        let all: Vec<_> = found
            .iter()
            .map(|f| format!("{} {} {}", f.method, f.result, f.identity.as_deref().unwrap_or("-")))
            .collect();
        Some(all.join("|"))
    }

    #[test]
    fn fields_as_filters_write_them() {
        let rspamd = "Authentication-Results: mx.example.org;\r\n\tdkim=pass header.d=a.test header.s=s header.b=\"x/y=\";\r\n\
            \tdmarc=fail reason=\"No valid SPF (x)\" header.from=bank.example (policy=reject);\r\n\
            \tspf=softfail (mx: 1.2.3.4 is neither; x=y) smtp.mailfrom=bob@b.test\r\nReceived: x\r\n";
        assert_eq!(shown(rspamd, &[]).unwrap(), "dkim pass a.test|dmarc fail bank.example|spf softfail bob@b.test");
        assert_eq!(shown("Authentication-Results: mx 1; none\r\nReceived: x\r\n", &[]).unwrap(), "");
        let old = "Authentication-Results: mx; SPF/1 = Pass\r\nReceived: x\r\n";
        assert_eq!(shown(old, &[]).unwrap(), "spf pass -");
    }

    #[test]
    fn what_the_sender_wrote_is_not_believed() {
        let forged = "Authentication-Results: mx; spf=pass\r\n";
        assert_eq!(shown(&format!("Received: x\r\n{forged}"), &[]), None);
        assert_eq!(shown(forged, &[]), None, "no Received: nobody knows who wrote it");
        assert_eq!(shown(&format!("Received: x\r\n{forged}"), &["other"]), None);
        assert_eq!(shown(&format!("Received: x\r\n{forged}"), &["MX"]).unwrap(), "spf pass -");
        assert_eq!(shown("Authentication-Results:\r\nReceived: x\r\n", &[]), None);
    }

    #[test]
    fn in_front_the_topmost_field_of_a_named_server_counts() {
        let spf = "Authentication-Results: mx; spf=pass smtp.mailfrom=a.test\r\n";
        let forged = "Authentication-Results: mx; spf=pass smtp.mailfrom=b.test\r\n";
        let other = "Authentication-Results: other; dkim=pass header.d=c.test\r\n";
        let told = |block: &str| {
            let found = in_front(block.as_bytes(), &["MX".to_string()])?;
            found.first().map(|found| found.identity.clone().unwrap_or_default())
        };
        assert_eq!(told(&format!("{other}{spf}{forged}From: x\r\n")).as_deref(), Some("a.test"));
        assert_eq!(told(&format!("{spf}Received: x\r\n{forged}")).as_deref(), Some("a.test"));
        assert_eq!(told(&format!("Received: x\r\n{forged}")), None);
        assert_eq!(told(other), None);
        assert_eq!(in_front(spf.as_bytes(), &[]), None);
    }

    proptest! {
        #[test]
        fn never_panics(value in "[a-z=;. ()\"\\\\/\t]{0,60}") {
            results(format!("Authentication-Results: {value}\r\nReceived: x\r\n").as_bytes(), &[]);
        }
    }
}
