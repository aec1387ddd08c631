//! The program as a whole: from a configuration to a running server, and back to rest.

pub mod config;
pub mod demo;
pub mod lock;
pub mod map;
pub mod samples;
pub mod server;
