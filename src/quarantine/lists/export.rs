//! The lists as files that a filter and a mail server read. They are made anew at each change and at the start, each by a
//! rename, so that no reader sees half of one.
//!
//! - `rspamd-senders.map`: `"<sender>><login>" allow|block`, a line an entry of all lists, for `etc/rspamd/lazaret.lua`.
//! - `rspamd-recipients.map`: whose mail an address is, as the directory of recipients has it.
//! - `postfix-senders`: who is blocked for everybody, for `check_sender_access`. Postfix knows neither the From field nor
//!   DKIM there, only the envelope's sender, so nobody is allowed by it, and lists of domains and recipients are left out.

use super::Lists;
use crate::mail::senders::Sense;
use crate::quarantine::Scope;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::PoisonError;

/// Where to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// A directory that is there, and that we may write to.
    pub directory: PathBuf,
    /// The mode of the files.
    pub mode: u32,
}

impl Lists<'_> {
    /// From now on the lists are exported there, and at once; `None`: they are not. Files that were exported before stay.
    pub fn export_to(&self, export: Option<Export>) {
        *self.0.exports.lock().unwrap_or_else(PoisonError::into_inner) = export;
        self.export();
    }

    /// Writes the files that differ. What fails is logged: the lists themselves are safe, and the next change, edit or start
    /// tries again.
    pub fn export(&self) {
        // Held over the writing: of two changes the later one's files stay.
        let export = self.0.exports.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Export { directory, mode }) = &*export else { return };
        for (name, text) in [
            ("rspamd-senders.map", self.senders()),
            ("rspamd-recipients.map", self.recipients()),
            ("postfix-senders", self.blocked_for_all()),
        ] {
            if let Err(fault) = self.0.senders.export(&directory.join(name), &text, *mode) {
                log::error!("{fault}: filter and mail server go by the old lists of senders");
            }
        }
    }

    fn senders(&self) -> String {
        let mut text = "# Made by Lazaret: changes here are lost. \"sender>whose list\" allow or block\n".to_string();
        for (login, list) in self.0.senders.all() {
            for (pattern, sense) in list.counting() {
                line(&mut text, &format!("{pattern}>{login}"), sense.word());
            }
        }
        text
    }

    fn recipients(&self) -> String {
        let mut text = "# Made by Lazaret: changes here are lost. Whose mail an address is\n".to_string();
        for (name, whose) in self.0.directory().names() {
            line(&mut text, &name, &whose);
        }
        text
    }

    fn blocked_for_all(&self) -> String {
        let mut text =
            "# Made by Lazaret: changes here are lost. Blocked for everybody, by envelope sender\n".to_string();
        for (pattern, sense) in self.0.senders.get(&Scope::Global.to_string()).counting() {
            let action = match sense {
                Sense::Block => "REJECT 5.7.1 this sender is blocked here",
                // What is blocked besides may be wider; whoever is allowed is not let through anything else by this.
                Sense::Allow => "DUNNO",
            };
            // A `#` at the beginning would make it a remark.
            if !pattern.starts_with('#') {
                let _ = writeln!(text, "{pattern} {action}");
            }
        }
        text
    }
}

/// A line of a map: keys stand in quotes, since `#` may be part of an address.
fn line(text: &mut String, key: &str, value: &str) {
    if !key.contains(['"', '\\']) && !key.contains(char::is_control) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\"{key}\" {value}");
    }
}
