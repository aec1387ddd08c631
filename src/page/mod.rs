//! What people see in a browser and in a digest: view values to HTML. Pure: no files, no clock, no store; `bridge` makes
//! the view values and carries out what was asked.

pub mod filename;
pub mod message;
pub mod reasons;
pub mod sanitise;
pub mod target;
pub mod texts;

use maud::{DOCTYPE, Markup, html};

/// A whole HTML document.
pub fn document(language: texts::Language, title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(language.code()) {
            head {
                meta charset="utf-8";
                title { (title) }
            }
            body { (body) }
        }
    }
}
