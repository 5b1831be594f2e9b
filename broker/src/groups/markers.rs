//! The group side of transactions: verification of a transactional commit, and the markers that decide it.

use std::sync::Arc;

use thalweg_coordinator::group::{GroupError, TxnOffsetCommit, partition_for};
use thalweg_coordinator::transaction::Outcome;
use thalweg_storage::log::{
    AppendError, Appended, TransactionMarker, TransactionStart, TransactionVersion, VerificationGuard,
};
use thalweg_types::PartitionIndex;
use thalweg_wire::records::TransactionOutcome;

use super::Groups;
use super::asked::Asked;
use super::shard::ShardRunner;

/// A group's partition, watched while the transaction coordinator is asked about it.
#[derive(Debug)]
pub struct OffsetsVerification {
    shard: Arc<ShardRunner>,
    /// The partition of `__consumer_offsets` that must be part of the transaction.
    pub partition: PartitionIndex,
    pub(super) start: TransactionStart,
    /// `None` when the transaction is open there already: there is nothing to ask.
    pub(super) guard: Option<VerificationGuard>,
}

impl OffsetsVerification {
    /// Reports whether the coordinator must be asked.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        self.guard.is_some()
    }
}

/// Turns the storage's word for an end into the coordinator's.
#[must_use]
pub fn outcome_of(outcome: TransactionOutcome) -> Outcome {
    match outcome {
        TransactionOutcome::Commit => Outcome::Commit,
        TransactionOutcome::Abort => Outcome::Abort,
    }
}

impl Groups {
    /// Returns the partition of the offsets topic that a group is kept in.
    ///
    /// # Errors
    /// [`GroupError::CoordinatorNotAvailable`] when there is no offsets topic and none can be made.
    pub async fn partition_of(&self, group_id: &str) -> Result<PartitionIndex, GroupError> {
        self.ensure().await?;
        let count = i32::try_from(self.shards().len()).unwrap_or(i32::MAX);
        Ok(partition_for(group_id, count))
    }

    /// Begins the verification of a transactional commit. A marker that comes before [`Groups::ask_transactional`]
    /// makes it void.
    ///
    /// # Errors
    /// [`GroupError::CoordinatorNotAvailable`] when there is no offsets topic and none can be made.
    pub async fn begin_verification(
        &self,
        request: &TxnOffsetCommit,
        version: TransactionVersion,
    ) -> Result<OffsetsVerification, GroupError> {
        let partition = self.partition_of(&request.commit.group_id).await?;
        let shard = self.shard(partition).ok_or(GroupError::CoordinatorNotAvailable)?;
        let start = TransactionStart {
            producer_id: request.producer.id,
            epoch: request.producer.epoch,
            base_sequence: -1,
            version,
        };
        let guard = shard.begin_verification(start);
        Ok(OffsetsVerification {
            shard: Arc::clone(shard),
            partition,
            start,
            guard,
        })
    }

    /// Puts a transactional commit to the group's shard, once the coordinator has said yes.
    ///
    /// # Errors
    /// [`GroupError::TransactionEnded`] when a marker came meanwhile. Nothing was committed then.
    pub fn ask_transactional(
        &self,
        request: TxnOffsetCommit,
        verified: &OffsetsVerification,
    ) -> Result<Asked<TxnOffsetCommit>, GroupError> {
        verified.shard.ask_transactional(request, verified)
    }

    /// Appends a marker to a partition of the offsets topic: what the producer's transaction committed to the groups
    /// there becomes visible, or is dropped. `None` when there is no such partition.
    ///
    /// # Errors
    /// The log's; nothing has changed then.
    pub fn append_marker(
        &self,
        partition: PartitionIndex,
        marker: TransactionMarker,
    ) -> Option<Result<Appended, AppendError>> {
        Some(self.shard(partition)?.append_marker(marker))
    }

    pub(super) fn shard(&self, partition: PartitionIndex) -> Option<&Arc<ShardRunner>> {
        self.shards().get(usize::try_from(partition.0).ok()?)
    }
}
