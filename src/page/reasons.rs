//! Why a filter caught a message, for people: the reason lines of a trace, read and explained.
//!
//! Filters write them in several forms; a line in none of them is shown as it is.

mod rspamd;
mod spamassassin;

use super::texts::{Language, Reasons};

/// Gives the text of a meaning in one language.
type Meaning = fn(&'static Reasons) -> &'static str;

/// One reason.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reason {
    /// The filter's name for it; `None`: the line is plain text, which is the detail.
    pub symbol: Option<String>,
    /// Points: positive ones speak for spam.
    pub score: Option<f64>,
    /// What the filter added.
    pub detail: String,
}

impl Reason {
    /// Reads a line: `SYMBOL(1.50)[details]`, `SYMBOL (1.5) [details]`, `SYMBOL=1.5`, `1.5 SYMBOL details`,
    /// `* 1.5 SYMBOL details`, `SYMBOL` or any text.
    pub fn parse(line: &str) -> Reason {
        let line = line.trim().trim_end_matches([';', ',']).trim_end();
        let plain = || Reason { detail: line.to_string(), ..Reason::default() };
        let report = line.strip_prefix('*').unwrap_or(line).trim_start();
        if let Some((first, rest)) = report.split_once(char::is_whitespace)
            && let Some(score) = number(first)
        {
            let (symbol, rest) = word(rest.trim_start());
            let parted = rest.is_empty() || rest.starts_with(char::is_whitespace);
            return if symbol.is_empty() || !parted { plain() } else { of(symbol, Some(score), rest) };
        }
        let (symbol, rest) = word(line);
        let rest = rest.trim_start();
        // a word of a sentence is no symbol
        let is_symbol = symbol.len() > 1 && !symbol.bytes().any(|b| b.is_ascii_lowercase());
        if let Some((score, after)) = rest.strip_prefix('(').and_then(|inner| inner.split_once(')'))
            && let Some(score) = number(score.trim())
            && !symbol.is_empty()
        {
            return of(symbol, Some(score), after);
        }
        if let Some(score) = rest.strip_prefix('=')
            && !symbol.is_empty()
        {
            let (score, after) = score.split_once(char::is_whitespace).unwrap_or((score, ""));
            return number(score).map_or_else(plain, |score| of(symbol, Some(score), after));
        }
        let whole = rest.is_empty() || rest.starts_with(['[', '{', ':']);
        if is_symbol && whole { of(symbol, None, rest.trim_start_matches(':')) } else { plain() }
    }

    /// What it means, if it is one of those that are known.
    pub fn meaning(&self, language: Language) -> Option<&'static str> {
        let symbol = self.symbol.as_deref()?;
        // SpamAssassin puts `T_` before a rule that is still on trial
        let found = meaning(symbol).or_else(|| meaning(symbol.strip_prefix("T_")?))?;
        Some(found(Reasons::of(language)))
    }
}

/// Of a symbol's meanings that of the longest pattern; a whole name counts as longest.
fn meaning(symbol: &str) -> Option<Meaning> {
    let all = rspamd::MEANINGS.iter().chain(spamassassin::MEANINGS);
    let patterns = all.flat_map(|(meaning, patterns)| patterns.split_ascii_whitespace().map(move |p| (*meaning, p)));
    let mut best: Option<(usize, Meaning)> = None;
    for (meaning, pattern) in patterns {
        let length = match pattern.strip_suffix('*') {
            Some(prefix) if symbol.starts_with(prefix) => prefix.len(),
            None if symbol == pattern => usize::MAX,
            _ => continue,
        };
        if best.is_none_or(|(longest, _)| length > longest) {
            best = Some((length, meaning));
        }
    }
    best.map(|(_, meaning)| meaning)
}

fn of(symbol: &str, score: Option<f64>, rest: &str) -> Reason {
    let rest = rest.trim();
    let inner = rest.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    Reason { symbol: Some(symbol.to_string()), score, detail: inner.unwrap_or(rest).trim().to_string() }
}

/// The name that a line begins with, and what follows it.
fn word(text: &str) -> (&str, &str) {
    let len = text.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    text.split_at_checked(len).filter(|_| begins).unwrap_or(("", text))
}

/// A score, as filters write them: digits with or without a point.
fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let plain = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && digits.len() <= 12;
    text.parse::<f64>().ok().filter(|_| plain)
}

/// Reasons in three heaps, the weightiest first.
#[derive(Debug, Default)]
pub struct Sorted {
    /// Those that speak for spam.
    pub against: Vec<Reason>,
    /// Those that speak for the sender.
    pub in_favour: Vec<Reason>,
    /// Those that count for nothing, or for nobody knows what.
    pub neutral: Vec<Reason>,
}

