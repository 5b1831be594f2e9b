//! What an operator sees over HTTP: `/metrics`, `/livez`, `/readyz` and a small read-only JSON API.
//!
//! Owns the listener `http.listener` and the limits of its connections. Changes nothing: there is no
//! authentication here yet, so whoever reaches the address may read names, offsets and settings' effects, and
//! that is all. Invariant: nothing here can hold up the Kafka side; every wait and every size has a bound.

mod health;
mod json;
mod lag;
mod metrics;
mod page;
mod routes;
mod server;

pub use server::serve;

use std::path::PathBuf;
use std::sync::Arc;

use thalweg_metadata::Stamp;
use thalweg_telemetry::{Metrics, MetricsError};

use crate::groups::Groups;
use crate::live_settings::LiveSettings;
use crate::partition::{DiskGate, FetchSessions};
use crate::topics::Topics;

/// What the answers are made from.
#[derive(Clone, Debug)]
pub struct AdminParts {
    /// Topics and their logs.
    pub topics: Arc<Topics>,
    /// Consumer groups.
    pub groups: Arc<Groups>,
    /// Settings.
    pub settings: LiveSettings,
    /// Whether the disk has room.
    pub gate: Arc<DiskGate>,
    /// Fetch sessions.
    pub fetch_sessions: Arc<FetchSessions>,
    /// Identity.
    pub stamp: Stamp,
    /// Where the data is; its file system's space is told.
    pub data_directory: PathBuf,
    /// The registry behind `/metrics`.
    pub metrics: Metrics,
}

/// The parts, with what the routes keep between requests; clones share it.
#[derive(Clone, Debug)]
pub struct AdminState {
    parts: Arc<AdminParts>,
    /// One scrape at a time.
    scraping: Arc<tokio::sync::Semaphore>,
}

impl AdminState {
    /// Registers the metrics that are computed at each scrape.
    ///
    /// # Errors
    /// [`MetricsError`] if one of their names is taken: a defect.
    pub fn new(parts: AdminParts) -> Result<Self, MetricsError> {
        let parts = Arc::new(parts);
        parts
            .metrics
            .register_collector(Box::new(metrics::BrokerCollector::new(Arc::clone(&parts))))?;
        Ok(Self {
            parts,
            scraping: Arc::new(tokio::sync::Semaphore::new(1)),
        })
    }
}

#[cfg(test)]
#[path = "admin_test.rs"]
mod tests;
