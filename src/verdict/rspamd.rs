//! rspamd's protocol: the fields of a request to `/checkv2`, and the JSON that it answers
//! (`src/libserver/protocol.c`; how the answer is carried out: `src/libserver/milter.c`).

use super::reasons::{joined, sorted};
use super::{
    Action, Edit, Place, Reason, Request, Unclear, Verdict, Which, field, field_name, kinds, line, proof, smtp_text,
};
use crate::base::limits;
use serde_json::Value;

/// The path of the request.
pub const PATH: &str = "/checkv2";
/// The path at which rspamd says that it is there.
pub const PING: &str = "/ping";

/// Whether this is what it says there.
pub fn is_pong(status: u16, body: &[u8]) -> bool {
    status == 200 && body.trim_ascii() == b"pong"
}

/// What stands in the field that marks probable spam unless rspamd names another.
const SPAM_FIELD: &str = "X-Spam";

/// The fields of a request, one value each; none of them holds a control character.
pub fn head(request: &Request) -> Vec<(&'static str, String)> {
    let client = &request.client;
    let mut head = vec![("From", format!("<{}>", line(&request.sender, limits::REVERSE_PATH)))];
    let recipients = request.recipients.iter().take(limits::LMTP_RECIPIENTS);
    head.extend(recipients.map(|recipient| ("Rcpt", format!("<{}>", line(recipient, limits::VERDICT_VALUE)))));
    // Folds come as LF then, and what the proxy would do to a message is done by us.
    head.push(("Milter", "Yes".to_string()));
    let known = [
        ("IP", request.address().map(|address| address.to_string())),
        ("Helo", Request::value(client.helo.as_deref())),
        ("Hostname", Request::value(client.name.as_deref())),
        ("User", Request::value(client.user.as_deref())),
        ("Queue-Id", Request::value(client.queue_id.as_deref())),
        ("MTA-Name", Request::value(Some(&request.server))),
    ];
    head.extend(known.into_iter().filter_map(|(name, value)| Some((name, value?))));
    head
}

/// Reads the answer to a request.
///
/// # Errors
/// It is no verdict: what it says instead.
pub fn answer(status: u16, body: &[u8]) -> Result<Verdict, Unclear> {
    // What it repeats of a message need not be UTF-8.
    let text = String::from_utf8_lossy(body);
    let json: Option<Value> = serde_json::from_str(&text).ok();
    if status != 200 {
        let error = json.as_ref().and_then(|json| json.get("error")?.as_str()).unwrap_or(&text);
        return Err(Unclear(format!("rspamd answered {status} {}", line(error, limits::VERDICT_TEXT))));
    }
    let json = json.ok_or_else(|| Unclear("rspamd's answer is no JSON".to_string()))?;
    let Some(action) = json.get("action").and_then(Value::as_str) else {
        let error = json.get("error").and_then(Value::as_str).unwrap_or("no action");
        return Err(Unclear(format!("rspamd's answer has no verdict: {}", line(error, limits::VERDICT_TEXT))));
    };
    let reasons = sorted(symbols(json.get("symbols")));
    let number = |key: &str| json.get(key).and_then(Value::as_f64).filter(|number| number.is_finite());
    let text = json.get("messages").and_then(|messages| messages.get("smtp_message")?.as_str());
    let mut verdict = Verdict {
        action: Action::Pass,
        score: number("score"),
        required: number("required_score"),
        kind: kinds::of(&reasons),
        reasons,
        edits: Vec::new(),
        text: text.and_then(smtp_text),
        proofs: proof::of_symbols(json.get("symbols")),
    };
    let milter = json.get("milter").unwrap_or(&Value::Null);
    verdict.edits = edits(milter, &json);
    carry_out(action, milter, &json, &mut verdict);
    verdict.edits.truncate(limits::VERDICT_EDITS);
    Ok(verdict)
}

/// What an action means.
pub(super) fn action_of(action: &str) -> Action {
    match action {
        "reject" => Action::Reject,
        "discard" | "quarantine" => Action::Keep,
        "soft reject" => Action::Later,
        "add header" | "rewrite subject" => Action::Mark,
        // "greylist" too: the module of that name answers "soft reject" when a sender has to wait.
        _ => Action::Pass,
    }
}

