//! What people see in a browser and in a digest: view values to HTML. Pure: no files, no clock, no store; `bridge` makes
//! the view values and carries out what was asked.

pub mod layout;
pub mod list;
pub mod request;
pub mod response;
pub mod texts;
pub mod upload;
pub mod work;
