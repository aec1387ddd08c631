//! One caught message as a page: why it was caught, who sent it, what it says, and what is attached. What stands around it
//! (navigation, the buttons) is not made here.

use super::filename::visible;
use super::reasons::{Reason, Sorted};
use super::texts::{Language, Message, fill};
use crate::base::Timestamp;
use crate::mail::authentication::Found;
use crate::mail::trace::Told;
use crate::mail::{Class, Kind};
use maud::{Markup, html};

/// All that the page shows, as plain values. Addresses of other pages are relative.
#[derive(Debug, Clone, Default)]
pub struct MessageView {
    /// The From field as a person reads it.
    pub from: String,
    /// The To and Cc fields.
    pub to: String,
    /// The Subject field.
    pub subject: String,
    /// The Date field as its sender wrote it.
    pub date: String,
    /// When it came.
    pub arrived: Timestamp,
    /// When it will be removed; `None`: never.
    pub expires: Option<Timestamp>,
    /// Bytes.
    pub size: u64,
    /// It was so large that only its header was kept: so many bytes.
    pub cut_from: Option<u64>,
    /// Why it is here.
    pub class: Class,
    /// What the filter saw in it.
    pub kind: Kind,
    /// The filter's sum of points, as it wrote it.
    pub score: Option<String>,
    /// The filter's reasons, a line each.
    pub reasons: Vec<String>,
    /// What our side found out about the sender; `None`: nobody whom we trust says anything.
    pub authentication: Option<Vec<Found>>,
    /// Who handed it in.
    pub origin: Origin,
    /// What its sender was told.
    pub told: Told,
    /// For whom it was sent, as far as the reader may see.
    pub recipients: Vec<String>,
    /// What it says.
    pub body: Body,
    /// Its other parts.
    pub attachments: Vec<Attachment>,
    /// There are more than are listed.
    pub more_attachments: bool,
    /// Where its source is shown.
    pub source_href: String,
    /// Where it is downloaded as a file.
    pub download_href: String,
}

/// Who handed a message in. Everything but the address and the door was claimed by somebody.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The door.
    pub door: String,
    /// Address of the client.
    pub address: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// What it called itself.
    pub helo: Option<String>,
    /// The envelope's sender; "" is that of bounces.
    pub sender: String,
    /// Who had logged in to send it.
    pub user: Option<String>,
    /// The mail server's queue id.
    pub queue_id: Option<String>,
}

/// The words of a message.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// As plain text.
    pub text: String,
    /// It was made of the HTML.
    pub is_from_html: bool,
    /// Where all of it is shown, when this is only its beginning.
    pub rest_href: Option<String>,
    /// Where the HTML is shown, when there is any.
    pub html_href: Option<String>,
}

/// One attachment.
#[derive(Debug, Clone, Default)]
pub struct Attachment {
    /// Its name, made safe.
    pub name: String,
    /// What the mail calls its type.
    pub media_type: String,
    /// Its bytes, decoded.
    pub size: u64,
    /// The size is a guess from the encoded bytes, because the attachments are large.
    pub is_estimate: bool,
    /// In hexadecimal digits; `None`: it was not computed, because the attachments are large.
    pub sha256: Option<String>,
    /// Where it is downloaded.
    pub href: String,
}

/// The content of the page.
pub fn render(view: &MessageView, language: Language) -> Markup {
    let texts = Message::of(language);
    let subject = if view.subject.trim().is_empty() { texts.no_subject.to_string() } else { visible(&view.subject) };
    html! {
        article.message {
            h1 dir="auto" { (subject) }
            (head(view, texts))
            (why(view, language, texts))
            (body(view, texts))
            @if !view.attachments.is_empty() { (attachments(view, texts)) }
            (authentication(view, texts))
            (origin(view, texts))
            p.actions {
                a href=(view.source_href) { (texts.source) } " "
                a href=(view.download_href) download { (texts.download) }
            }
        }
    }
}

/// A line of a list of facts; nothing where there is nothing to say.
fn fact(name: &str, value: &str) -> Markup {
    html! { @if !value.is_empty() { dt { (name) } dd { bdi { (visible(value)) } } } }
}

fn time(name: &str, at: Timestamp) -> Markup {
    let machine = at.rfc3339();
    let human = machine.replace('T', " ").replace('Z', " UTC");
    html! { dt { (name) } dd { time datetime=(machine) { (human) } } }
}

fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{}.{} kB", count / 1_000, count % 1_000 / 100),
        _ => format!("{}.{} MB", count / 1_000_000, count % 1_000_000 / 100_000),
    }
}

