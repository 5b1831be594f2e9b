//! What a shard answers: one plain struct for each API, independent of the wire.

use bytes::Bytes;
use thalweg_types::{LeaderEpoch, Offset, PartitionIndex};

use super::error::GroupError;
use super::ids::{GenerationId, GroupId, InstanceId, MemberId, TopicName};
use super::state::GroupState;

/// The answer to one [`super::GroupRequest`], of the same kind as it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupReply {
    /// To JoinGroup.
    Join(JoinGroupReply),
    /// To SyncGroup.
    Sync(SyncGroupReply),
    /// To Heartbeat.
    Heartbeat(HeartbeatReply),
    /// To LeaveGroup.
    Leave(LeaveGroupReply),
    /// To OffsetCommit.
    OffsetCommit(OffsetCommitReply),
    /// To OffsetFetch.
    OffsetFetch(OffsetFetchReply),
    /// To OffsetDelete.
    OffsetDelete(OffsetDeleteReply),
    /// To DescribeGroups.
    Describe(DescribeGroupReply),
    /// To ListGroups.
    List(ListGroupsReply),
    /// To DeleteGroups.
    Delete(DeleteGroupReply),
}

/// Answer to JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinGroupReply {
    /// The member's id: with MEMBER_ID_REQUIRED the one to come back with, with other errors what Kafka echoes.
    pub member_id: MemberId,
    /// The new generation, or why there is none for this member.
    pub outcome: Result<JoinedGeneration, GroupError>,
}

/// The generation that a member joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedGeneration {
    /// Its number.
    pub generation: GenerationId,
    /// `consumer`, `connect`, …; on the wire from version 7.
    pub protocol_type: Option<String>,
    /// The chosen protocol. Absent is an empty string below version 7.
    pub protocol_name: Option<String>,
    /// The member that assigns. Empty is possible only in a group that was loaded without one.
    pub leader: MemberId,
    /// For the leader of a group that has its assignment already: do not assign again (KIP-814, version 9).
    pub skip_assignment: bool,
    /// For the leader: everybody. Empty for the others.
    pub members: Vec<JoinedMember>,
}

/// One member as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: MemberId,
    /// The name of a static member.
    pub instance_id: Option<InstanceId>,
    /// Its metadata under the chosen protocol.
    pub metadata: Bytes,
}

/// Answer to SyncGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncGroupReply {
    /// The member's assignment, or why there is none.
    pub outcome: Result<SyncedAssignment, GroupError>,
}

/// What a member was assigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncedAssignment {
    /// On the wire from version 5.
    pub protocol_type: Option<String>,
    /// On the wire from version 5.
    pub protocol_name: Option<String>,
    /// The leader's bytes; empty if it gave the member nothing.
    pub assignment: Bytes,
}

/// Answer to Heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatReply {
    /// Whether the member may go on as it is.
    pub outcome: Result<(), GroupError>,
}

/// Answer to LeaveGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveGroupReply {
    /// A result for each member in the order of the request, or why none was looked at.
    pub outcome: Result<Vec<LeftMember>, GroupError>,
}

impl LeaveGroupReply {
    /// Returns the only error that versions 0–2 can carry: the first one found.
    #[must_use]
    pub fn first_error(&self) -> Option<GroupError> {
        match &self.outcome {
            Err(error) => Some(*error),
            Ok(members) => members.iter().find_map(|member| member.outcome.err()),
        }
    }
}

/// What became of one leaving member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftMember {
    /// As in the request.
    pub member_id: MemberId,
    /// As in the request.
    pub instance_id: Option<InstanceId>,
    /// Whether it left.
    pub outcome: Result<(), GroupError>,
}

/// Answer to OffsetCommit. A refusal of the whole request is repeated for every partition, as on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetCommitReply {
    /// In the order of the request.
    pub topics: Vec<CommittedTopic>,
}

/// Results for one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedTopic {
    /// The topic.
    pub topic: TopicName,
    /// Its partitions, in the order of the request.
    pub partitions: Vec<CommittedPartition>,
}

