//! Lists of senders: a list with its forms, and the question whether a message's sender is to be allowed or blocked.

use super::filename::visible;
use super::layout::{Frame, form_token, page};
use super::list::time;
use super::texts::{Senders, fill};
use crate::mail::senders::Sense;
use maud::{Markup, html};

/// One list.
#[derive(Debug, Clone, Default)]
pub struct SendersView {
    /// Whose it is: a login.
    pub login: String,
    /// Whom it names.
    pub rows: Vec<RowView>,
    /// Something reads the lists.
    pub is_read: bool,
    /// There are wider lists, which may block what this one allows.
    pub has_wider: bool,
    /// The other lists, for whoever may see them all: login, and how many it names.
    pub others: Option<Vec<(String, usize)>>,
    /// Of these, so many are not listed.
    pub more: usize,
}

/// A sender in a list.
#[derive(Debug, Clone)]
pub struct RowView {
    /// Wanted or not.
    pub sense: Sense,
    /// Who.
    pub sender: String,
    /// When it was added: for programs, and for people.
    pub since: Option<(String, String)>,
    /// By whom, or a remark.
    pub by: String,
    /// Whose list blocks it all the same.
    pub overruled_by: Option<String>,
}

/// Where a list is shown; `login` is encoded.
pub const SENDERS: &str = "/senders";

fn state(sense: Sense, texts: &Senders) -> &'static str {
    match sense {
        Sense::Allow => texts.allowed,
        Sense::Block => texts.blocked,
    }
}

/// A list, and the form that adds to it.
pub fn list(frame: &Frame, view: &SendersView) -> Markup {
    let texts = Senders::of(frame.language);
    let hidden = html! {
        (form_token(&frame.form_token))
        input type="hidden" name="list" value=(view.login);
    };
    page(
        frame,
        html! {
            h1 { (texts.senders) }
            p.prose { (texts.intro) @if view.has_wider { " " (texts.wider) } }
            @if !view.is_read { p.refusal role="note" { (texts.not_read) } }
            @if view.others.is_some() {
                form.search method="get" action=(SENDERS) {
                    label for="whose" { (texts.whose) }
                    input #whose type="text" name="list" autocapitalize="none" spellcheck="false" required;
                    button type="submit" { (texts.show) }
                }
            }
            h2 { (fill(texts.list_of, &[&visible(&view.login)])) }
            @if view.rows.is_empty() { p.empty { (texts.empty) } } @else {
                table.plain {
                    thead { tr {
                        th scope="col" { (texts.sender) } th scope="col" { (texts.state) } th scope="col" { (texts.since) }
                        th scope="col" { (texts.by) } td {}
                    } }
                    tbody { @for row in &view.rows { (shown(row, &hidden, texts)) } }
                }
            }
            h2 #add { (texts.add_title) }
            form.senders method="post" action=(SENDERS) {
                (hidden)
                label for="sender" { (texts.address_or_domain) }
                input #sender type="text" name="sender" autocapitalize="none" spellcheck="false" maxlength="320" required
                    placeholder="bob@far.example";
                button.main type="submit" name="do" value="allow" { (texts.allow) }
                button type="submit" name="do" value="block" { (texts.block) }
            }
            @if let Some(others) = view.others.as_ref().filter(|others| !others.is_empty()) {
                h2 { (texts.lists) }
                ul {
                    @for (login, count) in others {
                        li { a href=(href(login)) { (visible(login)) } " " span.count { (count) } }
                    }
                }
                @if view.more > 0 { p { (fill(texts.more_lists, &[&view.more.to_string()])) } }
            }
        },
    )
}

/// Where the list of a login is.
pub fn href(login: &str) -> String {
    format!("{SENDERS}?list={}", super::request::encoded(login))
}

fn shown(row: &RowView, hidden: &Markup, texts: &Senders) -> Markup {
    html! {
        tr {
            th scope="row" { bdi { (visible(&row.sender)) } }
            td {
                span.badge.(row.sense.word()) { (state(row.sense, texts)) }
                @if let Some(login) = &row.overruled_by { " " (fill(texts.overruled, &[&visible(login)])) }
            }
            td { @if let Some(since) = &row.since { (time(since)) } }
            td { bdi { (visible(&row.by)) } }
            td {
                form method="post" action=(SENDERS) {
                    (hidden)
                    input type="hidden" name="sender" value=(row.sender);
                    button type="submit" name="do" value="remove" aria-label=(fill(texts.remove_one, &[&visible(&row.sender)])) {
                        (texts.remove)
                    }
                }
            }
        }
    }
}

/// The question about a message's sender.
#[derive(Debug, Clone)]
pub struct QuestionView {
    /// What is asked.
    pub sense: Sense,
    /// Allowing it delivers the message, too.
    pub releases: bool,
    /// The message's page.
    pub message_href: String,
    /// Its subject.
    pub subject: String,
    /// The sender's address and domain; `None`: it names nobody.
    pub sender: Option<(String, String)>,
    /// Anybody can have an address in that domain.
    pub is_shared: bool,
    /// What proves that the message is from there.
    pub proof: Option<String>,
    /// Logins in whose lists it may go, the usual one first; of a domain or a recipient, or `None` for everybody's.
    pub lists: Vec<(String, Option<String>)>,
    /// The message can be moved to Trash.
    pub can_delete: bool,
    /// Something reads the lists.
    pub is_read: bool,
}

