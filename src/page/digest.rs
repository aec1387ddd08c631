//! The mail that lists what was kept: text and HTML side by side (RFC 2046 5.1.4). Whatever a caught message says is shown
//! as one line without hidden characters; it can neither begin a header field nor turn a line around.

use super::filename::is_hidden;
use super::texts::{Common, Digest, Language, fill};
use crate::mail::compose::{display_name, header_text, quoted_printable};
use maud::{DOCTYPE, Markup, html};

/// Letters of a sender or subject.
const LETTERS: usize = 160;

/// A digest.
#[derive(Debug, Clone, Default)]
pub struct DigestView {
    /// The reader's language.
    pub language: Language,
    /// From whom it is: an address.
    pub from: String,
    /// To whom it goes: an address.
    pub to: String,
    /// Of whose mail it is.
    pub login: String,
    /// Messages of several recipients are in it.
    pub is_wide: bool,
    /// When it was made (RFC 5322 3.3).
    pub date: String,
    /// What it is called for ever, without angle brackets; the same when the same digest is sent twice.
    pub message_id: String,
    /// Our name.
    pub host: String,
    /// What is listed, newest first.
    pub rows: Vec<Row>,
    /// So many are new besides.
    pub more: u32,
    /// Where all of it can be seen.
    pub page: String,
    /// Deletes what is listed.
    pub delete_all: String,
    /// Ends these mails; one click (RFC 8058).
    pub unsubscribe: String,
}

/// A message in it.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// Who it says that it is from; `None`: it could not be read.
    pub from: Option<String>,
    /// The sender's address, where that says more.
    pub address: String,
    /// Its subject.
    pub subject: String,
    /// Whose it is.
    pub recipient: String,
    /// When it came, for people.
    pub arrived: String,
    /// When it goes.
    pub expires: Option<String>,
    /// What the filter took it for, unless spam.
    pub kind: Option<&'static str>,
    /// The link to release it; empty: it cannot be.
    pub release: String,
    /// That link only asks for it.
    pub is_request: bool,
    /// The link to release it and tell the filter; empty: it cannot be.
    pub release_train: String,
    /// The link to delete it.
    pub delete: String,
}

/// One line of a caught message's text.
fn line(text: &str) -> String {
    let shown = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !is_hidden(*c));
    let mut out: String = shown.take(LETTERS + 1).collect();
    if out.chars().count() > LETTERS {
        out.pop();
        out.push('…');
    }
    out
}

impl DigestView {
    /// Its subject.
    pub fn subject(&self) -> String {
        let texts = Digest::of(self.language);
        let count = self.rows.len() as u64 + u64::from(self.more);
        match (count, self.is_wide) {
            (1, false) => texts.one.to_string(),
            (count, false) => fill(texts.many, &[&count.to_string()]),
            (1, true) => fill(texts.one_of, &[&self.login]),
            (count, true) => fill(texts.many_of, &[&count.to_string(), &self.login]),
        }
    }

    /// The whole mail, lines ending in CRLF.
    pub fn mail(&self) -> Vec<u8> {
        let texts = Digest::of(self.language);
        // A boundary cannot stand in quoted-printable: there "=_" is no code (RFC 2045 6.7).
        let boundary = "=_lazaret-digest";
        let mut out = String::new();
        let mut field = |name: &str, value: &str| {
            out.push_str(name);
            out.push_str(": ");
            out.push_str(value);
            out.push_str("\r\n");
        };
        field("Date", &self.date);
        field("From", &format!("{}\r\n <{}>", display_name(texts.sender_name), self.from));
        field("To", &format!("<{}>", self.to));
        field("Subject", &header_text(&self.subject()));
        field("Message-ID", &format!("<{}>", self.message_id));
        // RFC 3834 5
        field("Auto-Submitted", "auto-generated");
        field("Precedence", "bulk");
        field("List-Id", &format!("<digest.{}>", self.host));
        // RFC 2369 3.2, RFC 8058 3.1
        field("List-Unsubscribe", &format!("<{}>", self.unsubscribe));
        field("List-Unsubscribe-Post", "List-Unsubscribe=One-Click");
        field("Content-Language", self.language.code());
        field("MIME-Version", "1.0");
        field("Content-Type", &format!("multipart/alternative; boundary=\"{boundary}\""));
        for (media_type, text) in [("text/plain", self.text()), ("text/html", self.html().into_string())] {
            out.push_str(&format!(
                "\r\n--{boundary}\r\nContent-Type: {media_type}; charset=utf-8\r\n\
                 Content-Transfer-Encoding: quoted-printable\r\n\r\n{}\r\n",
                quoted_printable(&text)
            ));
        }
        out.push_str(&format!("\r\n--{boundary}--\r\n"));
        out.into_bytes()
    }

