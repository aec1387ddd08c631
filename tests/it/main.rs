//! The integration tests, one binary: linking is what costs.

mod dialog_lmtp;
mod drive;
//! Integration tests: one binary.

mod dialog;
//! The one integration binary (linking is what costs): rules of the tree, dialogs, the program as a whole.

mod layers;
mod source;
mod tidy;
