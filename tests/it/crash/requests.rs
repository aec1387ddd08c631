//! What is requested of an administrator in the scenarios, and what he decides.

use super::promise::Fate;
use super::world::{World, alice, global};
use lazaret::mail::Kept;
use lazaret::quarantine::Failed;
use lazaret::quarantine::folders::Folder;
use lazaret::quarantine::policy::Why;

impl World {
    /// Alice asks for the release of her outgoing mail, which she may only request.
    pub fn request(&self, words: &[&str], fates: &[(&str, Fate)]) {
        let uids = self.uids(Kept::Outgoing, words);
        let fates = fates.iter().map(|(word, fate)| (self.key_of(word), fate.clone())).collect();
        let _ =
            self.asked(fates, || match self.quarantine.put(&alice(), Kept::Outgoing, &uids, Folder::Release, true) {
                Err(Failed::Denied(denied)) if denied.why == Why::Requestable => Ok(()),
                Err(failed) => Err(failed.to_string()),
                Ok(done) => panic!("she may not release it: {done:?}"),
            });
    }

    /// An administrator decides about what is requested of a message.
    pub fn decide(&self, word: &str, grant: bool, fate: Fate) {
        let Some(found) = self.find_all().into_iter().find(|found| found.key.1 == word) else { return };
        let act = || match grant {
            true => self.quarantine.grant(&global(), &found.id, false).map(drop).map_err(|e| e.to_string()),
            false => self.quarantine.decline(&global(), &found.id).map(drop).map_err(|e| e.to_string()),
        };
        let _ = self.asked(vec![(self.key_of(word), fate)], act);
    }
}
