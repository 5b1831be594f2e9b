//! AddPartitionsToTxn, AddOffsetsToTxn and the implicit add of KIP-890: partitions join the transaction, which begins
//! with the first of them. And the question whether they have.

use thalweg_types::TimestampMs;

use super::error::TransactionError;
use super::metadata::{Decision, TransactionMetadata};
use super::request::{AddPartitions, VerifiedPartition, VerifyPartitions};
use super::state::TransactionState;

impl TransactionMetadata {
    /// Adds partitions; nothing changes if the open transaction has them all.
    pub(crate) fn add_partitions(
        &self,
        request: &AddPartitions,
        now: TimestampMs,
    ) -> Result<Decision<()>, TransactionError> {
        self.check_writer(request.producer)?;
        let is_open = self.state == TransactionState::Ongoing;
        let has_all = || {
            request
                .partitions
                .iter()
                .all(|(topic, partition)| self.has_partition(topic, *partition))
        };
        if is_open && has_all() {
            return Ok(Decision::Unchanged(()));
        }
        let mut next = self.clone();
        next.state = TransactionState::Ongoing;
        next.updated_at = now;
        next.version = request.version;
        if !is_open {
            next.started_at = now;
        }
        for (topic, partition) in &request.partitions {
            match next.partitions.get_mut(topic) {
                Some(partitions) => {
                    partitions.insert(*partition);
                }
                None => {
                    next.partitions.insert(topic.clone(), [*partition].into());
                }
            }
        }
        Ok(Decision::Become(Box::new(next), ()))
    }

    /// Answers for each partition whether the open transaction has it.
    pub(crate) fn verify_partitions(
        &self,
        request: &VerifyPartitions,
    ) -> Result<Vec<VerifiedPartition>, TransactionError> {
        self.check_writer(request.producer)?;
        let verified = request.partitions.iter().map(|(topic, partition)| {
            let is_in = self.has_partition(topic, *partition);
            VerifiedPartition {
                topic: topic.clone(),
                partition: *partition,
                outcome: is_in.then_some(()).ok_or(TransactionError::TransactionAbortable),
            }
        });
        Ok(verified.collect())
    }
}

#[cfg(test)]
#[path = "add_test.rs"]
mod tests;
