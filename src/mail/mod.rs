//! mail

pub mod address;
pub mod date;
pub mod header;
pub mod mime;
pub mod text;
pub mod token;
pub mod words;
