//! Offsets that a transaction commits: TxnOffsetCommit (key 28), and the end of the transaction.
//!
//! They are written at once, as part of the producer's transaction, and wait as [`super::pending`] for the marker that
//! the transaction coordinator has written behind them. Replaying the log does the same.

use std::collections::BTreeMap;

use thalweg_types::{Offset, PartitionIndex, ProducerId, TimestampMs};

use super::classic::Group;
use super::env::Env;
use super::error::{GroupError, ReplayError};
use super::ids::{GenerationId, TopicName};
use super::offsets::{CommittedOffset, committed_reply, refused_commit};
use super::replay::{Position, Replayed, replay_pending};
use super::reply::{GroupReply, OffsetCommitReply};
use super::request::{OffsetCommit, TxnOffsetCommit};
use super::shard::GroupShard;
use super::step::{GroupRecord, Step};
use crate::record::{RecordKey, STRING_BYTES_MAX};
use crate::transaction::Outcome;

impl GroupShard {
    pub(super) fn commit_transactional(
        &mut self,
        now: TimestampMs,
        request: &TxnOffsetCommit,
        step: &mut Step,
    ) -> GroupReply {
        let group_id = &request.commit.group_id;
        let found = if group_id.is_empty() || group_id.len() > STRING_BYTES_MAX {
            Err(GroupError::InvalidGroupId)
        } else if request.commit.generation < GenerationId::ZERO {
            self.ensure_group(now, group_id)
        } else if self.groups.contains_key(group_id) {
            Ok(())
        } else {
            Err(GroupError::IllegalGeneration)
        };
        let reply = found.map(|()| {
            self.with_group(now, group_id, step, |group, env| {
                group.commit_pending(env, request)
            })
            .unwrap_or_else(|| refused_commit(&request.commit, GroupError::IllegalGeneration))
        });
        if !step.records.is_empty() {
            step.producer = Some(request.producer);
            let groups = self.transactions.entry(request.producer.id).or_default();
            groups.insert(group_id.clone());
        }
        GroupReply::OffsetCommit(reply.unwrap_or_else(|error| refused_commit(&request.commit, error)))
    }

    /// Takes note that a producer's transaction is decided: its marker is in the log. For a shard that serves and for
    /// one that is being loaded. A producer without pending offsets changes nothing.
    pub fn complete_transaction(&mut self, producer_id: ProducerId, outcome: Outcome) {
        for group_id in self.transactions.remove(&producer_id).unwrap_or_default() {
            let Some(group) = self.groups.get_mut(&group_id) else {
                continue;
            };
            let decided = group.decide(producer_id, outcome);
            self.stats.offsets_committed += decided as u64;
            if group.is_vacant() {
                self.groups.remove(&group_id);
            }
        }
    }

    /// Applies one record of a transactional batch. As [`GroupShard::replay`] otherwise.
    ///
    /// # Errors
    /// As [`GroupShard::replay`].
    pub fn replay_transactional(
        &mut self,
        producer_id: ProducerId,
        (key, value): (&[u8], Option<&[u8]>),
        offset: Offset,
        timestamp: TimestampMs,
    ) -> Result<Replayed, ReplayError> {
        let position = Position { offset, timestamp };
        let (replayed, group_id) = replay_pending(&mut self.groups, producer_id, (key, value), &position)?;
        if let Some(group_id) = group_id {
            self.transactions.entry(producer_id).or_default().insert(group_id);
        }
        self.stats.records_skipped += u64::from(replayed == Replayed::Skipped);
        Ok(replayed)
    }

    /// Returns the producers with pending offsets.
    pub fn pending_producers(&self) -> impl Iterator<Item = ProducerId> {
        self.transactions.keys().copied()
    }
}

impl Group {
    fn commit_pending(&mut self, env: &mut Env<'_>, request: &TxnOffsetCommit) -> OffsetCommitReply {
        let commit = &request.commit;
        if let Err(error) = self.check_pending_commit(commit) {
            return refused_commit(commit, error);
        }
        let mut accepted = BTreeMap::new();
        let reply = committed_reply(commit, |topic, partition| {
            let value = self.check_offset(env, commit, (topic, partition))?;
            accepted.insert((topic.clone(), partition.partition), value);
            Ok(())
        });
        for ((topic, partition), value) in accepted {
            env.append(GroupRecord {
                key: RecordKey::encode_offset(&self.id, &topic, partition),
                value: Some(value.encode()),
            });
            let offset = CommittedOffset::from_value(value);
            self.offsets
                .pending
                .insert(request.producer.id, (&topic, partition), offset);
        }
        reply
    }

    /// Kafka's rules: who says nothing of a generation may commit, since clients before KIP-447 do; who says something
    /// must be a member of it. A rebalance on its way does not matter.
    fn check_pending_commit(&self, commit: &OffsetCommit) -> Result<(), GroupError> {
        let names_nobody = commit.member_id.is_unknown() && commit.instance_id.is_none();
        if commit.generation < GenerationId::ZERO && (names_nobody || self.members.is_empty()) {
            return Ok(());
        }
        self.validate_member(&commit.member_id, commit.instance_id.as_ref())?;
        if commit.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        Ok(())
    }

    /// Ends what the producer has pending; returns how many offsets are committed by it.
    fn decide(&mut self, producer_id: ProducerId, outcome: Outcome) -> usize {
        if outcome == Outcome::Commit {
            self.offsets.pending.supersede_before(producer_id);
        }
        let taken = self.offsets.pending.take(producer_id);
        if outcome == Outcome::Abort {
            return 0;
        }
        let count = taken.len();
        for (topic, partition, offset) in taken {
            self.offsets.put(&topic, partition, offset);
        }
        count
    }

    /// Keeps an offset found in a transactional batch.
    pub(super) fn restore_pending(
        &mut self,
        producer_id: ProducerId,
        (topic, partition): (&TopicName, PartitionIndex),
        offset: CommittedOffset,
    ) {
        self.offsets
            .pending
            .insert(producer_id, (topic, partition), offset);
    }
}

#[cfg(test)]
#[path = "transactional_test.rs"]
mod tests;
