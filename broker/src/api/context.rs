//! What handlers may use: named handles, one for each concern, never the whole broker.
//!
//! A handle is cheap to clone and safe to use from any task. `server.rs` builds the one value at start; tests
//! build their own.

use thalweg_telemetry::{Metrics, Shutdown};

use std::sync::Arc;

use super::{Authorizer, Throttle};
use crate::broker_configs::BrokerConfigs;
use crate::budget::MemoryBudget;
use crate::clock::Clock;
use crate::groups::Groups;
use crate::live_settings::LiveSettings;
use crate::partition::{DiskGate, FetchSessions, MirrorCounters, ProducerIds, TransactionGate};
use crate::topics::Topics;
use crate::transactions::Transactions;
use thalweg_metadata::Stamp;
use thalweg_storage::disk::Disk;

/// The handles of all handlers.
pub struct Context {
    /// The broker's settings; take one snapshot for one request.
    pub settings: LiveSettings,
    /// Wall-clock time.
    pub clock: Clock,
    /// Who may do what; asked by every handler before it acts.
    pub authorizer: Authorizer,
    /// Quotas; asked by every handler before it replies.
    pub throttle: Throttle,
    /// Memory for large responses and for group state.
    pub budget: MemoryBudget,
    /// The registry, for metrics of a handler's own.
    pub metrics: Metrics,
    /// Topics and their logs.
    pub topics: Arc<Topics>,
    /// Changes of the broker's own settings while it runs.
    pub broker_configs: Arc<BrokerConfigs>,
    /// The disk of the data directory, for its size.
    pub disk: Arc<dyn Disk>,
    /// Consumer groups.
    pub groups: Arc<Groups>,
    /// Transactions.
    pub transactions: Arc<Transactions>,
    /// Fetch sessions.
    pub fetch_sessions: Arc<FetchSessions>,
    /// Producer ids.
    pub producer_ids: Arc<ProducerIds>,
    /// What mirror links did.
    pub mirrors: Arc<MirrorCounters>,
    /// Whether the disk has room for clients' records.
    pub disk_gate: Arc<DiskGate>,
    /// Whether a batch may begin a transaction.
    pub transaction_gate: Arc<dyn TransactionGate>,
    /// Identity of the cluster and of the data directory.
    pub stamp: Stamp,
    /// Raised when the broker stops: stage-2 waits race against [`Shutdown::requested`] and answer with what
    /// they have.
    pub shutdown: Shutdown,
}
