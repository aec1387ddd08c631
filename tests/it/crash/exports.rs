//! rspamd's exporter in the scenarios: it tells of a message, and after a crash of the same one again. So does whoever reports
//! by mail.

use super::promise::{Fate, Mark};
use super::world::{World, key, message};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lazaret::bridge::exporter::{Door, Export, Exports};
use lazaret::bridge::memory::Memory;
use lazaret::bridge::reports::{Reports, Rules};
use lazaret::lmtp::Transaction;
use lazaret::mail::report::Opinion;
use lazaret::mail::{Address, Class, Kept, Kind};
use lazaret::store::repeats::Repeats;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;

/// What stands at the beginning of the word of such a message.
pub const EXPORT: &str = "export";
/// And at that of one that is reported.
pub const REPORT: &str = "report";

impl World {
    /// What a door for exporters knows after a start.
    pub fn exports(&self) -> Exports {
        let store = &self.quarantine.store;
        let repeats = Repeats::open(store.disk(), store.now());
        let door =
            Door { rejected: Some(Class::Incoming), marked: None, outgoing: None, kind: Kind::Spam, max_size: 1 << 20 };
        Exports::new(self.quarantine.clone(), Arc::new(repeats), Arc::new(Memory::new(1 << 30)), door)
    }

    /// rspamd tells of a message for alice.
    pub fn export(&self, exports: &Exports, word: &str) -> bool {
        if self.is_stopped() {
            return false;
        }
        let key = key("alice@x.test", word);
        let (once, twice) = (Fate::lies(&[Kept::Caught]), Fate::lies(&[Kept::Caught, Kept::Caught]));
        // Until it is answered the message may be there and not be known: told again it is kept twice.
        self.mark(Mark::Asked(vec![(key.clone(), once.clone()), (key.clone(), twice)]));
        let status = tell(exports, word);
        let has_failed = self.recorder().is_some_and(|recorder| recorder.has_failed());
        match status {
            200 if !has_failed => self.mark(Mark::Done(vec![(key, once)])),
            200 => {}
            503 => self.stopped.set(true),
            other => self.wrong.borrow_mut().push(format!("the exporter was answered {other}")),
        }
        self.tell();
        status == 200
    }
}

impl World {
    /// What takes reports after a start.
    pub fn reports(&self) -> Reports {
        let addresses = HashMap::from([(Address::parse("spam@x.test").unwrap(), Opinion::Spam)]);
        Reports::new(self.quarantine.clone(), Rules { addresses, from_all: true })
    }

    /// Alice reports a message by mail.
    pub fn report(&self, reports: &Reports, word: &str, once: Fate) {
        if self.is_stopped() {
            return;
        }
        let key = key("alice@x.test", word);
        let mut twice = once.clone();
        twice.folders.extend(once.folders.clone());
        self.mark(Mark::Asked(vec![(key.clone(), once.clone()), (key.clone(), twice)]));
        let code = report(reports, word);
        let has_failed = self.recorder().is_some_and(|recorder| recorder.has_failed());
        match code {
            250 if !has_failed => self.mark(Mark::Done(vec![(key, once)])),
            250 => {}
            451 => self.stopped.set(true),
            other => self.wrong.borrow_mut().push(format!("the report was answered {other}")),
        }
        self.tell();
    }
}

/// Reports a message; the answer's code.
pub fn report(reports: &Reports, word: &str) -> u16 {
    let mail = [b"Content-Type: message/rfc822\r\n\r\n".as_slice(), &message(word)].concat();
    let mail = Transaction { sender: "alice@x.test".into(), message: mail, ..Transaction::default() };
    reports.take("spam@x.test", &mail).map_or(0, |reply| reply.code)
}

/// Tells of a message; the answer's status.
pub fn tell(exports: &Exports, word: &str) -> u16 {
    let told = json!({
        "action": "reject", "qid": word, "rcpt": ["alice@x.test"], "from": "from@far.test", "score": 20,
        "message": STANDARD.encode(message(word)),
    });
    let export = Export { media_type: String::new(), fields: Vec::new(), body: told.to_string().into_bytes() };
    exports.take(&export).0
}