impl Sorted {
    /// The lines of a trace.
    pub fn of(lines: &[String]) -> Sorted {
        let mut sorted = Sorted::default();
        for reason in lines.iter().map(|line| Reason::parse(line)) {
            match reason.score {
                Some(score) if score > 0.0 => sorted.against.push(reason),
                Some(score) if score < 0.0 => sorted.in_favour.push(reason),
                _ => sorted.neutral.push(reason),
            }
        }
        let weight = |reason: &Reason| reason.score.unwrap_or(0.0).abs();
        for heap in [&mut sorted.against, &mut sorted.in_favour] {
            heap.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
        }
        // plain text first: a person or a rule of the site wrote it
        sorted.neutral.sort_by_key(|reason| reason.symbol.is_some());
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(line: &str) -> String {
        let Reason { symbol, score, detail } = Reason::parse(line);
        format!("{}|{}|{detail}", symbol.unwrap_or_default(), score.map(|s| s.to_string()).unwrap_or_default())
    }

    #[test]
    fn forms() {
        for (line, want) in [
            ("R_SPF_FAIL(1.50)[-all]", "R_SPF_FAIL|1.5|-all"),
            ("R_SPF_FAIL (1.5) [-all]; ", "R_SPF_FAIL|1.5|-all"),
            ("BAYES_HAM(-3.00)[99.99%],", "BAYES_HAM|-3|99.99%"),
            ("ARC_NA(0.00)[]", "ARC_NA|0|"),
            ("BAYES_99=3.5", "BAYES_99|3.5|"),
            (
                "3.5 BAYES_99 BODY: Bayes spam probability is 99 to 100%",
                "BAYES_99|3.5|BODY: Bayes spam probability is 99 to 100%",
            ),
            ("* -0.1 DKIM_VALID Message has a valid signature", "DKIM_VALID|-0.1|Message has a valid signature"),
            ("*  1.0 HTML_MESSAGE", "HTML_MESSAGE|1|"),
            ("GTUBE", "GTUBE||"),
            ("GTUBE[x]", "GTUBE||x"),
            ("a word (1)", "||a word (1)"),
            ("Spam", "||Spam"),
            ("Eicar-Test (found)", "||Eicar-Test (found)"),
            ("5 reasons, all bad", "||5 reasons, all bad"),
            ("SYMBOL=nan", "||SYMBOL=nan"),
            ("X(inf)", "||X(inf)"),
            ("X(1e999)", "||X(1e999)"),
            ("clam_virus(5)[<script>]", "clam_virus|5|<script>"),
            ("", "||"),
        ] {
            assert_eq!(shown(line), want, "{line}");
        }
    }

    #[test]
    fn every_symbol_has_one_meaning_and_every_meaning_a_symbol() {
        let mut used = Vec::new();
        let english = Reasons::of(Language::En);
        for (filter, table, least) in [("rspamd", rspamd::MEANINGS, 150), ("SpamAssassin", spamassassin::MEANINGS, 120)]
        {
            let mut names = Vec::new();
            for (meaning, patterns) in table {
                used.push(meaning(english));
                for pattern in patterns.split_ascii_whitespace() {
                    assert!(!names.contains(&pattern), "{filter}: {pattern} stands twice");
                    let good = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
                    assert!(pattern.strip_suffix('*').unwrap_or(pattern).bytes().all(good), "{filter}: {pattern}");
                    names.push(pattern);
                }
            }
            assert!(names.len() >= least, "{filter}: {}", names.len());
        }
        for (key, text) in english.all() {
            assert!(used.contains(&text), "no symbol means {key}");
        }
    }

    #[test]
    fn whole_names_come_before_patterns_and_long_patterns_before_short_ones() {
        let says = |symbol: &str| Reason { symbol: Some(symbol.into()), ..Reason::default() }.meaning(Language::En);
        let english = Reasons::of(Language::En);
        assert_eq!(says("RBL_SPAMHAUS_SBL"), Some(english.blocklist_spamhaus));
        assert_eq!(says("RBL_SPAMHAUS_BLOCKED_OPENRESOLVER"), Some(english.blocklist_blocked));
        assert_eq!(says("RBL_SOMETHING_NEW"), Some(english.blocklist_ip));
        assert_eq!(says("RCVD_IN_DNSWL_HI"), Some(english.trusted_relay));
        assert_eq!(says("RCVD_IN_SOMETHING"), Some(english.blocklist_ip));
        assert_eq!(says("BAYES_00"), Some(english.bayes_ham));
        assert_eq!(says("NOBODY_KNOWS"), None);
        assert_eq!(says(""), None);
    }

    #[test]
    fn the_weightiest_come_first() {
        let lines = ["A(1)", "B(-2)", "C(7.5)", "D", "E(0)", "virus found", "F(-0.1)"].map(String::from);
        let sorted = Sorted::of(&lines);
        let names = |heap: &[Reason]| -> Vec<_> { heap.iter().map(|r| r.symbol.clone().unwrap_or_default()).collect() };
        assert_eq!(names(&sorted.against), ["C", "A"]);
        assert_eq!(names(&sorted.in_favour), ["B", "F"]);
        assert_eq!(names(&sorted.neutral), ["", "", "E"]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(line in "[A-Z_0-9a-z.()=*; -]{0,30}|\\PC{0,30}") {
            let Reason { symbol, score, detail } = Reason::parse(&line);
            prop_assert!(symbol.is_some() || score.is_none() && detail == line.trim().trim_end_matches([';', ',']).trim_end());
            prop_assert!(score.is_none_or(f64::is_finite));
            prop_assert!(line.contains(symbol.as_deref().unwrap_or_default()) && line.contains(&detail));
        }
    }
}
