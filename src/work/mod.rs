//! work

pub mod sinkserver;
