//! What an operator sees over HTTP: `/metrics`, `/livez`, `/readyz` and a small read-only JSON API.
//!
//! Owns the listener `http.listener` and the limits of its connections. Changes nothing: there is no
//! authentication here yet, so whoever reaches the address may read names, offsets and settings' effects, and
//! that is all. It answers from before the data directory is opened until the broker is gone: `/livez` tells whether
//! the process must be restarted, `/readyz` whether it should get traffic and why not. Invariant: nothing here can hold
//! up the Kafka side; every wait and every size has a bound.

mod health;
mod json;
mod lag;
mod metrics;
mod page;
mod process;
mod routes;
mod server;
mod startup;

pub use server::serve;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use thalweg_metadata::Stamp;
use thalweg_telemetry::{Metrics, MetricsError, Shutdown};

use self::metrics::BrokerCollector;
use self::startup::StartCollector;
use crate::expiry_clock::ExpiryClock;
use crate::groups::Groups;
use crate::live_settings::LiveSettings;
use crate::partition::{DiskGate, FetchSessions, MirrorCounters};
use crate::storage::RecoveryProgress;
use crate::topics::Topics;
use crate::transactions::Transactions;

/// What the answers are made from.
#[derive(Clone, Debug)]
pub struct AdminParts {
    /// Topics and their logs.
    pub topics: Arc<Topics>,
    /// Consumer groups.
    pub groups: Arc<Groups>,
    /// Transactions.
    pub transactions: Arc<Transactions>,
    /// Settings.
    pub settings: LiveSettings,
    /// What mirror links did.
    pub mirrors: Arc<MirrorCounters>,
    /// Whether the disk has room.
    pub gate: Arc<DiskGate>,
    /// By which time records expire.
    pub expiry: Arc<ExpiryClock>,
    /// Fetch sessions.
    pub fetch_sessions: Arc<FetchSessions>,
    /// Identity.
    pub stamp: Stamp,
    /// Where the data is; its file system's space is told.
    pub data_directory: PathBuf,
    /// Host and port that clients of the first listener are told.
    pub address: String,
}

/// How far the broker has come; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Phase {
    progress: Arc<RecoveryProgress>,
    /// Set when the broker serves.
    parts: Arc<OnceLock<Arc<AdminParts>>>,
}

impl Phase {
    /// Returns the parts once the broker serves.
    fn parts(&self) -> Option<&Arc<AdminParts>> {
        self.parts.get()
    }
}

/// What the routes share from the first moment on; clones share it.
#[derive(Clone, Debug)]
pub struct AdminState {
    phase: Phase,
    metrics: Metrics,
    shutdown: Shutdown,
    /// One scrape at a time.
    scraping: Arc<tokio::sync::Semaphore>,
}

impl AdminState {
    /// Makes the state of a broker that opens its data directory, and registers what can be told of it.
    ///
    /// # Errors
    /// [`MetricsError`] if one of the names is taken: a defect.
    pub fn starting(
        metrics: Metrics,
        progress: Arc<RecoveryProgress>,
        shutdown: Shutdown,
        node_id: i32,
    ) -> Result<Self, MetricsError> {
        let phase = Phase {
            progress,
            parts: Arc::default(),
        };
        let collector = StartCollector::new(phase.clone(), shutdown.clone(), node_id);
        metrics.register_collector(Box::new(collector), StartCollector::reference())?;
        Ok(Self {
            phase,
            metrics,
            shutdown,
            scraping: Arc::new(tokio::sync::Semaphore::new(1)),
        })
    }

    /// Takes note that the broker serves from now on, and registers the metrics that are computed from its parts at
    /// each scrape. Called once.
    ///
    /// # Errors
    /// [`MetricsError`] if one of their names is taken: a defect.
    pub fn serving(&self, parts: AdminParts) -> Result<(), MetricsError> {
        let parts = Arc::new(parts);
        let collector = BrokerCollector::new(Arc::clone(&parts));
        self.metrics
            .register_collector(Box::new(collector), BrokerCollector::reference())?;
        self.phase.parts.get_or_init(|| parts);
        Ok(())
    }
}

#[cfg(test)]
#[path = "admin_test.rs"]
mod tests;
