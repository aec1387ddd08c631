//! A filter's changes of a header, as the milter protocol counts fields.

use crate::mail::header;
use crate::milter;
use crate::verdict::{Edit, Place, Which};

/// The changes, one after the other, for a message with this header.
pub(super) fn of(edits: &[Edit], header: &[u8]) -> Vec<milter::Edit> {
    let mut names: Vec<Vec<u8>> = header::fields(header).map(|field| field.name.to_ascii_lowercase()).collect();
    let mut out = Vec::new();
    for edit in edits {
        match edit {
            Edit::Remove(name, which) => remove(name, *which, &mut names, &mut out),
            Edit::Add { name, value, place } => {
                let (name, value) = (name.clone(), value.clone());
                // The mail server counts its own Received, which we are not shown and which stands on top.
                let all = names.len() + 1;
                let above = match place {
                    Place::End => all,
                    Place::Top(above) => (*above as usize).min(all),
                    Place::AboveLast(below) => all.saturating_sub(*below as usize),
                };
                names.insert(above.saturating_sub(1).min(names.len()), name.to_ascii_lowercase().into_bytes());
                out.push(match place {
                    Place::End => milter::Edit::Add { name, value },
                    _ => milter::Edit::Insert { above: above as u32, name, value },
                });
            }
        }
    }
    out
}

fn remove(name: &str, which: Which, names: &mut Vec<Vec<u8>>, out: &mut Vec<milter::Edit>) {
    let lower = name.to_ascii_lowercase().into_bytes();
    let there = names.iter().filter(|known| **known == lower).count();
    let gone = match which {
        Which::All => 1..=there,
        Which::FromTop(nth) => nth as usize..=nth as usize,
        Which::FromEnd(nth) => {
            let nth = (there + 1).saturating_sub(nth as usize);
            nth..=nth
        }
    };
    // From the last one on: some mail servers count those below anew.
    for nth in gone.rev().filter(|nth| (1..=there).contains(nth)) {
        let at = names.iter().enumerate().filter(|(_, known)| **known == lower).nth(nth - 1).map(|(at, _)| at);
        if let Some(at) = at {
            names.remove(at);
        }
        out.push(milter::Edit::Remove { nth: nth as u32, name: name.to_string() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(edits: &[Edit]) -> Vec<String> {
        let header = b"X-Spam: 1\r\nFrom: a\r\nx-spam: 2\r\n more\r\nX-SPAM: 3\r\n\r\n";
        let show = |edit: milter::Edit| match edit {
            milter::Edit::Add { name, value } => format!("add {name}: {value}"),
            milter::Edit::Insert { above, name, value } => format!("insert {above} {name}: {value}"),
            milter::Edit::Change { nth, name, value } => format!("change {nth} {name}: {value}"),
            milter::Edit::Remove { nth, name } => format!("remove {nth} {name}"),
        };
        of(edits, header).into_iter().map(show).collect()
    }

    fn add(name: &str, place: Place) -> Edit {
        Edit::Add { name: name.into(), value: "v".into(), place }
    }

    #[test]
    fn fields_are_counted_as_the_server_does() {
        let remove = |which| Edit::Remove("X-Spam".into(), which);
        assert_eq!(shown(&[remove(Which::All)]), ["remove 3 X-Spam", "remove 2 X-Spam", "remove 1 X-Spam"]);
        assert_eq!(
            shown(&[remove(Which::FromTop(2)), remove(Which::FromEnd(1))]),
            ["remove 2 X-Spam", "remove 2 X-Spam"]
        );
        let none: [&str; 0] = [];
        assert_eq!(shown(&[remove(Which::FromTop(9)), remove(Which::FromEnd(9)), remove(Which::FromTop(0))]), none);
        assert_eq!(shown(&[Edit::Remove("Gone".into(), Which::All)]), none);
        assert_eq!(
            shown(&[
                add("A", Place::Top(0)),
                add("B", Place::End),
                add("C", Place::AboveLast(1)),
                add("D", Place::Top(99))
            ]),
            ["insert 0 A: v", "add B: v", "insert 6 C: v", "insert 8 D: v"]
        );
        assert_eq!(shown(&[remove(Which::All), add("X-Spam", Place::End), remove(Which::All)]).len(), 5);
    }
}
