//! Mail as values: addresses, file names of stored messages, the trace; headers, MIME structure and text. No I/O.

pub mod address;
pub mod kinds;
pub mod name;

pub use address::Address;
pub use kinds::{Class, Kept, Kind};
pub use name::Name;
