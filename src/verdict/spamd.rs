//! SpamAssassin's daemon: the REPORT request of its protocol, and the answer (`spamd/PROTOCOL` of SpamAssassin).
//!
//! SpamAssassin takes client and envelope from the header. A message that a milter sees has neither yet, so a Received
//! field of ours, as Postfix would write it, stands above the message that it is asked about.

use super::reasons::sorted;
use super::{Action, Edit, Place, Reason, Request, Unclear, Verdict, Which, field, kinds, line, points, proof};
use crate::base::limits;
use std::fmt::Write;

/// Fields that a SpamAssassin writes: what an earlier one wrote of this message is not ours.
const OURS: [&str; 6] =
    ["X-Spam-Flag", "X-Spam-Score", "X-Spam-Level", "X-Spam-Status", "X-Spam-Report", "X-Spam-Checker-Version"];

/// The head of a request about `message`: all bytes that are sent before it. `user`: whose preferences count.
pub fn head(request: &Request, user: Option<&str>, message: &[u8]) -> Vec<u8> {
    let added = received(request);
    let mut head = format!("REPORT SPAMC/1.5\r\nContent-length: {}\r\n", added.len() + message.len());
    if let Some(user) = Request::value(user) {
        let _ = write!(head, "User: {user}\r\n");
    }
    head.push_str("\r\n");
    head.push_str(&added);
    head.into_bytes()
}

