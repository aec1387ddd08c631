//! `[[milter]]`: what a mail server asks before it answers its client.

use super::reader::{ConfigError, Converted, Section};
use super::value::*;
use super::{Limits, Listen, Reply};
use crate::verdict::Filter;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::de::DeValue;

/// One listener.
#[derive(Debug, Clone, PartialEq)]
pub struct Milter {
    /// Where.
    pub listen: Listen,
    /// Mode of a Unix socket.
    pub socket_mode: u32,
    /// Who says what a message is.
    pub filter: Judge,
    /// Without a verdict a message is accepted; if not, it is put off.
    pub accepts_unjudged: bool,
    /// What the sender of a message is told that was kept, where its domain says nothing else.
    pub reply: Reply,
    /// Of delivered mail with so many points a copy is kept for training.
    pub unsure: Option<(f64, f64)>,
    /// Servers whose Authentication-Results are believed when lists of senders are asked.
    pub authenticated_by: Vec<String>,
    /// Of larger messages the header is looked at.
    pub max_size: u64,
}

/// Who says what a message is.
#[derive(Debug, Clone, PartialEq)]
pub enum Judge {
    /// rspamd.
    Rspamd {
        /// `host:port`, or `unix:` and a path.
        address: String,
        /// The password is the first line of this file.
        password_file: Option<PathBuf>,
        /// How long its answer may take.
        time_limit: Duration,
    },
    /// SpamAssassin's spamd.
    SpamAssassin {
        /// `host:port`, or `unix:` and a path.
        address: String,
        /// Whose preferences count.
        user: Option<String>,
        /// How long its answer may take.
        time_limit: Duration,
        /// From so many points on spam is refused; `None`: all of it.
        reject_from: Option<f64>,
    },
    /// Filters that looked at the message before, by what they wrote into its header.
    Headers {
        /// Those that are believed.
        believed: Vec<Filter>,
        /// From so many points on spam is refused; `None`: all of it.
        reject_from: Option<f64>,
    },
}

/// The words for them.
#[derive(Clone, Copy, PartialEq)]
enum Word {
    Rspamd,
    SpamAssassin,
    Headers,
}

const WORDS: [(&str, Word); 3] =
    [("rspamd", Word::Rspamd), ("spamassassin", Word::SpamAssassin), ("headers", Word::Headers)];
const REPLIES: [(&str, Reply); 2] = [("accept", Reply::Accept), ("reject", Reply::Reject)];

/// Where rspamd's worker and spamd listen unless told otherwise.
const RSPAMD: &str = "127.0.0.1:11333";
const SPAMD: &str = "127.0.0.1:783";

/// How long a filter may take; mail servers wait five minutes and more for us, and are told that we are at it.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// The reply that a section asks for.
pub fn reply(value: &DeValue<'_>) -> Converted<Reply> {
    choice(&REPLIES)(value)
}

/// Reads one.
pub fn read(s: Section<'_>, limits: &Limits, base: &Path) -> Result<Milter, ConfigError> {
    let milter = Milter {
        listen: s.own("listen", listen)?,
        socket_mode: s.optional("socket_mode", mode)?.unwrap_or(0o660),
        filter: judge(&s, base)?,
        accepts_unjudged: s
            .optional("when_filter_fails", choice(&[("defer", false), ("accept", true)]))?
            .unwrap_or(false),
        reply: s.optional("reply", reply)?.unwrap_or(Reply::Reject),
        unsure: unsure(&s)?,
        authenticated_by: s.optional_list("authenticated_by", text)?.unwrap_or_default(),
        max_size: s.optional("max_size", size)?.unwrap_or(limits.max_size),
    };
    s.end()?;
    Ok(milter)
}

fn judge(s: &Section<'_>, base: &Path) -> Result<Judge, ConfigError> {
    // Every key is asked for whoever is asked, so that one that does not fit is told apart from one that is unknown.
    let word = s.own("filter", choice(&WORDS))?;
    let address = s.optional("filter_address", service)?;
    let password_file = s.optional("filter_password_file", path)?.map(|file| base.join(file));
    let user = s.optional("filter_user", text)?;
    let time_limit = s.optional("filter_time_limit", duration)?;
    let believed = s.optional_list("verdict", filter)?;
    let reject_from = s.optional("reject_from", points)?;
    let misplaced = |keys: &[(&'static str, bool)]| match keys.iter().find(|(_, given)| *given) {
        Some((key, _)) => {
            let name = WORDS.iter().find(|(_, known)| *known == word).map_or("", |(name, _)| name);
            Err(s.error(key, format!("with filter = \"{name}\" there is no such key")))
        }
        None => Ok(()),
    };
    let time = time_limit.unwrap_or(TIME_LIMIT);
    match word {
        Word::Rspamd => {
            misplaced(&[
                ("filter_user", user.is_some()),
                ("verdict", believed.is_some()),
                ("reject_from", reject_from.is_some()),
            ])?;
            let address = address.unwrap_or_else(|| RSPAMD.to_string());
            Ok(Judge::Rspamd { address, password_file, time_limit: time })
        }
        Word::SpamAssassin => {
            misplaced(&[("filter_password_file", password_file.is_some()), ("verdict", believed.is_some())])?;
            let address = address.unwrap_or_else(|| SPAMD.to_string());
            Ok(Judge::SpamAssassin { address, user, time_limit: time, reject_from })
        }
        Word::Headers => {
            misplaced(&[
                ("filter_address", address.is_some()),
                ("filter_password_file", password_file.is_some()),
                ("filter_user", user.is_some()),
                ("filter_time_limit", time_limit.is_some()),
            ])?;
            let believed = believed.unwrap_or_default();
            if believed.is_empty() {
                let why = "with filter = \"headers\" verdict must say whose fields are believed, like [\"rspamd\"]: anybody can \
                           write such fields";
                return Err(s.error("verdict", why));
            }
            Ok(Judge::Headers { believed, reject_from })
        }
    }
}

fn unsure(s: &Section<'_>) -> Result<Option<(f64, f64)>, ConfigError> {
    match s.optional_list("unsure", points)?.as_deref() {
        None | Some([]) => Ok(None),
        Some([low, high]) if low < high => Ok(Some((*low, *high))),
        Some(_) => Err(s.error("unsure", "expected two numbers of points, the lower one first, like [5.0, 15.0]")),
    }
}

/// A number of points.
fn points(value: &DeValue<'_>) -> Converted<f64> {
    let number = match value {
        DeValue::Integer(number) => number.as_str().parse::<f64>().ok(),
        DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
        _ => None,
    };
    number.filter(|n| n.is_finite()).ok_or_else(|| "a number of points like 7.5".to_string())
}

/// Where a filter listens.
fn service(value: &DeValue<'_>) -> Converted<String> {
    let fits = |text: &&str| {
        let port = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        text.strip_prefix("unix:").is_some_and(|path| path.starts_with('/'))
            || port.is_some_and(|(host, port)| !host.is_empty() && !host.contains(['/', ' ', '@']) && port > 0)
    };
    let expected = || "an address like \"127.0.0.1:11333\" or \"unix:/run/rspamd/worker.socket\"".to_string();
    value.as_str().filter(fits).map(str::to_string).ok_or_else(expected)
}
