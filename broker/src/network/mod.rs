//! Sockets: frames in, replies out in order.
//!
//! Owns listeners, connections and their limits. Knows of requests only the first four bytes of their header,
//! which the API table judges; what they mean is decided behind the [`crate::api::Dispatcher`] it is given.
//!
//! Invariants: replies of one connection leave in the order of its requests, and their effects happen in that
//! order; bytes are read only with memory for them; nothing from the other end panics or reserves memory on
//! its word.

mod connection;
mod connection_count;
mod connection_shared;
pub mod frame_reader;
pub mod listener;
mod log_limit;
pub mod metrics;
pub mod settings;
mod write_queue;
mod writer;

#[cfg(test)]
mod tests;

pub use connection_shared::AuthState;
pub use listener::{ListenError, Listener, ServeHandles, follow_settings, serve};
pub use metrics::NetworkMetrics;
pub use settings::{ConnectionLimits, ListenerSettings, NetworkSettings};
