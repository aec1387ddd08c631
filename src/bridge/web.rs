//! Questions of the web page.

pub mod message;
