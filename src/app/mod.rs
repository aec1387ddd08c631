//! The program as a whole: from a configuration to a running server, and back to rest.

pub mod commands;
pub mod config;
pub mod control;
pub mod demo;
pub mod deposit;
pub mod doctor;
pub mod lock;
pub mod map;
pub mod samples;
pub mod server;
