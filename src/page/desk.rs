//! The pages besides the lists: a message's frame of actions, history, requests, status, reports.

use super::layout::{Frame, form_token, page};
use super::list::{Action, actions, time};
use super::message::{MessageView, render as render_message};
use super::texts::{Common, Desk, Site, fill};
use maud::{Markup, html};

/// One line of the history.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// When.
    pub time: (String, String),
    /// What happened, with the verbs.
    pub event: String,
    /// To whose message.
    pub recipient: String,
    /// Where the message is shown, if it is still there.
    pub href: String,
    /// By whom.
    pub by: String,
    /// What the other side answered.
    pub answer: String,
}

/// What happened, newest first.
pub fn history(frame: &Frame, lines: &[Line], older: Option<&str>) -> Markup {
    let (common, texts) = (Common::of(frame.language), Desk::of(frame.language));
    page(
        frame,
        html! {
            h1 { (common.history) }
            @if lines.is_empty() { p.empty { (texts.nothing_yet) } } @else {
                table.plain {
                    thead { tr {
                        th scope="col" { (texts.time) } th scope="col" { (texts.event) } th scope="col" { (common.recipient) }
                        th scope="col" { (texts.by) } th scope="col" { (texts.answer) }
                    } }
                    tbody {
                        @for line in lines {
                            tr {
                                td { (time(&line.time)) }
                                td { a href=(line.href) { (line.event) } }
                                td { (line.recipient) }
                                td { (line.by) }
                                td { (line.answer) }
                            }
                        }
                    }
                }
            }
            nav.pages aria-label=(common.history) { @if let Some(href) = older { a href=(href) rel="next" { (texts.older) } } }
        },
    )
}

/// A request that waits.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The message's id.
    pub id: String,
    /// Where the message is shown.
    pub href: String,
    /// When it was asked.
    pub time: (String, String),
    /// By whom.
    pub by: String,
    /// What is asked.
    pub what: String,
    /// The message.
    pub subject: String,
    /// Its sender.
    pub from: String,
    /// What the filter took it for.
    pub kind: &'static str,
}

/// Requests that this account may decide, and those that it filed.
pub fn requests(frame: &Frame, to_decide: &[Asked], own: &[Asked]) -> Markup {
    let (common, texts) = (Common::of(frame.language), Desk::of(frame.language));
    let table = |asked: &[Asked], decides: bool| {
        html! {
            table.plain {
                thead { tr {
                    th scope="col" { (texts.time) } th scope="col" { (texts.by) } th scope="col" { (texts.what) }
                    th scope="col" { (common.sender) } th scope="col" { (common.subject) }
                    @if decides { th scope="col" { (Site::of(frame.language).actions) } }
                } }
                tbody { @for one in asked { tr {
                    td { (time(&one.time)) }
                    td { (one.by) }
                    td { (one.what) }
                    td { (one.from) }
                    td { a href=(one.href) { (one.subject) } " " span.badge { (one.kind) } }
                    @if decides { td {
                        form method="post" action="/requests" {
                            (form_token(&frame.form_token))
                            input type="hidden" name="id" value=(one.id);
                            button.main type="submit" name="decision" value="grant" { (texts.grant) } " "
                            button type="submit" name="decision" value="decline" { (texts.decline) }
                        }
                    } }
                } } }
            }
        }
    };
    page(
        frame,
        html! {
            h1 { (texts.requests) }
            @if to_decide.is_empty() && own.is_empty() { p.empty { (texts.no_requests) } }
            @if !to_decide.is_empty() { h2 { (texts.waiting_for_you) } (table(to_decide, true)) }
            @if !own.is_empty() { h2 { (texts.waiting_for_others) } (table(own, false)) }
        },
    )
}

