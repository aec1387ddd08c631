//! Which rules of filters say that a message is worse than spam.

use super::Reason;
use crate::mail::Kind;

/// Names of rules, and what they find; a `*` stands for any letters. The first line that fits decides.
const RULES: &[(Kind, &str)] = &[
    (
        Kind::Virus,
        "CLAM* *_CLAM* VIRUS* *_VIRUS* *_VIRUS KASPERSKY* SAVAPI* FPROT* AVAST* EICAR* OLETOOLS* *_MALWARE *_MALW",
    ),
    (Kind::Phish, "PHISHING PHISHED_* PHISH_* *_PHISH *_PHISH_* *_PHISHING URI_PHISH HACKED_WP_PHISHING KAM_PHISH*"),
    (Kind::Banned, "BANNED* MIME_BAD_EXTENSION MIME_DOUBLE_BAD_EXTENSION"),
];

/// From so many points on a rule is more than a hint.
const WEIGHTY: f64 = 1.0;

/// What these reasons make of a message.
pub(super) fn of(reasons: &[Reason]) -> Kind {
    let found = |patterns: &str| {
        let weighty = reasons.iter().filter(|reason| reason.score.is_none_or(|score| score >= WEIGHTY));
        weighty.filter(|reason| !reason.name.is_empty()).any(|r| patterns.split(' ').any(|p| fits(p, &r.name)))
    };
    RULES.iter().find(|(_, patterns)| found(patterns)).map_or(Kind::Spam, |(kind, _)| *kind)
}

fn fits(pattern: &str, name: &str) -> bool {
    let starts = |name: &str, with: &str| name.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(rest), Some(_)) => {
            let part = rest.trim_end_matches('*');
            (0..name.len()).any(|at| name.get(at..).is_some_and(|end| starts(end, part)))
        }
        (Some(end), None) => {
            name.len().checked_sub(end.len()).and_then(|at| name.get(at..)).is_some_and(|e| e.eq_ignore_ascii_case(end))
        }
        (None, Some(start)) => starts(name, start),
        (None, None) => name.eq_ignore_ascii_case(pattern),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worse_than_spam() {
        let kind = |names: &[(&str, f64)]| {
            of(&names.iter().map(|(name, score)| Reason::of(name, Some(*score), "").unwrap()).collect::<Vec<_>>())
        };
        for (name, want) in [
            ("CLAM_VIRUS", Kind::Virus),
            ("SURBL_ABUSE_MALWARE", Kind::Virus),
            ("Clamav_Eicar", Kind::Virus),
            ("PHISHING", Kind::Phish),
            ("DBL_PHISH", Kind::Phish),
            ("MIME_BAD_EXTENSION", Kind::Banned),
            ("ANTIVIRUS", Kind::Spam),
            ("BAYES_SPAM", Kind::Spam),
            ("PHISHING_X", Kind::Spam),
        ] {
            assert_eq!(kind(&[(name, 4.0)]), want, "{name}");
            assert_eq!(kind(&[(name, 0.5)]), Kind::Spam, "{name} as a hint");
        }
        assert_eq!(kind(&[("PHISHING", 3.0), ("CLAM_VIRUS", 3.0)]), Kind::Virus);
        assert_eq!(kind(&[]), Kind::Spam);
    }
}
