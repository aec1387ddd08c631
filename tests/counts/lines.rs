//! FETCH lines as mail programs ask for them when they open a folder.

use crate::Program;
use crate::mails::SMALL;
use crate::world::{self, World};
use lazaret::base::{Flags, Piece, UidRanges};
use lazaret::imap::parse;
use lazaret::imap::question::Fetch;
use lazaret::imap::request::Request;
use std::sync::Arc;

/// Messages in the folder.
const MESSAGES: usize = 400;

/// Thunderbird's, K-9's, mutt's, and what searches for attachments.
const FETCHES: &[&[u8]] = &[
    b"a FETCH 1:* (FLAGS UID)\r\n",
    b"a FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])\r\n",
    b"a FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (date subject from content-type to cc reply-to message-id references in-reply-to list-unsubscribe)])\r\n",
    b"a FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE MODSEQ ENVELOPE)\r\n",
    b"a FETCH 1:* (UID BODYSTRUCTURE)\r\n",
];

pub struct Lines {
    world: World,
    fetches: Vec<Fetch>,
    out: Vec<Vec<Piece>>,
}

impl Lines {
    pub fn new() -> Self {
        let mut world = World::new();
        world.piece = usize::MAX;
        let uids: Vec<u32> =
            SMALL.iter().cycle().take(MESSAGES).filter_map(|mail| world.deliver("Trash", mail)).collect();
        let flags = [Flags::NONE, Flags::SEEN, Flags::SEEN | Flags::FLAGGED, Flags::RELEASE_FAILED];
        let messages = world.find("Trash").into_iter().flat_map(|folder| folder.messages.values_mut());
        messages.zip(flags.iter().cycle()).for_each(|(message, flags)| message.flags = *flags);
        let fetch = |text: &&[u8]| {
            let Ok(Request::Fetch { items, .. }) = parse::command(text).request else { panic!("no FETCH") };
            Fetch {
                list: uids.iter().copied().collect(),
                uids: UidRanges::one(0, u32::MAX),
                from: 0,
                items: items.into(),
                recent: Arc::new(UidRanges::new()),
                since: 0,
                mark_seen: false,
            }
        };
        Lines { fetches: FETCHES.iter().map(fetch).collect(), world, out: Vec::new() }
    }
}

impl Program for Lines {
    fn work(&mut self) {
        for fetch in &self.fetches {
            let rows = world::rows(&mut self.world, "Trash", fetch).expect("Trash may be read");
            self.out.push(rows.pieces);
        }
    }

    fn check(&self) {
        for pieces in &self.out {
            let bytes = pieces.iter().map(|piece| match piece {
                Piece::Bytes(bytes) => &bytes[..],
                Piece::File(_) => panic!("a header in a file"),
            });
            let text = bytes.collect::<Vec<_>>().concat();
            assert!(text.ends_with(b")\r\n"), "the last line ends");
            let starts = |line: &&[u8]| line.starts_with(b"* ") && line.windows(8).take(12).any(|w| w == b" FETCH (");
            assert_eq!(text.split(|&b| b == b'\n').filter(starts).count(), MESSAGES);
        }
    }
}
