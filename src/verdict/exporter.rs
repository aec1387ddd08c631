//! What rspamd's module metadata_exporter tells of a message, in the forms that its formatters have
//! (`src/plugins/lua/metadata_exporter.lua`): `multipart`, `json_with_message`, `json`, and `default` with `meta_headers`.
//!
//! What is not known it calls `unknown`, the null sender, too.

use super::reasons::sorted;
use super::{Action, Request, Verdict, kinds, line, points, rspamd};
use crate::base::limits;
use crate::mail::trace::Client;
use crate::mail::{form, header, words};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// A message of which rspamd tells.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Told {
    /// The reverse-path; "" for the null sender, and when nobody knows.
    pub sender: String,
    /// The recipients of the envelope, verbatim.
    pub recipients: Vec<String>,
    /// Its address, the queue id, the authenticated user.
    pub client: Client,
    /// What rspamd says of it.
    pub verdict: Verdict,
    /// The word that rspamd has for what becomes of it: `reject`, `add header` …
    pub action: String,
    /// The message; `None`: it sent none.
    pub message: Option<Vec<u8>>,
    /// How large it was, when rspamd says so.
    pub size: Option<u64>,
    /// The message's own name for itself, without brackets.
    pub message_id: Option<String>,
    /// Of a message that was not sent: the fields of its header that are known, in a header's form with an empty line.
    pub outline: Vec<u8>,
}

/// Why a request tells nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untold {
    /// It is in none of the known forms.
    Form,
    /// It is damaged, or lacks what every message has.
    Damaged(&'static str),
}

/// The prefix of fields that tell of a message (`meta_header_prefix`).
const PREFIX: &str = "x-rspamd-";

/// Reads a request: its media type, its fields (names in lower case), and its body.
pub fn read(media_type: &str, fields: &[(String, Vec<u8>)], body: &[u8]) -> Result<Told, Untold> {
    if let Some(boundary) = form::boundary(media_type) {
        let parts = form::parts(body, &boundary).ok_or(Untold::Damaged("the form is damaged"))?;
        let part = |name: &str| parts.iter().find(|part| part.name == name).map(|part| part.content);
        let metadata = part("metadata").ok_or(Untold::Damaged("the form has no part \"metadata\""))?;
        let metadata = object(metadata).ok_or(Untold::Damaged("the part \"metadata\" is no JSON"))?;
        return told(&metadata, part("message").map(<[u8]>::to_vec));
    }
    if let Some(metadata) = object(body).filter(|object| object.contains_key("action")) {
        let encoded = metadata.get("message").and_then(Value::as_str);
        let message = encoded.map(|text| {
            let text: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
            STANDARD.decode(text).map_err(|_| Untold::Damaged("its message is no base64"))
        });
        return told(&metadata, message.transpose()?);
    }
    let metadata: Map<String, Value> = fields.iter().filter_map(|(name, value)| of_field(name, value)).collect();
    if metadata.contains_key("action") {
        return told(&metadata, (!body.is_empty()).then(|| body.to_vec()));
    }
    Err(Untold::Form)
}

