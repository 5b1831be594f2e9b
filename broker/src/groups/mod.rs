//! Classic consumer groups: runs the pure coordinator of `thalweg_coordinator` over the logs of `__consumer_offsets`.
//!
//! One shard for each partition of the topic, each behind its own lock. A step of a shard and the append of its
//! records happen under that lock, so records lie in the log in the order of the steps. A reply waits for the ticket
//! of the newest append its shard had made when the step ended, also if the step wrote nothing: it may tell of what
//! an earlier one wrote. So a client never learns of a state that a crash can take back.
//!
//! Owns loading, timers, tokens of parked requests and the creation of the topic; the rules of groups belong to the
//! coordinator, the wire to `api`. Invariant: every request is answered once, or its caller is gone.

mod asked;
mod config;
mod events;
mod kept;
mod load;
mod markers;
mod offsets_topic;
mod shard;
mod shared;
mod tasks;
mod view;

pub use asked::{Ask, Asked};
pub use kept::keep;
pub use markers::{OffsetsVerification, outcome_of};
pub use offsets_topic::OFFSETS_TOPIC;
pub use view::{CommittedView, GroupView};

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use thalweg_coordinator::group::{GroupError, ListGroups, TopicName, partition_for};
use thalweg_telemetry::Shutdown;
use thalweg_types::PartitionIndex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::coordinator_log::LoadShard;
use crate::live_settings::LiveSettings;
use crate::topics::Topics;
use shard::ShardRunner;
use shared::Shared;

/// The consumer groups of the broker.
pub struct Groups {
    topics: Arc<Topics>,
    settings: LiveSettings,
    shutdown: Shutdown,
    shared: Arc<Shared>,
    /// Topics that were there before anything was served.
    at_start: HashSet<TopicName>,
    /// One for each partition of the offsets topic, once there is one.
    shards: OnceLock<Vec<Arc<ShardRunner>>>,
    /// Held while the offsets topic is made.
    creating: tokio::sync::Mutex<()>,
    /// The background work.
    task: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Groups({} shards)", self.shards().len())
    }
}

impl Groups {
    /// Prepares the groups that the log holds, and starts to load them, to keep time and to follow deleted topics, until
    /// `shutdown` or [`Groups::stop`]. Requests are told to come back until their shard is loaded.
    ///
    /// Must be called inside a tokio runtime. The settings of groups are read once.
    #[must_use]
    pub fn start(topics: Arc<Topics>, settings: LiveSettings, clock: Clock, shutdown: Shutdown) -> Arc<Self> {
        let current = settings.current();
        let (load, loads) = mpsc::unbounded_channel();
        let commit_timeout = current.offsets_commit_timeout_ms();
        let shared = Arc::new(Shared::new(
            config::group_config(&current),
            commit_timeout,
            clock,
            load,
        ));
        let names = topics.all();
        let at_start = names.iter().map(|topic| TopicName::from(&*topic.name)).collect();
        let groups = Arc::new(Self {
            topics,
            at_start,
            settings,
            shutdown,
            shared,
            shards: OnceLock::new(),
            creating: tokio::sync::Mutex::default(),
            task: Mutex::new(None),
        });
        if let Some(topic) = groups.topics.by_name(OFFSETS_TOPIC) {
            groups.open_shards(&topic);
        }
        let running = Arc::clone(&groups);
        let deletions = groups.topics.listen_to_deletions();
        *groups.task.lock() = Some(tokio::spawn(async move {
            tasks::run(&running, loads, deletions).await
        }));
        groups
    }

    /// Ends the background work and sends everybody away who still waits for other members. To be called when no
    /// more requests come and before the logs are closed.
    pub async fn stop(&self) {
        let task = self.task.lock().take();
        if let Some(task) = task {
            task.abort();
            // Cancelled, or ended by the shutdown before.
            let _ = task.await;
        }
        self.send_away();
    }

