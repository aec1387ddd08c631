//! Who may come in: counts of one listener's connections.

use crate::base::limits;
use smol::lock::{Semaphore, SemaphoreGuardArc};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many connections a listener takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// In all; further ones wait in the kernel's queue.
    pub total: usize,
    /// From one address, loopback and Unix sockets excepted; the newcomer is closed.
    pub per_address: usize,
    /// That have not logged in; the newcomer is closed.
    pub before_login: usize,
}

impl Default for Room {
    fn default() -> Self {
        Room {
            total: limits::CONNECTIONS,
            per_address: limits::CONNECTIONS_PER_ADDRESS,
            before_login: limits::CONNECTIONS_BEFORE_LOGIN,
        }
    }
}

/// The counts of one listener.
#[derive(Debug)]
pub struct Gate {
    room: Room,
    permits: Arc<Semaphore>,
    addresses: Mutex<HashMap<IpAddr, usize>>,
    strangers: AtomicUsize,
    seated: AtomicUsize,
}

/// The right to accept one more connection; held before accepting, so that what cannot be served stays in the kernel.
#[derive(Debug)]
pub struct Permit {
    _guard: SemaphoreGuardArc,
}

/// A connection's place in the counts; given back when dropped.
#[derive(Debug)]
pub struct Seat {
    gate: Arc<Gate>,
    address: Option<IpAddr>,
    stranger: AtomicBool,
    _permit: Permit,
}

/// Why a newcomer is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowded {
    /// Too many from its address.
    Address,
    /// Too many that have not logged in.
    BeforeLogin,
}

impl Gate {
    /// An empty one.
    pub fn new(room: Room) -> Arc<Gate> {
        Arc::new(Gate {
            room,
            permits: Arc::new(Semaphore::new(room.total.max(1))),
            addresses: Mutex::default(),
            strangers: AtomicUsize::new(0),
            seated: AtomicUsize::new(0),
        })
    }

    /// Waits until one more connection may be accepted.
    pub async fn permit(&self) -> Permit {
        Permit { _guard: self.permits.acquire_arc().await }
    }

    /// Gives an accepted connection its place (`None`: no IP address).
    pub fn seat(self: &Arc<Self>, permit: Permit, address: Option<IpAddr>) -> Result<Arc<Seat>, Crowded> {
        // An IPv4 client of a dual-stack socket is the same client.
        let address = address.map(|a| a.to_canonical()).filter(|a| !a.is_loopback());
        if self.strangers.load(Ordering::Relaxed) >= self.room.before_login {
            return Err(Crowded::BeforeLogin);
        }
        if let Some(address) = address {
            let mut addresses = self.addresses();
            let count = addresses.entry(address).or_insert(0);
            if *count >= self.room.per_address {
                return Err(Crowded::Address);
            }
            *count += 1;
        }
        self.strangers.fetch_add(1, Ordering::Relaxed);
        self.seated.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(Seat { gate: self.clone(), address, stranger: AtomicBool::new(true), _permit: permit }))
    }

    /// Connections now.
    pub fn seated(&self) -> usize {
        self.seated.load(Ordering::Relaxed)
    }

    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// The peer has logged in (or need not): it counts as a stranger no more.
    pub fn known(&self) {
        if self.stranger.swap(false, Ordering::Relaxed) {
            self.gate.strangers.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.known();
        self.gate.seated.fetch_sub(1, Ordering::Relaxed);
        if let Some(address) = self.address {
            let mut addresses = self.gate.addresses();
            if let Some(count) = addresses.get_mut(&address) {
                *count -= 1;
                if *count == 0 {
                    addresses.remove(&address);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_up_and_down() {
        smol::block_on(async {
            let gate = Gate::new(Room { total: 6, per_address: 2, before_login: 3 });
            let far: IpAddr = "192.0.2.1".parse().unwrap();
            let near: IpAddr = "127.0.0.1".parse().unwrap();
            let a = gate.seat(gate.permit().await, Some(far)).unwrap();
            let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
            let b = gate.seat(gate.permit().await, Some(mapped)).unwrap();
            assert_eq!(gate.seat(gate.permit().await, Some(far)).unwrap_err(), Crowded::Address);
            let c = gate.seat(gate.permit().await, Some(near)).unwrap();
            assert_eq!(gate.seat(gate.permit().await, Some(near)).unwrap_err(), Crowded::BeforeLogin);
            a.known();
            a.known();
            let d = gate.seat(gate.permit().await, Some(near)).unwrap();
            assert_eq!(gate.seated(), 4);
            drop((a, b, c, d));
            assert_eq!((gate.seated(), gate.strangers.load(Ordering::Relaxed)), (0, 0));
            assert!(gate.addresses().is_empty());
        });
    }
}
