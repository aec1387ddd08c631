//! Values of mail: addresses, header fields, MIME structure, dates, and text as people read it. Nothing here reads a file
//! or a clock; everything takes any bytes and ends in bounded time and memory.

pub mod address;
pub mod date;
pub mod header;
pub mod mime;
pub mod text;
pub mod token;
pub mod words;
