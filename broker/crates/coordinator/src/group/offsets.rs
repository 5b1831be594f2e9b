//! Committed offsets of a group: OffsetCommit (key 8), OffsetFetch (key 9), OffsetDelete (key 47).
//!
//! An offset lives in its group. Committing to a group that does not exist makes one that only stores offsets,
//! without protocol type and without a record of its own. What transactions commit waits in [`PendingOffsets`] until
//! they are decided (`transactional`).

use std::collections::{BTreeMap, BTreeSet};

use thalweg_types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs};

use super::classic::Group;
use super::env::Env;
use super::error::GroupError;
use super::ids::{GenerationId, TopicName};
use super::pending::PendingOffsets;
use super::reply::{
    CommittedPartition, CommittedTopic, DeletedOffset, DeletedOffsetsTopic, FetchedOffset, FetchedTopic,
    OffsetCommitReply, OffsetDeleteReply,
};
use super::request::{
    FetchTopics, OffsetCommit, OffsetCommitPartition, OffsetDelete, OffsetFetch, Stability, TopicPartitions,
};
use super::state::GroupState;
use super::step::GroupRecord;
use crate::record::{OffsetCommitValue, RecordKey, STRING_BYTES_MAX};

/// One committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The next offset to read.
    pub offset: Offset,
    /// Epoch of the last record read, or [`LeaderEpoch::UNKNOWN`].
    pub leader_epoch: LeaderEpoch,
    /// Text of the client's own.
    pub metadata: Box<str>,
    /// When it was committed.
    pub commit_timestamp: TimestampMs,
    /// When it expires, if the commit said so (OffsetCommit versions 2–4).
    pub expire_timestamp: Option<TimestampMs>,
}

impl CommittedOffset {
    pub(crate) fn from_value(value: OffsetCommitValue) -> Self {
        Self {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata.into_boxed_str(),
            commit_timestamp: value.commit_timestamp,
            expire_timestamp: value.expire_timestamp,
        }
    }
}

/// The committed offsets of one group. No topic in it is without partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommittedOffsets {
    topics: BTreeMap<TopicName, BTreeMap<PartitionIndex, CommittedOffset>>,
    pub(super) pending: PendingOffsets,
}

impl CommittedOffsets {
    /// Reports whether there is nothing, neither committed nor pending.
    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.pending.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.topics.values().map(BTreeMap::len).sum()
    }

    pub(crate) fn get(&self, topic: &str, partition: PartitionIndex) -> Option<&CommittedOffset> {
        self.topics.get(topic)?.get(&partition)
    }

    pub(crate) fn insert(&mut self, topic: &TopicName, partition: PartitionIndex, offset: CommittedOffset) {
        self.pending.supersede(topic, partition);
        self.put(topic, partition, offset);
    }

    pub(super) fn put(&mut self, topic: &TopicName, partition: PartitionIndex, offset: CommittedOffset) {
        match self.topics.get_mut(topic) {
            Some(partitions) => {
                partitions.insert(partition, offset);
            }
            None => {
                self.topics
                    .insert(topic.clone(), BTreeMap::from([(partition, offset)]));
            }
        }
    }

    /// Removes the offset of a partition and what is pending on it; returns whether there was anything.
    pub(crate) fn remove(&mut self, topic: &str, partition: PartitionIndex) -> bool {
        let was_pending = self.pending.remove(topic, partition);
        let Some(partitions) = self.topics.get_mut(topic) else {
            return was_pending;
        };
        let was_committed = partitions.remove(&partition).is_some();
        if partitions.is_empty() {
            self.topics.remove(topic);
        }
        was_committed || was_pending
    }

    /// Removes and returns the partitions of a topic that have an offset, or one pending.
    pub(crate) fn remove_topic(&mut self, topic: &str) -> Vec<PartitionIndex> {
        let pending = self.pending.of_topic(topic);
        for partition in &pending {
            self.pending.remove(topic, *partition);
        }
        let committed = self.topics.remove(topic).unwrap_or_default();
        let all: BTreeSet<PartitionIndex> = committed.into_keys().chain(pending).collect();
        all.into_iter().collect()
    }

    /// Returns every partition that has an offset, or one pending.
    pub(crate) fn partitions(&self) -> BTreeSet<(TopicName, PartitionIndex)> {
        let committed = self.iter().map(|(topic, partition, _)| (topic, partition));
        committed
            .chain(self.pending.keys())
            .map(|(topic, partition)| (topic.clone(), partition))
            .collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&TopicName, PartitionIndex, &CommittedOffset)> {
        self.topics.iter().flat_map(|(topic, partitions)| {
            partitions
                .iter()
                .map(move |(partition, offset)| (topic, *partition, offset))
        })
    }

    /// Reports whether a transaction that is not decided yet commits the partition.
    pub(super) fn is_unstable(&self, topic: &str, partition: PartitionIndex) -> bool {
        self.pending.contains(topic, partition)
    }

    fn fetch(&self, topic: &str, partition: PartitionIndex, stability: Stability) -> FetchedOffset {
        if stability == Stability::Stable && self.is_unstable(topic, partition) {
            let error = Some(GroupError::UnstableOffsetCommit);
            return FetchedOffset {
                error,
                ..FetchedOffset::none(partition)
            };
        }
        match self.get(topic, partition) {
            None => FetchedOffset::none(partition),
            Some(committed) => FetchedOffset {
                partition,
                offset: committed.offset,
                leader_epoch: committed.leader_epoch,
                metadata: committed.metadata.to_string(),
                error: None,
            },
        }
    }

    fn fetch_topic(&self, wanted: &TopicPartitions, stability: Stability) -> FetchedTopic {
        FetchedTopic {
            topic: wanted.topic.clone(),
            partitions: wanted
                .partitions
                .iter()
                .map(|partition| self.fetch(&wanted.topic, *partition, stability))
                .collect(),
        }
    }

    /// Answers an OffsetFetch; an empty set of offsets stands for an unknown group.
    pub(crate) fn fetch_topics(&self, request: &OffsetFetch) -> Vec<FetchedTopic> {
        let stability = request.stability;
        match &request.topics {
            FetchTopics::Some(topics) => topics
                .iter()
                .map(|wanted| self.fetch_topic(wanted, stability))
                .collect(),
            FetchTopics::All => self
                .topics
                .iter()
                .map(|(topic, partitions)| FetchedTopic {
                    topic: topic.clone(),
                    partitions: partitions
                        .keys()
                        .map(|partition| self.fetch(topic, *partition, stability))
                        .collect(),
                })
                .collect(),
        }
    }
}

