//! Writes the markers of a decided transaction: to the logs of its partitions, and through the groups to those of
//! `__consumer_offsets`.
//!
//! A partition that is gone needs no marker, and one that knows a newer epoch of the producer has none of its old
//! transactions open. One that a mirror link owns holds no transaction of this cluster: it was a mirror from its start.
//! Everything else is tried until it goes or the broker stops.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use thalweg_coordinator::transaction::{MarkerWork, Outcome, TransactionVersion as ClientVersion};
use thalweg_storage::commit::{CommitError, Ticket};
use thalweg_storage::disk::CrashPoint;
use thalweg_storage::log::producers::SequenceError;
use thalweg_storage::log::rows::WriteState;
use thalweg_storage::log::{AppendError, TransactionMarker, TransactionOutcome, TransactionVersion};
use thalweg_types::{PartitionIndex, TimestampMs};

use super::shard::ShardRunner;
use super::shared::Shared;
use crate::groups::{Groups, OFFSETS_TOPIC};
use crate::topics::Topics;

/// Wait before a marker that a log refused is tried again; doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Where markers go.
#[derive(Clone, Copy, Debug)]
pub struct MarkerTarget<'a> {
    pub(super) topics: &'a Arc<Topics>,
    pub(super) groups: &'a Arc<Groups>,
}

/// Why a marker is not in a log.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MarkerError {
    /// The topic has no such partition (any more).
    #[error("there is no such partition")]
    UnknownPartition,
    /// The log refused it.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl MarkerTarget<'_> {
    /// Appends one marker. It is in force when the ticket completes.
    ///
    /// # Errors
    /// [`MarkerError`]; nothing was appended then.
    pub fn append(
        self,
        topic: &str,
        partition: PartitionIndex,
        marker: TransactionMarker,
        now: TimestampMs,
    ) -> Result<Option<Ticket>, MarkerError> {
        let appended = if topic == OFFSETS_TOPIC {
            self.groups
                .append_marker(partition, marker)
                .ok_or(MarkerError::UnknownPartition)??
        } else {
            let view = self.topics.by_name(topic).ok_or(MarkerError::UnknownPartition)?;
            let log = self
                .topics
                .log(&view, partition)
                .ok_or(MarkerError::UnknownPartition)?;
            log.append_marker(marker, now)?
        };
        Ok(appended.ticket)
    }
}

/// Markers to write for a shard.
pub(super) struct Work {
    shard: Arc<ShardRunner>,
    term: u64,
    /// What was decided is durable when this completes.
    prepared: Option<Ticket>,
    markers: MarkerWork,
    shared: Arc<Shared>,
    pending: u64,
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Work({:?})", self.markers)
    }
}

/// Nothing is pending of work that is given up: the next load asks for it again.
impl Drop for Work {
    fn drop(&mut self) {
        self.shared
            .markers_pending
            .fetch_sub(self.pending, Ordering::Relaxed);
    }
}

/// Why work ends early.
enum GivenUp {
    /// The shard is another one by now, or gone.
    NewTerm,
    /// A log failed; so does the broker.
    Failed(CommitError),
}

impl Work {
    pub(super) fn new(
        (shard, term): (Arc<ShardRunner>, u64),
        prepared: Option<Ticket>,
        markers: MarkerWork,
        shared: Arc<Shared>,
    ) -> Self {
        let count: usize = markers.partitions.iter().map(|(_, all)| all.len()).sum();
        let pending = count as u64;
        shared.markers_pending.fetch_add(pending, Ordering::Relaxed);
        Self {
            shard,
            term,
            prepared,
            markers,
            shared,
            pending,
        }
    }

    /// Writes all of them and tells the shard.
    pub(super) async fn run(self, topics: Arc<Topics>, groups: Arc<Groups>) {
        // Held to the end: no load begins while markers of the memory before it may still be written.
        let writing = Arc::clone(&self.shard.writing).read_owned().await;
        let target = MarkerTarget {
            topics: &topics,
            groups: &groups,
        };
        match self.write(target).await {
            Ok(()) => self.shard.markers_written(self.term, &self.markers),
            Err(GivenUp::NewTerm) => {}
            Err(GivenUp::Failed(error)) => {
                tracing::warn!(transactional_id = %self.markers.transactional_id, %error, "markers wait for the next start");
            }
        }
        drop(writing);
    }

