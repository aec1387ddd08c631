//! Names of files that mail brings, made safe to show, to download and to say in a header.

use std::fmt::Write;

/// Characters of a name: with its extension it fits into any file system.
const LENGTH: usize = 120;
/// Names that mean devices on Windows, whatever their extension.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

/// What a mail calls a file, without what could lead out of a folder, hide its ending, or break a line: paths, control
/// characters, those that turn the direction of writing, and dots and spaces at its ends. `other` when nothing is left.
pub fn safe(name: &str, other: &str) -> String {
    let last = name.rsplit(['/', '\\']).find(|part| !part.trim_matches(['.', ' ']).is_empty()).unwrap_or_default();
    let clean: String =
        last.chars()
            .filter(|&c| !is_hidden(c))
            .map(|c| if c.is_whitespace() { ' ' } else { c })
            .map(|c| {
                if matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*' | '%' | '~' | '$' | '`' | ';') { '_' } else { c }
            })
            .collect();
    let clean = clean.trim_matches(['.', ' ', '-']);
    let short = shorten(clean);
    let stem = short.split('.').next().unwrap_or_default().trim_end_matches(|c: char| c.is_ascii_digit());
    if short.is_empty() {
        other.to_string()
    } else if DEVICES.iter().any(|device| stem.trim_end().eq_ignore_ascii_case(device)) {
        format!("_{short}")
    } else {
        short
    }
}

/// Cuts in the middle: the ending says what it is.
fn shorten(name: &str) -> String {
    let count = name.chars().count();
    if count <= LENGTH {
        return name.to_string();
    }
    let head = name.chars().take(LENGTH - 21);
    head.chain(['_']).chain(name.chars().skip(count - 20)).collect()
}

/// Whether a character shows nothing, or changes how others are shown.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
}

/// One line of text to show: what [`is_hidden`] becomes a visible `�`, so that nobody takes a name for another.
pub fn visible(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c == '\t' || c == '\n' {
                ' '
            } else if is_hidden(c) {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// The value of a Content-Disposition field that makes a browser save a file under this name, made [`safe`].
pub fn disposition(name: &str) -> String {
    let name = safe(name, "attachment");
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || " ._-()".contains(c) { c } else { '_' }).collect();
    let mut value = format!("attachment; filename=\"{plain}\"");
    if plain != name {
        // RFC 6266 4.3, RFC 8187 3.2
        value.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
                value.push(char::from(byte));
            } else {
                let _ = write!(value, "%{byte:02X}");
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tricks() {
        for (name, want) in [
            ("report.pdf", "report.pdf"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Windows\\..\\a.exe", "a.exe"),
            ("invoice\u{202e}fdp.exe", "invoicefdp.exe"),
            ("a.pdf                    .exe", "a.pdf                    .exe"),
            ("a\r\nSet-Cookie: x.html", "aSet-Cookie_ x.html"),
            ("..", "part-1"),
            (" . ", "part-1"),
            ("", "part-1"),
            ("/", "part-1"),
            ("dir/", "dir"),
            (".htaccess", "htaccess"),
            ("NUL.txt", "_NUL.txt"),
            ("com1", "_com1"),
            ("a.exe. .", "a.exe"),
            ("b\u{200b}ank\0.pdf", "bank.pdf"),
            ("Übersicht für Éa.txt", "Übersicht für Éa.txt"),
        ] {
            assert_eq!(safe(name, "part-1"), want, "{name:?}");
        }
        let long = safe(&format!("{}.pdf.exe", "ä".repeat(500)), "x");
        assert!(long.ends_with(".pdf.exe") && long.chars().count() == LENGTH);
    }

    #[test]
    fn dispositions() {
        assert_eq!(disposition("a b.pdf"), "attachment; filename=\"a b.pdf\"");
        assert_eq!(disposition("ä\"\r\n.pdf"), "attachment; filename=\"__.pdf\"; filename*=UTF-8''%C3%A4_.pdf");
        assert_eq!(disposition(""), "attachment; filename=\"attachment\"");
    }

    proptest! {
        #[test]
        fn any_name_is_safe(name in "\\PC{0,40}|[./\\\\ \u{202e}\r\n\0a-]{0,12}") {
            let safe = safe(&name, "x");
            prop_assert!(!safe.is_empty() && !safe.contains(['/', '\\', '"', ':']) && !safe.starts_with('.'));
            prop_assert!(!safe.chars().any(is_hidden));
            let value = disposition(&name);
            prop_assert!(value.is_ascii() && !value.contains(['\r', '\n', '\0']));
            prop_assert_eq!(value.matches('"').count(), 2);
            prop_assert!(!visible(&name).chars().any(is_hidden));
        }
    }
}