/// Returns the record that removes a committed offset from the log.
pub(crate) fn offset_tombstone(group_id: &str, topic: &str, partition: PartitionIndex) -> GroupRecord {
    GroupRecord {
        key: RecordKey::encode_offset(group_id, topic, partition),
        value: None,
    }
}

/// Returns the answer that refuses every partition of an OffsetCommit.
pub(crate) fn refused_commit(request: &OffsetCommit, error: GroupError) -> OffsetCommitReply {
    committed_reply(request, |_, _| Err(error))
}

pub(super) fn committed_reply(
    request: &OffsetCommit,
    mut commit: impl FnMut(&TopicName, &OffsetCommitPartition) -> Result<(), GroupError>,
) -> OffsetCommitReply {
    OffsetCommitReply {
        topics: request
            .topics
            .iter()
            .map(|topic| CommittedTopic {
                topic: topic.topic.clone(),
                partitions: topic
                    .partitions
                    .iter()
                    .map(|partition| CommittedPartition {
                        partition: partition.partition,
                        outcome: commit(&topic.topic, partition),
                    })
                    .collect(),
            })
            .collect(),
    }
}

impl Group {
    /// Handles an OffsetCommit.
    pub(crate) fn commit_offsets(&mut self, env: &mut Env<'_>, request: &OffsetCommit) -> OffsetCommitReply {
        if let Err(error) = self.check_commit(request) {
            return refused_commit(request, error);
        }
        if matches!(self.state, GroupState::Stable | GroupState::PreparingRebalance) {
            // A commit shows that the member lives.
            self.restart_session(env, &request.member_id);
        }
        // One record for each partition, however often the request repeats it: the last one counts.
        let mut accepted = BTreeMap::new();
        let reply = committed_reply(request, |topic, partition| {
            let value = self.check_offset(env, request, (topic, partition))?;
            accepted.insert((topic.clone(), partition.partition), value);
            Ok(())
        });
        for ((topic, partition), value) in accepted {
            self.store_offset(env, (&topic, partition), value);
        }
        reply
    }