/// How things are.
#[derive(Debug, Clone, Default)]
pub struct StatusView {
    /// Folder, messages, size.
    pub folders: Vec<(&'static str, u32, String)>,
    /// Orders, deliveries and trainings, for accounts that see everything.
    pub queue: Option<usize>,
    /// The oldest of them.
    pub oldest: Option<(String, String)>,
    /// Free bytes of the disk and their share, for accounts that see everything.
    pub disk: Option<String>,
    /// Digests since the start, for accounts that see everything, when anybody gets them.
    pub digests: Option<Digests>,
    /// Messages that go within a day.
    pub going: u32,
    /// Messages by hour of arrival, oldest first.
    pub hours: Vec<u32>,
    /// Logins that see mail of this scope.
    pub accounts: Vec<String>,
}

/// What became of digests.
#[derive(Debug, Clone, Default)]
pub struct Digests {
    /// How many the mail server took.
    pub sent: u64,
    /// When it last did.
    pub last: Option<(String, String)>,
    /// When it last did not, and why, if nothing was taken since.
    pub failed: Option<((String, String), String)>,
}

/// How things are.
pub fn status(frame: &Frame, view: &StatusView) -> Markup {
    let texts = Desk::of(frame.language);
    page(
        frame,
        html! {
            h1 { (texts.status) }
            ul.cards {
                @for (name, messages, size) in &view.folders { li { (name) b { (messages) } (size) } }
                li { (texts.next_expiry) b { (view.going) } }
                @if let Some(queue) = view.queue {
                    li { (texts.queue) b { (queue) }
                        (texts.oldest) ": " @match &view.oldest { Some(moment) => (time(moment)), None => (texts.none) }
                    }
                }
                @if let Some(digests) = &view.digests {
                    li { (texts.digests) b { (digests.sent) }
                        (texts.digest_last) ": " @match &digests.last { Some(moment) => (time(moment)), None => (texts.none) }
                        @if let Some((moment, why)) = &digests.failed { br; (texts.digest_failed) ": " (time(moment)) " " (why) }
                    }
                }
                @if let Some(disk) = &view.disk { li { (texts.disk) b { (disk) } } }
            }
            h2 { (texts.intake) }
            (chart(&view.hours, texts))
            @if !view.accounts.is_empty() {
                h2 { (texts.accounts) }
                ul { @for login in &view.accounts { li { (login) } } }
            }
        },
    )
}

/// Bars, one an hour.
fn chart(hours: &[u32], texts: &Desk) -> Markup {
    const HEIGHT: u32 = 100;
    let most = hours.iter().copied().max().unwrap_or(0);
    let all: u32 = hours.iter().sum();
    let text = fill(texts.per_hour, &[&most.to_string(), &all.to_string()]);
    html! {
        svg.chart viewBox=(format!("0 0 {} {}", hours.len() * 10, HEIGHT + 4)) role="img" aria-label=(text) {
            @for (at, count) in hours.iter().enumerate() {
                @let height = (count * HEIGHT).checked_div(most).unwrap_or(0).max(u32::from(*count > 0));
                rect x=(at * 10 + 1) y=(HEIGHT - height + 2) width="8" height=(height) {}
            }
        }
        p { (text) }
    }
}

/// The form for a message that the filter judged wrongly.
pub fn report(frame: &Frame) -> Markup {
    let texts = Desk::of(frame.language);
    page(
        frame,
        html! {
            h1 { (texts.report) }
            p { (texts.report_intro) }
            form.sign-in method="post" action="/report" enctype="multipart/form-data" {
                (form_token(&frame.form_token))
                label for="file" { (texts.file) }
                input #file type="file" name="file" accept=".eml,message/rfc822" required;
                label { input type="radio" name="as" value="spam" checked; " " (texts.is_spam) }
                label { input type="radio" name="as" value="not-spam"; " " (texts.is_ham) }
                button.main type="submit" { (texts.hand_in) }
            }
        },
    )
}

/// A message, with what can be done with it.
pub struct Shown<'a> {
    /// The message.
    pub view: &'a MessageView,
    /// What stands for it in forms.
    pub key: &'a str,
    /// The list where it is.
    pub list: &'a str,
    /// What can be done.
    pub actions: &'a [Action],
    /// Where its sender is allowed and blocked, and what that is called.
    pub sender: &'a [(String, &'static str)],
    /// The frame with its HTML.
    pub frame: Option<String>,
}

/// The page of a message.
pub fn message(frame: &Frame, shown: &Shown<'_>) -> Markup {
    let (site, texts) = (Site::of(frame.language), Desk::of(frame.language));
    page(
        frame,
        html! {
            p { a href=(shown.list) data-back { (site.back) } }
            form method="post" action="/act" {
                (form_token(&frame.form_token))
                input type="hidden" name="from" value=(shown.list);
                input type="hidden" name="m" value=(shown.key);
                div.bar role="toolbar" aria-label=(site.actions) {
                    (actions(shown.actions))
                    @for (href, name) in shown.sender { a.button href=(href) { (name) } }
                }
            }
            @if let Some(href) = &shown.frame {
                section #html {
                    h2 { (texts.html_view) }
                    p { (texts.html_note) }
                    iframe sandbox="" src=(href) title=(texts.html_view) referrerpolicy="no-referrer" loading="lazy" {}
                }
            }
            (render_message(shown.view, frame.language))
        },
    )
}

/// Text at full length: a message's own, or its source.
pub fn plain(frame: &Frame, name: &str, back: &str, text: &str, was_cut: bool) -> Markup {
    let texts = Desk::of(frame.language);
    page(
        frame,
        html! {
            p { a href=(back) data-back { (texts.back) } }
            h1 { (name) }
            pre.source dir="auto" tabindex="0" { (text) }
            @if was_cut { p { (texts.was_cut) } }
        },
    )
}
