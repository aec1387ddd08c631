//! mail
pub mod address;
pub mod mime;
