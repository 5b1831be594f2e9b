//! The broker: serves the Kafka protocol from the logs it keeps.
//!
//! Data flows in one direction: `network` (frames) → `api` (one file per API key) → domain modules → crates.
//! The leaf modules [`budget`], [`clock`], [`expiry_clock`] and [`live_settings`] are used by all of them and use none.

pub mod admin;
pub mod api;
pub mod broker_configs;
pub mod budget;
pub mod cleaner;
pub mod cli;
pub mod clock;
pub mod coordinator_log;
pub mod expiry_clock;
pub mod groups;
pub mod live_settings;
pub mod maintenance;
pub mod network;
pub mod partition;
#[cfg(feature = "planted-faults")]
pub mod planted;
pub mod server;
pub mod storage;
pub mod topics;
pub mod transactions;

#[cfg(test)]
mod test_broker;
