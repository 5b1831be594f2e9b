//! Transactions: runs the pure coordinator of `thalweg_coordinator` over the logs of `__transaction_state`, and writes
//! the markers that it asks for.
//!
//! One shard for each partition of the topic, each behind its own lock. A step of a shard and the append of its records
//! happen under that lock, so records lie in the log in the order of the steps. A reply waits for the ticket of the
//! newest append its shard had made when the step ended.
//!
//! What was decided is durable before the first marker is appended, and every marker is durable before the shard hears
//! of it; a crash anywhere between leaves a decision that the next start carries out. A producer may go on as soon as
//! the step is done where nothing but its own later appends depends on it ([`Asked::in_log`]): the write-ahead log is
//! durable in its order.
//!
//! Owns loading, timers, markers and the creation of the topic; the rules of transactions belong to the coordinator,
//! the wire to `api`.

mod asked;
mod config;
mod events;
mod gate;
mod load;
mod markers;
mod shard;
mod shared;
mod state_topic;
mod tasks;
mod view;

pub use asked::{Answer, Ask, Asked};
pub use gate::CoordinatorGate;
pub use markers::{MarkerError, MarkerTarget, storage_version};
pub use state_topic::TRANSACTION_TOPIC;
pub use view::TransactionStats;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use thalweg_coordinator::transaction::{
    ListTransactions, TransactionError, TransactionReply, TransactionRequest, partition_for,
};
use thalweg_telemetry::Shutdown;
use thalweg_types::{PartitionIndex, TimestampMs};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::coordinator_log::LoadShard;
use crate::groups::Groups;
use crate::live_settings::LiveSettings;
use crate::partition::ProducerIds;
use crate::topics::Topics;
use shard::ShardRunner;
use shared::Shared;

/// How long a request waits for the end of the last transaction before its client is told to come back. As long as
/// Kafka's `add.partitions.to.txn.retry.backoff.max.ms`.
const CONCURRENT_WAIT: Duration = Duration::from_millis(100);

/// What transactions are made of.
pub struct TransactionParts {
    /// Topics and their logs.
    pub topics: Arc<Topics>,
    /// Groups, whose offsets a transaction may commit.
    pub groups: Arc<Groups>,
    /// The source of new producer ids.
    pub producer_ids: Arc<ProducerIds>,
    /// The broker's settings; those of transactions are read once.
    pub settings: LiveSettings,
    /// Wall-clock time.
    pub clock: Clock,
    /// Raised when the broker stops.
    pub shutdown: Shutdown,
}

/// The transactions of the broker.
pub struct Transactions {
    parts: TransactionParts,
    shared: Arc<Shared>,
    /// One for each partition of the topic, once there is one.
    shards: OnceLock<Vec<Arc<ShardRunner>>>,
    /// Held while the topic is made.
    creating: tokio::sync::Mutex<()>,
    /// The background work.
    task: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Transactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transactions({} shards)", self.shards().len())
    }
}

impl Transactions {
    /// Prepares the transactional ids that the log holds, and starts to load them, to write markers and to keep time,
    /// until the shutdown or [`Transactions::stop`]. Requests are told to come back until their shard is loaded.
    ///
    /// Must be called inside a tokio runtime.
    #[must_use]
    pub fn start(parts: TransactionParts) -> Arc<Self> {
        // Bounded by what sends: a shard is loaded once at a time, and an id has one decision whose markers are due.
        let (load, loads) = mpsc::unbounded_channel();
        let (work, works) = mpsc::unbounded_channel();
        let current = parts.settings.current();
        let config = config::transaction_config(&current);
        let reply_timeout = current.offsets_commit_timeout_ms();
        let shared = Arc::new(Shared::new(config, reply_timeout, &parts.clock, (load, work)));
        let transactions = Arc::new(Self {
            parts,
            shared,
            shards: OnceLock::new(),
            creating: tokio::sync::Mutex::default(),
            task: Mutex::new(None),
        });
        if let Some(topic) = transactions.parts.topics.by_name(TRANSACTION_TOPIC) {
            transactions.open_shards(&topic);
        }
        let running = Arc::clone(&transactions);
        *transactions.task.lock() = Some(tokio::spawn(
            async move { tasks::run(&running, loads, works).await },
        ));
        transactions
    }

    /// Ends the background work. To be called when no more requests come and before the logs are closed. Markers that
    /// are missing then are written after the next start.
    pub async fn stop(&self) {
        self.shared.stop();
        let task = self.task.lock().take();
        if let Some(task) = task {
            task.abort();
            // Cancelled, or ended by the shutdown before.
            let _ = task.await;
        }
    }

