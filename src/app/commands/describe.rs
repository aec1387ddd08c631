//! Messages and what waits for them, as answers.

use crate::base::{Fault, Timestamp, limits};
use crate::mail::{Kept, Trace, header, words};
use crate::quarantine::act::verb_word;
use crate::quarantine::{Quarantine, finish::read_trace};
use crate::queue::{Entry, Listed, Part};
use crate::store::Located;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

/// A message in a listing. Times are in RFC 3339's form, UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// In whose tree it lies.
    pub recipient: String,
    /// The folder's word.
    pub folder: String,
    /// Why it is here.
    pub class: String,
    /// What the filter saw.
    pub kind: String,
    /// Bytes on the wire, trace included.
    pub size: u64,
    /// When it came.
    pub arrived: String,
    /// When it goes by its age; `None`: it does not.
    pub expires: Option<String>,
    /// IMAP names of its flags.
    pub flags: Vec<String>,
    /// The envelope's sender, "" for the null sender.
    pub sender: String,
    /// The From field, decoded.
    pub from: String,
    /// The Subject field, decoded.
    pub subject: String,
}

/// Something in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The message's id.
    pub id: String,
    /// In whose tree it lay.
    pub recipient: String,
    /// What was asked.
    pub verbs: Vec<String>,
    /// `order`, `waiting`, `under way` or `failed`.
    pub state: String,
    /// Which recipient of the trace (counted from 0), or which sink.
    pub part: Option<String>,
    /// When it was asked.
    pub asked: String,
    /// Attempts that did not succeed.
    pub attempts: u32,
    /// Not before; `None`: as soon as possible.
    pub next: Option<String>,
}

/// Who handed a message in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Client {
    /// The door.
    pub door: String,
    /// IP address.
    pub address: Option<String>,
    /// Host name.
    pub name: Option<String>,
    /// What it called itself.
    pub helo: Option<String>,
    /// The mail server's queue id.
    pub queue_id: Option<String>,
    /// The authenticated sender.
    pub user: Option<String>,
}

/// All about one message.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Shown {
    /// Its id.
    pub id: String,
    /// Itself, when it is in a folder.
    pub message: Option<Message>,
    /// The envelope's recipients whose copy this is.
    pub recipients: Vec<String>,
    /// Who handed it in; `None` for a message that has no trace.
    pub client: Option<Client>,
    /// The filter's score.
    pub score: Option<String>,
    /// Why it was caught.
    pub reasons: Vec<String>,
    /// Only its header was kept, of so many bytes.
    pub cut_from: Option<u64>,
    /// Its file.
    pub file: Option<PathBuf>,
    /// Bytes at the top of the file that are ours.
    pub trace_bytes: u32,
    /// The message's own header, as text.
    pub header: String,
    /// What waits in the queue for it.
    pub waiting: Vec<Waiting>,
    /// The journal's lines about it, oldest first.
    pub journal: Vec<Value>,
}

/// The beginning of a stored message.
pub(super) struct Beginning {
    pub trace: Trace,
    /// The message's header block, as far as listings look.
    pub header: Vec<u8>,
}

impl Beginning {
    /// Reads it. `None`: the message is gone.
    pub(super) fn read(quarantine: &Quarantine, kept: Kept, uid: u32) -> Result<Option<(Located, Beginning)>, Fault> {
        for _ in 0..3 {
            let Some(located) = quarantine.store.locate(kept, uid) else { return Ok(None) };
            match File::open(&located.path).and_then(|file| Self::of(file, &located)) {
                Ok(beginning) => return Ok(Some((located, beginning))),
                Err(e) if e.kind() == io::ErrorKind::NotFound => quarantine.store.look_again(kept, uid)?,
                Err(e) => return Err(Fault::new("read", &located.path, e)),
            }
        }
        Ok(None)
    }

    fn of(mut file: File, located: &Located) -> io::Result<Beginning> {
        let trace = match read_trace(&mut file, &located.name) {
            Ok(trace) => trace,
            // Its name claims more than it has; `check` tells.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Trace::default(),
            Err(e) => return Err(e),
        };
        let mut header = Vec::new();
        file.take(limits::LISTED_HEADER).read_to_end(&mut header)?;
        header.truncate(header::end(&header));
        Ok(Beginning { trace, header })
    }

    /// A field as people read it.
    fn field(&self, name: &str) -> String {
        header::find(&self.header, name.as_bytes()).map(|f| words::decode(&f.unfolded())).unwrap_or_default()
    }
}

/// The word for a folder.
pub(super) fn folder_word(kept: Kept) -> String {
    kept.directory().to_lowercase()
}

pub(super) fn time(secs: u64) -> String {
    Timestamp::from_secs(secs).rfc3339()
}

/// A message of a listing.
pub(super) fn message(quarantine: &Quarantine, kept: Kept, located: &Located, read: &Beginning) -> Message {
    let (row, address) = (&located.row, &located.tree.address);
    Message {
        id: located.name.id(),
        recipient: address.to_string(),
        folder: folder_word(kept),
        class: row.class.word().to_string(),
        kind: row.kind.word().to_string(),
        size: row.size,
        arrived: time(row.arrival()),
        expires: quarantine.expires(kept, row, address).map(Timestamp::rfc3339),
        flags: row.flags.names().map(str::to_string).collect(),
        sender: read.trace.sender.clone(),
        from: read.field("from"),
        subject: read.field("subject"),
    }
}

/// All about a message in a folder.
pub(super) fn shown(message: Message, located: Located, read: Beginning) -> Shown {
    let has_trace = located.name.trace > 0;
    let Trace { client: c, recipients, score, reasons, cut_from, .. } = read.trace;
    let client =
        Client { door: c.door, address: c.address, name: c.name, helo: c.helo, queue_id: c.queue_id, user: c.user };
    Shown {
        id: located.name.id(),
        message: Some(message),
        recipients,
        client: has_trace.then_some(client),
        score,
        reasons,
        cut_from,
        trace_bytes: located.name.trace,
        file: Some(located.path),
        header: String::from_utf8_lossy(&read.header).into_owned(),
        ..Shown::default()
    }
}

impl From<Listed> for Waiting {
    fn from(listed: Listed) -> Self {
        let state = match &listed.part {
            None => "order",
            Some(_) if listed.under_way => "under way",
            Some(_) => "waiting",
        };
        Waiting {
            recipient: listed.tree.to_string(),
            verbs: listed.verbs.into_iter().map(|verb| verb_word(verb).to_string()).collect(),
            state: state.to_string(),
            part: listed.part.as_ref().map(part),
            asked: time(listed.asked),
            attempts: listed.attempts,
            next: (listed.next > 0).then(|| time(listed.next)),
            id: listed.id,
        }
    }
}

impl From<Entry> for Waiting {
    /// A training that was given up.
    fn from(entry: Entry) -> Self {
        Waiting {
            id: entry.message.id(),
            recipient: entry.tree.to_string(),
            verbs: vec![verb_word(entry.part.verb()).to_string()],
            state: "failed".to_string(),
            part: Some(part(&entry.part)),
            asked: time(entry.asked),
            attempts: entry.attempts,
            next: None,
        }
    }
}

fn part(part: &Part) -> String {
    match part {
        Part::Deliver(index) => format!("recipient {index}"),
        Part::Train { sink, .. } => format!("sink {sink}"),
    }
}