fn head(view: &MessageView, texts: &Message) -> Markup {
    html! {
        dl.facts {
            (fact(texts.from, &view.from))
            (fact(texts.to, &view.to))
            (fact(texts.date, &view.date))
            (time(texts.arrived, view.arrived))
            dt { (texts.size) }
            dd {
                (bytes(view.size))
                @if let Some(size) = view.cut_from { " " (fill(texts.cut_from, &[&bytes(size)])) }
            }
            @match view.expires {
                Some(at) => (time(texts.expires, at)),
                None => (fact(texts.expires, texts.never)),
            }
        }
    }
}

fn kind(kind: Kind, texts: &Message) -> &'static str {
    match kind {
        Kind::Spam => texts.kind_spam,
        Kind::Phish => texts.kind_phish,
        Kind::Virus => texts.kind_virus,
        Kind::Banned => texts.kind_banned,
        Kind::Policy => texts.kind_policy,
    }
}

fn why(view: &MessageView, language: Language, texts: &Message) -> Markup {
    let sorted = Sorted::of(&view.reasons);
    let class = match view.class {
        Class::Incoming => texts.class_incoming,
        Class::Outgoing => texts.class_outgoing,
        Class::Unsure => texts.class_unsure,
    };
    html! {
        section.why aria-labelledby="why" {
            h2 id="why" { (texts.why) }
            p { (kind(view.kind, texts)) " " (class) }
            @if let Some(score) = &view.score { p.score { (fill(texts.sum, &[&visible(score)])) } }
            @if view.reasons.is_empty() { p { (texts.no_reasons) } }
            (heap("against", texts.against, &sorted.against, language, texts))
            (heap("favour", texts.in_favour, &sorted.in_favour, language, texts))
            (heap("neutral", texts.neutral, &sorted.neutral, language, texts))
        }
    }
}

