//! What a link of a digest shows: first what it would do, with one button; then what became of it.

use super::layout::{Frame, bare, form_token, page};
use super::texts::{Common, Digest, Language, Site};
use maud::{Markup, html};

/// What a link would do.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// As a question.
    pub question: String,
    /// The message: what each line is called, and what stands there.
    pub about: Vec<(&'static str, String)>,
    /// What the button is called.
    pub button: &'static str,
    /// Where the button leads.
    pub action: String,
}

/// What became of it.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Sentences.
    pub texts: Vec<String>,
    /// It was refused.
    pub is_refusal: bool,
    /// How it can be taken back: what the button is called, and where it leads.
    pub back: Option<(&'static str, String)>,
}

/// What would happen.
pub fn ask(language: Language, asked: &Asked) -> Markup {
    let texts = Digest::of(language);
    let content = html! {
        h1 { (asked.question) }
        @if !asked.about.is_empty() {
            dl { @for (name, value) in &asked.about { dt { (name) } dd dir="auto" { (value) } } }
        }
        form method="post" action=(asked.action) { button.main type="submit" { (asked.button) } }
        p { (texts.cancel) }
    };
    bare(language, &asked.question, content)
}

/// What has happened.
pub fn told(language: Language, told: &Told) -> Markup {
    let content = html! {
        h1 { "Lazaret" }
        div.notice.refusal[told.is_refusal] role="status" {
            @for text in &told.texts { p { (text) } }
            @if let Some((label, href)) = &told.back {
                form method="post" action=(href) { button type="submit" { (label) } }
            }
        }
        p { a href="/" { (Site::of(language).back) } }
    };
    bare(language, "Lazaret", content)
}

/// Whether the reader's own digest is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// It is.
    On,
    /// He does not want it.
    Off,
    /// Nobody's is.
    Nobody,
}

/// The settings of the reader's own digest.
pub fn settings(frame: &Frame, wanted: Wanted) -> Markup {
    let (texts, common) = (Digest::of(frame.language), Common::of(frame.language));
    let (state, button, value) = match wanted {
        Wanted::On => (texts.settings_on, texts.yes_unsubscribe, "off"),
        Wanted::Off => (texts.settings_off, texts.yes_subscribe, "on"),
        Wanted::Nobody => (texts.settings_none, "", ""),
    };
    let content = html! {
        h1 { (texts.settings) }
        p { (common.recipient) ": " (frame.login) }
        p { (state) }
        @if !button.is_empty() {
            form method="post" action="/digest" {
                (form_token(&frame.form_token))
                button.main type="submit" name="digest" value=(value) { (button) }
            }
        }
    };
    page(frame, content)
}
