//! A bar that shows how far work in the background is. Without a script the page loads itself anew each second.

use super::layout::{Frame, page};
use maud::{Markup, html};

/// Work in the background.
#[derive(Debug, Clone, Default)]
pub struct WorkView {
    /// Where its state is told to scripts.
    pub href: String,
    /// Messages dealt with.
    pub done: usize,
    /// Messages in all.
    pub total: usize,
    /// Both, for people.
    pub text: String,
    /// Where to go when it is finished.
    pub next: String,
}

impl WorkView {
    /// Its state for scripts.
    pub fn json(&self, is_finished: bool) -> String {
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let WorkView { done, total, .. } = self;
        let (text, next) = (quoted(&self.text), quoted(&self.next));
        format!(
            "{{\"done\":{done},\"total\":{total},\"finished\":{is_finished},\"text\":\"{text}\",\"next\":\"{next}\"}}"
        )
    }
}

/// The page.
pub fn render(frame: &Frame, view: &WorkView) -> Markup {
    let most = view.total.max(1);
    page(
        frame,
        html! {
            h1 #work { (view.text) }
            progress max=(most) value=(view.done.min(most)) data-href=(view.href) aria-labelledby="work" {}
            noscript { meta http-equiv="refresh" content="1"; }
        },
    )
}
