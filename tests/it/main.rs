//! x
mod golden;
