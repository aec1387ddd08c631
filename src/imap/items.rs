//! What FETCH and STATUS can be asked for.

use super::section::{Section, What};

/// A FETCH item (RFC 3501 6.4.5). Macros are replaced by what they stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// FLAGS
    Flags,
    /// UID
    Uid,
    /// INTERNALDATE
    InternalDate,
    /// RFC822.SIZE
    Size,
    /// ENVELOPE
    Envelope,
    /// BODY without a section
    Body,
    /// BODYSTRUCTURE
    BodyStructure,
    /// BODY[…], BODY.PEEK[…]
    Section {
        /// Which part.
        section: Section,
        /// `\Seen` stays as it is.
        peek: bool,
        /// Offset and length.
        partial: Option<(u32, u32)>,
    },
    /// BINARY[…], BINARY.PEEK[…] (RFC 3516)
    Binary {
        /// Part numbers.
        path: Vec<u32>,
        /// `\Seen` stays as it is.
        peek: bool,
        /// Offset and length, in decoded bytes.
        partial: Option<(u32, u32)>,
    },
    /// BINARY.SIZE[…]
    BinarySize(Vec<u32>),
    /// PREVIEW (RFC 8970)
    Preview {
        /// NIL will do when it would take long.
        lazy: bool,
    },
    /// SAVEDATE (RFC 8514)
    SaveDate,
    /// EMAILID (RFC 8474)
    EmailId,
    /// THREADID: NIL, since no threads are kept
    ThreadId,
    /// MODSEQ (RFC 7162 3.1.4.2)
    ModSeq,
    /// RFC822
    Rfc822,
    /// RFC822.HEADER
    Rfc822Header,
    /// RFC822.TEXT
    Rfc822Text,
}

impl Item {
    /// Whether asking for it sets `\Seen` (RFC 3501 6.4.5).
    pub fn marks_seen(&self) -> bool {
        matches!(
            self,
            Item::Section { peek: false, .. } | Item::Binary { peek: false, .. } | Item::Rfc822 | Item::Rfc822Text
        )
    }

    /// Whether it takes the message's header.
    pub fn needs_header(&self) -> bool {
        match self {
            Item::Envelope | Item::Rfc822Header => true,
            Item::Section { section: Section { path, what }, .. } => {
                path.is_empty() && matches!(what, What::Header | What::Fields(_) | What::NotFields(_))
            }
            _ => false,
        }
    }

    /// Whether it takes parsing all of the message.
    pub fn needs_parsing(&self) -> bool {
        match self {
            Item::Body | Item::BodyStructure | Item::Preview { .. } => true,
            Item::Section { section: Section { path, what }, .. } => {
                let is_of_message =
                    path.is_empty() && matches!(what, What::Whole | What::Fields(_) | What::NotFields(_));
                !is_of_message
            }
            Item::Binary { .. } | Item::BinarySize(_) | Item::Rfc822Header | Item::Rfc822Text => true,
            _ => false,
        }
    }

    /// Items that stand for themselves.
    pub(super) fn by_name(name: &[u8]) -> Option<Item> {
        const NAMES: &[(&str, Item)] = &[
            ("FLAGS", Item::Flags),
            ("UID", Item::Uid),
            ("INTERNALDATE", Item::InternalDate),
            ("RFC822.SIZE", Item::Size),
            ("ENVELOPE", Item::Envelope),
            ("BODY", Item::Body),
            ("BODYSTRUCTURE", Item::BodyStructure),
            ("MODSEQ", Item::ModSeq),
            ("RFC822", Item::Rfc822),
            ("RFC822.HEADER", Item::Rfc822Header),
            ("RFC822.TEXT", Item::Rfc822Text),
            ("PREVIEW", Item::Preview { lazy: false }),
            ("SAVEDATE", Item::SaveDate),
            ("EMAILID", Item::EmailId),
            ("THREADID", Item::ThreadId),
        ];
        NAMES.iter().find(|(n, _)| n.as_bytes().eq_ignore_ascii_case(name)).map(|(_, item)| item.clone())
    }

    /// What a macro stands for.
    pub(super) fn by_macro(name: &[u8]) -> Option<Vec<Item>> {
        let all: &[Item] = match name.to_ascii_uppercase().as_slice() {
            b"ALL" => &[Item::Flags, Item::InternalDate, Item::Size, Item::Envelope],
            b"FAST" => &[Item::Flags, Item::InternalDate, Item::Size],
            b"FULL" => &[Item::Flags, Item::InternalDate, Item::Size, Item::Envelope, Item::Body],
            _ => return None,
        };
        Some(all.to_vec())
    }
}

/// A STATUS item (RFC 3501 6.3.10, RFC 8438, RFC 9051 6.3.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusItem {
    /// MESSAGES
    Messages,
    /// RECENT
    Recent,
    /// UIDNEXT
    UidNext,
    /// UIDVALIDITY
    UidValidity,
    /// UNSEEN
    Unseen,
    /// DELETED (RFC 9051 6.3.11)
    Deleted,
    /// SIZE
    Size,
    /// HIGHESTMODSEQ (RFC 7162 3.1.7)
    HighestModSeq,
    /// MAILBOXID (RFC 8474 4.3)
    MailboxId,
    /// APPENDLIMIT (RFC 7889 3.1)
    AppendLimit,
    /// DELETED-STORAGE (RFC 9208 4.1.4)
    DeletedStorage,
}

impl StatusItem {
    /// Every item with its name.
    pub const ALL: &[(&str, StatusItem)] = &[
        ("MESSAGES", StatusItem::Messages),
        ("RECENT", StatusItem::Recent),
        ("UIDNEXT", StatusItem::UidNext),
        ("UIDVALIDITY", StatusItem::UidValidity),
        ("UNSEEN", StatusItem::Unseen),
        ("DELETED", StatusItem::Deleted),
        ("SIZE", StatusItem::Size),
        ("HIGHESTMODSEQ", StatusItem::HighestModSeq),
        ("MAILBOXID", StatusItem::MailboxId),
        ("APPENDLIMIT", StatusItem::AppendLimit),
        ("DELETED-STORAGE", StatusItem::DeletedStorage),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, item)| *item == self).map_or("", |(name, _)| name)
    }

    /// The item with this name, in any case.
    pub fn by_name(name: &[u8]) -> Option<StatusItem> {
        Self::ALL.iter().find(|(n, _)| n.as_bytes().eq_ignore_ascii_case(name)).map(|(_, item)| *item)
    }
}
