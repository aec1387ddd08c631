//! quarantine
pub mod account;
pub mod directory;
pub mod folders;
pub mod policy;
pub mod throttle;
