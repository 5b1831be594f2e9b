//! What metrics, dumps and the lag computation read of a shard without asking it a request.

use thalweg_types::{PartitionIndex, TimestampMs};

use super::classic::Group;
use super::ids::{GenerationId, GroupId, InstanceId, MemberId, TopicName};
use super::member::Member;
use super::offsets::CommittedOffset;
use super::state::GroupState;

/// Counters of one shard since it was made; none goes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupShardStats {
    /// Offsets committed.
    pub offsets_committed: u64,
    /// Offsets that expired.
    pub offsets_expired: u64,
    /// Offsets deleted by request, or because their topic was.
    pub offsets_deleted: u64,
    /// Assignments handed in by leaders.
    pub rebalances_completed: u64,
    /// Members removed because they were silent.
    pub sessions_expired: u64,
    /// Records of other kinds found in the log at load.
    pub records_skipped: u64,
    /// Changes of state that the table does not allow. Anything but 0 is a bug of ours.
    pub impossible_moves: u64,
}

/// A view of one group.
#[derive(Clone, Copy, Debug)]
pub struct GroupSummary<'a> {
    group: &'a Group,
}

/// A view of one member.
#[derive(Clone, Copy, Debug)]
pub struct MemberSummary<'a> {
    /// Its id.
    pub member_id: &'a MemberId,
    member: &'a Member,
}

impl<'a> GroupSummary<'a> {
    pub(crate) fn new(group: &'a Group) -> Self {
        Self { group }
    }

    /// The group's id.
    #[must_use]
    pub fn group_id(&self) -> &'a GroupId {
        &self.group.id
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> GroupState {
        self.group.state
    }

    /// When it came into that state, if known.
    #[must_use]
    pub fn state_timestamp(&self) -> Option<TimestampMs> {
        self.group.state_timestamp
    }

    /// Its generation.
    #[must_use]
    pub fn generation(&self) -> GenerationId {
        self.group.generation
    }

    /// `consumer`, `connect`, …; `None` if it only stores offsets.
    #[must_use]
    pub fn protocol_type(&self) -> Option<&'a str> {
        self.group.protocol_type.as_deref()
    }

    /// The chosen protocol, if there is a generation.
    #[must_use]
    pub fn protocol_name(&self) -> Option<&'a str> {
        self.group.protocol_name.as_deref()
    }

    /// The member that assigns.
    #[must_use]
    pub fn leader(&self) -> Option<&'a MemberId> {
        self.group.leader.as_ref()
    }

    /// How many members it has.
    #[must_use]
    pub fn member_count(&self) -> usize {
        self.group.members.len()
    }

    /// Its members, by id.
    pub fn members(&self) -> impl Iterator<Item = MemberSummary<'a>> + use<'a> {
        self.group
            .members
            .iter()
            .map(|(member_id, member)| MemberSummary { member_id, member })
    }

    /// How many offsets are committed.
    #[must_use]
    pub fn offset_count(&self) -> usize {
        self.group.offsets.len()
    }

    /// Its committed offsets, by topic and partition.
    pub fn offsets(
        &self,
    ) -> impl Iterator<Item = (&'a TopicName, PartitionIndex, &'a CommittedOffset)> + use<'a> {
        self.group.offsets.iter()
    }

    /// The committed offset of one partition.
    #[must_use]
    pub fn offset(&self, topic: &str, partition: PartitionIndex) -> Option<&'a CommittedOffset> {
        self.group.offsets.get(topic, partition)
    }

    /// Reports whether a live member may be reading the topic.
    #[must_use]
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        self.group.is_subscribed_to(topic)
    }
}

impl<'a> MemberSummary<'a> {
    /// The name of a static member.
    #[must_use]
    pub fn instance_id(&self) -> Option<&'a InstanceId> {
        self.member.instance_id.as_ref()
    }

    /// `client.id`.
    #[must_use]
    pub fn client_id(&self) -> &'a str {
        &self.member.client.client_id
    }

    /// Address of the client.
    #[must_use]
    pub fn client_host(&self) -> &'a str {
        &self.member.client.client_host
    }

    /// What the leader assigned last. Until the next assignment it stays what it was.
    #[must_use]
    pub fn assignment(&self) -> &'a [u8] {
        &self.member.assignment
    }

    /// How long it may be silent, in milliseconds.
    #[must_use]
    pub fn session_timeout_ms(&self) -> i32 {
        self.member.session_timeout_ms
    }

    /// How long it may take to join again, in milliseconds.
    #[must_use]
    pub fn rebalance_timeout_ms(&self) -> i32 {
        self.member.rebalance_timeout_ms
    }
}
