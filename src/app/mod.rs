//! app

pub mod config;
pub mod samples;