    /// From here on nobody waits for other members: the broker stops, the client finds the next coordinator. Commits
    /// and heartbeats are served on.
    fn send_away(&self) {
        self.shared.stop();
        for shard in self.shards() {
            shard.release_parked();
        }
    }

    /// Makes the offsets topic if there is none yet. FindCoordinator does so before it names this broker.
    ///
    /// # Errors
    /// [`GroupError::CoordinatorNotAvailable`] when the topic cannot be made; the reason is in the log.
    pub async fn ensure(&self) -> Result<(), GroupError> {
        if self.shards.get().is_some() {
            return Ok(());
        }
        let _creating = self.creating.lock().await;
        if self.shards.get().is_some() {
            return Ok(());
        }
        let topic = offsets_topic::find_or_create(&self.topics, &self.settings.current()).await?;
        self.open_shards(&topic);
        Ok(())
    }

    /// Puts a request to the group's shard. Its effects have happened on return; the answer comes from
    /// [`Asked::wait`].
    ///
    /// # Errors
    /// [`GroupError::CoordinatorNotAvailable`] when there is no offsets topic and none can be made.
    pub async fn ask<R: Ask>(&self, request: R) -> Result<Asked<R>, GroupError> {
        self.ensure().await?;
        let shards = self.shards();
        let partition = partition_for(
            request.group_id(),
            i32::try_from(shards.len()).unwrap_or(i32::MAX),
        );
        let shard = self.shard(partition).ok_or(GroupError::CoordinatorNotAvailable)?;
        Ok(shard.ask(request))
    }

    /// Puts a list request to every shard; no shard at all before the first group.
    #[must_use]
    pub fn ask_lists(&self, request: &ListGroups) -> Vec<Asked<ListGroups>> {
        self.shards()
            .iter()
            .map(|shard| shard.ask(request.clone()))
            .collect()
    }

    /// Returns a view of every group, by shard and id: for metrics and administrators. Groups of shards that are
    /// being loaded are missing.
    #[must_use]
    pub fn summaries(&self) -> Vec<GroupView> {
        self.shards()
            .iter()
            .flat_map(|shard| view::views(shard))
            .collect()
    }

    /// Returns the view of one group, if it exists and is loaded.
    #[must_use]
    pub fn summary(&self, group_id: &str) -> Option<GroupView> {
        let shards = self.shards();
        let partition = partition_for(group_id, i32::try_from(shards.len()).unwrap_or(i32::MAX));
        let shard = shards.get(usize::try_from(partition.0).ok()?)?;
        view::view(shard, group_id)
    }

    /// Returns the counters of all shards together.
    #[must_use]
    pub fn stats(&self) -> thalweg_coordinator::group::GroupShardStats {
        view::stats(self.shards())
    }

    /// Returns the partitions of the offsets topic that are not loaded yet, each with what stands in the way if a
    /// try has failed. Empty = every group is served.
    #[must_use]
    pub fn not_loaded(&self) -> Vec<(PartitionIndex, Option<String>)> {
        self.shards()
            .iter()
            .filter_map(|shard| shard.load_problem().map(|problem| (shard.partition(), problem)))
            .collect()
    }

    /// Runs the timers that are due; returns the time of the next one. The timer task calls it.
    pub(crate) fn tick(&self) -> Option<thalweg_types::TimestampMs> {
        let now = self.shared.clock.now();
        self.shards().iter().filter_map(|shard| shard.tick(now)).min()
    }

    fn shards(&self) -> &[Arc<ShardRunner>] {
        self.shards.get().map_or(&[], Vec::as_slice)
    }

    fn open_shards(&self, topic: &crate::topics::TopicView) {
        let shards = (0..topic.partitions).map(PartitionIndex).filter_map(|partition| {
            // A live topic has all its logs.
            let log = self.topics.log(topic, partition)?;
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
#[path = "groups_test.rs"]
pub(crate) mod tests;
