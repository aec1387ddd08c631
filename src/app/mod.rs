//! app

pub mod samples;