    /// As plain text.
    pub fn text(&self) -> String {
        let (texts, common) = (Digest::of(self.language), Common::of(self.language));
        let mut out = format!("{}\n\n{}\n{}\n", self.subject(), texts.intro, texts.careful);
        for row in &self.rows {
            out.push_str(&format!("\n----\n{}: {}\n", common.subject, self.row_subject(row)));
            out.push_str(&format!("{}: {}\n", texts.from, row_from(row)));
            if self.is_wide {
                out.push_str(&format!("{}: {}\n", texts.to, line(&row.recipient)));
            }
            out.push_str(&format!("{}: {}\n", texts.arrived, row.arrived));
            if let Some(expires) = &row.expires {
                out.push_str(&format!("{}: {expires}\n", common.expires));
            }
            let release = if row.is_request { texts.on_request } else { common.release };
            if !row.release.is_empty() {
                out.push_str(&format!("\n{release}:\n{}\n", row.release));
            }
            if !row.release_train.is_empty() {
                out.push_str(&format!("{}:\n{}\n", common.release_train, row.release_train));
            }
            out.push_str(&format!("{}:\n{}\n", common.delete, row.delete));
        }
        out.push_str("\n----\n");
        if self.more > 0 {
            out.push_str(&format!("{}\n", fill(texts.more, &[&self.more.to_string()])));
        }
        for (label, href) in [
            (texts.all_in_browser, &self.page),
            (texts.delete_all, &self.delete_all),
            (texts.unsubscribe, &self.unsubscribe),
        ] {
            out.push_str(&format!("\n{label}:\n{href}\n"));
        }
        out
    }

    fn row_subject(&self, row: &Row) -> String {
        let subject = match &row.from {
            None => Digest::of(self.language).unreadable.to_string(),
            Some(_) => line(&row.subject),
        };
        let subject = match subject.trim() {
            "" => Common::of(self.language).no_subject.to_string(),
            subject => subject.to_string(),
        };
        row.kind.map(|kind| format!("[{kind}] {subject}")).unwrap_or(subject)
    }

    /// As HTML for mail programs: tables and styles in place, no picture, nothing that is loaded. Colours come from the
    /// reader's own scheme; what stands out does so by weight and lines.
    pub fn html(&self) -> Markup {
        let (texts, common) = (Digest::of(self.language), Common::of(self.language));
        html! {
            (DOCTYPE)
            html lang=(self.language.code()) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="supported-color-schemes" content="light dark";
                    title { (self.subject()) }
                }
                body style="margin:0;padding:0" {
                    table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style=(FRAME) {
                        tr { td align="center" style="padding:16px" {
                            table role="presentation" width="640" cellpadding="0" cellspacing="0" border="0" style="width:100%;max-width:640px;text-align:left" {
                                tr { td style="padding:0 0 12px 0" {
                                    h1 style="font-size:20px;line-height:26px;margin:0 0 8px 0" { (self.subject()) }
                                    p style=(SMALL) { (texts.intro) " " (texts.careful) }
                                } }
                                @for row in &self.rows { (self.row(row)) }
                                tr { td style=(CELL) {
                                    @if self.more > 0 { p style=(SMALL) { (fill(texts.more, &[&self.more.to_string()])) } }
                                    p style=(SMALL) { (link(&self.page, texts.all_in_browser, true)) }
                                    p style=(SMALL) { (link(&self.delete_all, texts.delete_all, false)) }
                                    p style=(SMALL) { (link(&self.unsubscribe, texts.unsubscribe, false)) }
                                    p style=(SMALL) { (common.recipient) ": " (line(&self.login)) }
                                } }
                            }
                        } }
                    }
                }
            }
        }
    }

    fn row(&self, row: &Row) -> Markup {
        let (texts, common) = (Digest::of(self.language), Common::of(self.language));
        html! {
            tr { td style=(CELL) {
                div style="font-size:16px;line-height:22px;font-weight:bold;word-break:break-word" dir="auto" { (self.row_subject(row)) }
                div style="word-break:break-word" dir="auto" { (row_from(row)) }
                div style="font-size:13px;line-height:18px" {
                    @if self.is_wide { (texts.to) ": " (line(&row.recipient)) br; }
                    (texts.arrived) ": " (row.arrived)
                    @if let Some(expires) = &row.expires { " · " (common.expires) ": " (expires) }
                }
                table role="presentation" cellpadding="0" cellspacing="0" border="0" style="margin-top:8px" { tr {
                    @if !row.release.is_empty() { td style="padding:0 20px 0 0" { (link(&row.release, if row.is_request { texts.on_request } else { common.release }, true)) } }
                    @if !row.release_train.is_empty() { td style="padding:0 20px 0 0" { (link(&row.release_train, common.release_train, false)) } }
                    td { (link(&row.delete, common.delete, false)) }
                } }
            } }
        }
    }
}