    fn check_commit(&self, request: &OffsetCommit) -> Result<(), GroupError> {
        let outside_generations = request.generation < GenerationId::ZERO;
        if outside_generations && self.state == GroupState::Empty {
            return Ok(());
        }
        if outside_generations && request.member_id.is_unknown() && request.instance_id.is_none() {
            // A consumer that assigns its own partitions would overwrite what the members commit.
            return Err(GroupError::UnknownMemberId);
        }
        self.validate_member(&request.member_id, request.instance_id.as_ref())?;
        if request.generation != self.generation {
            return Err(GroupError::IllegalGeneration);
        }
        match self.state {
            // The member is about to get an assignment and starts over from what is committed.
            GroupState::CompletingRebalance => Err(GroupError::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// Returns what is to be stored for one partition of a commit.
    pub(super) fn check_offset(
        &self,
        env: &Env<'_>,
        request: &OffsetCommit,
        (topic, partition): (&TopicName, &OffsetCommitPartition),
    ) -> Result<OffsetCommitValue, GroupError> {
        let metadata = partition.metadata.as_deref().unwrap_or_default();
        if is_too_long(metadata, env.config.offset_metadata_max) {
            return Err(GroupError::OffsetMetadataTooLarge);
        }
        if topic.len() > STRING_BYTES_MAX {
            return Err(GroupError::InvalidRequest);
        }
        let expire_timestamp = request
            .retention_time_ms
            .map(|retention_ms| TimestampMs(env.now.get().saturating_add(retention_ms)));
        let value = OffsetCommitValue {
            offset: partition.offset,
            // The stored form has no room for both; what a restart would forget is not remembered either.
            leader_epoch: match expire_timestamp {
                Some(_) => LeaderEpoch::UNKNOWN,
                None => partition.leader_epoch,
            },
            metadata: metadata.to_owned(),
            commit_timestamp: env.now,
            expire_timestamp,
            topic_id: None,
        };
        let key_bytes = RecordKey::offset_size_bytes(&self.id, topic);
        if key_bytes.saturating_add(value.size_bytes()) > env.config.record_bytes_max {
            return Err(GroupError::OffsetMetadataTooLarge);
        }
        Ok(value)
    }

    fn store_offset(
        &mut self,
        env: &mut Env<'_>,
        (topic, partition): (&TopicName, PartitionIndex),
        value: OffsetCommitValue,
    ) {
        let key = RecordKey::encode_offset(&self.id, topic, partition);
        env.append(GroupRecord {
            key,
            value: Some(value.encode()),
        });
        env.stats.offsets_committed += 1;
        self.offsets
            .insert(topic, partition, CommittedOffset::from_value(value));
    }

    /// Handles an OffsetDelete.
    pub(crate) fn delete_offsets(&mut self, env: &mut Env<'_>, request: &OffsetDelete) -> OffsetDeleteReply {
        if self.state != GroupState::Empty && !self.uses_consumer_protocol() {
            // What its members read cannot be known.
            return OffsetDeleteReply {
                outcome: Err(GroupError::NonEmptyGroup),
            };
        }
        let topics = request
            .topics
            .iter()
            .map(|topic| DeletedOffsetsTopic {
                topic: topic.topic.clone(),
                partitions: topic
                    .partitions
                    .iter()
                    .map(|partition| DeletedOffset {
                        partition: *partition,
                        outcome: self.delete_offset(env, &topic.topic, *partition),
                    })
                    .collect(),
            })
            .collect();
        OffsetDeleteReply { outcome: Ok(topics) }
    }

    fn delete_offset(
        &mut self,
        env: &mut Env<'_>,
        topic: &TopicName,
        partition: PartitionIndex,
    ) -> Result<(), GroupError> {
        if self.is_subscribed_to(topic) {
            return Err(GroupError::GroupSubscribedToTopic);
        }
        if self.offsets.remove(topic, partition) {
            env.append(offset_tombstone(&self.id, topic, partition));
            env.stats.offsets_deleted += 1;
        }
        Ok(())
    }

    /// Removes the offsets of a topic that no longer exists, whoever subscribes to it.
    pub(crate) fn forget_topic(&mut self, env: &mut Env<'_>, topic: &TopicName) {
        for partition in self.offsets.remove_topic(topic) {
            env.append(offset_tombstone(&self.id, topic, partition));
            env.stats.offsets_deleted += 1;
        }
    }
}

/// Reports whether commit metadata is longer than the limit (UTF-16 units, as Kafka counts) or than a record holds.
fn is_too_long(metadata: &str, limit: usize) -> bool {
    // Bytes are never fewer than UTF-16 units, so most texts need no counting.
    metadata.len() > STRING_BYTES_MAX || (metadata.len() > limit && metadata.encode_utf16().count() > limit)
}

#[cfg(test)]
#[path = "offsets_test.rs"]
mod tests;
