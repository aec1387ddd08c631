//! store
pub mod passwd;