const FRAME: &str = "font-family:Segoe UI,Helvetica,Arial,sans-serif;font-size:15px;line-height:21px";
const SMALL: &str = "margin:0 0 8px 0;font-size:14px;line-height:20px";
const CELL: &str = "padding:12px 0;border-top:1px solid #8888";

fn row_from(row: &Row) -> String {
    let from = line(row.from.as_deref().unwrap_or_default());
    let address = line(&row.address);
    if address.is_empty() || from == address { from } else { format!("{from} <{address}>") }
}

fn link(href: &str, label: &str, is_main: bool) -> Markup {
    let style = if is_main { "font-weight:bold" } else { "" };
    html! { a href=(href) style=(style) { (label) } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::texts::Language;
    use proptest::prelude::*;

    fn view(subject: &str, from: &str) -> DigestView {
        let row = Row {
            from: Some(from.to_string()),
            address: "spam@far.test".into(),
            subject: subject.to_string(),
            recipient: "alice@x.test".into(),
            arrived: "2026-01-01 08:00".into(),
            expires: Some("2026-01-15 08:00".into()),
            release: "https://q.x.test/link/RELEASE".into(),
            release_train: "https://q.x.test/link/TRAIN".into(),
            delete: "https://q.x.test/link/DELETE".into(),
            ..Row::default()
        };
        DigestView {
            from: "lazaret@x.test".into(),
            to: "alice@x.test".into(),
            login: "alice@x.test".into(),
            date: "Mon, 02 Jan 2006 15:04:05 +0000".into(),
            message_id: "digest.1@x.test".into(),
            host: "mx.x.test".into(),
            rows: vec![row],
            page: "https://q.x.test/caught".into(),
            delete_all: "https://q.x.test/link/ALL".into(),
            unsubscribe: "https://q.x.test/link/NO".into(),
            ..DigestView::default()
        }
    }

    fn header(mail: &[u8]) -> String {
        let text = std::str::from_utf8(mail).unwrap();
        text.split("\r\n\r\n").next().unwrap().to_string()
    }

    #[test]
    fn it_says_what_it_is_and_how_to_end_it() {
        let view = view("You won", "Prize <x>");
        let mail = view.mail();
        let header = header(&mail);
        for wanted in [
            "Subject: 1 message was kept for you",
            "Auto-Submitted: auto-generated",
            "List-Unsubscribe: <https://q.x.test/link/NO>",
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
            "Message-ID: <digest.1@x.test>",
        ] {
            assert!(header.split("\r\n").any(|line| line == wanted), "{wanted} in {header}");
        }
        for text in [view.text(), view.html().into_string()] {
            for link in ["RELEASE", "TRAIN", "DELETE", "ALL", "NO"] {
                assert!(text.contains(&format!("https://q.x.test/link/{link}")), "{link} in {text}");
            }
            assert!(text.contains("You won"));
        }
    }

    #[test]
    fn hostile_subjects_stay_one_harmless_line() {
        let hostile = "a\r\nBcc: everybody@x\u{202e}gpj.exe<script>alert(1)</script>\u{200b}\u{0}";
        let view = view(hostile, hostile);
        let text = view.text();
        assert!(!text.contains('\u{202e}') && !text.contains("\nBcc:") && !text.contains('\u{0}'), "{text}");
        let html = view.html().into_string();
        assert!(!html.contains("<script") && html.contains("&lt;script"), "{html}");
        assert!(!header(&view.mail()).contains("Bcc"));
    }

    #[test]
    fn languages_and_counts() {
        for language in Language::ALL {
            let base = view("x", "y");
            let many = DigestView { language, rows: vec![base.rows[0].clone(); 3], more: 2, ..base };
            assert!(many.subject().contains('5'), "{}", many.subject());
            let wide = DigestView { is_wide: true, login: "x.test".into(), ..many };
            assert!(wide.subject().contains("x.test") && wide.text().contains("alice@x.test"));
        }
    }

    proptest! {
        #[test]
        fn any_message_makes_a_mail(subject in ".{0,300}", from in ".{0,300}") {
            let mail = view(&subject, &from).mail();
            let text = std::str::from_utf8(&mail).unwrap();
            prop_assert!(text.is_ascii());
            prop_assert!(text.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
            prop_assert_eq!(text.matches("--=_lazaret-digest").count(), 3);
            prop_assert_eq!(header(&mail).split("\r\n").filter(|l| !l.starts_with(' ')).count(), 13);
        }
    }
}