    /// Makes the topic if there is none yet. FindCoordinator does so before it names this broker.
    ///
    /// # Errors
    /// [`TransactionError::CoordinatorNotAvailable`] when the topic cannot be made; the reason is in the log.
    pub async fn ensure(&self) -> Result<(), TransactionError> {
        if self.shards.get().is_some() {
            return Ok(());
        }
        let _creating = self.creating.lock().await;
        if self.shards.get().is_some() {
            return Ok(());
        }
        let topic = state_topic::find_or_create(&self.parts.topics, &self.parts.settings.current()).await?;
        self.open_shards(&topic);
        Ok(())
    }

    /// Puts a request to the shard of its transactional id. Its effects have happened on return, and the answer stands;
    /// [`Asked::wait`] holds it back until it may leave.
    ///
    /// While the last transaction is being ended, waits a moment for that: the client would only come again.
    ///
    /// # Errors
    /// [`TransactionError::CoordinatorNotAvailable`] when there is no topic and none can be made, or no producer id.
    pub async fn ask<R: Ask>(&self, request: R) -> Result<Asked<R>, TransactionError> {
        self.ensure().await?;
        let shard = self.shard_of(request.transactional_id())?;
        let request = request.into_request();
        let mut spare = None;
        let started = Instant::now();
        loop {
            let ended = shard.ended.notified();
            let answer = match shard.ask(&request, &mut spare) {
                Ok(answer) => answer,
                Err(_) => {
                    spare = Some(self.new_producer_id().await?);
                    continue;
                }
            };
            let left = CONCURRENT_WAIT.saturating_sub(started.elapsed());
            if !answer.reply.is_concurrent() || left.is_zero() {
                return Ok(Asked::new(answer, self.shared.reply_timeout));
            }
            // A time-out asks a last time.
            let _ = tokio::time::timeout(left, ended).await;
        }
    }

    /// Puts a list request to every shard; none before the first transactional id.
    ///
    /// # Errors
    /// [`TransactionError::CoordinatorLoadInProgress`] while a shard is being loaded.
    pub fn ask_lists(
        &self,
        request: &ListTransactions,
    ) -> Result<Vec<Asked<ListTransactions>>, TransactionError> {
        let request = TransactionRequest::List(request.clone());
        let mut lists = Vec::with_capacity(self.shards().len());
        for shard in self.shards() {
            let answer = shard
                .ask(&request, &mut None)
                .map_err(|_| TransactionError::CoordinatorNotAvailable)?;
            if let TransactionReply::List(Err(error)) = &answer.reply {
                return Err(*error);
            }
            lists.push(Asked::new(answer, self.shared.reply_timeout));
        }
        Ok(lists)
    }

    /// Returns the partitions of the topic that are not loaded yet, each with what stands in the way if a try has
    /// failed. Empty = every transactional id is served.
    #[must_use]
    pub fn not_loaded(&self) -> Vec<(PartitionIndex, Option<String>)> {
        self.shards()
            .iter()
            .filter_map(|shard| shard.load_problem().map(|problem| (shard.partition(), problem)))
            .collect()
    }

    /// Where markers go.
    #[must_use]
    pub fn marker_target(&self) -> MarkerTarget<'_> {
        MarkerTarget {
            topics: &self.parts.topics,
            groups: &self.parts.groups,
        }
    }

    /// Returns the counters of all shards together, and what is open now.
    #[must_use]
    pub fn stats(&self) -> TransactionStats {
        view::stats(self.shards(), &self.shared)
    }

    /// Runs the timers that are due; returns the time of the next one.
    fn tick(&self) -> Option<TimestampMs> {
        let now = self.shared.clock.now();
        self.shards().iter().filter_map(|shard| shard.tick(now)).min()
    }

    async fn new_producer_id(&self) -> Result<thalweg_types::ProducerId, TransactionError> {
        self.parts.producer_ids.next().await.map_err(|error| {
            tracing::error!(%error, "a transactional producer waits for an id");
            TransactionError::CoordinatorNotAvailable
        })
    }

    fn shard_of(&self, transactional_id: &str) -> Result<&Arc<ShardRunner>, TransactionError> {
        let shards = self.shards();
        let partition = partition_for(transactional_id, i32::try_from(shards.len()).unwrap_or(i32::MAX));
        usize::try_from(partition.0)
            .ok()
            .and_then(|index| shards.get(index))
            .ok_or(TransactionError::CoordinatorNotAvailable)
    }

    fn shards(&self) -> &[Arc<ShardRunner>] {
        self.shards.get().map_or(&[], Vec::as_slice)
    }

    fn open_shards(&self, topic: &crate::topics::TopicView) {
        let shards = (0..topic.partitions).map(PartitionIndex).filter_map(|partition| {
            // A live topic has all its logs.
            let log = self.parts.topics.log(topic, partition)?;
            Some(Arc::new(ShardRunner::new(
                partition,
                log,
                Arc::clone(&self.shared),
            )))
        });
        let shards: Vec<_> = shards.collect();
        if self.shards.set(shards).is_ok() {
            for shard in self.shards() {
                shard.start();
            }
        }
    }
}

#[cfg(test)]
#[path = "transactions_test.rs"]
pub(crate) mod tests;
