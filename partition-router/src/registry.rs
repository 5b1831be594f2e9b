//! The schema registry: subjects, versions, ids, compatibility levels and modes.
//!
//! [`state`] is what the topic's records add up to, [`changes`] decides what a request would write, both without I/O;
//! [`store`] reads and writes the topic. Invariant: an id stands for one schema for ever, and ids rise.

pub mod changes;
pub mod error;
pub mod record;
pub mod state;
pub mod store;

pub use error::RegistryError;
