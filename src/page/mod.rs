//! What people see in a browser and in a digest: view values to HTML. Pure: no files, no clock, no store; `bridge` makes
//! the view values and carries out what was asked.

pub mod desk;
pub mod digest;
pub mod filename;
pub mod layout;
pub mod link;
pub mod list;
pub mod message;
pub mod reasons;
pub mod request;
pub mod response;
pub mod sanitise;
pub mod senders;
pub mod target;
pub mod texts;
pub mod upload;
pub mod work;
