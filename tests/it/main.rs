//! The one integration binary (linking is what costs): rules of the tree, dialogs, the program as a whole.

mod clients;
mod dialog;
mod dialog_lmtp;
mod drive;
mod harness;
mod layers;
mod source;
mod tidy;
