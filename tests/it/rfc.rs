//! `etc/rfc.tsv` says which RFCs are implemented: it and the citations in the code must agree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A line of the table.
struct Line {
    rfc: u32,
    status: String,
    module: String,
}

fn table(text: &str) -> Result<Vec<Line>, String> {
    let mut lines = Vec::new();
    for line in text.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [rfc, title, status, module, _] = columns.as_slice() else { return Err(format!("five columns: {line}")) };
        let rfc = rfc.parse().map_err(|_| format!("a number: {line}"))?;
        if title.is_empty() || !["yes", "partial", "no"].contains(status) || (*status == "no") != module.is_empty() {
            return Err(format!("title, yes or partial or no, and a module unless it is no: {line}"));
        }
        lines.push(Line { rfc, status: (*status).to_string(), module: (*module).to_string() });
    }
    if !lines.windows(2).all(|pair| pair[0].rfc < pair[1].rfc) {
        return Err("the numbers ascend".to_string());
    }
    Ok(lines)
}

/// The RFCs that files below a path cite.
fn cited(path: &Path, found: &mut BTreeMap<u32, BTreeSet<String>>) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("a directory").flatten() {
            cited(&entry.path(), found);
        }
    } else if path.extension().is_some_and(|e| e == "rs") {
        let text = std::fs::read_to_string(path).expect("source is UTF-8");
        let name = path.strip_prefix(ROOT).unwrap_or(path).display().to_string();
        for part in text.split("RFC ").skip(1) {
            let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
            if let Ok(rfc) = digits.parse() {
                found.entry(rfc).or_default().insert(name.clone());
            }
        }
    }
}

/// What does not agree.
fn judge(lines: &[Line], cited: &BTreeMap<u32, BTreeSet<String>>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (rfc, files) in cited {
        if !lines.iter().any(|line| line.rfc == *rfc) {
            wrong.push(format!("RFC {rfc} is cited in {files:?} and not in etc/rfc.tsv"));
        }
    }
    for line in lines {
        match (line.status.as_str(), cited.get(&line.rfc)) {
            ("yes" | "partial", None) => wrong.push(format!("RFC {} is {}, and cited nowhere", line.rfc, line.status)),
            ("no", Some(files)) => wrong.push(format!("RFC {} is no, and cited in {files:?}", line.rfc)),
            _ => {}
        }
        if !line.module.is_empty() && !Path::new(ROOT).join(&line.module).exists() {
            wrong.push(format!("RFC {}: there is no {}", line.rfc, line.module));
        }
    }
    wrong
}

#[test]
fn the_table_and_the_code_agree() {
    let text = std::fs::read_to_string(Path::new(ROOT).join("etc/rfc.tsv")).expect("etc/rfc.tsv");
    let lines = table(&text).expect("a table");
    let mut found = BTreeMap::new();
    cited(&Path::new(ROOT).join("src"), &mut found);
    let wrong = judge(&lines, &found);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_table_that_is_wrong_is_noticed() {
    for bad in [
        "h\n1\tx\tmaybe\tsrc\t",
        "h\n1\tx\tyes\t\t",
        "h\n2\tx\tno\t\t\n1\ty\tno\t\t",
        "h\nx\tx\tno\t\t",
        "h\n1\tx\tno\t",
    ] {
        assert!(table(bad).is_err(), "{bad}");
    }
    let lines = table("h\n1\tx\tyes\tsrc\t\n2\ty\tno\t\t\n3\tz\tyes\tnowhere\t").expect("a table");
    let files = |name: &str| BTreeSet::from([name.to_string()]);
    let cited = BTreeMap::from([(2, files("a")), (4, files("b")), (3, files("c"))]);
    assert_eq!(judge(&lines, &cited).len(), 4);
}
