//! A list of messages: search, actions, rows.

use super::layout::{Frame, form_token, page};
use super::texts::{Common, Site, fill};
use maud::{Markup, html};

/// A list.
#[derive(Debug, Clone, Default)]
pub struct ListView {
    /// Where it is (`/caught`).
    pub href: String,
    /// Its name.
    pub name: String,
    /// Messages of several recipients are in it.
    pub is_wide: bool,
    /// What can be done, in order.
    pub actions: Vec<Action>,
    /// What was searched for.
    pub search: String,
    /// Why it was not.
    pub bad_search: Option<String>,
    /// All messages of the folder.
    pub total: u32,
    /// The messages of this page.
    pub rows: Vec<RowView>,
    /// There are newer ones.
    pub newest: Option<String>,
    /// There are older ones.
    pub older: Option<String>,
    /// The search has not looked at all that is older.
    pub is_broken_off: bool,
}

/// Something that can be done with messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Its word in forms.
    pub word: &'static str,
    /// Its name.
    pub label: &'static str,
    /// Its key.
    pub key: &'static str,
    /// It is what is done most.
    pub is_main: bool,
}

/// A message in a list.
#[derive(Debug, Clone, Default)]
pub struct RowView {
    /// What stands for it in forms: recipient and id.
    pub key: String,
    /// Where it is shown.
    pub href: String,
    /// Who it says that it is from.
    pub from: String,
    /// The sender's address, where that says more.
    pub address: String,
    /// Whose it is.
    pub recipient: String,
    /// Its subject.
    pub subject: String,
    /// What the filter took it for, unless spam.
    pub kind: Option<&'static str>,
    /// The filter's score.
    pub score: String,
    /// What counted most.
    pub reason: String,
    /// When it came: for programs, and for people.
    pub arrived: (String, String),
    /// When it goes.
    pub expires: Option<(String, String)>,
    /// Nobody has opened it.
    pub is_unread: bool,
    /// What became of it, or waits.
    pub states: Vec<&'static str>,
}

/// A point in time, for people and, more exactly, for programs.
pub fn time(moment: &(String, String)) -> Markup {
    html! { time datetime=(moment.0) { (moment.1) } }
}

/// The buttons of a list or of a message.
pub fn actions(list: &[Action]) -> Markup {
    html! {
        @for action in list {
            button.main[action.is_main] type="submit" name="action" value=(action.word) data-key=(action.key) { (action.label) }
        }
    }
}

/// The whole page.
pub fn render(frame: &Frame, view: &ListView) -> Markup {
    let (common, site) = (Common::of(frame.language), Site::of(frame.language));
    let found = !view.search.is_empty();
    let content = html! {
        h1 { (view.name) }
        form.search role="search" method="get" action=(view.href) {
            label.hidden for="q" { (site.search) }
            input #q type="search" name="q" value=(view.search) placeholder=(site.search_hint) maxlength="1000";
            button type="submit" { (site.search) }
            @if found { a href=(view.href) { (site.clear) } }
        }
        @if let Some(why) = &view.bad_search { p.refusal role="alert" { (fill(site.bad_search, &[why])) } }
        @if view.rows.is_empty() {
            p.empty { @if found { (site.nothing_found) } @else { (site.empty) } }
        } @else {
            form #list method="post" action="/act" {
                (form_token(&frame.form_token))
                input type="hidden" name="from" value=(view.href);
                input type="hidden" name="q" value=(view.search);
                div.bar role="toolbar" aria-label=(site.actions) {
                    label.all hidden { input #all type="checkbox"; span.hidden { (site.select_all) } }
                    (actions(&view.actions))
                    span #selected {}
                    label.whole {
                        input #whole type="checkbox" name="whole" value="1";
                        " " @if found { (site.whole_found) } @else { (fill(site.whole, &[&view.total.to_string()])) }
                    }
                }
                table.list {
                    thead { tr {
                        th scope="col" { span.hidden { (site.select_all) } }
                        th scope="col" { (common.sender) }
                        @if view.is_wide { th scope="col" { (common.recipient) } }
                        th scope="col" { (common.subject) }
                        th.number scope="col" { (common.score) }
                        th scope="col" { (common.reason) }
                        th scope="col" { (common.date) }
                        th scope="col" { (common.expires) }
                    } }
                    tbody {
                        @for row in &view.rows {
                            (self::row(row, view.is_wide, site, common))
                        }
                    }
                }
            }
        }
        @if view.is_broken_off { p { (site.broken_off) } }
        nav.pages aria-label=(view.name) {
            @if let Some(href) = &view.newest { a href=(href) rel="first" { (site.newest) } }
            " "
            @if let Some(href) = &view.older {
                a href=(href) rel="next" { @if view.is_broken_off { (site.go_on) } @else { (site.older) } }
            }
        }
    };
    page(frame, content)
}

fn row(row: &RowView, is_wide: bool, site: &Site, common: &Common) -> Markup {
    let subject = if row.subject.is_empty() { common.no_subject } else { &row.subject };
    html! {
        tr.unread[row.is_unread] {
            td.tick { label { input type="checkbox" name="m" value=(row.key) aria-label=(fill(site.select, &[subject])); } }
            td.from title=(row.address) { (row.from) }
            @if is_wide { td.to { (row.recipient) } }
            td.subject {
                a href=(row.href) { (subject) }
                @if row.is_unread { span.hidden { " (" (site.unread) ")" } }
                @if let Some(kind) = row.kind { " " span.badge { (kind) } }
                @for state in &row.states { " " span.badge.state { (state) } }
            }
            td.number { (row.score) }
            td.reason { (row.reason) }
            td.when { (time(&row.arrived)) }
            td.when { @match &row.expires { Some(moment) => (time(moment)), None => (site.never) } }
        }
    }
}
