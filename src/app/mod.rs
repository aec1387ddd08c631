//! app
pub mod config;