fn heap(class: &str, title: &str, reasons: &[Reason], language: Language, texts: &Message) -> Markup {
    html! {
        @if !reasons.is_empty() {
            table class={ "reasons " (class) } {
                caption { (title) }
                thead { tr {
                    th scope="col" { (texts.points) }
                    th scope="col" { (texts.meaning) }
                    th scope="col" { (texts.symbol) }
                } }
                tbody {
                    @for reason in reasons {
                        tr {
                            td.points { @if let Some(score) = reason.score { (format!("{score:+.2}")) } }
                            td dir="auto" { (reason.meaning(language).map_or_else(|| visible(&reason.detail), String::from)) }
                            td dir="auto" {
                                @if let Some(symbol) = &reason.symbol { code { (symbol) } }
                                @if reason.meaning(language).is_some() && !reason.detail.is_empty() {
                                    " " span.detail { (visible(&reason.detail)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn authentication(view: &MessageView, texts: &Message) -> Markup {
    html! {
        section.authentication aria-labelledby="authentication" {
            h2 id="authentication" { (texts.authentication) }
            @match view.authentication.as_deref() {
                None | Some([]) => p { (texts.authentication_unknown) },
                Some(all) => dl.facts { @for found in all { (result(found, texts)) } },
            }
        }
    }
}

fn result(found: &Found, texts: &Message) -> Markup {
    let says = match (found.method.as_str(), found.result.as_str()) {
        ("spf", "pass") => texts.spf_pass,
        ("spf", "fail") => texts.spf_fail,
        ("spf", "softfail") => texts.spf_softfail,
        ("spf", "none" | "neutral") => texts.spf_none,
        ("dkim", "pass") => texts.dkim_pass,
        ("dkim", "fail" | "policy" | "neutral") => texts.dkim_fail,
        ("dkim", "none") => texts.dkim_none,
        ("dmarc", "pass") => texts.dmarc_pass,
        ("dmarc", "fail") => texts.dmarc_fail,
        ("dmarc", "none") => texts.dmarc_none,
        ("spf" | "dkim" | "dmarc", "temperror" | "permerror") => texts.check_failed,
        _ => "",
    };
    html! {
        dt { (visible(&found.method).to_uppercase()) }
        dd {
            code { (visible(&found.result)) }
            @if let Some(identity) = &found.identity { " " bdi { (visible(identity)) } }
            @if !says.is_empty() { ": " (says) }
        }
    }
}

fn origin(view: &MessageView, texts: &Message) -> Markup {
    let Origin { door, address, name, helo, sender, user, queue_id } = &view.origin;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let sender = if sender.is_empty() { texts.null_sender } else { sender };
    html! {
        section.origin aria-labelledby="origin" {
            h2 id="origin" { (texts.origin) }
            dl.facts {
                (fact(texts.client_address, &text(address)))
                (fact(texts.client_name, &text(name)))
                (fact(texts.helo, &text(helo)))
                (fact(texts.envelope_sender, sender))
                (fact(texts.user, &text(user)))
                (fact(texts.door, door))
                (fact(texts.queue_id, &text(queue_id)))
                @if !view.recipients.is_empty() {
                    dt { (texts.recipients) }
                    @for recipient in &view.recipients { dd { bdi { (visible(recipient)) } } }
                }
                dt { (texts.told) }
                dd {
                    @match &view.told {
                        Told::Unknown => (texts.told_unknown),
                        Told::Accepted => (texts.told_accepted),
                        Told::Refused(text) => { (texts.told_refused) " " q { bdi { (visible(text)) } } }
                    }
                }
            }
        }
    }
}

/// Text of several lines, with a visible mark for what a terminal or a browser would take for a command.
pub fn without_controls(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && !matches!(c, '\n' | '\t' | '\r') { '\u{fffd}' } else { c }).collect()
}

fn body(view: &MessageView, texts: &Message) -> Markup {
    let Body { text, is_from_html, rest_href, html_href } = &view.body;
    html! {
        section.body aria-labelledby="body" {
            h2 id="body" { (texts.body) }
            @if text.trim().is_empty() {
                p { (texts.no_text) }
            } @else {
                @if *is_from_html { p { (texts.from_html) } }
                pre.text dir="auto" tabindex="0" { (without_controls(text)) }
            }
            @if let Some(href) = rest_href { p { a href=(href) { (texts.rest) } } }
            @if let Some(href) = html_href { p { a href=(href) { (texts.show_html) } " " (texts.html_harmless) } }
        }
    }
}

fn attachments(view: &MessageView, texts: &Message) -> Markup {
    html! {
        section.attachments aria-labelledby="attachments" {
            h2 id="attachments" { (texts.attachments) }
            table {
                thead { tr {
                    th scope="col" { (texts.name) }
                    th scope="col" { (texts.media_type) }
                    th scope="col" { (texts.size) }
                    th scope="col" { "SHA-256" }
                } }
                tbody {
                    @for attachment in &view.attachments {
                        tr {
                            th scope="row" { a href=(attachment.href) download { bdi { (visible(&attachment.name)) } } }
                            td { (visible(&attachment.media_type)) }
                            td { @if attachment.is_estimate { "≈ " } (bytes(attachment.size)) }
                            td {
                                @match &attachment.sha256 {
                                    Some(hash) => code { (hash) },
                                    None => (texts.not_hashed),
                                }
                            }
                        }
                    }
                }
            }
            @if view.more_attachments { p { (texts.more_attachments) } }
            p { (texts.attachments_warning) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hostile() -> MessageView {
        let bad = || "\"><script>x</script>'\u{202e}\0".to_string();
        MessageView {
            from: bad(),
            to: bad(),
            subject: bad(),
            date: bad(),
            score: Some(bad()),
            reasons: vec![format!("GTUBE(1)[{}]", bad()), bad(), "NOBODY_KNOWS(-2.5)[x]".into()],
            authentication: Some(vec![Found { method: bad(), result: bad(), identity: Some(bad()) }]),
            origin: Origin {
                door: bad(),
                address: Some(bad()),
                name: Some(bad()),
                helo: Some(bad()),
                sender: bad(),
                user: Some(bad()),
                queue_id: Some(bad()),
            },
            told: Told::Refused(bad()),
            recipients: vec![bad()],
            body: Body {
                text: bad(),
                is_from_html: true,
                rest_href: Some("rest".into()),
                html_href: Some("html".into()),
            },
            attachments: vec![Attachment {
                name: bad(),
                media_type: bad(),
                href: "part/1".into(),
                ..Attachment::default()
            }],
            ..MessageView::default()
        }
    }

    #[test]
    fn nothing_of_a_message_becomes_markup() {
        let plain = render(&MessageView::default(), Language::En).into_string();
        assert!(!plain.contains("<script"));
        for language in Language::ALL {
            let page = render(&hostile(), language).into_string();
            assert!(!page.contains("<script") && page.contains("&lt;script"), "{page}");
            let without_body = page.split("<pre").next().unwrap_or_default();
            assert!(!without_body.contains(['\u{202e}', '\0']));
        }
    }

    #[test]
    fn every_fact_is_there_and_weights_are_signed() {
        let page = render(&hostile(), Language::En).into_string();
        let english = Message::of(Language::En);
        for text in
            [english.why, english.against, english.in_favour, english.neutral, english.told_refused, english.not_hashed]
        {
            assert!(page.contains(&maud::html! { (text) }.into_string()), "{text}");
        }
        assert!(page.contains("+1.00") && page.contains("-2.50") && page.contains("<code>NOBODY_KNOWS</code>"));
        let nothing = render(&MessageView::default(), Language::En).into_string();
        for text in
            [english.no_reasons, english.authentication_unknown, english.told_unknown, english.no_text, english.never]
        {
            assert!(nothing.contains(&maud::html! { (text) }.into_string()), "{text}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_549), "1.5 kB");
        assert_eq!(bytes(64 << 20), "67.1 MB");
    }
}
