//! Mail as values: addresses, file names of stored messages, the trace; headers, MIME structure and text. No I/O.

pub mod address;
pub mod alignment;
pub mod authentication;
pub mod author;
pub mod compose;
pub mod date;
pub mod fold;
pub mod form;
pub mod header;
pub mod held;
pub mod html;
pub mod kinds;
pub mod mime;
pub mod name;
pub mod prerelease;
pub mod received;
pub mod references;
pub mod report;
pub mod reported;
pub mod senders;
pub mod shared;
pub mod subject;
pub mod text;
pub mod token;
pub mod trace;
pub mod transfer;
pub mod words;

pub use address::Address;
pub use held::Held;
pub use kinds::{Class, Kept, Kind};
pub use name::Name;
pub use trace::Trace;