fn object(bytes: &[u8]) -> Option<Map<String, Value>> {
    // What it repeats of a message need not be UTF-8.
    match serde_json::from_str(&String::from_utf8_lossy(bytes)) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// A field of `meta_headers`: lists are JSON, other values plain or encoded words.
fn of_field(name: &str, value: &[u8]) -> Option<(String, Value)> {
    let key = name.strip_prefix(PREFIX)?.to_string();
    let text = String::from_utf8_lossy(value).into_owned();
    let list = text.starts_with(['[', '{']).then(|| serde_json::from_str(&text).ok()).flatten();
    let value = list.unwrap_or_else(|| match points(&text) {
        Some(number) if key == "score" => Value::from(number),
        _ => Value::from(words::decode(value)),
    });
    Some((key, value))
}

fn told(metadata: &Map<String, Value>, message: Option<Vec<u8>>) -> Result<Told, Untold> {
    let text = |key: &str| {
        let text = match metadata.get(key)? {
            Value::String(text) => text.clone(),
            // A user may be called 7.
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        Request::value(Some(&text))
    };
    let recipients = match metadata.get("rcpt") {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_string).collect(),
        Some(Value::String(one)) if one != "unknown" => vec![one.clone()],
        _ => Vec::new(),
    };
    let recipients: Vec<String> = recipients.into_iter().map(|r| line(&r, limits::VERDICT_VALUE)).collect();
    if recipients.len() > limits::LMTP_RECIPIENTS {
        return Err(Untold::Damaged("it has too many recipients"));
    }
    let action = text("action").ok_or(Untold::Damaged("it says no action"))?;
    let score = match metadata.get("score") {
        Some(Value::String(text)) => points(text),
        Some(number) => number.as_f64().filter(|score| score.is_finite()),
        None => None,
    };
    let reasons = sorted(rspamd::symbols(metadata.get("symbols")));
    let verdict =
        Verdict { action: rspamd::action_of(&action), score, kind: kinds::of(&reasons), reasons, ..Verdict::default() };
    let header_id = message.as_deref().and_then(|m| header::find(m, b"message-id")).map(|f| words::decode(f.value));
    let message_id = text("message_id").or_else(|| Request::value(header_id.as_deref()));
    let message_id = message_id.map(|id| id.trim_matches(['<', '>', ' ']).to_string()).filter(|id| id != "undef");
    Ok(Told {
        sender: text("from").map(|from| from.trim_matches(['<', '>']).to_string()).unwrap_or_default(),
        recipients,
        client: Client {
            address: text("ip").filter(|ip| ip.parse::<std::net::IpAddr>().is_ok()),
            queue_id: text("qid"),
            user: text("user"),
            ..Client::default()
        },
        outline: if message.is_none() { outline(metadata, message_id.as_deref()) } else { Vec::new() },
        verdict,
        action,
        message,
        size: metadata.get("size").and_then(Value::as_u64),
        message_id,
    })
}

/// The header of a message that was not sent, as far as it is known.
fn outline(metadata: &Map<String, Value>, message_id: Option<&str>) -> Vec<u8> {
    let first = |key: &str| match metadata.get(key)? {
        Value::Array(list) => list.first()?.as_str(),
        Value::String(text) => Some(text.as_str()),
        _ => None,
    };
    let subject = first("header_subject").or_else(|| first("subject"));
    let id = message_id.map(|id| format!("<{id}>"));
    let known = [
        ("From", first("header_from")),
        ("To", first("header_to")),
        ("Subject", subject),
        ("Date", first("header_date")),
        ("Message-ID", id.as_deref()),
    ];
    let mut text = String::new();
    for (name, value) in known.into_iter().filter_map(|(name, value)| Some((name, Request::value(value)?))) {
        text.push_str(name);
        text.push_str(": ");
        text.push_str(&value);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// Whether rspamd delivers what it says this of.
pub fn is_delivered(action: Action) -> bool {
    matches!(action, Action::Pass | Action::Mark)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Kind;
    use proptest::prelude::*;

    const METADATA: &str = r#"{"ip":"192.0.2.7","user":"unknown","qid":"4ABC","subject":"x","action":"reject","rspamd_server":"mx",
        "score":22.7,"fuzzy":{},"rcpt":["alice@example.org","Bob@example.net"],"from":"sender@spam.example",
        "symbols":[{"name":"CLAM_VIRUS","score":20.0,"options":["Eicar"],"group":"test","groups":["test"]},{"score":0.0,"name":"MIME_TRACE"}],
        "scan_time":3,"size":300,"header_from":["Sender <sender@spam.example>"],"header_to":["alice@example.org"],
        "header_subject":["Größe\r\nBcc: x"],"header_date":["Sat, 21 Nov 2026 10:00:00 +0000"],"message_id":"x@spam.example"}"#;

    #[test]
    fn each_form_tells_the_same() {
        let message = b"Message-ID: <x@spam.example>\r\n\r\nbody\r\n";
        let form = format!(
            "--b1\r\nContent-Disposition: form-data; name=\"message\"; filename=\"message.eml\"\r\nContent-Type: message/rfc822\r\n\
             Content-Transfer-Encoding: binary\r\n\r\n{}\r\n--b1\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\
             Content-Type: application/json\r\n\r\n{METADATA}\r\n--b1--\r\n",
            std::str::from_utf8(message).unwrap()
        );
        let of_form = read("multipart/form-data; boundary=\"b1\"", &[], form.as_bytes()).unwrap();
        assert_eq!(of_form.sender, "sender@spam.example");
        assert_eq!(of_form.recipients, ["alice@example.org", "Bob@example.net"]);
        assert_eq!(of_form.client.address.as_deref(), Some("192.0.2.7"));
        assert_eq!((of_form.client.queue_id.as_deref(), of_form.client.user.as_deref()), (Some("4ABC"), None));
        assert_eq!((of_form.verdict.action, of_form.verdict.kind), (Action::Reject, Kind::Virus));
        assert_eq!(of_form.verdict.reason_lines(), ["CLAM_VIRUS(20.00)[Eicar]", "MIME_TRACE(0.00)"]);
        assert_eq!(of_form.message.as_deref(), Some(&message[..]));
        assert_eq!((of_form.message_id.as_deref(), of_form.size), (Some("x@spam.example"), Some(300)));

        let json = METADATA.replacen('{', &format!("{{\"message\":\"{}\",", STANDARD.encode(message)), 1);
        assert_eq!(read("text/plain", &[], json.as_bytes()).unwrap(), of_form);

        let field = |name: &str, value: &str| (format!("x-rspamd-{name}"), value.as_bytes().to_vec());
        let fields = [
            field("ip", "192.0.2.7"),
            field("user", "unknown"),
            field("qid", "4ABC"),
            field("subject", "=?utf-8?q?Gr=C3=B6=C3=9Fe?="),
            field("action", "reject"),
            field("score", "22.7"),
            field("rcpt", r#"["alice@example.org","Bob@example.net"]"#),
            field("from", "sender@spam.example"),
            field(
                "symbols",
                r#"[{"name":"CLAM_VIRUS","score":20.0,"options":["Eicar"]},{"score":0.0,"name":"MIME_TRACE"}]"#,
            ),
        ];
        let of_fields = read("text/plain", &fields, message).unwrap();
        assert_eq!(of_fields, Told { size: None, ..of_form.clone() });

        let bare = read("text/plain", &[], METADATA.as_bytes()).unwrap();
        assert_eq!(bare.message, None);
        assert_eq!(
            String::from_utf8(bare.outline).unwrap(),
            "From: Sender <sender@spam.example>\r\nTo: alice@example.org\r\nSubject: Größe Bcc: x\r\n\
             Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <x@spam.example>\r\n\r\n"
        );
    }

    #[test]
    fn what_is_unknown_and_what_is_none() {
        let told = read(
            "",
            &[],
            br#"{"action":"soft reject","from":"unknown","rcpt":"unknown","ip":"unknown","qid":"unknown","score":"x"}"#,
        )
        .unwrap();
        let nothing = Told { action: "soft reject".into(), outline: b"\r\n".to_vec(), ..Told::default() };
        assert_eq!(told, Told { verdict: Verdict { action: Action::Later, ..Verdict::default() }, ..nothing });
        for none in ["", "Subject: x\r\n\r\n", "[]", "{\"x\":1}", "\u{85}msgpack"] {
            assert_eq!(read("text/plain", &[], none.as_bytes()), Err(Untold::Form), "{none}");
        }
        assert!(matches!(read("multipart/form-data; boundary=b", &[], b"--b--"), Err(Untold::Damaged(_))));
        assert!(matches!(read("", &[], br#"{"action":"reject","message":"!"}"#), Err(Untold::Damaged(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_tell_something_or_nothing(bytes: Vec<u8>, name in "[a-z]{0,8}", value: Vec<u8>) {
            let fields = [("x-rspamd-action".to_string(), b"reject".to_vec()), (format!("x-rspamd-{name}"), value)];
            for (media_type, fields) in [("multipart/form-data; boundary=b", &fields[..0]), ("text/plain", &fields[..])] {
                if let Ok(told) = read(media_type, fields, &bytes) {
                    prop_assert!(told.recipients.iter().chain([&told.sender]).all(|text| !text.contains(char::is_control)));
                }
            }
        }
    }
}
