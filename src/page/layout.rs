//! The frame around every page: header, folders, notice, footer.

use super::texts::{Common, Language, Site};
use maud::{DOCTYPE, Markup, html};

/// The style sheet, served as `/style.css`.
pub const STYLE: &str = include_str!("style.css");
/// The script, served as `/script.js`. Every page works without it.
pub const SCRIPT: &str = include_str!("script.js");
/// The picture, served as `/icon.svg`.
pub const ICON: &str = include_str!("icon.svg");

/// What every page of somebody who is signed in shows.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    /// The language.
    pub language: Language,
    /// The page's own name.
    pub title: String,
    /// Who is signed in.
    pub login: String,
    /// What each form must hold.
    pub form_token: String,
    /// Folders and other pages.
    pub tabs: Vec<Tab>,
    /// What became of the last action.
    pub notice: Option<Notice>,
}

/// A folder, or another page.
#[derive(Debug, Clone, Default)]
pub struct Tab {
    /// Where it is.
    pub href: String,
    /// Its name.
    pub label: String,
    /// How many messages, or requests, wait there.
    pub count: Option<u32>,
    /// Those of them that were not read.
    pub unread: u32,
    /// It is shown now.
    pub is_current: bool,
}

/// What became of an action.
#[derive(Debug, Clone, Default)]
pub struct Notice {
    /// Sentences.
    pub texts: Vec<String>,
    /// It was refused, all or part of it.
    pub is_refusal: bool,
    /// It can be undone.
    pub can_undo: bool,
}

/// The field that each form of a session holds.
pub fn form_token(token: &str) -> Markup {
    html! { input type="hidden" name="csrf" value=(token); }
}

fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            title { (title) @if !title.is_empty() { " · " } "Lazaret" }
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            link rel="icon" href="/icon.svg" type="image/svg+xml";
            link rel="stylesheet" href="/style.css";
            script src="/script.js" defer {}
        }
    }
}

/// A page of somebody who is signed in.
pub fn page(frame: &Frame, content: Markup) -> Markup {
    let (common, site) = (Common::of(frame.language), Site::of(frame.language));
    html! {
        (DOCTYPE)
        html lang=(frame.language.code()) {
            (head(&frame.title))
            body data-new=(site.new_mail) data-show=(site.show) data-selected=(site.selected) data-none=(site.none_selected) {
                a.skip href="#content" { (site.skip) }
                header.top {
                    a.brand href="/" { "Lazaret" }
                    nav aria-label=(site.folders) {
                        ul {
                            @for tab in &frame.tabs {
                                li { a href=(tab.href) aria-current=[tab.is_current.then_some("page")] {
                                    (tab.label)
                                    @if let Some(count) = tab.count { " " span.count { (count) } }
                                } }
                            }
                        }
                    }
                    form.account method="post" action="/sign-out" {
                        (form_token(&frame.form_token))
                        span.login { (frame.login) }
                        " "
                        button.quiet type="submit" { (site.sign_out) }
                    }
                }
                div #live role="status" aria-live="polite" {}
                @if let Some(notice) = &frame.notice {
                    div.notice.refusal[notice.is_refusal] role="status" {
                        div { @for text in &notice.texts { p { (text) } } }
                        @if notice.can_undo {
                            form method="post" action="/undo" {
                                (form_token(&frame.form_token))
                                button type="submit" { (common.undo) }
                            }
                        }
                    }
                }
                main #content tabindex="-1" { (content) }
                footer {
                    // The script shows them in the reader's own zone.
                    noscript { p { (site.times_utc) } }
                    details #keys { summary { (site.keys) } p { (site.keys_help) } }
                }
            }
        }
    }
}

/// A page for whoever: the sign-in, a refusal.
pub fn bare(language: Language, title: &str, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(language.code()) {
            (head(title))
            body.bare { main #content { (content) } }
        }
    }
}

/// The sign-in.
pub fn sign_in(language: Language, seal: &str, login: &str, trouble: Option<&str>) -> Markup {
    let site = Site::of(language);
    let content = html! {
        h1 { "Lazaret" }
        form.sign-in method="post" action="/sign-in" {
            (form_token(seal))
            @if let Some(trouble) = trouble { p.refusal role="alert" { (trouble) } }
            label for="login" { (site.login) }
            input #login name="login" value=(login) autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus[login.is_empty()];
            label for="password" { (site.password) }
            input #password name="password" type="password" autocomplete="current-password" required autofocus[!login.is_empty()];
            button.main type="submit" { (site.sign_in) }
        }
    };
    bare(language, site.sign_in, content)
}

/// A sentence and a way out of it.
pub fn refusal(language: Language, text: &str) -> Markup {
    let site = Site::of(language);
    bare(
        language,
        "Lazaret",
        html! {
            h1 { "Lazaret" }
            p.refusal role="alert" { (text) }
            p { a href="/" { (site.back) } }
        },
    )
}