/// The question, with all that is to be known before it is answered.
pub fn question(frame: &Frame, view: &QuestionView) -> Markup {
    let texts = Senders::of(frame.language);
    let name = name(view.sense, view.releases, texts);
    page(
        frame,
        html! {
            p { a href=(view.message_href) data-back { (texts.back) } }
            h1 { (name) }
            p dir="auto" { (visible(&view.subject)) }
            @if !view.is_read { p.refusal role="note" { (texts.not_read) } }
            @match &view.sender {
                None => p.refusal role="alert" { (texts.nobody) },
                Some((address, domain)) => (form(frame, view, address, domain, texts)),
            }
        },
    )
}

/// What the button is called that leads to the question.
pub fn name(sense: Sense, releases: bool, texts: &Senders) -> &'static str {
    match (sense, releases) {
        (Sense::Allow, true) => texts.release_allow,
        (Sense::Allow, false) => texts.always_allow,
        (Sense::Block, _) => texts.block_sender,
    }
}

fn form(frame: &Frame, view: &QuestionView, address: &str, domain: &str, texts: &Senders) -> Markup {
    let choice = |group: &str, value: &str, text: String, is_first: bool| {
        html! { label { input type="radio" name=(group) value=(value) checked[is_first]; " " bdi { (text) } } }
    };
    html! {
        form.senders.question method="post" {
            (form_token(&frame.form_token))
            fieldset {
                legend { (texts.who) }
                (choice("who", "address", fill(texts.only_address, &[&visible(address)]), true))
                @if view.is_shared {
                    p { (fill(texts.only_shared, &[&visible(domain)])) }
                } @else {
                    (choice("who", "domain", fill(texts.whole_domain, &[&visible(domain)]), false))
                }
            }
            @match (view.sense, &view.proof) {
                (Sense::Allow, Some(proof)) => p.proved { (fill(texts.is_proved, &[&visible(proof)])) },
                (Sense::Allow, None) => p.refusal.unproved role="note" { (texts.is_unproved) },
                (Sense::Block, _) => p.proved { (texts.blocks_all) },
            }
            @if let [(only, _)] = view.lists.as_slice() {
                input type="hidden" name="list" value=(only);
            } @else {
                fieldset {
                    legend { (texts.for_whom) }
                    @for (at, (login, of)) in view.lists.iter().enumerate() {
                        @let text = match of {
                            Some(of) => fill(texts.mail_of, &[&visible(of)]),
                            None => texts.everybody.to_string(),
                        };
                        (choice("list", login, text, at == 0))
                    }
                }
            }
            @if view.sense == Sense::Block && view.can_delete {
                label { input type="checkbox" name="delete" value="1" checked; " " (texts.delete_too) }
            }
            div { button.main type="submit" { (name(view.sense, view.releases, texts)) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::texts::Language;
    use super::*;

    const BAD: &str = "\"><script>x</script>'\u{202e}";

    #[test]
    fn nothing_that_a_sender_wrote_becomes_markup() {
        for language in Language::ALL {
            let frame = Frame { language, ..Frame::default() };
            for sense in Sense::ALL {
                let question_view = QuestionView {
                    sense,
                    releases: true,
                    message_href: "/message".into(),
                    subject: BAD.into(),
                    sender: Some((BAD.into(), BAD.into())),
                    is_shared: sense == Sense::Block,
                    proof: Some(BAD.into()),
                    lists: vec![("global".into(), None), (BAD.into(), Some(BAD.into()))],
                    can_delete: true,
                    is_read: false,
                };
                let row =
                    RowView { sense, sender: BAD.into(), since: None, by: BAD.into(), overruled_by: Some(BAD.into()) };
                let view = SendersView {
                    login: BAD.into(),
                    rows: vec![row],
                    others: Some(vec![(BAD.into(), 1)]),
                    more: 3,
                    ..SendersView::default()
                };
                for page in [question(&frame, &question_view), list(&frame, &view)] {
                    let page = page.into_string();
                    assert!(page.contains("&lt;script") && !page.contains("<script>"), "{page}");
                }
            }
        }
    }

    /// What a reader must know before he answers.
    #[test]
    fn the_question_says_what_it_is_about() {
        let frame = Frame::default();
        let texts = Senders::of(Language::En);
        let view = QuestionView {
            sense: Sense::Allow,
            releases: true,
            message_href: "/message".into(),
            subject: String::new(),
            sender: Some(("bob@far.example".into(), "far.example".into())),
            is_shared: false,
            proof: None,
            lists: vec![("alice@x.test".into(), None)],
            can_delete: true,
            is_read: true,
        };
        let page = |view: &QuestionView| question(&frame, view).into_string();
        let unproved = page(&view);
        assert!(unproved.contains(texts.is_unproved) && unproved.contains("everybody at far.example"));
        assert!(!unproved.contains(texts.for_whom) && !unproved.contains(texts.delete_too));
        let proved = page(&QuestionView { proof: Some("dkim far.example".into()), ..view.clone() });
        assert!(proved.contains("(dkim far.example)") && !proved.contains(texts.is_unproved));
        let shared = page(&QuestionView { is_shared: true, ..view.clone() });
        assert!(!shared.contains("value=\"domain\""));
        assert!(!unproved.contains(texts.not_read));
        assert!(page(&QuestionView { is_read: false, ..view.clone() }).contains(texts.not_read));
        let nobody = page(&QuestionView { sender: None, ..view });
        assert!(nobody.contains(texts.nobody) && !nobody.contains("value=\"address\""));
    }
}