    async fn write(&self, target: MarkerTarget<'_>) -> Result<(), GivenUp> {
        if let Some(prepared) = &self.prepared {
            prepared.durable().await.map_err(GivenUp::Failed)?;
        }
        let engine = target.topics.engine();
        engine.reached(CrashPoint::TransactionPrepared);
        let mut tickets = Vec::new();
        for (topic, partitions) in &self.markers.partitions {
            for partition in partitions {
                tickets.extend(self.append(target, topic, *partition).await?);
                engine.reached(CrashPoint::TransactionMarked);
            }
        }
        for ticket in tickets {
            ticket.durable().await.map_err(GivenUp::Failed)?;
        }
        engine.reached(CrashPoint::TransactionMarkersDurable);
        Ok(())
    }

    /// Appends one marker, as often as it takes.
    async fn append(
        &self,
        target: MarkerTarget<'_>,
        topic: &str,
        partition: PartitionIndex,
    ) -> Result<Option<Ticket>, GivenUp> {
        let mut wait = RETRY_MIN;
        loop {
            if !self.shard.is_in_term(self.term) {
                return Err(GivenUp::NewTerm);
            }
            let appended = target.append(topic, partition, self.marker(), self.shared.clock.now());
            let error = match appended {
                Ok(ticket) => return Ok(ticket),
                Err(error) => error,
            };
            match judge(&error) {
                Verdict::Unneeded => return Ok(None),
                Verdict::Fenced => {
                    tracing::warn!(
                        transactional_id = %self.markers.transactional_id, topic, partition = partition.0, %error,
                        "a marker is not needed: the partition knows of a newer one"
                    );
                    return Ok(None);
                }
                Verdict::NotOurs => {
                    tracing::error!(
                        transactional_id = %self.markers.transactional_id, topic, partition = partition.0, %error,
                        "a marker is dropped: a mirror link owns the partition, and its source says how transactions in it end"
                    );
                    return Ok(None);
                }
                Verdict::Failed(error) => return Err(GivenUp::Failed(error)),
                Verdict::Again => {
                    tracing::error!(
                        transactional_id = %self.markers.transactional_id, topic, partition = partition.0, %error,
                        "a marker cannot be appended; its transaction stays open there and it is tried again"
                    );
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    fn marker(&self) -> TransactionMarker {
        TransactionMarker {
            producer_id: self.markers.producer.id,
            producer_epoch: self.markers.producer.epoch,
            coordinator_epoch: self.shard.coordinator_epoch(),
            outcome: match self.markers.outcome {
                Outcome::Commit => TransactionOutcome::Commit,
                Outcome::Abort => TransactionOutcome::Abort,
            },
            version: storage_version(self.markers.version),
        }
    }
}

/// What a refusal means for the transaction.
enum Verdict {
    /// There is nothing to mark.
    Unneeded,
    /// Somebody newer has marked.
    Fenced,
    /// The partition is a mirror's.
    NotOurs,
    /// It may go later.
    Again,
    /// It will not go before the next start.
    Failed(CommitError),
}

fn judge(error: &MarkerError) -> Verdict {
    match error {
        // A topic is deleted for good; `Closed` is what its log says a moment before.
        MarkerError::UnknownPartition | MarkerError::Append(AppendError::Closed) => Verdict::Unneeded,
        // No batch of the transaction got in before the partition was sealed.
        MarkerError::Append(AppendError::WriteState {
            state: WriteState::SealedAt(_),
            ..
        }) => Verdict::Unneeded,
        MarkerError::Append(
            AppendError::Sequence(SequenceError::StaleEpoch { .. })
            | AppendError::TransactionCoordinatorFenced { .. },
        ) => Verdict::Fenced,
        MarkerError::Append(AppendError::WriteState {
            state: WriteState::OwnedByLink,
            ..
        }) => Verdict::NotOurs,
        MarkerError::Append(AppendError::Commit(error)) => Verdict::Failed(error.clone()),
        MarkerError::Append(_) => Verdict::Again,
    }
}

/// Turns the coordinator's word for a client's protocol into the storage's.
#[must_use]
pub fn storage_version(version: ClientVersion) -> TransactionVersion {
    if version.bumps_epoch() {
        TransactionVersion::V2
    } else {
        TransactionVersion::V1
    }
}
