//! `lazaret lists`

use super::args::Lists;
use super::exit::Exit;
use super::output::{Table, print, print_json};
use super::store::answers;
use crate::app::commands::{Answer, Request};
use crate::app::config::Config;
use crate::base::time::minute;

/// Shows one list, or all.
pub fn lists(config: &Config, options: &Lists) -> Exit {
    let mut table = Table::new(&["LIST", "STATE", "SENDER", "SINCE", "BY"]);
    let exit = answers(config, &Request::Lists { list: options.list.clone() }, |answer| match answer {
        Answer::Listed(listed) if options.json => print_json(&listed),
        Answer::Listed(l) => {
            let state = match l.overruled_by {
                Some(wider) => format!("{}, but blocked by {wider}", l.state),
                None => l.state,
            };
            table.row([l.list, state, l.sender, l.since.as_deref().map(minute).unwrap_or_default(), l.by]);
        }
        _ => {}
    });
    if !options.json && exit == Exit::Done {
        if table.is_empty() {
            print("nobody is allowed or blocked\n");
        } else {
            print(&table);
        }
    }
    exit
}
