//! Commands of all kinds through an IMAP session, from bytes to answers. The folder that is open is empty, so that nearly
//! nothing is done but to cut, understand and answer them.

use crate::Program;
use crate::fake::Peer;
use crate::world::World;
use lazaret::base::Timestamp;
use lazaret::imap::{Options, Tls};
use std::cell::RefCell;
use std::rc::Rc;

/// How often all of them are sent.
const ROUNDS: usize = 200;
/// Bytes that arrive at once.
const ARRIVE: usize = 1_400;

/// As clients write them, without tag and line end.
const COMMANDS: &[&str] = &[
    "NOOP",
    "CAPABILITY",
    "ID (\"name\" \"Thunderbird\" \"version\" \"128.5.0esr\" \"os\" NIL)",
    "NAMESPACE",
    "ENABLE CONDSTORE",
    "LIST \"\" \"*\"",
    "LIST (SUBSCRIBED) \"\" (\"INBOX\" \"Caught%\" \"Tr*\") RETURN (SUBSCRIBED CHILDREN SPECIAL-USE)",
    "LSUB \"\" \"*\"",
    "STATUS Caught (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)",
    "MYRIGHTS \"Release &- Train\"",
    "GETQUOTAROOT Trash",
    "SUBSCRIBE \"Not Spam\"",
    "UNSUBSCRIBE {8+}\r\nNot Spam",
    "SELECT Trash (CONDSTORE)",
    "UID FETCH 1:* (FLAGS)",
    "UID FETCH 1,3:7,9,12:400,4711:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])",
    "UID FETCH 1:* (UID INTERNALDATE ENVELOPE BODYSTRUCTURE MODSEQ) (CHANGEDSINCE 12345678)",
    "UID FETCH 17 (BODY.PEEK[1.2.3.MIME]<0.4096> BODY.PEEK[2.HEADER.FIELDS.NOT (Received)] BINARY.SIZE[1] PREVIEW (LAZY))",
    "UID STORE 1:5,8 +FLAGS.SILENT (\\Seen $Label1 $Forwarded)",
    "UID STORE 1:* (UNCHANGEDSINCE 99) -FLAGS (\\Deleted)",
    "SEARCH UNSEEN UNDELETED SINCE 1-Jan-2024 BEFORE 24-Dec-2024 LARGER 1000 NOT SMALLER 100",
    "UID SEARCH RETURN (MIN MAX COUNT ALL) OR OR FROM \"bob\" (TO {5+}\r\nalice CC carol) HEADER X-Spam-Flag yes",
    "UID SEARCH CHARSET UTF-8 SUBJECT {8+}\r\nGr\u{fc}\u{df}e  TEXT \"so\\\"me\\\\thing\" UID 1:100,200:*",
    "UID SEARCH 1:* MODSEQ 620162338 FUZZY BODY \"win a prize\" KEYWORD $Junk YOUNGER 86400",
    "UID SORT RETURN (ALL) (REVERSE DATE SUBJECT ARRIVAL) UTF-8 UNANSWERED FLAGGED",
    "UID THREAD REFERENCES US-ASCII ALL",
    "UID COPY 1:3 Release",
    "UID MOVE 5,7,9 \"Release &- Train\"",
    "APPEND Spam (\\Seen) \"14-Nov-2023 22:13:20 +0000\" {58+}\r\nFrom: a@example.org\r\nSubject: an appended message\r\n\r\ntext\r\n",
    "UID EXPUNGE 1:100",
    "EXPUNGE",
    "CHECK",
    "UNSELECT",
];

pub struct Parse {
    peer: Peer,
    input: Vec<u8>,
    now: Timestamp,
}

impl Parse {
    pub fn new() -> Self {
        let now = Timestamp::from_secs(1_700_000_000);
        let world = Rc::new(RefCell::new(World::new()));
        let options = Options { tls: Tls::Absent, plain_login: true, scram: false, host: "mail.example.org".into() };
        let mut peer = Peer::new(world, options);
        peer.run(now);
        peer.send(b"a LOGIN alice secret\r\n", usize::MAX, now);
        peer.sent.clear();
        let input = (0..ROUNDS).flat_map(|_| COMMANDS).map(|command| format!("t {command}\r\n"));
        Parse { peer, input: input.collect::<String>().into_bytes(), now }
    }
}

impl Program for Parse {
    fn work(&mut self) {
        self.peer.send(&self.input, ARRIVE, self.now);
    }

    fn check(&self) {
        let sent = String::from_utf8_lossy(&self.peer.sent);
        let refused = sent.lines().find(|line| line.starts_with("t ") && !line.starts_with("t OK"));
        assert_eq!(refused, None, "a command was refused");
        assert_eq!(sent.lines().filter(|line| line.starts_with("t OK")).count(), ROUNDS * COMMANDS.len());
    }
}
