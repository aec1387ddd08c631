//! What a filter found out about who sent a message.
//!
//! Only what the filter that was asked answers counts here, and of that only what nobody can write into it: of rspamd's
//! symbols the options one by one (in a header they are joined, and a sender may choose some of them), of SpamAssassin's
//! report the names of rules.

use super::Reason;
use serde_json::Value;

/// Something that is proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// This domain sent it: a signature of it is good (DKIM), or its own policy was met (DMARC).
    Domain(String),
    /// The domain of the envelope's sender, or of the greeting where that is empty, lets this client send for it (SPF).
    Sender,
    /// The domain of its From address sent it.
    Author,
}

/// Of rspamd's symbols, by name.
pub(super) fn of_symbols(symbols: Option<&Value>) -> Vec<Proof> {
    let options = |name: &str| {
        let symbol = symbols.and_then(|all| all.get(name));
        symbol.and_then(|symbol| symbol.get("options")?.as_array()).into_iter().flatten().filter_map(Value::as_str)
    };
    // Of each signature its domain, and + when it is good.
    let mut proofs: Vec<Proof> = options("DKIM_TRACE")
        .filter_map(|option| option.strip_suffix(":+"))
        .map(|domain| Proof::Domain(domain.to_string()))
        .collect();
    if symbols.is_some_and(|all| all.get("R_SPF_ALLOW").is_some()) {
        proofs.push(Proof::Sender);
    }
    if symbols.is_some_and(|all| all.get("DMARC_POLICY_ALLOW").is_some()) {
        proofs.extend(options("DMARC_POLICY_ALLOW").next().map(|domain| Proof::Domain(domain.to_string())));
    }
    proofs
}

/// Of SpamAssassin's rules.
pub(super) fn of_rules(reasons: &[Reason]) -> Vec<Proof> {
    let proof = |reason: &Reason| match reason.name.as_str() {
        "DKIM_VALID_AU" => Some(Proof::Author),
        "SPF_PASS" => Some(Proof::Sender),
        _ => None,
    };
    reasons.iter().filter_map(proof).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_rspamd_found() {
        let symbols = json!({
            "DKIM_TRACE": { "options": ["far.example:+", "bad.example:-", "far.example:+,x.evil.example:+", "odd.example:?"] },
            "R_SPF_ALLOW": { "options": ["+ip4:192.0.2.0/24"] },
            "DMARC_POLICY_ALLOW": { "options": ["far.example", "none"] },
        });
        let domain = |name: &str| Proof::Domain(name.to_string());
        let expected =
            [domain("far.example"), domain("far.example:+,x.evil.example"), Proof::Sender, domain("far.example")];
        assert_eq!(of_symbols(Some(&symbols)), expected);
        let none = json!({ "R_DKIM_REJECT": { "options": ["far.example:s=x"] }, "DKIM_TRACE": {} });
        assert_eq!(of_symbols(Some(&none)), []);
        assert_eq!(of_symbols(None), []);
    }

    #[test]
    fn what_spamassassin_found() {
        let rule = |name: &str| Reason::of(name, Some(-0.1), "x").unwrap();
        let rules = [rule("DKIM_VALID"), rule("DKIM_VALID_AU"), rule("SPF_HELO_PASS"), rule("SPF_PASS")];
        assert_eq!(of_rules(&rules), [Proof::Author, Proof::Sender]);
    }
}
