//! The one integration binary: rules of the tree, dialogs, the program as a whole.

mod layers;
mod source;
mod tidy;
