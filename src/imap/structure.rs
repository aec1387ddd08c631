//! BODY and BODYSTRUCTURE (RFC 3501 7.4.2).

use super::envelope::{self, nstring, string};
use crate::mail::mime::{Kind, Parameter, Part, Structure};

/// Appends BODYSTRUCTURE, extension data included.
///
/// The structure must come from a scan: one that was read back from bytes has no headers of embedded messages, and
/// their ENVELOPEs would be all NIL.
pub fn render_body_structure(structure: &Structure, out: &mut Vec<u8>) {
    render(structure, true, out);
}

/// Appends BODY: the same without extension data.
pub fn render_body(structure: &Structure, out: &mut Vec<u8>) {
    render(structure, false, out);
}

/// What is left to write; a stack instead of recursion, since a peer chose the depth.
enum Todo<'a> {
    Part(u32),
    EndOfMultipart(&'a Part),
    EndOfMessage(&'a Part),
}

fn render(structure: &Structure, extended: bool, out: &mut Vec<u8>) {
    let mut todo = vec![Todo::Part(0)];
    while let Some(next) = todo.pop() {
        match next {
            Todo::Part(number) => {
                let Some(part) = structure.part(number) else { continue };
                out.push(b'(');
                match part.kind {
                    Kind::Multipart => {
                        todo.push(Todo::EndOfMultipart(part));
                        let children: Vec<u32> = structure.children(number).collect();
                        if children.is_empty() {
                            // `body-type-mpart` needs a part
                            out.extend_from_slice(if extended { EMPTY_EXTENDED } else { EMPTY });
                        }
                        todo.extend(children.into_iter().rev().map(Todo::Part));
                    }
                    Kind::Message => {
                        message_start(part, out);
                        let child = structure.children(number).next();
                        out.push(b' ');
                        envelope::render(child.and_then(|c| structure.part(c)).map_or(&[], |c| &c.raw_header), out);
                        out.push(b' ');
                        todo.push(Todo::EndOfMessage(part));
                        todo.extend(child.map(Todo::Part));
                    }
                    Kind::EncodedMessage => {
                        message_start(part, out);
                        out.push(b' ');
                        envelope::render(b"", out);
                        out.push(b' ');
                        out.extend_from_slice(if extended { EMPTY_EXTENDED } else { EMPTY });
                        todo.push(Todo::EndOfMessage(part));
                    }
                    Kind::Leaf | Kind::Opaque => {
                        leaf(part, out);
                        end_of_single(part, extended, out);
                    }
                }
            }
            Todo::EndOfMultipart(part) => {
                out.push(b' ');
                string(part.content.media.as_ref().map_or(b"mixed", |(_, sub)| sub), out);
                if extended {
                    out.push(b' ');
                    parameters(&part.content.parameters, out);
                    common_extension(part, out);
                }
                out.push(b')');
            }
            Todo::EndOfMessage(part) => {
                out.extend_from_slice(format!(" {}", part.lines).as_bytes());
                end_of_single(part, extended, out);
            }
        }
    }
}

const EMPTY: &[u8] = br#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)"#;
const EMPTY_EXTENDED: &[u8] = br#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)"#;

/// message/rfc822 up to its size. message/global is called rfc822 as well: RFC 3501 knows no other type that has an
/// ENVELOPE, and a client that does not know RFC 9051 could not read the line.
fn message_start(part: &Part, out: &mut Vec<u8>) {
    out.extend_from_slice(br#""message" "rfc822""#);
    fields(part, false, out);
}

fn leaf(part: &Part, out: &mut Vec<u8>) {
    let text = match &part.content.media {
        _ if part.kind == Kind::Opaque => {
            out.extend_from_slice(br#""application" "octet-stream""#);
            false
        }
        None => {
            out.extend_from_slice(br#""text" "plain""#);
            true
        }
        Some((main, sub)) => {
            string(main, out);
            out.push(b' ');
            string(sub, out);
            main.eq_ignore_ascii_case(b"text")
        }
    };
    fields(part, text, out);
    if text {
        out.extend_from_slice(format!(" {}", part.lines).as_bytes());
    }
}

/// ` parameters id description encoding size`; a text part always has a charset (RFC 2045 5.2).
fn fields(part: &Part, text: bool, out: &mut Vec<u8>) {
    let content = &part.content;
    out.push(b' ');
    if text && content.parameter("charset").is_none() {
        if content.parameters.is_empty() {
            out.push(b'(');
        } else {
            parameters(&content.parameters, out);
            out.pop();
            out.push(b' ');
        }
        out.extend_from_slice(br#""charset" "us-ascii")"#);
    } else {
        parameters(&content.parameters, out);
    }
    out.push(b' ');
    nstring(content.id.as_deref(), out);
    out.push(b' ');
    nstring(content.description.as_deref(), out);
    out.push(b' ');
    string(content.encoding.as_deref().unwrap_or(b"7bit"), out);
    out.extend_from_slice(format!(" {}", part.body.end - part.body.start).as_bytes());
}

fn end_of_single(part: &Part, extended: bool, out: &mut Vec<u8>) {
    if extended {
        out.push(b' ');
        nstring(part.content.md5.as_deref(), out);
        common_extension(part, out);
    }
    out.push(b')');
}

/// ` disposition language location`.
fn common_extension(part: &Part, out: &mut Vec<u8>) {
    match &part.content.disposition {
        Some(disposition) => {
            out.extend_from_slice(b" (");
            string(&disposition.name, out);
            out.push(b' ');
            parameters(&disposition.parameters, out);
            out.extend_from_slice(b") ");
        }
        None => out.extend_from_slice(b" NIL "),
    }
    let languages = &part.content.language;
    if languages.is_empty() {
        out.extend_from_slice(b"NIL");
    }
    for (at, tag) in languages.iter().enumerate() {
        out.push(if at == 0 { b'(' } else { b' ' });
        string(tag, out);
    }
    out.extend_from_slice(if languages.is_empty() { b" " } else { b") " });
    nstring(part.content.location.as_deref(), out);
}

fn parameters(all: &[Parameter], out: &mut Vec<u8>) {
    if all.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    for (at, parameter) in all.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        string(&parameter.name, out);
        out.push(b' ');
        string(&parameter.value, out);
    }
    out.push(b')');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Form;

    fn both(message: &str) -> [String; 2] {
        let structure = Structure::of(message.as_bytes(), Form::Lf);
        [render_body, render_body_structure].map(|render| {
            let mut out = Vec::new();
            render(&structure, &mut out);
            String::from_utf8(out).unwrap()
        })
    }

    #[test]
    fn plain_text_and_no_parts() {
        assert_eq!(both("\nx\ny\n")[0], r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 6 2)"#);
        assert_eq!(
            both("Content-Type: multipart/mixed\n\nx")[1],
            r#"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) "mixed" NIL NIL NIL NIL)"#
        );
    }

    #[test]
    fn nested_message_and_extension_data() {
        let message = "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html; x=y\nContent-Language: de, en\n\
            Content-Disposition: inline; filename=\"a\\\"b\"\n\n<p>\n--b\nContent-Type: message/rfc822\nContent-ID: <1>\n\nSubject: s\n\nt\n--b--\n";
        let [body, extended] = both(message);
        assert_eq!(
            body,
            "((\"text\" \"html\" (\"x\" \"y\" \"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 0)\
             (\"message\" \"rfc822\" NIL \"<1>\" NIL \"7bit\" 15 (NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) \
             (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0) 2) \"mixed\")"
        );
        assert_eq!(
            extended,
            "((\"text\" \"html\" (\"x\" \"y\" \"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 0 NIL (\"inline\" (\"filename\" \"a\\\"b\")) (\"de\" \"en\") NIL)\
             (\"message\" \"rfc822\" NIL \"<1>\" NIL \"7bit\" 15 (NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) \
             (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0 NIL NIL NIL NIL) 2 NIL NIL NIL NIL) \
             \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)"
        );
    }
}
