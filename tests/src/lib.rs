//! Harness for tests with real processes and real clients.
//!
//! Owns: starting, killing and restarting a broker ([`broker`]), the clients that talk to it ([`clients`]), bounded
//! waits, actors that work through every death of a broker ([`actors`]) and the book of what they were told
//! ([`history`]), loopback ports, real input data, and the book of skipped tests ([`skip`]).
//! Does not own: any rule of the broker; those stand in `tests/tests/*`.
//! Invariant: nothing here waits without a bound, [`watchdog`] ends a test that does, and a process that a test started does not outlive the test.
//!
//! The harness is test code: a broken precondition panics with what, where and the tail of the process's own output.

pub mod actors;
pub mod broker;
pub mod chance;
pub mod clients;
pub mod counters;
pub mod exposition;
pub mod group_requests;
pub mod history;
pub mod http;
pub mod kafka_peer;
pub mod load;
pub mod memory;
pub mod mirror;
pub mod mirror_agent;
pub mod places;
pub mod ports;
pub mod process;
pub mod raw;
pub mod real_input;
pub mod relay;
pub mod requests;
pub mod router;
pub mod skip;
pub mod transactions;
pub mod volume;
pub mod wait;
pub mod watchdog;

pub use broker::{Broker, BrokerConfig, Product};
