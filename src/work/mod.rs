//! The loops that carry out what was asked for: fanning out, delivering, training.
//!
//! Each takes a [`Stop`](crate::net::Stop) and ends after the piece of work that it is at. What blocks on the disk runs
//! on smol's pool, on as many threads as there are workers, so that no job is ever turned away.

pub mod care;
mod clock;
pub mod deliver;
pub mod digest;
pub mod drop;
pub mod fan;
pub mod intake;
pub mod routes;
pub mod sinks;
pub mod sinkserver;
pub mod train;

#[cfg(test)]
mod deliver_tests;
#[cfg(test)]
mod smtp_tests;
#[cfg(test)]
mod train_tests;
