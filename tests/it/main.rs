//! The one integration binary (linking is what costs): rules of the tree, dialogs, the program as a whole.

mod cli;
mod clients;
mod commands;
mod config;
mod crash;
mod dialog;
mod dialog_lmtp;
mod dialog_milter;
mod dialog_tls;
mod drive;
mod drop;
mod filters;
#[path = "../fuzz/lmtp.rs"]
mod fuzz_lmtp;
#[path = "../fuzz/milter.rs"]
mod fuzz_milter;
mod golden;
mod harness;
mod layers;
mod names;
mod rfc;
mod sessions;
mod site;
mod source;
mod tidy;