/// Result for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedPartition {
    /// The partition.
    pub partition: PartitionIndex,
    /// Whether its offset is committed.
    pub outcome: Result<(), GroupError>,
}

/// Answer to OffsetFetch for one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetFetchReply {
    /// The group.
    pub group_id: GroupId,
    /// Its offsets, or why none was looked up. An unknown group is no error.
    pub outcome: Result<Vec<FetchedTopic>, GroupError>,
}

/// Committed offsets of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedTopic {
    /// The topic.
    pub topic: TopicName,
    /// Its partitions: in the order of the request, or by number.
    pub partitions: Vec<FetchedOffset>,
}

/// The committed offset of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedOffset {
    /// The partition.
    pub partition: PartitionIndex,
    /// The committed offset; [`Offset::UNKNOWN`] if there is none.
    pub offset: Offset,
    /// Epoch of the last record read, if the consumer said it.
    pub leader_epoch: LeaderEpoch,
    /// The client's text; empty if there is none.
    pub metadata: String,
    /// Set only for UNSTABLE_OFFSET_COMMIT.
    pub error: Option<GroupError>,
}

impl FetchedOffset {
    /// "Nothing is committed", which is not an error.
    #[must_use]
    pub fn none(partition: PartitionIndex) -> Self {
        Self {
            partition,
            offset: Offset::UNKNOWN,
            leader_epoch: LeaderEpoch::UNKNOWN,
            metadata: String::new(),
            error: None,
        }
    }
}

/// Answer to OffsetDelete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetDeleteReply {
    /// In the order of the request, or why none was looked at.
    pub outcome: Result<Vec<DeletedOffsetsTopic>, GroupError>,
}

/// Results for one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedOffsetsTopic {
    /// The topic.
    pub topic: TopicName,
    /// Its partitions, in the order of the request.
    pub partitions: Vec<DeletedOffset>,
}

/// Result for one partition. Deleting an offset that is not there succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedOffset {
    /// The partition.
    pub partition: PartitionIndex,
    /// Whether there is no committed offset now.
    pub outcome: Result<(), GroupError>,
}

/// Answer to DescribeGroups for one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeGroupReply {
    /// GROUP_ID_NOT_FOUND from version 6, or that the shard is not loaded.
    pub error: Option<GroupError>,
    /// The group.
    pub group_id: GroupId,
    /// Its state; `Dead` if it does not exist.
    pub state: GroupState,
    /// `consumer`, `connect`, …; empty if the group only stores offsets.
    pub protocol_type: String,
    /// The chosen protocol while the group is stable, else empty.
    pub protocol_name: String,
    /// The members, by id.
    pub members: Vec<DescribedMember>,
}

/// One member as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    /// Its id.
    pub member_id: MemberId,
    /// The name of a static member.
    pub instance_id: Option<InstanceId>,
    /// `client.id`.
    pub client_id: String,
    /// Address of the client.
    pub client_host: String,
    /// Metadata under the chosen protocol while the group is stable, else empty.
    pub metadata: Bytes,
    /// What the leader assigned last. Until the next assignment it stays what it was.
    pub assignment: Bytes,
}

/// Answer to ListGroups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListGroupsReply {
    /// The shard's groups by id, or why they cannot be listed yet.
    pub outcome: Result<Vec<ListedGroup>, GroupError>,
}

/// One line of a list of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    /// The group.
    pub group_id: GroupId,
    /// `consumer`, `connect`, …; empty if the group only stores offsets.
    pub protocol_type: String,
    /// On the wire from version 4.
    pub state: GroupState,
}

impl ListedGroup {
    /// The type of every group here, as version 5 prints it.
    pub const GROUP_TYPE: &'static str = "classic";
}

/// Answer to DeleteGroups for one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteGroupReply {
    /// The group.
    pub group_id: GroupId,
    /// Whether it is gone.
    pub outcome: Result<(), GroupError>,
}