/// What rspamd's own milter does for an action.
fn carry_out(action: &str, milter: &Value, json: &Value, verdict: &mut Verdict) {
    if milter.get("no_action").and_then(Value::as_bool) == Some(true) {
        verdict.edits.extend(field("X-Rspamd-Action", action, Place::End));
        return;
    }
    let silent = matches!(milter.get("reject").and_then(Value::as_str), Some("discard" | "quarantine"));
    verdict.action = match action_of(action) {
        Action::Reject if silent => Action::Keep,
        action => action,
    };
    let mut replace = |name: &str, value: &str| {
        if let Some(edit) = field(name, value, Place::End) {
            verdict.edits.push(Edit::Remove(name.to_string(), Which::All));
            verdict.edits.push(edit);
        }
    };
    match (action, milter.get("spam_header")) {
        ("add header", Some(Value::String(value))) => replace(SPAM_FIELD, value),
        ("add header", Some(Value::Object(fields))) => {
            for (name, value) in fields.iter().filter_map(|(name, value)| Some((name, value.as_str()?))) {
                replace(name, value);
            }
        }
        ("add header", _) => replace(SPAM_FIELD, "Yes"),
        ("rewrite subject", _) => {
            if let Some(subject) = json.get("subject").and_then(Value::as_str) {
                replace("Subject", subject);
            }
        }
        _ => {}
    }
}

pub(super) fn symbols(symbols: Option<&Value>) -> Vec<Reason> {
    let text = |symbol: &Value, key: &str| symbol.get(key).and_then(Value::as_str).unwrap_or_default().to_string();
    let one = |name: &str, symbol: &Value| {
        let options = symbol.get("options").and_then(Value::as_array);
        let options: Vec<&str> = options.into_iter().flatten().filter_map(Value::as_str).collect();
        let score = symbol.get("score").and_then(Value::as_f64);
        Reason::of(name, score, &joined(&text(symbol, "description"), &options))
    };
    match symbols {
        Some(Value::Object(by_name)) => by_name.iter().filter_map(|(name, symbol)| one(name, symbol)).collect(),
        // The exporter has a list.
        Some(Value::Array(list)) => list.iter().filter_map(|symbol| one(&text(symbol, "name"), symbol)).collect(),
        _ => Vec::new(),
    }
}

/// The changes that `milter` asks for, and the signatures.
fn edits(milter: &Value, json: &Value) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (name, which) in milter.get("remove_headers").and_then(Value::as_object).into_iter().flatten() {
        let Some(name) = field_name(name) else { continue };
        let mut places: Vec<Which> = each(which).filter_map(which_of).collect();
        // From the last on: each removal counts the fields that are there then.
        places.sort_by_key(|which| std::cmp::Reverse(if let Which::FromTop(nth) = which { *nth } else { 0 }));
        edits.extend(places.into_iter().map(|which| Edit::Remove(name.clone(), which)));
    }
    for (name, values) in milter.get("add_headers").and_then(Value::as_object).into_iter().flatten() {
        edits.extend(each(values).filter_map(|value| added(name, value)));
    }
    let signatures = each(json.get("dkim-signature").unwrap_or(&Value::Null)).filter_map(Value::as_str);
    edits.extend(signatures.filter_map(|signature| field("DKIM-Signature", signature, Place::Top(1))));
    edits
}

/// The entries of a list; what is no list is an entry.
fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter()
}

fn which_of(value: &Value) -> Option<Which> {
    let number = value.as_i64()?;
    let nth = u32::try_from(number.unsigned_abs()).ok()?;
    Some(match number {
        0 => Which::All,
        1.. => Which::FromTop(nth),
        _ => Which::FromEnd(nth),
    })
}

/// `"value"`, or `{"value": "…", "order": 0}`.
fn added(name: &str, value: &Value) -> Option<Edit> {
    if let Some(text) = value.as_str() {
        return field(name, text, Place::End);
    }
    let order = value.get("order").or_else(|| value.get("index")).and_then(Value::as_f64).map(|order| order as i64);
    let place = match order {
        None | Some(-1) => Place::End,
        Some(order @ 0..) => Place::Top(u32::try_from(order).unwrap_or(u32::MAX)),
        Some(order) => Place::AboveLast(u32::try_from(order.unsigned_abs() - 1).unwrap_or(u32::MAX)),
    };
    field(name, value.get("value")?.as_str()?, place)
}
