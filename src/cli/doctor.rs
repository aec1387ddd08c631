//! `lazaret doctor`: a line a step, as it ends.

use super::args::Doctor;
use super::exit::Exit;
use super::output::{clean, fail, print, print_json};
use crate::app::config::Config;
use crate::app::doctor::{Mailbox, Options, Outcome, Told, run as examine};
use crate::app::map::first_line;

/// Runs it. `Found`: something is not as it should be.
pub fn run(config: &Config, options: &Doctor) -> Exit {
    let mailbox = match mailbox(options) {
        Ok(mailbox) => mailbox,
        Err(why) => {
            fail(why);
            return Exit::Usage;
        }
    };
    let wanted = Options {
        mailbox,
        to: options.to.clone(),
        from: options.from.0.clone(),
        through: options.through.clone(),
        keep: options.keep,
        release: !options.no_release,
        controller: options.controller.clone(),
        text: options.text.clone(),
    };
    let tell = |told: &Told| match options.json {
        true => print_json(told),
        false => print(line(told)),
    };
    match examine(config, &wanted, tell) {
        Ok(true) => Exit::Done,
        Ok(false) => Exit::Found,
        Err(why) => {
            fail(why);
            Exit::Unavailable
        }
    }
}

fn mailbox(options: &Doctor) -> Result<Option<Mailbox>, String> {
    match (&options.mailbox, &options.mailbox_password_file) {
        (None, None) => Ok(None),
        (Some(url), Some(file)) => Mailbox::new(url, first_line(file)?).map(Some),
        _ => Err("--mailbox and --mailbox-password-file belong together; one of them is missing".to_string()),
    }
}

/// One step for people; what to change stands on a line of its own.
fn line(told: &Told) -> String {
    let outcome = match told.outcome {
        Outcome::Ok => "ok",
        Outcome::Failed => "FAILED",
        Outcome::Skipped => "skipped",
    };
    let change = told.change.as_ref().map(|change| format!("    what to change: {}\n", clean(change)));
    let Told { step, seconds, text, .. } = told;
    format!("{step:<16} {outcome:<7} {seconds:>5.1} s  {}\n{}", clean(text), change.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_a_step_and_nothing_that_a_terminal_obeys() {
        let change = Some("this".to_string());
        let told = Told { step: "mail", outcome: Outcome::Failed, seconds: 1.26, text: "a\x1b[2Jb".into(), change };
        let expected = "mail             FAILED    1.3 s  a\\u{1b}[2Jb\n    what to change: this\n";
        assert_eq!(line(&told), expected);
    }
}
