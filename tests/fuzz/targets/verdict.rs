//! What filters answer, and what they write into a header: all of it repeats a stranger's words.
#![no_main]

mod plant;

use lazaret::base::limits;
use lazaret::verdict::fields;
use lazaret::verdict::{Edit, Filter, Verdict, rspamd, spamd};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&how, input)) = data.split_first() else { return };
    let verdict = match how % 3 {
        0 => rspamd::answer(200, input).ok(),
        1 => spamd::answer(input).ok(),
        _ => fields::read(input, &Filter::ALL).map(|heard| {
            assert!(heard.id.is_none_or(|id| !id.contains(char::is_control)));
            assert!(heard.sender.is_none_or(|sender| !sender.contains(['\r', '\n', '\0'])));
            heard.verdict
        }),
    };
    let Some(verdict) = verdict else { return };
    check(&verdict);
    plant::planted(verdict.reason_lines().concat().as_bytes());
});

fn check(verdict: &Verdict) {
    assert!(verdict.reasons.len() <= limits::VERDICT_REASONS && verdict.edits.len() <= limits::VERDICT_EDITS);
    for line in verdict.reason_lines() {
        assert!(!line.contains(char::is_control), "a reason of two lines: {line:?}");
        assert!(line.len() <= limits::VERDICT_TEXT + limits::VERDICT_NAME + 400, "a long reason");
    }
    assert!(verdict.score_line().is_none_or(|line| line.len() < 800));
    assert!(verdict.text.as_ref().is_none_or(|text| text.is_ascii() && text.len() <= limits::VERDICT_TEXT));
    for edit in &verdict.edits {
        let (Edit::Remove(name, _) | Edit::Add { name, .. }) = edit;
        assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':'), "the name {name:?}");
        if let Edit::Add { value, .. } = edit {
            assert!(!value.contains(['\r', '\0']));
            let mut folds = value.split('\n').skip(1);
            assert!(folds.all(|line| line.starts_with([' ', '\t']) && !line.trim().is_empty()), "a fold in {value:?}");
        }
    }
}
