//! PREVIEW: the first words of a message (RFC 8970).

use crate::base::{Slice, limits};
use crate::mail::mime::{Kind, Part, Structure};
use crate::mail::text;
use std::io;
use std::ops::Range;

/// Characters (RFC 8970 3.3: at most 256).
const LENGTH: usize = 200;

/// Bytes that are looked at first.
const FIRST: usize = 4 << 10;

/// Parts that are tried; others before a text are rare.
const PARTS: usize = 4;

/// The first words that a reader would see; empty when there are none. `read` gives bytes of the message, cut at a number
/// of them.
pub fn render(
    structure: &Structure,
    read: &mut dyn FnMut(Range<u64>, usize) -> io::Result<Slice>,
) -> io::Result<String> {
    for wanted in [&b"plain"[..], b"html"] {
        for part in structure.parts().iter().filter(|part| is_text(part, wanted)).take(PARTS) {
            let content = &part.content;
            let charset = content.parameter("charset");
            // The beginning of most has words enough.
            for most in [FIRST, limits::PREVIEW_BYTES] {
                let body = read(part.body.clone(), most)?;
                let decoded = text::decode(&body, content.encoding.as_deref(), charset, most);
                let words = if wanted == b"html" { words(&text::html_to_text(&decoded)) } else { words(&decoded) };
                let is_all = body.len() < most || most == limits::PREVIEW_BYTES;
                if words.chars().count() + 1 >= LENGTH || is_all && !words.is_empty() {
                    return Ok(words);
                }
                if is_all {
                    break;
                }
            }
        }
    }
    Ok(String::new())
}

fn is_text(part: &Part, wanted: &[u8]) -> bool {
    let attached = part.content.disposition.as_ref().is_some_and(|d| d.name.eq_ignore_ascii_case(b"attachment"));
    let named = match &part.content.media {
        Some((main, sub)) => main.eq_ignore_ascii_case(b"text") && sub.eq_ignore_ascii_case(wanted),
        None => wanted == b"plain",
    };
    part.kind == Kind::Leaf && named && !attached
}

/// One line of text: runs of white space are one space, and what shows nothing is left out. Spam fills its beginning with
/// such characters so that the preview shows what its sender wants.
fn words(text: &str) -> String {
    let mut out = String::new();
    let mut count = 0;
    let mut gap = false;
    for c in text.chars().filter(|&c| !is_invisible(c)) {
        if c.is_whitespace() || c.is_control() {
            gap = true;
            continue;
        }
        if std::mem::take(&mut gap) && count > 0 {
            out.push(' ');
            count += 1;
        }
        if count >= LENGTH {
            break;
        }
        out.push(c);
        count += 1;
    }
    out.truncate(out.trim_end().len());
    out
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fffd}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Form;

    fn preview(message: &str) -> String {
        let wire = message.replace('\n', "\r\n").into_bytes();
        let structure = Structure::of(&wire, Form::Crlf);
        render(&structure, &mut |range, most| {
            let bytes = &wire[range.start as usize..range.end as usize];
            Ok(bytes[..most.min(bytes.len())].to_vec().into())
        })
        .unwrap()
    }

    #[test]
    fn the_words_that_a_reader_sees_first() {
        assert_eq!(preview("\n  Buy\tnow,\n\n\u{200b}\u{34f}cheap \n"), "Buy now, cheap");
        assert_eq!(preview("Content-Type: text/html\n\n<style>x</style><p>A&amp;B<br>c</p>"), "A&B c");
        let both = "Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>page</p>\n\
            --b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nZ3LDvG4=\n--b--\n";
        assert_eq!(preview(both), "grün");
        assert_eq!(preview(&both.replace("Z3LDvG4=", "IA==")), "page");
        let attached = "Content-Type: text/plain\nContent-Disposition: attachment\n\nx\n";
        assert_eq!(preview(attached), "");
        assert_eq!(preview("Content-Type: image/png\n\nx"), "");
        assert_eq!(preview(&format!("\n{}", "ä".repeat(900))).chars().count(), LENGTH);
        assert_eq!(preview(&format!("\n{}", "abcd ".repeat(900))).chars().count(), LENGTH - 1);
        let late = format!("Content-Type: text/html\n\n<p>a<style>{}</style>late</p>", "x".repeat(2 * FIRST));
        assert_eq!(preview(&late), "alate");
        assert_eq!(preview(&format!("\n{}", " ".repeat(2 * limits::PREVIEW_BYTES))), "");
    }
}
