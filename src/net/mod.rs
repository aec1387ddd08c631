//! net

pub mod smtp;
