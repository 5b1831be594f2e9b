//! Quotas: how long a client has to wait because of what it did.
//!
//! Every handler charges what it did and puts the answer into `throttle_time_ms` of its response and into
//! [`super::Response::throttled`]; the connection is then not read for that long (KIP-13, KIP-124, KIP-219,
//! KIP-599). Until quotas exist nobody waits.

use std::time::Duration;

use super::request::ConnectionInfo;

/// What is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// Bytes of records produced (`producer_byte_rate`).
    ProduceBytes(u64),
    /// Bytes of records fetched (`consumer_byte_rate`).
    FetchBytes(u64),
    /// Time a worker spent (`request_percentage`).
    WorkTime(Duration),
    /// Partitions created or deleted (`controller_mutation_rate`).
    TopicMutations(u32),
}

/// The quotas; without any, nothing is throttled.
#[derive(Clone, Debug, Default)]
pub struct Throttle {
    _private: (),
}

impl Throttle {
    /// Returns quotas that throttle nobody.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::default()
    }

    /// Charges the connection's principal and client id, and returns how long to mute the connection.
    #[must_use]
    pub fn charge(&self, connection: &ConnectionInfo, client_id: Option<&str>, charge: Charge) -> Duration {
        let _ = (connection, client_id, charge);
        Duration::ZERO
    }
}