/// The head of a request to learn a message of this length; the message follows as it is.
pub fn lesson(is_spam: bool, user: Option<&str>, len: usize) -> Vec<u8> {
    let class = if is_spam { "spam" } else { "ham" };
    let mut head = format!("TELL SPAMC/1.5\r\nContent-length: {len}\r\nMessage-class: {class}\r\nSet: local\r\n");
    if let Some(user) = Request::value(user) {
        let _ = write!(head, "User: {user}\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Reads the whole answer to it: whether anything was learned. Nothing is when the message is known already, or too short.
///
/// # Errors
/// It was not done: what it says instead.
pub fn learned(bytes: &[u8]) -> Result<bool, Unclear> {
    let text = String::from_utf8_lossy(bytes);
    let header = fields(&text)?;
    Ok(header.lines().any(|line| {
        let did_set = line.split_once(':').filter(|(name, _)| name.trim().eq_ignore_ascii_case("didset"));
        did_set.is_some_and(|(_, what)| what.contains("local"))
    }))
}

/// The header of an answer that says that the request was carried out.
fn fields(text: &str) -> Result<&str, Unclear> {
    let (first, rest) =
        text.split_once('\n').ok_or_else(|| Unclear("spamd's answer broke off in its first line".to_string()))?;
    let mut words = first.trim_end().splitn(3, ' ');
    let is_spamd = words.next().is_some_and(|word| word.starts_with("SPAMD/"));
    let code = words.next().and_then(|code| code.parse::<u32>().ok());
    match code.filter(|_| is_spamd) {
        Some(0) => Ok(rest),
        Some(_) => Err(Unclear(format!("spamd answered {}", line(first, limits::VERDICT_TEXT)))),
        None => Err(Unclear("spamd's answer is none of its protocol".to_string())),
    }
}

/// What stands above the message.
fn received(request: &Request) -> String {
    let client = &request.client;
    // White space and brackets would move what stands behind them.
    let word = |text: Option<&str>| {
        let word: String =
            text.unwrap_or_default().chars().filter(|c| c.is_ascii_graphic() && !"()[]<>;".contains(*c)).collect();
        (!word.is_empty()).then_some(word)
    };
    let mut text = String::new();
    let _ = write!(text, "X-Envelope-From: <{}>\r\n", line(&request.sender, limits::REVERSE_PATH));
    let recipients = request.recipients.iter().take(limits::LMTP_RECIPIENTS).map(|r| line(r, limits::VERDICT_VALUE));
    let recipients: Vec<String> = recipients.map(|recipient| format!("<{recipient}>")).collect();
    let _ = write!(text, "X-Envelope-To: {}\r\n", recipients.join(",\r\n\t"));
    if let Some(address) = request.address() {
        let v6 = if address.is_ipv6() { "IPv6:" } else { "" };
        let helo = word(client.helo.as_deref()).unwrap_or_else(|| "unknown".to_string());
        let name = word(client.name.as_deref()).unwrap_or_else(|| "unknown".to_string());
        let _ = write!(text, "Received: from {helo} ({name} [{v6}{address}])\r\n");
        let user = word(client.user.as_deref());
        if let Some(user) = &user {
            let _ = write!(text, "\t(Authenticated sender: {user})\r\n");
        }
        let server = word(Some(&request.server)).unwrap_or_else(|| "localhost".to_string());
        let id = word(client.queue_id.as_deref()).unwrap_or_else(|| "unknown".to_string());
        let with = if user.is_some() { "ESMTPA" } else { "ESMTP" };
        let _ = write!(text, "\tby {server} (Postfix) with {with} id {id};\r\n\t{}\r\n", request.at.rfc5322());
    }
    text
}

/// Reads the whole answer to a request.
///
/// # Errors
/// It is no verdict: what it says instead.
pub fn answer(bytes: &[u8]) -> Result<Verdict, Unclear> {
    let text = String::from_utf8_lossy(bytes);
    let broken = |what: &str| Unclear(format!("spamd's answer {what}"));
    let mut rest = fields(&text)?;
    let (mut spam, mut length) = (None, None);
    loop {
        let (field, after) = rest.split_once('\n').ok_or_else(|| broken("broke off in its header"))?;
        rest = after;
        let field = field.trim_end();
        if field.is_empty() {
            break;
        }
        let Some((name, value)) = field.split_once(':') else { continue };
        match name.trim().to_ascii_lowercase().as_str() {
            "spam" => spam = Some(summary(value).ok_or_else(|| broken("has no score in its Spam field"))?),
            "content-length" => length = value.trim().parse::<usize>().ok(),
            _ => {}
        }
    }
    let (is_spam, score, required) = spam.ok_or_else(|| broken("has no Spam field"))?;
    // Of the bytes: what was replaced above may be longer.
    let header = bytes.windows(2).position(|two| two == b"\n\r" || two == b"\n\n").map_or(bytes.len(), |at| at + 2);
    let body = bytes.get(header..).unwrap_or_default();
    let body = body.strip_prefix(b"\n").filter(|_| bytes.get(header - 1) == Some(&b'\r')).unwrap_or(body);
    if length.is_some_and(|length| body.len() < length) {
        return Err(broken("broke off in its report"));
    }
    let reasons = report(rest);
    let proofs = proof::of_rules(&reasons);
    let reasons = sorted(reasons);
    let kind = kinds::of(&reasons);
    let mut verdict = Verdict {
        action: if is_spam { Action::Mark } else { Action::Pass },
        score: Some(score),
        required: Some(required),
        reasons,
        kind,
        edits: OURS.iter().map(|name| Edit::Remove((*name).to_string(), Which::All)).collect(),
        text: None,
        proofs,
    };
    let fields = marks(is_spam, &verdict);
    verdict.edits.extend(fields.into_iter().filter_map(|(name, value)| field(name, &value, Place::Top(1))));
    Ok(verdict)
}

/// `True ; 15.3 / 5.0`
fn summary(value: &str) -> Option<(bool, f64, f64)> {
    let (flag, numbers) = value.split_once(';')?;
    let (score, required) = numbers.split_once('/')?;
    let flag = flag.trim();
    let is_spam = flag.eq_ignore_ascii_case("true") || flag.eq_ignore_ascii_case("yes");
    Some((is_spam, points(score)?, points(required)?))
}

/// What SpamAssassin itself writes into a message.
fn marks(is_spam: bool, verdict: &Verdict) -> Vec<(&'static str, String)> {
    let score = verdict.score.unwrap_or_default();
    let names: Vec<&str> = verdict.reasons.iter().map(|reason| reason.name.as_str()).collect();
    let required = verdict.required.unwrap_or_default();
    let answer = if is_spam { "Yes" } else { "No" };
    let mut marks = vec![(
        "X-Spam-Status",
        format!("{answer}, score={score:.1} required={required:.1}\n\ttests={}", names.join(",\n\t")),
    )];
    if score >= 1.0 {
        marks.push(("X-Spam-Level", "*".repeat((score as usize).min(limits::VERDICT_LEVEL))));
    }
    marks.push(("X-Spam-Score", format!("{score:.1}")));
    if is_spam {
        marks.push(("X-Spam-Flag", "YES".to_string()));
    }
    marks
}

/// Where the words of a report's table begin; what goes on in the next line begins there, too.
const WORDS_AT: usize = 20;

/// The table of a report: points, rule and words, below a line of dashes. Lines that go on begin far to the right; they may
/// repeat what a stranger wrote, so none of them is taken for a rule.
pub(super) fn report(text: &str) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = Vec::new();
    let is_ruler =
        |line: &str| line.trim_start().starts_with("----") && line.trim().bytes().all(|b| matches!(b, b'-' | b' '));
    let lines: Vec<&str> = text.lines().collect();
    // The last one: above the table stand words of the message, and a stranger can draw lines, too.
    let Some(ruler) = lines.iter().rposition(|line| is_ruler(line)) else { return reasons };
    for line in lines.into_iter().skip(ruler + 1) {
        let goes_on = line.len() - line.trim_start().len() >= WORDS_AT;
        match row(line).filter(|_| !goes_on) {
            Some(reason) => reasons.push(reason),
            None if line.trim().is_empty() => break,
            None => {
                if let Some(last) = reasons.last_mut()
                    && line.starts_with("    ")
                {
                    let text = format!("{} {}", last.text, line.trim());
                    last.text = super::line(&text, limits::VERDICT_TEXT);
                }
            }
        }
        if reasons.len() > limits::VERDICT_REASONS * 2 {
            break;
        }
    }
    reasons
}

/// Asks whether spamd is there.
pub const PING: &[u8] = b"PING SPAMC/1.2\r\n\r\n";

/// Whether this is what it answers to [`PING`].
pub fn is_pong(answer: &[u8]) -> bool {
    answer.starts_with(b"SPAMD/") && answer.trim_ascii_end().ends_with(b"PONG")
}

/// `3.5 BAYES_99  BODY: Bayes spam probability …`, perhaps behind an asterisk.
pub(super) fn row(line: &str) -> Option<Reason> {
    let line = line.trim_start();
    let line = line.strip_prefix('*').unwrap_or(line).trim_start();
    let (score, rest) = line.split_once(' ')?;
    let (name, text) = rest.trim_start().split_once(' ').unwrap_or((rest.trim(), ""));
    Reason::of(name, Some(points(score)?), text.trim())
}
