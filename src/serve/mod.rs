//! One kind of listener a file: who may come, and which core and bridge serve a connection.

pub mod door;
pub mod exporter;
pub mod imap;
pub mod web;

use crate::net::{Gate, Pools, Stop, Tasks};
use std::sync::Arc;

/// What every listener needs; `app` makes it once.
#[derive(Debug, Clone)]
pub struct Serving {
    /// Where connections run.
    pub tasks: Tasks,
    /// Where bridges work.
    pub pools: Arc<Pools>,
    /// Thrown to come to an end.
    pub stop: Stop,
}

impl Serving {
    /// After the stop: waits until the connections of these listeners are gone, for `limits::GRACE` at most. Those that
    /// are left end when the executor is dropped.
    pub async fn settle(&self, gates: &[Arc<Gate>]) {
        let began = std::time::Instant::now();
        while gates.iter().any(|g| g.seated() > 0) && began.elapsed() < crate::base::limits::GRACE {
            smol::Timer::after(std::time::Duration::from_millis(20)).await;
        }
    }
}
