//! Lists of senders in the scenarios: who stands in one, told apart by login and sender.

use super::promise::{Fate, Key};
use super::world::{World, address, global, key};
use lazaret::mail::senders::{Pattern, Sense};
use lazaret::quarantine::Scope;

/// What stands for a sender, with its pattern behind it.
const SENDER: &str = "sender ";

impl World {
    /// Allows or blocks a sender in the list of a login, or takes it off.
    pub fn list(&self, login: &str, sense: Option<Sense>, sender: &str) {
        let scope = match login.contains('@') {
            true => Scope::Recipient(address(login)),
            false => Scope::Domain(login.to_string()),
        };
        let pattern = Pattern::parse(sender).expect("a sender");
        let fate = sense.map_or(Fate::default(), |sense| Fate::default().done(&[sense.word()]));
        let lists = self.quarantine.lists();
        let _ = self.asked(vec![(key(login, &format!("{SENDER}{sender}")), fate)], || {
            let changed = match sense {
                Some(sense) => lists.add(&global(), &scope, sense, &pattern, None),
                None => lists.remove(&global(), &scope, &pattern),
            };
            changed.map(drop).map_err(|failed| failed.to_string())
        });
    }

    /// What all lists say.
    pub fn listed(&self) -> Vec<(Key, String)> {
        let lists = self.quarantine.lists();
        let mut all = Vec::new();
        for (login, _) in lists.logins(&global()) {
            let scope = self.quarantine.directory().login(&login).map(|(_, scope)| scope);
            let scope = scope.unwrap_or_else(|| panic!("the list of {login}, which nobody made"));
            let list = lists.of(&global(), &scope).expect("global sees all");
            all.extend(
                list.counting()
                    .into_iter()
                    .map(|(sender, sense)| (key(&login, &format!("{SENDER}{sender}")), sense.word().to_string())),
            );
        }
        all
    }
}
