//! Reads ESEARCH (RFC 4466 2.6.2) and the MODSEQ of SEARCH and SORT (RFC 7162 7), which no library of ours knows.

/// Why a client could not read the line.
pub fn check(line: &str) -> Result<(), String> {
    if let Some(rest) = line.strip_prefix("* SEARCH").or_else(|| line.strip_prefix("* SORT")) {
        let (numbers, modseq) = rest.strip_suffix(')').and_then(|l| l.split_once(" (MODSEQ ")).ok_or("no MODSEQ")?;
        number(modseq)?;
        let numbers = numbers.strip_prefix(' ').ok_or("MODSEQ of nothing")?;
        return numbers.split(' ').try_for_each(number);
    }
    let rest = line.strip_prefix("* ESEARCH (TAG \"").ok_or("no ESEARCH with a tag")?;
    let (tag, rest) = rest.split_once("\")").ok_or("a tag that does not end")?;
    if tag.is_empty() {
        return Err("an empty tag".into());
    }
    let mut words = match rest.strip_prefix(" UID").unwrap_or(rest) {
        "" => return Ok(()),
        rest => rest.strip_prefix(' ').ok_or("no space")?.split(' '),
    };
    let mut seen = Vec::new();
    while let Some(word) = words.next() {
        if seen.contains(&word) {
            return Err(format!("{word} twice"));
        }
        seen.push(word);
        let mut next = || words.next().ok_or_else(|| format!("nothing after {word}"));
        match word {
            "MIN" | "MAX" | "MODSEQ" => number(next()?)?,
            "COUNT" => drop(next()?.parse::<u32>().map_err(|_| "no count")?),
            "ALL" => set(next()?)?,
            "PARTIAL" => {
                let range = next()?.strip_prefix('(').ok_or("no (")?;
                let (one, other) = range.split_once(':').ok_or("no range")?;
                let both = one.strip_prefix('-').zip(other.strip_prefix('-'));
                let (one, other) = both.unwrap_or((one, other));
                number(one).and(number(other))?;
                match next()?.strip_suffix(')').ok_or("no )")? {
                    "NIL" => {}
                    numbers => set(numbers)?,
                }
            }
            "ADDTO" | "REMOVEFROM" => {
                next()?.strip_prefix('(').and_then(|at| at.parse::<u32>().ok()).ok_or("no position")?;
                set(next()?.strip_suffix(')').ok_or("no )")?)?;
            }
            "RELEVANCY" => {
                let mut score = next()?.strip_prefix('(').ok_or("no (")?;
                while let (false, true) = (score.ends_with(')'), score != "()") {
                    in_percent(score)?;
                    score = next()?;
                }
                if score != ")" {
                    in_percent(score.trim_end_matches(')'))?;
                }
            }
            _ => return Err(format!("{word} is no return data")),
        }
    }
    Ok(())
}

fn number(text: &str) -> Result<(), String> {
    let good = !text.starts_with(['0', '+']) && text.parse::<u64>().is_ok();
    if good { Ok(()) } else { Err(format!("{text:?} is no number")) }
}

fn in_percent(text: &str) -> Result<(), String> {
    let good = text.parse::<u8>().is_ok_and(|score| (1..=100).contains(&score));
    if good { Ok(()) } else { Err(format!("{text:?} is no score")) }
}

fn set(text: &str) -> Result<(), String> {
    text.split(',').try_for_each(|part| match part.split_once(':') {
        Some((low, high)) => number(low).and(number(high)),
        None => number(part),
    })
}
