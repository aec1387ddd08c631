//! Ground that knows nothing of mail: limits, time values, secrets, shared bytes, path encoding, UID lists, and the contract that
//! every protocol core keeps.

pub mod core;
pub mod errand;
pub mod fault;
pub mod flags;
pub mod limits;
pub mod path;
pub mod secret;
pub mod slice;
pub mod time;
pub mod uids;

pub use self::core::{Core, FileRange, Form, Piece, Step};
pub use errand::{Errand, Outcome};
pub use fault::{Context, Fault};
pub use flags::Flags;
pub use secret::Secret;
pub use slice::Slice;
pub use time::Timestamp;
pub use uids::{Seqs, UidList, UidRanges};
