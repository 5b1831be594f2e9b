//! What metrics and administrators read of groups.

use std::sync::Arc;

use bytes::Bytes;
use thalweg_coordinator::group::{
    GenerationId, GroupId, GroupShardStats, GroupState, GroupSummary, TopicName,
};
use thalweg_types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs};
use thalweg_wire::consumer_protocol::{CONSUMER_PROTOCOL_TYPE, decode_assignment};
use thalweg_wire::guard::GuardLimits;

use super::shard::ShardRunner;

/// One group at one moment. What it says may not be durable yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupView {
    /// Its id.
    pub group_id: GroupId,
    /// Its state.
    pub state: GroupState,
    /// Its generation.
    pub generation: GenerationId,
    /// `consumer`, `connect`, …; `None` if it only stores offsets.
    pub protocol_type: Option<String>,
    /// The chosen assignor, if there is a generation.
    pub protocol_name: Option<String>,
    /// How many members it has.
    pub members: usize,
    /// Committed offsets, by topic and partition.
    pub offsets: Vec<CommittedView>,
    /// Partitions that its members are assigned, by topic and partition; empty unless the members are consumers.
    pub assigned: Vec<(TopicName, PartitionIndex)>,
}

/// One committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedView {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: PartitionIndex,
    /// The next offset to read.
    pub offset: Offset,
    /// Epoch of the last record read, or [`LeaderEpoch::UNKNOWN`].
    pub leader_epoch: LeaderEpoch,
    /// When it was committed.
    pub commit_timestamp: TimestampMs,
}

/// A view without its assignments, which are decoded outside the shard's lock.
struct Raw {
    view: GroupView,
    assignments: Vec<Bytes>,
}

pub(super) fn views(shard: &ShardRunner) -> Vec<GroupView> {
    let raw: Vec<Raw> = shard.read(|shard| shard.groups().map(|group| Raw::new(&group)).collect());
    raw.into_iter().map(Raw::finish).collect()
}

pub(super) fn view(shard: &ShardRunner, group_id: &str) -> Option<GroupView> {
    shard
        .read(|shard| shard.group(group_id).map(|group| Raw::new(&group)))
        .map(Raw::finish)
}

pub(super) fn stats(shards: &[Arc<ShardRunner>]) -> GroupShardStats {
    let mut total = GroupShardStats::default();
    for shard in shards {
        add_stats(&mut total, &shard.stats());
    }
    total
}

pub(super) fn add_stats(total: &mut GroupShardStats, more: &GroupShardStats) {
    total.offsets_committed += more.offsets_committed;
    total.offsets_expired += more.offsets_expired;
    total.offsets_deleted += more.offsets_deleted;
    total.rebalances_completed += more.rebalances_completed;
    total.sessions_expired += more.sessions_expired;
    total.records_skipped += more.records_skipped;
    total.impossible_moves += more.impossible_moves;
}

impl Raw {
    fn new(group: &GroupSummary<'_>) -> Self {
        let is_consumers = group.protocol_type() == Some(CONSUMER_PROTOCOL_TYPE);
        let offsets = group
            .offsets()
            .map(|(topic, partition, committed)| CommittedView {
                topic: topic.clone(),
                partition,
                offset: committed.offset,
                leader_epoch: committed.leader_epoch,
                commit_timestamp: committed.commit_timestamp,
            });
        let assignments = group
            .members()
            .filter(|member| is_consumers && !member.assignment().is_empty());
        Self {
            assignments: assignments
                .map(|member| Bytes::copy_from_slice(member.assignment()))
                .collect(),
            view: GroupView {
                group_id: group.group_id().clone(),
                state: group.state(),
                generation: group.generation(),
                protocol_type: group.protocol_type().map(str::to_owned),
                protocol_name: group.protocol_name().map(str::to_owned),
                members: group.member_count(),
                offsets: offsets.collect(),
                assigned: Vec::new(),
            },
        }
    }

    fn finish(self) -> GroupView {
        let mut view = self.view;
        for assignment in self.assignments {
            // Bytes of the clients' own: what is no assignment is not ours to judge.
            let Ok(assignment) = decode_assignment(assignment, &GuardLimits::default()) else {
                continue;
            };
            for topic in assignment.assigned_partitions {
                let name = TopicName::from(topic.topic.as_str());
                let partitions = topic.partitions.into_iter();
                view.assigned
                    .extend(partitions.map(|partition| (name.clone(), PartitionIndex(partition))));
            }
        }
        view.assigned.sort_unstable();
        view.assigned.dedup();
        view
    }
}
