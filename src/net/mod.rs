//! Sockets, TLS and threads. With `serve` and `work` the only users of smol.

pub mod browse;
mod deflate;
pub mod dial;
pub mod drive;
mod ended;
pub mod executor;
pub mod export;
pub mod filters;
pub mod gate;
pub mod http;
pub mod imap_login;
pub mod listen;
pub mod pool;
mod serving;
pub mod smtp;
pub mod stop;
pub mod stream;
pub mod tasks;
pub mod tls;
pub mod verdict;
pub mod web;

pub use drive::Connection;
pub use ended::Ended;
pub use executor::Executor;
pub use gate::{Gate, Seat};
pub use listen::{Address, Listener};
pub use pool::{Pool, Pools};
pub use stop::Stop;
pub use tasks::Tasks;
